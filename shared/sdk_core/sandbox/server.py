"""Where a sandbox answers: its port, its event loop, and whom it answers."""

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from http import HTTPStatus
from typing import Final

from aiohttp import web
from yarl import URL

from sdk_core.arguments import whole_number

__all__ = ["Server"]

# Nothing is printed unless the application configures logging: the logger "sdk_core" has a NullHandler.
_log = logging.getLogger("sdk_core.sandbox")
_SHUTDOWN: Final = 0.05
"""Seconds that answers in progress get when the server stops; 0 would mean for ever to aiohttp."""
_LARGEST_BODY: Final = 64 * 2**20
"""Bytes; enough for documents. The default of aiohttp is 1 MiB, the limits of the APIs are not known."""
_HIGHEST_PORT: Final = 2**16 - 1
_PRIVATE: Final = (".localhost", ".internal")
"""Ends of names that no public DNS may hold."""


class Server:
    """The HTTP server of a sandbox."""

    def __init__(self) -> None:
        self.closing: asyncio.Event = asyncio.Event()
        """Set when the server stops; it ends what would take longer."""
        self._runner: web.AppRunner | None = None
        self._socket: socket.socket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def url(self) -> str:
        """Its base URL.

        Raises:
            RuntimeError: it does not run; or it runs on an event loop that stands still, and so can't answer.
        """
        if self._socket is None or self._loop is None:
            raise RuntimeError("the sandbox is not running: use it inside `async with`")
        if self._loop.is_closed() or (_current_loop() not in {None, self._loop} and not self._loop.is_running()):
            raise RuntimeError(
                "the sandbox was started on another event loop, which is not running, so that it can't answer: start it"
                " on the loop that uses it (in pytest-asyncio, give fixture and test the same loop_scope), or let its"
                " loop run in a thread"
            )
        name: tuple[str, int] = self._socket.getsockname()[:2]
        host, port = name
        # Who listens everywhere is reached at the loopback address, among others.
        shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104  it is compared, not bound
        return f"http://[{shown}]:{port}" if ":" in shown else f"http://{shown}:{port}"

    async def start(self, app: web.Application, host: str, port: int) -> None:
        """Begin to answer.

        Args:
            app: what answers.
            host: name or address to listen on.
            port: 0: any that is free.

        Raises:
            RuntimeError: it runs already.
            ValueError: the port is not from 0 to 65535: more bits would be cut off.
            OSError: the port is in use, or there is no such host.
        """
        if self._runner is not None:
            raise RuntimeError("the sandbox is running already: use one `async with` at a time")
        whole_number("port", port, 0, _HIGHEST_PORT)
        self.closing = asyncio.Event()
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, *_, address = found[0]
        listening = socket.create_server(address, family=family)
        runner = web.AppRunner(app, access_log=None, logger=_log, shutdown_timeout=_SHUTDOWN)
        try:
            await runner.setup()
            await web.SockSite(runner, listening).start()
        except BaseException:
            listening.close()
            await runner.cleanup()
            raise
        self._runner, self._socket, self._loop = runner, listening, loop

    async def stop(self) -> None:
        """Answer no more.

        Raises:
            RuntimeError: it was started on another event loop.
        """
        if self._runner is None or self._socket is None or self._loop is None:
            return
        if self._loop is not asyncio.get_running_loop() and not self._loop.is_closed():
            raise RuntimeError("the sandbox must be stopped on the event loop on which it was started")
        runner, listening, self._runner, self._socket = self._runner, self._socket, None, None
        if self._loop.is_closed():
            # Nothing answers any more, but the port is still taken.
            listening.close()
        else:
            self.closing.set()
            _accept_no_more(self._loop, listening)
            try:
                # A connection that was accepted in this turn of the loop is made in the next, and known one later.
                for _ in range(2):
                    await asyncio.sleep(0)
            finally:
                await runner.cleanup()

    @staticmethod
    def application() -> web.Application:
        """Return an application that refuses what a web page of somebody else's may send."""
        return web.Application(client_max_size=_LARGEST_BODY, middlewares=[_let_go, _refuse_strangers])


def _accept_no_more(loop: asyncio.AbstractEventLoop, listening: socket.socket) -> None:
    """Leave alone who comes now: asyncio does not close a connection that it makes while its server is closed."""
    with suppress(NotImplementedError):  # on Windows, asyncio accepts in another way
        loop.remove_reader(listening)


def _current_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


@web.middleware
async def _refuse_strangers(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """Refuse requests that a browser sends for a page of another origin, and names that such a page may own."""
    host = request.headers.get("Host", "")
    if not _is_private(host):
        problem = "The Host header must be an IP address or a local name: a web page may own any other."
    elif request.headers.get("Origin", f"http://{host}") not in {f"http://{host}", f"https://{host}"}:
        problem = "Requests of web pages of another origin are refused."
    elif request.headers.get("Sec-Fetch-Site", "none") not in {"none", "same-origin"} and not _opens_page(request):
        problem = "Requests of web pages of another site are refused."
    else:
        return await handler(request)
    return web.json_response({"error": problem}, status=HTTPStatus.FORBIDDEN)


@web.middleware
async def _let_go(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    """End a request whose sender has hung up in the middle of it: that is no error of the server's, to be logged."""
    try:
        return await handler(request)
    except ConnectionResetError:
        return web.Response(status=HTTPStatus.BAD_REQUEST)


def _opens_page(request: web.Request) -> bool:
    """Whether somebody follows a link: the page it stands on can't read the answer."""
    headers = request.headers
    return request.method == "GET" and (headers.get("Sec-Fetch-Mode"), headers.get("Sec-Fetch-Dest")) == (
        "navigate",
        "document",
    )


def _is_private(host: str) -> bool:
    """Whether a Host header names this machine or one near it: an address, or a name that no public DNS has."""
    try:
        name = URL(f"http://{host}").host or ""
    except ValueError:
        return False
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return bool(name) and ("." not in name or name.endswith(_PRIVATE))
    return True
