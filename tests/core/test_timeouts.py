"""The two limits of a call: `attempt_timeout` for one attempt, `total_timeout` for everything together."""

import asyncio
import contextlib
import selectors
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, TCPConnector
from cases import goes_through
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, Step, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from membership_sdk.models import VoidResult
from sdk_core.errors import CallTimeoutError, ConnectionFailedError, RateLimitError, SdkError, ServerError
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.retry import RetryPolicy
from sdk_core.transport.connection import Connection

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE)

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n"
AT_ONCE = RetryPolicy(backoff_base=0)
"""Real time, without waits between attempts."""


def client_for(server: WireServer, retry: RetryPolicy = AT_ONCE, **options: Any) -> MembershipClient:
    return MembershipClient(server.url, "key", retry=retry, **options)


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


@contextmanager
def within(least: float, most: float) -> Iterator[None]:
    """Check that a limit is met by the block; a busy machine gets a quarter of a second."""
    started = time.monotonic()
    yield
    assert least <= time.monotonic() - started < most + 0.25


# -- One attempt -------------------------------------------------------------------------------------------------------

STALLS: dict[str, Step] = {
    "no-answer": STALL,
    "half-a-head": Raw(HEAD[:20], close=False),
    "no-body": Raw(HEAD, close=False),
    "half-a-body": Raw(HEAD + b"{", close=False),
}


@pytest.mark.parametrize("step", STALLS.values(), ids=STALLS)
async def test_attempt_timeout_ends_an_attempt_wherever_it_stalls(step: Step) -> None:
    """A WRITE that got no complete answer in time: outcome UNKNOWN, one request, and the error names the limit."""
    async with WireServer(step) as server, client_for(server, attempt_timeout=0.1, total_timeout=9) as client:
        with within(0.1, 0.15):
            error = await failure(client.call(WRITE))
        assert len(server.requests) == 1
    assert isinstance(error, CallTimeoutError)
    assert isinstance(error, TimeoutError)
    assert (error.limit, error.outcome) == ("attempt_timeout", Outcome.UNKNOWN)
    assert "attempt timeout" in str(error)
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN]


async def test_attempt_timeout_is_per_attempt() -> None:
    """Each of the three attempts of a READ gets the whole of it."""
    async with WireServer(STALL) as server, client_for(server, attempt_timeout=0.1, total_timeout=9) as client:
        with within(0.3, 0.45):
            error = await failure(client.call(READ))
        assert len(server.requests) == 3
    assert isinstance(error, CallTimeoutError)
    assert error.limit == "attempt_timeout"
    assert all(0.1 <= attempt.elapsed < 0.3 for attempt in error.attempts)


async def test_stalled_attempt_is_made_good_by_the_next() -> None:
    """A READ that stalls once succeeds within the total timeout, over a new connection."""
    async with WireServer(STALL, CannedAnswer()) as server, client_for(server, attempt_timeout=0.1) as client:
        await client.call(READ)
        assert (len(server.requests), server.connections) == (2, 2)


async def test_slow_drip_does_not_keep_an_attempt_alive() -> None:
    """A body that comes byte by byte ends with the limit: it bounds the attempt, not the silence between two bytes."""

    drips: list[asyncio.Task[None]] = []

    async def drip(writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.CancelledError), contextlib.closing(writer):
            writer.write(HEAD)
            while True:
                writer.write(b" ")
                await writer.drain()
                await asyncio.sleep(0.02)

    def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        drips.append(asyncio.create_task(drip(writer)))

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, MembershipClient(url, "key", retry=RetryPolicy.none(), attempt_timeout=0.15) as client:
        with within(0.15, 0.2):
            error = await failure(client.call(READ))
    drips[0].cancel()
    await drips[0]
    assert isinstance(error, CallTimeoutError)


async def test_error_whose_body_stalls_is_still_that_error() -> None:
    """A status tells what it tells, even if its body never ends."""
    step = Raw(HEAD.replace(b"200 OK", b"404 X"), close=False)
    async with WireServer(step) as server, client_for(server, attempt_timeout=0.1) as client:
        with within(0.1, 0.15):
            error = await failure(client.call(WRITE))
    assert (type(error).__name__, error.outcome) == ("NotFoundError", Outcome.REJECTED)


