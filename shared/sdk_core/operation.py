"""An operation is a value: one row of an API's table, and the pure step from arguments to a request.

Its fields are checked when it is declared. Otherwise a mistake would be noticed only after a request was sent. A wrong
`effect` can't be noticed at all: anything but a WRITE is repeated.
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar, cast
from uuid import UUID

import attrs
from attrs import Factory, field, frozen
from attrs.validators import optional

from sdk_core import codec
from sdk_core.arguments import INT64_MAX, instance, int64_id, mapping, non_empty, of_type, valid
from sdk_core.path import Check, PathTemplate, parse
from sdk_core.query import Query
from sdk_core.returns import readable
from sdk_core.transport.multipart import Document, Multipart
from sdk_core.value import Shown

__all__ = ["Effect", "Operation"]

T = TypeVar("T")

_METHODS: Final = ("GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE")
_RAW_BODIES: Final = (dict, list, str, UUID)
_NO_QUERY: Final[Mapping[str, str]] = MappingProxyType({})


class Effect(Enum):
    """What a request may do to the server's state; it decides what may be repeated."""

    READ = "read"
    """Changes nothing: repeated after any passing failure."""
    IDEMPOTENT = "idempotent"
    """Changes something, but twice is the same as once: repeated like a READ."""
    WRITE = "write"
    """Changes something each time: repeated only when the request certainly had no effect."""


def _identifier(name: str, value: object) -> None:
    if not instance(name, value, str).isidentifier():
        raise ValueError(f"{name} must be an identifier, like get_contract_data")


def _method(value: object) -> str:
    method = instance("method", value, str).upper()
    if method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}")
    return method


def _parsed(operation: "Operation[Any]") -> PathTemplate:
    return parse(instance("path", operation.path, str))


def _query(value: object) -> Mapping[str, Query]:
    """Return a copy: who changes the original does not change the operation."""
    query = mapping("query", value)
    for name, parameter in query.items():
        instance(f"query[{name!r}]", parameter, Query)
        _identifier("the name of a query argument", name)
    if len({parameter.name for parameter in query.values()}) < len(query):
        raise ValueError("query has two parameters of one name")
    return query


def _body_class(name: str, value: object) -> None:
    is_class = isinstance(value, type) and attrs.has(value) and "__dataclass_fields__" not in vars(value)
    if value is not None and value not in _RAW_BODIES and not is_class:
        raise TypeError(f"{name} must be a class decorated with @attrs.frozen, or dict, list, str or UUID")


def _conflicts(name: str, value: object) -> None:
    if not isinstance(value, bool | frozenset):
        raise TypeError(f"{name} must be a bool or a frozenset of error codes, not {type(value).__name__}")
    for code in cast("frozenset[object]", value) if isinstance(value, frozenset) else ():
        non_empty(name, code)


def _texts(name: str, value: object) -> None:
    for item in cast("tuple[object, ...]", instance(name, value, tuple)):
        non_empty(name, item)


def _arguments(operation: "Operation[Any]") -> frozenset[str]:
    names = [*operation.slots, *operation.query, *_own_arguments(operation)]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{operation.name}() would have two arguments {twice!r}")
    return frozenset(names)


def _own_arguments(operation: "Operation[Any]") -> Iterator[str]:
    if operation.body is not None:
        yield "body"
    if operation.multipart:
        yield "document"
    if operation.open_query:
        yield "query"


