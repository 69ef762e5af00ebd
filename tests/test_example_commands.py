"""The shell programs of `examples/` that the how-to pages show, run as they stand."""

import asyncio
import csv
import os
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

import pytest

from membership_sdk.sandbox import MembershipSandbox

EXAMPLES = Path(__file__).parents[1] / "examples"


async def shell(name: str, folder: Path, **environment: str) -> str:
    path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    process = await asyncio.create_subprocess_exec(
        *("sh", str(EXAMPLES / name)),
        cwd=folder,
        env=os.environ | {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "COLUMNS": "200"} | environment,
        stdout=PIPE,
        stderr=STDOUT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, out.decode()
    return out.decode()


@pytest.mark.endurance
async def test_the_commands_of_the_command_line(tmp_path: Path) -> None:
    out = await shell("command_line.sh", tmp_path)
    assert '"cancelationStatus":"CANCELED"' in out
    assert "exit code 1" in out
    assert any("withdraw-ordinary-contract-cancelation/2003" in line for line in out.splitlines())


async def test_the_commands_of_a_bulk_run(tmp_path: Path) -> None:
    async with MembershipSandbox() as sandbox:
        out = await shell("bulk.sh", tmp_path, MEMBERSHIP_BASE_URL=sandbox.url)
        assert [entry.arguments["contract_id"] for entry in sandbox.ledger] == [2003]
    rows = list(csv.DictReader((tmp_path / "results.csv").read_text().splitlines()))
    assert {row["line"]: row["outcome"] for row in rows} == {"2": "done", "3": "unchanged"}
    assert "nothing is left" in out
