"""Error bodies that are not the API's own: of its framework, or of what stands in front of it.

    application/problem+json (RFC 9457, ASP.NET)   type, title, detail, traceId, errors: {field: [text]}
    ModelState (older ASP.NET)                     Message, ModelState: {field: [text]}
    OData and Azure                                error: {code, message, details: [{target, message}]}
    Spring                                         timestamp, status, error, message, errors: [{field, defaultMessage}]
    Azure API Management                           statusCode, message
    OAuth (RFC 6749)                               error, error_description

Code, message, trace id and fields are taken from where they are, however the keys are capitalised. Such a body never
proves that the API has spoken: `recognised` is False.
"""

import re
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from sdk_core import codec
from sdk_core.details import ErrorDetails, FieldError, safe_code

__all__ = ["field_errors", "foreign_error", "may_tell_failure", "own_code", "tells_failure"]

_MOST_FIELDS: Final = 20
_MOST_MESSAGES: Final = 5
"""Of one field."""
_LONGEST_TEXT: Final = 500
_MOST_KEYS: Final = 100
_TOO_LARGE: Final = 10**18

_CODES: Final = ("code", "errorcode", "error", "type")
_MESSAGES: Final = ("errormessage", "message", "detail", "description", "error_description", "title")
_TRACE_IDS: Final = ("traceid", "trace_id", "correlationid", "requestid", "request-id", "activityid")
_FIELDS: Final = ("errors", "modelstate", "details")
_NAMES: Final = ("propertyname", "field", "target", "name")
_FAILURES: Final = ("error", "errors", "errorcode", "errormessage", "modelstate", "exceptiontype")
_STATUSES: Final = ("status", "statuscode")
_ERROR_STATUSES: Final = range(400, 600)
_TEXTS: Final = ("description", "defaultmessage", "message", "messages")


def foreign_error(raw: Any, body: bytes) -> ErrorDetails:
    """Return what an error body says, whoever wrote it; `raw` is the JSON in `body`, or None."""
    outer = _lower(raw[0] if isinstance(raw, list) and raw else raw)
    inner = _lower(outer.get("error"))
    cause = _lower(inner.get("innererror"))
    # Spring's `error` repeats the status in words.
    codes = [item for item in _CODES if item != "error" or "timestamp" not in outer]
    return ErrorDetails(
        code=_first(_as_code, inner, _CODES) or _first(_as_code, outer, codes),
        message=_first(_as_message, inner, _MESSAGES) or _first(_as_message, outer, _MESSAGES),
        reference=_short(outer.get("reference")),
        fields=next(
            (found for part in (outer, inner) for name in _FIELDS if (found := field_errors(part.get(name)))), ()
        ),
        trace_id=next((text for part in (outer, inner, cause) if (text := _first(_short, part, _TRACE_IDS))), None),
        raw=raw,
        body=body[:2048],
    )


_BEGINNINGS: Final = b"|".join(
    key.encode()
    for key in (*_FAILURES, *_STATUSES)
    if not any(key != other and key.startswith(other) for other in (*_FAILURES, *_STATUSES))
)
_MAY_TELL: Final = re.compile(rb'"(?i:%s)|\\|\0' % _BEGINNINGS)
"""The beginning of one of the keys; or what may stand for one: escapes, or two bytes for a character.

Each alternative begins with one fixed character: that is what Python's engine finds fast.
"""


def may_tell_failure(content: bytes) -> bool:
    """Return whether `tells_failure` has to be asked about the JSON in a body: nearly always it has not."""
    return _MAY_TELL.search(content) is not None


def tells_failure(raw: Any) -> bool:
    """Return whether a JSON body is an error's, whatever status it came with.

    It has the number of an error status, or something under a key that only error bodies have.
    """
    body = _lower(raw)
    return any(body.get(key) for key in _FAILURES) or any(
        type(body.get(key)) is int and body[key] in _ERROR_STATUSES for key in _STATUSES
    )


def own_code(value: Any) -> str | None:
    """Return the code in the API's own envelope; None if it is none, or the address of a page about one."""
    code = codec.as_text(value)
    return None if code is None or "://" in code or code.startswith(("about:", "urn:")) else code


def _as_code(value: Any) -> str | None:
    # In other envelopes, words may stand where a code is expected.
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _TOO_LARGE:
        return str(value)
    return safe_code(own_code(value))


def field_errors(errors: Any) -> tuple[FieldError, ...]:
    """Return the errors of single fields, at most 20, from a map `{field: texts}` or from a list of objects.

    Texts are one, or a list.
    """
    if isinstance(errors, dict):
        items: Iterator[tuple[Any, Any]] = iter(codec.as_object(errors).items())
    else:
        items = (
            (_first(codec.as_text, part, _NAMES), next((part[key] for key in _TEXTS if key in part), None))
            for part in map(_lower, codec.as_list(errors)[:_MOST_FIELDS])
        )
    return tuple(FieldError(_short(name), _texts(texts)) for name, texts in islice(items, _MOST_FIELDS))


def _texts(value: Any) -> tuple[str, ...]:
    found = map(_short, [value] if isinstance(value, str) else codec.as_list(value)[:_MOST_MESSAGES])
    return tuple(text for text in found if text is not None)


def _as_message(value: Any) -> str | None:
    return " ".join(_texts(value)) or None


def _short(value: Any) -> str | None:
    text = codec.as_text(value)
    return None if text is None else text[:_LONGEST_TEXT]


def _lower(value: Any) -> dict[str, Any]:
    """Return an object with its keys in lower case; of two that differ in case only, the first."""
    found: dict[str, Any] = {}
    for key, item in islice(codec.as_object(value).items(), _MOST_KEYS):
        found.setdefault(key.lower(), item)
    return found


def _first(read: Any, part: Mapping[str, Any], names: Any) -> str | None:
    return next((text for name in names if (text := read(part.get(name)))), None)
