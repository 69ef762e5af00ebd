"""A sandbox over HTTP, under /_sandbox/: what scripts in any language can do with it."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from aiohttp import ClientSession
from cases import goes_through
from membership_samples import CONTRACT, MARCH_AND_APRIL, OFFERED, ONCE, TODAY, read_contract

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import ConflictError, Document, ServerError
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.sandbox import Sandbox, recent

BOTH = pytest.mark.parametrize("make", [MembershipSandbox, CloudCockpitSandbox])


async def ask(
    sandbox: Sandbox, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> tuple[int, Any]:
    data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    async with (
        ClientSession() as session,
        session.request(method, f"{sandbox.url}/_sandbox/{path}", data=data, headers=headers) as response,
    ):
        return response.status, await response.json() if response.content_length else None


@BOTH
async def test_state_that_is_read_can_be_put_back(make: Callable[..., Sandbox]) -> None:
    async with make(today=TODAY) as sandbox, make(today=date(2027, 5, 5)) as other:
        _, state = await ask(sandbox, "GET", "state")
        _, others = await ask(other, "GET", "state")
        assert state != others
        assert await ask(other, "PUT", "state", state) == (200, state)
        assert await ask(other, "GET", "state") == (200, state)
        assert await ask(other, "POST", "reset") == (204, None)
        assert await ask(other, "GET", "state") == (200, others)


async def test_a_seed_says_what_matters_and_the_rest_has_defaults() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        seed = {"verification": True, "contracts": [{"customerId": 7, "id": 70, "rateName": "Basic"}]}
        status, state = await ask(sandbox, "POST", "state", seed)
        assert (status, len(state["contracts"]), state["contracts"][-1]["id"]) == (200, 3, 70)
        await client.create_contract_cancelation_amendment(customer_id=7, contract_id=70, **OFFERED)
        (contract,) = await client.get_contract_data(customer_id=7)
        assert (contract.rate_name, contract.cancelation_status) == ("Basic", "PENDING_VERIFICATION")
        await ask(sandbox, "POST", "state", {"idlePeriodConfig": {"maxTerms": 2}})
        assert (sandbox.idle_period_config.max_terms, sandbox.idle_period_config.unlimited_allowed) == (2, True)


async def test_own_data_alone() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        only = {"contracts": [{"customerId": 7, "id": 70}], "moduleContracts": [{"contractId": 70, "name": "Pool"}]}
        _, state = await ask(sandbox, "PUT", "state", only)
        assert [len(state[kind]) for kind in ("contracts", "moduleContracts", "idlePeriods", "additionalModules")] == [
            1,
            1,
            0,
            0,
        ]


BAD_SEEDS: list[tuple[Any, str]] = [
    (b"", "the body must be JSON"),
    (b"{", "the body must be JSON"),
    ([], "the body must be a JSON object"),
    ({"contract": []}, "contract is unknown; known are verification"),
    ({"contracts": {}}, "contracts: expected a list"),
    ({"contracts": [5]}, "contracts[0]: expected an object"),
    ({"contracts": [{}, {"rate": "x"}]}, "contracts[1]: rate is unknown here; known are id"),
    ({"contracts": [{}, {"endDate": "soon"}]}, "contracts[1]: endDate: expected a date"),
    ({"contracts": [{"rateName": 5}]}, "contracts[0]: rateName: expected a string"),
    ({"contracts": [{"customerId": "7"}]}, "contracts[0]: customerId must be"),
    ({"contracts": [{"customerId": 7, "id": 2002}]}, "contracts[0]: contract 2002 belongs to another customer"),
    ({"contracts": [{"startDate": "2026-02-01", "endDate": "2026-01-01"}]}, "it ends (2026-01-01) before it starts"),
    ({"idlePeriods": [{"contractId": 9}]}, "idlePeriods[0]: there is no contract 9: add it first"),
    ({"contracts": [{}], "verification": "yes"}, "verification: expected true or false"),
    ({"idlePeriodConfig": {"temporalUnit": 5}}, "idlePeriodConfig: temporalUnit: expected"),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
@pytest.mark.parametrize(("seed", "problem"), BAD_SEEDS, ids=[problem for _, problem in BAD_SEEDS])
async def test_a_bad_seed_is_refused_and_changes_nothing(method: str, seed: Any, problem: str) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        before = sandbox.show_state()
        status, answer = await ask(sandbox, method, "state", seed)
        if method == "PUT" and "another customer" in problem:
            # There is no other any more.
            assert status == 200
            return
        assert status == 400
        assert problem in answer["error"]
        assert sandbox.show_state() == before


@pytest.mark.parametrize(
    ("seed", "problem"),
    [
        ({"subscriptions": [{"offer": {"id": "x"}}]}, "subscriptions[0]: subscription: offer: expected a mapping"),
        ({"subscriptions": [{"id": "x"}]}, "subscriptions[0]: id: expected a UUID"),
        ({"entitlements": [{"planId": "x"}]}, "entitlements[0]: planId must be a UUID"),
        ({"settleAfter": -1}, "settle_after must be"),
        ({"budgets": {"x": 5}}, "budgets: "),
    ],
)
async def test_a_bad_seed_of_subscriptions_is_refused(seed: Any, problem: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        before = sandbox.show_state()
        status, answer = await ask(sandbox, "POST", "state", seed)
        assert (status, sandbox.show_state()) == (400, before)
        assert problem in answer["error"]


async def test_faults_are_queued_met_listed_and_cleared() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        fault = {
            "kind": "status",
            "status": 409,
            "code": "LOCKED",
            "operation": "create_contract_cancelation_amendment",
            "ids": {"contract_id": 2002},
            "times": 2,
        }
        status, queued = await ask(sandbox, "POST", "faults", fault)
        assert status == 200
        assert queued == {
            **fault,
            "number": 1,
            "message": "The sandbox was asked to fail.",
            "predicate": False,
            "used": 0,
        }
        await client.get_contract_data(customer_id=1001)
        with pytest.raises(ConflictError, match="LOCKED"):
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert await ask(sandbox, "GET", "faults") == (200, [{**queued, "used": 1}])
        assert await ask(sandbox, "DELETE", "faults/1") == (204, None)
        assert (await ask(sandbox, "DELETE", "faults/1"))[0] == 404
        await ask(sandbox, "POST", "faults", {"kind": "drop", "times": None})
        assert await ask(sandbox, "DELETE", "faults") == (204, None)
        assert await ask(sandbox, "GET", "faults") == (200, [])


@goes_through(
    "fault",
    [
        {"kind": "status", "status": 503, "retryAfter": 1.5, "code": "A", "message": "B"},
        {"kind": "status", "status": 200, "code": "A", "message": "B", "body": {"price": 1.5}},
        {"kind": "delay", "seconds": 0.5},
        {"kind": "drop", "afterApplying": True},
        {"kind": "garbage", "status": 502, "afterApplying": False},
        {"kind": "truncated"},
        {"kind": "late", "reads": 3},
        {"kind": "rateLimit", "requests": 5, "per": 60.0},
    ],
)
async def test_every_kind_of_fault_can_be_queued_and_is_shown_as_it_was_given(fault: dict[str, Any]) -> None:
    async with MembershipSandbox() as sandbox:
        status, queued = await ask(sandbox, "POST", "faults", fault)
        assert (status, {key: queued[key] for key in fault}) == (200, fault)


BAD_FAULTS: list[tuple[Any, str]] = [
    ({}, "kind must be one of status, delay"),
    ({"kind": 5}, "kind must be one of"),
    ({"kind": "status"}, "a fault of kind status needs status"),
    ({"kind": "status", "status": 200}, "400 to 599"),
    ({"kind": "status", "status": "409"}, "400 to 599"),
    ({"kind": "status", "status": 204, "body": {}}, "status 204 has no body"),
    ({"kind": "status", "status": 429, "retryAfter": "a\nb"}, "retry_after"),
    ({"kind": "status", "status": 409, "code": 5}, "code must be a str"),
    ({"kind": "delay", "seconds": -1}, "above 0"),
    ({"kind": "delay", "seconds": "1"}, "delay must be a number of seconds"),
    ({"kind": "delay", "delay": 1}, "a fault of kind delay has no delay; it has: seconds"),
    ({"kind": "drop", "afterApplying": "yes"}, "after_applying must be a bool"),
    ({"kind": "late", "reads": 0}, "reads"),
    ({"kind": "late", "operation": "get_contract_data"}, "get_contract_data changes nothing that could show late"),
    ({"kind": "rateLimit", "requests": 0}, "requests"),
    ({"kind": "drop", "operation": "nix"}, "operation must be one of"),
    ({"kind": "drop", "operation": 5}, "operation must be a name"),
    ({"kind": "drop", "ids": {"subscription_id": 5}}, "no request has subscription_id; ids may be"),
    ({"kind": "drop", "ids": {"contract_id": "2002"}}, "contract_id must be"),
    ({"kind": "drop", "ids": []}, "ids must be a mapping"),
    ({"kind": "drop", "times": 0}, "times"),
    ({"kind": "drop", "times": True}, "times"),
]


@goes_through(("fault", "problem"), BAD_FAULTS)
async def test_a_bad_fault_is_refused_when_it_is_given(fault: Any, problem: str) -> None:
    async with MembershipSandbox() as sandbox:
        status, answer = await ask(sandbox, "POST", "faults", fault)
        assert status == 400
        assert problem in answer["error"]
        assert sandbox.faults == []


async def test_requests_and_ledger_are_told_without_credentials() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        document = Document(source=b"proof", content_type="image/png")
        await client.get_contract_data(customer_id=1001)
        await client.create_idle_period_amendment(contract_id=2002, **MARCH_AND_APRIL, document=document)
        sandbox.fail(Fault.drop(after_applying=True), times=None)
        with pytest.raises(Exception, match="connection"):
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        _, told = await ask(sandbox, "GET", "requests")
        first, _, third = told["requests"]
        assert (first["number"], first["operation"], first["answer"]["status"]) == (1, "get_contract_data", 200)
        assert first["answer"]["body"][0]["id"] == 2002
        assert (third["fault"], third["answer"], third["body"]["contractId"]) == ("drop", None, 2002)
        assert "sandbox-key" not in json.dumps(told)
        assert (await ask(sandbox, "GET", "requests?after=2"))[1]["requests"] == [third]
        _, ledger = await ask(sandbox, "GET", "ledger?after=0")
        idle, cancelation = ledger["ledger"]
        assert idle["arguments"]["document"] == {"contentType": "image/png", "bytes": 5}
        assert (cancelation["number"], cancelation["arguments"]) == (
            2,
            {"customer_id": 1001, "contract_id": 2002, "cancelation_date": "2026-02-28", "cancelation_reason_id": 11},
        )
        assert cancelation["at"].startswith("2026-01-15T12:")
        for bad in ("requests?after=x", "ledger?after=-1", "requests?since=1"):
            assert (await ask(sandbox, "GET", bad))[0] == 400


async def test_of_long_bodies_the_beginning_is_told() -> None:
    async with MembershipSandbox() as sandbox, ClientSession() as session:
        await session.post(f"{sandbox.url}/v1/long", data=b'"' + b"x" * 100_000 + b'"')
        _, told = await ask(sandbox, "GET", "requests")
        (request,) = told["requests"]
        assert request["body"].startswith('"xxx')
        assert request["body"].endswith("(the beginning of 100002 bytes)")
        assert len(request["body"]) < 20_000


async def test_time_passes_when_it_is_told_to() -> None:
    async with CloudCockpitSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        ids = {"customer_id": sandbox.CUSTOMER_ID, "subscription_id": sandbox.ACTIVE_SUBSCRIPTION_ID}
        await client.get_subscription(**ids)
        status, clock = await ask(sandbox, "POST", "clock", {"days": 30, "hours": 0.5})
        assert (status, clock["today"]) == (200, "2026-02-14")
        assert clock["now"].startswith("2026-02-14T12:30")
        await client.get_subscription(**ids)
        assert sandbox.token_requests == 2
        for bad in (
            {},
            {"weeks": 1},
            {"days": "1"},
            {"days": -1},
            {"days": 10**12},
            {"days": 10**9},
            [1],
            {"days": True},
        ):
            status, answer = await ask(sandbox, "POST", "clock", bad)
            assert (status, set(answer)) == (400, {"error"})
        assert sandbox.today == date(2026, 2, 14)
        await ask(sandbox, "POST", "reset")
        assert (await ask(sandbox, "GET", "clock"))[1]["today"] == "2026-01-15"


async def test_paths_and_methods_that_do_not_exist_are_told_what_does() -> None:
    async with MembershipSandbox() as sandbox:
        status, answer = await ask(sandbox, "GET", "fault")
        assert status == 404
        assert "POST /_sandbox/faults" in answer["error"]
        status, answer = await ask(sandbox, "DELETE", "state")
        assert (status, answer) == (405, {"error": "Allowed here: GET, POST, PUT."})
        assert sandbox.requests == []


STRANGERS = [
    {"Host": "evil.example"},
    {"Host": "evil.example:8080"},
    {"Host": "sandbox.evil.example"},
    {"Host": ""},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty"},
    {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe"},
]


@pytest.mark.parametrize("headers", STRANGERS, ids=str)
async def test_web_pages_of_others_are_refused_everywhere(headers: dict[str, str]) -> None:
    async with MembershipSandbox() as sandbox:
        assert (await ask(sandbox, "POST", "reset", headers=headers))[0] == 403
        assert (await ask(sandbox, "GET", "state", headers=headers))[0] == 403
        key = {"X-API-KEY": sandbox.API_KEY}
        assert (await ask(sandbox, "GET", "../v1/memberships/1001/self-service/contract-data", headers=headers | key))[
            0
        ] == 403
        assert sandbox.requests == []


@goes_through(
    "headers",
    [
        {"Host": "localhost:8080"},
        {"Host": "[::1]:8080"},
        {"Host": "192.168.1.5"},
        {"Host": "sandbox:8080"},
        {"Host": "host.docker.internal:8080"},
        {"Host": "localhost:8080", "Origin": "http://localhost:8080", "Sec-Fetch-Site": "same-origin"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ],
)
async def test_names_of_this_machine_and_links_are_let_in(headers: dict[str, str]) -> None:
    async with MembershipSandbox() as sandbox:
        assert (await ask(sandbox, "GET", "state", headers=headers))[0] == 200


SCRIPT = """
import json, sys, urllib.error, urllib.request
url, customer = sys.argv[1], int(sys.argv[2])
def ask(method, path, body=None):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url + path, data, {"X-API-KEY": "sandbox-key"}, method=method)
    try:
        return urllib.request.urlopen(request).status
    except urllib.error.HTTPError as error:
        return error.code
