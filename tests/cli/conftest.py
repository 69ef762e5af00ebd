"""The command lines as they are run: their arguments, exit codes and both outputs."""

import asyncio
import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from attrs import frozen

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from sdk_core.cli import app
from sdk_core.cli.program import Program


@frozen
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def _own_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without settings, profiles, proxies and a keyring."""
    for program in (MEMBERSHIP, CLOUDCOCKPIT):
        for setting in program.settings:
            monkeypatch.delenv(setting.variable, raising=False)
        monkeypatch.delenv(program.profile_variable, raising=False)
    for name in ("http_proxy", "https_proxy", "all_proxy", "COLUMNS", "NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setattr("sdk_core.cli.profiles.user_config_path", lambda name, **_more: tmp_path / name)
    monkeypatch.setitem(sys.modules, "keyring", None)


@pytest.fixture
def keyring(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], str]:
    """A keyring, as far as it is used."""
    kept: dict[tuple[str, str], str] = {}
    fake = SimpleNamespace(
        get_password=lambda service, name: kept.get((service, name)),
        set_password=lambda service, name, secret: kept.update({(service, name): secret}),
        delete_password=lambda service, name: kept.pop((service, name)),
    )
    monkeypatch.setitem(sys.modules, "keyring", fake)
    return kept


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in this process; there is no terminal."""

    def run(program: Program, *arguments: object, stdin: str = "") -> Ended:
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
        capsys.readouterr()
        code = app.run(program, [str(argument) for argument in arguments])
        told = capsys.readouterr()
        return Ended(code, told.out, told.err)

    return run


@pytest.fixture
def run_beside(run: Run) -> Callable[..., Any]:
    """Run a command in a thread, so that a server of the test can answer it."""

    async def run_beside(program: Program, *arguments: object, stdin: str = "") -> Ended:
        return await asyncio.to_thread(run, program, *arguments, stdin=stdin)

    return run_beside
