"""R-24: a fleet's rate limit in Redis: real servers, processes, loops, and a Redis that goes away and comes back."""

import asyncio
import gc
import logging
import multiprocessing
import os
import signal
import ssl
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
import trustme
from cases import goes_through
from redis_server import RedisServer, redis_server
from wire import CannedAnswer, WireServer

from membership_sdk import ClientThrottledError, MembershipClient, RetryPolicy, VoidResult
from sdk_core.operation import Effect, Operation
from sdk_core.ratelimit import spread

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
KEY = "the-secret-api-key"
MODULE = "sdk_core.integrations.redis"


def limiter_at(*arguments: Any, **settings: Any) -> Any:
    from sdk_core.integrations.redis import RedisRateLimiter

    return RedisRateLimiter(*arguments, **settings)


def client_of(server: RedisServer) -> Any:
    from redis import Redis

    return Redis.from_url(server.url)


@pytest.fixture(scope="module")
def shared_server() -> Iterator[RedisServer]:
    with redis_server() as server:
        yield server


@pytest.fixture
def server(shared_server: RedisServer) -> Iterator[RedisServer]:
    """A Redis that is running and empty."""
    with client_of(shared_server) as redis:
        redis.flushall()
    yield shared_server
    # A test may have killed it.
    shared_server.restart()


@asynccontextmanager
async def fleet(server: RedisServer, size: int, *settings: Any, **more: Any) -> AsyncIterator[list[Any]]:
    """Give the limiters of several workers."""
    limiters = [limiter_at(server.url, KEY, *settings, **{"workers": size, "guard": 0, **more}) for _ in range(size)]
    try:
        yield limiters
    finally:
        for limiter in limiters:
            await limiter.aclose()


def connections_of(server: RedisServer) -> int:
    with client_of(server) as redis:
        clients: Any = redis.client_list()
        return len(clients) - 1


