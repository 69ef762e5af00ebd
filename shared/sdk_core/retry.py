"""When a failed call is tried again, and when not: tenacity turns the wheel, the error itself decides.

Nothing of this runs on the good path: it is entered with the first failure in hand.
"""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from attrs import field, frozen
from tenacity import DoSleep, Future, RetryCallState, Retrying, retry_always

from sdk_core.arguments import seconds
from sdk_core.errors import SdkError
from sdk_core.lock import Lock

__all__ = ["RetryBudget", "RetryPolicy", "parse_retry_after", "retry"]

T = TypeVar("T")
_log = logging.getLogger("sdk_core.retry")


class RetryBudget:
    """Limits retries to a share of successes, so that an outage is not answered with a storm.

    A retry takes one token, a success puts `refill` of a token back. The bucket starts full. Safe to share
    between clients, tasks and threads.
    """

    def __init__(self, capacity: int = 100, refill: float = 0.1) -> None:
        if capacity < 0 or not 0 <= refill <= capacity:
            raise ValueError("capacity must be at least 0, and refill from 0 to capacity")
        self._capacity = float(capacity)
        self._refill = refill
        self._tokens = self._capacity
        self._lock = Lock()

    def withdraw(self) -> bool:
        """Take the token of one retry; False if there is none."""
        with self._lock.held:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            return True

    def deposit(self) -> None:
        """Put back what one success earns."""
        # A full bucket is the rule: the lock is only for the exception.
        if self._tokens < self._capacity:
            with self._lock.held:
                self._tokens = min(self._capacity, self._tokens + self._refill)


