"""Types that only an application's own models have: read as they are declared, or refused; never converted."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from types import UnionType
from typing import Annotated, Any, Final, Generic, Literal, TypeVar, Union, get_args, get_origin
from typing import Dict as OldDict  # noqa: UP035  as older code has it
from typing import Mapping as OldMapping  # noqa: UP035

import attrs
import pytest
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from model_json import exact

from sdk_core import codec

T = TypeVar("T")


class Size(str, Enum):  # noqa: UP042  as older code has it
    SMALL = "s"
    ANY = ""


class Unit(StrEnum):
    DAY = "day"


class Level(IntEnum):
    LOW = 1


class Right(IntFlag):
    READ = 1
    WRITE = 2


class Mode(Flag):
    A = 1
    B = 2


class Answer(Enum):
    YES = True
    HALF = 0.5


@pytest.mark.parametrize(
    ("shape", "text", "expected"),
    [
        (Size, b'"s"', Size.SMALL),
        (Unit, b'"day"', Unit.DAY),
        (Level, b"1", Level.LOW),
        (Right, b"3", Right.READ | Right.WRITE),
        (Mode, b"3", Mode.A | Mode.B),
        (Answer, b"true", Answer.YES),
        (Answer, b"0.5", Answer.HALF),
        (set[Level], b"[1, 1]", {Level.LOW}),
        (tuple[Size, Level], b'["s", 1]', (Size.SMALL, Level.LOW)),
        (dict[Size, int], b'{"s": 1}', {Size.SMALL: 1}),
        (Literal[Size.SMALL, 1], b'"s"', Size.SMALL),
        (Literal["a", None], b"null", None),  # noqa: PYI061  the subject
        # An empty text is a value where it is declared as one.
        (Size | None, b'""', Size.ANY),
        (Unit | None, b'""', None),
        (Literal["", "a"] | None, b'""', ""),
        (Annotated[str, "note"] | None, b'""', ""),
        (Annotated[set[Unit], "note"], b'["day"]', {Unit.DAY}),
        (list[Annotated[datetime | None, "note"]], b'["2024-05-04T09:42:00"]', [None]),
        (Sequence[Sequence[str]], b'[["ab"]]', (("ab",),)),
        (tuple[int], b"[1]", (1,)),
        (OldDict, b'{"a": 1}', {"a": 1}),  # noqa: UP006
        (OldMapping, b'{"a": 1}', {"a": 1}),
        (float, b"1e308", 1e308),
    ],
    ids=str,
)
def test_is_read_as_declared(shape: Any, text: bytes, expected: object) -> None:
    assert exact(codec.load(text, shape)) == exact(expected)


@pytest.mark.parametrize(
    ("shape", "text"),
    [
        (Size, b'"x"'),
        (Unit, b'"x"'),
        *((Level, text) for text in (b"true", b"1.0", b'"1"', b"2", b"null", b"[1]", b"{}")),
        (Right, b"true"),
        (Mode, b"8"),
        (Answer, b"1"),
        *((Literal[1, "a"], text) for text in (b"true", b"1.0", b'"1"', b"null", b"[1]", b"{}")),
        (Literal[True], b"1"),
        # A text is no list of its letters, at any depth.
        (set[frozenset[str]], b'["ab"]'),
        (Sequence[Sequence[str]], b'["ab"]'),
        (Mapping[str, Sequence[str]], b'{"a": "ab"}'),
        (tuple[set[str], int], b'["ab", 1]'),
        (tuple[tuple[str, str], int], b'["ab", 1]'),
        (tuple[Sequence[Any], int], b'["ab", 1]'),
        (Annotated[set[str], "note"], b'"ab"'),
        (tuple[int], b"[]"),
        (tuple[int], b"[1, 2]"),
        (float, b"1e999"),
        (float, b"1" + b"0" * 400),
    ],
    ids=str,
)
def test_is_not_converted(shape: Any, text: bytes) -> None:
    with pytest.raises(codec.ShapeError):
        codec.load(text, shape)


@attrs.frozen
class Noted(Generic[T]):
    size: Annotated[Size | None, "note"] = Size.SMALL
    number: Annotated[int | None, "note"] = 5
    item: Annotated[T | None, "note"] = None
    raw: object = 5
    last: Final[Annotated[int | None, "note"]] = 5
    kind: Literal["a", None] = "a"  # noqa: PYI061


def test_null_is_a_value_where_the_type_has_it() -> None:
    """Also where the type is annotated, any JSON, or a list of values with None in it; elsewhere it is the default."""
    assert Noted(None, None, None, None, None, None) == codec.load(
        b'{"size":null,"number":null,"item":null,"raw":null,"last":null,"kind":null}', Noted[int]
    )
    assert codec.load(b"{}", Noted[int]) == Noted()
    assert codec.load(b'{"item":7}', Noted[int]) == Noted(item=7)


@attrs.frozen
class Private:
    _id: int
    _last_name: str = ""
    class_: str = ""
    other: int = attrs.field(default=0, alias="another")


def test_private_attribute_has_the_key_of_its_public_name() -> None:
    """As its argument has in the constructor."""
    text = b'{"id":1,"lastName":"x","class":"y","other":2}'
    assert codec.load(text, Private) == Private(1, "x", "y", 2)
    assert codec.dump(Private(1, "x", "y", 2)) == text


_known: list[type] = []


class Listed:
    """Knows its subclasses, as registries of an application do."""

    __slots__ = ()

    def __init_subclass__(cls) -> None:
        _known.append(cls)


@attrs.frozen
class Event(Listed):
    list_price: int


def test_bases_are_told_of_no_class_that_the_application_does_not_know() -> None:
    known = [*_known]
    assert codec.load(b'{"listPrice":1}', Event) == Event(1)
    assert _known == known


class Name(str):
    __slots__ = ()


@attrs.frozen
class Called:
    name: Name = attrs.field(converter=Name)


def test_subclass_of_a_scalar_is_made_by_the_converter_of_its_attribute() -> None:
    assert exact(codec.load(b'{"name":"x"}', Called)) == exact(Called(Name("x")))
    with pytest.raises(codec.ShapeError):
        codec.load(b'"x"', Name)


@attrs.frozen
class Checked:
    name: str = attrs.field(validator=attrs.validators.matches_re("[A-Z]+"))


def test_who_refuses_a_value_is_named_and_the_value_is_not() -> None:
    """All its types may be right; and the text of a validator's error shows the value."""
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b'{"a":{"name":"secret"}}', dict[str, Checked])
    assert caught.value.problems == ("$[*]: refused by Checked with ValueError",)
    with pytest.raises(codec.ShapeError) as caught:
        codec.load(b'["secret"]', list[Size])
    assert caught.value.problems == ("$[0]: expected a value of Size",)


