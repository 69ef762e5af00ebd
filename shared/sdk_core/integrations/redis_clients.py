"""Clients of Redis, one per event loop; see `transport.session`, which does the same with aiohttp's sessions."""

from asyncio import AbstractEventLoop, CancelledError, get_running_loop, timeout
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Any, Final

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from sdk_core.fork import Lock, reset_in_child
from sdk_core.hooks import is_cancelled

__all__ = ["Clients", "connecting_to"]

_CONNECTIONS: Final = 10
"""Of one process and event loop; who finds all in use waits in line."""
_DROPPED_WITHIN: Final = 0.05
"""Seconds that a call waits until kept connections are closed: less than is left of what it waits for its limiter."""
_CLOSED_WITHIN: Final = 1.0
"""Seconds that `aclose` waits until they are."""


def connecting_to(url: str) -> Callable[[], Redis]:
    """Return what makes a client for this URL; ValueError if it is none of a Redis server."""

    def connect() -> Redis:
        # No retries: what a restarted server has forgotten must be noticed. No time limits beside ours: below Python
        # 3.12, a call that is cancelled might not hear of it.
        options: dict[str, Any] = {
            "retry": Retry(NoBackoff(), 0),
            "socket_timeout": None,
            "socket_connect_timeout": None,
        }
        # What `from_url` passes on to the connections has no types.
        pool: Any = BlockingConnectionPool
        return Redis.from_pool(pool.from_url(url, max_connections=_CONNECTIONS, timeout=None, **options))

    # It opens nothing.
    connect()
    return connect


class Clients:
    """The clients of one limiter: each made on first use, and closed with its loop."""

    def __init__(self, connect: Callable[[], Redis]) -> None:
        self._connect = connect
        self._lock = Lock()
        self._open: dict[AbstractEventLoop, tuple[AsyncGenerator[Redis, None], Redis]] = {}
        reset_in_child(self)

    async def current(self) -> Redis:
        """Return the client of the running loop."""
        entry = self._open.get(get_running_loop())
        if entry is None:
            lifetime = _lifetime(self._connect())
            # It does not give way to another task, so a loop never gets two clients.
            entry = lifetime, await anext(lifetime)
            with self._lock.held:
                for loop in [loop for loop in self._open if loop.is_closed()]:
                    del self._open[loop]
                self._open[get_running_loop()] = entry
        return entry[1]

    async def drop_idle(self) -> None:
        """Close the running loop's kept connections: they may be as dead as one that has just failed."""
        entry = self._open.get(get_running_loop())
        if entry is not None:
            with suppress(Exception):
                await _closed(entry[1].connection_pool.disconnect(inuse_connections=False), _DROPPED_WITHIN)

    async def aclose(self) -> None:
        """Close the running loop's client; those of other loops are dropped, and so closed by their loops."""
        with self._lock.held:
            current = self._open.pop(get_running_loop(), None)
            self._open.clear()
        if current is not None:
            await current[0].aclose()

    def reset_after_fork(self) -> None:
        """Start over in a forked child: the connections are the parent's."""
        _inherited.append(self._open)
        self._open = {}


async def _lifetime(redis: Redis) -> AsyncGenerator[Redis, None]:
    try:
        yield redis
    finally:
        await _closed(redis.aclose(), _CLOSED_WITHIN)


async def _closed(closing: Awaitable[None], patience: float) -> None:
    """Wait until connections are closed, or let go of them.

    With TLS, closing waits for the server, and one that hangs never answers. The transport of a connection that is let
    go of is closing then, and ends by itself.
    """
    try:
        with suppress(TimeoutError):
            async with timeout(patience):
                await closing
    except CancelledError:
        # Another task that waits for the same connections has let go of them.
        if is_cancelled():
            raise


_inherited: list[Any] = []
"""What a forked child inherited: closing it would unregister the parent's sockets, so it is kept."""
