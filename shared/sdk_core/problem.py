"""An error as an answer of a web app: problem details (RFC 9457), for any framework.

What the browser gets tells what it may do next, and nothing of the app's inside: neither the server's texts, nor hosts,
nor which credential was refused. The log has the rest.

| what failed                                                  | status                  |
|--------------------------------------------------------------|-------------------------|
| too many requests, says the API or the client's own limiter  | 503, with `Retry-After` |
| a timeout of a call or of a workflow                         | 504                     |
| it may have taken effect, or did: UNKNOWN, APPLIED           | 502                     |
| the API is throttling (503), or the client is closed         | 503                     |
| not found, for this credential                               | 404                     |
| the state does not allow it, a workflow's included           | 409                     |
| arguments that were refused, by the SDK or by the API        | 422                     |
| the client can't be built                                    | 500                     |
| anything else: the API could not be reached, or refused us   | 502                     |
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from math import ceil
from typing import Any, Final, NamedTuple

from sdk_core.arguments import instance
from sdk_core.codec import dump, without_floats
from sdk_core.errors import (
    ApiError,
    BadRequestError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    SdkError,
    ServiceUnavailableError,
    ThrottledError,
)
from sdk_core.outcome import Outcome
from sdk_core.workflow import NotOfferedError, WorkflowError

__all__ = ["Problem", "to_problem"]

_log = logging.getLogger("sdk_core.problem")
_OURS: Final = frozenset({"sdk_core", "membership_sdk", "cloudcockpit_sdk"})
_NO_EFFECT: Final = frozenset({Outcome.NOT_SENT, Outcome.REJECTED})
_STATUSES: Final[tuple[tuple[type[Exception] | tuple[type[Exception], ...], int], ...]] = (
    (TimeoutError, 504),
    ((ServiceUnavailableError, ClientClosedError), 503),
    (NotFoundError, 404),
    (ConfigurationError, 500),
    ((BadRequestError, NotOfferedError), 422),
    ((ConflictError, WorkflowError), 409),
)
"""Of errors without an effect, and of timeouts: the first that fits, or else 502."""
_DETAILS: Final[Mapping[Outcome, str]] = {
    Outcome.NOT_SENT: "Nothing was changed.",
    Outcome.REJECTED: "Nothing was changed.",
    Outcome.UNKNOWN: "It is not known whether this took effect: look at the current state before doing it again.",
    Outcome.APPLIED: "This took effect, but its result could not be read: do not do it again.",
}
_REPEATABLE: Final = "It is not known whether the server did it. It can be tried again: nothing is done twice."
"""Instead, of what changes nothing or is IDEMPOTENT."""


class Problem(NamedTuple):
    """An answer, in the order in which most frameworks take it."""

    status: int
    headers: dict[str, str]
    body: bytes
    """A JSON object, as `Content-Type` says."""


def to_problem(error: Exception, **members: object) -> Problem:
    """Return the answer to a request that failed with this error, and log the error.

    The body has `type`, `title`, `status`, `detail`, `outcome` (what is known of the effect), `retryable`, and, of a
    call, `operation`, `correlation_id` and the API's own error `code`.

    Args:
        error: an SdkError; or a ValueError or TypeError by which the SDK refused an argument, whose text is the
            `detail`, because it names the argument and shows no value.
        **members: JSON values to add, or to put in place of ours: the API's own text is
            `detail=error.details.message`. What `to_json` takes is one, and so is a float. What is none (`nan` is none)
            is left out, ours then stays, and a warning in the log has its name and class: an error handler that fails
            would hide the error.

    Raises:
        Exception: the error itself, if it is any other: a fault of the program, and not of who asked.
        TypeError: `error` is no exception.
    """
    instance("error", error, BaseException)
    if not isinstance(error, SdkError) and not _refuses_an_argument(error):
        raise error
    status = _status(error)
    _log.log(logging.WARNING if status >= 500 else logging.INFO, "answered with status %d: %s", status, error)
    headers = {"Content-Type": "application/problem+json"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE and isinstance(error, SdkError) and error.retry_after is not None:
        headers["Retry-After"] = str(max(1, ceil(error.retry_after)))
    about = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status}
    return Problem(status, headers, _body(*about.items(), *_facts(error).items(), *members.items()))


def _body(*members: tuple[str, object]) -> bytes:
    """Return the JSON object with these members, the last of a name; those that are no JSON are left out."""
    body: dict[str, Any] = {}
    for name, value in members:
        try:
            member = {name: without_floats(value)}
            dump(member)
        except Exception:  # noqa: BLE001  whatever its class raises
            _log.warning("left out of a problem's body: %s, a %s that is no JSON", ascii(name), type(value).__name__)
        else:
            body |= member
    return dump(body)


def _refuses_an_argument(error: Exception) -> bool:
    """Return whether it was raised by code of the SDK's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    module = "" if trace is None else str(trace.tb_frame.f_globals.get("__name__"))
    return isinstance(error, ValueError | TypeError) and module.partition(".")[0] in _OURS


def _status(error: Exception) -> int:
    if not isinstance(error, SdkError):
        return 422
    if error.outcome in _NO_EFFECT and isinstance(error, ThrottledError):
        return 503
    if error.outcome not in _NO_EFFECT and not isinstance(error, TimeoutError):
        return 502
    return next((status for kinds, status in _STATUSES if isinstance(error, kinds)), 502)


def _facts(error: Exception) -> dict[str, Any]:
    if not isinstance(error, SdkError):
        return {"detail": str(error), "outcome": Outcome.NOT_SENT.value, "retryable": False}
    facts: dict[str, Any] = {
        "detail": _REPEATABLE if error.outcome is Outcome.UNKNOWN and error.retryable else _DETAILS[error.outcome],
        "outcome": error.outcome.value,
        "retryable": error.retryable,
        "operation": error.operation,
        "correlation_id": error.correlation_id,
        "code": error.facts.get("details", {}).get("code") if isinstance(error, ApiError) else None,
    }
    return {name: value for name, value in facts.items() if value is not None}
