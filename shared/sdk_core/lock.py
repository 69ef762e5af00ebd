"""A lock between threads that outlives a fork."""

import os
import threading

__all__ = ["Lock"]


class Lock:
    """A `threading.Lock` for `with`, which a forked child finds free, whatever a thread of its parent was doing."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()

    def __enter__(self) -> None:
        if self._pid != os.getpid():
            self._lock, self._pid = threading.Lock(), os.getpid()
        self._lock.acquire()

    def __exit__(self, *_exc: object) -> None:
        self._lock.release()
