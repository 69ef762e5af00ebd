"""What a caller may pass: each check names the argument, and runs before anything is sent.

Whatever is passed ends in a TypeError, a ValueError, or a value that can be sent. A subclass of a plain type may have
methods of its own, so what is returned is of the plain type itself wherever it is turned into text.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from ipaddress import ip_address
from typing import Any, Final, TypeVar, cast
from uuid import UUID

import attrs
from yarl import URL

__all__ = [
    "INT64_MAX",
    "NONE",
    "base_url",
    "bearer_token",
    "finite_decimal",
    "function",
    "header_text",
    "http_url",
    "instance",
    "int32",
    "int64_id",
    "mapping",
    "non_empty",
    "of_type",
    "plain_date",
    "positive_int",
    "seconds",
    "sendable_text",
    "text",
    "uuid_id",
    "valid",
    "whole_number",
]

T = TypeVar("T")

NONE: Final = "none"
"""Stands for None where text is typed, and an argument has to be given."""
_INT32_MAX: Final = 2**31 - 1
INT64_MAX: Final = 2**63 - 1
_HEADER_TEXT_MAX: Final = 8192
_LABEL_MAX: Final = 63
_HOST: Final = re.compile(r"[\w.-]+|[\da-f:.]+(%25[\w.-]+)?", re.ASCII | re.IGNORECASE)
"""A name or an address, of IPv6 with a zone: as the system's resolver takes it."""
_DELAY_MAX: Final = 100 * 365 * 86400.0
"""A hundred years: event loops count in clock ticks, and don't take every number that a float can hold."""
_DECIMAL_DIGITS_MAX: Final = 400
"""Written out, as JSON has them; every float fits. An exponent makes numbers of any length from a few characters."""


def instance(name: str, value: object, kind: type[T]) -> T:
    """Return `value` if it is a `kind`; unlike that of attrs, the error's text shows no value."""
    if not isinstance(value, kind):
        article = "an" if kind.__name__[0] in "AEIOaeio" else "a"
        raise TypeError(f"{name} must be {article} {kind.__name__}, not {type(value).__name__}")
    return value


def of_type(kind: type) -> Callable[[str, object], object]:
    """Return the check that a value is a `kind`."""
    return partial(instance, kind=kind)


def function(name: str, value: object) -> object:
    """Return `value` if it can be called."""
    if not callable(value):
        raise TypeError(f"{name} must be callable, not {type(value).__name__}")
    return value


def whole_number(name: str, value: object, minimum: int | None = None, maximum: int | None = None) -> int:
    """Return `value` if it is an int between the bounds, both included; without them, one of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        raise TypeError(f"{name} must be an int, not {type(value).__name__}")
    number = int.__int__(value)
    low = -INT64_MAX - 1 if minimum is None else minimum
    high = INT64_MAX if maximum is None else maximum
    if low <= number <= high:
        return number
    raise ValueError(f"{name} must be from {low} to {high}")


def int64_id(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 1 to 2^63-1, the ids of the Membership API."""
    # Nearly all are as they should be, and each call has some.
    return value if type(value) is int and 0 < value <= INT64_MAX else whole_number(name, value, 1)


