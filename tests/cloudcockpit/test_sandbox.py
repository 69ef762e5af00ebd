"""The CloudCockpit sandbox: paging, work that takes a while, tokens, refusals. (Faults: the Membership sandbox's.)"""

import asyncio
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import ClientSession
from attrs import evolve
from wire import FakeTime

from cloudcockpit_sdk import (
    AuthenticationError,
    BadRequestError,
    BillingFrequency,
    CancelConflict,
    ClientCredentials,
    CloudCockpitClient,
    ConflictError,
    ConnectionFailedError,
    MarginRule,
    MonthlyBudget,
    NotFoundError,
    OfferType,
    Outcome,
    RetryPolicy,
    SubscriptionStatus,
    TermDuration,
    correlation_scope,
    operations,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault, LedgerEntry
from sdk_core.auth import jwt_expiry

CUSTOMER: dict[str, Any] = {"customer_id": CloudCockpitSandbox.CUSTOMER_ID}
ACTIVE: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID}
SUSPENDED: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID}
LOCKED: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.LOCKED_SUBSCRIPTION_ID}
LEGACY: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.LEGACY_SUBSCRIPTION_ID}
AZURE_PLAN: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.AZURE_PLAN_ID}
ENTITLEMENT: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.ENTITLEMENT_ID}
NOBODYS: dict[str, Any] = {**CUSTOMER, "subscription_id": uuid4()}
CHANGES: dict[str, Any] = {"name": "Ours", "quantity": 30, "nextBillingFrequency": {"name": "Annual"}}
MIGRATION: dict[str, Any] = {"purchase_full_term": True, "quantity": 7, "term_duration": "ThreeYears"}
SUBSCRIPTIONS_PATH = f"/v1/customers/{CloudCockpitSandbox.CUSTOMER_ID}/subscriptions"
DETAIL = """
    id customerId providerInstanceId resellerId name providerSubscriptionId status startDate endDate
    cancellationAllowedUntil quantity termDuration billingFrequency nextBillingFrequency segment
    autoRenewEnabled autoRenewSettings margin internalId poNumber offer offerPrice providerData
"""
ITEM = """
    id orderId offerId customerId providerInstanceId resellerId subscriptionName offerName offerType
    isAddonOffer isTrialOffer providerOfferId subscriptionStatus startDate endDate cancellationAllowedUntil
    quantity assignedLicenses listPrice revenuePrice erpPrice customMargin billingFrequency termDuration segment
"""
TRANSITION = """
    destinationSubscriptionId destinationProviderSubscriptionId offerName offerDescription offerId providerOfferId
    providerOfferIdWithAvailability imageUrl quantity termDuration billingFrequency transitionType transitionEvents
"""
ENVELOPE = {"statusCode", "type", "description", "correlationId", "errors"}


async def status_of(client: CloudCockpitClient, ids: dict[str, UUID]) -> SubscriptionStatus:
    return (await client.get_subscription(**ids)).status


async def send(
    sandbox: CloudCockpitSandbox, path: str, method: str = "GET", data: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {sandbox.issue_token()}", "X-Tenant": sandbox.TENANT}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession() as session,
        session.request(method, sandbox.url + path, headers=sent, data=data) as response,
    ):
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


async def test_all_customers_subscriptions_are_listed_and_none_is_anothers() -> None:
    own = CloudCockpitSandbox().subscriptions[CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID]
    other = evolve(own, id=uuid4(), customer_id=uuid4())
    async with CloudCockpitSandbox(subscriptions=[own, other]) as sandbox, sandbox.client() as client:
        assert [item.id async for item in client.iter_subscriptions(page_size=1)] == [own.id, other.id]
        page = await client.list_subscriptions(sort_property_name="Status")
        assert {item.customer_id for item in page.items} == {own.customer_id, other.customer_id}
        assert (await client.list_customer_subscriptions(**CUSTOMER)).total_count == 1
        with pytest.raises(NotFoundError):
            await client.get_subscription(**CUSTOMER, subscription_id=other.id)


