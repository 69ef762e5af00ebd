"""The bytes of every CloudCockpit request and token request, as a server sees them; and reading page by page."""

import base64
import json
import pickle
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from types import MappingProxyType, SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import pytest
from attrs import evolve, frozen
from cases import goes_through
from payloads import payload
from wire import CannedAnswer, Raw, WireRequest, WireServer

from cloudcockpit_sdk import (
    API_CLOUDCOCKPIT_COM,
    DEFAULT_BASE_URL,
    DEFAULT_SCOPE,
    DEFAULT_TOKEN_URL,
    BillingFrequency,
    ClientCredentials,
    CloudCockpitClient,
    ConfigurationError,
    InvalidResponseError,
    Outcome,
    Paginator,
    RetryPolicy,
    ServerError,
    SubscriptionListItem,
    TermDuration,
    Transition,
    __version__,
    correlation_scope,
)
from cloudcockpit_sdk.operations import OPERATIONS

CUSTOMER = UUID("44444444-4444-4444-8444-444444444444")
SUBSCRIPTION = UUID("11111111-1111-4111-8111-111111111111")
RESELLER = UUID("66666666-6666-4666-8666-666666666666")
OFFER = UUID("33333333-3333-4333-8333-333333333333")
CORRELATION = "7f1f0c9e-43a2-4a55-8f1e-0c2d6f3b9a10"
JWT = "made.up.jwt"
ACCEPTED = CannedAnswer(202)
DONE = Raw(b"HTTP/1.1 204 No Content\r\n\r\n", close=False)
PAGE = CannedAnswer(body=payload("cloudcockpit_subscription_page"))
LIST_ITEMS = CannedAnswer(body=json.loads(payload("cloudcockpit_subscription_page"))["items"])
IDS: dict[str, Any] = {"customer_id": CUSTOMER, "subscription_id": SUBSCRIPTION}
PATH = f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}"
BERLIN = timezone(timedelta(hours=1))


@frozen
class Case:
    operation: str
    """Also the client's method."""
    call: Callable[[CloudCockpitClient], Awaitable[object]]
    method: str
    target: str
    answer: Any = ACCEPTED
    body: bytes = b""
    """Exactly."""


