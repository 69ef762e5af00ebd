"""Withdraw many cancelations, in a run that can be killed and started again.

export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
python bulk_run.py plan.csv run.db
"""

import asyncio
import os
import sys
from pathlib import Path

from membership_sdk import MembershipClient, bulk


async def main(plan: Path, journal: Path, *, resume: bool) -> None:
    """Begin the run of a journal, or go on with it."""
    url, key = os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"]
    # What was lost may come late: it is sent once more only if reading shows nothing after so many seconds.
    options = bulk.RowOptions(resend_after=float(os.environ.get("RESEND_AFTER", "60")))
    async with (
        MembershipClient(url, key) as client,
        bulk.run(
            client, plan, journal=journal, operation="withdraw_cancelation", resume=resume, row_options=options
        ) as run,
    ):
        async for result in run:
            print(result.line, result.outcome.value, flush=True)
    print(bulk.status_of(journal).counts)


if __name__ == "__main__":
    plan, journal = Path(sys.argv[1]), Path(sys.argv[2])
    asyncio.run(main(plan, journal, resume=journal.exists()))
