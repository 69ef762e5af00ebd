"""Faults: what goes wrong with a request because a test asked for it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final, Literal, Self

from aiohttp import web
from attrs import frozen

from sdk_core.arguments import seconds
from sdk_core.sandbox.requests import RefusalError

__all__ = ["NO_FAULT", "Fault", "QueuedFault", "respond"]

_PROXY_PAGE: Final = "<html><body>Please sign in to the network.</body></html>"


@frozen
class Fault:
    """One request that goes wrong, once. Build it with the methods below, queue it with `sandbox.fail(...)`."""

    kind: Literal["none", "status", "delay", "drop", "garbage", "truncated"]
    applies: bool
    """Whether the request takes effect all the same."""
    http_status: int = HTTPStatus.OK
    retry_after: float | str | None = None
    seconds: float = 0.0

    @classmethod
    def status(cls, status: int, *, retry_after: float | str | None = None) -> Self:
        """Answer with `status` and the API's own error body; the request has no effect.

        Args:
            status: 400 to 599.
            retry_after: the Retry-After header: seconds, or any text (an HTTP date, or an invalid value).

        Raises:
            ValueError: `status` is not an error.
        """
        if status not in range(400, 600):
            raise ValueError("status must be an error: 400 to 599")
        return cls("status", applies=False, http_status=status, retry_after=retry_after)

    @classmethod
    def delay(cls, delay: float) -> Self:
        """Apply the request at once, but answer only after `delay` seconds."""
        return cls("delay", applies=True, seconds=seconds("delay", delay))

    @classmethod
    def drop(cls, *, after_applying: bool = False) -> Self:
        """Abort the connection instead of answering, before or after the request took effect."""
        return cls("drop", applies=after_applying)

    @classmethod
    def garbage(cls, status: int = HTTPStatus.OK, *, after_applying: bool = False) -> Self:
        """Answer with an HTML page, as a proxy or sign-in portal between client and server does."""
        return cls("garbage", applies=after_applying, http_status=status)

    @classmethod
    def truncated(cls) -> Self:
        """Apply the request, announce more bytes than are sent, and close the connection."""
        return cls("truncated", applies=True)


@frozen
class QueuedFault:
    """A fault that waits for its request."""

    fault: Fault
    operation: str | None = None
    """The operation whose request it waits for; None: any."""
    times: int | None = 1
    """How many requests use it up; None: it stays."""


NO_FAULT: Final = Fault("none", applies=True)
"""The request is applied and answered as it should be."""


async def respond(
    request: web.Request,
    fault: Fault,
    *,
    apply: Callable[[], web.Response],
    refuse: Callable[[RefusalError], web.Response],
    closing: asyncio.Event,
) -> web.StreamResponse:
    """Answer a request as the fault wants it.

    Args:
        request: what is answered.
        fault: what goes wrong.
        apply: applies the request and returns its answer.
        refuse: returns the answer to a request that is refused.
        closing: set when the server stops; it ends a delay.
    """
    response = apply() if fault.applies else web.Response()
    match fault.kind:
        case "delay":
            with suppress(TimeoutError):
                async with asyncio.timeout(fault.seconds):
                    await closing.wait()
        case "status":
            response = refuse(RefusalError(fault.http_status, "SCRIPTED_FAULT", "The sandbox was asked to fail."))
            if fault.retry_after is not None:
                response.headers["Retry-After"] = str(fault.retry_after)
        case "drop":
            if request.transport is not None:
                request.transport.abort()
        case "garbage":
            response = web.Response(status=fault.http_status, text=_PROXY_PAGE, content_type="text/html")
        case "truncated":
            return await _truncate(request, response)
        case "none":
            pass
    return response


async def _truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    truncated = web.StreamResponse(status=response.status)
    truncated.content_type = "application/json"
    truncated.content_length = len(body) + 100
    await truncated.prepare(request)
    await truncated.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return truncated
