"""Celery tasks that make calls: real workers, a real Redis, and what becomes of a task whose call failed."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import pytest_asyncio
from alone import run_alone
from attrs import frozen
from cases import goes_through
from redis_server import RedisServer, redis_server
from workers import PATIENCE, Studio, WorkerProcess, program, worker

from membership_sdk import NotFoundError, NotSettledError, Outcome, RateLimitError, SdkError, correlation_scope
from membership_sdk.sandbox import Fault

pytestmark = [
    pytest.mark.real_time("the studio takes its time, so that a worker dies meanwhile"),
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="kills the processes that Linux lists in /proc"),
]
WORKER = (
    "-m",
    "celery",
    "--app",
    "celery_tasks",
    "worker",
    "--concurrency",
    "1",
    "--without-gossip",
    "--without-mingle",
)


@frozen
class Running:
    """A worker with the tasks of `celery_tasks`, and the studio that they talk to."""

    studio: Studio
    worker: WorkerProcess
    tasks: ModuleType
    environment: dict[str, str]
    unsettled: Any
    """A workflow whose request was lost. It takes seconds, and so is sent before the others."""

    async def result(self, sent: Any) -> Any:
        """Wait for the end of a task: its value is returned, its error is raised."""
        return await asyncio.to_thread(sent.get, timeout=PATIENCE)


def run_program(text: str) -> str:
    """Run a program by itself, and return what it prints."""
    # Since Python 3.12, a fork beside other threads is warned of.
    return run_alone(text, options=("-W", "ignore::DeprecationWarning"))


async def in_a_thread(function: Callable[..., Any], *arguments: Any) -> Any:
    """Run what runs tasks: the event loop of the test is none of theirs."""
    from sdk_core.integrations import celery as celery_module

    def run() -> Any:
        try:
            return function(*arguments)
        finally:
            celery_module._loops.runner.close()

    with ThreadPoolExecutor(1) as thread:
        return await asyncio.get_running_loop().run_in_executor(thread, run)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[Running]:
    with redis_server() as redis:
        async with Studio(contracts=20) as studio:
            environment = {"REDIS_URL": redis.url, **studio.environment}
            with worker(*WORKER, environment=environment) as process, program("celery_tasks", environment) as tasks:
                studio.faults_of[5007] = [Fault.drop()]
                try:
                    yield Running(studio, process, tasks, environment, tasks.settle.delay(5007))
                finally:
                    tasks.app.close()


async def test_a_refusal_brings_the_task_back(running: Running) -> None:
    """As long as it is asked to wait, with the same correlation id, which was carried over the queue."""
    running.studio.faults_of[5001] = [Fault.status(429, retry_after=0.1), Fault.status(429, retry_after=0.1)]
    with correlation_scope("order-7"):
        sent = running.tasks.withdraw.delay(5001)
    assert await running.result(sent) == "order-7"
    assert running.studio.requests_for(5001) == 3
    assert running.studio.changed.count(5001) == 1


async def test_a_refusal_that_stays_is_the_tasks_end(running: Running) -> None:
    """With the error as it was raised in the worker."""
    running.studio.faults_of[5002] = [Fault.status(429, retry_after=0.1)] * 5
    with pytest.raises(RateLimitError) as caught:
        await running.result(running.tasks.withdraw.delay(5002))
    assert (caught.value.outcome, caught.value.retry_after) == (Outcome.REJECTED, 0.1)
    assert running.studio.requests_for(5002) == 3


async def test_a_write_of_unknown_outcome_is_not_repeated(running: Running) -> None:
    """Whether it was applied or not: the task fails, and its error says so."""
    for contract, fault in ((5004, Fault.drop(after_applying=True)), (5005, Fault.drop())):
        running.studio.faults_of[contract] = [fault]
        with pytest.raises(SdkError) as caught:
            await running.result(running.tasks.withdraw.delay(5004 if fault.applies else 5005))
        assert caught.value.outcome is Outcome.UNKNOWN
        assert running.studio.requests_for(contract) == 1


async def test_a_refusal_for_good_is_not_repeated(running: Running) -> None:
    with pytest.raises(NotFoundError):
        await running.result(running.tasks.withdraw.delay(77))
    assert running.studio.requests_for(77) == 1


async def test_a_workflow_goes_on_waiting_and_asks_for_nothing_more(running: Running) -> None:
    """Its request was lost, and takes effect late: here, because somebody else withdraws."""
    running.studio.faults_of[5006] = [Fault.drop()]
    running.studio.arrived.clear()
    sent = running.tasks.settle.delay(5006)
    await running.studio.arrived.wait()
    async with running.studio.client() as client:
        while running.studio.requests_for(5006) < 1 or running.studio.faults_of[5006]:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)  # the workflow has given up by then
        await client.withdraw_contract_cancelation(customer_id=1001, contract_id=5006)
    assert await running.result(sent) == [False, "none"]
    assert running.studio.changed.count(5006) == 1
    assert running.studio.requests_for(5006) == 2


async def test_the_event_loop_is_kept_from_task_to_task(running: Running) -> None:
    seen = [await running.result(running.tasks.where.delay()) for _ in range(3)]
    assert seen[0] == seen[1] == seen[2]
    assert seen[0][0] != os.getpid()


async def test_a_connection_that_was_closed_meanwhile_is_not_written_on(running: Running) -> None:
    """Between tasks the loop stands still, and does not learn of it; a write on it would be one of unknown outcome."""
    running.studio.hang_up_after = 0.1
    try:
        for contract in range(5010, 5014):
            running.studio.hung_up.clear()
            await running.result(running.tasks.withdraw.delay(contract))
            await running.studio.hung_up.wait()
            assert running.studio.requests_for(contract) == 1
    finally:
        running.studio.hang_up_after = None


async def test_an_id_that_is_none_is_replaced(running: Running) -> None:
    sent = running.tasks.withdraw.apply_async((5014,), headers={"sdk_correlation_id": "no\nid"})
    assert len(await running.result(sent)) == 36


async def test_a_task_that_is_called_is_a_function(running: Running) -> None:
    """Nothing is sent to the queue; errors are raised as they are."""
    assert await in_a_thread(running.tasks.settle, 5015) == (True, "acknowledged")
    running.studio.faults_of[5016] = [Fault.status(429, retry_after=0.1)]
    with pytest.raises(RateLimitError):
        await in_a_thread(running.tasks.withdraw, 5016)


async def test_wrong_arguments_are_refused_before_anything_is_sent(running: Running) -> None:
    with pytest.raises(TypeError, match="contract_id"):
        running.tasks.withdraw.delay()


async def test_a_workflow_that_never_settles_says_that_nobody_knows(running: Running) -> None:
    """Not that nothing was sent, which is true of its last run only."""
    with pytest.raises(NotSettledError) as caught:
        await running.result(running.unsettled)
    assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)
    assert running.studio.requests_for(5007) == 1


async def test_a_single_write_is_not_repeated_after_its_worker_died(running: Running) -> None:
    """In the middle of it: it is handed out again at once, and refused."""
    running.studio.after = 0.5
    running.studio.arrived.clear()
    sent = running.tasks.withdraw.delay(5008)
    await running.studio.arrived.wait()
    running.worker.kill_children()
    try:
        with pytest.raises(SdkError, match=r"died while it ran the task celery_tasks\.withdraw") as caught:
            await running.result(sent)
    finally:
        running.studio.after = 0.0
    assert caught.value.outcome is Outcome.UNKNOWN
    assert (running.studio.requests_for(5008), running.studio.changed.count(5008)) == (1, 1)


async def test_a_workflow_asks_for_nothing_more_after_its_worker_died(running: Running) -> None:
    """Unless it is declared as repeatable: not every API refuses to do a thing twice."""
    running.studio.after = 0.5
    running.studio.arrived.clear()
    sent = running.tasks.settle.delay(5019, timeout=30.0)
    await running.studio.arrived.wait()
    running.worker.kill_children()
    try:
        assert await running.result(sent) == [False, "none"]
    finally:
        running.studio.after = 0.0
    assert running.studio.requests_for(5019) == 1


async def test_a_task_that_is_there_twice_is_run_once(running: Running) -> None:
    """As when its worker died between a retry and the acknowledgement. What is known of the first stays."""
    first = running.tasks.withdraw.delay(5017)
    assert await running.result(first) is not None
    running.tasks.withdraw.apply_async((5017,), task_id=first.id)
    await running.result(running.tasks.where.delay())
    assert running.studio.requests_for(5017) == 1
    assert running.tasks.app.AsyncResult(first.id).state == "SUCCESS"


@pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning")
async def test_a_single_write_is_not_repeated_though_celery_says_retry(running: Running) -> None:
    """As it does of a task that it has killed itself, when it lost the broker."""
    from celery.exceptions import Retry

    running.studio.after = 0.5
    running.studio.arrived.clear()
    sent = running.tasks.withdraw.delay(5018)
    await running.studio.arrived.wait()
    running.tasks.app.backend.mark_as_retry(sent.id, Retry("cancelled by Celery"))
    running.worker.kill_children()
    try:
        with pytest.raises(SdkError, match="died while it ran the task"):
            await running.result(sent)
    finally:
        running.studio.after = 0.0
    assert running.studio.requests_for(5018) == 1


async def test_redis_is_told_the_settings(running: Running) -> None:
    """By the names that it is told them by: others would be ignored."""

    def told() -> list[object]:
        with running.tasks.app.connection_for_write() as connection:
            channel = connection.default_channel
            return [getattr(channel, name) for name in options]

    options = running.tasks.app.conf.broker_transport_options
    assert len(options) == 4
    assert await asyncio.to_thread(told) == list(options.values())


# -- Waits -------------------------------------------------------------------------------------------------------------


class RefusedTask:
    """A task that is refused with this Retry-After, in an app whose queue can hold it for 300 s at most."""

    def __init__(self, retry_after: float) -> None:
        from sdk_core.integrations.celery import sdk_task

        app = celery_app(broker_url="memory://", result_backend="cache+memory://")
        self.runs = 0

        @sdk_task(app, name="refused", repeatable=True)
        async def refused() -> None:
            self.runs += 1
            raise RateLimitError("", {"outcome": "rejected", "retryable": True, "retry_after": retry_after})

        self._task: Any = refused

    def run(self, headers: dict[str, str]) -> tuple[float, dict[str, str]]:
        """Run it as a worker does; return the seconds after which it comes back, and with which headers."""
        from celery.exceptions import Retry

        self._task.push_request(id="7", headers=headers, called_directly=False, retries=0)
        try:
            with pytest.raises(Retry) as caught:
                self._task.run()
        finally:
            self._task.pop_request()
        options = caught.value.sig.options
        return options["countdown"], options["headers"]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_wait_that_redis_can_not_hold_is_made_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would hand the task out twice; and the API is asked no earlier than it wants to be."""
    from sdk_core.integrations import celery as celery_module

    now, task = [1000.0], RefusedTask(retry_after=700.0)
    monkeypatch.setattr(celery_module.time, "time", lambda: now[0])
    monkeypatch.setattr(random, "random", lambda: 0.0)
    told: list[float] = []
    headers: dict[str, str] = {"mine": "1"}
    for _ in range(3):
        countdown, headers = await in_a_thread(task.run, headers)
        told.append(countdown)
        now[0] += countdown
    assert (told, task.runs, headers["mine"]) == ([300.0, 300.0, 100.0], 1, "1")
    await in_a_thread(task.run, headers)
    assert task.runs == 2


