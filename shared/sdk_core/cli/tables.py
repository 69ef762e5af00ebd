"""Values as tables: a list side by side if it fits, otherwise one field under the other; nothing is left out.

Everything is plain ASCII but the values themselves, so that it can be printed anywhere.
"""

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final, cast

import attrs
from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

__all__ = ["columns", "printable", "table_of"]

_GAP: Final = "  "
_RULE: Final = 40
_NARROWEST: Final = 20
_SHOWN_DATES: Final = 2
_SMALL: Final = 2
"""So many fields without any deeper ones are shown as one text: an amount with its currency, a number with its unit."""


def printable(text: str) -> str:
    """Return text that does nothing to a terminal: what a server sends may hold its control codes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def columns(headers: Sequence[str], rows: Sequence[Sequence[str]]) -> Text:
    """Return rows in columns under their headers."""
    widths = [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]
    lines = [Text(_line(headers, widths), style="bold"), *(Text(_line(row, widths)) for row in rows)]
    return Text("\n").join(lines)


def table_of(value: object, console: Console) -> Text:
    """Return a value, or a list of values, for a console."""
    if not isinstance(value, list | tuple):
        return _record(dict(_fields(value)), console.width)
    records = [dict(_fields(item)) for item in cast("Sequence[object]", value)]
    names = list(dict.fromkeys(name for record in records for name, cell in record.items() if cell))
    table = columns(names, [[_short(record.get(name, "")) or "-" for name in names] for record in records])
    if max(map(cell_len, table.plain.splitlines()), default=0) <= console.width:
        return table
    rule = Text("\n" + "-" * min(console.width, _RULE) + "\n", style="dim")
    return rule.join(_record(record, console.width) for record in records)


def _record(fields: Mapping[str, str | list[str]], width: int) -> Text:
    left = max(map(cell_len, fields), default=0)
    if width - left < _NARROWEST:
        # Each name stands on a line of its own.
        left = 2
    room = max(_NARROWEST, width - left - len(_GAP))
    lines: list[Text] = []
    for name, cell in fields.items():
        said = ", ".join(cell) if isinstance(cell, list) else cell
        values = textwrap.wrap(said, room, break_long_words=False, break_on_hyphens=False) or ["-"]
        beside = [values.pop(0)] if cell_len(name) <= left else []
        head = Text(_line([name, *beside], [left, 0]))
        head.stylize("bold", 0, len(name))
        lines.append(head)
        lines += [Text(" " * left + _GAP + line) for line in values]
    return Text("\n").join(lines)


def _line(cells: Iterable[str], widths: Iterable[int]) -> str:
    return _GAP.join(map(_padded, cells, widths)).rstrip()


def _padded(text: str, width: int) -> str:
    return text + " " * max(0, width - cell_len(text))


def _short(cell: str | list[str]) -> str:
    if isinstance(cell, str):
        return cell
    more = len(cell) - _SHOWN_DATES
    return ", ".join(cell[:_SHOWN_DATES]) + (f" and {more} more" if more > 0 else "")


def _fields(value: object, name: str = "") -> Iterator[tuple[str, str | list[str]]]:
    """Give the fields of a value, those of deeper ones by their path, as text or as several texts."""
    inner = _inner(value)
    if inner is None:
        yield name or "value", _text(value)
        return
    if name and 0 < len(inner) <= _SMALL and all(_inner(item) is None for item in inner.values()):
        yield name, " ".join(filter(None, map(_text, inner.values())))
        return
    if isinstance(value, list | tuple) and all(_inner(item) is None for item in inner.values()):
        yield name or "value", [_text(item) for item in inner.values()]
        return
    for key, item in inner.items():
        yield from _fields(item, f"{name}.{key}" if name else key)


def _inner(value: object) -> dict[str, Any] | None:
    """Return what a value is made of; None if it is shown as one text."""
    kind: type[Any] = type(value)
    if attrs.has(kind):
        names = [attribute.alias or attribute.name for attribute in attrs.fields(kind)]
        return {name: getattr(value, name if hasattr(value, name) else f"_{name}") for name in names}
    if isinstance(value, dict):
        return {printable(str(key)): item for key, item in cast("dict[object, Any]", value).items()}
    if isinstance(value, list | tuple):
        return {str(index): item for index, item in enumerate(cast("list[Any]", value), 1)}
    return None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    return printable(str(value.value) if isinstance(value, Enum) else str(value))
