"""The base of both sandboxes: an API as a real HTTP server in this process, on a free loopback port.

It records what it received (`requests`) apart from the effects it applied (`ledger`), so that a test can tell "sent
twice" from "done twice"; and it fails as a test asks for it (`fail`). Other processes do the same under `/_sandbox/`.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import date
from functools import partial
from http import HTTPStatus
from typing import Any, Final, Self

import attrs
from aiohttp import web

from sdk_core import codec
from sdk_core.operation import Effect, Operation
from sdk_core.sandbox.admin import Admin
from sdk_core.sandbox.contents import Contents
from sdk_core.sandbox.faults import NO_FAULT, respond
from sdk_core.sandbox.requests import LedgerEntry, ReceivedRequest, RefusalError, SentAnswer, read_arguments
from sdk_core.sandbox.server import Server

__all__ = ["Sandbox"]

_log = logging.getLogger("sdk_core.sandbox")
_LARGEST_KEPT_ANSWER: Final = 16 * 2**10
"""Bytes of an answer that are kept with its request: enough to look at."""


class Sandbox(Contents):
    """Base of a sandbox. `async with` starts and stops its server.

    Each operation has a handler: a method with the operation's name and arguments. It returns the value to send as
    JSON, None (202 without a body) or an HTTPStatus (that status without a body), or raises RefusalError.
    The handler of a multipart operation has an argument `document: ReceivedDocument | None`.
    """

    def __init__(self, *, today: date | None = None, clock: Callable[[], float] | None = None) -> None:
        super().__init__(today=today, clock=clock)
        self._server = Server()

    @property
    def url(self) -> str:
        """Base URL while the sandbox runs."""
        return self._server.url

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.stop()

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begin to answer.

        Args:
            host: name or address to listen on. Whoever reaches it can read and change the sandbox.
            port: 0: any that is free.

        Raises:
            RuntimeError: it runs already.
            ValueError: the port is not from 0 to 65535: more bits would be cut off.
            OSError: the port is in use, or there is no such host.
        """
        app = Server.application()
        Admin(self, self._server).add_routes(app.router)
        for operation in sorted(self.operations, key=_literal_first):
            app.router.add_route(operation.method, operation.template, partial(self._serve, operation))
        self.add_routes(app.router)
        app.router.add_route("*", "/{path:.*}", partial(self._serve, None))
        await self._server.start(app, host, port)

    async def stop(self) -> None:
        """Answer no more; the state stays.

        Raises:
            RuntimeError: it was started on another event loop.
        """
        await self._server.stop()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the endpoints that are no operations."""

    def introduction(self) -> list[str]:
        """Return lines that tell how to call the API while it runs: credentials, sample ids, a first command."""
        raise NotImplementedError

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
        self.ledger.append(attrs.evolve(entry, at=self.clock.now()))

    async def answer(
        self,
        request: web.Request,
        received: ReceivedRequest,
        *targets: str | None,
        arguments: Callable[[], Mapping[str, object]] = dict,
        changes: bool = False,
        apply: Callable[[], web.Response],
        error_body: Callable[[RefusalError, web.Request], bytes],
    ) -> web.StreamResponse:
        """Answer a request, with the first fault that is queued for it.

        Args:
            request: what is answered.
            received: the same, as it is recorded.
            *targets: names of the operation or endpoint; None: also faults that name none.
            arguments: returns the request's arguments, or raises RefusalError.
            changes: whether it may change anything.
            apply: applies the request and returns its answer.
            error_body: returns the body of a refusal.
        """

        def refuse(refusal: RefusalError) -> web.Response:
            return _json_response(error_body(refusal, request), refusal.status)

        def apply_alone() -> web.Response:
            with self.lock:
                return self.hide_change(fault.reads, apply) if fault.kind == "late" else apply()

        try:
            with self.lock:
                fault = self._faults.take(received, targets, arguments, changes=changes)
        except Exception as error:  # noqa: BLE001  the predicate of a fault is the test's own code
            fault, failure = NO_FAULT, _failure(error)
            apply = partial(refuse, failure)
        received.fault = None if fault.kind == "none" else fault.kind
        response = await respond(request, fault, apply=apply_alone, refuse=refuse, closing=self._server.closing)
        if fault.kind != "drop":
            body = response.body if isinstance(response, web.Response) else None
            kept = body[:_LARGEST_KEPT_ANSWER] if isinstance(body, bytes) else b""
            received.answer = SentAnswer(response.status, kept)
        return response

    async def _serve(self, operation: Operation[Any] | None, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        name = None if operation is None else operation.name
        received = ReceivedRequest(name, request.method, request.path_qs, request.headers, body, self.clock.now())
        with self.lock:
            self.requests.append(received)
        return await self.answer(
            request,
            received,
            None,
            name,
            arguments=dict if operation is None else partial(read_arguments, operation, request, body),
            changes=operation is not None and operation.effect is not Effect.READ,
            apply=partial(self._apply, operation, request, body),
            error_body=self.error_body,
        )

    def _apply(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> web.Response:
        try:
            value = self._handle(operation, request, body)
            if value is None or isinstance(value, HTTPStatus):
                return web.Response(status=value or HTTPStatus.ACCEPTED)
            return _json_response(codec.dump(value))
        except RefusalError as refused:
            refusal = refused
        except Exception as error:  # noqa: BLE001  a server answers 500 to any bug in a handler, and goes on
            refusal = _failure(error)
        answer = self.error_body(refusal, request) if refusal.answer is None else codec.dump(refusal.answer)
        return _json_response(answer, refusal.status)

    def _handle(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> object:
        self.authenticate(request)
        if operation is None:
            return self.handle_other(request)
        arguments = read_arguments(operation, request, body)
        handle: Callable[[], object] = partial(getattr(self, operation.name), **arguments)
        if operation.effect is Effect.READ:
            return self.read_late(handle)
        value = handle()
        self.record(LedgerEntry(operation.name, arguments), request)
        return value


def _failure(error: Exception) -> RefusalError:
    _log.debug("the sandbox failed", exc_info=error)
    return RefusalError(500, "INTERNAL_ERROR", f"The sandbox failed with {type(error).__name__}.")


def _literal_first(operation: Operation[Any]) -> list[bool]:
    """Sort `/idle-periods/config` before `/idle-periods/{id}`: aiohttp takes the first route that matches."""
    return [segment.startswith("{") for segment in operation.template.split("/")]


def _json_response(body: bytes, status: int = HTTPStatus.OK) -> web.Response:
    return web.Response(status=status, body=body or None, content_type="application/json" if body else None)
