"""The values of the CloudCockpit subscription API; attribute names are the JSON names in snake_case.

The documentation marks no response field as required, and its pages do not show every name. So only what a value
is useless without is required here; names that were never seen documented are left out, and every other key the API
sends is ignored. Enumerations travel as `{"name": ...}` and are open: unknown values are kept.
"""

from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Self, TypeVar
from uuid import UUID

from attrs import field, frozen

from sdk_core.client import Empty
from sdk_core.codec import OpenEnumObject

__all__ = [
    "Accepted",
    "AutoRenewSettings",
    "BillingFrequency",
    "Currency",
    "MarginRule",
    "NextBillingFrequency",
    "OfferType",
    "Page",
    "Price",
    "PriceMargin",
    "Segment",
    "Subscription",
    "SubscriptionListItem",
    "SubscriptionStatus",
    "TermDuration",
]

T = TypeVar("T")


class SubscriptionStatus(OpenEnumObject):
    """State of a subscription.

    The API documents no list: Active and Suspended stand in its examples, the others in articles about the product.
    """

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    EXPIRED = "Expired"
    DISABLED = "Disabled"
    DELETED = "Deleted"


class TermDuration(OpenEnumObject):
    """Length of the commitment."""

    NO_TERM = "NoTerm"
    ONE_MONTH = "OneMonth"
    ONE_YEAR = "OneYear"
    THREE_YEARS = "ThreeYears"
    FIVE_YEARS = "FiveYears"


class BillingFrequency(OpenEnumObject):
    """How often is billed."""

    ONE_TIME = "OneTime"
    MONTHLY = "Monthly"
    ANNUAL = "Annual"
    TRIENNIAL = "Triennial"
    NONE = "None"


class Segment(OpenEnumObject):
    """Market segment."""

    COMMERCIAL = "Commercial"
    EDUCATION = "Education"
    GOVERNMENT = "Government"
    NON_PROFIT = "NonProfit"


class OfferType(OpenEnumObject):
    """Kind of offer."""

    LICENSE = "License"
    LICENSE_LEGACY = "LicenseLegacy"
    SOFTWARE_SUBSCRIPTION = "SoftwareSubscription"
    PERPETUAL_SOFTWARE = "PerpetualSoftware"
    AZURE_PLAN = "AzurePlan"
    AZURE_RESERVATION = "AzureReservation"
    AZURE_LEGACY = "AzureLegacy"
    AZURE_SAVINGS_PLAN = "AzureSavingsPlan"


class MarginRule(OpenEnumObject):
    """How a margin is computed."""

    MARKUP = "Markup"
    MARGIN = "Margin"
    SPLIT_MARGIN = "SplitMargin"
    ERP_MINUS_DISCOUNT = "ErpMinusDiscount"


class Currency(OpenEnumObject):
    """Currency of a price, by its ISO 4217 code as far as seen. No list is documented; these are for comparing."""

    CHF = "CHF"
    EUR = "EUR"
    GBP = "GBP"
    USD = "USD"


@frozen(kw_only=True)
class Accepted(Empty):
    """The API took the request and works on it: it has not happened yet.

    Read the subscription to see when it has; the portal's audit log knows the request by `correlation_id`.
    """

    correlation_id: str

    @classmethod
    def from_answer(cls, answer: Any, correlation_id: str) -> Self:  # noqa: ARG003  no body is documented
        """Take whatever the body holds for accepted."""
        return cls(correlation_id=correlation_id)


@frozen(kw_only=True)
class Price:
    """A price for the whole term."""

    value: Decimal | None = None
    currency: Currency | None = None


@frozen(kw_only=True)
class PriceMargin:
    """A margin; the name of its number is not documented, so only the rule is read."""

    margin_rule: MarginRule | None = None


@frozen(kw_only=True)
class SubscriptionListItem:
    """A subscription as lists show it. Fields after `term_duration` are not documented."""

    id: UUID
    order_id: UUID | None = None
    offer_id: UUID | None = None
    customer_id: UUID | None = None
    provider_instance_id: UUID | None = None
    reseller_id: UUID | None = None
    subscription_name: str | None = None
    """Friendly name; `Subscription.name` in the detail."""
    offer_name: str | None = None
    offer_type: OfferType | None = None
    is_addon_offer: bool | None = None
    is_trial_offer: bool | None = None
    provider_offer_id: str | None = None
    subscription_status: SubscriptionStatus | None = None
    """`Subscription.status` in the detail."""
    start_date: datetime | None = None
    end_date: datetime | None = None
    cancellation_allowed_until: datetime | None = None
    quantity: int | None = None
    assigned_licenses: int | None = None
    list_price: Price | None = None
    """Cost."""
    revenue_price: Price | None = None
    erp_price: Price | None = None
    custom_margin: PriceMargin | None = None
    billing_frequency: BillingFrequency | None = None
    """Name seen in third-party code only."""
    term_duration: TermDuration | None = None
    """Name seen in third-party code only."""


@frozen(kw_only=True)
class NextBillingFrequency:
    """A scheduled change of the billing frequency."""

    scheduled_date: datetime | None = None
    billing_frequency: BillingFrequency | None = None


@frozen(kw_only=True)
class AutoRenewSettings:
    """What the subscription renews to; further fields may exist."""

    term: TermDuration | None = None
    billing_frequency: BillingFrequency | None = None
    custom_term_end_date: datetime | None = None


@frozen(kw_only=True)
class Subscription:
    """A subscription in detail."""

    id: UUID
    status: SubscriptionStatus
    customer_id: UUID | None = None
    provider_instance_id: UUID | None = None
    reseller_id: UUID | None = None
    name: str | None = None
    """Friendly name; `subscription_name` in lists."""
    provider_subscription_id: str | None = None
    start_date: datetime | None = None
    end_date: datetime | None = None
    cancellation_allowed_until: datetime | None = None
    quantity: int | None = None
    term_duration: TermDuration | None = None
    billing_frequency: BillingFrequency | None = None
    next_billing_frequency: NextBillingFrequency | None = None
    segment: Segment | None = None
    auto_renew_enabled: bool | None = None
    auto_renew_settings: AutoRenewSettings | None = None
    margin: PriceMargin | None = None
    internal_id: str | None = None
    po_number: str | None = None
    offer: Any = field(default=None, repr=False)
    """Raw JSON: its fields are not documented here."""
    offer_price: Any = field(default=None, repr=False)
    """Raw JSON: its fields are not documented here."""
    provider_data: str | None = field(default=None, repr=False)


@frozen(kw_only=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...] = ()
    total_pages: int | None = None
    total_count: int | None = None
    """Of all pages together."""
    has_next_page: bool | None = None
    """Name seen in third-party code only; None if the API left it out."""
    continuation_token: str | None = field(default=None, repr=False)
    pagination_parameters: Any = field(default=None, repr=False)
    """Raw JSON: its fields are not documented."""
