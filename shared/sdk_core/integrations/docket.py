"""Docket tasks that make calls: run again only where that can't do something twice.

Needs the extra `docket`. See `examples/worker_docket.py`.
"""

import functools
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from inspect import Parameter, signature
from math import inf
from typing import Any, Final, ParamSpec, Self, TypeVar

from sdk_core.arguments import instance, whole_number
from sdk_core.correlation import correlation_scope, current_correlation_id
from sdk_core.errors import SdkError
from sdk_core.integrations.queues import broken_off, carried_correlation_id, next_run, settles

try:
    from docket import Execution, Retry
    from docket.dependencies import TaskOutcome, current_execution
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "docket":
        raise
    raise ImportError(
        "sdk_core.integrations.docket needs: pip install 'membership-cloudcockpit-sdk[docket]'"
    ) from _missing

__all__ = ["correlated", "sdk_task"]

P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E")

_CORRELATION_ID: Final = "sdk_correlation_id"
_RUN: Final = "sdk_run"
"""Arguments that a task has besides those of its function: the id of its calls, and who decides about its failures.

(Docket drops the baggage of OpenTelemetry when a task has to wait.)
"""


def correlated(schedule: Callable[P, Awaitable[E]]) -> Callable[P, Awaitable[E]]:
    """Have a task carry the correlation id of the scope in which it is added; all calls of the task have it, each run.

    `await correlated(docket.add(withdraw))(1001, 2003)`. Without a scope, or without this, the task gets its own.

    Args:
        schedule: what `docket.add` or `docket.replace` returns, of a function that `sdk_task` has made.
    """

    @functools.wraps(schedule)
    def add(*args: P.args, **kwargs: P.kwargs) -> Awaitable[E]:
        if (correlation_id := current_correlation_id()) is not None:
            kwargs[_CORRELATION_ID] = correlation_id
        return schedule(*args, **kwargs)

    return add


def sdk_task(
    *, max_retries: int = 20, repeatable: bool = False
) -> Callable[[Callable[P, Coroutine[Any, Any, R]]], Callable[P, Coroutine[Any, Any, R]]]:
    """Have a coroutine function, which is to be a docket task, decide by the error of a call what becomes of it.

    - It is run again, when the error's `retry_after` is over or else ever later, if the error is `retryable`.
    - If what it asked for may have happened, it is run again only if it has a keyword `ask`, which is then False: so
      workflows go on waiting for what was asked, and ask for nothing more. Any other task fails with the error, which
      a person has to look at: `outcome` is UNKNOWN or APPLIED.
    - Any other error is the task's.

    It takes the place of docket's `Retry`. All calls of a task have one correlation id; see `correlated`.

    Args:
        max_retries: how often it is run again.
        repeatable: whether it may be run again as it was after its worker died in it: True for what only reads, and for
            a workflow that asks for what the API refuses to do twice. Any other with `ask` is then run with
            `ask=False`, and one without fails with an SdkError of outcome UNKNOWN.

    Raises:
        TypeError: no coroutine function, or `ask` is no keyword-only argument.
    """
    whole_number("max_retries", max_retries, 0)
    instance("repeatable", repeatable, bool)

    def declare(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        can_settle = settles(function)

        @functools.wraps(function)
        async def run(*args: P.args, **kwargs: P.kwargs) -> R:
            given_id = kwargs.pop(_CORRELATION_ID, None)
            if kwargs.pop(_RUN, None) is None:
                # Called by somebody else than a worker.
                return await function(*args, **kwargs)
            execution = current_execution.get()
            if execution.redelivered and not repeatable:
                if not can_settle:
                    raise broken_off(execution.function_name)
                kwargs["ask"] = execution.kwargs["ask"] = False
            with correlation_scope(carried_correlation_id(given_id)) as correlation_id:
                # If the task is run again, it is with the same.
                execution.kwargs[_CORRELATION_ID] = correlation_id
                return await function(*args, **kwargs)

        _add_arguments(run, {_CORRELATION_ID: None, _RUN: _SdkRetry(max_retries, can_settle=can_settle)})
        return run

    return declare


class _SdkRetry(Retry):
    """Asked by docket when a task has failed."""

    def __init__(self, max_retries: int, *, can_settle: bool) -> None:
        super().__init__(attempts=None)
        self._max_retries = max_retries
        self._can_settle = can_settle

    async def __aenter__(self) -> Self:
        # `delay` is of one run.
        return type(self)(self._max_retries, can_settle=self._can_settle)

    async def handle_failure(self, execution: Execution, outcome: TaskOutcome) -> bool:
        """Send the task again, if that is right, and return True; else the failure is its end."""
        error = outcome.exception
        if not isinstance(error, SdkError):
            return False
        tried, most = execution.attempt - 1, self._max_retries
        # Docket keeps what is to come in a list of its own, for as long as it takes.
        decision = next_run(error, execution.kwargs, settles=self._can_settle, tried=tried, most=most, longest=inf)
        if decision is None:
            return False
        self.delay = timedelta(seconds=decision.delay)
        return await super().handle_failure(execution, outcome)


def _add_arguments(function: Any, defaults: Mapping[str, object]) -> None:
    found = signature(function)
    parameters = [*found.parameters.values()]
    # In a signature, `**kwargs` comes last.
    end = len(parameters) - any(it.kind is it.VAR_KEYWORD for it in parameters)
    parameters[end:end] = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=default) for name, default in defaults.items()
    ]
    function.__signature__ = found.replace(parameters=parameters)
