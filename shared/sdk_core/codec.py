"""JSON to attrs classes and back: strict about types, open about what is new, silent about values.

One private cattrs converter serves both SDKs. JSON names are the camelCase of attribute names.
Unknown keys are ignored, unknown enum values kept; `null` or a wrong type where a value is required is an
error that names the JSON path, never the value. Money and other fractions are `Decimal`, read from the JSON
text without a float in between.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import StrEnum
from functools import cache, lru_cache
from itertools import count
from types import NoneType, UnionType
from typing import Any, NoReturn, Self, TypeGuard, TypeVar, Union, cast, get_args, get_origin
from uuid import UUID

import attrs
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


# json.loads() builds a decoder on each call that has options.
_DECODER = json.JSONDecoder(parse_float=Decimal, parse_constant=_refuse_constant)
# Arithmetic: an exponent beyond what Decimal can hold.
_NOT_JSON = (ValueError, ArithmeticError, RecursionError)


def parse(text: bytes) -> Any:
    """Return the JSON value in `text`, numbers with a fraction as `Decimal`.

    Raises:
        NotJsonError: it is no JSON (`NaN` and `Infinity` are none).
    """
    try:
        characters = text.decode().strip(" \t\r\n")
        value, end = _DECODER.raw_decode(characters)
        if end == len(characters):
            return value
    except _NOT_JSON:
        pass
    # UTF-16, a byte order mark, half a surrogate pair, or no JSON: json.loads() knows them all.
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    except _NOT_JSON:
        raise NotJsonError from None


def parse_or_none(text: bytes) -> Any:
    """Return the JSON value in `text`, or None if it is no JSON."""
    try:
        return parse(text)
    except NotJsonError:
        return None


def as_object(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty one: for reading what may be anything."""
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


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
    kind: Any = shape  # To mypy, a type[T] may be unhashable.
    try:
        return cast("T", _decoder(kind)(value))
    except Exception:  # noqa: BLE001, S110  whatever the fast path says, the detailed one says it better
        pass
    return _explain(value, shape)


def load(text: bytes, shape: type[T]) -> T:
    """Return the JSON `text` as `shape`; NotJsonError or ShapeError if it can't be."""
    return structure(parse(text), shape)


def dump(value: Any) -> bytes:
    """Return `value` (an attrs instance or JSON value) as JSON; `None` and empty defaults are left out."""
    return _json(_CONVERTER.unstructure(value)).encode()


