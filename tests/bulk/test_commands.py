"""The commands of bulk runs, as a user has them: files, exit codes, signals, what is written."""

import asyncio
import csv
import json
import os
import signal
import sqlite3
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from bulk_program import commands

from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.bulk import journal as journal_module
from sdk_core.bulk.progress import Pause, Progress
from sdk_core.bulk.result import Ending, RowOutcome
from sdk_core.cli.bulk_texts import progress_line
from sdk_core.ratelimit import LocalRateLimiter

FIRST = 5000
WITHDRAW = "withdraw_cancelation"


def studio(contracts: int) -> MembershipSandbox:
    sandbox = MembershipSandbox()
    sample = sandbox.contracts[1001][sandbox.CANCELED_CONTRACT_ID]
    sandbox.contracts = {1001: {FIRST + i: evolve(sample, id=FIRST + i) for i in range(contracts)}}
    return sandbox


def write_plan(folder: Path, contracts: int) -> str:
    lines = ["customer_id,contract_id", *(f"1001,{FIRST + i}" for i in range(contracts))]
    (folder / "plan.csv").write_text("\n".join(lines), encoding="utf-8")
    return str(folder / "plan.csv")


def told_in(capsys: pytest.CaptureFixture[str]) -> str:
    """Return what was written to stderr, in one line: where lines are wrapped is the terminal's matter."""
    return " ".join(capsys.readouterr().err.split())


def effects(sandbox: MembershipSandbox) -> Counter[object]:
    return Counter(entry.arguments["contract_id"] for entry in sandbox.ledger)


async def start(sandbox: MembershipSandbox, *argv: object) -> asyncio.subprocess.Process:
    program = Path(__file__).parents[1] / "bulk_program.py"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        sandbox.url,
        *map(str, argv),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )


