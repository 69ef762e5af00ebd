"""The README's programs run as they stand, against the sandboxes."""

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
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
    if "cancel(customer_id" in program:
        assert effects == ["create_contract_cancelation_amendment"]
        assert "CANCELED" in out
    if "reactivate_suspended" in program:
        assert effects == ["reactivate_subscription"] * len(out.splitlines())
        assert effects


def test_readme_shows_a_program_for_each_sdk_and_for_testing() -> None:
    """None of them can drop out of the test above unseen."""
    assert len(RUN) == 3
