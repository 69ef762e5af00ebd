"""JSON to attrs classes and back: strict about types, open about what is new, silent about values.

One private cattrs converter serves both SDKs; msgspec reads what fits, which is most, to the same values. JSON names
are the camelCase of attribute names. Unknown keys are ignored, unknown enum values kept; `null` or a wrong type where
a value is required is an error that names the JSON path, never the value. Money and other fractions are `Decimal`,
read from the JSON text without a float in between.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from operator import attrgetter
from types import NoneType, UnionType
from typing import Any, NamedTuple, NoReturn, Self, TypeGuard, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

import attrs
import msgspec
from cattrs import ClassValidationError, Converter, IterableValidationError
from cattrs.cols import homogenous_tuple_structure_factory, list_structure_factory
from cattrs.gen import make_dict_structure_fn, make_dict_unstructure_fn, override

__all__ = [
    "NotJsonError",
    "OpenEnum",
    "OpenEnumObject",
    "ShapeError",
    "as_list",
    "as_object",
    "as_text",
    "dump",
    "encode_datetime",
    "load",
    "parse",
    "parse_or_none",
    "structure",
]

T = TypeVar("T")
_Hook = Callable[[Any, Any], Any]


class OpenEnum(StrEnum):
    """An enumeration the API may extend: an unknown value becomes a member with `is_known == False`.

    Such a member keeps its value, equals and hashes like the text, pickles, and is sent back unchanged.
    """

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member = str.__new__(cls, value)
        member._name_ = member._value_ = str(value)
        return member

    @property
    def is_known(self) -> bool:
        """Whether this release of the SDK knows the value."""
        return type(self)._value2member_map_.get(self.value) is self

    # Enum hashes the member's name; a str must hash like its text, or sets would see two different values.
    __hash__ = str.__hash__


class OpenEnumObject(OpenEnum):
    """An open enumeration that travels as `{"name": value}`."""


class NotJsonError(ValueError):
    """The bytes are no JSON text."""


class ShapeError(ValueError):
    """The JSON is not of the documented shape; `problems` are (JSON path, what was expected)."""

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__(problems)
        self.problems = problems


class _WrongTypeError(ValueError):
    """A value of another type than documented; the text says what was expected and holds no value."""


def _refuse_constant(_text: str) -> NoReturn:
    raise NotJsonError


_PARSER = msgspec.json.Decoder(float_hook=Decimal)


def parse(text: bytes) -> Any:
    """Return the JSON value in `text`, numbers with a fraction as `Decimal`.

    Raises:
        NotJsonError: it is no JSON (`NaN` and `Infinity` are none).
    """
    try:
        return _PARSER.decode(text)
    except Exception:  # noqa: BLE001, S110  json.loads() has the last word
        pass
    # UTF-16, a byte order mark, half a surrogate pair, or no JSON: json.loads() knows them all.
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    # Arithmetic: an exponent beyond what Decimal can hold.
    except (ValueError, ArithmeticError, RecursionError):
        raise NotJsonError from None


def parse_or_none(text: bytes) -> Any:
    """Return the JSON value in `text`, or None if it is no JSON."""
    try:
        return parse(text)
    except NotJsonError:
        return None


def as_object(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty one: for reading what may be anything."""
    found: dict[str, Any] = value if issubclass(value.__class__, dict) else {}
    return found


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a JSON list, else an empty one."""
    return [*value] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return `value` if it is a JSON string, else None."""
    return value if isinstance(value, str) else None


def structure(value: Any, shape: type[T]) -> T:
    """Return the JSON value as `shape`.

    Raises:
        ShapeError: it does not fit; the paths of all misfits are named.
    """
    try:
        return _converter().structure(value, shape)
    except Exception as error:  # noqa: BLE001  all of cattrs' and our own, and nothing else runs here
        problems = tuple(_problems(error, "$"))
    raise ShapeError(problems)


