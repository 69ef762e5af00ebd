"""An operation is checked when it is declared: what is wrong with it never shows itself in a request."""

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from types import SimpleNamespace
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar
from uuid import UUID

import attrs
import pytest
from cases import goes_through

from membership_sdk import operations as membership
from membership_sdk.models import ContractCancelationReason, VoidResult
from sdk_core import codec
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome, may_repeat
from sdk_core.query import Query
from sdk_core.returns import Empty

T = TypeVar("T")
U = TypeVar("U")
V = TypeVar("V")


def operation(**changes: Any) -> Operation[Any]:
    fields: dict[str, Any] = {"name": "do_it", "method": "POST", "path": "/it", "returns": VoidResult}
    return Operation(**{**fields, "effect": Effect.WRITE, **changes})


@dataclass
class DataClass:
    id: int


class Plain:
    pass


@attrs.frozen
class Item:
    number: int
    next: "Item | None" = None


@attrs.frozen
class Page(Generic[T]):
    items: tuple[T, ...]


@attrs.frozen
class MyPage(Page[Item]):
    more: int | None = None


@attrs.frozen
class Named(Page[U]):
    name: str = ""


@attrs.frozen
class Both(Named[tuple[V, ...]], Generic[V, U]):
    other: U | None = None


@attrs.frozen
class MyBoth(Both[Item, int]):
    pass


@attrs.frozen
class Twice(Page[Item], Generic[T]):
    """The variable of its base is its own, too."""

    other: T | None = None


class Mixed(Plain, MyPage):
    pass


@attrs.frozen
class WrongPage(Page[DataClass]):
    pass


@attrs.frozen
class Deep:
    of: dict[str, list[DataClass]]


@attrs.frozen
class Late:
    of: "NotDefined"  # type: ignore[name-defined] # noqa: F821


@attrs.frozen
class Undecided:
    of: Item | ContractCancelationReason


@attrs.frozen
class Derived:
    id: int
    double: DataClass = attrs.field(init=False, default=attrs.Factory(lambda self: DataClass(self.id), takes_self=True))


@attrs.frozen
class Rich:
    numbers: Annotated[tuple[int | None, ...], "few"]
    kind: Literal["a", "b"] | None = None
    table: dict[str, Item] | None = None
    price: Decimal | None = None
    anything: Any = None


@dataclass
class DataClassOfAttrs(Item):
    more: int = 0


class Pair(NamedTuple):
    a: int


class Name(str):
    __slots__ = ()


class Color(Enum):
    RED = "red"


class Rate(Enum):
    FULL = 0.19


class Holiday(Enum):
    NEW_YEAR = date(2026, 1, 1)


class Band(Enum):
    """Finds its values itself."""

    LOW = (0, 10)

    @classmethod
    def _missing_(cls, value: object) -> "Band":
        return cls.LOW


ItemNumber = NewType("ItemNumber", int)
ItemNumbers = NewType("ItemNumbers", list[int])


class Silent(Empty):
    """Has no `from_answer`."""


class Loud(Empty):
    @classmethod
    def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> "Loud":
        return cls()


def pydantic_like(name: str) -> Any:
    return type(name, (), {"__pydantic_core_schema__": object()})


