"""A connector that looks at a kept connection before a request is sent over it.

aiohttp keeps connections, and reuses one without a look at what happened to it meanwhile. A server or a proxy may have
sent something that nobody asked for: an answer twice, or a 408 before it hangs up. The next request would take that for
its answer, and one member would be shown the contract of another. Or the server has
closed the connection, and the event loop, busy or standing still, has not noticed: then a write would fail, and nobody
knew whether it took effect.

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
from asyncio import BaseTransport, Task, WriteTransport, current_task
from collections.abc import Callable
from functools import partial
from typing import Any

from aiohttp import ClientRequest, ClientTimeout, TCPConnector
from aiohttp.abc import AbstractStreamWriter
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import Connection
from aiohttp.payload import BytesPayload, Payload
from aiohttp.tracing import Trace

from sdk_core.transport import fork

__all__ = [
    "CheckedBody",
    "CheckedConnector",
    "CheckedPayload",
    "DisturbedError",
    "KnownConnection",
]


class KnownConnection:
    """A connection that a request was sent over.

    Args:
        protocol: aiohttp's end of it.
    """

    __slots__ = ("_look", "_protocol", "_transport", "is_kept", "was_refused")

    def __init__(self, protocol: ResponseHandler) -> None:
        self._protocol = protocol
        self._transport = protocol.transport
        self._look = _look_into(protocol.transport)
        self.is_kept: bool = False
        """Whether an earlier request used it."""
        self.was_refused: bool = False
        """Whether a body was not written to it: what came over it is no answer to that request."""

    def is_disturbed(self) -> bool:
        """Return whether something is on it that nobody asked for: bytes, an end or an error."""
        # What the event loop has read is in the protocol, what it has not read yet in the socket.
        return self._protocol.should_close or bool(self._look())

    def holds_part_of_head(self) -> bool:
        """Return whether the beginning of an answer was read; only before a request, whose own parser starts afresh."""
        # Private, therefore guarded; a test fails when the attribute goes away. Nothing else tells of such bytes.
        parser = getattr(self._protocol, "_parser", None)
        try:
            return parser is not None and parser.feed_eof() is not None
        except Exception:  # noqa: BLE001  whatever it holds, it is no end of an answer
            return True

    def is_writing(self) -> bool:
        """Return whether something is not on its way yet."""
        return isinstance(self._transport, WriteTransport) and self._transport.get_write_buffer_size() > 0

    def suspect(self) -> None:
        """Count as disturbed from now on."""
        self._look = _suspicious

    def abort(self) -> None:
        """Close it at once: an orderly end of TLS would wait up to 30 s for a peer that hangs, and read on."""
        abort: Callable[[], None] | None = getattr(self._transport, "abort", None)
        if abort is not None:
            abort()

    def end_use(self, *, complete: bool, with_body: bool) -> None:
        """Abort the connection if it is not as a complete exchange leaves it.

        Closed in order, it would stay open until the peer has read the rest of a request that it answered early, or has
        closed TLS on its side.
        """
        if not complete or self.is_over or (with_body and self.is_writing()):
            self.abort()

    def disown(self) -> None:
        """In a forked child, let go of the parent's socket: put one in its place that is at its end."""
        shared = None if self._transport is None else self._transport.get_extra_info("socket")
        if shared is not None and shared.fileno() >= 0:
            ended, peer = socket.socketpair()
            peer.close()
            os.dup2(ended.fileno(), shared.fileno())
            ended.close()

    @property
    def is_over(self) -> bool:
        """Whether it will not be used again."""
        return not self._protocol.is_connected()


class DisturbedError(OSError):
    """Something came over the kept connection before the request was written: nothing was sent."""


class CheckedConnector(TCPConnector):
    """A TCPConnector that gives out no kept connection on which anything is waiting."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)  # pyright: ignore[reportUnknownMemberType]  one of aiohttp's options has no full type
        self._known: dict[ResponseHandler, KnownConnection] = {}
        self.in_use: dict[Task[Any] | None, KnownConnection | None] = {}
        """Of each task that asks for it by an entry: which connection it was given. aiohttp itself names the connection
        of an answer, but not of a failure. By tasks, since several of them may share a context."""

    async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Connection:
        """Return a new connection, or a kept one that is as its last answer left it."""
        begun: int = fork.forks
        while True:
            connection = await super().connect(req, traces, timeout)
            protocol = connection.protocol
            if protocol is None:
                return connection
            if fork.forks != begun:
                # It was being opened when the process was forked: the parent has it, too.
                shared = self._remember(protocol)
                shared.disown()
                shared.abort()
                connection.close()
                raise DisturbedError
            known = self._known.get(protocol)
            if known is None:
                known = self._remember(protocol)
            elif known.is_disturbed() or known.holds_part_of_head():
                known.abort()
                connection.close()
                continue
            else:
                known.is_kept = True
            if (task := current_task()) in self.in_use:
                self.in_use[task] = known
            if isinstance(req.body, CheckedPayload):
                req.body.connection = known
            return connection

    def _remember(self, protocol: ResponseHandler) -> KnownConnection:
        # A pool opens few connections: then is the time to forget those that are over.
        self._known = {other: known for other, known in self._known.items() if not known.is_over}
        known = self._known[protocol] = KnownConnection(protocol)
        return known

    def suspect_kept(self) -> None:
        """Use no connection again that is open now: one of them was dead, and there was nothing to see on it."""
        for known in self._known.values():
            known.suspect()

    def disown(self) -> None:
        """In a forked child, let go of the parent's connections.

        Parent and child share the sockets, and on an inherited event loop the list of those it listens to as well: the
        child would read the parent's answers. So in the child each connection reads as closed, and what is written to
        it is discarded.
        """
        for known in self._known.values():
            known.disown()


class CheckedPayload(Payload):
    """A base of bodies that are not written to a kept connection that is disturbed."""

    connection: KnownConnection | None = None
    """What it goes over; None: a connection that is not ours."""

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        """Look at the connection, then write."""
        connection = self.connection
        if connection is not None and connection.is_kept and connection.is_disturbed():
            connection.was_refused = True
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
