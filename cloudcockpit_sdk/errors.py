"""The error envelope of the CloudCockpit API: statusCode, type, description, correlationId, errors.

The 409 to a cancellation is documented with a body of its own: see `CancelConflict`.
"""

from typing import Any, Final

from sdk_core import codec
from sdk_core.details import ErrorDetails
from sdk_core.envelopes import field_errors, foreign_error, own_code

__all__ = ["read_error"]

_CONFLICT: Final = "the subscription does not allow it now; the answer has it as it is in the portal"
"""Documented of a cancellation only, without a reason; other operations may answer the same."""


def read_error(body: bytes) -> ErrorDetails:
    """Read an error body, whatever it is; a large one is none of the API's, and would hold the event loop up."""
    raw = codec.parse_or_none(body, below=codec.LARGE)
    envelope = codec.as_object(raw)
    if not _is_own(envelope):
        if envelope.get("portalSubscription") is not None:
            return ErrorDetails(recognised=True, meaning=_CONFLICT, raw=raw, body=body[:2048])
        return foreign_error(raw, body)
    description = envelope.get("description")
    return ErrorDetails(
        code=own_code(envelope.get("type")),
        message=codec.as_text(description)
        or " ".join(filter(None, map(codec.as_text, codec.as_list(description))))
        or None,
        fields=field_errors(envelope.get("errors")),
        trace_id=codec.as_text(envelope.get("correlationId")),
        recognised=True,
        raw=raw,
        body=body[:2048],
    )


def _is_own(envelope: dict[str, Any]) -> bool:
    # `statusCode` is the only field that can't be null. Azure API Management, which may stand in front, sends it, too:
    # with a `message`, which the API does not have.
    return type(envelope.get("statusCode")) is int and "message" not in envelope
