"""aiohttp.web: correlation ids of requests, errors as problem details, and browsers that hang up.

All of them in an app:

    app = web.Application(middlewares=[correlation_middleware, problem_middleware])
    handle_disconnects(app)
    web.run_app(app, handler_cancellation=True)
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Final
from uuid import UUID

from aiohttp import web

from sdk_core.correlation import correlation_scope, new_correlation_id
from sdk_core.errors import SdkError
from sdk_core.problem import to_problem

__all__ = ["CORRELATION_ID", "correlation_middleware", "handle_disconnects", "problem_middleware"]

_log = logging.getLogger("sdk_core.integrations.aiohttp_web")
_HEADER: Final = "X-Correlation-Id"
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""Methods that change nothing, says RFC 9110."""
CORRELATION_ID: Final = web.RequestKey("CORRELATION_ID", str)
"""Where a request keeps the id that `correlation_middleware` gave it."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@web.middleware
async def correlation_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Give all calls of a request the id in its `X-Correlation-Id`, and the answer, too.

    Whatever is no UUID is replaced by a fresh one: it would go into logs, and to the API.
    """
    correlation_id = request[CORRELATION_ID] = _inbound_id(request.headers.get(_HEADER, ""))
    with correlation_scope(correlation_id):
        try:
            answer = await handler(request)
        except web.HTTPException as error:
            error.headers[_HEADER] = correlation_id
            raise
    if not answer.prepared:
        answer.headers[_HEADER] = correlation_id
    return answer


def _inbound_id(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError:
        return new_correlation_id()


@web.middleware
async def problem_middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answer with problem details where an SdkError, or an argument that the SDK refused, ends a request.

    A ValueError or TypeError that is not the SDK's remains what it was. An error out of a `TaskGroup` is in an
    ExceptionGroup, which is not opened.
    """
    try:
        return await handler(request)
    except (SdkError, ValueError, TypeError) as error:
        # An answer that has begun would go on with this one.
        if request.writer.output_size > 0:
            raise
        status, headers, body = to_problem(error)
    return web.Response(status=status, headers=headers, body=body)


def handle_disconnects(app: web.Application) -> None:
    """End a read whose browser has hung up, and let everything else run to its end.

    The server has to run with `handler_cancellation=True`: then a GET, HEAD or OPTIONS is cancelled. Any other request
    may be in the middle of a write, and a write that is cancelled is one of which nobody knows whether it took effect:
    it goes on with all its middlewares, how it ended is logged, and the app is not cleaned up before. It is the same
    when the server is shut down, and its `shutdown_timeout` is over.

    Call it with the app that is served, not with a sub-app: what a sub-app waits for, the app above it does not.
    """
    running: set[asyncio.Task[web.StreamResponse]] = set()

    @web.middleware
    async def run_to_end(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method in _SAFE:
            return await handler(request)
        task = asyncio.ensure_future(handler(request))
        running.add(task)
        task.add_done_callback(running.discard)
        try:
            # Not shield(): from Python 3.14 on, it logs how what it shields has failed, too.
            await asyncio.wait((task,))
        except asyncio.CancelledError:
            task.add_done_callback(lambda ended: _log_end(request, ended))
            raise
        return task.result()

    async def wait(_app: web.Application) -> None:
        while running:
            await asyncio.wait(running)

    app.middlewares.insert(0, run_to_end)
    # Before anything is closed that these requests need.
    app.on_cleanup.insert(0, wait)


def _log_end(request: web.Request, ended: "asyncio.Task[web.StreamResponse]") -> None:
    # Neither path nor query, which may hold a member's ids.
    resource = request.match_info.route.resource
    name = "a request" if resource is None else resource.canonical
    failure: BaseException | None = None
    try:
        end = f"status {ended.result().status}"
    except web.HTTPException as answer:
        end = f"status {answer.status}"
    except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001  nobody else is left to hear of it
        end, failure = type(error).__name__, error
    # Its client has hung up, or the server is shut down and closes the connections of those that still wait.
    what = "%s (%s) ended with %s when nobody waited for its answer any more (correlation id %s)"
    _log.warning(what, name, request.method, end, request.get(CORRELATION_ID, "unknown"), exc_info=failure)
