"""The rules for JSON values that hold no others. They convert nothing: a value is of the documented type or refused."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from math import isfinite
from typing import Any, get_args
from uuid import UUID

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import WrongTypeError, current_reading
from sdk_core.codec.text import as_object

__all__ = ["SCALAR_RULES", "NaiveError", "Rule", "as_datetime", "as_decimal", "exactly", "literal_rule", "unchanged"]

Rule = Callable[[Any, Any], Any]
"""Takes a JSON value and the shape, and returns the value as that shape."""


def exactly(kind: type, what: str) -> Rule:
    """Return the rule for values of just that class; in words, it is `what`."""

    def rule(value: Any, _shape: Any) -> Any:
        # Not isinstance(): to it `True` is an int. JSON gives no subclasses.
        if type(value) is not kind:
            raise WrongTypeError(f"expected {what}")
        return value

    return rule


def as_decimal(value: Any, _shape: Any) -> Decimal:
    """Return a JSON number as Decimal."""
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    raise WrongTypeError("expected a number")


def _as_float(value: Any, _shape: Any) -> float:
    if type(value) in {Decimal, int}:
        # Of a number too large for it, float() makes infinity or an error.
        with suppress(OverflowError):
            if isfinite(number := float(value)):
                return number
        raise WrongTypeError("expected a number that a float can hold")
    raise WrongTypeError("expected a number")


_DATE_LENGTH = len("2023-01-25")


def _date(value: Any, _shape: Any) -> date:
    # fromisoformat() also takes week dates and compact forms, which the APIs do not document.
    if type(value) is str and len(value) == _DATE_LENGTH and value[4] == value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise WrongTypeError("expected a date like 2023-01-25")


class NaiveError(WrongTypeError):
    """A date-time without an offset."""


def as_datetime(value: Any, _shape: Any) -> datetime:
    """Return a date-time with an offset; not of the year 1, which is how .NET writes "none"."""
    if type(value) is str and "T" in value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.year == 1:
                raise WrongTypeError("expected a date-time: the year 1 stands for none")
            if moment.tzinfo is not None:
                return moment
            raise NaiveError("expected a date-time with an offset: without one it names no instant")
    raise WrongTypeError("expected a date-time like 2024-05-04T09:42:00+00:00")


# The items of a list name the same customer and reseller again and again, and UUID() is slow.
_cached_uuid = lru_cache(maxsize=1024)(UUID)


def _uuid(value: Any, _shape: Any) -> UUID:
    if type(value) is str:
        try:
            return _cached_uuid(value)
        except ValueError:
            pass
    raise WrongTypeError("expected a UUID")


def _enum(value: Any, kind: type[OpenEnum]) -> OpenEnum:
    if type(value) is str:
        return kind(value)
    name = as_object(value).get("name")
    if type(name) is str:
        current_reading.get().tolerate("an object for the text of an enumeration")
        return kind(name)
    raise WrongTypeError("expected a string")


def _enum_object(value: Any, kind: type[OpenEnumObject]) -> OpenEnumObject:
    name = as_object(value).get("name")
    if type(name) is str:
        return kind(name)
    if type(value) is str:
        current_reading.get().tolerate("a text for the object of an enumeration")
        return kind(value)
    raise WrongTypeError('expected an object {"name": "..."}')


def _member(value: Any, kind: type[Enum]) -> Enum:
    try:
        member = kind(value)
    except ValueError:
        raise WrongTypeError(f"expected a value of {kind.__name__}") from None
    # To Python, 1 is True, and 1.0, too.
    found, meant = value.__class__, member.value.__class__
    if found is not meant and (bool in {found, meant} or (found is Decimal and meant is int)):
        raise WrongTypeError(f"expected a value of {kind.__name__}")
    return member


def literal_rule(shape: Any) -> Rule:
    """Return the rule for `Literal[...]`: one of its values, and of the same type."""
    members: dict[Any, Any] = {}
    for member in get_args(shape):
        value: Any = member.value if isinstance(member, Enum) else member
        members[value.__class__, value] = member

    def rule(value: Any, _shape: Any) -> Any:
        try:
            return members[value.__class__, value]
        except (KeyError, TypeError):
            raise WrongTypeError("expected one of the declared values") from None

    return rule


def unchanged(value: Any, _shape: Any) -> Any:
    """Return any JSON value as it is."""
    return value


SCALAR_RULES: Mapping[type, Rule] = {
    str: exactly(str, "a string"),
    int: exactly(int, "a whole number"),
    bool: exactly(bool, "true or false"),
    Decimal: as_decimal,
    float: _as_float,
    date: _date,
    datetime: as_datetime,
    UUID: _uuid,
    OpenEnum: _enum,
    OpenEnumObject: _enum_object,
    # An application's own.
    Enum: _member,
}
