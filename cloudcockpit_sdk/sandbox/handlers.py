"""What each operation does to the state."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID, uuid5

from attrs import evolve

from cloudcockpit_sdk.models import (
    BillingFrequency,
    OfferType,
    PriceMargin,
    Subscription,
    SubscriptionStatus,
    TermDuration,
    Transition,
)
from cloudcockpit_sdk.operations import OPERATIONS
from cloudcockpit_sdk.sandbox.answers import (
    NAMESPACE,
    UPGRADE,
    conflict,
    detail,
    list_item,
    migration_status,
    named,
    offer_type,
    page,
    transition,
)
from cloudcockpit_sdk.sandbox.rules import has_transition, invalid, not_found
from cloudcockpit_sdk.sandbox.state import AuditEntry, State
from sdk_core import codec
from sdk_core.operation import Operation
from sdk_core.sandbox.requests import RefusalError

__all__ = ["Handlers"]

_LONGEST_TEXT: Final = 255
_LARGEST_QUANTITY: Final = 2**31 - 1
_SORT_KEYS: Final[dict[str, Callable[[Subscription], Any]]] = {
    "Offer.Name": lambda subscription: subscription.offer["name"],
    "Status": lambda subscription: subscription.status,
    "StartDate": lambda subscription: subscription.start_date,
    "EndDate": lambda subscription: subscription.end_date,
}


class Handlers(State):
    """The operations."""

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
        """Return one page."""
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
        return detail(self._read(self._owned(customer_id, subscription_id).id))

    def update_subscription(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> None:
        """Accept a new name and quantity; the other fields are checked for nothing but their presence."""
        owned = self._owned(customer_id, subscription_id)
        for name in ("name", "quantity", "nextBillingFrequency"):
            if name not in body:
                raise invalid(name, "required, but missing")
        name, quantity = body["name"], body["quantity"]
        if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_TEXT):
            raise invalid("name", f"expected a string of at most {_LONGEST_TEXT} characters, or null")
        if type(quantity) is not int or not 0 <= quantity <= _LARGEST_QUANTITY:
            raise invalid("quantity", "expected a whole number")
        self._start(owned, lambda before: evolve(before, name=name, quantity=quantity))

    def cancel_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the cancellation, unless the time for it has passed."""
        # The page of this operation shows no 404.
        owned = self._owned(customer_id, subscription_id, otherwise=400)
        until = owned.cancellation_allowed_until
        if until is not None and until.date() < self.today:
            raise RefusalError(409, "Conflict", "The time for cancellation has passed.", answer=conflict(owned))
        self._change_status(
            owned, {SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED}, SubscriptionStatus.DELETED
        )

    def suspend_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the suspension of an Active subscription."""
        owned = self._owned(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.ACTIVE}, SubscriptionStatus.SUSPENDED)

    def reactivate_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the reactivation of a Suspended subscription."""
        owned = self._owned(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.SUSPENDED}, SubscriptionStatus.ACTIVE)

    def change_associated_reseller(self, *, customer_id: UUID, subscription_id: UUID, body: UUID) -> bool:
        """Change the reseller; the support contact of a legacy license changes too."""
        owned = self._owned(customer_id, subscription_id)
        self.subscriptions[subscription_id] = evolve(owned, reseller_id=body)
        return offer_type(owned) == OfferType.LICENSE_LEGACY

    def change_price_margin(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> HTTPStatus:
        """Change the margin's rule, read as answers write it: `{"marginRule": {"name": "Markup"}}`."""
        owned = self._owned(customer_id, subscription_id)
        try:
            margin = codec.structure(body, PriceMargin)
        except codec.ShapeError as error:
            raise invalid("marginRule", error.problems[0]) from None
        if margin.margin_rule is None:
            raise invalid("marginRule", "required, but missing")
        self.subscriptions[subscription_id] = evolve(owned, margin=margin)
        return HTTPStatus.NO_CONTENT

    def change_po_number(self, *, customer_id: UUID, subscription_id: UUID, body: str) -> HTTPStatus:
        """Change the purchase order number."""
        owned = self._owned(customer_id, subscription_id)
        if len(body) > _LONGEST_TEXT:
            raise invalid("", f"expected at most {_LONGEST_TEXT} characters")
        self.subscriptions[subscription_id] = evolve(owned, po_number=body)
        return HTTPStatus.NO_CONTENT

    def change_monthly_budget(
        self, *, customer_id: UUID, subscription_id: UUID, monthly_budget: Decimal | None
    ) -> HTTPStatus:
        """Change an entitlement's budget; None: no budget."""
        # The page of this operation shows no 404.
        if self._entitlement(subscription_id, otherwise=400).customer_id != customer_id:
            raise not_found("entitlement", 400)
        self.budgets[subscription_id] = monthly_budget
        return HTTPStatus.NO_CONTENT

    def list_eligible_transitions(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the one offer that is above any other license."""
        owned = self._owned(customer_id, subscription_id)
        return [transition(owned)] if has_transition(owned) else []

    def upgrade_subscription(self, *, customer_id: UUID, subscription_id: UUID, **transition: Any) -> None:
        """Accept one of the eligible transitions; offer, quantity, term and billing change."""
        owned = self._owned(customer_id, subscription_id)
        asked = Transition(**transition)
        if not has_transition(owned) or asked.provider_offer_id != UPGRADE["providerOfferId"]:
            raise RefusalError(400, "InvalidTransition", "It is none of the eligible transitions.")

        def upgraded(before: Subscription) -> Subscription:
            return evolve(
                before,
                offer={**before.offer, "id": UPGRADE["offerId"], "name": UPGRADE["offerName"]},
                quantity=asked.quantity,
                term_duration=asked.term_duration or before.term_duration,
                billing_frequency=asked.billing_frequency or before.billing_frequency,
            )

        self._start(owned, upgraded)

    def get_migration_status(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return how far it is; reading this counts as reading the subscription."""
        self._read(self._owned(customer_id, subscription_id).id)
        work, destination = self._migrations.get(subscription_id, (None, None))
        completed = work is not None and work.completed
        return migration_status(subscription_id, self.subscriptions[destination] if completed and destination else None)

    def start_migration(
        self,
        *,
        customer_id: UUID,
        subscription_id: UUID,
        purchase_full_term: bool,  # noqa: ARG002  what it costs is not played
        quantity: int,
        term_duration: str | None,
        billing_frequency: str | None,
    ) -> None:
        """Accept the migration of a legacy license to a new subscription; what becomes of the old one is unknown."""
        owned = self._owned(customer_id, subscription_id)
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

        self._migrations[subscription_id] = self._start(owned, migrated), destination

    def list_azure_entitlements(
        self, *, customer_id: UUID, subscription_id: UUID, reseller_id: UUID | None = None
    ) -> list[dict[str, object]]:
        """Return the entitlements; a subscription that is no Azure plan has none."""
        owned = self.entitlements.get(self._owned(customer_id, subscription_id).id, [])
        return [list_item(entitlement) for entitlement in owned if reseller_id in {None, entitlement.reseller_id}]

    def list_eligible_for_upgrade(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the customer's subscriptions that have a transition; what the real API means by this is unknown."""
        self._owned(customer_id, subscription_id)
        return [list_item(owned) for owned in self._subscriptions_of(customer_id) if has_transition(owned)]

    def get_custom_term_end_dates(self, *, customer_id: UUID, query: Mapping[str, str]) -> list[datetime]:  # noqa: ARG002  no name is documented
        """Return the ends of the customer's subscriptions. The shape is made up: the real one was not seen."""
        # The page of this operation shows no 404.
        owned = self._subscriptions_of(customer_id, otherwise=400)
        return sorted({end for subscription in owned if (end := subscription.end_date) is not None})

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
        """Return one page, newest first: an entry for each change that was accepted. It counts as reading all of them.

        The fields of the items and the names of the operations (`SuspendSubscription`) are made up: the API's were not
        seen. There is no entry with the status Failed: what is accepted here happens.
        """
        for number in [*self._unsettled]:
            self._read(number)
        first = start_date or self._now() - timedelta(days=31)
        last = end_date or self._now()
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
        if owned.status not in before:
            raise RefusalError(400, "InvalidStatus", f"The subscription is {owned.status}.")
        self._start(owned, lambda subscription: evolve(subscription, status=after))

    def _page_of_subscriptions(
        self, found: list[Subscription], page_number: int, page_size: int, sort_property_name: str | None
    ) -> dict[str, object]:
        if sort_property_name is not None:
            if sort_property_name not in _SORT_KEYS:
                raise invalid("sortPropertyName", f"Sort by one of {', '.join(_SORT_KEYS)}.")
            found.sort(key=_SORT_KEYS[sort_property_name])
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
