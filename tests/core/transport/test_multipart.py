"""Requests with a document: what is on the wire, how it is read, and what becomes of a file when something fails."""

import asyncio
import copy
import gc
import io
import os
import pickle
import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import date
from email.message import Message
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path
from typing import Any, BinaryIO, NoReturn

import pytest
from attrs import evolve
from cases import goes_through
from payloads import payload
from wire import DROP, CannedAnswer, FakeTime, Raw, WireRequest, WireServer

from membership_sdk import (
    BadRequestError,
    CallTimeoutError,
    ConnectionFailedError,
    Document,
    LocalRateLimiter,
    MembershipClient,
    Outcome,
    RateLimitError,
    RetryPolicy,
    SdkError,
    ServerError,
    operations,
)
from membership_sdk.models import IdlePeriodUpdateRequest
from sdk_core.operation import Effect

CONTENT = bytes(range(256)) * 1000
PDF = "application/pdf"
CREATED = CannedAnswer(body=payload("membership_idle_period"))
CONFLICT = CannedAnswer(409, {"errorMessage": "no"})
BUSY = CannedAnswer(503, {"errorMessage": "no"})
LIMITED = CannedAnswer(429, headers={"Retry-After": "1"})
CANARY = "CANARY"


def policy(time: FakeTime, **changes: Any) -> RetryPolicy:
    return RetryPolicy(**{"sleep": time.sleep, "clock": time.clock, **changes})


def client_for(server: WireServer, **options: Any) -> MembershipClient:
    return MembershipClient(server.url, "key", **options)


async def create(client: MembershipClient, document: Document | None) -> object:
    return await client.create_idle_period_amendment(
        contract_id=7, start_date=date(2026, 2, 1), reason_id=3, document=document
    )


async def update(client: MembershipClient, document: Document | None) -> object:
    return await client.update_idle_period(
        contract_id=7, idle_period_id=8, start_date=date(2026, 2, 1), reason_id=3, document=document
    )


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


def parts(request: WireRequest) -> list[Message]:
    """Read the body as any server would: by the boundary of the header."""
    kind = request.headers["content-type"]
    assert kind.startswith("multipart/form-data; boundary=")
    message = BytesParser(policy=HTTP).parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + request.body)
    assert message.is_multipart()
    assert not message.defects
    return list(message.iter_parts())  # type: ignore[attr-defined]


def sent(request: WireRequest) -> bytes:
    """Return the content of the part `document`, cut out by hand: the parser is one for e-mail and its line ends."""
    boundary = request.headers["content-type"].partition("boundary=")[2].encode()
    _, _, part, end = request.body.split(b"--" + boundary)
    assert end == b"--\r\n"
    head, _, content = part.partition(b"\r\n\r\n")
    assert b'name="document"' in head
    return content.removesuffix(b"\r\n")


def opened(path: Path, content: bytes = CONTENT) -> BinaryIO:
    path.write_bytes(content)
    return path.open("rb")


class FakeFile(io.RawIOBase):
    """A file that counts how much of it is read at once, and how much of it was read; there is nothing on the disk."""

    def __init__(self, size: int, *, claims: int | None = None) -> None:
        self.size = size
        self.claims = size if claims is None else claims
        self.position = 0
        self.largest = 0
        self.total = 0
        self.threads: set[int] = set()

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        self.position = {os.SEEK_SET: 0, os.SEEK_CUR: self.position, os.SEEK_END: self.claims}[whence] + offset
        return self.position

    def read(self, size: int = -1) -> bytes:
        self.threads.add(threading.get_ident())
        left = self.size - self.position
        count = left if size < 0 else min(size, left)
        self.largest = max(self.largest, count if size >= 0 else left)
        self.position += count
        self.total += count
        return b"\0" * count


def source(size: int, **more: Any) -> Any:
    return FakeFile(size, **more)


