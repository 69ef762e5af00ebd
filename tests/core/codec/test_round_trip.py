"""What is read is written as it was, over every model of both SDKs."""

import json
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_origin
from uuid import UUID

from cases import goes_through
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from model_json import ELSEWHERE, MODELS, ROOTS, SITES, full

from cloudcockpit_sdk import SubscriptionListItem
from membership_sdk import AdditionalModuleContractCancelation, Money
from sdk_core import codec
from sdk_core.returns import Empty

FEW = fuzzed(15)


def test_no_model_is_left_out() -> None:
    """The roots above reach every model and every enumeration of both SDKs."""
    reached = {get_origin(shape) or shape for shape in (*ROOTS, *(site.shape for site in SITES))}
    assert [
        model.__name__ for model in MODELS if model not in reached | ELSEWHERE and not issubclass(model, Empty)
    ] == []


@goes_through("root", ROOTS)
def test_full_model_survives_a_round_trip(root: Any) -> None:
    """Every field is read, and written as it was."""
    value = codec.load(json.dumps(full(root)).encode(), root)
    assert codec.parse(codec.dump(value)) == full(root)


@goes_through(
    ("text", "written"),
    [
        ("0.1", "0.1"),
        ("1e-7", "0.0000001"),
        ("12345678901234567890.12", "12345678901234567890.12"),
        ("100", "100"),
        ("100.00", "100.00"),
        ("0.10", "0.10"),
        ("-0.30", "-0.30"),
        ("1E3", "1000"),
        ("0.1000000000000000055511151231257827", "0.1000000000000000055511151231257827"),
    ],
)
def test_money_is_exactly_what_the_json_says(text: str, written: str) -> None:
    """In both directions, trailing zeros kept, without an exponent, without a float in between."""
    money = codec.load(f'{{"amount": {text}, "currency": "EUR"}}'.encode(), Money)
    assert type(money.amount) is Decimal
    assert (money.amount, str(money.amount)) == (Decimal(text), str(Decimal(text)))
    assert codec.dump(money) == f'{{"amount":{written},"currency":"EUR"}}'.encode()


@FEW
@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**30), max_value=10**30, places=12))
def test_any_amount_survives_a_round_trip(amount: Decimal) -> None:
    money = codec.load(codec.dump(Money(amount=amount, currency="EUR")), Money)
    assert str(money.amount) == str(amount)


@FEW
@given(st.dates())
def test_any_date_survives_a_round_trip(day: date) -> None:
    request = AdditionalModuleContractCancelation(cancelation_date=day, cancelation_reason_id=1)
    assert codec.load(codec.dump(request), AdditionalModuleContractCancelation) == request


@FEW
@given(
    st.datetimes(
        # The year 1 stands for none.
        min_value=datetime(2, 1, 3),  # noqa: DTZ001  hypothesis adds the zone
        max_value=datetime(9999, 12, 29),  # noqa: DTZ001
        timezones=st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
    )
)
def test_any_instant_survives_a_round_trip(moment: datetime) -> None:
    item = SubscriptionListItem(id=UUID(int=1), start_date=moment)
    again = codec.load(codec.dump(item), SubscriptionListItem).start_date
    assert again == moment
    assert again is not None
    assert again.tzinfo is not None
