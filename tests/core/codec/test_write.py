"""What is sent, and what is not."""

import json
import math
import sys
from collections.abc import Collection, Iterable, MutableSequence, Sequence
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import attrs
import pytest
import time_machine
from alone import run_alone
from cases import goes_through
from freezegun import freeze_time
from fuzz import fuzzed
from hypothesis import given
from model_json import JSON

from cloudcockpit_sdk import BillingFrequency, MonthlyBudget, Page, Price, SubscriptionListItem
from membership_sdk import MembershipClient, Money, to_dict
from membership_sdk.sandbox import MembershipSandbox
from sdk_core import codec
from sdk_core.operation import Effect, Operation

FEW = fuzzed(15)


def test_what_is_not_given_is_not_sent() -> None:
    """`None` and empty defaults are left out, at every level; False and zero are not."""
    item = SubscriptionListItem(id=UUID(int=1), is_trial_offer=False, quantity=0, list_price=Price())
    assert codec.parse(codec.dump(Page(items=(item,)))) == {
        "items": [{"id": str(UUID(int=1)), "isTrialOffer": False, "quantity": 0, "listPrice": {}}]
    }


@goes_through(
    ("budget", "text"),
    [(None, b"null"), (Decimal(0), b"0"), (Decimal("100.50"), b"100.50"), (Decimal("1E+3"), b"1000")],
)
def test_null_that_is_a_value_is_sent(budget: Decimal | None, text: bytes) -> None:
    """No budget is not the same as no change of the budget."""
    assert codec.dump(MonthlyBudget(monthly_budget=budget)) == b'{"monthlyBudget":' + text + b"}"


@goes_through(
    ("value", "text"),
    [
        ("PO-1", b'"PO-1"'),
        (UUID(int=1), b'"00000000-0000-0000-0000-000000000001"'),
        ({}, b"{}"),
        (
            {"name": None, "quantity": 0, "on": False, "billing": BillingFrequency.MONTHLY, "rest": [1, {"a": []}]},
            b'{"name":null,"quantity":0,"on":false,"billing":{"name":"Monthly"},"rest":[1,{"a":[]}]}',
        ),
        (
            {"amount": Decimal("5.10"), "at": datetime(2026, 1, 31, tzinfo=UTC)},
            b'{"amount":5.10,"at":"2026-01-31T00:00:00+00:00"}',
        ),
        ({'"': '"\\\n'}, b'{"\\"":"\\"\\\\\\n"}'),
        ([(Decimal("0.10"), "ä"), -(10**30)], b'[[0.10,"\xc3\xa4"],-1000000000000000000000000000000]'),
    ],
)
def test_raw_bodies_are_sent_as_they_are(value: object, text: bytes) -> None:
    """Of a mapping nothing is left out, not even null: what is to be sent is the caller's word."""
    assert codec.dump(value) == text


class DateOfAnother(date):
    """As libraries that stop the clock have one."""


class MomentOfAnother(datetime):
    """Another, with a time of the day."""


class UuidOfAnother(UUID):
    """As database drivers have one."""


@goes_through(
    ("value", "text"),
    [
        (date(2026, 1, 31), "2026-01-31"),
        (date(1, 1, 1), "0001-01-01"),
        (DateOfAnother(2026, 1, 31), "2026-01-31"),
        (datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2))), "2026-01-30T23:00:00+00:00"),
        (MomentOfAnother(2026, 1, 31, tzinfo=UTC), "2026-01-31T00:00:00+00:00"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (UuidOfAnother(int=1), "00000000-0000-0000-0000-000000000001"),
    ],
)
def test_days_moments_and_uuids_are_sent_as_documented(value: object, text: str) -> None:
    """Wherever they are, and whoever's classes they are of; a moment is never cut down to its day."""

    @attrs.frozen
    class Anything:
        value: Any

    for whole in ({"value": value}, Anything(value)):
        assert codec.dump(whole) == f'{{"value":"{text}"}}'.encode()
    assert codec.dump([(value,)]) == f'[["{text}"]]'.encode()


