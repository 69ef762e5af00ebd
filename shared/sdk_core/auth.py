"""The credential of a client: an API key, or a bearer token.

An API key never changes. A bearer token is fetched when it is first needed, shared by all calls, fetched again shortly
before it expires, and dropped when the server refuses it.
"""

import asyncio
import base64
import binascii
import copy
import json
import random
import time
from asyncio import AbstractEventLoop, Task
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, suppress
from types import MappingProxyType
from typing import Protocol
from weakref import WeakKeyDictionary

from aiohttp import ClientSession, hdrs
from attrs import field, frozen
from multidict import istr
from yarl import URL

from sdk_core.arguments import bearer_token, header_text
from sdk_core.deadline import leave_scope
from sdk_core.errors import AuthenticationError, SdkError
from sdk_core.fork import reset_in_child
from sdk_core.hooks import is_cancelled
from sdk_core.outcome import Outcome
from sdk_core.value import Value

__all__ = [
    "ApiKey",
    "Auth",
    "BearerToken",
    "FixedToken",
    "Token",
    "TokenSession",
    "TokenSource",
    "jwt_expiry",
    "no_token",
]

_FETCH_TIMEOUT = 30.0
"""Seconds a token fetch may take, whoever waits for it."""
_FAILURE_PAUSE = 1.0
"""Seconds after a failed token fetch in which further calls fail with the same error, and none asks the endpoint."""
_LIFETIME_MIN = 60.0
"""Seconds for which a fresh token is used at least, unless it is refused. If it seems to expire sooner, a wall clock is
wrong, on this machine or another; believing it, each call would fetch a token."""

TokenSession = Callable[[URL], AbstractAsyncContextManager[ClientSession]]
"""Gives a session, on the client's connections, for requests to a URL: which proxy they take depends on it."""