def encode_datetime(name: str, value: datetime) -> str:
    """Return an aware datetime as UTC in ISO 8601; a naive one is refused, because it names no instant."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime (with tzinfo)")
    return value.astimezone(UTC).isoformat()


# What json.dumps() ends up with for a text, without the way there.
_quote = json.JSONEncoder().encode


def _json(value: Any) -> str:  # noqa: PLR0911  one for each kind of JSON value
    # The stdlib encoder has no exact form for Decimal: it would need a float.
    match value:
        case str():
            return _quote(value)
        case dict():
            return "{" + ",".join([f"{_key(key)}:{_json(item)}" for key, item in as_object(value).items()]) + "}"
        case list():
            return "[" + ",".join(map(_json, as_list(value))) + "]"
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return int.__repr__(value)
        case Decimal():
            if not value.is_finite():
                raise ValueError("a JSON number must be finite")
            return f"{value:f}"
        case float():
            raise TypeError("pass Decimal, not float: a float can't hold most decimal amounts")
        case _:
            return json.dumps(value)


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be a str, not {type(key).__name__}")
    return _quote(key)


def _explain(value: Any, shape: type[T]) -> T:
    try:
        return _CONVERTER.structure(value, shape)
    except Exception as error:  # noqa: BLE001  all of cattrs' and our own, and nothing else runs here
        problems = tuple(_problems(error, "$"))
    raise ShapeError(problems)


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


def _null_means_default(attribute: "attrs.Attribute[Any]", converter: Converter) -> _Hook | None:
    """Return the hook of an attribute that JSON may leave out, for when it is sent as null instead."""
    default: Any = attribute.default
    if default is attrs.NOTHING or attribute.type is Any or NoneType in get_args(attribute.type):
        return None
    make = default.factory if _is_factory(default) else lambda: default
    return lambda value, shape: make() if value is None else converter.structure(value, shape)


def _is_factory(default: Any) -> bool:
    factory: Any = attrs.Factory  # A class, but not to its stub.
    return isinstance(default, factory)


def _from_object(cls: Any, converter: Converter) -> _Hook:
    overrides: dict[str, Any] = {
        attribute.name: override(rename=_json_name(attribute), struct_hook=_null_means_default(attribute, converter))
        for attribute in attrs.fields(attrs.resolve_types(get_origin(cls) or cls))
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


def _converter() -> Converter:
    converter = Converter()
    # By class, not by predicate: cattrs asks the class hooks first, and has one of its own for every Enum.
    for kind, hook in _HOOKS.items():
        converter.register_structure_hook(kind, hook)
    converter.register_structure_hook_func(_is_raw, _as_it_is)
    converter.register_structure_hook_func(_is_optional_enum, _optional_enum)
    converter.register_structure_hook_factory(_is_generic(list), _from_list(list_structure_factory))
    converter.register_structure_hook_factory(_is_generic(tuple), _from_list(homogenous_tuple_structure_factory))
    converter.register_structure_hook_factory(_has_attrs, _from_object)

    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(datetime, lambda value: encode_datetime("datetime", value))
    converter.register_unstructure_hook(UUID, str)
    converter.register_unstructure_hook(OpenEnum, str)
    converter.register_unstructure_hook(OpenEnumObject, lambda value: {"name": str(value)})
    converter.register_unstructure_hook_factory(_has_attrs, _to_object)
    return converter


_CONVERTER = _converter()


# The fast path. Most of what cattrs costs here is calls: one for each value, one more to store it in a frozen class. So
# for each class of answers a function is generated that makes none of them. What it reads, `_CONVERTER` reads to the
# same value; where it raises, whatever it raises, `_CONVERTER` has the last word.


def _refuse() -> NoReturn:
    raise TypeError


_CODE: Mapping[Any, str] = {
    # Exact: JSON gives no subclasses, and `True` is an int to isinstance.
    str: "x if type(x) is str else refuse()",
    int: "x if type(x) is int else refuse()",
    bool: "x if type(x) is bool else refuse()",
    Decimal: "x if type(x) is Decimal else Decimal(x) if type(x) is int else refuse()",
    date: f"read_date(x) if len(x) == {_DATE_LENGTH} and x[4] == x[7] == '-' else refuse()",
    Any: "x",
    object: "x",
}
"""How the JSON value `x` is read as one of the simple shapes."""

_names: dict[str, Any] = {"refuse": _refuse, "Decimal": Decimal, "read_date": date.fromisoformat}
"""The globals of the generated code."""
_functions: dict[Any, str] = {}
"""The generated functions' names by the class they read."""
_numbers = count()


def _name(value: Any) -> str:
    """Return a name for `value` in the generated code."""
    name = f"_{next(_numbers)}"
    _names[name] = value
    return name


@cache
def _decoder(shape: Any) -> Callable[[Any], Any]:
    """Return the function that reads a JSON value as `shape`, or raises."""
    return cast("Callable[[Any], Any]", eval(f"lambda x: {_code(shape)}", _names))  # noqa: S307  our own text


def _code(shape: Any) -> str:
    if shape in _CODE:
        return _CODE[shape]
    origin: Any = get_origin(shape)
    args = get_args(shape)
    if origin in (Union, UnionType) and len(args) == 2 and NoneType in args:  # noqa: PLR2004
        (kind,) = (member for member in args if member is not NoneType)
        return _code_of_enum(kind, optional=True) if _is_enum(kind) else f"None if x is None else {_code(kind)}"
    if _is_enum(shape):
        return _code_of_enum(shape, optional=False)
    if origin is list or (origin is tuple and args[1:] == (...,)):
        return f"{origin.__name__}([{_code(args[0])} for x in x]) if type(x) is list else refuse()"
    if _has_attrs(shape) and _only_stores(origin or shape):
        return f"{_functions.get(shape) or _generate(shape)}(x)"
    return f"{_name(_CONVERTER.get_structure_hook(shape))}(x, {_name(shape)})"


