"""`python -m benchmarks.path`: what somebody has to read who follows a call through the code; 1 if it is too much.

Two calls are traced through the real client and a server on loopback: a good typed GET, and one that is answered 500
and then 200. Each is made twice, and the second is looked at: the first opens the connection, and builds what reads the
answer. What counts:

- A function of the three packages that is entered counts once, however often it is entered. A lambda or a
  comprehension counts as the function it stands in, as newer interpreters compile some of them into it anyway.
- Code that is generated (the `__init__` of an attrs class, what completes a decoded object) counts as a function
  without a file. One that has no special name (`__init__`) counts as a private helper: nobody can guess what it does.
- Files are those of `sdk_core`; how many an SDK adds is printed beside them.
- A private helper is a function whose name begins with one underscore: no documentation tells of it.

The state of the code is told too: the largest file and the longest function of `sdk_core`, its docstring aside, and the
warnings of tools that are suppressed in the three packages.
"""

import ast
import asyncio
import re
import sys
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final, NamedTuple

import cloudcockpit_sdk
import membership_sdk
import sdk_core
from benchmarks.payloads import API_KEY
from benchmarks.server import EVERY_CALL_FAILS_ONCE, ONE_CONTRACT, running_server
from membership_sdk import MembershipClient, RetryPolicy

__all__ = ["Figure", "Step", "Trace", "main", "state_of_the_code", "trace"]

_PACKAGES: Final = {
    package.__name__: Path(str(package.__file__)).parent for package in (sdk_core, membership_sdk, cloudcockpit_sdk)
}
_CORE: Final = "sdk_core"
_GENERATED: Final = ""
"""The file of generated code."""
_INNER: Final = re.compile(r"(\.<locals>)?\.?<(lambda|listcomp|setcomp|dictcomp|genexpr)>")
_NAMES_A_PACKAGE: Final = re.compile(rf"\b(?:{'|'.join(_PACKAGES)})\b")
_SUPPRESSION: Final = re.compile("# (?:noqa|type: ignore|pyright: ignore)")


class Figure(NamedTuple):
    """One measured number, and the largest it may be."""

    text: str
    value: float
    limit: float

    @property
    def met(self) -> bool:
        """Whether it is not larger."""
        return self.value <= self.limit

    def __str__(self) -> str:
        return f"{'ok  ' if self.met else 'MISS'} {self.text}: {self.value:g} (at most {self.limit:g})"


class Step(NamedTuple):
    """A function that was entered."""

    depth: int
    """How many functions of ours were under way when it was entered first."""
    name: str
    """Its qualified name."""
    file: str
    """Where it stands, beginning with the package; "" for generated code."""
    line: int

    @property
    def is_private(self) -> bool:
        """Whether nothing public tells what it does."""
        name = self.name.rpartition(".")[2]
        special = name.startswith("__") and name.endswith("__")
        return not special and (name.startswith("_") or self.file == _GENERATED)

    def __str__(self) -> str:
        where = f"{self.file}:{self.line}" if self.file else "generated"
        return f"{'  ' * self.depth}{self.name}  {where}{'  (private)' if self.is_private else ''}"


class Trace(NamedTuple):
    """A call, function by function."""

    steps: tuple[Step, ...]

    @property
    def private_helpers(self) -> int:
        """How many private helpers one must know."""
        return sum(step.is_private for step in self.steps)

    def files(self, *, core: bool) -> int:
        """Return how many files of the core, or else of an SDK, were entered."""
        files = {step.file for step in self.steps} - {_GENERATED}
        return sum(file.startswith(f"{_CORE}/") is core for file in files)


def _named(frame: FrameType) -> str:
    return _INNER.sub("", frame.f_code.co_qualname)


def _place(frame: FrameType) -> tuple[str, str] | None:
    """Return file and name of the function of ours that runs in this frame; None: it is not ours."""
    name, file = _named(frame), frame.f_code.co_filename
    if not file.startswith("<"):
        for package, folder in _PACKAGES.items():
            if file.startswith(f"{folder}/") and name != "<module>":
                return f"{package}/{Path(file).relative_to(folder).as_posix()}", name
        return None
    # attrs and cattrs name the class: "<attrs generated methods sdk_core.call.Call>".
    if _NAMES_A_PACKAGE.search(file):
        return _GENERATED, f"{re.split(r'[ .]', file.strip('<>'))[-1]}.{name}"
    # Other generated code runs in a module, or in none: then it belongs to who called it.
    module, caller = frame.f_globals.get("__name__"), frame.f_back
    if module is None:
        ours = caller is not None and _place(caller) is not None
    else:
        ours = _NAMES_A_PACKAGE.match(module) is not None
    return (_GENERATED, name) if ours else None


