"""A server that shows what is on the wire: raw sockets on loopback, scripted answer by answer."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from attrs import field, frozen


@frozen
class WireRequest:
    """A request exactly as it came in."""

    method: str
    target: str
    headers: dict[str, str]
    """Lower-case names."""
    body: bytes = b""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@frozen
class CannedAnswer:
    """What the server answers to one request."""

    status: int = 200
    body: bytes | str | list[Any] | dict[str, Any] = b""
    headers: dict[str, str] = field(factory=dict)
    content_type: str = "application/json"

    def encode(self) -> bytes:
        body = self.body
        if isinstance(body, list | dict):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        head = [f"HTTP/1.1 {self.status} X", f"Content-Length: {len(body)}", f"Content-Type: {self.content_type}"]
        head += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join(head).encode() + b"\r\n\r\n" + body


DROP = object()
"""Read the request, then close the connection without a byte of answer."""
STALL = object()
"""Read the request, then never answer."""


@frozen
class Raw:
    """Bytes to send as they are; then the connection is closed, unless it is to stay open."""

    data: bytes
    close: bool = True


Step = Any
"""A CannedAnswer, DROP, STALL, Raw, or a (maybe async) function of the WireRequest that returns one of them."""


def patience(step: Step) -> float:
    """Return an `attempt_timeout` that only who stalls reaches, however busy the machine is."""
    stalls = step is STALL or (isinstance(step, Raw) and not step.close)
    return 0.05 if stalls else 30


class WireServer:
    """`async with WireServer(step, step, ...) as server:` answers request n with step n, the last one for ever."""

    def __init__(self, *script: Step) -> None:
        self.script = list(script) or [CannedAnswer()]
        self.requests: list[WireRequest] = []
        self.connections = 0
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _exc: BaseException | None, _tb: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        for writer in list(self._writers):
            writer.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                step = self.script[min(len(self.requests), len(self.script)) - 1]
                if not await self._perform(step, request, writer):
                    return
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def _perform(self, step: Step, request: WireRequest, writer: asyncio.StreamWriter) -> bool:
        if callable(step):
            step = step(request)
            if isinstance(step, Awaitable):
                step = await step
        if step is DROP:
            return False
        if step is STALL:
            await asyncio.Event().wait()
        if isinstance(step, Raw):
            writer.write(step.data)
            await writer.drain()
            return not step.close
        data = step.encode()
        writer.write(data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if request.method == "HEAD" else data)
        await writer.drain()
        return True


async def read_request(reader: asyncio.StreamReader) -> WireRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").split("\r\n")[:-2]
        method, target, _version = first.split(" ")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
    except asyncio.IncompleteReadError:
        return None
    return WireRequest(method, target, headers, body)


class FakeTime:
    """A clock and a sleep for `RetryPolicy`: sleeping moves the clock, and nothing waits."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []

    def clock(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


Handler = Callable[[WireRequest], Any]
