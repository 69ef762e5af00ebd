"""aiohttp sessions: one per running event loop, opened on first use, closed with the loop.

A client may be a module global used from several `asyncio.run()` calls, from threads with loops of their own and
from forked workers. A session lives inside an async generator, because the event loop itself closes those when
`asyncio.run()` ends, and when the last reference to one is dropped: no session outlives its loop, and a forgotten
`aclose()` leaks nothing.
"""

import copy
import os
import sys
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import AsyncGenerator
from contextlib import nullcontext
from functools import partial
from ssl import SSLContext
from typing import Any, Final

from aiohttp import (
    BaseConnector,
    ClientError,
    ClientResponse,
    ClientSession,
    DummyCookieJar,
    TCPConnector,
    ThreadedResolver,
)
from aiohttp.http import HttpProcessingError
from attrs import field, frozen
from attrs.validators import optional
from multidict import CIMultiDict

from sdk_core.arguments import http_url, positive_int, seconds, valid
from sdk_core.auth import Lend
from sdk_core.errors import ClientClosedError
from sdk_core.transport.lock import Lock
from sdk_core.transport.slots import Line
from sdk_core.transport.timer import Timer

__all__ = ["EXCHANGE_ERRORS", "Connection", "LoopSession", "Sessions", "read_at_most"]

EXCHANGE_ERRORS: Final = (ClientError, HttpProcessingError, OSError)
"""What aiohttp raises when a request or its answer fails on the way; timeouts are OSErrors. (HttpProcessingError comes
from its parser in Python only, where there is none in C: for a chunk that is broken after the head.)"""

_METHODS_AIOHTTP_REPLAYS = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


@frozen(kw_only=True)
class Connection:
    """How the sessions a client opens itself connect."""

    ssl: SSLContext | bool = True
    """A ready-made context for a private CA or client certificates. (False would switch verification off.)"""
    proxy: str | None = field(default=None, repr=False, validator=optional(valid(http_url)))
    """URL of an HTTP proxy, with `user:password@` if it wants them."""
    trust_env: bool = False
    """Whether to read HTTP_PROXY, NO_PROXY and .netrc. Off: looked up for each request, they double its cost."""
    limit: int = field(default=100, validator=valid(positive_int))
    """Connections at a time; further calls wait in line, within their `total_timeout`."""
    keepalive_timeout: float = field(default=50.0, validator=valid(seconds))
    """Seconds an idle connection is kept: less than the 60 s after which common load balancers hang up."""


_graveyard: list[Any] = []
"""What a forked child inherited. Closing it would unregister the parent's sockets from the selector both share."""


@frozen(eq=False)
class LoopSession:
    """What a client has on one event loop."""

    session: ClientSession
    """For the requests of calls."""
    headers: CIMultiDict[str] = field(repr=False)
    """What it adds to each request by itself."""
    line: Line
    """For the connections of the pool: calls wait here, before a request is built for them, not in aiohttp."""
    timer: Timer
    lend: Lend
    """Gives a token source a session: the injected one, or else one of its own on the same connections, which has none
    of our headers, and may be closed."""
    borrowed: bool
    """Whether the session was injected."""
    lifeline: ClientSession | BaseConnector
    """Usable until this is closed: a connector answers twice as fast as its session."""

    def sender(self, method: str) -> ClientSession:
        """Return what sends each request once in place of an injected `session`; if another, detach it after use.

        aiohttp re-sends a dropped GET, PUT or DELETE by itself, and has no public switch for it. Our own sessions
        are switched off when they are opened; of an injected one, which is never changed, a shallow copy is used
        for the one request: the same connector, headers, cookies and tracing.
        """
        if method not in _METHODS_AIOHTTP_REPLAYS:
            return self.session
        view = copy.copy(self.session)
        _switch_replay_off(view)
        return view