CASES = (
    Case(
        "list_customer_subscriptions",
        lambda c: c.list_customer_subscriptions(
            customer_id=CUSTOMER,
            page_number=2,
            page_size=2000,
            sort_property_name="Offer.Name",
            reseller_id=str(RESELLER).upper(),
            offer_id=OFFER,
        ),
        "GET",
        f"/v1/customers/{CUSTOMER}/subscriptions"
        f"?pageNumber=2&pageSize=2000&sortPropertyName=Offer.Name&resellerId={RESELLER}&offerId={OFFER}",
        PAGE,
    ),
    Case(
        "list_subscriptions",
        lambda c: c.list_subscriptions(page_number=3, page_size=1, sort_property_name="EndDate"),
        "GET",
        "/v1/subscriptions?pageNumber=3&pageSize=1&sortPropertyName=EndDate",
        PAGE,
    ),
    Case(
        "get_subscription",
        lambda c: c.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION.hex),
        "GET",
        f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}",
        CannedAnswer(body=payload("cloudcockpit_subscription")),
    ),
    Case(
        "update_subscription",
        lambda c: c.update_subscription(
            **IDS,
            changes={
                "name": "Büro",
                "quantity": 30,
                "nextBillingFrequency": {"name": "Annual"},
                "autoRenewSettings": {"term": {"name": "OneYear"}, "customTermEndDate": None},
            },
        ),
        "PATCH",
        PATH,
        body=b'{"name":"B\xc3\xbcro","quantity":30,"nextBillingFrequency":{"name":"Annual"},'
        b'"autoRenewSettings":{"term":{"name":"OneYear"},"customTermEndDate":null}}',
    ),
    Case("cancel_subscription", lambda c: c.cancel_subscription(**IDS), "DELETE", PATH),
    Case(
        "suspend_subscription",
        lambda c: c.suspend_subscription(customer_id=str(CUSTOMER), subscription_id=SUBSCRIPTION),
        "POST",
        f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}/suspend",
    ),
    Case(
        "reactivate_subscription",
        lambda c: c.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION),
        "POST",
        f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}/reactivate",
    ),
    Case(
        "change_associated_reseller",
        lambda c: c.change_associated_reseller(**IDS, reseller_id=str(RESELLER).upper()),
        "PATCH",
        f"{PATH}/associated-reseller",
        CannedAnswer(body="true"),
        f'"{RESELLER}"'.encode(),
    ),
    Case(
        "change_price_margin",
        lambda c: c.change_price_margin(
            **IDS, margin=MappingProxyType({"marginRule": {"name": "Markup"}, "value": Decimal("12.50")})
        ),
        "PATCH",
        f"{PATH}/price-margin",
        DONE,
        b'{"marginRule":{"name":"Markup"},"value":12.50}',
    ),
    Case(
        "change_po_number",
        lambda c: c.change_po_number(**IDS, po_number='PO "7" \\ é'),
        "PATCH",
        f"{PATH}/po-number",
        DONE,
        b'"PO \\"7\\" \\\\ \xc3\xa9"',
    ),
    Case(
        "change_monthly_budget",
        lambda c: c.change_monthly_budget(**IDS, monthly_budget=Decimal("1000.10")),
        "PATCH",
        f"{PATH}/monthly-budget",
        DONE,
        b'{"monthlyBudget":1000.10}',
    ),
    Case(
        "list_eligible_transitions",
        lambda c: c.list_eligible_transitions(**IDS),
        "GET",
        f"{PATH}/eligible-transitions",
        CannedAnswer(body=payload("cloudcockpit_transitions")),
    ),
    Case(
        "upgrade_subscription",
        lambda c: c.upgrade_subscription(
            **IDS,
            transition=Transition(
                quantity=25,
                provider_offer_id="CFQ7TTC0LCHC:0002",
                provider_offer_id_with_availability="CFQ7TTC0LCHC:0002:X",
                term_duration=TermDuration.ONE_YEAR,
                billing_frequency=BillingFrequency.MONTHLY,
                offer_id=OFFER,
            ),
        ),
        "POST",
        f"{PATH}/upgrade",
        body=b'{"quantity":25,"termDuration":{"name":"OneYear"},"billingFrequency":{"name":"Monthly"},'
        b'"providerOfferId":"CFQ7TTC0LCHC:0002","providerOfferIdWithAvailability":"CFQ7TTC0LCHC:0002:X",'
        b'"offerId":"%b"}' % str(OFFER).encode(),
    ),
    Case(
        "get_migration_status",
        lambda c: c.get_migration_status(**IDS),
        "GET",
        f"{PATH}/migration",
        CannedAnswer(body=payload("cloudcockpit_migration_status")),
    ),
    Case(
        "start_migration",
        lambda c: c.start_migration(
            **IDS, purchase_full_term=False, quantity=0, term_duration="OneYear", billing_frequency="Monthly"
        ),
        "POST",
        f"{PATH}/migration",
        body=b'{"purchaseFullTerm":false,"quantity":0,"termDuration":"OneYear","billingFrequency":"Monthly"}',
    ),
    Case(
        "list_azure_entitlements",
        lambda c: c.list_azure_entitlements(**IDS, reseller_id=RESELLER.hex),
        "GET",
        f"{PATH}/azure-entitlements?resellerId={RESELLER}",
        LIST_ITEMS,
    ),
    Case(
        "list_eligible_for_upgrade",
        lambda c: c.list_eligible_for_upgrade(**IDS),
        "GET",
        f"{PATH}/eligible-for-upgrade",
        LIST_ITEMS,
    ),
    Case(
        "get_custom_term_end_dates",
        lambda c: c.get_custom_term_end_dates(
            customer_id=CUSTOMER, query=MappingProxyType({"termDuration": "OneYear", "a&b": "c=d"})
        ),
        "GET",
        f"/v1/customers/{CUSTOMER}/subscriptions/custom-term-end-dates?termDuration=OneYear&a%26b=c%3Dd",
        CannedAnswer(body=[]),
    ),
    Case(
        "grant_owner_access",
        lambda c: c.grant_owner_access(**IDS, user_email="anna+büro/it?#%40@example.com"),
        "PUT",
        f"{PATH}/grant-owner-access/anna%2Bb%C3%BCro%2Fit%3F%23%2540%40example.com",
        DONE,
    ),
    Case(
        "list_audit_logs",
        lambda c: c.list_audit_logs(
            page_number=2,
            page_size=2000,
            start_date=datetime(2026, 1, 31, 0, 30, tzinfo=BERLIN),
            end_date=datetime(2026, 2, 1, tzinfo=UTC),
            operation_names=("CreateOrder", "CreateCustomer"),
            status="Succeded",
            reseller="Res & Co",
            customer="Büro",
            reseller_id=RESELLER,
        ),
        "GET",
        "/v1/AuditLogs?PageNumber=2&PageSize=2000&StartDate=2026-01-30T23:30:00%2B00:00"
        "&EndDate=2026-02-01T00:00:00%2B00:00&Operations=CreateOrder%7CCreateCustomer&Status=Succeded"
        f"&Reseller=Res+%26+Co&Customer=B%C3%BCro&resellerId={RESELLER}",
        CannedAnswer(body=payload("cloudcockpit_audit_log_page")),
    ),
)


