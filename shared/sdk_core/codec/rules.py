"""The rules by which cattrs reads JSON values."""

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
    is_optional_enum,
    is_raw,
    json_name,
    typed_attributes,
)
from sdk_core.codec.text import as_object

_Hook = Callable[[Any, Any], Any]


def _expect(kind: type, what: str) -> _Hook:
    def hook(value: Any, _type: Any) -> Any:
        # Exact: JSON gives no subclasses, and `True` is an int to isinstance.
        if type(value) is not kind:
            raise WrongTypeError(f"expected {what}")
        return value

    return hook


def _decimal(value: Any, _type: Any) -> Decimal:
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    raise WrongTypeError("expected a number")


_DATE_LENGTH = len("2023-01-25")


def _date(value: Any, _type: Any) -> date:
    # fromisoformat also takes week dates and compact forms, which the APIs do not document.
    if type(value) is str and len(value) == _DATE_LENGTH and value[4] == value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise WrongTypeError("expected a date like 2023-01-25")


def _datetime(value: Any, _type: Any) -> datetime:
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


# A list names the same customer and reseller in every item, and UUID() is slow.
_cached_uuid = lru_cache(maxsize=1024)(UUID)


def _uuid(value: Any, _type: Any) -> UUID:
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
    # An empty text is no value either: what a server sends when it has none to send.
    if value is None or value == "":
        return None
    kind: type[OpenEnum] = next(member for member in get_args(union) if member is not NoneType)
    if not issubclass(kind, OpenEnumObject):
        return _enum(value, kind)
    # The documentation's own samples show {}.
    return None if type(value) is dict and as_object(value).get("name") is None else _enum_object(value, kind)


def _as_it_is(value: Any, _shape: Any) -> Any:
    return value


def _attribute_hook(attribute: "attrs.Attribute[Any]", kind: Any, converter: Converter) -> _Hook | None:
    """Return the hook of an attribute, if cattrs' own won't do.

    It won't where null means the default, and for `T | None` and the like in a generic class.
    """
    resolved = kind != attribute.type
    default: Any = attribute.default
    if default is attrs.NOTHING or kind is Any or NoneType in get_args(kind):
        return (lambda value, _shape: converter.structure(value, kind)) if resolved else None
    make = default.factory if is_factory(default) else lambda: default
    return lambda value, shape: make() if value is None else converter.structure(value, kind if resolved else shape)


def _from_object(cls: Any, converter: Converter) -> _Hook:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=json_name(attribute), struct_hook=_attribute_hook(attribute, kind, converter))
        for attribute, kind in typed_attributes(cls)
    }
    structure_attributes = make_dict_structure_fn(cls, converter, **overrides)

    def hook(value: Any, shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        return structure_attributes(cast(dict[str, Any], value), shape)

    return hook


def _from_list(make_hook: Callable[[Any, Converter], _Hook]) -> Callable[[Any, Converter], _Hook]:
    def make(shape: Any, converter: Converter) -> _Hook:
        structure_items = make_hook(shape, converter)

        def hook(value: Any, _shape: Any) -> Any:
            if type(value) is not list:
                raise WrongTypeError("expected a list")
            return structure_items(value, shape)

        return hook

    return make


_HOOKS: Mapping[type, _Hook] = {
    str: _expect(str, "a string"),
    int: _expect(int, "a whole number"),
    bool: _expect(bool, "true or false"),
    Decimal: _decimal,
    date: _date,
    datetime: _datetime,
    UUID: _uuid,
    OpenEnum: _enum,
    OpenEnumObject: _enum_object,
}


@cache
def converter() -> Converter:
    """Return the one converter that reads, made when it is first needed."""
    converter = Converter()
    # By class, not by predicate: cattrs asks the class hooks first, and has one of its own for every Enum.
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(is_raw, _as_it_is)
    converter.register_structure_hook_func(is_optional_enum, _optional_enum)
    converter.register_structure_hook_factory(is_generic(list), _from_list(list_structure_factory))
    converter.register_structure_hook_factory(is_generic(tuple), _from_list(homogenous_tuple_structure_factory))
    converter.register_structure_hook_factory(has_attrs, _from_object)
    return converter


T = TypeVar("T")


def structure(value: Any, shape: type[T]) -> T:
    """Return the JSON value as `shape`.

    Raises:
        ShapeError: it does not fit; the paths of all misfits are named.
    """
    try:
        return converter().structure(value, shape)
    except Exception as error:  # noqa: BLE001  all of cattrs' and our own, and nothing else runs here
        problems = tuple(problems_of(error, "$"))
    raise ShapeError(problems)
