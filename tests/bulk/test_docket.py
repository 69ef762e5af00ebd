"""Bulk runs on workers of pydocket: whatever dies, each effect happens once, and the journal says so."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncGenerator, Awaitable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from bulk_program import commands
from redis_server import RedisServer, redis_server
from wire import FakeTime

from benchmarks.bulk.kills import judge
from benchmarks.bulk.server import CONTRACT, CUSTOMER, LATEST, Server, serving
from membership_sdk import MembershipClient, RetryPolicy, bulk
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.bulk.journal import JournalRow
from sdk_core.bulk.result import Ending
from sdk_core.bulk.row import InProcess

ROWS, WORKERS, KILLS = 90, 3, 3
OPTIONS = bulk.RowOptions(resend_after=2 * LATEST, timeout=3.0)


def plan(rows: int) -> list[dict[str, object]]:
    return [{"customer_id": CUSTOMER + i, "contract_id": CONTRACT + i} for i in range(rows)]


def a_run(
    client: MembershipClient, redis: RedisServer, journal: Path, rows: int, *, resume: bool = False
) -> bulk.BulkRun:
    return bulk.run(
        client,
        plan(rows),
        journal=journal,
        operation="withdraw_cancelation",
        resume=resume,
        concurrency=30,
        engine=partial(_engine, redis.url),
    )


@asynccontextmanager
async def _engine(redis_url: str, run: str) -> AsyncGenerator[object]:
    from sdk_core.bulk.docket import docket_engine

    async with docket_engine(redis_url, "membership_sdk", run, OPTIONS) as engine:
        yield engine


async def start_worker(server: Server, redis: RedisServer) -> asyncio.subprocess.Process:
    program = Path(__file__).with_name("docket_worker.py")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "DOCKET_LOGGING_LEVEL": "CRITICAL"}
    return await asyncio.create_subprocess_exec(
        sys.executable, str(program), server.url, redis.url, env=env, stderr=asyncio.subprocess.DEVNULL
    )


async def kill_some(server: Server, redis: RedisServer, workers: list[asyncio.subprocess.Process]) -> None:
    chance = random.Random(5)
    for number in range(KILLS):
        await asyncio.sleep(0.3 + chance.random() / 2)
        if number == KILLS // 2:
            redis.kill()
            await asyncio.sleep(0.3)
            await asyncio.to_thread(redis.restart)
        victim = chance.randrange(WORKERS)
        workers[victim].kill()
        await workers[victim].wait()
        workers[victim] = await start_worker(server, redis)


@pytest.mark.real_time("what is killed is in the middle of something")
@pytest.mark.endurance
@pytest.mark.filterwarnings("default")
async def test_each_effect_happens_once_whatever_dies(tmp_path: Path) -> None:
    with (
        redis_server(appendonly=True) as redis,
        serving(ROWS, canceled=True, latency=0.2, faulty=True, seed=5) as server,
    ):
        workers = [await start_worker(server, redis) for _ in range(WORKERS)]
        try:
            async with MembershipClient(server.url, MembershipSandbox.API_KEY) as client:
                killing = asyncio.create_task(kill_some(server, redis, workers))
                # The driver is cancelled once, too, and starts anew.
                with suppress(TimeoutError):
                    async with asyncio.timeout(1.0), a_run(client, redis, tmp_path / "run.db", ROWS) as run:
                        async for _result in run:
                            pass
                for _ in range(5):
                    async with a_run(client, redis, tmp_path / "run.db", ROWS, resume=True) as run:
                        async for _result in run:
                            pass
                    if set(bulk.status_of(tmp_path / "run.db").counts) <= {"done", "settled"}:
                        break
                await killing
        finally:
            for worker in workers:
                worker.kill()
                await worker.wait()
        verdict = await asyncio.to_thread(judge, server, tmp_path / "run.db", KILLS)
        assert verdict.holds, verdict


@pytest.mark.real_time("the row is read until the effect of its lost request could have come")
@pytest.mark.filterwarnings("default")
async def test_a_row_that_a_worker_has_begun_with_is_read_first(tmp_path: Path) -> None:
    from redis.asyncio import Redis

    with redis_server() as redis:
        async with MembershipSandbox() as sandbox, sandbox.client() as client, working(client, redis):
            ids = {"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CANCELED_CONTRACT_ID}
            run = bulk.run(
                client,
                [ids],
                journal=tmp_path / "run.db",
                operation="withdraw_cancelation",
                engine=partial(_engine, redis.url),
            )
            async with run, Redis.from_url(redis.url) as at_redis:
                await at_redis.hset(f"membership_sdk:bulk:{run._journal.facts.id}:begun", "1", "1")
                assert [result.outcome async for result in run] == [bulk.RowOutcome.DONE]
            calls = [request.operation for request in sandbox.requests]
            assert calls[0] == "get_contract_data"
            assert (calls.count("withdraw_contract_cancelation"), len(sandbox.ledger)) == (1, 1)


@pytest.mark.filterwarnings("default")
async def test_an_ending_that_no_driver_took_is_taken_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, may_go_on, real = asyncio.Event(), asyncio.Event(), InProcess.send

    async def send(engine: InProcess, row: JournalRow) -> Ending:
        begun.set()
        await may_go_on.wait()
        return await real(engine, row)

    monkeypatch.setattr(InProcess, "send", send)
    with redis_server() as redis:
        async with MembershipSandbox() as sandbox, sandbox.client() as client, working(client, redis):
            run = a_sandbox_run(sandbox, client, redis, tmp_path / "run.db")
            await left_once(begun.wait(), run)
            may_go_on.set()
            run = bulk.run(client, None, journal=tmp_path / "run.db", resume=True, engine=partial(_engine, redis.url))
            async with run:
                assert [result.outcome async for result in run] == [bulk.RowOutcome.DONE]
            assert len(sandbox.requests) == 1


@pytest.mark.filterwarnings("default")
async def test_rows_of_a_run_that_is_over_are_sent_by_nobody(tmp_path: Path, fake_time: FakeTime) -> None:
    from redis.asyncio import Redis

    from sdk_core.bulk.docket import work

    path, retry = tmp_path / "run.db", RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    with redis_server() as redis:
        async with (
            MembershipSandbox() as sandbox,
            sandbox.client(retry=retry) as client,
            Redis.from_url(redis.url) as at_redis,
        ):
            run = a_sandbox_run(sandbox, client, redis, path)
            await left_once(are_queued(at_redis), run)
            assert bulk.status_of(path).counts == {"sent": 1}
            await work(client, bulk.CATALOGUE, redis.url, until_finished=True)
            assert sandbox.requests == []
            # It goes on there, and there only: what is queued could be sent from two places else.
            for options in ({}, {"engine": partial(_engine, redis.url.removesuffix("0") + "1")}):
                other = bulk.run(client, None, journal=path, resume=True, **options)
                with pytest.raises(
                    bulk.JournalError, match="may still be queued in docket at the Redis of 127"
                ) as told:
                    await other.__aenter__()
                assert "go on there (--engine docket and this --redis; " in str(told.value)
            async with working(client, redis):
                run = bulk.run(client, None, journal=path, resume=True, engine=partial(_engine, redis.url))
                async with run:
                    assert [result.outcome async for result in run] == [bulk.RowOutcome.DONE]
            assert len(sandbox.ledger) == 1


@pytest.mark.filterwarnings("default")
async def test_a_run_is_open_to_workers_while_its_driver_is_at_work(tmp_path: Path) -> None:
    from redis.asyncio import Redis

    with redis_server() as redis:
        async with MembershipSandbox() as sandbox, sandbox.client() as client, Redis.from_url(redis.url) as at_redis:
            run = a_sandbox_run(sandbox, client, redis, tmp_path / "run.db")
            async with run:
                key = f"membership_sdk:bulk:{run._journal.facts.id}:open"
                async with asyncio.timeout(5):
                    while not await at_redis.exists(key):
                        await asyncio.sleep(0.02)
                assert 0 < await at_redis.ttl(key) <= 60
            assert not await at_redis.exists(key)


async def test_a_row_that_redis_has_forgotten_is_read_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is handed out once more may have been sent by whoever had it before."""
    from sdk_core.bulk.docket import DocketEngine, docket_engine

    known = [None, None, None, Ending(outcome=bulk.RowOutcome.DONE, correlation_id="id", attempts=1)]
    handed_out: list[bool] = []

    async def ending_of(*_arguments: object) -> Ending | None:
        return known.pop(0)

    async def hand_out(*_arguments: object, may_be_sent: bool) -> None:
        handed_out.append(may_be_sent)

    monkeypatch.setattr("sdk_core.bulk.docket._LOOK_AGAIN", 0.0)
    monkeypatch.setattr(DocketEngine, "_known", ending_of)
    monkeypatch.setattr(DocketEngine, "_hand_out", hand_out)
    with redis_server() as redis:
        async with docket_engine(redis.url, "membership_sdk", "1", OPTIONS) as engine:
            await engine.send(JournalRow(1, 2, "withdraw_cancelation", "{}", False, "id", 0.0))
    assert handed_out == [False, True]


