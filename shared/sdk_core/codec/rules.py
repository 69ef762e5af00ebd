"""The exact reader: the rules by which objects are made of JSON values.

`structure(value, shape)` takes a value that was parsed already, and raises ShapeError with the misfits. It decides what
the SDKs accept: the fast reader in twins.py may refuse more, but neither accepts more nor reads to another value.

Each type below has a rule that converts nothing: the value is of the type that the API documents, or a WrongTypeError
says what was expected.

    JSON           is read as            by
    scalar         str, int, Decimal...  scalars.py, by class
    scalar         Literal, Enum         scalars.py: the very value, as to Python 1 is True
    anything, null X | None              containers.optional_rule: also takes what servers send where they have no value
    object         attrs class           containers.object_rule: made per class, renames keys to attributes
    object         dict, Mapping         containers.dict_rule
    list           list, tuple           containers.list_rule: made per type of item
    anything       object, Any           scalars.unchanged
    anything else  set, Sequence...      cattrs, which asks these rules for what is inside

cattrs is asked last, because it converts ("false" to True, null to "None", "ab" to ["a", "b"]); and it is imported
when a class of an application's own needs it: no model of the SDKs does, and it takes as long as tens of calls.

What is tolerated, and told to `Reading.tolerate`, costs a field at most, never the answer:

- an empty text where a value may be missing and no text is documented: None; so is the empty name of an enumeration;
- a date-time of the year 1 where it may be missing: None, because .NET has no other value for "none";
- a date-time without offset where it may be missing: None, because it names no instant, and a guess would move it;
- null where a list is documented, but not a missing one: an empty list;
- an enumeration as bare text where `{"name": ...}` is documented, and the reverse;
- digits in a text for a whole number, only where an attribute has `metadata={"digits": True}`.
"""

from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from enum import Enum
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

from sdk_core.codec.containers import annotated_rule, dict_rule, list_rule, object_rule, optional_rule
from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import (
    MOST_PROBLEMS,
    EnoughError,
    NoRuleError,
    Reading,
    ShapeError,
    WrongTypeError,
    current_reading,
)
from sdk_core.codec.scalars import SCALAR_RULES, Rule, exactly, literal_rule, unchanged
from sdk_core.codec.shapes import has_attrs, is_optional, is_uniform

__all__ = ["prepare", "structure"]

T = TypeVar("T")


def structure(value: Any, shape: type[T], reading: Reading | None = None) -> T:
    """Return the JSON value as `shape`.

    Args:
        value: as `parse` returns it.
        shape: an attrs class, or any other type of which the rules know.
        reading: told what is tolerated; without one nothing is, as in what is sent.

    Raises:
        ShapeError: it does not fit; the paths of the misfits are named.
    """
    is_strict = reading is None
    reading = reading or Reading()
    token = current_reading.set(reading)
    result: Any = None
    kind: Any = shape  # To mypy, a type[T] may be unhashable.
    with suppress(EnoughError):
        try:
            result = _rule_of(kind)(value, kind)
        except EnoughError:
            raise
        except Exception as error:  # noqa: BLE001  No I/O runs here: whatever a class raises, the value does not fit.
            reading.note(error)
    current_reading.reset(token)
    # Outside of the handler, so that an error that shows values does not become the context of this one.
    if is_strict:
        deviations = [f"{path}: {kind}" for path, kind in reading.deviations]
        reading.problems = [*reading.problems, *deviations][:MOST_PROBLEMS]
    if reading.problems:
        raise ShapeError(tuple(reading.problems), result)
    structured: T = result
    return structured


def prepare(shape: Any) -> None:
    """Import now what is needed to read `shape` itself: calls do not wait for an import."""
    if not has_attrs(shape):
        _rule_of(shape)


@cache
def _rule_of(shape: Any) -> Rule:
    return _own_rule(shape) or _cattrs_rule(shape)


def _own_rule(shape: Any) -> Rule | None:
    """Return our rule for what is read as `shape`; None if there is none."""
    if (rule := _RULES_BY_CLASS.get(shape)) is not None:
        return rule
    if isinstance(shape, type) and issubclass(shape, Enum):
        return SCALAR_RULES[next(kind for kind in shape.__mro__ if kind in _ENUMS)]
    origin: Any = get_origin(shape)
    if origin is Literal:
        return literal_rule(shape)
    make_rule: Callable[[Any, Callable[[Any], Rule]], Rule] | None = None
    if origin in {list, tuple} and is_uniform(shape):
        make_rule = list_rule
    elif origin in {dict, Mapping} and get_args(shape):
        make_rule = dict_rule
    elif origin is Annotated:
        make_rule = annotated_rule
    elif is_optional(shape):
        make_rule = optional_rule
    elif has_attrs(shape):
        make_rule = object_rule
    return None if make_rule is None else make_rule(shape, _rule_of)


_ENUMS = frozenset({Enum, OpenEnum, OpenEnumObject})
_RULES_BY_CLASS: Mapping[Any, Rule] = {
    **SCALAR_RULES,
    **dict.fromkeys((Any, object), unchanged),
    dict: exactly(dict, "an object"),
    list: exactly(list, "a list"),
}


# What only cattrs knows


def _cattrs_rule(shape: Any) -> Rule:
    from cattrs import Converter, StructureHandlerNotFoundError  # noqa: PLC0415  see the module's docstring

    # Of its own for each shape: all else, whatever it holds, is left to our rules.
    converter, form = Converter(detailed_validation=False), _form_of(get_origin(shape) or shape)

    def inside(value: Any, kind: Any) -> Any:
        if kind == shape:
            # A subclass of a scalar: to cattrs the same as the scalar.
            raise NoRuleError("nothing can read this type")
        return _rule_of(kind)(value, kind)

    # By class, too: cattrs asks the rules for classes first, and has its own ones.
    for kind in SCALAR_RULES:
        converter.register_structure_hook(kind, inside)
    converter.register_structure_hook_factory(lambda kind: kind != shape, _rule_of)

    def rule(value: Any, kind: Any) -> Any:
        # cattrs takes whatever can be iterated over: of a text its letters, of an object its keys.
        if form is not None and type(value) is not form:
            raise WrongTypeError("expected an object" if form is dict else "expected a list")
        try:
            return converter.structure(value, kind)
        except StructureHandlerNotFoundError:
            raise NoRuleError("nothing can read this type") from None

    return rule


def _form_of(kind: Any) -> type | None:
    """Return what the parsed JSON of a collection is."""
    if not isinstance(kind, type) or not issubclass(kind, Collection) or issubclass(kind, str | bytes):
        return None
    return dict if issubclass(kind, Mapping) else list