class Auth(Protocol):
    """Adds the credential to a request."""

    @property
    def constant(self) -> Mapping[str, str]:
        """Headers to send with every request that never change."""
        ...

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The other headers to send; None: a token must be fetched first."""
        ...

    async def fetch(self, token_session: TokenSession, /) -> Mapping[str, str]:
        """Fetch a token and return the headers to send."""
        ...

    def reject(self, headers: Mapping[str, str], /) -> bool:
        """Take note that the server answered 401 to `headers`; return whether others may be had."""
        ...


class FixedToken:
    """A credential that never changes: always the same header, and a 401 is final."""

    headers: Mapping[str, str] = MappingProxyType({})

    def __init__(self, header: str, value: str) -> None:
        self.constant: Mapping[str, str] = {istr(header): value}

    async def fetch(self, _token_session: TokenSession, /) -> Mapping[str, str]:
        """Return no header: there is nothing to fetch."""
        return self.headers

    def reject(self, _headers: Mapping[str, str], /) -> bool:
        """Return False: the same credential would be refused again."""
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}({next(iter(self.constant))}: ***)"


class ApiKey(FixedToken):
    """An API key in a header of its own.

    Args:
        header: the header's name.
        key: the key; printable ASCII without line breaks.
    """

    def __init__(self, header: str, key: str) -> None:
        super().__init__(header, header_text("api_key", key))


@frozen
class Token(Value):
    """A bearer token."""

    value: str = field(repr=False)
    lifetime: float | None
    """Seconds it stays valid from now on; None, or none left: unknown, used until it is refused."""


TokenSource = Callable[[TokenSession], Awaitable[Token]]
"""Fetches a token. An SdkError it raises is told as it is; of any other exception, only the type."""


class _Headers(dict[str, str]):
    """Headers that show nothing: in debug mode asyncio logs what a task returned."""

    def __repr__(self) -> str:
        return "{***}"


class BearerToken:
    """`Authorization: Bearer ...` from a source of tokens, for any number of concurrent calls.

    There is one fetch at a time per event loop, however many calls wait for it. A call that is cancelled does not
    cancel the fetch. If the fetch fails, all calls that wait for it fail. A token is replaced shortly before it
    expires, while calls go on with it, and when the server refuses it, unless another call has replaced it already.
    """

    constant: Mapping[str, str] = MappingProxyType({})

    def __init__(self, source: TokenSource) -> None:
        self._source = source
        self._headers: Mapping[str, str] | None = None
        self._stale_at = self._expires_at = 0.0
        self._failure: SdkError | None = None
        self._failure_until = self._retry_at = 0.0
        self._fetching: WeakKeyDictionary[AbstractEventLoop, Task[Mapping[str, str] | SdkError]] = WeakKeyDictionary()
        reset_in_child(self)

    def reset_after_fork(self) -> None:
        """Forget in a forked child the fetches under way: they are the parent's."""
        self._fetching = WeakKeyDictionary()

    @property
    def headers(self) -> Mapping[str, str] | None:
        """The headers to send; None if the token is missing, or it is time to fetch the next."""
        return self._headers if time.monotonic() < self._stale_at else None

    async def fetch(self, token_session: TokenSession) -> Mapping[str, str]:
        """Join the fetch under way on this loop, or start it, and return the headers to send.

        As long as the old token is good, nobody waits for the next: its endpoint may be slow, or hang.
        """
        if self._failure is not None and time.monotonic() < self._failure_until:
            raise self._known_failure(self._failure)
        loop = asyncio.get_running_loop()
        fetching = self._fetching.get(loop)
        if fetching is None:
            fetching = loop.create_task(self._replace(token_session))
            self._fetching[loop] = fetching
            fetching.add_done_callback(self._forget)
        if (headers := self._headers) is not None and time.monotonic() < self._expires_at:
            return headers
        # Shielded: a call that is cancelled must not cancel the fetch that others wait for.
        result = await asyncio.shield(fetching)
        if isinstance(result, SdkError):
            # Each who waited raises an error of its own: a raised one belongs to its call's frames.
            raise copy.copy(result)
        return result

    def reject(self, headers: Mapping[str, str]) -> bool:
        """Drop the token of `headers`, if it is still the one in use."""
        if self._headers is headers:
            self._headers, self._stale_at, self._expires_at = None, 0.0, 0.0
        return True

    def _known_failure(self, failure: SdkError) -> SdkError:
        """Return a copy of the last failure: each caller adds the facts of its own call to the error it gets."""
        known = copy.copy(failure)
        if failure.retryable:
            known.with_facts(retry_after=round(max(self._retry_at, self._failure_until) - time.monotonic(), 3))
        return known

    def _forget(self, fetching: "Task[Mapping[str, str] | SdkError]") -> None:
        self._fetching.pop(fetching.get_loop(), None)

    async def _replace(self, token_session: TokenSession) -> Mapping[str, str] | SdkError:
        """Fetch a token and return its headers, or why there are none."""
        # It is for all calls, and the one that has started it may have little time left.
        leave_scope()
        token = await self._ask_source(token_session)
        if isinstance(token, Token):
            return self._keep(token)
        now, failure = time.monotonic(), token
        if self._headers is not None and now < self._expires_at:
            # The old token is still good: ask again a little later, not with every call.
            self._stale_at = min(self._expires_at, now + _FAILURE_PAUSE)
            return self._headers
        if failure.retryable:
            # An earlier retry would only be told of this failure again.
            retry_after = max(failure.retry_after or 0.0, _FAILURE_PAUSE)
            failure.with_facts(retry_after=retry_after)
            self._retry_at = now + retry_after
        self._failure, self._failure_until = failure, now + _FAILURE_PAUSE
        return failure

    async def _ask_source(self, token_session: TokenSession) -> Token | SdkError:
        """Return a fresh token, or a failure that holds nothing of what was raised: it may tell the secret."""
        try:
            async with asyncio.timeout(_FETCH_TIMEOUT):
                token = await self._source(token_session)
        except Exception as error:  # noqa: BLE001  a provider may raise anything
            if isinstance(error, SdkError):
                # A class of the provider's own may not let itself be copied.
                with suppress(Exception):
                    return copy.copy(error)
            return _provider_failure(error)
        except asyncio.CancelledError as error:
            if is_cancelled():
                raise
            # A task of the provider's own was cancelled, not this one: its callers were not either.
            return _provider_failure(error)
        try:
            # What was checked is what is sent: a subclass of str may show something else.
            return Token(bearer_token("token", token.value), token.lifetime)
        except (TypeError, ValueError) as error:
            # The text is our own.
            return no_token(f"the token provider gave none that can be sent: {error}")

    def _keep(self, token: Token) -> Mapping[str, str]:
        lifetime, early = float("inf"), 0.0
        if token.lifetime is not None and token.lifetime > 0:
            lifetime = max(token.lifetime, _LIFETIME_MIN)
            # Up to five minutes early, at a random point, so that a fleet does not refresh in one instant.
            early = min(300.0, lifetime / 10) * random.uniform(0.5, 1)
        now = time.monotonic()
        self._headers = _Headers({hdrs.AUTHORIZATION: f"Bearer {token.value}"})
        self._stale_at, self._expires_at = now + lifetime - early, now + lifetime
        self._failure = None
        return self._headers

    def __repr__(self) -> str:
        return f"{type(self).__name__}(***)"


def no_token(what: str) -> AuthenticationError:
    """Return the error of a source of tokens that has to be changed; `what` says how, and repeats nothing of it."""
    return AuthenticationError(what, {"outcome": Outcome.NOT_SENT.value, "retryable": False})


def _provider_failure(error: BaseException) -> AuthenticationError:
    name = type(error).__name__
    failure = no_token(f"the token provider failed with {name}")
    return failure.with_facts(retryable=isinstance(error, OSError), cause=name)


def jwt_expiry(token: str) -> float | None:
    """Return the `exp` of a JWT in seconds since the epoch, unverified; None if there is none to read."""
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        expiry = float(claims["exp"])
    except (IndexError, KeyError, TypeError, ValueError, OverflowError, RecursionError, binascii.Error):
        return None
    return expiry if 0 < expiry < float("inf") else None