# -- On the wire -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["bytes", "path", "open file"])
@pytest.mark.parametrize("content", [CONTENT, b"", b"\r\n--boundary--\r\n"], ids=["binary", "empty", "line ends"])
async def test_document_arrives_whole_from_every_source(tmp_path: Path, kind: str, content: bytes) -> None:
    """From bytes, a path or an open file: two parts, each with its type, and the content byte for byte."""
    with opened(tmp_path / "proof.pdf", content) as file:
        given: Any = {"bytes": content, "path": tmp_path / "proof.pdf", "open file": file}[kind]
        async with WireServer(CREATED) as server, client_for(server) as client:
            await create(client, Document(source=given, content_type=PDF, filename="proof.pdf"))
        assert not file.closed
    (request,) = server.requests
    data, document = parts(request)
    assert dict(data.items()) == {"Content-Type": "application/json", "Content-Disposition": 'form-data; name="data"'}
    assert data.get_payload(decode=True) == b'{"startDate":"2026-02-01","reasonId":3}'
    assert dict(document.items()) == {
        "Content-Type": PDF,
        "Content-Disposition": 'form-data; name="document"; filename="proof.pdf"',
    }
    assert sent(request) == content
    assert "transfer-encoding" not in request.headers
    assert request.headers["content-length"] == str(len(request.body))


@pytest.mark.parametrize("call", [create, update])
async def test_without_a_document_it_is_multipart_all_the_same(call: Callable[..., Awaitable[object]]) -> None:
    """One part, JSON, without a file name; and no empty second one."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        await call(client, None)
    (request,) = server.requests
    (data,) = parts(request)
    assert dict(data.items()) == {"Content-Type": "application/json", "Content-Disposition": 'form-data; name="data"'}
    assert "transfer-encoding" not in request.headers


@pytest.mark.parametrize("kind", ["image/jpeg", "image/png", "application/pdf", "image/heic"])
async def test_documented_file_types_are_taken(kind: str) -> None:
    """All four, and the part says which."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=b"x", content_type=kind))
    _, document = parts(server.requests[0])
    assert document["Content-Type"] == kind
    assert document.get_filename() == "document"


@pytest.mark.parametrize("name", ["proof of illness.pdf", "a+b%20c.pdf", "a;b=c,d.pdf", "[1].pdf"])
async def test_server_sees_the_name_that_was_given(name: str) -> None:
    """Not a percent-encoded one: nobody would decode it."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=b"x", content_type=PDF, filename=name))
    _, document = parts(server.requests[0])
    assert document["Content-Disposition"] == f'form-data; name="document"; filename="{name}"'


@pytest.mark.parametrize("name", ['a"; name="data', '"', "\\", 'a\\"; name="data'])
async def test_file_name_cannot_become_another_parameter(name: str) -> None:
    """A quote in it stays inside the quotes."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=b"x", content_type=PDF, filename=name))
    data, document = parts(server.requests[0])
    assert data.get_param("name", header="content-disposition") == "data"
    assert document.get_param("name", header="content-disposition") == "document"
    assert {key for key, _ in document.get_params([], "content-disposition")} == {"form-data", "name", "filename"}
    assert sent(server.requests[0]) == b"x"


async def test_large_content_in_memory_raises_no_warning() -> None:
    """A photo of a few MiB: warnings are errors here, aiohttp's among them."""
    content = os.urandom(3 * 2**20)
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=content, content_type=PDF))
    assert sent(server.requests[0]) == content


# -- Streamed ----------------------------------------------------------------------------------------------------------


async def test_file_is_streamed_in_small_pieces() -> None:
    """8 MiB are read 64 KiB at most at a time, each byte once, and not in the event loop's thread."""
    file = source(8 * 2**20)
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=file, content_type=PDF))
    assert (file.largest, file.total) == (2**16, 8 * 2**20)
    assert threading.get_ident() not in file.threads
    assert len(sent(server.requests[0])) == 8 * 2**20


async def test_open_file_is_sent_from_where_it_stood(tmp_path: Path) -> None:
    """What was read before is not sent, and the file stays open for its owner."""
    with opened(tmp_path / "proof") as file:
        file.seek(1000)
        document = Document(source=file, content_type=PDF)
        async with WireServer(CREATED) as server, client_for(server) as client:
            await create(client, document)
            # Where it stood when the document was made, not where the first call left it.
            await create(client, document)
        assert not file.closed
    assert [sent(request) for request in server.requests] == [CONTENT[1000:]] * 2


