"""What both command lines share: a demo told step by step, in which every claim is checked. Needs the extra `cli`."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sdk_core.outcome import Attempt
from sdk_core.version import __version__

__all__ = ["ClaimError", "Narration", "run"]


class ClaimError(Exception):
    """What the demo just said is not so."""


class Narration:
    """Tells the story on standard output. No text is read as markup: it may come from a server."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin the next chapter."""
        self._steps += 1
        self._console.print(f"\n{self._steps}. {title}", style="bold")

    def say(self, text: str) -> None:
        """Tell something that needs no proof."""
        self._print(Text(text))

    def note(self, text: str) -> None:
        """Tell something the reader should take along."""
        self._print(Text(f"note: {text}", style="yellow"))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Show values in columns; None is a dash."""
        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*("-" if value is None else str(value) for value in row))
        self._print(table)

    def attempts(self, attempts: Iterable[Attempt]) -> None:
        """Show what went over the wire for one call."""
        self.table(
            ("attempt", "after waiting", "answer", "its effect"),
            (
                (
                    attempt.number,
                    f"{attempt.delay:.2f} s",
                    attempt.status or attempt.error,
                    "as asked" if attempt.outcome is None else attempt.outcome.value,
                )
                for attempt in attempts
            ),
        )

    def check(self, claim: str, found: object, expected: object) -> None:
        """Make a claim, and prove it.

        Raises:
            ClaimError: `found` is not what was expected.
        """
        if found != expected:
            raise ClaimError(f"{claim}: expected {expected}, found {found}")
        self._print(Text.assemble(("ok ", "green"), claim))

    def end(self, text: str) -> None:
        """Close the story."""
        self._console.print(f"\n{text}", style="bold green")

    def _print(self, content: Text | Table) -> None:
        self._console.print(Padding(content, (0, 0, 0, 3), expand=False))


def run(program: str, about: str, story: Callable[[Narration], Coroutine[Any, Any, None]], argv: Sequence[str]) -> int:
    """Run a command line and return its exit code: 0, 1 if a claim does not hold, 130 after Ctrl-C.

    Args:
        program: its name.
        about: what it is, in a sentence.
        story: what the command `demo` tells.
        argv: the arguments without the program's name; argparse exits with 2 if they make no sense.
    """
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    commands.add_parser("demo", help="start a sandbox of the API in this process and show the main job on it")
    parser.parse_args(argv)
    try:
        asyncio.run(story(Narration()))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  whatever went wrong, the reader gets a sentence
        Console(stderr=True, highlight=False, markup=False).print(
            f"failed: {type(error).__name__}: {error}", style="red"
        )
        return 1
    return 0
