"""What both command lines share: `run` parses the arguments and runs the demo. Needs the extra `cli`."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rich.console import Console

from sdk_core.cli.narration import Narration
from sdk_core.version import __version__

__all__ = ["run"]


def run(program: str, about: str, demo: Callable[[Narration], Coroutine[Any, Any, None]], argv: Sequence[str]) -> int:
    """Run a command line and return its exit code: 0, 1 if the demo fails, 130 after Ctrl-C.

    Args:
        program: its name.
        about: what it is, in a sentence.
        demo: what the command `demo` runs.
        argv: the arguments without the program's name; argparse exits with 2 if they are invalid.
    """
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    commands.add_parser("demo", help="start a sandbox of the API in this process and show the main job on it")
    parser.parse_args(argv)
    try:
        asyncio.run(demo(Narration()))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  any failure is told in one line, without a traceback
        Console(stderr=True, highlight=False, markup=False).print(
            f"failed: {type(error).__name__}: {error}", style="red"
        )
        return 1
    return 0
