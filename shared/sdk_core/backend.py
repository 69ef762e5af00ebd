"""What a client is built from: the traits of its API, and the options of its caller."""

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TypedDict

from aiohttp import ClientSession
from attrs import field, frozen
from yarl import URL

from sdk_core import codec
from sdk_core.auth import Auth
from sdk_core.details import ErrorDetails
from sdk_core.deviation import Deviation
from sdk_core.errors import ConfigurationError
from sdk_core.ratelimit import RateLimiter
from sdk_core.retry import RetryPolicy
from sdk_core.telemetry import Telemetry
from sdk_core.transport.connection import Connection
from sdk_core.version import __version__

__all__ = ["Backend", "ClientOptions", "configuring", "user_agent"]


@frozen(kw_only=True, eq=False)
class Backend:
    """What one API has of its own; everything else is the same for all."""

    base_url: URL = field(repr=False)
    auth: Auth
    read_error: Callable[[bytes], ErrorDetails]
    """Reads the API's error envelope; never raises."""
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    """Sent with every request."""
    correlation_header: str | None = None
    """The header that carries the correlation id, where the API has one."""
    rate_limit_wait: float | None = None
    """Seconds the documentation implies after a 429 that names no delay."""
    unwrap: codec.Unwrap | None = None
    """Finds the items of a page that holds all of a list, where the API may page a list that is documented bare."""
    throttles_with_503: bool = False
    """Whether the API documents 503 as a refusal under load (nothing happened)."""


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
