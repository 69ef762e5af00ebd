"""Faults: requests that go wrong as a test asks for it."""

from typing import Literal, Self

from aiohttp import web
from attrs import frozen

from sdk_core.arguments import seconds

__all__ = ["GARBAGE", "NO_FAULT", "Fault", "truncate"]

GARBAGE = "<html><body>Please sign in to the network.</body></html>"


@frozen
class Fault:
    """One request that goes wrong, once. Build it with the methods below, queue it with `sandbox.fail(...)`."""

    kind: Literal["none", "status", "delay", "drop", "garbage", "truncated"]
    applies: bool
    """Whether the request takes effect all the same."""
    http_status: int = 200
    retry_after: float | str | None = None
    seconds: float = 0.0

    @classmethod
    def status(cls, status: int, *, retry_after: float | str | None = None) -> Self:
        """Refuse with `status` in the API's own error envelope; nothing happens.

        Args:
            status: 400 to 599.
            retry_after: the Retry-After header: seconds, or text as it is (an HTTP date, nonsense).
        """
        if not 400 <= status <= 599:  # noqa: PLR2004
            raise ValueError("status must be an error: 400 to 599")
        return cls("status", applies=False, http_status=status, retry_after=retry_after)

    @classmethod
    def delay(cls, delay: float) -> Self:
        """Do what is asked at once, but answer only after `delay` seconds."""
        return cls("delay", applies=True, seconds=seconds("delay", delay))

    @classmethod
    def drop(cls, *, after_applying: bool = False) -> Self:
        """Abort the connection instead of answering, before or after the request took effect."""
        return cls("drop", applies=after_applying)

    @classmethod
    def garbage(cls, status: int = 200, *, after_applying: bool = False) -> Self:
        """Answer with an HTML page, as a proxy or sign-in portal in between does."""
        return cls("garbage", applies=after_applying, http_status=status)

    @classmethod
    def truncated(cls) -> Self:
        """Do what is asked, announce more bytes than are sent, and hang up."""
        return cls("truncated", applies=True)


NO_FAULT = Fault("none", applies=True)


async def truncate(request: web.Request, response: web.Response) -> web.StreamResponse:
    """Announce more bytes than are sent, and close the connection."""
    body = response.body if isinstance(response.body, bytes) else b""
    cut = web.StreamResponse(status=response.status)
    cut.content_type = "application/json"
    cut.content_length = len(body) + 100
    await cut.prepare(request)
    await cut.write(body[: len(body) // 2])
    if request.transport is not None:
        request.transport.close()
    return cut
