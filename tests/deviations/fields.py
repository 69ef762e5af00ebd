"""Rows: values of another form where a value is documented. To add one, add a line."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from attrs import frozen

UNREADABLE: Final = object()
"""An error tells which path."""

INSTANT: Final = datetime(2024, 5, 4, 9, 42, 11, tzinfo=UTC)
MILLI: Final = INSTANT.replace(microsecond=123000)
FINE: Final = INSTANT.replace(microsecond=123456)


@frozen
class Field:
    """What is served for every field of a kind at once, in the answer of every operation that has one."""

    what: str
    mark: str
    kind: str
    """The type of the field: the name of its class; `enum` is a text and `enum object` is `{"name": ...}`."""
    needed: bool
    """Whether the rest can't do without it."""
    served: Any
    comes: Any
    told: bool = True
    """Whether a deviation is told."""


R = Field
FIELDS = (
    # Nothing, in the forms that serializers have for it.
    R("empty text", "3P", "UUID", False, "", None),
    R("empty text", "INF", "date", False, "", None),
    R("empty text", "INF", "datetime", False, "", None),
    R("empty text", "INF", "int", False, "", None),
    R("empty text", "INF", "Decimal", False, "", None),
    R("empty text", "INF", "bool", False, "", None),
    R("empty text", "INF", "enum", False, "", None),
    R("empty text", "INF", "enum object", False, "", None),
    R("empty text", "INF", "str", False, "", "", told=False),
    R("empty text", "INF", "UUID", True, "", UNREADABLE),
    R("empty text", "INF", "date", True, "", UNREADABLE),
    R("empty text", "INF", "int", True, "", UNREADABLE),
    R("empty text", "INF", "Decimal", True, "", UNREADABLE),
    R("empty text", "INF", "bool", True, "", UNREADABLE),
    R("null", "V", "UUID", False, None, None, told=False),
    R("null", "V", "date", False, None, None, told=False),
    R("null", "V", "datetime", False, None, None, told=False),
    R("null", "V", "int", False, None, None, told=False),
    R("null", "V", "Decimal", False, None, None, told=False),
    R("null", "V", "bool", False, None, None, told=False),
    R("null", "V", "str", False, None, None, told=False),
    R("null", "V", "enum", False, None, None, told=False),
    R("null", "V", "enum object", False, None, None, told=False),
    R("null", "V", "list", False, None, (), told=False),
    R("null", "INF", "list", True, None, ()),
    R("null", "V", "object", False, None, None, told=False),
    R("null", "INF", "int", True, None, UNREADABLE),
    R("null", "INF", "date", True, None, UNREADABLE),
    R("null", "INF", "str", True, None, UNREADABLE),
    R("an object without a name", "V", "enum object", False, {}, None, told=False),
    R("a name that is null", "INF", "enum object", False, {"name": None}, None, told=False),
    R("a name that is empty", "INF", "enum object", False, {"name": ""}, None),
    R("a name that is empty", "INF", "enum", False, {"name": ""}, None),
    R("no dates", "T", "datetime", False, "0001-01-01T00:00:00", None),
    R("no dates, with an offset", "T", "datetime", False, "0001-01-01T00:00:00Z", None),
    R("no dates, with a fraction", "T", "datetime", False, "0001-01-01T00:00:00.0000000", None),
    # Enumerations in the other of the two documented forms, and with values of tomorrow.
    R("bare text", "3P", "enum object", False, "Tomorrow", "Tomorrow"),
    R("bare text", "INF", "enum object", True, "Tomorrow", "Tomorrow"),
    R("an object", "INF", "enum", False, {"name": "TOMORROW"}, "TOMORROW"),
    R("an object", "INF", "enum", True, {"name": "TOMORROW"}, "TOMORROW"),
    R("an object with more", "INF", "enum object", False, {"name": "A", "id": 1}, "A", told=False),
    R("an unknown value", "V", "enum", False, "TOMORROW", "TOMORROW", told=False),
    R("an unknown value", "V", "enum object", False, {"name": "Tomorrow"}, "Tomorrow", told=False),
    R("a number", "T", "enum", False, 3, UNREADABLE),
    R("a number", "T", "enum object", False, {"name": 3}, UNREADABLE),
    # Numbers.
    R("digits in a text", "INF", "id of a purchase", True, "4711", 4711),
    R("digits in a text", "INF", "int", True, "7", UNREADABLE),
    R("a fraction of nothing", "INF", "Decimal", False, 12.0, Decimal(12), told=False),
    R("an exponent", "INF", "Decimal", False, 1e22, Decimal("1e22"), told=False),
    R("a text", "T", "Decimal", True, "12.50", UNREADABLE),
    # Date-times as ASP.NET Core, System.Text.Json, Newtonsoft's Json.NET and Java write them.
    R("Z", "T", "datetime", False, "2024-05-04T09:42:11Z", INSTANT, told=False),
    R("an offset", "T", "datetime", False, "2024-05-04T11:42:11+02:00", INSTANT, told=False),
    R("an offset without colon", "T", "datetime", False, "2024-05-04T11:42:11+0200", INSTANT, told=False),
    R("an offset of hours", "T", "datetime", False, "2024-05-04T11:42:11+02", INSTANT, told=False),
    R(
        "three digits",
        "T",
        "datetime",
        False,
        "2024-05-04T09:42:11.120Z",
        INSTANT.replace(microsecond=120000),
        told=False,
    ),
    R("six digits", "T", "datetime", False, "2024-05-04T09:42:11.123456Z", FINE, told=False),
    R("seven digits", "T", "datetime", False, "2024-05-04T09:42:11.1234567Z", FINE, told=False),
    R("seven digits, an offset", "T", "datetime", False, "2024-05-04T09:42:11.1234567+00:00", FINE, told=False),
    R("nine digits", "T", "datetime", False, "2024-05-04T09:42:11.123456789Z", FINE, told=False),
    R("one digit", "T", "datetime", False, "2024-05-04T09:42:11.1Z", INSTANT.replace(microsecond=100000), told=False),
    R("no seconds", "T", "datetime", False, "2024-05-04T09:42Z", INSTANT.replace(second=0), told=False),
    R("no offset", "T", "datetime", False, "2024-05-04T09:42:11", None),
    R("no offset, a fraction", "T", "datetime", False, "2024-05-04T09:42:11.1234567", None),
    R("a zone's name", "T", "datetime", False, "2024-05-04T09:42:11Z[UTC]", UNREADABLE),
    R("milliseconds", "T", "datetime", False, 1714815731000, UNREADABLE),
    R("Microsoft's own", "T", "datetime", False, "/Date(1714815731000)/", UNREADABLE),
    # Lists and objects.
    R("an empty list", "V", "list", False, [], (), told=False),
    R("an object", "INF", "list", False, {}, UNREADABLE),
    R("a text", "INF", "object", False, "none", UNREADABLE),
)
"""Each is served to every operation whose answer has such a field."""
