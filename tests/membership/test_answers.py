"""What the answers of the Membership API become in Python."""

import copy
import json
from collections.abc import Awaitable, Callable
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest
from payloads import payload

from membership_sdk import (
    AccountPreviewItem,
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    AdditionalModuleContractTrialPeriod,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleExtension,
    AdditionalModuleTrialPeriodConfig,
    AdditionalModuleValidationStatus,
    ApiError,
    AuthenticationError,
    BadRequestError,
    CancelationOrigin,
    CancelationStatus,
    ChargeType,
    ConflictError,
    ContractCancelationReason,
    ContractData,
    ContractStatus,
    ExtensionType,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodFee,
    IdlePeriodFeeCalculationConfig,
    IdlePeriodFeeCalculationType,
    IdlePeriodLists,
    IdlePeriodReason,
    IdlePeriodState,
    IdlePeriodUpdatePreview,
    IdlePeriodValidationStatus,
    IdlePeriodValidationStatusResult,
    IdleTemporalUnit,
    InvalidResponseError,
    MembershipClient,
    Money,
    Month,
    MonthDay,
    MonthDayToPrice,
    NotFoundError,
    Outcome,
    PaymentFrequency,
    PaymentFrequencyType,
    PermissionDeniedError,
    PriceDetails,
    RateCode,
    RateLimitError,
    ReferencePeriod,
    RemainingIdlePeriods,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    TemporalUnit,
    Term,
    TermInformation,
    TermToPrice,
    TimePeriod,
    VoidResult,
)
from membership_sdk.operations import OPERATIONS

BASE = "https://studio.open-api.magicline.com/v1/memberships"
CONTRACTS = f"{BASE}/1/self-service/contract-data"
REASONS = f"{BASE}/self-service/contract-cancelation-reasons"
MODULE = f"{BASE}/2/self-service/additional-module-contracts/3"
MODULES = f"{BASE}/self-service/additional-modules"
PURCHASABLE = f"{BASE}/2/self-service/additional-modules/purchasable"
PURCHASE = f"{BASE}/2/self-service/additional-modules/purchase"
VALIDATE = f"{BASE}/2/self-service/additional-modules/validate"
IDLE = f"{BASE}/2/self-service/idle-periods"
WITHDRAW = f"{BASE}/1/self-service/withdraw-ordinary-contract-cancelation/2"

CONTRACT = ContractData(
    id=1000,
    start_date=date(2022, 1, 15),
    end_date=date(2025, 10, 15),
    rate_name="Premium",
    contract_status=ContractStatus.ACTIVE,
    cancelation_period=TimePeriod(period_value=10, period_unit=TemporalUnit.WEEK),
    cancelation_status=CancelationStatus.PENDING_VERIFICATION,
    cancelation_date=date(2023, 1, 25),
    cancelation_reason="Officially ordered studio closure",
    cancelation_origin=CancelationOrigin.CUSTOMER,
    price_details=PriceDetails(
        base_price=Money(amount=Decimal(20), currency="EUR"),
        current_price=Money(amount=Decimal("17.50"), currency="EUR"),
        payment_frequency=PaymentFrequency(
            id=203,
            type=PaymentFrequencyType.RECURRING,
            term=Term(value=2, unit=TemporalUnit.MONTH),
            price=Money(amount=Decimal("0.1"), currency="CHF"),
            month_days_to_prices=(
                MonthDayToPrice(
                    month_day=MonthDay(month=Month.FEBRUARY, month_value=2, day_of_month=28),
                    price=Money(amount=Decimal(100), currency="EUR"),
                ),
            ),
            terms_to_prices=(
                TermToPrice(
                    term=Term(value=1, unit=TemporalUnit.YEAR),
                    price=Money(amount=Decimal("12345678901234567890.12"), currency="EUR"),
                ),
            ),
        ),
    ),
    last_possible_cancelation_date=date(2023, 3, 25),
    available_cancelation_dates=(date(2023, 1, 25), date(2023, 2, 25)),
    rate_codes=(RateCode(name="Standard Rate", identifier="RC12345"),),
    price=Decimal("19.9"),
)
MODULE_CONTRACT = AdditionalModuleContractExtended(
    name="drink flat",
    price=Money(amount=Decimal(20), currency="EUR"),
    start_date=date(2022, 1, 15),
    end_date=date(2025, 10, 15),
    cancelation_date=date(2023, 1, 25),
    last_possible_cancelation_date=date(2023, 3, 25),
    cancelation_reason="Illness",
    contract_cancelation_status=CancelationStatus.CANCELED,
    contract_cancelation_can_be_withdrawn=True,
    trial_period=AdditionalModuleContractTrialPeriod(
        term=Term(value=2, unit=TemporalUnit.DAY), start_date=date(2022, 1, 1)
    ),
    rate_codes=(RateCode(name="Standard Rate", identifier="RC12345"),),
    available_cancelation_dates=(date(2023, 1, 25), date(2023, 2, 25)),
)

