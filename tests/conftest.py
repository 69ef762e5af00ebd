"""Fixtures shared by all tests."""

import gc
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import ClientResponse
from aioresponses import aioresponses
from pauses import pytest_runtest_call, watch
from wire import FakeTime

__all__ = ["fake_time", "frozen", "mocked", "pytest_runtest_call"]

watch()
# Until the first test: what is collected stays, and to look through it again and again was a seventh of that time.
gc.disable()

# A shell lets what it starts in the background ignore Ctrl-C, and whatever that starts inherits it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Without compiled code, each of the programs that are started compiles what it imports.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# No test trusts an authority of this machine; to read them all is a fifth of what importing aiohttp takes.
os.environ["SSL_CERT_FILE"] = os.devnull

_BUSY = ("specs", "deviations", "transport", "core", "cloudcockpit", "membership", "codec")
"""Folders whose tests start no programs and wait for little, those with the shortest files last."""


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Two processes more than cores: for half of its time, a test waits for programs, servers and timeouts."""
    return (os.cpu_count() or 1) + 2 if config.option.numprocesses == "auto" else None


class _Turned(pytest.Dir):
    """A folder that each process begins at another place: what one has compiled, the others find there."""

    def collect(self) -> list[pytest.Item | pytest.Collector]:
        """All of it."""
        found = list(super().collect())
        start = len(found) * int(os.environ["PYTEST_XDIST_WORKER"][2:]) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
        return found[start:] + found[:start]


def pytest_collect_directory(path: Path, parent: pytest.Collector) -> pytest.Dir | None:
    """Only where several processes collect."""
    return _Turned.from_parent(parent, path=path) if "PYTEST_XDIST_WORKER" in os.environ else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two files that wait for programs and time, then one that does not: so there is always something to compute.

    What takes longest comes first and what is shortest last: all processes end at about the same time.
    """
    files = sorted({item.path for item in items}, key=lambda path: path.parts)
    waiting = sorted((it for it in files if it.parent.name not in _BUSY), key=lambda path: path.parent.name != "tests")
    busy = sorted((it for it in files if it.parent.name in _BUSY), key=lambda path: _BUSY.index(path.parent.name))
    places = {path: place + place // 2 for place, path in enumerate(waiting)}
    places |= {path: 3 * place + 2 for place, path in enumerate(busy)}
    items.sort(key=lambda item: places[item.path])


def pytest_sessionstart() -> None:
    """What plugins have imported stays: pytest looks for garbage at its end, also where it has only started others."""
    gc.freeze()


def pytest_collection_finish() -> None:
    """What is collected stays."""
    gc.freeze()


@pytest.fixture(scope="module", autouse=True)
def frozen() -> None:
    """What was imported and reported stays: to look through it again and again was a fifth of the suite's time."""
    gc.enable()
    # What tests make is mostly gone by itself: to look through it less often saves a fiftieth of the suite's time.
    gc.set_threshold(20_000, 20)
    gc.collect()
    gc.freeze()


class _Response(ClientResponse):
    """What aioresponses 0.7.9 builds lacks an argument that aiohttp 3.14 requires."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("stream_writer", SimpleNamespace(output_size=0))
        super().__init__(*args, **kwargs)


@pytest.fixture
def mocked(monkeypatch: pytest.MonkeyPatch) -> Iterator[aioresponses]:
    """aioresponses, for the mapping of requests and responses; connections and time need real sockets."""
    monkeypatch.setattr("aioresponses.core.ClientResponse", _Response)
    with aioresponses() as mock:
        yield mock


@pytest.fixture
def fake_time() -> FakeTime:
    """A clock and a sleep that need no time."""
    return FakeTime()
