"""The codec, over every model of both SDKs: strict about types, open about what is new, silent about values."""

import copy
import dataclasses
import gc
import json
import math
import pickle
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from types import ModuleType, NoneType
from typing import Any, Generic, Self, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
import cattrs
import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from payloads import payload
from wire import CannedAnswer, WireServer

import cloudcockpit_sdk.models
import membership_sdk.models
from cloudcockpit_sdk import (
    BillingFrequency,
    CancelConflict,
    MigrationRequest,
    MigrationStatus,
    MonthlyBudget,
    Page,
    Price,
    Subscription,
    SubscriptionListItem,
    SubscriptionStatus,
    TermDuration,
    Transition,
)
from membership_sdk import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractValidationStatus,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatusResult,
    InvalidResponseError,
    MainContractCancelation,
    MembershipClient,
    Money,
    Outcome,
    RateCode,
    RemainingIdlePeriods,
    TimePeriod,
)
from sdk_core import codec
from sdk_core.client import Empty

T = TypeVar("T")

FEW = fuzzed(60)
ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
NEW = "ZZZ_NEW"
CANARY = "CANARY-VALUE"
CANARY_NUMBER = 987654321

REQUESTS = (
    MainContractCancelation,
    AdditionalModuleContractCancelation,
    IdlePeriodValidationRequest,
    IdlePeriodCreateRequest,
    IdlePeriodUpdateRequest,
    AdditionalModuleContractRequest,
    MigrationRequest,
)
ROOTS: tuple[Any, ...] = (
    ContractData,
    ContractCancelationReason,
    IdlePeriodConfiguration,
    IdlePeriodValidationStatusResult,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    RemainingIdlePeriods,
    AdditionalModule,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    *REQUESTS,
    Page[SubscriptionListItem],
    Page[Any],
    Subscription,
    Transition,
    MigrationStatus,
)
"""What is sent and answered; every other model is a part of these."""
ELSEWHERE = {MonthlyBudget, CancelConflict}
"""Models of a kind of their own, with tests of their own: a required null, and a view of an error."""


@attrs.frozen
class Site:
    """A place in the JSON of a model."""

    root: Any
    keys: tuple[str | int, ...]
    shape: Any
    """Without `| None`."""
    required: bool
    default: Any = None
    is_item: bool = False
    attribute: str = ""

    @property
    def path(self) -> str:
        return "$" + "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in self.keys)

    def __str__(self) -> str:
        return f"{(get_origin(self.root) or self.root).__name__}{self.path.removeprefix('$')}"


def camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(map(str.capitalize, rest))


def bare(shape: Any) -> Any:
    members = [member for member in get_args(shape) if member is not NoneType]
    return members[0] if NoneType in get_args(shape) else shape


def fields_of(shape: Any) -> Iterator[tuple["attrs.Attribute[Any]", Any]]:
    for attribute in attrs.fields(attrs.resolve_types(get_origin(shape) or shape)):
        kind = attribute.type
        if get_origin(kind) is tuple and isinstance(get_args(kind)[0], TypeVar):
            kind = tuple[get_args(shape)[0], ...]  # type: ignore[misc]
        yield attribute, bare(kind)


def sites(root: Any, shape: Any, keys: tuple[str | int, ...] = ()) -> Iterator[Site]:
    for attribute, kind in fields_of(shape) if attrs.has(get_origin(shape) or shape) else ():
        here = (*keys, camel(attribute.name))
        required = attribute.default is attrs.NOTHING
        yield Site(root, here, kind, required, attribute.default, attribute=attribute.name)
        if get_origin(kind) is tuple:
            yield Site(root, (*here, 0), get_args(kind)[0], required=True, is_item=True)
            yield from sites(root, get_args(kind)[0], (*here, 0))
        else:
            yield from sites(root, kind, here)


def is_enum(shape: Any) -> bool:
    return isinstance(shape, type) and issubclass(shape, Enum)


def is_optional_enum_object(site: Site) -> bool:
    return not site.required and is_enum(site.shape) and issubclass(site.shape, codec.OpenEnumObject)


def as_json(shape: Any, name: str) -> Any:
    """Return an enum's value as it travels."""
    return {"name": name} if issubclass(shape, codec.OpenEnumObject) else name


def full(shape: Any) -> Any:
    """Return the JSON of a model with every field filled."""
    if attrs.has(get_origin(shape) or shape):
        return {camel(attribute.name): full(kind) for attribute, kind in fields_of(shape)}
    if get_origin(shape) is tuple:
        return [full(get_args(shape)[0])]
    if is_enum(shape):
        return as_json(shape, next(iter(shape)).value)
    return {
        str: "text",
        int: 7,
        bool: True,
        Decimal: 12,
        date: "2023-01-25",
        datetime: "2024-05-04T09:42:00+00:00",
        UUID: "11111111-1111-4111-8111-111111111111",
        Any: {"raw": [1]},
    }[shape]