IDLE_PERIOD = IdlePeriod(
    id=203,
    start_date=date(2023, 2, 1),
    end_date=date(2023, 3, 31),
    reason="Vacation",
    fee=Money(amount=Decimal("5.5"), currency="EUR"),
    unlimited=False,
    document_url="https://files.example/proof?signature=abc",
    state=IdlePeriodState.PENDING_VERIFICATION,
    idle_period_fee_calculation_config=IdlePeriodFeeCalculationConfig(
        idle_period_amount=Money(amount=Decimal(20), currency="EUR"),
        idle_period_amount_per_term_unit=Money(amount=Decimal("2.50"), currency="EUR"),
        default_temporal_unit=IdleTemporalUnit.MONTH,
        dynamic_idle_period_amount_percentage=Decimal(10),
        recurring_idle_period_charges=True,
    ),
    idle_period_fee=IdlePeriodFee(
        idle_period_fee_calculation_type=IdlePeriodFeeCalculationType.RELATIVE,
        idle_period_total_amount=Money(amount=Decimal(11), currency="EUR"),
        idle_period_fee_calculation_amount=Money(amount=Decimal("5.50"), currency="EUR"),
        idle_period_fee_calculation_term=Term(value=2, unit=TemporalUnit.MONTH),
        idle_period_fee_calculation_percentage=Decimal("12.5"),
    ),
    idle_period_reason=IdlePeriodReason(id=203, name="Vacation", document_required=True),
    used_free_terms_in_days=14,
)
CONFIGURATION = IdlePeriodConfiguration(
    temporal_unit=IdleTemporalUnit.WEEK,
    max_terms=6,
    max_term_per_reference_period=4,
    reference_period=ReferencePeriod.CONTRACT_YEAR,
    first_possible_start_date=date(2023, 1, 30),
    next_possible_start_date_only=True,
    idle_period_fee=Money(amount=Decimal(20), currency="EUR"),
    access_refusal=False,
    idle_period_reasons=(
        IdlePeriodReason(id=203, name="Vacation", document_required=False),
        IdlePeriodReason(id=204, name="Illness", document_required=True),
    ),
    idle_period_creation_status=IdlePeriodCreationStatus.CHANGES_REQUIRE_VERIFICATION,
    contract_has_extension=True,
    unlimited_allowed=True,
    free_terms=Term(value=2, unit=TemporalUnit.WEEK),
    day_based_term_shortening_allowed=False,
    idle_period_fee_calculation_config=IdlePeriodFeeCalculationConfig(
        idle_period_amount=Money(amount=Decimal(20), currency="EUR"),
        idle_period_amount_per_term_unit=Money(amount=Decimal("2.50"), currency="EUR"),
        default_temporal_unit=IdleTemporalUnit.DAY,
        dynamic_idle_period_amount_percentage=Decimal(10),
        recurring_idle_period_charges=False,
    ),
)
PREVIEW = IdlePeriodUpdatePreview(
    preview_end_date=date(2024, 10, 15),
    preview_charges=(
        AccountPreviewItem(
            paid_period_from=date(2023, 2, 1),
            paid_period_to=date(2023, 2, 28),
            due_date=date(2023, 2, 15),
            description="Idle period",
            amount=Money(amount=Decimal(20), currency="EUR"),
            discounted_amount=Money(amount=Decimal("17.50"), currency="EUR"),
            charge_type=ChargeType.CONTRACT_IDLE_PERIOD_CHARGE,
        ),
    ),
    validation_status=IdlePeriodValidationStatus.IDLEPERIOD_UPDATABLE,
)
REMAINING = RemainingIdlePeriods(
    remaining_max_terms=Term(value=4, unit=TemporalUnit.WEEK),
    remaining_free_terms=Term(value=2, unit=TemporalUnit.DAY),
)
ADDITIONAL_MODULE = AdditionalModule(
    id=203,
    name="drink flat",
    description="As much as you like",
    image_url="https://images.example/drink-flat.png",
    payment_frequencies=(
        PaymentFrequency(
            id=77,
            type=PaymentFrequencyType.TERM_BASED,
            term=Term(value=1, unit=TemporalUnit.MONTH),
            price=Money(amount=Decimal("9.90"), currency="EUR"),
            month_days_to_prices=(
                MonthDayToPrice(
                    month_day=MonthDay(month=Month.DECEMBER, month_value=12, day_of_month=31),
                    price=Money(amount=Decimal(100), currency="EUR"),
                ),
            ),
            terms_to_prices=(
                TermToPrice(
                    term=Term(value=2, unit=TemporalUnit.YEAR), price=Money(amount=Decimal("8.9"), currency="CHF")
                ),
            ),
        ),
    ),
    term_information=TermInformation(
        term=Term(value=12, unit=TemporalUnit.MONTH),
        extension=AdditionalModuleExtension(
            extension_type=ExtensionType.TERM_EXTENSION,
            term_extension=Term(value=6, unit=TemporalUnit.MONTH),
            extension_cancelation_period=Term(value=4, unit=TemporalUnit.WEEK),
        ),
        cancelation_period=Term(value=3, unit=TemporalUnit.MONTH),
    ),
    trial_period_config=AdditionalModuleTrialPeriodConfig(
        term=Term(value=14, unit=TemporalUnit.DAY), description="Two weeks for free"
    ),
    rate_codes=(RateCode(name="Standard Rate", identifier="RC12345"),),
)