def load(text: bytes, shape: type[T], *, lone_item: bool = False) -> T:
    """Return the JSON `text` as `shape`.

    Args:
        text: in any of JSON's encodings.
        shape: an attrs class, or `list` of one.
        lone_item: whether a lone object is taken for a list of one.

    Raises:
        NotJsonError: it is no JSON.
        ShapeError: it does not fit; the paths of all misfits are named.
    """
    kind: Any = shape  # To mypy, a type[T] may be unhashable.
    try:
        value: T = _READERS[kind](text)
        return value  # noqa: TRY300  the shortest way
    except Exception:  # noqa: BLE001, S110  whatever the fast path says, the detailed one says it better
        pass
    if lone_item:
        with suppress(Exception):
            (item,) = get_args(kind)
            lone: Any = [_READERS[item](text)]
            return cast("T", lone)
    found = parse(text)
    return structure([as_object(found)] if lone_item and isinstance(found, dict) else found, shape)


def dump(value: Any) -> bytes:
    """Return `value` (an attrs instance or JSON value) as JSON; `None` and empty defaults are left out.

    Raises:
        TypeError: something in it is no JSON value; a float, too, as it can't hold most decimal amounts.
        ValueError: a number is not finite, or a text holds half of a surrogate pair.
    """
    try:
        return _WRITER.encode(_exact(_UNSTRUCTURING[value.__class__](value)))
    except UnicodeEncodeError:
        # It shows the text.
        problem = ValueError("a text holds half of a surrogate pair, which JSON can't carry")
    raise problem


