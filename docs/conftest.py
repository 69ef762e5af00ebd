"""Every block of these pages runs, as it stands, in the order of its page.

A page's blocks share their names, an event loop for `await` outside of functions, and a fresh sandbox of each API. A
page names the sandboxes as a reader starts them: `membership-sdk sandbox --port 8080` and `cloudcockpit-sdk sandbox
--port 8081`; their addresses are put in place of those. The environment names them as well: MEMBERSHIP_BASE_URL etc.
What readers need not see is a comment: `<!-- invisible-code-block: python ... -->`. The names `membership_sandbox` and
`cloudcockpit_sandbox` are there, for such comments. `console` blocks run as well (terminal.py says how). Files are
shown with `literalinclude`, saved in the folder of the page, and run there or by the tests.
"""

import ast
import asyncio
import sys
import threading
from collections.abc import Iterator
from contextlib import AsyncExitStack, ExitStack, contextmanager
from inspect import CO_COROUTINE
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any, Final

import pytest
from sybil import Document, Example, Region, Sybil
from sybil.evaluators.python import pad
from sybil.parsers.myst import CodeBlockParser
from sybil.parsers.myst.lexers import DirectiveLexer
from terminal import Terminals

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import MembershipSandbox

_PATIENCE: Final = 10.0
"""Seconds for the sandboxes to start or stop."""


@contextmanager
def _sandboxes() -> Iterator[tuple[MembershipSandbox, CloudCockpitSandbox]]:
    """Serve both in a thread: a block may block."""
    loop, stack = asyncio.new_event_loop(), AsyncExitStack()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def start() -> tuple[MembershipSandbox, CloudCockpitSandbox]:
        return (
            await stack.enter_async_context(MembershipSandbox()),
            await stack.enter_async_context(CloudCockpitSandbox()),
        )

    try:
        yield asyncio.run_coroutine_threadsafe(start(), loop).result(_PATIENCE)
    finally:
        asyncio.run_coroutine_threadsafe(stack.aclose(), loop).result(_PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()


class _Page:
    """Where the blocks of a page run: a module of its own, in which classes are found by their names."""

    def __init__(self, folder: Path, module: ModuleType, runner: asyncio.Runner, addresses: dict[str, str]) -> None:
        self.folder = folder
        self.addresses = addresses
        self._module = module
        self._runner = runner

    def run(self, example: Example) -> None:
        text = str(example.parsed)
        for written, served in self.addresses.items():
            text = text.replace(written, served)
        source = pad(text, example.line + example.parsed.line_offset)
        flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(source, example.path, "exec", flags=flags, dont_inherit=True)
        if code.co_flags & CO_COROUTINE:
            self._runner.run(FunctionType(code, vars(self._module))())
        else:
            exec(code, vars(self._module))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Page]:
    """The state of one page."""
    module = ModuleType("page")
    with _sandboxes() as (membership, cloudcockpit), asyncio.Runner() as runner, pytest.MonkeyPatch.context() as patch:
        environment = {
            "MEMBERSHIP_BASE_URL": membership.url,
            "MEMBERSHIP_API_KEY": membership.API_KEY,
            "CLOUDCOCKPIT_BASE_URL": cloudcockpit.url,
            "CLOUDCOCKPIT_TOKEN_URL": cloudcockpit.token_url,
            "CLOUDCOCKPIT_CLIENT_ID": cloudcockpit.CLIENT_ID,
            "CLOUDCOCKPIT_CLIENT_SECRET": cloudcockpit.CLIENT_SECRET,
            "CLOUDCOCKPIT_CUSTOMER_ID": str(cloudcockpit.CUSTOMER_ID),
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        # A page may write files.
        folder = tmp_path_factory.mktemp("page")
        patch.chdir(folder)
        patch.setitem(sys.modules, module.__name__, module)
        vars(module).update(membership_sandbox=membership, cloudcockpit_sandbox=cloudcockpit)
        addresses = {"http://127.0.0.1:8080": membership.url, "http://127.0.0.1:8081": cloudcockpit.url}
        yield _Page(folder, module, runner, addresses)


@pytest.fixture(scope="module")
def terminals(page: _Page) -> Iterator[Terminals]:
    """The terminals of one page, in its folder."""
    with ExitStack() as stack:
        yield Terminals(page.folder, page.addresses, stack)


def _run_python(example: Example) -> None:
    page: Any = example.namespace["page"]
    page.run(example)


def _run_console(example: Example) -> None:
    terminals: Any = example.namespace["terminals"]
    # It may be run alone, as by `--last-failed`: then what the page has saved and started before is still to be done.
    for earlier in example.document.examples():
        if earlier.start >= example.start:
            break
        if earlier.region.evaluator is _save:
            terminals.save(earlier)
        elif earlier.region.evaluator is _run_console:
            terminals.serve(earlier)
    terminals.run(example)


def _save(example: Example) -> None:
    terminals: Any = example.namespace["terminals"]
    terminals.save(example)


def _shown_files(document: Document) -> Iterator[Region]:
    for region in DirectiveLexer("literalinclude", mapping={"arguments": "file"})(document):
        yield Region(region.start, region.end, region.lexemes["file"].strip(), _save)


pytest_collect_file = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=_run_python),
        CodeBlockParser(language="console", evaluator=_run_console),
        _shown_files,
    ],
    pattern="*.md",
    fixtures=["page", "terminals"],
).pytest()
