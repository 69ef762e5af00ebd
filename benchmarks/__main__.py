"""`python -m benchmarks [--quick] [--only TEXT] [--json FILE] [--readme]`."""

import argparse
import json
import shlex
import sys
import time
from pathlib import Path
from typing import Final

from benchmarks.chart import Bar, chart
from benchmarks.laboratory import laboratory
from benchmarks.report import Run
from benchmarks.rows import OURS, PEERS, ROWS, B, Row

_SECONDS: Final = 0.05
"""That a row is measured for in a round."""
_README: Final = Path(__file__).with_name("README.md")
_PICTURED_AT: Final = 50
"""Calls at a time."""


def picture(run: Run) -> str:
    """Return what a GET costs each client, in terms of naive aiohttp, as a picture; without those not measured."""
    shown = [row for row in (B, OURS, *(Row(peer, OURS.operation) for peer in PEERS)) if row in run.rounds]
    bars = [Bar(row.client, run.ratio(row, B, _PICTURED_AT, "cpu_us"), is_ours=row == OURS) for row in shown]
    bars.sort(key=lambda bar: bar.value.median)
    title = f"CPU of a GET / naive aiohttp's, {_PICTURED_AT} at a time"
    return chart(title, "Less is better. Lines: lowest to highest of all rounds.", bars, mark=1.0)


def main() -> int:
    """Measure, print and write what was measured; 1 if something failed to run."""
    started = time.monotonic()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="What a call costs.")
    parser.add_argument("--quick", action="store_true", help="within a minute instead of five; less exact")
    parser.add_argument("--only", metavar="TEXT", help="just the rows with this in their name and their baselines")
    parser.add_argument("--json", metavar="FILE", type=Path, default=Path("build/benchmarks.json"))
    parser.add_argument("--readme", action="store_true", help="write benchmarks/README.md and its picture too")
    arguments = parser.parse_args()
    rows = [row for row in ROWS if arguments.only is None or arguments.only in str(row)]
    if not rows:
        parser.error(f"no row has {arguments.only!r} in its name")
    with laboratory() as lab:
        if arguments.quick:
            rows = [row for row in rows if row.client not in PEERS or row.operation != "POST"]
            lab.skipped["POST of other libraries"] = "--quick has no time for it"
        rows = lab.prepare(rows)
        imports, calls, lives, deadline = (3, 20_000, 1, 50) if arguments.quick else (7, 200_000, 3, 280)
        costs = lab.costs(imports=imports, calls=calls) if arguments.only is None else None
        results = lab.rounds(rows, _SECONDS, started + deadline, lives=lives)
    command = shlex.join(["python", "-m", "benchmarks", *sys.argv[1:]])
    run = Run(
        command=command,
        cpus=lab.cpus,
        rounds=results,
        costs=costs,
        skipped=lab.skipped,
        failed=lab.failed,
    )
    print(run.markdown())
    arguments.json.parent.mkdir(parents=True, exist_ok=True)
    arguments.json.write_text(json.dumps(run.as_json(), indent=1))
    if arguments.readme:
        _README.write_text(run.readme())
        if B in run.rounds:
            _README.with_name("calls.svg").write_text(picture(run))
    return 1 if lab.failed else 0


if __name__ == "__main__":
    sys.exit(main())
