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
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections import deque
from collections.abc import AsyncGenerator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any, Final

from aiohttp import ClientSession, DummyCookieJar, ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from sdk_core.auth import TokenSession
from sdk_core.errors import ClientClosedError
from sdk_core.fork import Lock, reset_in_child
from sdk_core.transport.connection import FIELD_BYTES, Connection
from sdk_core.transport.connector import CheckedConnector
from sdk_core.transport.proxy import proxy_for
from sdk_core.transport.timer import Timer
from sdk_core.value import Opaque

__all__ = ["LoopSession", "Sessions", "Slots"]

_METHODS_AIOHTTP_REPLAYS: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})


_inherited: list[Any] = []
"""What a forked child inherited. Closing it would unregister the parent's sockets from the selector both share, so it
is kept from the garbage collector."""


class Slots:
    """A number of slots for connections, and a queue of those who wait for one: first come, first served.

    It is a semaphore whose `take` and `release` are plain functions.

    An `asyncio.Semaphore` would cost a coroutine and a generator in each call, though there is nearly always a free
    slot.

        if not slots.take():
            await slots.wait()
        ...
        slots.release()
    """

    __slots__ = ("_free", "_waiting")

    def __init__(self, number: int) -> None:
        self._free = number
        self._waiting: deque[Future[None]] = deque()

    def take(self) -> bool:
        """Take a free slot; False if there is none."""
        if not self._free:
            return False
        self._free -= 1
        return True

    async def wait(self) -> None:
        """Wait until a slot is released to us."""
        turn = get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            # If the slot was given to us in the very moment in which we gave up, the next in the queue gets it.
            if not turn.cancel() and not turn.cancelled():
                self.release()
            raise

    def release(self) -> None:
        """Hand a slot over to whoever has waited longest, or make it free."""
        while self._waiting:
            turn = self._waiting.popleft()
            # Those who gave up waiting are still in the queue.
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1

    def close(self) -> None:
        """Give everybody a slot, now and from now on: their calls will find that the client is closed."""
        self._free = sys.maxsize
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
        self._waiting.clear()


class LoopSession(Opaque, frozen=True):
    """What a client has on one event loop."""

    session: ClientSession
    """For the requests of calls."""
    slots: Slots
    """For the connections of the pool: calls wait here, before a request is built for them, not in aiohttp."""
    timer: Timer
    token_session: TokenSession
    """Gives a token source a session for a URL: the injected one, or else one of its own on the same connections, which
    has none of our headers, and may be closed."""
    proxy: URL | None
    """What requests to the API go through, if that is ours to say."""
    _headers: CIMultiDict[str] | None
    """What the session adds to each request by itself: the very headers that it was opened with, or none.

    aiohttp copies and joins headers in Python, one by one, for each request, so constant ones are given to it once."""
    owner: ClientSession | CheckedConnector
    """What is closed together with the session, and tells it: our own connector, or the injected session."""
    is_injected: bool

    def headers_beside(
        self, constant: CIMultiDict[str], credential: Mapping[str, str], *, all_of_them: bool
    ) -> CIMultiDict[str]:
        """Return the headers of a request that the session does not add by itself.

        Args:
            constant: those of all requests.
            credential: those of this request's credential, which may have changed since the session was opened.
            all_of_them: whether to leave nothing to the session.
        """
        headers = CIMultiDict(credential)
        if all_of_them or constant is not self._headers:
            headers.update(constant)
        return headers

    def suspect_kept_connections(self) -> None:
        """Use none of the connections again that are open now, if they are ours."""
        if isinstance(self.owner, CheckedConnector):
            self.owner.suspect_kept()

    def disown_connections(self) -> None:
        """In a forked child, let go of the parent's connections, if they are ours."""
        if isinstance(self.owner, CheckedConnector):
            self.owner.disown()

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
        self.of_loop: dict[AbstractEventLoop, LoopSession] = {}
        """What was opened on each event loop; it may be closed by now."""
        self._lifetimes: dict[AbstractEventLoop, AsyncGenerator[LoopSession, None]] = {}
        reset_in_child(self)

    def is_usable(self, session: LoopSession) -> bool:
        """Return whether neither `session` nor the client was closed, while something was waited for."""
        return not (self.closed or session.owner.closed)

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
        session, here = await anext(lifetime), get_running_loop()
        with self._lock.held:
            # A session knows its loop, so the loops of finished `asyncio.run()`s would be kept alive with it.
            for loop in [loop for loop, opened in self.of_loop.items() if opened.owner.closed or loop.is_closed()]:
                del self.of_loop[loop], self._lifetimes[loop]
            self.of_loop[here], self._lifetimes[here] = session, lifetime
        return session

    async def aclose(self) -> None:
        """Close what we opened, on every loop; again is harmless. An injected session is not touched."""
        self.closed = True
        with self._lock.held:
            lifetime = self._lifetimes.pop(get_running_loop(), None)
            self.of_loop.clear()
            # A session of another loop is dropped, and so closed by that loop, in that loop's thread.
            self._lifetimes.clear()
        if lifetime is not None:
            await lifetime.aclose()

    def reset_after_fork(self) -> None:
        """Start over in a forked child: the connections are the parent's, even on a loop that it inherited."""
        inherited = self.of_loop
        _inherited.append((inherited, self._lifetimes))
        self.of_loop, self._lifetimes = {}, {}
        self.may_reuse_connection = False
        for loop, session in inherited.items():
            session.disown_connections()
            # The threads of the loop's pool are the parent's, too. The pool in the child counts on them all the same:
            # what is given to it, such as the name of a host to resolve, would wait for ever.
            loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix="asyncio"))


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
            max_headers=connection.max_header_bytes // FIELD_BYTES,
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
