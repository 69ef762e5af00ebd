"""What a run found, as tables, as JSON, and against the targets."""

import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, Final

from attrs import field, frozen

from benchmarks.rows import B_POST, B_TEN, CONCURRENCIES, OURS, B, Row

__all__ = ["Run", "Spread", "Target"]

_LOADED: Final = (1, 50)
"""Concurrencies that the targets speak of."""


@frozen
class Spread:
    """What several rounds say."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Return the spread of one value or more."""
        return cls(statistics.median(values), min(values), max(values))

    def __str__(self) -> str:
        return f"{self.median:.2f} ({self.low:.2f}-{self.high:.2f})"


@frozen
class Target:
    """A promise, and what became of it."""

    text: str
    measured: Spread
    limit: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is kept."""
        return self.measured.median >= self.limit if self.at_least else self.measured.median <= self.limit


@frozen
class Run:
    """All that was measured."""

    command: str
    cpus: str
    """Who ran where."""
    rounds: dict[Row, list[dict[str, Any]]]
    """What `benchmarks.measure` said of each row, round by round."""
    missing: list[str] = field(factory=list[str])
    """What was not measured, and why."""

    def of(self, row: Row, concurrency: int, quantity: str) -> list[float]:
        """Return a quantity of a row in each round."""
        return [result["at"][str(concurrency)][quantity] for result in self.rounds[row]]

    def ratio(self, row: Row, base: Row, concurrency: int, quantity: str) -> Spread:
        """Return a row's quantity in terms of another row's in the same round."""
        pairs = zip(self.of(row, concurrency, quantity), self.of(base, concurrency, quantity), strict=True)
        return Spread.of([value / of_base for value, of_base in pairs])

    def targets(self) -> Iterator[Target]:
        """Compare with what the SDK promises, as far as it was measured."""
        for row, base, what, limit in (
            (OURS, B, "CPU of a GET / B", 1.05),
            (OURS, B, "CPU of a GET / B (moonshot)", 0.95),
            (OURS._replace(operation="POST"), B_POST, "CPU of a POST / naive aiohttp's", 0.95),
            (OURS._replace(operation="GET ten"), B_TEN, "CPU of a GET of ten contracts / naive aiohttp's", 1.25),
            (
                OURS._replace(operation="GET, every tenth refused once"),
                B,
                "CPU of a GET with one 429 in every tenth call / B",
                1.25,
            ),
        ):
            if {row, base} <= self.rounds.keys():
                for concurrency in _LOADED:
                    yield Target(f"{what}, at {concurrency}", self.ratio(row, base, concurrency, "cpu_us"), limit)
        if {OURS, B} <= self.rounds.keys():
            yield Target("p99 of a GET / B's, at 50", self.ratio(OURS, B, 50, "p99_ms"), 1.1)
            growth = zip(self.of(OURS, 1000, "cpu_us"), self.of(OURS, 50, "cpu_us"), strict=True)
            yield Target("CPU of a GET at 1000 / at 50", Spread.of([many / few for many, few in growth]), 1.3)
            garbage = [result["cyclic_garbage"] for result in self.rounds[OURS]]
            yield Target("objects in reference cycles a call leaves", Spread.of(garbage), 0)
            imported = [len(result["imported_by_first_call"]) for result in self.rounds[OURS]]
            yield Target("modules imported inside of calls", Spread.of(imported), 0)

    def markdown(self) -> str:
        """Return everything as tables."""
        parts = [self._environment()]
        for concurrency in CONCURRENCIES:
            parts += [f"### {concurrency} at a time", self._table(concurrency)]
        parts += ["### Targets", self._targets()]
        parts += [f"Not measured: {what}." for what in self.missing]
        return "\n\n".join(parts) + "\n"

    def _environment(self) -> str:
        rounds = min(map(len, self.rounds.values()), default=0)
        figures = f"`{self.command}`, {rounds} rounds: medians, and (lowest-highest)"
        return f"{figures}. {_machine()}; {self.cpus}. {_versions()}."

    def _table(self, concurrency: int) -> str:
        return _markdown(
            ("", "CPU / B", "calls/s / B", "CPU us", "calls/s", "p50 ms", "p99 ms", "peak RSS MB"),
            [self._cells(row, concurrency) for row in self.rounds if row.baseline in self.rounds],
        )

    def _cells(self, row: Row, concurrency: int) -> tuple[str, ...]:
        def median(quantity: str) -> float:
            return statistics.median(self.of(row, concurrency, quantity))

        return (
            str(row),
            str(self.ratio(row, row.baseline, concurrency, "cpu_us")),
            str(self.ratio(row, row.baseline, concurrency, "calls_per_second")),
            f"{median('cpu_us'):.0f}",
            f"{median('calls_per_second'):,.0f}",
            f"{median('p50_ms'):.2f}",
            f"{median('p99_ms'):.2f}",
            f"{median('peak_rss_mb'):.0f}",
        )

    def _targets(self) -> str:
        rows = [
            (t.text, f"{'>=' if t.at_least else '<='} {t.limit:g}", str(t.measured), "yes" if t.met else "**no**")
            for t in self.targets()
        ]
        return _markdown(("", "target", "measured", "met"), rows)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "command": self.command,
            "machine": _machine(),
            "cpus": self.cpus,
            "versions": _versions(),
            "rounds": [row._asdict() | {"results": results} for row, results in self.rounds.items()],
            "not measured": self.missing,
            "targets": [
                {
                    "target": target.text,
                    "measured": target.measured.median,
                    "limit": target.limit,
                    "at_least": target.at_least,
                    "met": target.met,
                }
                for target in self.targets()
            ],
        }


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in lines)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return f"{platform.system()} {platform.release()}, {os.cpu_count()} x {model}"


_PACKAGES: Final = ("aiohttp", "attrs", "cattrs", "tenacity", "yarl", "multidict")


def _versions() -> str:
    found = [f"Python {platform.python_version()}"]
    for package in _PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            continue
    return ", ".join(found)
