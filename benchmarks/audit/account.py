"""What the SDK said of a call, and when."""

from attrs import frozen

from sdk_core.outcome import Attempt, Outcome

__all__ = ["Account"]


@frozen
class Account:
    """One logical call as its caller saw it."""

    number: int
    started: float
    """On the monotonic clock, like all times."""
    ended: float
    due: float
    """When it had to be over: its deadline, or its cancellation."""
    stolen: float = 0.0
    """Seconds since then in which the machine did not let the caller run; see `pulse`."""
    cancelled: bool = False
    """Whether somebody cancelled it while it ran."""
    raised: type[BaseException] | None = None
    """None: it returned."""
    foreign: str = ""
    """What it raised that is no SdkError, or what its SdkError carries along of somebody else's."""
    outcome: Outcome | None = None
    """What it said of the effect, APPLIED if it returned; None: it said nothing."""
    offers_repeat: bool = False
    """Whether it said that it may be repeated without doing anything twice."""
    answered: str | None = None
    """Of a success: the call that the answer was meant for."""
    attempts: tuple[Attempt, ...] = ()