def api(server: WireServer, token: Any = JWT, **options: Any) -> CloudCockpitClient:
    return CloudCockpitClient("portal.example.com", token, base_url=server.url, **options)


def expected_headers(server: WireServer, request: WireRequest) -> dict[str, str]:
    headers = {
        "host": server.url.removeprefix("http://"),
        "authorization": f"Bearer {JWT}",
        "x-tenant": "portal.example.com",
        "x-correlation-id": CORRELATION,
        "accept": "application/json",
        "user-agent": f"cloudcockpit-sdk/{__version__}",
        # aiohttp offers what it can unpack, which depends on what is installed.
        "accept-encoding": request.headers["accept-encoding"],
    }
    if request.body:
        headers["content-type"] = "application/json"
    return headers | ({} if request.method == "GET" else {"content-length": str(len(request.body))})


def test_every_operation_has_a_case() -> None:
    assert [case.operation for case in CASES] == [operation.name for operation in OPERATIONS]


@goes_through("case", CASES)
async def test_request_is_exactly_the_documented_one(case: Case) -> None:
    """Method, path, query, every header, and the body, byte for byte; ids may be UUIDs or any text that is one."""
    async with WireServer(case.answer) as server, api(server, correlation_id=lambda: CORRELATION) as client:
        await case.call(client)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request)
    assert (request.method, request.target, request.body) == (case.method, case.target, case.body)


ROLES = {
    "list_subscriptions": ("csp",),
    "change_associated_reseller": ("csp",),
    **dict.fromkeys(
        ("change_price_margin", "change_po_number", "change_monthly_budget", "grant_owner_access", "list_audit_logs"),
        ("csp", "reseller"),
    ),
}


@goes_through("operation", OPERATIONS)
def test_roles_are_the_documented_ones(operation: Any) -> None:
    """Of those that state them; an operation that states none has none here, which does not mean "everybody"."""
    assert operation.roles == ROLES.get(operation.name, ())
    # The second host shows an older copy of the pages, and is the only one that has some of them.
    assert operation.source.startswith(("https://developer.cloudcockpit.com/", "https://developer.cloudcockpit.works/"))


@goes_through(
    ("call", "target"),
    [
        (lambda c: c.list_subscriptions(), "/v1/subscriptions"),
        (lambda c: c.list_audit_logs(), "/v1/AuditLogs"),
        (lambda c: c.list_audit_logs(operation_names=iter(["CreateOrder"])), "/v1/AuditLogs?Operations=CreateOrder"),
        (
            lambda c: c.get_custom_term_end_dates(customer_id=CUSTOMER),
            f"/v1/customers/{CUSTOMER}/subscriptions/custom-term-end-dates",
        ),
        (
            lambda c: c.get_custom_term_end_dates(customer_id=CUSTOMER, query={}),
            f"/v1/customers/{CUSTOMER}/subscriptions/custom-term-end-dates",
        ),
    ],
)
async def test_nothing_is_in_the_query_unless_asked(
    call: Callable[[CloudCockpitClient], Awaitable[object]], target: str
) -> None:
    """The API's own defaults apply to what is left out: an empty list of operations is no filter."""
    async with WireServer(CannedAnswer(body={"items": []})) as server, api(server) as client:
        await call(client)
    assert server.requests[0].target == target


async def test_no_budget_is_sent_as_null() -> None:
    """Not left out: it takes the budget away."""
    async with WireServer(DONE) as server, api(server) as client:
        await client.change_monthly_budget(**IDS, monthly_budget=None)
    assert server.requests[0].body == b'{"monthlyBudget":null}'


async def test_least_of_a_migration() -> None:
    """What is optional is left out."""
    async with WireServer(ACCEPTED) as server, api(server) as client:
        await client.start_migration(**IDS, purchase_full_term=True, quantity=5)
    assert server.requests[0].body == b'{"purchaseFullTerm":true,"quantity":5}'


async def test_po_number_of_full_length() -> None:
    """255 characters, of whatever script."""
    async with WireServer(DONE) as server, api(server) as client:
        await client.change_po_number(**IDS, po_number="é" * 255)
    assert server.requests[0].json == "é" * 255


