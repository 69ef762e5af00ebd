"""A worker of bulk runs, as a process that can be killed: `python docket_worker.py URL REDIS`."""

import asyncio
import sys

from membership_sdk import LocalRateLimiter, MembershipClient, RetryPolicy
from membership_sdk.bulk import CATALOGUE
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.bulk.docket import work


async def main(url: str, redis_url: str) -> None:
    retry = RetryPolicy(backoff_base=0.02, budget=None)
    limiter = LocalRateLimiter(10**9)
    async with MembershipClient(url, MembershipSandbox.API_KEY, retry=retry, rate_limiter=limiter) as client:
        await work(client, CATALOGUE, redis_url, concurrency=5, redelivery_timeout=2.0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
