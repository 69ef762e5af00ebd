"""Docket tasks that make calls: real workers, a real Redis, and what becomes of a task whose call failed."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
import pytest_asyncio
from attrs import frozen
from redis_server import redis_server
from workers import PATIENCE, Studio, WorkerProcess, program, worker

from membership_sdk import NotFoundError, NotSettledError, Outcome, RateLimitError, SdkError, correlation_scope
from membership_sdk.sandbox import Fault

pytestmark = [
    pytest.mark.real_time("the studio takes its time, so that a worker dies meanwhile"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills process groups"),
]
WORKER = ("-m", "docket", "worker", "--docket", "tests", "--tasks", "docket_tasks:tasks", "--redelivery-timeout", "1s")


@frozen
class Running:
    """A worker with the tasks of `docket_tasks`, and the studio that they talk to."""

    studio: Studio
    worker: WorkerProcess
    docket: Any
    tasks: ModuleType
    unsettled: Any
    """A workflow whose request was lost. It takes seconds, and so is sent before the others."""

    async def result(self, execution: Any) -> Any:
        """Wait for the end of a task: its value is returned, its error is raised."""
        return await execution.get_result(timeout=timedelta(seconds=PATIENCE))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Running]:
    from docket import Docket

    with redis_server() as redis:
        async with Studio(contracts=20) as studio, Docket("tests", redis.url) as docket:
            environment = dict(studio.environment)
            with (
                worker(*WORKER, "--url", redis.url, environment=environment) as process,
                program("docket_tasks", environment) as tasks,
            ):
                for task in tasks.tasks:
                    docket.register(task)
                studio.faults_of[5007] = [Fault.drop()]
                yield Running(studio, process, docket, tasks, await docket.add(tasks.settle)(5007))


async def test_a_refusal_brings_the_task_back(running: Running) -> None:
    """As long as it is asked to wait, with the same correlation id, which was carried over the queue."""
    from sdk_core.integrations.docket import correlated

    running.studio.faults_of[5001] = [Fault.status(429, retry_after=0.1), Fault.status(429, retry_after=0.1)]
    with correlation_scope("order-7"):
        added = await correlated(running.docket.add(running.tasks.withdraw))(5001)
    assert await running.result(added) == "order-7"
    assert running.studio.requests_for(5001) == 3
    assert running.studio.changed.count(5001) == 1


async def test_a_refusal_that_stays_is_the_tasks_end(running: Running) -> None:
    """With the error as it was raised in the worker."""
    running.studio.faults_of[5002] = [Fault.status(429, retry_after=0.1)] * 5
    with pytest.raises(RateLimitError) as caught:
        await running.result(await running.docket.add(running.tasks.withdraw)(5002))
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.REJECTED, 0.1)
    assert running.studio.requests_for(5002) == 3


async def test_a_write_of_unknown_outcome_is_not_repeated(running: Running) -> None:
    """Whether it was applied or not: the task fails, and its error says so."""
    for contract, fault in ((5004, Fault.drop(after_applying=True)), (5005, Fault.drop())):
        running.studio.faults_of[contract] = [fault]
        with pytest.raises(SdkError) as caught:
            await running.result(await running.docket.add(running.tasks.withdraw)(contract))
        assert caught.value.outcome is Outcome.UNKNOWN
        assert running.studio.requests_for(contract) == 1


async def test_other_failures_are_not_repeated(running: Running) -> None:
    """Refusals for good, and what no call has raised."""
    with pytest.raises(NotFoundError):
        await running.result(await running.docket.add(running.tasks.withdraw)(77))
    assert running.studio.requests_for(77) == 1
    with pytest.raises(LookupError):
        await running.result(await running.docket.add(running.tasks.mistaken)(a=1))
    assert running.worker.log.count("] mistaken(") == 2  # its begin and its end


async def test_a_workflow_goes_on_waiting_and_asks_for_nothing_more(running: Running) -> None:
    """Its request was lost, and takes effect late: here, because somebody else withdraws."""
    running.studio.faults_of[5006] = [Fault.drop()]
    added = await running.docket.add(running.tasks.settle)(5006)
    async with running.studio.client() as client:
        while running.studio.requests_for(5006) < 1 or running.studio.faults_of[5006]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the workflow has given up by then
        await client.withdraw_contract_cancelation(customer_id=1001, contract_id=5006)
    assert await running.result(added) == (False, "none")
    assert running.studio.changed.count(5006) == 1
    assert running.studio.requests_for(5006) == 2


async def test_ids_of_tasks(running: Running) -> None:
    """One that can't be sent is replaced; so is one that is missing, by one for each task and all its runs."""
    from sdk_core.integrations.docket import correlated

    withdraw: Any = running.docket.add(running.tasks.withdraw)
    sent = [withdraw(5008, sdk_correlation_id="no\nid"), correlated(withdraw)(5009), withdraw(5010)]
    ids = [await running.result(await added) for added in sent]
    assert [len(given) for given in ids] == [36, 36, 36]
    assert len(set(ids)) == 3
    running.studio.faults_of[5015] = [Fault.status(429, retry_after=0.1)]
    kept = await running.result(await withdraw(5015))
    # The first run's error, as docket logs it.
    assert f"correlation id {kept}" in running.worker.log


