"""The models of the Membership Self-service API (1.11.0); attribute names are the JSON names in snake_case.

A field is required here only if a client can rely on it: where the documentation says "required" but there is reason
to doubt it, the field is optional and its docstring says so. A list that the API left out is empty.
"""

from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Self

from attrs import Attribute, field, frozen
from attrs.validators import optional

from sdk_core import codec
from sdk_core.arguments import int64_id, of_type, plain_date, valid, whole_number
from sdk_core.codec import OpenEnum
from sdk_core.model import Model
from sdk_core.returns import Checked, Empty

__all__ = [
    "AccountPreviewItem",
    "AdditionalModule",
    "AdditionalModuleContract",
    "AdditionalModuleContractCancelation",
    "AdditionalModuleContractExtended",
    "AdditionalModuleContractRequest",
    "AdditionalModuleContractTrialPeriod",
    "AdditionalModuleContractValidationStatus",
    "AdditionalModuleExtension",
    "AdditionalModuleTrialPeriodConfig",
    "AdditionalModuleValidationStatus",
    "CancelationOrigin",
    "CancelationStatus",
    "ChargeType",
    "ContractCancelationReason",
    "ContractData",
    "ContractStatus",
    "ExtensionType",
    "IdlePeriod",
    "IdlePeriodConfiguration",
    "IdlePeriodCreateRequest",
    "IdlePeriodCreationStatus",
    "IdlePeriodFee",
    "IdlePeriodFeeCalculationConfig",
    "IdlePeriodFeeCalculationType",
    "IdlePeriodLists",
    "IdlePeriodReason",
    "IdlePeriodState",
    "IdlePeriodUpdatePreview",
    "IdlePeriodUpdateRequest",
    "IdlePeriodValidationRequest",
    "IdlePeriodValidationStatus",
    "IdlePeriodValidationStatusResult",
    "IdleTemporalUnit",
    "MainContractCancelation",
    "Money",
    "Month",
    "MonthDay",
    "MonthDayToPrice",
    "PaymentFrequency",
    "PaymentFrequencyType",
    "PriceDetails",
    "RateCode",
    "ReferencePeriod",
    "RemainingIdlePeriods",
    "TemporalUnit",
    "Term",
    "TermInformation",
    "TermToPrice",
    "TimePeriod",
    "VoidResult",
]


class TemporalUnit(OpenEnum):
    """Unit of a term or period."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"

    if TYPE_CHECKING:
        _UNLISTED = ""


class Month(OpenEnum):
    """Month by name."""

    JANUARY = "JANUARY"
    FEBRUARY = "FEBRUARY"
    MARCH = "MARCH"
    APRIL = "APRIL"
    MAY = "MAY"
    JUNE = "JUNE"
    JULY = "JULY"
    AUGUST = "AUGUST"
    SEPTEMBER = "SEPTEMBER"
    OCTOBER = "OCTOBER"
    NOVEMBER = "NOVEMBER"
    DECEMBER = "DECEMBER"

    if TYPE_CHECKING:
        _UNLISTED = ""


class ContractStatus(OpenEnum):
    """A contract's desired or current status."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"

    if TYPE_CHECKING:
        _UNLISTED = ""


class CancelationStatus(OpenEnum):
    """State of a cancelation; no value at all means "not canceled"."""

    CANCELED = "CANCELED"
    """Canceled; `cancelation_origin` says by whom."""
    PENDING_VERIFICATION = "PENDING_VERIFICATION"
    """The studio has not verified the cancelation yet."""
    PENDING_WITHDRAWAL_VERIFICATION = "PENDING_WITHDRAWAL_VERIFICATION"
    """The studio has not verified the withdrawal of the cancelation yet."""

    if TYPE_CHECKING:
        _UNLISTED = ""


class CancelationOrigin(OpenEnum):
    """Who canceled."""

    STUDIO = "STUDIO"
    """The studio; also for cancelations by dunning and by contract switches."""
    CUSTOMER = "CUSTOMER"

    if TYPE_CHECKING:
        _UNLISTED = ""


