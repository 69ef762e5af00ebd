"""Own data in the CloudCockpit sandbox."""

from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any, get_type_hints
from uuid import UUID, uuid4

import pytest
from attrs import evolve, fields, resolve_types
from cases import goes_through
from cloudcockpit_samples import CUSTOMER, send

from cloudcockpit_sdk import Subscription, SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, samples
from cloudcockpit_sdk.sandbox.fields import SubscriptionFields

TODAY = date(2026, 1, 15)


def test_the_fields_that_can_be_given_are_those_of_the_model() -> None:
    model: Any = Subscription
    assert get_type_hints(SubscriptionFields) == {field.name: field.type for field in fields(resolve_types(model))}


async def test_own_data_in_a_line_each() -> None:
    async with CloudCockpitSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        customer = uuid4()
        owned = sandbox.add_subscription(customer_id=customer, status=SubscriptionStatus.SUSPENDED, quantity=3)
        assert await client.get_subscription(customer_id=customer, subscription_id=owned.id) == owned
        assert (await client.list_customer_subscriptions(customer_id=customer)).total_count == 1
        entitlement = sandbox.add_entitlement(name="Tests")
        listed = await client.list_azure_entitlements(**CUSTOMER, subscription_id=sandbox.AZURE_PLAN_ID)
        assert [each.id for each in listed] == [sandbox.ENTITLEMENT_ID, entitlement.id]
        sandbox.add_subscription(id=owned.id, name="Renamed")
        assert sandbox.subscriptions[owned.id].name == "Renamed"
        assert len(sandbox.subscriptions) == 8


async def test_what_takes_the_place_of_another_has_nothing_of_it() -> None:
    """Neither a change or migration that is under way, nor a budget or an owner."""
    async with CloudCockpitSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        ids = {"customer_id": sandbox.CUSTOMER_ID, "subscription_id": sandbox.ACTIVE_SUBSCRIPTION_ID}
        await client.suspend_subscription(**ids)
        sandbox.budgets[sandbox.ACTIVE_SUBSCRIPTION_ID] = Decimal(5)
        sandbox.add_subscription(id=sandbox.ACTIVE_SUBSCRIPTION_ID, status=SubscriptionStatus.ACTIVE)
        assert [(await client.get_subscription(**ids)).status for _ in range(5)] == [SubscriptionStatus.ACTIVE] * 5
        assert sandbox.budgets == {}
        sandbox.owners[sandbox.ACTIVE_SUBSCRIPTION_ID] = {"a@example.com"}
        await send(sandbox, "/_sandbox/state", method="PUT", data=b"{}")
        assert (sandbox.subscriptions, sandbox.owners) == ({}, {})


@pytest.mark.parametrize("name", ["StartDate", "EndDate"])
async def test_lists_are_sorted_by_dates_that_may_be_missing(name: str) -> None:
    async with CloudCockpitSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        dateless = sandbox.add_subscription(start_date=None, end_date=None)
        assert (await client.list_subscriptions(sort_property_name=name)).items[0].id == dateless.id


WRONG: list[tuple[Callable[[CloudCockpitSandbox], object], str]] = [
    (lambda s: s.add_subscription(state="x"), "state"),
    (lambda s: s.add_subscription(id="x"), "id"),
    (lambda s: s.add_subscription(status=None), "status"),
    (lambda s: s.add_subscription(quantity="5"), "quantity"),
    (lambda s: s.add_subscription(offer=None), "offer: expected a mapping"),
    (lambda s: s.add_subscription(offer={"id": 5, "name": "x"}), "offer: expected a mapping"),
    (lambda s: s.add_subscription(offer={"id": "x", "name": "x", "offerType": "License"}), "offerType"),
    (lambda s: s.add_subscription(offer={"id": "x", "name": "x", "offerType": {"name": 5}}), "offerType"),
    (lambda s: s.add_entitlement(plan_id=UUID(int=1)), "there is no subscription 00000000"),
]


@goes_through(("add", "problem"), WRONG)
def test_bad_data_is_refused_when_it_is_given(add: Callable[[CloudCockpitSandbox], object], problem: str) -> None:
    sandbox = CloudCockpitSandbox(today=TODAY)
    before = sandbox.show_state()
    with pytest.raises((TypeError, ValueError), match=problem):
        add(sandbox)
    assert sandbox.show_state() == before


SAMPLE = samples.entitlement(TODAY)


@goes_through(
    ("seed", "problem"),
    [
        ({"subscriptions": [{}]}, "subscription must be a Subscription"),
        ({"subscriptions": [evolve(SAMPLE, offer={"id": "x"})]}, "offer: expected a mapping"),
        ({"subscriptions": [evolve(SAMPLE, name=5)]}, "name"),
        ({"entitlements": {UUID(int=1): [SAMPLE]}}, "there is no subscription"),
        ({"settle_after": -1}, "settle_after"),
        ({"token_lifetime": 0}, "token_lifetime"),
    ],
)
def test_a_sandbox_is_not_created_with_bad_data(seed: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        CloudCockpitSandbox(today=TODAY, **seed)