@pytest.mark.parametrize("kind", ["bytes", "path", "open file"])
@pytest.mark.parametrize("call", [create, update])
async def test_refused_request_is_sent_again_from_its_start(
    tmp_path: Path, fake_time: FakeTime, kind: str, call: Callable[..., Awaitable[object]]
) -> None:
    """429, then 409, then success: the whole document goes out each time, the open file's from where it stood."""
    with opened(tmp_path / "proof", b"read already" + CONTENT) as file:
        file.seek(len(b"read already"))
        (tmp_path / "alone").write_bytes(CONTENT)
        given: Any = {"bytes": CONTENT, "path": tmp_path / "alone", "open file": file}[kind]
        steps = (LIMITED, CONFLICT, CREATED)
        async with WireServer(*steps) as server, client_for(server, retry=policy(fake_time)) as client:
            await call(client, Document(source=given, content_type=PDF))
        assert not file.closed
    assert [sent(request) == CONTENT for request in server.requests] == [True] * 3
    assert len({parts(request)[0].get_payload() for request in server.requests}) == 1


async def test_path_is_opened_for_each_attempt(tmp_path: Path, fake_time: FakeTime) -> None:
    """What the file holds now is what is sent now; and no file is left open (a ResourceWarning would fail this)."""
    path = tmp_path / "proof"
    path.write_bytes(b"first")

    def replace(_request: WireRequest) -> CannedAnswer:
        path.write_bytes(b"second, and longer")
        return LIMITED

    async with WireServer(replace, CREATED) as server, client_for(server, retry=policy(fake_time)) as client:
        await create(client, Document(source=path, content_type=PDF))
    assert [sent(request) for request in server.requests] == [b"first", b"second, and longer"]


@pytest.mark.parametrize("step", [DROP, CannedAnswer(500), CannedAnswer(502, "<html>")], ids=["dropped", "500", "502"])
@pytest.mark.parametrize("call", [create, update])
async def test_document_is_not_sent_again_when_the_first_may_have_arrived(
    step: Any, call: Callable[..., Awaitable[object]], fake_time: FakeTime
) -> None:
    """Both are WRITEs, the PUT too: one request, outcome UNKNOWN."""
    async with WireServer(step) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(call(client, Document(source=CONTENT, content_type=PDF)))
    assert (error.outcome, error.retryable, len(server.requests)) == (Outcome.UNKNOWN, False, 1)


# -- Refused before anything is sent -----------------------------------------------------------------------------------


@pytest.mark.parametrize("missing", ["no-such-file", "no-such-folder/file", "."], ids=str)
async def test_path_that_cannot_be_read_sends_nothing(tmp_path: Path, missing: str) -> None:
    """The caller's own mistake comes as the OSError it is, and nothing was sent, not even a connection opened."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        with pytest.raises(OSError) as caught:
            await create(client, Document(source=tmp_path / missing, content_type=PDF))
    assert type(caught.value) is (IsADirectoryError if missing == "." else FileNotFoundError)
    assert server.connections == 0


@goes_through("given", ["proof.pdf", None, 5, ["x"], bytearray(b"x"), memoryview(b"x"), object()])
def test_source_of_another_type_is_refused(given: Any) -> None:
    """TypeError that names the argument; a text is not taken for a path."""
    with pytest.raises(TypeError, match="source"):
        Document(source=given, content_type=PDF)


def test_text_files_are_refused(tmp_path: Path) -> None:
    """Opened without "b", a file gives text, which can't be sent: known at once, not in the middle of the upload."""
    (tmp_path / "proof").write_text("x")
    with (tmp_path / "proof").open() as file, pytest.raises(TypeError, match="source"):
        Document(source=file, content_type=PDF)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="source"):
        Document(source=io.StringIO("x"), content_type=PDF)  # type: ignore[arg-type]


@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
def test_files_with_async_methods_are_refused() -> None:
    """Those of anyio and aiofiles: known at once, with what to pass instead."""

    class Later(io.BytesIO):
        async def tell(self) -> int:  # type: ignore[override]
            return 0

    with pytest.raises(TypeError, match=r"source must be .* not async: pass its path, or its bytes"):
        Document(source=Later(b"x"), content_type=PDF)


