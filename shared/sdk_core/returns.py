"""What an operation may return. A class that can't be read is refused when the operation is declared.

Otherwise it would be found out with the first answer, when a contract has been canceled already.
"""

from collections import abc
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, Final, Literal, Self, TypeVar, Union, get_args, get_origin
from uuid import UUID

import attrs

from sdk_core import codec
from sdk_core.codec.shapes import typed_attributes

__all__ = ["Checked", "Empty", "readable"]


class Empty:
    """Base of what operations return whose documented answer carries nothing: an empty success is a success."""

    __slots__ = ()
    takes_effect_later: ClassVar[bool] = False
    """Whether what was asked for need not have happened when the answer comes."""

    @classmethod
    def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> Self:
        """Build the value from a body that may be empty; NotJsonError if it is anything else but JSON.

        Asked, the call gives its correlation id.
        """
        raise NotImplementedError


class Checked:
    """Base of what has to fulfil more than its types, lest a wrong answer be taken for a right one."""

    __slots__ = ()

    def misfit(self, query: Mapping[str, str], /) -> str | None:
        """Return the JSON path and what is wrong there, as the answer to a request with `query`; None if nothing is."""
        raise NotImplementedError


_VALUES: Final = frozenset({Any, object, str, int, bool, float, Decimal, date, datetime, UUID})
_CONTAINERS: Final = frozenset({list, tuple, dict, set, frozenset, abc.Sequence, abc.Mapping})
_OBJECTS: Final = frozenset[Any]({dict, abc.Mapping})
_NO_KEYS: Final = frozenset({int, bool, float, Decimal})
_VALUES_OF_ENUMS: Final = (str, int, Decimal, NoneType)
_readable: Final[set[Any]] = set()
"""What was found readable: operations share many classes."""


def readable(name: str, shape: Any) -> None:
    """Raise TypeError, with what to do, unless an answer can be decoded to `shape`, and to all that is in it.

    It is an attrs class, a list of one, a subclass of `Empty` with its own `from_answer`, or raw JSON (`object`,
    `dict`, `list`, `str`, ...).
    """
    if isinstance(shape, type) and issubclass(shape, Empty):
        if not any("from_answer" in vars(base) for base in shape.__mro__[: shape.__mro__.index(Empty)]):
            raise TypeError(f"{name}: {shape.__name__} needs a from_answer() of its own")
        return
    # Not recursive: a class may hold others of its kind.
    pending: list[tuple[str, Any]] = [(name, shape)]
    found = set[Any]()
    while pending:
        where, part = pending.pop()
        try:
            new = part not in _readable and part not in found
        except TypeError:
            # Not hashable.
            raise TypeError(f"{where}: {part!r} is no type that can be read") from None
        if new:
            found.add(part)
            codec.prepare(part)
            pending.extend(_parts(where, part))
    _readable.update(found)


def _parts(where: str, shape: Any) -> Iterator[tuple[str, Any]]:
    """Give what a shape consists of; TypeError if it can't be read whatever that is."""
    origin: Any = get_origin(shape)
    kind: Any = origin or shape
    arguments = get_args(shape)
    if kind in _VALUES or kind is Literal:
        return
    if kind in _OBJECTS and arguments and arguments[0] in _NO_KEYS:
        raise TypeError(f"{where}: {shape} can't be read: the keys of a JSON object are texts; use dict[str, ...]")
    if kind in _CONTAINERS:
        yield from ((where, argument) for argument in arguments if argument is not ...)
    elif kind is Annotated:
        yield where, arguments[0]
    elif kind in {Union, UnionType}:
        members = [member for member in arguments if member is not NoneType]
        if len(members) > 1:
            raise TypeError(
                f"{where}: {shape} can't be read: JSON does not say which it is; use one of them, or object"
            )
        yield where, members[0]
    elif isinstance(kind, type) and attrs.has(kind) and "__dataclass_fields__" not in vars(kind):
        yield from _attributes(where, shape)
    elif not (isinstance(kind, type) and issubclass(kind, Enum)):
        raise TypeError(f"{where}: {_what_to_do(kind)}")
    elif not _can_be_found(kind):
        raise TypeError(
            f"{where}: {kind.__name__} has a value that no JSON equals; use texts, whole numbers or Decimal"
        )


def _can_be_found(kind: Any) -> bool:
    """Whether JSON can equal each value of an enumeration, if that does not have a way of its own to find them."""
    finds_itself = kind._missing_.__func__ is not vars(Enum)["_missing_"].__func__
    return finds_itself or all(isinstance(member.value, _VALUES_OF_ENUMS) for member in kind)


def _attributes(where: str, shape: Any) -> Iterator[tuple[str, Any]]:
    cls = get_origin(shape) or shape
    try:
        attributes = typed_attributes(shape)
    except (NameError, AttributeError, SyntaxError) as error:
        what = f"an annotation of {cls.__name__} can't be read ({error}); its module must define the name first"
        raise TypeError(f"{where}: {what}") from None
    for attribute, kind in attributes:
        if attribute.init and kind is not None:
            yield f"{where}: {cls.__name__}.{attribute.name}", kind


def _what_to_do(kind: Any) -> str:
    meant = getattr(kind, "__supertype__", None) or getattr(kind, "__value__", None)
    if meant is not None:
        shown = meant if get_args(meant) else getattr(meant, "__name__", meant)
        return f"{kind.__name__} can't be read; use what it stands for, {shown}"
    if isinstance(kind, TypeVar):
        return "a generic class needs its argument, like Page[Item]"
    if kind is None or kind is NoneType:
        return "an answer without content is a subclass of Empty, not None"
    name = getattr(kind, "__name__", None) or repr(kind)
    if hasattr(kind, "__dataclass_fields__"):
        return f"{name} is a dataclass; decorate it with @attrs.frozen instead"
    if hasattr(kind, "__pydantic_core_schema__"):
        return f"{name} is a pydantic model; declare it with @attrs.frozen instead of BaseModel"
    return (
        f"{name} can't be read; use a class decorated with @attrs.frozen, list[...] of one, or raw JSON (object, dict)"
    )
