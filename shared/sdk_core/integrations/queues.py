"""What a task queue is to do about a call that failed; for any queue, so that it imports none."""

from enum import Enum
from typing import Final

from attrs import frozen

from sdk_core.errors import SdkError
from sdk_core.outcome import Outcome

__all__ = ["Action", "Decision", "decide"]

_FIRST: Final = 1.0
"""Seconds before a first repetition for which nobody named a time; doubles each time ..."""
_LONGEST: Final = 300.0
"""... up to this."""


class Action(Enum):
    """What is to become of the task."""

    RETRY = "retry"
    """Run it again: it has done nothing, or nothing that doing it again would double."""
    SETTLE = "settle"
    """What it asked for may have happened, or has: asking again could do it twice. Read the state: by a workflow with
    `ask=False`, or by a person."""
    GIVE_UP = "give up"
    """It has done nothing, and would fail again."""


@frozen
class Decision:
    """What to do, and when."""

    action: Action
    delay: float = 0.0
    """Seconds before the task is to run again; 0: at once."""
    wait: float = 0.0
    """The same, but no longer than the queue can hold a task back: if it is less than `delay`, wait again then."""


def decide(error: SdkError, *, tried: int, most: int, longest: float, jitter: float = 0.0) -> Decision:
    """Return what is to become of a task whose call failed. It asks the error, never the HTTP status.

    Args:
        error: why it failed.
        tried: how often it was run again so far.
        most: how often it may be; after that, GIVE_UP takes the place of RETRY.
        longest: seconds that the queue can hold a task back. One that hands out what was not acknowledged in time
            (Redis under Celery: the visibility timeout) would run a task twice that waits longer.
        jitter: from 0 to 1, a random number: tasks that were refused together must not come back together.
    """
    if error.retryable:
        if tried >= most:
            return Decision(Action.GIVE_UP)
        action = Action.RETRY
    elif error.outcome in {Outcome.UNKNOWN, Outcome.APPLIED}:
        action = Action.SETTLE
    else:
        return Decision(Action.GIVE_UP)
    delay = _delay(error, tried, jitter)
    return Decision(action, delay, min(delay, longest))


def _delay(error: SdkError, tried: int, jitter: float) -> float:
    if error.retry_at_once:
        return 0.0
    # Not 2.0**tried, which overflows.
    delay = error.retry_after if error.retry_after is not None else min(_LONGEST, _FIRST * 2 ** min(tried, 16))
    # Never earlier than asked.
    return delay + jitter * max(_FIRST, delay / 10)
