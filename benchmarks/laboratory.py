"""Measures in processes of their own: they share neither memory nor caches."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from select import select
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any, Final, Self

from attrs import define, field

from benchmarks.peers import GENERATED, generate
from benchmarks.report import Costs
from benchmarks.rows import (
    BUSY,
    CONCURRENCIES,
    DEPENDENCIES,
    OURS,
    PEERS,
    ROWS,
    TAILS,
    TAILS_AT,
    B,
    Row,
    not_installed,
)
from benchmarks.server import running_server

__all__ = ["Laboratory", "laboratory"]

_PATIENCE: Final = 120
"""Seconds for one process."""
_ROUNDS_PER_PEER: Final = 4
"""Other libraries take part in one of so many: they are so much slower that a few tell."""
_STEADY: Final = {
    # The 256 kB that asyncio receives into cost more or less by the heap's luck; here they stay where they are.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    # Whoever installs the SDK imports compiled modules.
    "PYTHONDONTWRITEBYTECODE": "",
}
_IMPORTING: Final = """
import sys, time
started = time.perf_counter()
import {}
spent = time.perf_counter() - started
import json
print(json.dumps({{"ms": spent * 1e3, "modules": sorted(sys.modules)}}))
"""


@define
class Laboratory:
    """The server, and what its clients need; see `laboratory`."""

    url: str
    cpus: str
    """Who runs where."""
    folder: Path
    """Of generated clients."""
    skipped: dict[str, str] = field(factory=dict[str, str])
    """What is not measured, and why."""
    failed: list[str] = field(factory=list[str])

    def prepare(self, rows: Iterable[Row]) -> list[Row]:
        """Return the rows that can be measured here, and what they are compared with; generate their clients."""
        measured: set[Row] = set()
        for row in rows:
            what = row.client if row.loop == "asyncio" else row.loop
            if lacking := not_installed(row.packages):
                self.skipped[what] = f"not installed: {', '.join(lacking)}"
            elif row.client in GENERATED and not (self.folder / GENERATED[row.client]).exists():
                self._generate(row.client)
            if what not in self.skipped:
                measured |= {row, row.baseline}
        return [row for row in ROWS if row in measured]

    def _generate(self, tool: str) -> None:
        try:
            if (lacking := generate(tool, self.folder)) is not None:
                self.skipped[tool] = lacking
        except subprocess.CalledProcessError as error:
            self.skipped[tool] = "its generator failed"
            self.failed.append(f"{tool}: {_last_line(str(error.stderr))}")

    def rounds(
        self, rows: Iterable[Row], seconds: float, deadline: float, *, lives: int
    ) -> dict[Row, list[dict[str, Any]]]:
        """Measure all rows in turn, again and again until the deadline; begin so many times with new processes.

        Who fails is left out.
        """
        results: dict[Row, list[dict[str, Any]]] = {row: [] for row in rows}
        chance = random.Random(1)
        started = time.monotonic()
        for life in range(1, lives + 1):
            end = started + (deadline - started) * life / lives
            with ExitStack() as stack:
                clients = self._start(list(results), chance.randrange(2**32), stack)
                for at in self._rounds_until(end, clients, seconds, chance):
                    for row, client in clients.items():
                        results[row].append({**client.once, "at": at.get(row, {})})
            results = {row: results[row] for row in clients}
        return results

    def _start(self, rows: list[Row], hash_seed: int, stack: ExitStack) -> dict[Row, "_Client"]:
        clients: dict[Row, _Client] = {}
        for row in rows:
            try:
                clients[row] = stack.enter_context(_Client(row, self.url, self._environment(hash_seed)))
            except _FailedError as error:
                self.failed.append(f"{row}: {error}")
        return clients

    def _rounds_until(
        self, end: float, clients: dict[Row, "_Client"], seconds: float, chance: random.Random
    ) -> Generator[dict[Row, dict[str, Any]]]:
        """Make one round, and more while they end in time."""
        took = 0.0
        for number in count():
            begun = time.monotonic()
            if not clients or (number and begun + took >= end):
                return
            order = [row for row in clients if row.client not in PEERS or number % _ROUNDS_PER_PEER == 0]
            chance.shuffle(order)
            # A thousand at a time take many of them long: once is enough.
            yield self._round(clients, order, BUSY if number else CONCURRENCIES, seconds)
            took = time.monotonic() - begun

    def _round(
        self, clients: dict[Row, "_Client"], order: list[Row], concurrencies: Iterable[int], seconds: float
    ) -> dict[Row, dict[str, Any]]:
        """Measure each row once at each concurrency; who fails is a client no more."""
        at: dict[Row, dict[str, Any]] = {row: {} for row in order}
        for concurrency in concurrencies:
            for row in filter(clients.__contains__, order):
                # A hundredth of the calls is a few turns of the loop, unless there are many calls.
                duration = seconds * (10 if row in TAILS and concurrency == TAILS_AT else 1)
                try:
                    at[row][str(concurrency)] = clients[row].measure(concurrency, duration)
                except _FailedError as error:
                    self.failed.append(f"{row}: {error}")
                    del clients[row]
        return at

    def costs(self, *, imports: int, calls: int) -> Costs | None:
        """Measure what is no call under load: so many imports of each package, and so many calls in sequence.

        None if a package can't even be imported.
        """
        import_ms: dict[str, list[float]] = {}
        modules: dict[str, set[str]] = {}
        for _ in range(imports):
            for what in (DEPENDENCIES, "membership_sdk", "cloudcockpit_sdk"):
                imported = self._measure(f"import {what}", "-c", _IMPORTING.format(what))
                if imported is None:
                    return None
                import_ms.setdefault(what, []).append(imported["ms"])
                modules[what] = set(imported["modules"])
        return Costs(
            import_ms=import_ms,
            imported=sorted(modules["membership_sdk"] - modules[DEPENDENCIES]),
            decoding=self._cost("decoding"),
            pending_bytes={
                "bare task": self._cost("pending"),
                **{client: self._cost("pending", client, self.url) for client in (B.client, OURS.client)},
            },
            calls=calls,
            growth=self._cost("growth", str(calls), self.url),
        )

    def _cost(self, *arguments: str) -> Any:
        return self._measure(" ".join(arguments), "-m", "benchmarks.costs", *arguments)

    def _measure(self, what: object, *command: str) -> Any:
        """Return the JSON that a Python process prints; None if it failed."""
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, *command],
                env=self._environment(hash_seed=0),
                capture_output=True,
                text=True,
                check=True,
                timeout=_PATIENCE,
            )
        except subprocess.CalledProcessError as error:
            self.failed.append(f"{what}: {_last_line(str(error.stderr))}")
        except subprocess.SubprocessError as error:
            self.failed.append(f"{what}: {error}")
        else:
            return json.loads(done.stdout)
        return None

    def _environment(self, hash_seed: int) -> dict[str, str]:
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        return os.environ | _STEADY | {"PYTHONPATH": path, "PYTHONHASHSEED": str(hash_seed)}


class _FailedError(Exception):
    """A process ended too early, or said nothing for too long."""


class _Client:
    """The process of one row. It sleeps while it is not asked."""

    def __init__(self, row: Row, url: str, environment: dict[str, str]) -> None:
        self._complaints = TemporaryFile("w+")  # noqa: SIM115  closed on leaving
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "benchmarks.measure", *row, url],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
        )
        self.once: dict[str, Any] = {}
        """What it measured when it began."""

    def __enter__(self) -> Self:
        try:
            self.once = self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc: object) -> None:
        self._process.kill()
        self._process.communicate()
        self._complaints.close()

    def measure(self, concurrency: int, seconds: float) -> dict[str, float]:
        """Return what calls cost, so many at a time and for so long."""
        assert self._process.stdin is not None  # noqa: S101
        with suppress(BrokenPipeError):
            print(concurrency, seconds, file=self._process.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        output = self._process.stdout
        assert output is not None  # noqa: S101
        ready, _, _ = select([output], [], [], _PATIENCE)
        if not ready:
            raise _FailedError(f"no answer within {_PATIENCE} seconds")
        if not (line := output.readline()):
            self._complaints.seek(0)
            raise _FailedError(_last_line(self._complaints.read()))
        answer: dict[str, Any] = json.loads(line)
        return answer


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it ended without a word"])[-1]


@contextmanager
def laboratory() -> Generator[Laboratory]:
    """Run the server on one core, and let everything that is started then run on another, where that can be had."""
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    pinned = len(cpus) > 1
    with TemporaryDirectory() as folder, running_server(cpus[0] if pinned else None) as url:
        if pinned:
            os.sched_setaffinity(0, {cpus[-1]})
        try:
            yield Laboratory(url, "server and clients on a core each" if pinned else "not pinned", Path(folder))
        finally:
            if pinned:
                os.sched_setaffinity(0, cpus)
