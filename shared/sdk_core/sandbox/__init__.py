"""The base of both sandboxes: an API played in process, by a real HTTP server on a free loopback port.

It keeps what came in (`requests`) apart from what really happened (`ledger`), and fails on request (`fail`): so a test
can tell "sent twice" from "done twice".
"""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Self

from aiohttp import web

from sdk_core import codec
from sdk_core.operation import Effect, Operation
from sdk_core.sandbox.faults import GARBAGE, NO_FAULT, Fault, truncate
from sdk_core.sandbox.requests import LedgerEntry, ReceivedRequest, RefusalError, read_arguments

__all__ = ["Sandbox"]

# Quiet unless the application sets up logging: "sdk_core" has a NullHandler.
_log = logging.getLogger("sdk_core.sandbox")
_SHUTDOWN = 0.05
"""Seconds of grace for answers under way; aiohttp takes 0 for "for ever"."""
_LARGEST_BODY = 64 * 2**20
"""Room for documents; aiohttp's own limit is 1 MiB, the APIs' are not known."""


class Sandbox:
    """Base of a sandbox: `async with` serves it; each operation is a method with the operation's name and arguments.

    Such a method returns what is sent as JSON, None for 202 without a body, another HTTPStatus for that one without a
    body, or raises RefusalError. A multipart operation's method has an argument `document: ReceivedDocument | None`.

    Args:
        today: the sandbox's date, for answers that do not change from day to day; None: today (UTC).
    """

    operations: ClassVar[tuple[Operation[Any], ...]]
    other_endpoints: ClassVar[frozenset[str]] = frozenset()
    """Names of what is served beside the operations; they fail only when `fail()` names them."""

    def __init__(self, *, today: date | None = None) -> None:
        self.today: date = today or datetime.now(UTC).date()
        self.requests: list[ReceivedRequest] = []
        """Every request to the API, in order."""
        self.ledger: list[LedgerEntry] = []
        """Every effect that was applied, in order, whatever the caller was told of it."""
        self._faults: list[tuple[str | None, Fault]] = []
        self._closing = asyncio.Event()
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        """Base URL while the sandbox runs."""
        if self._runner is None:
            raise RuntimeError("the sandbox is not running: use it inside `async with`")
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    def fail(self, *faults: Fault, operation: str | None = None) -> None:
        """Queue faults; each is used up by one request.

        Args:
            *faults: what goes wrong, in this order.
            operation: only requests of the operation with this name; None: the next request to the API, whatever it is.

        Raises:
            ValueError: there is no such operation, so the faults would wait for ever.
        """
        known = {known.name for known in self.operations} | self.other_endpoints
        if operation is not None and operation not in known:
            raise ValueError(f"operation must be one of {', '.join(sorted(known))}")
        self._faults += [(operation, fault) for fault in faults]

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
        """Add what the API's surroundings offer beside its operations."""

    def admit(self, request: web.Request) -> None:
        """Raise RefusalError unless the request's headers let it in."""
        raise NotImplementedError

    def elsewhere(self, request: web.Request) -> object:
        """Answer a request that is none of the operations."""
        raise RefusalError(404, "NOT_FOUND", f"{request.method} {request.path} is not an operation of this API.")

    def envelope(self, refusal: RefusalError, request: web.Request) -> bytes:
        """Return the API's error body."""
        raise NotImplementedError

    def record(self, entry: LedgerEntry, request: web.Request) -> None:  # noqa: ARG002  for who keeps a log of its own
        """Note that `request` had an effect."""
        self.ledger.append(entry)

    async def _serve(self, operation: Operation[Any] | None, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        name = None if operation is None else operation.name
        self.requests.append(ReceivedRequest(name, request.method, request.path_qs, request.headers, body))
        perform = partial(self._perform, operation, request, body)
        return await self.play(request, self.next_fault(None, name), perform, self.envelope)

    async def play(
        self,
        request: web.Request,
        fault: Fault,
        perform: Callable[[], web.Response],
        envelope: Callable[[RefusalError, web.Request], bytes],
    ) -> web.StreamResponse:
        """Answer with `perform`, but as the fault wants it."""
        response = perform() if fault.applies else web.Response()
        match fault.kind:
            case "delay":
                with suppress(TimeoutError):
                    async with asyncio.timeout(fault.seconds):
                        await self._closing.wait()
            case "status":
                refusal = RefusalError(fault.http_status, "SCRIPTED_FAULT", "The sandbox was asked to fail.")
                response = _json(envelope(refusal, request), fault.http_status)
                if fault.retry_after is not None:
                    response.headers["Retry-After"] = str(fault.retry_after)
            case "drop":
                if request.transport is not None:
                    request.transport.abort()
            case "garbage":
                response = web.Response(status=fault.http_status, text=GARBAGE, content_type="text/html")
            case "truncated":
                return await truncate(request, response)
            case "none":
                pass
        return response

    def next_fault(self, *targets: str | None) -> Fault:
        """Take the first fault queued for one of `targets`; if there is none, one that changes nothing."""
        for index, (target, fault) in enumerate(self._faults):
            if target in targets:
                del self._faults[index]
                return fault
        return NO_FAULT

    def _perform(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> web.Response:
        try:
            self.admit(request)
            if operation is None:
                value = self.elsewhere(request)
            else:
                arguments = read_arguments(operation, request, body)
                value = getattr(self, operation.name)(**arguments)
                if operation.effect is not Effect.READ:
                    self.record(LedgerEntry(operation.name, arguments), request)
            if value is None or isinstance(value, HTTPStatus):
                return web.Response(status=value or HTTPStatus.ACCEPTED)
            return _json(codec.dump(value))
        except RefusalError as refused:
            refusal = refused
        except Exception as error:  # noqa: BLE001  a server answers 500 and goes on
            _log.debug("the sandbox failed", exc_info=True)
            refusal = RefusalError(500, "INTERNAL_ERROR", f"The sandbox failed with {type(error).__name__}.")
        answer = self.envelope(refusal, request) if refusal.answer is None else codec.dump(refusal.answer)
        return _json(answer, refusal.status)


def _literal_first(operation: Operation[Any]) -> list[bool]:
    """Sort `/idle-periods/config` before `/idle-periods/{id}`: aiohttp takes the first route that fits."""
    return [segment.startswith("{") for segment in operation.template.split("/")]


def _json(body: bytes, status: int = 200) -> web.Response:
    return web.Response(status=status, body=body or None, content_type="application/json" if body else None)