WRONG: list[tuple[str, dict[str, Any], type[Exception], str]] = [
    ("effect as text", {"effect": "write"}, TypeError, "effect must be an Effect, not str"),
    ("no effect", {"effect": None}, TypeError, "effect"),
    ("another enum", {"effect": Outcome.REJECTED}, TypeError, "effect must be an Effect, not Outcome"),
    ("no method", {"method": None}, TypeError, "method must be a str"),
    ("unknown method", {"method": "FETCH"}, ValueError, "method must be one of GET"),
    ("tunnel", {"method": "CONNECT"}, ValueError, "method"),
    ("two lines of method", {"method": "GET /it HTTP/1.1\r\nX: 1"}, ValueError, "method"),
    ("no name", {"name": ""}, ValueError, "name must be an identifier"),
    ("name with a space", {"name": "do it"}, ValueError, "name"),
    ("name that is no text", {"name": 1}, TypeError, "name must be a str"),
    ("slot without a type", {"path": "/it/{id}"}, ValueError, "a slot needs a name and a type"),
    ("slot without a name", {"path": "/it/{:int}"}, ValueError, "a slot needs a name"),
    ("slot that is a number", {"path": "/it/{0:int}"}, ValueError, "a slot needs a name"),
    ("half a slot", {"path": "/it/{id:int"}, ValueError, "a slot needs a name"),
    ("slot of an unknown type", {"path": "/it/{id:float}"}, ValueError, "unknown slot type 'float'"),
    ("slot of two types", {"path": "/{id:int}/{id:str}"}, ValueError, "'id' has two types"),
    ("path that is no text", {"path": b"/it"}, TypeError, "path must be a str, not bytes"),
    ("relative path", {"path": "it"}, ValueError, "starts with '/'"),
    ("query in the path", {"path": "/it?all=1"}, ValueError, "without query"),
    ("fragment in the path", {"path": "/it#all"}, ValueError, "without query"),
    ("space in the path", {"path": "/it all"}, ValueError, "encoded"),
    ("end of line in the path", {"path": "/it\n"}, ValueError, "encoded"),
    ("upwards", {"path": "/it/../all"}, ValueError, "segment"),
    ("upwards, encoded", {"path": "/it/%2E%2e"}, ValueError, "segment"),
    ("dataclass", {"returns": DataClass}, TypeError, "DataClass is a dataclass; decorate it with @attrs.frozen"),
    ("list of dataclass", {"returns": list[DataClass]}, TypeError, "DataClass is a dataclass"),
    ("dataclass in a class", {"returns": Deep}, TypeError, "Deep.of: DataClass is a dataclass"),
    ("dataclass of attrs", {"returns": DataClassOfAttrs}, TypeError, "DataClassOfAttrs is a dataclass"),
    ("pydantic", {"returns": pydantic_like("Model")}, TypeError, "Model is a pydantic model; declare it with @attrs"),
    ("plain class", {"returns": Plain}, TypeError, "Plain can't be read"),
    ("named tuple", {"returns": Pair}, TypeError, "Pair can't be read"),
    ("subclass of str", {"returns": Name}, TypeError, "Name can't be read"),
    ("bytes", {"returns": bytes}, TypeError, "bytes can't be read"),
    ("None", {"returns": None}, TypeError, "subclass of Empty, not None"),
    ("value", {"returns": VoidResult()}, TypeError, "returns"),
    ("value that can't be hashed", {"returns": [Item]}, TypeError, "returns"),
    ("type that can't be hashed", {"returns": Annotated[Item, []]}, TypeError, "returns"),
    ("name not defined", {"returns": Late}, TypeError, "NotDefined"),
    ("either", {"returns": Undecided}, TypeError, "Undecided.of: .* JSON does not say which"),
    ("generic without its argument", {"returns": Page}, TypeError, r"needs its argument, like Page\[Item\]"),
    ("generic of a dataclass", {"returns": Page[DataClass]}, TypeError, "Page.items: DataClass is a dataclass"),
    ("subclass of a generic of a dataclass", {"returns": WrongPage}, TypeError, "WrongPage.items: DataClass is a data"),
    ("subclass that is generic, too", {"returns": Named}, TypeError, r"needs its argument, like Page\[Item\]"),
    ("keys of numbers", {"returns": dict[int, Item]}, TypeError, r"keys of a JSON object are texts; use dict\[str"),
    ("keys of amounts", {"returns": Mapping[Decimal, int]}, TypeError, "keys of a JSON object are texts"),
    ("new type", {"returns": ItemNumber}, TypeError, "ItemNumber can't be read; use what it stands for, int"),
    ("new type of a list", {"returns": ItemNumbers}, TypeError, r"use what it stands for, list\[int\]"),
    ("enumeration of floats", {"returns": list[Rate]}, TypeError, "Rate has a value that no JSON equals; use"),
    ("enumeration of days", {"returns": Holiday}, TypeError, "Holiday has a value that no JSON equals; use"),
    ("Empty itself", {"returns": Empty}, TypeError, "from_answer"),
    ("Empty that says nothing", {"returns": Silent}, TypeError, "Silent needs a from_answer"),
    ("query of a list", {"query": [Query("q")]}, TypeError, "query must be a mapping"),
    ("query of text", {"query": {"q": "q"}}, TypeError, r"query\['q'\] must be a Query, not str"),
    ("query by number", {"query": {1: Query("q")}}, TypeError, "query"),
    ("query argument with a space", {"query": {"a b": Query("q")}}, ValueError, "identifier"),
    ("two of one name", {"query": {"a": Query("q"), "b": Query("q")}}, ValueError, "two parameters of one name"),
    ("query and slot", {"path": "/{q:str}", "query": {"q": Query("q")}}, ValueError, "two arguments 'q'"),
    ("slot and body", {"path": "/{body:str}", "body": dict}, ValueError, "two arguments 'body'"),
    (
        "query and further ones",
        {"query": {"query": Query("q")}, "open_query": True},
        ValueError,
        "two arguments 'query'",
    ),
    ("open_query as text", {"open_query": "no"}, TypeError, "open_query must be a bool"),
    ("body that is a dataclass", {"body": DataClass}, TypeError, "body must be a class decorated with @attrs.frozen"),
    ("body that is a value", {"body": {}}, TypeError, "body"),
    ("body that is generic", {"body": list[Item]}, TypeError, "body"),
    ("body that is a union", {"body": Item | None}, TypeError, "body"),
    ("body that is a float", {"body": float}, TypeError, "body"),
    ("multipart as a number", {"body": dict, "multipart": 1}, TypeError, "multipart must be a bool"),
    ("multipart without a body", {"multipart": True}, ValueError, "multipart needs a body"),
    ("conflicts as text", {"retry_conflict": "AGAIN"}, TypeError, "retry_conflict"),
    ("conflicts as a list", {"retry_conflict": ["AGAIN"]}, TypeError, "retry_conflict"),
    ("conflicts that are no text", {"retry_conflict": frozenset({409})}, TypeError, "retry_conflict"),
    ("lone_item without a list", {"returns": Item, "lone_item": True}, ValueError, "lone_item"),
    ("lone_item as text", {"returns": list[Item], "lone_item": "yes"}, TypeError, "lone_item"),
    ("scopes as text", {"scopes": "READ"}, TypeError, "scopes must be a tuple, not str"),
    ("scopes that are no text", {"scopes": (1,)}, TypeError, "scopes"),
    ("empty role", {"roles": ("",)}, ValueError, "roles"),
    ("deprecated as a bool", {"deprecated": True}, TypeError, "deprecated must be a str"),
    ("source", {"source": None}, TypeError, "source must be a str"),
]


