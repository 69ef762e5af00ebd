"""The captures that the documentation includes are what the commands print."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared")))}


def test_each_capture_is_shown() -> None:
    page = (ROOT / "docs" / "reference" / "commands.md").read_text()
    assert [
        path.name for path in (ROOT / "docs" / "captures").glob("*.txt") if f"captures/{path.name}\n" not in page
    ] == []


def test_captures_are_up_to_date() -> None:
    make = ROOT / "docs" / "captures" / "make"
    done = subprocess.run(
        [sys.executable, make, "--check"], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", ""), (
        "run docs/captures/make, and look at what changed"
    )