async def test_transition_is_sent_back_as_it_came() -> None:
    """What the API offered is what it gets: nulls, empty lists and keys that nobody documented, too."""
    offered = json.loads(payload("cloudcockpit_transitions"))
    offered[0] |= {
        "termDuration": {"name": "TermOfTomorrow", "more": [1]},
        "billingFrequency": "Monthly",
        "imageUrl": None,
        "destinationSubscriptionId": "",
        "transitionEvents": [{"name": None, "status": "Pending", "when": "0001-01-01T00:00:00"}],
        "undocumented": {"price": 1.50, "of": None},
    }
    async with WireServer(CannedAnswer(body=offered), ACCEPTED) as server, api(server) as client:
        (transition,) = await client.list_eligible_transitions(**IDS)
        await client.upgrade_subscription(**IDS, transition=transition)
        await client.upgrade_subscription(**IDS, transition=pickle.loads(pickle.dumps(transition)))
        changed = evolve(transition, quantity=3, offer_name=None, term_duration=TermDuration.ONE_MONTH)
        await client.upgrade_subscription(**IDS, transition=changed)
    assert [request.json for request in server.requests[1:3]] == [offered[0]] * 2
    assert b'"price":1.5,' in server.requests[1].body
    # A field that was changed is sent as it is now, one that was emptied is not sent.
    del offered[0]["offerName"]
    assert server.requests[3].json == offered[0] | {"quantity": 3, "termDuration": {"name": "OneMonth"}}


@goes_through("quantity", ["3", None, True, -7, 2**31, Decimal("2.5")])
async def test_transition_that_was_changed_to_something_else_is_not_sent(quantity: Any) -> None:
    """How many licenses are ordered is checked like `start_migration` does it."""
    offered = CannedAnswer(body=payload("cloudcockpit_transitions"))
    async with WireServer(offered, ACCEPTED) as server, api(server) as client:
        (transition,) = await client.list_eligible_transitions(**IDS)
        with pytest.raises((TypeError, ValueError), match="quantity must be"):
            await client.upgrade_subscription(**IDS, transition=evolve(transition, quantity=quantity))
        assert len(server.requests) == 1


async def test_transition_may_be_built_from_nothing() -> None:
    """Without an original, what is documented and given is sent; it is neither compared nor shown."""
    async with WireServer(ACCEPTED) as server, api(server) as client:
        await client.upgrade_subscription(**IDS, transition=Transition(quantity=3, provider_offer_id="a"))
    assert server.requests[0].json == {"quantity": 3, "providerOfferId": "a"}
    read = Transition(quantity=3, original={"quantity": 3, "secret": "x"})
    assert (read, hash(read)) == (Transition(quantity=3), hash(Transition(quantity=3)))
    assert "secret" not in repr(read)


async def test_changes_are_taken_at_the_call() -> None:
    """The caller's mapping is neither changed nor looked at again when the request is repeated."""
    changes: dict[str, Any] = {"name": "before"}

    def change(_request: WireRequest) -> CannedAnswer:
        changes["name"] = "after"
        return CannedAnswer(429, headers={"Retry-After": "0"})

    async with WireServer(change, ACCEPTED) as server, api(server) as client:
        await client.update_subscription(**IDS, changes=changes)
    assert [request.json for request in server.requests] == [{"name": "before"}] * 2


async def test_list_sends_no_query_unless_asked() -> None:
    """The API's own defaults apply to what is left out."""
    async with WireServer(CannedAnswer(body={"items": []})) as server, api(server) as client:
        await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert server.requests[0].target == f"/v1/customers/{CUSTOMER}/subscriptions"


@pytest.mark.parametrize("text", ["a&b=c", "ä+ %2F", "x#y?z", "a|b"])
async def test_query_values_arrive_unchanged(text: str) -> None:
    """Whatever a value holds, it can't become another parameter."""
    async with WireServer(CannedAnswer(body={"items": []})) as server, api(server) as client:
        await client.list_customer_subscriptions(customer_id=CUSTOMER, sort_property_name=text)
    assert parse_qsl(urlsplit(server.requests[0].target).query) == [("sortPropertyName", text)]


@goes_through(
    "arguments",
    [
        {"customer_id": "no-uuid"},
        {"customer_id": ""},
        {"page_number": 0},
        {"page_size": 0},
        {"page_size": 2001},
        {"sort_property_name": ""},
        {"offer_id": "x"},
    ],
)
async def test_impossible_arguments_are_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    """ValueError naming the argument, and no request."""
    async with WireServer() as server, api(server) as client:
        with pytest.raises(ValueError, match=next(iter(arguments))):
            await client.list_customer_subscriptions(**{"customer_id": CUSTOMER, **arguments})
    assert server.requests == []


