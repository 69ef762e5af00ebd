"""The audit of the workflows as a whole, and how it is told."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence

from attrs import define, field

from benchmarks.audit import leftovers
from benchmarks.audit.report import SHOWN, table
from benchmarks.audit.workflows.account import RunAccount
from benchmarks.audit.workflows.judge import WorkflowLie, judge_world
from benchmarks.audit.workflows.runner import Story, make_worlds

__all__ = ["WorkflowReport", "audit_workflows"]


@define
class WorkflowReport:
    """What an audit of the workflows found."""

    worlds: int
    requests: int = 0
    seconds: float = 0.0
    made_up_seconds: float = 0.0
    ends: Counter[str] = field(factory=Counter[str])
    """How runs ended."""
    faults: Counter[str] = field(factory=Counter[str])
    left: Counter[str] = field(factory=Counter[str])
    violations: list[tuple[WorkflowLie, int, str]] = field(factory=list[tuple[WorkflowLie, int, str]])
    complaints: list[str] = field(factory=list[str])

    @property
    def counts(self) -> dict[WorkflowLie, int]:
        """How often each lie was told."""
        told = Counter(lie for lie, _number, _detail in self.violations)
        return {lie: told[lie] for lie in WorkflowLie}

    @property
    def ok(self) -> bool:
        """Whether nothing was found and nothing left."""
        return not self.violations and not any(self.left.values())

    def lines(self) -> Iterator[str]:
        """Tell it."""
        took = f"{self.seconds:.1f} s for {self.made_up_seconds / 3600:.0f} h"
        yield f"{self.worlds} worlds, {self.ends.total()} runs, {self.requests} wire requests, {took}"
        yield from table("how runs ended", self.ends.most_common())
        yield from table(f"faults ({self.faults.total()})", sorted(self.faults.items()))
        yield from table("must be zero", [(lie.value, count) for lie, count in self.counts.items()])
        yield from table("must be gone", list(self.left.items()))
        for lie, number, detail in self.violations[:SHOWN]:
            yield f"world {number}: {lie.value}: {detail}"
        if len(self.violations) > SHOWN:
            yield f"... and {len(self.violations) - SHOWN} more"
        yield from self.complaints[:SHOWN]
        yield "all zero" if self.ok else "NOT all zero"


def audit_workflows(seed: int, numbers: Sequence[int]) -> WorkflowReport:
    """Let these worlds happen, and compare accounts."""
    complaints, started, sockets = leftovers.Complaints(), time.monotonic(), leftovers.open_sockets()
    report = WorkflowReport(len(numbers))

    def hear(story: Story) -> None:
        world, accounts = story
        report.violations += [(lie, world.plan.number, detail) for lie, detail in judge_world(story)]
        report.ends.update(_end(account) for account in accounts)
        report.faults.update(world.faults)
        report.requests += world.requests
        report.made_up_seconds = world.loop.time()

    with complaints.heard():
        make_worlds(seed, numbers, complaints, hear)
    report.left.update({"sockets": leftovers.open_sockets() - sockets, "warnings and complaints": len(complaints)})
    report.complaints += complaints
    report.seconds = time.monotonic() - started
    return report


def _end(account: RunAccount) -> str:
    if account.crashed:
        return "crashed"
    if account.change is not None:
        return f"settled, {account.change.value}"
    return account.raised + (f", {account.outcome.value}" if account.outcome else "")
