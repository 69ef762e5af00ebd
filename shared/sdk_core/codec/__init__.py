"""JSON to attrs classes and back: strict about types, open about what is new, silent about values.

One private cattrs converter serves both SDKs; msgspec reads what fits, which is most, to the same values. JSON names
are the camelCase of attribute names. Unknown keys are ignored, unknown enum values kept; `null` or a wrong type where
a value is required is an error that names the JSON path, never the value. Money and other fractions are `Decimal`,
read from the JSON text without a float in between.
"""

from contextlib import suppress
from typing import Any, TypeVar, cast, get_args

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.problems import ShapeError
from sdk_core.codec.rules import structure
from sdk_core.codec.text import NotJsonError, as_list, as_object, as_text, parse, parse_or_none
from sdk_core.codec.twins import READERS
from sdk_core.codec.write import dump, encode_datetime

__all__ = [
    "NotJsonError",
    "OpenEnum",
    "OpenEnumObject",
    "ShapeError",
    "as_list",
    "as_object",
    "as_text",
    "dump",
    "encode_datetime",
    "load",
    "parse",
    "parse_or_none",
    "structure",
]

T = TypeVar("T")


def load(text: bytes, shape: type[T], *, lone_item: bool = False) -> T:
    """Return the JSON `text` as `shape`.

    Args:
        text: in any of JSON's encodings.
        shape: an attrs class, or `list` of one.
        lone_item: whether a lone object is taken for a list of one.

    Raises:
        NotJsonError: it is no JSON.
        ShapeError: it does not fit; the paths of all misfits are named.
    """
    kind: Any = shape  # To mypy, a type[T] may be unhashable.
    try:
        value: T = READERS[kind](text)
        return value  # noqa: TRY300  the shortest way
    except Exception:  # noqa: BLE001, S110  whatever the fast path says, the detailed one says it better
        pass
    if lone_item:
        with suppress(Exception):
            (item,) = get_args(kind)
            lone: Any = [READERS[item](text)]
            return cast("T", lone)
    found = parse(text)
    return structure([as_object(found)] if lone_item and isinstance(found, dict) else found, shape)