async def test_correlation_id_is_a_fresh_uuid_unless_given() -> None:
    """Sent as X-Correlation-Id, and handed back with the acceptance."""
    async with WireServer(CannedAnswer(202)) as server, api(server) as client:
        fresh = await client.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
        with correlation_scope("from-the-caller"):
            given = await client.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert [request.headers["x-correlation-id"] for request in server.requests] == [
        fresh.correlation_id,
        given.correlation_id,
    ]
    assert UUID(fresh.correlation_id).version == 4
    assert given.correlation_id == "from-the-caller"


async def test_documented_hosts(mocked: Any) -> None:
    """The host of the reactivate page is the default; the newer pages' host is a constant."""
    path = f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}/reactivate"
    mocked.post(f"https://app-cloudcockpitapi-prod-01.azurewebsites.net{path}", status=202)
    mocked.post(f"https://api.cloudcockpit.com{path}", status=202)
    for base_url in (DEFAULT_BASE_URL, API_CLOUDCOCKPIT_COM):
        async with CloudCockpitClient("portal.example.com", JWT, base_url=base_url) as client:
            await client.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert len(mocked.requests) == 2


# Where the token comes from


def jwt(number: int, lifetime: float = 3600) -> str:
    claims = json.dumps({"exp": time.time() + lifetime, "n": number}).encode()
    return f"e30.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"


async def reactivate(client: CloudCockpitClient) -> None:
    await client.reactivate_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)


def tokens_seen(server: WireServer) -> list[str]:
    return [request.headers["authorization"].removeprefix("Bearer ") for request in server.requests]


async def test_token_as_text() -> None:
    """Sent as it is, every time."""
    async with WireServer(CannedAnswer(202)) as server, api(server, "text.of.jwt") as client:
        await reactivate(client)
        await reactivate(client)
    assert tokens_seen(server) == ["text.of.jwt"] * 2


@pytest.mark.parametrize("lifetime", [3600, -1], ids=["valid", "expired by this clock"])
async def test_token_from_an_async_callable(lifetime: float) -> None:
    """Asked once: a fresh token whose `exp` has passed already is used, for it is the clock that is wrong."""
    given: list[str] = []

    async def provide() -> str:
        given.append(jwt(len(given), lifetime))
        return given[-1]

    async with WireServer(CannedAnswer(202)) as server, api(server, provide) as client:
        await reactivate(client)
        await reactivate(client)
    assert tokens_seen(server) == given * 2


async def test_token_without_expiry_is_used_until_it_is_refused() -> None:
    """An opaque token says nothing of its lifetime."""
    given = iter(["opaque-1", "opaque-2"])

    async def provide() -> str:
        return next(given)

    async with (
        WireServer(CannedAnswer(202), CannedAnswer(202), CannedAnswer(401), CannedAnswer(202)) as server,
        api(server, provide) as client,
    ):
        for _ in range(3):
            await reactivate(client)
    assert tokens_seen(server) == ["opaque-1", "opaque-1", "opaque-1", "opaque-2"]


async def test_client_credentials_send_exactly_the_documented_form() -> None:
    """One POST with the four documented fields and no header of the API; its token is used for all calls."""
    answer = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "from.token.endpoint"}
    async with WireServer(CannedAnswer(body=answer)) as login, WireServer(CannedAnswer(202)) as server:
        credentials = ClientCredentials("app-1", "s3cret&=+ ü", token_url=f"{login.url}/tenant/oauth2/v2.0/token")
        async with api(server, credentials) as client:
            await reactivate(client)
            await reactivate(client)
        (request,) = login.requests
        environment = ("user-agent", "accept-encoding")
        assert {name: value for name, value in request.headers.items() if name not in environment} == {
            "host": login.url.removeprefix("http://"),
            "accept": "application/json",
            "content-type": "application/x-www-form-urlencoded",
            "content-length": str(len(request.body)),
        }
    assert (request.method, request.target) == ("POST", "/tenant/oauth2/v2.0/token")
    assert parse_qs(request.body.decode(), strict_parsing=True) == {
        "client_id": ["app-1"],
        "client_secret": ["s3cret&=+ ü"],
        "scope": ["api://b92a36a4-feb8-4f47-a69c-29a180aa6d0a/.default"],
        "grant_type": ["client_credentials"],
    }
    assert tokens_seen(server) == ["from.token.endpoint"] * 2