def _at_least_one(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("max_attempts must be a whole number from 1")


async def _sleep(delay: float) -> None:
    # asyncio.sleep(0) is a turn of the loop. The request that comes next gives way to others as well.
    if delay > 0:
        await asyncio.sleep(delay)


def _check_seconds(_instance: object, attribute: Any, value: object) -> None:
    if value is not None:
        seconds(attribute.name, value, zero=True)


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how patiently a call is repeated. *Whether* it may be is the error's `retryable`, never this.

    `RetryPolicy.none()` puts exactly one request on the wire: for workers whose queue retries.
    """

    max_attempts: int = field(default=3, validator=_at_least_one)
    """Attempts in all, the first included. (One more is made when a 401 was cured by a fresh token.)"""
    backoff_base: float = field(default=0.5, validator=_check_seconds)
    """Without a hint from the server, wait up to base * 2^(n-1) seconds before retry n (full jitter) ..."""
    backoff_cap: float = field(default=20.0, validator=_check_seconds)
    """... but never longer than this."""
    max_retry_after: float = field(default=120.0, validator=_check_seconds)
    """The longest delay to sit out, in seconds. A longer one is raised at once, with `.retry_after`."""
    rate_limit_wait: float | None = field(default=None, validator=_check_seconds)
    """Seconds to wait after a 429 that names no delay. None: what the API's documentation implies
    (Membership: 60, its limiter refuses the whole next minute), else back-off."""
    budget: RetryBudget | None = field(factory=RetryBudget, eq=False)
    """Shared by the calls of all clients with this policy; None: no budget."""
    sleep: Callable[[float], Awaitable[None]] = field(default=_sleep, repr=False)
    """How to wait. Tests inject their own."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False)
    """Monotonic seconds: deadlines and elapsed times are measured with it."""
    wall_clock: Callable[[], float] = field(default=time.time, repr=False)
    """Seconds since the epoch, for an HTTP-date in Retry-After."""

    @classmethod
    def none(cls) -> "RetryPolicy":
        """Return the policy that never repeats anything."""
        return cls(max_attempts=1, budget=None)

    def backoff(self, retry_number: int) -> float:
        """Return a random delay before the n-th retry (from 1): capped exponential, full jitter."""
        # Past 2^32 the cap has long decided; the bound keeps the power a small number.
        return random.uniform(0, min(self.backoff_cap, self.backoff_base * 2 ** min(retry_number - 1, 32)))  # noqa: S311


def parse_retry_after(text: str | None, *, now: float) -> float | None:
    """Return the seconds a Retry-After header asks for: delta-seconds or an HTTP-date; None if it says nothing usable.

    Args:
        text: the header's value.
        now: seconds since the epoch, to measure a date against.
    """
    if text is None:
        return None
    try:
        delay = float(text) if text[:1].isdigit() else _parse_http_date(text) - now
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return delay if 0 <= delay < float("inf") else None


def _parse_http_date(text: str) -> float:
    moment = parsedate_to_datetime(text)
    # "-0000" and asctime dates come back naive; HTTP dates are always GMT.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


async def retry(
    policy: RetryPolicy,
    first_failure: SdkError,
    attempt: Callable[[float, SdkError], Awaitable[T]],
    *,
    deadline: float,
    announce: Callable[[SdkError, float], Awaitable[None]] | None = None,
) -> T:
    """Repeat `attempt` after its `first_failure` for as long as `policy` allows; raise the last failure as it was.

    Args:
        policy: how often, how long.
        first_failure: what the first attempt raised.
        attempt: one more try; it is told the seconds waited before it, and the failure it makes good for.
        deadline: on `policy.clock`; a wait that would end after it is not started.
        announce: told of each failure that is made good for, and the seconds until then, before they pass.
    """
    # Always one: a list, so that both functions see each new one, and that it can be let go of at the end.
    failures = [first_failure]

    def wait(state: RetryCallState) -> float:
        return _delay(policy, failures[-1], state.attempt_number, deadline)

    def stop(state: RetryCallState) -> bool:
        return not _another(policy, failures[-1], state, deadline)

    # One wheel per failing call: a shared one miscounts under concurrency. It counts and decides; waiting and trying
    # is done here: its asynchronous sibling inspects every function it is given on every turn, and catches even a
    # cancellation.
    wheel = Retrying(retry=retry_always, wait=wait, stop=stop, retry_error_callback=_end)
    state = RetryCallState(wheel, None, (), {})
    wheel.begin()
    # All that tenacity is told of an attempt. What failed is ours to know.
    failed = Future(1)
    failed.set_result(None)
    try:
        while True:
            state.outcome = failed
            turn = wheel.iter(state)
            if not isinstance(turn, DoSleep):
                raise failures[-1]
            state.prepare_for_next_attempt()
            delay = float(turn)
            if announce is not None:
                await announce(failures[-1], delay)
            await policy.sleep(delay)
            try:
                return await attempt(delay, failures[-1])
            except SdkError as error:
                failures[:] = [error]
    finally:
        # A traceback leads to this frame: if it held its error, only the collector would free both.
        failures.clear()
        del first_failure
        # It holds methods of the wheel, which holds it.
        wheel.iter_state.reset()


def _end(_state: RetryCallState) -> None:
    """Take the place of tenacity's own error."""


def _another(policy: RetryPolicy, failure: SdkError, state: RetryCallState, deadline: float) -> bool:
    """Return whether there is to be another attempt, and say so."""
    # Only our own errors come here, and only those that say so are repeated.
    if not failure.retryable or state.attempt_number >= policy.max_attempts:
        return False
    if (failure.retry_after or 0) > policy.max_retry_after or policy.clock() + state.upcoming_sleep >= deadline:
        return False
    if policy.budget is not None and not policy.budget.withdraw():
        failure.args[1]["retries_suppressed"] = True
        return False
    _log.warning(
        "retrying %s in %.2f s after attempt %d: %s (correlation id %s)",
        failure.operation,
        state.upcoming_sleep,
        len(failure.args[1].get("attempts", ())),
        type(failure).__name__,
        failure.correlation_id,
    )
    return True


def _delay(policy: RetryPolicy, failure: SdkError, attempt_number: int, deadline: float) -> float:
    if failure.args[1].get("retry_at_once"):
        return 0.0
    asked = failure.retry_after
    if asked is None:
        return policy.backoff(attempt_number)
    # Never earlier than asked; a little later, so that a fleet does not return in one instant.
    # At most half of the time that is left goes there: the attempt needs some too.
    slack = max(0.0, deadline - policy.clock() - asked)
    return asked + random.random() * min(1.0, asked / 10, slack / 2)  # noqa: S311
