"""What a run found, as tables, as JSON, and against the targets."""

import os
import platform
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from benchmarks.rows import (
    B_POST,
    B_TEN,
    BUSY,
    CONCURRENCIES,
    DEPENDENCIES,
    OURS,
    PACKAGES,
    PENDING,
    TAILS_AT,
    B,
    Row,
    not_installed,
)

__all__ = ["Costs", "Run", "Spread", "Target", "table", "target_table"]

_UNDISTURBED: Final = 0.85
"""The share of its core a client has at least, while nobody else wants it."""
_REFUSED: Final = OURS._replace(operation="GET, refused once")
_NOT_TO_IMPORT: Final = re.compile(r"(cloudcockpit_sdk|rich|.*\.(cli|sandbox))(\..*)?")

_INTRODUCTION: Final = """\
# What a call costs

    python -m pip install -e '.[bench]' && python -m benchmarks

Within five minutes (`--quick`: one) it measures our calls beside the same calls made otherwise, on the same server in
the same run; on Linux or macOS. All are compared with **B**, aiohttp as everyone writes it first:

```python
async with session.get(url, headers={"X-API-KEY": key}) as response:
    return await response.json()
```

B returns dicts, never retries, and knows no correlation ids. `membership_sdk` does all that, and returns attrs objects
with dates, Decimals and enums.

- The server answers from a table, on a core of its own, and never sleeps: what is left is the client's cost. Real
  servers are farther away, so real ratios are smaller.
- Each row is a process of its own. A round measures each for a moment, in another order each time, so that what slows
  the machine down for seconds slows all alike; other libraries take part in each fourth round. Now and then all begin
  anew, with another seed of hashes, on which it depends what lies where in memory. A ratio is of one round; medians are
  of all rounds in which no other program took the core. Times are this machine's, ratios carry over.
- Each call is for another of 1,000 members, as in life. yarl keeps the last 128 URLs, so whoever asks for one of them
  over and over never parses any: that is what the rows "same member" do.
- The answer is one contract of 1.2 kB with all documented fields; "ten" is ten of them. "Refused" is 429 with
  `Retry-After: 0`; B is not refused anything.
- `membership_sdk` has a rate limiter that never holds a call back: the default of 1000 calls a minute would.
- openapi-generator and openapi-python-client make their clients from `tests/specs/membership.yaml` when the program
  starts. All peers are used as their documentation shows; azure-core has the policies of a client that Azure generates.

This file, and its picture, are written by `python -m benchmarks --readme`. What follows is one run.

![CPU of a call](calls.svg)
"""


