"""What a caller may pass: each check names the argument, and runs before anything is sent."""

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from ipaddress import ip_address
from typing import Any, cast
from uuid import UUID

import attrs
from yarl import URL

__all__ = [
    "base_url",
    "finite_decimal",
    "header_text",
    "http_url",
    "int32",
    "int64_id",
    "mapping",
    "of_type",
    "plain_date",
    "positive_int",
    "seconds",
    "text",
    "uuid_id",
    "valid",
]

_INT32_MAX = 2**31 - 1
_INT64_MAX = 2**63 - 1
_HEADER_TEXT_MAX = 8192
_LABEL_MAX = 63


def int64_id(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 1 to 2^63-1, the ids of the Membership API."""
    if type(value) is int and 1 <= value <= _INT64_MAX:
        return value
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 1 <= value <= _INT64_MAX:
        raise ValueError(f"{name} must be a positive 64-bit id")
    return int(value)


def of_type(kind: type) -> Callable[[str, object], object]:
    """Return the check that a value is a `kind`; unlike attrs' own its text shows no value."""

    def check(name: str, value: object) -> object:
        if not isinstance(value, kind):
            raise TypeError(f"{name} must be {kind.__name__}, not {type(value).__name__}")
        return value

    return check


def positive_int(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 1."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if value < 1:
        raise ValueError(f"{name} must be at least 1")
    return int(value)


def http_url(name: str, value: object) -> URL:
    """Return `value` as the URL of an HTTP proxy."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        url = _url(value)
    except ValueError:
        url = URL()
    if url.scheme not in {"http", "https"} or not url.raw_host:
        raise ValueError(f"{name} must be http://host:port or https://host:port")
    return url


def int32(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 0 to 2^31-1, a quantity."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    if not 0 <= value <= _INT32_MAX:
        raise ValueError(f"{name} must be from 0 to {_INT32_MAX}")
    return int(value)


def uuid_id(name: str, value: object) -> UUID:
    """Return `value` as a UUID; text that parses as one is accepted."""
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a UUID or its text, not {type(value).__name__}")
    try:
        return UUID(value)
    except ValueError:
        raise ValueError(f"{name} must be a UUID, like 123e4567-e89b-42d3-a456-426614174000") from None


def plain_date(name: str, value: object) -> date:
    """Return `value` if it is a calendar date; a `datetime` is refused, because its zone would decide the day."""
    if type(value) is not date and (isinstance(value, datetime) or not isinstance(value, date)):
        raise TypeError(f"{name} must be a datetime.date, not {type(value).__name__}")
    return value


def header_text(name: str, value: object) -> str:
    """Return `value` if it can stand in a header: visible ASCII and inner spaces, nothing that ends a line."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not value or value != value.strip() or len(value) > _HEADER_TEXT_MAX:
        raise ValueError(f"{name} must be non-empty text without surrounding spaces")
    if not (value.isascii() and value.isprintable()):
        raise ValueError(f"{name} must hold printable ASCII only: no line breaks, no control characters")
    return value


def text(name: str, value: object, *, maximum: int) -> str:
    """Return `value` if it is non-empty text of at most `maximum` characters."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    if not 1 <= len(value) <= maximum:
        raise ValueError(f"{name} must be 1 to {maximum} characters long")
    return value


def mapping(name: str, value: object) -> dict[str, Any]:
    """Return `value` as a dict if it is a mapping with text keys."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, not {type(value).__name__}")
    items = cast("Mapping[object, Any]", value)
    if not all(isinstance(key, str) for key in items):
        raise TypeError(f"{name} must have str keys only")
    return {str(key): item for key, item in items.items()}


def finite_decimal(name: str, value: object) -> Decimal:
    """Return `value` if it is a finite Decimal; a float can't hold most amounts."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{name} must be a decimal.Decimal, not {type(value).__name__}")
    if not value.is_finite():
        raise ValueError(f"{name} must be finite")
    return value


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return `value` if it is a finite, positive number of seconds (zero only where allowed)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    if not (0 <= value < float("inf")) or (value == 0 and not zero):
        raise ValueError(f"{name} must be a finite number of seconds {'from' if zero else 'above'} 0")
    return float(value)


def base_url(name: str, value: object) -> URL:
    """Return `value` as an absolute URL: https, or http to this machine only (tests, sandboxes)."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, not {type(value).__name__}")
    try:
        url = _url(value.strip())
    except ValueError:
        raise ValueError(f"{name} is not a URL") from None
    if not url.raw_host or url.user or url.password or url.query_string or url.fragment:
        raise ValueError(f"{name} must be scheme://host[:port][/path], without user, query or fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.raw_host)):
        raise ValueError(f"{name} must start with https:// (http:// only for a loopback host)")
    return url


def _url(text: str) -> URL:
    url = URL(text)
    # Python's resolver raises a UnicodeError for other names: they are to fail here, and not in each call.
    if not all(1 <= len(label) <= _LABEL_MAX for label in (url.raw_host or "-").removesuffix(".").split(".")):
        raise ValueError
    return url


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def valid(check: Any) -> Any:
    """Make one of the checks above an attrs validator that names the attribute."""

    def validate(_instance: object, attribute: "attrs.Attribute[Any]", value: object) -> None:
        check(attribute.name, value)

    return validate
