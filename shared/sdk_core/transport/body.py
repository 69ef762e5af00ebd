"""Reading the body of an answer: all of it, but no more than was asked for."""

from asyncio import Future
from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import ClientResponse
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["read_at_most"]


async def read_at_most(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body, decompressed; None if it is larger than `limit` bytes. The connection is not held any more."""
    content = response.content
    try:
        # What came in one piece with the head is there already.
        body = content.read_nowait()
        if len(body) <= limit and content.at_eof():
            return body
        chunks, left = [body], limit - len(body)
        with _ending_with_its_connection(response):
            while left >= 0 and (chunk := await content.readany()):
                chunks.append(chunk)
                left -= len(chunk)
        return b"".join(chunks) if left >= 0 else None
    finally:
        # At the end of its body a response gives its connection back to the pool, and is closed by itself.
        if not response.closed:
            response.close()


@contextmanager
def _ending_with_its_connection(response: ClientResponse) -> Generator[None]:
    """Have the body end in an error when aiohttp hangs up over it, because it is no HTTP.

    aiohttp tells that to the connection only. Whoever waits for the body would wait until the attempt's time is over.
    """
    protocol = None if response.connection is None else response.connection.protocol
    if protocol is None:
        yield
        return

    def tell(_closed: object) -> None:
        if isinstance(error := protocol.exception(), HttpProcessingError):
            response.content.set_exception(error)

    closed = protocol.closed
    if closed is None:
        tell(None)
        yield
        return
    closed.add_done_callback(tell)
    try:
        yield
    finally:
        closed.remove_done_callback(tell)
        # It is the connection's, and may be in use for long; asyncio complains if nobody asks how it ended.
        closed.remove_done_callback(_ask)
        closed.add_done_callback(_ask)


def _ask(closed: "Future[None]") -> None:
    if not closed.cancelled():
        closed.exception()