@frozen
class Spread:
    """What several rounds say."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> "Spread":
        """Return the spread of one value or more."""
        ordered = sorted(values)
        return cls(statistics.median(ordered), ordered[0], ordered[-1])

    @classmethod
    def of_ratios(cls, values: Sequence[float], bases: Sequence[float]) -> "Spread":
        """Return the spread of what each value is in terms of its base."""
        return cls.of(value / base for value, base in zip(values, bases, strict=True))

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


@frozen(kw_only=True)
class Costs:
    """What `benchmarks.costs` and imports said; None is what could not be measured."""

    import_ms: Mapping[str, list[float]]
    imported: list[str]
    """By membership_sdk, beyond what its dependencies import."""
    decoding: Mapping[str, Mapping[str, float]] | None
    pending_bytes: Mapping[str, float | None]
    calls: int
    growth: Mapping[str, float] | None
    """Of the process, over so many calls."""


@frozen(kw_only=True)
class Run:
    """All that was measured."""

    command: str
    cpus: str
    rounds: Mapping[Row, list[dict[str, Any]]]
    """What `benchmarks.measure` said of each row, round by round."""
    costs: Costs | None
    skipped: Mapping[str, str]
    failed: list[str]

    def undisturbed(self, concurrency: int, *rows: Row) -> list[tuple[Mapping[str, float], ...]]:
        """Return what rows measured in the same round, without the rounds in which another program took their core.

        If there is no other round, all.
        """
        measured = ([result["at"].get(str(concurrency)) for result in self.rounds[row]] for row in rows)
        rounds = [round_ for round_ in zip(*measured, strict=True) if None not in round_]
        return [round_ for round_ in rounds if not any(map(_is_disturbed, round_))] or rounds

    def ratio(self, row: Row, base: Row, concurrency: int, quantity: str) -> Spread:
        """Return a row's quantity in terms of another row's in the same round."""
        pairs = self.undisturbed(concurrency, row, base)
        return Spread.of(of_row[quantity] / of_base[quantity] for of_row, of_base in pairs)

    def targets(self) -> list[Target]:
        """Compare with what the SDK promises, as far as it was measured."""
        return [*self._targets_of_calls(), *self._targets_of_costs()]

    def _targets_of_calls(self) -> Iterator[Target]:
        refused = OURS._replace(operation="GET, every tenth refused once")
        for what, row, base, quantity, limit in (
            ("GET: CPU / B", OURS, B, "cpu_us", 1.05),
            ("GET: CPU / B (moonshot)", OURS, B, "cpu_us", 0.95),
            ("POST: CPU / naive aiohttp's POST", OURS._replace(operation="POST"), B_POST, "cpu_us", 0.95),
            ("GET of ten contracts: CPU / naive aiohttp's", OURS._replace(operation="GET ten"), B_TEN, "cpu_us", 1.25),
            ("GET with one 429 in every tenth call: CPU / B", refused, B, "cpu_us", 1.25),
            ("GET: calls/s / openapi-generator's", OURS, Row("openapi-generator", "GET"), "calls_per_second", 2.5),
            ("GET: calls/s / azure-core's", OURS, Row("azure-core", "GET"), "calls_per_second", 2.5),
            (
                "GET: calls/s / openapi-python-client's",
                OURS,
                Row("openapi-python-client", "GET"),
                "calls_per_second",
                4,
            ),
        ):
            if {row, base} <= self.rounds.keys():
                for concurrency in BUSY:
                    ratio = self.ratio(row, base, concurrency, quantity)
                    yield Target(f"{what}, at {concurrency}", ratio, limit, at_least=quantity == "calls_per_second")
        if {OURS, B} <= self.rounds.keys():
            yield Target(f"GET: p99 / B's, at {TAILS_AT}", self.ratio(OURS, B, TAILS_AT, "p99_ms"), 1.1)
            at = [result["at"] for result in self.rounds[OURS] if "1000" in result["at"]]
            growth = Spread.of(measured["1000"]["cpu_us"] / measured["50"]["cpu_us"] for measured in at)
            yield Target("GET: CPU at 1000 / at 50", growth, 1.3)
            garbage = Spread.of(result["cyclic_garbage"] for result in self.rounds[OURS])
            yield Target("GET: objects it leaves in reference cycles", garbage, 0)
            imported = Spread.of(len(result["imported_by_first_call"]) for result in self.rounds[OURS])
            yield Target("GET: modules imported by the first call", imported, 0)

    def _targets_of_costs(self) -> Iterator[Target]:
        if (costs := self.costs) is None:
            return
        ours, task = costs.pending_bytes[OURS.client], costs.pending_bytes["bare task"]
        if ours is not None and task is not None:
            yield Target(f"{PENDING:,} pending calls: kB each beyond a task", Spread.of([(ours - task) / 1e3]), 3)
        if costs.growth is not None:
            ratio = Spread.of([costs.growth["late_mb"] / costs.growth["early_mb"]])
            yield Target(f"{costs.calls:,} calls in sequence: peak RSS / after a tenth", ratio, 1.01)
        ratio = Spread.of_ratios(costs.import_ms["membership_sdk"], costs.import_ms[DEPENDENCIES])
        yield Target("import membership_sdk / its dependencies", ratio, 1.25)
        needless = [name for name in costs.imported if _NOT_TO_IMPORT.fullmatch(name)]
        yield Target("modules of sibling, sandbox and CLI it imports", Spread.of([len(needless)]), 0)

    def readme(self) -> str:
        """Return the page about the benchmarks."""
        return f"{_INTRODUCTION}\n{self.markdown()}"

    def markdown(self) -> str:
        """Return everything as tables."""
        figures = (
            f"`{self.command}`: {min(map(len, self.rounds.values()), default=0)} round(s); median (lowest-highest)"
        )
        parts = [f"{figures}. {_machine()}; {self.cpus}. {_versions()}."]
        measured = [at for results in self.rounds.values() for result in results for at in result["at"].values()]
        disturbed = sum(map(_is_disturbed, measured))
        parts.append(f"Measurements that another program disturbed: {disturbed} of {len(measured)}.")
        for concurrency in CONCURRENCIES:
            parts += [
                f"## {concurrency} at a time" if concurrency > 1 else "## One at a time",
                self._calls(concurrency),
            ]
        parts += ["## The first call, and what a call leaves", self._once()]
        if self.costs is not None:
            parts += ["## Beside the calls", self._costs(self.costs)]
        parts += ["## Targets", target_table(self.targets())]
        parts += [f"Skipped: {what}, {why}." for what, why in self.skipped.items()]
        parts += [f"**Failed**: {failure}" for failure in self.failed]
        return "\n\n".join(parts) + "\n"

    def _calls(self, concurrency: int) -> str:
        def line(row: Row) -> tuple[str, ...]:
            def median(quantity: str, form: str) -> str:
                measured = self.undisturbed(concurrency, row)
                return format(statistics.median(of_row[quantity] for (of_row,) in measured), form)

            return (
                str(row),
                str(self.ratio(row, row.baseline, concurrency, "cpu_us")),
                str(self.ratio(row, row.baseline, concurrency, "calls_per_second")),
                median("cpu_us", ".0f"),
                median("calls_per_second", ",.0f"),
                median("p50_ms", ".2f"),
                median("p99_ms", ".2f"),
                median("peak_rss_mb", ".0f"),
            )

        head = ("", "CPU / B", "calls/s / B", "CPU us", "calls/s", "p50 ms", "p99 ms", "peak RSS MB")
        return table(head, [line(row) for row in self.rounds if row.baseline in self.rounds])

    def _once(self) -> str:
        def line(row: Row) -> tuple[str, ...]:
            results = self.rounds[row]
            return (
                str(row),
                format(statistics.median(result["first_call_ms"] for result in results), ".1f"),
                str(len(results[0]["imported_by_first_call"])),
                format(statistics.median(result["cyclic_garbage"] for result in results), ".4g"),
            )

        head = (
            "",
            "first call of a fresh client, ms",
            "modules it imports",
            "objects left in reference cycles per call",
        )
        return table(head, [line(row) for row in self.rounds])

    def _costs(self, costs: Costs) -> str:
        lines: list[tuple[str, str]] = []
        for what, times in costs.import_ms.items():
            ratio = f", {Spread.of_ratios(times, costs.import_ms[DEPENDENCIES])} of its dependencies"
            lines.append((f"`import {what}`", f"{Spread.of(times).median:.0f} ms{ratio * (what != DEPENDENCIES)}"))
        for count, us in (costs.decoding or {}).items():
            figures = f"{us['json_us']:,.1f} us to dicts by json.loads, {us['sdk_us']:,.1f} us to attrs objects"
            lines.append((f"decoding {count} contract{'s' * (count != '1')}", figures))
        if {OURS, _REFUSED} <= self.rounds.keys():
            pairs = self.undisturbed(1, _REFUSED, OURS)
            retry = statistics.median(refused["cpu_us"] - straight["cpu_us"] for refused, straight in pairs)
            lines.append(("one retry after a 429", f"{retry:.0f} us of CPU, its request included"))
        for what, size in costs.pending_bytes.items():
            if size is not None:
                lines.append((f"{PENDING:,} pending, {what}", f"{size / 1e3:.1f} kB each"))
        if costs.growth is not None:
            figures = f"{costs.growth['early_mb']:.1f} MB after a tenth, {costs.growth['late_mb']:.1f} MB in the end"
            lines.append((f"{costs.calls:,} calls in sequence", figures))
        return table(("", ""), lines)

    def as_json(self) -> dict[str, Any]:
        """Return everything as JSON."""
        return {
            "command": self.command,
            "machine": _machine(),
            "cpus": self.cpus,
            "versions": _versions(),
            "rows": [row._asdict() | {"rounds": results} for row, results in self.rounds.items()],
            "costs": None if self.costs is None else asdict(self.costs),
            "targets": [asdict(target) | {"met": target.met} for target in self.targets()],
            "skipped": dict(self.skipped),
            "failed": self.failed,
        }


def _is_disturbed(measured: Mapping[str, float]) -> bool:
    # The server never sleeps, so neither does a client that has its core to itself.
    return measured["cpu_us"] * measured["calls_per_second"] / 1e6 < _UNDISTURBED


def target_table(targets: Iterable[Target]) -> str:
    """Return promises, and what became of them, as a table."""
    lines = [
        (
            target.text,
            f"{'≥' if target.at_least else '≤'} {target.limit:g}",
            str(target.measured),
            "yes" if target.met else "**no**",
        )
        for target in targets
    ]
    return table(("", "target", "measured", "met"), lines)


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return lines of cells as a Markdown table: text to the left, figures to the right."""
    every = [head, ["---"] + ["---:"] * (len(head) - 1), *lines]
    widths = [max(len(line[column]) for line in every) for column in range(len(head))]
    padded = ([cell.ljust(width) for cell, width in zip(line, widths, strict=True)] for line in every)
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def _machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{platform.system()}, {os.cpu_count()} x {model or platform.machine()}"


def _versions() -> str:
    packages = {"aiohttp", "attrs", "cattrs", "tenacity"}.union(*PACKAGES.values())
    there = sorted(packages.difference(not_installed(tuple(packages))))
    return ", ".join([f"Python {platform.python_version()}", *(f"{package} {version(package)}" for package in there)])
