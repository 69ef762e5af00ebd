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
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs
from cyclopts import Parameter, Token

from sdk_core import codec
from sdk_core.arguments import NONE, finite_decimal, uuid_id
from sdk_core.transport.multipart import Document

__all__ = ["option", "with_signature"]

T = TypeVar("T")

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
        return parameter.replace(annotation=Annotated[bool | None, flag])
    if get_origin(annotation) in {AbstractCollection, AbstractIterable}:
        listed = Parameter(
            help=_sentence(f"{what.removesuffix('.')}; may be given several times"), negative=(), metavar="TEXT"
        )
        default = list(parameter.default)
        return parameter.replace(annotation=Annotated[list[str], listed], default=default)
    reader = _reader(kinds)
    if is_required and NoneType in kinds:
        # What is None for a function has to be typed: to leave a required option out is a mistake.
        reader = attrs.evolve(reader, read=_or_none(reader.read))
        what = what.replace("left out", f"'{NONE}'")
    forms = [what.removesuffix("."), reader.form]
    how = Parameter(
        help=_sentence("; ".join(filter(None, forms))),
        metavar=reader.metavar,
        choices=reader.choices or None,
        show_default=parameter.default is not None and not is_required,
        converter=_converter(reader.read),
        allow_leading_hyphen=reader.form == _JSON,
        n_tokens=1,
    )
    return parameter.replace(annotation=Annotated[object, how])


def _reader(kinds: tuple[Any, ...]) -> _Reader:
    """Return the reader for a parameter that takes one of these types."""
    for kind in kinds:
        if get_origin(kind) is Literal:
            return _date_or(get_args(kind))
        if isinstance(kind, EnumType):
            return _of_names(kind.__members__)
        if kind is not Document and attrs.has(kind):
            return _Reader("JSON", _model_of(kind), _JSON)
    bare = {get_origin(kind) or kind for kind in kinds}
    if {int, str} <= bare:
        return _Reader("ID|NAME", lambda text: int(text) if text.isascii() and text.isdigit() else text)
    return next(reader for kind, reader in _READERS.items() if kind in bare)


def _converter(read: Callable[[str], object]) -> Callable[[type, Sequence[Token]], object]:
    def convert(_kind: type, tokens: Sequence[Token]) -> object:
        try:
            return read(tokens[0].value)
        except OSError as error:
            raise ValueError(f"{error.filename} can't be read: {error.strerror}") from None

    return convert


def with_signature(command: Callable[..., T], signature: inspect.Signature) -> Callable[..., T]:
    """Give a command the signature that its options are read from."""
    attributes: dict[str, object] = vars(command)
    attributes["__signature__"] = signature
    command.__annotations__ = {name: each.annotation for name, each in signature.parameters.items()}
    return command


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _date_or(words: tuple[str, ...]) -> _Reader:
    form = f"{', '.join(words)} or a date"

    def read(text: str) -> object:
        try:
            return text if text in words else date.fromisoformat(text)
        except ValueError:
            raise ValueError(f"must be {form}, like 2027-01-31") from None

    return _Reader("DATE", read, form)


def _or_none(read: Callable[[str], object]) -> Callable[[str], object]:
    return lambda text: None if text.lower() == NONE else read(text)


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


def _of_names(members: Mapping[str, Any]) -> _Reader:
    by_name = {str(member.value): member for member in members.values()}
    # Others are refused before they are read.
    return _Reader("NAME", by_name.__getitem__, choices=tuple(by_name))


def _json_text(text: str) -> bytes:
    if text == "-":
        return sys.stdin.buffer.read()
    return Path(text[1:]).read_bytes() if text.startswith("@") else text.encode()


def _json_object(text: str) -> dict[str, Any]:
    try:
        value = codec.parse(_json_text(text))
    except codec.NotJsonError:
        value = None
    found = codec.as_object(value)
    if not isinstance(value, dict):
        raise ValueError("must be a JSON object")  # noqa: TRY004  what was typed is text, and of the right type
    return found


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


_READERS: Final[Mapping[Any, _Reader]] = {
    Document: _Reader("FILE", _document),
    Mapping: _Reader("JSON", _json_object, _JSON),
    UUID: _Reader("UUID", lambda text: uuid_id("it", text)),
    int: _Reader("NUMBER", _int),
    float: _Reader("SECONDS", _float),
    Decimal: _Reader("AMOUNT", _decimal),
    datetime: _Reader("TIME", _datetime),
    date: _Reader("DATE", _date),
    str: _Reader("TEXT", lambda text: text),
}
"""In this order: of several types that a parameter takes, the one that refuses more."""
