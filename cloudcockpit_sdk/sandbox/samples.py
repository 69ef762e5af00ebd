"""The sample data: one customer with a few subscriptions."""

from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID, uuid5

from attrs import evolve

from cloudcockpit_sdk.models import (
    AutoRenewSettings,
    BillingFrequency,
    OfferType,
    Segment,
    Subscription,
    SubscriptionStatus,
    TermDuration,
)
from cloudcockpit_sdk.sandbox.answers import NAMESPACE, named

__all__ = ["SampleIds", "entitlement", "subscription", "subscriptions"]


class SampleIds:
    """The ids in the sample data, as constants of the sandbox class."""

    CUSTOMER_ID: Final = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    ACTIVE_SUBSCRIPTION_ID: Final = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")
    SUSPENDED_SUBSCRIPTION_ID: Final = UUID("886313e1-3b8a-4372-9b90-0c9aee199e5d")
    EXPIRED_SUBSCRIPTION_ID: Final = UUID("6fa459ea-ee8a-4ca4-894e-db77e160355e")
    LOCKED_SUBSCRIPTION_ID: Final = UUID("1b4e28ba-2fa1-41d2-883f-0016d3cca427")
    """Active, but too old to be canceled."""
    LEGACY_SUBSCRIPTION_ID: Final = UUID("3d813cbb-47fb-42ba-91df-831e1593ac29")
    """Active; the one that can be migrated."""
    AZURE_PLAN_ID: Final = UUID("4fa1b9a2-6d0c-4c3a-9f7e-2b8d5c6e7f80")
    ENTITLEMENT_ID: Final = UUID("5e2c8d1f-7a3b-4d6e-8c9f-0a1b2c3d4e5f")
    """Of the Azure plan; the one that takes a budget."""
    RESELLER_ID: Final = UUID("c9bf9e57-1685-4c89-bafb-ff5af830be8a")
    """Of every second subscription."""
    OFFER_ID: Final = UUID("9b2f6c1d-3e4a-4f5b-8c7d-1a2b3c4d5e6f")
    """Of the first subscription."""


def subscriptions(today: date) -> list[Subscription]:
    """Return the subscriptions of CUSTOMER_ID."""
    ids, kind = SampleIds, OfferType
    active = SubscriptionStatus.ACTIVE
    rows = [
        (ids.ACTIVE_SUBSCRIPTION_ID, "Microsoft 365 Business Premium", active, 25, kind.LICENSE),
        (ids.SUSPENDED_SUBSCRIPTION_ID, "Exchange Online (Plan 1)", SubscriptionStatus.SUSPENDED, 10, kind.LICENSE),
        (ids.EXPIRED_SUBSCRIPTION_ID, "Visio Plan 2", SubscriptionStatus.EXPIRED, 2, kind.LICENSE),
        (ids.LOCKED_SUBSCRIPTION_ID, "Power BI Pro", active, 5, kind.LICENSE),
        (ids.LEGACY_SUBSCRIPTION_ID, "Teams Phone", active, 5, kind.LICENSE_LEGACY),
        (ids.AZURE_PLAN_ID, "Azure plan", active, 1, kind.AZURE_PLAN),
        (uuid5(NAMESPACE, "Defender"), "Defender", active, 5, kind.LICENSE),
    ]
    return [_sample(today, index, row) for index, row in enumerate(rows)]


def subscription(today: date, number: UUID) -> Subscription:
    """Return an active license of CUSTOMER_ID."""
    return _sample(
        today, 0, (number, "Microsoft 365 Business Premium", SubscriptionStatus.ACTIVE, 1, OfferType.LICENSE)
    )


def _sample(today: date, index: int, row: tuple[UUID, str, SubscriptionStatus, int, OfferType]) -> Subscription:
    number, name, status, quantity, offer_type = row
    midnight = datetime(today.year, today.month, 1, tzinfo=UTC)
    locked = number == SampleIds.LOCKED_SUBSCRIPTION_ID
    return Subscription(
        id=number,
        status=status,
        customer_id=SampleIds.CUSTOMER_ID,
        provider_instance_id=uuid5(NAMESPACE, "provider"),
        reseller_id=SampleIds.RESELLER_ID if index % 2 else None,
        name=f"{name} for Example Ltd",
        provider_subscription_id=str(uuid5(NAMESPACE, f"provider's {number}")),
        start_date=midnight - timedelta(days=30 * index),
        end_date=midnight + timedelta(days=365 - 30 * index),
        cancellation_allowed_until=midnight - timedelta(days=83) if locked else None,
        quantity=quantity,
        term_duration=TermDuration.ONE_YEAR,
        billing_frequency=BillingFrequency.MONTHLY,
        segment=Segment.COMMERCIAL,
        auto_renew_enabled=True,
        auto_renew_settings=AutoRenewSettings(term=TermDuration.ONE_YEAR, billing_frequency=BillingFrequency.MONTHLY),
        offer={
            "id": str(uuid5(NAMESPACE, "offer " + name) if index else SampleIds.OFFER_ID),
            "name": name,
            "offerType": named(offer_type),
        },
    )


def entitlement(today: date) -> Subscription:
    """Return the entitlement of AZURE_PLAN_ID."""
    plan = next(owned for owned in subscriptions(today) if owned.id == SampleIds.AZURE_PLAN_ID)
    return evolve(plan, id=SampleIds.ENTITLEMENT_ID, name="Azure subscription for Example Ltd")
