"""An API's own error body in the words both APIs share, and what of it may be shown."""

import re
from collections.abc import Mapping
from typing import Any, Self

from attrs import field, frozen

__all__ = ["ErrorDetails", "FieldError", "safe_code"]

# Only what looks like a code or an id is shown, kept in pickles and logged: no sentence, no e-mail address.
_CODE = re.compile(r"[\w.\-\[\]/:]{1,128}", re.ASCII)


def safe_code(text: str | None) -> str | None:
    """Return `text` if it looks like a code, else None: what may be shown of a server's answer."""
    return text if text is not None and _CODE.fullmatch(text) else None


def _shown(text: str | None) -> str:
    return repr(safe_code(text))


@frozen
class FieldError:
    """What the API says about one field of the request."""

    name: str | None = field(repr=_shown)
    messages: tuple[str, ...] = field(default=(), repr=False)


@frozen
class ErrorDetails:
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
    """Whether the body was the API's envelope (False: empty, HTML from a proxy, ...)."""
    raw: Any = field(default=None, repr=False)
    """The whole JSON body, or None if it was no JSON."""
    body: bytes = field(default=b"", repr=False)
    """The body as received; of an error status its first 2 KiB."""

    @classmethod
    def from_facts(cls, facts: Mapping[str, Any]) -> Self:
        """Rebuild details from the JSON data of an error: what the server wrote in its own words is not among it."""
        rebuilt: dict[str, Any] = {**facts, "fields": tuple(FieldError(name) for name in facts.get("fields", ()))}
        return cls(**rebuilt)

    def to_facts(self) -> dict[str, Any]:
        """Return the codes and ids as JSON data: what may leave the process."""
        return {
            "code": safe_code(self.code),
            "reference": safe_code(self.reference),
            "trace_id": safe_code(self.trace_id),
            "fields": [safe_code(item.name) for item in self.fields],
            "recognised": self.recognised,
        }
