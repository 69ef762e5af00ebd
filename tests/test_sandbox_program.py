"""`membership-sdk sandbox` and `cloudcockpit-sdk sandbox`: a program of its own, driven by curl."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared")))}

pytestmark = [
    pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process"),
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


@contextmanager
def running(package: str, end: signal.Signals = signal.SIGINT) -> Iterator[tuple[str, list[str]]]:
    """Run the program on a free port; give its URL and what it says. It must end cleanly on the signal."""
    command = [sys.executable, "-m", package, "sandbox", "--port", "0"]
    with subprocess.Popen(
        command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines: list[str] = []
        try:
            for line in process.stdout:
                lines.append(line.rstrip())
                if line.startswith("Ctrl-C"):
                    break
            yield lines[0].rpartition(" ")[2], lines
        finally:
            process.send_signal(end)
            _, errors = process.communicate(timeout=30)
        assert (process.returncode, errors) == (0, "")


def run_shell(command: str, **environment: str) -> str:
    done = subprocess.run(
        ["sh", "-c", command], env=os.environ | environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def answers_of(output: str) -> list[tuple[int, Any]]:
    """Return status and JSON of each answer in the output of the example."""
    found = re.findall(r"^(.*) \[(\d{3})\]$", output, re.MULTILINE)
    return [(int(status), json.loads(body) if body else None) for body, status in found]


def test_what_the_membership_sandbox_says_first_works_and_so_do_the_commands_of_the_documentation() -> None:
    with running("membership_sdk", signal.SIGTERM) as (url, lines):
        # The documentation shows these.
        assert lines[0] == f"The sandbox answers at {url}"
        assert lines[-2] == f"Look into it at {url}/_sandbox/"
        output = run_shell(str(ROOT / "examples" / "sandbox.sh"), SANDBOX=url)
        # In the end, all is as it was at the start.
        (command,) = [line.removeprefix("  try").strip() for line in lines if line.startswith("  try ")]
        assert [contract["id"] for contract in json.loads(run_shell(f"{command} -sS"))] == [2002, 2003]
    answers = answers_of(output)
    assert [status for status, _ in answers] == [200, 200, 409, 200, 200, 200, 200, 200, 204, 200]
    _, (_, fault), (_, refused), _, (_, requests), (_, ledger), (_, contracts), (_, clock), _, (_, empty) = answers
    assert (fault["number"], fault["times"], refused["errorCode"]) == (1, 1, "LOCKED")
    assert [request["answer"]["status"] for request in requests["requests"]] == [409, 200]
    assert [entry["arguments"]["contract_id"] for entry in ledger["ledger"]] == [6001]
    assert (contracts[0]["rateName"], contracts[0]["cancelationStatus"]) == ("Basic", "CANCELED")
    assert set(clock) == {"now", "today"}
    assert empty == {"forgotten": 0, "ledger": []}


def test_what_the_cloudcockpit_sandbox_says_first_works_as_it_is_written() -> None:
    with running("cloudcockpit_sdk") as (_, lines):
        (recipe,) = [line.removeprefix("  a token").strip() for line in lines if line.startswith("  a token ")]
        token = json.loads(run_shell(f"{recipe} -sS"))["access_token"]
        (command,) = [line.removeprefix("  then").strip() for line in lines if line.startswith("  then ")]
        answer = json.loads(run_shell(f"{command.replace('TOKEN', token)} -sS"))
        assert answer["totalCount"] == 7
