"""Every way a call can fail, and what is then known of its effect.

All errors are rebuilt from `error.args == (message, facts)`, where `facts` is plain JSON data: so they survive
pickle, `copy`, multiprocessing, and task queues that send `type(error)(*error.args)` as JSON. What the server
wrote (its message, its body) may hold a member's data: it stays on the live error, in `error.details`, and goes
neither into `str`, `repr`, `to_dict()` nor into a pickle.
"""

import re
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from enum import Enum
from typing import Any, Self

from attrs import field, frozen

__all__ = [
    "ApiError",
    "Attempt",
    "AuthenticationError",
    "BadRequestError",
    "CallTimeoutError",
    "ClientClosedError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "ErrorDetails",
    "FieldError",
    "InvalidResponseError",
    "NotFoundError",
    "NotOfferedError",
    "NotSettledError",
    "OperationDeprecatedWarning",
    "Outcome",
    "PermissionDeniedError",
    "RateLimitError",
    "SdkError",
    "ServerError",
    "ServiceUnavailableError",
    "WorkflowError",
]


class Outcome(Enum):
    """What is known of a failed call's effect on the server."""

    NOT_SENT = "not_sent"
    """No byte of a request reached the server: nothing happened."""
    REJECTED = "rejected"
    """The server refused: nothing happened."""
    UNKNOWN = "unknown"
    """The request may have taken effect: read the state before doing it again."""
    APPLIED = "applied"
    """The server said yes, but its answer can't be read: it happened, do not repeat."""


@frozen
class Attempt:
    """One try of a call."""

    number: int
    """From 1."""
    status: int | None
    """HTTP status; None if no complete answer came."""
    error: str | None
    """What went wrong below HTTP (an exception's name); None if an answer came."""
    delay: float
    """Seconds waited before this attempt."""
    elapsed: float
    """Seconds the attempt took."""
    outcome: Outcome | None
    """What is known of this attempt's effect; None for a success. NOT_SENT: the server saw nothing of it."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild an attempt from the JSON data of an error."""
        outcome = facts["outcome"]
        rebuilt: dict[str, Any] = {**facts, "outcome": None if outcome is None else Outcome(outcome)}
        return cls(**rebuilt)

    def to_facts(self) -> dict[str, Any]:
        """Return the attempt as JSON data, its times to the millisecond."""
        return {
            "number": self.number,
            "status": self.status,
            "error": self.error,
            "delay": round(self.delay, 3),
            "elapsed": round(self.elapsed, 3),
            "outcome": None if self.outcome is None else self.outcome.value,
        }


# Codes and ids are kept in facts only if they look like codes and ids: no sentence, no e-mail address.
_CODE = re.compile(r"[\w.\-\[\]/:]{1,128}", re.ASCII)


def safe_code(text: str | None) -> str | None:
    """Return `text` if it looks like a code, else None: what may be shown of a server's answer."""
    return text if text is not None and _CODE.fullmatch(text) else None


def _shown(text: str | None) -> str:
    return repr(safe_code(text))


@frozen
class FieldError:
    """What the API says about one field of the request."""

    name: str | None = field(repr=_shown)
    messages: tuple[str, ...] = field(default=(), repr=False)


@frozen
class ErrorDetails:
    """The API's own error envelope, in the words both APIs share."""

    code: str | None = field(default=None, repr=_shown)
    """Machine-readable kind: `errorCode` (Membership) or `type` (CloudCockpit). Branch on this, never on text."""
    message: str | None = field(default=None, repr=False)
    """Human text, maybe localised, maybe naming people: show it to the caller's user, do not log it."""
    reference: str | None = field(default=None, repr=_shown)
    """Path of the offending field, like `parent.child` (Membership)."""
    fields: tuple[FieldError, ...] = ()
    """Errors of single fields (CloudCockpit)."""
    trace_id: str | None = field(default=None, repr=_shown)
    """The server's id of this failure; quote it to the API's support."""
    recognised: bool = False
    """Whether the body was the API's envelope (False: empty, HTML from a proxy, ...)."""
    raw: Any = field(default=None, repr=False)
    """The whole JSON body, or None if it was no JSON."""
    body: bytes = field(default=b"", repr=False)
    """The first 2 KiB of the body as received."""


