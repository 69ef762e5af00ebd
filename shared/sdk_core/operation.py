"""An operation is a value: one row of an API's table, and the pure step from arguments to a request."""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any, Generic, TypeVar
from urllib.parse import quote
from uuid import UUID

from attrs import Factory, field, frozen

from sdk_core import codec
from sdk_core.arguments import int64_id, mapping, uuid_id
from sdk_core.transport.multipart import Document, Multipart

__all__ = ["Effect", "Operation", "Query"]

T = TypeVar("T")


class Effect(Enum):
    """What a request may do to the server's state; it decides what may be repeated."""

    READ = "read"
    """Changes nothing: repeated after any passing failure."""
    IDEMPOTENT = "idempotent"
    """Changes something, but twice is the same as once: repeated like a READ."""
    WRITE = "write"
    """Changes something each time: repeated only when the request certainly had no effect."""


def _segment(name: str, value: object) -> str:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    # URL libraries collapse dot segments, even percent-encoded: such an id would reach another endpoint.
    if value in {"", ".", ".."}:
        raise ValueError(f"{name} must not be empty, '.' or '..'")
    return quote(value, safe="")


_SLOT_TYPES: Mapping[str, Callable[[str, object], object]] = {"int": int64_id, "uuid": uuid_id, "str": _segment}
_SLOT = re.compile(r"\{(\w+):(\w+)\}")


@frozen(eq=False)
class Query:
    """One query parameter of an operation."""

    name: str
    """Its name on the wire."""
    kind: type = str
    """`str`, `int`, `bool`, `UUID` or `datetime` (aware)."""
    minimum: int | None = None
    maximum: int | None = None

    def encode(self, argument: str, value: object) -> str:
        """Return the text to send, or raise TypeError/ValueError naming `argument`."""
        if self.kind is UUID:
            return str(uuid_id(argument, value))
        if not isinstance(value, self.kind) or (self.kind is int and isinstance(value, bool)):
            raise TypeError(f"{argument} must be {self.kind.__name__}, not {type(value).__name__}")
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, datetime):
            return codec.encode_datetime(argument, value)
        if isinstance(value, int) and not (
            (self.minimum is None or value >= self.minimum) and (self.maximum is None or value <= self.maximum)
        ):
            raise ValueError(f"{argument} must be from {self.minimum} to {self.maximum}")
        if value == "":
            raise ValueError(f"{argument} must not be empty")
        return str(value)


_TEXT = Query("")
_NO_QUERY: Mapping[str, str] = MappingProxyType({})


def _multipart(data: bytes, document: object) -> Multipart:
    if not isinstance(document, Document | None):
        raise TypeError(f"document must be a Document, not {type(document).__name__}")
    return Multipart(data, document)


def _in_capitals(method: str) -> str:
    return method.upper()


def _slots(operation: "Operation[Any]") -> dict[str, Callable[[str, object], object]]:
    try:
        return {name: _SLOT_TYPES[kind] for name, kind in _SLOT.findall(operation.path)}
    except KeyError as error:
        raise ValueError(f"unknown slot type {error} in {operation.path!r}: use int, uuid or str") from None


def _pieces(operation: "Operation[Any]") -> tuple[tuple[str, Callable[[str, object], object], str], ...]:
    _head, *parts = _SLOT.split(operation.path)
    return tuple((name, operation.slots[name], tail) for name, tail in zip(parts[::3], parts[2::3], strict=True))


def _arguments(operation: "Operation[Any]") -> Iterator[str]:
    yield from operation.slots
    yield from operation.query
    if operation.body is not None:
        yield "body"
    if operation.multipart:
        yield "document"
    if operation.open_query:
        yield "query"