class SlowTask:
    """A task that needs more time than there is."""

    def __init__(self, **options: Any) -> None:
        from sdk_core.integrations.celery import sdk_task

        app = celery_app(broker_url="memory://", result_backend="cache+memory://")
        app.conf.task_time_limit = 0.1
        self.told: list[Any] = []

        @sdk_task(app, name="slow", **options)
        async def slow(*, ask: bool = True, own: float = 60.0) -> None:
            self.told.append(ask)
            async with asyncio.timeout(own):
                await asyncio.Event().wait()

        self.task: Any = slow

    def run(self, **request: Any) -> None:
        self.task.push_request(id="7", called_directly=False, **request)
        try:
            self.task.run(**request.get("kwargs", {}))
        finally:
            self.task.pop_request()


@pytest.mark.asyncio(loop_scope="function")
async def test_a_task_that_runs_too_long_is_settled() -> None:
    """It may have asked for something; the process that is killed for it could not say so."""
    from celery.exceptions import Retry

    slow = SlowTask(max_retries=1, repeatable=True)
    with pytest.raises(Retry) as caught:
        # Of these, none was after a failure.
        await in_a_thread(lambda: slow.run(retries=9))
    assert caught.value.sig.kwargs == {"ask": False}
    headers = {**caught.value.sig.options["headers"], "sdk_not_before": "0"}
    with pytest.raises(SdkError, match="slow was broken off after 0 s") as end:
        await in_a_thread(lambda: slow.run(retries=10, headers=headers))
    assert end.value.outcome is Outcome.UNKNOWN
    assert end.value.__context__ is None


