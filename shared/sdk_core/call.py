"""One logical call: its options, its deadline, what it remembers from attempt to attempt, and the errors it ends in."""

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

from aiohttp import ClientTimeout
from attrs import Factory, define, field, frozen
from multidict import CIMultiDict

from sdk_core.correlation import new_correlation_id
from sdk_core.errors import Attempt, CallTimeoutError, ClientClosedError, Outcome, SdkError
from sdk_core.operation import Effect, Operation
from sdk_core.retry import Retries, RetryPolicy
from sdk_core.telemetry import CallInfo
from sdk_core.transport.multipart import Multipart

__all__ = ["Call", "Options", "connect_timeout"]

E = TypeVar("E", bound=SdkError)
T = TypeVar("T")

_NEVER = float("inf")


def connect_timeout(limit: float) -> ClientTimeout:
    """Return the limit of connecting, in seconds; aiohttp would round long ones up."""
    return ClientTimeout(total=None, connect=limit, ceil_threshold=_NEVER)


@frozen(eq=False)
class Options:
    """What `with_options` can change."""

    retry: RetryPolicy
    attempt_timeout: float
    total_timeout: float
    headers: CIMultiDict[str] = field(repr=False)
    """Constant ones. While it is the very object a session was opened with, that sends them by itself."""
    limits: ClientTimeout = field(
        init=False, default=Factory(lambda self: connect_timeout(self.attempt_timeout), takes_self=True)
    )


@define(eq=False, repr=False)
class Call(Generic[T]):
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
    attempts: tuple[Attempt, ...] = ()
    delay: float = 0.0
    """Seconds waited before the attempt under way."""
    elapsed: float = 0.0
    """Seconds the attempt under way took."""
    content: bytes | None = None
    """The body of its answer; None: not read to its end."""
    reauthenticated: bool = False
    retries: Retries | None = None
    """What counts them, once there is something to count."""
    last_failure: SdkError | None = None
    info: CallInfo | None = None
    """For telemetry, where there is any."""

    @property
    def correlation_id(self) -> str:
        """The caller's, or one of our own, made when it is first asked for: many calls never show theirs."""
        if self._correlation_id is None:
            self._correlation_id = new_correlation_id()
        return self._correlation_id

    def last_limits(self, now: float) -> tuple[float, ClientTimeout]:
        """Return the seconds that are left for an attempt beginning `now`, and aiohttp's limits for it."""
        remaining = self.deadline - now
        if remaining > 0:
            return remaining, connect_timeout(remaining)
        what = "the total timeout passed before it was sent"
        raise self.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)

    def record(self, outcome: Outcome | None, status: int | None = None, *, error: str | None = None) -> None:
        """Note how the attempt under way ended."""
        self.attempts += (Attempt(len(self.attempts) + 1, status, error, self.delay, self.elapsed, outcome),)

    def may_have_taken_effect(self) -> bool:
        """Return whether an attempt so far may have changed something on the server."""
        return self.operation.effect is not Effect.READ and any(a.outcome is Outcome.UNKNOWN for a in self.attempts)

    def maybe_echo(self, status: int) -> bool:
        """Return whether `status` may be how the server answers what an earlier attempt of this call did."""
        return status in {404, 409} and self.may_have_taken_effect()

    def facts(self, outcome: Outcome, *, retryable: bool, **more: Any) -> dict[str, Any]:
        """Return what every error of this call carries; an effect an earlier attempt may have had stays unknown."""
        if outcome is not Outcome.APPLIED and self.may_have_taken_effect():
            outcome = Outcome.UNKNOWN
        return {
            "operation": self.operation.name,
            "request": str(self.operation),
            "outcome": outcome.value,
            "retryable": retryable,
            "correlation_id": self.correlation_id,
            "attempts": [attempt.to_facts() for attempt in self.attempts],
            **more,
        }

    def fail(self, kind: type[E], what: str, outcome: Outcome, *, retryable: bool, **more: Any) -> E:
        """Build an error of this call."""
        return kind(what, self.facts(outcome, retryable=retryable, **more))

    def closed(self, what: str) -> ClientClosedError:
        """Build the error of a client that can't send any more."""
        return self.fail(ClientClosedError, what, Outcome.NOT_SENT, retryable=False)

    def timed_out(
        self, limit: str, outcome: Outcome, what: str, *, retryable: bool = False, **more: Any
    ) -> CallTimeoutError:
        """Build the error of a limit that passed, with the last real failure as its cause."""
        error = self.fail(CallTimeoutError, what, outcome, retryable=retryable, limit=limit, **more)
        error.__cause__ = self.last_failure
        return error
