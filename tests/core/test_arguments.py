"""Whatever is passed for an argument: it is refused by name, or it can be sent."""

import math
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import IntEnum, StrEnum
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import pytest
import yarl
from cases import goes_through
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from cloudcockpit_sdk.models import MonthlyBudget
from membership_sdk.models import VoidResult
from sdk_core import arguments, codec
from sdk_core.operation import Effect, Operation
from sdk_core.query import Query


def says(answer: object) -> Callable[..., object]:
    return lambda *_args: answer


_LIES = {
    **dict.fromkeys(("__str__", "__format__", "strip", "hex"), says("a/../b\r\n")),
    **dict.fromkeys(("__lt__", "__le__", "__gt__", "__ge__", "isascii", "isprintable", "is_finite"), says(True)),
    **dict.fromkeys(("__int__", "__len__", "adjusted"), says(1)),
    "__float__": says(math.nan),
    "encode": says(b""),
}


def of_a_subclass(value: Any) -> Any:
    """Return the value as one of a class whose methods tell something else."""
    kind: Any = type(value)
    own: Any = type(f"Own{kind.__name__}", (kind,), _LIES)
    return own(int=value.int) if kind is UUID else own(value)


T = TypeVar("T")


class Number(IntEnum):
    SEVEN = 7


class Word(StrEnum):
    SEVEN = "seven"


FIRST, LAST = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
_OFFSETS = st.integers(-1439, 1439).map(lambda minutes: timezone(timedelta(minutes=minutes)))
_PLAIN = (
    st.integers()
    | st.sampled_from([0, -1, 1, 2**31, 2**63 - 1, 2**63, -(2**63), 10**400, -(10**4000)])
    | st.floats()
    | st.decimals()
    | st.sampled_from([Decimal(text) for text in ("sNaN", "-Infinity", "1E+999999", "1E-999999", "0E+999999", "-0")])
    | st.text()
    | st.sampled_from(["\ud800", "a\r\nb", " ", "x" * 10_000, "7", ".", "https://h", "http://127.0.0.1:99999", "https://[",
                       "https://\ud800", "https://a..b", "http://h:80/?q", str(UUID(int=7))])
    | st.uuids()
)  # fmt: skip
VALUES = (
    _PLAIN
    | _PLAIN.map(of_a_subclass)
    | st.none()
    | st.booleans()
    | st.binary(max_size=5)
    | st.dates()
    | st.datetimes(timezones=st.none() | _OFFSETS)
    | st.builds(datetime.replace, st.sampled_from([FIRST, LAST]), tzinfo=_OFFSETS)
    | st.lists(st.text(), max_size=2)
    | st.dictionaries(st.text() | st.text().map(of_a_subclass) | st.integers(), st.integers(), max_size=2)
    | st.sampled_from([Number.SEVEN, Word.SEVEN, object(), int, math.nan, 1j])
)

CHECKS: dict[str, tuple[Callable[[str, object], Any], type]] = {
    "base_url": (arguments.base_url, yarl.URL),
    "bearer_token": (arguments.bearer_token, str),
    "finite_decimal": (arguments.finite_decimal, Decimal),
    "header_text": (arguments.header_text, str),
    "http_url": (arguments.http_url, yarl.URL),
    "int32": (arguments.int32, int),
    "int64_id": (arguments.int64_id, int),
    "mapping": (arguments.mapping, dict),
    "non_empty": (arguments.non_empty, str),
    "plain_date": (arguments.plain_date, date),
    "positive_int": (arguments.positive_int, int),
    "seconds": (arguments.seconds, float),
    "sendable_text": (arguments.sendable_text, str),
    "text": (partial(arguments.text, maximum=255), str),
    "uuid_id": (arguments.uuid_id, UUID),
    "whole_number": (arguments.whole_number, int),
}


class Refused:
    pass