class PaymentFrequencyType(OpenEnum):
    """How a contract is paid; it decides which of the price fields has a value."""

    FREE = "FREE"
    """No charge."""
    NON_RECURRING = "NON_RECURRING"
    """One single payment."""
    RECURRING = "RECURRING"
    """Paid every term: `price`."""
    MONTH_DAY = "MONTH_DAY"
    """Paid on given days: `month_days_to_prices`."""
    TERM_BASED = "TERM_BASED"
    """Paid per term: `terms_to_prices`."""

    if TYPE_CHECKING:
        _UNLISTED = ""


@frozen(kw_only=True)
class VoidResult(Model, Empty):
    """The answer of operations that return no data: the status code was a success.

    The content of `success` is undocumented: do not rely on it.
    """

    success: Any = field(default=None, hash=False)

    @classmethod
    def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> Self:  # noqa: ARG003  the API has no correlation id
        """Accept any JSON, or an empty body."""
        try:
            return codec.load(body, cls)
        except codec.ShapeError:
            # The body is JSON, but no object.
            return cls()
        except codec.NotJsonError:
            if body.strip():
                raise
            return cls()


@frozen(kw_only=True)
class Money(Model):
    """An amount in major units (euros, not cents)."""

    amount: Decimal
    currency: str
    """ISO 4217 code."""


@frozen(kw_only=True)
class Term(Model):
    """A length of time."""

    value: int
    unit: TemporalUnit


@frozen(kw_only=True)
class TimePeriod(Model):
    """A length of time, with the field names that `cancelation_period` has."""

    period_value: int
    period_unit: TemporalUnit


@frozen(kw_only=True)
class MonthDay(Model):
    """A day of the year."""

    month: Month | None = None
    month_value: int | None = None
    day_of_month: int | None = None


@frozen(kw_only=True)
class RateCode(Model):
    """A rate code of a contract."""

    name: str | None = None
    identifier: str | None = None


@frozen(kw_only=True)
class MonthDayToPrice(Model):
    """The price due on a day of the year."""

    month_day: MonthDay
    price: Money


@frozen(kw_only=True)
class TermToPrice(Model):
    """The price that applies *after* a term has passed."""

    term: Term
    price: Money


@frozen(kw_only=True)
class PaymentFrequency(Model):
    """When and how much a contract or module is paid."""

    type: PaymentFrequencyType
    id: int | None = None
    """Optional in the documentation, yet a module can't be bought without it."""
    term: Term | None = None
    price: Money | None = None
    """Only for RECURRING."""
    month_days_to_prices: tuple[MonthDayToPrice, ...] = ()
    """Only for MONTH_DAY."""
    terms_to_prices: tuple[TermToPrice, ...] = ()
    """Only for TERM_BASED."""


@frozen(kw_only=True)
class PriceDetails(Model):
    """Prices of a contract. All are documented as required, but only inform: one that is missing costs no contract."""

    base_price: Money | None = None
    current_price: Money | None = None
    """The base price after adjustments."""
    payment_frequency: PaymentFrequency | None = None


@frozen(kw_only=True)
class ContractData(Model):
    """A member's main contract."""

    id: int
    start_date: date
    rate_name: str | None = None
    """Documented as required; it only informs."""
    contract_status: ContractStatus
    price_details: PriceDetails
    end_date: date | None = None
    """Documented as required; how open-ended contracts are sent is not documented."""
    cancelation_period: TimePeriod | None = None
    cancelation_status: CancelationStatus | None = None
    """None: not canceled. (Documented as required, but without a value for that.)"""
    cancelation_date: date | None = None
    """The date to which the contract is canceled."""
    cancelation_reason: str | None = None
    """The reason's name, not its id."""
    cancelation_origin: CancelationOrigin | None = None
    last_possible_cancelation_date: date | None = None
    available_cancelation_dates: tuple[date, ...] = ()
    """Dates the contract can be canceled to."""
    rate_codes: tuple[RateCode, ...] = ()
    price: Decimal | None = None
    """Deprecated by the API: base price without currency. Use `price_details`."""


@frozen(kw_only=True)
class ContractCancelationReason(Model):
    """A reason the studio offers for cancelations."""

    cancelation_reason_id: int
    cancelation_reason_name: str


