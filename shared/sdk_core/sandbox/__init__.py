"""The base of both sandboxes: an API played in process, by a real HTTP server on a free loopback port.

It keeps what came in (`requests`) apart from what really happened (`ledger`), and fails on request (`fail`): so a test
can tell "sent twice" from "done twice".
"""

import asyncio
import logging
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, date, datetime
from email.message import Message
from email.parser import BytesHeaderParser
from functools import partial
from http import HTTPStatus
from typing import Any, ClassVar, Literal, Self
from uuid import UUID

import attrs
from aiohttp import web
from attrs import field, frozen

from sdk_core import codec
from sdk_core.arguments import int64_id, seconds
from sdk_core.operation import Effect, Operation

__all__ = ["Fault", "LedgerEntry", "ReceivedDocument", "ReceivedRequest", "RefusalError", "Sandbox"]

# Quiet unless the application sets up logging: "sdk_core" has a NullHandler.
_log = logging.getLogger("sdk_core.sandbox")
_SHUTDOWN = 0.05
"""Seconds of grace for answers under way; aiohttp takes 0 for "for ever"."""
_LARGEST_BODY = 64 * 2**20
"""Room for documents; aiohttp's own limit is 1 MiB, the APIs' are not known."""
_GARBAGE = "<html><body>Please sign in to the network.</body></html>"


@frozen
class Fault:
    """One request that goes wrong, once. Build it with the methods below, queue it with `sandbox.fail(...)`."""

    kind: Literal["none", "status", "delay", "drop", "garbage", "truncated"]
    applies: bool
    """Whether the request takes effect all the same."""
    http_status: int = 200
    retry_after: float | str | None = None
    seconds: float = 0.0

    @classmethod
    def status(cls, status: int, *, retry_after: float | str | None = None) -> Self:
        """Refuse with `status` in the API's own error envelope; nothing happens.

        Args:
            status: 400 to 599.
            retry_after: the Retry-After header: seconds, or text as it is (an HTTP date, nonsense).
        """
        if not 400 <= status <= 599:  # noqa: PLR2004
            raise ValueError("status must be an error: 400 to 599")
        return cls("status", applies=False, http_status=status, retry_after=retry_after)

    @classmethod
    def delay(cls, delay: float) -> Self:
        """Do what is asked at once, but answer only after `delay` seconds."""
        return cls("delay", applies=True, seconds=seconds("delay", delay))

    @classmethod
    def drop(cls, *, after_applying: bool = False) -> Self:
        """Abort the connection instead of answering, before or after the request took effect."""
        return cls("drop", applies=after_applying)

    @classmethod
    def garbage(cls, status: int = 200, *, after_applying: bool = False) -> Self:
        """Answer with an HTML page, as a proxy or sign-in portal in between does."""
        return cls("garbage", applies=after_applying, http_status=status)

    @classmethod
    def truncated(cls) -> Self:
        """Do what is asked, announce more bytes than are sent, and hang up."""
        return cls("truncated", applies=True)


_NO_FAULT = Fault("none", applies=True)


@frozen
class ReceivedRequest:
    """A request as it came in. What may hold a credential or a member's data is not in its repr."""

    operation: str | None
    """The operation's name; None: not an operation of the SDK."""
    method: str
    path: str = field(repr=False)
    """With the query."""
    headers: Mapping[str, str] = field(repr=False)
    """Names compare without case."""
    body: bytes = field(repr=False)


@frozen
class ReceivedDocument:
    """A file that came in with a request. What it holds and is called is not in its repr."""

    content: bytes = field(repr=False)
    content_type: str
    filename: str | None = field(default=None, repr=False)


@frozen
class LedgerEntry:
    """An effect that was really applied."""

    operation: str
    arguments: Mapping[str, object]
    """By the names of the client method's arguments; `body` for a body that is bare JSON or a free mapping."""


