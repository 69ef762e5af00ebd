"""What workflows are made of, and end with: procedures of several calls, that end in a known state.

`settling.settle` runs them. What one call promises is kept over several:

- A request whose outcome is UNKNOWN is not sent again, unless the caller asked for that with `resend_after`.
- `timeout` is the whole of it. Each call inside gets what is left. Nothing is sent after the deadline; a last read
  begins at the deadline and has `LAST_READ` seconds and one attempt. (A `deadline_scope` that is over leaves no time
  for it.)
- Once a request may have had an effect, nothing but the deadline or a state that rules it out ends the run: a read that
  fails is repeated. Whatever is raised then is an SdkError that says so.

Reads are trusted. Where an API answers them from a replica that lags behind, a state may be read that is over: a run
can then find that nothing needs to be done although it does, or ask for what has just been done, which the API has to
refuse.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar, Final, Generic, TypeVar

from attrs import evolve, field, frozen

from sdk_core.call import Reply
from sdk_core.client import Client
from sdk_core.deadline import within_scope
from sdk_core.details import safe_code
from sdk_core.errors import Facts, SdkError
from sdk_core.operation import Operation
from sdk_core.value import Opaque

__all__ = [
    "LAST_READ",
    "Change",
    "NotOfferedError",
    "NotSettledError",
    "Procedure",
    "Request",
    "Run",
    "Settled",
    "WithChange",
    "WorkflowError",
    "cannot",
    "shown",
]

S = TypeVar("S")
T = TypeVar("T")
E = TypeVar("E", bound="WorkflowError")

LAST_READ: Final = 10.0
"""Seconds that the read at the deadline may take."""
_SHORTEST: Final = 0.001
"""Less time than this is none."""


class WorkflowError(SdkError):
    """A workflow can't go on: what it read leaves nothing to do that would be right. `state` says what it saw."""

    @property
    def state(self) -> str | None:
        """The state read last, as the API spells it; a text that does not look like a code is not shown."""
        return self.facts.get("state")

    @property
    def correlation_ids(self) -> tuple[str, ...]:
        """Of all calls of the workflow, in order; `operation` and `correlation_id` are of the request it sent."""
        return tuple(self.facts.get("correlation_ids", ()))


class NotOfferedError(WorkflowError, ValueError):
    """What was asked for is not among what the API offers; nothing was sent."""


class NotSettledError(WorkflowError, TimeoutError):
    """The state asked for was not reached in time; `outcome` is UNKNOWN if it was asked for, and may still come."""


class Change(Enum):
    """What is known of a run's own part in the state that it ended in."""

    ACKNOWLEDGED = "acknowledged"
    """The run asked for it, and the API said yes."""
    NONE = "none"
    """The run changed nothing: it was so already, or the API refused what it asked for because somebody else did it."""
    UNKNOWN = "unknown"
    """The run asked for it, and the answer was lost: its request did it, or somebody else."""


class WithChange:
    """What ends with a `Change`."""

    __slots__ = ()
    change: Change

    @property
    def changed(self) -> bool:
        """Whether the API said yes to what this run asked for. If its answer was lost, neither is True."""
        return self.change is Change.ACKNOWLEDGED

    @property
    def unchanged(self) -> bool:
        """Whether this run certainly changed nothing."""
        return self.change is Change.NONE


@frozen
class Settled(WithChange, Generic[S]):
    """How a workflow ended: in the state asked for."""

    change: Change
    state: S
    """What was read last."""
    correlation_ids: tuple[str, ...]
    """Of all calls made, in order."""
    attempts: int = 0
    """How often a request to change something was sent, repetitions included."""
    answer: object = field(default=None, repr=False)
    """What the API answered to that request; None if none was sent, or its answer was lost."""


class Request(Opaque, frozen=True):
    """A call that is ready to be made."""

    operation: Operation[Any]
    arguments: Mapping[str, object]


