"""Tests do not sleep: a pause of more than 50 ms, of a test or of the code it tries, fails the test.

A pause counts once it is over: what is cancelled before was not waited for. Made-up time, on an event loop of its own,
does not count. A test of limits that are proven on real sockets, in real time, is marked with its reason:
`@pytest.mark.real_time("why")`.
"""

import asyncio
import functools
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

LONGEST = 0.05
"""Seconds."""
_OWN = tuple(
    f"{Path(__file__).parents[1] / folder}/"
    for folder in ("tests", "shared", "membership_sdk", "cloudcockpit_sdk", "benchmarks", "examples", "docs")
)
_pauses: list[str] = []


def _note(seconds: float, frame: Any) -> None:
    if seconds > LONGEST and frame is not None and frame.f_code.co_filename.startswith(_OWN):
        _pauses.append(f"{seconds:g} s in {frame.f_code.co_filename}:{frame.f_lineno}")


def _watched(real: Callable[[float], None]) -> Callable[[float], None]:
    @functools.wraps(real)
    def sleep(seconds: float, /) -> None:
        real(seconds)
        _note(seconds, sys._getframe(1))

    return sleep


def _watched_async(real: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(real)
    async def sleep(delay: float, result: Any = None) -> Any:
        # Who waits for it; nobody does if it is a task of its own.
        frame = sys._getframe(1)
        answer = await real(delay, result)
        if type(asyncio.get_running_loop()).__module__.partition(".")[0] in {"asyncio", "uvloop"}:
            _note(delay, frame)
        return answer

    return sleep


def watch() -> None:
    """Note pauses from now on; before the SDKs are imported, which keep `asyncio.sleep` as a default."""
    time.sleep = _watched(time.sleep)
    # In both places: a retry policy is pickled with its name.
    asyncio.sleep = asyncio.tasks.sleep = _watched_async(asyncio.sleep)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, object, object]:
    """Fail a test that paused, and does not say why."""
    _pauses.clear()
    result = yield
    marker = item.get_closest_marker("real_time")
    if marker is not None:
        assert marker.args, "real_time needs a reason"
    elif _pauses:
        pytest.fail(f"paused for {', '.join(_pauses)}: inject a clock and a sleep, or wait for an event", pytrace=False)
    return result