def wrong(shape: Any) -> list[Any]:
    """Return JSON values of other types, or of the same type with an impossible value."""
    if attrs.has(get_origin(shape) or shape):
        return [CANARY, CANARY_NUMBER, True, []]
    if get_origin(shape) is tuple:
        return [CANARY, CANARY_NUMBER, True, {}, {"0": 1}]
    if is_enum(shape):
        other = CANARY if issubclass(shape, codec.OpenEnumObject) else {"name": CANARY}
        return [other, CANARY_NUMBER, True, [], {}, {"name": CANARY_NUMBER}]
    not_dates = ["", CANARY, CANARY_NUMBER, True, [], "20230125", "2023-W04-3", "2023-02-30", "2023-1-25"]
    return {
        str: [CANARY_NUMBER, True, 1.5, [], {}, [CANARY]],
        int: [CANARY, "7", True, False, 1.5, 7.0, [], {}],
        bool: [CANARY, "true", 0, 1, [], {}],
        Decimal: [CANARY, "1.5", True, [], {}, {"amount": CANARY_NUMBER}],
        date: [*not_dates, "2023-01-25T00:00:00Z", "2023-01-25 "],
        datetime: [*not_dates, "2024-05-04", "2024-05-04T09:42:00", "2024-05-04T25:00:00Z", CANARY + "T"],
        UUID: ["", CANARY, CANARY_NUMBER, True, [], {}],
    }[shape]


def changed(site: Site, value: Any) -> bytes:
    document = full(site.root)
    parent = document
    for key in site.keys[:-1]:
        parent = parent[key]
    parent[site.keys[-1]] = value
    return json.dumps(document).encode()


def dropped(site: Site) -> bytes:
    document = full(site.root)
    parent = document
    for key in site.keys[:-1]:
        parent = parent[key]
    del parent[site.keys[-1]]
    return json.dumps(document).encode()


def value_at(site: Site, value: Any) -> Any:
    for key in site.keys:
        if isinstance(key, int):
            value = value[key]
        else:
            value = next(getattr(value, a.name) for a in attrs.fields(type(value)) if camel(a.name) == key)
    return value


SITES = tuple(site for root in ROOTS for site in sites(root, root))
ENUM_SITES = tuple(site for site in SITES if is_enum(site.shape))
OPTIONAL_SITES = tuple(site for site in SITES if not site.required)
REQUIRED_SITES = tuple(site for site in SITES if site.required and site.shape is not Any)
ANSWER_SITES = tuple(site for site in SITES if site.root not in REQUESTS)
TYPED_SITES = tuple(site for site in SITES if site.shape is not Any)
MODULES: tuple[ModuleType, ...] = (membership_sdk.models, cloudcockpit_sdk.models)
MODELS = [value for module in MODULES for value in map(vars(module).get, module.__all__) if isinstance(value, type)]
ENUMS = [model for model in MODELS if issubclass(model, Enum)]


def test_no_model_is_left_out() -> None:
    """The roots above reach every model and every enumeration of both SDKs."""
    reached = {get_origin(shape) or shape for shape in (*ROOTS, *(site.shape for site in SITES))}
    assert [
        model.__name__ for model in MODELS if model not in reached | ELSEWHERE and not issubclass(model, Empty)
    ] == []


# Open about what is new


@pytest.mark.parametrize("root", ROOTS, ids=str)
def test_full_model_survives_a_round_trip(root: Any) -> None:
    """Every field is read, and written as it was."""
    value = codec.load(json.dumps(full(root)).encode(), root)
    assert codec.parse(codec.dump(value)) == full(root)


def test_what_is_not_given_is_not_sent() -> None:
    """`None` and empty defaults are left out, at every level; False and zero are not."""
    item = SubscriptionListItem(id=UUID(int=1), is_trial_offer=False, quantity=0, list_price=Price())
    assert codec.parse(codec.dump(Page(items=(item,)))) == {
        "items": [{"id": str(UUID(int=1)), "isTrialOffer": False, "quantity": 0, "listPrice": {}}]
    }


@pytest.mark.parametrize(
    ("budget", "text"),
    [(None, b"null"), (Decimal(0), b"0"), (Decimal("100.50"), b"100.50"), (Decimal("1E+3"), b"1000")],
)
def test_null_that_is_a_value_is_sent(budget: Decimal | None, text: bytes) -> None:
    """No budget is not the same as no change of the budget."""
    assert codec.dump(MonthlyBudget(monthly_budget=budget)) == b'{"monthlyBudget":' + text + b"}"


