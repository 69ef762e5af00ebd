"""What may come out of an exchange: an answer, or an error of ours in fixed words, whoever raised what."""

import asyncio
import contextlib
import gc
import socket
import struct
import threading
import traceback
from collections import defaultdict
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import ClientRequest, ClientResponse, ClientSession
from aiohttp.http_parser import HttpResponseParserPy
from cases import goes_through
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireServer

from membership_sdk import (
    ApiError,
    Connection,
    ConnectionFailedError,
    InvalidResponseError,
    MembershipClient,
    Outcome,
    RetryPolicy,
    SdkError,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
PUT = Operation(name="put_it", method="PUT", path="/it", body=dict, returns=VoidResult, effect=Effect.IDEMPOTENT)
CANARY = "CANARY"
AT_ONCE = RetryPolicy(backoff_base=0)


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


@pytest.fixture(params=["C", "Python"])
def parser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both of aiohttp's parsers: where there is no C extension, it raises other exceptions."""
    if request.param == "Python":
        monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", HttpResponseParserPy)


# -- Answers that are not taken in -------------------------------------------------------------------------------------

OK = b"HTTP/1.1 200 OK\r\n"
END = b"Content-Length: 4\r\n\r\nnope"
LARGE = CANARY.encode() * 6000
SIZE = "the head of the answer is larger than allowed, see Connection.max_header_bytes"
COUNT = "the answer has more header fields than allowed, see Connection.max_header_bytes"
CODING = "the body of the answer is not what its Content-Encoding says"

UNREADABLE: dict[str, tuple[bytes, str]] = {
    "long field": (OK + b"X: " + LARGE + b"\r\n" + END, SIZE),
    "long field that does not end": (OK + b"X: " + LARGE, SIZE),
    "long name": (OK + LARGE + b": x\r\n" + END, SIZE),
    "long status line": (b"HTTP/1.1 200 " + LARGE + b"\r\n" + END, SIZE),
    "many fields": (OK + b"X: CANARY\r\n" * 600 + END, COUNT),
    "no gzip": (OK + b"Content-Encoding: gzip\r\n" + END, CODING),
    "no deflate": (OK + b"Content-Encoding: deflate\r\n" + END, CODING),
    "no gzip, in chunks": (
        OK + b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n",
        CODING,
    ),
}


@pytest.mark.usefixtures("parser")
@pytest.mark.parametrize("name", UNREADABLE)
@pytest.mark.parametrize("operation", [READ, WRITE], ids=["read", "write"])
async def test_answer_that_is_not_taken_in_is_named_and_not_asked_for_again(
    name: str, operation: Operation[VoidResult]
) -> None:
    """It would be the same again. What it was about may have happened."""
    raw, says = UNREADABLE[name]
    body: dict[str, Any] = {"body": {}} if operation.body is not None else {}
    async with WireServer(Raw(raw)) as server, MembershipClient(server.url, "key", retry=AT_ONCE) as client:
        error = await failure(client.call(operation, **body))
        assert len(server.requests) == 1
    assert (type(error), error.outcome, error.retryable) == (InvalidResponseError, Outcome.UNKNOWN, False)
    assert f": {says};" in str(error)
    assert CANARY not in f"{error!r}{error.to_dict()}{''.join(traceback.format_exception(error))}"


@pytest.mark.usefixtures("parser")
async def test_limit_of_the_head_is_the_connections() -> None:
    """What is within it is taken in, also where aiohttp's own limit is lower; a lower one holds too."""
    step = CannedAnswer(body={}, headers={"X": "x" * 30_000})
    many = CannedAnswer(body={}, headers={f"X-{number}": "x" for number in range(400)})
    async with WireServer(step, many, step) as server:
        async with MembershipClient(server.url, "key") as client:
            await client.call(READ)
            await client.call(READ)
        connection = Connection(max_header_bytes=8190)
        async with MembershipClient(server.url, "key", connection=connection) as client:
            assert type(await failure(client.call(READ))) is InvalidResponseError
        server.script = [CannedAnswer(body={}, headers={"X": "x" * 200_000})]
        async with MembershipClient(server.url, "key", connection=Connection(max_header_bytes=2**18)) as client:
            await client.call(READ)


async def test_error_status_needs_no_body_that_can_be_read() -> None:
    raw = Raw(OK.replace(b"200 OK", b"404 X") + b"Content-Encoding: gzip\r\n" + END)
    async with WireServer(raw) as server, MembershipClient(server.url, "key", retry=AT_ONCE) as client:
        error = await failure(client.call(WRITE, body={}))
    assert isinstance(error, ApiError)
    assert (error.status, error.outcome) == (404, Outcome.REJECTED)


HEAD = OK + b"Transfer-Encoding: chunked\r\n\r\n"
NO_HTTP_ANY_MORE: dict[str, tuple[bytes, type[SdkError]]] = {
    "chunk without a size": (b"CANARY\r\n[]", ConnectionFailedError),
    "chunk that is too large": (b"ffffffffffffffff1\r\n[]", ConnectionFailedError),
    "second chunk without a size": (b"1\r\n[\r\nCANARY", ConnectionFailedError),
    "long trailer": (b"1\r\n1\r\n0\r\nX: " + LARGE, ConnectionFailedError),
    "many trailers": (b"1\r\n1\r\n0\r\n" + b"X: CANARY\r\n" * 600, InvalidResponseError),
}


@contextlib.asynccontextmanager
async def in_pieces(*pieces: bytes, reset: bool = False) -> AsyncGenerator[str]:
    """Serve one request, and give the URL for it. Each piece is taken by the client before the next is sent."""
    ended = asyncio.Event()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.02)
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                await reader.read()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        ended.set()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        await ended.wait()


