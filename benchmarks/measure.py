"""One row in one round: `python -m benchmarks.measure CLIENT OPERATION LOOP URL SECONDS`, in a process of its own."""

import asyncio
import gc
import json
import resource
import sys
from time import perf_counter, process_time
from typing import Final

from benchmarks.clients import CLIENTS, OPERATIONS, Call, loop_factory
from benchmarks.rows import CONCURRENCIES

__all__ = ["peak_rss_mb"]

_CALLS_WITHOUT_GC: Final = 100
_POOL: Final = 100
"""Connections that a client opens at most, by default: warm is who has opened them."""
_RSS_UNIT: Final = 1 if sys.platform == "darwin" else 1024


def peak_rss_mb() -> float:
    """Return the most memory this process had at any time."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _RSS_UNIT / 1e6


async def _call_until(end: float, call: Call, latencies: list[float]) -> None:
    ended = 0.0
    # At least once: otherwise those of a thousand that begin late would not take part.
    while ended < end:
        started = perf_counter()
        await call()
        ended = perf_counter()
        latencies.append(ended - started)


async def _call_for(seconds: float, call: Call, concurrency: int) -> dict[str, float]:
    latencies: list[float] = []
    gc.collect()
    wall, cpu = perf_counter(), process_time()
    await asyncio.gather(*(_call_until(wall + seconds, call, latencies) for _ in range(concurrency)))
    wall, cpu = perf_counter() - wall, process_time() - cpu
    latencies.sort()
    return {
        "calls": len(latencies),
        "calls_per_second": len(latencies) / wall,
        "cpu_us": cpu / len(latencies) * 1e6,
        "p50_ms": latencies[len(latencies) // 2] * 1e3,
        "p99_ms": latencies[len(latencies) * 99 // 100] * 1e3,
        "peak_rss_mb": peak_rss_mb(),
    }


async def _cyclic_garbage(call: Call) -> float:
    """Return how many objects a call leaves in reference cycles."""
    gc.collect()
    gc.disable()
    for _ in range(_CALLS_WITHOUT_GC):
        await call()
    found = gc.collect()
    gc.enable()
    return found / _CALLS_WITHOUT_GC


async def _measure(client: str, operation: str, url: str, seconds: float) -> dict[str, object]:
    async with CLIENTS[client](url):
        pass  # The imports are no part of the first call.
    modules, started = set(sys.modules), perf_counter()
    async with CLIENTS[client](url) as api:
        call = OPERATIONS[operation](api)
        await call()
        first: dict[str, object] = {
            "first_call_ms": (perf_counter() - started) * 1e3,
            "imported_by_first_call": sorted(set(sys.modules) - modules),
        }
        at: dict[int, dict[str, float]] = {}
        for concurrency in CONCURRENCIES:
            await _call_for(seconds / 3, call, min(concurrency, _POOL))
            at[concurrency] = await _call_for(seconds, call, concurrency)
        return {**first, "at": at, "cyclic_garbage": await _cyclic_garbage(call)}


def main() -> None:
    """Print what was measured, as JSON."""
    client, operation, loop, url, seconds = sys.argv[1:]
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        print(json.dumps(runner.run(_measure(client, operation, url, float(seconds)))))  # noqa: T201


if __name__ == "__main__":
    main()