@pytest.mark.parametrize(
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
    ids=["text", "uuid", "empty", "nulls stay", "exact", "escaped", "tuple"],
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


@pytest.mark.parametrize(
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
    ids=lambda value: type(value).__name__,
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


@pytest.mark.parametrize("value", [{1: 2}, {"a": {None: 1}}, {"a": [{b"k": 1}]}], ids=str)
def test_keys_that_are_no_text_are_not_sent(value: object) -> None:
    """JSON has none: they would make the body unreadable."""
    with pytest.raises(TypeError, match="key"):
        codec.dump(value)


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_enumeration_has_members(kind: type[Enum]) -> None:
    """Python looks no value up, known or not, in an enumeration without any."""
    assert len(kind) > 0


@pytest.mark.parametrize("site", ENUM_SITES, ids=str)
def test_unknown_enum_value_is_kept_and_sent_back(site: Site) -> None:
    """A value the API adds tomorrow neither fails the answer nor changes on its way back."""
    text = changed(site, as_json(site.shape, NEW))
    value = codec.load(text, site.root)
    member = value_at(site, value)
    assert type(member) is site.shape
    assert (member.value, member.is_known) == (NEW, False)
    assert codec.parse(codec.dump(value)) == json.loads(text)


@pytest.mark.parametrize("root", ROOTS, ids=str)
def test_unknown_keys_are_ignored_at_every_level(root: Any) -> None:
    """A field the API adds tomorrow is no error, whatever it holds."""

    def grown(value: Any) -> Any:
        match value:
            case {"raw": _}:
                return value
            case dict():
                grown_ones = {key: grown(item) for key, item in value.items()}
                return grown_ones if set(value) == {"name"} else {**grown_ones, "zzzNew": [{"a": None}], "": 1}
            case list():
                return [grown(item) for item in value]
            case _:
                return value

    assert codec.structure(grown(full(root)), root) == codec.structure(full(root), root)


def test_enum_object_may_grow_too() -> None:
    """A second key beside `name` is ignored like any other."""
    assert codec.load(b'{"currency": {"name": "EUR", "zzzNew": 1}}', Price).currency == "EUR"


@pytest.mark.parametrize("site", OPTIONAL_SITES, ids=str)
def test_optional_field_may_be_absent_or_null(site: Site) -> None:
    """Both give the default; and so does an enumeration's object that names nothing, as in CloudCockpit's samples."""
    for text in (dropped(site), changed(site, None)):
        assert value_at(site, codec.load(text, site.root)) == site.default
    if is_optional_enum_object(site):
        for nameless in ({}, {"name": None}, {"name": None, "zzzNew": 1}, {"zzzNew": 1}):
            assert value_at(site, codec.load(changed(site, nameless), site.root)) is None


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("text", [NEW, "", "active", "ä\n\x00", "_value_", "name"])
def test_open_member_behaves_like_its_text(kind: type[codec.OpenEnum], text: str) -> None:
    """Equality, hash, pickle, copy, JSON and format, all as of the str it is."""
    member = kind(text)
    assert (member.value, member.name, str(member), f"{member}", member.is_known) == (text, text, text, text, False)
    assert member == text
    assert member == kind(text)
    assert member != kind("another")
    assert hash(member) == hash(text)
    assert {member: 1}[text] == 1
    assert {text, kind(text), member} == {text}
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        again = pickle.loads(pickle.dumps(member, protocol))
        assert (type(again), again, again.is_known) == (kind, text, False)
    assert copy.copy(member) == copy.deepcopy(member) == member
    assert json.loads(json.dumps({"a": member})) == {"a": text}
    assert list(kind) == list(kind.__members__.values()), "an unknown value must not become a known one"


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_known_member_behaves_like_its_text(kind: type[codec.OpenEnum]) -> None:
    """The very same object for the same text, known, and equal to it in sets and dicts."""
    for member in kind:
        assert kind(member.value) is member
        assert member.is_known
        assert {member.value: 1}[member] == 1
        assert pickle.loads(pickle.dumps(member)) is member


def test_one_enum_does_not_know_the_others_values() -> None:
    """Known is a matter of the type."""
    assert not CancelationStatus("ACTIVE").is_known
    assert BillingFrequency("Monthly") is BillingFrequency.MONTHLY
    assert not SubscriptionStatus("Monthly").is_known


# Strict about types, silent about values


@pytest.mark.parametrize("site", REQUIRED_SITES, ids=str)
def test_required_field_may_be_neither_absent_nor_null(site: Site) -> None:
    """The JSON path is named, and nothing else fails."""
    texts = [changed(site, None)] + ([] if site.is_item else [dropped(site)])
    for text in texts:
        with pytest.raises(codec.ShapeError) as caught:
            codec.load(text, site.root)
        (problem,) = caught.value.problems
        assert problem.startswith(f"{site.path}: ")


@pytest.mark.parametrize("site", TYPED_SITES, ids=str)
def test_wrong_type_is_refused_with_its_path_and_without_its_value(site: Site) -> None:
    """No bool for int, no float for int, no str for list: nothing is converted."""
    for value in wrong(site.shape):
        if value == {} and is_optional_enum_object(site):
            continue
        with pytest.raises(codec.ShapeError) as caught:
            codec.load(changed(site, value), site.root)
        (problem,) = caught.value.problems
        assert problem.startswith(f"{site.path}: expected "), value
        told = repr(caught.value) + str(caught.value.__cause__) + repr(caught.value.__context__)
        assert CANARY not in told
        assert str(CANARY_NUMBER) not in told


def test_all_problems_are_named() -> None:
    """One answer, one look: not the first misfit only."""
    document = full(ContractData) | {"id": "7", "rateName": None, "availableCancelationDates": ["2023-01-25", 5, "x"]}
    document["priceDetails"]["basePrice"] = {"amount": "20"}
    with pytest.raises(codec.ShapeError) as caught:
        codec.structure(document, ContractData)
    assert sorted(caught.value.problems) == [
        "$.availableCancelationDates[1]: expected a date like 2023-01-25",
        "$.availableCancelationDates[2]: expected a date like 2023-01-25",
        "$.id: expected a whole number",
        "$.priceDetails.basePrice.amount: expected a number",
        "$.priceDetails.basePrice.currency: required, but missing",
        "$.rateName: expected a string",
    ]


async def test_misshapen_success_is_an_applied_call() -> None:
    """The server said yes: not repeated, and the outcome says so."""
    answer = full(AdditionalModuleContractExtended) | {"startDate": CANARY, "price": {"amount": True}}
    async with WireServer(CannedAnswer(body=answer)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_additional_module_contract(contract_id=1, additional_module_contract_id=2)
    error = caught.value
    assert (error.outcome, error.retryable, error.status) == (Outcome.APPLIED, False, 200)
    assert set(error.problems) == {
        "$.startDate: expected a date like 2023-01-25",
        "$.price.amount: expected a number",
        "$.price.currency: required, but missing",
    }
    assert "$.price.amount" in str(error)
    assert CANARY not in str(error)
    assert len(server.requests) == 1


async def test_misshapen_list_names_the_element() -> None:
    """Of a list, too."""
    answer = [full(ContractData), full(ContractData) | {"id": None}]
    async with WireServer(CannedAnswer(body=answer)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_contract_data(customer_id=1)
    assert caught.value.problems == ("$[1].id: expected a whole number",)


def test_global_converter_of_cattrs_is_left_alone() -> None:
    """An application that uses cattrs itself keeps the behaviour it knows."""
    today = date(2023, 1, 25)
    assert cattrs.unstructure(today) is today
    assert cattrs.structure("7", int) == 7
    assert cattrs.structure(5, str) == "5"
    assert cattrs.unstructure(codec.structure({"periodValue": 1, "periodUnit": "DAY"}, TimePeriod)) == {
        "period_value": 1,
        "period_unit": "DAY",
    }
    with pytest.raises(cattrs.StructureHandlerNotFoundError):
        cattrs.structure("2023-01-25", date)


# Money and time


@pytest.mark.parametrize(
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


def test_raw_json_holds_no_float_either() -> None:
    """Fields without a documented shape hold prices, too."""
    subscription = codec.load(payload("cloudcockpit_subscription"), Subscription)
    assert str(subscription.offer_price["costPrice"]["value"]) == "5.10"


@pytest.mark.parametrize("value", [0.1, [1.0], {"a": 1e300}, {"a": (1.5,)}, Money(amount=0.1, currency="EUR")])  # type: ignore[arg-type]
def test_float_is_not_sent(value: Any) -> None:
    """It could not hold the amount it stands for."""
    with pytest.raises(TypeError, match="Decimal, not float"):
        codec.dump(value)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", "[NaN]", "Decimal('1')", "1.", ".5", "+1", "01"])
def test_what_json_does_not_know_is_no_number(text: str) -> None:
    """Python's parser knows NaN; JSON does not."""
    with pytest.raises(codec.NotJsonError):
        codec.parse(text.encode())


@pytest.mark.parametrize("value", ["NaN", "Infinity"])
def test_infinite_amount_is_not_sent(value: str) -> None:
    """JSON has no text for it."""
    with pytest.raises(ValueError, match="finite"):
        codec.dump(Money(amount=Decimal(value), currency="EUR"))


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-05-04T09:42:00Z", datetime(2024, 5, 4, 9, 42, tzinfo=UTC)),
        ("2024-05-04T09:42:00+00:00", datetime(2024, 5, 4, 9, 42, tzinfo=UTC)),
        ("2024-05-04T09:42:00.1Z", datetime(2024, 5, 4, 9, 42, 0, 100000, tzinfo=UTC)),
        ("2024-05-04T09:42:00.1234567Z", datetime(2024, 5, 4, 9, 42, 0, 123456, tzinfo=UTC)),
        ("2024-05-04T23:59:59.9999999+02:00", datetime(2024, 5, 4, 21, 59, 59, 999999, tzinfo=UTC)),
        ("2024-05-04T09:42:00-03:30", datetime(2024, 5, 4, 13, 12, tzinfo=UTC)),
    ],
)
def test_datetimes_are_aware_instants(text: str, moment: datetime) -> None:
    """Z, offsets, and the seven fraction digits .NET sends."""
    value = codec.structure(text, datetime)
    assert value.tzinfo is not None
    assert value == moment


def test_naive_datetime_says_what_it_lacks() -> None:
    """Guessing a zone would shift the instant."""
    with pytest.raises(codec.ShapeError, match="without one it names no instant"):
        codec.structure("2024-05-04T09:42:00", datetime)
    with pytest.raises(ValueError, match="aware"):
        codec.encode_datetime("moment", datetime(2024, 5, 4))  # noqa: DTZ001  the subject


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
        min_value=datetime(1, 1, 3),  # noqa: DTZ001  hypothesis adds the zone
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


# Whatever comes


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=10,
)
SHAPES: list[Any] = [*ROOTS, list[ContractData], int, str, Decimal, datetime, UUID, CancelationStatus, TermDuration]


@fuzzed(150)
@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()), st.sampled_from(SHAPES))
@example(b"1e99999999999999999999", Decimal)
@example(b"1e-99999999999999999999", Decimal)
@example(b'{"zzz": 1e99999999999999999999}', ContractData)
@example(b"9" * 5000, int)
@example(b"[" * 100_000, ContractData)
@example(b"[" * 900 + b"]" * 900, ContractData)
@example(b'{"a":' * 100_000, ContractData)
@example(b'"\\ud800"', CancelationStatus)
@example(b"\xff\xfe\x00", str)
@example(b"\xef\xbb\xbf{}", ContractData)
@example(b"", str)
def test_load_raises_nothing_but_its_two_errors(text: bytes, shape: Any) -> None:
    with suppress(codec.NotJsonError, codec.ShapeError):
        codec.load(text, shape)


