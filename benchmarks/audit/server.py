"""The servers of the audit: raw sockets on loopback, faults drawn for each connection and each request."""

import asyncio
import socket
from asyncio import StreamReader, StreamWriter, Task
from contextlib import suppress
from random import Random
from types import TracebackType
from typing import Any, Final, Self
from uuid import UUID

from benchmarks.audit.exchange import Exchange, Head, read_head
from benchmarks.audit.faults import AFTER_ANSWER, FAULTS, obey
from benchmarks.audit.ledger import Entry, Ledger

__all__ = ["DeadPort", "Elsewhere", "Server", "language_of"]

_MARK: Final = "en-x-"
_FAULTY: Final = 0.55


def language_of(number: int) -> str:
    """Return what a Membership call is known by: its API has no correlation id, but a language it may ask for."""
    return f"{_MARK}{number:x}"


class _Listener:
    """A port of this machine; `async with` ends all its connections."""

    def __init__(self) -> None:
        self._connections: set[Task[Any]] = set()
        self._server: asyncio.Server
        self._port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    async def listen(self) -> None:
        # Connections are accepted as they come: none is forgotten in the backlog.
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.listen()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._server.close()
        # What is still under way is part of the story: an effect may follow that nobody waits for.
        if self._connections:
            await asyncio.wait(self._connections, timeout=1)
        for task in list(self._connections):
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None  # noqa: S101
        self._connections.add(task)
        try:
            # An end of the connection, from whichever side, ends the conversation; the client's words are judged.
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                await self._converse(reader, writer)
        finally:
            self._connections.discard(task)
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        raise NotImplementedError


class Elsewhere(_Listener):
    """Another host, that answers redirect to: nobody must come here."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:  # noqa: ARG002
        self._ledger.elsewhere += 1


class Server(_Listener):
    """The API, as bad as it gets.

    Args:
        ledger: where to write down what happens.
        seed: of all faults.
        elsewhere: URL of the host that it redirects to.
        flapping: whether it goes away and comes back, again and again.
    """

    def __init__(self, ledger: Ledger, seed: int, elsewhere: str, *, flapping: bool = False) -> None:
        super().__init__()
        self._ledger = ledger
        self._seed = seed
        self._elsewhere = elsewhere
        self._idle: set[StreamWriter] = set()
        self._accepted = 0
        self._flapping = flapping
        self._flaps: Task[None] | None = None

    async def __aenter__(self) -> Self:
        await super().__aenter__()
        if self._flapping:
            self._flaps = asyncio.create_task(self._flap())
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._flapping = False
        if self._flaps is not None:
            await self._flaps
        await super().__aexit__(_type, _error, _trace)

    async def _flap(self) -> None:
        rng = Random(f"{self._seed}:flaps")  # noqa: S311  to be repeatable
        while self._flapping:
            await asyncio.sleep(rng.uniform(0.03, 0.12))
            self._server.close()
            for writer in self._idle:
                self._ledger.unheard += 1
                writer.close()
            await asyncio.sleep(rng.uniform(0.01, 0.04))
            await self.listen()

    async def _converse(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._accepted += 1
        rng = Random(f"{self._seed}:connection:{self._accepted}")  # noqa: S311  to be repeatable
        held = False
        match rng.randrange(100):
            case 0 | 1 | 2:
                self._note("closed when accepted")
                self._ledger.unheard += 1
                return
            case 3 | 4 | 5:
                self._note("stalled when accepted")
                await asyncio.sleep(rng.uniform(0.01, 0.5))
                held = True
            case _:
                pass
        while (head := await self._next_head(reader, writer, rng)) is not None:
            if not await self._answer(head, reader, writer, held=held) or writer.is_closing():
                return
            held = False

    async def _next_head(self, reader: StreamReader, writer: StreamWriter, rng: Random) -> Head | None:
        """Return the next request; None if the connection is over."""
        patience = rng.uniform(0, 0.02) if rng.random() < 0.05 else None  # noqa: PLR2004
        self._idle.add(writer)
        try:
            async with asyncio.timeout(patience):
                return await read_head(reader)
        except TimeoutError:
            self._note("closed between requests")
            self._ledger.unheard += 1
            return None
        finally:
            self._idle.discard(writer)

    async def _answer(self, head: Head, reader: StreamReader, writer: StreamWriter, *, held: bool) -> bool:
        entry = self._entry_of(head)
        if entry is None:
            self._ledger.strangers.append(f"{head.method} {head.target}")
            return False
        entry.seen += 1
        if entry.sealed and not held:
            entry.late += 1
        rng = Random(f"{self._seed}:{entry.plan.number}:{entry.seen}")  # noqa: S311  to be repeatable
        name, fault = rng.choice(list(FAULTS.items())) if rng.random() < _FAULTY else ("none", obey)
        entry.faults.append(name)
        self._note(name)
        self._ledger.unheard += name == AFTER_ANSWER
        await fault(Exchange(entry, head, rng, reader, writer, self._elsewhere))
        return True

    def _entry_of(self, head: Head) -> Entry | None:
        """Return the call that the request belongs to, if it is that call's request."""
        language, correlation_id = head.headers.get("accept-language", ""), head.headers.get("x-correlation-id")
        number = int(language.removeprefix(_MARK), 16) if language.startswith(_MARK) else 0
        if correlation_id is not None:
            number = UUID(correlation_id).int
        entry = self._ledger.calls.get(number)
        if entry is None:
            return None
        operation, arguments = entry.plan.operation, entry.plan.arguments
        expected = operation.template.format_map(arguments)
        return entry if (head.method, head.target.partition("?")[0]) == (operation.method, expected) else None

    def _note(self, fault: str) -> None:
        self._ledger.faults[fault] += 1


class DeadPort:
    """A port where nobody listens, and nobody else can: `with` keeps it."""

    def __init__(self) -> None:
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))

    @property
    def url(self) -> str:
        """Where nobody is."""
        return f"http://127.0.0.1:{self._socket.getsockname()[1]}"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._socket.close()
