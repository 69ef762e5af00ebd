"""The error envelope of the CloudCockpit API: statusCode, type, description, correlationId, errors."""

from typing import Any, Final

from sdk_core import codec
from sdk_core.details import ErrorDetails, FieldError

__all__ = ["read_error"]

_MOST: Final = 20
"""Fields, and messages of one: a request has no more, whatever a server sends. `ErrorDetails.raw` has all of them."""


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body, whatever it is."""
    raw = codec.parse_or_none(body)
    envelope = codec.as_object(raw)
    return ErrorDetails(
        code=codec.as_text(envelope.get("type")),
        message=codec.as_text(envelope.get("description")),
        fields=tuple(map(_field_error, codec.as_list(envelope.get("errors"))[:_MOST])),
        trace_id=codec.as_text(envelope.get("correlationId")),
        # The only field that can't be null.
        recognised=type(envelope.get("statusCode")) is int,
        raw=raw,
        body=body[:2048],
    )


def _field_error(item: Any) -> FieldError:
    error = codec.as_object(item)
    messages = map(codec.as_text, codec.as_list(error.get("description"))[:_MOST])
    return FieldError(codec.as_text(error.get("propertyName")), tuple(text for text in messages if text is not None))
