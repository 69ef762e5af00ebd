"""One process of the fleet: `python -m benchmarks.fleet.worker JSON` calls as fast as it may, for so many seconds."""

import asyncio
import json
import logging
import os
import sys
from collections import Counter
from contextlib import suppress
from typing import Any

from membership_sdk import LocalRateLimiter, MembershipClient, RateLimiter, RetryPolicy, SdkError
from sdk_core.integrations.redis import RedisRateLimiter


def limiter_for(plan: dict[str, Any]) -> RateLimiter:
    """Return what keeps this process below the limit."""
    limit, period, workers, guard = plan["limit"], plan["period"], plan["workers"], plan["guard"]
    if plan["limiter"] == "redis":
        # The key is not the API's, but that of this run: the server of each has a limit of its own.
        return RedisRateLimiter(plan["redis"], plan["url"], limit, period, workers=workers, guard=guard)
    if plan["limiter"] == "local, a part each":
        return LocalRateLimiter(limit // workers, period * (1 + guard))
    return LocalRateLimiter(limit, period * (1 + guard))


async def call_for(plan: dict[str, Any], client: MembershipClient) -> Counter[str]:
    """Call until the time is up; return the failures by kind."""
    failed: Counter[str] = Counter()

    async def call() -> None:
        while True:
            try:
                await client.get_contract_data(customer_id=1001)
            except SdkError as error:
                failed[type(error).__name__] += 1

    with suppress(TimeoutError):
        async with asyncio.timeout(plan["seconds"]), asyncio.TaskGroup() as tasks:
            for _ in range(plan["tasks"]):
                tasks.create_task(call())
    return failed


async def main() -> None:
    """Connect, say that it is ready, begin when told to, and say what failed."""
    plan = json.loads(sys.argv[1])
    policy = RetryPolicy(rate_limit_wait=plan["period"])
    options: dict[str, Any] = {"retry": policy, "total_timeout": 20 * plan["period"]}
    async with MembershipClient(plan["url"], "key", rate_limiter=limiter_for(plan), **options) as client:
        # What the first calls of a process take is no matter of the limiter's.
        await asyncio.gather(*(client.verify_api_key() for _ in range(min(plan["tasks"], plan["limit"] // 4))))
        sys.stdout.write("ready\n")
        sys.stdout.flush()
        await asyncio.to_thread(sys.stdin.readline)
        failed = await call_for(plan, client)
    sys.stdout.write(f"{json.dumps(failed)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    # Redis gone and back is worth a line; waits and 429s are what the server counts.
    logging.basicConfig(level=os.environ.get("FLEET_LOG", "CRITICAL"), format="%(asctime)s %(name)s %(message)s")
    asyncio.run(main())
