"""The output of a demo: numbered steps, tables, and statements that are checked."""

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from sdk_core.outcome import Attempt

__all__ = ["ClaimError", "Narration"]


class ClaimError(Exception):
    """A statement of the demo does not hold."""


class Narration:
    """Writes a demo to standard output. Text is never read as markup, because it may come from a server."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, markup=False, emoji=False)
        self._steps = 0

    def step(self, title: str) -> None:
        """Begin the next step; steps are numbered."""
        self._steps += 1
        self._console.print(f"\n{self._steps}. {title}", style="bold")

    def say(self, text: str) -> None:
        """Write a line that is not checked."""
        self._print(Text(text))

    def note(self, text: str) -> None:
        """Write a remark, marked as a note."""
        self._print(Text(f"note: {text}", style="yellow"))

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Write rows of values in columns; None is a dash."""
        table = Table(*columns, box=box.SIMPLE_HEAD, pad_edge=False)
        for row in rows:
            table.add_row(*("-" if value is None else str(value) for value in row))
        self._print(table)

    def attempts(self, attempts: Iterable[Attempt]) -> None:
        """Write the attempts of one call as a table."""
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
        """Write a statement after checking it.

        Raises:
            ClaimError: `found` is not what was expected.
        """
        if found != expected:
            raise ClaimError(f"{claim}: expected {expected}, found {found}")
        self._print(Text.assemble(("ok ", "green"), claim))

    def end(self, text: str) -> None:
        """Write the last line."""
        self._console.print(f"\n{text}", style="bold green")

    def _print(self, content: Text | Table) -> None:
        self._console.print(Padding(content, (0, 0, 0, 3), expand=False))
