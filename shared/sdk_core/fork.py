"""A forked child starts over: what it inherits and can't share with its parent is reset in it."""

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Lock", "forks", "reset_in_child", "undivided"]


class _Resettable(Protocol):
    def reset_after_fork(self) -> None:
        """Forget what belongs to the parent process."""


_resettables: WeakSet[_Resettable] = WeakSet()
undivided: "threading.RLock" = threading.RLock()
"""Held by a thread that does what must not be going on when the process is forked: a fork waits for it. A fork by that
thread itself does not: the child goes on with it."""
forks: int = 0
"""How many forks led to this process; what remembers another number belongs to the parent. Read it by its module."""


def reset_in_child(thing: _Resettable) -> None:
    """Have `thing.reset_after_fork()` called first in each child that is forked while it lives."""
    _resettables.add(thing)


class Lock:
    """A `threading.Lock`, for `with lock.held`. After a fork the child has a new one, which is free."""

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.reset_after_fork()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """Be free: the thread that held it does not exist in the child."""
        self.held: threading.Lock = threading.Lock()


def _reset_all() -> None:
    global forks  # noqa: PLW0603  there is one process
    forks += 1
    failures: list[Exception] = []
    for thing in list(_resettables):
        # One that fails must not keep the others on what is the parent's.
        try:
            thing.reset_after_fork()
        except Exception as error:  # noqa: BLE001  told below, by the interpreter, which goes on
            failures.append(error)
    if failures:
        raise ExceptionGroup("not all of the SDK could be reset in a forked child", failures)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=undivided.acquire, after_in_parent=undivided.release, after_in_child=undivided.release)
    os.register_at_fork(after_in_child=_reset_all)
