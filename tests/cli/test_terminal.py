"""On a terminal: the question before a change, prompts, and what is shown where; and the same without one."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import reach

from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.cli.exits import Exit

pexpect = pytest.importorskip("pexpect", reason="Windows has no such terminals")

ROOT = Path(__file__).parents[2]
CANCELED = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CANCELED_CONTRACT_ID)
WITHDRAW = ("withdraw-contract-cancelation", *CANCELED)
Start = Callable[..., Any]


@pytest.fixture
async def sandbox() -> AsyncIterator[MembershipSandbox]:
    async with MembershipSandbox() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a command on a terminal."""

    def start(*arguments: object, **environment: str) -> Any:
        return pexpect.spawn(
            sys.executable,
            ["-m", "membership_sdk", *map(str, arguments)],
            env={
                **{name: value for name, value in os.environ.items() if name != "NO_COLOR"},
                "PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared"))),
                "XDG_CONFIG_HOME": str(tmp_path),
                "HOME": str(tmp_path),
                "TERM": "xterm",
                **environment,
            },
            encoding="utf-8",
            timeout=30,
            dimensions=(50, 100),
        )

    return start


def settings(sandbox: MembershipSandbox) -> dict[str, str]:
    return {"MEMBERSHIP_BASE_URL": sandbox.url, "MEMBERSHIP_API_KEY": sandbox.API_KEY}


async def end_of(process: Any) -> int:
    await process.expect(pexpect.EOF, async_=True)
    process.close()
    return int(process.exitstatus)


@pytest.mark.parametrize(("answer", "code", "effects"), [("y", 0, 1), ("", 2, 0), ("ja", 2, 0)])
async def test_a_change_is_asked_for(
    answer: str, code: int, effects: int, start: Start, sandbox: MembershipSandbox
) -> None:
    process = start(*WITHDRAW, **settings(sandbox))
    await process.expect(r"Go on\? \[y/N\] ", async_=True)
    assert sandbox.url in process.before
    assert "contract-id: 2003" in process.before
    assert sandbox.requests == []
    process.sendline(answer)
    assert await end_of(process) == code
    assert len(sandbox.ledger) == effects


async def test_ctrl_c_at_the_question_sends_nothing(start: Start, sandbox: MembershipSandbox) -> None:
    process = start(*WITHDRAW, **settings(sandbox))
    await process.expect(r"Go on\?", async_=True)
    process.sendintr()
    assert await end_of(process) == Exit.INTERRUPTED
    assert sandbox.requests == []


async def test_missing_settings_are_asked_for_and_a_secret_is_not_echoed(
    start: Start, sandbox: MembershipSandbox
) -> None:
    process = start("get-contract-data", "--customer-id", sandbox.CUSTOMER_ID)
    await process.expect("URL of the API.*: ", async_=True)
    process.sendline(sandbox.url)
    await process.expect("API key: ", async_=True)
    process.sendline(sandbox.API_KEY)
    await process.expect("Premium", async_=True)
    assert sandbox.API_KEY not in process.before
    assert await end_of(process) == 0


async def test_a_login_asks_in_order_and_echoes_no_secret(start: Start, tmp_path: Path) -> None:
    process = start("auth", "login", PYTHON_KEYRING_BACKEND="keyring.backends.fail.Keyring")
    await process.expect("URL of the API.*: ", async_=True)
    process.sendline("https://acme.open-api.magicline.com")
    await process.expect("API key: ", async_=True)
    process.sendline("a-secret-key")
    await process.expect("stored as profile default", async_=True)
    assert "a-secret-key" not in process.before
    assert await end_of(process) == 0
    (kept,) = tmp_path.rglob("profiles.toml")
    assert 'api_key = "a-secret-key"' in kept.read_text()


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}, {}], ids=["no colour", "dumb", "colour"])
async def test_colours_can_be_switched_off(
    environment: dict[str, str], start: Start, sandbox: MembershipSandbox
) -> None:
    process = start("--help", **environment)
    await process.expect(pexpect.EOF, async_=True)
    assert ("\x1b[36m" in process.before) == (not environment)
    if "NO_COLOR" in environment:
        assert "\x1b[3" not in process.before


async def test_without_a_terminal_a_change_needs_yes(
    run_beside: Any, sandbox: MembershipSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(sandbox, monkeypatch)
    refused = await run_beside(MEMBERSHIP, *WITHDRAW, stdin="y\n")
    assert (refused.code, sandbox.requests) == (Exit.USAGE, [])
    assert "--yes" in refused.err
    assert (await run_beside(MEMBERSHIP, *WITHDRAW, "--yes")).code == 0
    assert len(sandbox.ledger) == 1


async def test_what_changes_nothing_real_needs_no_yes(
    run_beside: Any, sandbox: MembershipSandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    reach(sandbox, monkeypatch)
    settle = ("withdraw-cancelation", *CANCELED, "--wait-only", "--timeout", "0.01")
    for command in ((*WITHDRAW, "--sandbox"), (*WITHDRAW, "--dry-run")):
        assert (await run_beside(MEMBERSHIP, *command)).code == 0
    assert sandbox.requests == []
    assert (await run_beside(MEMBERSHIP, *settle)).code == Exit.FAILED
    assert sandbox.ledger == []
