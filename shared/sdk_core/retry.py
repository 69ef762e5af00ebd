"""When a failed call is tried again, and when not.

A call that succeeds at once does nothing of this, except to refill the budget if it is not full.
"""

import asyncio
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from functools import cache, partial
from importlib import import_module
from typing import TYPE_CHECKING

from attrs import field, frozen
from attrs.validators import optional

from sdk_core.arguments import function, of_type, seconds, valid, whole_number
from sdk_core.errors import SdkError
from sdk_core.fork import Lock, undivided
from sdk_core.hooks import answer_of
from sdk_core.value import Value

if TYPE_CHECKING:
    from tenacity import RetryCallState

__all__ = ["Retries", "RetryBudget", "RetryPolicy", "begin_retries", "parse_retry_after", "retry_after_of"]

_log = logging.getLogger("sdk_core.retry")
_TENACITY = "tenacity"
_IMPORT_PATIENCE = 1.0
"""Seconds to wait for a thread that imports it."""
_DAY = 86_400.0
_MILLISECONDS = "retry-after-ms", "x-ms-retry-after-ms"
"""Headers of Azure's services."""

_JUST_PAST = 60.0
"""Seconds since a date in Retry-After that still means "now": it was ahead when the answer was written. One that is
longer past comes from a clock that is wrong."""


def _share(name: str, value: object, maximum: int) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= maximum:
        raise ValueError(f"{name} must be a number from 0 to {maximum}")
    return float(value)


class RetryBudget:
    """Limits retries to a share of successes, so that an outage is not answered with a storm.

    A retry takes one token, a success puts `refill` of a token back. The bucket starts full. Safe to share
    between clients, tasks and threads.
    """

    def __init__(self, capacity: int = 100, refill: float = 0.1) -> None:
        self._capacity = float(whole_number("capacity", capacity, 0))
        self._refill = _share("refill", refill, capacity)
        self._tokens = self._capacity
        self.is_full: bool = True
        """True most of the time; then a deposit would change nothing and can be skipped."""
        self._lock = Lock()

    def withdraw(self) -> bool:
        """Take the token of one retry; False if there is none."""
        with self._lock.held:
            if self._tokens < 1:
                return False
            self._tokens -= 1
            self.is_full = False
            return True

    def deposit(self) -> None:
        """Put back what one success earns."""
        with self._lock.held:
            self._tokens = min(self._capacity, self._tokens + self._refill)
            self.is_full = self._tokens == self._capacity


def _at_least_one(_instance: object, _attribute: object, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ValueError("max_attempts must be a whole number from 1")


async def _sleep(delay: float) -> None:
    # asyncio.sleep(0) is a turn of the loop. The request that comes next gives way to others as well.
    if delay > 0:
        await asyncio.sleep(delay)


_check_seconds = valid(partial(seconds, zero=True))


@frozen(kw_only=True)
class RetryPolicy(Value):
    """How often and how patiently a call is repeated. *Whether* it may be is the error's `retryable`, never this.

    `RetryPolicy.none()` puts exactly one request on the wire: for workers whose queue retries.
    """

    max_attempts: int = field(default=3, validator=_at_least_one)
    """Attempts in all, the first included. (After a 401, one more is made with a fresh token, unless it is 1.)"""
    backoff_base: float = field(default=0.5, validator=_check_seconds)
    """Without a hint from the server, wait up to base * 2^(n-1) seconds before retry n (full jitter) ..."""
    backoff_cap: float = field(default=20.0, validator=_check_seconds)
    """... but never longer than this."""
    max_retry_after: float = field(default=120.0, validator=_check_seconds)
    """The longest delay to sit out, in seconds. A longer one is raised at once, with `.retry_after`."""
    rate_limit_wait: float | None = field(default=None, validator=optional(_check_seconds))
    """Seconds to wait after a 429 that names no delay. None: what the API's documentation implies
    (Membership: 60, its limiter refuses the whole next minute), else back-off."""
    budget: RetryBudget | None = field(factory=RetryBudget, eq=False, validator=optional(valid(of_type(RetryBudget))))
    """Shared by the calls of all clients with this policy; None: no budget."""
    sleep: Callable[[float], Awaitable[None]] = field(default=_sleep, repr=False, validator=valid(function))
    """How to wait. Tests inject their own."""
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, validator=valid(function))
    """Monotonic seconds: deadlines and elapsed times are measured with it."""
    wall_clock: Callable[[], float] = field(default=time.time, repr=False, validator=valid(function))
    """Seconds since the epoch, for an HTTP-date in Retry-After."""

    @classmethod
    def none(cls) -> "RetryPolicy":
        """Return the policy that never repeats anything."""
        return cls(max_attempts=1, budget=None)