@FEW
@given(JSON, st.sampled_from(ANSWER_SITES))
def test_any_json_anywhere_is_read_or_refused_with_a_path(value: Any, site: Site) -> None:
    """Every misfit is at or below the place that was changed."""
    problems: tuple[str, ...] = (site.path,)
    try:
        codec.load(changed(site, value), site.root)
    except codec.ShapeError as error:
        problems = error.problems
    assert problems
    assert all(problem.startswith(site.path) for problem in problems)


# The fast path


ANSWERS = tuple(root for root in ROOTS if root not in REQUESTS)
RECORDS = tuple(
    model
    for model in MODELS
    if attrs.has(model) and not issubclass(model, Empty) and model not in {*REQUESTS, *ELSEWHERE, Page}
)
SAMPLES: tuple[tuple[Any, Any], ...] = (
    *((root, full(root)) for root in ANSWERS),
    *(
        (shape, codec.parse(payload(name)))
        for name, shape in {
            "membership_additional_modules": list[AdditionalModule],
            "membership_cancelation_reasons": list[ContractCancelationReason],
            "membership_contract_data": list[ContractData],
            "membership_idle_period": IdlePeriod,
            "membership_idle_period_config": IdlePeriodConfiguration,
            "membership_idle_period_preview": IdlePeriodUpdatePreview,
            "membership_module_contract": AdditionalModuleContractExtended,
            "membership_remaining_idle_periods": RemainingIdlePeriods,
            "cloudcockpit_audit_log_page": Page[Any],
            "cloudcockpit_migration_status": MigrationStatus,
            "cloudcockpit_subscription": Subscription,
            "cloudcockpit_subscription_page": Page[SubscriptionListItem],
            "cloudcockpit_transitions": list[Transition],
        }.items()
    ),
)
ODDITIES = (
    *(None, True, 0, -1, Decimal("7.0"), "", "text", [], {}, [None], ["-"] * 10, "-" * 10),
    *("2023-01-25", "20230125", "2023-W04-3", "2023-02-30", "2023-01-25 ", "\u0662\u0660\u0662\u0663-01-25"),
    *("2024-05-04T09:42:00Z", "2024-05-04T09:42:00", "2024-05-04T09:42:00.1234567+02:00", "2024-05-04 09:42:00Z"),
    *("11111111-1111-4111-8111-111111111111", "{11111111111141118111111111111111}", "1_1111111-1111-4111-8111-1111111"),
    *("ACTIVE", "MONTH", {"name": "EUR"}, {"name": None}, {"name": ""}, {"name": 5}, {"name": []}, {"zzz": 1}),
)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Yield everything inside of a JSON value as (container, key)."""
    for key, item in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield value, key
        yield from places(item)


@st.composite
def damaged_samples(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw an answer in which a few values are gone, odd, or in the place of others."""
    shape, sample = draw(st.sampled_from(SAMPLES))
    document = copy.deepcopy(sample)
    for _ in range(draw(st.integers(0, 3))):
        spots = list(places(document))
        if not spots:
            break
        container, key = draw(st.sampled_from(spots))
        values = st.sampled_from(ODDITIES) | st.sampled_from(spots).map(lambda spot: spot[0][spot[1]])
        match draw(st.sampled_from(["drop", "change", "change", "change"])):
            case "drop":
                del container[key]
            case _:
                container[key] = copy.deepcopy(draw(values))
    return shape, document


