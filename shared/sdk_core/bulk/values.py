"""What stands in a plan becomes what an operation takes: a reader for each argument, made from its annotation."""

import inspect
import json
import mimetypes
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Final, Literal, Union, cast, get_args, get_origin, get_type_hints
from uuid import UUID

import attrs
from attrs import Factory, field, frozen

from sdk_core import codec
from sdk_core.arguments import NONE
from sdk_core.transport.multipart import Document

__all__ = ["Parameter", "parameters_of", "repeated_key"]

_Reader = Callable[[object], Any]


@frozen
class Parameter:
    """An argument of an operation, as a plan may have it."""

    name: str
    required: bool
    kinds: tuple[Any, ...]
    """The types it may be of, in order."""
    _readers: tuple[_Reader, ...] = field(
        init=False,
        repr=False,
        eq=False,
        default=Factory(lambda self: tuple(_reader(k) for k in self.kinds if k is not NoneType), takes_self=True),
    )

    def read(self, value: object, *, text: bool) -> Any:
        """Return the argument.

        Args:
            value: as the plan has it: a cell's text, or a value of JSON.
            text: whether it is a cell, in which a number can't be told from its text.

        Raises:
            ValueError: it is none; the error says what is expected, and does not show the value.
        """
        if value is None and NoneType in self.kinds:
            return None
        # An id is the same in any spelling, and so is its text.
        if isinstance(value, str) and not text and str in self.kinds and UUID not in self.kinds:
            return value
        if self._takes_none and isinstance(value, str) and value.lower() == NONE:
            return None
        for read in self._readers:
            try:
                return read(value)
            except _MISFITS:
                continue
        raise ValueError(f"{self.name} must be {self.expected}")

    @property
    def _takes_none(self) -> bool:
        # What need not be given is None when its cell is empty.
        return self.required and NoneType in self.kinds

    @property
    def expected(self) -> str:
        """What it has to be, in words."""
        # Of a UUID, the text is taken too.
        kinds = [kind for kind in self.kinds if kind is not NoneType and not (kind is str and UUID in self.kinds)]
        words = [*map(_in_words, kinds), *([NONE] if self._takes_none else [])]
        return " or ".join(dict.fromkeys(words))


def parameters_of(function: Callable[..., object], *, without: frozenset[str] = frozenset()) -> dict[str, Parameter]:
    """Return the keyword-only parameters of a client's method, or of a workflow, by name."""
    hints = get_type_hints(function)
    return {
        name: Parameter(name, parameter.default is inspect.Parameter.empty, _kinds(hints[name]))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY and name not in without
    }


def repeated_key(text: bytes) -> str | None:
    """Return a key that an object in a JSON text has twice; None: there is none. Which one counts would be a guess."""
    repeated: list[str] = []

    def look(pairs: list[tuple[str, object]]) -> None:
        counts = Counter(key for key, _value in pairs)
        repeated.extend(key for key, count in counts.items() if count > 1)

    # Whether it is JSON at all, others say.
    with suppress(ValueError, RecursionError):
        json.loads(text, object_pairs_hook=look, parse_int=str, parse_float=str)
    return repeated[0] if repeated else None


def _kinds(annotation: Any) -> tuple[Any, ...]:
    if get_origin(annotation) in (UnionType, Union):
        return tuple(kind for member in get_args(annotation) for kind in _kinds(member))
    return (annotation,)


def _reader(kind: Any) -> _Reader:
    origin = get_origin(kind)
    if origin is Literal:
        return lambda value: _one_of(value, get_args(kind))
    if origin is not None:
        return _mapping if issubclass(origin, Mapping) else _texts
    if kind in _READERS:
        return _READERS[kind]
    shape: type[Any] = kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        return lambda value: _member(kind, value)
    if attrs.has(shape):
        return lambda value: codec.structure(_mapping(value), shape)
    raise TypeError(f"a plan can't hold a {kind}")


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _int(value: object) -> int:
    if isinstance(value, str):
        # int() also takes spaces, underscores and other digits.
        if not (value.isascii() and value.isdigit()):
            raise ValueError
        return int(value)
    if type(value) is not int:
        raise TypeError
    return value


def _bool(value: object) -> bool:
    return value if isinstance(value, bool) else _BOOLS[_text(value).lower()]


def _decimal(value: object) -> Decimal:
    return Decimal(value) if isinstance(value, Decimal) or type(value) is int else Decimal(_text(value))


def _one_of(value: object, choices: tuple[Any, ...]) -> Any:
    if value not in choices:
        raise ValueError
    return value


def _member(kind: type[Enum], value: object) -> Enum:
    member = kind(_text(value))
    if not getattr(member, "is_known", True):
        raise ValueError
    return member


def _mapping(value: object) -> dict[str, Any]:
    if isinstance(value, str):
        text = value.encode()
        value = None if repeated_key(text) else codec.parse(text)
    if not isinstance(value, dict):
        raise TypeError
    return cast("dict[str, Any]", value)


def _texts(value: object) -> tuple[str, ...]:
    """Return several texts: a list of JSON, or a cell in which `|` separates them."""
    found = value.split("|") if isinstance(value, str) else value
    if not isinstance(found, Iterable):
        raise TypeError
    return tuple(_text(item) for item in cast("Iterable[object]", found))


def _document(value: object) -> Document:
    path = Path(_text(value))
    kind = mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    return Document(source=path, content_type=kind)


_BOOLS: Final = {"true": True, "false": False}
_MISFITS: Final = (ValueError, TypeError, LookupError, ArithmeticError, codec.NotJsonError, codec.ShapeError)
_READERS: Final[Mapping[Any, _Reader]] = {
    int: _int,
    str: _text,
    bool: _bool,
    date: lambda value: date.fromisoformat(_text(value)),
    datetime: lambda value: datetime.fromisoformat(_text(value)),
    Decimal: _decimal,
    UUID: lambda value: UUID(_text(value)),
    Document: _document,
}
_WORDS: Final[Mapping[Any, str]] = {
    int: "a whole number",
    str: "text",
    bool: "true or false",
    date: "a date like 2026-12-31",
    datetime: "a time like 2026-12-31T12:00:00+00:00",
    Decimal: "a number",
    UUID: "a UUID",
    Document: "the path of a file",
}


def _in_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(str(choice) for choice in get_args(kind))
    if isinstance(kind, type) and issubclass(kind, Enum):
        return "one of " + ", ".join(str(member.value) for member in kind)
    origin = get_origin(kind)
    if origin is not None and not issubclass(origin, Mapping):
        return "a list of texts"
    return _WORDS.get(kind, "a JSON object that has each key once")
