"""What both command lines share: `run` parses the arguments and runs a command. Needs the extra `cli`."""

import argparse
import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from rich.console import Console

from sdk_core.cli.narration import Narration
from sdk_core.version import __version__

__all__ = ["run"]


def run(
    program: str,
    about: str,
    demo: Callable[[Narration], Coroutine[Any, Any, None]],
    sandbox: Callable[[str, int], Coroutine[Any, Any, None]],
    argv: Sequence[str],
) -> int:
    """Run a command line and return its exit code: 0, 1 if the command fails, 130 if Ctrl-C ended the demo.

    Args:
        program: its name.
        about: what it is, in a sentence.
        demo: what the command `demo` runs.
        sandbox: what the command `sandbox` runs, with host and port.
        argv: the arguments without the program's name; argparse exits with 2 if they are invalid.
    """
    parser = argparse.ArgumentParser(prog=program, description=about)
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(metavar="command", dest="command", required=True)
    commands.add_parser("demo", help="start a sandbox of the API in this process and show the main job on it")
    serving = commands.add_parser("sandbox", help="serve a sandbox of the API, for curl and other languages")
    serving.add_argument("--host", default="127.0.0.1", help="address to listen on; whoever reaches it may change it")
    serving.add_argument("--port", type=int, default=8080, help="0: any that is free (default: %(default)s)")
    arguments = parser.parse_args(argv)
    try:
        if arguments.command == "sandbox":
            asyncio.run(sandbox(arguments.host, arguments.port))
        else:
            asyncio.run(demo(Narration()))
    except KeyboardInterrupt:
        return 130
    except Exception as error:  # noqa: BLE001  any failure is told in one line, without a traceback
        Console(stderr=True, highlight=False, markup=False).print(
            f"failed: {type(error).__name__}: {error}", style="red"
        )
        return 1
    return 0