@asynccontextmanager
async def behind_tls(server: RedisServer) -> AsyncIterator[tuple[str, Callable[[], None]]]:
    """Give the `rediss://` URL of a server, and what makes it hang: then it does not even answer the end of TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    tunnels: dict[asyncio.StreamWriter, Any] = {}

    async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tunnels[writer] = asyncio.current_task()
        inner, outer = await asyncio.open_connection("127.0.0.1", server._port)
        await asyncio.gather(pipe(reader, outer), pipe(inner, writer))

    def hang() -> None:
        for tunnel in tunnels:
            transport: Any = tunnel.transport
            transport.pause_reading()

    async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as listening:
        yield f"rediss://127.0.0.1:{listening.sockets[0].getsockname()[1]}/0?ssl_cert_reqs=none", hang
        for tunnel in tunnels:
            tunnel.transport.abort()
        await asyncio.gather(*tunnels.values())
        # The clients have yet to see it.
        await asyncio.sleep(0.01)


def near(wait: float) -> Any:
    """What is left of a wait, some time later."""
    return pytest.approx(wait - 0.45, abs=0.5)


# -- The budget --------------------------------------------------------------------------------------------------------


async def test_workers_share_a_budget_for_each_operation_and_key(server: RedisServer) -> None:
    async with fleet(server, 2, 3) as (one, other), limiter_at(server.url, "another", 3, workers=2) as stranger:
        waits = [await limiter.acquire("a", 999) for limiter in (one, other, one, other, one, other, one)]
        assert waits == [0, 0, 0, near(60), near(60), near(60), near(120)]
        assert await one.acquire("b", 0) == 0
        assert await stranger.acquire("a", 0) == 0


async def test_slot_beyond_the_patience_is_not_reserved(server: RedisServer) -> None:
    async with fleet(server, 1, 1) as [limiter]:
        assert await limiter.acquire("a", 0) == 0
        for _ in range(3):
            assert await limiter.acquire("a", 59) == near(60)
        assert await limiter.acquire("a", 999) == near(60)
        assert await limiter.acquire("a", 999) == near(120)


async def test_period_is_kept_longer_by_the_guard(server: RedisServer) -> None:
    async with fleet(server, 1, 1, 100.0, guard=0.02) as [limiter]:
        assert [await limiter.acquire("a", 999) for _ in range(2)] == [0, near(102)]


async def test_never_too_many_in_a_period_however_many_ask_at_once(server: RedisServer) -> None:
    """Two workers, 200 calls at once, some of which change their minds."""
    async with fleet(server, 2, 10, 5.0) as limiters:
        begun = time.monotonic()
        starts: list[float] = []

        async def ask(number: int) -> None:
            limiter = limiters[number % 2]
            wait = await limiter.acquire("a", 999)
            start = time.monotonic() - begun + wait
            if number % 7 == 3 and wait > 0:
                await limiter.give_back("a", begun + start - time.monotonic())
            else:
                starts.append(start)

        await asyncio.gather(*(ask(number) for number in range(200)))
        # The moments are this process', not exactly those of Redis.
        for start in starts:
            assert sum(start <= other < start + 5 - 0.5 for other in starts) <= 10


async def test_slot_given_back_is_the_next_callers(server: RedisServer) -> None:
    async with fleet(server, 2, 1) as (one, other):
        assert [await one.acquire("a", 999) for _ in range(4)] == [0, near(60), near(120), near(180)]
        await one.give_back("a", 180)
        assert await other.acquire("a", 999) == near(180)
        await other.give_back("never asked", 1)


async def test_429_of_one_pauses_all(server: RedisServer) -> None:
    """Those who ask, and those whose slot is due; other operations go on; a longer pause is not cut short."""
    async with fleet(server, 2, 5) as (one, other):
        assert await other.acquire("a", 0) == 0
        assert await other.confirm("a", 0) == 0
        await one.on_rate_limited("a", 30)
        await one.on_rate_limited("a", 3)
        assert 29.9 <= await other.confirm("a", 99) <= 31
        assert 29.9 <= await other.acquire("a", 99) <= 31
        assert await other.confirm("b", 0) == 0
        assert await other.acquire("b", 0) == 0


async def test_slot_within_a_pause_is_freed_for_one_after_it(server: RedisServer) -> None:
    """Who was held back takes no second slot of the budget."""
    async with fleet(server, 2, 2) as (one, other):
        assert await one.acquire("a", 0) == 0
        await other.on_rate_limited("a", 10)
        assert await one.confirm("a", 99) == pytest.approx(10.5, abs=0.7)
        assert await other.acquire("a", 99) == pytest.approx(10.5, abs=0.7)
        assert await other.acquire("a", 99) == pytest.approx(70.5, abs=0.7)


async def test_few_start_in_one_instant(server: RedisServer) -> None:
    """When one of those who waited is refused, the others can still hear of it."""
    async with fleet(server, 1, 100, 9.0) as [limiter]:
        begun = time.monotonic()
        starts = [await limiter.acquire("a", 999) + time.monotonic() - begun for _ in range(200)]
        assert starts[-1] - starts[100] >= 99 * 0.01 - 0.05
    spreads = sorted(spread() for _ in range(1000))
    assert spreads[100] > 0.25


async def test_redis_forgets_what_is_over(server: RedisServer) -> None:
    async with fleet(server, 1, 5, 0.05) as [limiter]:
        for _ in range(3):
            await limiter.acquire("a", 1)
        await limiter.on_rate_limited("a", 0.05)
        with client_of(server) as redis:
            keys: Any = redis.keys()
            assert len(keys) == 3
            assert all(0 < redis.pttl(key) <= 1200 for key in keys if not key.endswith(b":memory"))


async def test_key_is_only_hashed_in_redis(server: RedisServer) -> None:
    """With a hash tag, so that a cluster keeps what a script needs together."""
    async with fleet(server, 1, 5) as [limiter]:
        await limiter.acquire(READ.name, 0)
        await limiter.on_rate_limited(READ.name, 9)
        assert KEY not in repr(limiter)
    with client_of(server) as redis:
        names: Any = redis.keys()
        everything = b" ".join(name + redis.dump(name) for name in names)
    assert KEY.encode() not in everything
    assert len({name[name.index(b"{") : name.index(b"}")] for name in names}) == 1


# -- In a client -------------------------------------------------------------------------------------------------------


@pytest.mark.real_time("the limit of a fleet, and its pause, are kept by the clock of Redis")
async def test_clients_of_two_workers(server: RedisServer) -> None:
    """Real sleeps: three calls of a budget of two; the third waits for its slot, whichever worker makes it."""
    async with fleet(server, 2, 2, 0.3) as limiters, WireServer() as api:
        clients = [MembershipClient(api.url, "key", rate_limiter=limiter) for limiter in limiters]
        begun = time.monotonic()
        for client in (*clients, clients[0]):
            await client.call(READ)
        assert time.monotonic() - begun >= 0.28
        for client in clients:
            await client.aclose()


@pytest.mark.real_time("the limit of a fleet, and its pause, are kept by the clock of Redis")
async def test_429_of_one_client_holds_the_other_back(server: RedisServer) -> None:
    refusal = CannedAnswer(429, headers={"Retry-After": "0.4"})
    once = RetryPolicy(max_attempts=1)
    async with fleet(server, 2, 9) as limiters, WireServer(refusal, CannedAnswer()) as api:
        one, other = (MembershipClient(api.url, "key", rate_limiter=limiter, retry=once) for limiter in limiters)
        async with one, other:
            with pytest.raises(Exception, match="429"):
                await one.call(READ)
            begun = time.monotonic()
            await other.call(READ)
            assert time.monotonic() - begun >= 0.38


# -- Redis goes away ---------------------------------------------------------------------------------------------------


async def test_each_keeps_to_its_share_while_redis_is_gone(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """What was granted counts; one warning, however many ask; other operations have their shares."""
    async with fleet(server, 2, 4) as (limiter, _other):
        assert [await limiter.acquire("a", 0) for _ in range(1)] == [0]
        server.kill()
        waits = await asyncio.gather(*(limiter.acquire("a", 999) for _ in range(4)))
        assert sorted(waits) == [0, near(60), near(60), near(120)]
        assert await limiter.acquire("b", 0) == 0
        await limiter.on_rate_limited("b", 30)
        assert 29.9 <= await limiter.confirm("b", 99) <= 31
        await limiter.give_back("b", 30)
    [record] = caplog.records
    assert (record.levelname, record.name) == ("WARNING", MODULE)
    assert "Redis does not answer (ConnectionError" in record.getMessage()


async def test_share_that_others_have_used_is_not_used_again(server: RedisServer) -> None:
    """All four slots went to one worker; when Redis goes, the other has nothing left of its two for a period."""
    async with fleet(server, 2, 4) as (one, other):
        assert [await one.acquire("a", 0) for _ in range(4)] == [0] * 4
        assert await other.acquire("a", 0) == near(60)
        assert await other.acquire("b", 0) == 0
        server.kill()
        assert [await other.acquire("a", 999) for _ in range(2)] == [near(60)] * 2
        assert await one.acquire("a", 999) == near(60)
        assert await other.acquire("b", 999) == 0


async def test_redis_that_is_back_and_empty_is_not_trusted_for_a_period(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has forgotten what was granted: for one period each worker keeps to its share as well."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(f"{MODULE}._ASK_AGAIN", 0.0)
    async with fleet(server, 2, 4) as (one, other):
        assert [await one.acquire("a", 0), await other.acquire("a", 0)] == [0, 0]
        server.kill()
        assert [await one.acquire("a", 0), await other.acquire("a", 0)] == [0, 0]
        server.restart()
        # All four are gone, and Redis knows of none.
        assert [await one.acquire("a", 0), await other.acquire("a", 0)] == [near(60), near(60)]
        assert await one.acquire("b", 0) == 0
        later = time.monotonic() + 70
        monkeypatch.setattr(f"{MODULE}.time.monotonic", lambda: later)
        assert await one.acquire("c", 0) == 0
        assert [await one.acquire("c", 0), await one.acquire("c", 0), await one.acquire("c", 0)] == [0, 0, 0]
    assert [record.levelname for record in caplog.records if record.name == MODULE] == [
        "WARNING",
        "WARNING",
        "INFO",
    ]


async def test_redis_that_has_lost_what_it_knew_is_noticed(
    server: RedisServer, caplog: pytest.LogCaptureFixture
) -> None:
    """Flushed, failed over, or restarted so fast that nobody missed it: each keeps to its share as well."""
    caplog.set_level(logging.INFO)
    async with fleet(server, 2, 4) as (one, other):
        assert [await one.acquire("a", 0), await other.acquire("a", 0)] == [0, 0]
        with client_of(server) as redis:
            redis.flushall()
        for limiter in (one, other):
            assert [await limiter.acquire("a", 99) for _ in range(2)] == [0, near(60)]
        with client_of(server) as redis:
            redis.flushall()
        assert await one.confirm("a", 0) == 0
    assert {record.levelname for record in caplog.records} == {"INFO"}
    assert all("Redis has lost what it knew" in record.getMessage() for record in caplog.records)


async def test_clock_of_redis_that_is_set_back_is_noticed(server: RedisServer) -> None:
    """What it noted before is ten minutes ahead, pauses too; a few milliseconds are not worth a word."""
    async with fleet(server, 2, 4) as (one, other):
        assert [await one.acquire("a", 0), await other.acquire("a", 0), await other.acquire("b", 0)] == [0, 0, 0]
        await one.on_rate_limited("b", 30)
        set_back(server, by=0.3)
        assert await one.acquire("a", 0) == 0
        set_back(server, by=600)
        assert [await one.acquire("a", 99) for _ in range(2)] == [near(60), near(60)]
        assert [await other.acquire("a", 99) for _ in range(2)] == [0, near(60)]
        assert [await other.acquire("b", 99) for _ in range(2)] == [0, near(60)]


def set_back(server: RedisServer, by: float) -> None:
    """Leave what Redis has noted as it is when its clock is set back: ahead, by so many seconds."""
    ahead = by * 1e6
    with client_of(server) as redis:
        for key in list(redis.scan_iter()):
            kind = redis.type(key)
            if kind == b"zset":
                for member, start in redis.zrange(key, 0, -1, withscores=True):
                    redis.zadd(key, {member: start + ahead})
            elif kind == b"hash":
                for field in set(redis.hkeys(key)) - {b"id"}:
                    redis.hincrby(key, field, round(ahead))
            else:
                redis.incrby(key, round(ahead))
            redis.pexpire(key, redis.pttl(key) + round(by * 1000))


async def test_all_kept_connections_are_lost_at_once(
    server: RedisServer, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A restart ends each of the pool's; that is one outage, and not one for each of them."""
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(f"{MODULE}._ASK_AGAIN", 0.0)
    async with fleet(server, 1, 99) as [limiter]:
        await asyncio.gather(*(limiter.acquire("a", 0) for _ in range(50)))
        assert connections_of(server) > 1
        server.restart()
        await asyncio.sleep(0.01)
        assert [await limiter.acquire("b", 0) for _ in range(2)] == [0, 0]
        assert set(await asyncio.gather(*(limiter.acquire("b", 0) for _ in range(30)))) == {0}
    # Lower versions of redis-py open such connections again by themselves: then only what Redis has lost is noticed.
    assert [record.levelname for record in caplog.records] in (["WARNING", "INFO"], ["INFO"])


