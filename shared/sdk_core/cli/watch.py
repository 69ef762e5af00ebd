"""What a command has sent so far, as Ctrl-C has to tell it."""

from typing import Any, Final

from sdk_core.cli.output import Output
from sdk_core.errors import SdkError
from sdk_core.operation import Effect
from sdk_core.outcome import Outcome
from sdk_core.telemetry import CallInfo, Telemetry

__all__ = ["Watch"]

_NOTICED: Final = 1.0
_TOLD: Final = {
    Outcome.APPLIED: "applied: the API said yes to {operation}",
    Outcome.UNKNOWN: "UNKNOWN: {operation} was sent, and may have happened: read the state before you repeat it",
    Outcome.REJECTED: "refused: {operation}; it did not happen",
    Outcome.NOT_SENT: "not sent: {operation}",
}


class _Seen:
    """One call, and what is known of its effect."""

    def __init__(self, call: CallInfo) -> None:
        self.call = call
        self.known: Outcome = Outcome.NOT_SENT


class Watch(Telemetry):
    """Keeps what is known of each call that may change something, and tells of each attempt if asked.

    Args:
        output: where to tell it.
        verbose: whether each attempt is told while it is made.
    """

    def __init__(self, output: Output, *, verbose: bool) -> None:
        self._output = output
        self._verbose = verbose
        self._seen: dict[CallInfo, _Seen] = {}
        self.calls: int = 0
        """So many have begun."""

    def on_call_start(self, call: CallInfo) -> None:
        """Begin to watch a call."""
        self.calls += 1
        self._seen[call] = _Seen(call)

    def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:  # noqa: ARG002  none is added
        """From here on it may happen."""
        self._seen[call].known = Outcome.UNKNOWN
        if self._verbose:
            what = f"{call.operation} (attempt {number}, correlation id {call.correlation_id})"
            self._output.say(what, "dim")

    def on_attempt_end(
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None, elapsed: float
    ) -> None:
        """Tell how an attempt ended; what that means is told by the call."""
        if self._verbose:
            end = status if error is None else type(error).__name__
            self._output.say(f"attempt {number} of {call.operation.name}: {end} after {elapsed:.2f} s", "dim")

    def on_wait(self, call: CallInfo, delay: float) -> None:
        """Say why nothing happens."""
        if delay >= _NOTICED:
            self._output.say(f"{call.operation.name} waits {delay:.0f} s for the rate limit", "yellow")

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> None:  # noqa: ARG002  the log tells it
        """What was sent so far is known; it is sent again."""
        self._seen[call].known = error.outcome

    def on_give_up(self, call: CallInfo, error: SdkError) -> None:
        """What was sent is known."""
        self._seen[call].known = error.outcome

    def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> None:  # noqa: ARG002  no matter
        """Keep that it succeeded; how a failure ended was told before."""
        if error is None:
            self._seen[call].known = Outcome.APPLIED

    @property
    def may_have_changed(self) -> bool:
        """Whether something that was sent changed something, or may have."""
        return any(seen.known in {Outcome.APPLIED, Outcome.UNKNOWN} for seen in self._changes())

    def _changes(self) -> list[_Seen]:
        return [seen for seen in self._seen.values() if seen.call.operation.effect is not Effect.READ]

    def summary(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Return what is known of all that may have changed something: in lines, and as JSON data."""
        changes = self._changes()
        lines = [
            _TOLD[seen.known].format(operation=seen.call.operation.name)
            + f" (correlation id {seen.call.correlation_id})"
            for seen in changes
        ]
        calls: list[dict[str, Any]] = [
            {
                "operation": seen.call.operation.name,
                "correlationId": seen.call.correlation_id,
                "outcome": seen.known.value,
            }
            for seen in changes
        ]
        return lines or ["nothing was changed: nothing that changes anything was sent"], calls
