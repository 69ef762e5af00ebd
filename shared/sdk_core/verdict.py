"""What an answer means: a value, or an error with its outcome. Nothing is sent or waited for here.

Answer --- 2xx --------> accept --> value                   it is what the API documents
|                        --> InvalidResponseError    it can't be read
|-- any other --> refuse --> ApiError                4xx and 5xx, with or without the API's own error body
--> InvalidResponseError    1xx and 3xx, which the APIs do not document
"""

import logging
from asyncio import get_running_loop, wait
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any, Final, TypeVar, cast, get_origin

from aiohttp import hdrs
from attrs import evolve, fields, has

from sdk_core import codec
from sdk_core.backend import Backend
from sdk_core.call import Answer, Call
from sdk_core.codec.shapes import json_name
from sdk_core.details import ErrorDetails, safe_code
from sdk_core.deviation import Deviation, tell
from sdk_core.envelopes import may_tell_failure, tells_failure
from sdk_core.errors import InvalidResponseError, SdkError, api_error_class
from sdk_core.operation import Operation
from sdk_core.outcome import Outcome, may_repeat, outcome_of_status, outcome_of_unreadable
from sdk_core.retry import retry_after_of
from sdk_core.returns import Checked, Empty

__all__ = ["accept", "accept_large", "refuse"]

T = TypeVar("T")

_FAILURE: Final = "$: the body of an error"
_TO_BE_CHECKED: Any = (Checked, Empty, dict)
"""Classes of values that are no answer yet for being of the documented types."""
_PATIENCE: Final = 5.0
"""Seconds to wait until another thread begins to read an answer."""
_log = logging.getLogger("sdk_core.verdict")


def accept(call: Call[T], answer: Answer, backend: Backend) -> T:
    """Return the value of a success (2xx).

    Also where the API documents no content:

    - A text that is no JSON is no success, however short, and whatever type it claims: "OK" may come from something in
      between, and nobody knows whether the API ever saw the request.
    - The body of an error is no success either: some servers send all their errors with status 200.

    Raises:
        InvalidResponseError: it can't be read. If it is JSON, which comes from the API, it said yes: APPLIED, but
            REJECTED of a READ, which has no effect. UNKNOWN if it is none, as it may be a page of something in between,
            or if it is an error's.
    """
    shape: Any = call.operation.returns
    content = answer.content
    if content is not None:
        try:
            if isinstance(shape, type) and issubclass(shape, Empty):
                found: Any = shape.from_answer(content, lambda: call.correlation_id)
            else:
                found = codec.READERS[shape](content)
            value: T = found
            if isinstance(value, _TO_BE_CHECKED):
                _check(call, content, value)
        except Exception:  # noqa: BLE001, S110  it is read once more, exactly, and not in here: see `codec.load`
            pass
        else:
            return value
    return _judge(call, answer, backend, partial(_read, call, answer, backend, partial(_note, call)))


async def accept_large(call: Call[T], answer: Answer, backend: Backend) -> T:
    """Like `accept`, for an answer that is read in another thread.

    A MiB of many small objects takes some tenths of a second: meanwhile the event loop goes on, if not as fast. The
    caller's callbacks are called in this thread all the same.
    """
    told: list[tuple[str, str]] = []
    begun: list[bool] = []

    def read() -> T:
        begun.append(True)
        return _read(call, answer, backend, lambda path, kind: told.append((path, kind)))

    try:
        reading = get_running_loop().run_in_executor(None, read)
    except RuntimeError:
        # There is no other thread to be had.
        return accept(call, answer, backend)
    # If this call is cancelled, nobody else asks what became of it, and asyncio would complain.
    reading.add_done_callback(lambda done: done.cancelled() or done.exception())
    # The application's own work may hold all threads, for any time.
    await wait((reading,), timeout=max(0.0, min(call.remaining(), _PATIENCE)))
    if not begun:
        reading.cancel()
    # What has been begun ends: to begin again here would take longer, and hold up the loop.
    await wait((reading,))
    # An application that shuts its pool down cancels what waits there, too.
    if reading.cancelled():
        return accept(call, answer, backend)
    for path, kind in told:
        _note(call, path, kind)
    return _judge(call, answer, backend, reading.result)


