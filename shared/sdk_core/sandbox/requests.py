"""What a sandbox receives: requests, documents and their arguments; what it records and refuses of them."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.message import Message
from email.parser import BytesHeaderParser
from typing import Any
from uuid import UUID

import attrs
from aiohttp import web
from attrs import define, field, frozen

from sdk_core import codec
from sdk_core.arguments import int64_id
from sdk_core.operation import Operation

__all__ = ["LedgerEntry", "ReceivedDocument", "ReceivedRequest", "RefusalError", "SentAnswer", "read_arguments"]


@frozen
class SentAnswer:
    """What was answered to a request. Its repr does not show the body."""

    status: int
    body: bytes = field(default=b"", repr=False)


@define(eq=False)
class ReceivedRequest:
    """A request as it was received. Its repr shows nothing that may hold a credential or a member's data."""

    operation: str | None
    """The operation's name; None: it is no operation of the SDK."""
    method: str
    path: str = field(repr=False)
    """Path and query."""
    headers: Mapping[str, str] = field(repr=False)
    """Their names are case-insensitive."""
    body: bytes = field(repr=False)
    at: datetime | None = field(default=None, repr=False)
    """When it was received, by the sandbox's clock."""
    fault: str | None = None
    """Kind of the fault that it met; None: none."""
    answer: SentAnswer | None = None
    """None: it is not answered yet, or the connection was dropped instead."""


@frozen
class ReceivedDocument:
    """A file that was received with a request. Its repr shows neither its content nor its name."""

    content: bytes = field(repr=False)
    content_type: str
    filename: str | None = field(default=None, repr=False)


@frozen
class LedgerEntry:
    """An effect that was applied, whatever the client was told of it."""

    operation: str
    arguments: Mapping[str, object]
    """By the names of the client method's arguments; `body` if the body is no documented object: text, or a mapping."""
    at: datetime | None = field(default=None, repr=False, eq=False)
    """When it was applied, by the sandbox's clock."""


class RefusalError(Exception):
    """Raised by a handler that refuses a request: it becomes an error answer, and nothing is recorded in the ledger.

    Args:
        status: HTTP status.
        code: error code.
        message: what is wrong, for a reader.
        field: JSON name of the field or parameter that is wrong.
        answer: what is sent as JSON instead of the API's error body; None: the error body.
    """

    def __init__(
        self, status: int, code: str, message: str, *, field: str | None = None, answer: object = None
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.field = field
        self.answer = answer


_QUERY_TYPES: Mapping[type, Callable[[str], object]] = {int: int, UUID: UUID, datetime: datetime.fromisoformat}


def _invalid(message: str, field: str | None = None) -> RefusalError:
    return RefusalError(400, "VALIDATION_ERROR", message, field=field)


@contextmanager
def _validating(name: str) -> Generator[None]:
    try:
        yield
    except (TypeError, ValueError) as error:
        raise _invalid(str(error), name) from None


def read_arguments(operation: Operation[Any], request: web.Request, body: bytes) -> dict[str, Any]:
    """Return the arguments of the client method that sends this request.

    Raises:
        RefusalError: a value is missing or not as documented (400).
    """
    arguments: dict[str, Any] = {}
    for name, check in operation.slots.items():
        slot = request.match_info[name]
        with _validating(name):
            value = check(name, int(slot) if check is int64_id and slot.isdecimal() else slot)
            # Text comes back encoded for a path; aiohttp has decoded what was received.
            arguments[name] = slot if isinstance(value, str) else value
    for name, query in operation.query.items():
        if (text := request.query.get(query.name)) is not None:
            with _validating(query.name):
                arguments[name] = _QUERY_TYPES.get(query.kind, str)(text)
                query.encode(query.name, arguments[name])
    if operation.open_query:
        known = {query.name for query in operation.query.values()}
        arguments["query"] = {name: text for name, text in request.query.items() if name not in known}
    if operation.multipart:
        parts = _read_parts(request.headers.get("Content-Type", ""), body)
        data = parts.get("data")
        if data is None or data.content_type != "application/json":
            raise _invalid("The request needs a part of its own type application/json.", "data")
        body = data.content
        arguments["document"] = parts.get("document")
    if operation.body is not None:
        value = _read_body(operation.body, body)
        arguments |= attrs.asdict(value, recurse=False) if attrs.has(operation.body) else {"body": value}
    return arguments


def _read_body(shape: type[Any], text: bytes) -> Any:
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


def _read_parts(content_type: str, body: bytes) -> dict[str, ReceivedDocument]:
    """Return the parts of a multipart/form-data body by name; their content is not decoded."""
    whole = _parse_headers(b"Content-Type: " + content_type.encode(errors="surrogateescape"))
    boundary = whole.get_boundary()
    if whole.get_content_type() != "multipart/form-data" or boundary is None:
        raise _invalid("The request must be multipart/form-data.")
    _preamble, *chunks = (b"\r\n" + body).split(b"\r\n--" + boundary.encode(errors="surrogateescape"))
    parts: dict[str, ReceivedDocument] = {}
    for chunk in chunks:
        head, _, content = chunk.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        headers = _parse_headers(head)
        name = str(headers.get_param("name", header="content-disposition"))
        parts[name] = ReceivedDocument(content, headers.get_content_type(), headers.get_filename())
    return parts


def _parse_headers(head: bytes) -> Message:
    return BytesHeaderParser().parsebytes(head)