# -- The whole call ----------------------------------------------------------------------------------------------------


async def test_total_timeout_bounds_all_attempts() -> None:
    """Never attempts x attempt_timeout: the last attempt gets what is left, and the error names the total."""
    async with WireServer(STALL) as server, client_for(server, attempt_timeout=0.15, total_timeout=0.25) as client:
        with within(0.25, 0.3):
            error = await failure(client.call(READ))
        assert len(server.requests) == 2
    assert isinstance(error, CallTimeoutError)
    assert error.limit == "total_timeout"
    assert "total timeout" in str(error)
    assert error.outcome is Outcome.UNKNOWN
    # The failure before it is its cause: "deadline passed" alone would say nothing of why.
    assert isinstance(error.__cause__, CallTimeoutError)
    assert error.__cause__.limit == "attempt_timeout"


async def test_last_real_failure_is_the_cause() -> None:
    """500, then a stall until the deadline: the timeout carries the 500, live and as an attempt."""
    async with WireServer(CannedAnswer(500), STALL) as server, client_for(server, total_timeout=0.15) as client:
        error = await failure(client.call(READ))
    assert isinstance(error, CallTimeoutError)
    assert isinstance(error.__cause__, ServerError)
    assert [attempt.status for attempt in error.attempts] == [500, None]


async def test_total_timeout_shorter_than_the_attempt_timeout() -> None:
    """The smaller of the two rules."""
    async with WireServer(STALL) as server, client_for(server, attempt_timeout=30, total_timeout=0.1) as client:
        with within(0.1, 0.15):
            error = await failure(client.call(WRITE))
    assert isinstance(error, CallTimeoutError)
    assert error.limit == "total_timeout"


@pytest.mark.parametrize(("limit", "options"), [("attempt_timeout", {}), ("total_timeout", {"attempt_timeout": 30})])
async def test_limits_can_be_set_per_call(limit: str, options: dict[str, float]) -> None:
    """`with_options` gives a view with other limits; the client keeps its own."""
    async with WireServer(STALL) as server, client_for(server) as client:
        hurried = client.with_options(retry=RetryPolicy.none(), **{**options, limit: 0.1})
        with within(0.1, 0.15):
            error = await failure(hurried.call(READ))
    assert isinstance(error, CallTimeoutError)
    assert error.limit == limit


async def test_no_sleep_is_begun_that_ends_after_the_deadline(fake_time: FakeTime) -> None:
    """All waits together stay within the total timeout; instead of one that would not, the failure is raised."""
    policy = RetryPolicy(max_attempts=99, sleep=fake_time.sleep, clock=fake_time.clock, budget=None)
    async with WireServer(CannedAnswer(429, headers={"Retry-After": "7"})) as server:
        async with client_for(server, policy, total_timeout=30) as client:
            error = await failure(client.call(READ))
        assert len(server.requests) == len(fake_time.sleeps) + 1
    assert isinstance(error, RateLimitError)
    assert 3 <= len(fake_time.sleeps) <= 4
    assert fake_time.now <= 1000 + 30


async def test_backoff_stays_within_the_deadline(fake_time: FakeTime) -> None:
    """The same for waits nobody asked for: 99 attempts do not outlast the total timeout."""
    policy = RetryPolicy(
        max_attempts=99, backoff_base=4, backoff_cap=8, sleep=fake_time.sleep, clock=fake_time.clock, budget=None
    )
    async with WireServer(DROP) as server:
        async with client_for(server, policy, total_timeout=30) as client:
            error = await failure(client.call(READ))
        assert 2 <= len(server.requests) < 99
    assert isinstance(error, ConnectionFailedError)
    assert sum(fake_time.sleeps) <= 30


async def test_overslept_deadline_sends_nothing_more(fake_time: FakeTime) -> None:
    """A wait that took longer than planned (a suspended laptop) does not lead to a request after the deadline."""

    async def oversleep(seconds: float) -> None:
        await fake_time.sleep(seconds + 3600)

    policy = RetryPolicy(sleep=oversleep, clock=fake_time.clock)
    async with WireServer(CannedAnswer(500)) as server, client_for(server, policy) as client:
        error = await failure(client.call(READ))
        assert len(server.requests) == 1
    assert isinstance(error, CallTimeoutError)
    assert error.limit == "total_timeout"
    assert isinstance(error.__cause__, ServerError)


