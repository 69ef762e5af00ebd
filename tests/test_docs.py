"""The pages of docs/: their blocks run (docs/conftest.py does that), and so do the files that they show."""

import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from cases import goes_through
from tables import PAGES, TABLES, up_to_date
from terminal import not_installable

import membership_sdk.bulk
import membership_sdk.webhooks
from cloudcockpit_sdk.operations import OPERATIONS as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.operations import OPERATIONS as MEMBERSHIP
from membership_sdk.sandbox import MembershipSandbox
from sdk_core import telemetry
from sdk_core.backend import ClientOptions
from sdk_core.errors import SdkError
from sdk_core.outcome import Outcome
from sdk_core.sandbox import faults
from sdk_core.sandbox.admin import Admin

ROOT = Path(__file__).parents[1]
_FENCE = re.compile(r"^ *(?:`{3,}|:{3,}|~{3,})(?: *([\w{][^ \n]*))(?: +(\S+))?\n((?: *:\w.*\n)*)", re.MULTILINE)
_MADE = re.compile(r"^<!-- table: [^\n]*\n(?:.*?^<!-- end of table -->)?", re.MULTILINE | re.DOTALL)
"""Compared with the code below."""
_RUN = {"python", "console"}
"""Languages that docs/conftest.py runs."""
_DIRECTIVES = {"{eval-rst}", "{include}", "{literalinclude}", "{raw}", "{toctree}", "{warning}"}
"""What is no example."""


@cache
def text_of_all_tests() -> str:
    return "".join(test.read_text() for test in (ROOT / "tests").rglob("*.py"))


@cache
def _markdown() -> Any:
    from markdown_it import MarkdownIt

    return MarkdownIt()


@goes_through("page", PAGES)
def test_what_a_page_shows_is_run(page: Path) -> None:
    """docs/conftest.py runs blocks, if it knows their language. A file is run by its page, or has a test."""
    text = _MADE.sub("", page.read_text())
    tests = text_of_all_tests()
    run_here = "".join(re.findall(r"^\$ (.*)$", text, re.MULTILINE))
    for kind, argument, options in _FENCE.findall(text):
        assert kind in _RUN | _DIRECTIVES, f"{kind}: docs/conftest.py has to know how that is run or checked"
        if kind == "{literalinclude}":
            shown = (page.parent / argument).resolve()
            assert shown.is_file(), argument
            assert shown.parent.name == "captures" or shown.name in tests + run_here or shown.stem in tests, argument
            # A reader has to know what to call it. What commands print is compared by tests/cli/test_captures.py.
            assert shown.parent.name != "examples" or f":caption: {shown.name}\n" in options, argument
    for block in _markdown().parse(text):
        assert block.type != "code_block", f"{block.content}: say python or console, so that it runs"
        assert block.type != "fence" or block.info, f"{block.content}: say python or console, so that it runs"


def test_what_is_to_be_installed_is_there() -> None:
    """In the README and in the first lines of the examples. Of the pages, docs/terminal.py looks after it."""
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "examples").glob("*.*")):
        for command in re.findall(r"pip install [^`&\n]*", path.read_text()):
            assert not_installable(command) == [], path.name
    assert not_installable("python -m venv .venv && . .venv/bin/activate") == []
    assert not_installable("pip install '.[cli,nothing]' nothing-else && make") == [
        "nothing-else",
        "nothing",
        "'make' installs nothing: let it run",
    ]


