"""The rules for what holds other values: objects, lists, and what may be missing.

They are our own, because cattrs' rules either stop at the first misfit, without its path, or collect all of them: of a
million misfits, for minutes. An item that does not fit is noted and left out of its list, so that the readable ones are
at hand.
"""

from collections.abc import Callable, Collection
from datetime import datetime
from enum import Enum
from types import NoneType
from typing import Any, Final, Literal, NamedTuple, TypeVar, cast, get_args, get_origin

import attrs

from sdk_core.codec.enums import OpenEnumObject
from sdk_core.codec.problems import ANY_ITEM, EnoughError, MisfitError, NoRuleError, WrongTypeError, current_reading
from sdk_core.codec.scalars import NaiveError, Rule, as_datetime
from sdk_core.codec.shapes import bare, is_enum, is_optional, json_name, original_of, typed_attributes
from sdk_core.codec.text import as_list, as_object

__all__ = ["annotated_rule", "dict_rule", "list_rule", "object_rule", "optional_rule"]

C = TypeVar("C", bound=Collection[Any])
_ABSENT: Final[Any] = object()
_INT64_DIGITS: Final = 19
_TEXTS: Final = frozenset({str, object, Any})
"""Of what an empty text is a value."""


def annotated_rule(shape: Any, rule_of: Callable[[Any], Rule]) -> Rule:
    """Return the rule for `Annotated[X, ...]`, which is that for X."""
    structure_value = _structuring(bare(shape), rule_of)
    return lambda value, _shape: structure_value(value)


# What may be missing


def optional_rule(shape: Any, rule_of: Callable[[Any], Rule]) -> Rule:
    """Return the rule for `X | None`: what servers send where they have no value is None, and told."""
    kind: Any = bare(next(member for member in get_args(shape) if member is not NoneType))
    is_text = kind in _TEXTS or "" in _choices(kind)
    is_choice = is_enum(kind)
    is_named = is_choice and issubclass(kind, OpenEnumObject)
    structure_value = _structuring(kind, rule_of)

    def rule(value: Any, _shape: Any) -> Any:
        if value is None or (is_named and as_object(value).get("name") is None and type(value) is dict):
            # CloudCockpit's documentation has samples with {} for no value.
            return None
        if is_choice and as_object(value).get("name") == "":
            current_reading.get().tolerate("an empty name for no value")
            return None
        if type(value) is str and (why := _why_none(value, kind, is_text=is_text)):
            current_reading.get().tolerate(why)
            return None
        return structure_value(value)

    return rule


def _choices(kind: Any) -> tuple[Any, ...]:
    """Return the values that an application's own type lists."""
    if get_origin(kind) is Literal:
        return get_args(kind)
    if isinstance(kind, type) and issubclass(kind, Enum) and not is_enum(kind):
        return tuple(member.value for member in kind)
    return ()


def _why_none(text: str, kind: Any, *, is_text: bool) -> str | None:
    """Return what is odd about a text that servers send where they have no value; None if it may be one."""
    if not text and not is_text:
        return "an empty text for no value"
    if kind is datetime:
        if text.startswith("0001-01-01T"):
            return "a date-time of the year 1 for no value"
        try:
            as_datetime(text, kind)
        except NaiveError:
            return "a date-time without offset: left out"
        except WrongTypeError:
            pass
    return None


# Objects and lists


class _Attribute(NamedTuple):
    """How one attribute of a class is read."""

    key: str
    step: str
    """The key as a part of a path."""
    argument: str
    """Its name in the constructor."""
    structure: Callable[[Any], Any]
    required: bool
    null_is_default: bool


