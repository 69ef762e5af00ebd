"""The models of the CloudCockpit subscription API; attribute names are the JSON names in snake_case.

The documentation marks no response field as required, and its pages do not show every name. So a field is required
here only if its model is useless without it. Undocumented fields are left out, and ignored if the API sends them.
Enumerations are written as `{"name": ...}` and are open: unknown values are kept.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final, Generic, Self, TypeVar, cast
from uuid import UUID

from attrs import field, frozen
from attrs.validators import optional

from sdk_core import codec
from sdk_core.arguments import finite_decimal, instance, int32, of_type, valid
from sdk_core.codec import OpenEnumObject
from sdk_core.errors import ConflictError
from sdk_core.model import Model
from sdk_core.returns import Checked, Empty

__all__ = [
    "Accepted",
    "AutoRenewSettings",
    "BillingFrequency",
    "CancelConflict",
    "Currency",
    "Done",
    "MarginRule",
    "MigrationRequest",
    "MigrationStatus",
    "MonthlyBudget",
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
    "Transition",
    "TransitionEvent",
]

T = TypeVar("T")


class SubscriptionStatus(OpenEnumObject):
    """State of a subscription.

    The API documents no list: Active and Suspended are in its examples, the others in articles about the product.
    """

    ACTIVE = "Active"
    SUSPENDED = "Suspended"
    EXPIRED = "Expired"
    DISABLED = "Disabled"
    DELETED = "Deleted"

    if TYPE_CHECKING:
        _UNLISTED = ""


class TermDuration(OpenEnumObject):
    """Length of the commitment."""

    NO_TERM = "NoTerm"
    ONE_MONTH = "OneMonth"
    ONE_YEAR = "OneYear"
    THREE_YEARS = "ThreeYears"
    FIVE_YEARS = "FiveYears"

    if TYPE_CHECKING:
        _UNLISTED = ""


class BillingFrequency(OpenEnumObject):
    """How often a subscription is billed."""

    ONE_TIME = "OneTime"
    MONTHLY = "Monthly"
    ANNUAL = "Annual"
    TRIENNIAL = "Triennial"
    NONE = "None"

    if TYPE_CHECKING:
        _UNLISTED = ""


class Segment(OpenEnumObject):
    """Market segment."""

    COMMERCIAL = "Commercial"
    EDUCATION = "Education"
    GOVERNMENT = "Government"
    NON_PROFIT = "NonProfit"

    if TYPE_CHECKING:
        _UNLISTED = ""


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

    if TYPE_CHECKING:
        _UNLISTED = ""


class MarginRule(OpenEnumObject):
    """How a margin is computed."""

    MARKUP = "Markup"
    MARGIN = "Margin"
    SPLIT_MARGIN = "SplitMargin"
    ERP_MINUS_DISCOUNT = "ErpMinusDiscount"

    if TYPE_CHECKING:
        _UNLISTED = ""


class Currency(OpenEnumObject):
    """Currency of a price, by its ISO 4217 code as far as known. No list is documented: these are common ones."""

    CHF = "CHF"
    EUR = "EUR"
    GBP = "GBP"
    USD = "USD"

    if TYPE_CHECKING:
        _UNLISTED = ""


@frozen(kw_only=True)
class _Acknowledged(Model, Empty):
    correlation_id: str

    @classmethod
    def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> Self:
        """Accept any JSON, or an empty body: none is documented."""
        if body.strip():
            codec.parse(body)
        return cls(correlation_id=correlation_id())


@frozen(kw_only=True)
class Accepted(_Acknowledged):
    """The API has accepted the request, which takes effect some time later.

    Read the subscription to see when it has, or look up `correlation_id` in the portal's audit log.
    """

    takes_effect_later = True


@frozen(kw_only=True)
class Done(_Acknowledged):
    """The request has taken effect; the answer holds no data."""


@frozen(kw_only=True)
class Price(Model):
    """A price for the whole term."""

    value: Decimal | None = None
    currency: Currency | None = None


@frozen(kw_only=True)
class PriceMargin(Model):
    """A margin. Only the rule is read: the name of the amount is not documented."""

    margin_rule: MarginRule | None = None


@frozen(kw_only=True)
class SubscriptionListItem(Model):
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
class NextBillingFrequency(Model):
    """A scheduled change of the billing frequency."""

    scheduled_date: datetime | None = None
    _billing_frequency: BillingFrequency | None = field(
        default=None, alias="billing_frequency", metadata={"json": "billingFrequency"}
    )
    # Updates and conflicts have `{"name": ...}` under the same key: read here, if a detail has it, too.
    _name: str | None = field(default=None, alias="name", metadata={"json": "name"})

    @property
    def billing_frequency(self) -> BillingFrequency | None:
        """The frequency, in whichever of the two documented forms it came."""
        return self._billing_frequency or (BillingFrequency(self._name) if self._name else None)


@frozen(kw_only=True)
class AutoRenewSettings(Model):
    """What the subscription renews to; further fields may exist."""

    term: TermDuration | None = None
    billing_frequency: BillingFrequency | None = None
    custom_term_end_date: datetime | None = None


@frozen(kw_only=True)
class Subscription(Model):
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
    offer: Any = field(default=None, repr=False, hash=False)
    """Raw JSON: its fields are not documented here."""
    offer_price: Any = field(default=None, repr=False, hash=False)
    """Raw JSON: its fields are not documented here."""
    provider_data: str | None = field(default=None, repr=False)


# A transition is sent, too: so its fields are checked, as those of requests are, and `attrs.evolve` checks them again.
_TEXT: Final = optional(valid(of_type(str)))
_UUID: Final = optional(valid(of_type(UUID)))


@frozen(kw_only=True)
class TransitionEvent(Model):
    """A step of a transition."""

    name: str | None = field(default=None, validator=_TEXT)
    status: str | None = field(default=None, validator=_TEXT)


def _events(name: str, value: object) -> None:
    for event in cast("tuple[object, ...]", instance(name, value, tuple)):
        instance(f"each of {name}", event, TransitionEvent)


@frozen(kw_only=True)
class Transition(Model):
    """What a subscription can be upgraded to; pass one back to `upgrade_subscription`."""

    quantity: int = field(validator=valid(int32))
    term_duration: TermDuration | None = field(default=None, validator=optional(valid(of_type(TermDuration))))
    """Documented as required; the samples show it empty."""
    billing_frequency: BillingFrequency | None = field(
        default=None, validator=optional(valid(of_type(BillingFrequency)))
    )
    """Documented as required; the samples show it empty."""
    provider_offer_id: str | None = field(default=None, validator=_TEXT)
    provider_offer_id_with_availability: str | None = field(default=None, validator=_TEXT)
    destination_subscription_id: UUID | None = field(default=None, validator=_UUID)
    destination_provider_subscription_id: str | None = field(default=None, validator=_TEXT)
    offer_name: str | None = field(default=None, validator=_TEXT)
    offer_description: str | None = field(default=None, validator=_TEXT)
    offer_id: UUID | None = field(default=None, validator=_UUID)
    image_url: str | None = field(default=None, validator=_TEXT)
    transition_type: str | None = field(default=None, validator=_TEXT)
    """`transition_only` or `transition_with_license_transfer`."""
    transition_events: tuple[TransitionEvent, ...] = field(default=(), validator=valid(_events))
    original: Mapping[str, Any] | None = field(
        default=None, repr=False, eq=False, validator=optional(valid(of_type(Mapping))), metadata={"original": True}
    )
    """The JSON object that it was read from. It is sent back as it came, nulls and undocumented fields included, but
    for the fields that were changed since (`attrs.evolve`)."""


@frozen(kw_only=True)
class MigrationStatus(Model):
    """Progress of a migration."""

    is_completed: bool
    subscription_id: UUID | None = None
    destination_subscription_id: UUID | None = None
    """Only when completed."""
    destination_provider_subscription_id: str | None = None
    """Only when completed."""


@frozen(kw_only=True)
class MigrationRequest(Model):
    """Request: migrate a legacy subscription. Term and frequency are plain text here, unlike elsewhere."""

    purchase_full_term: bool = field(validator=valid(of_type(bool)))
    quantity: int = field(validator=valid(int32))
    term_duration: str | None = field(default=None, validator=_TEXT)
    billing_frequency: str | None = field(default=None, validator=_TEXT)


@frozen(kw_only=True)
class MonthlyBudget(Model):
    """Request: the budget of an Azure entitlement."""

    # There is no default, so that None ("no budget") is sent as null and never left out by mistake.
    monthly_budget: Decimal | None = field(validator=optional(valid(finite_decimal)))


@frozen(kw_only=True)
class CancelConflict(Model):
    """The body of a 409 to `cancel_subscription`; only this field of it is documented."""

    portal_subscription: Any = field(repr=False, hash=False)
    """Raw JSON: `name`, `quantity`, `nextBillingFrequency`, `autoRenewEnabled`, `autoRenewSettings` were seen."""

    @classmethod
    def of(cls, error: ConflictError) -> Self | None:
        """Return the body of a 409 to `cancel_subscription`; None for any other 409, or if the error was pickled."""
        raw = instance("error", error, ConflictError).details.raw
        portal_subscription = codec.as_object(raw).get("portalSubscription")
        return None if portal_subscription is None else cls(portal_subscription=portal_subscription)


def whole_page(answer: Mapping[str, Any]) -> list[Any] | None:
    """Return the items of a page (raw JSON) that holds all there are; None for anything else.

    For lists that are documented bare, or whose answer was not seen. Of several pages the first would be a part.
    """
    if "items" not in answer or answer.get("hasNextPage") is True or answer.get("continuationToken"):
        return None
    found: object = answer["items"]
    items = codec.as_list(found)
    is_whole = (answer.get("totalPages") or 0) in (0, 1) and (answer.get("totalCount") or 0) in range(len(items) + 1)
    return items if is_whole and (found is None or isinstance(found, list)) else None


@frozen(kw_only=True)
class Page(Model, Checked, Generic[T]):
    """One page of a list.

    Without the key `items` it is no page, but something else that came with status 200: an error envelope, perhaps.
    """

    # Null is documented to be possible; it is told from a missing key by being read into a field without a default.
    # They may be raw JSON, which has no hash. Type checkers know an alias only if it is written down.
    _items: tuple[T, ...] | None = field(hash=False, alias="items", metadata={"json": "items"})
    total_pages: int | None = None
    total_count: int | None = None
    """Of all pages together."""
    has_next_page: bool | None = None
    """Name seen in third-party code only; None if the API left it out."""
    continuation_token: str | None = field(default=None, repr=False)
    pagination_parameters: Any = field(default=None, repr=False, hash=False)
    """Raw JSON: its fields are not documented."""

    @property
    def items(self) -> tuple[T, ...]:
        """What the page holds; empty if the API sends null."""
        return self._items or ()

    def misfit(self, query: Mapping[str, str], /) -> str | None:
        """Say that a first page is empty although there are items, which is never true."""
        number = next((value for name, value in query.items() if name.lower() == "pagenumber"), "1")
        if number == "1" and not self.items and self.total_count:
            return f"$.items: empty on the first page, although totalCount is {self.total_count}"
        return None
