"""What the exact reader takes, over every model of both SDKs."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any, Literal

import attrs
import cattrs
import pytest
from alone import run_alone
from cases import goes_through, named
from model_json import (
    OPTIONAL_SITES,
    ROOTS,
    Site,
    changed,
    dropped,
    full,
    is_optional_enum_object,
    of_each_model,
    value_at,
)
from payloads import payload

from cloudcockpit_sdk import Subscription
from membership_sdk import TimePeriod
from sdk_core import codec


@goes_through("root", ROOTS)
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


@of_each_model(OPTIONAL_SITES)
def test_optional_field_may_be_absent_or_null(sites: list[Site]) -> None:
    """Both give the default; and so does an enumeration's object that names nothing, as in CloudCockpit's samples."""
    for site in sites:
        with named(site):
            for text in (dropped(site), changed(site, None)):
                assert value_at(site, codec.load(text, site.root)) == site.default
            if is_optional_enum_object(site):
                for nameless in ({}, {"name": None}, {"name": None, "zzzNew": 1}, {"zzzNew": 1}):
                    assert value_at(site, codec.load(changed(site, nameless), site.root)) is None


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


class Colour(Enum):
    """As an application of its own may have one."""

    RED = "red"


@attrs.frozen
class Applied:
    """With what only cattrs reads."""

    colour: Colour
    size: Literal["S", "M"]
    tags: set[str] = attrs.field(factory=set)
    prices: Mapping[str, TimePeriod] = attrs.field(factory=dict)
    pair: tuple[int, str] = (0, "")


def test_applications_may_have_types_that_the_apis_do_not() -> None:
    """They are read by cattrs, and the SDKs' own types inside of them by our rules."""
    text = b"""{"colour": "red", "size": "M", "tags": ["a", "a"], "pair": [1, "x"],
               "prices": {"a": {"periodValue": 1, "periodUnit": "DAY"}}}"""
    period = codec.structure({"periodValue": 1, "periodUnit": "DAY"}, TimePeriod)
    assert codec.load(text, Applied) == Applied(Colour.RED, "M", {"a"}, {"a": period}, (1, "x"))
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b'{"colour": "blue", "size": "L", "prices": {"a": {"periodValue": "1"}}}', Applied)
    assert [problem.partition(":")[0] for problem in caught.value.problems][:2] == ["$.colour", "$.size"]


@goes_through(
    ("text", "shape"),
    [
        (b"[]", dict),
        (b'[["a", 1]]', dict),
        (b'{"a": 1}', list),
        (b'"ab"', list),
        (b'"ab"', tuple),
        (b'"ab"', set),
        (b'"ab"', set[str]),
        (b'{"a": 1}', frozenset[str]),
        (b'"ab"', Sequence[str]),
        (b'[["a", 1]]', Mapping[str, int]),
        (b'"5"', float),
        (b"true", float),
    ],
)
def test_nothing_is_converted_in_types_of_applications_either(text: bytes, shape: Any) -> None:
    """A text is no list of its letters, an object none of its keys, and a list of pairs no object."""
    with pytest.raises(codec.ShapeError):
        codec.load(text, shape)


def test_calls_do_not_wait_for_the_import_of_cattrs() -> None:
    """No model needs it; where types of an operation of an application do, it is imported when that is declared."""
    program = """
import sys
from model_json import ROOTS, full
from sdk_core import codec
from sdk_core.operation import Effect, Operation
for root in ROOTS:
    codec.dump(codec.structure(full(root), root))
    codec.structure(full(root), root, codec.Reading())
assert "cattrs" not in sys.modules
Operation(name="tags", method="GET", path="/tags", returns=set[str], effect=Effect.READ)
assert "cattrs" in sys.modules
"""
    assert run_alone(program) == ""


def test_raw_json_holds_no_float_either() -> None:
    """Fields without a documented shape hold prices, too."""
    subscription = codec.load(payload("cloudcockpit_subscription"), Subscription)
    assert str(subscription.offer_price["costPrice"]["value"]) == "5.10"


@goes_through(
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
