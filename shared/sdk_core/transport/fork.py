"""A forked child starts over: what it inherits and can't share with its parent is renewed in it."""

import os
import threading
from typing import Protocol
from weakref import WeakSet

__all__ = ["Lock", "renew_in_child"]


class _Renewable(Protocol):
    def renew(self) -> None:
        """Forget what belongs to the parent process."""


_renewables: WeakSet[_Renewable] = WeakSet()


def renew_in_child(thing: _Renewable) -> None:
    """Have `thing.renew()` called in each child that is forked while it lives, before anything else runs there."""
    _renewables.add(thing)


class Lock:
    """A `threading.Lock`, for `with lock.held`. After a fork the child has a new one, which is free."""

    __slots__ = ("__weakref__", "held")

    def __init__(self) -> None:
        self.renew()
        renew_in_child(self)

    def renew(self) -> None:
        """Be free: the thread that held it does not exist in the child."""
        self.held: threading.Lock = threading.Lock()


def _renew_all() -> None:
    for thing in list(_renewables):
        thing.renew()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_renew_all)
