"""JSON text."""

import json
from decimal import Decimal
from typing import Any, NoReturn

import msgspec


class NotJsonError(ValueError):
    """The bytes are no JSON text."""


def _refuse_constant(_text: str) -> NoReturn:
    raise NotJsonError


_PARSER = msgspec.json.Decoder(float_hook=Decimal)


def parse(text: bytes) -> Any:
    """Return the JSON value in `text`, numbers with a fraction as `Decimal`.

    Raises:
        NotJsonError: it is no JSON (`NaN` and `Infinity` are none).
    """
    try:
        return _PARSER.decode(text)
    except Exception:  # noqa: BLE001, S110  json.loads() has the last word
        pass
    # UTF-16, a byte order mark, half a surrogate pair, or no JSON: json.loads() knows them all.
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=_refuse_constant)
    # Arithmetic: an exponent beyond what Decimal can hold.
    except (ValueError, ArithmeticError, RecursionError):
        raise NotJsonError from None


def parse_or_none(text: bytes) -> Any:
    """Return the JSON value in `text`, or None if it is no JSON."""
    try:
        return parse(text)
    except NotJsonError:
        return None


def as_object(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty one: for reading what may be anything."""
    found: dict[str, Any] = value if issubclass(value.__class__, dict) else {}
    return found


def as_list(value: Any) -> list[Any]:
    """Return `value` if it is a JSON list, else an empty one."""
    return [*value] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return `value` if it is a JSON string, else None."""
    return value if isinstance(value, str) else None
