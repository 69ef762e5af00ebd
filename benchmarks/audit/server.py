"""The servers of the audit: raw sockets on loopback, faults drawn for each connection and each request."""

import asyncio
import socket
from asyncio import StreamReaderProtocol, StreamWriter, Task
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from random import Random
from time import monotonic
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import quote
from uuid import UUID

from attrs import frozen

from benchmarks.audit.exchange import DatedReader, Exchange, Head, TokenExchange, read_head
from benchmarks.audit.faults import AFTER_ANSWER, FAULTS, obey
from benchmarks.audit.ledger import Entry, Ledger
from benchmarks.audit.turns import settle

__all__ = ["Addresses", "language_of", "serving"]

_MARK: Final = "en-x-"
_BACKLOG: Final = 500
_FAULTY: Final = 0.55
_TOKEN_REQUEST: Final = "POST", "token"


def language_of(number: int) -> str:
    """Return what a Membership call is known by: its API has no correlation id, but a language it may ask for."""
    return f"{_MARK}{number:x}"


@frozen
class Addresses:
    """Where the servers are."""

    steady: str
    flapping: str
    dead: str
    tokens: str
    """To be followed by the number of the call and `/token`."""
    seals: int
    """The port to tell that nothing more may come of a call: a line with its number."""


@asynccontextmanager
async def serving(ledger: Ledger) -> AsyncGenerator[Addresses]:
    """Run all servers."""
    async with AsyncExitStack() as stack:
        elsewhere = await stack.enter_async_context(_Elsewhere(ledger))
        steady = await stack.enter_async_context(_Server(ledger, elsewhere.url))
        flapping = await stack.enter_async_context(_Server(ledger, elsewhere.url, flapping=True))
        tokens = await stack.enter_async_context(_TokenEndpoint(ledger, elsewhere.url))
        seals = await stack.enter_async_context(_Seals(ledger))
        dead = stack.enter_context(_DeadPort())
        yield Addresses(steady.url, flapping.url, dead.url, tokens.url, seals.port)


class _Listener:
    """A port of this machine; `async with` ends all its connections."""

    def __init__(self) -> None:
        self._connections: set[Task[Any]] = set()
        self._server: asyncio.Server
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def listen(self) -> None:
        # All that have come are accepted in one turn: none is forgotten in the backlog.
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port, backlog=_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    def _protocol(self) -> StreamReaderProtocol:
        reader = DatedReader()
        return StreamReaderProtocol(reader, lambda _reader, writer: self._accept(reader, writer))

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

    async def _accept(self, reader: DatedReader, writer: StreamWriter) -> None:
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

    async def _converse(self, reader: DatedReader, writer: StreamWriter) -> None:
        raise NotImplementedError


class _Elsewhere(_Listener):
    """Another host, that answers redirect to: nobody must come here."""

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    async def _converse(self, reader: DatedReader, writer: StreamWriter) -> None:  # noqa: ARG002
        self._ledger.elsewhere += 1