def client(**options: Any) -> MembershipClient:
    return MembershipClient.for_tenant("studio", api_key="made-up-key", **{"retry": RetryPolicy.none(), **options})


def unfilled(value: Any, path: str = "$") -> list[str]:
    """Return the paths at which an answer holds nothing."""
    match value:
        case None | () | "":
            return [path]
        case tuple() | list():
            return [p for index, item in enumerate(value) for p in unfilled(item, f"{path}[{index}]")]
        case _ if attrs.has(type(value)):
            names = [attribute.name for attribute in attrs.fields(type(value))]
            return [p for name in names for p in unfilled(getattr(value, name), f"{path}.{name}")]
        case _:
            return []


async def test_contract_data_with_every_documented_field(mocked: Any) -> None:
    """Each field arrives as the value Python has for it, and no attribute stays empty."""
    mocked.get(CONTRACTS, body=payload("membership_contract_data"))
    async with client() as api:
        contracts = await api.get_contract_data(customer_id=1)
    assert contracts == [CONTRACT]
    assert unfilled(contracts) == []
    assert isinstance(contracts[0].contract_status, ContractStatus)
    assert str(contracts[0].price_details.current_price.amount) == "17.50"


async def test_lone_contract_counts_as_a_list_of_one(mocked: Any) -> None:
    """The page shows the fields at top level, the vendor's schema an array."""
    mocked.get(CONTRACTS, payload=json.loads(payload("membership_contract_data"))[0])
    mocked.get(REASONS, payload={"cancelationReasonId": 1, "cancelationReasonName": "x"})
    async with client() as api:
        assert len(await api.get_contract_data(customer_id=1)) == 1
        assert len(await api.get_contract_cancelation_reason_data()) == 1


async def test_empty_lists_are_answers(mocked: Any) -> None:
    """A member without a contract, a studio without reasons."""
    mocked.get(CONTRACTS, body=b"[]")
    mocked.get(REASONS, body=b"[]")
    async with client() as api:
        assert await api.get_contract_data(customer_id=1) == []
        assert await api.get_contract_cancelation_reason_data() == []


async def test_cancelation_reasons(mocked: Any) -> None:
    """Ids up to 64 bits, names in any script."""
    mocked.get(REASONS, body=payload("membership_cancelation_reasons"))
    async with client() as api:
        assert await api.get_contract_cancelation_reason_data() == [
            ContractCancelationReason(
                cancelation_reason_id=1000, cancelation_reason_name="Officially ordered studio closure"
            ),
            ContractCancelationReason(cancelation_reason_id=2**63 - 1, cancelation_reason_name="Umzug nach Zürich"),
        ]