def encode_datetime(name: str, value: datetime) -> str:
    """Return an aware datetime as UTC in ISO 8601; a naive one is refused, because it names no instant."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime (with tzinfo)")
    try:
        return value.astimezone(UTC).isoformat()
    except OverflowError:
        raise ValueError(f"{name} must be within the years 1 to 9999 in UTC") from None


_WRITER = msgspec.json.Encoder()
_PLAIN = frozenset({str, int, bool, NoneType, date, UUID})
"""What msgspec writes as JSON has it; of their subclasses it knows nothing."""


def _exact(value: Any) -> Any:
    """Return a JSON value in a form that is written just as it is, or refuse it: msgspec would write much more."""
    kind = value.__class__
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _PLAIN or type(key) is not str:
                break
        else:
            # Nothing in it has to be looked into: most bodies are like that.
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
    return msgspec.Raw(Decimal.__format__(value, "f").encode())


def _key(key: object) -> str:
    if type(key) is date or type(key) is UUID:
        return str(key)
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be a str, not {type(key).__name__}")
    return str.__str__(key)


def _problems(error: BaseException, path: str) -> list[str]:
    match error:
        case ClassValidationError():
            names = {
                attribute.name: _json_name(attribute) for attribute in attrs.fields(get_origin(error.cl) or error.cl)
            }
            noted, bare = error.group_exceptions()
            found = [p for inner, note in noted for p in _problems(inner, f"{path}.{names.get(note.name, note.name)}")]
        case IterableValidationError():
            noted_items, bare = error.group_exceptions()
            found = [p for inner, note in noted_items for p in _problems(inner, f"{path}[{note.index}]")]
        case KeyError():
            return [f"{path}: required, but missing"]
        case _WrongTypeError():
            return [f"{path}: {error}"]
        case _:
            return [f"{path}: not of the documented type"]
    return found + [problem for inner in bare for problem in _problems(inner, path)]


def _json_name(attribute: "attrs.Attribute[Any]") -> str:
    head, *rest = attribute.name.split("_")
    return attribute.metadata.get("json") or head + "".join(word.capitalize() for word in rest)


def _expect(kind: type, what: str) -> _Hook:
    def hook(value: Any, _type: Any) -> Any:
        # Exact: JSON gives no subclasses, and `True` is an int to isinstance.
        if type(value) is not kind:
            raise _WrongTypeError(f"expected {what}")
        return value

    return hook


def _decimal(value: Any, _type: Any) -> Decimal:
    if type(value) is Decimal:
        return value
    if type(value) is int:
        return Decimal(value)
    raise _WrongTypeError("expected a number")


_DATE_LENGTH = len("2023-01-25")


def _date(value: Any, _type: Any) -> date:
    # fromisoformat also takes week dates and compact forms, which the APIs do not document.
    if type(value) is str and len(value) == _DATE_LENGTH and value[4] == value[7] == "-":
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    raise _WrongTypeError("expected a date like 2023-01-25")


def _datetime(value: Any, _type: Any) -> datetime:
    if type(value) is str and "T" in value:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            if moment.tzinfo is not None:
                return moment
            raise _WrongTypeError("expected a date-time with an offset: without one it names no instant")
    raise _WrongTypeError("expected a date-time like 2024-05-04T09:42:00+00:00")


# A list names the same customer and reseller in every item, and UUID() is slow.
_cached_uuid = lru_cache(maxsize=1024)(UUID)


def _uuid(value: Any, _type: Any) -> UUID:
    if type(value) is str:
        try:
            return _cached_uuid(value)
        except ValueError:
            pass
    raise _WrongTypeError("expected a UUID")


def _enum(value: Any, kind: type[OpenEnum]) -> OpenEnum:
    if type(value) is str:
        return kind(value)
    raise _WrongTypeError("expected a string")


def _enum_object(value: Any, kind: type[OpenEnumObject]) -> OpenEnumObject:
    name = as_object(value).get("name")
    if name is not None and type(name) is str:
        return kind(name)
    raise _WrongTypeError('expected an object {"name": "..."}')


def _optional_enum(value: Any, union: Any) -> OpenEnum | None:
    # An empty text is no value either: what a server sends when it has none to send.
    if value is None or value == "":
        return None
    kind: type[OpenEnum] = next(member for member in get_args(union) if member is not NoneType)
    if not issubclass(kind, OpenEnumObject):
        return _enum(value, kind)
    # The documentation's own samples show {}.
    return None if type(value) is dict and as_object(value).get("name") is None else _enum_object(value, kind)


def _is_enum(shape: Any) -> TypeGuard[type[OpenEnum]]:
    return isinstance(shape, type) and issubclass(shape, OpenEnum)


def _is_optional_enum(shape: Any) -> bool:
    return get_origin(shape) in (Union, UnionType) and any(map(_is_enum, get_args(shape)))


def _is_raw(shape: Any) -> bool:
    return shape is object


def _as_it_is(value: Any, _shape: Any) -> Any:
    return value


def _is_generic(kind: type) -> Callable[[Any], bool]:
    return lambda shape: get_origin(shape) is kind


def _has_attrs(shape: Any) -> bool:
    return attrs.has(get_origin(shape) or shape)


def _attributes(shape: Any) -> "list[tuple[attrs.Attribute[Any], Any]]":
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


def _attribute_hook(attribute: "attrs.Attribute[Any]", kind: Any, converter: Converter) -> _Hook | None:
    """Return the hook of an attribute, if cattrs' own won't do.

    It won't where null means the default, and for `T | None` and the like in a generic class.
    """
    resolved = kind != attribute.type
    default: Any = attribute.default
    if default is attrs.NOTHING or kind is Any or NoneType in get_args(kind):
        return (lambda value, _shape: converter.structure(value, kind)) if resolved else None
    make = default.factory if _is_factory(default) else lambda: default
    return lambda value, shape: make() if value is None else converter.structure(value, kind if resolved else shape)


def _is_factory(default: Any) -> bool:
    factory: Any = attrs.Factory  # A class, but not to its stub.
    return isinstance(default, factory)


def _from_object(cls: Any, converter: Converter) -> _Hook:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=_json_name(attribute), struct_hook=_attribute_hook(attribute, kind, converter))
        for attribute, kind in _attributes(cls)
    }
    structure_attributes = make_dict_structure_fn(cls, converter, **overrides)

    def hook(value: Any, shape: Any) -> Any:
        if type(value) is not dict:
            raise _WrongTypeError("expected an object")
        return structure_attributes(cast(dict[str, Any], value), shape)

    return hook


def _from_list(make_hook: Callable[[Any, Converter], _Hook]) -> Callable[[Any, Converter], _Hook]:
    def make(shape: Any, converter: Converter) -> _Hook:
        structure_items = make_hook(shape, converter)

        def hook(value: Any, _shape: Any) -> Any:
            if type(value) is not list:
                raise _WrongTypeError("expected a list")
            return structure_items(value, shape)

        return hook

    return make


def _to_object(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {a.name: override(rename=_json_name(a)) for a in attrs.fields(cls)}
    return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **overrides)


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


class _Made(dict[Any, Callable[[Any], Any]]):
    """Makes what is asked for once. `functools.cache` would take twice as long to find it again."""

    def __init__(self, make: Callable[[Any], Callable[[Any], Any]]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: Any) -> Callable[[Any], Any]:
        made = self[key] = self._make(key)
        return made


@cache
def _converter() -> Converter:
    """Return the one converter, made when it is first needed."""
    converter = Converter()
    # By class, not by predicate: cattrs asks the class hooks first, and has one of its own for every Enum.
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(_is_raw, _as_it_is)
    converter.register_structure_hook_func(_is_optional_enum, _optional_enum)
    converter.register_structure_hook_factory(_is_generic(list), _from_list(list_structure_factory))
    converter.register_structure_hook_factory(_is_generic(tuple), _from_list(homogenous_tuple_structure_factory))
    converter.register_structure_hook_factory(_has_attrs, _from_object)

    # What is exactly of such a class is left to msgspec, which writes the same, and faster.
    converter.register_unstructure_hook(date, lambda value: value if type(value) is date else date.isoformat(value))
    converter.register_unstructure_hook(datetime, lambda value: encode_datetime("datetime", value))
    converter.register_unstructure_hook(UUID, lambda value: value if type(value) is UUID else str(value))
    converter.register_unstructure_hook(OpenEnum, str)
    converter.register_unstructure_hook(OpenEnumObject, lambda value: {"name": str(value)})
    converter.register_unstructure_hook_factory(_has_attrs, _to_object)
    return converter


_UNSTRUCTURING = _Made(lambda kind: _converter().get_unstructure_hook(kind))


# The fast path: msgspec reads the bytes straight into the objects. What it reads, the converter reads to the same
# value, only that msgspec minds neither the encoding nor the size of numbers in what is ignored anyway. Where it
# raises, whatever it raises, the converter has the last word.


def _fast(shape: Any) -> Callable[[bytes], Any]:
    """Return the function that reads a JSON text as `shape`, or raises."""
    try:
        return msgspec.json.Decoder(_Twins().wire(shape), float_hook=Decimal).decode
    except Exception:  # noqa: BLE001  what can't be read this way is read by cattrs
        return _refuse


def _refuse(_text: bytes) -> NoReturn:
    raise TypeError


_READERS = _Made(_fast)


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
        if shape in _SAME or (_is_enum(shape) and not issubclass(shape, OpenEnumObject)):
            return shape
        kind: Any = get_origin(shape) or shape
        args = get_args(shape)
        if args and args[1:] == _LISTS.get(kind):
            return kind[(self.wire(args[0]), *args[1:])]
        if _has_attrs(kind) and _only_stores(kind):
            return self._twins.get(shape) or self._twin(shape, kind)
        raise TypeError

    def _twin(self, shape: Any, cls: Any) -> Any:
        attributes = _attributes(shape)
        names = {attribute.name for attribute, _kind in attributes}
        if any(_json_name(attribute) in names - {attribute.name} for attribute, _kind in attributes):
            # One name for two slots.
            raise TypeError
        slots = {_json_name(attribute): getattr(cls, attribute.name) for attribute, _kind in attributes}
        unfrozen = {name: getattr(object, name) for name in ("__init__", "__setattr__", "__delattr__")}
        # Before its attributes: a class may hold others of its kind.
        twin: Any = type(cls.__name__, (cls,), {"__slots__": (), **slots, **unfrozen})
        self._twins[shape] = twin
        parts = {attribute.name: self._part(kind, attribute.default) for attribute, kind in attributes}
        twin.__annotations__ = {json_name: part.wire for json_name, part in zip(slots, parts.values(), strict=True)}
        twin.__attrs_attrs__ = tuple(attribute.evolve(name=_json_name(attribute)) for attribute, _kind in attributes)
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
        if _is_enum(bare) and issubclass(bare, OpenEnumObject):
            named = msgspec.defstruct("Named", [("name", bare | None, None) if optional else ("name", bare)])
            return _Part(named | None if optional else named, unread=(NoneType, attrgetter("name")))
        wire = self.wire(bare)
        return _Part(wire | None if optional else wire, blank=(None,) if optional and _is_enum(bare) else ())


def _reader(shape: Any) -> Callable[[Any], Any]:
    hook = _converter().get_structure_hook(shape)
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
        and all(a.init and a.validator is a.converter is None and not _is_factory(a.default) for a in fields)
        and not any(hasattr(cls, name) for name in _BUILT_ANOTHER_WAY)
        and cls.__new__ is object.__new__
        and cls.__setattr__ in _setattrs()
        and type(cls) is type
    )