def test_files_that_cannot_seek_are_refused() -> None:
    """A pipe could not be sent again after a refusal."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as pipe, os.fdopen(writing, "wb"), pytest.raises(ValueError, match="source"):
        Document(source=pipe, content_type=PDF)


@goes_through("name", ["filename", "content_type"])
@goes_through("text", ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "a\x7fb", "", " a", "a ", "x" * 8193])
def test_text_that_would_break_a_header_is_refused(name: str, text: str) -> None:
    """It becomes part of a header of the part."""
    with pytest.raises(ValueError, match=name):
        Document(**{"source": b"x", "content_type": PDF, "filename": "x", name: text})  # type: ignore[arg-type]


@goes_through("name", ["filename", "content_type"])
@goes_through("value", [None, 5, b"x", Path("x")])
def test_names_and_types_are_text(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=name):
        Document(**{"source": b"x", "content_type": PDF, "filename": "x", name: value})


@goes_through("kind", ["text/plain", "image/gif", "application/json", "image/*", "pdf", "multipart/mixed"])
@goes_through("call", [create, update])
async def test_undocumented_file_types_send_nothing(kind: str, call: Callable[..., Awaitable[object]]) -> None:
    """The API takes jpeg, png, pdf and heic; the error names the argument and what would do."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        with pytest.raises(ValueError, match=r"document.*application/pdf.*image/heic.*image/jpeg.*image/png"):
            await call(client, Document(source=b"x", content_type=kind))
    assert server.connections == 0


@goes_through("given", [b"x", "proof.pdf", Path("proof.pdf"), 5, True, io.BytesIO(b"x")])
@goes_through("call", [create, update])
async def test_document_of_another_type_sends_nothing(given: Any, call: Callable[..., Awaitable[object]]) -> None:
    """TypeError that names the argument: without its content type a file can't be sent."""
    async with WireServer(CREATED) as server, client_for(server) as client:
        with pytest.raises(TypeError, match="document"):
            await call(client, given)
    assert server.connections == 0


def test_nothing_of_the_document_shows() -> None:
    """Neither content nor name: both may be about a person's health."""
    document = Document(source=CANARY.encode(), content_type=PDF, filename=f"{CANARY}.pdf")
    assert repr(document) == "Document(content_type='application/pdf')"
    assert CANARY not in repr(Document(source=Path(CANARY), content_type=PDF))
    with tempfile.TemporaryFile(prefix=CANARY) as file:
        assert CANARY not in repr(Document(source=file, content_type=PDF))


@pytest.mark.parametrize(
    "step",
    [
        CannedAnswer(400, {"errorMessage": CANARY}),
        CannedAnswer(500),
        DROP,
        CannedAnswer(body="[]"),
        CannedAnswer(body="x"),
    ],
)
async def test_nothing_of_the_document_is_in_errors_or_logs(
    step: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    """However the call ends."""
    caplog.set_level(0)
    (tmp_path / CANARY).write_bytes(CANARY.encode())
    async with WireServer(step) as server, client_for(server, retry=RetryPolicy.none()) as client:
        document = Document(source=tmp_path / CANARY, content_type=PDF, filename=CANARY)
        error = await failure(create(client, document))
    told = [repr(error), str(error), str(error.to_dict()), repr(error.__cause__), repr(error.__context__)]
    assert CANARY not in "".join(told) + "".join(record.getMessage() for record in caplog.records)
    assert len(server.requests) == 1


# -- Failures in the middle --------------------------------------------------------------------------------------------


@asynccontextmanager
async def _hasty_server(answer: bytes | None) -> AsyncIterator[tuple[str, list[asyncio.StreamReader]]]:
    """Read a request's head only; then answer, and close, or (None) never."""
    seen: list[asyncio.StreamReader] = []
    stop = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        seen.append(reader)
        if answer is None:
            await stop.wait()
        else:
            writer.write(answer)
            await writer.drain()
            # Read on until the client has the answer: unread bytes would reset the connection under it.
            while await reader.read(2**16):
                pass
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=2**16)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", seen
    finally:
        stop.set()
        server.close()
        await server.wait_closed()


