"""Values of any documented shape: arguments that can be sent, answers that decode."""

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from types import UnionType
from typing import Any, Final, Union, get_args, get_origin
from uuid import UUID

import attrs

from sdk_core import codec
from sdk_core.codec.shapes import typed_attributes
from sdk_core.operation import Operation
from sdk_core.returns import Empty

__all__ = ["answer", "is_empty", "is_list", "slots", "value_of"]

_SLOT: Final = re.compile(r"\{(\w+):(\w+)\}")
_PLAIN: Final[dict[Any, Any]] = {
    Any: {"any": "JSON"},
    bool: True,
    date: date(2030, 1, 31),
    datetime: datetime(2030, 1, 31, tzinfo=UTC),
    Decimal: Decimal("19.90"),
    dict: {"quantity": 2},
    int: 7,
    object: ["any", "JSON"],
    str: "text",
    UUID: UUID(int=7),
}


def value_of(shape: Any) -> Any:
    """Return a value of `shape`; of an attrs class, one with only what is required."""
    origin: Any = get_origin(shape) or shape
    if origin in {Union, UnionType}:
        return value_of(get_args(shape)[0])
    if origin in {list, tuple}:
        items: tuple[Any, ...] = (value_of(get_args(shape)[0]),)
        return items if origin is tuple else [*items]
    if attrs.has(origin):
        given: list[tuple[str, Any]] = [
            (str(a.alias), kind) for a, kind in typed_attributes(shape) if a.default is attrs.NOTHING
        ]
        return origin(**{name: value_of(kind) for name, kind in given})
    if issubclass(origin, codec.OpenEnum):
        return next(iter(origin))
    return _PLAIN[origin]


def slots(operation: Operation[Any], number: int) -> dict[str, Any]:
    """Return arguments for the path that occur in no other call."""
    values = {"int": number, "uuid": UUID(int=number), "str": f"user-{number}@example.com"}
    return {name: values[kind] for name, kind in _SLOT.findall(operation.path)}


def is_empty(operation: Operation[Any]) -> bool:
    """Return whether the documented answer carries nothing."""
    shape: Any = operation.returns
    return isinstance(shape, type) and issubclass(shape, Empty)


def is_list(operation: Operation[Any]) -> bool:
    """Return whether the documented answer is a bare list."""
    return get_origin(operation.returns) is list


def answer(operation: Operation[Any]) -> bytes:
    """Return the JSON of a success."""
    if is_empty(operation):
        return b'{"success": "yes"}'
    return codec.dump(value_of(operation.returns))
