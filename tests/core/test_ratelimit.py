"""R-24: each attempt takes a slot; the limiter with several threads, and with calls that change their minds.

(Its window: test_client.py.)
"""

import asyncio
import contextlib
import json
import logging
import os
import pickle
import signal
import threading
from typing import Any

import pytest
from wire import CannedAnswer, FakeTime, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import (
    CallInfo,
    ClientThrottledError,
    ConnectionFailedError,
    LocalRateLimiter,
    MembershipClient,
    Outcome,
    RateLimitError,
    RetryBudget,
    RetryPolicy,
    SdkError,
    Telemetry,
    ThrottledError,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)


async def test_429_that_names_no_delay_is_told_as_it_is() -> None:
    """CloudCockpit documents none. The limiter can't be told how long to pause."""
    limiter, retry = LocalRateLimiter(100), RetryPolicy.none()
    async with (
        WireServer(CannedAnswer(429)) as server,
        CloudCockpitClient("t.example", "token", base_url=server.url, rate_limiter=limiter, retry=retry) as client,
    ):
        with pytest.raises(RateLimitError) as caught:
            await client.list_subscriptions()
    assert (caught.value.retry_after, limiter.acquire("list_subscriptions", 0.0)) == (None, 0.0)


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


def client_for(server: WireServer, time: FakeTime, **options: Any) -> MembershipClient:
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock, max_attempts=5, backoff_base=0)
    return MembershipClient(server.url, "key", **{"retry": retry, "total_timeout": 999, **options})


# -- Attempts ----------------------------------------------------------------------------------------------------------


async def test_each_attempt_takes_a_slot(fake_time: FakeTime) -> None:
    """Three attempts of one call are three requests to the server, and it counts them."""
    limiter = LocalRateLimiter(2, 60, clock=fake_time.clock)
    async with (
        WireServer(CannedAnswer(500), CannedAnswer(500), CannedAnswer()) as server,
        client_for(server, fake_time, rate_limiter=limiter) as client,
    ):
        await client.call(READ)
    assert fake_time.sleeps == [0, 0, 60]


async def test_attempt_with_another_token_takes_a_slot(fake_time: FakeTime) -> None:
    """After a 401 nothing is slept, but the request counts."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    tokens = iter(["old", "new"])

    async def token() -> str:
        return next(tokens)

    options: dict[str, Any] = {"retry": RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)}
    async with (
        WireServer(CannedAnswer(401), CannedAnswer()) as server,
        CloudCockpitClient("t.example", token, base_url=server.url, rate_limiter=limiter, **options) as client,
    ):
        await client.call(READ)
        assert len(server.requests) == 2
    assert fake_time.sleeps == [60]


async def test_pause_that_begins_while_a_call_waits_holds_it_back(fake_time: FakeTime) -> None:
    """It wakes up within the pause, frees its slot, and takes one after the pause."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    limiter.acquire(READ.name, 0)
    begun = fake_time.now

    async def sleep(seconds: float) -> None:
        if not fake_time.sleeps:
            limiter.on_rate_limited(READ.name, 100)
        await fake_time.sleep(seconds)

    retry = RetryPolicy(sleep=sleep, clock=fake_time.clock)
    async with WireServer() as server, client_for(server, fake_time, rate_limiter=limiter, retry=retry) as client:
        await client.call(READ)
    first, second = fake_time.sleeps
    assert first == 60
    assert 40 <= second <= 41
    # Of the two starts that are noted, one was at the beginning: nothing is left of the slot within the pause.
    assert list(limiter._lanes[READ.name].starts) == [begun + first + second]


