"""What the exact reader takes, over every model of both SDKs."""

from datetime import UTC, date, datetime
from typing import Any

import cattrs
import pytest
from model_json import OPTIONAL_SITES, ROOTS, Site, changed, dropped, full, is_optional_enum_object, value_at
from payloads import payload

from cloudcockpit_sdk import Subscription
from membership_sdk import TimePeriod
from sdk_core import codec


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


@pytest.mark.parametrize("site", OPTIONAL_SITES, ids=str)
def test_optional_field_may_be_absent_or_null(site: Site) -> None:
    """Both give the default; and so does an enumeration's object that names nothing, as in CloudCockpit's samples."""
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


def test_raw_json_holds_no_float_either() -> None:
    """Fields without a documented shape hold prices, too."""
    subscription = codec.load(payload("cloudcockpit_subscription"), Subscription)
    assert str(subscription.offer_price["costPrice"]["value"]) == "5.10"


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