@goes_through("name", list(NO_HTTP_ANY_MORE))
async def test_body_that_is_no_http_ends_the_attempt_at_once(name: str) -> None:
    """Not when the time is over: aiohttp hangs up, and tells nobody who waits for the rest."""
    rest, kind = NO_HTTP_ANY_MORE[name]
    async with (
        in_pieces(HEAD, rest) as url,
        MembershipClient(url, "key", retry=RetryPolicy.none(), attempt_timeout=5) as client,
    ):
        async with asyncio.timeout(2):
            error = await failure(client.call(READ))
    assert (type(error), error.outcome) == (kind, Outcome.UNKNOWN)
    assert CANARY not in f"{error!r}{error.to_dict()}{''.join(traceback.format_exception(error))}"


async def test_connection_that_is_lost_after_a_long_answer_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    """The body came in several pieces; later, nobody asks how the connection ended."""
    async with (
        in_pieces(OK + b"Content-Length: 2\r\n\r\n", b"{", b"}", reset=True) as url,
        MembershipClient(url, "key", retry=RetryPolicy.none()) as client,
    ):
        for _ in range(2):
            await client.call(READ)
            await asyncio.sleep(0.04)
        gc.collect()
    assert caplog.text == ""


async def test_what_is_no_http_is_asked_for_again() -> None:
    """A broken connection may have made it so."""
    script = [Raw(b"CANARY\r\n\r\n"), CannedAnswer(body={})]
    async with WireServer(*script) as server, MembershipClient(server.url, "key", retry=AT_ONCE) as client:
        await client.call(READ)
        assert len(server.requests) == 2


# -- Exceptions of others ----------------------------------------------------------------------------------------------

Handler = Callable[[ClientRequest], Awaitable[ClientResponse]]
FOREIGN = [LookupError(CANARY), ValueError(CANARY), RuntimeError(CANARY), AssertionError(CANARY), MemoryError()]


@goes_through("raised", FOREIGN)
@goes_through("sent", [False, True])
async def test_middleware_of_an_injected_session_raises_nothing_foreign(raised: Exception, sent: bool) -> None:
    """What it did before it failed is not known: UNKNOWN, told by its type, and not repeated."""

    async def middleware(request: ClientRequest, handler: Handler) -> ClientResponse:
        if sent:
            await handler(request)
        raise raised

    async with ClientSession(middlewares=[middleware]) as session, WireServer(CannedAnswer(body={})) as server:
        async with MembershipClient(server.url, "key", session=session, retry=AT_ONCE) as client:
            error = await failure(client.call(WRITE, body={}))
        assert len(server.requests) == sent
    assert (type(error), error.outcome, error.retryable) == (ConnectionFailedError, Outcome.UNKNOWN, False)
    assert error.cause == type(raised).__name__
    assert CANARY not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("operation", [READ, WRITE], ids=["read", "write"])
async def test_cancellation_of_something_else_is_none_of_the_call(operation: Operation[VoidResult]) -> None:
    """Nobody cancelled the task that made it: a CancelledError would end that silently."""

    async def middleware(_request: ClientRequest, _handler: Handler) -> ClientResponse:
        raise asyncio.CancelledError(CANARY)

    body: dict[str, Any] = {"body": {}} if operation.body is not None else {}
    async with (
        ClientSession(middlewares=[middleware]) as session,
        MembershipClient("http://127.0.0.1", "key", session=session, retry=AT_ONCE) as client,
    ):
        error = await failure(client.call(operation, **body))
    assert (error.outcome, error.retryable, error.cause) == (Outcome.UNKNOWN, False, "CancelledError")
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN]
    assert CANARY not in "".join(traceback.format_exception(error))


async def test_machine_without_another_thread_sends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are resolved in one: the RuntimeError is told as what it means for the call."""

    def start(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async with MembershipClient("https://studio.example", "key", retry=AT_ONCE) as client:
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", start)
            error = await failure(client.call(WRITE, body={}))
    assert (type(error), error.outcome, error.cause) == (ConnectionFailedError, Outcome.NOT_SENT, "RuntimeError")


async def test_what_breaks_after_an_attempt_that_may_have_had_an_effect_tells_of_it(fake_time: FakeTime) -> None:
    """The UNKNOWN of the attempt is not lost, whose ever fault it is."""

    async def sleep(_seconds: float) -> None:
        raise LookupError(CANARY)

    retry = RetryPolicy(sleep=sleep, clock=fake_time.clock)
    async with WireServer(DROP) as server, MembershipClient(server.url, "key", retry=retry) as client:
        error = await failure(client.call(PUT, body={}))
    assert (error.outcome, error.retryable) == (Outcome.UNKNOWN, False)
    assert error.cause == "LookupError"
    assert CANARY not in "".join(traceback.format_exception(error))


async def test_memory_that_ends_while_an_answer_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It was a success, as far as anybody can tell: UNKNOWN, not a MemoryError."""

    def load(*_arguments: Any, **_options: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr("sdk_core.verdict.codec.READERS", defaultdict(lambda: load))
    monkeypatch.setattr("sdk_core.verdict.codec.load", load)
    async with (
        WireServer(CannedAnswer(body=[])) as server,
        MembershipClient(server.url, "key", retry=AT_ONCE) as client,
    ):
        error = await failure(client.get_contract_data(customer_id=1))
    assert (type(error), error.outcome) == (InvalidResponseError, Outcome.UNKNOWN)
    assert "status 200 with 2 bytes, and there is no memory left to read them" in str(error)


async def test_cancellation_is_none_of_these() -> None:
    async with WireServer(STALL) as server, MembershipClient(server.url, "key") as client:
        call = asyncio.create_task(client.call(WRITE, body={}))
        while not server.requests:
            await asyncio.sleep(0.001)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
