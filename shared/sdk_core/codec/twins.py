"""The fast reader: msgspec reads JSON text straight into attrs objects.

Contract: `READERS[shape](text)` returns what `structure(parse(text), shape)` returns, of the same types at all depths,
or raises. It may raise for a text that the exact reader reads, and always does where that one tolerates and tells
something. Any exception means that the exact reader has to be asked. There is one intended difference: what stands
under a key that no attribute has is skipped without being decoded. So bytes that are not UTF-8, and numbers too large
for `Decimal`, do no harm there.

Why: no dicts and lists are built between the bytes and the objects. With the exact reader alone, getting one contract
would take longer by 0.13 of the time that the same call takes with bare aiohttp (`python -m benchmarks`).

How: msgspec can fill the slots of an attrs class. But it expects keys in the JSON that are named like the attributes,
and reads a few types otherwise than the exact reader. So for each class that is not read as it is, it is given a
subclass, here called the class's twin. A twin has the names that msgspec needs. It is not frozen, so that what was read
can be converted afterwards:

    b'{"listPrice": 20, "currency": {"name": "EUR"}}'
        |
        |  msgspec makes a twin, and stores each value under its key
        v
    twin of Item:  listPrice = 20, currency = Named("EUR")
        |
        |  The twin's slot `listPrice` is the slot `list_price` of Item: one place in the object, with two names.
        |  Now msgspec calls __attrs_post_init__, which is the `finish` of this class. It converts what msgspec did
        |  not read as the exact reader does, and ends with twin.__class__ = Item.
        v
    Item(list_price=Decimal("20"), currency=Currency.EUR)

The object is now an ordinary one of its class: frozen, and of the same type as if the class had been called. This is
done only for classes whose constructor does nothing but store its arguments (`_only_stores`). For all others, and for
shapes that msgspec would read otherwise, there is no fast reader, and the exact one reads each text.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from functools import cache, partial
from operator import attrgetter
from types import NoneType, SimpleNamespace
from typing import Any, Generic, NamedTuple, NoReturn, get_args, get_origin
from uuid import UUID

import attrs
import msgspec

from sdk_core.codec.enums import OpenEnumObject
from sdk_core.codec.scalars import as_datetime, as_decimal
from sdk_core.codec.shapes import LazyDict, has_attrs, is_enum, is_factory, json_name, original_of, typed_attributes
from sdk_core.codec.text import decimal
from sdk_core.value import Shown, Value

__all__ = ["READERS", "READERS_OF_LARGE"]


def _make_reader(shape: Any, *, giving_way: bool = False) -> Callable[[bytes], Any]:
    # Whatever goes wrong here, such as an annotation that msgspec does not know: the exact reader can do without.
    with suppress(Exception):
        wire_type = _Twins(giving_way=giving_way).wire_type(shape)
        return msgspec.json.Decoder(wire_type, float_hook=decimal if giving_way else Decimal).decode
    return _leave_to_exact_reader


def _leave_to_exact_reader(_text: bytes) -> NoReturn:
    raise TypeError


READERS = LazyDict(_make_reader)
"""For each shape the function that takes a JSON text and returns it as that shape, or raises."""
READERS_OF_LARGE = LazyDict(partial(_make_reader, giving_way=True))
"""The same for texts that are read beside an event loop: other threads may go on at each object.

msgspec would hold the interpreter's lock up to half a second for each MiB of `{}`."""


# What msgspec is given to read


_SAME = frozenset({str, int, bool, date, UUID, Any})
"""What msgspec reads to the same values as the exact reader, or refuses."""
_LISTS: Mapping[Any, tuple[Any, ...]] = {list: (), tuple: (...,)}
"""The generics for any number of items, each with the arguments that follow the type of the items."""


class _FieldReading(NamedTuple):
    """How an attribute is read: by msgspec as `wire_type`, and changed by `finish` afterwards, if need be."""

    wire_type: Any
    empty_as: tuple[object, ...] = ()
    """What an empty value (null, []) becomes, in a tuple. Empty: it stays what it is."""
    refuse_empty: bool = False
    """Whether an empty text is left to the exact reader."""
    convert: Callable[[Any], Any] | None = None
    """What makes the value of what msgspec left in the form of the JSON."""
    convert_unless: type = NoneType
    """The class of a value that needs no conversion."""