class Sessions:
    """The sessions of one client: its own, or the one that was injected."""

    def __init__(self, connection: Connection, injected: ClientSession | None, headers: CIMultiDict[str]) -> None:
        self._connection = connection
        self._injected = injected
        self._headers = headers
        self.keeps_connections: bool = False
        """Whether an answer came already, so that the next request may go over a connection that was kept."""
        self.closed: bool = False
        """Whether `aclose()` was called."""
        self._lock = Lock()
        self._pid = os.getpid()
        self._open: dict[AbstractEventLoop, tuple[AsyncGenerator[LoopSession, None], LoopSession]] = {}

    def here(self) -> LoopSession | None:
        """Return what is open on the running loop, if anything is."""
        entry = self._open.get(get_running_loop())
        return None if entry is None or entry[1].lifeline.closed else entry[1]

    async def open(self) -> LoopSession:
        """Open a session on the running loop, or take the injected one; ClientClosedError if that can't be any more."""
        if self.closed:
            raise ClientClosedError("the client is closed: build a new one")
        # A forked child has loops of its own, so what it inherited is never found by `here()`.
        if self._pid != os.getpid():
            self._start_over_in_child()
        if self._injected is None:
            lifetime = _lifetime(self._connection, self._headers)
        elif self._injected.closed:
            raise ClientClosedError("the injected aiohttp session is closed")
        else:
            lifetime = _loan(self._injected)
        # It does not give way to another task, so a loop never gets two sessions.
        entry = lifetime, await anext(lifetime)
        with self._lock.held:
            # A session knows its loop, so the loops of finished `asyncio.run()`s would be kept alive with it.
            for loop in [loop for loop, (_, it) in self._open.items() if it.lifeline.closed or loop.is_closed()]:
                del self._open[loop]
            self._open[get_running_loop()] = entry
        return entry[1]

    async def aclose(self) -> None:
        """Close what we opened, on every loop; again is harmless. An injected session is not touched."""
        self.closed = True
        if self._pid != os.getpid():
            self._start_over_in_child()
        with self._lock.held:
            here = self._open.pop(get_running_loop(), None)
            # Dropped, a session of another loop is closed by that loop (see above), in that loop's thread.
            self._open.clear()
        if here is not None:
            await here[0].aclose()

    def _start_over_in_child(self) -> None:
        _graveyard.append(self._open)
        self._open, self._pid = {}, os.getpid()


async def read_at_most(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body, decompressed; None if it is larger than `limit` bytes. The connection is not held any more."""
    content = response.content
    try:
        # What came in one piece with the head is there already.
        body = content.read_nowait()
        if len(body) <= limit and content.at_eof():
            return body
        chunks, left = [body], limit - len(body)
        while left >= 0 and (chunk := await content.readany()):
            chunks.append(chunk)
            left -= len(chunk)
        return b"".join(chunks) if left >= 0 else None
    finally:
        # At the end of its body a response gives its connection back to the pool, and is closed by itself.
        if not response.closed:
            response.close()


async def _lifetime(connection: Connection, headers: CIMultiDict[str]) -> AsyncGenerator[LoopSession, None]:
    connector = TCPConnector(
        ssl=connection.ssl,
        limit=connection.limit,
        keepalive_timeout=connection.keepalive_timeout,
        # c-ares would be picked just because aiodns is installed, and ignores the system's resolver settings.
        resolver=ThreadedResolver(),
    )

    def opened(**more: Any) -> ClientSession:
        session = ClientSession(
            connector=connector,
            cookie_jar=DummyCookieJar(),
            proxy=connection.proxy,
            trust_env=connection.trust_env,
            **more,
        )
        _switch_replay_off(session)
        return session

    # What a session sends by itself, aiohttp shows to a proxy too, in the clear.
    sent = CIMultiDict[str]() if connection.proxy or connection.trust_env else headers
    session = opened(headers=sent)
    lend = partial(opened, connector_owner=False)
    line, timer = Line(connection.limit), Timer(get_running_loop())
    try:
        yield LoopSession(session, sent, line, timer, lend, borrowed=False, lifeline=connector)
    finally:
        line.close()
        timer.stop()
        await session.close()


async def _loan(session: ClientSession) -> AsyncGenerator[LoopSession, None]:
    connector = session.connector
    # All calls go to one host. 0 stands for no limit.
    limits = filter(None, (connector.limit, connector.limit_per_host) if connector else ())
    line, timer = Line(min(limits, default=sys.maxsize)), Timer(get_running_loop())
    try:
        yield LoopSession(
            session, CIMultiDict(), line, timer, lambda: nullcontext(session), borrowed=True, lifeline=session
        )
    finally:
        line.close()
        timer.stop()


def _switch_replay_off(session: ClientSession) -> None:
    # Private, therefore guarded; a test counts requests on the wire and fails when the attribute goes away.
    if hasattr(session, "_retry_connection"):
        session._retry_connection = False  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
