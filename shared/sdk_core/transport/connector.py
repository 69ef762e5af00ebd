"""A connector that looks at a kept connection before a request is sent over it.

aiohttp keeps connections, and reuses one without a look at what happened to it meanwhile. A server or a proxy may have
sent something that nobody asked for: an answer twice, or a 408 before it hangs up. The next request would take that for
its answer, and one member would be shown the contract of another. Or the server has closed the connection, and the
event loop, busy or standing still, has not noticed: then a write would fail, and nobody knew whether it took effect.

    connect() --> new connection ------------------------------------------> use it
              --> kept connection --> under suspicion? ---------- yes --> abort it, take another
                                  --> bytes or an end waiting? -- yes --> abort it, take another
                                  --------------------------------------> use it

Before Python 3.12, aiohttp writes a request with a body one turn of the event loop after it took the connection. So
such a body looks when it is written; what the event loop has read before then is looked for in any case.
"""

import os
import select
import socket
import sys
from asyncio import BaseTransport
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar, Final
from weakref import WeakSet

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.payload import BytesPayload, Payload
from aiohttp.tracing import Trace

from sdk_core import fork

__all__ = [
    "CheckedBody",
    "CheckedConnector",
    "CheckedPayload",
    "DisturbedError",
    "KnownConnection",
    "Use",
]


_RECORD_HEADER: Final = 5
"""Bytes."""
_WRITES_BODIES_LATER: Final = sys.version_info < (3, 12)


