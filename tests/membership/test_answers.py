"""What the answers of the Membership API become in Python."""

import json
from datetime import date
from decimal import Decimal
from typing import Any

import attrs
import pytest
from payloads import payload

from membership_sdk import (
    AdditionalModuleContractExtended,
    AdditionalModuleContractTrialPeriod,
    ApiError,
    AuthenticationError,
    BadRequestError,
    CancelationOrigin,
    CancelationStatus,
    ConflictError,
    ContractCancelationReason,
    ContractData,
    ContractMonthDayToPrice,
    ContractPaymentFrequency,
    ContractStatus,
    ContractTermToPrice,
    InvalidResponseError,
    MembershipClient,
    Money,
    Month,
    MonthDay,
    NotFoundError,
    Outcome,
    PaymentFrequencyType,
    PermissionDeniedError,
    PriceDetails,
    RateCode,
    RateLimitError,
    RetryPolicy,
    ServerError,
    ServiceUnavailableError,
    TemporalUnit,
    Term,
    TimePeriod,
    VoidResult,
)
from membership_sdk.operations import OPERATIONS

BASE = "https://studio.open-api.magicline.com/v1/memberships"
CONTRACTS = f"{BASE}/1/self-service/contract-data"
REASONS = f"{BASE}/self-service/contract-cancelation-reasons"
MODULE = f"{BASE}/2/self-service/additional-module-contracts/3"
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
        payment_frequency=ContractPaymentFrequency(
            id=203,
            type=PaymentFrequencyType.RECURRING,
            term=Term(value=2, unit=TemporalUnit.MONTH),
            price=Money(amount=Decimal("0.1"), currency="CHF"),
            month_days_to_prices=(
                ContractMonthDayToPrice(
                    month_day=MonthDay(month=Month.FEBRUARY, month_value=2, day_of_month=28),
                    price=Money(amount=Decimal(100), currency="EUR"),
                ),
            ),
            terms_to_prices=(
                ContractTermToPrice(
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


SCOPES = {
    "get_contract_data": "MEMBERSHIP_SELF_SERVICE_READ",
    "create_contract_cancelation_amendment": "MEMBERSHIP_SELF_SERVICE_WRITE",
    "get_contract_cancelation_reason_data": "MEMBERSHIP_SELF_SERVICE_READ",
    "withdraw_contract_cancelation": "MEMBERSHIP_SELF_SERVICE_WRITE",
    "get_additional_module_contract": "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_READ",
    "create_module_contract_cancelation_amendment": "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",
    "withdraw_additional_module_contract_cancelation": "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",
}


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda operation: operation.name)
async def test_forbidden_names_the_scope_that_is_needed(mocked: Any, operation: Any) -> None:
    """403 comes without a hint; the documentation has one."""
    assert operation.scopes == (SCOPES[operation.name],)
    arguments: dict[str, Any] = dict.fromkeys(operation.slots, 7)
    if operation.body is not None:
        values = {"cancelation_date": date(2023, 1, 25), "cancelation_reason_id": 1, "contract_id": 2}
        names = [attribute.name for attribute in attrs.fields(operation.body)]
        arguments["body"] = operation.body(**{name: values[name] for name in names})
    url = BASE.removesuffix("/v1/memberships") + operation.request(arguments).path
    mocked.add(url, method=operation.method, status=403, body=payload("membership_error"))
    async with client() as api:
        with pytest.raises(PermissionDeniedError, match=rf"needs the scope {SCOPES[operation.name]}\b"):
            await api.call(attrs.evolve(operation, deprecated=None), **arguments)