class _Twins:
    """The twins for one shape: of its class and of all classes inside of it."""

    def __init__(self, *, giving_way: bool) -> None:
        self._twins: dict[Any, Any] = {}
        self._giving_way = giving_way
        """Whether each object has a `finish`, if only to have a function called that is not written in C."""

    def wire_type(self, shape: Any) -> Any:
        """Return the type that msgspec reads in place of `shape`, to the same value.

        Raises:
            TypeError: there is none.
        """
        if shape in _SAME or (is_enum(shape) and not issubclass(shape, OpenEnumObject)):
            return shape
        kind: Any = get_origin(shape) or shape
        args = get_args(shape)
        if args and args[1:] == _LISTS.get(kind):
            return kind[(self.wire_type(args[0]), *args[1:])]
        if has_attrs(kind) and _only_stores(kind):
            return self._twins.get(shape) or self._twin(shape, kind)
        raise TypeError

    def _twin(self, shape: Any, cls: Any) -> Any:
        attributes = typed_attributes(shape)
        names = {attribute.name: json_name(attribute) for attribute, _kind in attributes}
        if any(key in names and key != name for name, key in names.items()):
            # The JSON name of one attribute is the Python name of another: one name can't stand for two slots.
            raise TypeError
        slots = {key: getattr(cls, name) for name, key in names.items()}
        # A frozen class would not let `finish` set anything. Both methods, or Python sets attributes the slow way.
        unfrozen = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
        twin: Any = type(cls.__name__, (cls,), {"__slots__": (), **slots, **unfrozen})
        # Known before its attributes are looked at, because a class may have attributes of its own type.
        self._twins[shape] = twin
        readings = {attribute.name: self._reading(kind, attribute.default) for attribute, kind in attributes}
        annotations = {attribute.name: kind for attribute, kind in attributes}
        as_it_is = {name: _FieldReading(kind) for name, kind in annotations.items()}
        is_same = slots.keys() == names.keys() and readings == as_it_is and cls.__annotations__ == annotations
        if is_same and not self._giving_way:
            self._twins[shape] = cls
            return cls
        # msgspec takes names and defaults from __attrs_attrs__, and types from __annotations__. It reads no more of an
        # attribute than this, and to evolve() all of them would take a third of the time in which a reader is made.
        twin.__attrs_attrs__ = tuple(
            SimpleNamespace(name=key, default=attribute.default, validator=None)
            for key, (attribute, _kind) in zip(names.values(), attributes, strict=True)
        )
        twin.__annotations__ = dict(zip(slots, (reading.wire_type for reading in readings.values()), strict=True))
        twin.__attrs_post_init__ = _make_finish(cls, readings)
        return twin

    def _reading(self, kind: Any, default: Any) -> _FieldReading:
        members = [member for member in get_args(kind) if member is not NoneType]
        optional = len(members) < len(get_args(kind))
        bare = members[0] if optional and len(members) == 1 else kind
        if default is not attrs.NOTHING and not optional and kind is not Any:
            # Null means the default here. Where that is the empty tuple, an empty list may become the same object.
            if get_origin(kind) is tuple and default == ():
                return _FieldReading(self.wire_type(kind) | None, empty_as=((),))
            raise TypeError
        reading = self._reading_without_default(bare, optional=optional)
        if (reading.refuse_empty or reading.convert) and default is not attrs.NOTHING and default is not None:
            # `finish` can't tell a default from a value that was read, and would change it.
            raise TypeError
        return reading

    def _reading_without_default(self, bare: Any, *, optional: bool) -> _FieldReading:
        if bare is Decimal:
            # As Decimal, msgspec would take strings, too. As Any, a fraction is a Decimal, and all else is converted.
            return _FieldReading(Any, convert=_converter(as_decimal, optional=optional), convert_unless=Decimal)
        if bare is datetime:
            # msgspec rounds what is finer than a microsecond, Python cuts it off.
            return _FieldReading(str | None if optional else str, convert=_converter(as_datetime, optional=False))
        if is_enum(bare) and issubclass(bare, OpenEnumObject):
            named = msgspec.defstruct("Named", [("name", bare | None, None) if optional else ("name", bare)])
            return _FieldReading(named | None if optional else named, refuse_empty=optional, convert=attrgetter("name"))
        wire_type = self.wire_type(bare)
        # An enumeration takes an empty string for a value; where there need be none, it means that there is none.
        return _FieldReading(wire_type | None if optional else wire_type, refuse_empty=optional and is_enum(bare))