def test_days_and_uuids_are_keys_in_their_text() -> None:
    """At any depth."""
    value = {date(2026, 1, 31): 1, "a": {UUID(int=1): [{datetime(2026, 1, 31, tzinfo=UTC): 2}]}}
    assert codec.dump({BillingFrequency.MONTHLY: 1, Colour.RED: 2}) == b'{"Monthly":1,"red":2}'
    assert codec.dump(value) == (
        b'{"2026-01-31":1,"a":{"00000000-0000-0000-0000-000000000001":[{"2026-01-31T00:00:00+00:00":2}]}}'
    )


@attrs.frozen
class Days:
    """Where nobody looks what it is given."""

    day: date
    moment: datetime
    days: tuple[date, ...] = ()


def test_declared_type_decides_what_is_sent() -> None:
    """A moment in place of a day is its day, as the caller's own zone has it; what is neither is not sent."""
    moment = datetime(2026, 1, 31, 1, tzinfo=timezone(timedelta(hours=2)))
    assert codec.dump(Days(moment, moment, (moment,))) == (
        b'{"day":"2026-01-31","moment":"2026-01-30T23:00:00+00:00","days":["2026-01-31"]}'
    )
    for oddity in (None, "x", 5):
        for odd in ({"day": oddity}, {"moment": oddity}, {"moment": moment.date()}, {"days": (oddity,)}):
            with pytest.raises((TypeError, AttributeError)):
                codec.dump(attrs.evolve(Days(moment.date(), moment), **odd))


@goes_through(
    "value",
    [{1: 2}, {"a": {None: 1}}, {"a": [{b"k": 1}]}, {("a",): 1}, {Money(amount=Decimal(1), currency="EUR"): 1}],
)
def test_keys_that_are_no_text_are_not_sent(value: object) -> None:
    """JSON has none: they would make the body unreadable."""
    with pytest.raises(TypeError, match="key"):
        codec.dump(value)


@goes_through("value", [0.1, [1.0], {"a": 1e300}, {"a": (1.5,)}, Money(amount=0.1, currency="EUR")])  # type: ignore[arg-type]
def test_float_is_not_sent(value: Any) -> None:
    """It could not hold the amount it stands for."""
    with pytest.raises(TypeError, match="Decimal, not float"):
        codec.dump(value)


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_infinite_amount_is_not_sent(value: str) -> None:
    """JSON has no text for it."""
    with pytest.raises(ValueError, match="finite"):
        codec.dump(Money(amount=Decimal(value), currency="EUR"))


@FEW
@given(JSON)
def test_dump_writes_what_json_dumps_writes(value: Any) -> None:
    """Of everything but floats, which it refuses."""
    try:
        text = codec.dump(value)
    except TypeError:
        assert "." in json.dumps(value) or "e" in json.dumps(value)
    else:
        assert json.loads(text) == value
        assert len(text) <= len(json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode())


@goes_through("value", ["\ud800", {"name": "x\udfff"}, [{"\udc00": 1}]])
def test_half_a_character_is_not_sent(value: object) -> None:
    """It has no encoding; and Python's own message would show the text, in its arguments."""
    with pytest.raises(ValueError, match="surrogate") as caught:
        codec.dump(value)
    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None


@goes_through("value", [b"x", {1, 2}, object(), {"a": complex(1)}, [range(2)], math.inf])
def test_what_is_no_json_is_not_sent(value: object) -> None:
    """Not in some form that the API never saw."""
    with pytest.raises(TypeError):
        codec.dump(value)


class _Day(date):
    """What libraries that freeze time, and pandas, put in the place of a date."""


class _Key(UUID):
    pass


def test_subclasses_of_dates_and_ids_are_sent_as_what_they_stand_for() -> None:
    day, key = _Day(2026, 1, 31), _Key(int=1)
    assert codec.dump({"on": day, "all": [day, key], "in": {day: 1, key: 2}}) == (
        b'{"on":"2026-01-31","all":["2026-01-31","00000000-0000-0000-0000-000000000001"],'
        b'"in":{"2026-01-31":1,"00000000-0000-0000-0000-000000000001":2}}'
    )


