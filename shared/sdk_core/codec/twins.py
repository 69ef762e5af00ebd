"""The fast path.

msgspec reads the bytes straight into the objects. What it reads, the converter reads to the same
value, only that msgspec minds neither the encoding nor the size of numbers in what is ignored anyway. Where it
raises, whatever it raises, the converter has the last word.
"""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from operator import attrgetter
from types import NoneType
from typing import Any, NamedTuple, NoReturn, get_args, get_origin
from uuid import UUID

import attrs
import msgspec

from sdk_core.codec.enums import OpenEnumObject
from sdk_core.codec.rules import converter
from sdk_core.codec.shapes import Made, has_attrs, is_enum, is_factory, json_name, typed_attributes


def _fast(shape: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a JSON text as `shape`, or raises."""
    try:
        return msgspec.json.Decoder(_Twins().wire(shape), float_hook=Decimal).decode
    except Exception:  # noqa: BLE001  what can't be read this way is read by cattrs
        return _refuse


def _refuse(_text: bytes) -> NoReturn:
    raise TypeError


READERS = Made(_fast)


_SAME = frozenset({str, int, bool, date, UUID, Any})
"""What msgspec reads to the same values as cattrs, or refuses."""


_LISTS: Mapping[Any, tuple[Any, ...]] = {list: (), tuple: (...,)}
"""The generics for items of one type, each with its arguments behind that type."""


class _Part(NamedTuple):
    """How an attribute is read."""

    wire: Any
    """What msgspec reads."""
    blank: tuple[object, ...] = ()
    """What an empty value (null, "", []) becomes, if it does not stay what it is."""
    unread: tuple[type, Callable[[Any], Any]] | None = None
    """How a value is read that msgspec leaves in the form of the JSON; and the type of one that needs no reading."""


class _Twins:
    """For each class in a shape a twin, which msgspec reads as cattrs reads the class.

    msgspec fills attrs classes, but takes the names of attributes for those in the JSON. A twin is a subclass that has
    its slots under the JSON names too, and is not frozen; when one of its objects is filled, it becomes an object of
    the class.
    """

    def __init__(self) -> None:
        self._twins: dict[Any, Any] = {}

    def wire(self, shape: Any) -> Any:
        """Return what msgspec is to read as `shape`; TypeError if it can't read that as cattrs does."""
        if shape in _SAME or (is_enum(shape) and not issubclass(shape, OpenEnumObject)):
            return shape
        kind: Any = get_origin(shape) or shape
        args = get_args(shape)
        if args and args[1:] == _LISTS.get(kind):
            return kind[(self.wire(args[0]), *args[1:])]
        if has_attrs(kind) and _only_stores(kind):
            return self._twins.get(shape) or self._twin(shape, kind)
        raise TypeError

    def _twin(self, shape: Any, cls: Any) -> Any:
        attributes = typed_attributes(shape)
        names = {attribute.name for attribute, _kind in attributes}
        if any(json_name(attribute) in names - {attribute.name} for attribute, _kind in attributes):
            # One name for two slots.
            raise TypeError
        slots = {json_name(attribute): getattr(cls, attribute.name) for attribute, _kind in attributes}
        unfrozen = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
        # Before its attributes: a class may hold others of its kind.
        twin: Any = type(cls.__name__, (cls,), {"__slots__": (), **slots, **unfrozen})
        self._twins[shape] = twin
        parts = {attribute.name: self._part(kind, attribute.default) for attribute, kind in attributes}
        twin.__annotations__ = {json_name: part.wire for json_name, part in zip(slots, parts.values(), strict=True)}
        twin.__attrs_attrs__ = tuple(attribute.evolve(name=json_name(attribute)) for attribute, _kind in attributes)
        twin.__attrs_post_init__ = _finish(cls, parts)
        return twin

    def _part(self, kind: Any, default: Any) -> _Part:
        members = [member for member in get_args(kind) if member is not NoneType]
        optional = len(members) < len(get_args(kind))
        bare = members[0] if optional and len(members) == 1 else kind
        if default is not attrs.NOTHING and not optional and kind is not Any:
            # Null means the default; so does an empty list, if that is the default.
            if get_origin(kind) is tuple and default == ():
                return _Part(self.wire(kind) | None, blank=((),))
            raise TypeError
        part = self._part_of(kind, bare, optional=optional)
        if (part.blank or part.unread) and default is not attrs.NOTHING and default is not None:
            # It would be taken for something that was read.
            raise TypeError
        return part

    def _part_of(self, kind: Any, bare: Any, *, optional: bool) -> _Part:
        if bare is Decimal:
            # msgspec would take texts, too.
            return _Part(Any, unread=(Decimal, _reader(kind)))
        if bare is datetime:
            # msgspec rounds what is finer than a microsecond.
            return _Part(str | None if optional else str, unread=(NoneType, _reader(bare)))
        if is_enum(bare) and issubclass(bare, OpenEnumObject):
            named = msgspec.defstruct("Named", [("name", bare | None, None) if optional else ("name", bare)])
            return _Part(named | None if optional else named, unread=(NoneType, attrgetter("name")))
        wire = self.wire(bare)
        return _Part(wire | None if optional else wire, blank=(None,) if optional and is_enum(bare) else ())


def _reader(shape: Any) -> Callable[[Any], Any]:
    hook = converter().get_structure_hook(shape)
    return lambda value: hook(value, shape)


def _finish(cls: Any, parts: Mapping[str, _Part]) -> Callable[[Any], None]:
    """Return what makes of a filled twin an object of the class: generated, as a loop would take twice as long."""
    names: dict[str, Any] = {"cls": cls}
    lines = ["def finish(twin):"]
    for name, (_wire, blank, unread) in parts.items():
        if blank:
            (names[f"{name}_blank"],) = blank
            lines += [f"if not twin.{name}: twin.{name} = {name}_blank"]
        if unread is not None:
            names[f"{name}_unless"], names[f"{name}_read"] = unread
            lines += [f"x = twin.{name}", f"if type(x) is not {name}_unless: twin.{name} = {name}_read(x)"]
    exec("\n ".join([*lines, "twin.__class__ = cls"]), names)  # noqa: S102  our own text
    finish: Callable[[Any], None] = names["finish"]
    return finish


_BUILT_ANOTHER_WAY = (
    *("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__"),
    # To msgspec, what inherits from a dataclass is one.
    "__dataclass_fields__",
)


@cache
def _setattrs() -> tuple[Any, ...]:
    """Return how attributes are set by classes that have no way of their own: unfrozen, and frozen."""
    return object.__setattr__, attrs.make_class("_Frozen", (), frozen=True).__setattr__


def _only_stores(cls: Any) -> bool:
    """Whether `cls(...)` does nothing but store what it is given: then that may be done without calling it."""
    fields = attrs.fields(cls)
    slots: set[str] = {slot for base in cls.__mro__ for slot in getattr(base, "__slots__", ())}
    return (
        len(fields) > 0
        and "__attrs_attrs__" in vars(cls)
        and slots - {"__weakref__"} == {a.name for a in fields}
        and all(a.init and a.validator is a.converter is None and not is_factory(a.default) for a in fields)
        and not any(hasattr(cls, name) for name in _BUILT_ANOTHER_WAY)
        and cls.__new__ is object.__new__
        and cls.__setattr__ in _setattrs()
        and type(cls) is type
    )
