"""What really happened: written by the servers, read by the judge."""

from collections import Counter
from collections.abc import Container
from math import inf

from attrs import define, field

from benchmarks.audit.plan import Plan, plan

__all__ = ["Entry", "Ledger"]


@define
class Entry:
    """One logical call as the server saw it."""

    plan: Plan
    seen: int = 0
    """Requests whose head arrived in full: what counts as "on the wire"."""
    applied: int = 0
    """How often it was performed."""
    faults: list[str] = field(factory=list[str])
    """What befell its requests, in order."""
    token_faults: list[str] = field(factory=list[str])
    """What befell its requests for a token; they are not among `seen`."""
    tokens: int = 0
    """Tokens issued for it."""
    sealed_at: float = inf
    """When its caller had given it up, and all that was in flight had had time to arrive; on the monotonic clock."""
    late: int = 0
    """Requests that arrived after that."""


@define
class Ledger:
    """Everything the servers saw."""

    seed: int
    numbers: Container[int]
    """The calls that there may be."""
    calls: dict[int, Entry] = field(factory=dict[int, Entry])
    faults: Counter[str] = field(factory=Counter[str])
    unheard: int = 0
    """Connections that the server closed when it was to read a request: one may have been on its way."""
    strangers: list[str] = field(factory=list[str])
    """Requests that belong to no call, or differ from it."""
    elsewhere: int = 0
    """Connections to the host that answers redirect to."""

    def entry(self, number: int) -> Entry | None:
        """Return what there is of a call; None if there is no such call."""
        if number not in self.numbers:
            return None
        entry = self.calls.get(number)
        if entry is None:
            entry = self.calls[number] = Entry(plan(self.seed, number))
        return entry
