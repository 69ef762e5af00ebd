"""What the server of one list answers, request by request: drawn from the seed and the list's number.

Whatever is wrong with a list, some part of its answers tells the truth: where there are more items, at least one of the
four signals for that says so, or the page is of a form that can't be read.
"""

import json
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from random import Random
from types import NoneType
from typing import Any, Final, get_args, get_origin
from uuid import UUID

from attrs import define, field

import cloudcockpit_sdk.operations as cloudcockpit
import membership_sdk.operations as membership
from benchmarks.audit import samples
from sdk_core import codec
from sdk_core.codec.shapes import is_enum, json_name, typed_attributes
from sdk_core.operation import Operation

__all__ = ["BARE", "MOST_REQUESTS", "PAGED", "Served", "draw"]

PAGED: Final[tuple[Operation[Any], ...]] = (
    cloudcockpit.LIST_CUSTOMER_SUBSCRIPTIONS,
    cloudcockpit.LIST_SUBSCRIPTIONS,
    cloudcockpit.LIST_AUDIT_LOGS,
)
BARE: Final[tuple[Operation[Any], ...]] = tuple(
    operation
    for operation in (*membership.OPERATIONS, *cloudcockpit.OPERATIONS)
    if get_origin(operation.returns) is list
)
MOST_REQUESTS: Final = 40
"""That a list may take beyond its pages."""

_MORE: Final = "hasNextPage"
_OPTIONAL: Final = (UUID, date, datetime, int, Decimal, bool)
"""Kinds of which an empty text is no value."""
_OTHER_FORMS: Final[tuple[bytes, ...]] = (
    b"{}",
    b'{"data":[{}]}',
    b'{"Items":[{}],"TotalCount":1}',
    b'{"value":[{}]}',
    b'{"items":{}}',
    b'{"statusCode":500,"type":"E","description":"D"}',
    b'{"title":"T","status":500}',
    b'{"errorMessage":"M"}',
    b"<html>",
    b'{"items":[',
    b"7",
)
"""None of them is a page, though each comes with status 200."""


@define
class Served:
    """One list: what there is, what is answered, and what was asked."""

    number: int
    operation: Operation[Any]
    answers: list[bytes] = field(factory=list[bytes])
    """Of the pages from 1; of a bare list there is one."""
    after: bytes = b""
    """What is answered for all pages after those."""
    items: int = 0
    """How many there are."""
    readable: int = 0
    """How many of them can be read."""
    may_fail: bool = False
    """Whether an error may tell that something is wrong; else nothing is, or it is to be tolerated."""
    faults: list[str] = field(factory=list[str])
    requests: int = 0

    def answer(self, page: int) -> bytes:
        """Return the answer to a request for a page."""
        self.requests += 1
        return self.answers[page - 1] if page <= len(self.answers) else self.after


def draw(seed: int, number: int) -> Served:
    """Return list `number` (from 1): all operations in turn, the rest at random."""
    rng = Random(f"{seed}:{number}:list")
    operations = (*PAGED, *BARE, *PAGED)
    served = Served(number, operations[number % len(operations)])
    served.items = served.readable = rng.choice((0, 1, 2, rng.randrange(3, 60)))
    shape: Any = get_args(served.operation.returns)[0]
    items = [_item(served, shape, index, rng) for index in range(served.items)]
    if served.operation in PAGED:
        _page(served, items, rng)
    else:
        served.answers = [_bare(served, items, rng)]
        served.after = served.answers[0]
    return served


def _item(served: Served, shape: Any, index: int, rng: Random) -> dict[str, Any]:
    """Return one item; sometimes not as documented, seldom such that it can't be read."""
    known: dict[str, Any] = {"id": str(UUID(int=served.number * 1000 + index))} if shape is Any else {}
    if shape is not Any:
        known = codec.parse(codec.dump(samples.value_of(shape)))
        if isinstance(known.get("id"), str):
            known["id"] = str(UUID(int=served.number * 1000 + index))
        if rng.random() < 0.3:
            known |= _odd_fields(shape, rng)
            served.faults.append("odd fields")
        if rng.random() < 0.01:
            served.readable -= 1
            served.may_fail = True
            served.faults.append("unreadable item")
            return {"no": "fields"}
    return known


def _odd_fields(shape: Any, rng: Random) -> dict[str, Any]:
    """Return values for some optional fields, of which each is to cost no more than itself."""
    odd: dict[str, Any] = {}
    for attribute, kind in typed_attributes(shape):
        members = [member for member in get_args(kind) if member is not NoneType]
        if NoneType not in get_args(kind) or len(members) != 1 or rng.random() < 0.6:
            continue
        values: tuple[Any, ...] = ()
        if members[0] is datetime:
            values = ("0001-01-01T00:00:00", "2024-05-04T09:42:11", "")
        elif members[0] in _OPTIONAL:
            values = ("", None)
        elif is_enum(members[0]):
            values = ("", {"name": ""}, "Odd", {"name": "Odd"}, None)
        if values:
            odd[json_name(attribute)] = rng.choice(values)
    return odd


