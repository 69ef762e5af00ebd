"""attrs instances and JSON values to JSON text.

    value --> _TO_JSON_VALUE -------> exact -----------------> msgspec --> bytes
              attrs instances become  what JSON does not know
              dicts with JSON keys;   is refused; Decimals are
              None and empty          written digit by digit
              defaults are left out

cattrs is not used: it would have to be imported before the first request with a body is sent, which takes as long as
tens of such requests do.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, MutableSequence, Sequence, Sized
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from operator import attrgetter
from types import NoneType, UnionType
from typing import Annotated, Any, NamedTuple, Union, get_args, get_origin
from uuid import UUID

import attrs
import msgspec

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.exact import DATES, PLAIN, exact
from sdk_core.codec.problems import Reading
from sdk_core.codec.rules import structure
from sdk_core.codec.shapes import (
    LazyDict,
    has_attrs,
    is_factory,
    is_optional,
    is_uniform,
    json_name,
    original_of,
    typed_attributes,
)

__all__ = ["dump", "encode_datetime", "to_builtins"]


def dump(value: Any) -> bytes:
    """Return `value` (an attrs instance or JSON value) as JSON; `None` and empty defaults are left out.

    Raises:
        TypeError: something in it is no JSON value; a float, too, as it can't hold most decimal amounts.
        ValueError: a number is not finite, a text holds half of a surrogate pair, or objects are nested too deeply.
    """
    try:
        return _ENCODER.encode(exact(_TO_JSON_VALUE[value.__class__](value)))
    except UnicodeEncodeError:
        problem = ValueError("a text holds half of a surrogate pair, which JSON can't carry")
    except RecursionError:
        problem = ValueError("what is to be sent as JSON is nested too deeply, or holds itself")
    # Outside of the handler: Python's own error holds the whole text, and would become the context of this one.
    raise problem


def to_builtins(value: Any) -> Any:
    """Return `value` as the JSON value that `dump` writes: text for dates and UUIDs, `Decimal` for every amount.

    Raises:
        TypeError, ValueError: as `dump` does.
    """
    dump(value)
    return msgspec.to_builtins(_with_decimals(exact(_TO_JSON_VALUE[value.__class__](value))), builtin_types=(Decimal,))


def _with_decimals(value: Any) -> Any:
    if value.__class__ is dict:
        return {key: _with_decimals(item) for key, item in value.items()}
    if value.__class__ is list:
        return [_with_decimals(item) for item in value]
    return Decimal(bytes(value).decode()) if isinstance(value, msgspec.Raw) else value


def encode_datetime(name: str, value: datetime) -> str:
    """Return an aware datetime as UTC in ISO 8601; a naive one is refused, because it names no instant."""
    if value.tzinfo is None or datetime.utcoffset(value) is None:
        raise ValueError(f"{name} must be an aware datetime (with tzinfo)")
    try:
        return datetime.isoformat(datetime.astimezone(value, UTC))
    except OverflowError:
        raise ValueError(f"{name} must be within the years 1 to 9999 in UTC") from None


_ENCODER = msgspec.json.Encoder()


# attrs instances to JSON values


def _writer(shape: Any) -> Callable[[Any], Any]:
    """Return the function that makes a JSON value of what is declared as `shape`, or is of that class."""
    kind: Any = get_origin(shape) or shape
    args = get_args(shape)
    if is_optional(shape):
        write_value = _TO_JSON_VALUE[next(member for member in args if member is not NoneType)]
        return lambda value: None if value is None else write_value(value)
    if not isinstance(kind, type) or kind in _ANY_CLASS:
        return _write_by_class
    if issubclass(kind, list | tuple) or kind in _LISTS:
        # Of a tuple such as tuple[int, str], each item is written by its own class.
        return partial(_write_list, _TO_JSON_VALUE[args[0]] if is_uniform(shape) else _write_by_class)
    if issubclass(kind, Mapping):
        return partial(_write_mapping, _TO_JSON_VALUE[args[1]] if args else _write_by_class)
    if has_attrs(kind):
        return _object_writer(kind)
    return next((partial(_write_scalar, kind, write) for base, write in _SCALARS if issubclass(kind, base)), _unchanged)


_LISTS = frozenset({Sequence, MutableSequence, Collection, Iterable})
_ANY_CLASS = frozenset({Any, object, Union, UnionType, Annotated})
"""What does not say of which class a value is."""


def _write_by_class(value: Any) -> Any:
    kind = value.__class__
    # A bare object() is refused later, by `exact`. To write it by its class would be to come back here.
    return value if kind is object else _TO_JSON_VALUE[kind](value)


def _write_list(write_item: Callable[[Any], Any], value: Any) -> list[Any]:
    kind = value.__class__
    if not issubclass(kind, list | tuple):
        raise TypeError(f"a {kind.__name__} can't be sent as a JSON list")
    return [write_item(item) for item in value]


def _write_mapping(write_item: Callable[[Any], Any], value: Any) -> dict[Any, Any]:
    kind = value.__class__
    if kind is not dict and not issubclass(kind, Mapping):
        raise TypeError(f"a {kind.__name__} can't be sent as a JSON object")
    return {key if key.__class__ is str else _write_key(key): write_item(item) for key, item in value.items()}


def _write_key(key: Any) -> Any:
    if isinstance(key, OpenEnumObject):
        # Its object is no key.
        return str(key)
    # What is no text even then is refused later, by `exact`.
    return _write_by_class(key) if isinstance(key, Enum | datetime) else key


def _unchanged(value: Any) -> Any:
    return value


def _refusal(value: object, declared: type) -> TypeError:
    return TypeError(f"a {type(value).__name__} can't be sent where a {declared.__name__} is declared")


def _write_scalar(kind: type, write: Callable[[Any], Any], value: Any) -> Any:
    if not isinstance(value, kind):
        raise _refusal(value, kind)
    return write(value)


_TAKEN: Mapping[Any, tuple[type, ...]] = {
    str: (str,),
    int: (int,),
    bool: (bool,),
    # Of a float, `exact` says what to pass.
    Decimal: (Decimal, int, float),
    float: (Decimal, int, float),
}
"""What may be given where a text, a number, or true or false is declared."""


def _write_plain(kind: type, taken: tuple[type, ...], value: Any) -> Any:
    # To isinstance(), True is an int.
    if not isinstance(value, taken) or (type(value) is bool and kind is not bool):
        raise _refusal(value, kind)
    return value


_SCALARS: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (datetime, lambda value: encode_datetime("datetime", value)),
    # A date or UUID of exactly that class stays: msgspec writes the same text, and faster. Of subclasses it knows none.
    (date, lambda value: value if type(value) in DATES else date.isoformat(value)),
    (UUID, lambda value: value if type(value) is UUID else UUID.__str__(value)),
    (OpenEnumObject, lambda value: {"name": str(value)}),
    (OpenEnum, str),
    # An application's own.
    (Enum, attrgetter("value")),
)
"""How values of these classes and of their subclasses are written: the first that fits."""
_TO_JSON_VALUE = LazyDict(_writer)


class _Attribute(NamedTuple):
    """How one attribute of a class is written."""

    name: str
    key: str
    is_always_written: bool
    """Also if it is `default`: one that is neither None nor empty is not the server's."""
    default: Any
    unchanged: Any
    """The class of those values that are written as they are."""
    write: Callable[[Any], Any]
    """What writes all others."""


