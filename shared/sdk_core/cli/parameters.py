"""The options of a command, from the signature of the function it calls."""

import inspect
import mimetypes
import sys
from collections.abc import Callable, Mapping, Sequence
from collections.abc import Collection as AbstractCollection
from collections.abc import Iterable as AbstractIterable
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from enum import EnumType
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin
from uuid import UUID

import attrs
from cyclopts import Parameter, Token

from sdk_core import codec
from sdk_core.arguments import finite_decimal, uuid_id
from sdk_core.transport.multipart import Document

__all__ = ["option"]

_NONE: Final = "none"
_HEIC: Final = (".heic", "image/heic")
"""Not in every platform's table of types."""
_JSON: Final = "JSON, or @FILE, or - for stdin"


@attrs.frozen
class _Reader:
    """How what is typed becomes a value."""

    metavar: str
    read: Callable[[str], object]
    form: str = ""
    """What the help says of the form."""
    choices: tuple[str, ...] = ()


def option(parameter: inspect.Parameter, what: str) -> inspect.Parameter:
    """Return a function's parameter as an option.

    Args:
        parameter: keyword-only and annotated.
        what: its help text.
    """
    annotation: Any = parameter.annotation
    kinds = get_args(annotation) if get_origin(annotation) in {Union, UnionType} else (annotation,)
    is_required = parameter.default is parameter.empty
    if bool in kinds:
        # What is False by default needs no opposite.
        opposite = () if parameter.default is False else f"--no-{parameter.name.replace('_', '-')}"
        flag = Parameter(help=_sentence(what), negative=opposite, show_default=False)
        return parameter.replace(annotation=Annotated[bool, flag])
    if get_origin(annotation) in {AbstractCollection, AbstractIterable}:
        listed = Parameter(help=_sentence(f"{what.removesuffix('.')}; may be given several times"), negative=(), metavar="TEXT")
        default = list(parameter.default)
        return parameter.replace(annotation=Annotated[list[str], listed], default=default)
    reader = _reader(kinds)
    forms = [what.removesuffix("."), reader.form]
    if is_required and NoneType in kinds:
        reader = attrs.evolve(reader, read=_or_none(reader.read))
        forms.append(f"{_NONE!r} for none")
    how = Parameter(
        help=_sentence("; ".join(filter(None, forms))),
        metavar=reader.metavar,
        choices=reader.choices or None,
        show_default=parameter.default is not None and not is_required,
        converter=lambda _kind, tokens: _convert(reader.read, tokens),
        n_tokens=1,
    )
    return parameter.replace(annotation=Annotated[object, how])


def _reader(kinds: tuple[Any, ...]) -> _Reader:
    """Return the reader for a parameter that takes one of these types."""
    for kind in kinds:
        if get_origin(kind) is Literal:
            words = get_args(kind)
            others = _reader(tuple(other for other in kinds if other is not kind))
            form = f"{', '.join(words)} or a date"
            return _Reader(others.metavar, _word_or(words, others, form), form)
        if (get_origin(kind) or kind) is Mapping:
            return _Reader("JSON", _json_object, _JSON)
        if kind is Document:
            return _Reader("FILE", _document)
        if isinstance(kind, EnumType):
            return _Reader("NAME", _member_of(kind), choices=tuple(member.value for member in kind))
        if isinstance(kind, type) and attrs.has(kind):
            return _Reader("JSON", _model_of(kind), _JSON)
    if int in kinds and str in kinds:
        return _Reader("ID|NAME", lambda text: int(text) if text.isascii() and text.isdigit() else text)
    return next(_READERS[kind] for kind in _READERS if kind in kinds)


def _convert(read: Callable[[str], object], tokens: Sequence[Token]) -> object:
    try:
        return read(tokens[0].value)
    except OSError as error:
        raise ValueError(f"{error.filename} can't be read: {error.strerror}") from None


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _word_or(words: tuple[str, ...], others: _Reader, form: str) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return text if text in words else others.read(text)
        except ValueError:
            raise ValueError(f"must be {form}, like 2027-01-31") from None

    return read


def _or_none(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text.lower() == _NONE else read(text)


def _int(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ValueError("must be a whole number") from None


def _float(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ValueError("must be a number") from None


def _decimal(text: str) -> Decimal:
    try:
        return finite_decimal("it", Decimal(text))
    except (InvalidOperation, ValueError):
        raise ValueError("must be a number, like 12.50") from None


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a date, like 2027-01-31") from None


def _datetime(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise ValueError("must be a time with its zone, like 2027-01-31T12:00:00+01:00")
    return moment


_READERS: Final[Mapping[Any, _Reader]] = {
    UUID: _Reader("UUID", lambda text: uuid_id("it", text)),
    int: _Reader("NUMBER", _int),
    float: _Reader("SECONDS", _float),
    Decimal: _Reader("AMOUNT", _decimal),
    datetime: _Reader("TIME", _datetime),
    date: _Reader("DATE", _date),
    str: _Reader("TEXT", lambda text: text),
}
"""In this order: of several types that a parameter takes, the one that refuses more."""


def _member_of(kind: Any) -> Callable[[str], object]:
    members = {member.value.lower(): member for member in kind}

    def read(text: str) -> object:
        if text.lower() not in members:
            raise ValueError(f"must be one of {', '.join(member.value for member in members.values())}")
        return members[text.lower()]

    return read


def _json_text(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = codec.parse(_json_text(text))
    except codec.NotJsonError:
        value = None
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004  what was typed is text, and of the right type
    return value


def _model_of(kind: type[Any]) -> Callable[[str], object]:
    def read(text: str) -> object:
        try:
            return codec.load(_json_text(text), kind)
        except codec.NotJsonError:
            raise ValueError("must be JSON") from None
        except codec.ShapeError as error:
            raise ValueError(f"does not fit: {'; '.join(error.problems)}") from None

    return read


def _document(text: str) -> Document:
    path = Path(text)
    with path.open("rb"):
        pass
    mimetypes.add_type(_HEIC[1], _HEIC[0])
    kind, _encoding = mimetypes.guess_type(path.name)
    if kind is None:
        raise ValueError("must have a name that tells its type, like proof.pdf")
    return Document(source=path, content_type=kind, filename=path.name)
