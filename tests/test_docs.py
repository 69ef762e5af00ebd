"""The pages of docs/: their blocks run (docs/conftest.py does that), and so do the files that they show."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
_FENCE = re.compile(r"^ *(`{3,}|:{3,})(\{[\w-]+\}|[\w-]*) *(.*)$", re.MULTILINE)
_SHOWN = {"", "console", "text", "json", "csv", "ini", "http", "sh", "toml"}
"""Languages of blocks that are no Python."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_shows_is_run(page: Path) -> None:
    """Python blocks are run by docs/conftest.py. No block is Python under another name, and each file has its test."""
    tests = "".join(test.read_text() for test in (ROOT / "tests").rglob("*.py"))
    for _, kind, argument in _FENCE.findall(page.read_text()):
        if kind == "{literalinclude}":
            shown = (page.parent / argument).resolve()
            assert shown.is_file(), argument
            assert shown.is_relative_to(ROOT / "tests") or shown.name in tests or shown.stem in tests, argument
        elif not kind.startswith("{"):
            assert kind in _SHOWN | {"python"}, f"{kind}: say python, so that it runs"
