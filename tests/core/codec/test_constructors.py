"""Classes with a constructor of their own: built by it, whichever reader is asked."""

import dataclasses
from datetime import datetime
from decimal import Decimal
from typing import Any, Generic, Self, TypeVar

import attrs
import pytest
from cases import goes_through
from model_json import exact

from cloudcockpit_sdk import TermDuration
from membership_sdk import CancelationStatus
from sdk_core import codec
from sdk_core.codec.twins import READERS, READERS_OF_LARGE

T = TypeVar("T")


@attrs.frozen
class Leaf:
    name: str
    inner: tuple["Leaf", ...] = ()


@attrs.frozen
class Pair(Generic[T]):
    item: T
    rest: tuple[T, ...] = ()


@attrs.define
class Changeable:
    count: int


def not_negative(_instance: object, _attribute: object, value: int) -> None:
    if value < 0:
        raise ValueError


@attrs.frozen
class Validated:
    count: int = attrs.field(validator=not_negative)


@attrs.frozen
class Converted:
    name: str = attrs.field(converter=str.upper)


@attrs.define
class Counted:
    count: int

    def __attrs_post_init__(self) -> None:
        self.count += 1


@attrs.define
class Prepared:
    count: int

    def __attrs_pre_init__(self, count: int) -> None:
        if count < 0:
            raise ValueError


@attrs.define
class OwnInit:
    count: int

    def __init__(self, count: int) -> None:
        self.count = count + 1


class OwnInitOfSubclass(Changeable):
    def __init__(self, count: int) -> None:
        super().__init__(count + 1)


@attrs.define
class OwnNew:
    count: int

    def __new__(cls, *counts: int) -> Self:
        if min(counts, default=0) < 0:
            raise ValueError
        return super().__new__(cls)


class Increasing(type):
    def __call__(cls, **counts: int) -> Any:
        return super().__call__(**{name: count + 1 for name, count in counts.items()})


@attrs.define
class OwnMetaclass(metaclass=Increasing):
    count: int


@attrs.define
class OwnSetattr:
    count: int

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value + 1)


@attrs.frozen
class NotGiven:
    count: int
    twice: int = attrs.field(init=False, default=2)


@attrs.frozen
class Made:
    items: list[int] = attrs.field(factory=list)


@attrs.frozen
class Derived:
    count: int
    same: int = attrs.Factory(lambda self: self.count, takes_self=True)


@attrs.frozen(slots=False)
class WithDict:
    count: int


@attrs.frozen(cache_hash=True)
class Hashed:
    count: int


@attrs.frozen
class NullOrFive:
    count: int | None = 5
    unit: CancelationStatus | None = CancelationStatus.CANCELED


@attrs.frozen
class Nothing:
    pass


@attrs.frozen
class Box(Generic[T]):
    item: T
    rest: list[T] = ()  # type: ignore[assignment]
    best: T = 5  # type: ignore[assignment]
    codes: dict[str, T] | None = None


@attrs.frozen
class Nested:
    name: str
    inner: tuple["Nested", ...] = ()
    more: list[Validated | None] | None = None


@attrs.frozen
class PairOfInt(Pair[int]):
    more: int = 0


