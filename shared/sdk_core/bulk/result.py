"""How a row ends."""

import json
from enum import Enum
from typing import Any, Final

from msgspec import Struct

from sdk_core import codec
from sdk_core.errors import AuthenticationError, ClientClosedError, PermissionDeniedError, SdkError
from sdk_core.outcome import Outcome
from sdk_core.returns import Empty
from sdk_core.value import Opaque
from sdk_core.workflow import WorkflowError

__all__ = ["FAILURES", "MISFITS", "Ending", "Result", "RowOutcome", "misfit"]

MISFITS: Final = (ValueError, TypeError, LookupError, ArithmeticError, RecursionError, OSError)
"""What the data of a row can raise where it is read, sent or written down: it ends this row, and no other."""


def misfit(what: str, error: Exception) -> SdkError:
    """Return the error of a row whose data has raised another, whose text is told if it is one of our checks'."""
    told = str(error) if type(error) in {ValueError, TypeError} else type(error).__name__
    return SdkError(f"{what}: {told}")


class RowOutcome(Enum):
    """What is known of a row."""

    DONE = "done"
    """The API said yes."""
    SETTLED = "settled"
    """The answer was lost, but it is as it was asked for: by this row's request, or somebody else's."""
    UNCHANGED = "unchanged"
    """It was so already: this row changed nothing."""
    REJECTED = "rejected"
    """Nothing happened: it was refused."""
    NOT_SENT = "not_sent"
    """Nothing happened: no request to change something was sent. So ends a READ that failed and was not refused."""
    UNCONFIRMED = "unconfirmed"
    """The API said yes, but reading did not show it in time."""
    UNKNOWN = "unknown"
    """It may have happened: look before it is done again."""


FAILURES = frozenset({RowOutcome.REJECTED, RowOutcome.NOT_SENT, RowOutcome.UNCONFIRMED, RowOutcome.UNKNOWN})
"""What a person has to look at."""
_OF_ERRORS = {
    Outcome.APPLIED: RowOutcome.DONE,
    Outcome.REJECTED: RowOutcome.REJECTED,
    Outcome.NOT_SENT: RowOutcome.NOT_SENT,
    Outcome.UNKNOWN: RowOutcome.UNKNOWN,
}


class Ending(Opaque, frozen=True, kw_only=True):
    """What one try at a row led to."""

    outcome: RowOutcome
    correlation_id: str
    attempts: int
    """How often its request was sent by this try."""
    error_text: str | None = None
    """What went wrong, as JSON text without secrets."""
    may_succeed_later: bool = False
    """Whether nothing happened, for a reason that is none of the row's own: resuming sends it again."""
    stops_run: str | None = None
    """Why no other row can succeed either."""
    answer: str | None = None
    """What the API answered, as JSON text; None if there was nothing in it, or it can't be written as JSON."""

    @classmethod
    def of_answer(cls, value: object, correlation_id: str, attempts: int) -> "Ending":
        """Return the ending of a row that the API said yes to, whatever it said beside that."""
        try:
            answer = None if value is None or isinstance(value, Empty) else codec.dump(value).decode()
        except MISFITS:
            answer = None
        return cls(outcome=RowOutcome.DONE, correlation_id=correlation_id, attempts=attempts, answer=answer)

    @classmethod
    def of_error(cls, error: SdkError, correlation_id: str) -> "Ending":
        """Return the ending of a row that failed."""
        outcome, attempts = _OF_ERRORS[error.outcome], error.attempts
        if outcome is RowOutcome.UNKNOWN and attempts and attempts[-1].outcome is None:
            outcome = RowOutcome.UNCONFIRMED
        return cls.failed(outcome, error, correlation_id, len(attempts))

    @classmethod
    def failed(cls, outcome: RowOutcome, error: SdkError, correlation_id: str, attempts: int) -> "Ending":
        """Return the ending of a row with this outcome, which the error explains."""
        stops_run = str(error) if isinstance(error, AuthenticationError | ClientClosedError) else None
        return cls(
            outcome=outcome,
            correlation_id=correlation_id,
            attempts=attempts,
            error_text=json.dumps(error.to_dict()),
            may_succeed_later=_may_succeed_later(outcome, error),
            stops_run=stops_run,
        )

    def of_read(self) -> "Ending":
        """Return this ending, of a READ that failed: it changed nothing, whatever became of it, and is read again."""
        outcome = RowOutcome.REJECTED if self.outcome is RowOutcome.REJECTED else RowOutcome.NOT_SENT
        return self.but(outcome=outcome, may_succeed_later=True)

    def of_repetition(self) -> "Ending":
        """Return this ending, of a row that may have been sent before.

        Whatever was refused or not sent now, the earlier request may have had its effect.
        """
        if self.outcome not in {RowOutcome.NOT_SENT, RowOutcome.REJECTED}:
            return self
        return self.but(outcome=RowOutcome.UNKNOWN, may_succeed_later=False)


def _may_succeed_later(outcome: RowOutcome, error: SdkError) -> bool:
    if outcome is RowOutcome.NOT_SENT and not isinstance(error, WorkflowError):
        return True
    of_others = error.retryable or isinstance(error, AuthenticationError | PermissionDeniedError)
    return outcome in {RowOutcome.NOT_SENT, RowOutcome.REJECTED} and of_others


class Result(Struct, frozen=True):
    """A row of a run, as its journal has it."""

    n: int
    """From 1, in the plan's order."""
    line: int
    """Of the plan."""
    operation: str
    values: str
    """Its arguments, as the plan has them: JSON text."""
    outcome: RowOutcome
    is_ended: bool
    """False: it is still to be sent (NOT_SENT), or under way (UNKNOWN)."""
    attempts: int
    """How often its request was sent, as far as that was recorded."""
    correlation_id: str | None
    error_text: str | None
    answer_text: str | None
    ended_at: float | None
    """Seconds since the epoch."""

    # What a member's data may stand in is shown nowhere.
    def __rich_repr__(self) -> list[tuple[str, object]]:
        return [(name, getattr(self, name)) for name in ("n", "line", "operation", "outcome", "correlation_id")]

    def __repr__(self) -> str:
        return f"Result({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    @property
    def arguments(self) -> dict[str, Any]:
        """Its arguments, as the plan has them; numbers with a fraction are `Decimal`."""
        return codec.as_object(codec.parse(self.values.encode()))

    @property
    def error(self) -> dict[str, Any] | None:
        """What went wrong, as `SdkError.to_dict()` has it."""
        return None if self.error_text is None else codec.as_object(json.loads(self.error_text))

    @property
    def answer(self) -> Any:
        """What the API answered, as JSON, in which numbers with a fraction are `Decimal`.

        None if there was nothing in it, or it can't be written as JSON.
        """
        return None if self.answer_text is None else codec.parse(self.answer_text.encode())