@frozen(kw_only=True, eq=False)
class Operation(Generic[T]):
    """One operation of an API, as its documentation states it.

    Declare one of your own for an endpoint the SDK does not list, and `client.call(operation, ...)`
    gives it the same retries, outcomes, errors and correlation id:

        GET_STUDIO = Operation(name="get_studio", method="GET", path="/v1/studios/{studio_id:int}",
                               returns=Studio, effect=Effect.READ)
    """

    name: str
    """The API's operation id in snake_case; errors and logs show it."""
    method: str = field(converter=_in_capitals)
    path: str
    """Path with typed slots: `{contract_id:int}` (positive 64-bit), `{customer_id:uuid}`, `{name:str}`."""
    returns: type[T]
    """What a success decodes to: an attrs class, or `list` of one."""
    effect: Effect
    query: Mapping[str, Query] = field(factory=dict[str, Query])
    """Query parameters by argument name; all optional."""
    open_query: bool = False
    """Whether a mapping `query` may name further parameters: for pages that do not show their names."""
    body: type[Any] | None = None
    """The class of the argument `body`, sent as JSON: an attrs class, or `dict`, `str`, `UUID`; None: no body."""
    multipart: bool = False
    """Whether the body goes as part `data` of multipart/form-data, with an optional argument `document`."""
    retry_conflict: bool | frozenset[str] = False
    """Whether the API documents 409 as "changed by somebody else, try again": always, or for these error codes."""
    lone_item: bool = False
    """Whether a lone object may stand for a list of one in the answer."""
    scopes: tuple[str, ...] = ()
    """What the credential must be allowed, as the API names it."""
    roles: tuple[str, ...] = ()
    """Whose credential may call it, as the API names them; empty: not documented."""
    deprecated: str | None = None
    """Why the operation should no longer be used; the first call warns with it."""
    source: str = ""
    """Where the API documents it."""

    slots: Mapping[str, Callable[[str, object], object]] = field(
        init=False, repr=False, default=Factory(_slots, takes_self=True)
    )
    _head: str = field(
        init=False, repr=False, default=Factory(lambda self: _SLOT.split(self.path, 1)[0], takes_self=True)
    )
    """The path up to its first slot."""
    _pieces: tuple[tuple[str, Callable[[str, object], object], str], ...] = field(
        init=False, repr=False, default=Factory(_pieces, takes_self=True)
    )
    """For each slot its name, its check, and the text up to the next."""
    arguments: frozenset[str] = field(
        init=False, repr=False, default=Factory(lambda self: frozenset(_arguments(self)), takes_self=True)
    )
    """The names of all arguments it takes."""
    template: str = field(
        init=False, repr=False, default=Factory(lambda self: _SLOT.sub(r"{\1}", self.path), takes_self=True)
    )
    """The path with bare slot names, `/v1/memberships/{customer_id}/...`: what errors and logs show."""

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def request(self, arguments: Mapping[str, object]) -> tuple[str, Mapping[str, str], bytes | Multipart | None]:
        """Return path (percent-encoded, relative to the base URL), query and body of a call; pure.

        Raises:
            TypeError: an argument is missing, unknown, or of the wrong type.
            ValueError: an argument's value can't be sent.
        """
        if not self.arguments.issuperset(arguments):
            unknown = min(arguments.keys() - self.arguments)
            raise TypeError(f"{self.name}() got an unexpected argument {unknown!r}")
        path = self._head
        try:
            for name, check, tail in self._pieces:
                path += f"{check(name, arguments[name])}{tail}"
        except KeyError as error:
            raise self._missing(str(error.args[0])) from None
        query = self._encode_query(arguments) if self.query or self.open_query else _NO_QUERY
        if self.body is None:
            return path, query, None
        if "body" not in arguments:
            raise self._missing("body")
        value = arguments["body"]
        if not isinstance(value, self.body):
            raise TypeError(f"body must be {self.body.__name__}, not {type(value).__name__}")
        body = codec.dump(value)
        return path, query, body if not self.multipart else _multipart(body, arguments.get("document"))

    def _encode_query(self, arguments: Mapping[str, object]) -> Mapping[str, str]:
        query = {
            parameter.name: parameter.encode(name, value)
            for name, parameter in self.query.items()
            if (value := arguments.get(name)) is not None
        }
        raw = arguments.get("query")
        if self.open_query and raw is not None:
            for name, value in mapping("query", raw).items():
                query[_TEXT.encode("query", name)] = _TEXT.encode(f"query[{name!r}]", value)
        return query

    def _missing(self, argument: str) -> TypeError:
        return TypeError(f"{self.name}() needs the argument {argument!r}")
