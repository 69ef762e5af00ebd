"""The bytes of every CloudCockpit request and token request, as a server sees them; and reading page by page."""

import base64
import json
import time
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit
from uuid import UUID

import pytest
from attrs import frozen
from payloads import payload
from wire import Reply, WireRequest, WireServer

from cloudcockpit_sdk import (
    API_CLOUDCOCKPIT_COM,
    DEFAULT_BASE_URL,
    DEFAULT_SCOPE,
    DEFAULT_TOKEN_URL,
    ClientCredentials,
    CloudCockpitClient,
    ConfigurationError,
    Paginator,
    RetryPolicy,
    ServerError,
    SubscriptionListItem,
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
ACCEPTED = Reply(202)


@frozen
class Case:
    operation: str
    """Also the client's method."""
    call: Callable[[CloudCockpitClient], Awaitable[object]]
    method: str
    target: str
    answer: Reply = ACCEPTED


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
        Reply(body=payload("cloudcockpit_subscription_page")),
    ),
    Case(
        "get_subscription",
        lambda c: c.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION.hex),
        "GET",
        f"/v1/customers/{CUSTOMER}/subscriptions/{SUBSCRIPTION}",
        Reply(body=payload("cloudcockpit_subscription")),
    ),
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
    return headers | ({"content-length": "0"} if request.method == "POST" else {})


def test_every_operation_has_a_case() -> None:
    assert [case.operation for case in CASES] == [operation.name for operation in OPERATIONS]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.operation)
async def test_request_is_exactly_the_documented_one(case: Case) -> None:
    """Method, path, query, every header, and no body; ids may be UUIDs or any text that is one."""
    async with WireServer(case.answer) as server, api(server, correlation_id=lambda: CORRELATION) as client:
        await case.call(client)
        (request,) = server.requests
        assert request.headers == expected_headers(server, request)
    assert (request.method, request.target, request.body) == (case.method, case.target, b"")


async def test_list_sends_no_query_unless_asked() -> None:
    """The API's own defaults apply to what is left out."""
    async with WireServer(Reply(body={})) as server, api(server) as client:
        await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert server.requests[0].target == f"/v1/customers/{CUSTOMER}/subscriptions"


@pytest.mark.parametrize("text", ["a&b=c", "ä+ %2F", "x#y?z", "a|b"])
async def test_query_values_arrive_unchanged(text: str) -> None:
    """Whatever a value holds, it can't become another parameter."""
    async with WireServer(Reply(body={})) as server, api(server) as client:
        await client.list_customer_subscriptions(customer_id=CUSTOMER, sort_property_name=text)
    assert parse_qsl(urlsplit(server.requests[0].target).query) == [("sortPropertyName", text)]


@pytest.mark.parametrize(
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
    ids=str,
)
async def test_impossible_arguments_are_refused_before_anything_is_sent(arguments: dict[str, Any]) -> None:
    """ValueError naming the argument, and no request."""
    async with WireServer() as server, api(server) as client:
        with pytest.raises(ValueError, match=next(iter(arguments))):
            await client.list_customer_subscriptions(**{"customer_id": CUSTOMER, **arguments})
    assert server.requests == []


async def test_correlation_id_is_a_fresh_uuid_unless_given() -> None:
    """Sent as X-Correlation-Id, and handed back with the acceptance."""
    async with WireServer(Reply(202)) as server, api(server) as client:
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
    async with WireServer(Reply(202)) as server, api(server, "text.of.jwt") as client:
        await reactivate(client)
        await reactivate(client)
    assert tokens_seen(server) == ["text.of.jwt"] * 2


@pytest.mark.parametrize(("lifetime", "fetches"), [(3600, 1), (-1, 2)], ids=["valid", "expired"])
async def test_token_from_an_async_callable(lifetime: float, fetches: int) -> None:
    """Asked once, and again when the JWT's `exp` has passed."""
    given: list[str] = []

    async def provide() -> str:
        given.append(jwt(len(given), lifetime))
        return given[-1]

    async with WireServer(Reply(202)) as server, api(server, provide) as client:
        await reactivate(client)
        await reactivate(client)
    assert len(given) == fetches
    assert tokens_seen(server) == [given[0], given[-1]]


