"""A demo told step by step on standard output, in which every claim is checked."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sdk_core.errors import Attempt

__all__ = ["ClaimError", "Narration"]


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
