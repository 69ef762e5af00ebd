"""R-07: a kept connection is looked at before it is used, and one that was not read to its end is aborted."""

import asyncio
import contextvars
import gc
import os
import socket
import ssl
import sys
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trustme
from aiohttp import ClientRequest, ClientSession, ClientTimeout, TCPConnector
from aiohttp.tracing import Trace
from alone import run_alone
from payloads import payload
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireRequest, WireServer, read_request

from membership_sdk import Connection, MembershipClient, Outcome, RetryPolicy, SdkError
from sdk_core.operation import Effect, Operation
from sdk_core.retry import _import_tenacity  # pyright: ignore[reportPrivateUsage]

READ: Operation[Any] = Operation(name="read_it", method="GET", path="/it/{n:int}", returns=object, effect=Effect.READ)
WRITE: Operation[Any] = Operation(
    name="write_it", method="POST", path="/it/{n:int}", returns=object, effect=Effect.WRITE, body=dict
)

AUTHORITY = trustme.CA()
CERTIFICATE = AUTHORITY.issue_cert("localhost")
TRUST = ssl.create_default_context()
AUTHORITY.configure_trust(TRUST)

Afterwards = Callable[[asyncio.StreamWriter, bytes], Awaitable[None]]
"""What a server does with a connection after an answer."""