async def test_token_without_expiry_is_used_until_it_is_refused() -> None:
    """An opaque token says nothing of its lifetime."""
    given = iter(["opaque-1", "opaque-2"])

    async def provide() -> str:
        return next(given)

    async with WireServer(Reply(202), Reply(202), Reply(401), Reply(202)) as server, api(server, provide) as client:
        for _ in range(3):
            await reactivate(client)
    assert tokens_seen(server) == ["opaque-1", "opaque-1", "opaque-1", "opaque-2"]


async def test_client_credentials_send_exactly_the_documented_form() -> None:
    """One POST with the four documented fields and no header of the API; its token is used for all calls."""
    answer = {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599, "access_token": "from.token.endpoint"}
    async with WireServer(Reply(body=answer)) as login, WireServer(Reply(202)) as server:
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

    async with WireServer(Reply(202)) as server, api(server, Credential()) as client:
        await reactivate(client)
        await reactivate(client)
    assert asked == [(DEFAULT_SCOPE,)]
    assert tokens_seen(server) == ["azure-1"] * 2


@pytest.mark.parametrize("token", ["", " x", "x\r\nX-Evil: 1", "tök", "x" * 8193])
def test_token_that_cannot_stand_in_a_header_is_refused(token: str) -> None:
    """At construction, without repeating it."""
    with pytest.raises(ConfigurationError, match="token must") as caught:
        CloudCockpitClient("portal.example.com", token)
    assert token not in str(caught.value) or not token


@pytest.mark.parametrize("token", [None, 5, b"jwt"])
def test_token_of_another_type_is_refused(token: Any) -> None:
    """With the list of what would do."""
    with pytest.raises(TypeError, match="ClientCredentials"):
        CloudCockpitClient("portal.example.com", token)


# Page by page


def item(number: int) -> dict[str, str]:
    return {"id": str(UUID(int=number))}


def paged(*pages: dict[str, Any]) -> Callable[[WireRequest], Reply]:
    """Answer by page number; beyond the last page, the last page."""

    def answer(request: WireRequest) -> Reply:
        number = int(parse_qs(urlsplit(request.target).query)["pageNumber"][0])
        return Reply(body=pages[min(number, len(pages)) - 1])

    return answer


def requested_pages(server: WireServer) -> list[int]:
    return [int(parse_qs(urlsplit(request.target).query)["pageNumber"][0]) for request in server.requests]


async def numbers(paginator: Paginator[SubscriptionListItem]) -> list[int]:
    return [found.id.int async for found in paginator]


@pytest.mark.parametrize(
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
        ([{"items": [item(1)], "totalPages": 1, "hasNextPage": True}], [1], [1]),
        ([{"items": [item(1)]}, {"items": [item(2)]}, {"items": []}], [1, 2], [1, 2, 3]),
        ([{"items": [], "totalPages": 0, "totalCount": 0}], [], [1]),
        ([{}], [], [1]),
    ],
    ids=[
        "total pages",
        "empty page in the middle",
        "has-next flag, null page in the middle",
        "the total wins over a flag that never ends",
        "neither: until an empty page",
        "nothing",
        "not even items",
    ],
)
async def test_paginator_reads_every_page_once(
    pages: list[dict[str, Any]], found: list[int], requested: list[int]
) -> None:
    """All items, in order, with as few requests as the answers allow."""
    async with WireServer(paged(*pages)) as server, api(server) as client:
        assert await numbers(client.iter_customer_subscriptions(customer_id=CUSTOMER)) == found
    assert requested_pages(server) == requested


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


async def test_paginator_goes_on_after_an_error() -> None:
    """The error keeps the position; iterating again fetches the failed page first."""
    pages = [Reply(body={"items": [item(n)], "totalPages": 3}) for n in (1, 2, 3)]
    async with (
        WireServer(pages[0], Reply(500), pages[1], pages[2]) as server,
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
        assert await numbers(paginator) == [3, 13]
        assert server.connections == 1
