"""Measures in processes of their own: they share neither memory nor caches."""

import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import define, field

from benchmarks.peers import GENERATED, generate
from benchmarks.report import Costs
from benchmarks.rows import DEPENDENCIES, OURS, ROWS, TAILS, B, Row, not_installed
from benchmarks.server import running_server

__all__ = ["Laboratory", "laboratory"]

_PATIENCE: Final = 120
"""Seconds for one process."""
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
            self.failed.append(f"{tool}: {_last_words(error)}")

    def rounds(self, rows: Iterable[Row], seconds: float, deadline: float) -> dict[Row, list[dict[str, Any]]]:
        """Measure all rows again and again, each time in another order, until one more round would be too late."""
        results: dict[Row, list[dict[str, Any]]] = {row: [] for row in rows}
        chance = random.Random(1)  # noqa: S311  the same orders in every run
        took = 0.0
        while results and (not took or time.monotonic() + took < deadline):
            started = time.monotonic()
            order = list(results)
            chance.shuffle(order)
            hash_seed = chance.randrange(2**32)
            for row in order:
                # A hundredth of the calls is a few turns of the loop, unless there are many calls.
                duration = seconds * (5 if row in TAILS else 1)
                command = ("-m", "benchmarks.measure", *row, self.url, str(duration))
                result = self._measure(row, *command, hash_seed=hash_seed)
                if result is None:
                    del results[row]
                else:
                    results[row].append(result)
            took = time.monotonic() - started
        return results

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

    def _measure(self, what: object, *command: str, hash_seed: int = 0) -> Any:
        """Return the JSON that a Python process prints; None if it failed.

        Where things lie in memory, and so how fast they are, depends on the seed of hashes.
        """
        path = os.pathsep.join([str(self.folder), *filter(None, [os.environ.get("PYTHONPATH")])])
        try:
            done = subprocess.run(  # noqa: S603
                [sys.executable, *command],
                env=os.environ | _STEADY | {"PYTHONPATH": path, "PYTHONHASHSEED": str(hash_seed)},
                capture_output=True,
                text=True,
                check=True,
                timeout=_PATIENCE,
            )
        except subprocess.SubprocessError as error:
            self.failed.append(f"{what}: {_last_words(error)}")
            return None
        return json.loads(done.stdout)


def _last_words(error: subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError) and (lines := str(error.stderr).strip().splitlines()):
        return lines[-1]
    return str(error)


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
