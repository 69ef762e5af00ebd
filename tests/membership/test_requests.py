"""The bytes of every Membership request, as a server sees them."""

import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from attrs import frozen
from payloads import payload
from wire import DROP, STALL, Reply, WireRequest, WireServer

from membership_sdk import (
    CallTimeoutError,
    ConfigurationError,
    ConnectionFailedError,
    MembershipClient,
    OperationDeprecatedWarning,
    PermissionDeniedError,
    RetryPolicy,
    SdkError,
    ServerError,
    __version__,
)
from membership_sdk.operations import OPERATIONS

KEY = "made-up-key"
DAY = date(2023, 1, 25)


@frozen
class Case:
    operation: str
    """Also the client's method."""
    call: Callable[[MembershipClient], Awaitable[object]]
    method: str
    path: str
    answer: bytes = b"{}"
    body: dict[str, Any] | None = None


CASES = (
    Case(
        "get_contract_data",
        lambda c: c.get_contract_data(customer_id=1001),
        "GET",
        "/v1/memberships/1001/self-service/contract-data",
        answer=b"[]",
    ),
    Case(
        "create_contract_cancelation_amendment",
        lambda c: c.create_contract_cancelation_amendment(
            customer_id=1001, contract_id=2002, cancelation_date=DAY, cancelation_reason_id=1234
        ),
        "POST",
        "/v1/memberships/1001/self-service/ordinary-contract-cancelation",
        body={"cancelationDate": "2023-01-25", "cancelationReasonId": 1234, "contractId": 2002},
    ),
    Case(
        "get_contract_cancelation_reason_data",
        lambda c: c.get_contract_cancelation_reason_data(),
        "GET",
        "/v1/memberships/self-service/contract-cancelation-reasons",
        answer=b"[]",
    ),
    Case(
        "withdraw_contract_cancelation",
        lambda c: c.withdraw_contract_cancelation(customer_id=1001, contract_id=2002),
        "POST",
        "/v1/memberships/1001/self-service/withdraw-ordinary-contract-cancelation/2002",
    ),
    Case(
        "get_additional_module_contract",
        lambda c: c.get_additional_module_contract(contract_id=2002, additional_module_contract_id=3003),
        "GET",
        "/v1/memberships/2002/self-service/additional-module-contracts/3003",
        answer=payload("membership_module_contract"),
    ),
    Case(
        "create_module_contract_cancelation_amendment",
        lambda c: c.create_module_contract_cancelation_amendment(
            contract_id=2002, additional_module_contract_id=3003, cancelation_date=DAY, cancelation_reason_id=1234
        ),
        "POST",
        "/v1/memberships/2002/self-service/additional-module-contracts/3003/ordinary-cancelation",
        body={"cancelationDate": "2023-01-25", "cancelationReasonId": 1234},
    ),
    Case(
        "withdraw_additional_module_contract_cancelation",
        lambda c: c.withdraw_additional_module_contract_cancelation(
            contract_id=2002, additional_module_contract_id=3003
        ),
        "POST",
        "/v1/memberships/2002/self-service/additional-module-contracts/3003/withdraw-cancelation",
    ),
)


def expected_headers(server: WireServer, request: WireRequest, **more: str) -> dict[str, str]:
    headers = {
        "host": server.url.removeprefix("http://"),
        "x-api-key": KEY,
        "accept": "application/json",
        "user-agent": f"membership-sdk/{__version__}",
        # aiohttp offers what it can unpack, which depends on what is installed.
        "accept-encoding": request.headers["accept-encoding"],
        **more,
    }
    if request.method == "POST":
        headers["content-length"] = str(len(request.body))
    if request.body:
        headers["content-type"] = "application/json"
    return headers


def test_every_operation_has_a_case() -> None:
    assert [case.operation for case in CASES] == [operation.name for operation in OPERATIONS]


@pytest.mark.filterwarnings("ignore::sdk_core.errors.OperationDeprecatedWarning")
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
async def test_request_is_exactly_the_documented_one(case: Case) -> None:
    """Method, path without query, every header, and the body."""
    async with WireServer(Reply(body=case.answer)) as server, MembershipClient(server.url, KEY) as client:
        await case.call(client)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request)
    assert (request.method, request.target) == (case.method, case.path)
    assert request.headers["accept-encoding"].startswith("gzip, deflate")
    assert (json.loads(request.body) if request.body else None) == case.body