def positive_int(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 1, a number of things."""
    return whole_number(name, value, 1)


def int32(name: str, value: object) -> int:
    """Return `value` if it is a whole number from 0 to 2^31-1, a quantity."""
    return whole_number(name, value, 0, _INT32_MAX)


def uuid_id(name: str, value: object) -> UUID:
    """Return `value` as a UUID; text that parses as one is accepted."""
    if type(value) is UUID:
        return value
    if isinstance(value, UUID):
        return UUID(int=value.int)
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a UUID or its text, not {type(value).__name__}")
    try:
        return UUID(str.__str__(value))
    except ValueError:
        raise ValueError(f"{name} must be a UUID, like 123e4567-e89b-42d3-a456-426614174000") from None


def plain_date(name: str, value: object) -> date:
    """Return `value` if it is a calendar date; a `datetime` is refused, because its zone would decide the day."""
    if isinstance(value, datetime) or not isinstance(value, date):
        raise TypeError(f"{name} must be a datetime.date, not {type(value).__name__}")
    return value


def sendable_text(name: str, value: object) -> str:
    """Return `value` if it is text that UTF-8 can carry; yarl, for one, would leave out what it can't."""
    found = value if type(value) is str else str.__str__(instance(name, value, str))
    if found.isascii():
        return found
    try:
        found.encode()
    except UnicodeEncodeError:
        # It holds the text.
        pass
    else:
        return found
    raise ValueError(f"{name} holds half of a surrogate pair, which can't be sent")


def non_empty(name: str, value: object) -> str:
    """Return `value` if it is text that can be sent, and not empty."""
    found = sendable_text(name, value)
    if not found:
        raise ValueError(f"{name} must not be empty")
    return found


def header_text(name: str, value: object) -> str:
    """Return `value` if it can stand in a header: visible ASCII and inner spaces, nothing that ends a line."""
    found = str.__str__(instance(name, value, str))
    if not found or found != found.strip():
        raise ValueError(f"{name} must be non-empty text without surrounding spaces")
    if len(found) > _HEADER_TEXT_MAX:
        raise ValueError(f"{name} must have at most {_HEADER_TEXT_MAX} characters")
    if not (found.isascii() and found.isprintable()):
        raise ValueError(f"{name} must hold printable ASCII only: no line breaks, no control characters")
    return found


def bearer_token(name: str, value: object) -> str:
    """Return `value` if it can be sent as a bearer token: the token alone, without `Bearer` before it."""
    found = header_text(name, value)
    # No token has a space (RFC 6750, 2.1).
    if " " in found:
        raise ValueError(f'{name} must be the token alone: without spaces, and without "Bearer" before it')
    return found


def text(name: str, value: object, *, maximum: int) -> str:
    """Return `value` if it is non-empty text of at most `maximum` characters."""
    found = sendable_text(name, value)
    if not 1 <= len(found) <= maximum:
        raise ValueError(f"{name} must be 1 to {maximum} characters long")
    return found


def mapping(name: str, value: object) -> dict[str, Any]:
    """Return `value` as a dict if it is a mapping with text keys."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping, not {type(value).__name__}")
    items = cast("Mapping[object, Any]", value)
    if not all(isinstance(key, str) for key in items):
        raise TypeError(f"{name} must have str keys only")
    return {str.__str__(cast("str", key)): item for key, item in items.items()}


def finite_decimal(name: str, value: object) -> Decimal:
    """Return `value` if it is a finite Decimal; a float can't hold most amounts."""
    if not isinstance(value, Decimal):
        raise TypeError(f"{name} must be a decimal.Decimal, not {type(value).__name__}")
    number = Decimal(value)
    if not number.is_finite():
        raise ValueError(f"{name} must be finite")
    exponent = cast("int", number.as_tuple().exponent)
    if max(number.adjusted(), 0) - min(exponent, 0) >= _DECIMAL_DIGITS_MAX:
        raise ValueError(f"{name} must have less than {_DECIMAL_DIGITS_MAX} digits")
    return number


def seconds(name: str, value: object, *, zero: bool = False) -> float:
    """Return `value` if it is a finite, positive number of seconds (zero only where allowed)."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise TypeError(f"{name} must be a number of seconds, not {type(value).__name__}")
    try:
        number = float.__float__(value) if isinstance(value, float) else float(int.__int__(value))
    except OverflowError:
        number = float("inf")
    if not (0 <= number < float("inf")) or (number == 0 and not zero):
        raise ValueError(f"{name} must be a finite number of seconds {'from' if zero else 'above'} 0")
    if number > _DELAY_MAX:
        raise ValueError(f"{name} must be at most a hundred years")
    return number


def http_url(name: str, value: object) -> URL:
    """Return `value` as the URL of an HTTP proxy; what is refused is not shown, since it may hold a password."""
    found = str.__str__(instance(name, value, str))
    try:
        url = _url(found)
    except ValueError:
        url = URL()
    is_bare = url.raw_path in {"", "/"} and not url.raw_query_string and not url.raw_fragment
    if url.scheme not in {"http", "https"} or not url.raw_host or not is_bare:
        raise ValueError(
            f"{name} must be http://host:port or https://host:port, with user:password@ before the host if the proxy "
            "wants them, percent-encoded"
        )
    login = f"{url.user or ''}{url.password or ''}"
    # Both are sent in one text, which HTTP has in Latin-1 (RFC 7617, 2).
    if ":" in (url.user or "") or not all(character <= "\xff" for character in login):
        raise ValueError(f"{name} must have a user without a colon, and both user and password in Latin-1")
    return url


def base_url(name: str, value: object) -> URL:
    """Return `value` as an absolute URL: https, or http to this machine only (tests, sandboxes)."""
    found = str.__str__(instance(name, value, str))
    try:
        url = _url(found.strip())
    except ValueError:
        raise ValueError(f"{name} is not a URL") from None
    if not url.raw_host or url.user or url.password or url.query_string or url.fragment:
        raise ValueError(f"{name} must be scheme://host[:port][/path], without user, query or fragment")
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.raw_host)):
        raise ValueError(f"{name} must start with https:// (http:// only for a loopback host)")
    return url


def _url(text: str) -> URL:
    """Return the URL, or raise ValueError: what can't be connected to is to fail here, and not in each call."""
    if not text.isprintable():
        # yarl would leave line breaks out.
        raise ValueError
    url = URL(text)
    host = url.raw_host or "-"
    if not _HOST.fullmatch(host) or url.explicit_port == 0:
        raise ValueError
    labels = host.removesuffix(".").split(".")
    # Python's resolver raises a UnicodeError for other names.
    if ":" not in host and not all(1 <= len(label) <= _LABEL_MAX for label in labels):
        raise ValueError
    # A number at the end makes it an address; aiohttp refuses the old ways to write one, like 127.1.
    if labels[-1].isdigit():
        ip_address(host)
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
