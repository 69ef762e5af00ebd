"""What a run of a workflow said of itself, and when."""

from attrs import frozen

from sdk_core.outcome import Outcome
from sdk_core.workflow import Change

__all__ = ["RunAccount"]


@frozen(kw_only=True)
class RunAccount:
    """One run as its caller saw it."""

    number: int
    """Unique among all runs of all worlds."""
    timeout: float
    started: float
    ended: float
    crashed: bool = False
    hung: bool = False
    foreign: str = ""
    """What it raised that is no SdkError."""
    raised: str = ""
    """The name of what it raised."""
    change: Change | None = None
    """What it said of its own part; None: it raised."""
    outcome: Outcome | None = None
    """What its error said of the effect."""
    offers_repeat: bool = False
    state: str | None = None
    """What its error said was read last."""
    operation: str | None = None
    correlation_ids: tuple[str | None, ...] = ()
    """Of its error: the one it names first, then those of all calls."""
