"""JSON text to JSON values, and safe looks into a value that may be anything.

    bytes --> msgspec ------------------------------> value
                | any refusal
                v
              json.loads(), which also reads -------> value, or NotJsonError
              UTF-16, UTF-32, a byte order mark
              and half of a surrogate pair

Numbers with a fraction or an exponent become `Decimal`, made from their digits in the text.
"""

import gc
import json
from collections.abc import Generator
from contextlib import contextmanager
from decimal import Decimal
from math import inf
from typing import Any, Final, NoReturn

import msgspec

from sdk_core.fork import reset_in_child

__all__ = [
    "LARGE",
    "NotJsonError",
    "as_list",
    "as_object",
    "as_text",
    "decimal",
    "parse",
    "parse_or_none",
    "uncollected",
    "without_floats",
]


class NotJsonError(ValueError):
    """The bytes are no JSON text."""


def _refuse_constant(_text: str) -> NoReturn:
    raise NotJsonError


def decimal(text: str) -> Decimal:
    """Return a number; for large texts: at a function that is not written in C, other threads may go on."""
    return Decimal(text)


_DECODER = msgspec.json.Decoder(float_hook=Decimal)
_DECODER_OF_LARGE = msgspec.json.Decoder(float_hook=decimal)
_REFUSALS = (msgspec.MsgspecError, ValueError, ArithmeticError, RecursionError)
"""What reading a text may raise. ArithmeticError: an exponent beyond what `Decimal` can hold."""


LARGE: Final = 2**16
"""Bytes of a text from which on reading it may take long: 10 ms and more, if there are many small objects in it."""


class _Pause:
    """Whether the garbage collector is off because of us."""

    is_on = False

    def reset_after_fork(self) -> None:
        """Switch it on in a forked child: the thread that would do so does not exist there."""
        if self.is_on:
            self.is_on = False
            gc.enable()


_pause: Final = _Pause()
reset_in_child(_pause)


@contextmanager
def uncollected() -> Generator[None, None, None]:
    """Have no garbage collected while a large text is read, in all threads.

    What JSON holds has no cycles, so that there is nothing to find. But Python would search the growing number of new
    objects again and again, which takes four fifths of the time that a MiB of `{}` takes, and of `[]` nearly all.
    """
    gc.disable()
    _pause.is_on = True
    try:
        yield
    finally:
        _pause.is_on = False
        gc.enable()


def parse(text: bytes) -> Any:
    """Return the JSON value in `text`, numbers with a fraction as `Decimal`.

    Raises:
        NotJsonError: it is no JSON (`NaN` and `Infinity` are none).
    """
    decoder = _DECODER
    if len(text) >= LARGE:
        if gc.isenabled():
            with uncollected():
                return parse(text)
        decoder = _DECODER_OF_LARGE
    try:
        return decoder.decode(text)
    except _REFUSALS:
        pass
    try:
        return json.loads(text, parse_float=decimal, parse_constant=_refuse_constant)
    except _REFUSALS:
        raise NotJsonError from None


def parse_or_none(text: bytes, *, below: float = inf) -> Any:
    """Return the JSON value in `text`, or None if it is no JSON, or not shorter than `below` bytes."""
    try:
        return parse(text) if len(text) < below else None
    except NotJsonError:
        return None


def without_floats(value: Any) -> Any:
    """Return a JSON value that others have parsed, with `Decimal` in place of floats: of the digits Python shows."""
    kind = value.__class__
    if issubclass(kind, float):
        return Decimal(float.__repr__(value))
    if issubclass(kind, dict):
        return {key: without_floats(item) for key, item in value.items()}
    return [without_floats(item) for item in value] if issubclass(kind, list | tuple) else value


def as_object(value: Any) -> dict[str, Any]:
    """Return `value` if it is a JSON object, else an empty one: for reading what may be anything."""
    found: dict[str, Any] = value if issubclass(value.__class__, dict) else {}
    return found


def as_list(value: Any) -> list[Any]:
    """Return the items of `value` if it is a JSON list, else an empty list."""
    return [*value] if isinstance(value, list) else []


def as_text(value: Any) -> str | None:
    """Return `value` if it is a JSON string, else None."""
    return value if isinstance(value, str) else None
