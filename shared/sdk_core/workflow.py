"""Procedures of several calls that end in a known state: read, act only if needed, and when unsure read again.

So each is safe to run twice, after a crash, or by a queue that delivers at least once.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

from sdk_core.client import Reply
from sdk_core.errors import BadRequestError, ConflictError, NotSettledError, Outcome, SdkError, WorkflowError
from sdk_core.retry import RetryPolicy

__all__ = ["Procedure", "Settled", "cannot", "settle"]

S = TypeVar("S")
B = TypeVar("B")
E = TypeVar("E", bound=WorkflowError)

_MOST_ACTS: Final = 2


@frozen
class Settled(Generic[S]):
    """How a workflow ended: in the state asked for."""

    changed: bool
    """Whether this run did it. False: it was so already, or somebody else did it meanwhile."""
    state: S
    """What was read last."""
    correlation_ids: tuple[str, ...]
    """Of the calls that read and changed the state, in order."""

    @property
    def unchanged(self) -> bool:
        """Whether it was so already."""
        return not self.changed


@frozen(kw_only=True)
class Procedure(Generic[S, B]):
    """What `settle` needs to know of one workflow."""

    read: Callable[[], Awaitable[Reply[S]]]
    reached: Callable[[S], bool]
    """Whether this is the state asked for; raises if nothing would be right to do."""
    choose: Callable[[S], Awaitable[B]]
    """Decides once what to ask for, from the first state: a repetition asks for the same."""
    act: Callable[[B], Awaitable[str]]
    """Asks for it, and returns the correlation id."""
    describe: Callable[[S], str]
    """A state as the API spells it, for errors."""


async def settle(
    policy: RetryPolicy, procedure: Procedure[S, B], *, timeout: float, poll: float, patience: float
) -> Settled[S]:
    """Bring about a state, and return when it is read.

    Args:
        policy: whose clock and sleep to wait with.
        procedure: how to read and change the state.
        timeout: seconds, from the first read on, until NotSettledError.
        poll: seconds between reads; grows by half each time, up to ten times as long.
        patience: seconds in which the effect of a request of UNKNOWN outcome shows, or somebody else's after a
            refusal. If an UNKNOWN one has not shown by then, it is sent once more.

    Raises:
        NotSettledError: the API took the request, but the state was not reached in time.
        SdkError: a call failed, and the state asked for was not reached all the same.
    """
    clock = policy.clock
    deadline = clock() + timeout
    ids: list[str] = []
    chosen: list[B] = []
    acted: list[float] = []
    failure: SdkError | None = None
    changed = False
    pause = poll
    while True:
        reply = await procedure.read()
        ids.append(reply.correlation_id)
        if procedure.reached(reply.value):
            return Settled(changed, reply.value, tuple(ids))
        would_show = not acted or clock() - acted[-1] >= patience
        if would_show and failure is not None and (failure.outcome is Outcome.REJECTED or len(acted) == _MOST_ACTS):
            raise failure
        if would_show and (not acted or failure is not None):
            if not chosen:
                chosen.append(await procedure.choose(reply.value))
            failure = await _attempt(procedure, chosen[0], ids)
            acted.append(clock())
            changed = changed or failure is None or failure.outcome is Outcome.UNKNOWN
            continue
        if clock() + pause > deadline:
            what = f"the state asked for was not reached within {timeout:g} s"
            raise failure or cannot(
                NotSettledError,
                what,
                outcome=Outcome.UNKNOWN,
                state=procedure.describe(reply.value),
                correlation_id=reply.correlation_id,
                retryable=True,
            )
        await policy.sleep(pause)
        pause = min(pause * 1.5, poll * 10)


async def _attempt(procedure: Procedure[S, B], body: B, ids: list[str]) -> SdkError | None:
    """Act. Return a failure if reading on can tell what became of it; raise any other."""
    try:
        ids.append(await procedure.act(body))
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


def cannot(
    kind: type[E], what: str, *, state: str | None = None, outcome: Outcome = Outcome.NOT_SENT, **facts: Any
) -> E:
    """Build the error of a workflow that can't go on."""
    if state is not None:
        what = f"{what} (state: {state})" if state not in what else what
        facts["state"] = str(state)
    return kind(what, {"outcome": outcome.value, **facts})
