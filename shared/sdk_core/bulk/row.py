"""One row: sent for the first time, or settled because nobody knows what became of its request."""

import time
from collections.abc import Mapping
from typing import Any, Final, Protocol

from attrs import field, frozen
from attrs.validators import optional

from sdk_core import codec
from sdk_core.arguments import of_type, seconds, valid
from sdk_core.bulk.journal import JournalRow
from sdk_core.bulk.result import MISFITS, Ending, Result, RowOutcome, misfit
from sdk_core.bulk.tasks import Catalogue, Lookup, Task
from sdk_core.client import Client
from sdk_core.correlation import correlation_scope
from sdk_core.errors import BadRequestError, ConflictError, NotFoundError, SdkError
from sdk_core.operation import Effect
from sdk_core.outcome import Outcome, may_repeat
from sdk_core.settling import settle
from sdk_core.value import Opaque
from sdk_core.workflow import Change, Procedure, Run, Settled

__all__ = ["Engine", "InProcess", "RowOptions", "result_of"]

_POLL: Final = 0.5
"""Seconds between the first two reads."""
_SECONDS: Final[Any] = valid(seconds)
_OPTIONAL_SECONDS: Final[Any] = optional(_SECONDS)
_UNSENT: Final = "it can't be sent as it is"
_UNSETTLED: Final = "it may have been sent, and what became of it can't be read"
_CHANGES: Final = {Change.UNKNOWN: RowOutcome.SETTLED, Change.NONE: RowOutcome.UNCHANGED}


@frozen(kw_only=True)
class RowOptions:
    """How rows are worked on."""

    confirm: bool = field(default=False, validator=valid(of_type(bool)))
    """Whether the state is read after the API said yes."""
    resend_after: float | None = field(default=60.0, validator=_OPTIONAL_SECONDS)
    """Seconds after which a request of unknown outcome is sent once more, if reading shows no effect and its workflow
    may do so at all; None: it never is. What no workflow settles is sent once more by a run that is resumed, if it is
    IDEMPOTENT and this is not None."""
    timeout: float = field(default=30.0, validator=_SECONDS)
    """Seconds for which a row's state is read on."""


class _Row(Opaque, frozen=True):
    task: Task
    arguments: Mapping[str, Any]
    correlation_id: str

    def answered(self, value: object, attempts: int) -> Ending:
        return Ending.of_answer(value, self.correlation_id, attempts)

    def ended(self, outcome: RowOutcome, attempts: int) -> Ending:
        return Ending(outcome=outcome, correlation_id=self.correlation_id, attempts=attempts)

    def failed(self, outcome: RowOutcome, error: SdkError, attempts: int = 0) -> Ending:
        return Ending.failed(outcome, error, self.correlation_id, attempts)


class Engine(Protocol):
    """Where rows are worked on."""

    @property
    def queue(self) -> str | None:
        """Where rows may wait that were handed over, though the run is over; None: nowhere."""
        ...

    async def send(self, row: JournalRow) -> Ending:
        """Send a row that was never sent."""
        ...

    async def settle(self, row: JournalRow) -> Ending:
        """Find out what became of a row that may have been sent, without sending it blindly."""
        ...