async def test_module_contract_with_every_documented_field(mocked: Any) -> None:
    """Each field arrives, and no attribute stays empty."""
    mocked.get(MODULE, body=payload("membership_module_contract"))
    async with client() as api:
        contract = await api.get_additional_module_contract(contract_id=2, additional_module_contract_id=3)
    assert contract == MODULE_CONTRACT
    assert unfilled(contract) == []


PERIOD = {"contract_id": 2, "idle_period_id": 3}
REQUEST = {"start_date": date(2023, 2, 1), "reason_id": 203}
BUY = {"contract_id": 2, "additional_module_id": 5, "payment_frequency_id": 77, "book_trial_period": False}


@pytest.mark.parametrize(
    ("verb", "url", "body", "call", "value"),
    [
        (
            "GET",
            f"{IDLE}/config",
            payload("membership_idle_period_config"),
            lambda c: c.get_idle_period_config(contract_id=2),
            CONFIGURATION,
        ),
        (
            "POST",
            IDLE,
            payload("membership_idle_period"),
            lambda c: c.create_idle_period_amendment(contract_id=2, **REQUEST),
            IDLE_PERIOD,
        ),
        (
            "GET",
            f"{IDLE}/3",
            payload("membership_idle_period"),
            lambda c: c.get_idle_period_by_id(**PERIOD),
            IDLE_PERIOD,
        ),
        (
            "PUT",
            f"{IDLE}/3",
            payload("membership_idle_period"),
            lambda c: c.update_idle_period(**PERIOD, **REQUEST),
            IDLE_PERIOD,
        ),
        (
            "GET",
            IDLE,
            b'{"pastIdlePeriods": [%b], "currentAndUpcomingIdlePeriods": [%b, %b]}'
            % ((payload("membership_idle_period"),) * 3),
            lambda c: c.get_idle_periods(contract_id=2),
            IdlePeriodLists(
                past_idle_periods=(IDLE_PERIOD,), current_and_upcoming_idle_periods=(IDLE_PERIOD, IDLE_PERIOD)
            ),
        ),
        (
            "PUT",
            f"{IDLE}/3/preview",
            payload("membership_idle_period_preview"),
            lambda c: c.idle_period_update_preview(**PERIOD, **REQUEST),
            PREVIEW,
        ),
        (
            "GET",
            f"{IDLE}/remaining",
            payload("membership_remaining_idle_periods"),
            lambda c: c.get_remaining_idle_periods(contract_id=2),
            REMAINING,
        ),
        (
            "GET",
            MODULES,
            payload("membership_additional_modules"),
            lambda c: c.get_additional_modules(),
            [ADDITIONAL_MODULE],
        ),
        (
            "GET",
            PURCHASABLE,
            payload("membership_additional_modules"),
            lambda c: c.get_purchasable_additional_modules(contract_id=2),
            [ADDITIONAL_MODULE],
        ),
        (
            "POST",
            PURCHASE,
            b'{"id": 9223372036854775807}',
            lambda c: c.purchase_additional_module_contract(**BUY),
            AdditionalModuleContract(id=2**63 - 1),
        ),
    ],
    ids=[
        "config",
        "created",
        "by id",
        "updated",
        "lists",
        "preview",
        "remaining",
        "modules",
        "purchasable",
        "purchase",
    ],
)
async def test_answer_with_every_documented_field(
    mocked: Any,
    verb: str,
    url: str,
    body: bytes,
    call: Callable[[MembershipClient], Awaitable[object]],
    value: object,
) -> None:
    """Each field arrives as the value Python has for it, and no attribute stays empty."""
    mocked.add(url, method=verb, body=body)
    async with client() as api:
        answer = await call(api)
    assert answer == value
    assert type(answer) is type(value)
    assert unfilled(answer) == []


