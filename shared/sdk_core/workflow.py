"""Procedures of several calls that end in a known state: read, act only if needed, and when unsure read again.

So each is safe to run twice, after a crash, or by a queue that delivers at least once.
"""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from attrs import frozen

from sdk_core.client import Reply
from sdk_core.errors import BadRequestError, ConflictError, NotSettledError, Outcome, SdkError
from sdk_core.retry import RetryPolicy

__all__ = ["Settled", "settle"]

S = TypeVar("S")

_MOST_ACTS = 2


@frozen
class Settled(Generic[S]):
    """How a workflow ended: in the state asked for."""

    changed: bool
    """Whether this run did it. False: it was so already, or somebody else did it meanwhile."""
    state: S
    """What was read last."""
    correlation_ids: tuple[str, ...]
    """Of all calls made, in order."""

    @property
    def unchanged(self) -> bool:
        """Whether it was so already."""
        return not self.changed


async def settle(
    policy: RetryPolicy,
    *,
    read: Callable[[], Awaitable[Reply[S]]],
    reached: Callable[[S], bool],
    act: Callable[[S], Awaitable[Reply[object]]],
    describe: Callable[[S], str],
    timeout: float,
    poll: float,
    patience: float,
) -> Settled[S]:
    """Bring about a state, and return when it is read.

    Args:
        policy: whose clock and sleep to wait with.
        read: reads the state.
        reached: whether a state is the one asked for; it may raise if nothing right can be done.
        act: asks for the change.
        describe: a state as the API spells it, for errors.
        timeout: seconds until NotSettledError, from the first read on.
        poll: seconds between reads; grows by half each time, up to ten times as long.
        patience: seconds after an attempt of UNKNOWN outcome in which its effect would show. If it has not shown by
            then, it is done again: at most twice.

    Raises:
        NotSettledError: the API took the request, but the state was not reached in time.
        SdkError: a call failed, and the state asked for was not reached all the same.
    """
    clock = policy.clock
    deadline = clock() + timeout
    ids: list[str] = []
    acted: list[float] = []
    failure: SdkError | None = None
    changed = False
    pause = poll
    while True:
        reply = await read()
        ids.append(reply.correlation_id)
        if reached(reply.value):
            return Settled(changed, reply.value, tuple(ids))
        would_show = not acted or clock() - acted[-1] >= patience
        if would_show and failure is not None and (failure.outcome is Outcome.REJECTED or len(acted) == _MOST_ACTS):
            raise failure
        if would_show and (not acted or failure is not None):
            acted.append(clock())
            failure = await _attempt(act, reply.value, ids)
            changed = changed or failure is None or failure.outcome is Outcome.UNKNOWN
            continue
        if clock() + pause > deadline:
            raise failure or _not_settled(describe(reply.value), timeout, reply.correlation_id)
        await policy.sleep(pause)
        pause = min(pause * 1.5, poll * 10)


async def _attempt(act: Callable[[S], Awaitable[Reply[object]]], state: S, ids: list[str]) -> SdkError | None:
    """Act. Return a failure if reading on can tell what became of it; raise any other."""
    try:
        ids.append((await act(state)).correlation_id)
    except SdkError as error:
        if error.correlation_id is not None:
            ids.append(error.correlation_id)
        if error.outcome is Outcome.APPLIED:
            return None
        # A refusal may mean that somebody else is doing the same.
        if error.outcome is Outcome.UNKNOWN or isinstance(error, BadRequestError | ConflictError):
            return error
        raise
    return None


def _not_settled(state: str, timeout: float, correlation_id: str) -> NotSettledError:
    return NotSettledError(
        f"the state asked for was not reached within {timeout:g} s; it is {state}",
        {"outcome": Outcome.UNKNOWN.value, "retryable": True, "correlation_id": correlation_id, "state": state},
    )
