"""Starlette, FastAPI and other ASGI apps: errors as problem details, and browsers that hang up.

Correlation ids are those of asgi-correlation-id, which replaces an inbound id that is no UUID. It takes a UUID in any
spelling, with any number of braces, and a call's id has at most 128 characters: `transformer` writes it as usual.

    app.add_middleware(
        CorrelationIdMiddleware,
        header_name="X-Correlation-Id",
        generator=new_correlation_id,
        transformer=lambda text: str(UUID(text)),
    )
    client = CloudCockpitClient(..., correlation_id=lambda: correlation_id.get() or new_correlation_id())
"""

import asyncio
import logging
from contextlib import suppress
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sdk_core.errors import SdkError
from sdk_core.problem import to_problem

__all__ = ["DisconnectMiddleware", "add_problem_handlers"]

_log = logging.getLogger("sdk_core.integrations.asgi")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, says RFC 9110."""
_CLIENT_CLOSED_REQUEST: Final = 499
"""Of no RFC; nginx logs it of a browser that has hung up."""


def add_problem_handlers(app: Starlette) -> None:
    """Have an app answer with problem details where an SdkError, or an argument that the SDK refused, ends a request.

    A ValueError or TypeError that is not the SDK's remains what it was. Call it for each mounted app, too: handlers of
    its parent do not see its errors. An error out of a `TaskGroup` is in an ExceptionGroup, which no handler opens.
    """
    for kind in (SdkError, ValueError, TypeError):
        app.add_exception_handler(kind, _answer)


async def _answer(_request: Request, error: Exception) -> Response:
    status, headers, body = to_problem(error)
    return Response(body, status, headers)


class DisconnectMiddleware:
    """Ends a read whose browser has hung up, and lets everything else run to its end: `add_middleware` takes it.

    A GET, HEAD or OPTIONS is cancelled; middlewares outside of this one then see an empty answer, of status 499. Any
    other request may be in the middle of a write, and a write that is cancelled is one of which nobody knows whether it
    took effect; what it was answered is logged. Uvicorn waits for it when it is shut down.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        watching = asyncio.create_task(exchange.watch())
        try:
            await self._app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not exchange.ends_cancellation():
                raise
            await exchange.end_answer()
        finally:
            watching.cancel()
            exchange.log_end()


class _Exchange:
    """One request, whose browser is watched while the app is busy."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._task = asyncio.current_task()
        self._is_safe = scope["method"] in _SAFE
        # Of one, so that no more of a large body is read ahead.
        self._messages: asyncio.Queue[Message | Exception] = asyncio.Queue(1)
        self._status: int | None = None
        self._is_answered = False
        self._is_gone = False

    async def watch(self) -> None:
        """Read ahead until the browser is gone, or a middleware outside lets nobody read on."""
        try:
            while (message := await self._receive())["type"] != "http.disconnect":
                await self._messages.put(message)
        except Exception as error:  # noqa: BLE001  raised where the app reads
            await self._messages.put(error)
            return
        # Servers say the same once the answer is complete; what then still runs is no longer the browser's.
        if not self._is_answered:
            self._is_gone = True
            if self._is_safe and self._task is not None:
                self._task.cancel()
        await self._messages.put(message)

    async def receive(self) -> Message:
        """Return the next message, or raise why there is none; after the last one, the same for ever."""
        message = await self._messages.get()
        if isinstance(message, Exception):
            self._messages.put_nowait(message)
            raise message
        if message["type"] == "http.disconnect":
            self._messages.put_nowait(message)
        return message

    async def send(self, message: Message) -> None:
        """Send a part of the answer."""
        if message["type"] == "http.response.start":
            self._status = message["status"]
        self._is_answered = message["type"] == "http.response.body" and not message.get("more_body")
        await self._send(message)

    def ends_cancellation(self) -> bool:
        """Return whether it was this exchange that cancelled its task, and nobody else."""
        return self._is_gone and self._is_safe and self._task is not None and self._task.uncancel() == 0

    async def end_answer(self) -> None:
        """Send an empty answer if there is none: a middleware outside may wait for one, and would call it a fault."""
        if self._status is None:
            # A server may refuse it, because the browser has gone.
            with suppress(OSError):
                await self.send({"type": "http.response.start", "status": _CLIENT_CLOSED_REQUEST, "headers": []})
                await self.send({"type": "http.response.body"})

    def log_end(self) -> None:
        """Log what a browser was answered that had gone."""
        if self._is_gone and not self._is_safe:
            # Neither path nor query, which may hold a member's ids.
            name = getattr(self._scope.get("endpoint"), "__name__", "a request")
            end = "an error" if self._status is None else f"status {self._status}"
            what = "%s (%s) ended with %s when nobody waited for its answer any more"
            _log.warning(what, name, self._scope["method"], end)
