"""Enumerations that an API may extend: a value that this release does not know is kept, not refused."""

from enum import StrEnum
from typing import Self

__all__ = ["OpenEnum", "OpenEnumObject"]


class OpenEnum(StrEnum):
    """An enumeration the API may extend: an unknown value becomes a member with `is_known == False`.

    Such a member keeps its value, equals and hashes like the text, pickles, and is sent back unchanged.

    Type checkers take an enumeration for closed: they would call a branch for unknown values unreachable, and accept
    `assert_never` in its place, which fails on the first new value. So each subclass has a member that exists for type
    checkers only, and stands for every value that is not listed:

        if TYPE_CHECKING:
            _UNLISTED = ""
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