def _lie(_self: object, *_others: object) -> Any:
    return "../lie"


_LIES = dict.fromkeys(("__str__", "__format__", "isoformat"), _lie) | {"__int__": lambda _self: 4711}


def _lying(value: Any) -> Any:
    """Return the value as one of a class whose methods tell something else."""
    kind: Any = type(f"Own{type(value).__name__}", (type(value),), _LIES)
    return kind(int=value.int) if isinstance(value, UUID) else kind(*value.timetuple()[:3])


def test_what_is_sent_is_the_value_and_not_what_a_subclass_tells_of_it() -> None:
    day, key, number = _lying(date(2026, 1, 31)), _lying(UUID(int=1)), type("Own", (int,), _LIES)(7)
    moment = type("OwnDatetime", (datetime,), _LIES)(2026, 1, 31, tzinfo=UTC)
    honest = [date(2026, 1, 31), UUID(int=1), 7, "2026-01-31T00:00:00+00:00", {date(2026, 1, 31): 1, UUID(int=1): 2}]
    assert codec.dump([day, key, number, moment, {day: 1, key: 2}]) == codec.dump(honest)
    assert codec.dump(key) == codec.dump(UUID(int=1))
    assert codec.encode_datetime("since", moment) == "2026-01-31T00:00:00+00:00"


async def test_what_is_nested_too_deeply_or_holds_itself_is_not_sent() -> None:
    deep: dict[str, Any] = {}
    for _ in range(sys.getrecursionlimit()):
        deep = {"within": deep}
    ring: dict[str, Any] = {"within": []}
    ring["within"].append(ring)
    operation = Operation(name="do_it", method="POST", path="/it", returns=object, effect=Effect.WRITE, body=dict)
    async with MembershipClient("http://127.0.0.1", "key") as client:
        for body in (deep, ring):
            with pytest.raises(ValueError, match="nested too deeply, or holds itself"):
                await client.call(operation, body=body)


@pytest.mark.parametrize("library", ["freezegun", "time_machine"])
async def test_calls_are_made_while_time_is_frozen(library: str) -> None:
    moment = datetime(2026, 1, 15, 12, tzinfo=UTC)
    with freeze_time(moment) if library == "freezegun" else time_machine.travel(moment, tick=False):
        assert codec.dump([date.today()]) == b'["2026-01-15"]'  # noqa: DTZ011  what users have at hand
        async with MembershipSandbox() as sandbox, sandbox.client() as client:
            cancelation_date = date.today().replace(month=2, day=28)  # noqa: DTZ011
            await client.create_contract_cancelation_amendment(
                customer_id=1001, contract_id=2002, cancelation_date=cancelation_date, cancelation_reason_id=11
            )
            (contract, _) = await client.get_contract_data(customer_id=1001)
            assert contract.cancelation_date == date(2026, 2, 28)
            assert (sandbox.today, sandbox.ledger[0].arguments["cancelation_date"]) == (
                date(2026, 1, 15),
                cancelation_date,
            )


def test_an_import_while_time_is_frozen_does_no_harm() -> None:
    code = """
import freezegun
with freezegun.freeze_time("2026-01-15"):
    from datetime import date
    from sdk_core import codec
    from membership_sdk.models import MainContractCancelation
    ids = {"cancelation_reason_id": 1, "contract_id": 2}
    print(codec.dump(MainContractCancelation(cancelation_date=date.today(), **ids)))
from datetime import date
print(codec.dump(MainContractCancelation(cancelation_date=date(2026, 1, 15), **ids)))
"""
    first, second = run_alone(code).splitlines()
    assert first == second
    assert "2026-01-15" in first


