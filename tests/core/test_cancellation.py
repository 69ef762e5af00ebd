"""R-12: a call may be cancelled wherever it waits. It ends at once, sends no more, and gives back what it held."""

import asyncio
import gc
import ssl
import types
from collections.abc import AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from attrs import frozen
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, Step, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import LocalRateLimiter, MembershipClient, SdkError, VoidResult
from sdk_core.client import Client
from sdk_core.operation import Effect, Operation
from sdk_core.retry import RetryPolicy
from sdk_core.transport.connection import Connection
from sdk_core.transport.multipart import Document

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
UPLOAD = Operation(
    name="upload_it", method="POST", path="/it", body=dict, multipart=True, returns=VoidResult, effect=Effect.WRITE
)
PROBE = Operation(name="probe_it", method="GET", path="/probe", returns=VoidResult, effect=Effect.READ)
LARGE = CannedAnswer(body=b'{"text": "' + b"x" * 2**19 + b'"}')
"""An answer that comes in pieces."""


class Steps:
    """Await a call step by step: note where it is suspended, and cancel the task at the n-th suspension.

    `late` cancels in the moment the wait is over: what was waited for is there, and nobody takes it.
    """

    def __init__(self, call: Coroutine[Any, Any, Any], at: int, *, late: bool) -> None:
        self._call, self._at, self._late = call, at, late
        self.places: list[set[str]] = []

    def __await__(self) -> Generator[Any, Any, Any]:
        task, error = asyncio.current_task(), None
        assert task is not None
        while True:
            try:
                waited = self._call.send(None) if error is None else self._call.throw(error)
            except StopIteration as end:
                return end.value
            self.places.append(_functions(self._call))
            if len(self.places) == self._at:
                if not self._late:
                    task.cancel()
                elif waited is None:
                    task.get_loop().call_soon(task.cancel)
                else:
                    waited.add_done_callback(lambda _future: task.cancel())
            try:
                error = None
                yield waited
            except BaseException as thrown:  # noqa: BLE001  passed on, whatever it is
                error = thrown


def _functions(call: Any) -> set[str]:
    names = set()
    while call is not None:
        if isinstance(call, types.CoroutineType):
            names.add(call.__name__)
            call = call.cr_await
        else:
            # What `await` makes of aiohttp's awaitable request hides the coroutine inside.
            call = next((it for it in gc.get_referents(call) if isinstance(it, types.CoroutineType)), None)
    return names


@frozen
class Case:
    """A kind of call: what the server does, how it is made, and functions in which it has to wait."""

    script: tuple[Step, ...]
    call: Callable[[Client, Path], Coroutine[Any, Any, Any]]
    waits_in: set[str]
    token: bool = False
    limited: bool = False
    asking: bool = False
    tls: bool = False


def read(client: Client, _path: Path) -> Coroutine[Any, Any, Any]:
    return client.call(READ)


def write(client: Client, _path: Path) -> Coroutine[Any, Any, Any]:
    return client.call(WRITE, body={"a": 1})


def upload(client: Client, path: Path) -> Coroutine[Any, Any, Any]:
    return client.call(UPLOAD, body={"a": 1}, document=Document(source=path, content_type="image/png"))


async def in_line(client: Client, path: Path) -> Any:
    """Call while another call has the only connection."""
    first = asyncio.create_task(read(client, path))
    try:
        await asyncio.sleep(0)
        return await read(client, path)
    finally:
        await asyncio.gather(first, return_exceptions=True)