def test_what_contributors_are_sent_to_is_there() -> None:
    """Names "in" a file; and each file of the core is named, but for the command line's and the sandboxes'."""
    text, core = (ROOT / "CONTRIBUTING.md").read_text(), ROOT / "shared" / "sdk_core"
    found = re.findall(r"((?:`[\w.]+`(?:, | and )?)+) in `([\w/]+\.py)`", text)
    assert len(found) > 5
    for names, file in found:
        source = (core / file).read_text()
        for name in re.findall(r"`([\w.]+)`", names):
            defined = rf"^ *(?:async def|def|class) {name.rpartition('.')[2]}\b|^{name}\b"
            assert re.search(defined, source, re.MULTILINE), f"{name} in {file}"
    rows = dict(re.findall(r"^\| `(\w+)/` \| (.*) \|$", text, re.MULTILINE))
    assert rows.keys() == {"transport", "codec", "integrations", "bulk"}
    for folder, listing in {"": text, **rows}.items():
        files = {file.stem for file in (core / folder).glob("*.py")} - {"__init__", "version"}
        assert files <= set(re.findall(r"`(\w+)`", listing)), folder


SOURCES = (ROOT / "shared" / "sdk_core", ROOT / "membership_sdk", ROOT / "cloudcockpit_sdk")
ERRORS = "reference/errors.md"


def cells(page: str) -> list[list[str]]:
    """Return the rows of a page's tables."""
    lines = (ROOT / "docs" / page).read_text().splitlines()
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| ")]


def test_each_error_is_in_the_catalogue() -> None:
    """With its real class, outcomes and texts: a message that is not in the source is none."""
    source = "".join(path.read_text() for folder in SOURCES for path in folder.rglob("*.py"))
    rows = [row for row in cells(ERRORS) if len(row) == 5 and row[0].endswith("Error`")]
    exported = (getattr(membership_sdk, name) for name in membership_sdk.__all__)
    names = {kind.__name__ for kind in exported if isinstance(kind, type) and issubclass(kind, SdkError)}
    assert {row[0].strip("`") for row in rows} == names
    for _, message, _, outcome, _ in rows:
        assert set(re.findall(r"`(\w+)`", outcome)) <= set(Outcome.__members__)
        for piece in re.split(r" ?: …| ?… ?|\d+|\(|\)", message):
            if " " in piece.strip() and not piece.startswith("names "):
                assert piece.strip() in source, piece


def test_each_message_of_a_call_is_in_the_catalogue() -> None:
    """By its beginning. What a workflow saw is in its messages, which are many."""
    rows = [row for row in cells(ERRORS) if len(row) == 5]
    told = [piece.strip() for row in rows for piece in re.split(r"…|\d+|\(|; ", row[1]) if len(piece.strip()) > 5]
    files = ("call", "verdict", "admission", "auth", "transport/exchange", "transport/session")
    source = "".join((ROOT / "shared" / "sdk_core" / f"{file}.py").read_text() for file in files)
    source += "".join((ROOT / "cloudcockpit_sdk" / f"{file}.py").read_text() for file in ("auth", "pagination"))
    places = r"what|what, cause|text|_NO_TIME_LEFT: Final"
    raised = r"ClosedError\(|closed\(|no_token\(|ResponseError\(|raise self\._error\("
    found = re.findall(rf'(?:\b(?:{places}) = |{raised})f?"([^"]+)', source)
    found = [text for text in found if "%s" not in text]  # for logs
    assert len(found) > 20
    unknown = [text for text in found if not any(piece in text or text.partition("{")[0] in piece for piece in told)]
    assert unknown == []


def test_errors_beside_calls_are_in_the_catalogue() -> None:
    page = (ROOT / "docs" / ERRORS).read_text()
    for module in (membership_sdk.bulk, membership_sdk.webhooks):
        assert [name for name in module.__all__ if name.endswith("Error") and f"`{name}`" not in page] == []


def test_tables_of_operations_have_all() -> None:
    """They are made from the operations, as a reader sees them."""
    for name, operations in (("membership operations", MEMBERSHIP), ("cloudcockpit operations", CLOUDCOCKPIT)):
        lines = TABLES[name]().splitlines()[2:]
        assert [line.split("`")[1] for line in lines] == [operation.name for operation in operations]
        sources = [line.strip("| ").rpartition("| ")[2] for line in lines]
        assert all(
            source.removeprefix("[page](").removesuffix(")") in operation.source
            for source, operation in zip(sources, operations, strict=True)
        )
        assert len({*sources}) == len(sources)


