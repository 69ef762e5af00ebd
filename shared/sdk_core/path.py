"""The path of an operation: a template with typed slots, parsed once; `Operation.request` fills it for each call."""

import re
from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from sdk_core.arguments import int64_id, sendable_text, uuid_id
from sdk_core.value import Opaque

__all__ = ["PathTemplate", "parse"]

Check = Callable[[str, object], object]

_SLOT: Final = re.compile(r"\{([^\W\d]\w*):(\w+)\}")
_LITERAL: Final = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
"""What RFC 3986 allows in a path."""
_DOT_SEGMENT: Final = re.compile(r"/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


def _segment(name: str, value: object) -> str:
    text = sendable_text(name, value)
    # URL libraries collapse dot segments, even percent-encoded: such an id would reach another endpoint.
    if text in {"", ".", ".."}:
        raise ValueError(f"{name} must not be empty, '.' or '..'")
    return quote(text, safe="")


_SLOT_TYPES: Final[Mapping[str, Check]] = {"int": int64_id, "uuid": uuid_id, "str": _segment}


class PathTemplate(Opaque, frozen=True):
    """A path whose slots are known."""

    shown: str
    """With bare slot names, `/v1/memberships/{customer_id}/...`."""
    slots: Mapping[str, Check]
    """The check of each slot's value."""
    head: str
    """The text up to the first slot."""
    pieces: tuple[tuple[str, Check, str], ...]
    """For each place of a slot its name, its check, and the text up to the next."""


def parse(template: str) -> PathTemplate:
    """Parse a path like `/v1/studios/{studio_id:int}/{name:str}`.

    Raises:
        ValueError: it is no path, a slot has no type or an unknown one, or two types.
    """
    head, *parts = _SLOT.split(template)
    names, kinds, tails = parts[::3], parts[1::3], parts[2::3]
    slots: dict[str, Check] = {}
    for name, kind in zip(names, kinds, strict=True):
        if kind not in _SLOT_TYPES:
            raise ValueError(f"unknown slot type {kind!r} in {template!r}: use int, uuid or str")
        if slots.setdefault(name, _SLOT_TYPES[kind]) is not _SLOT_TYPES[kind]:
            raise ValueError(f"slot {name!r} has two types in {template!r}")
    if any("{" in text or "}" in text for text in (head, *tails)):
        raise ValueError(f"a slot needs a name and a type, like {{id:int}}, {{id:uuid}} or {{name:str}}: {template!r}")
    if not head.startswith("/") or not all(map(_LITERAL.fullmatch, (head, *tails))):
        raise ValueError(f"a path starts with '/', without query, and what is no URL character encoded: {template!r}")
    shown = _SLOT.sub(r"{\1}", template)
    if _DOT_SEGMENT.search(shown):
        raise ValueError(f"a path must not have '.' or '..' as a segment: {template!r}")
    pieces = tuple((name, slots[name], tail) for name, tail in zip(names, tails, strict=True))
    return PathTemplate(shown, slots, head, pieces)