async def test_documented_token_endpoint_is_the_default(mocked: Any) -> None:
    """The portal's fixed Entra ID tenant."""
    endpoint = "https://login.microsoftonline.com/4e806121-ff28-4286-ab4e-3be0a08f9ce0/oauth2/v2.0/token"
    assert endpoint == DEFAULT_TOKEN_URL
    mocked.post(endpoint, payload={"access_token": "x", "expires_in": 3599})
    mocked.post(f"{DEFAULT_BASE_URL}/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}/reactivate", status=202)
    async with CloudCockpitClient("portal.example.com", ClientCredentials("id", "secret")) as client:
        await reactivate(client)
    assert len(mocked.requests) == 2


async def test_azure_identity_credential() -> None:
    """Anything with azure-identity's async get_token() is asked for the documented scope."""
    asked: list[tuple[str, ...]] = []

    class Credential:
        async def get_token(self, *scopes: str, **_options: object) -> SimpleNamespace:
            asked.append(scopes)
            return SimpleNamespace(token=f"azure-{len(asked)}", expires_on=int(time.time()) + 3600)

    async with WireServer(CannedAnswer(202)) as server, api(server, Credential()) as client:
        await reactivate(client)
        await reactivate(client)
    assert asked == [(DEFAULT_SCOPE,)]
    assert tokens_seen(server) == ["azure-1"] * 2


@goes_through("token", ["", " x", "x\r\nX-Evil: 1", "tök", "x" * 8193])
def test_token_that_cannot_stand_in_a_header_is_refused(token: str) -> None:
    """At construction, without repeating it."""
    with pytest.raises(ConfigurationError, match="token must") as caught:
        CloudCockpitClient("portal.example.com", token)
    assert token not in str(caught.value) or not token


@goes_through("token", [None, 5, b"jwt"])
def test_token_of_another_type_is_refused(token: Any) -> None:
    """With the list of what would do."""
    with pytest.raises(TypeError, match="ClientCredentials"):
        CloudCockpitClient("portal.example.com", token)


# Page by page


def item(number: int) -> dict[str, str]:
    return {"id": str(UUID(int=number))}


def paged(*pages: dict[str, Any]) -> Callable[[WireRequest], CannedAnswer]:
    """Answer by page number; beyond the last page, the last page."""

    def answer(request: WireRequest) -> CannedAnswer:
        number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
        return CannedAnswer(body=pages[min(number, len(pages)) - 1])

    return answer


def requested_pages(server: WireServer) -> list[int]:
    return [int(parse_qs(urlsplit(request.target).query)["pageNumber"][0]) for request in server.requests]


async def numbers(paginator: Paginator[SubscriptionListItem]) -> list[int]:
    return [found.id.int async for found in paginator]


@goes_through(
    ("pages", "found", "requested"),
    [
        ([{"items": [item(1), item(2)], "totalPages": 2}, {"items": [item(3)], "totalPages": 2}], [1, 2, 3], [1, 2]),
        (
            [
                {"items": [item(1)], "totalPages": 3},
                {"items": [], "totalPages": 3},
                {"items": [item(3)], "totalPages": 3},
            ],
            [1, 3],
            [1, 2, 3],
        ),
        (
            [
                {"items": [item(1)], "hasNextPage": True},
                {"items": None, "hasNextPage": True},
                {"items": [item(3)], "hasNextPage": False},
            ],
            [1, 3],
            [1, 2, 3],
        ),
        (
            [{"items": [item(1)], "totalPages": 1, "hasNextPage": True}, {"items": [item(2)], "hasNextPage": False}],
            [1, 2],
            [1, 2],
        ),
        (
            [{"items": [item(1)], "totalPages": 0, "continuationToken": "t"}, {"items": [item(2)], "totalPages": 0}],
            [1, 2],
            [1, 2],
        ),
        (
            [
                {"items": [item(1)], "totalPages": 1, "hasNextPage": True, "totalCount": 1},
                {"items": [], "totalPages": 1, "hasNextPage": True, "totalCount": 1},
            ],
            [1],
            [1, 2],
        ),
        ([{"items": [item(1)], "totalPages": 1, "hasNextPage": False, "continuationToken": "t"}], [1], [1]),
        ([{"items": [item(1)], "totalCount": 2}, {"items": [item(2)], "totalCount": 2}], [1, 2], [1, 2]),
        ([{"items": [item(1)]}, {"items": [item(2)]}, {"items": []}], [1, 2], [1, 2, 3]),
        ([{"items": [], "totalPages": 0, "totalCount": 0}], [], [1]),
    ],
)
async def test_paginator_reads_every_page_once(
    pages: list[dict[str, Any]], found: list[int], requested: list[int]
) -> None:
    """All items, in order, with as few requests as the answers allow."""
    async with WireServer(paged(*pages)) as server, api(server) as client:
        assert await numbers(client.iter_customer_subscriptions(customer_id=CUSTOMER)) == found
    assert requested_pages(server) == requested


