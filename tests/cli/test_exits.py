"""Exit codes that a script can rely on, and what is told of the effect."""

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import one_process, reach
from wire import STALL, CannedAnswer, WireServer

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.cli.exits import EXPLAINED, Exit
from sdk_core.cli.question import DeclinedError

ROOT = Path(__file__).parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared")))}
IDS = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CONTRACT_ID)
READ = ("get-contract-data", *IDS[:2])
WRITE = ("withdraw-contract-cancelation", *IDS[:2], "--contract-id", MembershipSandbox.CANCELED_CONTRACT_ID, "--yes")
SETTLE = ("cancel-contract", *IDS, "--on", "earliest", "--reason", MembershipSandbox.REASON_ID, "--yes")


def test_each_exit_code_is_explained() -> None:
    assert set(EXPLAINED) == set(Exit)


@pytest.mark.parametrize(
    ("command", "fault", "code", "said"),
    [
        (READ, None, Exit.DONE, ""),
        (WRITE, None, Exit.DONE, "done"),
        (READ, Fault.status(404), Exit.FAILED, "NotFoundError"),
        (READ, Fault.status(500), Exit.FAILED, "ServerError"),
        (READ, Fault.drop(), Exit.FAILED, "ConnectionFailedError"),
        (READ, Fault.status(401), Exit.CREDENTIAL, "doctor"),
        (WRITE, Fault.status(403), Exit.CREDENTIAL, "PermissionDeniedError"),
        (READ, Fault.status(429, retry_after=7), Exit.RATE_LIMITED, "retry after 7.0 s"),
        (WRITE, Fault.status(429), Exit.RATE_LIMITED, "outcome: rejected"),
        (WRITE, Fault.status(500), Exit.UNKNOWN, "read the state before you do it again"),
        (WRITE, Fault.drop(after_applying=True), Exit.UNKNOWN, "read the state before you do it again"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_how_a_command_ended(
    command: tuple[object, ...],
    fault: Fault | None,
    code: Exit,
    said: str,
    run_beside: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for more in ((), ("--json",)):
        async with MembershipSandbox() as sandbox:
            reach(sandbox, monkeypatch)
            if fault is not None:
                sandbox.fail(fault)
            ended = await run_beside(MEMBERSHIP, *command, "--retries", 0, *more)
        assert ended.code == code
        assert said in ended.err or (more and code is Exit.DONE)
        assert bool(ended.out) == bool(more or (command is READ and code is Exit.DONE))
        if more and code is not Exit.DONE:
            error = json.loads(ended.out)["error"]
            assert error["exitCode"] == code
            assert error["outcome"] == "unknown" or code is not Exit.UNKNOWN


@pytest.mark.parametrize("number", [7000215, None])
async def test_what_the_message_says_is_not_looked_for_with_doctor(
    number: int | None, run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusal = {"error": "invalid_client"} | ({"error_codes": [number]} if number else {})
    async with WireServer(CannedAnswer(401, refusal)) as server, CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        monkeypatch.setenv("CLOUDCOCKPIT_TOKEN_URL", server.url)
        ended = await run_beside(CLOUDCOCKPIT, "list-subscriptions")
    assert ended.code == Exit.CREDENTIAL
    assert ("the client secret is wrong" if number else "check client id, secret") in ended.err
    assert "doctor" not in ended.err


async def test_done_but_unreadable_is_not_failed(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that repeats what failed would do it twice."""
    async with WireServer(CannedAnswer(200, {"no": "id"})) as server:
        monkeypatch.setenv("MEMBERSHIP_BASE_URL", server.url)
        monkeypatch.setenv("MEMBERSHIP_API_KEY", "key")
        arguments = ("--contract-id", 1, "--additional-module-id", 2, "--payment-frequency-id", 3)
        ended = await run_beside(
            MEMBERSHIP, "purchase-additional-module-contract", *arguments, "--no-book-trial-period", "--yes"
        )
    assert ended.code == Exit.UNKNOWN
    assert "do not do it again" in ended.err


async def test_what_was_sent_is_told_if_the_output_can_not_be_printed(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)

        def fail(*_arguments: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr("sdk_core.cli.output.table_of", fail)
        read = await run_beside(MEMBERSHIP, *READ)
        settled = await run_beside(MEMBERSHIP, *SETTLE)
    assert read.code == Exit.FAILED
    assert settled.code == Exit.UNKNOWN
    assert "applied: the API said yes to create_contract_cancelation_amendment" in settled.err


SIGNALS = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")


CONTRACT = {
    "id": 2002,
    "startDate": "2026-01-01",
    "rateName": "Premium",
    "contractStatus": "ACTIVE",
    "priceDetails": {},
    "availableCancelationDates": ["2027-01-31"],
}


@SIGNALS
async def test_ctrl_c_says_what_became_of_it() -> None:
    """Of a write under way, of one that was answered, while it was read, and while a refusal was waited out."""
    contract, refused = CannedAnswer(200, [CONTRACT]), CannedAnswer(429, {}, {"Retry-After": "60"})
    async with (
        WireServer(contract, STALL) as under_way,
        WireServer(contract, CannedAnswer(200, {}), STALL) as answered,
        WireServer(STALL) as reading,
        WireServer(refused) as waiting,
    ):
        commands = [(under_way, (*SETTLE, "--json")), (answered, SETTLE), (reading, SETTLE), (waiting, WRITE)]
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *one_process(*(({"MEMBERSHIP_BASE_URL": server.url}, *command) for server, command in commands)),
            env=ENVIRONMENT | {"MEMBERSHIP_API_KEY": "a-very-secret-key"},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        told = [await interrupted(process, server, after="retrying" * (server is waiting)) for server, _ in commands]
        out, err = await asyncio.wait_for(process.communicate(), 30)
    assert (process.returncode, err) == (0, b"")
    assert ["ended with 130" in text for text in told] == [True] * 4

    assert "UNKNOWN: create_contract_cancelation_amendment was sent" in told[0]
    # Of the others, nothing is on stdout.
    (call,) = json.loads(out)["error"]["calls"]
    assert (call["operation"], call["outcome"]) == ("create_contract_cancelation_amendment", "unknown")
    assert under_way.requests[-1].method == "POST"
    assert "applied: the API said yes to create_contract_cancelation_amendment (correlation id " in told[1]
    assert "nothing was changed" in told[2]
    assert "refused: withdraw_contract_cancelation; it did not happen" in told[3]
    assert "Traceback" not in "".join(told)


async def interrupted(process: asyncio.subprocess.Process, server: WireServer, *, after: str) -> str:
    """Send SIGINT to a command, and return what it writes to stderr until it has ended.

    Args:
        process: runs it.
        server: the last step of its script is the request that the signal waits for.
        after: what the signal waits for on stderr, too.
    """
    assert process.stderr is not None
    told = ""
    while len(server.requests) < len(server.script):
        await asyncio.sleep(0.01)
        assert process.returncode is None
    while after not in told:
        told += (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    process.send_signal(signal.SIGINT)
    while "ended with" not in told:
        told += (await asyncio.wait_for(process.stderr.readline(), 30)).decode()
    return " ".join(told.split())


async def test_the_question_says_where_and_as_whom(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def decline(_output: object, _command: str, _arguments: object, where: str) -> None:
        asked.append(where)
        raise DeclinedError("nothing was sent")

    monkeypatch.setattr("sdk_core.cli.running.confirm", decline)
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        url = sandbox.url
        ids = ("--customer-id", sandbox.CUSTOMER_ID, "--subscription-id", sandbox.ACTIVE_SUBSCRIPTION_ID)
        ended = await run_beside(CLOUDCOCKPIT, "suspend-subscription", *ids)
    assert (ended.code, sandbox.requests) == (Exit.USAGE, [])
    assert asked == [f"{url}, tenant {sandbox.TENANT}"]
