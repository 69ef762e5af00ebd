"""A run that is killed at random moments, and what its report then says, compared with the server's ledger."""

import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import field, frozen

from benchmarks.bulk.server import CONTRACT, CUSTOMER, LATEST, Server
from sdk_core.bulk.records import reading, results_of
from sdk_core.bulk.result import RowOutcome

__all__ = ["Verdict", "judge", "kill_and_resume", "write_plan"]

_EFFECTS: Final = {
    RowOutcome.DONE: 1,
    RowOutcome.SETTLED: 1,
    RowOutcome.UNCHANGED: 0,
    RowOutcome.REJECTED: 0,
    RowOutcome.NOT_SENT: 0,
}
"""How many effects a row has in the ledger, as its outcome says. An UNKNOWN row is one that was not settled."""
_LONGEST_LIFE: Final = 0.4
"""Seconds after which a process is killed at the latest, counted from its first row."""
_MOST_LIVES: Final = 10
"""That may end by themselves until no row is left."""


@frozen
class Verdict:
    """What the ledger says of a run and its report."""

    rows: int
    outcomes: dict[str, int]
    kills: int
    twice: list[int] = field(factory=list[int])
    """Contracts with more than one effect."""
    wrong: list[str] = field(factory=list[str])
    """What the report says otherwise than the ledger."""

    @property
    def holds(self) -> bool:
        """Whether each row had its effect exactly once, and the report says so."""
        is_each_done = sum(self.outcomes.get(kind.value, 0) for kind in (RowOutcome.DONE, RowOutcome.SETTLED))
        return not self.twice and not self.wrong and is_each_done == self.rows


def write_plan(path: Path, rows: int) -> None:
    """Write a plan: row i is contract CONTRACT + i of customer CUSTOMER + i."""
    with path.open("w", encoding="utf-8") as file:
        file.write("customer_id,contract_id\n")
        file.writelines(f"{CUSTOMER + i},{CONTRACT + i}\n" for i in range(rows))


async def kill_and_resume(server: Server, folder: Path, *, rows: int, kills: int, seed: int) -> int:
    """Run a plan in processes that are killed, each followed by another that resumes; return how many were killed.

    Args:
        server: what they talk to.
        folder: where plan and journal are.
        rows: of the plan.
        kills: how many processes to kill at random moments.
        seed: of the moments.
    """
    chance, killed, ended = random.Random(seed), 0, 0
    write_plan(folder / "plan.csv", rows)
    options = json.dumps({"concurrency": 20, "rows": {"resend_after": 2 * LATEST, "timeout": 4.0}})
    files = (server.url, str(folder / "run.db"), str(folder / "plan.csv"), "withdraw_cancelation", options)
    while ended < _MOST_LIVES:
        life = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.bulk.child", *files, stdout=asyncio.subprocess.PIPE
        )
        if killed < kills:
            await _begin(life, chance)
            with suppress(TimeoutError):
                await asyncio.wait_for(life.wait(), _LONGEST_LIFE * chance.random())
        if killed < kills and life.returncode is None:
            life.kill()
            killed += 1
            sys.stderr.write(f"     killed {killed} of {kills}\n" if killed % 10 == 0 else "")
        await life.communicate()
        if life.returncode == 0:
            ended += 1
            if killed >= kills and not _are_left(folder / "run.db"):
                break
    return killed


async def _begin(life: asyncio.subprocess.Process, chance: random.Random) -> None:
    """Wait until the first row is sent; for one process in ten not so long, so that it is killed before that."""
    if life.stdout is None:
        return
    patience = chance.random() if chance.random() < 1 / 10 else 60.0
    with suppress(TimeoutError):
        await asyncio.wait_for(life.stdout.readline(), patience)


def _are_left(journal: Path) -> bool:
    with reading(journal) as database:
        return any(not result.is_ended or result.outcome is RowOutcome.UNKNOWN for result in results_of(database))


def judge(server: Server, journal: Path, kills: int) -> Verdict:
    """Compare a run's report with the ledger."""
    time.sleep(2 * LATEST)
    effects = server.counts().effects
    with reading(journal) as database:
        results = list(results_of(database))
    wrong = [
        f"line {result.line}: {result.outcome.value}, but {found} effects"
        for result in results
        if (found := effects.get(int(result.arguments["contract_id"]), 0)) != _EFFECTS.get(result.outcome)
    ]
    outcomes = Counter(result.outcome.value for result in results)
    return Verdict(len(results), dict(outcomes), kills, _more_than_once(effects.items()), wrong)


def _more_than_once(effects: Iterable[tuple[int, int]]) -> list[int]:
    return [contract for contract, count in effects if count > 1]
