"""Withdraw many cancelations, in a run that can be killed and started again.

    export MEMBERSHIP_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    python bulk_run.py plan.csv run.db
"""

import asyncio
import os
import sys
from pathlib import Path

from membership_sdk import MembershipClient, bulk


async def main(plan: str, journal: str) -> None:
    """Begin the run of a journal, or go on with it."""
    async with (
        MembershipClient(os.environ["MEMBERSHIP_URL"], os.environ["MEMBERSHIP_API_KEY"]) as client,
        bulk.run(
            client, plan, journal=journal, operation="withdraw_cancelation", resume=Path(journal).exists()
        ) as run,
    ):
        async for result in run:
            print(result.line, result.outcome.value, flush=True)
    print(bulk.status_of(journal).counts)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2]))
