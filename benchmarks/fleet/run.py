"""One run: a server with a limit, a fleet of processes, and what happens to them meanwhile."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final

from attrs import asdict, frozen

from benchmarks.fleet.rule import LimitedServer
from tests.redis_server import redis_server

__all__ = ["Conditions", "Result", "Scale", "measure"]


_GRACE: Final = 60.0
"""Seconds that the processes may take to start and to end."""


@frozen
class Scale:
    """The limit that the server enforces, and what the limiters are told beside it."""

    limit: int
    period: float
    """Seconds."""
    guard: float
    workers: int = 4
    """Processes."""
    tasks: int = 15
    """Calls at a time, of each of them."""


@frozen
class Conditions:
    """What is done to a fleet. Times are in seconds from its first call."""

    limiter: str
    """`redis`, `local` or `local, a part each`."""
    windows: str
    """`fixed` or `sliding`."""
    seconds: float
    foreign_at: float | None = None
    """When somebody else sends half of the limit at once."""
    redis_killed_at: float | None = None
    redis_back_at: float | None = None
    """Empty."""

    def __str__(self) -> str:
        name = {"redis": "RedisRateLimiter", "local": "LocalRateLimiter, N each"}.get(
            self.limiter, "LocalRateLimiter, N/4 each"
        )
        if self.foreign_at is not None:
            name += ", a foreign burst"
        if self.redis_killed_at is not None:
            name += ", Redis killed, and back"
        return f"{name}: {self.windows}"


@frozen
class Result:
    """What the server saw, and what the workers were told."""

    conditions: Conditions
    throughput: float
    """As a share of what the rule permits."""
    accepted: int
    refused: int
    failed: Counter[str]

    @property
    def refused_share(self) -> float:
        """The share of requests that were answered 429."""
        return self.refused / max(1, self.accepted + self.refused)


async def measure(conditions: Conditions, scale: Scale, *, begin_after: float = 0.0) -> Result:
    """Run a fleet under these conditions, with a Redis of its own; its first call comes after so many seconds."""
    async with asyncio.timeout(begin_after + conditions.seconds + _GRACE), AsyncExitStack() as stack:
        redis = stack.enter_context(redis_server())
        server = await stack.enter_async_context(LimitedServer(conditions.windows, scale.limit, scale.period))
        plan = {"limiter": conditions.limiter, "seconds": conditions.seconds, "url": server.url, "redis": redis.url}
        plan |= asdict(scale)
        fleet = [await _started(plan, stack) for _ in range(scale.workers)]
        for worker in fleet:
            await _line(worker)
        await asyncio.sleep(begin_after)
        for worker in fleet:
            _stdin(worker).write(b"\n")
        loop = asyncio.get_running_loop()
        events: list[tuple[float | None, Callable[[], object]]] = [
            (conditions.foreign_at, lambda: server.add_foreign(scale.limit // 2)),
            (conditions.redis_killed_at, redis.kill),
            (conditions.redis_back_at, redis.restart),
        ]
        for moment, event in events:
            if moment is not None:
                stack.callback(loop.call_later(moment, event).cancel)
        failed: Counter[str] = Counter()
        for worker in fleet:
            failed.update(json.loads(await _line(worker)))
        return Result(conditions, server.throughput, len(server.accepted), server.refused, failed)


async def _started(plan: dict[str, Any], stack: AsyncExitStack) -> Process:
    command = [sys.executable, "-m", "benchmarks.fleet.worker", json.dumps(plan)]
    worker = await asyncio.create_subprocess_exec(*command, stdin=PIPE, stdout=PIPE)
    stack.push_async_callback(_ended, worker)
    return worker


async def _ended(worker: Process) -> None:
    if worker.returncode is None:
        worker.kill()
    await worker.communicate()


async def _line(worker: Process) -> bytes:
    assert worker.stdout is not None  # noqa: S101
    line = await worker.stdout.readline()
    if not line:
        raise RuntimeError("a worker of the fleet ended before it was asked to; what it printed says why")
    return line


def _stdin(worker: Process) -> asyncio.StreamWriter:
    assert worker.stdin is not None  # noqa: S101
    return worker.stdin