def object_rule(cls: Any, rule_of: Callable[[Any], Rule]) -> Rule:
    """Return the rule for an attrs class. All its attributes are read, so that all misfits are noted."""
    attributes = [
        _attribute(attribute, Any if kind is None else kind, rule_of)
        for attribute, kind in typed_attributes(cls)
        if attribute.init and not attribute.metadata.get("original")
    ]
    make = get_origin(cls) or cls
    original = original_of(make)

    def rule(value: Any, _shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        reading, fits = current_reading.get(), True
        path = reading.path
        arguments: dict[str, Any] = {}
        for key, step, argument, structure_value, required, null_is_default in attributes:
            found = cast("dict[str, Any]", value).get(key, _ABSENT)
            if (found is _ABSENT and not required) or (found is None and null_is_default):
                continue
            path.append(step)
            try:
                if found is _ABSENT:
                    raise WrongTypeError("required, but missing")  # noqa: TRY301  caught with what all rules raise
                arguments[argument] = structure_value(found)
            except EnoughError:
                raise
            except Exception as error:  # noqa: BLE001  as in `structure`
                fits = False
                reading.note(error)
            path.pop()
        if not fits:
            raise MisfitError
        if original is not None:
            arguments[original.alias or original.name] = cast("dict[str, Any]", value)
        return _made(make, arguments)

    return rule


def _made(cls: Any, arguments: dict[str, Any]) -> Any:
    try:
        return cls(**arguments)
    except Exception as error:  # noqa: BLE001  as in `structure`
        # Its text may show a value.
        raise WrongTypeError(f"refused by {cls.__name__} with {type(error).__name__}") from None


def _attribute(attribute: Any, kind: Any, rule_of: Callable[[Any], Rule]) -> _Attribute:
    key, has_default = json_name(attribute), attribute.default is not attrs.NOTHING
    may_be_null = kind in {Any, object} or is_optional(kind) or None in _choices(kind)
    structure_value = _structuring(kind, rule_of)
    if attribute.converter is not None:
        structure_value = _or_unchanged(structure_value)
    if attribute.metadata.get("digits"):
        structure_value = _or_digits(structure_value)
    return _Attribute(
        key,
        f".{key}",
        attribute.alias or attribute.name,
        structure_value,
        not has_default,
        null_is_default=has_default and not may_be_null,
    )


def _structuring(kind: Any, rule_of: Callable[[Any], Rule]) -> Callable[[Any], Any]:
    """Return the function that makes a `kind` of a value. Its rule is looked up late: a class may hold its own kind."""
    rule: Rule | None = None

    def structure_value(value: Any) -> Any:
        nonlocal rule
        if rule is None:
            rule = rule_of(kind)
        return rule(value, kind)

    return structure_value


def _or_unchanged(structure_value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def structured(value: Any) -> Any:
        try:
            return structure_value(value)
        except NoRuleError:
            # Only the converter of the attribute itself knows how to make one.
            return value

    return structured


def _or_digits(structure_value: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def structured(value: Any) -> Any:
        if type(value) is str and value.isascii() and value.isdigit() and len(value) <= _INT64_DIGITS:
            current_reading.get().tolerate("digits in a text for a whole number")
            return structure_value(int(value))
        return structure_value(value)

    return structured


def list_rule(shape: Any, rule_of: Callable[[Any], Rule]) -> Rule:
    """Return the rule for a list, or a tuple of any length, with items of one type."""
    make, structure_item = get_origin(shape), _structuring(get_args(shape)[0], rule_of)

    def rule(value: Any, _shape: Any) -> Any:
        reading, given = current_reading.get(), as_list(value)
        if value is None:
            reading.tolerate("null for an empty list")
        elif type(value) is not list:
            raise WrongTypeError("expected a list")
        items: list[Any] = []
        reading.path.append(0)
        for index, item in enumerate(given):
            reading.path[-1] = index
            try:
                items.append(structure_item(item))
            except EnoughError:
                raise
            except Exception as error:  # noqa: BLE001  as in `structure`
                reading.note(error)
        reading.path.pop()
        return _not_emptied(given, items if make is list else make(items))

    return rule


def dict_rule(shape: Any, rule_of: Callable[[Any], Rule]) -> Rule:
    """Return the rule for a mapping with keys and values of one type each."""
    structure_key, structure_item = (_structuring(kind, rule_of) for kind in get_args(shape))

    def rule(value: Any, _shape: Any) -> Any:
        if type(value) is not dict:
            raise WrongTypeError("expected an object")
        given, reading = as_object(value), current_reading.get()
        items: dict[Any, Any] = {}
        # A key that no model knows may be somebody's name.
        reading.path.append(ANY_ITEM)
        for key, item in given.items():
            try:
                items[structure_key(key)] = structure_item(item)
            except EnoughError:
                raise
            except Exception as error:  # noqa: BLE001  as in `structure`
                reading.note(error)
        reading.path.pop()
        return _not_emptied(given, items)

    return rule


def _not_emptied(given: Collection[Any], found: C) -> C:
    """Return the items that could be read; if that is none of those given, what they are a part of may not fit.

    The list would look empty. An item that it is a part of is left out then; if it is a part of none, whoever reads
    the answer decides.
    """
    if given and not found and current_reading.get().is_inside_item:
        raise MisfitError
    return found