async def test_lists_of_modules_may_be_empty_or_lone(mocked: Any) -> None:
    """The pages show the fields at top level, the vendor's schema an array; an empty one is an answer."""
    lone = json.loads(payload("membership_additional_modules"))[0]
    mocked.get(MODULES, payload=lone)
    mocked.get(PURCHASABLE, payload=lone)
    mocked.get(MODULES, body=b"[]")
    mocked.get(PURCHASABLE, body=b"[]")
    async with client() as api:
        for found in ([ADDITIONAL_MODULE], []):
            assert await api.get_additional_modules() == found
            assert await api.get_purchasable_additional_modules(contract_id=2) == found


async def test_one_contract_or_idle_period_is_no_list(mocked: Any) -> None:
    """Only where the pages and the schema disagree are both accepted."""
    mocked.get(f"{IDLE}/3", body=b"[" + payload("membership_idle_period") + b"]")
    async with client() as api:
        with pytest.raises(InvalidResponseError, match="expected an object"):
            await api.get_idle_period_by_id(**PERIOD)


POSITIVE = {"IDLEPERIOD_CREATABLE", "IDLEPERIOD_UPDATABLE", "ADDITIONAL_MODULE_PURCHASABLE"}
IDLE_VERDICTS = [status.value for status in IdlePeriodValidationStatus]
MODULE_VERDICTS = [status.value for status in AdditionalModuleValidationStatus]


def test_all_documented_verdicts_are_known() -> None:
    """16 on idle periods, 6 on purchases."""
    assert (len(IDLE_VERDICTS), len(MODULE_VERDICTS)) == (16, 6)
    assert POSITIVE.issubset({*IDLE_VERDICTS, *MODULE_VERDICTS})


@pytest.mark.parametrize("verdict", [*IDLE_VERDICTS, "IDLEPERIOD_OF_TOMORROW"])
async def test_verdicts_on_idle_periods(mocked: Any, verdict: str) -> None:
    """A refusal is a value, not an error; two verdicts are positive, and a new one never is."""
    mocked.post(f"{IDLE}/validate", payload={"validationStatus": verdict})
    mocked.put(f"{IDLE}/3/preview", payload={"validationStatus": verdict})
    async with client() as api:
        result = await api.validate_idle_period_request(contract_id=2, start_date=date(2023, 2, 1))
        preview = await api.idle_period_update_preview(**PERIOD, **REQUEST)
    assert result == IdlePeriodValidationStatusResult(validation_status=IdlePeriodValidationStatus(verdict))
    assert preview == IdlePeriodUpdatePreview(validation_status=IdlePeriodValidationStatus(verdict))
    assert result.is_positive is preview.is_positive is (verdict in POSITIVE)
    assert result.validation_status.is_known is (verdict in IDLE_VERDICTS)


@pytest.mark.parametrize("verdict", [*MODULE_VERDICTS, "IDLEPERIOD_CREATABLE"])
async def test_verdicts_on_purchases(mocked: Any, verdict: str) -> None:
    """One verdict is positive; one of another enumeration is an unknown one."""
    mocked.post(VALIDATE, payload={"validationStatus": verdict})
    async with client() as api:
        result = await api.validate_additional_module_contract_request(**BUY)
    assert result == AdditionalModuleContractValidationStatus(
        validation_status=AdditionalModuleValidationStatus(verdict)
    )
    assert result.is_positive is (verdict == "ADDITIONAL_MODULE_PURCHASABLE")
    assert result.validation_status.is_known is (verdict in MODULE_VERDICTS)


@pytest.mark.parametrize("body", [b"{}", b'{"id": null}', b'{"id": "1001a"}', b'{"id": 1.5}', b"[]", b"1001"])
async def test_purchase_without_an_id_is_applied_but_no_success(mocked: Any, body: bytes) -> None:
    """Bought, for the API said yes, but without the only handle there is: the error says APPLIED."""
    mocked.post(PURCHASE, body=body)
    async with client(retry=RetryPolicy()) as api:
        with pytest.raises(InvalidResponseError) as caught:
            await api.purchase_additional_module_contract(**BUY)
    assert (caught.value.outcome, caught.value.retryable) == (Outcome.APPLIED, False)
    assert caught.value.problems
    assert sum(map(len, mocked.requests.values())) == 1


NEWER = {
    "membership_idle_period": {"usedFreeTermsInDays"},
    "membership_idle_period_config": {"maxTermPerReferencePeriod", "referencePeriod"},
}
"""What only 1.11.1 has."""
DOUBTED = {"membership_idle_period": {"endDate", "reason", "fee"}}
"""What is documented as required, but deprecated or without a meaning for an unlimited period."""


