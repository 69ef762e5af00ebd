"""Waiting in line for one of a number of places; first come, first served."""

import sys
from asyncio import Future, get_running_loop
from collections import deque

__all__ = ["Line"]


class Line:
    """So many places, and those who wait for one.

    An `asyncio.Semaphore` would do the same, but costs a coroutine and a generator even where nobody has to wait.
    Take a free place with `line.free -= 1`, else `await line.wait()`; give it back with `leave()`.
    """

    __slots__ = ("_waiting", "free")

    def __init__(self, places: int) -> None:
        self.free: int = places
        self._waiting: deque[Future[None]] = deque()

    async def wait(self) -> None:
        """Wait until somebody leaves, and have that place."""
        turn = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            # It was given in the same moment: somebody else shall have it.
            if not turn.cancel() and not turn.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Hand the place over to whoever has waited longest, or set it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            # Those who gave up waiting are still in the line.
            if not turn.done():
                turn.set_result(None)
                return
        self.free += 1

    def close(self) -> None:
        """Send everybody on, now and from now on: there is nothing to wait for any more."""
        self.free = sys.maxsize
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()
