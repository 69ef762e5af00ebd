"""How the sessions that a client opens itself connect: TLS, proxy, pool, and what of an answer's head is taken in."""

from ssl import SSLContext
from typing import Final

from attrs import field, frozen
from attrs.validators import optional

from sdk_core.arguments import http_url, of_type, positive_int, seconds, valid, whole_number
from sdk_core.value import Value

__all__ = ["FIELD_BYTES", "Connection"]

_HEADER_BYTES_MIN: Final = 8190
_HEADER_BYTES_MAX: Final = 2**24
FIELD_BYTES: Final = 64
"""On average, a header field of an answer is not shorter."""


def _tls(name: str, value: object) -> None:
    if not isinstance(value, SSLContext | bool):
        raise TypeError(
            f"{name} must be an ssl.SSLContext or a bool, not {type(value).__name__}: of a file of authorities, "
            "ssl.create_default_context(cafile=...) makes one"
        )


def _header_bytes(name: str, value: object) -> None:
    whole_number(name, value, _HEADER_BYTES_MIN, _HEADER_BYTES_MAX)


@frozen(kw_only=True)
class Connection(Value):
    """How the sessions a client opens itself connect.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value can't be right; no proxy's password is shown.
    """

    ssl: SSLContext | bool = field(default=True, validator=valid(_tls))
    """A ready-made context for a private CA or client certificates. (False would switch verification off.)"""
    proxy: str | None = field(default=None, repr=False, validator=optional(valid(http_url)))
    """URL of an HTTP proxy, with `user:password@` if it wants them, percent-encoded."""
    trust_env: bool = field(default=False, validator=valid(of_type(bool)))
    """Whether to use the proxy that HTTPS_PROXY and NO_PROXY name when the client is built; `proxy` goes before it.

    One that can't be a proxy's URL is a ConfigurationError. A .netrc is never read, not for proxies either: the login
    in it would go to the API and the token endpoint beside the SDK's own credential."""
    limit: int = field(default=100, validator=valid(positive_int))
    """Connections at a time; further calls wait in line, within their `total_timeout`."""
    keepalive_timeout: float = field(default=50.0, validator=valid(seconds))
    """Seconds an idle connection is kept: less than the 60 s after which common load balancers hang up."""
    max_header_bytes: int = field(default=2**15, validator=valid(_header_bytes))
    """The longest status line or header field of an answer to take in, from 8190 bytes to 16 MiB; and one field for
    each 64 of them. An answer with more is an InvalidResponseError."""
