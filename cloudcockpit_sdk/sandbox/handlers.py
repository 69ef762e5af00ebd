"""The handler of each operation: what it does to the state, and what it answers."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar
from uuid import UUID, uuid5

from attrs import evolve

from cloudcockpit_sdk.models import (
    BillingFrequency,
    OfferType,
    Subscription,
    SubscriptionStatus,
    TermDuration,
    Transition,
)
from cloudcockpit_sdk.operations import OPERATIONS
from cloudcockpit_sdk.sandbox.answers import (
    NAMESPACE,
    UPGRADE,
    detail,
    list_item,
    migration_status,
    named,
    offer_type,
    page,
    transition,
)
from cloudcockpit_sdk.sandbox.rules import (
    check_cancellation,
    check_email,
    check_po_number,
    check_status,
    check_update,
    has_transition,
    read_margin,
    sort_key,
)
from cloudcockpit_sdk.sandbox.state import AuditEntry, State
from sdk_core.operation import Operation
from sdk_core.sandbox.requests import RefusalError

__all__ = ["Handlers"]


class Handlers(State):
    """One method per operation, with the operation's name and arguments."""

    operations: ClassVar[tuple[Operation[Any], ...]] = OPERATIONS

    def list_customer_subscriptions(
        self,
        *,
        customer_id: UUID,
        page_number: int = 1,
        page_size: int = 25,
        sort_property_name: str | None = None,
        reseller_id: UUID | None = None,
        offer_id: UUID | None = None,
    ) -> dict[str, object]:
        """Return one page of a customer's subscriptions."""
        found = [
            subscription
            for subscription in self._subscriptions_of(customer_id)
            if reseller_id in {None, subscription.reseller_id}
            and (offer_id is None or str(offer_id) == subscription.offer["id"])
        ]
        return self._page_of_subscriptions(found, page_number, page_size, sort_property_name)

    def list_subscriptions(
        self, *, page_number: int = 1, page_size: int = 25, sort_property_name: str | None = None
    ) -> dict[str, object]:
        """Return one page of all customers' subscriptions."""
        return self._page_of_subscriptions([*self.subscriptions.values()], page_number, page_size, sort_property_name)

    def get_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return a subscription."""
        return detail(self._read(self._subscription(customer_id, subscription_id).id))

    def update_subscription(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> None:
        """Accept a new name and quantity; of the other fields only the presence of the required ones is checked."""
        owned = self._subscription(customer_id, subscription_id)
        check_update(body)
        self._accept_change(owned, lambda before: evolve(before, name=body["name"], quantity=body["quantity"]))

    def cancel_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the cancellation of an Active or Suspended subscription, unless the time for it has passed."""
        # The documentation of this operation has no 404.
        owned = self._subscription(customer_id, subscription_id, missing=400)
        check_cancellation(owned, self.today)
        self._change_status(
            owned, {SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED}, SubscriptionStatus.DELETED
        )

    def suspend_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the suspension of an Active subscription."""
        owned = self._subscription(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.ACTIVE}, SubscriptionStatus.SUSPENDED)

    def reactivate_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the reactivation of a Suspended subscription."""
        owned = self._subscription(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.SUSPENDED}, SubscriptionStatus.ACTIVE)

    def change_associated_reseller(self, *, customer_id: UUID, subscription_id: UUID, body: UUID) -> bool:
        """Change the reseller; the support contact of a legacy license changes too."""
        owned = self._subscription(customer_id, subscription_id)
        self.subscriptions[subscription_id] = evolve(owned, reseller_id=body)
        return offer_type(owned) == OfferType.LICENSE_LEGACY

    def change_price_margin(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> HTTPStatus:
        """Change the margin's rule, which is written as in answers: `{"marginRule": {"name": "Markup"}}`."""
        owned = self._subscription(customer_id, subscription_id)
        self.subscriptions[subscription_id] = evolve(owned, margin=read_margin(body))
        return HTTPStatus.NO_CONTENT

    def change_po_number(self, *, customer_id: UUID, subscription_id: UUID, body: str) -> HTTPStatus:
        """Change the purchase order number."""
        owned = self._subscription(customer_id, subscription_id)
        check_po_number(body)
        self.subscriptions[subscription_id] = evolve(owned, po_number=body)
        return HTTPStatus.NO_CONTENT

    def change_monthly_budget(
        self, *, customer_id: UUID, subscription_id: UUID, monthly_budget: Decimal | None
    ) -> HTTPStatus:
        """Change an entitlement's budget; None: no budget."""
        # The documentation of this operation has no 404.
        self._entitlement(customer_id, subscription_id, missing=400)
        self.budgets[subscription_id] = monthly_budget
        return HTTPStatus.NO_CONTENT

    def list_eligible_transitions(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the one offer that all other licenses can be upgraded to."""
        owned = self._subscription(customer_id, subscription_id)
        return [transition(owned)] if has_transition(owned) else []

    def upgrade_subscription(self, *, customer_id: UUID, subscription_id: UUID, **transition: Any) -> None:
        """Accept one of the eligible transitions; offer, quantity, term and billing change."""
        owned = self._subscription(customer_id, subscription_id)
        chosen = Transition(**transition)
        if not has_transition(owned) or chosen.provider_offer_id != UPGRADE["providerOfferId"]:
            raise RefusalError(400, "InvalidTransition", "It is none of the eligible transitions.")

        def upgraded(before: Subscription) -> Subscription:
            return evolve(
                before,
                offer={**before.offer, "id": UPGRADE["offerId"], "name": UPGRADE["offerName"]},
                quantity=chosen.quantity,
                term_duration=chosen.term_duration or before.term_duration,
                billing_frequency=chosen.billing_frequency or before.billing_frequency,
            )

        self._accept_change(owned, upgraded)

    def get_migration_status(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return the state of a migration; it counts as a read of the subscription."""
        self._read(self._subscription(customer_id, subscription_id).id)
        change, destination = self._migrations.get(subscription_id, (None, None))
        completed = change is not None and change.completed
        return migration_status(subscription_id, self.subscriptions[destination] if completed and destination else None)

    def start_migration(
        self,
        *,
        customer_id: UUID,
        subscription_id: UUID,
        purchase_full_term: bool,  # noqa: ARG002  the sandbox has no costs
        quantity: int,
        term_duration: str | None,
        billing_frequency: str | None,
    ) -> None:
        """Accept the migration of a legacy license to a new subscription; what happens to the old one is unknown."""
        owned = self._subscription(customer_id, subscription_id)
        if offer_type(owned) != OfferType.LICENSE_LEGACY or subscription_id in self._migrations:
            raise RefusalError(400, "InvalidMigration", "Only a legacy license can be migrated, and only once.")
        destination = uuid5(NAMESPACE, f"destination {subscription_id}")

        def migrated(before: Subscription) -> Subscription:
            self.subscriptions[destination] = evolve(
                before,
                id=destination,
                provider_subscription_id=str(destination),
                quantity=quantity,
                term_duration=before.term_duration if term_duration is None else TermDuration(term_duration),
                billing_frequency=before.billing_frequency
                if billing_frequency is None
                else BillingFrequency(billing_frequency),
                offer={**before.offer, "offerType": named(OfferType.LICENSE)},
            )
            return before

        self._migrations[subscription_id] = self._accept_change(owned, migrated), destination

    def list_azure_entitlements(
        self, *, customer_id: UUID, subscription_id: UUID, reseller_id: UUID | None = None
    ) -> list[dict[str, object]]:
        """Return the entitlements; a subscription that is no Azure plan has none."""
        owned = self.entitlements.get(self._subscription(customer_id, subscription_id).id, [])
        return [list_item(entitlement) for entitlement in owned if reseller_id in {None, entitlement.reseller_id}]

    def list_eligible_for_upgrade(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the customer's subscriptions that have a transition; what the real API means by this is unknown."""
        self._subscription(customer_id, subscription_id)
        return [list_item(owned) for owned in self._subscriptions_of(customer_id) if has_transition(owned)]

    def get_custom_term_end_dates(self, *, customer_id: UUID, query: Mapping[str, str]) -> list[datetime]:  # noqa: ARG002  its names are unknown
        """Return the end dates of the customer's subscriptions. The shape is made up: the API's is not known."""
        # The documentation of this operation has no 404.
        owned = self._subscriptions_of(customer_id, missing=400)
        return sorted({end for subscription in owned if (end := subscription.end_date) is not None})

    def grant_owner_access(self, *, customer_id: UUID, subscription_id: UUID, user_email: str) -> HTTPStatus:
        """Make somebody an owner of an Azure subscription: an entitlement of an Azure plan. What isn't one is 400."""
        if subscription_id in self.subscriptions:
            self._subscription(customer_id, subscription_id)
            raise RefusalError(400, "InvalidSubscription", "It is no Azure subscription.")
        self._entitlement(customer_id, subscription_id)
        check_email(user_email)
        self.owners.setdefault(subscription_id, set()).add(user_email)
        return HTTPStatus.NO_CONTENT

    def list_audit_logs(
        self,
        *,
        page_number: int = 1,
        page_size: int = 25,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        operations: str | None = None,
        status: str | None = None,
        reseller: str = "",
        customer: str = "",
        reseller_id: UUID | None = None,
    ) -> dict[str, object]:
        """Return one page, newest first: an entry for each accepted change. It counts as a read of all subscriptions.

        The fields of the items and the names of the operations (`SuspendSubscription`) are made up: the API's are not
        known. No entry has the status Failed: the sandbox applies every change that it accepts.
        """
        for number in [*self._pending]:
            self._read(number)
        first = start_date or self.clock.now() - timedelta(days=31)
        last = end_date or self.clock.now()
        names = None if operations is None else operations.split("|")
        items = [_audit_item(entry) for entry in reversed(self._audit) if first <= entry.moment <= last]
        found = [
            item
            for item in items
            if (names is None or item["operation"] in names)
            and status in {None, item["status"]}
            and reseller in item["reseller"]
            and customer in item["customer"]
            and reseller_id in {None, item["resellerId"]}
        ]
        return page(found, page_number, page_size)

    def _change_status(self, owned: Subscription, before: set[SubscriptionStatus], after: SubscriptionStatus) -> None:
        check_status(owned, before)
        self._accept_change(owned, lambda subscription: evolve(subscription, status=after))

    def _page_of_subscriptions(
        self, found: list[Subscription], page_number: int, page_size: int, sort_property_name: str | None
    ) -> dict[str, object]:
        if sort_property_name is not None:
            found.sort(key=sort_key(sort_property_name))
        envelope = page(found, page_number, page_size)
        shown = found[(page_number - 1) * page_size :][:page_size]
        return {**envelope, "items": [list_item(self._read(subscription.id)) for subscription in shown]}


def _audit_item(entry: AuditEntry) -> dict[str, Any]:
    reseller_id = entry.subscription.reseller_id
    return {
        "id": entry.id,
        "date": entry.moment,
        "operation": "".join(word.capitalize() for word in entry.operation.split("_")),
        "status": entry.status,
        "correlationId": entry.correlation_id,
        "subscriptionId": entry.subscription.id,
        "customerId": entry.subscription.customer_id,
        "customer": "Example Ltd",
        "resellerId": reseller_id,
        "reseller": "Example Reseller" if reseller_id else "",
    }