@frozen(kw_only=True)
class MainContractCancelation(Model):
    """Request: cancel a main contract."""

    cancelation_date: date = field(validator=valid(plain_date))
    cancelation_reason_id: int = field(validator=valid(int64_id))
    contract_id: int = field(validator=valid(int64_id))


@frozen(kw_only=True)
class AdditionalModuleContractCancelation(Model):
    """Request: cancel a module contract."""

    cancelation_date: date = field(validator=valid(plain_date))
    cancelation_reason_id: int = field(validator=valid(int64_id))


@frozen(kw_only=True)
class AdditionalModuleContractTrialPeriod(Model):
    """Trial period of a module contract."""

    term: Term | None = None
    start_date: date | None = None


@frozen(kw_only=True)
class AdditionalModuleContractExtended(Model):
    """A contract of an additional module. The API sends no id with it: keep the one you asked with."""

    name: str
    price: Money
    start_date: date
    contract_cancelation_can_be_withdrawn: bool
    end_date: date | None = None
    cancelation_date: date | None = None
    last_possible_cancelation_date: date | None = None
    cancelation_reason: str | None = None
    contract_cancelation_status: CancelationStatus | None = None
    """None: not canceled."""
    trial_period: AdditionalModuleContractTrialPeriod | None = None
    rate_codes: tuple[RateCode, ...] = ()
    available_cancelation_dates: tuple[date, ...] = ()


class IdleTemporalUnit(OpenEnum):
    """Unit of an idle period; there is no YEAR."""

    DAY = "DAY"
    """Single days."""
    WEEK = "WEEK"
    """Full weeks from Monday."""
    MONTH = "MONTH"
    """Full months from the first."""

    if TYPE_CHECKING:
        _UNLISTED = ""


class ReferencePeriod(OpenEnum):
    """The year to which `max_term_per_reference_period` applies."""

    CALENDAR_YEAR = "CALENDAR_YEAR"
    """January to December."""
    CONTRACT_YEAR = "CONTRACT_YEAR"
    """From the contract's start, or its last anniversary."""

    if TYPE_CHECKING:
        _UNLISTED = ""


class IdlePeriodCreationStatus(OpenEnum):
    """Whether idle periods may be requested."""

    READ = "READ"
    """No changes possible."""
    CHANGES_REQUIRE_VERIFICATION = "CHANGES_REQUIRE_VERIFICATION"
    """Changes take effect after the studio has verified them."""
    CHANGES_WITHOUT_VERIFICATION = "CHANGES_WITHOUT_VERIFICATION"
    """Changes take effect at once."""

    if TYPE_CHECKING:
        _UNLISTED = ""


class IdlePeriodState(OpenEnum):
    """State of an idle period."""

    PENDING_VERIFICATION = "PENDING_VERIFICATION"
    """An amendment that the studio has not verified yet."""
    ACCEPTED = "ACCEPTED"

    if TYPE_CHECKING:
        _UNLISTED = ""


class IdlePeriodFeeCalculationType(OpenEnum):
    """How the fee of an idle period is computed."""

    NONE = "NONE"
    ABSOLUTE = "ABSOLUTE"
    RELATIVE = "RELATIVE"
    """A percentage."""
    TERM_BASED = "TERM_BASED"
    """By the length of the term."""

    if TYPE_CHECKING:
        _UNLISTED = ""


class ChargeType(OpenEnum):
    """Kind of a previewed charge."""

    MEMBERSHIP_CHARGE = "MEMBERSHIP_CHARGE"
    BONUS_PERIOD_CHARGE = "BONUS_PERIOD_CHARGE"
    CONTRACT_IDLE_PERIOD_CHARGE = "CONTRACT_IDLE_PERIOD_CHARGE"
    IDLE_PERIOD_CHARGE = "IDLE_PERIOD_CHARGE"
    TRIAL_PERIOD_CHARGE = "TRIAL_PERIOD_CHARGE"
    FLAT_FEE = "FLAT_FEE"

    if TYPE_CHECKING:
        _UNLISTED = ""