@attrs.frozen
class Notice:
    """A body with defaults that are not the server's."""

    customer: int
    by_mail: bool = True
    urgent: bool = False
    copies: int = 2
    text: str = ""
    attachments: tuple[str, ...] = ()
    reply_to: str | None = None
    lines: int = attrs.Factory(lambda self: self.copies * 2, takes_self=True)


def test_only_what_is_empty_is_left_out() -> None:
    """Without its default in the request, the server's own would decide."""
    assert codec.dump(Notice(1)) == b'{"customer":1,"byMail":true,"urgent":false,"copies":2,"lines":4}'


@attrs.frozen
class Typed:
    """With types that are not checked when it is made."""

    unit: BillingFrequency | None = None
    term: Notice | None = None
    moment: datetime | None = None
    id: UUID | None = None
    alternative: BillingFrequency | str | None = None
    annotated: Annotated[BillingFrequency, "text"] | None = None
    several: Notice | Money | None = None


@goes_through(
    "odd",
    [
        {"unit": "Monthly"},
        {"term": {"customer": 1}},
        {"term": "text"},
        {"moment": date(2026, 1, 31)},
        {"id": 5},
    ],
)
def test_value_of_another_class_than_declared_is_refused(odd: dict[str, Any]) -> None:
    """And never sent as its text."""
    with pytest.raises(TypeError, match="can't be sent where a"):
        codec.dump(Typed(**odd))


@attrs.frozen
class Required:
    """With values that must be there."""

    id: UUID
    unit: BillingFrequency


def test_none_is_no_text() -> None:
    """A required value that is None is refused, not sent as "None"."""
    nothing: Any = None
    with pytest.raises(TypeError, match="a NoneType can't be sent where a UUID is declared"):
        codec.dump(Required(nothing, BillingFrequency.MONTHLY))
    with pytest.raises(TypeError, match="a NoneType can't be sent where a BillingFrequency is declared"):
        codec.dump(Required(UUID(int=1), nothing))


def test_types_that_leave_a_choice_are_written_by_the_class_of_the_value() -> None:
    """Of a union, what the value is; what is annotated, as its type."""
    unit = BillingFrequency.MONTHLY
    value = Typed(alternative=unit, annotated=unit, several=Money(amount=Decimal(5), currency="EUR"))
    assert codec.dump(value) == (
        b'{"alternative":{"name":"Monthly"},"annotated":{"name":"Monthly"},"several":{"amount":5,"currency":"EUR"}}'
    )


@attrs.frozen
class Plain:
    """With what any JSON value could stand for."""

    text: str = ""
    number: int = 0
    is_so: bool = False
    amount: Decimal = Decimal(0)
    share: float = Decimal(0)  # type: ignore[assignment]
    note: str | None = None
    limit: Annotated[Decimal | None, "in euros"] = None


@pytest.mark.parametrize(
    "odd",
    [
        *({"text": odd} for odd in (5, None, UUID(int=1), date(2026, 1, 31))),
        *({"number": odd} for odd in ("5", None, Decimal("5.5"), True)),
        *({"is_so": odd} for odd in ("false", None, 1)),
        *({"amount": odd} for odd in ("5.10", None, True)),
        *({"share": odd} for odd in ("5.10", None)),
        *({"note": 5}, {"limit": "5.10"}),
    ],
    ids=str,
)
def test_text_or_number_of_another_class_than_declared_is_refused(odd: dict[str, Any]) -> None:
    """An amount is not sent as text, nor null where something must be."""
    with pytest.raises(TypeError, match="can't be sent where a"):
        codec.dump(Plain(**odd))


def test_numbers_may_be_whole_and_texts_of_subclasses() -> None:
    value = Plain(BillingFrequency.MONTHLY, 5, True, 5, Decimal("0.5"), "x", Decimal("5.10"))  # type: ignore[arg-type]
    assert codec.dump(value) == (
        b'{"text":"Monthly","number":5,"isSo":true,"amount":5,"share":0.5,"note":"x","limit":5.10}'
    )


