"""Standard streams that are closed, full or without a reader: the exit code says what became of it all the same."""

import asyncio
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from command_line import reach

from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.cli import app
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


async def test_ctrl_c_that_can_not_be_told_says_that_something_was_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("sdk_core.cli.output.table_of", interrupt)
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        for command, code in ((READ, Exit.INTERRUPTED), (SETTLE, Exit.UNKNOWN)):
            with unread("stderr"):
                assert await code_of(*command) == code


async def test_closed_streams_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        for command, code in ((READ, 0), (WRITE, 0), (("--help",), 0)):
            with pytest.MonkeyPatch.context() as patch:
                for name in ("stdin", *BOTH):
                    patch.setattr(sys, name, None)
                assert await code_of(*command) == code
                for name in ("stdin", *BOTH):
                    getattr(sys, name).close()
        assert len(sandbox.ledger) == 1


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
