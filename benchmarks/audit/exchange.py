"""One request in the server's hands: read it, perform it, answer it, or fail to."""

import json
import select
import socket
import struct
from asyncio import StreamReader, StreamWriter
from collections.abc import Iterable, Sized
from random import Random
from time import monotonic
from typing import Any, Final, SupportsIndex

from attrs import define, frozen

from benchmarks.audit import samples
from benchmarks.audit.ledger import Entry
from benchmarks.audit.plan import MEMBERSHIP

__all__ = ["DatedReader", "Exchange", "Head", "TokenExchange", "read_head"]

_RESET: Final = struct.pack("ii", 1, 0)


class DatedReader(StreamReader):
    """Knows when the last bytes came: a request was sent before that, however late it is read."""

    came_at = 0.0

    def feed_data(self, data: Iterable[SupportsIndex]) -> None:
        """Take note of the time, too."""
        self.came_at = monotonic()
        super().feed_data(data)


@frozen
class Head:
    """Request line and headers."""

    method: str
    target: str
    headers: dict[str, str]
    """Lower-case names."""


async def read_head(reader: StreamReader) -> Head:
    """Return the head of the next request."""
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    method, target, _version = first.split(" ")
    return Head(method, target, {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)})


@define
class Exchange:
    """What a fault works with."""

    entry: Entry
    head: Head
    rng: Random
    reader: StreamReader
    writer: StreamWriter
    elsewhere: str
    """URL of a host that nobody must follow to."""

    async def read_body(self) -> None:
        """Read the request to its end."""
        await self.reader.readexactly(int(self.head.headers.get("content-length", "0")))

    def meet(self, fault: str) -> None:
        """Take note of what befalls the request."""
        self.entry.faults.append(fault)

    def apply(self) -> None:
        """Perform the operation: the effect that the ledger is about."""
        self.entry.applied += 1

    def maybe_apply(self) -> None:
        """Perform the operation, or not."""
        # The answer to a HEAD is its status: with a success in it, whatever is wrong with the rest, it is one.
        if self.head.method == "HEAD" or self.rng.random() < 0.5:
            self.apply()

    @property
    def empty_is_success(self) -> bool:
        """Whether nothing is documented to be in the answer, or a list, which may be empty."""
        return samples.is_empty(self.entry.plan.operation) or samples.is_list(self.entry.plan.operation)

    def success(self) -> bytes:
        """Return the JSON that the operation is documented to answer."""
        return samples.answer(self.entry.plan.operation)

    def envelope(self, status: int) -> bytes:
        """Return the API's own error body."""
        if self.entry.plan.api == MEMBERSHIP:
            body: dict[str, Any] = {"errorMessage": "No.", "errorCode": "NO", "traceId": "t1"}
        else:
            body = {"statusCode": status, "type": "No", "description": "No."}
        return json.dumps(body).encode()

    def encode(self, status: int, body: bytes, *headers: str, length: int | None = None) -> bytes:
        """Return an answer; `length` is what it claims of the body's."""
        lines = (
            f"HTTP/1.1 {status} X",
            # The client is held to have got the answer to its own call.
            f"X-Call: {self.entry.plan.number}",
            f"Content-Length: {len(body) if length is None else length}",
            *(headers or ("Content-Type: application/json",)),
        )
        return "\r\n".join(lines).encode() + b"\r\n\r\n" + self._unless_head(body)

    def encode_chunked(self, body: bytes) -> bytes:
        """Return a success in chunks of three bytes."""
        head = f"HTTP/1.1 200 X\r\nX-Call: {self.entry.plan.number}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        chunks = (body[start : start + 3] for start in range(0, len(body), 3))
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
        return head + self._unless_head(body)

    def _unless_head(self, body: bytes) -> bytes:
        return b"" if self.head.method == "HEAD" else body

    async def send(self, data: bytes) -> None:
        """Put bytes on the wire."""
        if self.writer.is_closing():
            # asyncio would say so itself; uvloop's word for it is RuntimeError.
            raise ConnectionResetError
        self.writer.write(data)
        await self.writer.drain()

    def is_asked_again(self) -> bool:
        """Return whether the next request has come, read or not."""
        if self.writer.is_closing():
            return True
        poll = select.poll()
        poll.register(self.writer.get_extra_info("socket"), select.POLLIN)
        waiting = poll.poll(0)
        unread: Sized = getattr(self.reader, "_buffer", "")
        return bool(waiting) or len(unread) > 0

    def hang_up(self) -> None:
        """Close the connection, politely or with a reset."""
        if self.writer.is_closing():
            return
        if self.rng.random() < 0.5:
            end: socket.socket = self.writer.get_extra_info("socket")
            end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self.writer.transport.abort()
        else:
            self.writer.close()


class TokenExchange(Exchange):
    """The same for a request for a token: what is performed is that one is issued."""

    def meet(self, fault: str) -> None:
        """Take note of what befalls the request."""
        self.entry.token_faults.append(fault)

    def apply(self) -> None:
        """Issue the token."""
        self.entry.tokens += 1

    @property
    def empty_is_success(self) -> bool:
        """Whether nothing is documented to be in the answer."""
        return False

    def success(self) -> bytes:
        """Return the JSON that OAuth2 wants answered."""
        token = f"token-{self.entry.plan.number}"
        # One that expires at once is good for one attempt: before the next, the endpoint is asked again.
        return json.dumps({"access_token": token, "expires_in": self.rng.choice((0, 3600))}).encode()

    def envelope(self, status: int) -> bytes:  # noqa: ARG002  OAuth2 has one for all
        """Return OAuth2's error body."""
        return b'{"error": "invalid_client", "error_description": "No."}'