class _Members(dict[Any, OpenEnum | None]):
    """An enumeration's members by value; looking up what is not among them makes a new one."""

    def __init__(self, kind: type[OpenEnum], *nothing: str | None) -> None:
        super().__init__(dict.fromkeys(nothing))
        self.update((member.value, member) for member in kind)
        self._kind = kind

    def __missing__(self, value: object) -> OpenEnum:
        return _enum(value, self._kind)


def _code_of_enum(kind: type[OpenEnum], *, optional: bool) -> str:
    match issubclass(kind, OpenEnumObject), optional:
        case False, False:
            return f"{_name(_Members(kind))}[x]"
        case False, True:
            return f"{_name(_Members(kind, None, ''))}[x]"
        case True, False:
            return f"{_name(_Members(kind))}[x['name']]"
        case _:
            return f"None if x is None or x == '' else {_name(_Members(kind, None))}[x.get('name')]"


_SETATTRS = (object.__setattr__, attrs.make_class("_Frozen", (), frozen=True).__setattr__)


def _only_stores(cls: Any) -> bool:
    """Whether `cls(...)` does nothing but store what it is given: then that may be done without calling it."""
    fields = attrs.fields(cls)
    slots: set[str] = {slot for base in cls.__mro__ for slot in getattr(base, "__slots__", ())}
    return (
        len(fields) > 0
        and "__attrs_attrs__" in vars(cls)
        and slots - {"__weakref__"} == {a.name for a in fields}
        and all(a.init and a.validator is a.converter is None and not _is_factory(a.default) for a in fields)
        and not any(hasattr(cls, name) for name in ("__attrs_pre_init__", "__attrs_post_init__", "__attrs_init__"))
        and cls.__new__ is object.__new__
        and cls.__setattr__ in _SETATTRS
        and type(cls) is type
    )


def _generate(shape: Any) -> str:
    """Generate the function that reads a class; return its name."""
    cls = get_origin(shape) or shape
    final = _name(cls)
    # Before its body: a class may hold others of its kind.
    name = _functions[shape] = f"read_{cls.__name__}{final}"
    # A frozen class takes its values one call each. A subclass that is not frozen has the same layout and just takes
    # them: so that is what is filled, and then becomes the class.
    own = {method: getattr(object, method) for method in ("__init__", "__setattr__", "__delattr__")}
    unfrozen = type(cls.__name__, (cls,), {"__slots__": (), **own})
    # Only a JSON object has what an attribute asks for, `value.get` or `value["..."]`: no need to ask what it is.
    lines = [f"def {name}(value):", f"self = {_name(unfrozen)}()"]
    arguments = dict(zip(getattr(cls, "__parameters__", ()), get_args(shape), strict=True))
    for attribute in attrs.fields(attrs.resolve_types(cls)):
        key, kind, default = _json_name(attribute), _substituted(attribute.type, arguments), attribute.default
        code = _code(kind)
        if default is attrs.NOTHING:
            lines += [f"x = value[{key!r}]"]
        else:
            lines += [f"x = value.get({key!r})"]
            if attribute.type is not Any and NoneType not in get_args(attribute.type):
                code = f"{_name(default)} if x is None else {code}"
            elif default is not None:
                code = f"{_name(default)} if {key!r} not in value else {code}"
        lines += [f"self.{attribute.name} = {code}"]
    lines += [f"self.__class__ = {final}", "return self"]
    exec("\n ".join(lines), _names)  # noqa: S102  our own text
    return name


def _substituted(kind: Any, arguments: Mapping[Any, Any]) -> Any:
    """Return an attribute's type with a generic class' arguments in place of its type variables."""
    if kind in arguments:
        return arguments[kind]
    variables = getattr(kind, "__parameters__", ()) if get_args(kind) else ()
    return kind[tuple(arguments[variable] for variable in variables)] if variables else kind
