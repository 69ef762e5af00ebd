"""The base of both sandboxes: an API as a real HTTP server in this process, on a free loopback port.

It records what it received (`requests`) apart from the effects it applied (`ledger`), so that a test can tell "sent
twice" from "done twice"; and it fails as a test asks for it (`fail`).
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Final, Self

from aiohttp import web

from sdk_core import codec
from sdk_core.operation import Effect, Operation
from sdk_core.sandbox.faults import NO_FAULT, Fault, QueuedFault, respond
from sdk_core.sandbox.requests import LedgerEntry, ReceivedRequest, RefusalError, read_arguments

__all__ = ["Sandbox"]

# Nothing is printed unless the application configures logging: the logger "sdk_core" has a NullHandler.
_log = logging.getLogger("sdk_core.sandbox")
_SHUTDOWN: Final = 0.05
"""Seconds that answers in progress get when the server stops; 0 would mean for ever to aiohttp."""
_LARGEST_BODY: Final = 64 * 2**20
"""Bytes; enough for documents. The default of aiohttp is 1 MiB, the limits of the APIs are not known."""


class Sandbox:
    """Base of a sandbox. `async with` starts and stops its server.

    Each operation has a handler: a method with the operation's name and arguments. It returns the value to send as
    JSON, None (202 without a body) or an HTTPStatus (that status without a body), or raises RefusalError.
    The handler of a multipart operation has an argument `document: ReceivedDocument | None`.

    Args:
        today: the sandbox's date, so that answers need not depend on the day of the test; None: today (UTC).
    """

    operations: ClassVar[tuple[Operation[Any], ...]]
    other_endpoints: ClassVar[frozenset[str]] = frozenset()
    """Names of endpoints that are no operations; a fault reaches them only if `fail()` names them."""

    def __init__(self, *, today: date | None = None) -> None:
        self.today: date = today or datetime.now(UTC).date()
        self.requests: list[ReceivedRequest] = []
        """Every request to the API, in order."""
        self.ledger: list[LedgerEntry] = []
        """Every effect that was applied, in order, whatever the client was told of it."""
        self._faults: list[QueuedFault] = []
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL while the sandbox runs."""
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: use it inside `async with`")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    @property
    def faults(self) -> list[QueuedFault]:
        """The faults that are queued and not used up."""
        return [*self._faults]

    def fail(self, *faults: Fault, operation: str | None = None) -> None:
        """Queue faults; each is used up by one request.

        Args:
            *faults: what goes wrong, in this order.
            operation: name of the operation whose requests fail; None: the next request to the API, whatever it is.

        Raises:
            ValueError: there is no such operation, so that the faults would never be used.
        """
        known = {known.name for known in self.operations} | self.other_endpoints
        if operation is not None and operation not in known:
            raise ValueError(f"operation must be one of {', '.join(sorted(known))}")
        self._faults += [QueuedFault(fault, operation) for fault in faults]

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=_LARGEST_BODY)
        for operation in sorted(self.operations, key=_literal_first):
            app.router.add_route(operation.method, operation.template, partial(self._serve, operation))
        self.add_routes(app.router)
        app.router.add_route("*", "/{path:.*}", partial(self._serve, None))
        self._closing = asyncio.Event()
        self._runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=_SHUTDOWN)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._closing.set()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the endpoints that are no operations."""

    def authenticate(self, request: web.Request) -> None:
        """Raise RefusalError unless the request's headers are those of a caller with access."""
        raise NotImplementedError

    def handle_other(self, request: web.Request) -> object:
        """Answer a request that is none of the operations; like a handler."""
        raise RefusalError(404, "NOT_FOUND", f"{request.method} {request.path} is not an operation of this API.")

    def error_body(self, refusal: RefusalError, request: web.Request) -> bytes:
        """Return the API's error body."""
        raise NotImplementedError

    def record(self, entry: LedgerEntry, request: web.Request) -> None:  # noqa: ARG002  overrides read the request
        """Record the effect of `request`."""
        self.ledger.append(entry)

    async def answer(
        self,
        request: web.Request,
        *targets: str | None,
        apply: Callable[[], web.Response],
        error_body: Callable[[RefusalError, web.Request], bytes],
    ) -> web.StreamResponse:
        """Answer a request, with the first fault that is queued for it.

        Args:
            request: what is answered.
            *targets: names of the operation or endpoint; None: also faults that name none.
            apply: applies the request and returns its answer.
            error_body: returns the body of a refusal.
        """

        def refuse(refusal: RefusalError) -> web.Response:
            return _json_response(error_body(refusal, request), refusal.status)

        fault = self._next_fault(targets)
        return await respond(request, fault, apply=apply, refuse=refuse, closing=self._closing)

    def _next_fault(self, targets: tuple[str | None, ...]) -> Fault:
        for index, queued in enumerate(self._faults):
            if queued.operation in targets:
                del self._faults[index]
                return queued.fault
        return NO_FAULT

    async def _serve(self, operation: Operation[Any] | None, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        name = None if operation is None else operation.name
        self.requests.append(ReceivedRequest(name, request.method, request.path_qs, request.headers, body))
        apply = partial(self._apply, operation, request, body)
        return await self.answer(request, None, name, apply=apply, error_body=self.error_body)

    def _apply(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> web.Response:
        try:
            value = self._handle(operation, request, body)
            if value is None or isinstance(value, HTTPStatus):
                return web.Response(status=value or HTTPStatus.ACCEPTED)
            return _json_response(codec.dump(value))
        except RefusalError as refused:
            refusal = refused
        except Exception as error:  # noqa: BLE001  a server answers 500 to any bug in a handler, and goes on
            _log.debug("the sandbox failed", exc_info=True)
            refusal = RefusalError(500, "INTERNAL_ERROR", f"The sandbox failed with {type(error).__name__}.")
        answer = self.error_body(refusal, request) if refusal.answer is None else codec.dump(refusal.answer)
        return _json_response(answer, refusal.status)

    def _handle(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> object:
        self.authenticate(request)
        if operation is None:
            return self.handle_other(request)
        arguments = read_arguments(operation, request, body)
        value: object = getattr(self, operation.name)(**arguments)
        if operation.effect is not Effect.READ:
            self.record(LedgerEntry(operation.name, arguments), request)
        return value


def _literal_first(operation: Operation[Any]) -> list[bool]:
    """Sort `/idle-periods/config` before `/idle-periods/{id}`: aiohttp takes the first route that matches."""
    return [segment.startswith("{") for segment in operation.template.split("/")]


def _json_response(body: bytes, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=body or None, content_type="application/json" if body else None)
