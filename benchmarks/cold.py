"""`python -m benchmarks.cold [--rounds N]`: from the start of a process to its first typed answer.

What a command, a serverless function or a worker's first task waits for: the interpreter, the imports, the client, one
connection and one call. Beside it the same with naive aiohttp, which returns a dict. The two take turns, so that what
slows the machine down slows both; a ratio is of one round, and of CPU time, which other programs disturb less.

The second table is of imports, and of `membership-sdk --help`, until the process has ended.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Final

from benchmarks.chart import Bar, chart, write_page
from benchmarks.payloads import API_KEY
from benchmarks.report import Spread
from benchmarks.server import ONE_CONTRACT, running_server

_NAIVE: Final = f"""
import asyncio, os, sys
import aiohttp

async def main(url):
    async with aiohttp.ClientSession() as session:
        path = "/v1/memberships/{ONE_CONTRACT}/self-service/contract-data"
        async with session.get(url + path, headers={{"X-API-KEY": "{API_KEY}"}}) as response:
            response.raise_for_status()
            return await response.json()

answer = asyncio.run(main(sys.argv[1]))
assert answer[0]["cancelationDate"] == "2026-12-31"
os._exit(0)  # The answer is there: how long the interpreter takes to end is not waited for.
"""
_OURS: Final = f"""
import asyncio, datetime, os, sys
from membership_sdk import MembershipClient

async def main(url):
    async with MembershipClient(url, "{API_KEY}") as client:
        return await client.get_contract_data(customer_id={ONE_CONTRACT})

answer = asyncio.run(main(sys.argv[1]))
assert answer[0].cancelation_date == datetime.date(2026, 12, 31)
os._exit(0)
"""
_LIBRARIES: Final = "import aiohttp, attrs, cattrs, msgspec, tenacity"
CALLS: Final = {"naive aiohttp": ("-c", _NAIVE), "membership_sdk": ("-c", _OURS)}
IMPORTS: Final = {
    "import membership_sdk": ("-c", "import membership_sdk"),
    "import its libraries": ("-c", _LIBRARIES),
    "import aiohttp": ("-c", "import aiohttp"),
    "python -m membership_sdk --help": ("-m", "membership_sdk", "--help"),
}
TARGET: Final = 1.25
HELP_TARGET: Final = 1.5


def _once(command: tuple[str, ...], url: str, environment: dict[str, str]) -> tuple[float, float]:
    """Run a process and return its wall and CPU milliseconds."""
    begun = time.perf_counter()
    process = subprocess.Popen(  # noqa: S603
        [sys.executable, *command, url], stdout=subprocess.DEVNULL, env=environment
    )
    _pid, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"a process failed: {command}")
    return wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3


def measure(commands: Mapping[str, tuple[str, ...]], url: str, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """Run all commands so many times, in turn, and return their milliseconds; once more before that to warm up."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    with tempfile.TemporaryDirectory() as compiled:
        # What is installed is compiled already; of a checkout that may be switched off.
        environment = os.environ | {"PYTHONPYCACHEPREFIX": compiled, "PYTHONDONTWRITEBYTECODE": ""}
        for number in range(rounds + 1):
            for name, command in commands.items():
                taken = _once(command, url, environment)
                if number:
                    found[name].append(taken)
    return found


def ratio(found: dict[str, list[tuple[float, float]]], name: str, base: str, which: int = 1) -> list[float]:
    """Return the ratios of two rows, round by round, sorted; of CPU time, or (0) of wall time."""
    return sorted(ours[which] / theirs[which] for ours, theirs in zip(found[name], found[base], strict=True))


def _table(found: dict[str, list[tuple[float, float]]], base: str) -> str:
    width = max(map(len, found))
    lines = [f"{'':{width}}  CPU ms  wall ms  CPU / {base} (lowest-highest)  wall / {base}"]
    for name, taken in found.items():
        wall, cpu = (statistics.median(each[which] for each in taken) for which in (0, 1))
        of_cpu, of_wall = ratio(found, name, base), statistics.median(ratio(found, name, base, 0))
        spread = f"{statistics.median(of_cpu):.2f} ({of_cpu[0]:.2f}-{of_cpu[-1]:.2f})"
        lines.append(f"{name:{width}}  {cpu:6.0f}  {wall:7.0f}  {spread:>{len(base) + 23}}  {of_wall:.2f}")
    return "\n".join(lines)


def picture(calls: Mapping[str, list[tuple[float, float]]]) -> str:
    """Return the CPU time until the first answer as a picture."""
    bars = [
        Bar(name, Spread.of(cpu for _wall, cpu in taken), is_ours=name == "membership_sdk")
        for name, taken in calls.items()
    ]
    return chart("First answer of a new process, ms of CPU", "Less is better.", bars)


def main() -> int:
    """Measure and print; 1 if a target is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold", description="What a first call costs.")
    parser.add_argument("--rounds", type=int, default=15, metavar="N", help="of both tables (default: 15)")
    parser.add_argument("--readme", action="store_true", help="write benchmarks/cold.md and its picture too")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    with running_server(None) as url:
        calls = measure(CALLS, url, rounds)
    # None of these reads its argument.
    imports = measure(IMPORTS, "", rounds)
    first = statistics.median(ratio(calls, "membership_sdk", "naive aiohttp"))
    shown = statistics.median(ratio(imports, "python -m membership_sdk --help", "import membership_sdk"))
    targets = f"first typed answer / naive: {first:.2f} ({TARGET}); --help / import: {shown:.2f} ({HELP_TARGET})"
    tables = [_table(calls, "naive aiohttp"), _table(imports, "import membership_sdk"), targets]
    sys.stdout.write("\n\n".join(tables) + "\n")
    if arguments.readme:
        text = "\n\n".join(("```text", *tables, "```"))
        write_page("cold", "The first call", "python -m benchmarks.cold --readme", text, picture(calls))
    return int(first > TARGET or shown > HELP_TARGET)


if __name__ == "__main__":
    sys.exit(main())