class Run:
    """The calls of one run of a workflow: each gets the time that is left, and its correlation id is kept."""

    def __init__(self, client: Client, timeout: float) -> None:
        """Start the clock: the client's, as its retry policy has it."""
        # What is decided by a list that was read in part may be wrong.
        self._client = client.with_options(skip_unreadable_items=False)
        self._policy = client.retry_policy
        self.timeout: float = within_scope(timeout)
        self._started = self._policy.clock()
        self._deadline = self._started + self.timeout
        self._slept = 0.0
        self.is_last_read = False
        self.correlation_ids: list[str] = []
        self.last_request: Facts = {}
        """Of the call made last, what errors tell of it."""

    @property
    def now(self) -> float:
        """Seconds on the clock."""
        return self._policy.clock()

    @property
    def left(self) -> float:
        """Seconds until the deadline; 0 once it is there."""
        # A clock may stand still, or be set back: what was waited for has passed all the same.
        left = self._deadline - max(self.now, self._started + self._slept)
        return left if left >= _SHORTEST else 0.0

    async def sleep(self, delay: float) -> None:
        """Wait, but no longer than until the deadline, or until the client is closed: the next call will tell."""
        delay = min(delay, self.left)
        await self._client._pause(delay)  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]  no user's
        self._slept += delay

    async def call(self, operation: Operation[T], **arguments: object) -> Reply[T]:
        """Make a call within the time that is left.

        Raises:
            NotSettledError: no time is left.
            SdkError: the call failed.
        """
        left = min(LAST_READ, self._deadline + LAST_READ - self.now) if self.is_last_read else self.left
        if left <= 0:
            raise cannot(NotSettledError, "there was no time left", retryable=True)
        retry = evolve(self._policy, max_attempts=1) if self.is_last_read else self._policy
        client = self._client.with_options(total_timeout=left, retry=retry)
        try:
            reply = await client.call_with_reply(operation, **arguments)
        except SdkError as error:
            self._keep(operation, error)
            raise
        self._keep(operation, reply)
        return reply

    def _keep(self, operation: Operation[Any], end: SdkError | Reply[Any]) -> None:
        self.last_request = {
            "operation": operation.name,
            "request": str(operation),
            "correlation_id": end.correlation_id,
            "attempts": [attempt.to_facts() for attempt in end.attempts],
        }
        if end.correlation_id is not None:
            self.correlation_ids.append(end.correlation_id)


class Procedure(ABC, Generic[S]):
    """What `settle` needs to know of one workflow."""

    answer_says_all: ClassVar[bool] = False
    """Whether nothing needs to be read any more once the request was answered."""

    @abstractmethod
    async def read(self, run: Run, /) -> Reply[S]:
        """Read the state."""

    @abstractmethod
    def reached(self, state: S, /) -> bool:
        """Return whether this is the state asked for; raise WorkflowError if it is one that rules it out.

        A state that this release does not know is not: it may pass, and so is waited out.
        """

    @abstractmethod
    async def prepare(self, run: Run, state: S, /) -> Request:
        """Return the request that brings the state about; raise WorkflowError if nothing would be right to ask for.

        Nothing is to be asked for in a state that this release does not know. It is called once, so that a repetition
        sends the same.
        """

    def immediate(self) -> Request | None:
        """Return the request, if it is the same whatever the state; None: it depends on the state, or needs a call."""
        return None

    @abstractmethod
    def describe(self, state: S, /) -> str:
        """Return a state as the API spells it, for errors."""

    def end_of(self, _failure: SdkError, /) -> str | None:
        """Return what it means that a read failed in this way after the request was sent; None: read on."""
        return None


def shown(state: str) -> str:
    """Return a state as errors may tell it: one that this release does not know may be any text of the server's."""
    # A member of an enumeration would stay one in what is to be plain JSON.
    return str(safe_code(state) or "a text that is not shown")


def cannot(kind: type[E], what: str, *, state: str | None = None, **facts: Any) -> E:
    """Build the error of a workflow that can't go on; what is known of its requests, `settle` adds."""
    if state is not None:
        facts["state"] = shown(state)
        what = f"{what} (state: {facts['state']})"
    return kind(what, facts)
