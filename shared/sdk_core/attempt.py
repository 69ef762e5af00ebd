"""One try of a call, as errors and replies report it."""

from collections.abc import Mapping
from typing import Any, Self

from attrs import frozen

from sdk_core.outcome import Outcome

__all__ = ["Attempt"]


@frozen
class Attempt:
    """One try of a call."""

    number: int
    """From 1."""
    status: int | None
    """HTTP status; None if no complete answer came."""
    error: str | None
    """What went wrong below HTTP (an exception's name); None if an answer came."""
    delay: float
    """Seconds waited before this attempt."""
    elapsed: float
    """Seconds the attempt took."""
    outcome: Outcome | None
    """What is known of this attempt's effect; None for a success. NOT_SENT: the server saw nothing of it."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild an attempt from the JSON data of an error."""
        outcome = facts["outcome"]
        rebuilt: dict[str, Any] = {**facts, "outcome": None if outcome is None else Outcome(outcome)}
        return cls(**rebuilt)

    def to_facts(self) -> dict[str, Any]:
        """Return the attempt as JSON data, its times to the millisecond."""
        return {
            "number": self.number,
            "status": self.status,
            "error": self.error,
            "delay": round(self.delay, 3),
            "elapsed": round(self.elapsed, 3),
            "outcome": None if self.outcome is None else self.outcome.value,
        }
