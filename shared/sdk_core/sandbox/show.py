"""What a sandbox holds, as JSON: for scripts, and for the page."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final, cast

from sdk_core import codec
from sdk_core.sandbox.clock import Clock
from sdk_core.sandbox.faults import show_fault
from sdk_core.sandbox.queue import QueuedFault
from sdk_core.sandbox.requests import LedgerEntry, ReceivedDocument, ReceivedRequest

__all__ = ["show_clock", "show_entry", "show_queued", "show_request", "written"]

_LONGEST: Final = 16 * 2**10
_SECRET: Final = frozenset({"authorization", "x-api-key", "cookie", "proxy-authorization"})
"""Headers whose values are not shown: a real key may be sent to a sandbox by mistake."""


def written(value: object) -> bytes:
    """Return a value as JSON; numbers that are no Decimals may be in it."""
    return codec.dump(_plain(value))


def show_clock(clock: Clock) -> dict[str, object]:
    """Return the sandbox's time, to the second."""
    return {"now": clock.now().replace(microsecond=0), "today": clock.today}


def show_queued(queued: QueuedFault) -> dict[str, object]:
    """Return a queued fault."""
    return {
        "number": queued.number,
        **show_fault(queued.fault),
        "operation": queued.operation,
        "ids": queued.ids,
        "predicate": queued.when is not None,
        "times": queued.times,
        "used": queued.used,
    }


def show_request(number: int, request: ReceivedRequest) -> dict[str, object]:
    """Return a request with its answer; of credentials only that they were sent."""
    answer = request.answer
    return {
        "number": number,
        "at": request.at,
        "operation": request.operation,
        "method": request.method,
        "path": request.path,
        "headers": {
            name: "(not shown)" if name.lower() in _SECRET else value for name, value in request.headers.items()
        },
        "body": _body(request.body),
        "fault": request.fault,
        "answer": answer and {"status": answer.status, "body": _body(answer.body)},
    }


def show_entry(number: int, entry: LedgerEntry) -> dict[str, object]:
    """Return an effect."""
    return {"number": number, "at": entry.at, "operation": entry.operation, "arguments": entry.arguments}


def _body(body: bytes) -> object:
    """Return JSON as it is, and anything else as text; of what is long, the beginning."""
    if len(body) > _LONGEST:
        return f"{body[:_LONGEST].decode(errors='replace')} (the beginning of {len(body)} bytes)"
    try:
        return codec.parse(body) if body else None
    except codec.NotJsonError:
        return body.decode(errors="replace")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in cast("Mapping[object, object]", value).items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in cast("list[object]", value)]
    if isinstance(value, ReceivedDocument):
        return {"contentType": value.content_type, "bytes": len(value.content)}
    return Decimal(str(value)) if isinstance(value, float) else value
