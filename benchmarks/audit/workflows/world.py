"""What really is, and was: the truth of one world, kept by its server, read by the judge."""

from asyncio import AbstractEventLoop

from attrs import define, field

from benchmarks.audit.workflows.plan import WorldPlan

__all__ = ["RunRecord", "World"]


@define
class RunRecord:
    """One run as the server saw it."""

    sent: list[float] = field(factory=list[float])
    """When its requests came, those that were sent to change something."""
    unsettled: int = 0
    """Those of them that came after one whose answer left open, or said, that it has an effect."""
    accepted: int = 0
    """How many were accepted, sooner or later."""
    effects: int = 0
    """How often what it asked for was done."""
    in_doubt: list[float] = field(factory=list[float])
    """When those of them came whose answer left open whether they have an effect."""
    read: list[float] = field(factory=list[float])
    """When its reads came that were answered a state."""
    told_open: bool = False
    """Whether it was ever left in doubt."""
    shown: set[str] = field(factory=set[str])
    """The states that its reads were answered."""


@define
class World:
    """The contract or subscription, and all that happens to it."""

    plan: WorldPlan
    loop: AbstractEventLoop
    began: float = 0.0
    history: list[tuple[float, str]] = field(factory=list[tuple[float, str]])
    """Since when it has been in which state."""
    records: dict[int, RunRecord] = field(factory=dict[int, RunRecord])
    strangers: list[str] = field(factory=list[str])
    """Requests that belong to no run of this world."""
    requests: int = 0
    faults: list[str] = field(factory=list[str])
    _works: int = 0

    def begin(self) -> None:
        """Let time run; other people do what they do."""
        self.began = self.loop.time()
        self.history = [(-1e12, self.plan.begins)]
        for deed in self.plan.deeds:
            self.loop.call_at(self.began + deed.moment, self._meddle, deed.state)

    def record(self, run: int) -> RunRecord:
        """Return what is known of a run."""
        return self.records.setdefault(run, RunRecord())

    def state_at(self, moment: float) -> str:
        """Return what it was then."""
        return next(state for since, state in reversed(self.history) if since <= moment)

    def states_between(self, first: float, last: float) -> set[str]:
        """Return all that it was in this time."""
        return {self.state_at(first)} | {state for since, state in self.history if first <= since <= last}

    def process(self, run: int | None) -> bool:
        """Work on a request, of a run or of somebody else; return whether it was accepted."""
        plan, subject = self.plan, self.plan.subject
        fits = self.state_at(self.loop.time()) == subject.before and not self._works
        if plan.refuses_doubles and not fits:
            return False
        if run is not None:
            self.record(run).accepted += 1
        if not plan.work_is_lost:
            self._works += 1
            if plan.work:
                self.loop.call_later(plan.work, self._finish, run)
            else:
                self._finish(run)
        return True

    def _finish(self, run: int | None) -> None:
        self._works -= 1
        if run is not None:
            self.record(run).effects += 1
        self.history.append((self.loop.time(), self.plan.subject.goal))

    def _meddle(self, state: str) -> None:
        if state == self.plan.subject.goal:
            self.process(None)
        else:
            self.history.append((self.loop.time(), state))