class SdkError(Exception):
    """Base of every error a call raises.

    A subclass of your own that takes more arguments must pass `(message, facts)` on, or it won't unpickle.
    """

    def __init__(self, message: str = "", facts: Mapping[str, Any] | None = None) -> None:
        # Not super(): OSError, a base of two subclasses, would take the two arguments for errno and strerror.
        Exception.__init__(self, message, dict(facts or {}))

    @property
    def _facts(self) -> dict[str, Any]:
        facts: dict[str, Any] = self.args[1]
        return facts

    @property
    def operation(self) -> str | None:
        """Name of the operation, like `withdraw_contract_cancelation`; None outside a call."""
        return self._facts.get("operation")

    @property
    def outcome(self) -> Outcome:
        """What is known of the call's effect, over all its attempts."""
        return Outcome(self._facts.get("outcome", Outcome.NOT_SENT.value))

    @property
    def retryable(self) -> bool:
        """Whether the same call may be repeated without risk of doing it twice, and could succeed then."""
        return bool(self._facts.get("retryable", False))

    @property
    def retry_after(self) -> float | None:
        """Seconds to wait before repeating, if the server (or a limit of ours) named them."""
        return self._facts.get("retry_after")

    @property
    def retries_suppressed(self) -> bool:
        """Whether it was not retried because the retry budget is used up (an outage, most likely)."""
        return bool(self._facts.get("retries_suppressed", False))

    @property
    def correlation_id(self) -> str | None:
        """The id of this call, the same on all its attempts and log records."""
        return self._facts.get("correlation_id")

    @property
    def attempts(self) -> tuple[Attempt, ...]:
        """All attempts of the call; empty if none was made."""
        return tuple(Attempt.from_facts(facts) for facts in self._facts.get("attempts", ()))

    @property
    def cause(self) -> str | None:
        """Short text of the underlying failure; unlike `__cause__` it survives pickling."""
        return self._facts.get("cause")

    def to_dict(self) -> dict[str, Any]:
        """Return the error as JSON data without secrets, for logs and queues."""
        return {"type": type(self).__name__, "message": self.args[0], **self._facts}

    def __str__(self) -> str:
        facts = self._facts
        if "operation" not in facts:
            return str(self.args[0])
        attempts = len(facts.get("attempts", ()))
        parts = [
            f"{facts['operation']} ({facts['request']}): {self.args[0]}",
            f"outcome: {facts['outcome']}",
            f"{attempts} attempt{'' if attempts == 1 else 's'}",
            f"correlation id {facts['correlation_id']}",
        ]
        if self.retry_after is not None:
            parts.insert(2, f"retry after {self.retry_after:.1f} s")
        return "; ".join(parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    def __reduce__(self) -> tuple[type[Self], tuple[Any, ...]]:
        return type(self), self.args


class ConfigurationError(SdkError, ValueError):
    """A client can't be built from these settings; nothing was sent."""


@contextmanager
def configuring() -> Generator[None]:
    """Turn the ValueError of a setting into a ConfigurationError; a TypeError stays one."""
    try:
        yield
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


class ClientClosedError(SdkError):
    """The client, or the session it was given, is closed; nothing was sent."""


class ConnectionFailedError(SdkError, ConnectionError):
    """No complete answer came: `outcome` tells whether the request may have reached the server."""


class CallTimeoutError(SdkError, TimeoutError):
    """`attempt_timeout` or `total_timeout` passed, or would have; `limit` names which."""

    @property
    def limit(self) -> str | None:
        """`"attempt_timeout"` or `"total_timeout"`."""
        return self._facts.get("limit")


class InvalidResponseError(SdkError):
    """The server answered something the API does not document."""

    @property
    def status(self) -> int | None:
        """HTTP status of the answer."""
        return self._facts.get("status")

    @property
    def problems(self) -> tuple[str, ...]:
        """JSON paths and what was expected there, if it was JSON of another shape."""
        return tuple(self._facts.get("problems", ()))


class ApiError(SdkError):
    """The API answered with an error status."""

    _live_details: ErrorDetails | None = None

    @property
    def status(self) -> int:
        """HTTP status; 0 if the error was made by hand."""
        return int(self._facts.get("status", 0))

    @property
    def code(self) -> str | None:
        """Same as `details.code`."""
        return self.details.code

    @property
    def details(self) -> ErrorDetails:
        """The API's envelope; after pickling without the server's texts and body."""
        if self._live_details is not None:
            return self._live_details
        kept = dict(self._facts.get("details", {}))
        kept["fields"] = tuple(FieldError(name) for name in kept.get("fields", ()))
        return ErrorDetails(**kept)

    @property
    def maybe_own_previous_attempt(self) -> bool:
        """Whether this 404 or 409 may be the echo of an earlier attempt of this very call that did take effect."""
        return bool(self._facts.get("maybe_own_previous_attempt", False))

    @classmethod
    def from_details(cls, message: str, facts: Mapping[str, Any], details: ErrorDetails) -> Self:
        """Build the error of an answer: `details` stays live, its codes and ids go into the facts."""
        kept = {
            "code": safe_code(details.code),
            "reference": safe_code(details.reference),
            "trace_id": safe_code(details.trace_id),
            "fields": [safe_code(item.name) for item in details.fields],
            "recognised": details.recognised,
        }
        error = cls(message, {**facts, "details": kept})
        error._live_details = details
        return error


class BadRequestError(ApiError):
    """400: the API refused the request's content."""


class AuthenticationError(ApiError):
    """401: the key or token was refused, or no token could be had (`outcome` NOT_SENT then)."""


class PermissionDeniedError(ApiError):
    """403: the credential lacks a right to this."""


class NotFoundError(ApiError):
    """404: no such thing, or not for this credential."""


class ConflictError(ApiError):
    """409: the state does not allow it, or somebody changed it at the same time."""


class RateLimitError(ApiError):
    """429: too many requests; `retry_after` says when to try again, if anybody knows."""


class ServerError(ApiError):
    """5xx: the server failed."""


class ServiceUnavailableError(ServerError):
    """503: the server is throttling or down."""


class WorkflowError(SdkError):
    """A workflow can't go on: what it read leaves nothing to do that would be right. `state` says what it saw."""

    @property
    def state(self) -> str | None:
        """The state read last, as the API spells it; a text that does not look like a code is not shown."""
        return self._facts.get("state")

    @property
    def correlation_ids(self) -> tuple[str, ...]:
        """Of all calls of the workflow, in order; `operation` and `correlation_id` are of the request it sent."""
        return tuple(self._facts.get("correlation_ids", ()))


class NotOfferedError(WorkflowError, ValueError):
    """What was asked for is not among what the API offers; nothing was sent."""


class NotSettledError(WorkflowError, TimeoutError):
    """The state asked for was not reached in time; `outcome` is UNKNOWN if it was asked for, and may still come."""


class OperationDeprecatedWarning(DeprecationWarning):
    """An operation is marked deprecated by its documentation or by the server's answer."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: PermissionDeniedError,
    404: NotFoundError,
    409: ConflictError,
    429: RateLimitError,
    503: ServiceUnavailableError,
}


def api_error_class(status: int) -> type[ApiError]:
    """Return the class for an HTTP error status."""
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)  # noqa: PLR2004
