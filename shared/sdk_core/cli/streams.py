"""The standard streams of a command: each may be closed, on a full disk, or without a reader."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, cast

from rich.console import Console

__all__ = ["Messages", "end_streams", "new_console", "prepare_streams"]

_NO_TERMINAL: Final = 1000
"""Columns where nothing wraps lines: what is piped is cut by whoever reads it."""


def prepare_streams() -> None:
    """Have all three: one that is closed leads nowhere, and stdout escapes what its encoding does not have."""
    # In this order each gets its own number, which a file that is opened later would get.
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115  it stays open to the end
    stdout: object = sys.stdout
    if isinstance(stdout, io.TextIOWrapper):
        stdout.reconfigure(errors="backslashreplace")
    if os.environ.get("COLUMNS", "").strip() == "0":
        # As everywhere, it means that nobody knows the width.
        del os.environ["COLUMNS"]


def end_streams() -> bool:
    """Write what is left, and return whether stdout took it."""
    _ended(sys.stderr)
    return _ended(sys.stdout)


def _ended(stream: IO[str]) -> bool:
    try:
        stream.flush()
    except OSError:
        # Python would write it once more at its end, complain, and end with a code of its own.
        with suppress(OSError):
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, stream.fileno())
            os.close(nowhere)
        return False
    return True


class Messages:
    """What is written to stderr: a message that can't be written is lost, and the command goes on."""

    def __init__(self) -> None:
        self._stream = sys.stderr
        self.lost: OSError | None = None
        """Why the last of those that are lost could not be written."""

    def write(self, text: str) -> int:
        """Write as far as it can be done."""
        try:
            self._stream.write(text)
        except OSError as error:
            self.lost = error
        return len(text)

    def flush(self) -> None:
        """Write what is left, as far as it can be done."""
        try:
            self._stream.flush()
        except OSError as error:
            self.lost = error

    def isatty(self) -> bool:
        """Return whether a person reads them."""
        return self._stream.isatty()

    def fileno(self) -> int:
        """Return the number of the stream."""
        return self._stream.fileno()


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # rich would end the program here with exit code 1, whatever the command has done.
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def new_console(messages: Messages | None = None) -> Console:
    """Return the console of stdout, or of messages: as wide as the terminal, or as COLUMNS says, or without end.

    That of stdout raises OSError if it can't be written.
    """
    stream = sys.stdout if messages is None else messages
    width = None if stream.isatty() or "COLUMNS" in os.environ else _NO_TERMINAL
    return _Console(file=cast("IO[str] | None", messages), width=width, highlight=False, markup=False, emoji=False)