@goes_through(
    ("pages", "read", "requested", "what"),
    [
        ([{}], 0, 1, r"\$\.items: required, but missing"),
        ([{"data": [item(1)], "totalCount": 1}], 0, 1, r"\$\.items: required, but missing"),
        ([{"Items": [item(1)], "TotalPages": 1}], 0, 1, r"\$\.items: required, but missing"),
        ([{"statusCode": 500, "type": "Error", "description": "down"}], 0, 1, "the body of an error"),
        ([{"items": None, "totalCount": 3}], 0, 1, r"\$\.items: empty on the first page, although totalCount is 3"),
        ([{"items": [], "totalCount": 3}], 0, 1, r"\$\.items: empty on the first page, although totalCount is 3"),
        ([{"items": [item(1)], "totalPages": 3}], 1, 2, "page 2 holds the items of an earlier page"),
        ([{"items": [item(1)], "hasNextPage": True}], 1, 2, "page 2 holds the items of an earlier page"),
        (
            [{"items": [item(n)], "hasNextPage": True} for n in (1, 2, 1)],
            2,
            3,
            "page 3 holds the items of an earlier page",
        ),
        ([{"items": [item(1)]}, {"items": None, "hasNextPage": True}], 1, 11, "10 pages in a row are empty"),
        ([{"items": [], "totalPages": 0, "hasNextPage": True}], 0, 10, "10 pages in a row are empty"),
    ],
)
async def test_no_list_ends_silently_before_its_end(
    pages: list[dict[str, Any]], read: int, requested: int, what: str
) -> None:
    """What can't be a page, and what would go on for ever, is an error of a READ: no effect, and not repeated."""
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        with pytest.raises(InvalidResponseError, match=what) as caught:
            await numbers(paginator)
    error = caught.value
    assert (error.outcome, error.retryable, error.status) == (Outcome.REJECTED, False, 200)
    assert (error.operation, len(error.attempts)) == ("list_customer_subscriptions", 1)
    assert paginator.items_read == read
    assert paginator.next_page == requested == len(server.requests)


async def test_number_read_is_held_against_the_total(caplog: pytest.LogCaptureFixture) -> None:
    """Fewer items than announced: told, with both numbers, in the log and on the iterator."""
    pages = [{"items": [item(1)], "totalPages": 2, "totalCount": 5}, {"items": [item(2)], "totalPages": 2}]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        assert await numbers(paginator) == [1, 2]
        assert (paginator.items_read, paginator.total_count) == (2, 5)
        assert await numbers(paginator) == []
        later = client.iter_customer_subscriptions(customer_id=CUSTOMER, start_page=2)
        assert await numbers(later) == [2]
    # Of the second iterator nobody knows what stood on the pages before.
    assert [record.getMessage() for record in caplog.records if record.name == "sdk_core.pagination"] == [
        "list_customer_subscriptions: read 2 items, but totalCount is 5"
    ]


async def test_paginator_passes_filters_on_with_every_page() -> None:
    """What was asked for on page 1 is asked for on page 2."""
    pages = [{"items": [item(n)], "totalPages": 3} for n in (1, 2, 3)]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(
            customer_id=CUSTOMER,
            start_page=2,
            page_size=1,
            sort_property_name="Status",
            reseller_id=RESELLER,
            offer_id=OFFER,
        )
        assert [len(page.items) async for page in paginator.pages()] == [1, 1]
    rest = {"pageSize": "1", "sortPropertyName": "Status", "resellerId": str(RESELLER), "offerId": str(OFFER)}
    assert [dict(parse_qsl(urlsplit(request.target).query)) for request in server.requests] == [
        {"pageNumber": number, **rest} for number in ("2", "3")
    ]


async def test_paginator_of_all_subscriptions() -> None:
    """`iter_subscriptions`: every page of every customer, with size and sorting on each."""
    pages = [{"items": [item(n)], "totalPages": 3} for n in (1, 2, 3)]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_subscriptions(page_size=1, sort_property_name="Status")
        assert await numbers(paginator) == [1, 2, 3]
        assert await numbers(client.iter_subscriptions(start_page=3)) == [3]
    rest = "&pageSize=1&sortPropertyName=Status"
    assert [request.target for request in server.requests] == [
        *(f"/v1/subscriptions?pageNumber={number}{rest}" for number in (1, 2, 3)),
        "/v1/subscriptions?pageNumber=3",
    ]


