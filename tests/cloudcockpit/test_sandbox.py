"""The CloudCockpit sandbox: paging, work that takes a while, tokens, refusals. (Faults: the Membership sandbox's.)"""

from datetime import date
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import ClientSession
from wire import FakeTime

from cloudcockpit_sdk import (
    AuthenticationError,
    BadRequestError,
    ClientCredentials,
    CloudCockpitClient,
    ConnectionFailedError,
    NotFoundError,
    Outcome,
    RetryPolicy,
    SubscriptionStatus,
    correlation_scope,
    operations,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault, LedgerEntry
from sdk_core.auth import jwt_expiry

CUSTOMER: dict[str, Any] = {"customer_id": CloudCockpitSandbox.CUSTOMER_ID}
ACTIVE: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID}
SUSPENDED: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID}
SUBSCRIPTIONS_PATH = f"/v1/customers/{CloudCockpitSandbox.CUSTOMER_ID}/subscriptions"
ENVELOPE = {"statusCode", "type", "description", "correlationId", "errors"}


async def status_of(client: CloudCockpitClient, ids: dict[str, UUID]) -> SubscriptionStatus:
    return (await client.get_subscription(**ids)).status


async def send(sandbox: CloudCockpitSandbox, path: str, **headers: str) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {sandbox.issue_token()}", "X-Tenant": sandbox.TENANT}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with ClientSession() as session, session.get(sandbox.url + path, headers=sent) as response:
        return response.status, await response.json() if response.content_length else await response.read()


async def ask_for_token(sandbox: CloudCockpitSandbox, **changes: str) -> tuple[int, Any]:
    form = {
        "client_id": sandbox.CLIENT_ID,
        "client_secret": sandbox.CLIENT_SECRET,
        "scope": sandbox.credentials.scope,
        "grant_type": "client_credentials",
    }
    async with ClientSession() as session, session.post(sandbox.token_url, data=form | changes) as response:
        return response.status, await response.json()


def test_every_operation_has_a_method_of_its_name() -> None:
    assert [o.name for o in operations.OPERATIONS if not hasattr(CloudCockpitSandbox, o.name)] == []


async def test_subscriptions_come_in_pages() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        pages = [page async for page in client.iter_customer_subscriptions(**CUSTOMER, page_size=3).pages()]
        assert [len(page.items) for page in pages] == [3, 3, 1]
        assert [item.id for page in pages for item in page.items] == list(sandbox.subscriptions)
        assert {(page.total_pages, page.total_count) for page in pages} == {(3, 7)}
        assert [page.has_next_page for page in pages] == [True, True, False]
        beyond = await client.list_customer_subscriptions(**CUSTOMER, page_number=9, page_size=3)
        assert (beyond.items, beyond.has_next_page, beyond.total_count) == ((), False, 7)


async def test_lists_and_details_use_the_documented_names() -> None:
    async with CloudCockpitSandbox(today=date(2026, 1, 15)) as sandbox:
        status, page = await send(sandbox, SUBSCRIPTIONS_PATH + "?pageSize=2")
        assert status == 200
        assert {name: page[name] for name in page if name != "items"} == {
            "totalPages": 4,
            "totalCount": 7,
            "hasNextPage": True,
            "continuationToken": None,
        }
        item = page["items"][1]
        assert (item["subscriptionStatus"], item["termDuration"]) == ({"name": "Suspended"}, {"name": "OneYear"})
        assert (item["offerName"], item["endDate"]) == ("Exchange Online (Plan 1)", "2026-12-02T00:00:00+00:00")
        status, detail = await send(sandbox, f"{SUBSCRIPTIONS_PATH}/{item['id']}")
        assert (detail["status"], detail["name"]) == ({"name": "Suspended"}, item["subscriptionName"])


async def test_lists_are_filtered_by_reseller_and_offer() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        page = await client.list_customer_subscriptions(**CUSTOMER, reseller_id=sandbox.RESELLER_ID)
        assert {item.reseller_id for item in page.items} == {sandbox.RESELLER_ID}
        assert page.total_count == 3
        page = await client.list_customer_subscriptions(**CUSTOMER, offer_id=sandbox.OFFER_ID)
        assert [item.id for item in page.items] == [sandbox.ACTIVE_SUBSCRIPTION_ID]
        page = await client.list_customer_subscriptions(**CUSTOMER, offer_id=uuid4())
        assert (page.items, page.total_pages) == ((), 0)


