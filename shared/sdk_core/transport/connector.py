"""A connector that looks at a kept connection before a request is sent over it.

aiohttp keeps connections, and reuses one without a look at what happened to it meanwhile. A server or a proxy may have
sent something that nobody asked for: an answer twice, or a 408 before it hangs up. The next request would take that for
its answer, and one member would be shown the contract of another. Or it has hung up, and the event loop, busy or
standing still, has not seen it: then a write would fail and nobody knew whether it took effect.

    connect() --> new connection ------------------------------------------> use it
              --> kept connection --> under suspicion? ---------- yes --> abort it, take another
                                  --> bytes or an end waiting? -- yes --> abort it, take another
                                  --------------------------------------> use it

Before Python 3.12, aiohttp writes a request with a body one turn of the event loop after it took the connection. So
such a body looks once more, when it is written.
"""

import os
import select
import socket
from asyncio import BaseTransport
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.payload import BytesPayload, Payload
from aiohttp.tracing import Trace

__all__ = [
    "CheckedBody",
    "CheckedConnector",
    "CheckedPayload",
    "ConnectionInUse",
    "DisturbedError",
    "connection_in_use",
]


class ConnectionInUse(NamedTuple):
    """The connection a request is sent over."""

    protocol: ResponseHandler
    transport: BaseTransport | None
    is_kept: bool
    """Whether another request was sent over it before."""
    look: Callable[[], object]
    """Tells whether its socket has something to read."""

    def is_disturbed(self) -> bool:
        """Return whether it was kept, and has something on it that nobody asked for: bytes, an end or an error."""
        # What the event loop has read is in the protocol, what it has not read yet in the socket.
        return self.is_kept and (self.protocol.should_close or bool(self.look()))

    def abort(self) -> None:
        """Close it without a farewell, for which a peer that hangs would be waited for, and read on, for 30 s."""
        abort: Callable[[], None] | None = getattr(self.transport, "abort", None)
        if abort is not None:
            abort()


class DisturbedError(OSError):
    """Something came over the kept connection before the request was written: nothing was sent."""


connection_in_use: ContextVar[ConnectionInUse | None] = ContextVar("sdk_connection_in_use", default=None)
"""What the running task was given last. aiohttp itself names the connection of an answer, but not of a failure."""


class CheckedConnector(TCPConnector):
    """A TCPConnector that gives out no kept connection on which anything is waiting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]  one of aiohttp's options has no full type
        self._looks: WeakKeyDictionary[ResponseHandler, Callable[[], object]] = WeakKeyDictionary()
        """For each connection what tells whether its socket has something to read, made once."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """Return a new connection, or a kept one that is as its last answer left it."""
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol, transport = connection.protocol, connection.transport
            if protocol is None:
                return connection
            look = self._looks.get(protocol)
            is_kept = look is not None
            if look is None:
                look = self._looks[protocol] = _look_into(transport)
            in_use = ConnectionInUse(protocol, transport, is_kept, look)
            if not in_use.is_disturbed():
                connection_in_use.set(in_use)
                return connection
            in_use.abort()
            connection.close()

    def suspect_kept(self) -> None:
        """Use no connection again that is open now: one of them was dead, and there was nothing to see on it."""
        for protocol in list(self._looks):
            self._looks[protocol] = _suspicious

    def disown(self) -> None:
        """In a forked child, let go of the parent's connections.

        Parent and child share the sockets, and on an inherited event loop the list of those it listens to as well: the
        child would read the parent's answers. In its place a socket is put that is at its end, so that the child's loop
        takes leave of it, and whatever it sends goes nowhere.
        """
        for protocol in list(self._looks):
            shared = None if protocol.transport is None else protocol.transport.get_extra_info("socket")
            if shared is not None and shared.fileno() >= 0:
                ended, peer = socket.socketpair()
                peer.close()
                os.dup2(ended.fileno(), shared.fileno())
                ended.close()


class CheckedPayload(Payload):
    """A base of bodies that are not written to a kept connection that is disturbed."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Look at the connection, then write."""
        connection = connection_in_use.get()
        if connection is not None and connection.is_disturbed():
            raise DisturbedError
        await super().write_with_length(writer, content_length)


class CheckedBody(CheckedPayload, BytesPayload):
    """A body of bytes."""


def _suspicious() -> bool:
    return True


def _look_into(transport: BaseTransport | None) -> Callable[[], object]:
    connected = None if transport is None else transport.get_extra_info("socket")
    if connected is None:
        return _suspicious
    if not hasattr(select, "poll"):
        return lambda: select.select([connected], [], [], 0)[0]
    poll = select.poll()
    poll.register(connected, select.POLLIN)
    return partial(poll.poll, 0)
