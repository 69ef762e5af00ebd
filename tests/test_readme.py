"""The README's programs run as they stand, against the sandboxes."""

import asyncio
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest

from cloudcockpit_sdk import Operation
from cloudcockpit_sdk import operations as cloudcockpit_operations
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import operations as membership_operations
from membership_sdk.sandbox import MembershipSandbox

README = Path(__file__).parent.parent / "README.md"
PROGRAMS = re.findall(r"(<!-- not run -->\n)?```python\n(.*?)```", README.read_text(), re.DOTALL)
RUN = [program for skipped, program in PROGRAMS if not skipped]


async def run(program: str, **environment: str) -> str:
    paths = os.pathsep.join([str(README.parent), str(README.parent / "shared")])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        program,
        env={**os.environ, "PYTHONPATH": paths, **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("program", RUN, ids=[f"program {n}" for n in range(1, len(RUN) + 1)])
async def test_program_of_the_readme_runs(program: str) -> None:
    """Copied word for word, with the environment it names pointing at sandboxes."""
    async with MembershipSandbox() as membership, CloudCockpitSandbox() as cloudcockpit:
        out = await run(
            program,
            MEMBERSHIP_URL=membership.url,
            MEMBERSHIP_API_KEY=membership.API_KEY,
            CLOUDCOCKPIT_URL=cloudcockpit.url,
            CLOUDCOCKPIT_TOKEN_URL=cloudcockpit.token_url,
            CLOUDCOCKPIT_CLIENT_ID=cloudcockpit.CLIENT_ID,
            CLOUDCOCKPIT_CLIENT_SECRET=cloudcockpit.CLIENT_SECRET,
            CLOUDCOCKPIT_CUSTOMER_ID=str(cloudcockpit.CUSTOMER_ID),
        )
        effects = [entry.operation for entry in (*membership.ledger, *cloudcockpit.ledger)]
    if "cancel_contract" in program:
        assert effects == ["create_contract_cancelation_amendment"]
        assert out.splitlines() == ["acknowledged CANCELED", "none CANCELED"]
    elif "cancel(customer_id" in program:
        assert effects == ["create_contract_cancelation_amendment"]
        assert "CANCELED" in out
    if "reactivate_suspended" in program:
        assert effects == ["reactivate_subscription"] * len(out.splitlines())
        assert effects


_GIVEN = """
from uuid import UUID
from cloudcockpit_sdk import CloudCockpitClient, correlation_scope
from membership_sdk import CallInfo, Deviation, MembershipClient, RetryPolicy, SdkError, Telemetry

class Counter:
    def labels(self, *values: str) -> "Counter": return self
    def inc(self) -> None: ...

RETRIES: Counter
key: str
client: CloudCockpitClient
customer: UUID
subscription: UUID

class Reschedule(Exception):
    def __init__(self, *, after: float) -> None: ...

async def program() -> None:
"""
"""What the snippets that are not run take as given."""


def test_every_program_of_the_readme_has_the_right_types(tmp_path: Path) -> None:
    """The snippets that are not run, too: a name or an argument that is not there is an error."""
    assert sum(bool(skipped) for skipped, _ in PROGRAMS) == 5
    for number, (skipped, program) in enumerate(PROGRAMS):
        text = _GIVEN + indent(program, "    ") if skipped else program
        (tmp_path / f"program_{number}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={os.devnull}", str(tmp_path)],
        cwd=README.parent,
        env={**os.environ, "MYPYPATH": os.pathsep.join([".", "shared"])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"Success: no issues found in {len(PROGRAMS)} source files\n", done.stderr


def test_readme_shows_a_program_for_each_sdk_and_for_testing() -> None:
    """None of them can drop out of the test above unseen."""
    assert len(RUN) == 4


@pytest.mark.parametrize(
    "operation", [*membership_operations.OPERATIONS, *cloudcockpit_operations.OPERATIONS], ids=lambda o: o.name
)
def test_coverage_table_has_each_operation(operation: Operation[Any]) -> None:
    """With its request, effect, rights and source, as the operation table has them."""
    row = next(line for line in README.read_text().splitlines() if line.startswith(f"| `{operation.name}` |"))
    _, _, request, effect, rights, source, _ = (cell.strip() for cell in row.split("|"))
    assert request == f"{operation.method} `{operation.template.replace('/v1/memberships/', '…/')}`"
    assert effect == operation.effect.value
    wanted = [scope.removeprefix("MEMBERSHIP_SELF_SERVICE_") for scope in operation.scopes] or operation.roles
    assert rights == (", ".join(f"`{name}`" for name in wanted) or "-")
    assert source.removeprefix("[page](").removesuffix(")") in operation.source
