"""Staying under the server's limit instead of running into it."""

import math
import random
import time
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from attrs import define, field

from sdk_core.arguments import function, positive_int, seconds
from sdk_core.fork import Lock

__all__ = ["LocalRateLimiter", "RateLimiter", "spread"]


@runtime_checkable
class RateLimiter(Protocol):
    """Decides when an attempt may start. Each attempt takes a slot, retries too; the limiter never sleeps itself.

        acquire -> 0.0: the attempt starts
                -> more: the call sleeps so long, then asks confirm -> 0.0: it starts
                                                                    -> more: the call sleeps again, and asks again

    Each method may be `async`: for limiters that have to ask elsewhere. One that raises, or takes longer than a second,
    holds nobody up: it is logged, and the attempt goes on without it.
    """

    def acquire(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Reserve the next slot of `operation` and return the seconds until it.

        If that is more than `patience`, nothing is reserved, and the attempt is not made.

        A slot whose time has come is used, even if nothing can be sent then (no connection, no token): it is never
        given back, so that a server that can't be reached is tried no more often either. If the call is cancelled while
        an `async` limiter answers, only the limiter can know whether it has reserved something: it frees that itself,
        or leaves it unused for a period.
        """
        ...

    def confirm(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Return 0.0 if the attempt whose slot is due now may start.

        If a 429 came meanwhile it may not: its slot is freed, and the next one after the pause reserved in its place,
        on the terms of `acquire`.
        """
        ...

    def on_rate_limited(self, operation: str, retry_after: float) -> Awaitable[None] | None:
        """Take note that the server answered 429 and named (or implied) this delay in seconds."""
        ...

    def give_back(self, operation: str, wait: float) -> Awaitable[None] | None:
        """Free the slot of `operation` that is `wait` seconds away: the call that slept until it was cancelled."""
        ...


def spread() -> float:
    """Return a random number from 0 to 1, rarely a small one: where in a second after a pause an attempt starts.

    Few are the first, so that few are refused if the server refuses still: the pause that follows holds the others.
    """
    return math.sqrt(random.random())


@define(eq=False, repr=False)
class _Lane:
    starts: deque[float] = field(factory=deque[float])
    """In order: of the last period, and those to come."""
    paused_until: float = 0.0

    def free(self, moment: float) -> None:
        """Free the slot nearest to `moment`: some time has passed since the caller looked at the clock."""
        if self.starts:
            self.starts.remove(min(self.starts, key=lambda start: abs(start - moment)))


class LocalRateLimiter:
    """At most `limit` attempts of an operation in any `period` seconds, in this process.

    A 429 pauses that operation for all that share the limiter, also those that wait for their slot already, and
    releases them spread over a second. Safe to share between clients, tasks and threads.

    Args:
        limit: attempts per period and operation.
        period: seconds.
        clock: monotonic seconds; with a clock of yours in the `RetryPolicy`, the same.
    """

    def __init__(self, limit: int, period: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = positive_int("limit", limit)
        self._period = seconds("period", period)
        function("clock", clock)
        self._clock = clock
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._lock = Lock()

    def acquire(self, operation: str, patience: float) -> float:
        """Reserve the next slot of `operation` and return the seconds until it, unless it is beyond `patience`."""
        with self._lock.held:
            lane = self._lanes[operation]
            starts, now = lane.starts, self._clock()
            start = now
            if lane.paused_until > now:
                pause = lane.paused_until - now
                # A little later, so that those who were held back do not come in one instant; within their patience.
                start += pause + spread() * max(0.0, min(1.0, pause / 10, (patience - pause) / 2))
            if len(starts) >= self._limit:
                past = now - self._period
                while starts and starts[0] <= past:
                    starts.popleft()
                if len(starts) >= self._limit:
                    start = max(start, starts[-self._limit] + self._period)
            if start - now <= patience:
                if starts and starts[-1] > start:
                    # In order: who waits out a pause starts later than who comes after it.
                    insort(starts, start)
                else:
                    starts.append(start)
        return start - now

    def confirm(self, operation: str, patience: float) -> float:
        """Return 0.0 for a slot that is due, if `operation` is not paused; else reserve one after the pause for it."""
        with self._lock.held:
            lane, now = self._lanes[operation], self._clock()
            if lane.paused_until <= now:
                return 0.0
            lane.free(now)
        return self.acquire(operation, patience)

    def on_rate_limited(self, operation: str, retry_after: float) -> None:
        """Hold back attempts of `operation` for `retry_after` seconds."""
        with self._lock.held:
            lane = self._lanes[operation]
            lane.paused_until = max(lane.paused_until, self._clock() + retry_after)

    def give_back(self, operation: str, wait: float) -> None:
        """Free the slot of `operation` that is `wait` seconds away."""
        with self._lock.held:
            self._lanes[operation].free(self._clock() + wait)

    def used(self, operation: str) -> int:
        """Return how many slots of `operation` are taken: of the last period, and those to come."""
        with self._lock.held:
            past = self._clock() - self._period
            return sum(start > past for start in self._lanes[operation].starts)

    def count(self, operation: str, wait: float) -> None:
        """Count an attempt of `operation` that another limiter lets start in `wait` seconds."""
        with self._lock.held:
            starts, now = self._lanes[operation].starts, self._clock()
            insort(starts, now + wait)
            while starts[0] + self._period <= now:
                starts.popleft()
