"""What a command prints: its result on stdout, as one JSON document or as tables; everything else on stderr."""

import logging
import re
import sys
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from json import dumps
from textwrap import fill
from typing import Any, Final, cast

import attrs
from rich.console import Console, RenderableType
from rich.text import Text

from sdk_core import codec
from sdk_core.cli.exits import Exit, exit_of
from sdk_core.cli.settings import MissingSettingError
from sdk_core.cli.streams import Messages, new_console
from sdk_core.cli.tables import printable, table_of
from sdk_core.codec.shapes import json_name
from sdk_core.errors import AnsweredError, AuthenticationError, SdkError
from sdk_core.outcome import Outcome
from sdk_core.returns import Empty
from sdk_core.workflow import WithChange

__all__ = ["Output"]

_ADVICE: Final = {
    Exit.UNKNOWN: "It may have happened: read the state before you do it again.",
    Exit.CREDENTIAL: "`{program} doctor` tells what is wrong with the credential.",
}
_CODE: Final = re.compile(r"`(\w+)`")
_WORD: Final = re.compile("_([a-z])")
_APPLIED: Final = "It happened, but the answer can't be read: do not do it again."


class Output:
    """The two channels of one command.

    Args:
        program: the name of the command line.
        json: whether the result, or the error, is one JSON document on stdout.
        operations: the names that messages of the SDK have, and that commands have with dashes.
    """

    def __init__(self, program: str, *, json: bool, operations: frozenset[str] = frozenset()) -> None:
        self._program = program
        self._operations = operations
        self.json: bool = json
        self._stdout = new_console()
        self._messages = Messages()
        self.stderr: Console = new_console(self._messages)

    @property
    def width(self) -> int:
        """Columns of stdout."""
        return self._stdout.width

    @property
    def lost(self) -> OSError | None:
        """Why a message could not be written; None: all were."""
        return self._messages.lost

    def forget_lost(self) -> None:
        """Count only messages from now on: before the last words, which nobody may miss."""
        self._messages.lost = None

    def result(self, value: object, follow_up: str = "", label: str = "") -> Exit:
        """Print what a command returned; of what takes effect later, what tells when it has; one value by its label.

        Raises:
            OSError: it could not be written.
        """
        self.forget_lost()
        if self.json:
            self._document(codec.dump(json_value(value)))
            return Exit.DONE
        shown = _items_of(value)
        if label:
            self.say("done", "green")
            shown = {label: value}
        if shown in ([], ()):
            self.say("nothing found")
        elif isinstance(shown, Empty):
            self._acknowledge(shown, follow_up)
        else:
            self._stdout.print(table_of(shown, self._stdout), soft_wrap=True)
            return Exit.DONE
        if self.lost is not None:
            raise self.lost
        return Exit.DONE

    def _acknowledge(self, value: Empty, follow_up: str) -> None:
        said = "accepted, not done yet" if value.takes_effect_later else "done"
        correlation_id: str | None = getattr(value, "correlation_id", None)
        told = [said, f"correlation id {correlation_id}" if correlation_id else "", follow_up]
        self.say("; ".join(filter(None, told)), "yellow" if value.takes_effect_later else "green")

    def show(self, document: Mapping[str, Any], shown: RenderableType) -> None:
        """Print a result that has its own form for people; OSError if it could not be written."""
        if self.json:
            self._document(codec.dump(document))
        else:
            self._stdout.print(shown, soft_wrap=True)

    def say(self, text: str, style: str = "") -> None:
        """Write a message to stderr; one that can't be written is `lost`."""
        # Words are kept whole: a URL that is broken can't be copied.
        lines = fill(printable(text), self.stderr.width, break_long_words=False, break_on_hyphens=False)
        self.stderr.print(Text(lines, style=style), soft_wrap=True)

    def failure(self, error: Exception, *, changes: bool) -> Exit:
        """Say why a command failed, and what to do; return its exit code."""
        if isinstance(error, MissingSettingError):
            return self.refused(str(error), error.exit)
        code = exit_of(error, changes=changes)
        if code is Exit.USAGE:
            return self.refused(str(error), code)
        facts = (
            error.to_dict() if isinstance(error, SdkError) else {"type": type(error).__name__, "message": str(error)}
        )
        said = _CODE.sub(self._as_command, str(error)).replace("ask=False", "--wait-only")
        self.say(f"failed: {type(error).__name__}: {said}", "red")
        if isinstance(error, AnsweredError) and error.details.message and self.stderr.is_terminal:
            # Not into a file: a server may write a member's data into its message.
            self.say(f"The server said: {error.details.message}")
        advice = _ADVICE.get(code)
        if isinstance(error, AuthenticationError) and error.outcome is Outcome.NOT_SENT:
            # There was no token, and the message says why, and what to do.
            advice = None
        if changes and isinstance(error, SdkError) and error.outcome is Outcome.APPLIED:
            advice = _APPLIED
        if advice:
            self.say(advice.format(program=self._program))
        return self._failed(facts, code)

    def _as_command(self, found: re.Match[str]) -> str:
        return found[0].replace("_", "-") if found[1] in self._operations else found[0]

    def refused(self, text: str, code: Exit = Exit.USAGE) -> Exit:
        """Say that a command can't be run like this; return its exit code."""
        self.say(f"{self._program}: {text}", "red")
        return self._failed({"type": "Refused", "message": text}, code)

    def interrupted(self, lines: list[str], calls: list[dict[str, Any]]) -> Exit:
        """Say what Ctrl-C has ended; return the exit code."""
        self.forget_lost()
        self.say("interrupted", "red")
        for line in lines:
            self.say(line)
        return self._failed({"type": "Interrupted", "message": "Ctrl-C", "calls": calls}, Exit.INTERRUPTED)

    def broken(self, error: Exception, lines: list[str], calls: list[dict[str, Any]], code: Exit) -> Exit:
        """Say that something failed that should not, and what was sent before; return the exit code."""
        what = f"{type(error).__name__}: {error}"
        self.say(f"failed: {what}", "red")
        for line in lines:
            self.say(line)
        return self._failed({"type": type(error).__name__, "message": str(error), "calls": calls}, code)

    @contextmanager
    def logging(self, *, verbose: bool) -> Generator[None]:
        """Have the SDK's log records written to stderr: the warnings, which tell retries, or all."""
        handler, logger = _ToConsole(self), logging.getLogger("sdk_core")
        level = logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.DEBUG if verbose else logging.WARNING)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)

    def waiting(self, what: str) -> AbstractContextManager[object]:
        """Show that something is under way, if there is a terminal to show it on."""
        if not self.stderr.is_terminal:
            return nullcontext()
        return self.stderr.status(Text(what), spinner="line")

    def _failed(self, facts: dict[str, Any], code: Exit) -> Exit:
        return self.error(_camel(facts), code)

    def error(self, facts: Mapping[str, Any], code: Exit) -> Exit:
        """Print why a command failed, if it is to be JSON; return its exit code, whether or not it could be written."""
        if self.json:
            # Of an error, seconds are floats: they are no amounts. The name of a file may be no UTF-8.
            text = dumps({"error": {**facts, "exitCode": int(code)}}, ensure_ascii=False)
            with suppress(OSError):
                self._document(text.encode(errors="backslashreplace"))
        return code

    def _document(self, text: bytes) -> None:
        # Bytes, and UTF-8 as JSON has it: a console could wrap lines, or not know a character.
        sys.stdout.flush()
        stream = getattr(sys.stdout, "buffer", None)
        if stream is None:
            sys.stdout.write(text.decode() + "\n")
        else:
            stream.write(text + b"\n")
        sys.stdout.flush()


