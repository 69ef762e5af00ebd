"""How a body ends that aiohttp does not read to its end."""

from asyncio import Future
from collections.abc import Generator
from contextlib import contextmanager

from aiohttp import ClientResponse
from aiohttp.http_exceptions import HttpProcessingError

__all__ = ["ending_with_its_connection"]


@contextmanager
def ending_with_its_connection(response: ClientResponse) -> Generator[None]:
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
