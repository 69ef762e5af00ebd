"""README's programs run as they stand, against the sandboxes that it names, and it stays a page."""

import asyncio
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cases import goes_through

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import MembershipSandbox

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
PROGRAMS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


async def run(program: str) -> str:
    paths = os.pathsep.join([str(ROOT), str(ROOT / "shared")])
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        "-c",
        program,
        env={**os.environ, "PYTHONPATH": paths},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    return out.decode()


@pytest.mark.parametrize("program", PROGRAMS, ids=["membership", "cloudcockpit"])
async def test_program_of_the_readme_runs(program: str) -> None:
    """Copied word for word, but for the ports, which are any that are free."""
    async with MembershipSandbox() as membership, CloudCockpitSandbox() as cloudcockpit:
        program = program.replace("http://127.0.0.1:8080", membership.url)
        out = await run(program.replace("http://127.0.0.1:8081", cloudcockpit.url))
        effects = [entry.operation for entry in (*membership.ledger, *cloudcockpit.ledger)]
    if "cancel_contract" in program:
        assert effects == ["create_contract_cancelation_amendment"]
        assert out.splitlines()[-1].startswith("acknowledged CANCELED 20")
    else:
        assert effects == ["reactivate_subscription"] * len(out.splitlines())
        assert effects


@pytest.mark.endurance
def test_every_program_of_the_readme_has_the_right_types(tmp_path: Path) -> None:
    for number, program in enumerate(PROGRAMS):
        (tmp_path / f"program_{number}.py").write_text(program)
    done = subprocess.run(
        [sys.executable, "-m", "mypy", f"--cache-dir={os.devnull}", str(tmp_path)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": os.pathsep.join([".", "shared"])},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.stdout == f"Success: no issues found in {len(PROGRAMS)} source files\n", done.stderr


def test_readme_is_a_page() -> None:
    assert len(README.split()) < 700


@goes_through("page", [*ROOT.glob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
def test_links_lead_to_files(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text()):
        assert (page.parent / target).exists(), target


def test_extras_are_named_as_they_are() -> None:
    """In the README, and in what a module says if its library is missing."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    table = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ", README.partition("| extra |")[2], re.MULTILINE)
    assert set(re.findall(r"\w+", " ".join(table))) == extras - {"dev", "docs", "bench"}
    sources = [
        path.read_text()
        for folder in ("shared", "membership_sdk", "cloudcockpit_sdk")
        for path in (ROOT / folder).rglob("*.py")
    ]
    hints = re.findall(r"membership-cloudcockpit-sdk\[(\w+)\]", "".join(sources))
    assert hints
    assert extras >= set(hints)
