"""One process of a bulk run: `python -m benchmarks.bulk.child URL JOURNAL PLAN OPERATION OPTIONS`; options are JSON.

It begins the run, or resumes it if the journal holds one; it says `begun` when rows are sent, and at its end how many
ended in what way, within what time, and by how much it has grown.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from membership_sdk import LocalRateLimiter, MembershipClient, RetryPolicy, bulk
from membership_sdk.sandbox import MembershipSandbox

_LIMIT = 10**9


async def main(url: str, journal: str, plan: str, operation: str, options: dict[str, Any]) -> None:
    """Run it."""
    retry = RetryPolicy(backoff_base=0.02, budget=None)
    limiter = LocalRateLimiter(_LIMIT)
    async with MembershipClient(url, MembershipSandbox.API_KEY, retry=retry, rate_limiter=limiter) as client:
        begun = time.perf_counter()
        run = bulk.run(
            client,
            plan,
            journal=journal,
            operation=operation,
            resume=_holds_a_run(journal),
            concurrency=options["concurrency"],
            row_options=bulk.RowOptions(**options["rows"]),
        )
        async with run:
            entered, memory = time.perf_counter(), resident()
            sys.stdout.write("begun\n")
            sys.stdout.flush()
            outcomes = Counter([result.outcome.value async for result in run])
            seconds, grown = time.perf_counter() - entered, resident() - memory
    figures = {"outcomes": outcomes, "checked": entered - begun, "seconds": seconds, "grown": grown}
    sys.stdout.write(json.dumps(figures))


def _holds_a_run(journal: str) -> bool:
    try:
        bulk.status_of(Path(journal))
    except bulk.JournalError:
        return False
    return True


def resident() -> float:
    """Return the process's resident memory in MB."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * 4096 / 1e6


if __name__ == "__main__":
    _url, _journal, _plan, _operation, _options = sys.argv[1:]
    asyncio.run(main(_url, _journal, _plan, _operation, json.loads(_options)))
