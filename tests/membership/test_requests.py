"""The bytes of every Membership request, as a server sees them."""

import io
import json
from collections.abc import Awaitable, Callable
from datetime import date
from typing import Any

import pytest
from attrs import frozen
from cases import goes_through
from payloads import payload
from wire import DROP, STALL, CannedAnswer, WireRequest, WireServer, patience

from membership_sdk import (
    CallTimeoutError,
    ConfigurationError,
    ConnectionFailedError,
    Document,
    IdleTemporalUnit,
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
    """The JSON, exactly; of a multipart request, that of the part `data`."""
    document: tuple[str, str, bytes] | None = None
    """Content type, file name and content of the part `document`."""
    multipart: bool = False


IDLE_PERIOD = payload("membership_idle_period")
IDLE_VERDICT = b'{"validationStatus": "IDLEPERIOD_CREATABLE"}'
PURCHASE_VERDICT = b'{"validationStatus": "ADDITIONAL_MODULE_PURCHASABLE"}'

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
        "get_idle_period_config",
        lambda c: c.get_idle_period_config(contract_id=2002),
        "GET",
        "/v1/memberships/2002/self-service/idle-periods/config",
        answer=payload("membership_idle_period_config"),
    ),
    Case(
        "validate_idle_period_request",
        lambda c: c.validate_idle_period_request(
            contract_id=2002, start_date=DAY, temporal_unit=IdleTemporalUnit.WEEK, term_value=2, unlimited=False
        ),
        "POST",
        "/v1/memberships/2002/self-service/idle-periods/validate",
        answer=IDLE_VERDICT,
        body={"startDate": "2023-01-25", "temporalUnit": "WEEK", "termValue": 2, "unlimited": False},
    ),
    Case(
        "get_idle_periods",
        lambda c: c.get_idle_periods(contract_id=2002),
        "GET",
        "/v1/memberships/2002/self-service/idle-periods",
        answer=b'{"pastIdlePeriods": [], "currentAndUpcomingIdlePeriods": []}',
    ),
    Case(
        "create_idle_period_amendment",
        lambda c: c.create_idle_period_amendment(
            contract_id=2002,
            start_date=DAY,
            reason_id=203,
            temporal_unit=IdleTemporalUnit.MONTH,
            term_value=1,
            unlimited=False,
            document=Document(source=b"\x89PNG\r\n", content_type="image/png", filename="proof.png"),
        ),
        "POST",
        "/v1/memberships/2002/self-service/idle-periods",
        answer=IDLE_PERIOD,
        body={
            "startDate": "2023-01-25",
            "temporalUnit": "MONTH",
            "termValue": 1,
            "unlimited": False,
            "reasonId": 203,
        },
        document=("image/png", "proof.png", b"\x89PNG\r\n"),
        multipart=True,
    ),
    Case(
        "get_idle_period_by_id",
        lambda c: c.get_idle_period_by_id(contract_id=2002, idle_period_id=4004),
        "GET",
        "/v1/memberships/2002/self-service/idle-periods/4004",
        answer=IDLE_PERIOD,
    ),
    Case(
        "update_idle_period",
        lambda c: c.update_idle_period(
            contract_id=2002,
            idle_period_id=4004,
            start_date=DAY,
            reason_id=203,
            temporal_unit=IdleTemporalUnit.DAY,
            term_value=14,
            unlimited=True,
            end_date=date(2023, 2, 28),
            document=Document(source=io.BytesIO(b"%PDF"), content_type="application/pdf", filename="new proof.pdf"),
        ),
        "PUT",
        "/v1/memberships/2002/self-service/idle-periods/4004",
        answer=IDLE_PERIOD,
        body={
            "startDate": "2023-01-25",
            "temporalUnit": "DAY",
            "termValue": 14,
            "unlimited": True,
            "reasonId": 203,
            "endDate": "2023-02-28",
        },
        document=("application/pdf", "new proof.pdf", b"%PDF"),
        multipart=True,
    ),
    Case(
        "withdraw_idle_period",
        lambda c: c.withdraw_idle_period(contract_id=2002, idle_period_id=4004),
        "DELETE",
        "/v1/memberships/2002/self-service/idle-periods/4004",
    ),
    Case(
        "idle_period_update_preview",
        lambda c: c.idle_period_update_preview(
            contract_id=2002,
            idle_period_id=4004,
            start_date=DAY,
            reason_id=203,
            temporal_unit=IdleTemporalUnit.DAY,
            term_value=14,
            unlimited=False,
            end_date=date(2023, 2, 28),
        ),
        "PUT",
        "/v1/memberships/2002/self-service/idle-periods/4004/preview",
        answer=IDLE_VERDICT,
        body={
            "startDate": "2023-01-25",
            "temporalUnit": "DAY",
            "termValue": 14,
            "unlimited": False,
            "reasonId": 203,
            "endDate": "2023-02-28",
        },
    ),
    Case(
        "get_remaining_idle_periods",
        lambda c: c.get_remaining_idle_periods(contract_id=2002),
        "GET",
        "/v1/memberships/2002/self-service/idle-periods/remaining",
        answer=payload("membership_remaining_idle_periods"),
    ),
    Case(
        "get_additional_modules",
        lambda c: c.get_additional_modules(),
        "GET",
        "/v1/memberships/self-service/additional-modules",
        answer=b"[]",
    ),
    Case(
        "get_purchasable_additional_modules",
        lambda c: c.get_purchasable_additional_modules(contract_id=2002),
        "GET",
        "/v1/memberships/2002/self-service/additional-modules/purchasable",
        answer=b"[]",
    ),
    Case(
        "validate_additional_module_contract_request",
        lambda c: c.validate_additional_module_contract_request(
            contract_id=2002, additional_module_id=5005, payment_frequency_id=77, book_trial_period=False
        ),
        "POST",
        "/v1/memberships/2002/self-service/additional-modules/validate",
        answer=PURCHASE_VERDICT,
        body={"additionalModuleId": 5005, "paymentFrequencyId": 77, "bookTrialPeriod": False},
    ),
    Case(
        "purchase_additional_module_contract",
        lambda c: c.purchase_additional_module_contract(
            contract_id=2002, additional_module_id=5005, payment_frequency_id=77, book_trial_period=True
        ),
        "POST",
        "/v1/memberships/2002/self-service/additional-modules/purchase",
        answer=b'{"id": 1001}',
        body={"additionalModuleId": 5005, "paymentFrequencyId": 77, "bookTrialPeriod": True},
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
    if request.method not in {"GET", "HEAD"}:
        headers["content-length"] = str(len(request.body))
    if request.body:
        headers["content-type"] = "application/json"
    return headers | more


def multipart(request: WireRequest) -> list[tuple[list[bytes], bytes]]:
    """Return the sorted header lines and the content of each part."""
    kind, _, boundary = request.headers["content-type"].partition("; boundary=")
    assert (kind, boundary.isalnum()) == ("multipart/form-data", True)
    before, *parts, after = request.body.split(b"--" + boundary.encode())
    assert (before, after) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, content = part.removeprefix(b"\r\n").removesuffix(b"\r\n").partition(b"\r\n\r\n")
        found.append((sorted(head.split(b"\r\n")), content))
    return found


def test_every_operation_has_a_case() -> None:
    assert [case.operation for case in CASES] == [operation.name for operation in OPERATIONS]


@pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")
@goes_through("case", CASES)
async def test_request_is_exactly_the_documented_one(case: Case) -> None:
    """Method, path without query, every header, and the body."""
    async with WireServer(CannedAnswer(body=case.answer)) as server, MembershipClient(server.url, KEY) as client:
        await case.call(client)
        (request,) = server.requests
        kind = {"content-type": request.headers["content-type"]} if case.multipart else {}
        assert request.headers == expected_headers(server, request, **kind)
    assert (request.method, request.target) == (case.method, case.path)
    assert request.headers["accept-encoding"].startswith("gzip, deflate")
    if not case.multipart:
        assert (json.loads(request.body) if request.body else None) == case.body
        return
    (data_headers, data), (document_headers, document) = multipart(request)
    assert data_headers == [b'Content-Disposition: form-data; name="data"', b"Content-Type: application/json"]
    assert json.loads(data) == case.body
    assert case.document is not None
    content_type, filename, content = case.document
    assert document_headers == [
        f'Content-Disposition: form-data; name="document"; filename="{filename}"'.encode(),
        f"Content-Type: {content_type}".encode(),
    ]
    assert document == content


REASON = {"contract_id": 2002, "start_date": DAY, "reason_id": 203}
LEAST = {"startDate": "2023-01-25", "reasonId": 203}


@pytest.mark.parametrize(
    ("more", "body"),
    [
        ({}, {}),
        ({"unlimited": True}, {"unlimited": True}),
        ({"unlimited": False, "end_date": date(2023, 2, 1)}, {"unlimited": False, "endDate": "2023-02-01"}),
        ({"temporal_unit": None, "term_value": None, "end_date": None, "unlimited": None}, {}),
    ],
    ids=["least", "unlimited", "shortened", "nulls"],
)
async def test_idle_period_requests_leave_out_what_is_not_given(more: dict[str, Any], body: dict[str, Any]) -> None:
    """Neither unit nor term in an unlimited period or a shortening; False is sent, None is not."""
    period = {"idle_period_id": 4004}
    async with (
        WireServer(CannedAnswer(body=IDLE_PERIOD), CannedAnswer(body=IDLE_VERDICT)) as server,
        MembershipClient(server.url, KEY) as client,
    ):
        await client.update_idle_period(**REASON, **period, **more)
        await client.idle_period_update_preview(**REASON, **period, **more)
    update, preview = server.requests
    ((headers, data),) = multipart(update)
    assert json.loads(data) == LEAST | body
    assert b"filename" not in b"".join(headers)
    assert preview.json == LEAST | body


async def test_smallest_validation_names_only_the_start() -> None:
    """The reason is no part of it."""
    async with WireServer(CannedAnswer(body=IDLE_VERDICT)) as server, MembershipClient(server.url, KEY) as client:
        await client.validate_idle_period_request(contract_id=1, start_date=DAY)
    assert server.requests[0].body == b'{"startDate":"2023-01-25"}'


async def test_language_is_sent_as_accept_language() -> None:
    """Exactly as given, and in no other header."""
    async with (
        WireServer(CannedAnswer(body=b"[]")) as server,
        MembershipClient(server.url, KEY, language="de-CH") as client,
    ):
        await client.get_contract_data(customer_id=1)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request, **{"accept-language": "de-CH"})


