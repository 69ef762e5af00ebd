"""Standard streams that are closed, full or without a reader: the exit code says what became of it all the same."""

import asyncio
import errno
import io
import json
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import evolve
from command_line import reach

from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.bulk.report import status_of
from sdk_core.cli import app, bulk_work
from sdk_core.cli.exits import Exit

IDS = ("--customer-id", "1001", "--contract-id")
READ = ("get-contract-data", *IDS[:2])
WRITE = ("withdraw-contract-cancelation", *IDS, str(MembershipSandbox.CANCELED_CONTRACT_ID), "--yes")
REASON = ("--on", "earliest", "--reason", str(MembershipSandbox.REASON_ID))
SETTLE = ("cancel-contract", *IDS, str(MembershipSandbox.CONTRACT_ID), *REASON, "--yes")
BOTH = ("stdout", "stderr")


@contextmanager
def unread(*names: str) -> Iterator[None]:
    """Have nobody read these streams."""
    with pytest.MonkeyPatch.context() as patch:
        for name in names:
            reader, writer = os.pipe()
            os.close(reader)
            patch.setattr(sys, name, os.fdopen(writer, "w", encoding="utf-8"))
        try:
            yield
        finally:
            for name in names:
                with suppress(OSError):
                    getattr(sys, name).close()


async def code_of(*arguments: object) -> int:
    """Run a command in a thread, so that a sandbox of the test can answer it."""
    return await asyncio.to_thread(app.run, MEMBERSHIP, list(map(str, arguments)))


