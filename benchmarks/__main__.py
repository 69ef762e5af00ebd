"""`python -m benchmarks [--quick] [--only TEXT] [--json FILE]`."""

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.report import Run
from benchmarks.rows import ROWS, Row
from benchmarks.server import running_server

_STEADY: Final = {
    # The 256 kB that asyncio receives into cost more or less by the heap's luck; here they stay where they are.
    "MALLOC_ARENA_MAX": "1",
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "PYTHONHASHSEED": "0",
}


def main() -> int:
    """Measure, print and write what was measured; 1 if something failed to run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What a call costs.")
    parser.add_argument("--quick", action="store_true", help="within a minute instead of five; less exact")
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="only rows with this in their name, and what they are compared with"
    )
    parser.add_argument("--json", metavar="FILE", type=Path, default=Path("build/benchmarks.json"))
    arguments = parser.parse_args()
    deadline = time.monotonic() + (45 if arguments.quick else 270)
    wanted = [row for row in ROWS if arguments.only in str(row)]
    rows = [row for row in ROWS if row in wanted or row in {row.baseline for row in wanted}]
    cpus = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    server_cpu = cpus[0] if len(cpus) > 1 else None
    with running_server(server_cpu) as url:
        if server_cpu is not None:
            # The clients inherit it.
            os.sched_setaffinity(0, {cpus[-1]})
        rounds, failures = _rounds(rows, url, 0.1 if arguments.quick else 0.2, deadline)
    run = Run(
        "python -m benchmarks" + " --quick" * arguments.quick,
        "server and clients not pinned" if server_cpu is None else "server and clients on a core each",
        rounds,
        failures,
    )
    print(run.markdown())  # noqa: T201
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(run.as_json(), indent=1))
    return 1 if failures else 0


def _rounds(
    rows: list[Row], url: str, seconds: float, deadline: float
) -> tuple[dict[Row, list[dict[str, Any]]], list[str]]:
    """Measure all rows again and again, each time in another order, until one more round would pass the deadline."""
    results: dict[Row, list[dict[str, Any]]] = {row: [] for row in rows}
    failures: list[str] = []
    shuffle = random.Random(1).shuffle  # noqa: S311  the same orders in every run
    longest = 0.0
    while not longest or time.monotonic() + longest < deadline:
        started = time.monotonic()
        order = list(results)
        shuffle(order)
        for row in order:
            try:
                results[row].append(_child("benchmarks.measure", *row, url, str(seconds)))
            except subprocess.CalledProcessError as error:
                failures.append(f"{row}: {error.stderr.strip().splitlines()[-1]}")
                del results[row]
        longest = max(longest, time.monotonic() - started)
    return results, failures


def _child(module: str, *arguments: str) -> Any:
    """Return what another process measures: it shares neither memory nor caches with the others."""
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, env=os.environ | _STEADY, capture_output=True, text=True, check=True)  # noqa: S603
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
