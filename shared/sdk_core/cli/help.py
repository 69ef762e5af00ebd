"""How help is printed: two columns in plain ASCII, as wide as the terminal."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from cyclopts import App
from rich.console import Console, ConsoleOptions
from rich.text import Text

if TYPE_CHECKING:
    # It imports parsers of all kinds of docstrings, which the overview does without.
    from cyclopts.help import HelpEntry, HelpPanel

__all__ = ["PlainHelp", "print_overview"]

_WIDEST: Final = 100
"""Columns of text that are still good to read."""
_NARROWEST: Final = 30


class PlainHelp:
    """A cyclopts help formatter without frames: they cost width, and not every terminal has their characters."""

    def __call__(self, console: Console, options: ConsoleOptions, panel: "HelpPanel") -> None:
        """Print one group of commands or options."""
        entries = [(_names(entry), _said(entry, console)) for entry in panel.entries]
        _print_columns(console, options.max_width, str(panel.title), entries)

    def render_usage(self, console: Console, options: ConsoleOptions, usage: Any) -> None:
        """Print the line of usage."""
        _print_paragraphs(console, options.max_width, f"Usage: {' '.join(str(usage).split())}")

    def render_description(self, console: Console, options: ConsoleOptions, description: Any) -> None:
        """Print what the command is."""
        _print_paragraphs(console, options.max_width, *_plain(description, console).split("\n\n"))


def print_overview(app: App, console: Console, about: str, notes: Mapping[str, Sequence[tuple[str, str]]]) -> None:
    """Print the commands of a program in their groups.

    Args:
        app: the program.
        console: where to print.
        about: what goes before.
        notes: what goes after, in two columns under titles.
    """
    _print_paragraphs(console, console.width, f"Usage: {app.name[0]} COMMAND [OPTIONS]", about)
    groups: dict[str, tuple[Any, list[tuple[str, str]]]] = {}
    for name in app:
        if name.startswith("-"):
            continue
        command = app[name]
        chosen = command.group
        group: Any = chosen[0] if isinstance(chosen, tuple) and chosen else app.group_commands
        groups.setdefault(group.name, (group.sort_key, []))[1].append((name, command.help.partition("\n\n")[0]))
    for title, (_key, entries) in sorted(groups.items(), key=lambda item: item[1][0]):
        _print_columns(console, console.width, title, sorted(entries))
    for title, lines in notes.items():
        _print_columns(console, console.width, title, lines)


def _print_paragraphs(console: Console, width: int, *texts: str) -> None:
    for text in texts:
        _print(console, [Text(line) for line in _wrapped(text, min(_WIDEST, width))])


def _print_columns(console: Console, width: int, title: str, entries: Sequence[tuple[str, str]]) -> None:
    if not entries:
        return
    shown = [Text(f"{title}:", style="bold")]
    # A longer name stands on a line of its own.
    left = min(max(len(name) for name, _ in entries), max(_NARROWEST, width // 4))
    for name, said in entries:
        room = min(_WIDEST, max(_NARROWEST, width - left - 4))
        lines = _wrapped(said, room)
        if len(name) > left or not lines:
            lines.insert(0, "")
        for begin, end in zip([name, *[""] * len(lines)], lines, strict=False):
            text = Text.assemble("  ", (f"{begin:{left}}", "cyan"), "  ", end)
            text.rstrip()
            shown.append(text)
    _print(console, shown)


def _print(console: Console, lines: Sequence[Text]) -> None:
    """Print lines that are wrapped already, and an empty one."""
    console.print(Text("\n").join([*lines, Text()]), soft_wrap=True)


def _wrapped(text: str, width: int) -> list[str]:
    # Words are kept whole: a URL or an option that is broken can't be copied.
    return textwrap.wrap(" ".join(text.split()), width, break_on_hyphens=False, break_long_words=False)


def _names(entry: "HelpEntry") -> str:
    names = ", ".join((*entry.positive_shorts, *entry.positive_names, *entry.negative_names))
    return f"{names} {entry.metavar}" if entry.metavar else names


def _said(entry: "HelpEntry", console: Console) -> str:
    parts = [_plain(entry.description, console)]
    if entry.choices:
        parts.append(f"[{', '.join(entry.choices)}]")
    if entry.default is not None:
        parts.append(f"[default: {entry.default}]")
    if entry.required:
        parts.append("[required]")
    return " ".join(filter(None, parts))


def _plain(content: object, console: Console) -> str:
    with console.capture() as captured:
        console.print(content or "", width=100_000)
    return Text.from_ansi(captured.get()).plain.strip()
