"""What kind of type a shape is, and how the attributes of an attrs class are named and typed in the JSON.

A shape is a type as an annotation has it: `str`, an attrs class, `Page[Item]`, `tuple[Item, ...]`, `Decimal | None`.
"""

from collections.abc import Callable, Iterator, Mapping
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Generic, TypeGuard, Union, get_args, get_origin

import attrs

from sdk_core.codec.enums import OpenEnum

__all__ = [
    "LazyDict",
    "bare",
    "has_attrs",
    "is_enum",
    "is_factory",
    "is_optional",
    "is_uniform",
    "json_name",
    "original_of",
    "typed_attributes",
]


def bare(shape: Any) -> Any:
    """Return a type without what `Annotated` or `Final` says of it."""
    return bare(get_args(shape)[0]) if get_origin(shape) in (Annotated, Final) else shape


def is_enum(shape: Any) -> TypeGuard[type[OpenEnum]]:
    """Whether it is an open enumeration, of either kind."""
    return isinstance(shape, type) and issubclass(shape, OpenEnum)


def is_optional(shape: Any) -> bool:
    """Whether it is one type, or None."""
    members = get_args(shape)
    return get_origin(shape) in (Union, UnionType) and NoneType in members and len(members) == 2


def is_uniform(shape: Any) -> bool:
    """Whether a list or tuple with arguments holds items of one type."""
    args = get_args(shape)
    return args[1:] == (...,) or (len(args) == 1 and get_origin(shape) is not tuple)


def has_attrs(shape: Any) -> bool:
    """Whether it is an attrs class, or a generic one with arguments."""
    return attrs.has(get_origin(shape) or shape)


def is_factory(default: Any) -> bool:
    """Whether an attribute's default is made anew for each object."""
    factory: Any = attrs.Factory  # A class, but not to its stub.
    return isinstance(default, factory)


def json_name(attribute: "attrs.Attribute[Any]") -> str:
    """Return the JSON key of an attribute: `metadata["json"]`, or its name in camelCase; of `_name`, `name`."""
    head, *rest = attribute.name.lstrip("_").split("_")
    return attribute.metadata.get("json") or head + "".join(word.capitalize() for word in rest)


def original_of(cls: Any) -> "attrs.Attribute[Any] | None":
    """Return the attribute with `metadata={"original": True}`, if a class has one.

    It is no key of the JSON: it holds the whole JSON object, for what has to be sent back as it came.
    """
    return next((attribute for attribute in attrs.fields(cls) if attribute.metadata.get("original")), None)


def typed_attributes(shape: Any) -> "list[tuple[attrs.Attribute[Any], Any]]":
    """Return the attributes of a class with their types, a generic's arguments in place of its type variables."""
    cls = get_origin(shape) or shape
    attributes = attrs.fields(attrs.resolve_types(cls))
    if Generic not in cls.__mro__:
        return [(attribute, bare(attribute.type)) for attribute in attributes]
    arguments, owners = dict(_arguments(shape)), _owners(cls)
    return [
        (attribute, bare(_substituted(attribute.type, arguments[owners[attribute.name]]))) for attribute in attributes
    ]


def _arguments(shape: Any) -> Iterator[tuple[type, Mapping[Any, Any]]]:
    """Give each base of a class, and the class, with what stands for its type variables: two may have the same ones."""
    cls: type[Any] = get_origin(shape) or shape
    bases: tuple[Any, ...] = vars(cls).get("__orig_bases__", cls.__bases__)
    own = dict(zip(getattr(cls, "__parameters__", ()), get_args(shape), strict=False))
    for base in bases:
        for owner, arguments in _arguments(base):
            yield owner, {variable: _substituted(kind, own) for variable, kind in arguments.items()}
    yield cls, own


def _owners(cls: Any) -> Mapping[str, type]:
    """Return which class declares each attribute."""
    owners: dict[str, type] = {}
    for base in reversed(cls.__mro__):
        declared: Any = attrs.fields(base) if "__attrs_attrs__" in vars(base) else ()
        owners |= {attribute.name: base for attribute in declared if not attribute.inherited}
    return owners


def _substituted(kind: Any, arguments: Mapping[Any, Any]) -> Any:
    if kind in arguments:
        return arguments[kind]
    variables = getattr(kind, "__parameters__", ()) if get_args(kind) else ()
    return kind[tuple(arguments.get(variable, variable) for variable in variables)] if variables else kind


class LazyDict(dict[Any, Callable[[Any], Any]]):
    """A function for each shape, made by `make(shape)` when it is first asked for.

    A dict, because each call of the SDK looks something up here: `functools.cache` takes twice as long to find it.
    """

    def __init__(self, make: Callable[[Any], Callable[[Any], Any]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, shape: Any) -> Callable[[Any], Any]:
        function = self[shape] = self._make(shape)
        return function
