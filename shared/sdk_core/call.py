"""One logical call: its options, what it remembers from attempt to attempt, the answer to it, and its errors.

What is made anew for each call is a `Struct`: its constructor is written in C, and takes half the time.
"""

import logging
from asyncio import CancelledError
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, Generic, TypeVar, Unpack

from attrs import field, frozen
from msgspec import Struct
from multidict import CIMultiDict

from sdk_core.correlation import new_correlation_id
from sdk_core.deviation import Deviation
from sdk_core.errors import CallTimeoutError, ClientClosedError, Facts, SdkError
from sdk_core.hooks import is_cancelled
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Attempt, Outcome
from sdk_core.retry import Retries, RetryPolicy
from sdk_core.telemetry import CallInfo
from sdk_core.transport.multipart import Multipart
from sdk_core.value import Opaque, Untold, Value

__all__ = ["Answer", "Call", "Options", "Reply"]

E = TypeVar("E", bound=SdkError)
T = TypeVar("T")
U = TypeVar("U")
_log = logging.getLogger("sdk_core.client")
"""Of all that is told of calls."""


class Answer(Opaque, frozen=True):
    """What came back for one attempt."""

    status: int
    headers: Mapping[str, str]
    """Names compare without case."""
    content: bytes | None
    """The body, decompressed; None: larger than allowed, or not read to its end."""


_NONE_YET: Final = Answer(0, {}, None)


@frozen
class Reply(Value, Generic[T]):
    """A successful call with everything known of it."""

    value: T
    status: int
    headers: Mapping[str, str] = field(repr=False, hash=False)
    """Response headers; names compare without case."""
    attempts: tuple[Attempt, ...]
    """All attempts, the successful one last."""
    correlation_id: str

    def with_value(self, value: U) -> "Reply[U]":
        """Return this reply with a part of its value, or one made from it."""
        return Reply(value, self.status, self.headers, self.attempts, self.correlation_id)


class Options(Opaque, frozen=True):
    """How calls are made: a client's own, or those of a view of it."""

    retry: RetryPolicy
    attempt_timeout: float
    """Seconds."""
    total_timeout: float
    """Seconds."""
    max_response_bytes: int
    headers: CIMultiDict[str]
    """Sent with every request."""
    skip_unreadable_items: bool = False
    on_unexpected: Callable[[Deviation], None] | None = None


class Call(Untold, Struct, Generic[T], eq=False):
    """What one logical call remembers from attempt to attempt."""

    operation: Operation[T]
    path: str
    """Percent-encoded, relative to the base URL."""
    query: Mapping[str, str]
    body: bytes | Multipart | None
    options: Options
    deadline: float
    """On `options.retry.clock`."""
    _correlation_id: str | None
    forks: int = 0
    """As `fork` had it: a forked child must not send what its parent is about to send."""
    attempts: tuple[Attempt, ...] = ()
    delay: float = 0.0
    """Seconds waited before the attempt under way."""
    elapsed: float = 0.0
    """Seconds the last attempt took."""
    is_under_way: bool = False
    """Whether an attempt may have been sent that is not recorded yet."""
    reauthenticated: bool = False
    """Whether a 401 was answered with another token; that is done once."""
    retries: Retries | None = None
    """Counts the retries; None until the first failure."""
    last_failure: SdkError | None = None
    info: CallInfo | None = None
    """For telemetry, where there is any."""
    answer: Answer = _NONE_YET
    """The one that the call succeeded with."""

    @property
    def correlation_id(self) -> str:
        """The caller's, or one of our own, made when it is first asked for: many calls never show theirs."""
        if self._correlation_id is None:
            self._correlation_id = new_correlation_id()
        return self._correlation_id

    def remaining(self) -> float:
        """Return the seconds until the deadline."""
        return self.deadline - self.options.retry.clock()

    def record(self, outcome: Outcome | None, status: int | None = None, *, error: str | None = None) -> None:
        """Note how the attempt under way ended."""
        self.is_under_way = False
        self.attempts += (Attempt(len(self.attempts) + 1, status, error, self.delay, self.elapsed, outcome),)

    def log_fields(self, outcome: str, *, attempt: int) -> dict[str, object]:
        """Return what a log record of this call carries beside its text (`extra=`).

        The names have a prefix: `logging` raises if an application's record factory sets an attribute of the same name.
        """
        return {
            "sdk_operation": self.operation.name,
            "sdk_attempt": attempt,
            "sdk_outcome": outcome,
            "sdk_correlation_id": self.correlation_id,
        }

    def log_success(self, status: int) -> None:
        """Log an attempt that succeeded and is not recorded."""
        number = len(self.attempts) + 1
        what = "%s succeeded with %d in attempt %d, which took %.3f s (correlation id %s)"
        # A filter of the application's may raise anything, and the call is made.
        with suppress(Exception):
            _log.debug(
                what,
                self.operation.name,
                status,
                number,
                self.elapsed,
                self.correlation_id,
                extra=self.log_fields("success", attempt=number),
            )

    def may_have_taken_effect(self) -> bool:
        """Return whether an attempt so far may have changed something on the server."""
        return self.operation.effect is not Effect.READ and any(a.outcome is Outcome.UNKNOWN for a in self.attempts)

    def facts(self, last: Outcome, **more: Unpack[Facts]) -> Facts:
        """Return what every error of this call carries: of its last attempt, and of all.

        After an attempt that may have had an effect, a later one that had none leaves the outcome UNKNOWN.
        """
        outcome = last
        if last is not Outcome.APPLIED and self.may_have_taken_effect():
            outcome = Outcome.UNKNOWN
        return {
            "operation": self.operation.name,
            "request": f"{self.operation.method} {self.operation.template}",
            "outcome": outcome.value,
            "correlation_id": self.correlation_id,
            "attempts": [attempt.to_facts() for attempt in self.attempts],
            **more,
        }

    def fail(self, kind: type[E], what: str, last: Outcome, **more: Unpack[Facts]) -> E:
        """Build an error of this call."""
        return kind(what, self.facts(last, **more))

    def broken_off(self, error: BaseException) -> SdkError | None:
        """Build the error of a call that something else than a request ended; its text stays out.

        None: none is under way and nothing can have happened, or the calling task was cancelled.
        """
        kind, last = type(error).__name__, Outcome.NOT_SENT
        if isinstance(error, CancelledError) and is_cancelled():
            return None
        if self.is_under_way:
            last = Outcome.UNKNOWN
            self.record(last, error=kind)
        elif not self.may_have_taken_effect():
            return None
        what = f"broken off by {kind}, which neither the API nor the connection raised"
        return self.fail(SdkError, what, last, retryable=False, cause=kind)

    def inherited(self) -> SdkError:
        """Build the error of a call that was under way when the process was forked, in the child."""
        what = "the process was forked while the call was under way, and only its parent goes on with it"
        return self.fail(SdkError, what, Outcome.UNKNOWN, retryable=False)

    def closed(self, what: str) -> ClientClosedError:
        """Build the error of a client that can't send any more."""
        return self.fail(ClientClosedError, what, Outcome.NOT_SENT, retryable=False)

    def timed_out(self, which: str, last: Outcome, what: str, **more: Unpack[Facts]) -> CallTimeoutError:
        """Build the error of a limit that passed, with the last real failure as its cause."""
        more["limit"] = which
        error = self.fail(CallTimeoutError, what, last, **more)
        error.__cause__ = self.last_failure
        return error