def _camel(value: object) -> Any:
    """Return JSON data of ours with its keys spelled as the APIs spell theirs."""
    if isinstance(value, list):
        return [_camel(item) for item in cast("list[object]", value)]
    if not isinstance(value, dict):
        return value
    pairs = cast("dict[str, object]", value).items()
    return {_WORD.sub(lambda found: found[1].upper(), key): _camel(item) for key, item in pairs}


def _items_of(value: object) -> object:
    """Return the items of a page: what it says beside them is about the list, and no part of it."""
    items: object = getattr(value, "items", None) if attrs.has(type(value)) else None
    return value if items is None else items


class _ToConsole(logging.Handler):
    def __init__(self, output: Output) -> None:
        super().__init__()
        self._output = output

    def emit(self, record: logging.LogRecord) -> None:
        self._output.say(record.getMessage(), "yellow" if record.levelno >= logging.WARNING else "dim")


def json_value(value: object) -> object:
    """Return a command's result as a JSON value; models as the API writes them."""
    if isinstance(value, WithChange):
        # How a workflow ended is a model of ours, not of an API.
        kind: type[Any] = type(value)
        told = {json_name(each): json_value(getattr(value, each.name)) for each in attrs.fields(kind)}
        return told | {"change": value.change.value}
    if isinstance(value, list | tuple):
        return [json_value(item) for item in cast("list[object]", value)]
    return codec.parse(codec.dump(value)) if attrs.has(type(value)) else value
