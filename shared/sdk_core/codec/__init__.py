"""JSON to attrs classes and back.

`load(text, shape)` returns JSON text as an object of a class; `dump(value)` is the way back. The names of JSON keys are
the camelCase of attribute names. Unknown keys are ignored and unknown values of enumerations are kept, so that an API
may add both. `null` or a wrong type where a value is required is an error, which names the JSON path and never the
value. Money and other fractions are `Decimal`, made from the digits in the text without a float in between.

There are two readers, which give the same values. The fast one is tried first. If it raises anything, the exact one
reads the text again: only that one names what is wrong, and reads what is tolerated.

    load(text, shape)
      |
      v
    twins.READERS[shape](text) ---> value           msgspec, from bytes straight to objects: nearly every answer
      |
      |  any error: dropped, as it may show values, and does not name all that is wrong
      v
    text.parse(text) -------------> NotJsonError
      |
      |  JSON value; lists.as_items() looks for a list in what stands for one
      v
    rules.structure(...) ---------> value           value by value; what is tolerated is told
      |
      v
    ShapeError                                      the first 20 misfits with their JSON paths, and the readable items

`dump` is in write.py. Imports go in one direction only (`a <- b`: b imports a):

    enums, problems, text <- scalars <- containers <- rules
    enums <- shapes <- containers
    exact, problems, rules, shapes <- write
    scalars, shapes, text <- twins
    problems <- lists
"""

import gc
from collections.abc import Callable
from typing import Any, TypeVar, get_origin

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.lists import Unwrap, as_items
from sdk_core.codec.problems import Reading, ShapeError
from sdk_core.codec.rules import prepare, structure
from sdk_core.codec.text import (
    LARGE,
    NotJsonError,
    as_list,
    as_object,
    as_text,
    parse,
    parse_or_none,
    uncollected,
    without_floats,
)
from sdk_core.codec.twins import READERS, READERS_OF_LARGE
from sdk_core.codec.write import dump, encode_datetime

__all__ = [
    "LARGE",
    "READERS",
    "NotJsonError",
    "OpenEnum",
    "OpenEnumObject",
    "Reading",
    "ShapeError",
    "Unwrap",
    "as_list",
    "as_object",
    "as_text",
    "dump",
    "encode_datetime",
    "load",
    "parse",
    "parse_or_none",
    "prepare",
    "structure",
    "without_floats",
]

T = TypeVar("T")


def load(
    text: bytes,
    shape: type[T],
    *,
    lone_item: bool = False,
    unwrap: Unwrap | None = None,
    tell: Callable[[str, str], None] | None = None,
) -> T:
    """Return the JSON `text` as `shape`. It may be called in any thread.

    Args:
        text: in any of JSON's encodings. Nothing at all stands for an empty list.
        shape: an attrs class, or `list` of one.
        lone_item: whether a lone object is taken for a list of one.
        unwrap: finds the items where an object stands for a list; None from it: it is no page.
        tell: called with path and kind of each deviation that was tolerated, even if the rest does not fit.

    Raises:
        NotJsonError: it is no JSON.
        ShapeError: it does not fit; the paths of the misfits are named.
    """
    readers = READERS
    if len(text) >= LARGE:
        if gc.isenabled():
            with uncollected():
                return load(text, shape, lone_item=lone_item, unwrap=unwrap, tell=tell)
        readers = READERS_OF_LARGE
    kind: Any = shape  # To mypy, a type[T] may be unhashable.
    # The exact reader is called after the handler, not in it. In it, the fast reader's error would become the context
    # of what is raised, and its message may show a value.
    try:
        value: T = readers[kind](text)
    except Exception:  # noqa: BLE001, S110  Whatever it is, the exact reader reads the text again and decides.
        pass
    else:
        return value
    reading = Reading()
    is_list = get_origin(kind) is list
    found = None if is_list and not text.strip() else parse(text)
    try:
        return structure(as_items(found, reading, lone_item, unwrap) if is_list else found, shape, reading)
    except ShapeError as error:
        error.raw = found
        raise
    finally:
        if tell is not None:
            for path, deviation in reading.deviations:
                tell(path, deviation)