def exact(value: Any) -> Any:
    """Return a value in a form that is equal only where type and text are, at all levels."""
    kind = type(value)
    if attrs.has(kind):
        return kind, [exact(getattr(value, attribute.name)) for attribute in attrs.fields(kind)]
    if isinstance(value, dict):
        return kind, [(key, exact(item)) for key, item in value.items()]
    return (kind, [*map(exact, value)]) if isinstance(value, list | tuple) else (kind, str(value))


def outcome_of(read: Any, value: Any) -> Any:
    try:
        return exact(read(value))
    except Exception:  # noqa: BLE001  as the codec does
        return "refused"


def read_in_detail(text: bytes, shape: Any) -> Any:
    return codec.structure(codec.parse(text), shape)


@fuzzed(400)
@given(damaged_samples())
@example((ContractData, []))
@example((Price, ""))
def test_fast_path_and_converter_read_the_same(answer: tuple[Any, Any]) -> None:
    """What is read without the converter is what the converter would have read; it may leave more to it."""
    shape, value = answer
    text = codec.dump(value)
    detailed = outcome_of(lambda text: read_in_detail(text, shape), text)
    assert outcome_of(codec._READERS[shape], text) in ("refused", detailed)
    assert outcome_of(lambda text: codec.load(text, shape), text) == detailed