class _Seals(_Listener):
    """Where callers say that they gave up a call.

    What they sent before was there before: it is read before they are heard.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    async def _converse(self, reader: DatedReader, writer: StreamWriter) -> None:  # noqa: ARG002
        entry = self._ledger.entry(int(await reader.readline()))
        await settle()
        if entry is not None:
            entry.sealed_at = monotonic()


class _Server(_Listener):
    """The API, as bad as it gets.

    Args:
        ledger: where to write down what happens.
        elsewhere: URL of the host that it redirects to.
        flapping: whether it goes away and comes back, again and again.
    """

    def __init__(self, ledger: Ledger, elsewhere: str, *, flapping: bool = False) -> None:
        super().__init__()
        self._ledger = ledger
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
        rng = self._rng("flaps")
        while self._flapping:
            await asyncio.sleep(rng.uniform(0.03, 0.12))
            self._server.close()
            for writer in self._idle:
                self._miss_one()
                writer.close()
            await asyncio.sleep(rng.uniform(0.01, 0.04))
            await self.listen()

    async def _converse(self, reader: DatedReader, writer: StreamWriter) -> None:
        self._accepted += 1
        rng = self._rng("connection", self._accepted)
        match rng.randrange(100):
            case 0 | 1 | 2:
                self._note("closed when accepted")
                self._miss_one()
                return
            case 3 | 4 | 5:
                self._note("stalled when accepted")
                await asyncio.sleep(rng.uniform(0.01, 0.5))
            case _:
                pass
        while (head := await self._next_head(reader, writer, rng)) is not None:
            if not await self._answer(head, reader, writer) or writer.is_closing():
                return

    async def _next_head(self, reader: DatedReader, writer: StreamWriter, rng: Random) -> Head | None:
        """Return the next request; None if the connection is over."""
        patience = rng.uniform(0, 0.02) if rng.random() < 0.05 else None
        self._idle.add(writer)
        try:
            async with asyncio.timeout(patience):
                return await read_head(reader)
        except TimeoutError:
            self._note("closed between requests")
            self._miss_one()
            return None
        finally:
            self._idle.discard(writer)

    async def _answer(self, head: Head, reader: DatedReader, writer: StreamWriter) -> bool:
        entry = self._entry_of(head)
        if entry is None:
            self._ledger.strangers.append(f"{head.method} {head.target}")
            return False
        x = self._exchange(entry, head, reader, writer)
        # Whoever else waits for a token gets it, though the call that asked for it was cancelled.
        if reader.came_at > entry.sealed_at and not isinstance(x, TokenExchange):
            entry.late += 1
        name, fault = x.rng.choice(list(FAULTS.items())) if x.rng.random() < _FAULTY else ("none", obey)
        x.meet(name)
        self._note(name)
        if name in AFTER_ANSWER:
            self._miss_one()
        await fault(x)
        return True

    def _exchange(self, entry: Entry, head: Head, reader: DatedReader, writer: StreamWriter) -> Exchange:
        entry.seen += 1
        rng = self._rng(entry.plan.number, entry.seen)
        return Exchange(entry, head, rng, reader, writer, self._elsewhere)

    def _entry_of(self, head: Head) -> Entry | None:
        """Return the call that the request belongs to, if it is that call's request."""
        language, correlation_id = head.headers.get("accept-language", ""), head.headers.get("x-correlation-id")
        number = int(language.removeprefix(_MARK), 16) if language.startswith(_MARK) else 0
        if correlation_id is not None:
            number = UUID(correlation_id).int
        entry = self._ledger.entry(number)
        if entry is None:
            return None
        operation, arguments = entry.plan.operation, entry.plan.arguments
        expected = operation.template.format_map(
            {name: quote(f"{value}", safe="") for name, value in arguments.items()}
        )
        return entry if (head.method, head.target.partition("?")[0]) == (operation.method, expected) else None

    def _miss_one(self) -> None:
        """Take note that a request may be on its way which will never be heard."""
        self._ledger.unheard += 1

    def _note(self, fault: str) -> None:
        self._ledger.faults[fault] += 1

    def _rng(self, *name: object) -> Random:
        """Return the dice of this name, the same in every run with this seed."""
        return Random(":".join(map(str, (self._ledger.seed, *name))))


class _TokenEndpoint(_Server):
    """Where tokens come from: no better than the API."""

    def _exchange(self, entry: Entry, head: Head, reader: DatedReader, writer: StreamWriter) -> Exchange:
        rng = self._rng(entry.plan.number, "token", len(entry.token_faults) + 1)
        return TokenExchange(entry, head, rng, reader, writer, self._elsewhere)

    def _entry_of(self, head: Head) -> Entry | None:
        number, _, name = head.target.removeprefix("/").partition("/")
        entry = self._ledger.entry(int(number))
        return entry if entry is not None and entry.plan.needs_token and (head.method, name) == _TOKEN_REQUEST else None

    def _miss_one(self) -> None:
        """Do nothing: of requests for tokens, nobody keeps an account."""


class _DeadPort:
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
