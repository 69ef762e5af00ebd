"""What errors are made of: their facts, and an API's own error body, with what of it may be shown."""

import re
from typing import Any, TypedDict

from attrs import field, frozen

from sdk_core.value import Value

__all__ = ["ErrorDetails", "Facts", "FieldError", "safe_code"]

# Only what looks like a code or an id is shown, kept in pickles and logged: no sentence, no e-mail address.
_CODE = r"(?a:[\w.\-\[\]/:]{1,128})"
"""Compiled with the first error: most processes see none, and all import this."""


def safe_code(text: str | None) -> str | None:
    """Return `text` if it looks like a code, else None: what may be shown of a server's answer."""
    return text if text is not None and re.fullmatch(_CODE, text) else None


def _shown(text: str | None) -> str:
    return repr(safe_code(text))


@frozen
class FieldError(Value):
    """What the API says about one field of the request."""

    name: str | None = field(repr=_shown)
    messages: tuple[str, ...] = field(default=(), repr=False)


@frozen
class ErrorDetails(Value):
    """The API's own error envelope, in the words both APIs share."""

    code: str | None = field(default=None, repr=_shown)
    """Machine-readable kind: `errorCode` (Membership) or `type` (CloudCockpit). Branch on this, never on text."""
    message: str | None = field(default=None, repr=False)
    """Human text, maybe localised, maybe naming people: show it to the caller's user, do not log it."""
    reference: str | None = field(default=None, repr=_shown)
    """Path of the offending field, like `parent.child` (Membership); of a token endpoint's error, its number, like
    `AADSTS7000215`."""
    fields: tuple[FieldError, ...] = ()
    """Errors of single fields (CloudCockpit)."""
    trace_id: str | None = field(default=None, repr=_shown)
    """The server's id of this failure; quote it to the API's support."""
    recognised: bool = False
    """Whether the body was the API's envelope, or another that it documents (False: empty, HTML from a proxy, 64 KiB or
    more, ...)."""
    meaning: str | None = None
    """What such another body means, in words of ours: they stand in the error's text."""
    raw: Any = field(default=None, repr=False, hash=False)
    """The whole JSON body, or None if it was no JSON, or 64 KiB or more of an error status."""
    body: bytes = field(default=b"", repr=False)
    """The body as received; of an error status its first 2 KiB."""


class Facts(TypedDict, total=False):
    """What an error is made of beside its message: JSON data, which the properties of the errors explain."""

    operation: str
    request: str
    """Method and path template: they go into the text."""
    outcome: str
    retryable: bool
    retry_after: float | None
    retry_at_once: bool
    retries_suppressed: bool
    correlation_id: str | None
    correlation_ids: list[str]
    attempts: list[dict[str, Any]]
    cause: str | None
    limit: str
    status: int
    problems: list[str]
    details: dict[str, Any]
    maybe_own_previous_attempt: bool
    state: str
