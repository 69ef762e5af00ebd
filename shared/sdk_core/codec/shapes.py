"""What a type is, and how its attributes are called in the JSON."""

from collections.abc import Callable, Mapping
from types import UnionType
from typing import Any, TypeGuard, Union, get_args, get_origin

import attrs

from sdk_core.codec.enums import OpenEnum


def json_name(attribute: "attrs.Attribute[Any]") -> str:
    head, *rest = attribute.name.split("_")
    return attribute.metadata.get("json") or head + "".join(word.capitalize() for word in rest)


def is_enum(shape: Any) -> TypeGuard[type[OpenEnum]]:
    return isinstance(shape, type) and issubclass(shape, OpenEnum)


def is_optional_enum(shape: Any) -> bool:
    return get_origin(shape) in (Union, UnionType) and any(map(is_enum, get_args(shape)))


def is_raw(shape: Any) -> bool:
    return shape is object


def is_generic(kind: type) -> Callable[[Any], bool]:
    return lambda shape: get_origin(shape) is kind


def has_attrs(shape: Any) -> bool:
    return attrs.has(get_origin(shape) or shape)


def typed_attributes(shape: Any) -> "list[tuple[attrs.Attribute[Any], Any]]":
    """Return the attributes of a class with their types, a generic's arguments in place of its type variables."""
    cls = get_origin(shape) or shape
    arguments = dict(zip(getattr(cls, "__parameters__", ()), get_args(shape), strict=False))
    return [
        (attribute, _substituted(attribute.type, arguments)) for attribute in attrs.fields(attrs.resolve_types(cls))
    ]


def _substituted(kind: Any, arguments: Mapping[Any, Any]) -> Any:
    if kind in arguments:
        return arguments[kind]
    variables = getattr(kind, "__parameters__", ()) if get_args(kind) else ()
    return kind[tuple(arguments.get(variable, variable) for variable in variables)] if variables else kind


def is_factory(default: Any) -> bool:
    factory: Any = attrs.Factory  # A class, but not to its stub.
    return isinstance(default, factory)


class Made(dict[Any, Callable[[Any], Any]]):
    """Makes what is asked for once. `functools.cache` would take twice as long to find it again."""

    def __init__(self, make: Callable[[Any], Callable[[Any], Any]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Callable[[Any], Any]:
        made = self[key] = self._make(key)
        return made
