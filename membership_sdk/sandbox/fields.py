"""What `add_contract(...)` and the like take: the fields of the models, all optional."""

from datetime import date
from decimal import Decimal
from typing import TypedDict

from membership_sdk.models import (
    AdditionalModuleContractTrialPeriod,
    AdditionalModuleTrialPeriodConfig,
    CancelationOrigin,
    CancelationStatus,
    ContractStatus,
    IdlePeriodFee,
    IdlePeriodFeeCalculationConfig,
    IdlePeriodReason,
    IdlePeriodState,
    Money,
    PaymentFrequency,
    PriceDetails,
    RateCode,
    TermInformation,
    TimePeriod,
)

__all__ = ["AdditionalModuleFields", "ContractFields", "IdlePeriodFields", "ModuleContractFields"]


class ContractFields(TypedDict, total=False):
    """The fields of ContractData."""

    id: int
    start_date: date
    rate_name: str | None
    contract_status: ContractStatus
    price_details: PriceDetails
    end_date: date | None
    cancelation_period: TimePeriod | None
    cancelation_status: CancelationStatus | None
    cancelation_date: date | None
    cancelation_reason: str | None
    cancelation_origin: CancelationOrigin | None
    last_possible_cancelation_date: date | None
    available_cancelation_dates: tuple[date, ...]
    rate_codes: tuple[RateCode, ...]
    price: Decimal | None


class ModuleContractFields(TypedDict, total=False):
    """The fields of AdditionalModuleContractExtended."""

    name: str
    price: Money
    start_date: date
    contract_cancelation_can_be_withdrawn: bool
    end_date: date | None
    cancelation_date: date | None
    last_possible_cancelation_date: date | None
    cancelation_reason: str | None
    contract_cancelation_status: CancelationStatus | None
    trial_period: AdditionalModuleContractTrialPeriod | None
    rate_codes: tuple[RateCode, ...]
    available_cancelation_dates: tuple[date, ...]


class IdlePeriodFields(TypedDict, total=False):
    """The fields of IdlePeriod."""

    id: int
    start_date: date
    state: IdlePeriodState
    idle_period_reason: IdlePeriodReason | None
    end_date: date | None
    unlimited: bool | None
    document_url: str | None
    idle_period_fee_calculation_config: IdlePeriodFeeCalculationConfig | None
    idle_period_fee: IdlePeriodFee | None
    used_free_terms_in_days: int | None
    reason: str | None
    fee: Money | None


class AdditionalModuleFields(TypedDict, total=False):
    """The fields of AdditionalModule."""

    id: int
    name: str
    payment_frequencies: tuple[PaymentFrequency, ...]
    term_information: TermInformation
    description: str | None
    image_url: str | None
    trial_period_config: AdditionalModuleTrialPeriodConfig | None
    rate_codes: tuple[RateCode, ...]
