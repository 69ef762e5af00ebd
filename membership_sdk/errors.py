"""The error envelope of the Membership API: errorMessage, errorCode, traceId, reference, args, typedArgs."""

from typing import Any

from sdk_core import codec
from sdk_core.errors import ErrorDetails

__all__ = ["read_error"]


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body; one that is not the API's envelope gives details that are not `recognised`."""
    excerpt = body[:2048]
    try:
        raw = codec.parse(body)
    except codec.NotJsonError:
        return ErrorDetails(body=excerpt)
    match raw:
        case {"errorMessage": str(message)}:
            return ErrorDetails(
                code=_text(raw.get("errorCode")),
                message=message,
                reference=_text(raw.get("reference")),
                trace_id=_text(raw.get("traceId")),
                recognised=True,
                raw=raw,
                body=excerpt,
            )
        case _:
            return ErrorDetails(raw=raw, body=excerpt)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
