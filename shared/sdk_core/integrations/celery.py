"""Celery tasks that make calls: each worker keeps one event loop, and repeats only what can't be done twice.

Needs the extra `celery`. See `examples/worker_celery.py`.
"""

import asyncio
import functools
import inspect
import threading
import time
from collections.abc import Callable, Coroutine, Mapping
from contextvars import copy_context
from typing import Any, Final, ParamSpec, TypeVar, cast

from sdk_core.arguments import instance, positive_int, whole_number
from sdk_core.correlation import correlation_scope, current_correlation_id, new_correlation_id
from sdk_core.errors import SdkError
from sdk_core.fork import reset_in_child
from sdk_core.integrations.queues import broken_off, carried_correlation_id, next_run, out_of_time, settles

try:
    from celery import Celery, Task, signals
    from celery.backends.redis import RedisBackend
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "celery":
        raise
    raise ImportError(
        "sdk_core.integrations.celery needs: pip install 'membership-cloudcockpit-sdk[celery]'"
    ) from _missing

__all__ = ["configure", "sdk_task"]

P = ParamSpec("P")
R = TypeVar("R")

_SHARE: Final = 0.9
"""Of the time after which a process is killed, what its task gets."""
_REMEMBERED: Final = 7 * 86_400
"""Seconds for which it is known that a task was begun: longer than any visibility timeout."""
_UNTIL_REDIS_IS_BACK: Final = 1.0
"""Seconds before it is tried again to note that a task is begun."""
_CORRELATION_ID: Final = "sdk_correlation_id"
_NOT_BEFORE: Final = "sdk_not_before"
_RUN: Final = "sdk_run"
"""Headers of a task's messages. Celery keeps them when it is run again."""
_OTHER_POOLS: Final = ("gevent", "eventlet")
_settings: dict[Celery, Mapping[str, Any]] = {}
"""Of each app that was configured."""


