"""A query parameter: what an operation says of it, and how a value is sent."""

from datetime import datetime
from typing import Final
from uuid import UUID

from attrs import field, frozen
from attrs.validators import optional

from sdk_core.arguments import instance, non_empty, uuid_id, valid, whole_number
from sdk_core.codec import encode_datetime
from sdk_core.value import Shown

__all__ = ["Query"]

_KINDS: Final = (str, int, bool, UUID, datetime)


def _query_kind(name: str, value: object) -> None:
    if not any(value is kind for kind in _KINDS):
        raise TypeError(f"{name} must be str, int, bool, UUID or datetime")


@frozen(eq=False)
class Query(Shown):
    """One query parameter of an operation.

    Raises:
        TypeError: a field is of the wrong type.
        ValueError: an empty name, or bounds that are not those of an `int`.
    """

    name: str = field(validator=valid(non_empty))
    """Its name on the wire."""
    kind: type = field(default=str, validator=valid(_query_kind))
    """`str`, `int`, `bool`, `UUID` or `datetime` (aware)."""
    minimum: int | None = field(default=None, validator=optional(valid(whole_number)))
    maximum: int | None = field(default=None, validator=optional(valid(whole_number)))

    def __attrs_post_init__(self) -> None:
        if self.kind is not int and (self.minimum is not None or self.maximum is not None):
            raise ValueError(f"query parameter {self.name}: minimum and maximum are for int")
        if self.minimum is not None and self.maximum is not None and self.minimum > self.maximum:
            raise ValueError(f"query parameter {self.name}: minimum must not be above maximum")

    def encode(self, argument: str, value: object) -> str:
        """Return the text to send, or raise TypeError/ValueError naming `argument`."""
        kind = self.kind
        if kind is str:
            return non_empty(argument, value)
        if kind is int:
            return str(whole_number(argument, value, self.minimum, self.maximum))
        if kind is UUID:
            return str(uuid_id(argument, value))
        if kind is datetime:
            return encode_datetime(argument, instance(argument, value, datetime))
        return "true" if instance(argument, value, bool) else "false"