PLAIN: tuple[Any, ...] = (str, int, bool, Decimal, float, date, Any, Size, Level, Mode, Literal["s", 1], Literal[True])
SHAPES: st.SearchStrategy[Any] = st.recursive(
    st.sampled_from(PLAIN),
    lambda inner: st.one_of(
        inner.map(lambda kind: list[kind]),
        inner.map(lambda kind: tuple[kind, ...]),
        inner.map(lambda kind: tuple[kind]),
        inner.map(lambda kind: Sequence[kind]),
        inner.map(lambda kind: Annotated[kind, "note"]),
        inner.map(lambda kind: kind if kind is Any else kind | None),
        st.tuples(inner, inner).map(lambda kinds: tuple[kinds]),
        st.tuples(st.sampled_from([str, Size]), inner).map(lambda kinds: dict[kinds]),
        st.sampled_from(PLAIN).map(lambda kind: set[kind]),
    ),
    max_leaves=3,
)
VALUES = st.recursive(
    st.sampled_from([None, True, False, 0, 1, Decimal("1.0"), Decimal("0.5"), "", "s", "ss", "1", "2026-01-31"]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["s", "1"]), inner, max_size=1),
    max_leaves=4,
)


def is_as_declared(value: Any, shape: Any) -> bool:
    """Whether a value is what a type checker takes it for."""
    kind, args = get_origin(shape), get_args(shape)
    if shape is Any:
        return True
    if kind is Annotated:
        return is_as_declared(value, args[0])
    if kind in {Union, UnionType}:
        return value is None or is_as_declared(value, args[0])
    if kind is Literal:
        return any(type(value) is type(arg) and value == arg for arg in args)
    if kind is dict:
        keys, values = args
        return all(is_as_declared(key, keys) and is_as_declared(item, values) for key, item in value.items())
    if kind is tuple and args[1:] != (...,):
        return len(value) == len(args) and all(map(is_as_declared, value, args))
    if kind is not None:
        return type(value) is (tuple if kind is Sequence else kind) and all(is_as_declared(v, args[0]) for v in value)
    return type(value) is shape


@fuzzed(300)
@given(SHAPES, VALUES)
@example(Sequence[Sequence[str]], ["ss"])
@example(tuple[int], [1, 1])
@example(set[Level], [True])
def test_whatever_is_read_is_as_declared_and_comes_back(shape: Any, value: Any) -> None:
    try:
        read = codec.load(codec.dump(value), shape)
    except codec.ShapeError:
        return
    assert is_as_declared(read, shape)
    try:
        text = codec.dump(read)
    except TypeError as error:
        assert "float" in str(error) or "a set can't" in str(error)  # noqa: PT017  only sometimes
        return
    assert exact(codec.load(text, shape)) == exact(read)
