"""What Microsoft Entra's token endpoint says when it refuses: its numbers (AADSTS...), and what to do about them.

The description stays out of everything: it may repeat the secret that was sent.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from sdk_core import codec
from sdk_core.details import ErrorDetails, safe_code

__all__ = ["advice", "explain", "read_refusal"]

_KEPT: Final = ("error", "error_codes", "trace_id", "correlation_id", "timestamp")
_NUMBER: Final = re.compile(r"AADSTS(\d{1,10})")
_MOST_NUMBERS: Final = 5

_TENANT: Final = "the tenant in token_url does not exist: check token_url"
_ADVICE: Final[Mapping[int, str]] = {
    7000215: "the client secret is wrong: pass the secret's value, not its id",
    7000222: "the client secret has expired: make a new one, and pass that",
    90002: _TENANT,
    900021: _TENANT,
    65001: "the consent is missing: an administrator has to grant the application access to the API",
    700016: "the tenant has no application of this client_id: check client_id, and the tenant in token_url",
}


def read_refusal(body: bytes) -> ErrorDetails:
    """Read an error of the token endpoint (RFC 6749, 5.2) without its description.

    `code` is OAuth's `error`, `reference` the first of Entra's numbers. `raw` holds all of them, and the correlation
    id, for the text of the error; the error that a call raises is a copy, which has no `raw`.
    """
    envelope = codec.as_object(codec.parse_or_none(body))
    code = safe_code(codec.as_text(envelope.get("error")))
    numbers = _numbers(envelope)
    kept: dict[str, Any] = {key: safe_code(codec.as_text(envelope.get(key))) for key in _KEPT if key in envelope}
    if numbers:
        kept["error_codes"] = numbers
    return ErrorDetails(
        code=code,
        reference=f"AADSTS{numbers[0]}" if numbers else None,
        trace_id=kept.get("trace_id"),
        recognised=code is not None,
        raw=kept or None,
    )


def explain(details: ErrorDetails) -> str:
    """Return the codes and ids in one text, for the message of an error; empty if there are none."""
    kept = codec.as_object(details.raw)
    codes = [details.code, *(f"AADSTS{number}" for number in codec.as_list(kept.get("error_codes")))]
    ids = [f"{key.replace('_', ' ')} {kept[key]}" for key in ("trace_id", "correlation_id") if kept.get(key)]
    return ", ".join([code for code in codes if code] + ids)


def advice(details: ErrorDetails) -> str | None:
    """Return what to do, if the error is a known one."""
    numbers = codec.as_list(codec.as_object(details.raw).get("error_codes"))
    return next((_ADVICE[number] for number in numbers if number in _ADVICE), None)


def _numbers(envelope: Mapping[str, Any]) -> list[int]:
    listed = [item for item in codec.as_list(envelope.get("error_codes")) if type(item) is int and 0 < item < 10**10]
    if not listed and (found := _NUMBER.match(codec.as_text(envelope.get("error_description")) or "")) is not None:
        listed = [int(found[1])]
    return listed[:_MOST_NUMBERS]