async def test_base_url_may_have_a_path() -> None:
    """Behind a gateway, the API's paths follow the gateway's."""
    async with (
        WireServer(CannedAnswer(body=b"[]")) as server,
        MembershipClient(f"{server.url}/gate%2Fway/", KEY) as client,
    ):
        await client.get_contract_data(customer_id=1)
    assert server.requests[0].target == "/gate%2Fway/v1/memberships/1/self-service/contract-data"


async def test_connection_is_kept_between_calls() -> None:
    """Ten calls, one connection."""
    async with WireServer(CannedAnswer(body=b"[]")) as server, MembershipClient(server.url, KEY) as client:
        for _ in range(10):
            await client.get_contract_data(customer_id=1)
    assert (len(server.requests), server.connections) == (10, 1)


@pytest.mark.parametrize("status", [200, 401], ids=["accepted", "refused"])
async def test_verify_api_key_sends_head_and_answers_yes_or_no(status: int) -> None:
    """HEAD runs no logic and answers 200 or 401."""
    async with WireServer(CannedAnswer(status)) as server, MembershipClient(server.url, KEY) as client:
        assert await client.verify_api_key() is (status == 200)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request)
    assert (request.method, request.body) == ("HEAD", b"")
    assert request.target == "/v1/memberships/self-service/contract-cancelation-reasons"


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (CannedAnswer(403), PermissionDeniedError),
        (CannedAnswer(500), ServerError),
        (DROP, ConnectionFailedError),
        (STALL, CallTimeoutError),
    ],
    ids=["forbidden", "broken", "dropped", "stalled"],
)
async def test_verify_api_key_does_not_guess(step: object, error: type[SdkError]) -> None:
    """A failure that says nothing of the key is neither True nor False."""
    async with (
        WireServer(step) as server,
        MembershipClient(server.url, KEY, retry=RetryPolicy.none(), attempt_timeout=patience(step)) as client,
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


@goes_through(
    "tenant", ["", "-a", "a-", "A", "a.b", "a/b", "evil.example/", "a\n", "ä", "a b", "x" * 64, "a@b", "a:1", "a#"]
)
def test_for_tenant_refuses_what_could_lead_to_another_host(tenant: str) -> None:
    """The name becomes part of a URL that is sent the key."""
    with pytest.raises(ConfigurationError, match="tenant"):
        MembershipClient.for_tenant(tenant, api_key=KEY)


async def test_module_cancelation_warns_once() -> None:
    """The operation one copy of the documentation marks as deprecated."""
    case = next(case for case in CASES if case.operation == "create_module_contract_cancelation_amendment")
    async with WireServer(CannedAnswer(body=b"{}")) as server, MembershipClient(server.url, KEY) as client:
        with pytest.warns(OperationDeprecatedWarning, match="no replacement is known"):
            await case.call(client)
        # Warnings are errors here: a second one would raise.
        await case.call(client)
    assert len(server.requests) == 2


@goes_through("bad", [0, -1, 2**63])
@goes_through("name", ["customer_id", "contract_id"])
async def test_impossible_ids_are_refused_before_anything_is_sent(name: str, bad: int) -> None:
    """ValueError naming the argument, and no request."""
    async with WireServer() as server, MembershipClient(server.url, KEY) as client:
        with pytest.raises(ValueError, match=name):
            await client.withdraw_contract_cancelation(**{"customer_id": 1, "contract_id": 2, name: bad})
    assert server.requests == []