async def test_file_that_shrinks_while_it_is_sent(fake_time: FakeTime) -> None:
    """Fewer bytes than announced: an error, not a silent half; the server may have seen anything; not repeated."""
    file = source(2**20, claims=2**21)
    async with WireServer(CREATED) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(create(client, Document(source=file, content_type=PDF)))
        assert server.requests == [], "a request was complete"
        assert server.connections == 1
    assert isinstance(error, ConnectionFailedError)
    assert (error.outcome, error.retryable, len(error.attempts)) == (Outcome.UNKNOWN, False, 1)


async def test_file_that_grows_while_it_is_sent_is_cut() -> None:
    """Exactly what was announced goes out: more would be taken for the next request."""
    file = source(2**21, claims=2**20)
    async with WireServer(CREATED, CREATED) as server, client_for(server) as client:
        await create(client, Document(source=file, content_type=PDF))
        await create(client, None)
    assert len(sent(server.requests[0])) == 2**20
    assert (len(server.requests), server.connections) == (2, 1)


async def test_file_that_fails_while_it_is_read(fake_time: FakeTime) -> None:
    """A disk error in the middle: an SdkError with outcome UNKNOWN, and the client goes on."""

    class Broken(FakeFile):
        def read(self, size: int = -1) -> bytes:
            if self.total >= 2**18:
                raise OSError(5, "Input/output error")
            return super().read(size)

    async with WireServer(CREATED) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(create(client, Document(source=Broken(2**20), content_type=PDF)))  # type: ignore[arg-type]
        assert await create(client, None)
    assert (type(error), error.outcome, len(error.attempts)) == (ConnectionFailedError, Outcome.UNKNOWN, 1)
    assert len(server.requests) == 1


async def test_cancelled_upload_leaves_nothing_behind(tmp_path: Path) -> None:
    """Cancelled while the server does not read: CancelledError, the path's file closed, the open one left open."""
    path = tmp_path / "large"
    path.write_bytes(bytes(32 * 2**20))
    with path.open("rb") as file:
        for given in (path, file):
            async with _hasty_server(None) as (url, seen), MembershipClient(url, "key") as client:
                task = asyncio.create_task(create(client, Document(source=given, content_type=PDF)))
                async with asyncio.timeout(5):
                    while not seen:
                        await asyncio.sleep(0.001)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
        assert not file.closed
        assert file.seek(0) == 0
    assert str(path) not in _open_files()


