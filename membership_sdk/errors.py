"""The error envelope of the Membership API: errorMessage, errorCode, traceId, reference, args, typedArgs."""

from sdk_core import codec
from sdk_core.details import ErrorDetails

__all__ = ["read_error"]


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body, whatever it is. The deprecated `args` and `typedArgs` are in `ErrorDetails.raw`."""
    raw = codec.parse_or_none(body)
    envelope = codec.as_object(raw)
    message = codec.as_text(envelope.get("errorMessage"))
    return ErrorDetails(
        code=codec.as_text(envelope.get("errorCode")),
        message=message,
        reference=codec.as_text(envelope.get("reference")),
        trace_id=codec.as_text(envelope.get("traceId")),
        # The only field the API always sends.
        recognised=message is not None,
        raw=raw,
        body=body[:2048],
    )