# -- What else takes time within a call --------------------------------------------------------------------------------


async def test_total_timeout_bounds_the_token_fetch() -> None:
    """A token provider that hangs: nothing was sent, and the call ends in time."""

    async def hang() -> str:
        await asyncio.Event().wait()
        return "never"

    async with WireServer() as server:
        async with CloudCockpitClient("tenant.example", hang, base_url=server.url, total_timeout=0.1) as client:
            with within(0.1, 0.1):
                error = await failure(client.call(WRITE))
        assert server.requests == []
        # The fetch itself is everybody's, and goes on: a test has to end it.
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "_replace" in repr(task):
                task.cancel()
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome, error.attempts) == ("total_timeout", Outcome.NOT_SENT, ())


async def test_total_timeout_bounds_the_token_fetch_after_a_401() -> None:
    """The same for the fresh token after a 401: it was refused, so nothing happened."""
    tokens = ["first"]

    async def provide() -> str:
        if not tokens:
            await asyncio.sleep(0.5)
        return tokens.pop()

    async with WireServer(CannedAnswer(401)) as server:
        async with CloudCockpitClient("tenant.example", provide, base_url=server.url, total_timeout=0.15) as client:
            with within(0.15, 0.15):
                error = await failure(client.call(WRITE))
        assert len(server.requests) == 1
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            if "_replace" in repr(task):
                task.cancel()
    assert isinstance(error, CallTimeoutError)
    assert [attempt.status for attempt in error.attempts] == [401]
    assert error.outcome in {Outcome.NOT_SENT, Outcome.REJECTED}


@pytest.mark.parametrize("injected", [False, True])
async def test_total_timeout_bounds_waiting_for_a_connection(injected: bool) -> None:
    """With all connections taken, a WRITE waits in line, was certainly not sent, and ends in time."""
    async with WireServer(STALL) as server:
        async with ClientSession(connector=TCPConnector(limit=1)) as session:
            options: dict[str, Any] = {"session": session} if injected else {"connection": Connection(limit=1)}
            async with client_for(server, RetryPolicy.none(), **options) as client:
                first = asyncio.create_task(client.call(WRITE))
                while not server.requests:
                    await asyncio.sleep(0.001)
                with within(0.1, 0.15):
                    error = await failure(client.with_options(total_timeout=0.1).call(WRITE))
                first.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await first
        assert len(server.requests) == 1
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome) == ("total_timeout", Outcome.NOT_SENT)
    assert error.retryable


@pytest.mark.parametrize("limits", [None, {"limit": 1}, {"limit": 0, "limit_per_host": 1}])
async def test_call_in_line_is_sent_when_its_turn_comes(limits: dict[str, int] | None) -> None:
    """Standing in line for a connection is no attempt, whoever limits them: only the whole call's time goes by."""
    async with (
        WireServer(STALL, CannedAnswer()) as server,
        ClientSession(connector=TCPConnector(**limits or {})) as session,
    ):
        options: dict[str, Any] = {"session": session} if limits else {"connection": Connection(limit=1)}
        async with client_for(server, attempt_timeout=0.1, total_timeout=5, **options) as client:
            first = asyncio.create_task(client.with_options(attempt_timeout=0.25).call(WRITE))
            while not server.requests:
                await asyncio.sleep(0.001)
            reply = await client.with_options(retry=RetryPolicy.none()).call_with_reply(WRITE)
            assert isinstance(await failure(first), CallTimeoutError)
        assert len(server.requests) == 2
    assert len(reply.attempts) == 1


async def test_pool_without_a_limit_has_no_line() -> None:
    """0 stands for no limit in an injected connector, not for no connection."""
    async with WireServer(STALL) as server, ClientSession(connector=TCPConnector(limit=0)) as session:
        async with client_for(server, RetryPolicy.none(), session=session, total_timeout=0.1) as client:
            await asyncio.gather(*(failure(client.call(READ)) for _ in range(3)))
        assert len(server.requests) == 3