PIECES = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"-", b"0", b"1", b".", b"e5", b" ", b"\n", b"\x00", b"\\", b"\xff"),
    *(b"null", b"true", b"NaN", b"\\u00e4", b"\\ud800", b"\xc3\xa4", b"\xed\xa0\x80", b"1e99999999999999999999"),
    *(
        b'"id":2,',
        b'"zzz":"\xff",',
        b'"zzz":"\\ud800",',
        b'"zzz":[1,],',
        b'"z\xffz":1,',
        b'"zzz":-1e99999999999999999999,',
    ),
)


@st.composite
def damaged_texts(draw: st.DrawFn) -> tuple[Any, bytes]:
    """Draw an answer in whose text something was inserted, lost or replaced."""
    shape, sample = draw(st.sampled_from(SAMPLES))
    text = codec.dump(sample)
    for _ in range(draw(st.integers(1, 3))):
        # Behind a brace, an insertion is most often a key that nobody knows.
        braces = [place + 1 for place, byte in enumerate(text) if byte == ord("{")]
        place = draw(st.sampled_from(braces) | st.integers(0, len(text)) if braces else st.integers(0, len(text)))
        text = text[:place] + draw(st.sampled_from(PIECES) | st.just(b"")) + text[place + draw(st.integers(0, 2)) :]
    return shape, text


@fuzzed(400)
@given(damaged_texts())
def test_fast_path_and_converter_read_the_same_texts(answer: tuple[Any, bytes]) -> None:
    """To the byte, except that what is ignored may be no JSON in its encoding or in the size of a number."""
    shape, text = answer
    fast = outcome_of(codec._READERS[shape], text)
    if fast == "refused":
        return
    try:
        codec.parse(text)
    except codec.NotJsonError:
        assert b"9999" in text or text.decode(errors="replace").encode() != text
    else:
        assert fast == exact(read_in_detail(text, shape))


def test_what_is_ignored_is_not_looked_at() -> None:
    """An answer that is complete is not lost because of a field that nobody reads."""
    text = codec.dump(full(ContractData))
    for ignored in (b'"zzz":1e99999999999999999999', b'"zzz":"\xff"', b'"z\xffz":{"zzz":[null]}'):
        value = codec.load(text[:-1] + b"," + ignored + b"}", ContractData)
        assert value == codec.load(text, ContractData)


# Seldom enough to be left to the converter, as the same text in another form.
SELDOM = ("", "{11111111111141118111111111111111}", "1_1111111-1111-4111-8111-1111111")


@pytest.mark.parametrize("shape", [*RECORDS, Page[SubscriptionListItem]], ids=str)
def test_fast_path_and_converter_read_the_same_oddities(shape: Any) -> None:
    """The same, for every attribute of every class; and of what the converter reads, nearly all is read without it."""
    document, read = full(shape), codec._READERS[shape]
    for key in document:
        for oddity in (*ODDITIES, *([item] for item in ODDITIES)):
            text = codec.dump(document | {key: oddity})
            detailed = outcome_of(lambda text: read_in_detail(text, shape), text)
            fast = outcome_of(read, text)
            assert fast == detailed or (fast == "refused" and oddity in SELDOM), (key, oddity)


def test_all_answers_are_read_by_the_fast_path() -> None:
    """A change of msgspec, of attrs or of a model must not make them slow unnoticed. So are generics, and trees."""
    nested = {"name": "a", "inner": [{"name": "b"}]}
    for shape, value in (*SAMPLES, (Leaf, nested), (Pair[int], {"item": 1, "rest": [2]})):
        text = codec.dump(value)
        assert exact(codec._READERS[shape](text)) == exact(read_in_detail(text, shape))


@pytest.mark.parametrize("root", ANSWERS, ids=str)
def test_what_is_read_is_as_if_it_were_built(root: Any) -> None:
    """Same class, same value, same hash; frozen, copied and pickled alike."""
    value = codec.load(codec.dump(full(root)), root)
    built = attrs.evolve(value)
    assert type(value) is type(built) is (get_origin(root) or root)
    assert value == built == pickle.loads(pickle.dumps(value)) == copy.deepcopy(value)
    assert repr(value) == repr(built)
    with suppress(TypeError):  # Raw JSON can't be hashed.
        assert hash(value) == hash(built)
    name = attrs.fields(type(value))[0].name
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        setattr(value, name, None)
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        delattr(value, name)


@attrs.frozen
class Leaf:
    name: str
    inner: tuple["Leaf", ...] = ()


@attrs.frozen
class Pair(Generic[T]):
    item: T
    rest: tuple[T, ...] = ()


@attrs.define
class Changeable:
    count: int


def not_negative(_instance: object, _attribute: object, value: int) -> None:
    if value < 0:
        raise ValueError


@attrs.frozen
class Validated:
    count: int = attrs.field(validator=not_negative)


@attrs.frozen
class Converted:
    name: str = attrs.field(converter=str.upper)


