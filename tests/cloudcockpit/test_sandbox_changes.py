"""The CloudCockpit sandbox's rules for changes, and the reads that asynchronous ones take."""

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from attrs import evolve
from cases import goes_through
from cloudcockpit_samples import (
    ACTIVE,
    CHANGES,
    CUSTOMER,
    ENTITLEMENT,
    ENVELOPE,
    MIGRATION,
    SUBSCRIPTIONS_PATH,
    SUSPENDED,
    send,
    status_of,
)

from cloudcockpit_sdk import (
    ApiError,
    BadRequestError,
    BillingFrequency,
    CancelConflict,
    ConflictError,
    Done,
    MarginRule,
    MonthlyBudget,
    NotFoundError,
    SubscriptionStatus,
    TermDuration,
    operations,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, LedgerEntry

LOCKED: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.LOCKED_SUBSCRIPTION_ID}
LEGACY: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.LEGACY_SUBSCRIPTION_ID}


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
            await client.call(operations.UPDATE_SUBSCRIPTION, **ACTIVE, body={**CHANGES, **change})
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


async def test_an_owner_of_an_azure_subscription_is_one_however_often_it_is_granted() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        for email in ("anna+it@example.com", "anna+it@example.com", "bj\u00f6rn/x@example.com"):
            reply = await client.call_with_reply(operations.GRANT_OWNER_ACCESS, **ENTITLEMENT, user_email=email)
            assert (reply.status, type(reply.value)) == (204, Done)
        assert sandbox.owners == {sandbox.ENTITLEMENT_ID: {"anna+it@example.com", "bj\u00f6rn/x@example.com"}}
        assert sandbox.ledger[0] == LedgerEntry(
            "grant_owner_access", {**ENTITLEMENT, "user_email": "anna+it@example.com"}
        )
        (entry, *_) = (await client.list_audit_logs()).items
        assert (entry["operation"], entry["subscriptionId"]) == ("GrantOwnerAccess", str(sandbox.ENTITLEMENT_ID))


@pytest.mark.parametrize(
    ("ids", "email", "error", "code"),
    [
        (ENTITLEMENT, "anna", BadRequestError, "ValidationError"),
        (ENTITLEMENT, "@example.com", BadRequestError, "ValidationError"),
        (ACTIVE, "anna@example.com", BadRequestError, "InvalidSubscription"),
        ({**ENTITLEMENT, "customer_id": uuid4()}, "anna@example.com", NotFoundError, "NotFound"),
        ({**ACTIVE, "customer_id": uuid4()}, "anna@example.com", NotFoundError, "NotFound"),
    ],
    ids=["no address", "no name", "no Azure subscription", "another customer's", "another customer's license"],
)
async def test_owner_access_that_can_not_be_granted_is_refused(
    ids: dict[str, Any], email: str, error: type[ApiError], code: str
) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(error) as caught:
            await client.grant_owner_access(**ids, user_email=email)
        assert (caught.value.code, sandbox.owners, sandbox.ledger) == (code, {}, [])
        assert email not in str(caught.value)


@goes_through(
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
