"""The captures that the documentation includes are what the commands print."""

import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from cases import goes_through

ROOT = Path(__file__).parents[2]


def test_each_capture_is_shown() -> None:
    pages = "".join(page.read_text() for page in (ROOT / "docs").rglob("*.md"))
    captures = {path.name for path in (ROOT / "docs" / "captures").glob("*.txt")}
    # These say what that of 80 columns does.
    captures -= {"bulk-no-color.txt", "bulk-c-locale.txt"}
    assert [name for name in sorted(captures) if f"captures/{name}\n" not in pages] == []


def test_captures_are_up_to_date(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    loader = SourceFileLoader("captures", str(ROOT / "docs" / "captures" / "make"))
    spec = spec_from_loader("captures", loader)
    assert spec is not None
    make = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "captures", make)
    loader.exec_module(make)
    monkeypatch.setattr(sys, "argv", ["make", "--check"])
    code, (out, err) = make.main(), capsys.readouterr()
    assert (code, out, err) == (0, "", ""), "run docs/captures/make, and look at what changed"


@goes_through(
    ("name", "width"),
    [("bulk-80", 80), ("bulk-200", 200), ("bulk-no-color", 80), ("bulk-c-locale", 80), ("bulk-piped", 80)],
)
def test_captures_of_bulk_runs_fit_their_terminal_and_say_what_the_commands_say(name: str, width: int) -> None:
    """`docs/captures/make-bulk` makes them in terminals; a text that the commands no longer say is out of date."""
    shown = (ROOT / "docs" / "captures" / f"{name}.txt").read_text(encoding="utf-8")
    assert shown.isascii()
    assert max(map(len, shown.splitlines())) <= width
    room = ROOT / "shared" / "sdk_core"
    source = "".join(
        file.read_text(encoding="utf-8") for part in ("bulk", "cli") for file in (room / part).glob("*.py")
    )
    said = ["can't be carried out; nothing was sent", "dry run: nothing was sent", "the API said yes"]
    if name != "bulk-piped":
        said += ["finishing the rows under way; once more cancels them", "the rows under way are cancelled"]
        said += [
            "may have been sent; --resume settles it by reading",
            "the answer was lost, but it is as it was asked for",
        ]
    for text in said:
        assert text in shown
        assert text in source
