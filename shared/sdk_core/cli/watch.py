"""What a command has sent so far, as Ctrl-C has to tell it."""

from typing import Any

from sdk_core.cli.output import Output
from sdk_core.errors import SdkError
from sdk_core.operation import Effect
from sdk_core.outcome import Outcome
from sdk_core.telemetry import CallInfo, Telemetry

__all__ = ["Watch"]

_TOLD = {
    "applied": "applied: the API said yes to {operation}",
    Outcome.APPLIED.value: "applied, but the answer could not be read: {operation}",
    Outcome.UNKNOWN.value: "UNKNOWN: {operation} was sent, and may have happened: read the state before you repeat it",
    Outcome.REJECTED.value: "refused: {operation}; it did not happen",
    Outcome.NOT_SENT.value: "not sent: {operation}",
}


class _Seen:
    """One call, and what is known of its effect."""

    def __init__(self, call: CallInfo) -> None:
        self.call = call
        self.known: str = Outcome.NOT_SENT.value


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
        self._seen[call].known = Outcome.UNKNOWN.value
        if self._verbose:
            what = f"{call.operation} (attempt {number}, correlation id {call.correlation_id})"
            self._output.say(what, "dim")

    def on_attempt_end(
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None
    ) -> None:
        """Tell how an attempt ended; what that means is told by the call."""
        if self._verbose:
            end = status if error is None else type(error).__name__
            self._output.say(f"attempt {number} of {call.operation.name}: {end}", "dim")

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> None:  # noqa: ARG002  the log tells it
        """What was sent so far is known; it is sent again."""
        self._seen[call].known = error.outcome.value

    def on_give_up(self, call: CallInfo, error: SdkError) -> None:
        """What was sent is known."""
        self._seen[call].known = error.outcome.value

    def on_call_end(self, call: CallInfo, error: BaseException | None) -> None:
        """Keep that it succeeded; how a failure ended was told before."""
        if error is None:
            self._seen[call].known = "applied"

    def summary(self) -> tuple[list[str], list[dict[str, Any]]]:
        """Return what is known of all that may have changed something: in lines, and as JSON data."""
        changes = [seen for seen in self._seen.values() if seen.call.operation.effect is not Effect.READ]
        lines = [
            _TOLD[seen.known].format(operation=seen.call.operation.name)
            + f" (correlation id {seen.call.correlation_id})"
            for seen in changes
        ]
        calls: list[dict[str, Any]] = [
            {
                "operation": seen.call.operation.name,
                "correlationId": seen.call.correlation_id,
                "effect": seen.known,
            }
            for seen in changes
        ]
        return lines or ["nothing was changed: nothing that changes anything was sent"], calls
