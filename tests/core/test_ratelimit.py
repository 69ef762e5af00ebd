"""R-24: the limiter with several threads, and with calls that change their minds. (Its window: test_client.py.)"""

import asyncio
import json
import os
import signal
import threading
from typing import Any

import pytest
from wire import FakeTime, WireServer

from membership_sdk import CallTimeoutError, LocalRateLimiter, MembershipClient, RetryBudget, RetryPolicy, VoidResult
from sdk_core.operation import Effect, Operation

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)


def test_one_slot_is_not_given_to_two_threads() -> None:
    """The other thread asks while the first has seen that there is a slot, and has not yet taken it."""
    limiter = LocalRateLimiter(1)
    waits: list[float] = []

    def ask(patience: float) -> None:
        waits.append(limiter.acquire("a", patience))

    other = threading.Thread(target=ask, args=(100.0,))

    class Patience(float):
        def __ge__(self, wait: object) -> bool:
            # Compared when everything else is decided. It ends here only if it need not wait for the first.
            other.start()
            other.join(0.05)
            return True

    ask(Patience(100))
    other.join()
    first, second = sorted(waits)
    assert first == 0
    assert 59 < second <= 60


# -- Slots that are given back -----------------------------------------------------------------------------------------


async def test_slot_given_back_is_the_next_callers(fake_time: FakeTime) -> None:
    """Not only the slot: all that its wait had pushed back is as if it had never been asked for."""
    limiter = LocalRateLimiter(2, 60, clock=fake_time.clock)
    assert [limiter.acquire("a", 999) for _ in range(6)] == [0, 0, 60, 60, 120, 120]
    fake_time.now += 10
    for wait in (50, 110, 110, 50):
        limiter.give_back("a", wait)
    assert [limiter.acquire("a", 999) for _ in range(3)] == [50, 50, 110]
    limiter.give_back("never asked", 1)


async def test_giving_back_opens_no_window(fake_time: FakeTime) -> None:
    """However many are given back in between: never more than the limit in any period."""
    limiter = LocalRateLimiter(5, 60, clock=fake_time.clock)
    starts: list[float] = []
    for number in range(400):
        fake_time.now += number % 5
        starts.append(fake_time.now + limiter.acquire("a", float("inf")))
        if number % 3 == 0:
            # Of those to come, one in the middle of the line.
            coming = sorted(start for start in starts if start > fake_time.now)
            if coming:
                start = coming[number % len(coming)]
                limiter.give_back("a", start - fake_time.now)
                starts.remove(start)
    for start in starts:
        assert sum(start <= other < start + 60 for other in starts) <= 5


async def test_cancelled_call_gives_its_slot_back(fake_time: FakeTime) -> None:
    """Of ten users who wait nine lose patience and go: who comes next is second in line, not eleventh."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    begun: list[float] = []

    async def sleep(seconds: float) -> None:
        begun.append(seconds)
        await asyncio.Event().wait()

    options: dict[str, Any] = {"rate_limiter": limiter, "total_timeout": 9999}
    retry = RetryPolicy(sleep=sleep, clock=fake_time.clock)
    async with WireServer() as server, MembershipClient(server.url, "key", retry=retry, **options) as client:
        await client.call(READ)
        calls = [asyncio.create_task(client.call(READ)) for _ in range(10)]
        while len(begun) < len(calls):
            await asyncio.sleep(0)
        assert begun == [60 * number for number in range(1, 11)]
        fake_time.now += 50
        patient = calls.pop(3)
        for call in calls:
            call.cancel()
        ends = await asyncio.gather(*calls, return_exceptions=True)
        assert {type(end) for end in ends} == {asyncio.CancelledError}
        assert limiter.acquire(READ.name, 9999) == begun[3] + 60 - 50
        patient.cancel()
        await asyncio.wait([patient])


class Stuck(LocalRateLimiter):
    """Its store does not answer any more."""

    async def give_back(self, operation: str, wait: float) -> None:
        raise ConnectionError("no store")


async def test_limiter_that_can_take_nothing_back_is_no_obstacle(
    fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the call ends as cancelled as it would."""
    limiter = Stuck(1, 60, clock=fake_time.clock)
    limiter.acquire(READ.name, 0)
    retry = RetryPolicy(sleep=lambda _seconds: asyncio.Event().wait(), clock=fake_time.clock)
    async with MembershipClient("https://studio.example", "key", retry=retry, rate_limiter=limiter) as client:
        call = asyncio.create_task(client.call(READ))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert "rate limiter failed" in caplog.text