async def test_language_is_sent_as_accept_language() -> None:
    """Exactly as given, and in no other header."""
    async with WireServer(Reply(body=b"[]")) as server, MembershipClient(server.url, KEY, language="de-CH") as client:
        await client.get_contract_data(customer_id=1)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request, **{"accept-language": "de-CH"})


async def test_base_url_may_have_a_path() -> None:
    """Behind a gateway, the API's paths follow the gateway's."""
    async with WireServer(Reply(body=b"[]")) as server, MembershipClient(f"{server.url}/gate%2Fway/", KEY) as client:
        await client.get_contract_data(customer_id=1)
    assert server.requests[0].target == "/gate%2Fway/v1/memberships/1/self-service/contract-data"


async def test_connection_is_kept_between_calls() -> None:
    """Ten calls, one connection."""
    async with WireServer(Reply(body=b"[]")) as server, MembershipClient(server.url, KEY) as client:
        for _ in range(10):
            await client.get_contract_data(customer_id=1)
    assert (len(server.requests), server.connections) == (10, 1)


@pytest.mark.parametrize("status", [200, 401], ids=["accepted", "refused"])
async def test_verify_api_key_sends_head_and_answers_yes_or_no(status: int) -> None:
    """HEAD runs no logic and answers 200 or 401."""
    async with WireServer(Reply(status)) as server, MembershipClient(server.url, KEY) as client:
        assert await client.verify_api_key() is (status == 200)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request)
    assert (request.method, request.body) == ("HEAD", b"")
    assert request.target == "/v1/memberships/self-service/contract-cancelation-reasons"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (Reply(403), PermissionDeniedError),
        (Reply(500), ServerError),
        (DROP, ConnectionFailedError),
        (STALL, CallTimeoutError),
    ],
    ids=["forbidden", "broken", "dropped", "stalled"],
)
async def test_verify_api_key_does_not_guess(step: object, error: type[SdkError]) -> None:
    """A failure that says nothing of the key is neither True nor False."""
    async with (
        WireServer(step) as server,
        MembershipClient(server.url, KEY, retry=RetryPolicy.none(), attempt_timeout=0.05) as client,
    ):
        with pytest.raises(error):
            await client.verify_api_key()
    assert len(server.requests) == 1


async def test_for_tenant_calls_the_tenants_host(mocked: Any) -> None:
    """https, and the documented host."""
    url = "https://open-api-demo.open-api.magicline.com/v1/memberships/7/self-service/contract-data"
    mocked.get(url, payload=[])
    async with MembershipClient.for_tenant("open-api-demo", api_key=KEY, language="fr") as client:
        assert await client.get_contract_data(customer_id=7) == []
    ((call,),) = mocked.requests.values()
    assert call.kwargs["headers"]["X-API-KEY"] == KEY
    assert call.kwargs["headers"]["Accept-Language"] == "fr"


@pytest.mark.parametrize(
    "tenant", ["", "-a", "a-", "A", "a.b", "a/b", "evil.example/", "a\n", "ä", "a b", "x" * 64, "a@b", "a:1", "a#"]
)
def test_for_tenant_refuses_what_could_lead_to_another_host(tenant: str) -> None:
    """The name becomes part of a URL that is sent the key."""
    with pytest.raises(ConfigurationError, match="tenant"):
        MembershipClient.for_tenant(tenant, api_key=KEY)


async def test_module_cancelation_warns_once() -> None:
    """The operation one copy of the documentation marks as deprecated."""
    case = next(case for case in CASES if case.operation == "create_module_contract_cancelation_amendment")
    async with WireServer(Reply(body=b"{}")) as server, MembershipClient(server.url, KEY) as client:
        with pytest.warns(OperationDeprecatedWarning, match="no replacement is known"):
            await case.call(client)
        # Warnings are errors here: a second one would raise.
        await case.call(client)
    assert len(server.requests) == 2


@pytest.mark.parametrize("bad", [0, -1, 2**63], ids=str)
@pytest.mark.parametrize("name", ["customer_id", "contract_id"])
async def test_impossible_ids_are_refused_before_anything_is_sent(name: str, bad: int) -> None:
    """ValueError naming the argument, and no request."""
    async with WireServer() as server, MembershipClient(server.url, KEY) as client:
        with pytest.raises(ValueError, match=name):
            await client.withdraw_contract_cancelation(**{"customer_id": 1, "contract_id": 2, name: bad})
    assert server.requests == []