def _object_writer(cls: Any) -> Callable[[Any], Any]:
    # Plain tuples: Python unpacks them in half the time.
    attributes: list[tuple[Any, ...]] = []
    original = original_of(cls)

    def write_object(value: Any) -> dict[str, Any]:
        if not attributes:
            # Late, because a class may hold its own kind.
            attributes[:] = map(tuple, _checked_attributes(cls))
        found: dict[str, Any] = {}
        for name, key, is_always_written, default, unchanged, write in attributes:
            item = getattr(value, name)
            if is_always_written or item != default:
                found[key] = item if item.__class__ is unchanged else write(item)
        return found

    def write(value: Any) -> Any:
        if value.__class__ is cls:
            return write_object(value) if original is None else _sent_back(value, original.name, write_object)
        if isinstance(value, cls):
            return _write_by_class(value)
        raise _refusal(value, cls)

    return write


def _checked_attributes(cls: Any) -> list[_Attribute]:
    try:
        attributes = [*_attributes(cls)]
    except (NameError, AttributeError, SyntaxError) as error:
        what = f"an annotation of {cls.__name__} can't be read ({error}); its module must define the name first"
        raise TypeError(what) from None
    if len({attribute.key for attribute in attributes}) < len(attributes):
        raise TypeError(f"{cls.__name__} can't be sent: two of its attributes have the same JSON key")
    return attributes


def _attributes(cls: Any) -> Iterator[_Attribute]:
    for attribute, kind in typed_attributes(cls):
        if attribute.init and not attribute.metadata.get("original"):
            default = _default_of(attribute)
            is_empty = default is None or (isinstance(default, Sized) and not len(default))
            write = _TO_JSON_VALUE[Any if kind is None else kind]
            members: tuple[Any, ...] = get_args(kind) if is_optional(kind) else (kind,)
            declared: Any = next((member for member in members if member is not NoneType), kind)
            unchanged = declared if declared in PLAIN or declared is Decimal else None
            if declared in _TAKEN:
                write = partial(_write_plain, declared, (*_TAKEN[declared], *members))
            yield _Attribute(attribute.name, json_name(attribute), not is_empty, default, unchanged, write)


def _default_of(attribute: "attrs.Attribute[Any]") -> Any:
    default: Any = attribute.default
    if not is_factory(default):
        return default
    return attrs.NOTHING if default.takes_self else default.factory()


def _sent_back(value: object, name: str, write: Callable[[Any], dict[str, Any]]) -> Any:
    """Return an object as it came, with the fields that were changed since, and without those that were emptied.

    Args:
        value: the object.
        name: the attribute that holds it as it came, if it came.
        write: what writes its fields.
    """
    original: Mapping[str, Any] | None = getattr(value, name)
    now = write(value)
    if original is None:
        return now
    before = write(structure(original, value.__class__, Reading()))
    kept = {key: item for key, item in original.items() if key in now or key not in before}
    return kept | {key: item for key, item in now.items() if item != before.get(key)}
