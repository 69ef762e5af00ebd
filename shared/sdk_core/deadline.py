"""The time that all calls of one request have together: an outer limit, within which each keeps its own."""

from collections.abc import Callable, Generator
from contextlib import contextmanager
from contextvars import ContextVar
from time import monotonic

from sdk_core import arguments

__all__ = ["deadline_scope", "end_of_scope", "leave_scope", "within_scope"]

_scope: ContextVar[float | None] = ContextVar("sdk_deadline", default=None)
"""When it ends, on the monotonic clock."""


@contextmanager
def deadline_scope(seconds: float) -> Generator[None]:
    """Give every call and every workflow inside the block no more time than is left of these seconds.

    Each has the smaller of that and its own `total_timeout`, or `timeout`. Tasks that are started inside inherit it,
    other tasks are not affected; a scope inside of another can only shorten the time. Once it is over, calls raise
    CallTimeoutError with `outcome` NOT_SENT. A workflow does without the read that it makes when its own time is over.

    Args:
        seconds: from now.

    Raises:
        TypeError, ValueError: it is no number of seconds above 0.
    """
    due, outer = monotonic() + arguments.seconds("seconds", seconds), _scope.get()
    token = _scope.set(due if outer is None else min(due, outer))
    try:
        yield
    finally:
        _scope.reset(token)


def leave_scope() -> None:
    """Have no scope any more in this task, which was started inside of one and is for others, too."""
    _scope.set(None)


end_of_scope: Callable[[], float | None] = _scope.get
"""Return when the enclosing `deadline_scope` ends, on the monotonic clock, or None."""


def within_scope(seconds: float) -> float:
    """Return these seconds, or what is left of the enclosing `deadline_scope` if that is less; never below 0."""
    due = end_of_scope()
    return seconds if due is None else max(0.0, min(seconds, due - monotonic()))