@goes_through("page", PAGES)
def test_tables_are_up_to_date(page: Path) -> None:
    """A page is read as Markdown, too. `python docs/tables.py` writes them."""
    text = page.read_text(encoding="utf-8")
    assert up_to_date(text) == text


def test_each_fragment_is_in_the_changelog() -> None:
    """towncrier passes over a file whose name it does not understand."""
    changes = TABLES["unreleased"]()
    assert re.findall(r"^### (\w+)", changes, re.MULTILINE) == ["Added", "Changed", "Fixed"]
    for fragment in (ROOT / "changelog.d").glob("*.md"):
        assert fragment.read_text().strip() in changes, fragment.name


def test_broken_links_are_found(tmp_path: Path) -> None:
    """.ci/run asks .ci/check-links of the whole site."""
    (tmp_path / "a.html").write_text('<p id="here"><a href="b.html#there">b</a> <a href="#here">a</a>')
    (tmp_path / "b.html").write_text('<p id="there"><a href="https://example.com/x">out</a>')
    check = [sys.executable, str(ROOT / ".ci" / "check-links"), str(tmp_path)]
    assert subprocess.run(check, check=False, capture_output=True).returncode == 0
    (tmp_path / "b.html").write_text('<a href="c.html">c</a><a href="a.html#gone">a</a>')
    done = subprocess.run(check, check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (
        1,
        ["a.html:", "b.html#there", "b.html:", "c.html", "b.html:", "a.html#gone"],
    )


def test_what_a_sandbox_answers_over_http_is_named() -> None:
    rows = cells("reference/sandbox.md")
    answers = Admin(MembershipSandbox(), None)._answers()  # type: ignore[arg-type]  no server is started
    told = {tuple(row[0].strip("`").split(" ")) for row in rows if "/_sandbox/" in row[0]}
    assert told == {(method, f"/_sandbox/{path}") for method, path in answers}
    kinds = {
        row[0].strip("`"): set(re.findall(r"`(\w+)`", row[1])) for row in rows if row[0].strip("`") in faults._KINDS
    }
    assert kinds == {name: {*kind.keys} for name, kind in faults._KINDS.items()}
    text = (ROOT / "docs" / "reference" / "sandbox.md").read_text()
    for sandbox in (MembershipSandbox(), CloudCockpitSandbox()):
        assert [name for name in sandbox.seeds() if f"`{name}`" not in text] == []


def test_each_logger_is_named_with_its_levels() -> None:
    logged: dict[str, set[str]] = {}
    for folder in SOURCES:
        for source in map(Path.read_text, folder.rglob("*.py")):
            names = re.findall(r'^\w+(?:: .*)? = logging\.getLogger\("(.*)"\)', source, re.MULTILINE)
            levels = re.findall(r"\b_?(?:log|logger|LOG)\.(debug|info|warning|error|exception|log)\(", source)
            for name in names:
                logged.setdefault(name, set()).update(levels)
    told: dict[str, set[str]] = {}
    for row in cells("reference/telemetry.md"):
        for name in re.findall(r"`(sdk_core\.[\w.]+)`", row[0]):
            told.setdefault(name, set()).update(row[1].lower().split(", "))
    as_levels = {"exception": {"error"}, "log": {"info", "warning"}}
    assert told == {
        name: {level for each in levels for level in as_levels.get(each, {each})} for name, levels in logged.items()
    }


def test_each_hook_and_each_option_is_named() -> None:
    hooks = {name for name in vars(telemetry.Telemetry) if name.startswith("on_")}
    assert {row[0].strip("`") for row in cells("reference/telemetry.md") if row[0].startswith("`on_")} == hooks
    options = {line.split("`")[1] for line in TABLES["client options"]().splitlines()[2:]}
    assert options == ClientOptions.__annotations__.keys()
