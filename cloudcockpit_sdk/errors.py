"""The error envelope of the CloudCockpit API: statusCode, type, description, correlationId, errors."""

from typing import Any

from sdk_core import codec
from sdk_core.errors import ErrorDetails, FieldError

__all__ = ["read_error"]


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body; one that is not the API's envelope gives details that are not `recognised`."""
    excerpt = body[:2048]
    try:
        raw = codec.parse(body)
    except codec.NotJsonError:
        return ErrorDetails(body=excerpt)
    match raw:
        case {"statusCode": int()}:
            return ErrorDetails(
                code=_text(raw.get("type")),
                message=_text(raw.get("description")),
                fields=tuple(map(_field_error, _list(raw.get("errors")))),
                trace_id=_text(raw.get("correlationId")),
                recognised=True,
                raw=raw,
                body=excerpt,
            )
        case _:
            return ErrorDetails(raw=raw, body=excerpt)


def _field_error(item: Any) -> FieldError:
    match item:
        case {"propertyName": name}:
            return FieldError(_text(name), tuple(filter(None, map(_text, _list(item.get("description"))))))
        case _:
            return FieldError(None)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