@goes_through(("changes", "kind", "text"), [row[1:] for row in WRONG])
def test_wrong_field_is_refused(changes: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        operation(**changes)


@goes_through(
    "returns",
    [
        *(Any, object, dict, list, str, int, bool, Decimal, date, datetime, UUID, Color),
        *(Item, Rich, Derived, Page[Item], Page[Any], Loud, VoidResult),
        *(MyPage, Named[Item], Both[Item, int], MyBoth, Twice[int], Mixed, list[MyPage]),
        Band,
        *(list[Item], list[Any], list[list[Item]], dict[str, Item], tuple[Item, ...], Item | None),
    ],
)
def test_what_can_be_read_may_be_returned(returns: Any) -> None:
    assert operation(returns=returns).returns is returns


def test_what_may_be_returned_can_be_read() -> None:
    answer = b'{"numbers":[1,null],"kind":"a","table":{"x":{"number":1,"next":{"number":2}}},"price":1.5}'
    rich = Rich((1, None), "a", {"x": Item(1, Item(2))}, Decimal("1.5"))
    assert codec.load(answer, Rich) == rich
    assert codec.load(b'{"items":[{"number":1}]}', Page[Item]) == Page((Item(1),))
    assert codec.load(b'{"items":[{"number":1}]}', MyPage) == MyPage((Item(1),))
    assert codec.load(b'{"items":[{"number":1}]}', Named[Item]) == Named((Item(1),))
    assert codec.load(b'{"items":[{"number":1}],"other":7}', Twice[int]) == Twice((Item(1),), 7)
    assert codec.load(b'{"items":[{"number":1}]}', Mixed) == Mixed((Item(1),))
    both = b'{"items":[[{"number":1}]],"other":7}'
    assert codec.load(both, Both[Item, int]) == Both(((Item(1),),), other=7)
    assert codec.load(both, MyBoth) == MyBoth(((Item(1),),), other=7)


@goes_through("body", [dict, list, str, UUID, Item, None])
def test_what_can_be_sent_may_be_a_body(body: Any) -> None:
    assert operation(body=body).body is body


@goes_through("name", ["", "\ud800", 1, None])
def test_query_needs_a_name(name: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="name"):
        Query(name)


@goes_through(
    ("fields", "text"),
    [
        ({"kind": float}, "kind must be str, int, bool, UUID or datetime"),
        ({"kind": "int"}, "kind"),
        ({"kind": [int]}, "kind"),
        ({"kind": int, "minimum": 1.5}, "minimum must be an int"),
        ({"kind": int, "maximum": True}, "maximum must be an int"),
        ({"kind": int, "minimum": 2, "maximum": 1}, "minimum must not be above maximum"),
        ({"minimum": 1}, "minimum and maximum are for int"),
    ],
)
def test_query_is_checked(fields: dict[str, Any], text: str) -> None:
    with pytest.raises((TypeError, ValueError), match=text):
        Query("q", **fields)


def test_who_changes_the_table_does_not_change_the_operation() -> None:
    table = {"q": Query("q")}
    declared = operation(query=table)
    table["p"] = Query("p")
    assert set(declared.query) == {"q"} == declared.arguments


@goes_through("effect", [*Effect, "read", "write", None, 0])
@goes_through("outcome", Outcome)
def test_what_is_no_effect_is_not_repeated(effect: Any, outcome: Outcome) -> None:
    """Whatever came by the checks: what may have had an effect is repeated only if that is known to be harmless."""
    harmless = effect in (Effect.READ, Effect.IDEMPOTENT) or outcome in (Outcome.NOT_SENT, Outcome.REJECTED)
    assert may_repeat(effect, outcome, passing=True) is harmless
    assert not may_repeat(effect, outcome, passing=False)


def test_method_may_be_in_small_letters() -> None:
    assert operation(method="delete").method == "DELETE"


def test_operation_can_be_pickled() -> None:
    original = membership.CREATE_IDLE_PERIOD_AMENDMENT
    again: Any = pickle.loads(pickle.dumps(original))
    assert again.arguments == original.arguments
    with pytest.raises(TypeError, match="needs the argument 'contract_id'"):
        again.request({})


def test_fields_are_checked_however_they_come() -> None:
    with pytest.raises(TypeError, match="effect"):
        attrs.evolve(membership.GET_CONTRACT_DATA, effect=SimpleNamespace(value="read"))
