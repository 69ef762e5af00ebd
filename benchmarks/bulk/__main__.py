"""`python -m benchmarks.bulk [--rows N] [--rounds N] [--plan-rows N] [--kills N]`; 0 only if all holds."""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

from benchmarks.bulk.child import resident
from benchmarks.bulk.kills import judge, kill_and_resume, write_plan
from benchmarks.bulk.server import CONTRACT, CUSTOMER, Server, serving
from benchmarks.chart import Bar, chart, write_page
from benchmarks.report import Spread
from membership_sdk import LocalRateLimiter, MembershipClient, bulk
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.bulk.journal import Journal
from sdk_core.bulk.plan import checked_rows

_CONCURRENCY: Final = 100
_LEAST_SHARE: Final = 0.8
"""Of the plain client's calls per second."""
_MOST_GROWTH: Final = 30.0
"""MB."""


def main() -> int:
    """Measure, print, and say whether all of it holds."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bulk", description="What a bulk run costs.")
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=7, help="how often all rows are sent")
    parser.add_argument("--plan-rows", type=int, default=1_000_000, help="of the plan that is only checked and begun")
    parser.add_argument("--kills", type=int, default=50, help="of a run of 2,000 rows with faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readme", action="store_true", help="write benchmarks/bulk.md and its picture too")
    arguments = parser.parse_args()
    rates: list[_Rates] = []
    with TemporaryDirectory() as name:
        folder = Path(name)
        checks = [
            *_speed(folder, arguments.rows, arguments.rounds, rates),
            *_requests(folder, min(arguments.rows, 500)),
            *_large_plan(folder, arguments.plan_rows),
            *(_kills(folder, arguments.kills, arguments.seed) if arguments.kills else ()),
        ]
    if arguments.readme:
        text = "\n".join(("```text", *(check.line for check in checks), "```"))
        write_page("bulk", "Bulk runs", "python -m benchmarks.bulk --readme", text, picture(rates))
    return 0 if all(check.holds for check in checks) else 1


class _Rates(NamedTuple):
    """What a turn measured."""

    run: float
    """Rows per second."""
    plain: float
    """Calls per second."""


class _Check(NamedTuple):
    line: str
    holds: bool


def picture(rates: Sequence[_Rates]) -> str:
    """Return the rates of a run and of the plain client as a picture."""
    bars = [
        Bar("a bulk run, with its journal", Spread.of(turn.run for turn in rates), is_ours=True),
        Bar("the plain client", Spread.of(turn.plain for turn in rates)),
    ]
    title = f"Calls per second on loopback, {_CONCURRENCY} at a time"
    return chart(title, "More is better. Lines: lowest to highest of all turns.", bars)


def _say(what: str, figure: str, *, holds: bool) -> _Check:
    check = _Check(f"{'ok  ' if holds else 'FAIL'} {what}: {figure}", holds)
    sys.stdout.write(f"{check.line}\n")
    sys.stdout.flush()
    return check


def _tell(what: str) -> None:
    """Say on stderr how far it is."""
    sys.stderr.write(f"     {what}\n")


def _speed(folder: Path, rows: int, rounds: int, rates: list[_Rates]) -> Iterator[_Check]:
    """Compare a run with the plain client, which take turns, either first: what else is done hits both."""
    write_plan(folder / "plan.csv", rows)
    with serving(rows, canceled=True) as server:
        figures = _child(server, folder / "whole.db", folder / "plan.csv", "withdraw_cancelation")
        for number in range(rounds):
            journal = folder / f"turn{number}.db"
            plain, run = asyncio.run(_turn(server.url, range(rows), journal, plain_first=number % 2 == 0))
            rates.append(_Rates(rows / run, rows / plain))
            _tell(f"turn {number + 1} of {rounds}: {rows / run:,.0f} rows/s, {rows / plain:,.0f} calls/s")
    run_rate, plain_rate = (statistics.median(column) for column in zip(*rates, strict=True))
    # Of two rates of one turn: if others begin to work in the middle, medians would be of different moments.
    share = statistics.median(turn.run / turn.plain for turn in rates)
    shown = f"{run_rate:,.0f} rows/s, the plain client {plain_rate:,.0f} calls/s; {share:.2f} in the median turn"
    yield _say(f"{rows:,} rows, {_CONCURRENCY} at a time", shown, holds=share >= _LEAST_SHARE)
    grown = figures["grown"]
    yield _say("memory grows during them by", f"{grown:.1f} MB", holds=grown < _MOST_GROWTH)


async def _turn(url: str, some: range, journal: Path, *, plain_first: bool) -> tuple[float, float]:
    """Return the seconds that the plain client and a run take for the same rows, in either order."""
    async with MembershipClient(url, MembershipSandbox.API_KEY, rate_limiter=LocalRateLimiter(10**9)) as client:
        # Connections are there for both.
        await _plain(client, some[: 2 * _CONCURRENCY])
        if plain_first:
            return await _plain(client, some), await _run(client, some, journal)
        run = await _run(client, some, journal)
        return await _plain(client, some), run


async def _run(client: MembershipClient, some: range, journal: Path) -> float:
    rows = [{"customer_id": CUSTOMER + i, "contract_id": CONTRACT + i} for i in some]
    run = bulk.run(client, rows, journal=journal, operation="withdraw_cancelation", concurrency=_CONCURRENCY)
    async with run:
        started = time.perf_counter()
        async for result in run:
            if result.outcome is not bulk.RowOutcome.DONE:
                raise RuntimeError(f"row {result.n} is {result.outcome}")
        return time.perf_counter() - started


async def _plain(client: MembershipClient, some: range) -> float:
    numbers = iter(some)

    async def work() -> None:
        for i in numbers:
            await client.withdraw_contract_cancelation(customer_id=CUSTOMER + i, contract_id=CONTRACT + i)

    started = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(_CONCURRENCY):
            group.create_task(work())
    return time.perf_counter() - started


def _child(server: Server, journal: Path, plan: Path, operation: str) -> dict[str, Any]:
    options = json.dumps({"concurrency": _CONCURRENCY, "rows": {}})
    command = [sys.executable, "-m", "benchmarks.bulk.child", server.url, str(journal), str(plan), operation, options]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout  # noqa: S603  our own module
    figures: dict[str, Any] = json.loads(output.removeprefix("begun\n"))
    return figures


def _requests(folder: Path, rows: int) -> Iterator[_Check]:
    """Count the requests of rows in which nothing goes wrong."""
    day = MembershipSandbox().contracts[MembershipSandbox.CUSTOMER_ID][MembershipSandbox.CONTRACT_ID]
    dates = {"an explicit date": (str(day.available_cancelation_dates[0]), 1.0), "earliest": ("earliest", 2.0)}
    for what, (on, expected) in dates.items():
        plan = folder / f"{on}.csv"
        lines = [f"{CUSTOMER + i},{CONTRACT + i},{on},11" for i in range(rows)]
        plan.write_text("\n".join(["customer_id,contract_id,on,reason", *lines]), encoding="utf-8")
        with serving(rows, canceled=False) as server:
            outcomes = _child(server, folder / f"{on}.db", plan, "cancel_contract")["outcomes"]
            counts = server.counts()
        each = counts.requests / rows
        holds = each == expected and sum(counts.effects.values()) == rows
        yield _say(f"requests per row with {what}", f"{each:.2f} ({outcomes})", holds=holds)


def _large_plan(folder: Path, rows: int) -> Iterator[_Check]:
    """Take a large plan into a journal, and begin with it, in a process of its own."""
    _tell(f"a plan of {rows:,} rows")
    write_plan(folder / "large.csv", rows)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        before, started = resident(), time.perf_counter()
        plan = checked_rows(folder / "large.csv", bulk.CATALOGUE, "withdraw_cancelation")
        journal = Journal.begin(folder / "large.db", bulk.CATALOGUE.sdk, "large.csv", plan, run_id="large")
        first = next(journal.rows("planned"))
        os.write(writing, json.dumps([first.n, resident() - before, time.perf_counter() - started]).encode())
        os._exit(0)
    os.waitpid(child, 0)
    first_row, grown, seconds = json.loads(os.read(reading, 1000))
    shown = f"{grown:.1f} MB more, {seconds:.1f} s"
    yield _say(f"a plan of {rows:,} rows is checked and begun", shown, holds=first_row == 1 and grown < _MOST_GROWTH)


def _kills(folder: Path, kills: int, seed: int) -> Iterator[_Check]:
    rows = 2000
    with serving(rows, canceled=True, latency=0.1, faulty=True, seed=seed) as server:
        killed = asyncio.run(kill_and_resume(server, folder, rows=rows, kills=kills, seed=seed))
        verdict = judge(server, folder / "run.db", killed)
    for line in [*verdict.wrong, *(f"contract {contract}: more than one effect" for contract in verdict.twice)]:
        sys.stdout.write(f"     {line}\n")
    what = f"{rows:,} rows with faults, killed {killed} times (seed {seed})"
    yield _say(what, f"{verdict.outcomes}, as the ledger has it", holds=verdict.holds and killed == kills)


if __name__ == "__main__":
    sys.exit(main())
