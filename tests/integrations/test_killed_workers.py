"""Workers that are killed between request and acknowledgement, as those of the examples: each task ends, done once.

`KILLS=20 python -m pytest -n 0 -s -m kills` kills twenty of each, and says when; the suite only two, and of Celery no
whole worker: what it held comes back after the visibility timeout.
"""

import asyncio
import os
import sys
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from attrs import frozen
from rabbitmq_server import rabbitmq_server
from redis_server import redis_server
from workers import PATIENCE, Slow, Studio, Tenant, program, run_killed, worker

from membership_sdk import Outcome, SdkError

pytestmark = [
    pytest.mark.kills,
    pytest.mark.endurance,
    pytest.mark.real_time("the studio takes its time, and the worker is killed meanwhile"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills the processes that Linux lists in /proc"),
]
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "1"))


@frozen
class Work:
    """A task that is done for each number of a server."""

    server: Callable[[int], Slow]
    task: str
    celery: str = "worker_celery"
    docket: str = "worker_docket"
    """The modules that hold it."""


WITHDRAW = Work(Studio, "withdraw")
WITHDRAW_ONCE = Work(Studio, "withdraw_once")
SWITCH = Work(Tenant, "switch", "celery_subscriptions", "docket_subscriptions")
ALL_WORK = [
    pytest.param(WITHDRAW, id="membership"),
    pytest.param(SWITCH, id="cloudcockpit"),
    pytest.param(
        WITHDRAW_ONCE,
        id="single-write",
        marks=pytest.mark.skipif(KILLS <= 2, reason="that a single write is not repeated, others test for one"),
    ),
]


def check(server: Slow, work: Work, ends: list[Any], phases: Counter[str]) -> None:
    """One effect for each number, and one end for each task.

    A workflow has succeeded, and says what it knows of its own part. A single write may have failed: then nobody knows,
    and it was not repeated.
    """
    everyone = list(range(server.FIRST, server.FIRST + KILLS))
    requests = [server.requests_for(number) for number in everyone]
    errors = [end for end in ends if isinstance(end, SdkError)]
    sys.stdout.write(
        f"\n{work.task}: {KILLS} tasks killed {dict(phases)}: {len(server.changed)} effects, {sum(requests)} requests, "
        f"at most {max(requests)} for one; {ends.count('none')} found it done, {len(errors)} end with nobody knowing\n"
    )
    # What was not in between was no test.
    assert phases["before its effect"] + phases["before its answer"] > 0
    assert len(ends) == KILLS
    assert sorted(server.changed) == everyone
    if work is WITHDRAW_ONCE:
        assert set(requests) == {1}
        assert {end if end is None else end.outcome for end in ends} <= {None, Outcome.UNKNOWN}
    else:
        assert set(ends) <= {"acknowledged", "none"}


@pytest.mark.parametrize("work", ALL_WORK)
async def test_killed_celery_workers_do_each_task_once(work: Work) -> None:
    """Its pool process, or all of it: then another worker gets the task when the visibility timeout is over."""
    command = ("-m", "celery", "--app", work.celery, "worker", "--concurrency", "1", "--loglevel", "INFO")
    with redis_server() as redis:
        async with work.server(KILLS) as server:
            environment = {"REDIS_URL": redis.url, "VISIBILITY_TIMEOUT": "20", **server.environment}
            with worker(*command, environment=environment) as process, program(work.celery, environment) as tasks:
                starts = 1

                def kill(number: int) -> None:
                    nonlocal starts
                    if KILLS <= 2 or number % 2:
                        process.kill_children()
                    else:
                        process.kill()
                        process.start()
                        starts += 1

                async def send(number: int) -> None:
                    # What Redis hands to a worker that is dead, which it does not know yet, is lost.
                    await asyncio.to_thread(process.wait_for, " ready.", times=starts)
                    sent.append(getattr(tasks, work.task).delay(*server.arguments(number)))

                async def end(sent: Any) -> Any:
                    try:
                        return await asyncio.to_thread(sent.get, timeout=PATIENCE)
                    except SdkError as error:
                        return error

                sent: list[Any] = []
                try:
                    phases = await run_killed(server, send, kill, kills=KILLS, seed=SEED)
                    ends = [await end(it) for it in sent]
                    if isinstance(server, Studio):
                        assert await end(tasks.count_contracts.delay(server.CUSTOMER_ID)) == KILLS
                finally:
                    tasks.app.close()
            check(server, work, ends, phases)


