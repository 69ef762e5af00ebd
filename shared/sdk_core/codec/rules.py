"""The exact reader: the rules by which cattrs makes objects of JSON values.

`structure(value, shape)` takes a value that was parsed already, and raises ShapeError with all misfits. It decides what
the SDKs accept: the fast reader in twins.py may refuse more, but neither accepts more nor reads to another value.

By default cattrs converts ("false" to True, null to "None", 5 to "5"). Each type below has a rule that converts nothing
instead: the value is of the type that the API documents, or a WrongTypeError says what was expected.

    JSON           is read as            by
    scalar         str, int, Decimal...  _RULES, by class
    scalar, null   Enumeration | None    _optional_enum
    object         attrs class           _object_rule: made per class, checks for an object, renames keys to attributes
    list           list, tuple           _list_rule: made per type of item, checks for a list
    anything       object                _unchanged
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache, lru_cache
from types import NoneType
from typing import Any, TypeVar, cast, get_args
from uuid import UUID

import attrs
from cattrs import Converter
from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory
from cattrs.gen import make_dict_structure_fn, override

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import ShapeError, WrongTypeError, problems_of
from sdk_core.codec.shapes import (
    has_attrs,
    is_factory,
    is_generic,
    is_object,
    is_optional_enum,
    json_name,
    typed_attributes,
)
from sdk_core.codec.text import as_object

__all__ = ["reading_converter", "structure"]

T = TypeVar("T")
_Rule = Callable[[Any, Any], Any]
"""Takes a JSON value and the shape, and returns the value as that shape."""


def structure(value: Any, shape: type[T]) -> T:
    """Return the JSON value as `shape`.

    Raises:
        ShapeError: it does not fit; the paths of all misfits are named.
    """
    try:
        return reading_converter().structure(value, shape)
    except Exception as error:  # noqa: BLE001  No I/O runs here: whatever cattrs raises, the value does not fit.
        problems = tuple(problems_of(error, "$"))
    # Outside of the handler, so that the error of cattrs, which shows values, does not become the context of this one.
    raise ShapeError(problems)


@cache
def reading_converter() -> Converter:
    """Return the one converter that reads, made when it is first needed and not when the SDK is imported."""
    converter = Converter()
    # By class, not by predicate: cattrs asks the rules for classes first, and has one of its own for every Enum.
    for kind, rule in _RULES.items():
        converter.register_structure_hook(kind, rule)
    converter.register_structure_hook_func(is_object, _unchanged)
    converter.register_structure_hook_func(is_optional_enum, _optional_enum)
    converter.register_structure_hook_factory(is_generic(list), _list_rule(list_structure_factory))
    converter.register_structure_hook_factory(is_generic(tuple), _list_rule(homogenous_tuple_structure_factory))
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


def _decimal(value: Any, _shape: Any) -> Decimal:
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


def _datetime(value: Any, _shape: Any) -> datetime:
    if type(value) is str and "T" in value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is not None:
                return moment
            raise WrongTypeError("expected a date-time with an offset: without one it names no instant")
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
    raise WrongTypeError("expected a string")


def _enum_object(value: Any, kind: type[OpenEnumObject]) -> OpenEnumObject:
    name = as_object(value).get("name")
    if name is not None and type(name) is str:
        return kind(name)
    raise WrongTypeError('expected an object {"name": "..."}')


def _optional_enum(value: Any, union: Any) -> OpenEnum | None:
    # Servers send an empty text, too, where they have no value.
    if value is None or value == "":
        return None
    kind: type[OpenEnum] = next(member for member in get_args(union) if member is not NoneType)
    if not issubclass(kind, OpenEnumObject):
        return _enum(value, kind)
    # CloudCockpit's documentation has samples with {} for no value.
    return None if type(value) is dict and as_object(value).get("name") is None else _enum_object(value, kind)


def _unchanged(value: Any, _shape: Any) -> Any:
    return value


_RULES: Mapping[type, _Rule] = {
    str: _exactly(str, "a string"),
    int: _exactly(int, "a whole number"),
    bool: _exactly(bool, "true or false"),
    Decimal: _decimal,
    date: _date,
    datetime: _datetime,
    UUID: _uuid,
    OpenEnum: _enum,
    OpenEnumObject: _enum_object,
}


# Objects and lists


def _object_rule(cls: Any, converter: Converter) -> _Rule:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=json_name(attribute), struct_hook=_attribute_rule(attribute, kind, converter))
        for attribute, kind in typed_attributes(cls)
    }
    structure_attributes = make_dict_structure_fn(cls, converter, **overrides)

    def rule(value: Any, shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        return structure_attributes(cast("dict[str, Any]", value), shape)

    return rule


def _attribute_rule(attribute: "attrs.Attribute[Any]", kind: Any, converter: Converter) -> _Rule | None:
    """Return the rule for an attribute of type `kind`; None if cattrs finds the right one by itself.

    It does not where null means the default, nor where a generic class has its argument within another type: of
    `T | None` it does not know what `T` is.
    """
    was_generic = kind != attribute.type
    default: Any = attribute.default
    if default is attrs.NOTHING or kind is Any or NoneType in get_args(kind):
        return (lambda value, _shape: converter.structure(value, kind)) if was_generic else None
    make = default.factory if is_factory(default) else lambda: default
    return lambda value, shape: make() if value is None else converter.structure(value, kind if was_generic else shape)


def _list_rule(make_rule: Callable[[Any, Converter], _Rule]) -> Callable[[Any, Converter], _Rule]:
    """Return cattrs' factory of rules with one change: its rules refuse what is no list, even if it is iterable."""

    def make(shape: Any, converter: Converter) -> _Rule:
        structure_items = make_rule(shape, converter)

        def rule(value: Any, _shape: Any) -> Any:
            if type(value) is not list:
                raise WrongTypeError("expected a list")
            return structure_items(value, shape)

        return rule

    return make
