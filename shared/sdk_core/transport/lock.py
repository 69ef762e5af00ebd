"""A lock between threads that outlives a fork."""

import os
import threading
from weakref import WeakSet

__all__ = ["Lock"]


class Lock:
    """A `threading.Lock`, for `with lock.held`. After a fork the child has a new one, which is free."""

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.held: threading.Lock = threading.Lock()
        _locks.add(self)


_locks: WeakSet[Lock] = WeakSet()


def _set_free() -> None:
    for lock in _locks:
        lock.held = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_set_free)