def configure(app: Celery, *, visibility_timeout: int = 600) -> None:
    """Make the settings of `app` those with which a killed worker's task is run again, and a living one's is not.

    One gap over Redis no setting closes: Celery takes a task out of Redis before it notes that it has it. One that is
    handed to a worker at the moment it dies is lost (in the last second, if its machine is cut off). With RabbitMQ as
    the broker there is no such gap.

    Its workers refuse to start if one of them was changed afterwards, without Redis for results, and with pools that
    replace the event loop's sockets. For Celery's defaults a task is gone as soon as a worker has received it.

    Args:
        app: with Redis as its result backend: there, a run that was broken off is recognised.
        visibility_timeout: seconds after which Redis hands out again what was not acknowledged, as of a machine that
            died. A task may wait for half of it, and run for a third: give workflows a shorter `timeout`. (RabbitMQ
            hands out at once, and ignores it.)
    """
    positive_int("visibility_timeout", visibility_timeout)
    settings: dict[str, Any] = {
        # Acknowledged when it has ended, and handed out again if its process was killed.
        "task_acks_late": True,
        "task_reject_on_worker_lost": True,
        # What a worker only holds is lost to the others as long as it lives.
        "worker_prefetch_multiplier": 1,
        # One that was killed between the result and the acknowledgement has succeeded.
        "worker_deduplicate_successful_tasks": True,
        # Else it would go on beside the next run of it.
        "worker_cancel_long_running_tasks_on_connection_loss": True,
        "broker_connection_retry_on_startup": True,
        "task_time_limit": max(1, visibility_timeout * 2 // 5),
        # It would be raised in the middle of the event loop, whose call would go on in the next task.
        "task_soft_time_limit": None,
        "broker_transport_options": {
            "visibility_timeout": visibility_timeout,
            # How often workers look for tasks that were not acknowledged.
            "unacked_restore_interval": 1,
            "unacked_restore_throttle": 1,
            # A worker that is killed while it looks holds the others off, by default for five minutes.
            "unacked_mutex_expire": 10,
        },
    }
    _settings[app] = settings
    # Beside the options that the application has for its broker.
    own: Mapping[str, Any] = app.conf.broker_transport_options or {}
    app.conf.update({**settings, "broker_transport_options": {**own, **settings["broker_transport_options"]}})
    signals.before_task_publish.connect(_carry_correlation_id)
    signals.celeryd_after_setup.connect(_check_at_start)


def sdk_task(
    app: Celery, *, name: str | None = None, max_retries: int = 20, repeatable: bool = False
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Task[P, R]]:
    """Make a Celery task of a coroutine function. A call in it that fails decides what becomes of it.

    - It is run again, when the error's `retry_after` is over or else ever later, if the error is `retryable`.
    - If what it asked for may have happened, it is run again only if it has a keyword `ask`, which is then False: so
      workflows go on waiting for what was asked, and ask for nothing more. Any other task fails with the error, which
      a person has to look at: `outcome` is UNKNOWN or APPLIED.
    - Any other error is the task's.

    Celery's own `retry` is not for these tasks: it can't be known what the run had asked for by then, so that the next
    one is as after its worker died (see `repeatable`).

    What runs too long is broken off, which may be after it has asked for something, and so goes on the same way.

    All calls of a task have the correlation id of the scope in which it was sent, or else one of its own, in each run.

    Args:
        app: the app, which `configure` was called with.
        name: the task's name; None: Celery's, of module and function.
        max_retries: how often it is run again. A wait that is longer than half the visibility timeout is made in parts,
            which do not count; nor do waits for a result backend that is away.
        repeatable: whether it may be run again as it was after its worker died in it: True for what only reads, and for
            a workflow that asks for what the API refuses to do twice. Any other with `ask` is then run with
            `ask=False`, and one without fails with an SdkError of outcome UNKNOWN.

    Raises:
        ValueError: `configure` was not called with this app.
        TypeError: no coroutine function, or `ask` is no keyword-only argument.
    """
    whole_number("max_retries", max_retries, 0)
    instance("repeatable", repeatable, bool)
    if app not in _settings:
        raise ValueError("call sdk_core.integrations.celery.configure(app) first: Celery's defaults lose tasks")

    def declare(function: Callable[P, Coroutine[Any, Any, R]]) -> Task[P, R]:
        can_settle = settles(function)

        @functools.wraps(function)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            _wait_on(task)
            if not repeatable and _is_queued(task) and _was_begun(task):
                if not can_settle:
                    raise broken_off(str(task.name))
                kwargs["ask"] = False
            with correlation_scope(carried_correlation_id(_headers(task).get(_CORRELATION_ID))):
                try:
                    call = _in_time(task, function(*args, **kwargs), repeatable=repeatable and not can_settle)
                    return _loops.runner.run(call, context=copy_context())
                except SdkError as error:
                    if _is_queued(task):
                        _end(task, error, kwargs, max_retries, can_settle=can_settle)
                    raise

        # Celery counts the parts of a wait as well; it checks arguments when a task is sent, and looks for them here.
        run.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]  # any function may have one
        make: Any = app.task
        task: Task[P, R] = make(max_retries=None, **({} if name is None else {"name": name}))(run)
        return task

    return declare


def _wait_on(task: "Task[Any, Any]") -> None:
    """Go back into the queue if it is too early: it could not hold the task for as long as it has to wait."""
    rest = float(_headers(task).get(_NOT_BEFORE) or "0") - time.time()
    if rest > 0:
        raise task.retry(countdown=min(rest, _longest_wait(task.app)))


def _was_begun(task: "Task[Any, Any]") -> bool:
    """Note that this run of a task is begun, and return whether it was before: it may have asked for something then.

    Its state does not tell: Celery says RETRY of one that it has killed itself, when it lost the broker.
    """
    backend: Any = task.backend
    key = backend.get_key_for_task(task.request.id, f".begun.{_run(task)}")
    try:
        # In one transaction: what is noted in part would count as begun.
        with backend.client.pipeline() as both:
            times, _ = both.incr(key).expire(key, _REMEMBERED).execute()
    except Exception as error:
        # Redis is away, or full. Nothing was done, so that it is the same run again.
        raise task.retry(exc=error, countdown=_UNTIL_REDIS_IS_BACK) from error
    return cast("int", times) > 1