@pytest.mark.parametrize("null", [False, True], ids=["absent", "null"])
async def test_answers_of_older_servers_are_answers(mocked: Any, null: bool) -> None:
    """Fields that are newer than 1.11.0, deprecated or doubtful are None if they are missing, and if they are null."""

    def without(name: str) -> dict[str, Any]:
        sent: dict[str, Any] = json.loads(payload(name))
        for key in NEWER.get(name, set()) | DOUBTED.get(name, set()):
            del sent[key]
            if null:
                sent[key] = None
        return sent

    mocked.get(f"{IDLE}/3", payload=without("membership_idle_period"))
    mocked.get(f"{IDLE}/config", payload=without("membership_idle_period_config"))
    charge = {
        "dueDate": "2023-02-15",
        "amount": {"amount": 20, "currency": "EUR"},
        **({"chargeType": None} if null else {}),
    }
    preview = {"validationStatus": "IDLEPERIOD_UPDATABLE", "previewCharges": [charge]}
    mocked.put(f"{IDLE}/3/preview", payload=preview)
    async with client() as api:
        period = await api.get_idle_period_by_id(**PERIOD)
        config = await api.get_idle_period_config(contract_id=2)
        previewed = await api.idle_period_update_preview(**PERIOD, **REQUEST)
    assert period == attrs.evolve(IDLE_PERIOD, used_free_terms_in_days=None, end_date=None, reason=None, fee=None)
    assert config == attrs.evolve(CONFIGURATION, max_term_per_reference_period=None, reference_period=None)
    assert previewed.preview_charges[0].charge_type is None


DISPLAYED: list[tuple[str, str, Callable[[MembershipClient], Awaitable[object]], tuple[str, ...]]] = [
    (
        "membership_contract_data",
        CONTRACTS,
        lambda c: c.get_contract_data(customer_id=1),
        ("priceDetails.basePrice", "priceDetails.currentPrice", "priceDetails.paymentFrequency"),
    ),
    (
        "membership_idle_period_config",
        f"{IDLE}/config",
        lambda c: c.get_idle_period_config(contract_id=2),
        (
            *("freeTerms", "idlePeriodFee", "idlePeriodFeeCalculationConfig"),
            *("idlePeriodFeeCalculationConfig.idlePeriodAmount", "idlePeriodReasons.documentRequired"),
        ),
    ),
    (
        "membership_idle_period",
        f"{IDLE}/3",
        lambda c: c.get_idle_period_by_id(**PERIOD),
        ("idlePeriodReason", "idlePeriodFeeCalculationConfig"),
    ),
    (
        "membership_remaining_idle_periods",
        f"{IDLE}/remaining",
        lambda c: c.get_remaining_idle_periods(contract_id=2),
        ("remainingFreeTerms",),
    ),
]
"""Payload, URL, call, and paths of what only informs, though it is documented as required."""


@pytest.mark.parametrize(
    ("name", "url", "call", "path"),
    [pytest.param(*row, path, id=f"{row[0]} {path}") for *row, paths in DISPLAYED for path in paths],
)
async def test_what_only_informs_costs_no_answer(
    mocked: Any, name: str, url: str, call: Callable[[MembershipClient], Awaitable[object]], path: str
) -> None:
    """Missing or null: None, and all the rest is there."""
    whole = json.loads(payload(name))
    for null in (False, True):
        sent = copy.deepcopy(whole)
        place = sent[0] if isinstance(sent, list) else sent
        *parents, last = path.split(".")
        for key in parents:
            place = place[key][0] if isinstance(place[key], list) else place[key]
        del place[last]
        if null:
            place[last] = None
        mocked.get(url, payload=sent)
    async with client() as api:
        first, second = await call(api), await call(api)
    assert first == second
    assert any(place.endswith(snake(last)) for place in unfilled(first))


def snake(name: str) -> str:
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in name)


async def test_unlimited_idle_period(mocked: Any) -> None:
    """Whatever end it comes with; what it means is not documented."""
    sent = json.loads(payload("membership_idle_period")) | {"unlimited": True, "endDate": None, "state": "ACCEPTED"}
    mocked.get(f"{IDLE}/3", payload=sent)
    async with client() as api:
        period = await api.get_idle_period_by_id(**PERIOD)
    assert (period.unlimited, period.end_date, period.state) == (True, None, IdlePeriodState.ACCEPTED)