@frozen(kw_only=True, eq=False)
class Operation(Shown, Generic[T]):
    """One operation of an API, as its documentation states it.

    Declare one of your own for an endpoint the SDK does not list, and `client.call(operation, ...)`
    gives it the same retries, outcomes, errors and correlation id:

        GET_STUDIO = Operation(name="get_studio", method="GET", path="/v1/studios/{studio_id:int}",
                               returns=Studio, effect=Effect.READ)

    Raises:
        TypeError: a field is of the wrong type, or `returns` can't be read.
        ValueError: a field's value makes no sense, like a slot without a type.
    """

    name: str = field(validator=valid(_identifier))
    """The API's operation id in snake_case; errors and logs show it."""
    method: str = field(converter=_method)
    path: str
    """Path with typed slots: `{contract_id:int}` (positive 64-bit), `{customer_id:uuid}`, `{name:str}`."""
    returns: type[T] = field(validator=valid(readable))
    """What a success decodes to: an attrs class, `list` of one, or raw JSON (`object`, `dict`, ...)."""
    effect: Effect = field(validator=valid(of_type(Effect)))
    query: Mapping[str, Query] = field(factory=dict[str, Query], converter=_query)
    """Query parameters by argument name; all optional."""
    open_query: bool = field(default=False, validator=valid(of_type(bool)))
    """Whether a mapping `query` may name further parameters: for pages that do not show their names."""
    body: type[Any] | None = field(default=None, validator=valid(_body_class))
    """Class of the argument `body`, sent as JSON: an attrs class, `dict`, `list`, `str`, `UUID`; None: no body."""
    multipart: bool = field(default=False, validator=valid(of_type(bool)))
    """Whether the body goes as part `data` of multipart/form-data, with an optional argument `document`."""
    document_types: tuple[str, ...] = field(default=(), validator=valid(_texts))
    """The MIME types that a document may have; empty: any."""
    retry_conflict: bool | frozenset[str] = field(default=False, validator=valid(_conflicts))
    """Whether the API documents 409 as "changed by somebody else, try again": always, or for these error codes."""
    lone_item: bool = field(default=False, validator=valid(of_type(bool)))
    """Whether a lone object may stand for a list of one in the answer."""
    scopes: tuple[str, ...] = field(default=(), validator=valid(_texts))
    """What the credential must be allowed, as the API names it."""
    roles: tuple[str, ...] = field(default=(), validator=valid(_texts))
    """Whose credential may call it, as the API names them; empty: not documented."""
    deprecated: str | None = field(default=None, validator=optional(valid(non_empty)))
    """Why the operation should no longer be used; the first call warns with it."""
    source: str = field(default="", validator=valid(of_type(str)))
    """Where the API documents it."""

    _path: PathTemplate = field(init=False, repr=False, default=Factory(_parsed, takes_self=True))
    slots: Mapping[str, Check] = field(
        init=False, repr=False, default=Factory(attrgetter("_path.slots"), takes_self=True)
    )
    """The names of the path's slots, each with the check of its value."""
    template: str = field(init=False, repr=False, default=Factory(attrgetter("_path.shown"), takes_self=True))
    """The path with bare slot names, `/v1/memberships/{customer_id}/...`: what errors and logs show."""
    arguments: frozenset[str] = field(init=False, repr=False, default=Factory(_arguments, takes_self=True))
    """The names of all arguments it takes."""

    def __attrs_post_init__(self) -> None:
        if self.multipart and self.body is None:
            raise ValueError(f"{self.name}: multipart needs a body")
        if self.lone_item and getattr(self.returns, "__origin__", None) is not list:
            raise ValueError(f"{self.name}: lone_item needs returns=list[...]")

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
        path = self._path.head
        for name, check, tail in self._path.pieces:
            try:
                value = arguments[name]
            except KeyError:
                raise self._missing(name) from None
            # Nearly all are ids as they should be. They are on the way of every call: no function for each of them.
            if check is not int64_id or type(value) is not int or not 0 < value <= INT64_MAX:
                value = check(name, value)
            path += f"{value}{tail}"
        query = self._encode_query(arguments) if self.query or self.open_query else _NO_QUERY
        if self.body is None:
            return path, query, None
        if "body" not in arguments:
            raise self._missing("body")
        body = codec.dump(instance("body", arguments["body"], self.body))
        if not self.multipart:
            return path, query, body
        return path, query, Multipart(body, self.checked_document(arguments.get("document")))

    def checked_document(self, document: object) -> Document | None:
        """Return the argument `document`; TypeError or ValueError if it can't be sent along."""
        if document is None:
            return None
        found = instance("document", document, Document)
        if self.document_types and found.content_type not in self.document_types:
            raise ValueError(f"document must be one of {', '.join(self.document_types)}")
        return found

    def _missing(self, argument: str) -> TypeError:
        return TypeError(f"{self.name}() needs the argument {argument!r}")

    def _encode_query(self, arguments: Mapping[str, object]) -> Mapping[str, str]:
        query = {
            parameter.name: parameter.encode(name, value)
            for name, parameter in self.query.items()
            if (value := arguments.get(name)) is not None
        }
        raw = arguments.get("query") if self.open_query else None
        if raw is not None:
            for name, value in mapping("query", raw).items():
                query[non_empty("query", name)] = non_empty(f"query[{name!r}]", value)
        return query
