"""The server of all worlds, on a Unix socket: it reads requests, and answers them as the world at hand has it."""

import asyncio
import re
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from random import Random
from typing import Any, Final
from uuid import UUID

from benchmarks.audit.exchange import Head, read_head
from benchmarks.audit.workflows.answers import answer, shown
from benchmarks.audit.workflows.subjects import GONE
from benchmarks.audit.workflows.world import World
from sdk_core.operation import Operation

__all__ = ["Server", "correlation_id_of", "language_of", "serving"]

_MARK: Final = "en-x-"
_ENVELOPES: Final = {
    True: b'{"errorMessage":"No.","errorCode":"NO"}',
    False: b'{"statusCode":%d,"type":"No","description":"No."}',
}
_HTML: Final = b"<!doctype html><title>Gateway</title>"
_ODD: Final = b'["odd"]'
_FOR_EVER: Final = 3600.0
_REFUSALS: Final = {"refused": (400, 404, 409), "forbidden": (403,), "throttled": (429,)}
_WRITES: Final = {
    "done": 40,
    "refused": 8,
    "forbidden": 2,
    "throttled": 5,
    "dropped": 20,
    "late: dropped": 10,
    "late: 504": 8,
    "late: stalled": 4,
    "slow": 5,
    "html": 3,
    "odd": 3,
}
"""What befalls a request, and how often."""
_READS: Final = ("500", "503", "429", "403", "404", "dropped", "stalled", "html", "odd", *["slow"] * 4)
"""What befalls a read, most often that its answer is old when it comes."""


def language_of(run: int) -> str:
    """Return what a run of Membership is known by: its API has no correlation id, but a language may be asked for."""
    return f"{_MARK}{run:x}"


def correlation_id_of(run: int) -> str:
    """Return what all calls of a run are known by."""
    return str(UUID(int=run))


class Server:
    """One server; which world it is in changes."""

    def __init__(self) -> None:
        self.world: World | None = None
        self._connections: set[asyncio.Task[Any]] = set()

    async def accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        """Serve a connection."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while await self._serve(await read_head(reader), reader, writer):
                    pass
        finally:
            self._connections.discard(task)
            writer.close()

    async def close(self) -> None:
        """End all connections."""
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _serve(self, head: Head, reader: StreamReader, writer: StreamWriter) -> bool:
        """Answer one request; return whether another may follow."""
        await reader.readexactly(int(head.headers.get("content-length", "0")))
        world = self.world
        assert world is not None  # noqa: S101
        world.requests += 1
        run, operation = _run_of(head), _operation_of(world, head)
        if run is None or operation is None:
            world.strangers.append(f"{head.method} {head.target}")
            return False
        answering = _Answering(world, run, operation, writer)
        if operation is world.plan.subject.write:
            return await answering.write()
        return await answering.read()


class _Answering:
    """One request in the server's hands."""

    def __init__(self, world: World, run: int, operation: Operation[Any], writer: StreamWriter) -> None:
        self._world = world
        self._run = run
        self._operation = operation
        self._writer = writer
        self._rng: Random = world.plan.dice(operation.name, world.requests)

    async def read(self) -> bool:
        """Answer a read; return whether the connection is kept."""
        world = self._world
        came = world.loop.time()
        passed, (first, last) = world.loop.time() - world.began, world.plan.outage
        if first <= passed < last or self._rng.random() < world.plan.read_trouble:
            fault = self._rng.choice(_READS)
            world.faults.append(f"read: {fault}")
            if fault != "slow":
                return await self._fail(fault)
            await asyncio.sleep(self._rng.uniform(0, 20))
        state = world.state_at(world.loop.time() - self._rng.uniform(0, world.plan.lag))
        if state == GONE:
            return self._send_error(404)
        subject = world.plan.subject
        if self._operation is subject.reads[0]:
            world.record(self._run).read.append(came)
            world.record(self._run).shown.add(shown(self._operation, state))
        return self._send(200, answer(self._operation, world.plan.number, state))

    async def _fail(self, fault: str) -> bool:
        """Answer in a way that says nothing of the state, or of what became of a request."""
        match fault:
            case "dropped":
                return False
            case "stalled":
                await asyncio.sleep(_FOR_EVER)
                return False
            case "html":
                return self._send(200, _HTML, "text/html")
            case "odd":
                return self._send(200, _ODD)
            case _:
                return self._send_error(int(fault))

    async def write(self) -> bool:
        """Answer a request that is to change something; return whether the connection is kept."""
        world, record = self._world, self._world.record(self._run)
        record.sent.append(world.loop.time())
        record.unsettled += record.told_open
        fault = self._rng.choices(list(_WRITES), list(_WRITES.values()))[0]
        world.faults.append(f"request: {fault}")
        if fault in _REFUSALS:
            return self._send_error(self._rng.choice(_REFUSALS[fault]))
        if fault == "done":
            return self._answer(accepted=self._process())
        record.told_open = True
        record.in_doubt.append(record.sent[-1])
        match fault:
            case "slow":
                accepted = self._process()
                await asyncio.sleep(self._rng.uniform(1, 45))
                return self._answer(accepted=accepted)
            case "odd" if not self._process():
                return self._send_error(400)
            case "html" | "dropped":
                if self._rng.random() < 0.5:
                    self._process()
            case "late: 504" | "late: dropped" | "late: stalled":
                world.loop.call_later(self._rng.uniform(0.1, 20), self._process)
                await asyncio.sleep(self._rng.uniform(0, 5))
            case _:
                pass
        return await self._fail(fault.removeprefix("late: "))

    def _process(self) -> bool:
        return self._world.process(self._run)

    def _answer(self, *, accepted: bool) -> bool:
        if not accepted:
            return self._send_error(400)
        self._world.record(self._run).told_open = True
        subject = self._world.plan.subject
        return self._send(202 if subject.is_slow else 200, subject.answer)

    def _send_error(self, status: int) -> bool:
        is_membership = not self._world.plan.subject.is_slow
        envelope = _ENVELOPES[is_membership]
        more = f"Retry-After: {self._rng.choice((0, 1, 8, 50))}" if status in {429, 503} else "X-No: more"
        return self._send(status, envelope if is_membership else envelope % status, more=more)

    def _send(self, status: int, body: bytes, kind: str = "application/json", more: str = "X-No: more") -> bool:
        lines = (f"HTTP/1.1 {status} X", f"Content-Length: {len(body)}", f"Content-Type: {kind}", more)
        if self._writer.is_closing():
            return False
        self._writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return True


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[tuple[Server, str]]:
    """Run the server on a socket in this folder; yield it, and the socket's path."""
    server, path = Server(), str(folder / "api")
    listener = await asyncio.start_unix_server(server.accept, path)
    try:
        yield server, path
    finally:
        listener.close()
        await server.close()


def _run_of(head: Head) -> int | None:
    language, correlation_id = head.headers.get("accept-language", ""), head.headers.get("x-correlation-id")
    if correlation_id is not None:
        return UUID(correlation_id).int
    return int(language.removeprefix(_MARK), 16) if language.startswith(_MARK) else None


_SLOT: Final = re.compile(r"\{\w+\}")


def _operation_of(world: World, head: Head) -> Operation[Any] | None:
    """Return the operation of the world's workflow that a request is for, if it is for this world."""
    number = world.plan.number
    if str(number) not in head.target and str(UUID(int=number)) not in head.target and "reasons" not in head.target:
        return None
    for operation in (*world.plan.subject.reads, world.plan.subject.write):
        pattern = _SLOT.sub("[^/]+", operation.template)
        if operation.method == head.method and re.fullmatch(pattern, head.target):
            return operation
    return None
