"""One rate limit for all workers: the documented 1000 requests a minute and operation, kept in Redis.

    pip install '.[redis]'
    export REDIS_URL=redis://127.0.0.1:6379/0
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    python fleet_limit.py

`workers` is how many processes share the limit: without Redis, each keeps to its part of it.
"""

import asyncio
import os

from membership_sdk import MembershipClient
from sdk_core.integrations.redis import RedisRateLimiter

key = os.environ["MEMBERSHIP_API_KEY"]


async def main() -> None:
    """Read the contracts of a member, when it is this worker's turn."""
    limiter = RedisRateLimiter(os.environ["REDIS_URL"], key, 1000, workers=8)
    async with limiter, MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], key, rate_limiter=limiter) as client:
        for contract in await client.get_contract_data(customer_id=1001):
            print(contract.id, contract.rate_name)


asyncio.run(main())
