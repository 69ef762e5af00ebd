"""The server's rule: so many requests a period; above that, all of the next period are refused.

That is the documented one, 1000 a minute and endpoint, in scaled time. Where its minutes begin is documented nowhere,
so there are servers of both kinds: with fixed windows, and with one that slides.
"""

import asyncio
import random
import time
from typing import Final, Self, cast

from benchmarks.payloads import contracts

__all__ = ["FixedWindows", "LimitedServer", "SlidingWindow"]


class FixedWindows:
    """Windows that follow each other; the first begins some time before the server starts."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._window = self._count = 0
        self._begun = time.monotonic() - random.random() * period
        self._closed_until = 0

    def permits(self, requests: int = 1) -> bool:
        """Count requests that come now; return whether they are within the limit."""
        window = int((time.monotonic() - self._begun) / self._period)
        if window != self._window:
            self._window, self._count = window, 0
        self._count += requests
        if self._count > self._limit:
            self._closed_until = window + 2
        return window >= self._closed_until


class SlidingWindow:
    """The window ends now, whenever that is."""

    def __init__(self, limit: int, period: float) -> None:
        self._limit, self._period = limit, period
        self._requests: list[float] = []
        self._closed_until = 0.0

    def permits(self, requests: int = 1) -> bool:
        """Count requests that come now; return whether they are within the limit."""
        now = time.monotonic()
        if now < self._closed_until:
            return False
        self._requests = [request for request in self._requests if request > now - self._period]
        self._requests += [now] * requests
        if len(self._requests) > self._limit:
            self._closed_until = now + self._period
            return False
        return True


RULES: Final[dict[str, type[FixedWindows] | type[SlidingWindow]]] = {"fixed": FixedWindows, "sliding": SlidingWindow}


def _response(status: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


_ACCEPTED: Final = _response("200 OK", contracts(1))
_REFUSED: Final = _response("429 Too Many Requests", b'{"errorMessage":"Too many requests","errorCode":"TOO_MANY"}')
"""Without Retry-After: the API documents none."""
_ALIVE: Final = _response("200 OK", b"")


class LimitedServer:
    """Answers reads at once, as long as they are within the limit, and notes when. HEAD is another endpoint.

    It does next to nothing else: that a request waits for the server's CPU would count as the limiter's jitter.

    Args:
        windows: `fixed` or `sliding`.
        limit: requests per period.
        period: seconds.
    """

    def __init__(self, windows: str, limit: int, period: float) -> None:
        self._rule = RULES[windows](limit, period)
        self._limit, self._period = limit, period
        self._server: asyncio.Server | None = None
        self.accepted: list[float] = []
        """When requests were, on the monotonic clock."""
        self.refused = 0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_exc: object) -> None:
        if self._server is not None:
            self._server.close()

    @property
    def url(self) -> str:
        """Base URL while the server runs."""
        assert self._server is not None  # noqa: S101
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def answer(self, head: bytes) -> bytes:
        """Return the answer to a request."""
        if head.startswith(b"HEAD"):
            return _ALIVE
        if not self._rule.permits():
            self.refused += 1
            return _REFUSED
        self.accepted.append(time.monotonic())
        return _ACCEPTED

    def add_foreign(self, requests: int) -> None:
        """Count requests of somebody else with the same key, who knows nothing of our limiter."""
        self._rule.permits(requests)

    @property
    def throughput(self) -> float:
        """What was let through, as a share of what could have been.

        Of the first request and so many whole limits after it: the periods that the rule needs for them, by the time
        they took.
        """
        periods = (len(self.accepted) - 1) // self._limit
        if periods < 1:
            return 0.0
        return periods * self._period / (self.accepted[periods * self._limit] - self.accepted[0])


class _Connection(asyncio.Protocol):
    def __init__(self, server: LimitedServer) -> None:
        self._server, self._unread = server, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        *heads, self._unread = (self._unread + data).split(b"\r\n\r\n")
        self._transport.write(b"".join(map(self._server.answer, heads)))
