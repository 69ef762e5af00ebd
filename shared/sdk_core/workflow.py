"""Procedures of several calls that end in a known state: read, act only if needed, and when unsure read again.

So each is safe to run twice, after a crash, or by a queue that delivers at least once.
"""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

from sdk_core.call import Reply
from sdk_core.details import safe_code
from sdk_core.errors import BadRequestError, ConflictError, NotSettledError, SdkError, WorkflowError
from sdk_core.outcome import Outcome
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
    """Whether this run asked for it, and it is so now. False: it was so already, or somebody else did it meanwhile.

    After an answer that was lost, and a second run at the same moment, it may have been that one's doing.
    """
    state: S
    """What was read last."""
    correlation_ids: tuple[str, ...]
    """Of the calls that read and changed the state, in order."""

    @property
    def unchanged(self) -> bool:
        """Whether it was so already."""
        return not self.changed


@frozen(kw_only=True, eq=False)
class Procedure(Generic[S, B]):
    """What `settle` needs to know of one workflow."""

    read: Callable[[], Awaitable[Reply[S]]]
    reached: Callable[[S], bool]
    """Whether this is the state asked for; raises if nothing would be right to do."""
    choose: Callable[[S], Awaitable[B]]
    """Decides once what to ask for, from the first state: a repetition asks for the same."""
    act: Callable[[B], Awaitable[Reply[Any]]]
    """Asks for it."""
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
        patience: seconds in which the effect of a request of UNKNOWN outcome shows. If it has not by then, it is sent
            once more. (A refusal that somebody else's change explains shows within a few polls.)

    Raises:
        NotSettledError: the request may have been taken, but the state was not reached in time.
        WorkflowError: what became of the request can't be read; or nothing would be right to do.
        SdkError: a call failed before anything was changed.
    """
    run = _Run(policy, procedure, timeout=timeout, poll=poll, patience=patience)
    deadline = policy.clock() + timeout
    pause = poll
    try:
        while True:
            reply = await procedure.read()
            run.correlation_ids.append(reply.correlation_id)
            if procedure.reached(reply.value):
                return Settled(run.changed, reply.value, tuple(run.correlation_ids))
            if run.may_act():
                await run.act(reply.value)
            elif policy.clock() + pause > deadline or run.is_hopeless():
                raise run.not_settled(procedure.describe(reply.value))
            else:
                await policy.sleep(pause)
                pause = min(pause * 1.5, poll * 10)
    except NotSettledError:
        raise
    except SdkError as error:
        if not run.changed:
            raise
        # The failure of this call says nothing of the change that was asked for before it.
        raise cannot(
            WorkflowError,
            f"the change was asked for, but what became of it could not be read: {error.args[0]}",
            outcome=Outcome.UNKNOWN,
            retryable=True,
            retry_after=error.retry_after,
            correlation_id=error.correlation_id,
        ) from error


class _Run(Generic[S, B]):
    """One run of a procedure: what it has done so far."""

    def __init__(
        self, policy: RetryPolicy, procedure: Procedure[S, B], *, timeout: float, poll: float, patience: float
    ) -> None:
        self._timeout = timeout
        self._clock = policy.clock
        self._procedure = procedure
        self._patience = patience
        self._patience_if_refused = min(patience, 3 * poll)
        self._chosen: list[B] = []
        self._acts = 0
        self._acted_at = 0.0
        self._failure: SdkError | None = None
        self.changed = False
        self.correlation_ids: list[str] = []

    def may_act(self) -> bool:
        """Return whether to ask for the change: at first, and once more if it was UNKNOWN and has not shown."""
        return not self._acts or (self._is_unknown() and self._acts < _MOST_ACTS and self._waited(self._patience))

    def is_hopeless(self) -> bool:
        """Return whether waiting for the effect of what was asked for makes no sense any more."""
        if self._failure is None:
            return False
        return self._waited(self._patience if self._is_unknown() else self._patience_if_refused)

    async def act(self, state: S) -> None:
        """Ask for the change; keep a failure if reading on can tell what became of it, raise any other."""
        if not self._chosen:
            self._chosen.append(await self._procedure.choose(state))
        self._failure = await _attempt(self._procedure, self._chosen[0], self.correlation_ids)
        self._acts += 1
        self._acted_at = self._clock()
        self.changed = self.changed or self._failure is None or self._is_unknown()

    def not_settled(self, state: str) -> SdkError:
        """Return the error to end with, with the state read last."""
        # The traceback of what is raised leads to this run: if it held its error, only the collector would free it.
        failure, self._failure = self._failure, None
        if failure is not None and not self.changed:
            return failure
        error = cannot(
            NotSettledError,
            f"the state asked for was not reached within {self._timeout:g} s",
            state=state,
            outcome=Outcome.UNKNOWN,
            retryable=True,
            correlation_id=self.correlation_ids[-1],
        )
        error.__cause__ = failure
        return error

    def _is_unknown(self) -> bool:
        return self._failure is not None and self._failure.outcome is Outcome.UNKNOWN

    def _waited(self, patience: float) -> bool:
        return self._clock() - self._acted_at >= patience


async def _attempt(procedure: Procedure[S, B], body: B, ids: list[str]) -> SdkError | None:
    """Act. Return a failure if reading on can tell what became of it; raise any other."""
    try:
        ids.append((await procedure.act(body)).correlation_id)
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
        # A state that this release does not know may be any text of the server's.
        facts["state"] = safe_code(state) or "a text that is not shown"
        what = f"{what} (state: {facts['state']})"
    return kind(what, {"outcome": outcome.value, **facts})
