"""Every way a call can fail, and what is then known of its effect.

All errors are rebuilt from `error.args == (message, facts)`, where `facts` is plain JSON data: so they survive
pickle, `copy`, multiprocessing, and task queues that send `type(error)(*error.args)` as JSON. What the server
wrote (its message, its body) may hold a member's data: it stays on the live error, in `error.details`, and goes
neither into `str`, `repr`, `to_dict()` nor into a pickle.
"""

from collections.abc import Mapping
from typing import Any, Self, Unpack

from sdk_core.details import ErrorDetails, Facts, FieldError, safe_code
from sdk_core.outcome import Attempt, Outcome

__all__ = [
    "AnsweredError",
    "ApiError",
    "AuthenticationError",
    "BadRequestError",
    "CallTimeoutError",
    "ClientClosedError",
    "ClientThrottledError",
    "ConfigurationError",
    "ConflictError",
    "ConnectionFailedError",
    "Facts",
    "InvalidResponseError",
    "NotFoundError",
    "PermissionDeniedError",
    "RateLimitError",
    "SdkError",
    "ServerError",
    "ServiceUnavailableError",
    "ThrottledError",
    "api_error_class",
]


class SdkError(Exception):
    """Base of every error a call raises.

    A subclass of your own that takes more arguments must pass `(message, facts)` on, or it won't unpickle.
    """

    def __init__(self, message: str = "", facts: Facts | Mapping[str, Any] | None = None) -> None:
        copied: Any = dict(facts or {})
        self._facts: Facts = copied
        # Not super(): OSError, a base of two subclasses, would take the two arguments for errno and strerror.
        Exception.__init__(self, message, copied)

    @property
    def message(self) -> str:
        """What went wrong, in a sentence; `str(error)` adds the facts."""
        return str(self.args[0])

    @property
    def facts(self) -> Facts:
        """What the error is made of beside its message: a copy."""
        return self._facts.copy()

    def with_facts(self, message: str | None = None, /, **facts: Unpack[Facts]) -> Self:
        """Put facts, and maybe a message, in place of older ones, and return the error."""
        self._facts = {**self._facts, **facts}
        self.args: tuple[Any, ...] = (self.message if message is None else message, self._facts)
        return self

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
    def retry_at_once(self) -> bool:
        """Whether a retry needs no delay: the server had closed a kept connection, which is no sign of trouble."""
        return bool(self._facts.get("retry_at_once", False))

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
        return {"type": type(self).__name__, "message": self.message, **self._facts}

    def __str__(self) -> str:
        facts = self._facts
        if self.operation is None:
            return self.message
        attempts = len(facts.get("attempts", ()))
        parts = [
            f"{self.operation} ({facts.get('request')}): {self.message}",
            f"outcome: {self.outcome.value}",
            f"{attempts} attempt{'' if attempts == 1 else 's'}",
            f"correlation id {self.correlation_id}",
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


class ClientClosedError(SdkError):
    """The client, or the session it was given, is closed; `outcome` tells whether an attempt may have had an effect."""


class ConnectionFailedError(SdkError, ConnectionError):
    """No complete answer came: `outcome` tells whether the request may have reached the server."""


class CallTimeoutError(SdkError, TimeoutError):
    """`attempt_timeout` or `total_timeout` passed, or would have; `limit` names which."""

    @property
    def limit(self) -> str | None:
        """`"attempt_timeout"` or `"total_timeout"`, also if a `deadline_scope` had left less of it."""
        return self._facts.get("limit")


class ThrottledError(SdkError):
    """Too many requests, says the server or our own limiter; `retry_after`: when to try again, if anybody knows."""


class ClientThrottledError(ThrottledError):
    """The client's rate limiter has no slot within `total_timeout`: this attempt was not sent."""


class AnsweredError(SdkError):
    """The server answered; `details` has what it wrote, as long as the error is not pickled."""

    _live_details: ErrorDetails | None = None

    @property
    def details(self) -> ErrorDetails:
        """What the server wrote; after pickling without its texts and body."""
        if self._live_details is not None:
            return self._live_details
        kept = dict(self._facts.get("details", {}))
        kept["fields"] = tuple(FieldError(name) for name in kept.get("fields", ()))
        return ErrorDetails(**kept)

    def with_details(self, details: ErrorDetails) -> Self:
        """Keep `details` with the live error, and nothing of it in its facts; return the error."""
        self._live_details = details
        return self


class InvalidResponseError(AnsweredError):
    """The server answered something the API does not document; `details.raw` and `details.body` have all of it."""

    readable: object = None
    """What could be read of the answer: its value without those items of lists that are named in `problems`.

    None if something else does not fit, if there are 20 problems or more, and after pickling.
    """

    @property
    def status(self) -> int | None:
        """HTTP status of the answer."""
        return self._facts.get("status")

    @property
    def problems(self) -> tuple[str, ...]:
        """JSON paths and what was expected there, if it was JSON of another shape; at most 20."""
        return tuple(self._facts.get("problems", ()))


class ApiError(AnsweredError):
    """The API answered with an error status."""

    @property
    def status(self) -> int:
        """HTTP status; 0 if the error was made by hand."""
        return int(self._facts.get("status", 0))

    @property
    def code(self) -> str | None:
        """Same as `details.code`."""
        return self.details.code

    @property
    def maybe_own_previous_attempt(self) -> bool:
        """Whether this 404 or 409 may be due to an earlier attempt of this very call, which did take effect."""
        return bool(self._facts.get("maybe_own_previous_attempt", False))

    @classmethod
    def from_details(cls, message: str, facts: Facts, details: ErrorDetails) -> Self:
        """Build the error of an answer: `details` stays live, its codes and ids go into the facts."""
        kept: dict[str, Any] = {
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


class RateLimitError(ApiError, ThrottledError):
    """429: too many requests."""


class ServerError(ApiError):
    """5xx: the server failed."""


class ServiceUnavailableError(ServerError):
    """503: the server is throttling or down."""


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
    return _BY_STATUS.get(status) or (ServerError if status >= 500 else ApiError)
