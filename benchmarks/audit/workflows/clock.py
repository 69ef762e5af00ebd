"""An event loop whose time is made up: when nothing is left to be done now, it is the time of what comes next."""

import asyncio
import selectors
from collections.abc import Callable
from selectors import SelectorKey

__all__ = ["MadeUpTime"]


class MadeUpTime(asyncio.SelectorEventLoop):
    """The loop. Both ends of all connections must be in it: then nothing is ever on its way while time passes."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__(_Selector(self._pass))

    def time(self) -> float:
        """Return the seconds that were made up."""
        return self._now

    def _pass(self, seconds: float) -> None:
        self._now += seconds


class _Selector(selectors.DefaultSelector):
    def __init__(self, pass_time: Callable[[float], None]) -> None:
        super().__init__()
        self._pass_time = pass_time

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout != 0:
            if timeout is None:
                raise RuntimeError("nothing will ever happen any more")
            self._pass_time(timeout)
        return ready
