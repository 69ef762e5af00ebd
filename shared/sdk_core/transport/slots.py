"""A number of slots for connections, and a queue of those who wait for one: first come, first served."""

import sys
from asyncio import Future, get_running_loop
from collections import deque

__all__ = ["Slots"]


class Slots:
    """A semaphore whose `take` and `release` are plain functions.

    An `asyncio.Semaphore` would cost a coroutine and a generator in each call, though there is nearly always a free
    slot.

        if not slots.take():
            await slots.wait()
        ...
        slots.release()
    """

    __slots__ = ("_free", "_waiting")

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[Future[None]] = deque()

    def take(self) -> bool:
        """Take a free slot; False if there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait until a slot is released to us."""
        turn = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            # If the slot was given to us in the very moment in which we gave up, the next in the queue gets it.
            if not turn.cancel() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Hand a slot over to whoever has waited longest, or make it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            # Those who gave up waiting are still in the queue.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Give everybody a slot, now and from now on: their calls will find that the client is closed."""
        self._free = sys.maxsize
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()
