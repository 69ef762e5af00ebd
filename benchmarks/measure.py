"""One row: `python -m benchmarks.measure CLIENT OPERATION LOOP URL`, a process of its own.

It prints what is measured once; and for each line `CONCURRENCY SECONDS` that it reads, what so many calls at a time
cost.
"""

import asyncio
import gc
import json
import resource
import sys
from collections.abc import Mapping
from time import perf_counter, process_time
from typing import Final

from benchmarks.clients import CLIENTS, OPERATIONS, Call, loop_factory

__all__ = ["peak_rss_mb"]

_CALLS_WITHOUT_GC: Final = 100
_WARMING_UP: Final = 0.02
"""Seconds."""
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


def _say(what: Mapping[str, object]) -> None:
    print(json.dumps(what), flush=True)  # noqa: T201


async def _measure(client: str, operation: str, url: str) -> None:
    async with CLIENTS[client](url):
        pass  # The imports are no part of the first call.
    modules, started = set(sys.modules), perf_counter()
    async with CLIENTS[client](url) as api:
        call = OPERATIONS[operation](api)
        await call()
        first_call_ms = (perf_counter() - started) * 1e3
        imported = sorted(set(sys.modules) - modules)
        await _call_for(_WARMING_UP, call, 1)
        _say(
            {
                "first_call_ms": first_call_ms,
                "imported_by_first_call": imported,
                "cyclic_garbage": await _cyclic_garbage(call),
            }
        )
        # To read stops the event loop: between two measurements it is to do nothing.
        for line in sys.stdin:
            concurrency, seconds = line.split()
            await _call_for(_WARMING_UP, call, min(int(concurrency), _POOL))
            _say(await _call_for(float(seconds), call, int(concurrency)))


def main() -> None:
    """Measure until standard input ends."""
    client, operation, loop, url = sys.argv[1:]
    with asyncio.Runner(loop_factory=loop_factory(loop)) as runner:
        runner.run(_measure(client, operation, url))


if __name__ == "__main__":
    main()