TRANSFER = {"connect", "start", "read_at_most"}
BUSY = CannedAnswer(429, headers={"Retry-After": "1"})
CASES = {
    "read": Case((LARGE,), read, TRANSFER),
    "read-retried": Case((CannedAnswer(500, LARGE.body), DROP, LARGE), read, {*TRANSFER, "sleep"}),
    "write": Case((LARGE,), write, TRANSFER),
    "write-retried": Case((BUSY, LARGE), write, {*TRANSFER, "sleep"}),
    "upload": Case((LARGE,), upload, TRANSFER),
    "upload-retried": Case((BUSY, LARGE), upload, {*TRANSFER, "sleep"}),
    "tls": Case((LARGE,), write, {*TRANSFER, "create_connection"}, tls=True),
    "token": Case((CannedAnswer(401), LARGE), write, {*TRANSFER, "fetch_token"}, token=True),
    "line": Case((LARGE, LARGE), in_line, {"_wait_for_slot", "wait", "start", "read_at_most"}),
    "limiter": Case((BUSY, LARGE), read, {*TRANSFER, "acquire", "on_rate_limited"}, asking=True),
    "slot": Case((LARGE,), read, {*TRANSFER, "_wait_for_limiter"}, limited=True),
}


class AskingLimiter:
    """Has to ask elsewhere whether a call may start."""

    async def acquire(self, _operation: str, _patience: float) -> float:
        await asyncio.sleep(0)
        return 0.0

    async def confirm(self, _operation: str, _patience: float) -> float:
        await asyncio.sleep(0)
        return 0.0

    async def on_rate_limited(self, _operation: str, _retry_after: float) -> None:
        await asyncio.sleep(0)

    async def give_back(self, _operation: str, _wait: float) -> None:
        await asyncio.sleep(0)


AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("localhost")
TRUST = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
AUTHORITY.configure_trust(TRUST)


class Server(WireServer):
    """Without a TLS certificate, or with one."""

    def __init__(self, case: Case) -> None:
        super().__init__(*case.script)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if case.tls else None
        if self._context is not None:
            CERTIFICATE.configure_cert(self._context)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    @property
    def url(self) -> str:
        return super().url.replace(
            "http://127.0.0.1", "http://localhost" if self._context is None else "https://localhost"
        )


@asynccontextmanager
async def client_for(server: WireServer, case: Case) -> AsyncIterator[Client]:
    """Give a client with a single connection, and time that does not pass by itself."""
    time = FakeTime()
    options: dict[str, Any] = {
        "connection": Connection(limit=1, ssl=TRUST if case.tls else True),
        "retry": RetryPolicy(sleep=time.sleep, clock=time.clock),
    }
    if case.limited:
        options["rate_limiter"] = limiter = LocalRateLimiter(1, clock=time.clock)
        limiter.acquire(READ.name, 0)
    if case.asking:
        options["rate_limiter"] = AskingLimiter()

    async def provide() -> str:
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return "token"

    if case.token:
        client: Client = CloudCockpitClient("tenant.example", provide, base_url=server.url, **options)
    else:
        client = MembershipClient(server.url, "key", **options)
    async with client:
        yield client


async def settle(server: WireServer) -> int:
    """Let everything under way arrive; return how many requests the server has seen."""
    for _ in range(3):
        await asyncio.sleep(0.001)
    return len(server.requests)


async def assert_nothing_is_held(server: WireServer, client: Client, requests: int) -> None:
    """The pool's only connection is free, and nothing but the probe goes out any more."""
    connector: Any = (
        client._sessions.of_loop.get(asyncio.get_running_loop()) or await client._sessions.open()
    ).session.connector
    assert not connector._acquired
    assert not connector._waiters
    server.script[:] = [CannedAnswer()]
    async with asyncio.timeout(1):
        await client.call(PROBE)
    assert [request.target for request in server.requests[requests:]] == ["/probe"]


