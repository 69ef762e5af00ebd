"""The audit as a whole, and how it is told."""

import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from typing import Final

from attrs import frozen

from benchmarks.audit import leftovers
from benchmarks.audit.account import Account
from benchmarks.audit.clients import MAX_ATTEMPTS
from benchmarks.audit.judge import Lie, Violation, judge
from benchmarks.audit.ledger import Ledger
from benchmarks.audit.runner import Share
from benchmarks.audit.runtimes import RUNTIMES

__all__ = ["SHOWN", "Report", "audit", "table"]

_WARM_UP: Final = 60
_BLOCKS: Final = 20_000
"""Pieces of memory (a few hundred bytes each) that caches may have kept, however long the run: 1 of each of 20,000
calls is a leak."""
SHOWN: Final = 20
"""Violations that are told in full."""


@frozen
class Report:
    """What an audit found."""

    calls: int
    ends: Counter[str]
    """How calls ended."""
    faults: Counter[str]
    wire_requests: int
    token_requests: int
    seconds: float
    longest_pause: float
    counts: dict[Lie, int]
    left: Counter[str]
    violations: list[Violation]
    complaints: list[str]

    @property
    def ok(self) -> bool:
        """Whether nothing was found and nothing left."""
        return not self.violations and not any(self.left.values())

    def lines(self) -> Iterator[str]:
        """Tell it."""
        rate = f"{self.seconds:.1f} s, longest pause of the event loop {self.longest_pause * 1000:.0f} ms"
        yield f"{self.calls} calls, {self.wire_requests} wire requests and {self.token_requests} for tokens, {rate}"
        yield from table("how calls ended", self.ends.most_common())
        yield from table(f"faults ({self.faults.total()})", sorted(self.faults.items()))
        yield from table("must be zero", [(lie.value, count) for lie, count in self.counts.items()])
        yield from table("must be gone", list(self.left.items()))
        for lie, number, detail in self.violations[:SHOWN]:
            yield f"call {number}: {lie.value}: {detail}"
        if len(self.violations) > SHOWN:
            yield f"... and {len(self.violations) - SHOWN} more"
        yield from self.complaints[:SHOWN]
        yield "all zero" if self.ok else "NOT all zero"


def audit(seed: int, numbers: Sequence[int], runtime: str = "asyncio") -> Report:
    """Make these calls with servers that fail in every way, and compare accounts."""
    _warm_up()
    complaints = leftovers.Complaints()
    with complaints.heard():
        sockets, blocks = leftovers.open_sockets(), leftovers.allocated_blocks()
        started = time.monotonic()
        report = _summary(*RUNTIMES[runtime](seed, numbers, complaints), started)
        more_blocks = leftovers.allocated_blocks() - blocks
        report.left["sockets"] += leftovers.open_sockets() - sockets
    report.left["warnings and complaints"] = len(complaints)
    report.left[f"blocks of memory beyond {_BLOCKS}"] = max(0, more_blocks - _BLOCKS)
    report.complaints.extend(complaints)
    return report


@cache
def _warm_up() -> None:
    """Have everything made that is made once and stays: caches, compiled patterns."""
    complaints = leftovers.Complaints()
    with complaints.heard():
        RUNTIMES["asyncio"](1, range(1, _WARM_UP + 1), complaints)


def _summary(share: Share, ledger: Ledger, started: float) -> Report:
    """Keep figures only: the accounts themselves are a lot of memory."""
    seconds = time.monotonic() - started
    violations = judge(share.accounts, ledger, MAX_ATTEMPTS)
    lies = Counter(lie for lie, _number, _detail in violations)
    return Report(
        calls=len(share.accounts),
        ends=Counter(_end(account) for account in share.accounts),
        faults=ledger.faults,
        wire_requests=sum(entry.seen for entry in ledger.calls.values()),
        token_requests=sum(len(entry.token_faults) for entry in ledger.calls.values()),
        seconds=seconds,
        longest_pause=share.longest_pause,
        counts={lie: lies[lie] for lie in Lie},
        left=share.left,
        violations=violations,
        complaints=[],
    )


def _end(account: Account) -> str:
    if account.raised is None:
        return "returned"
    return account.raised.__name__ + (f", {account.outcome.value}" if account.outcome else "")


def table(title: str, rows: Iterable[tuple[str, int]]) -> Iterator[str]:
    """Return the lines of one of the report's tables."""
    yield f"\n{title}"
    yield from (f"  {count:8d}  {name}" for name, count in rows)
