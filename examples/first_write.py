"""The first write: cancel a contract, twice, and see that it was canceled once.

python first_write.py
"""

import asyncio

from membership_sdk.sandbox import MembershipSandbox
from membership_sdk.workflows import cancel_contract


async def main() -> None:
    """Cancel the same contract two times."""
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        for _ in range(2):
            settled = await cancel_contract(
                client,
                customer_id=sandbox.CUSTOMER_ID,
                contract_id=sandbox.CONTRACT_ID,
                on="earliest",
                reason="Moving away",
            )
            print(settled.change.value, settled.state.cancelation_status)
        print("effects on the server:", len(sandbox.ledger))


asyncio.run(main())
