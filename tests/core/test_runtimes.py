"""Where the SDKs run: worker processes, threads and loops of their own, uvloop, many tasks at once."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from wire import DROP, CannedAnswer, FakeTime, Raw, Step, WireRequest, WireServer, patience

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import (
    CallTimeoutError,
    ConnectionFailedError,
    InvalidResponseError,
    LocalRateLimiter,
    MembershipClient,
    NotFoundError,
    Outcome,
    RetryPolicy,
    SdkError,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

ROOT = Path(__file__).parents[2]

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE)
SUBSCRIPTION = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}
AT_ONCE = RetryPolicy(backoff_base=0, budget=None)


@contextmanager
def serving(*script: Step) -> Iterator[WireServer]:
    """Run a server in a thread, for code that brings its own loops."""
    server, ready, stop = WireServer(*script), threading.Event(), SimpleNamespace()

    async def serve() -> None:
        async with server:
            stop.event, stop.loop = asyncio.Event(), asyncio.get_running_loop()
            ready.set()
            await stop.event.wait()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    ready.wait()
    try:
        yield server
    finally:
        stop.loop.call_soon_threadsafe(stop.event.set)
        thread.join()


def once_failing() -> Callable[[WireRequest], Step]:
    """Answer each request with 500 first; its repetition, told by the correlation id, with a success."""
    seen: set[str] = set()

    def answer(request: WireRequest) -> Step:
        call = request.headers["x-correlation-id"]
        if call in seen:
            return CannedAnswer(202)
        seen.add(call)
        return CannedAnswer(500)

    return answer


# -- Processes ---------------------------------------------------------------------------------------------------------

_WORKERS = """
import asyncio, multiprocessing, sys
from concurrent.futures import ProcessPoolExecutor
from uuid import UUID
from cloudcockpit_sdk import CloudCockpitClient, NotFoundError, Outcome, RetryPolicy, correlation_scope

URL, METHOD = sys.argv[1:]
ID = UUID(int=1)

async def token():
    await asyncio.sleep(0)
    return "token"

client = CloudCockpitClient("tenant.example", token, base_url=URL, retry=RetryPolicy(backoff_base=0))

async def calls(job):
    assert len(await asyncio.gather(*(client.change_po_number(
        customer_id=ID, subscription_id=ID, po_number=f"{job}-{number}") for number in range(5)))) == 5
    with correlation_scope(f"job-{job}"):
        await client.get_subscription(customer_id=ID, subscription_id=ID)

def work(job):
    asyncio.run(calls(job))

if __name__ == "__main__":
    try:
        work("parent")
        raise AssertionError
    except NotFoundError:
        pass
    with ProcessPoolExecutor(2, multiprocessing.get_context(METHOD)) as pool:
        errors = [job.exception() for job in [pool.submit(work, number) for number in range(4)]]
    # An error of a worker arrives as what it is, with all it knows.
    assert {type(error) for error in errors} == {NotFoundError}, errors
    assert [error.correlation_id for error in errors] == [f"job-{number}" for number in range(4)]
    assert {(error.outcome, error.status, len(error.attempts)) for error in errors} == {(Outcome.REJECTED, 404, 1)}
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_client_works_in_worker_processes(method: str, tmp_path: Path) -> None:
    """A module global, used before in the parent: retries, tokens and errors are each process's own."""
    if method not in multiprocessing.get_all_start_methods():
        pytest.skip(f"no {method} here")
    script = tmp_path / "workers.py"
    script.write_text(_WORKERS)
    failing = once_failing()

    def answer(request: WireRequest) -> Step:
        return CannedAnswer(404, {"type": "NotFound"}) if request.method == "GET" else failing(request)

    with serving(answer) as server:
        done = subprocess.run(
            [sys.executable, "-W", "error", str(script), server.url, method],
            env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "shared")])},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        # The parent and four jobs: five changes, each sent twice, and one failing read.
        assert len(server.requests) == 5 * (5 * 2 + 1)


# -- Loops and threads -------------------------------------------------------------------------------------------------


async def provide() -> str:
    await asyncio.sleep(0)
    return "token"