async def test_cancelled_while_its_file_is_opened_tells_nobody_its_name(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """That the file is not there is found out later, by a thread, and concerns nobody any more."""
    asked, released = threading.Event(), threading.Event()

    def stat(_path: Path, **_more: object) -> NoReturn:
        asked.set()
        released.wait(5)
        raise FileNotFoundError

    path = tmp_path / "Jane-Doe.pdf"
    document = Document(source=path, content_type=PDF)
    async with WireServer() as server, client_for(server) as client:
        task = asyncio.create_task(create(client, document))
        with monkeypatch.context() as patched:
            patched.setattr(Path, "stat", stat)
            while not asked.is_set():
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            released.set()
            await asyncio.get_running_loop().shutdown_default_executor()
        gc.collect()
        await asyncio.sleep(0)
    assert caplog.messages == []


def _open_files() -> list[str]:
    """Return what this process holds open, where the system tells."""
    folder = Path("/proc/self/fd")
    if not folder.exists():
        return []
    found = []
    for entry in folder.iterdir():
        # The listing itself holds one open, that is gone by now.
        with suppress(FileNotFoundError):
            found.append(str(entry.readlink()))
    return found


async def test_upload_is_bound_by_the_attempt_timeout() -> None:
    """A server that stops reading: the limit ends it, with outcome UNKNOWN, and it is not repeated."""
    async with _hasty_server(None) as (url, seen):
        async with MembershipClient(url, "key", attempt_timeout=0.1) as client:
            error = await failure(create(client, Document(source=source(32 * 2**20), content_type=PDF)))
        assert len(seen) == 1
    assert isinstance(error, CallTimeoutError)
    assert (error.limit, error.outcome, len(error.attempts)) == ("attempt_timeout", Outcome.UNKNOWN, 1)


@pytest.mark.parametrize(
    ("status", "kind", "outcome"),
    [(400, BadRequestError, Outcome.REJECTED), (500, ServerError, Outcome.UNKNOWN)],
)
async def test_answer_that_comes_before_the_upload_ends(
    status: int, kind: type[SdkError], outcome: Outcome, fake_time: FakeTime
) -> None:
    """A server that refuses at once is heard, and the rest of the file is not read for nothing."""
    body = b'{"errorMessage": "no"}'
    head = f"HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    file = source(2**30)
    async with (
        _hasty_server(head.encode() + b"\r\n\r\n" + body) as (url, _),
        MembershipClient(url, "key", retry=policy(fake_time)) as client,
    ):
        error = await failure(create(client, Document(source=file, content_type=PDF)))
    assert (type(error), error.outcome) == (kind, outcome)
    assert file.total < 2**29


async def test_file_that_is_closed_between_the_attempts(tmp_path: Path, fake_time: FakeTime) -> None:
    """The caller closed it too early: no half of a document goes out."""
    file = opened(tmp_path / "proof")

    def close(_request: WireRequest) -> CannedAnswer:
        file.close()
        return LIMITED

    async with WireServer(close, CREATED) as server, client_for(server, retry=policy(fake_time)) as client:
        with pytest.raises((ValueError, SdkError)):
            await create(client, Document(source=file, content_type=PDF))
    assert len(server.requests) == 1


async def test_calls_at_once_each_send_their_own_document(tmp_path: Path) -> None:
    """Twenty uploads of twenty files, on one client."""
    documents = []
    for number in range(20):
        # No line ends: a parser for e-mail would take them for a hundred thousand lines.
        (tmp_path / str(number)).write_bytes(bytes([number + 32]) * 100_000)
        documents.append(Document(source=tmp_path / str(number), content_type=PDF, filename=f"{number}.pdf"))
    async with WireServer(CREATED) as server, client_for(server) as client:
        await asyncio.gather(*(create(client, document) for document in documents))
    found = {parts(request)[1].get_filename(): set(sent(request)) for request in server.requests}
    assert found == {f"{number}.pdf": {number + 32} for number in range(20)}
    assert {len(sent(request)) for request in server.requests} == {100_000}


@pytest.mark.parametrize("kind", ["bytes", "path", "open file"])
async def test_one_document_serves_several_calls_at_once(tmp_path: Path, kind: str, fake_time: FakeTime) -> None:
    """No call moves the place where another reads, and none of them fails."""
    content = os.urandom(2**20)
    with opened(tmp_path / "proof", content) as file:
        given: Any = {"bytes": content, "path": tmp_path / "proof", "open file": file}[kind]
        document = Document(source=given, content_type=PDF)
        async with (
            WireServer(*[LIMITED] * 5, CREATED) as server,
            client_for(
                server, retry=policy(fake_time), rate_limiter=LocalRateLimiter(1000, clock=fake_time.clock)
            ) as client,
        ):
            await asyncio.gather(*(create(client, document) for _ in range(10)))
    assert [sent(request) == content for request in server.requests] == [True] * 15


async def test_refusals_of_an_upload_end_as_any_others(fake_time: FakeTime) -> None:
    """Every attempt refused: the whole document three times, and the error of the last."""
    async with WireServer(BUSY, CONFLICT, LIMITED) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(create(client, Document(source=CONTENT, content_type=PDF)))
    assert isinstance(error, RateLimitError)
    assert (error.outcome, [attempt.status for attempt in error.attempts]) == (Outcome.REJECTED, [503, 409, 429])
    assert [sent(request) == CONTENT for request in server.requests] == [True] * 3


async def test_answer_that_is_cut_after_an_upload() -> None:
    """The document was taken, and nobody knows what became of it."""
    half = Raw(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{")
    async with WireServer(half) as server, client_for(server) as client:
        error = await failure(create(client, Document(source=CONTENT, content_type=PDF)))
    assert (error.outcome, error.retryable) == (Outcome.UNKNOWN, False)
    assert sent(server.requests[0]) == CONTENT


# -- Documents that travel ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
async def test_document_can_be_given_to_a_worker(protocol: int, tmp_path: Path) -> None:
    """Of bytes, of a path, of a file in memory from where it stands: unpickled, it sends what the first one did."""
    path = tmp_path / "proof.pdf"
    path.write_bytes(CONTENT)
    memory = io.BytesIO(b"skipped" + CONTENT)
    memory.seek(7)
    documents = [Document(source=source, content_type=PDF, filename="proof") for source in (CONTENT, path, memory)]
    async with WireServer(CREATED) as server, client_for(server) as client:
        for document in documents:
            # Sent already, and so read to its end.
            await create(client, document)
            arrived = pickle.loads(pickle.dumps(document, protocol))
            await create(client, arrived)
            await create(client, copy.deepcopy(arrived))
            assert (arrived.content_type, arrived.filename) == (PDF, "proof")
        assert [sent(request) for request in server.requests] == [CONTENT] * 9


def test_open_file_cannot_travel(tmp_path: Path) -> None:
    """And its error says what can."""
    with opened(tmp_path / "proof.pdf") as file, pytest.raises(TypeError, match="give it a path or bytes"):
        pickle.dumps(Document(source=file, content_type=PDF))


# -- Files that are none, or not there any more ------------------------------------------------------------------------

REPEATABLE = evolve(operations.UPDATE_IDLE_PERIOD, effect=Effect.IDEMPOTENT)


async def repeat(client: MembershipClient, document: Document) -> object:
    """Send a document with an operation that may be repeated after an UNKNOWN attempt."""
    body = IdlePeriodUpdateRequest(start_date=date(2026, 2, 1), reason_id=3)
    return await client.call(REPEATABLE, contract_id=7, idle_period_id=8, body=body, document=document)


def _devices() -> list[Path]:
    return [path for path in map(Path, ("/dev/zero", "/dev/null", "/dev/ptmx")) if path.exists()]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
async def test_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    """Nobody may ever open its other end: it is refused at once, and no thread waits on."""
    os.mkfifo(tmp_path / "pipe")
    threads = threading.active_count()
    async with WireServer(CREATED) as server, client_for(server) as client, asyncio.timeout(1):
        for _ in range(2):
            with pytest.raises(ValueError, match="source must be the path of a regular file"):
                await create(client, Document(source=tmp_path / "pipe", content_type=PDF))
    assert server.connections == 0
    assert threading.active_count() <= threads + 2


@pytest.mark.parametrize("path", _devices(), ids=str)
async def test_device_is_refused(path: Path) -> None:
    async with WireServer(CREATED) as server, client_for(server) as client:
        with pytest.raises(ValueError, match="source must be the path of a regular file"):
            await create(client, Document(source=path, content_type=PDF))
    assert server.connections == 0


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names")
async def test_file_that_becomes_a_pipe_while_it_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looked at as a file, opened as a pipe: refused all the same, and closed."""
    path = tmp_path / "proof"
    path.write_bytes(CONTENT)
    opening = os.open

    def swap(given: Path, flags: int) -> int:
        path.unlink()
        os.mkfifo(path)
        return opening(given, flags)

    async with WireServer(CREATED) as server, client_for(server) as client, asyncio.timeout(1):
        monkeypatch.setattr(os, "open", swap)
        with pytest.raises(ValueError, match="source must be the path of a regular file"):
            await create(client, Document(source=path, content_type=PDF))
        monkeypatch.undo()
    assert str(path) not in _open_files()


async def test_link_to_a_file_is_followed(tmp_path: Path) -> None:
    (tmp_path / "proof").write_bytes(CONTENT)
    (tmp_path / "link").symlink_to(tmp_path / "proof")
    async with WireServer(CREATED) as server, client_for(server) as client:
        await create(client, Document(source=tmp_path / "link", content_type=PDF))
    assert sent(server.requests[0]) == CONTENT


async def test_file_system_that_hangs_ends_with_the_total_timeout(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent; what is opened in the end is closed."""
    path, go_on, files = tmp_path / "proof", threading.Event(), []
    path.write_bytes(CONTENT)

    def hang(given: Path) -> BinaryIO:
        go_on.wait(5)
        files.append(given.open("rb"))
        return files[0]

    monkeypatch.setattr("sdk_core.transport.multipart._open", hang)
    async with WireServer(CREATED) as server, client_for(server, total_timeout=0.1) as client:
        async with asyncio.timeout(1):
            error = await failure(create(client, Document(source=path, content_type=PDF)))
        assert server.connections == 0
        assert isinstance(error, CallTimeoutError)
        assert (error.limit, error.outcome, error.retryable) == ("total_timeout", Outcome.NOT_SENT, True)
        go_on.set()
        async with asyncio.timeout(5):
            while not files or not files[0].closed:
                await asyncio.sleep(0.001)


@pytest.mark.parametrize("step", [DROP, CannedAnswer(502)], ids=["dropped", "502"])
@pytest.mark.parametrize("becomes", ["nothing", "folder"])
async def test_file_that_vanishes_after_an_attempt_that_may_have_had_an_effect(
    tmp_path: Path, step: Any, becomes: str, fake_time: FakeTime
) -> None:
    """The UNKNOWN of the first attempt is what the caller has to know; the file's path is not in it."""
    path = tmp_path / CANARY
    path.write_bytes(CONTENT)

    def vanish(_request: WireRequest) -> Any:
        path.unlink()
        if becomes == "folder":
            path.mkdir()
        return step

    async with WireServer(vanish) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(repeat(client, Document(source=path, content_type=PDF)))
        assert len(server.requests) == 1
    assert (error.outcome, error.retryable, len(error.attempts)) == (Outcome.UNKNOWN, False, 1)
    assert error.cause == ("FileNotFoundError" if becomes == "nothing" else "IsADirectoryError")
    assert f"the document could not be opened: {error.cause}" in str(error)
    assert CANARY not in f"{error!r}{error.to_dict()}{''.join(traceback.format_exception(error))}"


async def test_file_that_vanishes_after_a_refusal_is_told_with_its_attempt(tmp_path: Path, fake_time: FakeTime) -> None:
    path = tmp_path / "proof"
    path.write_bytes(CONTENT)

    def vanish(_request: WireRequest) -> Any:
        path.unlink()
        return LIMITED

    async with WireServer(vanish) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(create(client, Document(source=path, content_type=PDF)))
    assert [attempt.status for attempt in error.attempts] == [429]
    assert error.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize("broken", ["seek", "read"])
async def test_file_object_of_any_make_raises_nothing_foreign(broken: str, fake_time: FakeTime) -> None:
    """Whatever it raises once a request is under way, the error is ours."""

    class Odd(FakeFile):
        def read(self, size: int = -1) -> Any:
            if broken == "read":
                raise LookupError(CANARY)
            return super().read(size)

        def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
            if broken == "seek" and whence == os.SEEK_SET:
                raise LookupError(CANARY)
            return super().seek(offset, whence)

    document = Document(source=Odd(2**18), content_type=PDF)  # type: ignore[arg-type]
    async with WireServer(CREATED) as server, client_for(server, retry=policy(fake_time)) as client:
        error = await failure(create(client, document))
    assert (error.outcome, error.retryable) == (Outcome.UNKNOWN, False)
    assert CANARY not in f"{error!r}{error.to_dict()}{''.join(traceback.format_exception(error))}"


async def test_file_object_that_breaks_before_anything_is_sent_is_told_as_ours() -> None:
    """What is neither an OSError nor a ValueError is nothing a caller is told to expect of a file."""

    class Odd(FakeFile):
        def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
            raise LookupError(CANARY)

    async with WireServer(CREATED) as server, client_for(server) as client:
        error = await failure(create(client, Document(source=Odd(9), content_type=PDF)))  # type: ignore[arg-type]
        assert server.connections == 0
    assert (error.outcome, error.cause) == (Outcome.NOT_SENT, "LookupError")
    assert CANARY not in "".join(traceback.format_exception(error))