def _read(call: Call[T], answer: Answer, backend: Backend, note: Callable[[str, str], None]) -> T:
    """Read a success by both readers, and check it; in any thread. ShapeError or NotJsonError: it is none."""
    operation, content = call.operation, answer.content or b""
    shape: Any = operation.returns
    try:
        if isinstance(shape, type) and issubclass(shape, Empty):
            value: object = shape.from_answer(content, lambda: call.correlation_id)
        else:
            value = codec.load(
                content, operation.returns, lone_item=operation.lone_item, unwrap=backend.unwrap, tell=note
            )
        if isinstance(value, _TO_BE_CHECKED):
            _check(call, content, value)
    except (codec.ShapeError, codec.NotJsonError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001  a class of the caller's may raise anything, and the request was sent
        # What something in between wrote says nothing of the effect, whoever stumbled over it.
        if (raw := codec.parse_or_none(content)) is None:
            raise codec.NotJsonError from None
        raise codec.ShapeError((f"$: {type(error).__name__} while it was read",), raw=raw) from None
    return cast("T", value)


def _judge(call: Call[T], answer: Answer, backend: Backend, read: Callable[[], T]) -> T:
    """Return what `read()` gives, or raise the error of what it raises."""
    operation, content = call.operation, answer.content
    misfit: codec.ShapeError | None = None
    has_memory = True
    if content is not None and (content.strip() or not _is_cut(operation, answer)):
        try:
            value = read()
        except codec.ShapeError as error:
            # Its traceback refers to this frame, which refers to it.
            misfit = error.with_traceback(None)
        except codec.NotJsonError:
            pass
        except MemoryError:
            has_memory = False
        else:
            return value
    misfit = misfit or codec.ShapeError(())
    if call.options.skip_unreadable_items and _is_still_an_answer(call, content or b"", misfit):
        what = "items left out of the answer to %s, which can't be read: %s (correlation id %s)"
        fields = call.log_fields("success", attempt=len(call.attempts) + 1)
        _log.warning(what, operation.name, ", ".join(misfit.problems), call.correlation_id, extra=fields)
        return cast("T", misfit.readable)
    # Not held by a variable: with its traceback that would be a reference cycle.
    raise _unreadable(call, answer, misfit, backend, has_memory=has_memory)


def _is_still_an_answer(call: Call[Any], content: bytes, misfit: codec.ShapeError) -> bool:
    """Return whether the answer without its unreadable items is one: it fulfils all that any answer has to.

    If a list of it lost all its items, it is none: the list would look empty, and the iteration over pages would end.
    (A list inside of an item takes that item with it: see `codec.containers`.)
    """
    left: Any = misfit.readable
    kind: Any = type(misfit.readable)
    if left is None:
        return False
    if not has(kind):
        # What does not fit are its items.
        is_emptied = not left
    else:
        emptied = (f"$.{json_name(field)}[" for field in fields(kind) if not getattr(left, field.name))
        is_emptied = any(problem.startswith(path) for path in emptied for problem in misfit.problems)
    try:
        if isinstance(left, _TO_BE_CHECKED):
            _check(call, content, left)
    except Exception:  # noqa: BLE001  a class of the caller's may raise anything
        return False
    return not is_emptied


def _is_cut(operation: Operation[Any], answer: Answer) -> bool:
    """Return whether an empty answer is not to be taken for an empty list: more of it may have been under way.

    aiohttp does not tell that a gzip stream broke off, nor that a connection did whose end is the only end of the body.
    What is left of any other JSON is none any more.
    """
    if get_origin(operation.returns) is not list:
        return False
    length, chunks = answer.headers.get(hdrs.CONTENT_LENGTH), answer.headers.get(hdrs.TRANSFER_ENCODING, "")
    if hdrs.CONTENT_ENCODING in answer.headers:
        return length != "0"
    return length is None and not chunks.lower().endswith("chunked") and answer.status != HTTPStatus.NO_CONTENT


def _check(call: Call[Any], content: bytes, value: object) -> None:
    """Raise ShapeError if a value of the documented types is no answer all the same."""
    if isinstance(value, Checked):
        if (misfit := value.misfit(call.query)) is not None:
            raise codec.ShapeError((misfit,), raw=codec.parse_or_none(content))
        return
    # Where any JSON is an answer, that of an error would be one, too.
    if may_tell_failure(content) and tells_failure(raw := codec.parse_or_none(content)):
        raise codec.ShapeError((_FAILURE,), raw=raw)


def _note(call: Call[Any], path: str, kind: str) -> None:
    tell(call.options.on_unexpected, Deviation(call.operation.name, path, kind))


def _unreadable(
    call: Call[Any], answer: Answer, misfit: codec.ShapeError, backend: Backend, *, has_memory: bool
) -> InvalidResponseError:
    content, problems = answer.content or b"", misfit.problems
    details, is_error = ErrorDetails(raw=misfit.raw, body=content), tells_failure(misfit.raw)
    if is_error:
        details = evolve(backend.read_error(content), raw=misfit.raw, body=content)
    outcome = outcome_of_unreadable(call.operation, tells_failure=is_error) if problems else Outcome.UNKNOWN
    call.record(outcome, answer.status)
    what = _describe_unreadable(answer, problems, call.options.max_response_bytes)
    if not has_memory:
        what = f"status {answer.status} with {len(content)} bytes, and there is no memory left to read them"
    if is_error:
        what = f"status {answer.status} with the body of an error ({safe_code(details.code) or 'no code'})"
    facts = call.facts(outcome, retryable=False, status=answer.status, problems=list(problems))
    failure = InvalidResponseError(what, facts).with_details(details)
    failure.readable = misfit.readable
    return failure


def refuse(call: Call[Any], answer: Answer, backend: Backend) -> SdkError:
    """Return the error of any status but a success."""
    operation, policy, status = call.operation, call.options.retry, answer.status
    if status < 400:
        call.record(Outcome.UNKNOWN, status)
        what = f"status {status}, which the API does not document; redirects are not followed, check the base URL"
        failure = call.fail(InvalidResponseError, what, Outcome.UNKNOWN, retryable=False, status=status)
        content = answer.content or b""
        return failure.with_details(ErrorDetails(raw=codec.parse_or_none(content, below=codec.LARGE), body=content))
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
    what = _describe_refusal(operation, answer, details, echo=echo)
    return api_error_class(status).from_details(what, facts, details)


def _describe_unreadable(answer: Answer, problems: tuple[str, ...], limit: int) -> str:
    if answer.content is None:
        return f"the answer is larger than {limit} bytes"
    if problems:
        return "the answer is not of the documented shape: " + ", ".join(problems[:5])
    if not answer.content.strip():
        return f"status {answer.status} with an empty answer"
    content_type = safe_code(answer.headers.get("Content-Type", "").partition(";")[0]) or "no content type"
    return f"status {answer.status} with a body that is no JSON ({content_type}, {len(answer.content)} bytes)"


def _describe_refusal(operation: Operation[Any], answer: Answer, details: ErrorDetails, *, echo: bool) -> str:
    status, size = answer.status, len(answer.content or b"")
    text = f"status {status}"
    if details.code is not None and (code := safe_code(details.code)) is not None:
        text += f" ({code})"
    if not details.recognised:
        is_large = size >= codec.LARGE
        text += f", with {size} bytes, too many for an error" if is_large else ", without the API's error envelope"
    if details.meaning is not None:
        text += f": {details.meaning}"
    # Something in between, such as a firewall, refuses for reasons of its own.
    if status == 403 and operation.scopes and details.recognised:
        text += f"; needs the scope {' and '.join(operation.scopes)}"
    if echo:
        text += "; an earlier attempt of this call may have taken effect and be what it collides with"
    return text