class IdlePeriodValidationStatus(OpenEnum):
    """Result of the validation of an idle period request; see `is_positive`."""

    IDLEPERIOD_CREATABLE = "IDLEPERIOD_CREATABLE"
    IDLEPERIOD_UPDATABLE = "IDLEPERIOD_UPDATABLE"
    IDLEPERIOD_DEACTIVATED_FOR_CONTRACT = "IDLEPERIOD_DEACTIVATED_FOR_CONTRACT"
    """The contract allows no idle periods."""
    IDLEPERIOD_PENDING_VERIFICATION = "IDLEPERIOD_PENDING_VERIFICATION"
    """Another amendment is still pending."""
    IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT = "IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT"
    """No longer used since 1.11.1; IDLEPERIOD_DEADLINE_VIOLATED covers it."""
    IDLEPERIOD_DEADLINE_VIOLATED = "IDLEPERIOD_DEADLINE_VIOLATED"
    """The start is earlier than the deadline for requests allows."""
    IDLEPERIOD_EXPECTED_STARTDATE_MISMATCH = "IDLEPERIOD_EXPECTED_STARTDATE_MISMATCH"
    """The start is not the only allowed date."""
    IDLEPERIOD_MAXIMUM_YEARS_VIOLATED = "IDLEPERIOD_MAXIMUM_YEARS_VIOLATED"
    """Longer than five years."""
    IDLEPERIOD_OVERLAPPING = "IDLEPERIOD_OVERLAPPING"
    IDLEPERIOD_TEMPORALUNIT_INVALID = "IDLEPERIOD_TEMPORALUNIT_INVALID"
    """Not the configured unit."""
    IDLEPERIOD_MAXIMUM_TERMS_VIOLATED = "IDLEPERIOD_MAXIMUM_TERMS_VIOLATED"
    IDLEPERIOD_TERMVALUE_MISSING = "IDLEPERIOD_TERMVALUE_MISSING"
    IDLEPERIOD_UNLIMITED_PARAMETER_IS_MISSING = "IDLEPERIOD_UNLIMITED_PARAMETER_IS_MISSING"
    """The update of an unlimited period needs `unlimited`."""
    IDLEPERIOD_ENDDATE_AND_TERM_PROVIDED = "IDLEPERIOD_ENDDATE_AND_TERM_PROVIDED"
    IDLEPERIOD_ENDDATE_BEFORE_STARTDATE = "IDLEPERIOD_ENDDATE_BEFORE_STARTDATE"
    IDLEPERIOD_ENDDATE_ONLY_FOR_SHORTENING = "IDLEPERIOD_ENDDATE_ONLY_FOR_SHORTENING"

    if TYPE_CHECKING:
        _UNLISTED = ""

    @property
    def is_positive(self) -> bool:
        """Whether the request would be accepted."""
        return self in {type(self).IDLEPERIOD_CREATABLE, type(self).IDLEPERIOD_UPDATABLE}


class AdditionalModuleValidationStatus(OpenEnum):
    """Result of the validation of a module purchase; see `is_positive`."""

    ADDITIONAL_MODULE_PURCHASABLE = "ADDITIONAL_MODULE_PURCHASABLE"
    ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED = "ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED"
    ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS = "ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS"
    ADDITIONAL_MODULE_NOT_FOUND = "ADDITIONAL_MODULE_NOT_FOUND"
    ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE = "ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE"
    ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE = "ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE"

    if TYPE_CHECKING:
        _UNLISTED = ""

    @property
    def is_positive(self) -> bool:
        """Whether the purchase would be accepted."""
        return self == type(self).ADDITIONAL_MODULE_PURCHASABLE


class ExtensionType(OpenEnum):
    """What follows a module's term."""

    TERM_EXTENSION = "TERM_EXTENSION"
    """It is extended after the cancelation period."""
    NEW = "NEW"
    """A new module replaces it after the cancelation period."""

    if TYPE_CHECKING:
        _UNLISTED = ""


@frozen(kw_only=True)
class IdlePeriodReason(Model):
    """A reason for an idle period."""

    id: int
    name: str
    document_required: bool | None = None
    """Documented as required; None: the API did not say, and decides itself."""