@pytest.mark.asyncio(loop_scope="function")
async def test_a_timeout_of_the_tasks_own_is_its_own() -> None:
    slow = SlowTask(repeatable=True)
    with pytest.raises(TimeoutError) as caught:
        await in_a_thread(lambda: slow.run(retries=0, kwargs={"own": 0.001}))
    assert not isinstance(caught.value, SdkError)


# -- What is noted in Redis --------------------------------------------------------------------------------------------


class NotedTask:
    """A task whose begin is noted in this Redis: each of its runs ends with the next of these errors."""

    def __init__(self, redis: RedisServer, *errors: SdkError, meanwhile: Callable[[], None] = int) -> None:
        from sdk_core.integrations.celery import sdk_task

        left = list(errors)
        # Else Celery would wait for results, which it does not in a worker.
        self.app = celery_app(broker_url="memory://", result_backend=redis.url, task_ignore_result=True)
        self.told: list[bool] = []

        @sdk_task(self.app, name="noted", max_retries=1)
        async def noted(*, ask: bool = True) -> None:
            self.told.append(ask)
            meanwhile()
            if left:
                raise left.pop(0)

        self.task: Any = noted

    def run(self, headers: dict[str, str], **kwargs: bool) -> None:
        """Run it as a worker does that is handed this message."""
        self.task.push_request(id="7", headers=headers, kwargs=kwargs, called_directly=False, retries=0)
        try:
            self.task.run(**kwargs)
        finally:
            self.task.pop_request()