async def test_an_update_shows_after_a_while() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        await client.update_subscription(**ACTIVE, changes=CHANGES)
        seen = [await client.get_subscription(**ACTIVE) for _ in range(2)]
        assert [(one.name, one.quantity) for one in seen][1] == ("Ours", 30)
        assert seen[0].quantity == 25
        assert sandbox.ledger == [LedgerEntry("update_subscription", {**ACTIVE, "body": CHANGES})]


@pytest.mark.parametrize(
    ("change", "field"),
    [({"quantity": "30"}, "quantity"), ({"quantity": -1}, "quantity"), ({"name": "x" * 256}, "name")],
)
async def test_an_update_that_makes_no_sense_is_refused(change: dict[str, Any], field: str) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(BadRequestError) as caught:
            await client.update_subscription(**ACTIVE, changes={**CHANGES, **change})
        assert caught.value.details.fields[0].name == field
        for name in CHANGES:
            with pytest.raises(BadRequestError, match="ValidationError"):
                await client.update_subscription(**ACTIVE, changes={k: v for k, v in CHANGES.items() if k != name})
        assert sandbox.ledger == []


async def test_a_canceled_subscription_is_deleted_after_a_while_and_can_not_be_canceled_again() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        await client.cancel_subscription(**ACTIVE)
        assert [str(await status_of(client, ACTIVE)) for _ in range(2)] == ["Active", "Deleted"]
        with pytest.raises(BadRequestError, match="InvalidStatus"):
            await client.cancel_subscription(**ACTIVE)
        assert sandbox.ledger == [LedgerEntry("cancel_subscription", ACTIVE)]


async def test_a_cancellation_that_comes_too_late_is_409_with_a_body_of_its_own() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(ConflictError) as caught:
            await client.cancel_subscription(**LOCKED)
        conflict = CancelConflict.of(caught.value)
        assert conflict is not None
        assert set(conflict.portal_subscription) == {
            "name",
            "quantity",
            "nextBillingFrequency",
            "autoRenewEnabled",
            "autoRenewSettings",
        }
        assert sandbox.ledger == []


async def test_until_its_last_day_a_subscription_can_be_canceled() -> None:
    sandbox = CloudCockpitSandbox(today=date(2026, 1, 15))
    late = evolve(
        sandbox.subscriptions[sandbox.LOCKED_SUBSCRIPTION_ID],
        cancellation_allowed_until=datetime(2026, 1, 15, tzinfo=UTC),
    )
    sandbox.subscriptions[late.id] = late
    async with sandbox, sandbox.client() as client:
        await client.cancel_subscription(**LOCKED)
        assert len(sandbox.ledger) == 1