async def test_total_timeout_bounds_a_rate_limiter_that_hangs() -> None:
    """A limiter on a network that is gone must not hold a call beyond its limit: it goes on without, or it ends."""

    class Hanging:
        async def acquire(self, _operation: str, _patience: float) -> float:
            await asyncio.Event().wait()
            return 0.0

        async def confirm(self, _operation: str, _patience: float) -> float:
            return 0.0

        async def on_rate_limited(self, _operation: str, _retry_after: float) -> None:
            """Take no note."""

        async def give_back(self, _operation: str, _wait: float) -> None:
            """Nothing was taken."""

    async with WireServer() as server, client_for(server, rate_limiter=Hanging(), total_timeout=0.1) as client:
        with within(0, 0.1), contextlib.suppress(CallTimeoutError):
            async with asyncio.timeout(1):
                await client.call(READ)


# -- Connecting --------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def _deaf_server() -> AsyncIterator[tuple[int, list[socket.socket]]]:
    """Give the port of a server that accepts connections and never says a word: no TLS handshake ends there."""
    accepted: list[socket.socket] = []
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)

        async def accept() -> None:
            while True:
                accepted.append((await loop.sock_accept(listening))[0])

        task = asyncio.create_task(accept())
        try:
            yield listening.getsockname()[1], accepted
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            for connection in accepted:
                connection.close()


@pytest.mark.parametrize("operation", [READ, WRITE], ids=["read", "write"])
async def test_stalled_handshake_was_not_sent_and_is_repeated(operation: Operation[Any]) -> None:
    """No byte of the request went out: even a WRITE is tried again, on a connection of its own."""
    options: dict[str, Any] = {"retry": AT_ONCE, "attempt_timeout": 0.1, "total_timeout": 9}
    async with _deaf_server() as (port, accepted):
        async with MembershipClient(f"https://127.0.0.1:{port}", "key", **options) as client:
            with within(0.3, 0.45):
                error = await failure(client.call(operation))
        assert len(accepted) == 3
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome, error.retryable) == ("attempt_timeout", Outcome.NOT_SENT, True)
    assert "could not connect" in str(error)
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.NOT_SENT] * 3


async def test_stalled_handshake_within_the_total_timeout() -> None:
    """The total timeout bounds connecting as well."""
    async with (
        _deaf_server() as (port, _accepted),
        MembershipClient(f"https://127.0.0.1:{port}", "key", retry=AT_ONCE, total_timeout=0.15) as client,
    ):
        with within(0.15, 0.2):
            error = await failure(client.call(WRITE))
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome) == ("total_timeout", Outcome.NOT_SENT)


async def test_full_backlog_was_not_sent() -> None:
    """A listening socket that takes no more connections: the SYN stays unanswered until the limit."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                waiting.connect(listening.getsockname())
        async with MembershipClient(
            f"http://127.0.0.1:{listening.getsockname()[1]}", "key", retry=AT_ONCE, attempt_timeout=0.1
        ) as client:
            error = await failure(client.call(WRITE))
    assert error.outcome is Outcome.NOT_SENT
    assert len(error.attempts) == 3


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"], ids=["closed", "plain-http"])
async def test_failed_handshake_was_not_sent(answer: bytes, fake_time: FakeTime) -> None:
    """A peer that hangs up during the TLS handshake, or speaks no TLS, has seen nothing of the request."""
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.read(5)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    async with server, MembershipClient(url, "key", retry=policy) as client:
        error = await failure(client.call(WRITE))
    assert isinstance(error, ConnectionFailedError)
    assert (error.outcome, connections) == (Outcome.NOT_SENT, 3)


# -- A limit and a cancellation at the same moment ---------------------------------------------------------------------


class Turns(asyncio.SelectorEventLoop):
    """A loop whose time jumps to the next timer when there is nothing else to do, and that can be met at any turn."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.turn = 0
        self.meet: Callable[[], object] = lambda: None
        selector = selectors.DefaultSelector()
        super().__init__(selector)
        self._poll, selector.select = selector.select, self._select  # type: ignore[method-assign]

    def time(self) -> float:
        return self.now

    def _select(self, timeout: float | None = None) -> Any:
        events = self._poll(0 if timeout is not None else 1)
        if not events and timeout is not None:
            self.now += timeout
        self.turn += 1
        self.meet()
        return events


