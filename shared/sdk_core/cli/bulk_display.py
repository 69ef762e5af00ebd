"""A bulk run on a terminal, or in a log: how far it is, and what Ctrl-C does."""

import asyncio
import signal
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from types import FrameType
from typing import Final

from rich.console import Console

from sdk_core.bulk.progress import Pause
from sdk_core.bulk.run import BulkRun
from sdk_core.cli.bulk_texts import progress_line

__all__ = ["BY_SIGNAL", "show"]

BY_SIGNAL: Final = "interrupted"
"""Why a run was stopped, if Ctrl-C or SIGTERM did it."""
_ON_TERMINAL: Final = 0.25
"""Seconds between two looks at the progress where a line can be written again ..."""
_ELSEWHERE: Final = 10.0
"""... and where each look is a line."""


async def show(run: BulkRun, console: Console, pause: Pause | None) -> None:
    """Carry a run out, and show how far it is."""

    def line() -> str:
        return progress_line(run.progress, {} if pause is None else pause.waits, stopped_by=run.stopped_by)

    with _interruptible(run, console), ExitStack() as display:
        status = display.enter_context(console.status(line(), spinner="line")) if console.is_terminal else None

        async def tell() -> None:
            while True:
                await asyncio.sleep(_ON_TERMINAL if status else _ELSEWHERE)
                if status:
                    status.update(line())
                else:
                    console.print(line(), soft_wrap=True)

        telling = asyncio.create_task(tell())
        try:
            async for _result in run:
                pass
        finally:
            telling.cancel()
    console.print(line(), soft_wrap=True)


@contextmanager
def _interruptible(run: BulkRun, console: Console) -> Generator[None]:
    """Let the first Ctrl-C (or SIGTERM) finish the rows under way, and the second cancel them."""
    loop, signals = asyncio.get_running_loop(), (signal.SIGINT, signal.SIGTERM)

    def interrupt() -> None:
        if run.stopped_by is None:
            run.stop(BY_SIGNAL)
            console.print("finishing the rows under way; once more cancels them", soft_wrap=True)
        else:
            run.cancel()
            console.print("the rows under way are cancelled; --resume reads what became of them", soft_wrap=True)

    def handle(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(interrupt)

    before = [(number, signal.signal(number, handle)) for number in signals]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