def unknown() -> SdkError:
    return SdkError("lost", {"outcome": "unknown", "retryable": False})


@pytest.mark.asyncio(loop_scope="function")
async def test_a_task_waits_for_a_redis_that_is_full() -> None:
    """Nothing was asked for, so that it is begun as if it had come now, and may be run again as often."""
    from celery.exceptions import Retry

    with redis_server() as redis:
        noted = NotedTask(redis, RateLimitError("", {"outcome": "rejected", "retryable": True}))
        client = noted.app.backend.client
        client.config_set("maxmemory", 1)
        headers: dict[str, str] = {"mine": "1"}
        for _ in range(3):
            with pytest.raises(Retry) as caught:
                await in_a_thread(noted.run, headers)
            options = caught.value.sig.options
            assert (options["countdown"], options["headers"], noted.told) == (1.0, {"mine": "1"}, [])
            headers = options["headers"]
        client.config_set("maxmemory", 0)
        with pytest.raises(Retry) as caught:
            await in_a_thread(noted.run, headers)
        await in_a_thread(noted.run, {**caught.value.sig.options["headers"], "sdk_not_before": "0"})
        assert noted.told == [True, True]
        keys = client.keys("*begun*")
        assert (len(keys), {6 * 86_400 < client.ttl(key) <= 7 * 86_400 for key in keys}) == (2, {True})


