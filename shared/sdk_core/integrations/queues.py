"""What a task queue is to do about a call that failed; for any queue, so that it imports none.

A queue runs a task at least once: again if the call in it failed, and again if its worker died. For a workflow that is
no harm: it reads before it asks. A single write would be done twice.
"""

import random
from collections.abc import Callable
from enum import Enum
from inspect import iscoroutinefunction, signature
from typing import Any, Final

from attrs import frozen

from sdk_core.correlation import checked_correlation_id, new_correlation_id
from sdk_core.errors import SdkError
from sdk_core.outcome import Outcome

__all__ = ["Action", "Decision", "broken_off", "carried_correlation_id", "decide", "next_run", "out_of_time", "settles"]

_FIRST: Final = 1.0
"""Seconds before a first repetition for which nobody named a time; doubles each time ..."""
_LONGEST: Final = 300.0
"""... up to this."""


class Action(Enum):
    """What is to become of a task."""

    RETRY = "retry"
    """Run it again: it has done nothing, or nothing that doing it again would double."""
    SETTLE = "settle"
    """Run it again with `ask=False`: what it asked for may have happened, or still be under way."""
    PERSON = "person"
    """Let it fail: what it asked for may have happened, and it can't find out. Somebody has to read the state."""
    GIVE_UP = "give_up"
    """Let it fail: it has done nothing, and would fail again."""


@frozen
class Decision:
    """What to do, and when."""

    action: Action
    delay: float = 0.0
    """Seconds before the task is to run again; 0: at once."""
    wait: float = 0.0
    """The same, but no longer than the queue can hold a task back: if it is less than `delay`, wait again then."""


def decide(error: SdkError, *, settles: bool, tried: int, most: int, longest: float, jitter: float = 0.0) -> Decision:
    """Return what is to become of a task whose call failed. It asks the error, never the HTTP status.

    Args:
        error: why it failed.
        settles: whether the task can be run with `ask=False`.
        tried: how often it was run again so far.
        most: how often it may be.
        longest: seconds that the queue can hold a task back. One that hands out what was not acknowledged in time
            (Redis under Celery: the visibility timeout) would run a task twice that waits longer.
        jitter: from 0 to 1, a random number: tasks that were refused together must not come back together.
    """
    if error.retryable:
        action = Action.RETRY if tried < most else Action.GIVE_UP
    elif error.outcome in {Outcome.UNKNOWN, Outcome.APPLIED}:
        action = Action.SETTLE if settles and tried < most else Action.PERSON
    else:
        action = Action.GIVE_UP
    if action not in {Action.RETRY, Action.SETTLE}:
        return Decision(action)
    delay = _delay(error, tried, jitter)
    return Decision(action, delay, min(delay, longest))


def _delay(error: SdkError, tried: int, jitter: float) -> float:
    if error.retry_at_once:
        return 0.0
    # The exponent is bounded, so that the power is no number of a thousand digits.
    delay = error.retry_after if error.retry_after is not None else min(_LONGEST, _FIRST * 2 ** min(tried, 16))
    # Never earlier than asked.
    return delay + jitter * max(_FIRST, delay / 10)


def next_run(
    error: SdkError, kwargs: dict[str, Any], *, settles: bool, tried: int, most: int, longest: float
) -> Decision | None:
    """Decide for a task with these keyword arguments, as `decide` does; set `ask=False` in them if that is to be.

    Returns:
        When it is to run again; None: it fails with `error`, which then says if an earlier run has asked for something.
    """
    # Who waits already has nothing left to try where waiting is no cure: a key that is refused, for one.
    can_settle = settles and kwargs.get("ask") is not False
    decision = decide(error, settles=can_settle, tried=tried, most=most, longest=longest, jitter=random.random())
    if decision.action is Action.SETTLE:
        kwargs["ask"] = False
    if decision.action in {Action.RETRY, Action.SETTLE}:
        return decision
    if settles and kwargs.get("ask") is False:
        error.with_facts(outcome=Outcome.UNKNOWN.value, retryable=False)
    return None


def settles(function: Callable[..., object]) -> bool:
    """Return whether a task can be run with `ask=False`, because its function has this keyword.

    Raises:
        TypeError: it is no coroutine function, or `ask` can be passed by its position.
    """
    if not iscoroutinefunction(function):
        raise TypeError("a task that makes calls must be a coroutine function (async def)")
    ask = signature(function).parameters.get("ask")
    if ask is not None and ask.kind is not ask.KEYWORD_ONLY:
        raise TypeError("`ask` must be keyword-only: it is set when the task is run again")
    return ask is not None


def broken_off(task: str) -> SdkError:
    """Build the error of a task that must not be run again, and whose worker died in it."""
    what = f"the worker died while it ran the task {task}, which is not declared as repeatable: read the state"
    return SdkError(what, {"outcome": Outcome.UNKNOWN.value, "retryable": False})


def out_of_time(task: str, seconds: float, *, repeatable: bool) -> SdkError:
    """Build the error of a task that was broken off because it ran too long."""
    what = f"the task {task} was broken off after {seconds:.0f} s: give its calls, and its workflow, less time"
    return SdkError(what, {"outcome": Outcome.UNKNOWN.value, "retryable": repeatable})


def carried_correlation_id(value: object) -> str:
    """Return the correlation id that a task carries; a new one if it was sent by a program that carries none."""
    try:
        return checked_correlation_id(value)
    except (TypeError, ValueError):
        return new_correlation_id()