def _run(task: "Task[Any, Any]") -> int:
    """Return how often a task was run again for its failures. Celery counts waits as well."""
    return int(_headers(task).get(_RUN) or "0")


def _is_queued(task: "Task[Any, Any]") -> bool:
    """Return whether a worker runs it, and not somebody who called it like a function."""
    return not (task.request.called_directly or task.request.is_eager)


async def _in_time(task: "Task[Any, Any]", call: Coroutine[Any, Any, R], *, repeatable: bool) -> R:
    """Break a task off before Celery kills its process for it, so that its end says what is known."""
    limit = _SHARE * task.app.conf.task_time_limit
    clock = asyncio.timeout(limit)
    try:
        async with clock:
            return await call
    except TimeoutError:
        if not clock.expired():
            raise
    # Raised here, so that the cancellation is not its context.
    raise out_of_time(str(task.name), limit, repeatable=repeatable)


def _end(
    task: "Task[Any, Any]", error: SdkError, kwargs: dict[str, Any], max_retries: int, *, can_settle: bool
) -> None:
    """Send the task again, if that is right; else return, and the error is its end."""
    request, tried, longest = task.request, _run(task), _longest_wait(task.app)
    decision = next_run(error, kwargs, settles=can_settle, tried=tried, most=max_retries, longest=longest)
    if decision is None:
        return
    # That this run was begun stays noted: its message comes again if the process is killed before it is acknowledged.
    headers = {**_headers(task), _NOT_BEFORE: str(time.time() + decision.delay), _RUN: str(tried + 1)}
    raise task.retry(tuple(request.args or ()), kwargs, error, countdown=decision.wait, headers=headers)


def _longest_wait(app: Celery) -> float:
    """Return half the visibility timeout: the rest is for the run, and for the worker to look for lost tasks."""
    timeout: float = app.conf.broker_transport_options["visibility_timeout"]
    return timeout / 2


def _headers(task: "Task[Any, Any]") -> dict[str, str]:
    return cast("dict[str, str]", task.request.headers or {})


def _carry_correlation_id(*, headers: dict[str, Any], **_more: object) -> None:
    headers.setdefault(_CORRELATION_ID, current_correlation_id() or new_correlation_id())


def _check_at_start(*, instance: Any, conf: Any, **_more: object) -> None:
    worker = instance
    if worker.app not in _settings:
        return
    expected = dict(_settings[worker.app])
    options: Mapping[str, Any] = conf.broker_transport_options or {}
    of_broker: Mapping[str, Any] = expected.pop("broker_transport_options")
    wrong = [f"{name} is {conf[name]!r}, not {value!r}" for name, value in expected.items() if conf[name] != value]
    wrong += [
        f"{name} of broker_transport_options is {options.get(name)!r}, not {value!r}"
        for name, value in of_broker.items()
        if options.get(name) != value
    ]
    if not isinstance(worker.app.backend, RedisBackend):
        wrong.append("result_backend is not Redis: a task that was begun before could not be recognised")
    pool = f"{getattr(worker.pool_cls, '__module__', worker.pool_cls)}"
    wrong += [
        f"the pool is {other}, not prefork: asyncio does not run in it" for other in _OTHER_POOLS if other in pool
    ]
    if wrong:
        # Celery logs what receivers raise, and goes on; not so SystemExit.
        raise SystemExit(
            f"tasks could be lost or run twice; after configure(app) nothing may change: {'; '.join(wrong)}"
        )


class _Loops(threading.local):
    """The event loop of each thread that runs tasks, kept between them: so are its connections."""

    def __init__(self) -> None:
        self.runner = asyncio.Runner()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        # The parent's is kept: closing it would take its sockets from the selector that both share.
        self._parents, self.runner = self.runner, asyncio.Runner()


_loops = _Loops()