class EchoServer:
    """Answers `GET /it/7` with 7, and then does something with the idle connection."""

    def __init__(self, afterwards: Afterwards, *, tls: bool = False) -> None:
        self._afterwards = afterwards
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if tls else None
        if self.context is not None:
            CERTIFICATE.configure_cert(self.context)
        self.requests: list[WireRequest] = []
        self.connections = 0

    @asynccontextmanager
    async def running(self) -> AsyncIterator[str]:
        server = await asyncio.start_server(self._serve, "localhost", 0, ssl=self.context, family=socket.AF_INET)
        try:
            scheme = "http" if self.context is None else "https"
            yield f"{scheme}://localhost:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                answer = CannedAnswer(body=request.target.rpartition("/")[2]).encode()
                writer.write(answer)
                await writer.drain()
                await self._afterwards(writer, answer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()


async def repeat(writer: asyncio.StreamWriter, answer: bytes) -> None:
    await asyncio.sleep(0.005)
    writer.write(answer)


async def repeat_at_once(writer: asyncio.StreamWriter, answer: bytes) -> None:
    writer.write(answer)


async def repeat_never(_writer: asyncio.StreamWriter, _answer: bytes) -> None:
    pass


async def push_408(writer: asyncio.StreamWriter, _answer: bytes) -> None:
    await asyncio.sleep(0.005)
    writer.write(b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    writer.close()


async def push_half_an_answer(writer: asyncio.StreamWriter, answer: bytes) -> None:
    await asyncio.sleep(0.005)
    writer.write(answer[:20])


async def hang_up(writer: asyncio.StreamWriter, _answer: bytes) -> None:
    writer.close()


async def hang_up_later(writer: asyncio.StreamWriter, _answer: bytes) -> None:
    await asyncio.sleep(0.005)
    writer.close()


def client_for(url: str, **options: Any) -> MembershipClient:
    connection = Connection(ssl=TRUST, limit=options.pop("limit", 100))
    return MembershipClient(url, "key", connection=connection, rate_limiter=None, **options)


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("afterwards", [repeat, repeat_at_once, push_408, push_half_an_answer, hang_up])
async def test_nobody_gets_what_came_unasked(afterwards: Afterwards, tls: bool) -> None:
    """Members 1 to 5 get their own answers, each in one attempt, whatever came over the idle connection."""
    server = EchoServer(afterwards, tls=tls)
    async with server.running() as url, client_for(url) as client:
        for number in range(1, 6):
            reply = await client.call_with_reply(READ, n=number)
            assert (reply.value, len(reply.attempts)) == (number, 1)
            await asyncio.sleep(0.01)
        for number in range(6, 9):
            assert await client.call(WRITE, n=number, body={}) == number
            await asyncio.sleep(0.01)
    assert len(server.requests) == 8


@asynccontextmanager
async def holding_back(url: str, part: Callable[[bytes], int]) -> AsyncIterator[tuple[str, asyncio.Queue[int]]]:
    """Relay to a server: of what it sends unasked, a part goes through, and the rest when it is asked again.

    The sizes of these parts are in the queue, when they have gone.
    """
    parts = asyncio.Queue[int]()
    tasks: list[asyncio.Task[None]] = []
    writers: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        port = int(url.rpartition(":")[2])
        server_reader, server_writer = await asyncio.open_connection("localhost", port, family=socket.AF_INET)
        writers.extend((writer, server_writer))
        held, is_asked = b"", False

        async def ask() -> None:
            nonlocal held, is_asked
            while asked := await reader.read(65536):
                writer.write(held)
                held, is_asked = b"", True
                server_writer.write(asked)
            server_writer.close()

        async def answer() -> None:
            nonlocal held, is_asked
            while said := await server_reader.read(65536):
                size = len(said) if is_asked else part(said)
                writer.write(said[:size])
                if not is_asked:
                    parts.put_nowait(size)
                held, is_asked = said[size:], False
            writer.close()

        tasks.extend(map(asyncio.ensure_future, (ask(), answer())))

    relay = await asyncio.start_server(serve, "localhost", 0, family=socket.AF_INET)
    try:
        yield f"https://localhost:{relay.sockets[0].getsockname()[1]}", parts
    finally:
        relay.close()
        for task in tasks:
            task.cancel()
        for open_writer in writers:
            open_writer.close()
        await asyncio.gather(*tasks, *(writer.wait_closed() for writer in writers), return_exceptions=True)


PARTS: dict[str, Callable[[bytes], int]] = {
    "half": lambda said: len(said) // 2,
    "of its header": lambda _said: 3,
    "its header": lambda _said: 5,
    "all but a byte": lambda said: len(said) - 1,
}


@pytest.mark.parametrize("part", PARTS.values(), ids=PARTS)
async def test_part_of_a_tls_record_disturbs_a_connection(part: Callable[[bytes], int]) -> None:
    """An answer that came twice, the second time cut by the network where OpenSSL makes nothing of it yet."""
    server = EchoServer(repeat, tls=True)
    assert server.context is not None
    # Records of its own after the handshake would be the first that nobody asked for.
    server.context.num_tickets = 0
    async with server.running() as direct, holding_back(direct, part) as (url, parts), client_for(url) as client:
        for number in range(1, 6):
            assert await client.call(READ, n=number) == number
            await asyncio.wait_for(parts.get(), 10)
            assert await client.call(WRITE, n=number + 10, body={}) == number + 10
            await asyncio.wait_for(parts.get(), 10)
    assert len(server.requests) == 10


@pytest.mark.parametrize("size", [1, 2000, 100_000])
async def test_connection_of_whole_tls_records_is_kept(size: int) -> None:
    """However many an answer is made of, and wherever the network cuts them."""
    step = CannedAnswer(body=["x" * size])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        while await read_request(reader) is not None:
            writer.write(step.encode())
        writer.close()

    server = await asyncio.start_server(serve, "localhost", 0, ssl=context, family=socket.AF_INET)
    async with server, client_for(f"https://localhost:{server.sockets[0].getsockname()[1]}") as client:
        for number in range(1, 21):
            assert await client.call(READ, n=number) == ["x" * size]
    assert connections == 1


async def test_undisturbed_connection_is_kept() -> None:
    async def nothing(_writer: asyncio.StreamWriter, _answer: bytes) -> None:
        pass

    for tls in (False, True):
        server = EchoServer(nothing, tls=tls)
        async with server.running() as url, client_for(url) as client:
            for number in range(1, 6):
                await client.call(READ, n=number)
        assert server.connections == 1


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="aiohttp writes a short body at once: nothing comes before it")
async def test_what_comes_before_a_body_is_written_disturbs_it() -> None:
    """Between taking the connection and writing the body there may be a turn of the loop; no attempt is lost."""
    writers: list[tuple[asyncio.StreamWriter, bytes]] = []

    async def note(writer: asyncio.StreamWriter, answer: bytes) -> None:
        writers.append((writer, answer))

    server = EchoServer(note)
    async with server.running() as url, client_for(url) as client:
        await client.call(READ, n=1)
        await asyncio.sleep(0.01)
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        assert here is not None
        connect = here.session.connector.connect  # type: ignore[union-attr]

        async def connect_and_be_disturbed(*arguments: Any, **options: Any) -> Any:
            connection = await connect(*arguments, **options)
            writer, answer = writers[-1]
            writer.write(answer)
            return connection

        here.session.connector.connect = connect_and_be_disturbed  # type: ignore[method-assign,union-attr]
        reply = await client.call_with_reply(WRITE, n=2, body={})
    assert (reply.value, len(reply.attempts)) == (2, 1)
    assert [request.target for request in server.requests] == ["/it/1", "/it/2"]


@pytest.mark.parametrize("size", [1, 10, 20, 40])
async def test_beginning_of_an_answer_that_was_read_already(size: int) -> None:
    """Its rest would be taken for a broken answer to the next request, and the write end UNKNOWN."""
    begun = asyncio.Event()

    async def begin_again(writer: asyncio.StreamWriter, answer: bytes) -> None:
        await asyncio.sleep(0.005)
        writer.write(answer[:size])
        begun.set()

    server = EchoServer(begin_again)
    async with server.running() as url, client_for(url) as client:
        for number in range(1, 4):
            begun.clear()
            reply = await client.call_with_reply(WRITE, n=number, body={})
            assert (reply.value, len(reply.attempts)) == (number, 1)
            await begun.wait()
            await asyncio.sleep(0.005)
    assert server.connections == 3


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="aiohttp writes a short body at once: nothing comes before it")
@pytest.mark.parametrize("size", [None, -1, 1, 10, 20])
async def test_what_was_read_before_a_body_is_written_is_no_answer_to_it(size: int | None) -> None:
    """Some loops (uvloop) read the connection before the task that writes the body has its turn.

    It is closed, and nobody complains of it.
    """
    server = EchoServer(repeat_never)
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: complaints.append(context))
    async with server.running() as url, client_for(url) as client:
        await client.call(READ, n=1)
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        assert here is not None
        connect = here.session.connector.connect  # type: ignore[union-attr]
        twins = [CannedAnswer(body="1").encode()[:size]]

        async def connect_and_read(*arguments: Any, **options: Any) -> Any:
            connection = await connect(*arguments, **options)
            if twins:
                asyncio.get_running_loop().call_soon(connection.protocol.data_received, twins.pop())
            return connection

        here.session.connector.connect = connect_and_read  # type: ignore[method-assign,union-attr]
        reply = await client.call_with_reply(WRITE, n=2, body={})
        gc.collect()
    assert (reply.value, len(reply.attempts)) == (2, 1)
    assert [request.target for request in server.requests] == ["/it/1", "/it/2"]
    assert complaints == []


