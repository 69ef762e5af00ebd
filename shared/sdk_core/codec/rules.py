"""The exact reader: the rules by which objects are made of JSON values.

`structure(value, shape)` takes a value that was parsed already, and raises ShapeError with the misfits. It decides what
the SDKs accept: the fast reader in twins.py may refuse more, but neither accepts more nor reads to another value.

By default cattrs converts ("false" to True, null to "None", 5 to "5"). Each type below has a rule that converts nothing
instead: the value is of the type that the API documents, or a WrongTypeError says what was expected.

    JSON           is read as            by
    scalar         str, int, Decimal...  _RULES, by class
    anything, null X | None              _optional_rule: also takes what servers send where they have no value
    object         attrs class           _object_rule: made per class, checks for an object, renames keys to attributes
    object         dict                  _dict_rule
    list           list, tuple           _list_rule: made per type of item, checks for a list
    anything       object                _unchanged

What is tolerated, and told to `Reading.tolerate`, costs a field at most, never the answer:

- an empty text where a value may be missing and no text is documented: None;
- a date-time of the year 1 where it may be missing: None, because .NET has no other value for "none";
- a date-time without offset where it may be missing: None, because it names no instant, and a guess would move it;
- an enumeration as bare text where `{"name": ...}` is documented, and the reverse;
- digits in a text for a whole number, only where an attribute has `metadata={"digits": True}`.

An item that does not fit is left out of its list, and noted. So `structure` has the readable ones when it refuses.

Objects and lists have rules of our own, because cattrs' own ones either stop at the first misfit, without its path, or
collect all of them: of a million misfits, for minutes.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from types import NoneType
from typing import Any, NamedTuple, TypeVar, get_args, get_origin
from uuid import UUID

import attrs
from cattrs import Converter, StructureHandlerNotFoundError

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import EnoughError, MisfitError, Reading, ShapeError, WrongTypeError, current_reading
from sdk_core.codec.shapes import has_attrs, is_generic, is_object, is_optional, json_name, typed_attributes
from sdk_core.codec.text import as_object

__all__ = ["as_datetime", "as_decimal", "structure"]

T = TypeVar("T")
_Rule = Callable[[Any, Any], Any]
"""Takes a JSON value and the shape, and returns the value as that shape."""


def structure(value: Any, shape: type[T], reading: Reading | None = None) -> T:
    """Return the JSON value as `shape`.

    Args:
        value: as `parse` returns it.
        shape: an attrs class, or any other type of which the rules know.
        reading: told what is tolerated.

    Raises:
        ShapeError: it does not fit; the paths of the misfits are named.
    """
    reading = reading or Reading()
    token = current_reading.set(reading)
    result: Any = None
    with suppress(EnoughError):
        try:
            result = reading_converter().structure(value, shape)
        except EnoughError:
            raise
        except Exception as error:  # noqa: BLE001  No I/O runs here: whatever cattrs raises, the value does not fit.
            reading.note(error)
    current_reading.reset(token)
    # Outside of the handler, so that an error that shows values does not become the context of this one.
    if reading.problems:
        raise ShapeError(tuple(reading.problems), result)
    structured: T = result
    return structured


@cache
def reading_converter() -> Converter:
    """Return the one converter that reads, made when it is first needed and not when the SDK is imported."""
    converter = Converter(detailed_validation=False)
    # By class, not by predicate: cattrs asks the rules for classes first, and has one of its own for every Enum.
    for kind, rule in _RULES.items():
        converter.register_structure_hook(kind, rule)
    converter.register_structure_hook_func(is_object, _unchanged)
    converter.register_structure_hook_factory(is_generic(list), _list_rule(list))
    converter.register_structure_hook_factory(is_generic(tuple), _list_rule(tuple))
    converter.register_structure_hook_factory(is_generic(dict), _dict_rule)
    converter.register_structure_hook_factory(is_optional, _optional_rule)
    converter.register_structure_hook_factory(has_attrs, _object_rule)
    return converter


# Scalars


def _exactly(kind: type, what: str) -> _Rule:
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


_DATE_LENGTH = len("2023-01-25")


def _date(value: Any, _shape: Any) -> date:
    # fromisoformat() also takes week dates and compact forms, which the APIs do not document.
    if type(value) is str and len(value) == _DATE_LENGTH and value[4] == value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise WrongTypeError("expected a date like 2023-01-25")


class _NaiveError(WrongTypeError):
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
            raise _NaiveError("expected a date-time with an offset: without one it names no instant")
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


def _unchanged(value: Any, _shape: Any) -> Any:
    return value


_RULES: Mapping[type, _Rule] = {
    str: _exactly(str, "a string"),
    int: _exactly(int, "a whole number"),
    bool: _exactly(bool, "true or false"),
    Decimal: as_decimal,
    date: _date,
    datetime: as_datetime,
    UUID: _uuid,
    OpenEnum: _enum,
    OpenEnumObject: _enum_object,
}


# What may be missing


def _optional_rule(shape: Any, converter: Converter) -> _Rule:
    (kind,) = (member for member in get_args(shape) if member is not NoneType)
    is_named = isinstance(kind, type) and issubclass(kind, OpenEnumObject)

    def rule(value: Any, _shape: Any) -> Any:
        if value is None or (is_named and type(value) is dict and as_object(value).get("name") is None):
            # CloudCockpit's documentation has samples with {} for no value.
            return None
        if type(value) is str and (why := _why_none(value, kind)) is not None:
            current_reading.get().tolerate(why)
            return None
        return converter.structure(value, kind)

    return rule


def _why_none(text: str, kind: Any) -> str | None:
    """Return what is odd about a text that servers send where they have no value; None if it may be one."""
    if not text and kind not in _TEXTS:
        return "an empty text for no value"
    if kind is datetime:
        if text.startswith("0001-01-01T"):
            return "a date-time of the year 1 for no value"
        try:
            as_datetime(text, kind)
        except _NaiveError:
            return "a date-time without offset: left out"
        except WrongTypeError:
            pass
    return None


_TEXTS = frozenset({str, object, Any})
"""Of what an empty text is a value."""


# Objects and lists


class _Attribute(NamedTuple):
    """How one attribute of a class is read."""

    key: str
    step: str
    """The key as a part of a path."""
    argument: str
    """Its name in the constructor."""
    structure: Callable[[Any], Any]
    required: bool
    null_is_default: bool


_ABSENT: Any = object()


def _object_rule(cls: Any, converter: Converter) -> _Rule:
    attributes = [
        _attribute(attribute, Any if kind is None else kind, converter)
        for attribute, kind in typed_attributes(cls)
        if attribute.init
    ]
    make = get_origin(cls) or cls

    def rule(value: Any, _shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        reading, fits = current_reading.get(), True
        path = reading.path
        arguments: dict[str, Any] = {}
        for key, step, argument, structure_value, required, null_is_default in attributes:
            found = value.get(key, _ABSENT)
            if found is _ABSENT and not required or found is None and null_is_default:
                continue
            path.append(step)
            try:
                if found is _ABSENT:
                    raise WrongTypeError("required, but missing")  # noqa: TRY301  caught with what all rules raise
                arguments[argument] = structure_value(found)
            except EnoughError:
                raise
            except Exception as error:  # noqa: BLE001  as in `structure`
                fits = False
                reading.note(error)
            path.pop()
        if not fits:
            raise MisfitError
        return make(**arguments)

    return rule


def _attribute(attribute: "attrs.Attribute[Any]", kind: Any, converter: Converter) -> _Attribute:
    key, has_default = json_name(attribute), attribute.default is not attrs.NOTHING
    may_be_null = kind is Any or is_optional(kind)
    structure_value = _structuring(kind, converter)
    if attribute.converter is not None:
        structure_value = _or_unchanged(structure_value)
    if attribute.metadata.get("digits"):
        structure_value = _or_digits(structure_value)
    return _Attribute(
        key, f".{key}", attribute.alias or attribute.name, structure_value, not has_default,
        null_is_default=has_default and not may_be_null,
    )


def _structuring(kind: Any, converter: Converter) -> Callable[[Any], Any]:
    """Return the function that makes a `kind` of a value. Its rule is looked up late: a class may hold its own kind."""
    rule: _Rule | None = None

    def structure_value(value: Any) -> Any:
        nonlocal rule
        if rule is None:
            rule = converter.get_structure_hook(kind)
        return rule(value, kind)

    return structure_value


def _or_unchanged(structure_value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def structured(value: Any) -> Any:
        try:
            return structure_value(value)
        except StructureHandlerNotFoundError:
            # Only the converter of the attribute itself knows how to make one.
            return value

    return structured


def _or_digits(structure_value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def structured(value: Any) -> Any:
        if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _INT64_DIGITS:
            current_reading.get().tolerate("digits in a text for a whole number")
            return structure_value(int(value))
        return structure_value(value)

    return structured


_INT64_DIGITS = 19


def _list_rule(make: Callable[[list[Any]], Any]) -> Callable[[Any, Converter], _Rule]:
    def make_rule(shape: Any, converter: Converter) -> _Rule:
        structure_item = _structuring(get_args(shape)[0], converter)

        def rule(value: Any, _shape: Any) -> Any:
            if type(value) is not list:
                raise WrongTypeError("expected a list")
            reading = current_reading.get()
            items: list[Any] = []
            reading.path.append(0)
            for index, item in enumerate(value):
                reading.path[-1] = index
                try:
                    items.append(structure_item(item))
                except EnoughError:
                    raise
                except Exception as error:  # noqa: BLE001  as in `structure`
                    reading.note(error)
            reading.path.pop()
            return items if make is list else make(items)

        return rule

    return make_rule


def _dict_rule(shape: Any, converter: Converter) -> _Rule:
    structure_key, structure_item = (_structuring(kind, converter) for kind in get_args(shape))

    def rule(value: Any, _shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        reading = current_reading.get()
        items: dict[Any, Any] = {}
        # A key that no model knows may be somebody's name.
        reading.path.append("[*]")
        for key, item in value.items():
            try:
                items[structure_key(key)] = structure_item(item)
            except EnoughError:
                raise
            except Exception as error:  # noqa: BLE001  as in `structure`
                reading.note(error)
        reading.path.pop()
        return items

    return rule
