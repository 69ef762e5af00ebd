"""Own data: what a test adds to the sandbox in a line, or brings along as JSON."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Unpack
from uuid import UUID, uuid4

from attrs import evolve

from cloudcockpit_sdk.models import Subscription
from cloudcockpit_sdk.sandbox import samples
from cloudcockpit_sdk.sandbox.fields import SubscriptionFields
from cloudcockpit_sdk.sandbox.state import PendingChange, State
from sdk_core import codec
from sdk_core.arguments import uuid_id, whole_number
from sdk_core.sandbox.seeds import Seeds, checked

__all__ = ["Seeding"]


class Seeding(State):
    """Adds data; each value is checked, so that it can be served, when it is given.

    What has the id of something that is there already takes its place.
    """

    def add_subscription(self, **fields: Unpack[SubscriptionFields]) -> Subscription:
        """Add a subscription: an active license of CUSTOMER_ID, unless the fields say otherwise.

        Args:
            **fields: those of Subscription; what is not given gets a default, the id included. An `offer` is a mapping
                of `id`, `name` and, if it is no License, `offerType`, like `{"name": "AzurePlan"}`.

        Raises:
            ValueError, TypeError: a field is unknown, or not as documented.
        """
        return self._put_subscription(evolve(samples.subscription(self.today, fields.get("id") or uuid4()), **fields))

    def add_entitlement(
        self, *, plan_id: UUID = samples.SampleIds.AZURE_PLAN_ID, **fields: Unpack[SubscriptionFields]
    ) -> Subscription:
        """Add an Azure entitlement.

        Args:
            plan_id: id of the subscription it belongs to, an Azure plan.
            **fields: those of Subscription; what is not given gets a default, the id included.

        Raises:
            ValueError, TypeError: a field is unknown, or not as documented; or there is no such subscription.
        """
        default = evolve(samples.entitlement(self.today), id=uuid4())
        return self._put_entitlement(plan_id, evolve(default, **fields))

    def seeds(self) -> Mapping[str, Seeds]:
        """Return the kinds of data by their names in JSON; what others belong to comes first."""
        return {
            "subscriptions": Seeds(
                Subscription,
                self.add_subscription,
                lambda: (({}, subscription) for subscription in self.subscriptions.values()),
                self._clear_subscriptions,
            ),
            "entitlements": Seeds(
                Subscription,
                self.add_entitlement,
                lambda: (({"plan_id": plan}, each) for plan, owned in self.entitlements.items() for each in owned),
                self.entitlements.clear,
                keys={"plan_id": uuid_id},
            ),
        }

    def check_settings(self) -> None:
        """Refuse numbers below 0."""
        whole_number("settle_after", self.settle_after, 0)
        whole_number("token_lifetime", self.token_lifetime, 1)

    def _fill(
        self, subscriptions: Iterable[Subscription] | None, entitlements: Mapping[UUID, Iterable[Subscription]] | None
    ) -> None:
        """Fill the state with the samples, and put what the sandbox is created with in their place."""
        self.check_settings()
        self.subscriptions: dict[UUID, Subscription] = {
            sample.id: sample for sample in samples.subscriptions(self.today)
        }
        self.entitlements: dict[UUID, list[Subscription]] = {self.AZURE_PLAN_ID: [samples.entitlement(self.today)]}
        self.budgets: dict[UUID, Decimal | None] = {}
        self.owners: dict[UUID, set[str]] = {}
        self._pending: dict[UUID, PendingChange] = {}
        self._migrations: dict[UUID, tuple[PendingChange, UUID]] = {}
        if subscriptions is not None:
            self.subscriptions = {}
            for subscription in subscriptions:
                self._put_subscription(subscription)
            if self.AZURE_PLAN_ID not in self.subscriptions:
                self.entitlements = {}
        if entitlements is not None:
            self.entitlements = {}
            for plan, owned in entitlements.items():
                for entitlement in owned:
                    self._put_entitlement(plan, entitlement)

    def _put_subscription(self, subscription: Subscription) -> Subscription:
        subscription = _checked(subscription)
        with self.lock:
            self.subscriptions[subscription.id] = subscription
            # What was asked for the one that was there before is not about this one.
            for owned in (self.budgets, self.owners, self._pending, self._migrations):
                owned.pop(subscription.id, None)
        return subscription

    def _put_entitlement(self, plan_id: UUID, entitlement: Subscription) -> Subscription:
        plan, entitlement = uuid_id("plan_id", plan_id), _checked(entitlement)
        with self.lock:
            if plan not in self.subscriptions:
                raise ValueError(f"there is no subscription {plan}: add it first")
            kept = [other for other in self.entitlements.get(plan, []) if other.id != entitlement.id]
            self.entitlements[plan] = [*kept, entitlement]
        return entitlement

    def _clear_subscriptions(self) -> None:
        for each in (self.subscriptions, self.budgets, self.owners, self._pending, self._migrations):
            each.clear()


def _checked(subscription: Subscription) -> Subscription:
    """Return a subscription that can be served: lists show parts of its offer."""
    subscription = checked("subscription", subscription, Subscription)
    offer = codec.as_object(subscription.offer)
    if not all(isinstance(offer.get(name), str) for name in ("id", "name")):
        raise ValueError('subscription: offer: expected a mapping with texts "id" and "name"')
    if "offerType" in offer and not isinstance(codec.as_object(offer["offerType"]).get("name"), str):
        raise ValueError('subscription: offer: expected an "offerType" like {"name": "AzurePlan"}')
    return subscription
