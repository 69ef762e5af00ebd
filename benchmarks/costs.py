"""What a call costs beside time: `python -m benchmarks.costs MEASURE [CLIENT] [URL]`, each in a process of its own."""

import asyncio
import json
import statistics
import sys
import tracemalloc
from collections.abc import Callable
from functools import partial
from time import process_time
from typing import Final

from benchmarks.clients import CLIENTS, Call
from benchmarks.measure import peak_rss_mb
from benchmarks.payloads import contracts
from benchmarks.rows import DECODED, OURS, PENDING
from benchmarks.server import NEVER_ANSWERED, ONE_CONTRACT

__all__: list[str] = []

_REPETITIONS: Final = 5
_AT_LEAST: Final = 0.03
"""Seconds of CPU to measure."""
_SETTLING: Final = 0.5


def decoding() -> dict[int, dict[str, float]]:
    """Return the microseconds it takes to decode so many contracts, to dicts and to attrs objects."""
    from membership_sdk import ContractData  # noqa: PLC0415  the other measures are of other clients too
    from sdk_core.codec import load  # noqa: PLC0415

    return {
        count: {
            "json_us": _cpu_us(partial(json.loads, contracts(count))),
            "sdk_us": _cpu_us(partial(load, contracts(count), list[ContractData])),
        }
        for count in DECODED
    }


def _cpu_us(action: Callable[[], object]) -> float:
    def measured() -> float:
        started, times = process_time(), 0
        while (spent := process_time() - started) < _AT_LEAST:
            action()
            times += 1
        return spent / times * 1e6

    measured()
    return statistics.median(measured() for _ in range(_REPETITIONS))


async def pending(client: str | None = None, url: str = "") -> float:
    """Return the bytes one of many pending calls holds; without a client, those of a task that waits."""
    if client is None:
        return await _bytes_each(asyncio.Event().wait)
    async with CLIENTS[client](url) as api:
        await api.get(ONE_CONTRACT)
        return await _bytes_each(partial(api.get, NEVER_ANSWERED))


async def _bytes_each(call: Call) -> float:
    async def wait() -> None:
        await call()

    tracemalloc.start()
    tasks = [asyncio.create_task(wait()) for _ in range(PENDING)]
    await asyncio.sleep(0)
    # All have begun, and as many as the pool allows get a connection now; the others wait for one.
    await asyncio.sleep(_SETTLING)
    each = tracemalloc.get_traced_memory()[0] / PENDING
    tracemalloc.stop()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    return each


async def growth(calls: str, url: str) -> dict[str, float]:
    """Return the process's size in MB when a tenth of many calls, one after another, is done, and when all are."""
    async with CLIENTS[OURS.client](url) as api:
        for _ in range(int(calls) // 10):
            await api.get(ONE_CONTRACT)
        early = peak_rss_mb()
        for _ in range(int(calls) * 9 // 10):
            await api.get(ONE_CONTRACT)
        return {"early_mb": early, "late_mb": peak_rss_mb()}


def main() -> None:
    """Print what was measured, as JSON."""
    name, *arguments = sys.argv[1:]
    match name:
        case "decoding":
            result: object = decoding()
        case "pending":
            result = asyncio.run(pending(*arguments))
        case _:
            result = asyncio.run(growth(*arguments))
    print(json.dumps(result))  # noqa: T201


if __name__ == "__main__":
    main()