@pytest.mark.parametrize(
    ("name", "attribute"),
    [
        ("Offer.Name", "offer_name"),
        ("Status", "subscription_status"),
        ("StartDate", "start_date"),
        ("EndDate", "end_date"),
    ],
)
async def test_lists_are_sorted_by_each_documented_property(name: str, attribute: str) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        page = await client.list_customer_subscriptions(**CUSTOMER, sort_property_name=name)
        values = [getattr(item, attribute) for item in page.items]
        assert values == sorted(values)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("pageSize=2001", "pageSize"),
        ("pageNumber=0", "pageNumber"),
        ("pageNumber=one", "pageNumber"),
        ("resellerId=me", "resellerId"),
        ("sortPropertyName=Price", "sortPropertyName"),
    ],
)
async def test_a_query_that_makes_no_sense_is_400_and_names_the_parameter(query: str, field: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        status, envelope = await send(sandbox, f"{SUBSCRIPTIONS_PATH}?{query}")
        assert (status, set(envelope), envelope["statusCode"]) == (400, ENVELOPE, 400)
        assert [error["propertyName"] for error in envelope["errors"]] == [field]


@pytest.mark.parametrize("reads", [0, 2])
async def test_a_reactivated_subscription_is_active_after_the_reads_asked_for(reads: int) -> None:
    async with CloudCockpitSandbox(settle_after=reads) as sandbox, sandbox.client() as client:
        reply = await client.call_with_reply(operations.REACTIVATE_SUBSCRIPTION, **SUSPENDED)
        assert (reply.status, reply.value.correlation_id) == (202, reply.correlation_id)
        seen = [await status_of(client, SUSPENDED) for _ in range(reads + 2)]
        assert seen == [SubscriptionStatus.SUSPENDED] * reads + [SubscriptionStatus.ACTIVE] * 2
        assert sandbox.ledger == [LedgerEntry("reactivate_subscription", SUSPENDED)]


async def test_a_suspended_subscription_takes_its_time_too() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        await client.suspend_subscription(**ACTIVE)
        assert [str(await status_of(client, ACTIVE)) for _ in range(2)] == ["Active", "Suspended"]
        assert sandbox.ledger == [LedgerEntry("suspend_subscription", ACTIVE)]


async def test_reading_by_list_counts_as_reading() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        await client.reactivate_subscription(**SUSPENDED)
        pages = [await client.list_customer_subscriptions(**CUSTOMER) for _ in range(2)]
        assert [str(page.items[1].subscription_status) for page in pages] == ["Suspended", "Active"]


async def test_only_suspended_ones_can_be_reactivated_and_only_active_ones_suspended() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        expired = {**CUSTOMER, "subscription_id": sandbox.EXPIRED_SUBSCRIPTION_ID}
        for call in (
            client.reactivate_subscription(**ACTIVE),
            client.reactivate_subscription(**expired),
            client.suspend_subscription(**SUSPENDED),
        ):
            with pytest.raises(BadRequestError) as caught:
                await call
            assert caught.value.code == "InvalidStatus"
        assert sandbox.ledger == []


async def test_the_envelope_echoes_the_correlation_id() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with correlation_scope("6d9b3a80-0000-4000-8000-000000000000"), pytest.raises(BadRequestError) as caught:
            await client.reactivate_subscription(**ACTIVE)
        assert caught.value.details.trace_id == "6d9b3a80-0000-4000-8000-000000000000"
        status, envelope = await send(sandbox, "/nowhere")
        assert (status, set(envelope)) == (404, ENVELOPE)
        assert UUID(envelope["correlationId"]).version == 4


async def test_foreign_customers_and_subscriptions_are_not_found() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        for call in (
            client.list_customer_subscriptions(customer_id=uuid4()),
            client.get_subscription(**{**ACTIVE, "customer_id": uuid4()}),
            client.get_subscription(**{**ACTIVE, "subscription_id": uuid4()}),
            client.suspend_subscription(**{**ACTIVE, "customer_id": uuid4()}),
            client.reactivate_subscription(**{**SUSPENDED, "subscription_id": uuid4()}),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.details.recognised
        assert sandbox.ledger == []


async def test_a_missing_or_foreign_tenant_is_400_and_names_the_header() -> None:
    async with CloudCockpitSandbox() as sandbox:
        for tenant in ("", "other.example.com"):
            status, envelope = await send(sandbox, SUBSCRIPTIONS_PATH, X_Tenant=tenant)
            assert (status, envelope["errors"][0]["propertyName"]) == (400, "X-Tenant")


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer forged", "Basic abc"])
async def test_a_bad_bearer_is_401_without_a_body(authorization: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        assert await send(sandbox, SUBSCRIPTIONS_PATH, Authorization=authorization) == (401, b"")


async def test_tokens_are_jwts_that_expire_by_the_sandboxs_clock(fake_time: FakeTime) -> None:
    async with CloudCockpitSandbox(token_lifetime=60, clock=fake_time.clock) as sandbox:
        token = sandbox.issue_token()
        assert jwt_expiry(token) == fake_time.now + 60
        async with sandbox.client(token=token) as client:
            await client.get_subscription(**ACTIVE)
            fake_time.now += 60
            with pytest.raises(AuthenticationError):
                await client.get_subscription(**ACTIVE)


async def test_one_token_serves_all_calls_until_it_is_expired_early() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        await client.get_subscription(**ACTIVE)
        await client.get_subscription(**ACTIVE)
        assert sandbox.token_requests == 1
        sandbox.expire_tokens()
        reply = await client.call_with_reply(operations.GET_SUBSCRIPTION, **ACTIVE)
        assert [attempt.status for attempt in reply.attempts] == [401, 200]
        assert sandbox.token_requests == 2


async def test_the_token_endpoint_answers_as_documented() -> None:
    async with CloudCockpitSandbox() as sandbox:
        status, answer = await ask_for_token(sandbox)
        token = answer.pop("access_token")
        assert (status, answer) == (200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599})
        assert token.count(".") == 2
        assert sandbox.requests == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"scope": "api://other/.default"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_the_token_endpoint_refuses_in_oauth_words(change: dict[str, str], status: int, code: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        assert await ask_for_token(sandbox, **change) == (status, {"error": code})


async def test_wrong_credentials_fail_the_call_before_anything_reaches_the_api() -> None:
    async with CloudCockpitSandbox() as sandbox:
        wrong = ClientCredentials(sandbox.CLIENT_ID, "wrong", token_url=sandbox.token_url)
        async with sandbox.client(token=wrong) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.reactivate_subscription(**SUSPENDED)
        assert (caught.value.outcome, caught.value.code) == (Outcome.NOT_SENT, "invalid_client")
        assert sandbox.requests == []


async def test_only_faults_that_name_the_token_endpoint_reach_it() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy.none()) as client:
        sandbox.fail(Fault.drop(after_applying=True))
        with pytest.raises(ConnectionFailedError) as caught:
            await client.reactivate_subscription(**SUSPENDED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert (sandbox.token_requests, len(sandbox.ledger)) == (1, 1)
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy.none()) as client:
        sandbox.fail(Fault.status(503, retry_after=4), operation="token")
        with pytest.raises(AuthenticationError) as caught_too:
            await client.reactivate_subscription(**SUSPENDED)
        assert (caught_too.value.code, caught_too.value.retry_after) == ("temporarily_unavailable", 4)
        assert sandbox.ledger == []


async def test_an_empty_202_can_be_truncated_too() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.truncated())
        with pytest.raises(ConnectionFailedError) as caught:
            await client.reactivate_subscription(**SUSPENDED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == 1


async def test_state_can_be_brought_along() -> None:
    own = [CloudCockpitSandbox().subscriptions[CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID]]
    async with CloudCockpitSandbox(subscriptions=own) as sandbox, sandbox.client() as client:
        assert (await client.list_customer_subscriptions(**CUSTOMER)).total_count == 1
        assert await client.get_subscription(**ACTIVE) == own[0]


async def test_what_requests_look_like_in_a_report_holds_no_token() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        await client.get_subscription(**ACTIVE)
        (request,) = sandbox.requests
        assert "Bearer" in request.headers["authorization"]
        assert "Bearer" not in repr(request)