@pytest.mark.parametrize(
    ("operation", "ids", "arguments"),
    [
        (operations.SUSPEND_SUBSCRIPTION, ACTIVE, {}),
        (operations.REACTIVATE_SUBSCRIPTION, SUSPENDED, {}),
        (operations.CANCEL_SUBSCRIPTION, ACTIVE, {}),
        (operations.UPDATE_SUBSCRIPTION, ACTIVE, {"body": CHANGES}),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
async def test_a_double_is_refused_while_the_first_is_worked_on(
    operation: Any, ids: dict[str, Any], arguments: dict[str, Any]
) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        runs = [client.call(operation, **ids, **arguments) for _ in range(3)]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        refused = [end for end in ended if isinstance(end, BadRequestError)]
        assert [error.code for error in refused] == ["ChangeInProgress"] * 2
        assert [entry.operation for entry in sandbox.ledger] == [operation.name]


async def test_the_reseller_changes_at_once_and_a_legacy_license_takes_its_contact_along() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        reseller = uuid4()
        assert await client.change_associated_reseller(**LEGACY, reseller_id=reseller)
        assert not await client.change_associated_reseller(**ACTIVE, reseller_id=reseller)
        assert (await client.get_subscription(**ACTIVE)).reseller_id == reseller
        assert sandbox.ledger[1] == LedgerEntry("change_associated_reseller", {**ACTIVE, "body": reseller})
        status, answer = await send(
            sandbox, f"{SUBSCRIPTIONS_PATH}/{sandbox.ACTIVE_SUBSCRIPTION_ID}/associated-reseller", "PATCH", b'"me"'
        )
        assert (status, answer["type"]) == (400, "VALIDATION_ERROR")


async def test_margin_order_number_and_budget_change_at_once_with_204() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        margin = {"marginRule": {"name": "Markup"}}
        await client.change_price_margin(**ACTIVE, margin=margin)
        await client.change_po_number(**ACTIVE, po_number="PO-7")
        await client.change_monthly_budget(**ENTITLEMENT, monthly_budget=Decimal("99.95"))
        assert sandbox.budgets == {sandbox.ENTITLEMENT_ID: Decimal("99.95")}
        reply = await client.call_with_reply(
            operations.CHANGE_MONTHLY_BUDGET,
            **ENTITLEMENT,
            body=MonthlyBudget(monthly_budget=None),
        )
        assert (reply.status, sandbox.budgets) == (204, {sandbox.ENTITLEMENT_ID: None})
        changed = await client.get_subscription(**ACTIVE)
        assert changed.margin is not None
        assert (changed.margin.margin_rule, changed.po_number) == (MarginRule.MARKUP, "PO-7")
        assert sandbox.ledger == [
            LedgerEntry("change_price_margin", {**ACTIVE, "body": margin}),
            LedgerEntry("change_po_number", {**ACTIVE, "body": "PO-7"}),
            LedgerEntry("change_monthly_budget", {**ENTITLEMENT, "monthly_budget": Decimal("99.95")}),
            LedgerEntry("change_monthly_budget", {**ENTITLEMENT, "monthly_budget": None}),
        ]


@pytest.mark.parametrize(
    ("path", "data"),
    [
        ("price-margin", b"{}"),
        ("price-margin", b'{"marginRule":"Markup"}'),
        ("price-margin", b"[]"),
        ("po-number", b"7"),
        ("po-number", b'"' + b"x" * 256 + b'"'),
        ("monthly-budget", b"{}"),
        ("monthly-budget", b'{"monthlyBudget":1}'),
    ],
)
async def test_bodies_that_can_not_be_are_400(path: str, data: bytes) -> None:
    async with CloudCockpitSandbox() as sandbox:
        url = f"{SUBSCRIPTIONS_PATH}/{sandbox.ACTIVE_SUBSCRIPTION_ID}/{path}"
        status, envelope = await send(sandbox, url, "PATCH", data)
        assert (status, set(envelope), sandbox.ledger) == (400, ENVELOPE, [])
        if data == b"[]":
            assert envelope["description"] == "$: expected an object"


async def test_an_upgrade_sends_back_an_eligible_transition_and_is_done_once() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        (transition,) = await client.list_eligible_transitions(**ACTIVE)
        assert (transition.quantity, transition.term_duration) == (25, TermDuration.ONE_YEAR)
        eligible = await client.list_eligible_for_upgrade(**ACTIVE)
        assert sandbox.ACTIVE_SUBSCRIPTION_ID in [item.id for item in eligible]
        await client.upgrade_subscription(**ACTIVE, transition=evolve(transition, quantity=26))
        seen = [await client.get_subscription(**ACTIVE) for _ in range(2)]
        assert [one.quantity for one in seen] == [25, 26]
        assert seen[1].offer["name"] == transition.offer_name
        assert await client.list_eligible_transitions(**ACTIVE) == []
        with pytest.raises(BadRequestError, match="InvalidTransition"):
            await client.upgrade_subscription(**ACTIVE, transition=transition)
        assert len(sandbox.ledger) == 1
        assert sandbox.ledger[0].arguments["quantity"] == 26


async def test_only_what_is_eligible_can_be_upgraded_to() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        (transition,) = await client.list_eligible_transitions(**ACTIVE)
        for ids, asked in ((ACTIVE, evolve(transition, provider_offer_id="mine")), (SUSPENDED, transition)):
            with pytest.raises(BadRequestError, match="InvalidTransition"):
                await client.upgrade_subscription(**ids, transition=asked)
        assert sandbox.ledger == []


@pytest.mark.parametrize("reads", [0, 2])
async def test_a_migration_is_completed_after_the_reads_asked_for(reads: int) -> None:
    async with CloudCockpitSandbox(settle_after=reads) as sandbox, sandbox.client() as client:
        assert not (await client.get_migration_status(**LEGACY)).is_completed
        await client.start_migration(**LEGACY, **MIGRATION)
        seen = [await client.get_migration_status(**LEGACY) for _ in range(reads + 1)]
        assert [status.is_completed for status in seen] == [False] * reads + [True]
        destination = seen[-1].destination_subscription_id
        assert destination is not None
        moved = await client.get_subscription(**CUSTOMER, subscription_id=destination)
        assert (moved.quantity, moved.term_duration) == (7, TermDuration.THREE_YEARS)
        assert (moved.billing_frequency, moved.offer["offerType"]) == (BillingFrequency.MONTHLY, {"name": "License"})
        with pytest.raises(BadRequestError, match="InvalidMigration"):
            await client.start_migration(**LEGACY, **MIGRATION)
        assert sandbox.ledger == [LedgerEntry("start_migration", {**LEGACY, **MIGRATION, "billing_frequency": None})]


async def test_only_a_legacy_license_can_be_migrated() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(BadRequestError, match="InvalidMigration"):
            await client.start_migration(**ACTIVE, **MIGRATION)
        assert not (await client.get_migration_status(**ACTIVE)).is_completed


async def test_azure_entitlements_belong_to_the_plan_and_maybe_to_a_reseller() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        (entitlement,) = await client.list_azure_entitlements(**AZURE_PLAN)
        assert (entitlement.id, entitlement.offer_type) == (sandbox.ENTITLEMENT_ID, OfferType.AZURE_PLAN)
        assert await client.list_azure_entitlements(**AZURE_PLAN, reseller_id=uuid4()) == []
        assert await client.list_azure_entitlements(**ACTIVE) == []


async def test_custom_term_end_dates_are_no_subscription() -> None:
    async with CloudCockpitSandbox(today=date(2026, 1, 15)) as sandbox, sandbox.client() as client:
        dates = await client.get_custom_term_end_dates(**CUSTOMER, query={"anything": "OneYear"})
        assert isinstance(dates, list)
        assert dates[-1] == "2027-01-01T00:00:00+00:00"
        assert sandbox.requests[0].operation == "get_custom_term_end_dates"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", f"{SUBSCRIPTIONS_PATH}/{UUID(int=7)}"),
        ("PATCH", f"{SUBSCRIPTIONS_PATH}/{UUID(int=7)}/monthly-budget"),
        ("GET", f"/v1/customers/{UUID(int=7)}/subscriptions/custom-term-end-dates"),
    ],
)
async def test_where_no_404_is_documented_there_is_none(method: str, path: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        status, envelope = await send(sandbox, path, method, b'{"monthlyBudget":null}')
        assert (status, envelope["type"]) == (400, "NotFound")


async def test_every_operation_on_nobodys_subscription_finds_none() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        (transition,) = await client.list_eligible_transitions(**ACTIVE)
        for call in (
            client.update_subscription(**NOBODYS, changes=CHANGES),
            client.change_associated_reseller(**NOBODYS, reseller_id=uuid4()),
            client.change_price_margin(**NOBODYS, margin={"marginRule": {"name": "Margin"}}),
            client.change_po_number(**NOBODYS, po_number="1"),
            client.list_eligible_transitions(**NOBODYS),
            client.upgrade_subscription(**NOBODYS, transition=transition),
            client.get_migration_status(**NOBODYS),
            client.start_migration(**NOBODYS, **MIGRATION),
            client.list_azure_entitlements(**NOBODYS),
            client.list_eligible_for_upgrade(**NOBODYS),
        ):
            with pytest.raises(NotFoundError):
                await call
        assert sandbox.ledger == []


async def test_the_audit_log_follows_a_change_by_its_correlation_id() -> None:
    async with CloudCockpitSandbox(settle_after=1) as sandbox, sandbox.client() as client:
        accepted = await client.suspend_subscription(**ACTIVE)
        await client.change_po_number(**ACTIVE, po_number="1")
        with pytest.raises(BadRequestError):
            await client.suspend_subscription(**ACTIVE)
        newest, oldest = (await client.list_audit_logs()).items
        assert (newest["operation"], newest["status"]) == ("ChangePoNumber", "Succeded")
        assert (oldest["operation"], oldest["status"]) == ("SuspendSubscription", "Processing")
        assert oldest["correlationId"] == accepted.correlation_id
        assert [item["status"] async for item in client.iter_audit_logs(page_size=1)] == ["Succeded"] * 2
        assert await status_of(client, ACTIVE) == SubscriptionStatus.SUSPENDED
        await client.change_monthly_budget(**ENTITLEMENT, monthly_budget=None)
        assert (await client.list_audit_logs()).items[0]["subscriptionId"] == str(sandbox.ENTITLEMENT_ID)


async def test_the_audit_log_is_filtered(fake_time: FakeTime) -> None:
    async with (
        CloudCockpitSandbox(settle_after=99, token_lifetime=9999, clock=fake_time.clock) as sandbox,
        sandbox.client(token=sandbox.issue_token()) as client,
    ):
        await client.change_po_number(**SUSPENDED, po_number="1")
        fake_time.now += 3600
        await client.suspend_subscription(**ACTIVE)
        now = datetime.fromtimestamp(fake_time.now, UTC)
        for filters, found in (
            ({}, 2),
            ({"operation_names": ["SuspendSubscription", "CreateOrder"]}, 1),
            ({"status": "Failed"}, 0),
            ({"status": "Succeded"}, 1),
            ({"start_date": now - timedelta(minutes=1)}, 1),
            ({"end_date": now - timedelta(minutes=1)}, 1),
            ({"customer": "Example"}, 2),
            ({"customer": "Nobody"}, 0),
            ({"reseller": "Example"}, 1),
            ({"reseller_id": sandbox.RESELLER_ID}, 1),
        ):
            page = await client.list_audit_logs(**filters)
            assert (page.total_count, filters) == (found, filters)
        status, envelope = await send(sandbox, "/v1/AuditLogs?StartDate=2026-01-01")
        assert (status, envelope["errors"][0]["propertyName"]) == (400, "StartDate")


async def test_details_and_items_hold_exactly_the_documented_names() -> None:
    async with CloudCockpitSandbox() as sandbox:
        path = f"{SUBSCRIPTIONS_PATH}/{sandbox.ACTIVE_SUBSCRIPTION_ID}"
        _, detail = await send(sandbox, path)
        assert list(detail) == DETAIL.split()
        _, page = await send(sandbox, "/v1/subscriptions?pageSize=1")
        assert list(page["items"][0]) == ITEM.split()
        _, (transition,) = await send(sandbox, path + "/eligible-transitions")
        assert set(transition) == set(TRANSITION.split())
        _, migration = await send(sandbox, f"{SUBSCRIPTIONS_PATH}/{sandbox.LEGACY_SUBSCRIPTION_ID}/migration")
        assert migration == {
            "isCompleted": False,
            "subscriptionId": str(sandbox.LEGACY_SUBSCRIPTION_ID),
            "destinationSubscriptionId": None,
            "destinationProviderSubscriptionId": None,
        }