@pytest.mark.skipif(sys.version_info >= (3, 12), reason="aiohttp writes a short body at once: nothing comes before it")
async def test_body_that_was_not_written_is_no_attempt_under_way() -> None:
    """What breaks the call off then is raised as it is: nothing was sent."""
    is_broken = False

    def clock() -> float:
        if is_broken:
            raise LookupError
        return time.monotonic()

    server = EchoServer(repeat_never)
    async with server.running() as url, client_for(url, retry=RetryPolicy(clock=clock)) as client:
        await client.call(READ, n=1)
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        connect = here.session.connector.connect  # type: ignore[union-attr]

        async def connect_and_read(*arguments: Any, **options: Any) -> Any:
            nonlocal is_broken
            connection, is_broken = await connect(*arguments, **options), True
            asyncio.get_running_loop().call_soon(connection.protocol.data_received, CannedAnswer(body="1").encode())
            return connection

        here.session.connector.connect = connect_and_read  # type: ignore[method-assign,union-attr]
        with pytest.raises(LookupError):
            await client.call(WRITE, n=2, body={})
    assert [request.target for request in server.requests] == ["/it/1"]


async def test_tasks_that_share_a_context_do_not_share_a_connection() -> None:
    """The write that fails was sent, is not repeated, and costs the other call nothing."""
    arrived, fail, answer = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def act(request: WireRequest) -> Any:
        if request.target.endswith("/1"):
            arrived.set()
            await fail.wait()
            return DROP
        fail.set()
        await answer.wait()
        return CannedAnswer(body="2")

    context, loop = contextvars.copy_context(), asyncio.get_running_loop()
    async with WireServer(act) as server, client_for(server.url) as client:
        first = loop.create_task(client.call(WRITE, n=1, body={}), context=context)
        await arrived.wait()
        second = loop.create_task(client.call(WRITE, n=2, body={}), context=context)
        with pytest.raises(SdkError) as caught:
            await first
        answer.set()
        assert await second == 2
    assert caught.value.outcome is Outcome.UNKNOWN
    assert [request.target for request in server.requests] == ["/it/1", "/it/2"]


