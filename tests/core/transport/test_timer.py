"""Time limits on one timer per event loop: when they pass, and what becomes of cancellations meanwhile."""

import asyncio
import selectors
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st

from sdk_core.transport.timer import Limit, Timer

PAUSE = 0.01
"""How late a limit may pass, in seconds."""
ROUNDING = 1e-6


class _Selector(selectors.DefaultSelector):
    """Instead of waiting, it moves the loop's time on: to the next timer."""

    loop: "Loop"

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen any more"
        self.loop.now += timeout
        return super().select(0)


class Loop(asyncio.SelectorEventLoop):
    """An event loop that needs no time."""

    def __init__(self, resolution: float = 1e-9) -> None:
        self.now = 1000.0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = resolution

    def time(self) -> float:
        return self.now

    def timers_of(self, timer: Timer) -> int:
        handles: list[Any] = [*self._scheduled, *self._ready]
        return sum(getattr(handle._callback, "__self__", None) is timer for handle in handles if not handle._cancelled)


def run(main: Callable[[Loop, Timer], Awaitable[Any]], resolution: float = 1e-9) -> Any:
    """Run `main` with a timer; afterwards nothing is left of the timer."""
    loop = Loop(resolution)

    async def with_timer() -> Any:
        timer = Timer(loop)
        result = await main(loop, timer)
        assert timer.limits == {}
        assert loop.timers_of(timer) <= 1
        timer.stop()
        assert loop.timers_of(timer) == 0
        return result

    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(with_timer())


# -- When they pass ----------------------------------------------------------------------------------------------------

SECONDS = st.floats(0, 1) | st.floats(0, 0.05) | st.sampled_from([0.0, 0.5, 0.501, 0.509, 0.51])


@fuzzed(25)
@given(
    st.lists(st.tuples(SECONDS, SECONDS | st.just(-1.0), SECONDS), max_size=20),
    st.sampled_from([1e-9, 0.016]),
    st.lists(st.tuples(SECONDS, SECONDS), max_size=2),
)
@example([*[(0.0, 0.0, 0.0)] * 3, (0.0, 0.0, 0.015625), (0.015625, -1.0, 0.0)], 0.016, [])
def test_limits_pass_when_they_are_due(
    blocks: list[tuple[float, float, float]], resolution: float, busy: list[tuple[float, float]]
) -> None:
    """Never early, at most 10 ms and a tick of the clock late, on one timer; not at all if the block ends before.

    Whether the clock is fine or coarse, and if something else blocks the loop for a while: then as soon as it is free.
    """

    late = PAUSE + resolution + sum(duration for _at, duration in busy) + ROUNDING

    async def block(loop: Loop, timer: Timer, start: float, limit: float, length: float) -> None:
        await asyncio.sleep(start)
        due, ends = loop.now + max(0, limit), loop.now + length
        try:
            with Limit(timer, limit):
                assert loop.timers_of(timer) == 1
                await asyncio.sleep(length)
        except TimeoutError:
            assert due - ROUNDING <= loop.now <= due + late
        else:
            assert ends <= due + late
        assert loop.timers_of(timer) <= 1

    async def all_blocks(loop: Loop, timer: Timer) -> None:
        for at, duration in busy:
            loop.call_later(at, lambda duration=duration: setattr(loop, "now", loop.now + duration))
        await asyncio.gather(*(block(loop, timer, *it) for it in blocks))

    run(all_blocks, resolution)


async def block(timer: Timer, limit: float = 1) -> None:
    """Wait for ever, within a limit."""
    with Limit(timer, limit):
        await asyncio.Event().wait()