async def test_one_row_is_called_a_row(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal, results = tmp_path / "run.db", tmp_path / "results.csv"
    async with studio(1) as sandbox:
        sandbox.fail(Fault.status(400))
        plan = write_plan(tmp_path, 1)
        options: Any = {"journal": journal, "operation": WITHDRAW, "results": results, "yes": True, "max_failures": 1}
        await commands(sandbox.url).bulk(plan, **options)
    told = told_in(capsys)
    assert "1 row, valid; to be done: 1 withdraw_cancelation " in told
    assert "plan.csv: 1 row, begun" in told
    assert "results.csv: 1 row " in told
    assert "stopped: 1 row has failed;" in told
    assert "1 rows" not in told


async def test_a_plan_becomes_results_and_a_summary(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with studio(30) as sandbox:
        sandbox.fail(Fault.status(429, retry_after=0), Fault.status(400))
        code = await commands(sandbox.url).bulk(
            write_plan(tmp_path, 30),
            journal=tmp_path / "run.db",
            operation=WITHDRAW,
            results=tmp_path / "results.csv",
            yes=True,
        )
    told = capsys.readouterr()
    assert code == 1
    assert told.out == ""
    assert "30 rows, all of them valid; to be done: 30 withdraw_cancelation\n" in told.err
    assert "29 done        the API said yes" in told.err
    assert " 1 rejected    refused: nothing happened" in told.err
    with (tmp_path / "results.csv").open(encoding="utf-8") as file:
        results = list(csv.DictReader(file))
    assert Counter((row["outcome"], row["attempts"]) for row in results) == {
        ("done", "1"): 28,
        ("done", "2"): 1,
        ("rejected", "1"): 1,
    }
    assert len({row["correlation_id"] for row in results}) == 30
    assert [row["line"] for row in results] == [str(n) for n in range(2, 32)]


def _counts(capsys: pytest.CaptureFixture[str]) -> dict[str, int]:
    documents = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    counts: dict[str, int] = documents[-1]["outcomes"] if documents else {}
    return counts


async def test_ctrl_c_finishes_what_is_under_way_and_resuming_does_the_rest(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with studio(40) as sandbox:
        sandbox.fail(*[Fault.delay(0.2)] * 40)
        plan, journal = write_plan(tmp_path, 40), tmp_path / "run.db"
        life = await start(sandbox, "bulk", plan, "--journal", journal, "--yes", "--operation", WITHDRAW)
        while not sandbox.ledger:
            await asyncio.sleep(0.01)
        life.send_signal(signal.SIGINT)
        _out, err = await life.communicate()
        assert life.returncode == 130
        assert b"finishing the rows under way; once more cancels them" in err
        assert b"stopped: interrupted; --resume goes on" in err
        done = effects(sandbox).total()
        assert f"{done} done".encode() in err
        assert b"may have been sent" not in err
        assert await commands(sandbox.url).bulk(None, journal=journal, resume=True, yes=True) == 0
        assert f"to be done: {40 - done} {WITHDRAW}" in capsys.readouterr().err
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (40, {1})


@pytest.mark.real_time("a second signal within no time would be one")
async def test_status_and_report_tell_of_a_run_and_a_second_ctrl_c_cancels_it_and_says_what_is_unknown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Status and report while it is under way, beside the process that runs it."""
    async with studio(9) as sandbox:
        sandbox.fail(*[Fault.delay(60)] * 5)
        life = await start(
            sandbox,
            "bulk",
            write_plan(tmp_path, 9),
            "--journal",
            tmp_path / "run.db",
            "--yes",
            "--operation",
            WITHDRAW,
            "--concurrency",
            5,
        )
        while len(sandbox.ledger) < 5:
            await asyncio.sleep(0.01)
        program = commands(sandbox.url)
        while program.status(tmp_path / "run.db", json=True) or _counts(capsys).get("sent") != 5:
            await asyncio.sleep(0.01)
        assert program.report(tmp_path / "run.db", tmp_path / "results.jsonl") == 0
        lines = (tmp_path / "results.jsonl").read_text(encoding="utf-8").splitlines()
        outcomes = Counter(json.loads(line)["outcome"] for line in lines)
        assert (outcomes.total(), outcomes["sent"]) == (9, 5)
        for _ in range(2):
            life.send_signal(signal.SIGINT)
            await asyncio.sleep(0.2)
        _out, err = await life.communicate()
        assert life.returncode == 6
        assert b"the rows under way are cancelled; --resume reads what became of them" in err
        assert b"5 sent        may have been sent; --resume settles it by reading" in err
        assert await commands(sandbox.url).bulk(None, journal=tmp_path / "run.db", resume=True, yes=True) == 0
        assert "5 settled" in capsys.readouterr().err
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (9, {1})


async def test_what_changes_something_needs_a_yes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with studio(1) as sandbox:
        code = await commands(sandbox.url).bulk(
            write_plan(tmp_path, 1), journal=tmp_path / "run.db", operation=WITHDRAW
        )
        assert (code, sandbox.requests) == (2, [])
    assert "bulk changes something: without a terminal to ask on, it needs --yes" in told_in(capsys)
    assert [file.name for file in tmp_path.iterdir()] == ["plan.csv"]


async def test_a_dry_run_checks_the_plan_only(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with studio(1) as sandbox:
        program, plan = commands(sandbox.url), write_plan(tmp_path, 5)
        assert await program.bulk(plan, journal=tmp_path / "run.db", operation=WITHDRAW, dry_run=True) == 0
        with Path(plan).open("a", encoding="utf-8") as file:
            file.write("\n1001,x")
        assert await program.bulk(plan, journal=tmp_path / "run.db", operation=WITHDRAW, dry_run=True) == 2
        assert sandbox.requests == []
    assert "line 7: contract_id must be a whole number" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["plan.csv"]


async def test_stdin_is_a_plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with studio(5) as sandbox:
        with Path(write_plan(tmp_path, 5)).open(encoding="utf-8") as file:
            monkeypatch.setattr(sys, "stdin", file)
            code = await commands(sandbox.url).bulk("-", journal=tmp_path / "run.db", operation=WITHDRAW, yes=True)
        assert (code, len(sandbox.ledger)) == (0, 5)


async def test_exit_codes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with studio(1) as sandbox:
        plan, program = write_plan(tmp_path, 1), commands(sandbox.url)
        options: dict[str, Any] = {"operation": WITHDRAW, "yes": True}
        refused = commands(sandbox.url, api_key="wrong")
        assert await refused.bulk(plan, journal=tmp_path / "key.db", **options) == 4
        assert await program.bulk(plan, journal=tmp_path / "no" / "run.db", **options) == 2
        assert await program.bulk(None, journal=tmp_path / "no.db", resume=True) == 2
        assert await program.bulk(str(tmp_path / "no.csv"), journal=tmp_path / "run.db", **options) == 2
        assert "no.csv can't be read or written: No such file or directory" in told_in(capsys)
        assert program.status(tmp_path / "no.db") == 2
        assert program.report(tmp_path / "no.db", tmp_path / "results.csv") == 2


async def test_a_journal_that_can_not_be_written_any_more_is_no_matter_of_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(path: Path) -> sqlite3.Connection:
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        database.execute("pragma journal_mode = wal")
        # SQLite says of a database that has no room what it says of a disk that has none.
        database.execute("pragma max_page_count = 12")
        return database

    monkeypatch.setattr(journal_module, "_connect", connect)
    async with studio(200) as sandbox:
        plan = write_plan(tmp_path, 200)
        code = await commands(sandbox.url).bulk(plan, journal=tmp_path / "run.db", operation=WITHDRAW, yes=True)
        assert (code, bool(sandbox.ledger)) == (6, True)
        told = capsys.readouterr().err
        assert "database or disk is full; what was recorded in it is safe" in told
        assert "may have been sent; --resume settles it by reading" in told
        monkeypatch.undo()
        assert await commands(sandbox.url).bulk(None, journal=tmp_path / "run.db", resume=True, yes=True) == 0
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (200, {1})


def test_a_line_of_progress_tells_what_there_is_to_tell() -> None:
    now = [0.0]
    progress = Progress(total=1200, clock=lambda: now[0])
    for _ in range(30):
        now[0] += 1
        progress.note(Ending(outcome=RowOutcome.DONE, correlation_id="1", attempts=1))
    progress.note(Ending(outcome=RowOutcome.REJECTED, correlation_id="1", attempts=3))
    assert progress_line(progress, {}) == "31 of 1,200, 1.1/s, 18 min to go, 2 retries, 1 failed"
    progress.unsettled, progress.under_way = 2, 4
    told = progress_line(progress, {WITHDRAW: 41.6}, stopped_by="interrupted")
    assert told.endswith(
        "stopping: 4 under way, 2 retries, 1 failed, 2 to settle by reading, "
        "withdraw_cancelation waits 42 s for the rate limit"
    )
    now[0] += 3000
    assert progress.seconds_left is None


async def test_the_pause_of_a_limiter_can_be_seen() -> None:
    now = [0.0]
    pause = Pause(LocalRateLimiter(1, 60.0, clock=lambda: now[0]), clock=lambda: now[0])
    pause.acquire("read", 100)
    assert pause.waits == {}
    pause.acquire("read", 100)
    assert pause.waits == {"read": 60.0}
    pause.on_rate_limited("write", 30)
    now[0] = 20
    assert pause.waits == {"read": 40.0, "write": 10.0}
