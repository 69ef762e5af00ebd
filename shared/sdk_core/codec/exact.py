"""JSON values in a form that msgspec writes unchanged.

msgspec would write much that no API documents: sets, bytes, dataclasses, `Decimal` as a string. Only what is written as
the documentation has it is let through.
"""

from datetime import date, datetime
from decimal import Decimal
from types import NoneType
from typing import Any
from uuid import UUID

import msgspec

__all__ = ["DATES", "PLAIN", "exact"]

DATES: frozenset[type] = frozenset({date.__mro__[-2]})
"""The class of dates, in a set: libraries that freeze time put a subclass of it in the place of a module's names."""
PLAIN: frozenset[type] = DATES | {str, int, bool, NoneType, UUID}
"""What msgspec writes as the APIs document it, if it is of exactly such a class."""
_TEXT = frozenset({str})


def exact(value: Any) -> Any:
    """Return a JSON value in a form that msgspec writes unchanged.

    Raises:
        TypeError, ValueError: something in it is no JSON value, though msgspec might write it.
    """
    kind = value.__class__
    # Most bodies end here: an object without lists or objects in it is not copied.
    if kind is dict and PLAIN.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value)):
        return value
    if issubclass(kind, dict):
        return {_key(key): item if type(item) in PLAIN else exact(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return [item if type(item) in PLAIN else exact(item) for item in value]
    return value if kind in PLAIN else _exact_scalar(value, kind)


def _exact_scalar(value: Any, kind: type) -> Any:
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int.__int__(value)
    if issubclass(kind, float):
        raise TypeError("pass Decimal, not float: a float can't hold most decimal amounts")
    if not issubclass(kind, Decimal):
        raise TypeError(f"a {kind.__name__} can't be sent as JSON")
    if not Decimal.is_finite(value):
        raise ValueError("a JSON number must be finite")
    return msgspec.Raw(_decimal_text(value).encode())


_MOST_ZEROS = 40
"""No amount has as many; some parsers don't know exponents."""


def _decimal_text(value: Decimal) -> str:
    """Return a Decimal digit by digit; with an exponent if that would be long: a server's 1E+999999999 may go back."""
    text = Decimal.__str__(value)
    return Decimal.__format__(value, "f") if "E" in text and abs(Decimal.adjusted(value)) <= _MOST_ZEROS else text


def _key(key: object) -> str:
    if isinstance(key, UUID):
        return UUID.__str__(key)
    if isinstance(key, date) and not isinstance(key, datetime):
        return date.isoformat(key)
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be a str, not {type(key).__name__}")
    return str.__str__(key)
