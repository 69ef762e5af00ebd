"""Waiting for a slot: no slot is lost, none is given twice, and nobody is overtaken."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from sdk_core.transport.session import Slots


class Visitors:
    """Tasks that come for a place, one after the other, and keep it until they are told to go."""

    def __init__(self, places: int) -> None:
        self.slots = Slots(places)
        self.tasks: list[asyncio.Task[None]] = []
        self.came: list[int] = []
        """Who got a place, in this order."""
        self.waited: set[int] = set()
        self.holding: dict[int, asyncio.Event] = {}

    def come(self) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(self._visit(len(self.tasks))))
        return self.tasks[-1]

    async def _visit(self, number: int) -> None:
        async with self._place(number):
            self.came.append(number)
            self.holding[number] = asyncio.Event()
            try:
                await self.holding[number].wait()
            finally:
                del self.holding[number]

    @asynccontextmanager
    async def _place(self, number: int) -> AsyncIterator[None]:
        if self.slots._free:
            assert all(turn.done() for turn in self.slots._waiting)
        if not self.slots.take():
            self.waited.add(number)
            await self.slots.wait()
        try:
            yield
        finally:
            self.slots.release()

    def go(self, number: int) -> None:
        """Tell the n-th of those who have a place to go, if there are so many."""
        for event in list(self.holding.values())[number : number + 1]:
            event.set()

    def cancel(self, number: int) -> None:
        """Cancel the n-th of all visitors, from the last."""
        for task in self.tasks[::-1][number : number + 1]:
            task.cancel()

    def waiting(self) -> int:
        return sum(not task.done() for task in self.tasks) - len(self.holding)


async def turn(times: int = 1) -> None:
    """Let the loop turn."""
    for _ in range(times):
        await asyncio.sleep(0)


WHO = st.integers(0, 9)
ACTIONS = st.lists(
    st.sampled_from(["come", "come", "turn"]) | st.tuples(st.sampled_from(["go", "cancel"]), WHO), max_size=50
)


@fuzzed(38)
@given(st.integers(1, 3), ACTIONS)
def test_no_place_is_lost_or_given_twice(places: int, actions: list[Any]) -> None:
    """Visitors come, go and are cancelled in any order, within one turn of the loop or not.

    Whenever it is quiet: free places and taken ones are all there are, and a place is free only if nobody waits.
    """

    async def main() -> None:
        visitors = Visitors(places)
        for action in actions:
            match action:
                case "come":
                    visitors.come()
                case "turn":
                    await turn()
                    assert len(visitors.holding) <= places
                case "go", number:
                    visitors.go(number)
                case "cancel", number:
                    visitors.cancel(number)
        await turn(60)
        assert visitors.slots._free + len(visitors.holding) == places
        assert visitors.slots._free == 0 or visitors.waiting() == 0
        while visitors.holding:
            visitors.go(0)
            await turn(2)
            assert len(visitors.holding) <= places
        assert visitors.slots._free == places
        assert all(task.done() for task in visitors.tasks)
        in_order = [number for number in visitors.came if number in visitors.waited]
        assert in_order == sorted(in_order)
        ended = {number for number, task in enumerate(visitors.tasks) if not task.cancelled()}
        assert ended <= set(visitors.came)

    asyncio.run(main())


@pytest.mark.parametrize("given_first", [False, True])
async def test_place_given_to_somebody_who_is_cancelled(given_first: bool) -> None:
    """In the same turn of the loop, in either order: the next in the queue has it."""
    visitors = Visitors(1)
    first, second, third = (visitors.come() for _ in range(3))
    await turn()
    visitors.holding[0].set()
    if given_first:
        # The first one hands over in the next turn; right after that the second is cancelled.
        asyncio.get_running_loop().call_soon(second.cancel)
    else:
        second.cancel()
    await turn(5)
    assert (first.done(), second.cancelled(), third.done()) == (True, True, False)
    assert visitors.came == [0, 2]
    third.cancel()
    await turn(2)
    assert visitors.slots._free == 1


async def test_place_is_not_kept_for_who_was_thrown_away() -> None:
    """A coroutine may be closed where it waits, without any cancellation: when nobody holds its task any more."""
    slots = Slots(0)
    first, second = slots.wait(), slots.wait()
    turns = first.send(None), second.send(None)
    second.close()
    assert not turns[0].done()
    first.close()
    slots.release()
    assert slots._free == 1


async def test_closed_line_lets_everybody_pass() -> None:
    """Those who wait, at once, though nobody left; and those who come later. Leaving does no harm."""
    visitors = Visitors(1)
    tasks = [visitors.come() for _ in range(5)]
    await turn()
    assert visitors.came == [0]
    tasks[2].cancel()
    visitors.slots.close()
    visitors.slots.close()
    tasks.append(visitors.come())
    await turn(3)
    assert visitors.came == [0, 1, 3, 4, 5]
    for event in visitors.holding.values():
        event.set()
    await turn(3)
    assert all(task.done() for task in tasks)
    assert visitors.slots._free > 0