async def test_tasks_of_one_key_are_one_task(running: Running) -> None:
    added = [await running.docket.add(running.tasks.settle, key="settle:5011")(5011) for _ in range(3)]
    for it in added:
        assert await running.result(it) == (True, "acknowledged")
    assert running.studio.requests_for(5011) == 1


async def test_a_task_that_is_called_is_a_function(running: Running) -> None:
    """Nothing is added to the queue; errors are raised as they are."""
    assert await running.tasks.settle(5012) == (True, "acknowledged")
    running.studio.faults_of[5013] = [Fault.status(429, retry_after=0.1)]
    with pytest.raises(RateLimitError):
        await running.tasks.withdraw(5013)
    await running.tasks.client.aclose()


async def test_a_workflow_that_never_settles_says_that_nobody_knows(running: Running) -> None:
    """Not that nothing was sent, which is true of its last run only."""
    with pytest.raises(NotSettledError) as caught:
        await running.result(running.unsettled)
    assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)
    assert running.studio.requests_for(5007) == 1


async def test_a_single_write_is_not_repeated_after_its_worker_died(running: Running) -> None:
    """In the middle of it: it is handed out to the next, and refused."""
    running.studio.after = 0.5
    running.studio.arrived.clear()
    added = await running.docket.add(running.tasks.withdraw)(5014)
    await running.studio.arrived.wait()
    running.worker.kill()
    running.worker.start()
    try:
        with pytest.raises(SdkError, match="died while it ran the task withdraw") as caught:
            await running.result(added)
    finally:
        running.studio.after = 0.0
    assert caught.value.outcome is Outcome.UNKNOWN
    assert (running.studio.requests_for(5014), running.studio.changed.count(5014)) == (1, 1)


async def test_a_workflow_asks_for_nothing_more_after_its_worker_died(running: Running) -> None:
    """Unless it is declared as repeatable: not every API refuses to do a thing twice."""
    running.studio.after = 0.5
    running.studio.arrived.clear()
    added = await running.docket.add(running.tasks.settle)(5016, timeout=30.0)
    await running.studio.arrived.wait()
    running.worker.kill()
    running.worker.start()
    try:
        assert await running.result(added) == (False, "none")
    finally:
        running.studio.after = 0.0
    assert running.studio.requests_for(5016) == 1


async def test_arguments_are_checked() -> None:
    from sdk_core.integrations.docket import sdk_task

    wrong: Any
    for wrong in (-1, 1.5, "2"):
        with pytest.raises((TypeError, ValueError), match="max_retries"):
            sdk_task(max_retries=wrong)
    with pytest.raises(TypeError, match="repeatable"):
        sdk_task(repeatable=1)  # type: ignore[arg-type]
