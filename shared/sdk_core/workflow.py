"""Procedures of several calls that end in a known state: read, act only if needed, and when unsure read again.

So each is safe to run twice, after a crash, or by a queue that delivers at least once.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, Final, Generic, TypeVar

from attrs import frozen

from sdk_core.client import Client, Reply
from sdk_core.errors import (
    BadRequestError,
    ConflictError,
    NotSettledError,
    Outcome,
    SdkError,
    WorkflowError,
    safe_code,
)
from sdk_core.operation import Operation

__all__ = ["Procedure", "Request", "Settled", "cannot", "settle"]

S = TypeVar("S")
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


@frozen
class Request:
    """A call that is ready to be made."""

    operation: Operation[Any]
    arguments: Mapping[str, object]


class Procedure(ABC, Generic[S]):
    """What `settle` needs to know of one workflow."""

    @abstractmethod
    async def read(self) -> Reply[S]:
        """Read the state."""

    @abstractmethod
    def reached(self, state: S) -> bool:
        """Return whether this is the state asked for; raise WorkflowError if nothing would be right to do."""

    @abstractmethod
    async def prepare(self, state: S) -> Request:
        """Return the request that brings the state about. It is asked once, so that a repetition sends the same."""

    @abstractmethod
    def describe(self, state: S) -> str:
        """Return a state as the API spells it, for errors."""


async def settle(
    client: Client, procedure: Procedure[S], *, timeout: float, poll: float, patience: float
) -> Settled[S]:
    """Bring about a state, and return when it is read.

    Args:
        client: sends the request; its retry policy's clock and sleep are waited with.
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
    policy = client.retry_policy
    run = _Run(client, procedure, timeout=timeout, poll=poll, patience=patience)
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


class _Run(Generic[S]):
    """One run of a procedure: what it has done so far."""

    def __init__(
        self, client: Client, procedure: Procedure[S], *, timeout: float, poll: float, patience: float
    ) -> None:
        self._client = client
        self._timeout = timeout
        self._clock = client.retry_policy.clock
        self._procedure = procedure
        self._patience = patience
        self._patience_if_refused = min(patience, 3 * poll)
        self._request: Request | None = None
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
        if self._request is None:
            self._request = await self._procedure.prepare(state)
        self._failure = await _attempt(self._client, self._request, self.correlation_ids)
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


async def _attempt(client: Client, request: Request, ids: list[str]) -> SdkError | None:
    """Send it. Return a failure if reading on can tell what became of it; raise any other."""
    try:
        reply = await client.call_with_reply(request.operation, **request.arguments)
        ids.append(reply.correlation_id)
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