@frozen(kw_only=True)
class IdlePeriodFeeCalculationConfig(Model):
    """How the studio computes fees."""

    idle_period_amount: Money | None = None
    """Documented as required."""
    idle_period_amount_per_term_unit: Money | None = None
    default_temporal_unit: IdleTemporalUnit | None = None
    dynamic_idle_period_amount_percentage: Decimal | None = None
    recurring_idle_period_charges: bool | None = None


@frozen(kw_only=True)
class IdlePeriodFee(Model):
    """The fee of one idle period."""

    idle_period_fee_calculation_type: IdlePeriodFeeCalculationType | None = None
    idle_period_total_amount: Money | None = None
    idle_period_fee_calculation_amount: Money | None = None
    idle_period_fee_calculation_term: Term | None = None
    idle_period_fee_calculation_percentage: Decimal | None = None


@frozen(kw_only=True)
class IdlePeriodConfiguration(Model):
    """The rules for idle periods of a contract."""

    temporal_unit: IdleTemporalUnit
    max_terms: int
    """Maximum number of terms of one idle period."""
    first_possible_start_date: date
    next_possible_start_date_only: bool
    """Whether `first_possible_start_date` is the only allowed start."""
    access_refusal: bool
    """Whether the member is refused access during an idle period."""
    idle_period_reasons: tuple[IdlePeriodReason, ...]
    idle_period_creation_status: IdlePeriodCreationStatus
    contract_has_extension: bool
    """Whether the idle time is added to the contract's end."""
    unlimited_allowed: bool
    """Whether an open-ended idle period may be requested; term limits do not apply to it."""
    day_based_term_shortening_allowed: bool
    """Whether an update may shorten to any day, whatever the unit."""
    idle_period_fee: Money | None = None
    """Documented as required."""
    free_terms: Term | None = None
    """Idle time without a fee. (Documented as required.)"""
    idle_period_fee_calculation_config: IdlePeriodFeeCalculationConfig | None = None
    """Documented as required."""
    max_term_per_reference_period: int | None = None
    """Since 1.11.1."""
    reference_period: ReferencePeriod | None = None
    """Since 1.11.1."""


@frozen(kw_only=True)
class IdlePeriod(Model):
    """An idle period, or the amendment that asks for one."""

    id: int
    """Of the amendment while PENDING_VERIFICATION, of the idle period once ACCEPTED: it may change, list again."""
    start_date: date
    state: IdlePeriodState
    idle_period_reason: IdlePeriodReason | None = None
    """Documented as required; old periods may have none."""
    end_date: date | None = None
    """Documented as required; ignore it if `unlimited`."""
    unlimited: bool | None = None
    document_url: str | None = field(default=None, repr=False)
    """Download link, valid for 15 minutes."""
    idle_period_fee_calculation_config: IdlePeriodFeeCalculationConfig | None = None
    idle_period_fee: IdlePeriodFee | None = None
    used_free_terms_in_days: int | None = None
    """Since 1.11.1."""
    reason: str | None = None
    """Deprecated by the API: use `idle_period_reason`."""
    fee: Money | None = None
    """Deprecated by the API: use `idle_period_fee`."""


@frozen(kw_only=True)
class IdlePeriodLists(Model):
    """A contract's idle periods; pending amendments are among them."""

    past_idle_periods: tuple[IdlePeriod, ...]
    current_and_upcoming_idle_periods: tuple[IdlePeriod, ...]


@frozen(kw_only=True)
class RemainingIdlePeriods(Model, Checked):
    """How much idle time is left."""

    remaining_free_terms: Term | None = None
    """Documented as required."""
    remaining_max_terms: Term | None = None

    def misfit(self, _query: Mapping[str, str], /) -> str | None:
        """Say that nothing documented was there: another JSON object would be read like that, an error body, too."""
        nothing = self.remaining_free_terms is self.remaining_max_terms is None
        return "$: neither remainingFreeTerms nor remainingMaxTerms" if nothing else None


def _term_value(_instance: object, attribute: "Attribute[Any]", value: object) -> None:
    if value is not None:
        whole_number(attribute.name, value, 1, 2**31 - 1)


