"""The values of the Membership Self-service API (1.11.0); attribute names are the JSON names in snake_case.

Required here is what a careful client can rely on: where the documentation says "required" but reality
gives reason to doubt it, the field is optional and its docstring says so. A list the API left out is empty.
"""

from datetime import date
from decimal import Decimal
from typing import Any, Self

from attrs import field, frozen

from sdk_core import codec
from sdk_core.arguments import int64_id, plain_date, valid
from sdk_core.client import Empty
from sdk_core.codec import OpenEnum

__all__ = [
    "AdditionalModuleContractCancelation",
    "AdditionalModuleContractExtended",
    "AdditionalModuleContractTrialPeriod",
    "CancelationOrigin",
    "CancelationStatus",
    "ContractCancelationReason",
    "ContractData",
    "ContractMonthDayToPrice",
    "ContractPaymentFrequency",
    "ContractStatus",
    "ContractTermToPrice",
    "MainContractCancelation",
    "Money",
    "Month",
    "MonthDay",
    "PaymentFrequencyType",
    "PriceDetails",
    "RateCode",
    "TemporalUnit",
    "Term",
    "TimePeriod",
    "VoidResult",
]


class TemporalUnit(OpenEnum):
    """Unit of a term or period."""

    DAY = "DAY"
    WEEK = "WEEK"
    MONTH = "MONTH"
    YEAR = "YEAR"


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


class ContractStatus(OpenEnum):
    """A contract's desired or current status."""

    ACTIVE = "ACTIVE"
    INACTIVE = "INACTIVE"


class CancelationStatus(OpenEnum):
    """State of a cancelation; no value at all means "not canceled"."""

    CANCELED = "CANCELED"
    """Canceled; `cancelation_origin` says by whom."""
    PENDING_VERIFICATION = "PENDING_VERIFICATION"
    """The cancelation waits for the studio."""
    PENDING_WITHDRAWAL_VERIFICATION = "PENDING_WITHDRAWAL_VERIFICATION"
    """The withdrawal of the cancelation waits for the studio."""


class CancelationOrigin(OpenEnum):
    """Who canceled."""

    STUDIO = "STUDIO"
    """The studio, dunning and contract switches included."""
    CUSTOMER = "CUSTOMER"


class PaymentFrequencyType(OpenEnum):
    """How a contract is paid; it decides which of the price fields is filled."""

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


@frozen(kw_only=True)
class VoidResult(Empty):
    """The answer of operations that only do something: the status code was a success.

    The content of `success` is undocumented; nothing should be read into it.
    """

    success: Any = None

    @classmethod
    def from_answer(cls, answer: Any, correlation_id: str) -> Self:  # noqa: ARG003  the API has no such id
        """Accept any JSON, or nothing."""
        return cls(success=codec.as_object(answer).get("success"))


@frozen(kw_only=True)
class Money:
    """An amount in major units (euros, not cents)."""

    amount: Decimal
    currency: str
    """ISO 4217 code."""


@frozen(kw_only=True)
class Term:
    """A length of time."""

    value: int
    unit: TemporalUnit


@frozen(kw_only=True)
class TimePeriod:
    """A length of time, in the field names of `cancelation_period`."""

    period_value: int
    period_unit: TemporalUnit


@frozen(kw_only=True)
class MonthDay:
    """A day of the year."""

    month: Month | None = None
    month_value: int | None = None
    day_of_month: int | None = None


@frozen(kw_only=True)
class RateCode:
    """A rate code of a contract."""

    name: str | None = None
    identifier: str | None = None


@frozen(kw_only=True)
class ContractMonthDayToPrice:
    """The price due on a day of the year."""

    month_day: MonthDay
    price: Money


@frozen(kw_only=True)
class ContractTermToPrice:
    """The price that applies *after* a term has passed."""

    term: Term
    price: Money


@frozen(kw_only=True)
class ContractPaymentFrequency:
    """When and how much a contract is paid."""

    type: PaymentFrequencyType
    id: int | None = None
    term: Term | None = None
    price: Money | None = None
    """Only for RECURRING."""
    month_days_to_prices: tuple[ContractMonthDayToPrice, ...] = ()
    """Only for MONTH_DAY."""
    terms_to_prices: tuple[ContractTermToPrice, ...] = ()
    """Only for TERM_BASED."""


@frozen(kw_only=True)
class PriceDetails:
    """Prices of a contract."""

    base_price: Money
    current_price: Money
    """The base price after adjustments."""
    payment_frequency: ContractPaymentFrequency


@frozen(kw_only=True)
class ContractData:
    """A member's main contract."""

    id: int
    start_date: date
    rate_name: str
    contract_status: ContractStatus
    price_details: PriceDetails
    end_date: date | None = None
    """Documented as required; how open-ended contracts are sent is not documented."""
    cancelation_period: TimePeriod | None = None
    cancelation_status: CancelationStatus | None = None
    """None: not canceled. (Documented as required, but without a value for that.)"""
    cancelation_date: date | None = None
    """When the contract ends, or will end, by cancelation."""
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
class ContractCancelationReason:
    """A reason the studio offers for cancelations."""

    cancelation_reason_id: int
    cancelation_reason_name: str


@frozen(kw_only=True)
class MainContractCancelation:
    """Request: cancel a main contract."""

    cancelation_date: date = field(validator=valid(plain_date))
    cancelation_reason_id: int = field(validator=valid(int64_id))
    contract_id: int = field(validator=valid(int64_id))


@frozen(kw_only=True)
class AdditionalModuleContractCancelation:
    """Request: cancel a module contract."""

    cancelation_date: date = field(validator=valid(plain_date))
    cancelation_reason_id: int = field(validator=valid(int64_id))


@frozen(kw_only=True)
class AdditionalModuleContractTrialPeriod:
    """Trial period of a module contract."""

    term: Term | None = None
    start_date: date | None = None


@frozen(kw_only=True)
class AdditionalModuleContractExtended:
    """A contract of an additional module. It carries no id of its own: keep the one you asked with."""

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
