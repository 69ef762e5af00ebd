"""attrs instances and JSON values to JSON text.

    value --> cattrs ---------------> _exact ----------------> msgspec --> bytes
              attrs instances become  what JSON does not know
              dicts with JSON keys;   is refused; Decimals are
              None and empty          written digit by digit
              defaults are left out

msgspec writes fastest, and would write much that no API documents: sets, bytes, dataclasses, `Decimal` as a string.
`_exact` therefore lets through only what is written as the documentation has it.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any
from uuid import UUID

import attrs
import msgspec
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import Reading
from sdk_core.codec.rules import structure
from sdk_core.codec.shapes import LazyDict, has_attrs, json_name, original_of

__all__ = ["dump", "encode_datetime", "to_builtins"]


def dump(value: Any) -> bytes:
    """Return `value` (an attrs instance or JSON value) as JSON; `None` and empty defaults are left out.

    Raises:
        TypeError: something in it is no JSON value; a float, too, as it can't hold most decimal amounts.
        ValueError: a number is not finite, or a text holds half of a surrogate pair.
    """
    try:
        return _ENCODER.encode(_exact(_TO_JSON_VALUE[value.__class__](value)))
    except UnicodeEncodeError:
        problem = ValueError("a text holds half of a surrogate pair, which JSON can't carry")
    # Outside of the handler: Python's own error holds the whole text, and would become the context of this one.
    raise problem


def to_builtins(value: Any) -> Any:
    """Return `value` as the JSON value that `dump` writes: text for dates and UUIDs, `Decimal` for every amount.

    Raises:
        TypeError, ValueError: as `dump` does.
    """
    dump(value)
    return msgspec.to_builtins(_TO_JSON_VALUE[value.__class__](value), builtin_types=(Decimal,))


def encode_datetime(name: str, value: datetime) -> str:
    """Return an aware datetime as UTC in ISO 8601; a naive one is refused, because it names no instant."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime (with tzinfo)")
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:
        raise ValueError(f"{name} must be within the years 1 to 9999 in UTC") from None


# attrs instances to JSON values


@cache
def _writing_converter() -> Converter:
    """Return the one converter that writes, made when it is first needed."""
    converter = Converter()
    # A date or UUID of exactly that class stays: msgspec writes the same text, and faster. Of subclasses it knows none.
    converter.register_unstructure_hook(date, lambda value: value if type(value) in _DATES else date.isoformat(value))
    converter.register_unstructure_hook(datetime, lambda value: encode_datetime("datetime", value))
    converter.register_unstructure_hook(UUID, lambda value: value if type(value) is UUID else str(value))
    converter.register_unstructure_hook(OpenEnum, str)
    converter.register_unstructure_hook(OpenEnumObject, lambda value: {"name": str(value)})
    converter.register_unstructure_hook_factory(has_attrs, _to_object)
    return converter


_TO_JSON_VALUE = LazyDict(lambda cls: _writing_converter().get_unstructure_hook(cls))


def _to_object(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    original = original_of(cls)
    overrides: dict[str, Any] = {
        a.name: override(omit=True) if a is original else override(rename=json_name(a)) for a in attrs.fields(cls)
    }
    write = make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **overrides)
    return write if original is None else lambda value: _sent_back(value, getattr(value, original.name), write)


def _sent_back(value: object, original: Mapping[str, Any] | None, write: Callable[[Any], dict[str, Any]]) -> Any:
    """Return an object as it came, with the fields that were changed since, and without those that were emptied."""
    now = write(value)
    if original is None:
        return now
    before = write(structure(original, value.__class__, Reading()))
    kept = {key: item for key, item in original.items() if key in now or key not in before}
    return kept | {key: item for key, item in now.items() if item != before.get(key)}


# JSON values to text


_ENCODER = msgspec.json.Encoder()
_DATES = frozenset({date.__mro__[-2]})
"""The class of dates, in a set: libraries that freeze time put a subclass of it in the place of a module's names."""
_PLAIN = _DATES | {str, int, bool, NoneType, UUID}
"""What msgspec writes as the APIs document it, if it is of exactly such a class."""
_TEXT = frozenset({str})


def _exact(value: Any) -> Any:
    """Return a JSON value in a form that msgspec writes unchanged.

    Raises:
        TypeError, ValueError: something in it is no JSON value, though msgspec might write it.
    """
    kind = value.__class__
    # Most bodies end here: an object without lists or objects in it is not copied.
    if kind is dict and _PLAIN.issuperset(map(type, value.values())) and _TEXT.issuperset(map(type, value)):
        return value
    if issubclass(kind, dict):
        return {_key(key): item if type(item) in _PLAIN else _exact(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return [item if type(item) in _PLAIN else _exact(item) for item in value]
    return value if kind in _PLAIN else _exact_scalar(value, kind)


def _exact_scalar(value: Any, kind: type) -> Any:
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int(value)
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
    if isinstance(key, date | UUID) and not isinstance(key, datetime):
        return str(key)
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be a str, not {type(key).__name__}")
    return str.__str__(key)
