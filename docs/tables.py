"""The tables of the reference that are made from the code: `python docs/tables.py` writes them into the pages.

A page has `<!-- table: NAME -->` where one goes, and `<!-- end of table -->` after it. Where there is no end, only the
site has the table: what changes with each commit would be out of date in the page.
"""

import inspect
import re
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from cloudcockpit_sdk import operations as cloudcockpit_operations
from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from membership_sdk import operations as membership_operations
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from sdk_core import outcome
from sdk_core.cli.exits import EXPLAINED
from sdk_core.cli.program import Program
from sdk_core.client import Client
from sdk_core.errors import SdkError, ServerError, api_error_class
from sdk_core.operation import Operation

__all__ = ["PAGES", "TABLES", "up_to_date", "with_tables"]

_ROOT: Final = Path(__file__).parents[1]
PAGES: Final = sorted((_ROOT / "docs").rglob("*.md"))
_PLACE: Final = re.compile(r"^<!-- table: ([\w ]+) -->$(.*?^<!-- end of table -->$)?", re.MULTILINE | re.DOTALL)
_PARAMETERS: Final = inspect.signature(Client).parameters
"""Read now: autodoc puts the source of defaults in place of their values."""
_SCOPES: Final = "MEMBERSHIP_SELF_SERVICE_"


def with_tables(text: str) -> str:
    """Return a page's text with all its tables."""
    return _PLACE.sub(lambda place: TABLES[place[1]](), text)


def up_to_date(text: str) -> str:
    """Return a page's text with its tables as they are now, and their marks."""

    def place_with_table(place: re.Match[str]) -> str:
        if place[2] is None:
            return place[0]
        return f"<!-- table: {place[1]} -->\n\n{TABLES[place[1]]()}\n\n<!-- end of table -->"

    return _PLACE.sub(place_with_table, text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    lines = [head, ["---"] * len(head), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _operations(operations: Iterable[Operation[Any]]) -> str:
    return _table(
        ("method", "effect", "rights", "request", "source"),
        [
            (
                f"`{operation.name}`",
                operation.effect.value,
                ", ".join(f"`{name.removeprefix(_SCOPES)}`" for name in operation.scopes or operation.roles) or "-",
                f"{operation.method} `{operation.template.replace('/v1/memberships/', '…/')}`",
                _linked(operation.source),
            )
            for operation in operations
        ],
    )


def _linked(source: str) -> str:
    found = re.search(r"https://\S+", source)
    return source.rpartition(", ")[2] if found is None else f"[page]({found[0].rstrip('.,')})"


def _options() -> str:
    """Return the keyword options of both clients: their meaning is in the docstring of `Client`."""
    _, _, arguments = (inspect.getdoc(Client) or "").partition("Args:\n")
    explained = re.findall(r"^    (\w+): (.*(?:\n {5,}.*)*)", arguments, re.MULTILINE)
    return _table(
        ("option", "default", "meaning"),
        [
            (
                f"`{name}`",
                "see below" if name == "rate_limiter" else f"`{_PARAMETERS[name].default}`",
                " ".join(text.split()),
            )
            for name, text in explained
            if name != "backend"
        ],
    )


def _settings(program: Program) -> str:
    return _table(
        ("variable", "what"),
        [(f"`{setting.variable}`", setting.what.replace("<", "&lt;")) for setting in program.settings]
        + [(f"`{program.profile_variable}`", "the profile to take what is missing from")],
    )


def _exits() -> str:
    return _table(("exit code", "meaning"), [(f"`{code.value}`", text) for code, text in EXPLAINED.items()])


def _outcomes() -> str:
    """Return the outcome table, as the code that goes by it has it."""
    lines = [line for line in (outcome.__doc__ or "").splitlines() if line.startswith("|")]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    # One cell may stand for reads and for writes.
    return _table(head, ([*row[:3], row[3], row[4] if len(row) > 4 else row[3]] for row in rows))


def _unreleased() -> str:
    """Return what changed since the last release, as the changelog will have it; without its title."""
    command = (sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next", "--date", "2000-01-01")
    text = subprocess.run(command, cwd=_ROOT, check=True, capture_output=True, text=True).stdout  # noqa: S603
    return "###" + text.partition("\n###")[2]


def _errors() -> str:
    """Return the tree of errors, with their statuses and with their other bases."""
    statuses: dict[type[SdkError], list[int]] = {}
    for status in range(400, 600):
        statuses.setdefault(api_error_class(status), []).append(status)
    lines = [SdkError.__name__]

    def draw(parent: type[SdkError], before: str) -> None:
        kinds = [kind for kind in parent.__subclasses__() if kind.__module__.startswith("sdk_core.")]
        for kind in kinds:
            others = ", ".join(base.__name__ for base in kind.__bases__ if base is not parent)
            own = statuses.get(kind, [])
            status = " 5xx" if kind is ServerError else f" {own[0]}" if len(own) == 1 else ""
            is_last = kind is kinds[-1]
            lines.append(
                f"{before}{'└── ' if is_last else '├── '}{kind.__name__}{status}{f' ({others})' * bool(others)}"
            )
            draw(kind, before + ("    " if is_last else "│   "))

    draw(SdkError, "")
    return "\n".join(("```text", *lines, "```"))


TABLES: Final[Mapping[str, Callable[[], str]]] = {
    "membership operations": lambda: _operations(membership_operations.OPERATIONS),
    "cloudcockpit operations": lambda: _operations(cloudcockpit_operations.OPERATIONS),
    "client options": _options,
    "membership settings": lambda: _settings(MEMBERSHIP),
    "cloudcockpit settings": lambda: _settings(CLOUDCOCKPIT),
    "exit codes": _exits,
    "outcomes": _outcomes,
    "errors": _errors,
    "unreleased": _unreleased,
}


if __name__ == "__main__":
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (now := up_to_date(text)) != text:
            page.write_text(now, encoding="utf-8")