def test_loop_after_loop_with_retries() -> None:
    """Five `asyncio.run()` with one client: each fetches what it needs, repeats what failed, and leaves nothing."""
    with serving(once_failing()) as server:
        client = CloudCockpitClient("tenant.example", provide, base_url=server.url, retry=AT_ONCE)

        async def use() -> None:
            calls = [client.change_po_number(**SUBSCRIPTION, po_number="1") for _ in range(5)]
            assert len(await asyncio.gather(*calls)) == 5
            assert asyncio.all_tasks() == {asyncio.current_task()}

        for _ in range(5):
            asyncio.run(use())
        assert len(server.requests) == 5 * 5 * 2


def test_two_threads_share_a_client_at_the_same_time() -> None:
    """Each with its loop: calls, retries, waits for a slot and cancellations of one do not reach the other."""
    together = threading.Barrier(2)
    results: list[int] = []
    with serving(once_failing()) as server:
        client = CloudCockpitClient(
            "tenant.example", provide, base_url=server.url, retry=AT_ONCE, rate_limiter=LocalRateLimiter(1000)
        )

        async def use() -> None:
            together.wait(5)
            for _ in range(5):
                calls = [asyncio.create_task(client.change_po_number(**SUBSCRIPTION, po_number="1")) for _ in range(10)]
                await asyncio.sleep(0)
                calls[0].cancel()
                done = await asyncio.gather(*calls, return_exceptions=True)
                assert isinstance(done[0], asyncio.CancelledError)
                results.append(sum(not isinstance(result, BaseException) for result in done))

        threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == [9] * 10
        assert 2 * 90 <= len(server.requests) <= 2 * 100


# -- uvloop ------------------------------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n"
ENDS: dict[str, tuple[Step, type[SdkError], Outcome, int]] = {
    "dropped": (DROP, ConnectionFailedError, Outcome.UNKNOWN, 1),
    "cut": (Raw(HEAD + b"{"), ConnectionFailedError, Outcome.UNKNOWN, 1),
    "stalled": (Raw(HEAD, close=False), CallTimeoutError, Outcome.UNKNOWN, 1),
    "garbage": (Raw(b"\x00\x01\r\n\r\n"), ConnectionFailedError, Outcome.UNKNOWN, 1),
    "html": (CannedAnswer(200, "<html>", content_type="text/html"), InvalidResponseError, Outcome.UNKNOWN, 1),
    "redirect": (
        CannedAnswer(302, headers={"Location": "https://studio.example"}),
        InvalidResponseError,
        Outcome.UNKNOWN,
        1,
    ),
    "not-found": (CannedAnswer(404), NotFoundError, Outcome.REJECTED, 1),
    "busy": (CannedAnswer(429, headers={"Retry-After": "0"}), SdkError, Outcome.REJECTED, 3),
}


def run_on_uvloop(main: Coroutine[Any, Any, None]) -> None:
    uvloop = pytest.importorskip("uvloop")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main)


@goes_through(("step", "kind", "outcome", "requests"), ENDS)
def test_outcomes_are_the_same_on_uvloop(step: Step, kind: type[SdkError], outcome: Outcome, requests: int) -> None:
    """A WRITE ends as on asyncio's own loop, and a READ after it succeeds on the only connection."""

    async def main() -> None:
        assert "uvloop" in type(asyncio.get_running_loop()).__module__
        async with MembershipClient(server.url, "key", retry=AT_ONCE, attempt_timeout=patience(step)) as client:
            with pytest.raises(kind) as caught:
                await client.call(WRITE)
            assert (caught.value.outcome, len(caught.value.attempts)) == (outcome, requests)
            await client.with_options(attempt_timeout=5).call(READ)

    with serving(*[step] * requests, CannedAnswer()) as server:
        run_on_uvloop(main())
        assert len(server.requests) == requests + 1


def test_connect_failure_on_uvloop_is_not_sent() -> None:
    """Nobody listens: three attempts, NOT_SENT."""

    async def main() -> None:
        server = WireServer()
        async with server:
            url = server.url
        async with MembershipClient(url, "key", retry=AT_ONCE) as client:
            with pytest.raises(ConnectionFailedError) as caught:
                await client.call(WRITE)
        assert [attempt.outcome for attempt in caught.value.attempts] == [Outcome.NOT_SENT] * 3

    run_on_uvloop(main())