@frozen(kw_only=True)
class IdlePeriodValidationRequest(Model):
    """Request: would this idle period be accepted?"""

    start_date: date = field(validator=valid(plain_date))
    temporal_unit: IdleTemporalUnit | None = field(default=None, validator=optional(valid(of_type(IdleTemporalUnit))))
    term_value: int | None = field(default=None, validator=_term_value)
    unlimited: bool | None = field(default=None, validator=optional(valid(of_type(bool))))


@frozen(kw_only=True)
class IdlePeriodCreateRequest(IdlePeriodValidationRequest):
    """Request: an idle period."""

    reason_id: int = field(validator=valid(int64_id))


@frozen(kw_only=True)
class IdlePeriodUpdateRequest(IdlePeriodCreateRequest):
    """Request: a change of an idle period."""

    end_date: date | None = field(default=None, validator=optional(valid(plain_date)))
    """Only to shorten: the same start, an earlier end, and neither unit nor term."""


@frozen(kw_only=True)
class IdlePeriodValidationStatusResult(Model):
    """Result of the validation of an idle period request; a refusal is a value here, not an error."""

    validation_status: IdlePeriodValidationStatus

    @property
    def is_positive(self) -> bool:
        """Whether the request would be accepted."""
        return self.validation_status.is_positive


@frozen(kw_only=True)
class AccountPreviewItem(Model):
    """A charge that a change would cause."""

    due_date: date
    amount: Money
    discounted_amount: Money | None = None
    paid_period_from: date | None = None
    paid_period_to: date | None = None
    description: str | None = None
    charge_type: ChargeType | None = None
    """Since 1.11.1."""


@frozen(kw_only=True)
class IdlePeriodUpdatePreview(Model):
    """Result of the validation of a change, and its cost; a refusal is a value here, not an error."""

    validation_status: IdlePeriodValidationStatus
    preview_end_date: date | None = None
    """The contract's end after the change."""
    preview_charges: tuple[AccountPreviewItem, ...] = ()

    @property
    def is_positive(self) -> bool:
        """Whether the change would be accepted."""
        return self.validation_status.is_positive


@frozen(kw_only=True)
class AdditionalModuleExtension(Model):
    """What follows a module's term."""

    extension_type: ExtensionType
    term_extension: Term | None = None
    extension_cancelation_period: Term | None = None


@frozen(kw_only=True)
class TermInformation(Model):
    """Term of a module."""

    term: Term
    extension: AdditionalModuleExtension | None = None
    cancelation_period: Term | None = None


@frozen(kw_only=True)
class AdditionalModuleTrialPeriodConfig(Model):
    """Trial period of a module."""

    term: Term
    description: str | None = None


@frozen(kw_only=True)
class AdditionalModule(Model):
    """A module the studio sells."""

    id: int
    name: str
    payment_frequencies: tuple[PaymentFrequency, ...]
    term_information: TermInformation
    description: str | None = None
    image_url: str | None = None
    """Expires; do not store it. (Documented as required.)"""
    trial_period_config: AdditionalModuleTrialPeriodConfig | None = None
    """None: no trial period can be booked."""
    rate_codes: tuple[RateCode, ...] = ()


@frozen(kw_only=True)
class AdditionalModuleContractRequest(Model):
    """Request: buy a module, or ask whether it could be bought."""

    additional_module_id: int = field(validator=valid(int64_id))
    payment_frequency_id: int = field(validator=valid(int64_id))
    book_trial_period: bool = field(validator=valid(of_type(bool)))


@frozen(kw_only=True)
class AdditionalModuleContractValidationStatus(Model):
    """Result of the validation of a purchase; a refusal is a value here, not an error."""

    validation_status: AdditionalModuleValidationStatus

    @property
    def is_positive(self) -> bool:
        """Whether the purchase would be accepted."""
        return self.validation_status.is_positive


@frozen(kw_only=True)
class AdditionalModuleContract(Model):
    """A bought module."""

    id: int = field(metadata={"digits": True})
    """The module contract's id. Keep it: no operation of this group lists bought modules."""