async def test_paginator_of_the_audit_log() -> None:
    """`iter_audit_logs`: raw entries, all filters on each page, even from an iterator that gives its names once."""
    pages = [{"items": [{"n": n}, None], "totalPages": 2} for n in (1, 2)]

    def answer(request: WireRequest) -> CannedAnswer:
        return CannedAnswer(body=pages[int(parse_qs(urlsplit(request.target).query)["PageNumber"][0]) - 1])

    async with WireServer(answer) as server, api(server) as client:
        paginator = client.iter_audit_logs(
            page_size=2,
            start_date=datetime(2026, 1, 31, tzinfo=BERLIN),
            end_date=datetime(2026, 2, 1, tzinfo=UTC),
            operation_names=iter(["CreateOrder", "CreateCustomer"]),
            status="Failed",
            reseller="r",
            customer="c",
            reseller_id=RESELLER,
        )
        assert [entry async for entry in paginator] == [{"n": 1}, None, {"n": 2}, None]
    rest = {
        "PageSize": "2",
        "StartDate": "2026-01-30T23:00:00+00:00",
        "EndDate": "2026-02-01T00:00:00+00:00",
        "Operations": "CreateOrder|CreateCustomer",
        "Status": "Failed",
        "Reseller": "r",
        "Customer": "c",
        "resellerId": str(RESELLER),
    }
    assert [dict(parse_qsl(urlsplit(request.target).query)) for request in server.requests] == [
        {"PageNumber": number, **rest} for number in ("1", "2")
    ]


async def test_paginator_goes_on_after_an_error() -> None:
    """The error keeps the position; iterating again fetches the failed page first."""
    pages = [CannedAnswer(body={"items": [item(n)], "totalPages": 3}) for n in (1, 2, 3)]
    async with (
        WireServer(pages[0], CannedAnswer(500), pages[1], pages[2]) as server,
        api(server, retry=RetryPolicy.none()) as client,
    ):
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        with pytest.raises(ServerError):
            await numbers(paginator)
        assert paginator.next_page == 2
        assert await numbers(paginator) == [2, 3]
        again = client.iter_customer_subscriptions(customer_id=CUSTOMER, start_page=paginator.next_page - 1)
        assert await numbers(again) == [3]
    assert requested_pages(server) == [1, 2, 2, 3, 3]


async def test_paginator_is_lazy_and_may_be_left_early() -> None:
    """No page is fetched before it is needed, and a `break` leaves nothing behind."""
    pages = [{"items": [item(n), item(n + 10)], "totalPages": 3} for n in (1, 2, 3)]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        assert server.requests == []
        async for subscription in paginator:
            if subscription.id.int == 2:
                break
        assert requested_pages(server) == [1, 2]
        assert paginator.next_page == 3
        assert await numbers(paginator) == [12, 3, 13]
        assert server.connections == 1


@goes_through("ends", [{"totalPages": 2, "totalCount": 4}, {"totalPages": 2}, {"hasNextPage": False}])
@goes_through("left_after", [1, 2, 3, 4])
async def test_paginator_that_was_left_goes_on_where_it_was_left(ends: dict[str, Any], left_after: int) -> None:
    """Each item comes once, however often the loop is left; after the last one nothing is asked for any more."""
    pages = [{"items": [item(1), item(2)], "totalPages": 2}, {"items": [item(3), item(4)], **ends}]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        found: list[int] = []
        while True:
            before = len(found)
            async for subscription in paginator:
                found.append(subscription.id.int)
                if len(found) - before == left_after:
                    break
            else:
                break
        assert found == [1, 2, 3, 4]
        assert [page async for page in paginator.pages()] == []
    assert requested_pages(server) == [1, 2]
    assert paginator.items_read == 4


async def test_pages_go_on_with_the_next_page() -> None:
    """What is left of the page in hand stays with the items."""
    pages = [{"items": [item(n), item(n + 10)], "totalPages": 3} for n in (1, 2, 3)]
    async with WireServer(paged(*pages)) as server, api(server) as client:
        paginator = client.iter_customer_subscriptions(customer_id=CUSTOMER)
        async for subscription in paginator:
            assert subscription.id.int == 1
            break
        async for page in paginator.pages():
            assert [found.id.int for found in page.items] == [2, 12]
            break
        assert await numbers(paginator) == [11, 3, 13]
    assert requested_pages(server) == [1, 2, 3]