def cancelled_at(turn: int, scheme: str, step: Step, limits: dict[str, float], *, last: bool) -> tuple[int, Any, Any]:
    """Return how many turns a call and its clean-up took, whether its cancellation was accepted, and its task."""
    accepted: list[bool] = []

    async def scenario() -> asyncio.Task[Any]:
        retry = RetryPolicy(max_attempts=1, clock=loop.time)
        async with WireServer(step) as server:
            url = server.url.replace("http", scheme)
            async with MembershipClient(url, "key", retry=retry, **limits) as client:
                task = asyncio.create_task(client.call(WRITE))

                def cancel() -> None:
                    accepted.append(task.cancel())

                def meet() -> None:
                    if loop.turn == turn:
                        # What is due a moment later is due in this turn, but after everything else.
                        loop.call_at(loop.now + 1e-10, cancel) if last else cancel()

                loop.turn, loop.meet = 0, meet
                await asyncio.wait([task])
                return task

    loop = Turns()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        task = runner.run(scenario())
    return loop.turn, accepted, task


LATE: dict[str, tuple[str, Step, dict[str, float]]] = {
    "answer": ("http", STALL, {"attempt_timeout": 5}),
    "answer, total": ("http", STALL, {"total_timeout": 5}),
    "body": ("http", Raw(HEAD + b"{", close=False), {"attempt_timeout": 5}),
    "handshake": ("https", STALL, {"attempt_timeout": 5}),
}


@pytest.mark.parametrize("last", [False, True], ids=["first-in-a-turn", "last-in-a-turn"])
@pytest.mark.parametrize(("scheme", "step", "limits"), LATE.values(), ids=LATE)
def test_cancellation_is_not_lost_to_a_timeout(scheme: str, step: Step, limits: dict[str, float], last: bool) -> None:
    """Who cancels a call that has not ended gets a CancelledError, even in the turn in which a limit passes.

    Tried in every turn there is, before and after the timers that are due in it. (aiohttp's own total timeout fails
    here: it takes the cancellation for its own and raises TimeoutError.)
    """
    turns, _, task = cancelled_at(-1, scheme, step, limits, last=last)
    assert isinstance(task.exception(), CallTimeoutError)
    ends = set()
    for turn in range(1, turns + 1):
        _, accepted, task = cancelled_at(turn, scheme, step, limits, last=last)
        assert task.cancelled() == (accepted == [True]), turn
        ends.update(accepted)
    assert ends == {True, False}


# -- Arguments ---------------------------------------------------------------------------------------------------------


@goes_through("limit", ["attempt_timeout", "total_timeout"])
@goes_through("value", [0, -1, float("nan"), float("inf")])
def test_limits_are_positive_and_finite(limit: str, value: float) -> None:
    """Both on the client and on a view of it, and the error names which."""
    with pytest.raises(ValueError, match=limit):
        MembershipClient("https://studio.example", "key", **{limit: value})
    with pytest.raises(ValueError, match=limit):
        MembershipClient("https://studio.example", "key").with_options(**{limit: value})


# -- A loop that is held up --------------------------------------------------------------------------------------------


@pytest.mark.real_time("the loop is held up for longer than both limits")
async def test_connect_limit_that_passes_while_the_loop_is_held_up() -> None:
    """Both limits are late and pass in one turn of the loop: there was no connection, so nothing was sent."""
    deaf = await asyncio.start_server(lambda _reader, writer: opened.append(writer), "127.0.0.1", 0)
    opened: list[asyncio.StreamWriter] = []
    url = f"https://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
    async with deaf, MembershipClient(url, "key", retry=RetryPolicy.none(), attempt_timeout=0.05) as client:
        call = asyncio.create_task(failure(client.call(WRITE)))
        while not opened:
            await asyncio.sleep(0)
        # As code of an application may that blocks the loop.
        time.sleep(0.2)
        error = await call
        opened[0].close()
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome, error.retryable) == ("attempt_timeout", Outcome.NOT_SENT, True)
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.NOT_SENT]
    assert "could not connect within the attempt timeout" in str(error)
