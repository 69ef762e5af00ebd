"""What a client is built from: the traits of its API, and the options of its caller."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final, TypedDict

from aiohttp import ClientSession
from yarl import URL

from sdk_core import codec
from sdk_core.arguments import function, instance
from sdk_core.auth import Auth
from sdk_core.details import ErrorDetails
from sdk_core.deviation import Deviation
from sdk_core.errors import ConfigurationError
from sdk_core.ratelimit import RateLimiter
from sdk_core.retry import RetryPolicy
from sdk_core.telemetry import Telemetry
from sdk_core.transport.connection import Connection
from sdk_core.value import Opaque
from sdk_core.version import __version__

__all__ = ["Backend", "ClientOptions", "check_functions", "check_kinds", "check_session", "configuring", "user_agent"]


_KINDS: Final[Mapping[str, type]] = {
    "session": ClientSession,
    "retry": RetryPolicy,
    "connection": Connection,
    "telemetry": Telemetry,
    "rate_limiter": RateLimiter,
}
"""Of those options of a client that are objects with a class of their own."""


class Backend(Opaque, frozen=True, kw_only=True):
    """What one API has of its own; everything else is the same for all."""

    base_url: URL
    auth: Auth
    read_error: Callable[[bytes], ErrorDetails]
    """Reads the API's error envelope; never raises."""
    headers: Mapping[str, str] = MappingProxyType({})
    """Sent with every request."""
    account: str | None = None
    """Whose data it is about, where a header says so and not the URL."""
    correlation_header: str | None = None
    """The header that carries the correlation id, where the API has one."""
    rate_limit_wait: float | None = None
    """Seconds the documentation implies after a 429 that names no delay."""
    unwrap: codec.Unwrap | None = None
    """Finds the items of a page that holds all of a list, where the API may page a list that is documented bare."""
    throttles_with_503: bool = False
    """Whether the API documents 503 as a refusal under load (nothing happened)."""

    @property
    def place(self) -> str:
        """Where calls have their effect, for people and to be compared: never a secret."""
        url = str(self.base_url).rstrip("/")
        return url if self.account is None else f"{url} ({self.account})"


class ClientOptions(TypedDict, total=False):
    """What both SDKs' clients take as keyword arguments; see `sdk_core.client.Client`."""

    session: ClientSession | None
    retry: RetryPolicy | None
    attempt_timeout: float
    total_timeout: float
    correlation_id: Callable[[], str] | None
    rate_limiter: RateLimiter | None
    telemetry: Telemetry | None
    connection: Connection | None
    max_response_bytes: int
    skip_unreadable_items: bool
    on_unexpected: Callable[[Deviation], None] | None


@contextmanager
def configuring() -> Generator[None]:
    """Turn the ValueError of a setting into a ConfigurationError; a TypeError stays one."""
    try:
        yield
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(str(error)) from None


def user_agent(product: str) -> str:
    """Return the User-Agent of an SDK."""
    return f"{product}/{__version__}"


def check_kinds(**options: object) -> None:
    """Raise TypeError unless each of these options of a client is None or of its kind."""
    for name, value in options.items():
        if value is not None:
            instance(name, value, _KINDS[name])


def check_functions(**options: object) -> None:
    """Raise TypeError unless each of these options of a client is None or can be called."""
    for name, value in options.items():
        if value is not None:
            function(name, value)


def check_session(session: ClientSession | None, connection: Connection | None) -> None:
    """Raise ValueError if a session can't be sent with as it is."""
    if session is not None and connection is not None:
        raise ValueError("pass session or connection, not both: an injected session has connected its own way")
    if session is not None and session.auth is not None:
        raise ValueError("session must not have auth of its own: aiohttp would put it in place of the SDK's")
    if session is not None and session.trust_env:
        raise ValueError(
            "session must not have trust_env: aiohttp would send the login of a .netrc with the SDK's credential, "
            "or fail; give the session proxy=, or use Connection(trust_env=True)"
        )
