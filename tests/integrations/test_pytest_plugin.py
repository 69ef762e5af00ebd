"""The pytest plugin in a project of its own: another virtual environment, and the wheel as it would be published.

The environment holds only that wheel. All other libraries are borrowed from the one that runs this suite: what is shown
is what the wheel declares, and what pytest and its plugins make of it.
"""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
# Plugins that happen to be installed, and would be imported by each of the project's processes.
_OTHERS = [f"-pno:{name}" for name in ("schemathesis", "hypothesispytest", "cacheprovider")]

# Read before a test asks for anything.
_CONFTEST = """
import sys
sdk = {"membership_sdk", "cloudcockpit_sdk", "sdk_core"}
loaded = sorted(name for name in sys.modules if name.partition(".")[0] in sdk)
assert loaded == ["sdk_core", "sdk_core.integrations", "sdk_core.integrations.pytest_plugin"], loaded
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, whose `venv/bin/python` has the wheel."""
    root = tmp_path_factory.mktemp("plugin") / "project"
    shutil.copytree(HERE / "project", root, ignore=shutil.ignore_patterns("__pycache__"))
    (root / "conftest.py").write_text(_CONFTEST)
    ended(begin(ROOT, sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(root / "dist")))
    ended(begin(root, sys.executable, "-m", "venv", "--without-pip", "venv"))
    (wheel,) = (root / "dist").glob("*.whl")
    install = ("uv", "pip", "install", "--offline", "--no-deps", "--python", "venv/bin/python", str(wheel))
    ended(begin(root, sys.executable, "-m", *install))
    (packages,) = (root / "venv" / "lib").glob("python*/site-packages")
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return root


def begin(folder: Path, *command: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "PYTEST_"))}
    return subprocess.Popen(
        command, cwd=folder, env=environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )


def pytest_in(project: Path, *arguments: str) -> "subprocess.Popen[str]":
    return begin(project, "venv/bin/python", "-m", "pytest", "-q", *_OTHERS, *arguments)


def ended(process: "subprocess.Popen[str]", *, status: int = 0) -> str:
    out, _ = process.communicate(timeout=120)
    assert process.returncode == status, out
    return out


@pytest.mark.endurance
def test_a_project_of_its_own(project: Path) -> None:
    """Blocking tests, FastAPI's TestClient, pytest-asyncio in both modes, anyio, xdist, coverage, time, reruns."""
    together = pytest_in(
        project,
        "-n2",
        "--asyncio-mode=auto",
        *("--cov=app", "--cov=membership_sdk.operations", "--cov-report=term"),
        *("blocking_tests.py", "auto_tests.py", "first_tests.py", "frozen_tests.py"),
    )
    strictly = pytest_in(project, "--asyncio-mode=strict", "strict_tests.py")
    wrongly = pytest_in(project, "--asyncio-mode=auto", "unused_tests.py")
    again = pytest_in(project, "-p", "rerun", "rerun_tests.py")

    out = ended(together)
    assert "11 passed" in out
    # A line that had run before coverage began would be missing.
    assert re.findall(r"^(?:app|.*operations)\.py +\d+ +\d+ +(\d+)%", out, re.MULTILINE) == ["100", "100"], out
    assert "3 passed" in ended(strictly)
    # What the first run left unused is not held against the second.
    assert "1 passed" in ended(again)

    out = ended(wrongly, status=1)
    assert "3 failed" in out
    assert re.findall(r"^FAILED unused_tests.py::(\w+) - (\w+)", out, re.MULTILINE) == [
        ("test_never_meets_its_fault", "Failed"),
        ("test_never_meets_the_second", "Failed"),
        ("test_fails_by_itself", "LookupError"),
    ]
    assert "503" in out and "for get_idle_periods" in out  # noqa: PT018  one sentence
    assert "met {'kind': 'drop', 'afterApplying': False}" in out and "for any operation" in out  # noqa: PT018


def test_a_first_test_is_short() -> None:
    """An own application, own data, a fault, 20 seconds that pass: at most 15 lines, docstring aside."""
    _docstring, *lines = filter(None, (HERE / "project" / "first_tests.py").read_text().splitlines())
    assert len(lines) <= 15
