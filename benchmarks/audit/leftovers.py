"""What is still there when everything should be gone."""

import asyncio
import gc
import sys
import warnings
from asyncio import AbstractEventLoop
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import TCPConnector

from benchmarks.audit.turns import settle

__all__ = ["Complaints", "allocated_blocks", "borrowed_connections", "in_loop", "open_sockets"]

_FILES: Final = Path("/proc/self/fd")


def open_sockets() -> int:
    """Return how many sockets the process has (Linux; 0 elsewhere)."""
    if not _FILES.is_dir():
        return 0
    return sum(_is_socket(file) for file in _FILES.iterdir())


def _is_socket(file: Path) -> bool:
    try:
        return str(file.readlink()).startswith("socket:")
    except OSError:  # the one that lists the folder
        return False


def borrowed_connections() -> int:
    """Return how many connections calls of the running loop took from their pools, and did not give back."""
    connectors = (thing for thing in gc.get_objects() if isinstance(thing, TCPConnector))
    here = (connector for connector in connectors if getattr(connector, "_loop", None) is asyncio.get_running_loop())
    return sum(len(getattr(connector, "_acquired", ())) for connector in here)


async def in_loop() -> Counter[str]:
    """Return what the running loop still has to do when all that used it is closed."""
    # What is closed is told so in the next turns.
    await settle()
    loop = asyncio.get_running_loop()
    scheduled: list[asyncio.TimerHandle] = getattr(loop, "_scheduled", [])
    return Counter(
        {
            "tasks": len(asyncio.all_tasks()) - 1,
            "pending timers": sum(not timer.cancelled() for timer in scheduled),
        }
    )


def allocated_blocks() -> int:
    """Return how many pieces of memory Python holds."""
    for _ in range(3):
        gc.collect()
    return sys.getallocatedblocks()


class Complaints(list[str]):
    """ResourceWarnings, exceptions that nobody could catch, and what the event loop complained of."""

    @contextmanager
    def heard(self) -> Generator[None]:
        """Listen while the block runs."""
        hook = sys.unraisablehook
        sys.unraisablehook = lambda failure: self.append(f"unraisable: {failure.exc_value!r}")
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("ignore")
                warnings.simplefilter("always", ResourceWarning)
                yield
                gc.collect()
        finally:
            sys.unraisablehook = hook
        self += [str(warning.message) for warning in caught]

    def of_loop(self, _loop: AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take note of what an event loop reports."""
        self.append(f"{context['message']}: {context.get('exception')!r}")