@attrs.define
class Counted:
    count: int

    def __attrs_post_init__(self) -> None:
        self.count += 1


@attrs.define
class Prepared:
    count: int

    def __attrs_pre_init__(self, count: int) -> None:
        if count < 0:
            raise ValueError


@attrs.define
class OwnInit:
    count: int

    def __init__(self, count: int) -> None:
        self.count = count + 1


class OwnInitOfSubclass(Changeable):
    def __init__(self, count: int) -> None:
        super().__init__(count + 1)


@attrs.define
class OwnNew:
    count: int

    def __new__(cls, *counts: int) -> Self:
        if min(counts, default=0) < 0:
            raise ValueError
        return super().__new__(cls)


class Increasing(type):
    def __call__(cls, **counts: int) -> Any:
        return super().__call__(**{name: count + 1 for name, count in counts.items()})


@attrs.define
class OwnMetaclass(metaclass=Increasing):
    count: int


@attrs.define
class OwnSetattr:
    count: int

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value + 1)


@attrs.frozen
class NotGiven:
    count: int
    twice: int = attrs.field(init=False, default=2)


@attrs.frozen
class Made:
    items: list[int] = attrs.field(factory=list)


@attrs.frozen
class Derived:
    count: int
    same: int = attrs.Factory(lambda self: self.count, takes_self=True)


@attrs.frozen(slots=False)
class WithDict:
    count: int


@attrs.frozen(cache_hash=True)
class Hashed:
    count: int


@attrs.frozen
class NullOrFive:
    count: int | None = 5
    unit: CancelationStatus | None = CancelationStatus.CANCELED


@attrs.frozen
class Nothing:
    pass


@attrs.frozen
class Box(Generic[T]):
    item: T
    rest: list[T] = ()  # type: ignore[assignment]
    best: T = 5  # type: ignore[assignment]
    codes: dict[str, T] | None = None


@attrs.frozen
class Nested:
    name: str
    inner: tuple["Nested", ...] = ()
    more: list[Validated | None] | None = None


@attrs.frozen
class PairOfInt(Pair[int]):
    more: int = 0


