"""What classes of values have in common: how they print and compare.

attrs makes no method that a class has of its own. These do the same as those that it would write, and compile, for each
class: that took more than half of the time in which the SDKs are imported.
"""

from collections.abc import Callable
from typing import Any, Self

import attrs
from msgspec import Struct, structs

__all__ = ["Opaque", "Shown", "Untold", "Value"]


def _own(cls: type, *methods: Any) -> None:
    for method in methods:
        if method.__name__ not in vars(cls):
            setattr(cls, method.__name__, method)


def _fields(value: "Shown") -> "tuple[attrs.Attribute[Any], ...]":
    kind: type[Any] = type(value)
    found: tuple[attrs.Attribute[Any], ...] = attrs.fields(kind)
    return found


def _compared(attribute: "attrs.Attribute[Any]", value: object) -> Any:
    found = getattr(value, attribute.name)
    # The function of `field(eq=...)`, which attrs' stubs do not know.
    key: Callable[[Any], Any] | None = getattr(attribute, "eq_key", None)
    return found if key is None else key(found)


def _text(attribute: "attrs.Attribute[Any]", value: "Shown") -> str:
    show: Any = repr if attribute.repr is True else attribute.repr
    text: str = show(getattr(value, attribute.name))
    return text


class Shown:
    """Base of attrs classes that are equal to themselves only (`eq=False`)."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _own(cls, Shown.__repr__)

    def __repr__(self) -> str:
        shown = (f"{each.name}={_text(each, self)}" for each in _fields(self) if each.repr)
        return f"{type(self).__qualname__.rpartition('>.')[2]}({', '.join(shown)})"


class Value(Shown):
    """Base of attrs classes that are equal if their attributes are."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        _own(cls, Value.__eq__, Value.__hash__)

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        return all(_compared(each, self) == _compared(each, other) for each in _fields(self) if each.eq)

    def __hash__(self) -> int:
        hashed = (each for each in _fields(self) if (each.eq if each.hash is None else each.hash))
        return hash((type(self), *(_compared(each, self) for each in hashed)))


class Untold:
    """Base of what may hold a secret or a member's data: none of its fields is shown."""

    __slots__ = ()

    def __repr__(self) -> str:
        return object.__repr__(self)

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        # Of a Struct, rich would show all fields, whatever its __repr__ does.
        return []


class Opaque(Untold, Struct, frozen=True, eq=False):
    """Base of what is handed on in the core.

    Not made by attrs: a class takes a tenth of the time to make, and an object half of it.
    """

    def but(self, **changes: Any) -> Self:
        """Return a copy with other values."""
        return structs.replace(self, **changes)