async def test_what_is_told_of_a_redis_has_no_login_in_it() -> None:
    from sdk_core.bulk.docket import docket_engine

    with redis_server() as redis:
        url = redis.url.replace("//", "//default:secret@").removesuffix("0") + "3"
        async with docket_engine(url, "membership_sdk", "1", OPTIONS) as engine:
            where = redis.url.removeprefix("redis://").removesuffix("/0")
            assert engine.queue == f"docket at the Redis of {where}, database 3"


def a_sandbox_run(
    sandbox: MembershipSandbox, client: MembershipClient, redis: RedisServer, journal: Path
) -> bulk.BulkRun:
    return bulk.run(
        client,
        [{"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CANCELED_CONTRACT_ID}],
        journal=journal,
        operation="withdraw_cancelation",
        engine=partial(_engine, redis.url),
    )


async def left_once(it_is_so: Awaitable[object], run: bulk.BulkRun) -> None:
    """Carry a run out until something is so; then cancel it, as a second Ctrl-C does."""
    async with run:
        result = asyncio.create_task(anext(run, None))
        await it_is_so
        run.cancel()
        assert await result is None


async def are_queued(redis: Any) -> None:
    while not await redis.xlen("membership_sdk-bulk:stream"):
        await asyncio.sleep(0.02)


@asynccontextmanager
async def working(client: MembershipClient, redis: RedisServer) -> AsyncGenerator[None]:
    from sdk_core.bulk.docket import work

    task = asyncio.create_task(work(client, bulk.CATALOGUE, redis.url))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.mark.filterwarnings("default")
async def test_the_commands_hand_rows_to_workers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with redis_server() as redis:
        async with MembershipSandbox() as sandbox:
            plan = tmp_path / "plan.csv"
            ids = f"{sandbox.CUSTOMER_ID},{sandbox.CANCELED_CONTRACT_ID}"
            plan.write_text(f"operation,customer_id,contract_id\nwithdraw-cancelation,{ids}\n", encoding="utf-8")
            monkeypatch.setenv("REDIS_URL", redis.url)
            worker = asyncio.create_task(commands(sandbox.url).worker())
            code = await commands("http://127.0.0.1:9").bulk(
                str(plan), journal=tmp_path / "run.db", engine="docket", yes=True
            )
            worker.cancel()
            with suppress(asyncio.CancelledError):
                await worker
            assert (code, len(sandbox.ledger), len(sandbox.requests)) == (0, 1, 1)


@pytest.mark.parametrize("answer", ["an error", "an answer"])
async def test_a_run_can_be_left_though_redis_loses_the_cancelation(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As redis-py does now and then while it connects anew."""
    from redis.asyncio import Redis
    from redis.exceptions import ConnectionError as RedisConnectionError

    from sdk_core.bulk.docket import docket_engine

    asked = asyncio.Event()
    real = Redis.blpop

    async def lose(*keys: Any, **options: Any) -> Any:
        if asked.is_set():
            return await real(*keys, **options)
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if answer == "an error":
                raise RedisConnectionError from None

    monkeypatch.setattr(Redis, "blpop", lose)
    with redis_server() as redis:
        async with asyncio.timeout(5) as limit, docket_engine(redis.url, "membership_sdk", "1", OPTIONS):
            await asked.wait()
        assert not limit.expired()


async def test_workers_need_a_redis(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    program = commands("http://127.0.0.1:9")
    assert await program.worker() == 2
    assert await program.bulk("plan.csv", journal=tmp_path / "run.db", engine="docket", yes=True) == 2
    assert list(tmp_path.iterdir()) == []