class _Socket(socket.socket):
    """A socket that knows whether TLS was read to the end of a record.

    Of a record that came in part, OpenSSL tells nothing, and nothing is left in the socket. (uvloop, and asyncio on
    Windows, read in a way of their own: there, nothing is noted. Without TLS, asyncio reads by another method.)
    """

    __slots__ = ("_header", "_rest")

    def __init__(self, *kind: int) -> None:
        super().__init__(*kind)
        self._header = b""
        """What came of a record's header, if that is not whole."""
        self._rest = 0
        """How many bytes of a record are still to come."""

    @property
    def is_within_record(self) -> bool:
        """Whether a part of a record came, and its end did not."""
        return self._rest > 0 or bool(self._header)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read, and note where in a record that ends."""
        count, header, place = super().recv_into(buffer, nbytes, flags), self._header, self._rest
        while place < count:
            piece = bytes(buffer[place : min(place + _RECORD_HEADER - len(header), count)])
            header, place = header + piece, place + len(piece)
            if len(header) == _RECORD_HEADER:
                # It ends in the length of what follows.
                place, header = place + int.from_bytes(header[-2:]), b""
        self._header, self._rest = header, place - count
        return count


class KnownConnection:
    """A connection that a request was sent over.

    Args:
        protocol: aiohttp's end of it.
        opened: the socket, if it is ours.
    """

    __slots__ = ("_look", "_protocol", "_transport", "is_closing", "is_kept", "unwritten")

    def __init__(self, protocol: ResponseHandler, opened: _Socket | None) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._look = _look_into(protocol.transport, opened)
        self.is_closing: Callable[[], bool] = _yes if protocol.transport is None else protocol.transport.is_closing
        """Whether it will not be used again."""
        self.unwritten: Callable[[], int] = getattr(protocol.transport, "get_write_buffer_size", int)
        """Gives the number of bytes that are not on their way yet."""
        self.is_kept: bool = False
        """Whether an earlier request used it."""

    def is_disturbed(self, *, by_what_was_read: bool = False) -> bool:
        """Return whether something came over it since its last answer: then no request may go over it.

        Args:
            by_what_was_read: whether to ask for what the event loop has read only, because the request itself looks at
                all once more when it is written.
        """
        # The beginning of an answer that was read would be lost: the parser of the next request starts afresh.
        # Private, therefore guarded; a test fails when the attribute goes away. Nothing else tells of such bytes.
        parser = getattr(self._protocol, "_parser", None)
        try:
            if parser is not None and parser.feed_eof() is not None:
                return True
        except Exception:  # noqa: BLE001  whatever it holds, it is no end of an answer
            return True
        # What the event loop has read is in the protocol, what it has not read yet in the socket.
        return self._protocol.should_close or (not by_what_was_read and bool(self._look()))

    def suspect(self) -> None:
        """Count as disturbed from now on."""
        self._look = _yes

    def abort(self) -> None:
        """Close it at once.

        Closed in order, it would stay open until the peer has read the rest of a request that it answered early, or has
        closed TLS on its side: up to 30 s, in which what a hanging or hostile peer sends is read on.
        """
        abort: Callable[[], None] | None = getattr(self._transport, "abort", None)
        if abort is not None:
            abort()


class DisturbedError(OSError):
    """Something came over the kept connection before the request was written: nothing was sent."""


class Use(ClientTimeout):
    """The time limits of one request, which also tell the connection that it was given.

    aiohttp hands a request's `ClientTimeout` on to the connector, so that `CheckedConnector` can note the connection in
    it. It tells the connection of an answer by itself, but not of a failure.
    """

    total: float | None = None
    sock_connect: float | None = None
    sock_read: float | None = None
    connect: float | None = None
    """Seconds."""
    ceil_threshold: float = float("inf")
    """Beyond it, aiohttp would round limits up."""
    connection: KnownConnection | None = None
    """None: there was none yet, or it is of another connector."""
    body: "CheckedPayload | None" = None
    """What looks at the connection when it is written, if aiohttp does that a turn of the event loop later."""
    was_refused: bool = False
    """Whether the body was not written: what came is no answer to this request."""

    # Not frozen, so that each request's own can be made quickly: by `Use.__new__(Use)`, without a constructor. Both
    # methods, or Python sets attributes the slow way.
    __setattr__: ClassVar[Any] = object.__setattr__
    __delattr__: ClassVar[Any] = object.__delattr__


class CheckedConnector(TCPConnector):
    """A TCPConnector that gives out no kept connection on which anything is waiting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(socket_factory=self._open_socket, **options)  # pyright: ignore[reportUnknownMemberType]  one of aiohttp's options has no full type
        self._known: dict[ResponseHandler | None, KnownConnection] = {}
        self._sockets: WeakSet[_Socket] = WeakSet()

    def _open_socket(self, address: tuple[Any, ...]) -> socket.socket:
        # Family, type and protocol; what follows says where to connect to.
        opened = _Socket(*address[:3])
        self._sockets.add(opened)
        return opened

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """Return a new connection, or a kept one that is as its last answer left it."""
        begun, use = fork.forks, timeout if isinstance(timeout, Use) else None
        body = use.body if _WRITES_BODIES_LATER and use is not None else None
        if use is not None and body is not None:
            # Each would keep the other alive, until the garbage collector comes.
            body.use, use.body = use, None
        while True:
            connection = await super().connect(req, traces, timeout)
            known = self._known.get(connection.protocol)
            if known is None:
                known = self._remember(connection, begun)
            else:
                known.is_kept = True
                # What was read by now, aiohttp forgets before the body is written.
                if known.is_disturbed(by_what_was_read=body is not None):
                    known.abort()
                    connection.close()
                    continue
            if use is not None:
                use.connection = known
            return connection

    def _remember(self, connection: Connection, begun: int) -> KnownConnection:
        protocol = connection.protocol
        if protocol is None:
            raise DisturbedError
        # A pool opens few connections: then is the time to forget those that are over.
        self._known = {other: known for other, known in self._known.items() if not known.is_closing()}
        connected = protocol.transport.get_extra_info("socket") if protocol.transport else None
        number = -1 if connected is None else connected.fileno()
        opened = next((opened for opened in self._sockets if opened.fileno() == number), None)
        known = self._known[protocol] = KnownConnection(protocol, opened)
        if fork.forks != begun:
            # It was being opened when the process was forked: the parent has it, too.
            known.abort()
            connection.close()
            raise DisturbedError
        return known

    def suspect_kept(self) -> None:
        """Use no connection again that is open now: one of them was dead, and there was nothing to see on it."""
        for known in self._known.values():
            known.suspect()

    def disown(self) -> None:
        """In a forked child, let go of the parent's connections.

        Parent and child share the sockets, and on an inherited event loop the list of those it listens to as well: the
        child would read the parent's answers. So in the child each connection, also one that is being opened, reads
        as closed, and what is written to it is discarded.
        """
        for shared in list(self._sockets):
            if (number := shared.fileno()) >= 0:
                # Closed first, since there may be no other descriptor to be had.
                os.close(number)
                ended = socket.socket()
                if ended.fileno() != number:
                    os.dup2(ended.fileno(), number)
                    ended.close()
                else:
                    ended.detach()


class CheckedPayload(Payload):
    """A base of bodies that are not written to a kept connection that is disturbed."""

    use: Use | None = None
    """None: nothing needs to be looked at."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Look at the connection, then write."""
        use = self.use
        if use is not None and (known := use.connection) is not None and known.is_kept and known.is_disturbed():
            use.was_refused = True
            raise DisturbedError
        await super().write_with_length(writer, content_length)


class CheckedBody(CheckedPayload, BytesPayload):
    """A body of bytes."""


def _yes() -> bool:
    return True


def _look_into(transport: BaseTransport | None, opened: _Socket | None) -> Callable[[], object]:
    connected = None if transport is None else transport.get_extra_info("socket")
    if transport is None or connected is None:
        return _yes
    look: Callable[[], object]
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connected, select.POLLIN)
        look = partial(poll.poll, 0)
    else:
        look = partial(_is_readable, connected)
    if opened is None or transport.get_extra_info("sslcontext") is None:
        return look
    return lambda: opened.is_within_record or look()


def _is_readable(connected: Any) -> bool:
    return bool(select.select([connected], [], [], 0)[0])