class Plain:
    """No attrs class: only an attribute's own converter knows how to make one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.count == self.count

    def __hash__(self) -> int:
        return hash(self.count)

    def __repr__(self) -> str:
        return f"Plain({self.count})"


@attrs.frozen
class ConvertedToPlain:
    plain: Plain = attrs.field(converter=Plain)


@attrs.frozen
class Crossed:
    id: Decimal = attrs.field(metadata={"json": "number"})
    amount: Decimal = attrs.field(metadata={"json": "id"})


@attrs.frozen
class CrossedTexts:
    name: CancelationStatus | None = attrs.field(metadata={"json": "displayName"})
    internal: str = attrs.field(metadata={"json": "name"})


EMPTY = CancelationStatus("")


@attrs.frozen
class WithDefaults:
    duration: TermDuration | None = TermDuration.ONE_YEAR
    status: CancelationStatus | None = EMPTY
    amount: Decimal | None = 5  # type: ignore[assignment]


@dataclasses.dataclass(slots=True)
class Data:
    pass


@attrs.define
class FromData(Data):
    count: int


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (PairOfInt, {"item": 1, "rest": [1, 2]}, PairOfInt(1, (1, 2))),
        (PairOfInt, {"item": 1, "rest": ["1"]}, None),
        (ConvertedToPlain, {"plain": 1}, ConvertedToPlain(1)),
        (Crossed, {"number": 1, "id": 2}, Crossed(Decimal(1), Decimal(2))),
        (CrossedTexts, {"displayName": "", "name": ""}, CrossedTexts(None, "")),
        (WithDefaults, {}, WithDefaults()),
        (WithDefaults, {"duration": None, "status": None, "amount": 1}, WithDefaults(None, None, Decimal(1))),
        # cattrs and msgspec take it for a dataclass, which has no such field: no object is better than one without it.
        (FromData, {"count": 1}, None),
        (Validated, {"count": 1}, Validated(1)),
        (Validated, {"count": -1}, None),
        (Converted, {"name": "a"}, Converted("A")),
        (Counted, {"count": 1}, Counted(1)),
        (Prepared, {"count": -1}, None),
        (OwnInit, {"count": 1}, OwnInit(1)),
        (OwnInitOfSubclass, {"count": 1}, OwnInitOfSubclass(1)),
        (OwnNew, {"count": -1}, None),
        (OwnMetaclass, {"count": 1}, OwnMetaclass(count=1)),
        (OwnSetattr, {"count": 1}, OwnSetattr(1)),
        (NotGiven, {"count": 1, "twice": 5}, NotGiven(1)),
        (Made, {}, Made([])),
        (Made, {"items": None}, Made([])),
        (Made, {"items": [1]}, Made([1])),
        (Derived, {"count": 1}, Derived(1, 1)),
        (Derived, {"count": 1, "same": 2}, Derived(1, 2)),
        (Derived, {"count": 1, "same": None}, None),
        (WithDict, {"count": 1}, WithDict(1)),
        (Hashed, {"count": 1}, Hashed(1)),
        (Changeable, {"count": 1}, Changeable(1)),
        (NullOrFive, {}, NullOrFive()),
        (NullOrFive, {"count": None, "unit": None}, NullOrFive(None, None)),
        (NullOrFive, {"count": 6, "unit": ""}, NullOrFive(6, None)),
        (NullOrFive, {"count": "6"}, None),
        (Nothing, {"zzz": 1}, Nothing()),
        (Nothing, [], None),
        (Box[int], {"item": 1, "rest": [2], "codes": {"a": 3}}, Box(1, [2], codes={"a": 3})),
        (Box[int], {"item": "1"}, None),
        (Box[int], {"item": 1, "rest": ["2"]}, None),
        (Box[int | None], {"item": None, "best": None}, Box(None, best=None)),
        (Nested, {"name": "a"}, Nested("a")),
        (Nested, {"name": "a", "inner": [{"name": "b", "inner": None}]}, Nested("a", (Nested("b"),))),
        (Nested, {"name": "a", "more": [None, {"count": 1}]}, Nested("a", more=[None, Validated(1)])),
        (Nested, {"name": "a", "more": [{"count": -1}]}, None),
        (Nested, {"name": "a", "inner": [{}]}, None),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[str, Nested], {"a": {}}, None),
        (int | str, 1, None),
        (list[Decimal], [1, "1.5"], None),
        (tuple[datetime, ...], ["2024-05-04 09:42:00Z"], None),
        (list[dict[str, Any]] | None, [{"a": None}], [{"a": None}]),
    ],
    ids=str,
)
def test_classes_of_others_are_built_as_they_want(shape: Any, value: Any, expected: Any) -> None:
    """A class with a constructor of its own kind is built by it; None: the value is refused."""
    text = codec.dump(value)
    if expected is None:
        with pytest.raises(codec.ShapeError):
            codec.load(text, shape)
        return
    result = codec.load(text, shape)
    assert exact(result) == exact(expected) == exact(codec.structure(value, shape))
    if isinstance(result, Hashed):
        assert hash(result) == hash(expected)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_lone_object_is_a_list_of_one(encoding: str) -> None:
    """In any encoding; but what is no JSON does not become one by it, and what does not fit is named."""
    lone = json.dumps(full(RateCode), indent=1)
    for text in (lone, f" {lone}", f"[{lone}]"):
        assert codec.load(text.encode(encoding), list[RateCode], lone_item=True) == [
            RateCode(name="text", identifier="text")
        ]
    for text in (f"{lone},{lone}", f"{lone},1", f"{lone}]", ""):
        with pytest.raises(codec.NotJsonError):
            codec.load(text.encode(encoding), list[RateCode], lone_item=True)
    for text, problem in (("7", "$: expected a list"), ('{"name": 7}', "$[0].name: expected a string")):
        with pytest.raises(codec.ShapeError) as caught:
            codec.load(text.encode(encoding), list[RateCode], lone_item=True)
        assert caught.value.problems == (problem,)
        assert caught.value.__context__ is None


def test_decoding_leaves_no_cyclic_garbage() -> None:
    """Thousands of answers must not wait for the collector."""
    text = payload("membership_contract_data")
    codec.load(text, list[ContractData])
    gc.collect()
    gc.disable()
    try:
        for _ in range(20):
            codec.load(text, list[ContractData])
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_refusal_holds_no_error_of_the_fast_path() -> None:
    """Python's own messages show values; as __context__ they would stand in every traceback."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b'{"periodValue": 1, "periodUnit": {"name": "CANARY-VALUE"}}', TimePeriod)
    assert caught.value.__context__ is None


BLANKS = st.text(" \t\r\n", max_size=3)


@fuzzed(150)
@given(
    st.binary(max_size=30)
    | st.builds(
        lambda *parts: "".join(parts[:-1]).encode(parts[-1], "surrogatepass"),
        BLANKS,
        JSON.map(json.dumps),
        BLANKS,
        st.sampled_from(["", "", "x", "\x00", "\ufeff", " {}", "\xa0"]),
        st.sampled_from(ENCODINGS),
    )
)
@example(b'"\xed\xa0\x80"')
@example(b"\x0c1")
@example(b"1\x00")
@example(b"[]\xa0")
def test_parse_reads_what_json_loads_reads(text: bytes) -> None:
    """In all its encodings, and nothing else."""

    def expected(text: bytes) -> Any:
        return json.loads(text, parse_float=Decimal)

    assert outcome_of(codec.parse, text) == outcome_of(expected, text)


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


@pytest.mark.parametrize("value", ["\ud800", {"name": "x\udfff"}, [{"\udc00": 1}]], ids=ascii)
def test_half_a_character_is_not_sent(value: object) -> None:
    """It has no encoding; and Python's own message would show the text, in its arguments."""
    with pytest.raises(ValueError, match="surrogate") as caught:
        codec.dump(value)
    assert type(caught.value) is ValueError
    assert caught.value.__context__ is None


@pytest.mark.parametrize("value", [b"x", {1, 2}, object(), {"a": complex(1)}, [range(2)], math.inf])
def test_what_is_no_json_is_not_sent(value: object) -> None:
    """Not in some form that the API never saw."""
    with pytest.raises(TypeError):
        codec.dump(value)
