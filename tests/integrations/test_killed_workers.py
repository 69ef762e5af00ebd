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

pytestmark = [
    pytest.mark.kills,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills the processes that Linux lists in /proc"),
]
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "1"))


def check(studio: Studio, changes: list[str], phases: Counter[str]) -> None:
    """One effect for each contract, and one end for each task, which says what it knows of its own part."""
    everyone = list(range(studio.FIRST, studio.FIRST + KILLS))
    assert sorted(studio.withdrawn) == everyone
    assert len(changes) == KILLS
    assert set(changes) <= {"acknowledged", "none"}
    # What was not in between was no test.
    assert phases["before its effect"] + phases["before its answer"] > 0
    requests = [studio.requests_for(contract) for contract in everyone]
    sys.stdout.write(
        f"{KILLS} tasks killed {dict(phases)}: {len(studio.withdrawn)} effects, none twice; {sum(requests)} requests, "
        f"at most {max(requests)} for one; {changes.count('none')} found it done\n"
    )


async def test_killed_celery_workers_do_each_task_once() -> None:
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

                sent: list[Any] = []
                try:
                    phases = await run_killed(
                        studio,
                        lambda contract: sent.append(tasks.withdraw.delay(studio.CUSTOMER_ID, contract)),
                        kill,
                        kills=KILLS,
                        seed=SEED,
                    )
                    changes = [await asyncio.to_thread(it.get, timeout=PATIENCE) for it in sent]
                finally:
                    tasks.app.close()
            check(studio, changes, phases)


async def test_killed_docket_workers_do_each_task_once() -> None:
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

                docket.register(tasks.withdraw)
                added: list[Any] = []

                async def add(contract: int) -> None:
                    added.append(await docket.add(tasks.withdraw, key=f"{contract}")(studio.CUSTOMER_ID, contract))

                phases = await run_killed(studio, add, kill, kills=KILLS, seed=SEED)
                changes = [await it.get_result(timeout=timedelta(seconds=PATIENCE)) for it in added]
            check(studio, changes, phases)