statuses = []
for number in range(15):
    seed = {"contracts": [{"customerId": customer, "id": customer * 1000 + number}]}
    statuses.append(ask("POST", "/_sandbox/state", seed))
    fault = {"kind": "status", "status": 409, "operation": "get_contract_data", "ids": {"customer_id": customer}}
    statuses.append(ask("POST", "/_sandbox/faults", fault))
    statuses += [ask("GET", f"/v1/memberships/{customer}/self-service/contract-data") for _ in range(2)]
print(statuses == [200, 200, 409, 200] * 15, statuses)
"""


async def test_two_processes_script_one_sandbox_at_once() -> None:
    async with MembershipSandbox() as sandbox:
        runs = [
            subprocess.Popen(
                [sys.executable, "-c", SCRIPT, sandbox.url, str(customer)], stdout=subprocess.PIPE, text=True
            )
            for customer in (7, 8)
        ]
        ended = await asyncio.gather(*(asyncio.to_thread(run.communicate, timeout=60) for run in runs))
        assert [out.partition(" ")[0] for out, _ in ended] == ["True", "True"], ended
        assert [len(sandbox.contracts[customer]) for customer in (7, 8)] == [15, 15]
        assert sandbox.faults == []


async def test_very_many_requests_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST_ITEMS", 20)
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        for _ in range(50):
            await client.get_contract_data(customer_id=1001)
        _, told = await ask(sandbox, "GET", "requests?after=45")
        assert (told["forgotten"], [request["number"] for request in told["requests"]]) == (30, [46, 47, 48, 49, 50])
        sandbox.fail(Fault.status(500))
        with pytest.raises(ServerError) as caught:
            await sandbox.client(retry=ONCE).get_contract_data(customer_id=1001)
        assert caught.value.details.trace_id == "sandbox-51"
        await read_contract(client)
        sandbox.reset()
        assert (sandbox.requests, sandbox.requests.forgotten) == ([], 0)


def test_large_items_are_forgotten_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recent, "_MOST_BYTES", 80_000)
    kept: recent.Recent[bytes] = recent.Recent(len)
    for number in range(100):
        kept.append(bytes([number]) * 20_000)
        assert len(kept) <= 5
    assert kept[-1][0] == 99
    assert kept.forgotten + len(kept) == 100