async def test_redis_that_hangs_is_asked_once_and_then_not_for_a_while(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is stopped holds its connections open, and says nothing."""
    monkeypatch.setattr(f"{MODULE}._PATIENCE", 0.1)
    process = server._process
    assert process is not None
    async with fleet(server, 1, 9) as [limiter]:
        await limiter.acquire("a", 0)
        process.send_signal(signal.SIGSTOP)
        try:
            begun = time.monotonic()
            assert [await limiter.acquire("a", 0) for _ in range(5)] == [0] * 5
            assert 0.1 <= time.monotonic() - begun < 0.3
        finally:
            process.send_signal(signal.SIGCONT)


async def test_redis_that_hangs_behind_tls_leaves_each_its_share(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It never ends TLS on the kept connections, which all calls drop that had no answer: nobody waits for that."""
    async with (
        WireServer() as api,
        behind_tls(server) as (url, hang),
        limiter_at(url, KEY, 40, workers=20) as limiter,
        MembershipClient(api.url, "key", rate_limiter=limiter, total_timeout=5) as client,
    ):
        await asyncio.gather(*(limiter.acquire("b", 0) for _ in range(10)))
        hang()
        monkeypatch.setattr(f"{MODULE}._PATIENCE", 0.1)
        calls = await asyncio.gather(*(client.call(READ) for _ in range(8)), return_exceptions=True)
        assert len(api.requests) == 2
        assert sum(isinstance(each, ClientThrottledError) for each in calls) == 6


async def test_limiter_is_closed_though_redis_hangs_behind_tls(
    server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{MODULE}_clients._CLOSED_WITHIN", 0.04)
    async with behind_tls(server) as (url, hang):
        limiter = limiter_at(url, KEY, 40, workers=20)
        assert await limiter.acquire("a", 0) == 0
        hang()
        async with asyncio.timeout(5):
            await limiter.aclose()


async def test_no_call_fails_for_a_redis_that_was_never_there(caplog: pytest.LogCaptureFixture) -> None:
    with redis_server() as gone:
        url = gone.url
    async with (
        WireServer() as api,
        limiter_at(url, KEY, 8, workers=2) as limiter,
        MembershipClient(api.url, "key", rate_limiter=limiter) as client,
    ):
        await asyncio.gather(*(client.call(READ) for _ in range(4)))
        assert len(api.requests) == 4
    assert [record.levelname for record in caplog.records] == ["WARNING"]


async def test_client_of_the_callers_own_that_fails_is_a_redis_that_is_gone() -> None:
    def connect() -> Any:
        raise LookupError("no master")

    async with limiter_at(connect, KEY, 8, workers=2) as limiter:
        assert await limiter.acquire("a", 0) == 0


# -- Loops, threads, processes -----------------------------------------------------------------------------------------


def test_connections_end_with_their_loop(server: RedisServer) -> None:
    """A limiter as a module global, `asyncio.run` for each task, and never closed: nothing is left open."""
    limiter = limiter_at(server.url, KEY, 2, workers=1)

    async def ask() -> float:
        return (await asyncio.gather(*(limiter.acquire("a", 999) for _ in range(20))))[0]

    with warnings.catch_warnings(action="error"):
        for _ in range(3):
            asyncio.run(ask())
            assert connections_of(server) == 0
        gc.collect()
    assert len(limiter._clients._open) <= 1


async def test_connections_are_few_and_closed(server: RedisServer) -> None:
    async with fleet(server, 1, 5) as [limiter]:
        await asyncio.gather(*(limiter.acquire("a", 999) for _ in range(200)))
        assert 1 <= connections_of(server) <= 10
        await limiter.aclose()
        assert connections_of(server) == 0
        assert await limiter.acquire("b", 0) == 0


async def test_connections_of_another_loop_are_closed_by_it(server: RedisServer) -> None:
    limiter = limiter_at(server.url, KEY, 5, workers=1)
    ready = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def elsewhere() -> None:
        await limiter.acquire("a", 0)
        loops.append(asyncio.get_running_loop())
        ready.set()
        await asyncio.Event().wait()

    thread = threading.Thread(target=lambda: asyncio.run(_until_cancelled(elsewhere())))
    thread.start()
    await asyncio.to_thread(ready.wait)
    assert await limiter.acquire("a", 0) == 0
    assert connections_of(server) == 2
    await limiter.aclose()
    while connections_of(server):
        await asyncio.sleep(0.01)
    loops[0].call_soon_threadsafe(lambda: [task.cancel() for task in asyncio.all_tasks(loops[0])])
    await asyncio.to_thread(thread.join)


async def _until_cancelled(work: Any) -> None:
    with suppress(asyncio.CancelledError):
        await work


async def test_cancelled_questions_mix_up_no_answers(server: RedisServer) -> None:
    """What is cancelled while Redis answers must not leave its answer to the next question on that connection."""
    async with fleet(server, 1, 1) as [limiter]:
        for turn in range(40):
            ask = asyncio.create_task(limiter.acquire("a", 999))
            for _ in range(turn % 8):
                await asyncio.sleep(0)
            ask.cancel()
            await asyncio.wait([ask])
            assert await limiter.acquire(f"b{turn}", 0) == 0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
async def test_forked_workers_share_the_budget(server: RedisServer) -> None:
    """A child has the limiter of its parent, with connections of its own, on a loop of its own."""
    async with fleet(server, 1, 3) as [limiter]:
        assert await limiter.acquire("a", 0) == 0
        fork = multiprocessing.get_context("fork")
        answers = fork.SimpleQueue()
        with warnings.catch_warnings(action="ignore"):
            child = fork.Process(target=_ask_in_child, args=(limiter, answers))
            child.start()
        assert await asyncio.to_thread(answers.get) == [0, 0, near(60)]
        child.join()
        assert await limiter.acquire("a", 999) == near(60)


def _ask_in_child(limiter: Any, answers: Any) -> None:
    async def ask() -> list[float]:
        return [await limiter.acquire("a", 999) for _ in range(3)]

    # The parent's loop is marked as running in the child, too.
    asyncio._set_running_loop(None)
    answers.put(asyncio.run(ask()))


# -- Settings ----------------------------------------------------------------------------------------------------------


@goes_through(
    ("arguments", "error", "text"),
    [
        ({"redis": "http://localhost"}, ValueError, "redis://"),
        ({"redis": 7}, TypeError, "redis must be a str, not int"),
        ({"key": ""}, ValueError, "key"),
        ({"key": 7}, TypeError, "key"),
        ({"limit": 0}, ValueError, "limit"),
        ({"period": 0}, ValueError, "period"),
        ({"workers": 0}, ValueError, "workers"),
        ({"guard": -0.1}, ValueError, "guard must be a number from 0 to 1"),
        ({"guard": "x"}, ValueError, "guard"),
    ],
)
def test_settings_are_checked(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    settings: dict[str, Any] = {"redis": "redis://:hidden@localhost", "key": KEY, "limit": 1, "workers": 1, **arguments}
    with pytest.raises(error, match=text) as caught:
        limiter_at(**settings)
    assert "hidden" not in str(caught.value)
    assert KEY not in str(caught.value)


def test_without_the_extra_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['redis'] = None; import membership_sdk; import sdk_core.integrations.redis"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert "needs: pip install 'membership-cloudcockpit-sdk[redis]'" in done.stderr
