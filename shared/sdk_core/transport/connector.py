"""A connector that looks at a kept connection before a request is sent over it.

aiohttp keeps connections, and reuses one without a look at what happened to it meanwhile. A server or a proxy may have
sent something that nobody asked for: an answer twice, or a 408 before it hangs up. The next request would take that for
its answer, and one member would be shown the contract of another. Or it has hung up, and the event loop, busy or
standing still, has not seen it: then a write would fail and nobody knew whether it took effect.

    connect() --> new connection ------------------------------------------> use it
              --> kept connection --> under suspicion? ---------- yes --> abort it, take another
                                  --> bytes or an end waiting? -- yes --> abort it, take another
                                  --------------------------------------> use it
"""

import select
from asyncio import BaseTransport
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.connector import Connection
from aiohttp.tracing import Trace

__all__ = ["CheckedConnector", "ConnectionInUse", "connection_in_use"]


class ConnectionInUse(NamedTuple):
    """The connection a request is sent over."""

    transport: BaseTransport | None
    is_kept: bool
    """Whether another request was sent over it before."""

    def abort(self) -> None:
        """Close it without a farewell, for which a peer that hangs would be waited for, and read on, for 30 s."""
        abort: Callable[[], None] | None = getattr(self.transport, "abort", None)
        if abort is not None:
            abort()


connection_in_use: ContextVar[ConnectionInUse | None] = ContextVar("sdk_connection_in_use", default=None)
"""What the running task was given last. aiohttp itself names the connection of an answer, but not of a failure."""


class CheckedConnector(TCPConnector):
    """A TCPConnector that gives out no kept connection on which anything is waiting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]  one of aiohttp's options has no full type
        self._looks: WeakKeyDictionary[object, Callable[[], object]] = WeakKeyDictionary()
        """For each connection what tells whether something is waiting in its socket."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """Return a new connection, or a kept one that is as its last answer left it."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol, transport = connection.protocol, connection.transport
            look = self._looks.get(protocol)
            in_use = ConnectionInUse(transport, is_kept=look is not None)
            if look is None:
                self._looks[protocol] = _look_into(transport)
            # What the event loop has read is in the protocol, what it has not read yet in the socket.
            elif protocol is None or protocol.should_close or look():
                in_use.abort()
                connection.close()
                continue
            connection_in_use.set(in_use)
            return connection

    def suspect_kept(self) -> None:
        """Use no connection again that is open now: one of them was dead, and there was nothing to see on it."""
        for protocol in list(self._looks):
            self._looks[protocol] = _suspicious


def _suspicious() -> bool:
    return True


def _look_into(transport: BaseTransport | None) -> Callable[[], object]:
    """Return a function that tells whether there is something to read in the socket: bytes, an end or an error."""
    socket = None if transport is None else transport.get_extra_info("socket")
    if socket is None:
        return _suspicious
    if not hasattr(select, "poll"):
        return lambda: select.select([socket], [], [], 0)[0]
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return partial(poll.poll, 0)
