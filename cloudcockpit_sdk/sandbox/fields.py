"""What `add_subscription(...)` takes: the fields of the model, all optional."""

from datetime import datetime
from typing import Any, TypedDict
from uuid import UUID

from cloudcockpit_sdk.models import (
    AutoRenewSettings,
    BillingFrequency,
    NextBillingFrequency,
    PriceMargin,
    Segment,
    SubscriptionStatus,
    TermDuration,
)

__all__ = ["SubscriptionFields"]


class SubscriptionFields(TypedDict, total=False):
    """The fields of Subscription."""

    id: UUID
    status: SubscriptionStatus
    customer_id: UUID | None
    provider_instance_id: UUID | None
    reseller_id: UUID | None
    name: str | None
    provider_subscription_id: str | None
    start_date: datetime | None
    end_date: datetime | None
    cancellation_allowed_until: datetime | None
    quantity: int | None
    term_duration: TermDuration | None
    billing_frequency: BillingFrequency | None
    next_billing_frequency: NextBillingFrequency | None
    segment: Segment | None
    auto_renew_enabled: bool | None
    auto_renew_settings: AutoRenewSettings | None
    margin: PriceMargin | None
    internal_id: str | None
    po_number: str | None
    offer: Any
    offer_price: Any
    provider_data: str | None
