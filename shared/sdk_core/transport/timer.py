"""Time limits for any number of waits, on one timer per event loop.

`asyncio.timeout` sets and cancels a timer of its own for each wait. Nearly all waits end long before their limit, so
one timer does: it goes off when the earliest limit it knew of is due, looks who is late, and is set again.
"""

from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle, current_task
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any

from msgspec import Struct

from sdk_core.value import Untold

__all__ = ["Limit", "Timer"]

_NEVER = float("inf")
_PAUSE = 0.01
"""Seconds between two looks at who is late: thousands of limits that pass one after another are seen to together."""


class Timer:
    """The one timer of an event loop."""

    __slots__ = ("_handle", "due", "limits", "loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop: AbstractEventLoop = loop
        self.limits: dict[Limit, Task[Any]] = {}
        """Those that are running, and whose they are."""
        self.due: float = _NEVER
        """When it goes off, in the loop's time."""
        self._handle: TimerHandle | None = None

    def set(self, due: float) -> None:
        """Go off at `due`."""
        if self._handle is not None:
            self._handle.cancel()
        self.due, self._handle = due, self.loop.call_at(due, self._look)

    def stop(self) -> None:
        """End pauses, and do not go off, unless for limits that are running still: they outlast a closed client."""
        pauses = [limit for limit in self.limits if limit.due == _NEVER]
        for limit in pauses:
            if self.limits[limit] is not current_task(self.loop):
                limit.passed = True
                self.limits[limit].cancel()
        if self._handle is not None and len(pauses) == len(self.limits):
            self._handle.cancel()
            self.due, self._handle = _NEVER, None

    async def pause(self, sleep: Callable[[float], Awaitable[None]], delay: float) -> None:
        """Wait by `sleep(delay)`, but no longer than until the timer is stopped."""
        limit = Limit(self, _NEVER)
        try:
            with limit:
                await sleep(delay)
        except TimeoutError:
            # It may be the sleep's own.
            if not limit.passed:
                raise

    def _look(self) -> None:
        self.due, self._handle = _NEVER, None
        now, next_due = self.loop.time(), _NEVER
        for limit, task in self.limits.items():
            if limit.due > now:
                next_due = min(next_due, limit.due)
            elif not limit.passed:
                limit.passed = True
                task.cancel()
        if next_due < _NEVER:
            self.set(max(next_due, now + _PAUSE))


class Limit(Untold, Struct, eq=False):
    """Ends the block under `with` by TimeoutError after so many seconds: `Limit(timer, seconds)`.

    A cancellation from outside stays one, even in the very moment the limit passes.
    """

    timer: Timer
    seconds: float
    due: float = _NEVER
    """In the loop's time."""
    cancelling: int = 0
    """How many cancellations the task had asked for before the block."""
    passed: bool = False

    def __enter__(self) -> None:
        timer = self.timer
        task = current_task(timer.loop)
        if task is None:
            raise RuntimeError("a call must be made inside a task")
        self.due = due = timer.loop.time() + self.seconds
        self.cancelling = task.cancelling()
        timer.limits[self] = task
        if due < timer.due:
            timer.set(due)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        task = self.timer.limits.pop(self)
        if self.passed and task.uncancel() <= self.cancelling and kind is CancelledError:
            raise TimeoutError from error
