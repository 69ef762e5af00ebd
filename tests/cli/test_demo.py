"""The demos, which prove what they tell; and the two programs as they are started."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from aiohttp import web

import cloudcockpit_sdk.__main__
import membership_sdk.__main__
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import VoidResult
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.sandbox.requests import RefusalError
from sdk_core.version import __version__

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared")))}
MAINS = pytest.mark.parametrize(
    ("package", "program"),
    [(membership_sdk.__main__, "membership-sdk"), (cloudcockpit_sdk.__main__, "cloudcockpit-sdk")],
    ids=["membership", "cloudcockpit"],
)


def command(package: str, *arguments: str) -> list[str]:
    return [sys.executable, "-u", "-m", package, *arguments]


@pytest.mark.parametrize("package", ["membership_sdk", "cloudcockpit_sdk"])
def test_the_demo_succeeds_as_a_command_with_nothing_on_stderr(package: str) -> None:
    """Also where only ASCII can be printed; that what it prints otherwise is right is shown below."""
    ascii_only = ENVIRONMENT | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(command(package, "demo"), env=ascii_only, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.isascii()
    assert b"All of it happened" in done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_ends_the_demo_with_130_and_no_traceback() -> None:
    with subprocess.Popen(
        command("membership_sdk", "demo"), env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "")


@pytest.mark.real_time("the demo waits as its users do")
def test_the_membership_demo_shows_retries_a_note_and_an_unknown_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["membership-sdk", "demo"])
    assert membership_sdk.__main__.main() == 0
    told = capsys.readouterr().out
    for word in ("409", "429", "note: create_module_contract_cancelation_amendment", "unknown", "and only once"):
        assert word in told


@pytest.mark.real_time("the demo waits as its users do")
def test_the_cloudcockpit_demo_shows_the_way_from_suspended_to_active(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["cloudcockpit-sdk", "demo"])
    assert cloudcockpit_sdk.__main__.main() == 0
    told = capsys.readouterr().out
    assert told.index("it is suspended") < told.index("it is active now") < told.index("correlation id")


class Forgetful(MembershipSandbox):
    """Says yes to a withdrawal and does nothing."""

    def withdraw_contract_cancelation(self, *, customer_id: int, contract_id: int) -> VoidResult:
        return VoidResult()


class Locked(MembershipSandbox):
    """Takes no key."""

    def authenticate(self, request: web.Request) -> None:
        raise RefusalError(401, "UNAUTHORIZED", "No.")


class Idle(CloudCockpitSandbox):
    """Accepts everything and never gets to it."""

    def __init__(self) -> None:
        super().__init__(settle_after=1000)


@pytest.mark.real_time("the demo waits as its users do")
@pytest.mark.parametrize(
    ("program", "main", "sandbox", "reason"),
    [
        (
            "membership",
            membership_sdk.__main__.main,
            Forgetful,
            "the contract is not canceled: expected None, found CANCELED",
        ),
        ("membership", membership_sdk.__main__.main, Locked, "AuthenticationError"),
        ("cloudcockpit", cloudcockpit_sdk.__main__.main, Idle, "not reached within 0.1 s"),
    ],
    ids=["no effect", "refused", "never done"],
)
def test_a_step_that_does_not_happen_makes_the_exit_code_1_and_is_named(
    program: str,
    main: Callable[[], int],
    sandbox: type,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "demo"])
    monkeypatch.setattr("membership_sdk.demo.MembershipSandbox", sandbox)
    monkeypatch.setattr("cloudcockpit_sdk.demo.CloudCockpitSandbox", sandbox)
    monkeypatch.setattr("cloudcockpit_sdk.demo._POLL_INTERVAL", 0.01)
    monkeypatch.setattr("cloudcockpit_sdk.demo._TIMEOUT", 0.1)
    assert main() == 1
    told = capsys.readouterr()
    assert told.err.startswith("failed: ")
    assert reason in " ".join(told.err.split())
    assert "All of it happened" not in told.out


_WITHOUT = """
import sys
from cloudcockpit_sdk.__main__ import main as cloudcockpit
from membership_sdk.__main__ import main as membership

for library, main in (("cyclopts", membership), ("platformdirs", membership), ("rich", cloudcockpit)):
    sys.modules[library] = None
    assert main() == 2
    del sys.modules[library]
    for name in [name for name in sys.modules if "cli" in name.split(".")]:
        del sys.modules[name]
"""


def test_without_the_extra_one_line_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _WITHOUT], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.splitlines() == [
        f"{program} needs: pip install 'membership-cloudcockpit-sdk[cli]'"
        for program in ("membership-sdk", "membership-sdk", "cloudcockpit-sdk")
    ]


@MAINS
def test_the_version_can_be_asked_for(
    package: ModuleType, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [program, "--version"])
    assert package.main() == 0
    assert capsys.readouterr().out == f"{program} {__version__}\n"


@MAINS
def test_what_a_command_has_imported_is_not_looked_through_again(
    package: ModuleType, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the garbage collector, which does so at the end of a process at the latest."""
    monkeypatch.setattr(sys, "argv", [program, "--version"])
    before = gc.get_freeze_count()
    imported = [[number] for number in range(1000)]
    package.main()
    assert gc.get_freeze_count() >= before + len(imported)


@MAINS
def test_arguments_that_make_no_sense_exit_with_2(
    package: ModuleType, program: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, said in (([], f"Usage: {program}"), (["dance"], f'{program}: Unknown command "dance"')):
        monkeypatch.setattr(sys, "argv", [program, *arguments])
        assert package.main() == 2
        told = capsys.readouterr()
        assert told.out == ""
        assert said in told.err


@pytest.mark.parametrize(
    ("package", "sibling"), [("membership_sdk", "cloudcockpit_sdk"), ("cloudcockpit_sdk", "membership_sdk")]
)
def test_importing_an_sdk_imports_no_more_than_it_needs(package: str, sibling: str) -> None:
    """Neither the other SDK, nor a sandbox, a command line, the workflows, pydantic, or what only failures need."""
    code = f"import {package}, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True
    )
    imported = {tuple(name.split(".")) for name in done.stdout.split()}
    assert (package, "client") in imported
    unwanted = {sibling, "rich", "cyclopts", "cli", "sandbox", "workflows", "workflow", "settling", "tenacity"}
    unwanted |= {"pydantic", "pydantic_core"}
    assert [name for name in imported if unwanted & {*name} or name[:2] == ("aiohttp", "web")] == []