def test_pause_moves_those_who_wait_to_its_end_and_no_more_than_the_limit(fake_time: FakeTime) -> None:
    """All slots within the pause are taken anew: never more than the limit in a period after it either."""
    limiter = LocalRateLimiter(3, 60, clock=fake_time.clock)
    waits = [limiter.acquire("a", 999) for _ in range(9)]
    assert waits == [0, 0, 0, 60, 60, 60, 120, 120, 120]
    limiter.on_rate_limited("a", 130)
    begun, starts = fake_time.now, []
    for wait in waits[3:]:
        fake_time.now = begun + wait
        starts.append(wait + limiter.confirm("a", 999))
    assert all(start >= 130 for start in starts)
    assert all(sum(start <= other < start + 60 for other in starts) <= 3 for start in starts)
    assert limiter.confirm("b", 0) == 0


async def test_pause_beyond_the_patience_of_who_waits_is_an_error_at_once(fake_time: FakeTime) -> None:
    """The slot was within the total timeout, the end of the pause is not: nothing is sent, nothing more is slept."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    limiter.acquire(READ.name, 0)

    async def sleep(seconds: float) -> None:
        limiter.on_rate_limited(READ.name, 200)
        await fake_time.sleep(seconds)

    options: dict[str, Any] = {"retry": RetryPolicy(sleep=sleep, clock=fake_time.clock), "total_timeout": 100}
    async with WireServer() as server, client_for(server, fake_time, rate_limiter=limiter, **options) as client:
        with pytest.raises(ClientThrottledError) as caught:
            await client.call(READ)
        assert (server.requests, fake_time.sleeps) == ([], [60])
    assert caught.value.retry_after is not None
    assert 140 <= caught.value.retry_after <= 141


async def test_refusal_of_the_limiter_and_429_are_caught_together(fake_time: FakeTime) -> None:
    """One `except`; each says when to come back; ours is no timeout, was not sent, and travels whole."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    told: list[SdkError] = []
    refusal = CannedAnswer(429, headers={"Retry-After": "7"})
    once = RetryPolicy(max_attempts=1, clock=fake_time.clock)
    options: dict[str, Any] = {"rate_limiter": limiter, "retry": once, "total_timeout": 10}
    async with WireServer(refusal) as server, client_for(server, fake_time, **options) as client:
        for _ in range(2):
            try:
                await client.call(READ)
            except ThrottledError as error:
                told.append(error)
        assert len(server.requests) == 1
    theirs, ours = told
    assert (type(theirs), theirs.retry_after, theirs.outcome) == (RateLimitError, 7, Outcome.REJECTED)
    assert (type(ours), ours.retry_after, ours.outcome) == (ClientThrottledError, 60, Outcome.NOT_SENT)
    assert ours.retryable
    assert not isinstance(ours, TimeoutError)
    arrived = pickle.loads(pickle.dumps(ours))
    assert (type(arrived), arrived.to_dict()) == (ClientThrottledError, ours.to_dict())


async def test_retry_that_gets_no_slot_names_the_failure_before_it(fake_time: FakeTime) -> None:
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    options: dict[str, Any] = {"rate_limiter": limiter, "total_timeout": 10}
    async with WireServer(CannedAnswer(500)) as server, client_for(server, fake_time, **options) as client:
        with pytest.raises(ClientThrottledError) as caught:
            await client.call(READ)
    # The first attempt may have reached the server, though a READ has no effect; all of it is told.
    assert [attempt.status for attempt in caught.value.attempts] == [500]
    assert isinstance(caught.value.__cause__, SdkError)
    assert caught.value.retryable


# -- Waits are seen ----------------------------------------------------------------------------------------------------


