"""The taskiq example over a real RabbitMQ: killed between request and acknowledgement, each task is done once.

`KILLS=20 python -m pytest -n 0 -s -m '' tests/integrations/test_taskiq.py` kills twenty workers of each kind of task,
and RabbitMQ as well; the tests of endurance kill two.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from rabbitmq_server import RabbitMQServer, rabbitmq_server
from workers import PATIENCE, Studio, WorkerProcess, program, run_killed, worker

from membership_sdk.sandbox import Fault

pytestmark = [
    # A node of RabbitMQ is an environment of its own, which takes seconds to start.
    pytest.mark.endurance,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.real_time("the studio takes its time, and the worker is killed meanwhile"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills the processes that Linux lists in /proc"),
]
KILLS = int(os.environ.get("KILLS", "2"))
SEED = int(os.environ.get("SEED", "1"))
COMMAND = ("-m", "taskiq", "worker", "worker_taskiq:broker", "--workers", "1")
QUEUES = ("workflows", "single-writes")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def rabbitmq() -> AsyncIterator[RabbitMQServer]:
    with rabbitmq_server() as server:
        yield server


@asynccontextmanager
async def started(
    rabbitmq: RabbitMQServer, contracts: int
) -> AsyncIterator[tuple[Studio, WorkerProcess, ModuleType, Any]]:
    """Start a studio and a worker of the example; `tasks` sends, and `channel` looks at the queues."""
    import aio_pika

    async with Studio(contracts) as studio, await aio_pika.connect(rabbitmq.url) as connection:
        environment = {"AMQP_URL": rabbitmq.url, **studio.environment}
        with worker(*COMMAND, environment=environment) as process, program("worker_taskiq", environment) as tasks:
            await tasks.broker.startup()
            try:
                yield studio, process, tasks, await connection.channel()
            finally:
                await tasks.broker.shutdown()


async def ready(channel: Any, name: str) -> int:
    """Return how many tasks of a queue no worker holds."""
    queue = await channel.declare_queue(name, passive=True)
    return int(queue.declaration_result.message_count or 0)


async def end_of_all(process: WorkerProcess, channel: Any) -> None:
    """Stop the worker as a deployment does: it brings to an end what it has begun. Until there is nothing to begin."""
    async with asyncio.timeout(PATIENCE):
        while True:
            while any([await ready(channel, name) for name in QUEUES]):
                await asyncio.sleep(0.02)
            await asyncio.to_thread(process.terminate)
            if not any([await ready(channel, name) for name in QUEUES]):
                return
            # It was handed one, and had no time for it.
            process.start()


async def to_look_into(channel: Any) -> list[tuple[str, int]]:
    """Take the tasks that nobody runs again: the name and the contract of each."""
    queue = await channel.get_queue("look-into")
    found = []
    while (message := await queue.get(fail=False)) is not None:
        await message.ack()
        task: dict[str, Any] = json.loads(message.body)
        found.append((str(task["task_name"]).rpartition(":")[2], int(task["args"][1])))
    return found


@pytest.mark.parametrize("task", ["withdraw", "withdraw_once"])
async def test_killed_workers_do_each_task_once(rabbitmq: RabbitMQServer, task: str) -> None:
    """A workflow is run again by the next worker. A single write is not: it may have happened, and somebody looks."""
    async with started(rabbitmq, KILLS) as (studio, process, tasks, channel):

        def kill(number: int) -> None:
            if number % 2:
                process.kill_children()
            else:
                process.kill()
                process.start()

        async def send(contract: int) -> None:
            # What RabbitMQ hands to a worker that is dead, which it does not know yet, is not begun.
            await asyncio.to_thread(process.wait_for, "Listening started", times=contract - studio.FIRST + 1)
            await getattr(tasks, task).kiq(studio.CUSTOMER_ID, contract)

        phases = await run_killed(studio, send, kill, kills=KILLS, seed=SEED)
        everyone = [*range(studio.FIRST, studio.FIRST + KILLS)]
        if task == "withdraw":
            # Each was run again, and has read what became of its request.
            again = phases["before its effect"] + phases["before its answer"]
            await asyncio.to_thread(process.wait_for, "Executing task", times=KILLS + again)
        await end_of_all(process, channel)
        requests = [studio.requests_for(contract) for contract in everyone]
        sys.stdout.write(
            f"\n{task}: {KILLS} tasks killed {dict(phases)}: {len(studio.changed)} effects, "
            f"{sum(requests)} requests, at most {max(requests)} for one\n"
        )
        # What was not in between was no test.
        assert phases["before its effect"] + phases["before its answer"] > 0
        assert sorted(studio.changed) == everyone
        looked_into = await to_look_into(channel)
        if task == "withdraw":
            assert looked_into == []
        else:
            assert set(requests) == {1}
            # One that was killed after its answer may have been acknowledged.
            assert len(looked_into) >= KILLS - phases["after its answer"]
            assert {(task, contract) for contract in everyone} >= set(looked_into)
            assert len(set(looked_into)) == len(looked_into)


async def test_a_failed_call_is_repeated_only_where_that_does_nothing_twice(rabbitmq: RabbitMQServer) -> None:
    """And no task is lost for want of a queue: it is refused when it is sent."""
    from taskiq.exceptions import SendTaskError
    from taskiq_aio_pika.exceptions import IncorrectRoutingKeyError

    async with started(rabbitmq, contracts=3) as (studio, process, tasks, channel):
        lost, throttled = Fault.drop(after_applying=True), Fault.status(429, retry_after=0.1)
        single, workflow, later = range(studio.FIRST, studio.FIRST + 3)
        studio.faults_of = {single: [lost], workflow: [lost], later: [throttled] * 5}
        for task, contract in ((tasks.withdraw_once, single), (tasks.withdraw, workflow), (tasks.withdraw_once, later)):
            await task.kiq(studio.CUSTOMER_ID, contract)
        with pytest.raises(SendTaskError) as caught:
            await tasks.withdraw.kicker().with_labels(queue_name="").kiq(studio.CUSTOMER_ID, single)
        assert isinstance(caught.value.__cause__, IncorrectRoutingKeyError)
        await asyncio.to_thread(process.wait_for, "Executing task", times=3)
        await end_of_all(process, channel)
        assert sorted(studio.changed) == [single, workflow, later]
        assert [studio.requests_for(contract) for contract in (single, workflow)] == [1, 1]
        assert process.log.count("Exception found while executing function") == 1
        assert "outcome: unknown" in process.log.lower()
        assert await to_look_into(channel) == []


@pytest.mark.skipif(KILLS <= 2, reason="RabbitMQ takes its time to start")
async def test_rabbitmq_that_is_started_again_has_each_task_done_once(rabbitmq: RabbitMQServer) -> None:
    """What it had handed out runs on. It hands a workflow out again, which finds it done, and moves a single write."""
    import aio_pika

    async with started(rabbitmq, contracts=2) as (studio, process, tasks, _closed):
        studio.after = 2.0
        await tasks.withdraw.kiq(studio.CUSTOMER_ID, studio.FIRST)
        await tasks.withdraw_once.kiq(studio.CUSTOMER_ID, studio.FIRST + 1)
        while len(studio.changed) < 2:
            await asyncio.sleep(0.01)
        await asyncio.to_thread(rabbitmq.restart)
        studio.after = 0.0
        await asyncio.to_thread(process.wait_for, "Executing task", times=3)
        async with await aio_pika.connect(rabbitmq.url) as connection:
            channel = await connection.channel()
            await end_of_all(process, channel)
            assert await to_look_into(channel) == [("withdraw_once", studio.FIRST + 1)]
        assert [studio.requests_for(studio.FIRST + number) for number in (0, 1)] == [1, 1]
        assert len(studio.changed) == 2