def test_concurrent_calls_retries_and_cancellation_on_uvloop() -> None:
    """A hundred calls that each fail once, some cancelled on the way, and nothing left running."""

    async def main() -> None:
        async with CloudCockpitClient("tenant.example", provide, base_url=server.url, retry=AT_ONCE) as client:
            calls = [asyncio.create_task(client.change_po_number(**SUBSCRIPTION, po_number="1")) for _ in range(100)]
            await asyncio.sleep(0)
            for call in calls[::10]:
                call.cancel()
            done = await asyncio.gather(*calls, return_exceptions=True)
            assert {number for number, end in enumerate(done) if isinstance(end, asyncio.CancelledError)} == {
                *range(0, 100, 10)
            }
            assert sum(isinstance(end, Exception) for end in done) == 0
        assert asyncio.all_tasks() == {asyncio.current_task()}

    with serving(once_failing()) as server:
        run_on_uvloop(main())


# -- Many tasks at once ------------------------------------------------------------------------------------------------


async def test_views_keep_their_limits_at_the_same_time() -> None:
    """R-38: 30 calls on one connection pool, made at once by three views; each ends by the limit of its own view."""

    async def end(view: MembershipClient) -> tuple[str | None, int]:
        with pytest.raises(CallTimeoutError) as caught:
            await view.call(READ)
        return caught.value.limit, len(caught.value.attempts)

    async with (
        WireServer(Raw(HEAD, close=False)) as server,
        MembershipClient(server.url, "key", retry=AT_ONCE) as client,
    ):
        views = {
            ("attempt_timeout", 1): client.with_options(retry=RetryPolicy.none(), attempt_timeout=0.1),
            ("attempt_timeout", 3): client.with_options(attempt_timeout=0.1),
            ("total_timeout", 1): client.with_options(total_timeout=0.2),
        }
        ends = await asyncio.gather(*(end(view) for _ in range(10) for view in views.values()))
        assert ends == [*views] * 10
        options = client._options
        assert (options.attempt_timeout, options.total_timeout, options.retry) == (30, 120, AT_ONCE)


class Crowd(FakeTime):
    """Time for many who sleep at once: they wake in the order of their hours, and nobody waits."""

    def __init__(self) -> None:
        super().__init__()
        self._asleep: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        wake = self.now + seconds
        self._asleep.append(wake)
        # Nobody wakes before all have had their turn to go to sleep, or while others are to wake earlier.
        await asyncio.sleep(0.05)
        while min(self._asleep) < wake:
            await asyncio.sleep(0.001)
        self._asleep.remove(wake)
        self.now = max(self.now, wake)


async def test_a_429_holds_back_everybody_once() -> None:
    """R-23: ten calls are under way when the first 429 comes, forty follow: only the ten are refused.

    All come back when the server takes them again, not a moment earlier, and not in one instant.
    """
    time = Crowd()
    blocked_until = time.now + 2
    arrivals: list[float] = []

    async def answer(_request: WireRequest) -> CannedAnswer:
        if time.now < blocked_until:
            await asyncio.sleep(0)
            return CannedAnswer(429, headers={"Retry-After": "2"})
        arrivals.append(time.now)
        return CannedAnswer()

    options: dict[str, Any] = {
        "retry": RetryPolicy(sleep=time.sleep, clock=time.clock),
        "rate_limiter": LocalRateLimiter(1000, clock=time.clock),
    }
    async with WireServer(answer) as server, MembershipClient(server.url, "key", **options) as client:
        early = [asyncio.create_task(client.call(READ)) for _ in range(10)]
        while len(server.requests) < 10 or not time.sleeps:
            await asyncio.sleep(0)
        late = [asyncio.create_task(client.call(READ)) for _ in range(40)]
        await asyncio.gather(*early, *late)
        assert len(server.requests) == 10 + 50
    assert len(arrivals) == 50
    assert len(time.sleeps) == 50
    waits = time.sleeps[-40:]
    assert all(2 <= wait <= 3 for wait in time.sleeps)
    assert len({round(wait, 6) for wait in waits}) > 20
