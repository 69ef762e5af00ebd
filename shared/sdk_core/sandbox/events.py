"""What happens in a sandbox, as server-sent events: for the page, as long as somebody looks at it."""

import asyncio
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from aiohttp import web

from sdk_core import codec
from sdk_core.sandbox.contents import Contents
from sdk_core.sandbox.show import show_clock, show_entry, show_queued, show_request, written

__all__ = ["stream"]

_LOOKS: Final = 0.1
"""Seconds between two looks. A test may change the state directly: nothing else would notice all changes."""
_NEWEST: Final = 100
"""How many requests, effects and values of each kind are sent."""
_SHARE: Final = 10
"""Of the server's time, at most one part in so many goes into looking, however large the state is."""
_SILENCE: Final = 100
"""Looks without a change after which a comment is sent: only then is it noticed that nobody listens any more."""


async def stream(request: web.Request, contents: Contents, closing: asyncio.Event) -> web.StreamResponse:
    """Send each part of the sandbox as an event of its name: all at first, later those that changed."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-store"})
    await response.prepare(request)
    sent: dict[str, bytes] = {}
    silence = 0
    with suppress(ConnectionResetError):
        while not closing.is_set():
            began = time.perf_counter()
            with contents.lock:
                parts = {name: written(show(contents)) for name, show in _PARTS.items()}
            spent = time.perf_counter() - began
            changed = {name: part for name, part in parts.items() if sent.get(name) != part}
            silence = 0 if changed else silence + 1
            text = b"".join(b"event: %s\ndata: %s\n\n" % (name.encode(), part) for name, part in changed.items())
            if text or silence % _SILENCE == 0:
                await response.write(text or b": nothing new\n\n")
            sent = parts
            with suppress(TimeoutError):
                async with asyncio.timeout(max(_LOOKS, _SHARE * spent)):
                    await closing.wait()
    return response


def _requests(contents: Contents) -> dict[str, object]:
    log = contents.requests
    total = log.forgotten + len(log)
    return {"total": total, "newest": [show_request(*numbered) for numbered in log.after(total - _NEWEST)]}


def _ledger(contents: Contents) -> dict[str, object]:
    ledger = contents.ledger
    total = ledger.forgotten + len(ledger)
    return {"total": total, "newest": [show_entry(*numbered) for numbered in ledger.after(total - _NEWEST)]}


def _state(contents: Contents) -> dict[str, object]:
    return {
        name: {"total": len(codec.as_list(value)), "newest": codec.as_list(value)[-_NEWEST:]}
        if isinstance(value, list)
        else {"setting": value}
        for name, value in contents.show_state().items()
    }


def _about(contents: Contents) -> dict[str, object]:
    names = {operation.name for operation in contents.operations} | contents.other_endpoints
    return {"name": type(contents).__name__, "operations": sorted(names)}


_PARTS: Final[Mapping[str, Callable[[Contents], object]]] = {
    "about": _about,
    "clock": lambda contents: show_clock(contents.clock),
    "faults": lambda contents: [show_queued(queued) for queued in contents.faults],
    "requests": _requests,
    "ledger": _ledger,
    "state": _state,
}
