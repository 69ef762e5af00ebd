"""Time limits for any number of waits, on one timer per event loop.

`asyncio.timeout` sets and cancels a timer of its own for each wait. Nearly all waits end long before their limit, so
one timer does: it goes off when the earliest limit it knew of is due, looks who is late, and is set again.
"""

from asyncio import AbstractEventLoop, CancelledError, Task, TimerHandle, current_task
from types import TracebackType
from typing import Any

from attrs import define, field

__all__ = ["Limit", "Timer"]

_NEVER = float("inf")
_PAUSE = 0.01
"""Seconds between two looks at who is late: thousands of limits that pass one after another are seen to together."""


class Timer:
    """The one timer of an event loop."""

    __slots__ = ("_handle", "due", "limits", "loop")

    def __init__(self, loop: AbstractEventLoop) -> None:
        self.loop: AbstractEventLoop = loop
        self.limits: dict[Limit, None] = {}
        """Those that are running."""
        self.due: float = _NEVER
        """When it goes off, in the loop's time."""
        self._handle: TimerHandle | None = None

    def set(self, due: float) -> None:
        """Go off at `due`."""
        if self._handle is not None:
            self._handle.cancel()
        self.due, self._handle = due, self.loop.call_at(due, self._look)

    def stop(self) -> None:
        """Do not go off, unless for limits that are running still: they outlast even a client that is closed."""
        if self._handle is not None and not self.limits:
            self._handle.cancel()
            self.due, self._handle = _NEVER, None

    def _look(self) -> None:
        self.due, self._handle = _NEVER, None
        now, next_due = self.loop.time(), _NEVER
        for limit in self.limits:
            if limit.due <= now:
                limit.interrupt()
            else:
                next_due = min(next_due, limit.due)
        if next_due < _NEVER:
            self.set(max(next_due, now + _PAUSE))


@define(eq=False, repr=False)
class Limit:
    """Ends the block under `with` by TimeoutError after so many seconds.

    A cancellation from outside stays one, even in the very moment the limit passes.
    """

    _timer: Timer
    _seconds: float
    due: float = field(init=False)
    """In the loop's time."""
    _task: Task[Any] = field(init=False)
    _cancelling: int = field(init=False)
    _passed: bool = field(init=False, default=False)

    def __enter__(self) -> None:
        self.due = self._timer.loop.time() + self._seconds
        task = current_task(self._timer.loop)
        if task is None:
            raise RuntimeError("a call must be made inside a task")
        self._task = task
        self._cancelling = task.cancelling()
        self._timer.limits[self] = None
        if self.due < self._timer.due:
            self._timer.set(self.due)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        del self._timer.limits[self]
        if self._passed and self._task.uncancel() <= self._cancelling and kind is CancelledError:
            raise TimeoutError from error

    def interrupt(self) -> None:
        """End the block."""
        if not self._passed:
            self._passed = True
            self._task.cancel()