class Plain:
    """No attrs class: only an attribute's own converter knows how to make one."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Plain) and other.count == self.count

    def __hash__(self) -> int:
        return hash(self.count)

    def __repr__(self) -> str:
        return f"Plain({self.count})"


@attrs.frozen
class ConvertedToPlain:
    plain: Plain = attrs.field(converter=Plain)


@attrs.frozen
class Crossed:
    id: Decimal = attrs.field(metadata={"json": "number"})
    amount: Decimal = attrs.field(metadata={"json": "id"})


@attrs.frozen
class CrossedTexts:
    name: CancelationStatus | None = attrs.field(metadata={"json": "displayName"})
    internal: str = attrs.field(metadata={"json": "name"})


EMPTY = CancelationStatus("")


@attrs.frozen
class WithDefaults:
    duration: TermDuration | None = TermDuration.ONE_YEAR
    status: CancelationStatus | None = EMPTY
    amount: Decimal | None = 5  # type: ignore[assignment]


@dataclasses.dataclass(slots=True)
class Data:
    pass


@attrs.define
class FromData(Data):
    count: int


@goes_through(
    ("shape", "value", "expected"),
    [
        (PairOfInt, {"item": 1, "rest": [1, 2]}, PairOfInt(1, (1, 2))),
        (PairOfInt, {"item": 1, "rest": ["1"]}, None),
        (ConvertedToPlain, {"plain": 1}, ConvertedToPlain(1)),
        (Crossed, {"number": 1, "id": 2}, Crossed(Decimal(1), Decimal(2))),
        (CrossedTexts, {"displayName": "", "name": ""}, CrossedTexts(None, "")),
        (WithDefaults, {}, WithDefaults()),
        (WithDefaults, {"duration": None, "status": None, "amount": 1}, WithDefaults(None, None, Decimal(1))),
        # msgspec takes it for a dataclass, which has no such field.
        (FromData, {"count": 1}, FromData(1)),
        (Validated, {"count": 1}, Validated(1)),
        (Validated, {"count": -1}, None),
        (Converted, {"name": "a"}, Converted("A")),
        (Counted, {"count": 1}, Counted(1)),
        (Prepared, {"count": -1}, None),
        (OwnInit, {"count": 1}, OwnInit(1)),
        (OwnInitOfSubclass, {"count": 1}, OwnInitOfSubclass(1)),
        (OwnNew, {"count": -1}, None),
        (OwnMetaclass, {"count": 1}, OwnMetaclass(count=1)),
        (OwnSetattr, {"count": 1}, OwnSetattr(1)),
        (NotGiven, {"count": 1, "twice": 5}, NotGiven(1)),
        (Made, {}, Made([])),
        (Made, {"items": None}, Made([])),
        (Made, {"items": [1]}, Made([1])),
        (Derived, {"count": 1}, Derived(1, 1)),
        (Derived, {"count": 1, "same": 2}, Derived(1, 2)),
        (Derived, {"count": 1, "same": None}, Derived(1, 1)),
        (WithDict, {"count": 1}, WithDict(1)),
        (Hashed, {"count": 1}, Hashed(1)),
        (Changeable, {"count": 1}, Changeable(1)),
        (NullOrFive, {}, NullOrFive()),
        (NullOrFive, {"count": None, "unit": None}, NullOrFive(None, None)),
        (NullOrFive, {"count": 6, "unit": ""}, NullOrFive(6, None)),
        (NullOrFive, {"count": "6"}, None),
        (Nothing, {"zzz": 1}, Nothing()),
        (Nothing, [], None),
        (Box[int], {"item": 1, "rest": [2], "codes": {"a": 3}}, Box(1, [2], codes={"a": 3})),
        (Box[int], {"item": "1"}, None),
        (Box[int], {"item": 1, "rest": ["2"]}, None),
        (Box[int | None], {"item": None, "best": None}, Box(None, best=None)),
        (Nested, {"name": "a"}, Nested("a")),
        (Nested, {"name": "a", "inner": [{"name": "b", "inner": None}]}, Nested("a", (Nested("b"),))),
        (Nested, {"name": "a", "more": [None, {"count": 1}]}, Nested("a", more=[None, Validated(1)])),
        (Nested, {"name": "a", "more": [{"count": -1}]}, None),
        (Nested, {"name": "a", "inner": [{}]}, None),
        (dict[str, int], {"a": 1}, {"a": 1}),
        (dict[str, Nested], {"a": {}}, None),
        (int | str, 1, None),
        (list[Decimal], [1, "1.5"], None),
        (tuple[datetime, ...], ["2024-05-04 09:42:00Z"], None),
        (list[dict[str, Any]] | None, [{"a": None}], [{"a": None}]),
    ],
)
def test_classes_of_others_are_built_as_they_want(shape: Any, value: Any, expected: Any) -> None:
    """A class with a constructor of its own kind is built by it; None: the value is refused."""
    text = codec.dump(value)
    if expected is None:
        with pytest.raises(codec.ShapeError):
            codec.load(text, shape)
        return
    result = codec.load(text, shape)
    assert exact(result) == exact(expected) == exact(codec.structure(value, shape, codec.Reading()))
    if isinstance(result, Hashed):
        assert hash(result) == hash(expected)


@pytest.mark.parametrize(
    ("shape", "value", "expected"),
    [
        (Leaf, {"name": "a", "inner": [{"name": "b"}]}, Leaf("a", (Leaf("b"),))),
        (Pair[int], {"item": 1, "rest": [2]}, Pair(1, (2,))),
    ],
    ids=["tree", "generic"],
)
def test_trees_and_generics_are_read_by_the_fast_reader(shape: Any, value: Any, expected: Any) -> None:
    """As all classes are that only store."""
    for readers in (READERS, READERS_OF_LARGE):
        assert exact(readers[shape](codec.dump(value))) == exact(expected)
