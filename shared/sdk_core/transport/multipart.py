"""Requests with a file: a JSON part `data` and a part `document`, streamed, never held in memory as a whole."""

import asyncio
import errno
import os
import stat
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from functools import partial
from io import BytesIO, TextIOBase
from pathlib import Path
from typing import Any, BinaryIO, Final, Self

import attrs
from aiohttp import MultipartWriter
from aiohttp.abc import AbstractStreamWriter
from aiohttp.payload import BytesPayload, Payload
from attrs import field, frozen

from sdk_core.arguments import header_text, text, valid
from sdk_core.fork import Lock
from sdk_core.transport.connector import CheckedPayload
from sdk_core.value import Opaque, Value

__all__ = ["Document", "Multipart"]

_CHUNK: Final = 2**16
_NON_BLOCKING: Final = getattr(os, "O_NONBLOCK", 0)
_BINARY: Final = getattr(os, "O_BINARY", 0)


def _as_file(source: bytes | Path | BinaryIO) -> Path | BinaryIO:
    """Return the content as something to stream; a converter, since it must come before `_start` looks at it."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if isinstance(source, Path):
        return source
    given: object = source
    if isinstance(given, TextIOBase) or not (hasattr(given, "read") and hasattr(given, "seekable")):
        raise TypeError(f"source must be bytes, a pathlib.Path or an open binary file, not {type(source).__name__}")
    if not source.seekable():
        raise ValueError("source must be a file that can seek: a refused attempt is sent again from its start")
    return source


def _filename(name: str, value: object) -> None:
    shown = text(name, value, maximum=255)
    if not shown.isprintable() or shown != shown.strip():
        raise ValueError(f"{name} must be printable text without surrounding spaces")


def _position(source: Any) -> int:
    position = 0 if isinstance(source, Path) else source.tell()
    if not isinstance(position, int):
        raise TypeError("source must be a file whose methods are not async: pass its path, or its bytes")
    return position


@frozen(kw_only=True)
class Document(Value):
    """A file to send along. With bytes, or a path (not what it holds), it can be pickled for a queue.

    Raises:
        TypeError: `source` is none of the three kinds.
        ValueError: an open file that can't seek, or a name or type that can't stand in a header.
    """

    source: Path | BinaryIO = field(repr=False, converter=_as_file)
    """Bytes; the path of a regular file, opened for each attempt; or an open binary file, sent from where it stands
    and not closed. A path that can't be opened is an OSError, and a pipe or device a ValueError, of the first attempt:
    nothing was sent. At a later attempt it is an SdkError: UNKNOWN if an earlier one may have had an effect, else
    NOT_SENT."""
    content_type: str = field(validator=valid(header_text))
    """MIME type, like `application/pdf`."""
    filename: str = field(default="document", repr=False, validator=valid(_filename))
    """The name the server sees."""
    _lock: Lock = field(init=False, repr=False, eq=False, factory=Lock)
    _start: int = field(
        init=False, repr=False, default=attrs.Factory(lambda self: _position(self.source), takes_self=True)
    )

    def __reduce__(self) -> tuple[Callable[[], Self], tuple[()]]:
        # The lock stays behind, and so does an open file.
        source: object = self.source
        if isinstance(source, BytesIO):
            source = source.getvalue()[self._start :]
        elif not isinstance(source, Path):
            raise TypeError("a Document of an open file can't be pickled: give it a path or bytes")
        return partial(type(self), source=source, content_type=self.content_type, filename=self.filename), ()

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[Payload]:
        """Give the content as a body part, from its start."""
        # In threads: opening, measuring and reading a file can block.
        if isinstance(self.source, Path):
            # Cancelling the call stops no thread, and what the thread opens must be closed. (Not shield(): from Python
            # 3.14 on, it would log why there was nothing to open, and name the file.)
            opening = asyncio.get_running_loop().run_in_executor(None, _open, self.source)
            try:
                await asyncio.wait((opening,))
            except asyncio.CancelledError:
                opening.add_done_callback(_close)
                raise
            with opening.result() as file:
                yield await self._part(file)
        else:
            yield await self._part(self.source)

    async def _part(self, file: BinaryIO) -> Payload:
        size = await asyncio.to_thread(self._measure, file)
        return _FilePart(self, file, size)

    def _measure(self, file: BinaryIO) -> int:
        with self._lock.held:
            return max(0, file.seek(0, os.SEEK_END) - self._start)

    def read_piece(self, file: BinaryIO, offset: int, size: int) -> bytes:
        """Return up to `size` bytes from `offset` on; blocks, and may be called from any thread."""
        # One position, several readers: concurrent calls, or a late read of an attempt answered early.
        with self._lock.held:
            file.seek(self._start + offset)
            return file.read(size)


def _open(path: Path) -> BinaryIO:
    # Looked at first, since opening a device may do something; and again, since it may be another file by then.
    _check_regular(path.stat())
    # A pipe would be waited for until somebody writes into it.
    file = os.fdopen(os.open(path, os.O_RDONLY | _NON_BLOCKING | _BINARY), "rb")
    try:
        _check_regular(os.fstat(file.fileno()))
    except BaseException:
        file.close()
        raise
    return file


def _check_regular(found: os.stat_result) -> None:
    if stat.S_ISDIR(found.st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if not stat.S_ISREG(found.st_mode):
        raise ValueError("source must be the path of a regular file, not of a pipe, socket or device")


def _close(opening: "asyncio.Future[BinaryIO]") -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


class _FilePart(Payload):
    """The rest of an open file; aiohttp's own part would close the caller's file after the first attempt."""

    def __init__(self, document: Document, file: BinaryIO, size: int) -> None:
        super().__init__(file, content_type=document.content_type)
        self._document = document
        self._file = file
        # aiohttp's name: the sum of these is the Content-Length.
        self._size = self._length = size

    def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:  # noqa: ARG002  aiohttp's signature
        raise TypeError("a file is streamed, not decoded")

    async def write(self, writer: AbstractStreamWriter) -> None:
        sent = 0
        while sent < self._length:
            wanted = min(self._length - sent, _CHUNK)
            piece = await asyncio.to_thread(self._document.read_piece, self._file, sent, wanted)
            if not piece:
                raise OSError("the file became shorter while it was sent")
            sent += len(piece)
            await writer.write(piece)


class _CheckedWriter(CheckedPayload, MultipartWriter):
    """A multipart body that is not written to a kept connection that is disturbed."""


class Multipart(Opaque, frozen=True):
    """The body of a `multipart/form-data` request."""

    data: bytes
    """JSON, sent as part `data` with a content type of its own."""
    document: Document | None

    @asynccontextmanager
    async def opened(self) -> AsyncGenerator[CheckedPayload]:
        """Give the body for one attempt."""
        writer = _CheckedWriter("form-data")
        data = BytesPayload(self.data, content_type="application/json")
        data.set_content_disposition("form-data", name="data")
        writer.append_payload(data)
        if self.document is None:
            yield writer
            return
        async with self.document.opened() as part:
            # Unquoted: percent-encoding would change the name. Line breaks were refused above.
            part.set_content_disposition(
                "form-data", quote_fields=False, name="document", filename=self.document.filename
            )
            writer.append_payload(part)
            yield writer
