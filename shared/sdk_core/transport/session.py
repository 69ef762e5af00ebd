"""aiohttp sessions: one per running event loop, opened on first use, closed with the loop.

A client may be a module global used from several `asyncio.run()` calls, from threads with loops of their own and
from forked workers.

    Client --- Sessions --- loop A: LoopSession (session, slots, timer)    kept open by an async generator of loop A
                        |-- loop B: LoopSession (session, slots, timer)    kept open by an async generator of loop B

Why a generator: an event loop closes its async generators when `asyncio.run()` ends, and when the last reference to
one is dropped. Nothing else in asyncio ends with a loop. So no session outlives its loop, and a forgotten `aclose()`
leaks nothing.
"""

import copy
import sys
from asyncio import AbstractEventLoop, Task, get_running_loop
from collections.abc import AsyncGenerator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from ssl import SSLContext
from typing import Any, Final

from aiohttp import ClientSession, DummyCookieJar, ThreadedResolver
from attrs import Factory, field, frozen
from attrs.validators import optional
from multidict import CIMultiDict
from yarl import URL

from sdk_core.arguments import http_url, of_type, positive_int, seconds, valid, whole_number
from sdk_core.auth import TokenSession
from sdk_core.errors import ClientClosedError
from sdk_core.transport.connector import CheckedConnector, KnownConnection
from sdk_core.transport.fork import Lock, reset_in_child
from sdk_core.transport.proxy import proxy_for
from sdk_core.transport.slots import Slots
from sdk_core.transport.timer import Timer

__all__ = ["Connection", "LoopSession", "Sessions"]

_METHODS_AIOHTTP_REPLAYS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


_HEADER_BYTES_MIN: Final = 8190
_HEADER_BYTES_MAX: Final = 2**24
_FIELD_BYTES: Final = 64
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
class Connection:
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


_inherited: list[Any] = []
"""What a forked child inherited. Closing it would unregister the parent's sockets from the selector both share, so it
is kept from the garbage collector."""


@frozen(eq=False)
class LoopSession:
    """What a client has on one event loop."""

    session: ClientSession
    """For the requests of calls."""
    slots: Slots
    """For the connections of the pool: calls wait here, before a request is built for them, not in aiohttp."""
    timer: Timer
    token_session: TokenSession
    """Gives a token source a session for a URL: the injected one, or else one of its own on the same connections, which
    has none of our headers, and may be closed."""
    proxy: URL | None = field(repr=False)
    """What requests to the API go through, if that is ours to say."""
    _headers: CIMultiDict[str] | None = field(repr=False)
    """What the session adds to each request by itself."""
    _owner: ClientSession | CheckedConnector
    """What is closed together with the session: our own connector, or the injected session."""
    is_injected: bool
    in_use: dict[Task[Any] | None, KnownConnection | None] = field(
        init=False, repr=False, default=Factory(lambda self: _in_use(self._owner), takes_self=True)
    )
    """See `CheckedConnector`; of another connector, nothing is known."""

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._owner.closed

    def sends(self, headers: CIMultiDict[str]) -> bool:
        """Whether the session adds these constant headers to each request by itself.

        Only those very headers that it was opened with: aiohttp copies and joins headers in Python, one by one, for
        each request, so constant ones are given to the session once.
        """
        return headers is self._headers

    def suspect_kept_connections(self) -> None:
        """Use none of the connections again that are open now, if they are ours."""
        if isinstance(self._owner, CheckedConnector):
            self._owner.suspect_kept()

    def disown_connections(self) -> None:
        """In a forked child, let go of the parent's connections, if they are ours."""
        if isinstance(self._owner, CheckedConnector):
            self._owner.disown()

    def sender(self, method: str) -> ClientSession:
        """Return what sends each request once: the session itself, or a copy, which is to be detached after use.

        aiohttp re-sends a dropped GET, PUT or DELETE by itself, and has no public switch for it. For our own sessions
        that is switched off when they are opened. An injected one is never changed: for such a request a shallow copy
        of it is used, with the same connector, headers, cookies and tracing.
        """
        if not self.is_injected or method not in _METHODS_AIOHTTP_REPLAYS:
            return self.session
        view = copy.copy(self.session)
        _switch_replay_off(view)
        return view


def _in_use(owner: ClientSession | CheckedConnector) -> dict[Task[Any] | None, KnownConnection | None]:
    return owner.in_use if isinstance(owner, CheckedConnector) else {}


