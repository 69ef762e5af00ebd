"""Staying under the server's limit instead of running into it."""

import random
import time
from bisect import insort
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from typing import Protocol, runtime_checkable

from attrs import define, field

from sdk_core.arguments import positive_int, seconds
from sdk_core.transport.fork import Lock

__all__ = ["LocalRateLimiter", "RateLimiter"]


@runtime_checkable
class RateLimiter(Protocol):
    """Decides when a call may start. It is asked once a call, before its first attempt, and never sleeps itself.

    Each method may be `async`: for limiters that have to ask elsewhere. One that raises, or takes longer than a second,
    holds nobody up: it is logged, and the call goes on without it.
    """

    def acquire(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Reserve the next slot of `operation` and return the seconds until it.

        If that is more than `patience`, nothing is reserved, and the call is not made.
        """
        ...

    def on_rate_limited(self, operation: str, retry_after: float) -> Awaitable[None] | None:
        """Take note that the server answered 429 and named (or implied) this delay in seconds."""
        ...

    def give_back(self, operation: str, wait: float) -> Awaitable[None] | None:
        """Free the slot of `operation` that is `wait` seconds away: the call that was to start then was cancelled."""
        ...


@define(eq=False, repr=False)
class _Lane:
    starts: deque[float] = field(factory=deque[float])
    """In order: of the last period, and those to come."""
    paused_until: float = 0.0


class LocalRateLimiter:
    """At most `limit` new calls of an operation in any `period` seconds, in this process.

    A 429 pauses new calls of that operation for all that share the limiter, and releases them spread over a second.
    Retries are not held back: they have waited as long as the server asked. Safe to share between clients, tasks and
    threads.

    Args:
        limit: calls per period and operation.
        period: seconds.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, period: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = positive_int("limit", limit)
        self._period = seconds("period", period)
        self._clock = clock
        self._lanes: defaultdict[str, _Lane] = defaultdict(_Lane)
        self._lock = Lock()

    def acquire(self, operation: str, patience: float) -> float:
        """Reserve the next slot of `operation` and return the seconds until it, unless it is beyond `patience`."""
        with self._lock.held:
            lane = self._lanes[operation]
            starts, start = lane.starts, self._clock()
            now = start
            if lane.paused_until > now:
                pause = lane.paused_until - now
                # A little later, so that those who were held back do not come in one instant; within their patience.
                start += pause + random.random() * max(0.0, min(1.0, pause / 10, (patience - pause) / 2))
            if len(starts) >= self._limit:
                start = max(start, starts[-self._limit] + self._period)
                while starts and starts[0] + self._period <= now:
                    starts.popleft()
            if start - now <= patience:
                if starts and starts[-1] > start:
                    # In order: who waits out a pause starts later than who comes after it.
                    insort(starts, start)
                else:
                    starts.append(start)
        return start - now

    def on_rate_limited(self, operation: str, retry_after: float) -> None:
        """Hold back new calls of `operation` for `retry_after` seconds."""
        with self._lock.held:
            lane = self._lanes[operation]
            lane.paused_until = max(lane.paused_until, self._clock() + retry_after)

    def give_back(self, operation: str, wait: float) -> None:
        """Free the slot of `operation` that is `wait` seconds away."""
        with self._lock.held:
            starts = self._lanes[operation].starts
            moment = self._clock() + wait
            if starts:
                # The nearest: some time has passed since the caller looked at the clock.
                starts.remove(min(starts, key=lambda start: abs(start - moment)))