# Bare lists


def _bare(served: Served, items: list[dict[str, Any]], rng: Random) -> bytes:
    """Return the answer where a list is documented."""
    match rng.randrange(10):
        case 0 if not items:
            served.faults.append("nothing for a list")
            return rng.choice((b"", b"null", b" "))
        case 1 if served.operation.name in {op.name for op in cloudcockpit.OPERATIONS}:
            served.faults.append("a page for a list")
            return _dump({"items": items, "totalPages": 1, "totalCount": len(items)})
        case 2 if items and served.operation.name in {op.name for op in cloudcockpit.OPERATIONS}:
            served.faults.append("a part for a list")
            served.may_fail = True
            served.readable = -1
            more = rng.choice(({_MORE: True}, {"totalPages": 2}, {"totalCount": len(items) + 1}))
            return _dump({"items": items, **more})
        case 3:
            served.faults.append("another form")
            served.may_fail = True
            served.readable = -1
            return rng.choice(_OTHER_FORMS)
        case _:
            return _dump(items)


# Pages


def _page(served: Served, items: list[dict[str, Any]], rng: Random) -> None:
    """Cut the items into pages, and spoil some of what the pages say of each other."""
    size = rng.choice((1, 3, 10, 25))
    pages = [items[start : start + size] for start in range(0, len(items), size)] or [[]]
    signals = _signals(served, rng)
    if _MORE in signals and rng.random() < 0.3:
        served.faults.append("an empty page between")
        pages.insert(rng.randrange(len(pages)) + (len(pages) > 1), [])
    if not pages[-1] and len(pages) > 1:
        pages.pop()
    if not pages[0] and len(pages) > 1 and "totalCount" in signals:
        pages.pop(0)
    total = len(pages)
    told = [_told(signals, number, total, len(items)) for number in range(1, total + 1)]
    served.answers = [_dump({"items": page, **more}) for page, more in zip(pages, told, strict=True)]
    served.after = _dump({"items": [], **_told(signals, total + 1, total, len(items))})
    _spoil(served, pages, told, rng)


def _signals(served: Served, rng: Random) -> dict[str, Callable[[int, int, int], Any]]:
    """Return the signals that the server sends; each tells the truth, unless another one does."""
    honest: dict[str, Callable[[int, int, int], Any]] = {
        _MORE: lambda page, pages, _count: page < pages,
        "totalPages": lambda _page, pages, _count: pages,
        "continuationToken": lambda page, pages, _count: "t" if page < pages else None,
        "totalCount": lambda _page, _pages, count: count,
    }
    chosen = {name: signal for name, signal in honest.items() if rng.random() < 0.5}
    if "totalCount" in chosen and rng.random() < 0.2:
        served.faults.append("totalCount too low")
        chosen["totalCount"] = lambda _page, _pages, _count: 0
    if _MORE in chosen and "totalPages" in chosen and rng.random() < 0.5:
        served.faults.append("totalPages too low")
        lie = rng.choice((0, 1, -1))
        chosen["totalPages"] = lambda _page, _pages, _count: lie
    if _MORE not in chosen and "totalPages" not in chosen and "continuationToken" in chosen:
        # Where nothing else says it, only an empty page is the end.
        chosen["totalPages"] = lambda _page, _pages, _count: 0
    return chosen


def _told(signals: dict[str, Callable[[int, int, int], Any]], page: int, pages: int, count: int) -> dict[str, Any]:
    return {name: signal(page, pages, count) for name, signal in signals.items()}


def _spoil(served: Served, pages: list[list[dict[str, Any]]], told: list[dict[str, Any]], rng: Random) -> None:
    """Have the server do one thing that can't be tolerated, or nothing."""
    total = len(pages)
    match rng.randrange(12):
        case 0:
            served.faults.append("another form")
            served.may_fail = True
            served.answers[rng.randrange(total)] = rng.choice(_OTHER_FORMS)
        case 1 if total > 1:
            served.faults.append("page number ignored")
            served.may_fail = True
            served.answers = [served.answers[0]] * total
            served.after = served.answers[0]
        case 2:
            served.faults.append("more for ever")
            served.may_fail = True
            served.after = _dump({"items": rng.choice(([], None)), _MORE: True})
            served.answers = [
                _dump({"items": page, **more, _MORE: True}) for page, more in zip(pages, told, strict=True)
            ]
        case 3 if pages[-1]:
            served.faults.append("last page for ever")
            served.may_fail = True
            served.answers[-1] = served.after = _dump({"items": pages[-1], **told[-1], _MORE: True})
        case 4 if total > 1 and pages[0]:
            served.faults.append("begins again")
            served.may_fail = True
            served.answers[-1] = served.answers[0]
        case _:
            pass


def _dump(value: object) -> bytes:
    return json.dumps(value, default=float).encode()