def test_thousand_limits_pass_together() -> None:
    """Not one look at all of them for each: within 10 ms of the first they are seen to in one go."""
    looks = 0

    class Counting(Timer):
        def _look(self) -> None:
            nonlocal looks
            looks += 1
            super()._look()

    async def main(loop: Loop, _timer: Timer) -> None:
        timer = Counting(loop)
        blocks = [block(timer, 1 + number / 10_000) for number in range(1000)]
        ends = await asyncio.gather(*blocks, return_exceptions=True)
        assert {type(end) for end in ends} == {TimeoutError}

    run(main)
    assert looks <= 0.1 / PAUSE + 2


def test_limit_that_has_passed_already() -> None:
    """It ends the block at its first wait; a block that never waits is not interrupted."""

    async def main(loop: Loop, timer: Timer) -> None:
        for limit in (0, -5):
            with pytest.raises(TimeoutError):
                await block(timer, limit)
            with Limit(timer, limit):
                pass
            await asyncio.sleep(1)
        assert loop.now == 1002

    run(main)


def test_stopped_timer_keeps_what_is_running() -> None:
    """A limit outlasts the `stop()` of its timer, and a new one starts it again."""

    async def main(_loop: Loop, timer: Timer) -> None:
        for _ in range(2):
            task = asyncio.create_task(block(timer))
            await asyncio.sleep(0)
            timer.stop()
            with pytest.raises(TimeoutError):
                await task
            timer.stop()

    run(main)


def test_limit_outside_of_a_task_is_refused() -> None:
    """There would be nothing to interrupt; no limit is left running."""
    loop = Loop()
    timer, raised = Timer(loop), []

    def step() -> None:
        try:
            with Limit(timer, 1):
                pass
        except RuntimeError as error:
            raised.append(error)
        loop.stop()

    loop.call_soon(step)
    loop.run_forever()
    assert len(raised) == 1
    assert (timer.limits, loop.timers_of(timer)) == ({}, 0)
    loop.close()


def test_timer_of_a_closed_loop_can_be_stopped() -> None:
    """As when a session is dropped after its loop has gone."""
    loop = Loop()
    timer = Timer(loop)

    async def use() -> None:
        with Limit(timer, 1):
            pass

    loop.run_until_complete(use())
    loop.close()
    timer.stop()


def test_limits_pass_on_uvloop() -> None:
    """Its clock counts milliseconds, and stands still during a turn."""
    uvloop = pytest.importorskip("uvloop")

    async def lateness(timer: Timer, limit: float) -> float:
        started = timer.loop.time()
        with pytest.raises(TimeoutError):
            await block(timer, limit)
        return timer.loop.time() - started - limit

    async def main() -> list[float]:
        timer = Timer(asyncio.get_running_loop())
        late = await asyncio.gather(*(lateness(timer, limit) for limit in (0.02, 0.001, 0.0105, 0, 0.01)))
        timer.stop()
        return late

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        # A busy machine gets a quarter of a second.
        assert all(-1e-6 < late < PAUSE + 0.25 for late in runner.run(main()))


# -- Cancellation ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cancelled_first", [False, True])
def test_cancellation_in_the_moment_the_limit_passes(cancelled_first: bool) -> None:
    """In the same turn of the loop, in either order: it was cancelled."""

    async def main(loop: Loop, timer: Timer) -> None:
        task = asyncio.create_task(block(timer))
        await asyncio.sleep(0.5)
        [limit] = timer.limits

        def pass_limit() -> None:
            limit.passed = True
            task.cancel()

        first, second = (task.cancel, pass_limit) if cancelled_first else (pass_limit, task.cancel)
        first()
        second()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (task.cancelled(), task.cancelling()) == (True, 1)

    run(main)


def test_what_comes_in_the_moment_the_limit_passes_is_late() -> None:
    """What was waited for is there, but has not been taken: the limit has passed, and no cancellation stays behind."""

    async def main(loop: Loop, timer: Timer) -> None:
        task = asyncio.current_task()
        assert task is not None
        answer = loop.create_future()
        loop.call_later(1, answer.set_result, None)
        with pytest.raises(TimeoutError), Limit(timer, 1):
            await answer
        assert answer.done()
        assert task.cancelling() == 0
        await asyncio.sleep(5)

    run(main)