@attrs.frozen
class Many:
    """Lists by what they offer."""

    units: Iterable[BillingFrequency] = ()
    more: Collection[Money] = ()
    changing: MutableSequence[date] = attrs.field(factory=list)
    terms: Sequence[Notice] = ()


def test_lists_declared_by_what_they_offer_are_sent_with_items_of_their_types() -> None:
    value = Many([BillingFrequency.MONTHLY], (Money(amount=Decimal(5), currency="EUR"),), [date(2026, 1, 31)])
    assert codec.dump(value) == (
        b'{"units":[{"name":"Monthly"}],"more":[{"amount":5,"currency":"EUR"}],"changing":["2026-01-31"]}'
    )
    for odd in ({"units": ["Monthly"]}, {"units": BillingFrequency.MONTHLY}, {"terms": "text"}, {"terms": ["text"]}):
        with pytest.raises(TypeError, match="can't be sent"):
            codec.dump(Many(**odd))  # type: ignore[arg-type]


@attrs.frozen
class Late:
    of: "NotDefined | None" = None  # type: ignore[name-defined] # noqa: F821


def test_body_with_an_annotation_that_can_not_be_read_says_so() -> None:
    with pytest.raises(TypeError, match=r"an annotation of Late can't be read .*'NotDefined'.* must define the name"):
        codec.dump(Late())


@attrs.frozen
class Ambiguous:
    end: date | None = attrs.field(default=None, metadata={"json": "endDate"})
    end_date: date | None = None


def test_two_values_for_one_key_are_not_sent() -> None:
    """One of them would be lost."""
    with pytest.raises(TypeError, match="Ambiguous can't be sent: two of its attributes have the same JSON key"):
        codec.dump(Ambiguous(end=date(2026, 1, 31)))


@attrs.frozen
class MoreOfANotice(Notice):
    """A subclass, as an application may have one of a model."""

    more: int = 7


def test_subclass_of_what_is_declared_is_sent_whole() -> None:
    """Its own fields, too."""
    assert b'"more":7' in codec.dump(Typed(term=MoreOfANotice(1)))


def test_to_dict_takes_what_to_json_takes() -> None:
    """Subclasses of text and numbers are those texts and numbers; amounts are Decimals."""

    class Text(str):
        __slots__ = ()

    class Number(int):
        pass

    value = Lists((Text("a"),), [Decimal("5.10")], others=[Number(5), {Text("b"): Decimal(7)}])
    assert to_dict(value) == {"names": ["a"], "amounts": [Decimal("5.10")], "others": [5, {"b": Decimal(7)}]}


class Colour(Enum):
    """As an application of its own may have one."""

    RED = "red"


@attrs.frozen
class Lists:
    """Where nobody looks what it is given."""

    names: tuple[str, ...] = ()
    amounts: list[Decimal] = attrs.field(factory=list)
    by_name: dict[str, date] = attrs.field(factory=dict)
    mixed: tuple[date, str] | None = None
    nested: "tuple[Lists, ...]" = ()
    others: Sequence[Any] = ()
    colour: Colour | None = None


def test_lists_and_objects_are_sent_as_declared() -> None:
    """With items of their types, and at any depth."""
    day = date(2026, 1, 31)
    value = Lists(("a",), [Decimal("5.10")], {"b": day}, (day, "c"), (Lists(("d",)),), [Lists(("e",))], Colour.RED)
    assert codec.dump(value) == (
        b'{"names":["a"],"amounts":[5.10],"byName":{"b":"2026-01-31"},"mixed":["2026-01-31","c"],'
        b'"nested":[{"names":["d"]}],"others":[{"names":["e"]}],"colour":"red"}'
    )
    assert codec.dump(Lists()) == b"{}"


@goes_through("odd", [{"names": "abc"}, {"names": {"a": 1}}, {"names": 5}, {"by_name": [("a", 1)]}])
def test_text_is_no_list_of_its_letters(odd: dict[str, Any]) -> None:
    """Nor is an object a list of its keys."""
    with pytest.raises(TypeError, match="can't be sent as a JSON"):
        codec.dump(Lists(**odd))