@pytest.mark.filterwarnings("ignore:Sending a large body")
async def test_early_answer_leaves_no_connection_open() -> None:
    """The server refuses a large body and reads no more of it: nothing is waited for, and nothing stays open."""
    writers: list[asyncio.StreamWriter] = []

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        writer.write(CannedAnswer(413, body={}).encode())

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with client_for(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}") as client:
        with pytest.raises(SdkError):
            await client.call(WRITE, n=1, body={"text": "x" * 20_000_000})
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        assert here is not None
        (known,) = here.session.connector._known.values()  # type: ignore[union-attr]
        await asyncio.sleep(0)
        assert known._transport.get_extra_info("socket").fileno() == -1
    server.close()
    for writer in writers:
        writer.transport.abort()


async def test_pool_of_dead_connections_costs_one_attempt() -> None:
    """20 kept connections whose server went away without a word: the second attempt takes a fresh one."""
    deaf: set[int] = set()

    async def answer(request: WireRequest) -> Any:
        if not deaf:
            await asyncio.sleep(0.02)
        return CannedAnswer(body=request.target.rpartition("/")[2])

    class GoneServer(WireServer):
        async def _perform(self, step: Any, request: WireRequest, writer: asyncio.StreamWriter) -> bool:
            if id(writer) in deaf:
                step = STALL
            return await super()._perform(step, request, writer)

    async with GoneServer(answer) as server:
        retry = RetryPolicy(sleep=FakeTime().sleep)
        async with client_for(server.url, retry=retry, attempt_timeout=0.15) as client:
            await asyncio.gather(*(client.call(READ, n=n) for n in range(1, 21)))
            deaf.update(map(id, server._writers))
            assert len(deaf) == 20
            for number in range(30, 40):
                reply = await client.call_with_reply(READ, n=number)
                assert reply.value == number
                assert len(reply.attempts) == (2 if number == 30 else 1)


def test_loop_that_stands_still_between_calls_sees_the_end() -> None:
    """A worker that keeps an asyncio.Runner: the server hangs up between two tasks, and no write is UNKNOWN."""
    server_loop = asyncio.new_event_loop()
    server = EchoServer(hang_up_later)
    client: MembershipClient

    async def serve(ready: asyncio.Future[str], end: asyncio.Event) -> None:
        async with server.running() as url:
            ready.set_result(url)
            await end.wait()

    end = asyncio.Event()
    ready: asyncio.Future[str] = server_loop.create_future()
    thread = threading.Thread(target=server_loop.run_until_complete, args=(serve(ready, end),))
    thread.start()
    while not ready.done():
        time.sleep(0.001)
    client = client_for(ready.result())
    with asyncio.Runner() as runner:
        for number in range(1, 6):
            assert runner.run(client.call(WRITE, n=number, body={})) == number
            time.sleep(0.02)
        runner.run(client.aclose())
    server_loop.call_soon_threadsafe(end.set)
    thread.join()
    server_loop.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_child_that_goes_on_with_an_inherited_loop_starts_over() -> None:
    """A global loop and client, a call, a fork, and both call on: each gets its own answers.

    Also where no descriptor is left.
    """
    assert run_for_each(_FORKS, "some left", "none left") == ["child", "60", "parent", "60"] * 2


# What is below it is run in a process of its own for each way.
_FOR_EACH = """
import os, sys
for way in sys.argv[1:]:
    if (one := os.fork()) == 0:
        break
    assert os.waitpid(one, 0)[1] == 0, way
else:
    os._exit(0)
"""


