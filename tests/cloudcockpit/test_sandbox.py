"""The CloudCockpit sandbox: its state, its refusals, and the faults that only it can have."""

from typing import Any
from uuid import UUID, uuid4

import pytest
from cloudcockpit_samples import ACTIVE, CHANGES, CUSTOMER, ENVELOPE, MIGRATION, SUBSCRIPTIONS_PATH, SUSPENDED, send

from cloudcockpit_sdk import (
    BadRequestError,
    ConnectionFailedError,
    NotFoundError,
    Outcome,
    correlation_scope,
    operations,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault

NOBODYS: dict[str, Any] = {**CUSTOMER, "subscription_id": uuid4()}


def test_every_operation_has_a_method_of_its_name() -> None:
    assert [o.name for o in operations.OPERATIONS if not hasattr(CloudCockpitSandbox, o.name)] == []


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
            client.grant_owner_access(**NOBODYS, user_email="anna@example.com"),
        ):
            with pytest.raises(NotFoundError):
                await call
        assert sandbox.ledger == []
