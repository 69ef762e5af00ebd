"""What a run found, as a picture: bars in an SVG that suits light and dark, and a phone as well as a page."""

from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from attrs import frozen

from benchmarks.report import Spread

__all__ = ["Bar", "chart", "write_page"]

_WIDTH: Final = 380
"""What a phone shows without making it smaller."""
_ROW: Final = 38
_FIGURE: Final = 36
"""How wide a figure may be."""
_STYLE: Final = """\
.picture { --ink: #1c1e21; --quiet: #5a5f66; --line: #9aa1a9; --done: #0b5cad; font: 12px system-ui, sans-serif;
  fill: var(--ink); max-width: 100%; height: auto; }
@media (prefers-color-scheme: dark) { .picture { --ink: #e6e8ea; --quiet: #a3aab2; --line: #6b737c; --done: #6cb2ff; } }
.picture .head { font-weight: 600; }
.picture .quiet { fill: var(--quiet); font-size: 11px; }
.picture .bar { fill: var(--line); stroke: none; }
.picture .ours { fill: var(--done); stroke: none; }
.picture path { fill: none; stroke: var(--ink); }
.picture .mark { stroke: var(--quiet); stroke-dasharray: 3 3; }"""


@frozen
class Bar:
    """A figure of a chart."""

    label: str
    value: Spread
    is_ours: bool = False


def chart(title: str, note: str, bars: Sequence[Bar], *, mark: float | None = None) -> str:
    """Return bars from zero, each with its median, and a line from the lowest to the highest of all rounds.

    Args:
        title: what is measured, and whether less or more is better.
        note: a line below.
        bars: in this order; at least one.
        mark: where a dashed line stands: what is compared with, or a target.
    """
    longest = max(*(bar.value.high for bar in bars), mark or 0.0) or 1.0
    height = 34 + _ROW * len(bars) + 24

    def x(value: float) -> float:
        return round(10 + value / longest * (_WIDTH - 70), 1)

    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" class="picture" {size} role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>\n{_STYLE}\n</style>",
        f'<text x="10" y="18" class="head">{escape(title)}</text>',
    ]
    for number, bar in enumerate(bars):
        top, value, kind = 34 + _ROW * number, bar.value, "ours" if bar.is_ours else "bar"
        end = x(max(value.high, value.median))
        if mark is not None:
            lines.append(f'<path class="mark" d="M{x(mark)},{top + 13} V{top + 31}"/>')
            # The figure stands beside the line, not on it.
            end = max(end, x(mark)) if abs(x(mark) - end) < _FIGURE else end
        lines += [
            f'<text x="10" y="{top + 10}">{escape(bar.label)}</text>',
            f'<rect x="10" y="{top + 15}" width="{x(value.median) - 10:g}" height="14" class="{kind}"/>',
            f'<path d="M{x(value.low)},{top + 22} H{x(value.high)}"/>',
            f'<text x="{end + 6:g}" y="{top + 26}" class="quiet">{_number(value.median)}</text>',
        ]
    lines += [f'<text x="10" y="{height - 8}" class="quiet">{escape(note)}</text>', "</svg>"]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    """Return three digits of it, without a power of ten."""
    return f"{float(f'{value:.3g}'):,.10g}"


def write_page(name: str, heading: str, command: str, text: str, picture: str) -> None:
    """Write `benchmarks/NAME.md` with what a run said, and its picture beside it."""
    folder = Path(__file__).parent
    (folder / f"{name}.svg").write_text(picture)
    head = f"# {heading}\n\nWritten by `{command}`. What follows is one run.\n\n![{heading}]({name}.svg)"
    (folder / f"{name}.md").write_text(f"{head}\n\n{text.strip()}\n")