def run_for_each(program: str, *ways: str) -> list[str]:
    """Return the words that a program prints, run for each `way`; what it imports first is imported once for all."""
    imports, _, rest = program.partition("\n\n")
    return run_alone(f"{imports}\n{_FOR_EACH}\n{rest}", *ways).split()


_FORKS = """
import asyncio, os, resource, sys
from wire import CannedAnswer, WireServer
from membership_sdk import MembershipClient, RetryPolicy
from sdk_core.operation import Effect, Operation

READ = Operation(name="read_it", method="GET", path="/it/{n:int}", returns=object, effect=Effect.READ)
reading, writing = os.pipe()
server = os.fork()
if server == 0:
    async def main():
        async def answer(request):
            await asyncio.sleep(0.001)
            number = int(request.target.rpartition("/")[2])
            return CannedAnswer(body=[number] * (100_000 if number % 30 == 0 else 1))
        async with WireServer(answer) as it:
            os.write(writing, it.url.encode() + b"\\n")
            await asyncio.sleep(30)
    asyncio.run(main())
# Threads resolve the name, and read long answers: those of the parent do not exist in the child.
url = os.read(reading, 100).decode().strip().replace("127.0.0.1", "localhost")
loop = asyncio.new_event_loop()
client = MembershipClient(url, "key", rate_limiter=None, attempt_timeout=5, retry=RetryPolicy.none())

def taken():
    resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
    try:
        while True:
            yield os.dup(0)
    except OSError:
        pass

async def calls(first):
    right = 0
    # One alone: where several wait for a thread, one is started at last, and works for all.
    await asyncio.wait_for(client.call(READ, n=first + 100), 20)
    for start in range(first, first + 60, 3):
        numbers = range(start, start + 3)
        answers = await asyncio.gather(*(client.call(READ, n=n) for n in numbers))
        right += sum(a[0] == n for a, n in zip(answers, numbers, strict=True))
    return right

loop.run_until_complete(calls(1))
# Until the thread waits for work again.
loop.run_until_complete(asyncio.sleep(0.1))
descriptors = [*taken()] if way == "none left" else []
child = os.fork()
for descriptor in descriptors:
    os.close(descriptor)
if child == 0:
    os.write(1, f"child {loop.run_until_complete(calls(10_000))}\\n".encode())
    os._exit(0)
right = loop.run_until_complete(calls(20_000))
os.waitpid(child, 0)
os.write(1, f"parent {right}\\n".encode())
os.kill(server, 9)
os.waitpid(server, 0)
loop.run_until_complete(client.aclose())
loop.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_call_under_way_is_not_made_by_the_child_too() -> None:
    """Forked while TLS is agreed on, or between two attempts: the loop has the call in both processes.

    And forked while a thread imports what retries need: the child would wait for that thread, which it does not have.
    """
    told = ["child", "unknown", "7", "parent", "7", "7", "/it/1", "/it/2", "/it/2"]
    assert run_for_each(_FORKED_CALL, "connecting", "waiting", "importing") == told * 3


_FORKED_CALL = """
import asyncio, os, socket, ssl, sys, threading, time
from importlib.abc import MetaPathFinder
import trustme
from membership_sdk import MembershipClient, SdkError
from sdk_core.operation import Effect, Operation
from sdk_core.transport.session import Connection

WRITE = Operation(name="write_it", method="POST", path="/it/{n:int}", body=dict, returns=object, effect=Effect.WRITE)
ANSWER, BUSY = (
    b"HTTP/1.1 %b X\\r\\nContent-Length: 1\\r\\nretry-after-ms: 400\\r\\n\\r\\n7" % status
    for status in (b"200", b"429")
)

