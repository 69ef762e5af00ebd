"""A sandbox as a program of its own: for other languages, and for curl."""

import asyncio
import signal
from collections.abc import Callable
from contextlib import suppress
from functools import partial

from sdk_core.sandbox import Sandbox

__all__ = ["serve"]


async def serve(
    sandbox: Sandbox, *, host: str = "127.0.0.1", port: int = 8080, tell: Callable[[str], object] | None = None
) -> None:
    """Serve a sandbox until Ctrl-C or SIGTERM, and return then.

    Args:
        sandbox: what is served.
        host: name or address to listen on. Whoever reaches it can read and change the sandbox.
        port: 0: any that is free.
        tell: is given the lines that say where it answers, and how to call it; None: they are printed.

    Raises:
        ValueError: the port is not from 0 to 65535.
        OSError: the port is in use, or there is no such host.
    """
    # Flushed, so that whoever started this in the background sees when it answers.
    show = partial(print, flush=True) if tell is None else tell
    await sandbox.start(host=host, port=port)
    try:
        stopped = _stop_signals()
        for line in (
            f"The sandbox answers at {sandbox.url}",
            *(f"  {line}" for line in sandbox.introduction()),
            f"Look into it at {sandbox.url}/_sandbox/",
            "Ctrl-C ends it.",
        ):
            show(line)
        await stopped.wait()
    finally:
        await sandbox.stop()


def _stop_signals() -> asyncio.Event:
    """Return what is set by Ctrl-C or SIGTERM; where that is not possible, Ctrl-C raises as it always does."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Windows has none of this, and only the main thread may.
        with suppress(NotImplementedError, RuntimeError, ValueError):
            loop.add_signal_handler(number, stopped.set)
    return stopped
