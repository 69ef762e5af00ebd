"""How much of a delay is the machine's, and not the program's."""

import asyncio
import time
from bisect import bisect_left
from types import TracebackType
from typing import Final, Self

from attrs import frozen

__all__ = ["Pulse"]

_PERIOD: Final = 0.01


@frozen
class _Beat:
    start: float
    end: float
    busy: float
    """Seconds in which this thread computed."""


class Pulse:
    """Beats in the event loop while `async with` lasts, and knows afterwards when the thread was not given a processor.

    Only such time is excused. What this thread computes itself - the SDK, aiohttp, and the audit too - is not.
    """

    def __init__(self) -> None:
        self._beats: list[_Beat] = []
        self._task: asyncio.Task[None]

    @property
    def longest(self) -> float:
        """The longest time between two beats."""
        return max((beat.end - beat.start for beat in self._beats), default=0.0)

    def stolen(self, start: float, end: float) -> float:
        """Return how much of this time the machine kept from us."""
        first = max(0, bisect_left(self._beats, start, key=lambda beat: beat.start) - 1)
        total = 0.0
        for beat in self._beats[first:]:
            if beat.start >= end:
                break
            lost = max(0.0, beat.end - beat.start - beat.busy - _PERIOD)
            total += min(lost, max(0.0, min(beat.end, end) - max(beat.start, start)))
        return total

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._beat())
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    async def _beat(self) -> None:
        now, busy = time.monotonic(), time.thread_time()
        while True:
            await asyncio.sleep(_PERIOD)
            start, was_busy = now, busy
            now, busy = time.monotonic(), time.thread_time()
            self._beats.append(_Beat(start, now, busy - was_busy))