class Slow(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == "tenacity.retry":
            time.sleep(0.5)

if way == "importing":
    sys.meta_path.insert(0, Slow())
authority = trustme.CA()
listening = socket.create_server(("127.0.0.1", 0))
seeing, seen = os.pipe()
server = os.fork()
if server == 0:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    busy = [way != "connecting"]
    def serve(plain):
        time.sleep(0.3 if way == "connecting" else 0)
        with context.wrap_socket(plain, server_side=True) as secured:
            while head := secured.recv(65536):
                if not head.startswith(b"POST"):
                    continue
                is_busy = bool(busy and busy.pop())
                if not is_busy:
                    os.write(seen, head.split(b" ")[1] + b"\\n")
                secured.sendall(BUSY if is_busy else ANSWER)
    def attempt(plain):
        try:
            serve(plain)
        except OSError:
            pass
    while True:
        threading.Thread(target=attempt, args=(listening.accept()[0],), daemon=True).start()
context = ssl.create_default_context()
authority.configure_trust(context)
url = f"https://localhost:{listening.getsockname()[1]}"
client = MembershipClient(url, "key", connection=Connection(ssl=context))
loop = asyncio.new_event_loop()

async def call(n):
    try:
        return await client.call(WRITE, n=n, body={})
    except SdkError as error:
        return error.outcome.value

async def begin():
    first = asyncio.ensure_future(call(1))
    await asyncio.sleep(0.15)
    return [first]

[first] = loop.run_until_complete(begin())
child = os.fork()
ends = [loop.run_until_complete(first), loop.run_until_complete(call(2))]
if child == 0:
    os.write(1, f"child {ends[0]} {ends[1]}\\n".encode())
    os._exit(0)
os.waitpid(child, 0)
os.write(1, f"parent {ends[0]} {ends[1]}\\n".encode())
os.write(1, b"\\n".join(sorted(os.read(seeing, 1000).split())) + b"\\n")
os.kill(server, 9)
os.waitpid(server, 0)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_fork_by_a_module_that_is_imported_does_not_wait_for_the_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread that holds a fork up is the very one that forks."""
    (tmp_path / "forking.py").write_text("import os\nif (child := os.fork()) == 0: os._exit(0)\nos.waitpid(child, 0)\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr("sdk_core.retry._TENACITY", "forking")
    importing = threading.Thread(target=_import_tenacity, daemon=True)
    importing.start()
    importing.join(5)
    assert not importing.is_alive()


def _sockets() -> int:
    return sum(file.is_socket() for file in map(Path, (f"/proc/self/fd/{fd}" for fd in range(3, 512))))


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
async def test_tls_connections_that_end_badly_are_gone_at_once() -> None:
    """A server that hangs: no more sockets than connections allowed, however many calls time out."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    hanging: list[asyncio.StreamWriter] = []

    async def hang(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # It does not even answer that the connection is to be closed.
        writer.transport.pause_reading()
        hanging.append(writer)
        await asyncio.sleep(60)

    server = await asyncio.start_server(hang, "localhost", 0, ssl=context, family=socket.AF_INET)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    ours: list[int] = []
    async with client_for(url, limit=5, attempt_timeout=0.1, retry=RetryPolicy.none()) as client:

        async def one(number: int) -> None:
            with pytest.raises(SdkError):
                await client.call(READ, n=number)
            here = client._sessions.of_loop[asyncio.get_running_loop()]
            assert here is not None
            ours.append(len(here.session.connector._acquired))  # type: ignore[union-attr]

        before = _sockets()
        await asyncio.gather(*(one(n) for n in range(1, 21)))
        await asyncio.sleep(0.05)
        # The server's ends are all still there, and none of ours.
        assert _sockets() - before - len(hanging) <= 0
    assert max(ours) <= 5
    for writer in hanging:
        writer.transport.abort()
    server.close()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
async def test_disturbed_tls_connections_are_gone_at_once() -> None:
    """A server that pushes what nobody asked for, and then hangs: each call leaves its connection, and none of them."""
    hanging: list[asyncio.StreamWriter] = []

    async def push_and_hang(writer: asyncio.StreamWriter, answer: bytes) -> None:
        # When the connection is back in the pool.
        await asyncio.sleep(0.005)
        writer.write(answer)
        # Below TLS, which would take in the end of the connection, and agree.
        writer.transport._ssl_protocol._transport.pause_reading()  # type: ignore[attr-defined]
        hanging.append(writer)
        await asyncio.sleep(60)

    server = EchoServer(push_and_hang, tls=True)
    async with server.running() as url, client_for(url) as client:
        before = _sockets()
        for number in range(1, 5):
            assert await client.call(READ, n=number) == number
            await asyncio.sleep(0.02)
        # The server's ends are all still there, and one of ours.
        assert _sockets() - before - len(hanging) <= 1
        for writer in hanging:
            writer.transport.abort()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="no /proc here")
async def test_tls_connection_that_is_not_to_be_kept_is_gone_at_once() -> None:
    """The answer is complete, and says that it was the last: nobody waits for a server that does not close TLS."""
    hanging: list[asyncio.StreamWriter] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)

    async def answer_and_hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        writer.transport._ssl_protocol._transport.pause_reading()  # type: ignore[attr-defined]
        hanging.append(writer)
        writer.write(CannedAnswer(body="7", headers={"Connection": "close"}).encode())

    server = await asyncio.start_server(answer_and_hang, "localhost", 0, ssl=context, family=socket.AF_INET)
    async with client_for(f"https://localhost:{server.sockets[0].getsockname()[1]}") as client:
        before = _sockets()
        for number in range(1, 4):
            assert await client.call(READ, n=number) == 7
        await asyncio.sleep(0.01)
        assert _sockets() - before - len(hanging) <= 0
    for writer in hanging:
        writer.transport.abort()
    server.close()


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_connections_that_are_over_are_forgotten(tls: bool) -> None:
    server = EchoServer(hang_up, tls=tls)
    async with server.running() as url, client_for(url) as client:
        for number in range(1, 8):
            assert await client.call(READ, n=number) == number
            await asyncio.sleep(0.005)
        assert server.connections == 7
        connector = client._sessions.of_loop[asyncio.get_running_loop()].session.connector
        assert len(connector._known) <= 2  # type: ignore[union-attr]