def refusal_or(make: Callable[[], T], argument: str) -> T | Refused:
    """Return what is made; if it is refused, the argument is named, and nothing of its value is shown."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        refusal = error
    assert argument in str(refusal)
    assert len(str(refusal)) < 200
    assert not isinstance(refusal, UnicodeError)
    assert refusal.__context__ is None or refusal.__suppress_context__
    return Refused()


def test_all_checks_are_looked_at() -> None:
    others = {"INT64_MAX", "NONE", "function", "instance", "of_type", "valid"}
    assert set(arguments.__all__) == CHECKS.keys() | others


@pytest.mark.parametrize("name", CHECKS)
@fuzzed(25)
@given(value=VALUES)
def test_a_check_refuses_or_returns_what_can_be_sent(name: str, value: object) -> None:
    check, kind = CHECKS[name]
    found = refusal_or(lambda: check("the_argument", value), "the_argument")
    if not isinstance(found, Refused):
        assert type(found) is kind
        assert len(str(found)) < 11_000


OPERATION = Operation(
    name="do_it",
    method="POST",
    path="/{number:int}/{key:uuid}/{word:str}",
    returns=VoidResult,
    effect=Effect.WRITE,
    query={
        "size": Query("size", int),
        "flag": Query("flag", bool),
        "since": Query("since", datetime),
        "owner": Query("owner", UUID),
        "q": Query("q"),
    },
    open_query=True,
)
GOOD = {"number": 1, "key": UUID(int=1), "word": "a"}


@pytest.mark.parametrize("name", sorted(OPERATION.arguments))
@fuzzed(25)
@given(value=VALUES)
def test_a_request_is_refused_or_can_be_sent(name: str, value: object) -> None:
    found = refusal_or(lambda: OPERATION.request({**GOOD, name: value}), name)
    if isinstance(found, Refused):
        return
    path, query, _body = found
    url = yarl.URL("https://h/").with_path(path, encoded=True).with_query(query)
    # What leaves is what was given: yarl leaves out what it can't encode.
    assert dict(url.query) == query
    assert url.raw_path == path
    assert all(type(text) is str for text in (path, *query, *query.values()))


@fuzzed(25)
@given(value=VALUES)
def test_a_body_is_refused_or_is_small(value: Any) -> None:
    budget = refusal_or(lambda: MonthlyBudget(monthly_budget=value), "monthly_budget")
    if not isinstance(budget, Refused) and value is not None:
        sent = codec.parse(codec.dump(budget))["monthlyBudget"]
        assert Decimal(sent) == Decimal(value)
        assert len(codec.dump(budget)) < 500


@goes_through("value", ["\ud800", "a\udfffb"])
@goes_through("arguments", [{"q"}, {"word"}, {"query"}])
def test_half_a_surrogate_pair_is_refused(value: str, arguments: set[str]) -> None:
    """In a query it was left out: the API was asked for something else."""
    (name,) = arguments
    with pytest.raises(ValueError, match=f"{name}.* half of a surrogate pair"):
        OPERATION.request({**GOOD, name: {"x": value} if name == "query" else value})


def test_moment_beyond_the_calendar_is_refused() -> None:
    late = LAST.replace(tzinfo=timezone(-timedelta(hours=5)))
    with pytest.raises(ValueError, match="since must be within the years"):
        OPERATION.request({**GOOD, "since": late})
    assert OPERATION.request({**GOOD, "since": LAST})[1]


def test_enormous_number_of_seconds_is_refused() -> None:
    with pytest.raises(ValueError, match="attempt_timeout must be a finite number of seconds"):
        arguments.seconds("attempt_timeout", 10**400)


@goes_through("url", ["https://canary@a.example", "https://:canary@a.example", "https://user:canary@a.example"])
def test_a_base_url_holds_no_login(url: str) -> None:
    """It would be told in messages, and stand in the journals of bulk runs."""
    with pytest.raises(ValueError, match=r"the_argument must be scheme://host.*without user") as caught:
        arguments.base_url("the_argument", url)
    assert "canary" not in str(caught.value)