@pytest.mark.parametrize(
    ("command", "streams", "fault", "code"),
    [
        (SETTLE, ["stdout"], None, Exit.UNKNOWN),
        (SETTLE, BOTH, None, Exit.UNKNOWN),
        ((*SETTLE, "--json"), ["stdout"], None, Exit.UNKNOWN),
        ((*SETTLE, "--json"), BOTH, None, Exit.UNKNOWN),
        ((*SETTLE, "--json"), ["stderr"], None, Exit.DONE),
        (WRITE, ["stderr"], None, Exit.UNKNOWN),
        (WRITE, BOTH, Fault.drop(after_applying=True), Exit.UNKNOWN),
        ((*WRITE, "--json"), BOTH, Fault.status(403), Exit.CREDENTIAL),
        (READ, BOTH, None, Exit.FAILED),
        (READ, ["stderr"], None, Exit.DONE),
        ((*READ, "--json"), BOTH, Fault.status(404), Exit.FAILED),
        (("--help",), BOTH, None, Exit.FAILED),
        (("bulk", "--help"), BOTH, None, Exit.FAILED),
        (("completion", "bash"), BOTH, None, Exit.FAILED),
    ],
)
async def test_a_change_that_can_not_be_told_is_not_called_a_failure(
    command: tuple[str, ...],
    streams: list[str],
    fault: Fault | None,
    code: Exit,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        if fault is not None:
            sandbox.fail(fault)
        with unread(*streams):
            assert await code_of(*command) == code
        assert len(sandbox.ledger) == (code is Exit.UNKNOWN or "cancel-contract" in command)
    told = capfd.readouterr().err
    assert "Traceback" not in told
    if command[:1] == SETTLE[:1] and streams == ["stdout"]:
        assert "applied: the API said yes to create_contract_cancelation_amendment" in " ".join(told.split())


class FullOnce(io.StringIO):
    """A stream whose disk is full for the first message, and has room then."""

    is_full = True

    def write(self, text: str) -> int:
        if self.is_full:
            self.is_full = False
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return super().write(text)


async def test_only_last_words_that_are_lost_change_an_exit_code(
    bulk: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        with monkeypatch.context() as patch:
            patch.setattr(sys, "stderr", FullOnce())
            # The first message is what is to be done.
            assert await bulk_code_of(*bulk) == Exit.DONE
    assert len(sandbox.ledger) == 1


@pytest.mark.parametrize("command", [("--help",), ("--version",), READ])
async def test_who_has_read_enough_is_told_nothing(
    command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """As with `| head -1`."""
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        with unread("stdout"):
            assert await code_of(*command) == Exit.FAILED
    assert "Pipe" not in capfd.readouterr().err


async def test_ctrl_c_that_can_not_be_told_says_that_something_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sdk_core.cli.output.table_of", interrupt)
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        for command, code in ((READ, Exit.INTERRUPTED), (SETTLE, Exit.UNKNOWN)):
            with unread("stderr"):
                assert await code_of(*command) == code


async def bulk_code_of(*arguments: object) -> Exit:
    """Run a command of bulk runs in this thread: the main thread's signals are its own."""
    command, bound, _unused = app.build(MEMBERSHIP, named="bulk").parse_args(list(map(str, arguments)))
    code: Exit = await command(*bound.args, **bound.kwargs)
    return code


@pytest.fixture
def bulk(tmp_path: Path) -> tuple[str, ...]:
    plan = tmp_path / "plan.csv"
    plan.write_text(f"customer_id,contract_id\n1001,{MembershipSandbox.CANCELED_CONTRACT_ID}\n", encoding="utf-8")
    more = ("--operation", "withdraw_cancelation", "--yes", "--journal", str(tmp_path / "run.db"))
    return ("bulk", str(plan), *more)


@pytest.mark.parametrize(
    ("more", "streams", "code"),
    [
        ((), ["stderr"], Exit.UNKNOWN),
        (("--json",), ["stderr"], Exit.DONE),
        (("--json",), ["stdout"], Exit.UNKNOWN),
        (("--json",), BOTH, Exit.UNKNOWN),
    ],
)
async def test_a_bulk_run_goes_on_when_nobody_reads_of_it(
    more: tuple[str, ...],
    streams: list[str],
    code: Exit,
    bulk: tuple[str, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A line of progress each time the loop comes round.
    monkeypatch.setattr("sdk_core.cli.bulk_display._ELSEWHERE", 0)
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        with unread(*streams):
            assert await bulk_code_of(*bulk, *more) == code
    assert status_of(tmp_path / "run.db").counts == {"done": 1}


async def test_reads_whose_summary_can_not_be_told_are_failures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = tmp_path / "plan.csv"
    plan.write_text("customer_id\n1001\n", encoding="utf-8")
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        with unread("stdout"):
            arguments = ("--operation", "get_contract_data", "--journal", tmp_path / "run.db", "--json")
            assert await bulk_code_of("bulk", plan, *arguments) == Exit.FAILED


async def test_a_journal_that_is_gone_in_the_end_is_told(
    bulk: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        after_the_rows((tmp_path / "run.db").unlink, monkeypatch)
        assert await bulk_code_of(*bulk, "--json") == Exit.UNKNOWN
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["exitCode"] == Exit.UNKNOWN
    assert f"there is no journal {tmp_path / 'run.db'}" in error["message"]


async def test_results_that_can_not_be_written_are_told_and_are_no_success(
    bulk: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    results = tmp_path / "gone" / "results.csv"
    results.parent.mkdir()
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        after_the_rows(results.parent.rmdir, monkeypatch)
        assert await bulk_code_of(*bulk, "--json", "--results", results) == Exit.FAILED
    told = capsys.readouterr()
    document = json.loads(told.out)
    assert (document["outcomes"], document["results"]) == ({"done": 1}, None)
    assert document["error"]["exitCode"] == Exit.FAILED
    assert document["error"]["message"] == f"{results} can't be written: there is no folder {results.parent}"
    assert " ".join(told.err.split()).count("can't be written") == 1


def after_the_rows(do: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Do something when all rows of a bulk run have ended."""
    show = bulk_work.show

    async def and_then(*arguments: Any) -> None:
        await show(*arguments)
        do()

    monkeypatch.setattr(bulk_work, "show", and_then)


async def test_closed_streams_lead_nowhere(
    bulk: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        for command, code in ((READ, 0), (WRITE, 0), (("--help",), 0), ([each for each in bulk if each != "--yes"], 2)):
            with pytest.MonkeyPatch.context() as patch:
                for name in ("stdin", *BOTH):
                    patch.setattr(sys, name, None)
                assert await code_of(*command) == code
                for name in ("stdin", *BOTH):
                    getattr(sys, name).close()
        assert len(sandbox.ledger) == 1
    assert not (tmp_path / "run.db").exists()


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key")


def assert_nothing_was_sent(told: Any) -> None:
    assert json.loads(told.out)["error"]["message"] == "interrupted; nothing was sent"
    assert "nothing was sent" in told.err


@pytest.mark.usefixtures("settings")
async def test_ctrl_c_while_the_plan_is_checked_leaves_no_journal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C cancels the task, which does not wait for more of the plan; what checks it ends with the next row."""
    pipe, journal = tmp_path / "plan", tmp_path / "run.db"
    os.mkfifo(pipe)
    more = ("--operation", "withdraw_cancelation", "--journal", journal, "--yes", "--json")
    task = asyncio.ensure_future(bulk_code_of("bulk", pipe, *more))
    while not (journal.exists() or task.done()):
        await asyncio.sleep(0)
    # Whoever writes the plan is not read to its end.
    with suppress(BrokenPipeError), pipe.open("w", encoding="utf-8") as plan:
        print("customer_id,contract_id", file=plan, flush=True)
        task.cancel()
        assert await task == Exit.INTERRUPTED
        print("1001,1\n1001,2", file=plan, flush=True)
    async with asyncio.timeout(30):
        while list(tmp_path.iterdir()) != [pipe]:
            await asyncio.sleep(0)
    assert_nothing_was_sent(capsys.readouterr())


@pytest.mark.usefixtures("settings")
@pytest.mark.parametrize("more", [("--yes",), ("--dry-run",)])
async def test_ctrl_c_ends_the_wait_for_a_plan_on_stdin(
    more: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As a terminal has it that nobody types into."""
    monkeypatch.setattr("sdk_core.cli.bulk_work.copyfileobj", lambda *_files: signal.raise_signal(signal.SIGINT))
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=None))
    order = ("--operation", "withdraw_cancelation", "--journal", tmp_path / "run.db", "--json")
    assert await bulk_code_of("bulk", "-", *order, *more) == Exit.INTERRUPTED
    assert list(tmp_path.iterdir()) == []
    assert_nothing_was_sent(capsys.readouterr())


async def test_a_run_that_does_not_begin_keeps_the_link_to_its_journal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the journal is to be is for the link to say; what is made there is for nobody else to read."""
    journal, real, plan = tmp_path / "run.db", tmp_path / "volume" / "real.db", tmp_path / "plan.csv"
    real.parent.mkdir()
    journal.symlink_to(real)
    plan.write_text(f"customer_id,contract_id\n1001,{MembershipSandbox.CANCELED_CONTRACT_ID}\n", encoding="utf-8")
    order = ("bulk", plan, "--operation", "withdraw_cancelation", "--journal", journal)
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        assert await bulk_code_of(*order) == Exit.USAGE
        assert (journal.is_symlink(), list(real.parent.iterdir())) == (True, [])
        assert await bulk_code_of(*order, "--yes") == Exit.DONE
    assert real.stat().st_mode & 0o777 == 0o600


def test_a_plan_comes_from_stdin(run: Any) -> None:
    plan = f"customer_id,contract_id\n1001,{MembershipSandbox.CANCELED_CONTRACT_ID}\n"
    ended = run(MEMBERSHIP, "bulk", "-", "--operation", "withdraw_cancelation", "--sandbox", "--json", stdin=plan)
    assert (ended.code, json.loads(ended.out)["outcomes"]) == (0, {"done": 1})


@pytest.mark.parametrize("wrong", [("--wrong", "plan.csv"), ("plan.csv", "--wrong"), ("-x",), ("-", "--wrong")])
def test_an_option_is_not_taken_for_a_plan(run: Any, wrong: tuple[str, ...]) -> None:
    ended = run(MEMBERSHIP, "bulk", *wrong, "--sandbox", "--json")
    assert ended.code == Exit.USAGE
    assert "option" in json.loads(ended.out)["error"]["message"]


async def test_what_the_encoding_of_stdout_does_not_have_is_escaped(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        sandbox.reasons = [evolve(sandbox.reasons[0], cancelation_reason_name="\u2603")]
        reach(sandbox, monkeypatch)
        stdout = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
        monkeypatch.setattr(sys, "stdout", stdout)
        assert await code_of("get-contract-cancelation-reason-data") == 0
        assert b"\\u2603" in stdout.buffer.getvalue()


def test_a_name_that_is_no_utf8_is_told(run: Any, tmp_path: Path) -> None:
    name = os.fsdecode(b"\xff.db")
    ended = run(MEMBERSHIP, "status", name, "--json")
    assert ended.code == Exit.USAGE
    assert json.loads(ended.out)["error"]["message"] == f"there is no journal {name}"
    assert list(tmp_path.iterdir()) == []


def test_no_columns_are_no_width(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (("--help",), (*READ, "--sandbox")):
        monkeypatch.setenv("COLUMNS", "0")
        ended = run(MEMBERSHIP, *command)
        assert ended.code == 0
        assert len(ended.out.splitlines()) > 1