async def test_injected_connector_gets_the_limit_of_connecting_and_no_other() -> None:
    """Not rounded up: it must pass before that of the attempt, which does not tell whether anything was sent."""
    seen: list[ClientTimeout] = []

    class Noting(TCPConnector):
        async def connect(self, req: ClientRequest, traces: list[Trace], timeout: ClientTimeout) -> Any:
            seen.append(timeout)
            return await super().connect(req, traces, timeout)

    async with (
        WireServer(CannedAnswer(body="7")) as server,
        ClientSession(connector=Noting(), timeout=ClientTimeout(total=1, sock_read=1)) as session,
        MembershipClient(server.url, "key", session=session, attempt_timeout=20.0) as client,
    ):
        assert await client.call(READ, n=1) == 7
    (limits,) = seen
    assert (limits.total, limits.sock_connect, limits.sock_read) == (None, None, None)
    assert (limits.connect, limits.ceil_threshold) == (20.0, float("inf"))


@pytest.mark.real_time("what is not read has to have had the time to come")
async def test_answer_that_is_too_large_is_not_read_on() -> None:
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        await read_request(reader)
        writer.write(b"HTTP/1.1 200 X\r\nContent-Type: application/json\r\n\r\n")
        try:
            while sent < 2**28:
                writer.write(bytes(2**16))
                await writer.drain()
                sent += 2**16
        except ConnectionError:
            pass
        finally:
            writer.transport.abort()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    CERTIFICATE.configure_cert(context)
    server = await asyncio.start_server(flood, "localhost", 0, ssl=context, family=socket.AF_INET)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}"
    async with client_for(url, max_response_bytes=2**16) as client:
        with pytest.raises(SdkError) as caught:
            await client.call(READ, n=1)
        assert caught.value.outcome is Outcome.UNKNOWN
        await asyncio.sleep(0.1)
    server.close()
    assert sent < 2**26


async def test_refused_write_is_not_told_as_success() -> None:
    """The doubled answer of a read must not become that of a write that is refused."""
    refusal = CannedAnswer(400, {"errorMessage": "no", "errorCode": "NO"})
    first = CannedAnswer(body=payload("membership_contract_data")).encode()
    async with WireServer(Raw(first + first, close=False), refusal) as server, client_for(server.url) as client:
        await client.get_contract_data(customer_id=1)
        with pytest.raises(SdkError) as caught:
            await client.withdraw_contract_cancelation(customer_id=1, contract_id=2)
        assert caught.value.outcome is Outcome.REJECTED