def _converter(rule: Callable[[Any, Any], Any], *, optional: bool) -> Callable[[Any], Any]:
    if optional:
        return lambda value: None if value is None else rule(value, None)
    return lambda value: rule(value, None)


# What is done with a twin that msgspec has filled


def _make_finish(cls: Any, readings: Mapping[str, _FieldReading]) -> Callable[[Any], None]:
    """Return the function that makes an object of `cls` of its filled twin.

    It is generated, as attrs generates `__init__`, because a loop over the attributes would take twice as long: in a
    call, 0.04 of the time of bare aiohttp for one contract, and 0.08 for ten. For a tuple `dates`, an optional
    enumeration `status` and a Decimal `amount` it reads:

        def finish(twin):
            if not twin.dates: twin.dates = dates_empty_as
            if twin.status == "": raise TypeError
            value = twin.amount
            if type(value) is not amount_convert_unless: twin.amount = amount_convert(value)
            twin.__class__ = cls

    Only the names of attributes go into the text, and those are Python identifiers.
    """
    names: dict[str, Any] = {"cls": cls}
    lines = ["def finish(twin):"]
    for name, reading in readings.items():
        if reading.empty_as:
            (names[f"{name}_empty_as"],) = reading.empty_as
            lines += [f"if not twin.{name}: twin.{name} = {name}_empty_as"]
        if reading.convert is not None:
            names |= {f"{name}_convert": reading.convert, f"{name}_convert_unless": reading.convert_unless}
            lines += [f"value = twin.{name}"]
            lines += [f"if type(value) is not {name}_convert_unless: twin.{name} = {name}_convert(value)"]
        if reading.refuse_empty:
            lines += [f'if twin.{name} == "": raise TypeError']
    exec("\n ".join([*lines, "twin.__class__ = cls"]), names)  # noqa: S102  The text is ours: no data goes into it.
    finish: Callable[[Any], None] = names["finish"]
    return finish


# Which classes may be filled without calling them


_BUILT_ANOTHER_WAY = (
    *("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__"),
    # msgspec takes what inherits from a dataclass for one.
    "__dataclass_fields__",
)

_BASES = frozenset({object, Generic, Shown, Value})
"""Those whose `__init_subclass__` may be told of a twin."""


@cache
def _standard_setattrs() -> tuple[Any, ...]:
    """Return the `__setattr__` of classes that do not define their own: unfrozen, and frozen."""
    return object.__setattr__, attrs.make_class("_Frozen", (), frozen=True, eq=False, repr=False).__setattr__


def _only_stores(cls: Any) -> bool:
    """Whether `cls(...)` does nothing but store its arguments in slots: then msgspec may store them just as well."""
    fields = attrs.fields(cls)
    slots: set[str] = {slot for base in cls.__mro__ for slot in getattr(base, "__slots__", ())}
    return (
        len(fields) > 0
        and original_of(cls) is None
        and "__attrs_attrs__" in vars(cls)
        and slots - {"__weakref__"} == {a.name for a in fields}
        and all(a.init and a.validator is a.converter is None and not is_factory(a.default) for a in fields)
        and not any(hasattr(cls, name) for name in _BUILT_ANOTHER_WAY)
        # An application's base that is told of its subclasses, to list them perhaps, would be told of the twin.
        and all("__init_subclass__" not in vars(base) for base in cls.__mro__ if base not in _BASES)
        and cls.__new__ is object.__new__
        and cls.__setattr__ in _standard_setattrs()
        and type(cls) is type
    )
