"""Who is calling: an API key, or a bearer token that is fetched, shared, refreshed and dropped when refused."""

import asyncio
import base64
import binascii
import copy
import json
import random
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol
from weakref import WeakKeyDictionary

from aiohttp import ClientSession, hdrs
from attrs import field, frozen
from multidict import istr

from sdk_core.arguments import header_text
from sdk_core.errors import AuthenticationError, Outcome, SdkError

__all__ = ["ApiKey", "Auth", "BearerToken", "FixedToken", "Lend", "Token", "TokenSource", "jwt_expiry"]

_FETCH_TIMEOUT = 30.0
"""Seconds a token fetch may take, whoever waits for it."""
_FAILURE_PAUSE = 1.0
"""Seconds for which a failed token fetch answers further calls, so that they do not queue up behind a dead endpoint."""


Lend = Callable[[], AbstractAsyncContextManager[ClientSession]]
"""Gives a session for the time of one fetch."""


class Auth(Protocol):
    """Adds the credential to a request."""

    def current(self) -> Mapping[str, str] | None:
        """Return the headers to send, or None if a token must be fetched first."""
        ...

    async def fetch(self, lend: Lend) -> Mapping[str, str]:
        """Fetch a token and return the headers to send."""
        ...

    def reject(self, headers: Mapping[str, str]) -> bool:
        """Take note that the server answered 401 to `headers`; return whether others may be had."""
        ...


class FixedToken:
    """A credential that never changes: always the same header, and a 401 is final."""

    def __init__(self, header: str, value: str) -> None:
        self._headers: Mapping[str, str] = {istr(header): value}

    def current(self) -> Mapping[str, str]:
        """Return the header."""
        return self._headers

    async def fetch(self, lend: Lend) -> Mapping[str, str]:  # noqa: ARG002  there is nothing to fetch
        """Return the header."""
        return self._headers

    def reject(self, headers: Mapping[str, str]) -> bool:  # noqa: ARG002  there is no other
        """Return False: the same credential would be refused again."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({next(iter(self._headers))}: ***)"


class ApiKey(FixedToken):
    """An API key in a header of its own.

    Args:
        header: the header's name.
        key: the key; printable ASCII without line breaks.
    """

    def __init__(self, header: str, key: str) -> None:
        super().__init__(header, header_text("api_key", key))


@frozen
class Token:
    """A bearer token."""

    value: str = field(repr=False)
    lifetime: float | None
    """Seconds it stays valid from now on; None: unknown, used until it is refused."""


TokenSource = Callable[[ClientSession], Awaitable[Token]]
"""Fetches a token; the session, on the client's connections, is there for it until it returns."""


class _Headers(dict[str, str]):
    """Headers that show nothing: in debug mode asyncio logs what a task returned."""

    def __repr__(self) -> str:
        return "{***}"


class BearerToken:
    """`Authorization: Bearer ...` from a source of tokens, for any number of concurrent calls.

    One fetch at a time per event loop, however many calls wait for it; a cancelled call cancels nobody else's
    fetch; a failed one fails those who waited, once. A token is replaced shortly before it expires, and when the
    server refuses it - unless another call has replaced it already.
    """

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._headers: Mapping[str, str] | None = None
        self._stale_at = self._expires_at = 0.0
        self._failure: SdkError | None = None
        self._failure_until = self._retry_at = 0.0
        self._flights: WeakKeyDictionary[AbstractEventLoop, Task[Mapping[str, str]]] = WeakKeyDictionary()

    def current(self) -> Mapping[str, str] | None:
        """Return the headers to send, or None if the token is missing or about to expire."""
        return self._headers if time.monotonic() < self._stale_at else None

    async def fetch(self, lend: Lend) -> Mapping[str, str]:
        """Join the fetch under way on this loop, or start it, and return the headers to send."""
        now, failure = time.monotonic(), self._failure
        if failure is not None and now < self._failure_until:
            # Told anew: each caller adds the facts of its own call to the error it gets.
            facts = {**failure.args[1]}
            if failure.retryable:
                facts["retry_after"] = round(max(self._retry_at, self._failure_until) - now, 3)
            raise type(failure)(failure.args[0], facts)
        loop = asyncio.get_running_loop()
        flight = self._flights.get(loop)
        if flight is None:
            flight = loop.create_task(self._replace(lend))
            self._flights[loop] = flight
            flight.add_done_callback(self._landed)
        try:
            return await asyncio.shield(flight)
        finally:
            # It holds its error, whose traceback leads here: a cycle.
            del flight

    def reject(self, headers: Mapping[str, str]) -> bool:
        """Drop the token of `headers`, if it is still the one in use."""
        if self._headers is headers:
            self._headers, self._stale_at, self._expires_at = None, 0.0, 0.0
        return True

    def _landed(self, flight: "Task[Mapping[str, str]]") -> None:
        self._flights.pop(flight.get_loop(), None)
        if not flight.cancelled():
            # Retrieved here too: all who waited for it may have been cancelled.
            flight.exception()

    async def _replace(self, lend: Lend) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(_FETCH_TIMEOUT), lend() as session:
                token = await self._source(session)
            headers = _Headers({hdrs.AUTHORIZATION: f"Bearer {header_text('token', token.value)}"})
        except Exception as error:  # noqa: BLE001  a provider may raise anything
            failure = error if isinstance(error, SdkError) else _provider_failure(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # A task of the provider's own was cancelled, not this one: its callers were not either.
            failure = _provider_failure(error)
        else:
            self._keep(headers, token.lifetime)
            return headers
        now = time.monotonic()
        if self._headers is not None and now < self._expires_at:
            # The old token is still good: ask again a little later, not with every call.
            self._stale_at = min(self._expires_at, now + _FAILURE_PAUSE)
            return self._headers
        if failure.retryable:
            # An earlier retry would only be told of this failure again.
            failure.args[1]["retry_after"] = max(failure.retry_after or 0.0, _FAILURE_PAUSE)
            self._retry_at = now + failure.args[1]["retry_after"]
        # A copy: the error's own traceback leads here, and to all that the call held.
        self._failure, self._failure_until = copy.copy(failure), now + _FAILURE_PAUSE
        # Raised here, not in the handler: the text of a foreign exception may hold the secret.
        try:
            raise failure
        finally:
            del failure

    def _keep(self, headers: Mapping[str, str], known_lifetime: float | None) -> None:
        lifetime = float("inf") if known_lifetime is None else known_lifetime
        # Up to five minutes early, at a random point, so that a fleet does not refresh in one instant.
        early = min(300.0, lifetime / 10) * random.uniform(0.5, 1) if known_lifetime is not None else 0.0  # noqa: S311
        now = time.monotonic()
        self._headers, self._stale_at, self._expires_at = headers, now + lifetime - early, now + lifetime
        self._failure = None

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


def _provider_failure(error: BaseException) -> AuthenticationError:
    return AuthenticationError(
        f"the token provider failed with {type(error).__name__}",
        {"outcome": Outcome.NOT_SENT.value, "retryable": isinstance(error, OSError), "cause": type(error).__name__},
    )


def jwt_expiry(token: str) -> float | None:
    """Return the `exp` of a JWT in seconds since the epoch, unverified; None if there is none to read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expiry = float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError, binascii.Error):
        return None
    return expiry if 0 < expiry < float("inf") else None
