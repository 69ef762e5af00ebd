"""The JSON that the sandbox answers with.

Its names are spelled out, not derived from the models: otherwise a wrong name in a model would go unnoticed, as the
sandbox would have it too. Only names that were seen documented, or in use, are sent.
"""

from collections.abc import Sequence
from decimal import Decimal
from math import ceil
from typing import Final
from uuid import UUID, uuid5

from cloudcockpit_sdk.models import (
    AutoRenewSettings,
    NextBillingFrequency,
    OfferType,
    PriceMargin,
    Subscription,
)
from sdk_core.codec import OpenEnumObject

__all__ = [
    "NAMESPACE",
    "UPGRADE",
    "conflict",
    "detail",
    "list_item",
    "migration_status",
    "named",
    "offer_type",
    "page",
    "transition",
]

NAMESPACE: Final = UUID("5f0c2a1e-6d3b-4c58-9e47-0a1b2c3d4e5f")
"""Namespace of the ids that are made up."""


UPGRADE: Final[dict[str, str]] = {
    "offerName": "Microsoft 365 E5",
    "offerDescription": "Everything",
    "offerId": str(uuid5(NAMESPACE, "offer Microsoft 365 E5")),
    "providerOfferId": "CFQ7TTC0LFLX:0001",
    "providerOfferIdWithAvailability": "CFQ7TTC0LFLX:0001:CFQ7TTC0HDB8",
}
"""The one offer that others can be upgraded to."""


def page(found: Sequence[object], page_number: int, page_size: int) -> dict[str, object]:
    """Return one page of a list."""
    total_pages = ceil(len(found) / page_size)
    first = (page_number - 1) * page_size
    return {
        "items": [*found[first : first + page_size]],
        "totalPages": total_pages,
        "totalCount": len(found),
        "hasNextPage": page_number < total_pages,
        "continuationToken": None,
    }


def list_item(subscription: Subscription) -> dict[str, object]:
    """Return a subscription as lists show it."""
    return {
        "id": subscription.id,
        "orderId": uuid5(NAMESPACE, f"order {subscription.id}"),
        "offerId": subscription.offer["id"],
        "customerId": subscription.customer_id,
        "providerInstanceId": subscription.provider_instance_id,
        "resellerId": subscription.reseller_id,
        "subscriptionName": subscription.name,
        "offerName": subscription.offer["name"],
        "offerType": named(offer_type(subscription)),
        "isAddonOffer": False,
        "isTrialOffer": False,
        "providerOfferId": None,
        "subscriptionStatus": named(subscription.status),
        "startDate": subscription.start_date,
        "endDate": subscription.end_date,
        "cancellationAllowedUntil": subscription.cancellation_allowed_until,
        "quantity": subscription.quantity,
        "assignedLicenses": None,
        "listPrice": _euros("18.10"),
        "revenuePrice": _euros("20.60"),
        "erpPrice": _euros("22.00"),
        "customMargin": _margin(subscription.margin),
        "billingFrequency": named(subscription.billing_frequency),
        "termDuration": named(subscription.term_duration),
        "segment": named(subscription.segment),
    }


def detail(subscription: Subscription) -> dict[str, object]:
    """Return a subscription as `get_subscription` shows it."""
    return {
        "id": subscription.id,
        "customerId": subscription.customer_id,
        "providerInstanceId": subscription.provider_instance_id,
        "resellerId": subscription.reseller_id,
        "name": subscription.name,
        "providerSubscriptionId": subscription.provider_subscription_id,
        "status": named(subscription.status),
        "startDate": subscription.start_date,
        "endDate": subscription.end_date,
        "cancellationAllowedUntil": subscription.cancellation_allowed_until,
        "quantity": subscription.quantity,
        "termDuration": named(subscription.term_duration),
        "billingFrequency": named(subscription.billing_frequency),
        "nextBillingFrequency": _next_billing(subscription.next_billing_frequency),
        "segment": named(subscription.segment),
        "autoRenewEnabled": subscription.auto_renew_enabled,
        "autoRenewSettings": _auto_renew(subscription.auto_renew_settings),
        "margin": _margin(subscription.margin),
        "internalId": subscription.internal_id,
        "poNumber": subscription.po_number,
        "offer": subscription.offer,
        "offerPrice": subscription.offer_price,
        "providerData": subscription.provider_data,
    }


def _next_billing(scheduled: NextBillingFrequency | None) -> dict[str, object] | None:
    if scheduled is None:
        return None
    return {
        "scheduledDate": scheduled.scheduled_date,
        "billingFrequency": named(scheduled.billing_frequency),
    }


def _auto_renew(settings: AutoRenewSettings | None) -> dict[str, object] | None:
    if settings is None:
        return None
    return {
        "term": named(settings.term),
        "billingFrequency": named(settings.billing_frequency),
        "customTermEndDate": settings.custom_term_end_date,
    }


def _margin(margin: PriceMargin | None) -> dict[str, object] | None:
    if margin is None:
        return None
    return {"marginRule": named(margin.margin_rule)}


def conflict(subscription: Subscription) -> dict[str, object]:
    """Return the body of the 409 to a cancellation; what else it holds is not documented."""
    return {
        "portalSubscription": {
            "name": subscription.name,
            "quantity": subscription.quantity,
            "nextBillingFrequency": named(subscription.billing_frequency),
            "autoRenewEnabled": subscription.auto_renew_enabled,
            "autoRenewSettings": _auto_renew(subscription.auto_renew_settings),
        }
    }


def migration_status(subscription_id: UUID, destination: Subscription | None) -> dict[str, object]:
    """Return the state of a migration; without a destination it is not completed."""
    return {
        "isCompleted": destination is not None,
        "subscriptionId": subscription_id,
        "destinationSubscriptionId": destination and destination.id,
        "destinationProviderSubscriptionId": destination and destination.provider_subscription_id,
    }


def transition(subscription: Subscription) -> dict[str, object]:
    """Return the upgrade of a subscription to UPGRADE."""
    return {
        "destinationSubscriptionId": None,
        "destinationProviderSubscriptionId": None,
        **UPGRADE,
        "imageUrl": None,
        "quantity": subscription.quantity,
        "termDuration": named(subscription.term_duration),
        "billingFrequency": named(subscription.billing_frequency),
        "transitionType": "transition_only",
        "transitionEvents": [],
    }


def named(value: OpenEnumObject | None) -> dict[str, str] | None:
    """Return the value of an enumeration as the API writes it: `{"name": ...}`."""
    return None if value is None else {"name": str(value)}


def _euros(value: str) -> dict[str, object]:
    return {"value": Decimal(value), "currency": {"name": "EUR"}}


def offer_type(subscription: Subscription) -> OfferType:
    """Return the kind of a subscription's offer."""
    return OfferType(subscription.offer.get("offerType", {"name": "License"})["name"])
