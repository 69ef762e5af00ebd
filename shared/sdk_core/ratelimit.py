"""Staying under the server's limit instead of running into it."""

import random
import time
from bisect import insort
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol

from attrs import define, field

__all__ = ["LocalRateLimiter", "RateLimiter"]


class RateLimiter(Protocol):
    """Decides when a call may start. It is asked once a call, before its first attempt, and never sleeps itself.

    Both methods may be `async`: for those that have to ask elsewhere.
    """

    def acquire(self, operation: str, patience: float) -> float | Awaitable[float]:
        """Reserve the next slot of `operation` and return the seconds until it.

        If that is more than `patience`, nothing is reserved, and the call is not made.
        """
        ...

    def on_rate_limited(self, operation: str, retry_after: float) -> Awaitable[None] | None:
        """Take note that the server answered 429 and named (or implied) this delay in seconds."""
        ...


@define
class _Lane:
    starts: deque[float] = field(factory=deque[float])
    paused_until: float = 0.0


class LocalRateLimiter:
    """At most `limit` new calls of an operation in any `period` seconds, in this process.

    A 429 pauses new calls of that operation for all that share the limiter, and releases them spread over a second.
    Retries are not held back: they have waited as long as the server asked.

    Args:
        limit: calls per period and operation.
        period: seconds.
        clock: monotonic seconds.
    """

    def __init__(self, limit: int, period: float = 60.0, *, clock: Callable[[], float] = time.monotonic) -> None:
        if limit < 1 or not 0 < period < float("inf"):
            raise ValueError("limit must be at least 1, and period a positive number of seconds")
        self._limit = limit
        self._period = period
        self._clock = clock
        self._lanes: dict[str, _Lane] = {}

    def acquire(self, operation: str, patience: float) -> float:
        """Reserve the next slot of `operation` and return the seconds until it, unless it is beyond `patience`."""
        lane = self._lanes.get(operation)
        if lane is None:
            lane = self._lanes.setdefault(operation, _Lane())
        now = self._clock()
        start = now
        if (pause := lane.paused_until - now) > 0:
            # A little later, so that those who were held back do not come in one instant; within their patience.
            start += pause + random.random() * max(0.0, min(1.0, pause / 10, (patience - pause) / 2))  # noqa: S311
        full = len(lane.starts) >= self._limit
        if full:
            start = max(start, lane.starts[0] + self._period)
        if start - now <= patience:
            if full:
                lane.starts.popleft()
            if lane.starts and lane.starts[-1] > start:
                # In order: who waits out a pause starts later than who comes after it.
                insort(lane.starts, start)
            else:
                lane.starts.append(start)
        return start - now

    def on_rate_limited(self, operation: str, retry_after: float) -> None:
        """Hold back new calls of `operation` for `retry_after` seconds."""
        lane = self._lanes.setdefault(operation, _Lane())
        lane.paused_until = max(lane.paused_until, self._clock() + retry_after)
