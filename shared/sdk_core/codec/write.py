"""attrs classes to JSON text."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from types import NoneType
from typing import Any
from uuid import UUID

import attrs
import msgspec
from cattrs import Converter
from cattrs.gen import make_dict_unstructure_fn, override

from sdk_core.codec.enums import OpenEnum, OpenEnumObject
from sdk_core.codec.shapes import Made, has_attrs, json_name


def encode_datetime(name: str, value: datetime) -> str:
    """Return an aware datetime as UTC in ISO 8601; a naive one is refused, because it names no instant."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{name} must be an aware datetime (with tzinfo)")
    return value.astimezone(UTC).isoformat()


def dump(value: Any) -> bytes:
    """Return `value` (an attrs instance or JSON value) as JSON; `None` and empty defaults are left out.

    Raises:
        TypeError: something in it is no JSON value; a float, too, as it can't hold most decimal amounts.
        ValueError: a number is not finite, or a text holds half of a surrogate pair.
    """
    try:
        return _WRITER.encode(_exact(_UNSTRUCTURING[value.__class__](value)))
    except UnicodeEncodeError:
        # It shows the text.
        problem = ValueError("a text holds half of a surrogate pair, which JSON can't carry")
    raise problem


_WRITER = msgspec.json.Encoder()


_PLAIN = frozenset({str, int, bool, NoneType, date, UUID})
"""What msgspec writes as JSON has it; of their subclasses it knows nothing."""


def _exact(value: Any) -> Any:
    """Return a JSON value in a form that is written just as it is, or refuse it: msgspec would write much more."""
    kind = value.__class__
    if kind is dict:
        for key, item in value.items():
            if type(item) not in _PLAIN or type(key) is not str:
                break
        else:
            # Nothing in it has to be looked into: most bodies are like that.
            return value
    if issubclass(kind, dict):
        return {_key(key): item if type(item) in _PLAIN else _exact(item) for key, item in value.items()}
    if issubclass(kind, list | tuple):
        return [item if type(item) in _PLAIN else _exact(item) for item in value]
    return value if kind in _PLAIN else _exact_scalar(value, kind)


def _exact_scalar(value: Any, kind: type) -> Any:
    if issubclass(kind, str):
        return str.__str__(value)
    if issubclass(kind, int):
        return int(value)
    if issubclass(kind, float):
        raise TypeError("pass Decimal, not float: a float can't hold most decimal amounts")
    if not issubclass(kind, Decimal):
        raise TypeError(f"a {kind.__name__} can't be sent as JSON")
    if not value.is_finite():
        raise ValueError("a JSON number must be finite")
    return msgspec.Raw(f"{value:f}".encode())


def _key(key: object) -> str:
    if type(key) is date or type(key) is UUID:
        return str(key)
    if not isinstance(key, str):
        raise TypeError(f"a JSON key must be a str, not {type(key).__name__}")
    return str.__str__(key)


def _to_object(cls: Any, converter: Converter) -> Callable[[Any], dict[str, Any]]:
    overrides: dict[str, Any] = {a.name: override(rename=json_name(a)) for a in attrs.fields(cls)}
    return make_dict_unstructure_fn(cls, converter, _cattrs_omit_if_default=True, **overrides)


@cache
def _converter() -> Converter:
    """Return the one converter that writes, made when it is first needed."""
    converter = Converter()
    # What is exactly of such a class is left to msgspec, which writes the same, and faster.
    converter.register_unstructure_hook(date, lambda value: value if type(value) is date else date.isoformat(value))
    converter.register_unstructure_hook(datetime, lambda value: encode_datetime("datetime", value))
    converter.register_unstructure_hook(UUID, lambda value: value if type(value) is UUID else str(value))
    converter.register_unstructure_hook(OpenEnum, str)
    converter.register_unstructure_hook(OpenEnumObject, lambda value: {"name": str(value)})
    converter.register_unstructure_hook_factory(has_attrs, _to_object)
    return converter


_UNSTRUCTURING = Made(lambda kind: _converter().get_unstructure_hook(kind))
