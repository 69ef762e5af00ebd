"""What stands for a list where an answer should be one: nothing, an object alone, or a page of a paged list."""

from collections.abc import Callable, Mapping
from typing import Any

from sdk_core.codec.problems import Reading
from sdk_core.codec.text import as_object

__all__ = ["Unwrap", "as_items"]

Unwrap = Callable[[Mapping[str, Any]], list[Any] | None]
"""Returns the items of a page that holds all there are; None for any other object. A page of several is none: its items
are not the list."""


def as_items(found: Any, reading: Reading, lone_item: bool, unwrap: Unwrap | None) -> Any:  # noqa: FBT001
    """Return the list that a JSON value stands for, or the value itself, which the list's rule will refuse."""
    if found is None:
        reading.tolerate("nothing for an empty list")
        return []
    if not isinstance(found, dict):
        return found
    answer = as_object(found)
    items = None if unwrap is None else unwrap(answer)
    if items is not None:
        reading.tolerate("a page for a list")
        return items
    if lone_item:
        reading.tolerate("a lone object for a list of one")
        return [answer]
    return answer