class Sessions:
    """The sessions of one client: its own, or the one that was injected."""

    def __init__(
        self, connection: Connection, injected: ClientSession | None, headers: CIMultiDict[str], url: URL
    ) -> None:
        """Open nothing yet; ConfigurationError if the environment's proxy for `url`, the API's, can't be one."""
        self._connection = connection
        self._proxy = None if injected is not None else _proxy(connection, url)
        self._injected = injected
        self._headers = headers
        self.may_reuse_connection: bool = False
        """Whether an answer came already: the next request may go over a kept connection."""
        self.closed: bool = False
        """Whether `aclose()` was called."""
        self._lock = Lock()
        self._open: dict[AbstractEventLoop, tuple[AsyncGenerator[LoopSession, None], LoopSession]] = {}
        reset_in_child(self)

    def current(self) -> LoopSession | None:
        """Return what is open on the running loop, if anything is."""
        entry = self._open.get(get_running_loop())
        return None if entry is None or entry[1].closed else entry[1]

    def is_usable(self, session: LoopSession) -> bool:
        """Return whether neither `session` nor the client was closed, while something was waited for."""
        return not (self.closed or session.closed)

    async def open(self) -> LoopSession:
        """Open a session on the running loop, or take the injected one; ClientClosedError if that can't be any more."""
        if self.closed:
            raise ClientClosedError("the client is closed: build a new one")
        if self._injected is None:
            lifetime = _lifetime(self._connection, self._headers, self._proxy)
        elif self._injected.closed:
            raise ClientClosedError("the injected aiohttp session is closed")
        else:
            lifetime = _lifetime_of_injected(self._injected)
        # It does not give way to another task, so a loop never gets two sessions.
        entry = lifetime, await anext(lifetime)
        with self._lock.held:
            # A session knows its loop, so the loops of finished `asyncio.run()`s would be kept alive with it.
            for loop in [loop for loop, (_, opened) in self._open.items() if opened.closed or loop.is_closed()]:
                del self._open[loop]
            self._open[get_running_loop()] = entry
        return entry[1]

    async def aclose(self) -> None:
        """Close what we opened, on every loop; again is harmless. An injected session is not touched."""
        self.closed = True
        with self._lock.held:
            current = self._open.pop(get_running_loop(), None)
            # A session of another loop is dropped, and so closed by that loop, in that loop's thread.
            self._open.clear()
        if current is not None:
            lifetime, _session = current
            await lifetime.aclose()

    def reset_after_fork(self) -> None:
        """Start over in a forked child: the connections are the parent's, even on a loop that it inherited."""
        for loop, (_lifetime, session) in self._open.items():
            session.disown_connections()
            # The threads of the loop's pool are the parent's, too. The pool in the child counts on them all the same:
            # what is given to it, such as the name of a host to resolve, would wait for ever.
            loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))
        _inherited.append(self._open)
        self._open = {}
        self.may_reuse_connection = False


def _proxy(connection: Connection, url: URL) -> URL | None:
    return proxy_for(url, connection.proxy, trust_env=connection.trust_env)


async def _lifetime(
    connection: Connection, headers: CIMultiDict[str], proxy: URL | None
) -> AsyncGenerator[LoopSession, None]:
    connector = CheckedConnector(
        ssl=connection.ssl,
        limit=connection.limit,
        keepalive_timeout=connection.keepalive_timeout,
        # c-ares would be picked just because aiodns is installed, and ignores the system's resolver settings.
        resolver=ThreadedResolver(),
    )

    def opened(way: URL | None, **more: Any) -> ClientSession:
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            proxy=way,
            max_line_size=connection.max_header_bytes,
            max_field_size=connection.max_header_bytes,
            max_headers=connection.max_header_bytes // _FIELD_BYTES,
            **more,
        )
        _switch_replay_off(session)
        return session

    def token_session(url: URL) -> ClientSession:
        return opened(_proxy(connection, url), connector_owner=False)

    # What a session sends by itself, aiohttp shows to a proxy too, in the clear.
    sent = None if proxy is not None else headers
    session = opened(proxy, headers=sent)
    slots, timer = Slots(connection.limit), Timer(get_running_loop())
    try:
        yield LoopSession(session, slots, timer, token_session, proxy, sent, connector, is_injected=False)
    finally:
        slots.close()
        timer.stop()
        await session.close()


async def _lifetime_of_injected(session: ClientSession) -> AsyncGenerator[LoopSession, None]:
    connector = session.connector
    # All calls go to one host. 0 stands for no limit.
    limits = filter(None, (connector.limit, connector.limit_per_host) if connector else ())
    slots, timer = Slots(min(limits, default=sys.maxsize)), Timer(get_running_loop())
    try:
        yield LoopSession(
            session, slots, timer, lambda _url: nullcontext(session), None, None, session, is_injected=True
        )
    finally:
        slots.close()
        timer.stop()


def _switch_replay_off(session: ClientSession) -> None:
    # Private, therefore guarded; a test counts requests on the wire and fails when the attribute goes away.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
