"""The sample data: one member's contracts, and what the studio offers."""

from datetime import date
from typing import Final

from attrs import evolve

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContractExtended,
    AdditionalModuleExtension,
    AdditionalModuleTrialPeriodConfig,
    CancelationOrigin,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    ContractStatus,
    ExtensionType,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodFeeCalculationConfig,
    IdlePeriodReason,
    IdleTemporalUnit,
    PaymentFrequency,
    PaymentFrequencyType,
    PriceDetails,
    ReferencePeriod,
    TemporalUnit,
    Term,
    TermInformation,
    TimePeriod,
)
from membership_sdk.sandbox.answers import end_of_month, euros, idle_period, module_contract
from membership_sdk.sandbox.rules import months_later

__all__ = [
    "SampleIds",
    "contract",
    "contracts",
    "idle_period_config",
    "module_on_sale",
    "modules_on_sale",
    "past_idle_period",
    "reasons",
    "sauna",
    "vacation",
]


class SampleIds:
    """The ids in the sample data, as constants of the sandbox class."""

    CUSTOMER_ID: Final = 1001
    CONTRACT_ID: Final = 2002
    """Not canceled; it can be canceled to three dates."""
    CANCELED_CONTRACT_ID: Final = 2003
    """Canceled by the member."""
    MODULE_CONTRACT_ID: Final = 3003
    """Of CONTRACT_ID; not canceled."""
    REASON_ID: Final = 11
    IDLE_REASON_ID: Final = 21
    DOCUMENTED_IDLE_REASON_ID: Final = 22
    """Needs a document."""
    PAST_IDLE_PERIOD_ID: Final = 4004
    """Of CONTRACT_ID."""
    SAUNA_ID: Final = 31
    """The module of MODULE_CONTRACT_ID."""
    SOLARIUM_ID: Final = 32
    """Not purchased; has a trial period."""
    DRINKS_ID: Final = 33
    """Not purchased; has no trial period."""
    PAYMENT_FREQUENCY_IDS: Final = {SAUNA_ID: 301, SOLARIUM_ID: 302, DRINKS_ID: 303}


def _monthly(number: int, price: str) -> PaymentFrequency:
    term = Term(value=1, unit=TemporalUnit.MONTH)
    return PaymentFrequency(type=PaymentFrequencyType.RECURRING, id=number, term=term, price=euros(price))


def contract(today: date, contract_id: int, rate: str, price: str) -> ContractData:
    """Return a contract that is not canceled."""
    return ContractData(
        id=contract_id,
        start_date=date(today.year - 1, 1, 1),
        end_date=end_of_month(today, 12),
        rate_name=rate,
        contract_status=ContractStatus.ACTIVE,
        price_details=PriceDetails(
            base_price=euros(price),
            current_price=euros(price),
            payment_frequency=_monthly(contract_id + 5000, price),
        ),
        cancelation_period=TimePeriod(period_value=1, period_unit=TemporalUnit.MONTH),
        last_possible_cancelation_date=end_of_month(today, 0),
        available_cancelation_dates=tuple(end_of_month(today, later) for later in (1, 2, 3)),
    )


def contracts(today: date) -> tuple[ContractData, ...]:
    """Return the two contracts of CUSTOMER_ID."""
    premium = contract(today, SampleIds.CONTRACT_ID, "Premium", "39.90")
    evening = contract(today, SampleIds.CANCELED_CONTRACT_ID, "Evenings", "19.90")
    canceled = evolve(
        evening,
        cancelation_status=CancelationStatus.CANCELED,
        cancelation_date=end_of_month(today, 1),
        cancelation_reason=reasons()[0].cancelation_reason_name,
        cancelation_origin=CancelationOrigin.CUSTOMER,
    )
    return premium, canceled


def sauna(today: date) -> AdditionalModuleContractExtended:
    """Return the module contract MODULE_CONTRACT_ID."""
    return module_contract(today, "Sauna", euros("9.90"), date(today.year - 1, 1, 1))


def modules_on_sale() -> list[AdditionalModule]:
    """Return what the studio sells."""
    trial = AdditionalModuleTrialPeriodConfig(term=Term(value=2, unit=TemporalUnit.WEEK), description="Two weeks")
    rows = [
        (SampleIds.SAUNA_ID, "Sauna", "9.90", None),
        (SampleIds.SOLARIUM_ID, "Solarium", "14.90", trial),
        (SampleIds.DRINKS_ID, "Drink flat", "4.90", None),
    ]
    return [
        evolve(
            module_on_sale(number),
            name=name,
            payment_frequencies=(_monthly(SampleIds.PAYMENT_FREQUENCY_IDS[number], price),),
            trial_period_config=trial_period,
        )
        for number, name, price, trial_period in rows
    ]


def module_on_sale(number: int) -> AdditionalModule:
    """Return a module that is paid monthly and has no trial period."""
    month = Term(value=1, unit=TemporalUnit.MONTH)
    return AdditionalModule(
        id=number,
        name=f"Module {number}",
        image_url=f"https://images.example.com/{number}.png",
        payment_frequencies=(_monthly(number + 5000, "9.90"),),
        term_information=TermInformation(
            term=month,
            extension=AdditionalModuleExtension(extension_type=ExtensionType.TERM_EXTENSION, term_extension=month),
            cancelation_period=month,
        ),
    )


def idle_period_config(today: date, *, verification: bool) -> IdlePeriodConfiguration:
    """Return the rules for idle periods."""
    status = IdlePeriodCreationStatus
    return IdlePeriodConfiguration(
        temporal_unit=IdleTemporalUnit.MONTH,
        max_terms=3,
        first_possible_start_date=months_later(today, 1),
        next_possible_start_date_only=False,
        idle_period_fee=euros("5.00"),
        access_refusal=True,
        idle_period_reasons=(
            vacation(),
            IdlePeriodReason(id=SampleIds.DOCUMENTED_IDLE_REASON_ID, name="Illness", document_required=True),
        ),
        idle_period_creation_status=status.CHANGES_REQUIRE_VERIFICATION
        if verification
        else status.CHANGES_WITHOUT_VERIFICATION,
        contract_has_extension=True,
        unlimited_allowed=True,
        free_terms=Term(value=1, unit=TemporalUnit.MONTH),
        day_based_term_shortening_allowed=True,
        idle_period_fee_calculation_config=IdlePeriodFeeCalculationConfig(idle_period_amount=euros("5.00")),
        max_term_per_reference_period=6,
        reference_period=ReferencePeriod.CALENDAR_YEAR,
    )


def past_idle_period(today: date, config: IdlePeriodConfiguration) -> IdlePeriod:
    """Return the idle period PAST_IDLE_PERIOD_ID."""
    start = date(today.year - 1, 6, 1)
    return idle_period(config, vacation(), SampleIds.PAST_IDLE_PERIOD_ID, start, date(today.year - 1, 6, 30))


def vacation() -> IdlePeriodReason:
    """Return the reason IDLE_REASON_ID."""
    return IdlePeriodReason(id=SampleIds.IDLE_REASON_ID, name="Vacation", document_required=False)


def reasons() -> list[ContractCancelationReason]:
    """Return the cancelation reasons."""
    names = {SampleIds.REASON_ID: "Moving away", 12: "No time"}
    return [
        ContractCancelationReason(cancelation_reason_id=number, cancelation_reason_name=name)
        for number, name in names.items()
    ]
