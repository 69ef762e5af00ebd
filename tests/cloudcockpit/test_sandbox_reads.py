"""The CloudCockpit sandbox's lists, details and audit log."""

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
from cloudcockpit_samples import ACTIVE, CUSTOMER, ENTITLEMENT, ENVELOPE, SUBSCRIPTIONS_PATH, SUSPENDED, send, status_of
from wire import FakeTime

from cloudcockpit_sdk import (
    BadRequestError,
    NotFoundError,
    OfferType,
    SubscriptionStatus,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox

AZURE_PLAN: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.AZURE_PLAN_ID}
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
