"""The programs of `examples/` that the tutorial and the how-to pages show, run as their first lines say."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import evolve
from redis_server import redis_server

from examples.own_operations import GET_UTILIZATION, WITHDRAW_CONTRACT
from membership_sdk import ConnectionFailedError, MembershipClient, Outcome, RetryPolicy
from membership_sdk.models import VoidResult
from membership_sdk.sandbox import Fault, MembershipSandbox

EXAMPLES = Path(__file__).parents[1] / "examples"


async def start(*command: str, sandbox: MembershipSandbox | None = None, **more: str) -> Process:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(EXAMPLES.parent), str(EXAMPLES.parent / "shared")))}
    if sandbox is not None:
        environment |= {"MEMBERSHIP_BASE_URL": sandbox.url, "MEMBERSHIP_API_KEY": sandbox.API_KEY}
    return await asyncio.create_subprocess_exec(
        sys.executable, *command, cwd=EXAMPLES, env=environment | more, stdout=PIPE, stderr=PIPE
    )


async def run(*command: str, sandbox: MembershipSandbox | None = None, **more: str) -> tuple[list[str], str]:
    process = await start(*command, sandbox=sandbox, **more)
    out, errors = (text.decode() for text in await process.communicate())
    assert process.returncode == 0, out + errors
    return out.splitlines(), errors


async def test_logs_are_json_with_fields_and_outcomes_are_counted() -> None:
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.status(503, retry_after=0))
        lines, errors = await run("json_logs.py", sandbox=sandbox)
    assert lines == ["{('get_contract_data', 'success'): 1}"]
    (record,) = map(json.loads, errors.splitlines())
    assert (record["level"], record["sdk_operation"], record["sdk_attempt"]) == ("WARNING", "get_contract_data", 1)
    assert record["sdk_correlation_id"] in record["text"]


@pytest.mark.endurance
async def test_a_bulk_run_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    """Killed in the middle, without a chance to say anything; in the end each row took effect once."""
    async with MembershipSandbox() as sandbox:
        sample = sandbox.contracts[sandbox.CUSTOMER_ID][sandbox.CANCELED_CONTRACT_ID]
        for number in range(5000, 5060):
            sandbox.contracts[sandbox.CUSTOMER_ID][number] = evolve(sample, id=number)
        plan, journal = tmp_path / "plan.csv", tmp_path / "run.db"
        plan.write_text("customer_id,contract_id\n" + "".join(f"1001,{n}\n" for n in range(5000, 5060)))
        # However fast the others are, the run does not end before it is killed: its first row is under way for an hour.
        sandbox.fail(Fault.delay(3600), ids={"contract_id": 5000})
        process = await start("bulk_run.py", str(plan), str(journal), sandbox=sandbox)
        assert process.stdout is not None
        for _ in range(10):
            assert await process.stdout.readline()
        process.kill()
        await process.communicate()
        assert process.returncode == -signal.SIGKILL
        lines, _ = await run("bulk_run.py", str(plan), str(journal), sandbox=sandbox, RESEND_AFTER="1")
        effects = Counter(entry.arguments["contract_id"] for entry in sandbox.ledger)
    assert effects == Counter(range(5000, 5060))
    assert "'done'" in lines[-1]
    assert "unknown" not in lines[-1]


@pytest.mark.endurance
@pytest.mark.parametrize("script", ["bulk.sh", "killed_run.sh"])
async def test_a_script_of_bulk_runs_can_be_run_again(script: str, tmp_path: Path) -> None:
    """After one that left its journal, which may have been killed, and its results."""
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.status(503))
        text = (EXAMPLES / script).read_text().replace("http://127.0.0.1:8080", sandbox.url)
        (tmp_path / script).write_text(text)
        for name in ("run.db", "run.db-wal", "six.db", "results.csv"):
            (tmp_path / name).write_text("of an earlier try")
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        packages = os.pathsep.join((str(EXAMPLES.parent), str(EXAMPLES.parent / "shared")))
        environment = os.environ | {"PATH": path, "PYTHONPATH": packages}
        process = await asyncio.create_subprocess_exec(
            "sh", script, cwd=tmp_path, env=environment, stdout=PIPE, stderr=PIPE, start_new_session=True
        )
        out, errors = (told.decode() for told in await process.communicate())
        assert process.returncode == 0, out + errors
        effects = Counter(entry.arguments["contract_id"] for entry in sandbox.ledger)
        assert set(effects.values()) == {1}
        assert not sandbox.faults


async def test_workers_share_a_limit() -> None:
    async with MembershipSandbox() as sandbox:
        with redis_server() as redis:
            workers = (run("fleet_limit.py", sandbox=sandbox, REDIS_URL=redis.url) for _ in range(2))
            for lines, _ in await asyncio.gather(*workers):
                assert lines == ["2002 Premium", "2003 Evenings"]


async def test_an_operation_with_an_own_model() -> None:
    async with MembershipSandbox() as sandbox:
        lines, _ = await run("own_operations.py", sandbox=sandbox)
    assert [line.split()[0] for line in lines] == ["2002", "2003"]


async def test_operations_that_the_sdk_does_not_list() -> None:
    """The withdrawal is a write: where its answer is lost, it is not sent again."""
    received: list[tuple[str, str, str]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        received.append((request.method, request.path, await request.text()))
        if request.method == "GET":
            return web.json_response({"anything": 1})
        if len(received) == 3:
            assert request.transport is not None
            request.transport.abort()
        return web.Response(status=204)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    async with TestServer(app) as server:
        url = str(server.make_url(""))
        async with MembershipClient(url, "key", retry=RetryPolicy(backoff_base=0)) as client:
            assert await client.call(GET_UTILIZATION) == {"anything": 1}
            assert await client.call(WITHDRAW_CONTRACT, customer_id=1, contract_id=2, body={}) == VoidResult()
            with pytest.raises(ConnectionFailedError) as raised:
                await client.call(WITHDRAW_CONTRACT, customer_id=1, contract_id=2, body={})
    assert raised.value.outcome is Outcome.UNKNOWN
    assert received == [
        ("GET", "/v1/studios/utilization", ""),
        ("POST", "/v1/memberships/1/self-service/contract-withdrawal/2", "{}"),
        ("POST", "/v1/memberships/1/self-service/contract-withdrawal/2", "{}"),
    ]
