"""What an answer means: a value, or an error with its outcome. Nothing is sent or waited for here.

Answer --- 2xx --------> accept --> value                   it is what the API documents
|                        --> InvalidResponseError    it can't be read
|-- any other --> refuse --> ApiError                4xx and 5xx, with or without the API's own error body
--> InvalidResponseError    1xx and 3xx, which the APIs do not document
"""

import logging
from functools import partial
from typing import Any, TypeVar, cast

from sdk_core import codec
from sdk_core.backend import Backend
from sdk_core.call import Answer, Call
from sdk_core.details import ErrorDetails, safe_code
from sdk_core.deviation import Deviation, tell
from sdk_core.errors import InvalidResponseError, SdkError, api_error_class
from sdk_core.operation import Operation
from sdk_core.outcome import Outcome, may_repeat, outcome_of_status, outcome_of_unreadable
from sdk_core.retry import retry_after_of
from sdk_core.returns import Checked, Empty

__all__ = ["accept", "refuse"]

T = TypeVar("T")

_log = logging.getLogger("sdk_core.verdict")


def accept(call: Call[T], answer: Answer, backend: Backend) -> T:
    """Return the value of a success (2xx).

    A text that is no JSON is no success, however short, and whatever type it claims: also where the API documents no
    content, "OK" may come from something in between, and nobody knows whether the API ever saw the request.

    Raises:
        InvalidResponseError: it can't be read. If it is JSON, which comes from the API, it said yes: APPLIED, but
            REJECTED of a READ, which has no effect. UNKNOWN if it is none: it may be a page of something in between.
    """
    shape: Any = call.operation.returns
    content = answer.content
    if content is not None:
        try:
            if isinstance(shape, type) and issubclass(shape, Empty):
                return cast("T", shape.from_answer(content, lambda: call.correlation_id))
            value: T = codec.READERS[shape](content)
            if not isinstance(value, Checked) or value.misfit(call.query) is None:
                return value
        except Exception:  # noqa: BLE001, S110  whatever it is, the exact reader decides, below and not in here
            pass
    return _accept_exactly(call, answer, backend)


def _accept_exactly(call: Call[T], answer: Answer, backend: Backend) -> T:
    operation, content = call.operation, answer.content
    shape: Any = operation.returns
    problems: tuple[str, ...] = ()
    readable: Any = None
    if content is not None:
        try:
            if isinstance(shape, type) and issubclass(shape, Empty):
                return cast("T", shape.from_answer(content, lambda: call.correlation_id))
            value = codec.read_exactly(
                content,
                operation.returns,
                lone_item=operation.lone_item,
                unwrap=backend.unwrap,
                tell=partial(_note, call),
            )
            if not isinstance(value, Checked) or (misfit := value.misfit(call.query)) is None:
                return value
            problems = (misfit,)
        except codec.ShapeError as error:
            problems, readable = error.problems, error.readable
        except (codec.NotJsonError, MemoryError):
            pass
        except Exception as error:  # noqa: BLE001  a class of the caller's may raise anything, and the request was sent
            # What something in between wrote says nothing of the effect, whoever stumbled over it.
            if codec.parse_or_none(content) is not None:
                problems = (f"$: {type(error).__name__} while it was read",)
    if readable is not None and call.options.skip_unreadable_items:
        what = "items left out of the answer to %s, which can't be read: %s (correlation id %s)"
        fields = call.log_fields("success", attempt=len(call.attempts) + 1)
        _log.warning(what, operation.name, ", ".join(problems), call.correlation_id, extra=fields)
        return cast("T", readable)
    # Not held by a variable: with its traceback that would be a reference cycle.
    raise _unreadable(call, answer, problems, readable)


def _note(call: Call[Any], path: str, kind: str) -> None:
    tell(call.options.on_unexpected, Deviation(call.operation.name, path, kind))


def _unreadable(call: Call[Any], answer: Answer, problems: tuple[str, ...], readable: object) -> InvalidResponseError:
    outcome = outcome_of_unreadable(call.operation) if problems else Outcome.UNKNOWN
    call.record(outcome, answer.status)
    what = _describe_unreadable(answer, problems, call.options.max_response_bytes)
    facts = call.facts(outcome, retryable=False, status=answer.status, problems=list(problems))
    failure = InvalidResponseError(what, facts).with_details(_unrecognised(answer.content))
    failure.readable = readable
    return failure


def _unrecognised(content: bytes | None) -> ErrorDetails:
    return ErrorDetails(raw=codec.parse_or_none(content or b""), body=content or b"")


def refuse(call: Call[Any], answer: Answer, backend: Backend) -> SdkError:
    """Return the error of any status but a success."""
    operation, policy, status = call.operation, call.options.retry, answer.status
    if status < 400:
        call.record(Outcome.UNKNOWN, status)
        what = f"status {status}, which the API does not document; redirects are not followed, check the base URL"
        failure = call.fail(InvalidResponseError, what, Outcome.UNKNOWN, retryable=False, status=status)
        return failure.with_details(_unrecognised(answer.content))
    details = backend.read_error(answer.content or b"")
    outcome, passing = outcome_of_status(operation, status, details, throttles_with_503=backend.throttles_with_503)
    # It may be how the server answers what an earlier attempt of this call did.
    echo = status in {404, 409} and call.may_have_taken_effect()
    call.record(outcome, status)
    retry_after = retry_after_of(status, answer.headers, now=policy.wall_clock())
    if status == 429 and retry_after is None:
        retry_after = policy.rate_limit_wait if policy.rate_limit_wait is not None else backend.rate_limit_wait
    # The token was dropped, and this call did not try another (max_attempts=1): the next call will, so it can help.
    curable = status == 401 and backend.auth.headers is None and not call.reauthenticated
    facts = call.facts(
        outcome,
        retryable=curable or (not echo and may_repeat(operation.effect, outcome, passing=passing)),
        status=status,
        retry_after=retry_after,
        maybe_own_previous_attempt=echo,
    )
    return api_error_class(status).from_details(
        _describe_refusal(operation, status, details, echo=echo), facts, details
    )


def _describe_unreadable(answer: Answer, problems: tuple[str, ...], limit: int) -> str:
    if answer.content is None:
        return f"the answer is larger than {limit} bytes"
    if problems:
        return "the answer is not of the documented shape: " + ", ".join(problems[:5])
    if not answer.content.strip():
        return f"status {answer.status} with an empty answer"
    content_type = safe_code(answer.headers.get("Content-Type", "").partition(";")[0]) or "no content type"
    return f"status {answer.status} with a body that is no JSON ({content_type}, {len(answer.content)} bytes)"


def _describe_refusal(operation: Operation[Any], status: int, details: ErrorDetails, *, echo: bool) -> str:
    text = f"status {status}"
    if details.code is not None and (code := safe_code(details.code)) is not None:
        text += f" ({code})"
    if not details.recognised:
        text += ", without the API's error envelope"
    # Something in between, such as a firewall, refuses for reasons of its own.
    if status == 403 and operation.scopes and details.recognised:
        text += f"; needs the scope {' and '.join(operation.scopes)}"
    if echo:
        text += "; an earlier attempt of this call may have taken effect and be what it collides with"
    return text
