"""Models leave the process, and come back: as JSON, with the API's own names and every digit of its amounts."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TypeVar, get_origin

from attrs import has

from sdk_core.codec import NotJsonError, ShapeError, dump, load
from sdk_core.codec.write import to_builtins

if TYPE_CHECKING:
    from attrs import AttrsInstance

__all__ = ["from_json", "to_dict", "to_json"]

T = TypeVar("T")


def to_json(model: "AttrsInstance | Sequence[AttrsInstance]") -> bytes:
    """Return a model, or a list or tuple of models, as the API's JSON.

    Amounts are numbers, written digit by digit; dates and UUIDs are text; fields that are None or empty by default are
    left out.

    Raises:
        TypeError: it is no model; or raw JSON in it holds something else, a float, too, as it can't hold most decimal
            amounts.
        ValueError: a number is not finite, or a date-time names no instant.
    """
    given: object = model
    if isinstance(given, Sequence) and not isinstance(given, str | bytes):
        return dump(model)
    return dump(_model(given))


def to_dict(model: "AttrsInstance") -> dict[str, Any]:
    """Return a model as the object that `to_json` writes: amounts are `Decimal`, dates and UUIDs are text.

    Raises:
        TypeError, ValueError: as for `to_json`.
    """
    values: dict[str, Any] = to_builtins(_model(model))
    return values


def _bytes(text: object) -> bytes:
    if isinstance(text, str):
        # Half of a surrogate pair is read as JSON's escape of it is. Python's own error would hold the whole text.
        return text.encode(errors="surrogatepass")
    if isinstance(text, bytes | bytearray):
        return bytes(text)
    raise TypeError(f"text must be bytes or str, not {type(text).__name__}")


def _model(value: object) -> Any:
    if not has(type(value)):
        raise TypeError(f"model must be a model, not {type(value).__name__}")
    return value


def from_json(shape: type[T], text: bytes | str) -> T:
    """Return the model that a JSON text holds: what `to_json` wrote, or an answer of the API that was kept.

    Args:
        shape: the model's class, or `list` of one.
        text: bytes in any of JSON's encodings, or text.

    Raises:
        TypeError: `shape` is no class, or `text` no text.
        ValueError: it is no JSON of that model; the text names the JSON paths that do not fit, and shows no value.
    """
    kind: Any = shape  # A generic one with its argument is no type, whatever its annotation says.
    if not isinstance(kind, type) and get_origin(kind) is None:
        raise TypeError(f"shape must be the class of a model, or list of one, not {type(kind).__name__}")
    given = _bytes(text)
    problem = "it is no JSON"
    try:
        # An answer may be empty where there is nothing to list; a text that was kept is not.
        if given.strip():
            return load(given, shape)
    except NotJsonError:
        pass
    except ShapeError as error:
        problem = ", ".join(error.problems)
    # Outside of the handlers, so that no error that shows a value becomes the context of this one.
    raise ValueError(f"text can't be read as {kind.__name__ if isinstance(kind, type) else kind}: {problem}")