async def test_module_frequency_without_an_id_and_least_of_a_module(mocked: Any) -> None:
    """What the schema leaves open may be left out; without an image, without a trial period."""
    least = {
        "id": 1,
        "name": "x",
        "paymentFrequencies": [{"type": "FREE"}],
        "termInformation": {"term": {"value": 1, "unit": "MONTH"}},
    }
    mocked.get(MODULES, payload=[least])
    async with client() as api:
        (module,) = await api.get_additional_modules()
    assert (module.image_url, module.trial_period_config, module.rate_codes) == (None, None, ())
    assert (module.payment_frequencies[0].id, module.payment_frequencies[0].price) == (None, None)


def test_download_link_of_a_document_does_not_show() -> None:
    """It opens a proof of illness for whoever has it, for 15 minutes."""
    assert "signature" not in repr(IDLE_PERIOD)
    assert "signature" in str(IDLE_PERIOD.document_url)


@pytest.mark.parametrize(
    "sent", [{}, {"endDate": None, "cancelationStatus": None, "price": None}], ids=["absent", "null"]
)
async def test_contract_that_is_not_canceled_or_open_ended(mocked: Any, sent: dict[str, None]) -> None:
    """Fields the documentation calls required, though reality has no value for them, are None either way."""
    money = {"amount": 20, "currency": "EUR"}
    prices = {"basePrice": money, "currentPrice": money, "paymentFrequency": {"type": "FREE"}}
    least = {"id": 1, "startDate": "2022-01-15", "rateName": "x", "contractStatus": "ACTIVE", "priceDetails": prices}
    mocked.get(CONTRACTS, payload=[least | sent])
    async with client() as api:
        (contract,) = await api.get_contract_data(customer_id=1)
    assert (contract.end_date, contract.cancelation_status, contract.price) == (None, None, None)


@pytest.mark.parametrize(
    ("body", "success"),
    [
        (b'{"success": "true"}', "true"),
        (b'{"success": null, "more": 1}', None),
        (b"{}", None),
        (b"", None),
        (b" \n", None),
        (b"null", None),
        (b"true", None),
        (b'"OK"', None),
        (b"[]", None),
        (b'{"success": {"odd": 1}}', {"odd": 1}),
    ],
)
async def test_void_result_takes_any_json_and_nothing(mocked: Any, body: bytes, success: object) -> None:
    """The status says it all; the content of the answer is undocumented."""
    mocked.post(WITHDRAW, body=body)
    async with client() as api:
        assert await api.withdraw_contract_cancelation(customer_id=1, contract_id=2) == VoidResult(success=success)


async def test_success_with_a_page_instead_of_json_is_not_believed(mocked: Any) -> None:
    """200 from a captive portal: nobody knows whether the API ever saw the request."""
    mocked.post(WITHDRAW, body=b"<html>Welcome to our Wi-Fi</html>", content_type="text/html")
    async with client() as api:
        with pytest.raises(InvalidResponseError, match="no JSON") as caught:
            await api.withdraw_contract_cancelation(customer_id=1, contract_id=2)
    assert (caught.value.outcome, caught.value.status, caught.value.problems) == (Outcome.UNKNOWN, 200, ())


