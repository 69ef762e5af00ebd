"""The exact reader: the rules by which objects are made of JSON values.

`structure(value, shape)` takes a value that was parsed already, and raises ShapeError with the misfits. It decides what
the SDKs accept: the fast reader in twins.py may refuse more, but neither accepts more nor reads to another value.

By default cattrs converts ("false" to True, null to "None", 5 to "5"). Each type below has a rule that converts nothing
instead: the value is of the type that the API documents, or a WrongTypeError says what was expected.

    JSON           is read as            by
    scalar         str, int, Decimal...  scalars.py, by class
    anything, null X | None              containers.optional_rule: also takes what servers send where they have no value
    object         attrs class           containers.object_rule: made per class, renames keys to attributes
    object         dict                  containers.dict_rule
    list           list, tuple           containers.list_rule: made per type of item
    anything       object                scalars.unchanged

What is tolerated, and told to `Reading.tolerate`, costs a field at most, never the answer:

- an empty text where a value may be missing and no text is documented: None; so is the empty name of an enumeration;
- a date-time of the year 1 where it may be missing: None, because .NET has no other value for "none";
- a date-time without offset where it may be missing: None, because it names no instant, and a guess would move it;
- null where a list is documented, but not a missing one: an empty list;
- an enumeration as bare text where `{"name": ...}` is documented, and the reverse;
- digits in a text for a whole number, only where an attribute has `metadata={"digits": True}`.
"""

from contextlib import suppress
from functools import cache
from typing import Any, TypeVar

from cattrs import Converter

from sdk_core.codec.containers import dict_rule, list_rule, object_rule, optional_rule
from sdk_core.codec.problems import MOST_PROBLEMS, EnoughError, Reading, ShapeError, current_reading
from sdk_core.codec.scalars import SCALAR_RULES, unchanged
from sdk_core.codec.shapes import has_attrs, is_generic, is_object, is_optional

__all__ = ["structure"]

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
    with suppress(EnoughError):
        try:
            result = _reading_converter().structure(value, shape)
        except EnoughError:
            raise
        except Exception as error:  # noqa: BLE001  No I/O runs here: whatever cattrs raises, the value does not fit.
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


@cache
def _reading_converter() -> Converter:
    """Return the one converter that reads, made when it is first needed and not when the SDK is imported."""
    converter = Converter(detailed_validation=False)
    # By class, not by predicate: cattrs asks the rules for classes first, and has one of its own for every Enum.
    for kind, rule in SCALAR_RULES.items():
        converter.register_structure_hook(kind, rule)
    converter.register_structure_hook_func(is_object, unchanged)
    converter.register_structure_hook_factory(is_generic(list), list_rule(list))
    converter.register_structure_hook_factory(is_generic(tuple), list_rule(tuple))
    converter.register_structure_hook_factory(is_generic(dict), dict_rule)
    converter.register_structure_hook_factory(is_optional, optional_rule)
    converter.register_structure_hook_factory(has_attrs, object_rule)
    return converter