def test_limiter_that_lacks_a_method_is_refused() -> None:
    """When the client is built, and not in the one call that needs it."""

    class Half:
        async def acquire(self, operation: str, patience: float) -> float:
            return 0.0

    half: Any = Half()
    with pytest.raises(TypeError, match="rate_limiter must be a RateLimiter, not Half"):
        MembershipClient("https://studio.example", "key", rate_limiter=half)


@pytest.mark.parametrize("limit", [1, 5])
def test_limiter_forgets_what_was_long_ago(limit: int) -> None:
    """A worker that runs for months keeps no more starts in mind than its limit."""
    now = 0.0
    limiter = LocalRateLimiter(limit, period=1.0, clock=lambda: now)
    for _ in range(100):
        now += 2.0
        assert limiter.acquire("a", 0) == 0
    assert len(limiter._lanes["a"].starts) <= limit


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("shared", [LocalRateLimiter(5), RetryBudget()], ids=["limiter", "budget"])
def test_forked_child_finds_no_lock_that_nobody_will_open(shared: Any) -> None:
    """A thread of the parent was inside at the fork; in the child it does not exist."""
    shared._lock.held.acquire()
    child = os.fork()
    if child == 0:
        signal.alarm(5)
        free = shared.acquire("a", 0) == 0 if isinstance(shared, LocalRateLimiter) else shared.withdraw()
        os._exit(0 if free else 1)
    shared._lock.held.release()
    assert os.waitpid(child, 0)[1] == 0


async def test_limiter_that_names_no_number_is_no_obstacle(caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the call goes on."""

    class Forgetful(LocalRateLimiter):
        def acquire(self, operation: str, patience: float) -> Any:
            return None

    async with WireServer() as server, MembershipClient(server.url, "key", rate_limiter=Forgetful(1)) as client:
        await client.call(READ)
    assert "no number" in caplog.text


class _Odd(float):
    def __gt__(self, _other: object) -> bool:
        raise RuntimeError

    __ne__ = __gt__


@pytest.mark.parametrize("answer", [asyncio.CancelledError(), _Odd(1), _Odd(0), -(10**400)], ids=repr)
async def test_limiter_that_answers_oddly_is_no_obstacle(answer: Any) -> None:
    """Nobody cancelled the call: that is of something the limiter looked at."""

    class Odd(LocalRateLimiter):
        def acquire(self, operation: str, patience: float) -> Any:
            if isinstance(answer, BaseException):
                raise answer
            return answer

    async def sleep(_seconds: float) -> None:
        pass

    policy = RetryPolicy(sleep=sleep)
    async with WireServer() as server, MembershipClient(server.url, "key", rate_limiter=Odd(1), retry=policy) as client:
        await client.call(READ)
    assert len(server.requests) == 1


@pytest.mark.parametrize("answer", [10**400, float("inf")], ids=["huge", "inf"])
async def test_limiter_that_never_has_a_slot(answer: Any) -> None:
    """The call is not made, and its error can be shown and sent as JSON."""

    class Never(LocalRateLimiter):
        def acquire(self, operation: str, patience: float) -> Any:
            return answer

    async with WireServer() as server, MembershipClient(server.url, "key", rate_limiter=Never(1)) as client:
        with pytest.raises(CallTimeoutError) as caught:
            await client.call(READ)
    assert "a longer wait than the total timeout leaves" in str(caught.value)
    json.dumps(caught.value.to_dict(), allow_nan=False)
    assert not server.requests