class InProcess:
    """Works on the rows of one run in this process."""

    queue = None

    def __init__(self, client: Client, catalogue: Catalogue, options: RowOptions) -> None:
        self._client = client
        self._catalogue = catalogue
        self._options = options
        self._lookup: Lookup = catalogue.lookup(client)

    async def send(self, row: JournalRow) -> Ending:
        """Send a row that was never sent, or that changes nothing."""
        with correlation_scope(row.correlation_id):
            try:
                ready = await self._ready(row)
            except SdkError as error:
                return Ending.failed(RowOutcome.NOT_SENT, error, row.correlation_id, 0)
            except MISFITS as error:
                return Ending.failed(RowOutcome.NOT_SENT, misfit(_UNSENT, error), row.correlation_id, 0)
            try:
                return await self._send(ready)
            except SdkError as error:
                return await self._explained(ready, error)
            except MISFITS as error:
                # What a call raises beside its own errors, like that of a document that can't be opened, comes before
                # anything is sent.
                return ready.failed(RowOutcome.NOT_SENT, misfit(_UNSENT, error))

    async def settle(self, row: JournalRow) -> Ending:
        """Find out what became of a row that may have been sent: read first, and send only what reading allows."""
        if not self._catalogue.tasks[row.operation].settles:
            return await self._repeated(row)
        with correlation_scope(row.correlation_id):
            try:
                ready = await self._ready(row)
                ago = max(0.0, time.time() - row.sent_at)
                resend_after = self._options.resend_after if ready.task.resendable else None
                settled = await settle(
                    self._client,
                    ready.task.procedure(ready.arguments),
                    # Long enough to see the time to send come, and the effect after it.
                    timeout=self._options.timeout + max(0.0, (resend_after or 0.0) - ago),
                    poll=_POLL,
                    resend_after=resend_after,
                    confirm=self._options.confirm,
                    asked_ago=ago,
                )
            except SdkError as error:
                return Ending.of_error(error, row.correlation_id).of_repetition()
            except MISFITS as error:
                return Ending.failed(RowOutcome.UNKNOWN, misfit(_UNSETTLED, error), row.correlation_id, 0)
        return _ending_of(ready, settled)

    async def _repeated(self, row: JournalRow) -> Ending:
        """Send a row once more that may have been sent and can't be settled, if that can't do anything twice."""
        effect = self._catalogue.tasks[row.operation].effect
        is_wanted = effect is Effect.READ or self._options.resend_after is not None
        if not (is_wanted and may_repeat(effect, Outcome.UNKNOWN, passing=True)):
            return _left_to_a_person(row)
        ending = await self.send(row)
        return ending if effect is Effect.READ else ending.of_repetition()

    async def _ready(self, row: JournalRow) -> _Row:
        """Read a row, and put ids in place of names; SdkError if they can't be looked up."""
        task = self._catalogue.tasks[row.operation]
        values = codec.as_object(codec.parse(row.values.encode()))
        arguments = await self._lookup(task, task.read(values, text=row.is_text))
        return _Row(task, arguments, row.correlation_id)

    async def _send(self, row: _Row) -> Ending:
        options, task = self._options, row.task
        request = task.request(row.arguments)
        if request is None:
            procedure = task.procedure(row.arguments)
            settled = await settle(
                self._client, procedure, timeout=options.timeout, poll=_POLL, confirm=options.confirm
            )
            return _ending_of(row, settled)
        # Made before anything is sent, as it may refuse the arguments.
        confirmation = task.procedure(row.arguments) if options.confirm and task.settles else None
        reply = await self._client.call_with_reply(request.operation, **request.arguments)
        ending = row.answered(reply.value, len(reply.attempts))
        return ending if confirmation is None else await self._confirmed(row, confirmation, ending)

    async def _confirmed(self, row: _Row, procedure: Procedure[Any], ending: Ending) -> Ending:
        """Read on until the state shows what the API said yes to."""
        try:
            await settle(self._client, procedure, timeout=self._options.timeout, poll=_POLL, ask=False, asked_ago=0.0)
        except SdkError as error:
            return row.failed(RowOutcome.UNCONFIRMED, error, ending.attempts)
        return ending

    async def _explained(self, row: _Row, error: SdkError) -> Ending:
        """Return the ending of a row that failed; what was refused may be as it was asked for, and one read tells."""
        may_be_so = isinstance(error, BadRequestError | ConflictError | NotFoundError)
        if may_be_so and error.outcome is Outcome.REJECTED and row.task.explains_refusals:
            procedure, run = row.task.procedure(row.arguments), Run(self._client, self._options.timeout)
            try:
                is_so = procedure.reached((await procedure.read(run)).value)
            except (SdkError, *MISFITS):
                # The refusal says more.
                is_so = False
            if is_so:
                return row.ended(RowOutcome.UNCHANGED, len(error.attempts))
        ending = Ending.of_error(error, row.correlation_id)
        return ending.of_read() if row.task.effect is Effect.READ else ending


def result_of(row: JournalRow, ending: Ending, now: float) -> Result:
    """Return the result of a row that ended now, in seconds since the epoch."""
    return Result(
        n=row.n,
        line=row.line,
        operation=row.operation,
        values=row.values,
        outcome=ending.outcome,
        is_ended=True,
        attempts=row.attempts + ending.attempts,
        correlation_id=ending.correlation_id,
        error_text=ending.error_text,
        answer_text=ending.answer,
        ended_at=now,
    )


def _left_to_a_person(row: JournalRow) -> Ending:
    what = f"{row.operation} may have been sent, and no workflow can settle it: look it up before it is done again"
    error = SdkError(what, {"outcome": Outcome.UNKNOWN.value, "correlation_id": row.correlation_id})
    return Ending.of_error(error, row.correlation_id)


def _ending_of(row: _Row, settled: Settled[Any]) -> Ending:
    if settled.change is Change.ACKNOWLEDGED:
        return row.answered(settled.answer, settled.attempts)
    return row.ended(_CHANGES[settled.change], settled.attempts)
