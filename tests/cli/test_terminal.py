"""On a terminal: the question before a change, prompts, and what is shown where; and the same without one."""

import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import one_process, reach

from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.cli.exits import Exit

pexpect = pytest.importorskip("pexpect", reason="Windows has no such terminals")

ROOT = Path(__file__).parents[2]
CANCELED = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CANCELED_CONTRACT_ID)
LOGIN = ("auth", "login")
WITHDRAW = ("withdraw-contract-cancelation", *CANCELED)
Start = Callable[..., Any]


@pytest.fixture
async def sandbox() -> AsyncIterator[MembershipSandbox]:
    async with MembershipSandbox() as running:
        yield running


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start a program on a terminal."""

    def start(*arguments: object, **environment: str) -> Any:
        return pexpect.spawn(
            sys.executable,
            list(map(str, arguments)),
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


async def test_a_change_is_asked_for(start: Start, sandbox: MembershipSandbox) -> None:
    answers = ((None, Exit.INTERRUPTED, 0), ("", 2, 0), ("ja", 2, 0), ("y", 0, 1))
    process = start(*one_process(*[({}, *WITHDRAW)] * len(answers)), **settings(sandbox))
    for answer, code, effects in answers:
        await process.expect(r"Go on\? \[y/N\] ", async_=True)
        assert sandbox.url in process.before
        assert "contract-id: 2003" in process.before
        assert sandbox.requests == []
        give(process, answer)
        await process.expect(rf"ended with {code:d}\r\n", async_=True)
        assert len(sandbox.ledger) == effects
    assert await end_of(process) == 0


def give(process: Any, answer: str | None) -> None:
    """Type an answer, or Ctrl-C."""
    if answer is None:
        process.sendintr()
    else:
        process.sendline(answer)


async def test_a_bulk_run_is_asked_for_and_leaves_no_journal_if_it_does_not_begin(
    start: Start, sandbox: MembershipSandbox, tmp_path: Path
) -> None:
    (tmp_path / "plan.csv").write_text(f"customer_id,contract_id\n1001,{sandbox.CANCELED_CONTRACT_ID}\n")
    command = ("bulk", tmp_path / "plan.csv", "--operation", "withdraw_cancelation", "--journal")
    answers = ((None, Exit.INTERRUPTED, 0), ("y", 0, 1))
    # The second begins as soon as the first has ended.
    journals = [tmp_path / f"{number}.db" for number in range(len(answers))]
    process = start(*one_process(*(({}, *command, journal) for journal in journals)), **settings(sandbox))
    for (answer, code, effects), journal in zip(answers, journals, strict=True):
        await process.expect(r"Go on\? \[y/N\] ", async_=True)
        assert f"bulk at {sandbox.url}" in process.before
        assert sandbox.requests == []
        give(process, answer)
        await process.expect(rf"ended with {code:d}\r\n", async_=True)
        assert len(sandbox.ledger) == effects
        assert journal.exists() is bool(effects)
    assert await end_of(process) == 0


async def test_settings_and_a_login_are_asked_for_in_order_and_no_secret_is_echoed(
    start: Start, sandbox: MembershipSandbox, tmp_path: Path
) -> None:
    no_keyring = {"PYTHON_KEYRING_BACKEND": "keyring.backends.fail.Keyring"}
    read = ("get-contract-data", "--customer-id", sandbox.CUSTOMER_ID)
    process = start(*one_process(({}, *read), (no_keyring, *LOGIN)))
    await process.expect("URL of the API.*: ", async_=True)
    process.sendline(sandbox.url)
    await process.expect("API key: ", async_=True)
    process.sendline(sandbox.API_KEY)
    await process.expect("Premium", async_=True)
    assert sandbox.API_KEY not in process.before
    await process.expect(r"ended with 0\r\n", async_=True)

    await process.expect("URL of the API.*: ", async_=True)
    process.sendline("https://acme.open-api.magicline.com")
    await process.expect("API key: ", async_=True)
    process.sendline("a-secret-key")
    await process.expect("stored as profile default", async_=True)
    assert "a-secret-key" not in process.before
    assert await end_of(process) == 0
    (kept,) = tmp_path.rglob("profiles.toml")
    assert 'api_key = "a-secret-key"' in kept.read_text()


async def test_colours_can_be_switched_off(start: Start) -> None:
    colours: tuple[dict[str, str], ...] = ({"NO_COLOR": "1"}, {"TERM": "dumb"}, {"TERM": "xterm"})
    process = start(*one_process(*((environment, "--help") for environment in colours)))
    for environment in colours:
        await process.expect(r"ended with 0\r\n", async_=True)
        assert ("\x1b[36m" in process.before) == (environment == {"TERM": "xterm"})
        if "NO_COLOR" in environment:
            assert "\x1b[3" not in process.before
    assert await end_of(process) == 0


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
    waited = await run_beside(MEMBERSHIP, *settle)
    # Whoever only waits has asked before: nobody knows what became of that.
    assert (waited.code, "--wait-only goes on waiting" in waited.err) == (Exit.UNKNOWN, True)
    assert sandbox.ledger == []
