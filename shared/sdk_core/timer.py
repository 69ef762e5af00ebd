"""Time limits for any number of waits, on one timer per event loop.

`asyncio.timeout` sets and cancels a timer of its own for each wait. Nearly all waits end long before their limit, so
one timer does: it goes off when the earliest limit it knew of is due, looks who is late, and is set again.
"""

from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle, current_task
from types import TracebackType
from typing import Any

__all__ = ["Limit", "Timer"]

_NEVER = float("inf")
_PAUSE = 0.01
"""Seconds between two looks at who is late: thousands of limits that pass one after another are seen to together."""


class Timer:
    """The one timer of an event loop."""

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop = loop
        self.running: dict[Limit, None] = {}
        self._handle: TimerHandle | None = None
        self._due = _NEVER

    def limit(self, seconds: float) -> "Limit":
        """Return what limits the block under `with` to so many seconds."""
        return Limit(self, self.loop.time() + seconds)

    def set(self, due: float) -> None:
        """Go off at `due`, if not earlier."""
        if due < self._due:
            self.stop()
            self._due, self._handle = due, self.loop.call_at(due, self._look)

    def stop(self) -> None:
        """Let nobody be late any more."""
        if self._handle is not None:
            self._handle.cancel()
        self._due, self._handle = _NEVER, None

    def _look(self) -> None:
        self._due, self._handle = _NEVER, None
        now, earliest = self.loop.time(), _NEVER
        for limit in self.running:
            if limit.due <= now:
                limit.pass_()
            elif limit.due < earliest:
                earliest = limit.due
        if earliest < _NEVER:
            self.set(max(earliest, now + _PAUSE))


class Limit:
    """Ends a block that takes too long with TimeoutError; a cancellation from outside stays one, even in that moment."""

    __slots__ = ("_cancelling", "_passed", "_task", "_timer", "due")

    def __init__(self, timer: Timer, due: float) -> None:
        self._timer = timer
        self.due = due
        self._passed = False

    def __enter__(self) -> None:
        task = current_task()
        if task is None:
            raise RuntimeError("a call must be made inside a task")
        self._task: Task[Any] = task
        self._cancelling = task.cancelling()
        self._timer.running[self] = None
        self._timer.set(self.due)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._timer.running.pop(self, None)
        if self._passed and self._task.uncancel() <= self._cancelling and kind is CancelledError:
            raise TimeoutError from error

    def pass_(self) -> None:
        """Interrupt the block."""
        if not self._passed:
            self._passed = True
            self._task.cancel()