@pytest.mark.asyncio(loop_scope="function")
async def test_a_task_asks_once_though_its_worker_dies_as_it_sends_its_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its message is then handed out again, as it was."""
    from celery.exceptions import Retry

    def die(*_arguments: Any, **_options: Any) -> None:
        raise SystemExit

    with redis_server() as redis:
        noted = NotedTask(redis, unknown(), NotSettledError("", {"outcome": "unknown", "retryable": True}))
        with monkeypatch.context() as patch:
            patch.setattr(noted.task, "apply_async", die)
            with pytest.raises(SystemExit):
                await in_a_thread(noted.run, {})
        with pytest.raises(Retry) as caught:
            await in_a_thread(noted.run, {})
        assert caught.value.sig.kwargs == {"ask": False}
        assert noted.told == [True, False]


@pytest.mark.asyncio(loop_scope="function")
async def test_a_next_run_is_sent_without_the_redis_of_results() -> None:
    """It went away during the run. That a request may have taken effect would be known to nobody."""
    from celery.exceptions import Retry

    with redis_server() as redis:
        noted = NotedTask(redis, unknown(), meanwhile=redis.kill)
        with pytest.raises(Retry) as caught:
            await in_a_thread(noted.run, {})
    assert caught.value.sig.kwargs == {"ask": False}


# -- Settings ----------------------------------------------------------------------------------------------------------


async def test_a_worker_with_other_settings_does_not_start(running: Running) -> None:
    with worker(*WORKER, environment={**running.environment, "UNDO": "1"}) as process:
        assert process.wait() != 0
        assert "task_acks_late is False, not True" in process.log


def celery_app(**changes: Any) -> Any:
    from celery import Celery

    from sdk_core.integrations.celery import configure

    app = Celery("app", broker="redis://127.0.0.1:1/0", backend="redis://127.0.0.1:1/0", set_as_current=False)
    configure(app)
    app.conf.update(changes)
    return app


CHANGES: dict[str, dict[str, Any]] = {
    "acknowledges too early": {"task_acks_late": False},
    "loses killed processes": {"task_reject_on_worker_lost": False},
    "hoards": {"worker_prefetch_multiplier": 4},
    "runs beside itself": {"broker_transport_options": {"visibility_timeout": 60}},
    "runs for ever": {"task_time_limit": None},
    "is interrupted in the event loop": {"task_soft_time_limit": 10},
    "does twice what has succeeded": {"worker_deduplicate_successful_tasks": False},
    "has no backend": {"result_backend": None},
    "has another backend": {"result_backend": "rpc://"},
}


@goes_through("changes", CHANGES)
async def test_settings_are_checked_at_start(changes: dict[str, Any]) -> None:
    from celery.concurrency.prefork import TaskPool

    from sdk_core.integrations import celery as celery_module

    for app, ends in ((celery_app(**changes), True), (celery_app(), False)):
        start = SimpleNamespace(app=app, pool_cls=TaskPool)
        if not ends:
            celery_module._check_at_start(instance=start, conf=app.conf)
            continue
        with pytest.raises(SystemExit, match=next(iter(changes))):
            celery_module._check_at_start(instance=start, conf=app.conf)


async def test_the_applications_own_options_stay() -> None:
    """Those of its broker, whether they were set before or after."""
    from celery import Celery

    from sdk_core.integrations import celery as celery_module

    options = {"global_keyprefix": "mine-"}
    app = Celery("app", set_as_current=False, broker_transport_options=options, result_backend="redis://127.0.0.1:1/0")
    celery_module.configure(app)
    app.conf.broker_transport_options["health_check_interval"] = 30
    celery_module._check_at_start(instance=SimpleNamespace(app=app, pool_cls=None), conf=app.conf)
    assert app.conf.broker_transport_options["global_keyprefix"] == "mine-"
    assert app.conf.broker_transport_options["visibility_timeout"] == 600


async def test_pools_that_replace_sockets_are_refused() -> None:
    from sdk_core.integrations import celery as celery_module

    pool = type("TaskPool", (), {"__module__": "celery.concurrency.gevent"})
    app = celery_app()
    with pytest.raises(SystemExit, match="gevent"):
        celery_module._check_at_start(instance=SimpleNamespace(app=app, pool_cls=pool), conf=app.conf)


async def test_other_apps_are_not_checked() -> None:
    from celery import Celery

    from sdk_core.integrations import celery as celery_module

    other = Celery("other", set_as_current=False)
    celery_module._check_at_start(instance=SimpleNamespace(app=other, pool_cls=None), conf=other.conf)
    with pytest.raises(ValueError, match="configure"):
        celery_module.sdk_task(other)


async def test_arguments_are_checked() -> None:
    from sdk_core.integrations.celery import sdk_task

    app, odd = celery_app(), dict[str, Any]
    for options in (odd(max_retries=-1), odd(max_retries="2"), odd(repeatable=1)):
        with pytest.raises((TypeError, ValueError), match=next(iter(options))):
            sdk_task(app, **options)


async def test_visibility_timeout_must_be_whole_seconds() -> None:
    from celery import Celery

    from sdk_core.integrations.celery import configure

    wrong: Any
    for wrong in (0, -1, 1.5, "600"):
        with pytest.raises((TypeError, ValueError), match="visibility_timeout"):
            configure(Celery("app", set_as_current=False), visibility_timeout=wrong)


_FORKED = """
import asyncio, os
from celery import Celery
from sdk_core.integrations.celery import configure, sdk_task

app = Celery("app", backend="redis://127.0.0.1:1/0")
configure(app)

@sdk_task(app)
async def where():
    await asyncio.to_thread(int)
    return id(asyncio.get_running_loop())

loop = where()
child = os.fork()
if child == 0:
    os._exit(where() == loop)
assert os.waitpid(child, 0)[1] == 0
assert where() == loop
"""


async def test_a_forked_process_has_an_event_loop_of_its_own() -> None:
    """And takes nothing from that of its parent, which goes on."""
    await asyncio.to_thread(run_program, _FORKED)


_WITHOUT = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"celery", "docket"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
for library in ("celery", "docket"):
    try:
        __import__(f"sdk_core.integrations.{library}")
    except ImportError as error:
        print(error)
"""


async def test_libraries_are_optional() -> None:
    """The modules say what to install."""
    printed = await asyncio.to_thread(run_program, _WITHOUT)
    assert printed.splitlines() == [
        f"sdk_core.integrations.{library} needs: pip install 'membership-cloudcockpit-sdk[{library}]'"
        for library in ("celery", "docket")
    ]
