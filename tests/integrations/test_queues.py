"""What a task queue does about a failed call: decided by what is known of its effect, never by its status."""

from typing import Any

import pytest
from cases import goes_through

from membership_sdk import (
    AuthenticationError,
    ConnectionFailedError,
    NotFoundError,
    NotSettledError,
    Outcome,
    RateLimitError,
    SdkError,
    ServerError,
)
from sdk_core.integrations.queues import (
    Action,
    Decision,
    broken_off,
    carried_correlation_id,
    decide,
    next_run,
    out_of_time,
    settles,
)

REFUSED: dict[str, Any] = {"outcome": "rejected", "retryable": True}
LOST: dict[str, Any] = {"outcome": "unknown", "retryable": False}
QUEUE: dict[str, Any] = {"settles": True, "tried": 0, "most": 5, "longest": 300.0}

DECISIONS: dict[str, tuple[SdkError, dict[str, Any], Decision]] = {
    "refused for now": (RateLimitError("", {**REFUSED, "retry_after": 60.0}), {}, Decision(Action.RETRY, 60.0, 60.0)),
    "refused for longer than the queue can wait": (
        RateLimitError("", {**REFUSED, "retry_after": 3600.0}),
        {},
        Decision(Action.RETRY, 3600.0, 300.0),
    ),
    "refused too often": (RateLimitError("", {**REFUSED, "retry_after": 60.0}), {"tried": 5}, Decision(Action.GIVE_UP)),
    "at once": (ConnectionFailedError("", {**REFUSED, "retry_at_once": True}), {}, Decision(Action.RETRY, 0.0, 0.0)),
    "nobody says when": (ConnectionFailedError("", REFUSED), {}, Decision(Action.RETRY, 1.0, 1.0)),
    "ever later": (ConnectionFailedError("", REFUSED), {"tried": 4}, Decision(Action.RETRY, 16.0, 16.0)),
    "but no later": (
        ConnectionFailedError("", REFUSED),
        {"tried": 10_000, "most": 20_000},
        Decision(Action.RETRY, 300.0, 300.0),
    ),
    # It is the outcome that decides, whatever the class: a read may be repeated though nobody knows what became of it.
    "a read of unknown outcome": (ServerError("", {**LOST, "retryable": True}), {}, Decision(Action.RETRY, 1.0, 1.0)),
    "a write of unknown outcome": (ServerError("", LOST), {}, Decision(Action.SETTLE, 1.0, 1.0)),
    "an answer that can't be read": (
        SdkError("", {"outcome": "applied"}),
        {"settles": False},
        Decision(Action.PERSON),
    ),
    "a write that can't settle": (ServerError("", LOST), {"settles": False}, Decision(Action.PERSON)),
    "a write that did not settle": (ServerError("", LOST), {"tried": 5}, Decision(Action.PERSON)),
    "throttled in between, a write": (
        ServerError("", {**LOST, "retry_after": 30.0}),
        {},
        Decision(Action.SETTLE, 30.0, 30.0),
    ),
    "refused for good": (NotFoundError("", {"outcome": "rejected"}), {}, Decision(Action.GIVE_UP)),
    "never sent, for good": (SdkError("", {}), {}, Decision(Action.GIVE_UP)),
}


@goes_through(("error", "queue", "decision"), DECISIONS)
def test_decisions(error: SdkError, queue: dict[str, Any], decision: Decision) -> None:
    assert decide(error, **{**QUEUE, **queue}) == decision


@goes_through("jitter", [0.0, 0.3, 1.0])
@goes_through("asked", [0.5, 60.0, 3600.0])
def test_nothing_is_repeated_earlier_than_asked(asked: float, jitter: float) -> None:
    """But spread: tasks that were refused together must not come back together."""
    error = RateLimitError("", {**REFUSED, "retry_after": asked})
    decision = decide(error, **QUEUE, jitter=jitter)
    assert asked <= decision.delay <= asked + max(1.0, asked / 10)
    assert (jitter == 0.0) == (decision.delay == asked)
    assert decision.wait == min(decision.delay, 300.0)


def test_a_task_settles_by_its_argument() -> None:
    async def workflow(contract_id: int, *, ask: bool = True) -> None: ...
    async def write(contract_id: int) -> None: ...
    async def positional(contract_id: int, ask: bool = True) -> None: ...
    def synchronous(contract_id: int) -> None: ...

    assert (settles(workflow), settles(write)) == (True, False)
    with pytest.raises(TypeError, match="keyword-only"):
        settles(positional)
    with pytest.raises(TypeError, match="async def"):
        settles(synchronous)


def test_errors_say_that_nobody_knows() -> None:
    error = broken_off("withdraw")
    assert (error.outcome, error.retryable) == (Outcome.UNKNOWN, False)
    assert "withdraw" in str(error)
    for repeatable in (True, False):
        error = out_of_time("withdraw", 216.0, repeatable=repeatable)
        assert (error.outcome, error.retryable) == (Outcome.UNKNOWN, repeatable)
        assert "216 s" in str(error)


def test_a_task_that_may_have_asked_for_something_asks_no_more_and_says_so_at_its_end() -> None:
    kwargs: dict[str, Any] = {"contract_id": 2003}
    throttled = RateLimitError("", {**REFUSED, "retry_after": 60.0})
    assert next_run(throttled, kwargs, **QUEUE) is not None
    assert kwargs == {"contract_id": 2003}
    assert next_run(ServerError("", LOST), kwargs, **QUEUE) is not None
    assert kwargs == {"contract_id": 2003, "ask": False}
    assert next_run(throttled, kwargs, **QUEUE) is not None
    assert kwargs["ask"] is False
    assert next_run(throttled, kwargs, **{**QUEUE, "tried": 5}) is None
    assert (throttled.outcome, throttled.retryable) == (Outcome.UNKNOWN, False)


@pytest.mark.parametrize("settles", [False, True])
def test_what_has_done_nothing_ends_as_it_is(settles: bool) -> None:
    refused, kwargs = NotFoundError("", {"outcome": "rejected"}), {"contract_id": 2003}
    assert next_run(refused, kwargs, **{**QUEUE, "settles": settles}) is None
    assert (refused.outcome, kwargs) == (Outcome.REJECTED, {"contract_id": 2003})


@pytest.mark.parametrize("carried", [None, "", "two\nlines", 5, "x" * 129])
def test_what_is_no_correlation_id_is_replaced(carried: object) -> None:
    assert carried_correlation_id("of-the-sender") == "of-the-sender"
    assert len(carried_correlation_id(carried)) == 36


def test_a_task_that_only_waits_ends_with_what_waiting_does_not_cure() -> None:
    """A key that is refused, for one: somebody has to hear of it, and not after twenty runs."""
    kwargs: dict[str, Any] = {"contract_id": 2003, "ask": False}
    refused = AuthenticationError("", {"outcome": "unknown"})
    assert next_run(refused, kwargs, **QUEUE) is None
    waits = NotSettledError("", {"outcome": "unknown", "retryable": True})
    assert next_run(waits, kwargs, **QUEUE) is not None
    assert (refused.outcome, refused.retryable, kwargs["ask"]) == (Outcome.UNKNOWN, False, False)