async def test_a_task_that_a_dying_worker_is_handed_is_not_lost_over_rabbitmq() -> None:
    """Over Redis it would be: Celery takes it out before it notes that it has it."""
    import aio_pika

    command = ("-m", "celery", "--app", "worker_celery", "worker", "--concurrency", "1", "--loglevel", "INFO")
    with redis_server() as redis, rabbitmq_server() as rabbitmq:
        async with Studio(contracts=2) as studio, await aio_pika.connect(rabbitmq.url) as connection:
            environment = {"BROKER_URL": rabbitmq.url, "REDIS_URL": redis.url, **studio.environment}
            with worker(*command, environment=environment) as process, program("worker_celery", environment) as tasks:
                try:
                    await asyncio.to_thread(process.wait_for, " ready.")
                    process.suspend()
                    sent = tasks.withdraw.delay(studio.CUSTOMER_ID, studio.FIRST)
                    channel = await connection.channel()
                    async with asyncio.timeout(PATIENCE):
                        while (await channel.declare_queue("celery", passive=True)).declaration_result.message_count:
                            await asyncio.sleep(0.01)
                    process.kill()
                    process.start()
                    assert await asyncio.to_thread(sent.get, timeout=PATIENCE) == "acknowledged"
                finally:
                    tasks.app.close()
            assert studio.changed == [studio.FIRST]


@pytest.mark.parametrize("work", ALL_WORK)
async def test_killed_docket_workers_do_each_task_once(work: Work) -> None:
    """Another worker gets the task when the redelivery timeout is over."""
    from docket import Docket

    command = ("-m", "docket", "worker", "--docket", "studio", "--tasks", f"{work.docket}:tasks")
    options = ("--redelivery-timeout", "1s", "--concurrency", "10")
    with redis_server() as redis:
        async with work.server(KILLS) as server, Docket("studio", redis.url) as docket:
            environment = {"REDIS_URL": redis.url, **server.environment}
            with (
                worker(*command, *options, "--url", redis.url, environment=environment) as process,
                program(work.docket, environment) as tasks,
            ):

                def kill(_number: int) -> None:
                    process.kill()
                    process.start()

                async def add(number: int) -> None:
                    task = getattr(tasks, work.task)
                    added.append(await docket.add(task, key=f"{number}")(*server.arguments(number)))

                async def end(added: Any) -> Any:
                    try:
                        return await added.get_result(timeout=timedelta(seconds=PATIENCE))
                    except SdkError as error:
                        return error

                added: list[Any] = []
                for one in tasks.tasks:
                    docket.register(one)
                phases = await run_killed(server, add, kill, kills=KILLS, seed=SEED)
                ends = [await end(it) for it in added]
                if isinstance(server, Studio):
                    assert await end(await docket.add(tasks.count_contracts)(server.CUSTOMER_ID)) == KILLS
            check(server, work, ends, phases)


@pytest.mark.skipif(KILLS <= 2, reason="what Redis held of a task comes back after the visibility timeout")
async def test_redis_that_is_started_again_has_celery_do_each_task_once() -> None:
    """Celery then kills what it runs, and calls it a retry. A workflow finds it done, a single write is refused."""
    command = ("-m", "celery", "--app", "worker_celery", "worker", "--concurrency", "2", "--loglevel", "INFO")
    with redis_server(appendonly=True) as redis:
        async with Studio(contracts=2) as studio:
            environment = {"REDIS_URL": redis.url, "VISIBILITY_TIMEOUT": "20", **studio.environment}
            with worker(*command, environment=environment), program("worker_celery", environment) as tasks:
                studio.after = 2.0
                try:
                    workflow = tasks.withdraw.delay(studio.CUSTOMER_ID, studio.FIRST)
                    single = tasks.withdraw_once.delay(studio.CUSTOMER_ID, studio.FIRST + 1)
                    while len(studio.changed) < 2:
                        await asyncio.sleep(0.01)
                    await asyncio.to_thread(redis.restart)
                    studio.after = 0.0
                    assert await asyncio.to_thread(workflow.get, timeout=PATIENCE) == "none"
                    with pytest.raises(SdkError) as caught:
                        await asyncio.to_thread(single.get, timeout=PATIENCE)
                finally:
                    tasks.app.close()
            assert caught.value.outcome is Outcome.UNKNOWN
            assert [studio.requests_for(studio.FIRST + number) for number in (0, 1)] == [1, 1]