def test_error_in_the_block_is_not_replaced() -> None:
    """An error of the block's own, raised when the limit interrupts it, stays what it is."""

    async def fail_when_cancelled() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise LookupError from None

    async def main(_loop: Loop, timer: Timer) -> None:
        task = asyncio.current_task()
        assert task is not None
        with pytest.raises(LookupError), Limit(timer, 1):
            await fail_when_cancelled()
        assert task.cancelling() == 0

    run(main)


def test_task_that_is_cancelled_before_it_starts() -> None:
    """Its block is never entered, and no limit begins."""

    async def main(loop: Loop, timer: Timer) -> None:
        task = asyncio.create_task(block(timer))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert loop.timers_of(timer) == 0

    run(main)


EIGHTHS = st.integers(1, 6)
STEPS: st.SearchStrategy[list[Any]] = st.recursive(
    st.lists(st.tuples(st.just("sleep"), EIGHTHS), min_size=1, max_size=2),
    lambda steps: st.lists(
        st.tuples(st.just("limit"), EIGHTHS, steps) | st.tuples(st.just("deaf"), steps), min_size=1, max_size=2
    ),
    max_leaves=5,
)
"""What a task does: sleep, do something within a limit, or swallow a cancellation; in eighths of a second."""


Limits = Callable[[Timer, float], AbstractAsyncContextManager[Any]]


@asynccontextmanager
async def by_timer(timer: Timer, seconds: float) -> AsyncIterator[None]:
    with Limit(timer, seconds):
        yield


def by_asyncio(_timer: Timer, seconds: float) -> AbstractAsyncContextManager[Any]:
    return asyncio.timeout(seconds)


class Record:
    """What happens when a task takes these steps and is cancelled at these times."""

    def __init__(self, limits: Limits, steps: list[Any], cancellations: list[int]) -> None:
        self._limits = limits
        self.events: list[Any] = []

        async def main(loop: Loop, timer: Timer) -> None:
            task = asyncio.create_task(self._perform(loop, timer, steps))
            for eighths in cancellations:
                loop.call_later(eighths / 8, task.cancel)
            await asyncio.wait([task])
            self.events.append((task.cancelled(), task.cancelling()))

        run(main)

    async def _perform(self, loop: Loop, timer: Timer, steps: list[Any]) -> None:
        for kind, *arguments in steps:
            end = "done"
            try:
                match kind:
                    case "sleep":
                        await asyncio.sleep(arguments[0] / 8)
                    case "limit":
                        async with self._limits(timer, arguments[0] / 8):
                            await self._perform(loop, timer, arguments[1])
                    case "deaf":
                        await self._perform(loop, timer, arguments[0])
            except TimeoutError:
                end = "passed"
            except asyncio.CancelledError:
                end = "cancelled"
                if kind != "deaf":
                    raise
            finally:
                task = asyncio.current_task()
                self.events.append((kind, end, loop.now, task and task.cancelling()))


@fuzzed(25)
@given(STEPS, st.lists(EIGHTHS, max_size=3))
def test_limits_do_what_asyncio_timeout_does(steps: list[Any], cancellations: list[int]) -> None:
    """Nested, with cancellations from outside, at the same time or not: only the number of timers differs."""
    ours, theirs = (Record(limits, steps, cancellations).events for limits in (by_timer, by_asyncio))
    assert ours == theirs


async def test_limit_in_a_task_that_was_cancelled_before_and_went_on() -> None:
    """Many libraries swallow a cancellation without `uncancel()`: that one is not this limit's."""
    task = asyncio.current_task()
    assert task is not None
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.sleep(0)
    with pytest.raises(TimeoutError), Limit(Timer(asyncio.get_running_loop()), 0.01):
        await asyncio.sleep(1)
    assert task.cancelling() == 1
    task.uncancel()