@pytest.mark.parametrize("late", [False, True], ids=["while-waiting", "when-it-is-there"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_call_can_be_cancelled_wherever_it_waits(case: Case, late: bool, tmp_path: Path) -> None:
    """For each suspension of the call: CancelledError, no request any more, connection back, no task left over."""
    path = tmp_path / "proof.png"
    path.write_bytes(b"x" * 2**18)
    seen: set[str] = set()
    for at in count(1):
        async with Server(case) as server, client_for(server, case) as client:
            steps = Steps(case.call(client, path), at, late=late)
            [result] = await asyncio.gather(_run(steps), return_exceptions=True)
            seen.update(*steps.places)
            if len(steps.places) < at:
                assert isinstance(result, VoidResult)
                assert len(server.requests) == len(case.script)
                break
            assert isinstance(result, asyncio.CancelledError), steps.places[-1]
            requests = await settle(server)
            assert requests <= len(case.script)
            await assert_nothing_is_held(server, client, requests)
            if case.token:
                await settle(server)
            ours = {task for task in asyncio.all_tasks() if "WireServer" not in repr(task)}
            assert ours == {asyncio.current_task()}
    assert case.waits_in <= seen
    assert at > len(case.waits_in)


async def _run(steps: Steps) -> Any:
    return await steps


# -- What callers put around a call ------------------------------------------------------------------------------------

HEAD = b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n"
STALLS: dict[str, Step] = {"headers": STALL, "body": Raw(HEAD + b"{", close=False), "backoff": CannedAnswer(500)}


async def for_ever(_seconds: float) -> None:
    await asyncio.Event().wait()


@pytest.fixture(params=STALLS.values(), ids=STALLS)
async def stalled(request: pytest.FixtureRequest) -> AsyncIterator[tuple[WireServer, Client]]:
    """A server at which calls wait for ever, each in its own way, and a client with a single connection."""
    options: dict[str, Any] = {"retry": RetryPolicy(sleep=for_ever), "connection": Connection(limit=1)}
    async with WireServer(request.param) as server, MembershipClient(server.url, "key", **options) as client:
        yield server, client


async def pass_once_under_way(limit: asyncio.Timeout, server: WireServer) -> None:
    """Let a timeout pass when the server has got a request, however long that takes."""
    while not server.requests:
        await asyncio.sleep(0.001)
    await asyncio.sleep(0.05)
    limit.reschedule(asyncio.get_running_loop().time())


async def limited(call: Coroutine[Any, Any, Any], server: WireServer) -> None:
    """Put a timeout around a call."""
    async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
        group.create_task(pass_once_under_way(limit, server))
        await call


async def test_timeout_around_a_call_is_the_callers_own(stalled: tuple[WireServer, Client]) -> None:
    """`asyncio.timeout()` raises its plain TimeoutError; one request, and the only connection is free again."""
    server, client = stalled
    with pytest.raises(TimeoutError) as caught:
        await limited(client.call(READ), server)
    assert not isinstance(caught.value, SdkError)
    await assert_nothing_is_held(server, client, 1)


async def test_failing_sibling_in_a_task_group_ends_the_calls(stalled: tuple[WireServer, Client]) -> None:
    """The group cancels its calls - one at the server, the others in line for the connection - and raises its error."""
    server, client = stalled
    calls: list[asyncio.Task[VoidResult]] = []

    async def family() -> None:
        async with asyncio.TaskGroup() as group:
            calls.extend(group.create_task(client.call(READ)) for _ in range(5))
            while not server.requests:
                await asyncio.sleep(0.001)
            raise LookupError("sibling")

    with pytest.raises(ExceptionGroup) as caught:
        await family()
    assert [type(error) for error in caught.value.exceptions] == [LookupError]
    assert all(call.cancelled() for call in calls)
    await assert_nothing_is_held(server, client, await settle(server))


async def test_cancelled_place_in_line_is_passed_on() -> None:
    """With one connection: of three calls in line the middle one is cancelled; the others still get their turn."""
    go_on = asyncio.Event()

    async def answer(_request: Any) -> CannedAnswer:
        await go_on.wait()
        return CannedAnswer()

    async with WireServer(answer) as server:
        async with MembershipClient(server.url, "key", connection=Connection(limit=1)) as client:
            calls = [asyncio.create_task(client.call(READ)) for _ in range(4)]
            while not server.requests:
                await asyncio.sleep(0.001)
            calls[2].cancel()
            go_on.set()
            async with asyncio.timeout(1):
                results = await asyncio.gather(*calls, return_exceptions=True)
        assert len(server.requests) == 3
    assert [type(result) for result in results] == [VoidResult, VoidResult, asyncio.CancelledError, VoidResult]