def retry_after_of(status: int, headers: Mapping[str, str], *, now: float) -> float | None:
    """Return the seconds that an answer asks to wait, as exactly as it says; None if it does not.

    `RateLimit-Reset` comes with any answer, so it counts with a 429 only; what is beyond a day is no number of seconds,
    as the draft of the header has it, but a date.

    Args:
        status: the answer's status.
        headers: names compare without case.
        now: as of `parse_retry_after`.
    """
    for name in _MILLISECONDS:
        if (text := headers.get(name)) is not None and (delay := _number(text)) is not None:
            return delay / 1000
    if (text := headers.get("Retry-After")) is not None:
        delay = parse_retry_after(text, now=now, date=headers.get("Date"))
        if delay is not None:
            return delay
    if status == 429 and (text := headers.get("RateLimit-Reset")) is not None:
        delay = _number(text)
        return delay if delay is not None and delay <= _DAY else None
    return None


def _number(text: str) -> float | None:
    return parse_retry_after(text, now=0.0) if text[:1].isdigit() else None


def parse_retry_after(text: str, *, now: float, date: str | None = None) -> float | None:
    """Return the seconds a Retry-After header asks for: delta-seconds or an HTTP-date; None if it says nothing usable.

    Args:
        text: the header's value.
        now: seconds since the epoch, to measure a date against.
        date: the answer's Date header, which goes before `now`: a date is one of the server's clock.
    """
    try:
        if text[:1].isdigit():
            delay = float(text)
        else:
            delay = _parse_http_date(text) - _server_time(date, now)
            if -_JUST_PAST <= delay < 0:
                delay = 0.0
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return delay if 0 <= delay < float("inf") else None


def _server_time(date: str | None, now: float) -> float:
    try:
        return now if date is None else _parse_http_date(date)
    except (ValueError, TypeError, OverflowError, IndexError):
        return now


def _parse_http_date(text: str) -> float:
    moment = parsedate_to_datetime(text)
    # "-0000" and asctime dates come back naive; HTTP dates are always GMT.
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


class Retries:
    """The retries of one call: tenacity counts attempts and computes back-off, the error says whether to retry.

    tenacity's strategies are asked with the state of this call, as its loops would ask them. Its loops themselves are
    of no use here: they sleep in their own way, and the asynchronous one catches even a cancellation.
    """

    def __init__(self, policy: RetryPolicy, deadline: float) -> None:
        """Begin after a first attempt; `deadline` is on `policy.clock`: no wait may end after it."""
        self._policy = policy
        self._deadline = deadline
        self._stop, self._back_off, new_state = _strategies(
            policy.max_attempts, policy.backoff_base, policy.backoff_cap
        )
        self._state: RetryCallState = new_state()

    def delay_after(self, failure: SdkError) -> float | None:
        """Return the seconds until the attempt that is to make good for `failure`; None if there is to be none."""
        policy, state = self._policy, self._state
        if not failure.retryable or self._stop(state):
            return None
        asked, left = failure.retry_after, self._deadline - policy.clock()
        if failure.retry_at_once:
            delay = 0.0
        elif asked is None:
            delay = self._back_off(state)
        else:
            # Never earlier than asked; a little later, so that a fleet does not return in one instant. At most half of
            # the time that is left goes there: the attempt needs some too.
            delay = asked + random.random() * min(1.0, asked / 10, max(0.0, left - asked) / 2)
        if (asked or 0) > policy.max_retry_after or delay >= left:
            return None
        if policy.budget is not None and not policy.budget.withdraw():
            failure.with_facts(retries_suppressed=True)
            return None
        state.prepare_for_next_attempt()
        return delay


@cache
def _strategies(
    max_attempts: int, base: float, cap: float
) -> "tuple[Callable[[RetryCallState], bool], Callable[[RetryCallState], float], Callable[[], RetryCallState]]":
    """Return tenacity's rules of when to stop and how long to wait, and what makes the state to ask them with.

    They are the same for all calls with a policy.
    """
    import tenacity  # noqa: PLC0415  see `begin_retries`

    # A state requires a Retrying object, which is not used.
    new_state = partial(tenacity.RetryCallState, tenacity.Retrying(), None, (), {})
    return tenacity.stop_after_attempt(max_attempts), tenacity.wait_random_exponential(base, cap), new_state


def _import_tenacity() -> None:
    # A child that is forked meanwhile would wait for ever for a thread that it does not have to end the import.
    with undivided:
        import_module(_TENACITY)


async def begin_retries(policy: RetryPolicy, deadline: float) -> Retries | None:
    """Return the `Retries` of a call whose first attempt has failed; None if a machine at its limits has none to give.

    The first one of a process imports tenacity: a process whose calls succeed at once, and most are short, does not
    wait for it. In a thread, so that no loop stands still for it.
    """
    if _TENACITY not in sys.modules:
        # There may be no thread to be had, or the application's own work holds them all: then it is imported below.
        importing = asyncio.to_thread(_import_tenacity)
        await answer_of(importing, otherwise=None, patience=_IMPORT_PATIENCE, on_failure=lambda _error: None)
    try:
        return Retries(policy, deadline)
    except Exception as error:  # noqa: BLE001  no file can be opened, say, and that may be why the attempt failed
        _log.warning("no retry is possible: tenacity can't be used (%s)", type(error).__name__)
        return None
