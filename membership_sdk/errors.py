"""The error envelope of the Membership API: errorMessage, errorCode, traceId, reference, args, typedArgs."""

from sdk_core import codec
from sdk_core.details import ErrorDetails
from sdk_core.envelopes import foreign_error, own_code

__all__ = ["read_error"]


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body, whatever it is; a large one is none of the API's, and would hold the event loop up.

    The deprecated `args` and `typedArgs` are in `ErrorDetails.raw`.
    """
    raw = codec.parse_or_none(body, below=codec.LARGE)
    envelope = codec.as_object(raw)
    message = codec.as_text(envelope.get("errorMessage"))
    # The only field the API always sends.
    if message is None:
        return foreign_error(raw, body)
    return ErrorDetails(
        code=own_code(envelope.get("errorCode")),
        message=message,
        reference=codec.as_text(envelope.get("reference")),
        trace_id=codec.as_text(envelope.get("traceId")),
        recognised=True,
        raw=raw,
        body=body[:2048],
    )