async def test_waits_are_told_and_logged(fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """Before the wait: `on_wait`, and a line at INFO with the id that is on the reply too."""
    caplog.set_level(logging.INFO, "sdk_core")
    told: list[tuple[str, float, list[float]]] = []

    class Watching(Telemetry):
        async def on_wait(self, call: CallInfo, delay: float) -> None:
            await asyncio.sleep(0)
            told.append((call.correlation_id, delay, [*fake_time.sleeps]))

    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    async with (
        WireServer() as server,
        client_for(server, fake_time, rate_limiter=limiter, telemetry=Watching()) as client,
    ):
        await client.call(READ)
        assert (told, caplog.records) == ([], [])
        reply = await client.call_with_reply(READ)
    assert told == [(reply.correlation_id, 60, [])]
    [record] = caplog.records
    assert (record.levelname, record.name) == ("INFO", "sdk_core.admission")
    assert record.getMessage() == (
        f"read_it waits 60.00 s for the rate limiter (correlation id {reply.correlation_id})"
    )


async def test_call_cancelled_in_on_wait_gives_its_slot_back(fake_time: FakeTime) -> None:
    hooked = asyncio.Event()

    class Hanging(Telemetry):
        async def on_wait(self, call: CallInfo, delay: float) -> None:
            hooked.set()
            await asyncio.Event().wait()

    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    limiter.acquire(READ.name, 0)
    options: dict[str, Any] = {"rate_limiter": limiter, "telemetry": Hanging()}
    async with WireServer() as server, client_for(server, fake_time, **options) as client:
        call = asyncio.create_task(client.call(READ))
        await hooked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert limiter.acquire(READ.name, 60) == 60


async def test_cancellation_that_a_limiter_swallows_still_ends_the_call() -> None:
    """As `asyncio.wait_for` does before Python 3.12, when the answer comes in the same turn of the loop."""

    class Swallowing(LocalRateLimiter):
        def acquire(self, operation: str, patience: float) -> Any:
            return self._later()

        async def _later(self) -> float:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()
            return 0.0

    async with WireServer() as server, MembershipClient(server.url, "key", rate_limiter=Swallowing(1)) as client:
        call = asyncio.create_task(client.call(READ))
        await asyncio.sleep(0)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert not server.requests


# -- On, off, and left out ---------------------------------------------------------------------------------------------


async def test_no_limiter_is_none_and_left_out_is_the_default(fake_time: FakeTime) -> None:
    """1001 calls in no time: without a limiter all are sent at once; with the default, the last one waits a minute."""
    async with WireServer() as server:
        async with client_for(server, fake_time, rate_limiter=None) as client:
            for _ in range(1001):
                await client.call(READ)
        assert fake_time.sleeps == []
        async with client_for(server, fake_time) as client:
            for _ in range(1001):
                await client.call(READ)
        assert fake_time.sleeps == [60]


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


async def test_attempts_that_reach_no_server_use_their_slots(fake_time: FakeTime) -> None:
    """So a server that can't be reached is tried no more often than one that can."""
    limiter = LocalRateLimiter(10, 60, clock=fake_time.clock)
    async with WireServer() as server:
        client = client_for(server, fake_time, rate_limiter=limiter)
    # Nobody listens there any more.
    async with client:
        with pytest.raises(ConnectionFailedError) as caught:
            await client.call(READ)
    assert (caught.value.outcome, len(caught.value.attempts)) == (Outcome.NOT_SENT, 5)
    assert limiter.used(READ.name) == 5


async def test_call_cancelled_while_a_limiter_answers_leaves_it_to_the_limiter() -> None:
    """Whether it has reserved a slot, and which, nobody else knows: nothing is given back that may not have been."""
    asked, freed, told = asyncio.Event(), asyncio.Event(), list[float]()

    class Own(LocalRateLimiter):
        def acquire(self, operation: str, patience: float) -> Any:
            return self._reserve()

        async def _reserve(self) -> float:
            asked.set()
            try:
                return await asyncio.Event().wait()
            except asyncio.CancelledError:
                freed.set()
                raise

        def give_back(self, operation: str, wait: float) -> None:
            told.append(wait)

    async with WireServer() as server, MembershipClient(server.url, "key", rate_limiter=Own(1)) as client:
        call = asyncio.create_task(client.call(READ))
        await asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
    assert (freed.is_set(), told, server.requests) == (True, [], [])


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
        with pytest.raises(ClientThrottledError) as caught:
            await client.call(READ)
    assert "no slot within the total timeout" in str(caught.value)
    json.dumps(caught.value.to_dict(), allow_nan=False)
    assert not server.requests