@pytest.mark.parametrize(
    ("status", "kind", "outcome", "retry_after"),
    [
        (400, BadRequestError, Outcome.REJECTED, None),
        (401, AuthenticationError, Outcome.REJECTED, None),
        (403, PermissionDeniedError, Outcome.REJECTED, None),
        (404, NotFoundError, Outcome.REJECTED, None),
        (409, ConflictError, Outcome.REJECTED, None),
        (418, ApiError, Outcome.REJECTED, None),
        (429, RateLimitError, Outcome.REJECTED, 60.0),
        (500, ServerError, Outcome.UNKNOWN, None),
        (503, ServiceUnavailableError, Outcome.REJECTED, None),
    ],
)
async def test_error_envelope(
    mocked: Any, status: int, kind: type[ApiError], outcome: Outcome, retry_after: float | None
) -> None:
    """Every field of the envelope, under the same error tree as the sibling's."""
    body = payload("membership_error")
    mocked.post(WITHDRAW, status=status, body=body)
    async with client() as api:
        with pytest.raises(ApiError) as caught:
            await api.withdraw_contract_cancelation(customer_id=1, contract_id=2)
    error = caught.value
    assert type(error) is kind
    assert (error.status, error.outcome, error.retry_after) == (status, outcome, retry_after)
    assert error.code == error.details.code == "error.validation.date.past"
    assert error.details.message == "Das Datum liegt in der Vergangenheit."
    assert error.details.reference == "parent.child"
    assert error.details.trace_id == "8713540987134509871"
    assert error.details.fields == ()
    assert error.details.recognised
    assert error.details.raw == json.loads(body)
    assert error.details.raw["typedArgs"][0]["type"] == "DATE"
    assert error.details.body == body


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b"null", b'{"errorMessage": 1}', b'{"statusCode": 409}'])
async def test_error_without_the_envelope(mocked: Any, body: bytes) -> None:
    """The status still decides the class, and the text says what was missing."""
    mocked.post(WITHDRAW, status=409, body=body)
    async with client() as api:
        with pytest.raises(ConflictError, match="without the API's error envelope") as caught:
            await api.withdraw_contract_cancelation(customer_id=1, contract_id=2)
    assert (caught.value.code, caught.value.details.recognised, caught.value.details.body) == (None, False, body)


_READ = "MEMBERSHIP_SELF_SERVICE_READ"
_WRITE = "MEMBERSHIP_SELF_SERVICE_WRITE"
_IDLE_READ = "MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ"
_IDLE_WRITE = "MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE"
_MODULE_READ = "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ"
_MODULE_CONTRACT_READ = "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_READ"
_MODULE_CONTRACT_WRITE = "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE"
SCOPES = {
    "get_contract_data": _READ,
    "create_contract_cancelation_amendment": _WRITE,
    "get_contract_cancelation_reason_data": _READ,
    "withdraw_contract_cancelation": _WRITE,
    "get_idle_period_config": "MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_CONFIG_READ",
    "validate_idle_period_request": _IDLE_WRITE,
    "get_idle_periods": _IDLE_READ,
    "create_idle_period_amendment": _IDLE_WRITE,
    "get_idle_period_by_id": _IDLE_READ,
    "update_idle_period": _IDLE_WRITE,
    "withdraw_idle_period": _IDLE_WRITE,
    "idle_period_update_preview": _IDLE_READ,
    "get_remaining_idle_periods": _IDLE_READ,
    "get_additional_modules": _MODULE_READ,
    "get_purchasable_additional_modules": _MODULE_READ,
    "validate_additional_module_contract_request": _MODULE_CONTRACT_WRITE,
    "purchase_additional_module_contract": _MODULE_CONTRACT_WRITE,
    "get_additional_module_contract": _MODULE_CONTRACT_READ,
    "create_module_contract_cancelation_amendment": _MODULE_CONTRACT_WRITE,
    "withdraw_additional_module_contract_cancelation": _MODULE_CONTRACT_WRITE,
}
_VALUES: dict[Any, Any] = {date: date(2023, 1, 25), int: 7, bool: True}


def test_every_operation_has_a_scope() -> None:
    assert list(SCOPES) == [operation.name for operation in OPERATIONS]


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_forbidden_names_the_scope_that_is_needed(mocked: Any, operation: Any) -> None:
    """403 comes without a hint; the documentation has one."""
    assert operation.scopes == (SCOPES[operation.name],)
    arguments: dict[str, Any] = dict.fromkeys(operation.slots, 7)
    if operation.body is not None:
        needed = [attribute for attribute in attrs.fields(operation.body) if attribute.default is attrs.NOTHING]
        arguments["body"] = operation.body(**{attribute.name: _VALUES[attribute.type] for attribute in needed})
    url = BASE.removesuffix("/v1/memberships") + operation.request(arguments)[0]
    mocked.add(url, method=operation.method, status=403, body=payload("membership_error"))
    async with client() as api:
        with pytest.raises(PermissionDeniedError, match=rf"needs the scope {SCOPES[operation.name]}\b"):
            await api.call(attrs.evolve(operation, deprecated=None), **arguments)
