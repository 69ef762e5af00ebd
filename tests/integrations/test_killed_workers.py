"""Workers of the examples, killed between request and acknowledgement: each task ends, and is done once.

`KILLS=20 python -m pytest -n 0 -s -m kills` kills twenty of each, and says when; the suite only two, and of Celery no
whole worker: what it held comes back after the visibility timeout.
"""

import asyncio
import os
import sys
from collections import Counter
from datetime import timedelta
from typing import Any

import pytest
from docket import Docket
from redis_server import redis_server
from workers import PATIENCE, Studio, program, run_killed, worker

from membership_sdk import Outcome, SdkError

pytestmark = [
    pytest.mark.kills,
    pytest.mark.endurance,
    pytest.mark.real_time("the studio takes its time, and the worker is killed meanwhile"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills the processes that Linux lists in /proc"),
]
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "1"))
TASKS = [
    "withdraw",
    pytest.param(
        "withdraw_once",
        marks=pytest.mark.skipif(KILLS <= 2, reason="that a single write is not repeated, others test for one"),
    ),
]


def check(studio: Studio, task: str, ends: list[Any], phases: Counter[str]) -> None:
    """One effect for each contract, and one end for each task.

    A workflow has succeeded, and says what it knows of its own part. A single write may have failed: then nobody knows,
    and it was not repeated.
    """
    everyone = list(range(studio.FIRST, studio.FIRST + KILLS))
    requests = [studio.requests_for(contract) for contract in everyone]
    errors = [end for end in ends if isinstance(end, SdkError)]
    sys.stdout.write(
        f"\n{task}: {KILLS} tasks killed {dict(phases)}: {len(studio.withdrawn)} effects, {sum(requests)} requests, at "
        f"most {max(requests)} for one; {ends.count('none')} found it done, {len(errors)} ended with nobody knowing\n"
    )
    # What was not in between was no test.
    assert phases["before its effect"] + phases["before its answer"] > 0
    assert len(ends) == KILLS
    assert sorted(studio.withdrawn) == everyone
    if task == "withdraw":
        assert set(ends) <= {"acknowledged", "none"}
    else:
        assert set(requests) == {1}
        assert {end if end is None else end.outcome for end in ends} <= {None, Outcome.UNKNOWN}


@pytest.mark.parametrize("task", TASKS)
async def test_killed_celery_workers_do_each_task_once(task: str) -> None:
    """Its pool process, or all of it: then another worker gets the task when the visibility timeout is over."""
    command = ("-m", "celery", "--app", "worker_celery", "worker", "--concurrency", "1", "--loglevel", "INFO")
    with redis_server() as redis:
        async with Studio(contracts=KILLS) as studio:
            environment = {"REDIS_URL": redis.url, "VISIBILITY_TIMEOUT": "20", **studio.environment}
            with worker(*command, environment=environment) as process, program("worker_celery", environment) as tasks:

                def kill(number: int) -> None:
                    if KILLS <= 2 or number % 2:
                        process.kill_children()
                    else:
                        process.kill()
                        process.start()

                def send(contract: int) -> None:
                    sent.append(getattr(tasks, task).delay(studio.CUSTOMER_ID, contract))

                async def end(sent: Any) -> Any:
                    try:
                        return await asyncio.to_thread(sent.get, timeout=PATIENCE)
                    except SdkError as error:
                        return error

                sent: list[Any] = []
                try:
                    phases = await run_killed(studio, send, kill, kills=KILLS, seed=SEED)
                    ends = [await end(it) for it in sent]
                    assert await end(tasks.count_contracts.delay(studio.CUSTOMER_ID)) == KILLS
                finally:
                    tasks.app.close()
            check(studio, task, ends, phases)


@pytest.mark.parametrize("task", TASKS)
async def test_killed_docket_workers_do_each_task_once(task: str) -> None:
    """Another worker gets the task when the redelivery timeout is over."""
    command = ("-m", "docket", "worker", "--docket", "studio", "--tasks", "worker_docket:tasks")
    options = ("--redelivery-timeout", "1s", "--concurrency", "10")
    with redis_server() as redis:
        async with Studio(contracts=KILLS) as studio, Docket("studio", redis.url) as docket:
            environment = {"REDIS_URL": redis.url, **studio.environment}
            with (
                worker(*command, *options, "--url", redis.url, environment=environment) as process,
                program("worker_docket", environment) as tasks,
            ):

                def kill(_number: int) -> None:
                    process.kill()
                    process.start()

                async def add(contract: int) -> None:
                    added.append(
                        await docket.add(getattr(tasks, task), key=f"{contract}")(studio.CUSTOMER_ID, contract)
                    )

                async def end(added: Any) -> Any:
                    try:
                        return await added.get_result(timeout=timedelta(seconds=PATIENCE))
                    except SdkError as error:
                        return error

                added: list[Any] = []
                for one in tasks.tasks:
                    docket.register(one)
                phases = await run_killed(studio, add, kill, kills=KILLS, seed=SEED)
                ends = [await end(it) for it in added]
                assert await end(await docket.add(tasks.count_contracts)(studio.CUSTOMER_ID)) == KILLS
            check(studio, task, ends, phases)


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
                    while len(studio.withdrawn) < 2:
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