def _depth(frame: FrameType) -> int:
    depth, caller = 0, frame.f_back
    while caller is not None:
        depth += _place(caller) is not None
        caller = caller.f_back
    return depth


@contextmanager
def _entered() -> Generator[dict[tuple[str, str], Step]]:
    """Collect the functions of ours that this thread enters, in the order of their first time."""
    steps: dict[tuple[str, str], Step] = {}

    def note(frame: FrameType, event: str, _argument: object) -> None:
        place = _place(frame) if event == "call" else None
        if place is not None and place not in steps:
            file, name = place
            steps[place] = Step(_depth(frame), name, file, frame.f_code.co_firstlineno)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield steps
    finally:
        sys.setprofile(before)


async def _no_sleep(_seconds: float) -> None:
    pass


async def trace(url: str, customer_id: int) -> Trace:
    """Trace the second GET of a customer's contracts from the server at `url`."""
    async with MembershipClient(url, API_KEY, retry=RetryPolicy(sleep=_no_sleep)) as client:
        await client.get_contract_data(customer_id=customer_id)
        with _entered() as steps:
            await client.get_contract_data(customer_id=customer_id)
    return Trace(tuple(steps.values()))


def _functions(file: Path) -> Iterator[tuple[str, int]]:
    """Give the functions of a file with their lines, docstrings aside."""
    for function in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (function.end_lineno or function.lineno) - function.lineno + 1
            first = function.body[0]
            if ast.get_docstring(function, clean=False) is not None:
                lines -= (first.end_lineno or first.lineno) - first.lineno + 1
            yield function.name, lines


def state_of_the_code() -> list[Figure]:
    """Measure the packages' files."""
    files = {
        f"{package}/{file.relative_to(folder).as_posix()}": file
        for package, folder in _PACKAGES.items()
        for file in sorted(folder.rglob("*.py"))
    }
    texts = {name: file.read_text(encoding="utf-8") for name, file in files.items()}
    core = [name for name in files if name.startswith(f"{_CORE}/")]
    largest = max(core, key=lambda name: texts[name].count("\n"))
    lines, name, longest = max((lines, name, file) for file in core for name, lines in _functions(files[file]))
    suppressions = sum(len(_SUPPRESSION.findall(text)) for text in texts.values())
    all_lines = sum(text.count("\n") for text in texts.values())
    return [
        Figure(f"lines of the largest file of the core, {largest}", texts[largest].count("\n"), 300),
        Figure(f"lines of the longest function of the core, {name} in {longest}", lines, 40),
        Figure("suppressed warnings in 1,000 lines", round(suppressions * 1000 / all_lines, 1), 3),
    ]


def _story(title: str, call: Trace) -> Iterator[str]:
    core, sdk = call.files(core=True), call.files(core=False)
    yield f"{title}: {len(call.steps)} functions in {core} files of the core and {sdk} of the SDK"
    yield from (f"  {step}" for step in call.steps)
    yield ""


def main() -> int:
    """Print both calls and all figures; 1 if one is larger than it may be."""
    with running_server(None) as url:
        good = asyncio.run(trace(url, ONE_CONTRACT))
        repeated = asyncio.run(trace(url, EVERY_CALL_FAILS_ONCE))
    figures = [
        Figure("functions of a good GET", len(good.steps), 19),
        Figure("files of the core of a good GET", good.files(core=True), 9),
        Figure("private helpers of a good GET", good.private_helpers, 4),
        Figure("functions of a GET that fails once", len(repeated.steps), 54),
        Figure("files of the core of a GET that fails once", repeated.files(core=True), 17),
        *state_of_the_code(),
    ]
    lines = [*_story("A good GET", good), *_story("A GET answered 500, then 200", repeated), *map(str, figures)]
    print("\n".join(lines))  # noqa: T201
    return 0 if all(figure.met for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