class RefusalError(Exception):
    """Raised by a sandbox's operation that says no."""

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, answer: object = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        """JSON name of the field or parameter that is wrong."""
        self.answer = answer
        """What is sent as JSON instead of the API's error body; None: the error body."""


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
                response = web.Response(status=fault.http_status, text=_GARBAGE, content_type="text/html")
            case "truncated":
                return await _truncate(request, response)
            case "none":
                pass
        return response

    def next_fault(self, *targets: str | None) -> Fault:
        """Take the first fault queued for one of `targets`; if there is none, one that changes nothing."""
        for index, (target, fault) in enumerate(self._faults):
            if target in targets:
                del self._faults[index]
                return fault
        return _NO_FAULT

    def _perform(self, operation: Operation[Any] | None, request: web.Request, body: bytes) -> web.Response:
        try:
            self.admit(request)
            if operation is None:
                value = self.elsewhere(request)
            else:
                arguments = _arguments(operation, request, body)
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


async def _truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    body = response.body if isinstance(response.body, bytes) else b""
    cut = web.StreamResponse(status=response.status)
    cut.content_type = "application/json"
    cut.content_length = len(body) + 100
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut


_QUERY_TYPES: Mapping[type, Callable[[str], object]] = {int: int, UUID: UUID, datetime: datetime.fromisoformat}


def _invalid(message: str, field: str | None = None) -> RefusalError:
    return RefusalError(400, "VALIDATION_ERROR", message, field=field)


@contextmanager
def _validating(name: str) -> Generator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise _invalid(str(error), name) from None


def _arguments(operation: Operation[Any], request: web.Request, body: bytes) -> dict[str, Any]:
    """Return the arguments of the client's method that this request came from; anything off is a 400."""
    arguments: dict[str, Any] = {}
    for name, check in operation.slots.items():
        slot = request.match_info[name]
        with _validating(name):
            arguments[name] = check(name, int(slot) if check is int64_id and slot.isdecimal() else slot)
    for name, query in operation.query.items():
        if (text := request.query.get(query.name)) is not None:
            with _validating(query.name):
                arguments[name] = _QUERY_TYPES.get(query.kind, str)(text)
                query.encode(query.name, arguments[name])
    if operation.open_query:
        known = {query.name for query in operation.query.values()}
        arguments["query"] = {name: text for name, text in request.query.items() if name not in known}
    if operation.multipart:
        parts = _parts(request.headers.get("Content-Type", ""), body)
        data = parts.get("data")
        if data is None or data.content_type != "application/json":
            raise _invalid("The request needs a part of its own type application/json.", "data")
        body = data.content
        arguments["document"] = parts.get("document")
    if operation.body is not None:
        value = _body(operation.body, body)
        arguments |= attrs.asdict(value, recurse=False) if attrs.has(operation.body) else {"body": value}
    return arguments


def _body(shape: type[Any], text: bytes) -> Any:
    try:
        value = codec.parse(text)
        if shape is not dict:
            return codec.structure(value, shape)
    except codec.NotJsonError:
        raise _invalid("The body is no JSON.") from None
    except codec.ShapeError as error:
        problem = error.problems[0]
        path = problem.partition(":")[0].removeprefix("$").removeprefix(".")
        raise _invalid(problem, path or None) from None
    if not isinstance(value, dict):
        raise _invalid("$: expected an object")
    return codec.as_object(value)


def _parts(content_type: str, body: bytes) -> dict[str, ReceivedDocument]:
    """Return the parts of a multipart/form-data body by name, their bytes untouched."""
    whole = _headers(b"Content-Type: " + content_type.encode(errors="surrogateescape"))
    boundary = whole.get_boundary()
    if whole.get_content_type() != "multipart/form-data" or boundary is None:
        raise _invalid("The request must be multipart/form-data.")
    _preamble, *chunks = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="surrogateescape"))
    parts: dict[str, ReceivedDocument] = {}
    for chunk in chunks:
        head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = _headers(head)
        name = str(headers.get_param("name", header="content-disposition"))
        parts[name] = ReceivedDocument(content, headers.get_content_type(), headers.get_filename())
    return parts


def _headers(head: bytes) -> Message:
    return BytesHeaderParser().parsebytes(head)
