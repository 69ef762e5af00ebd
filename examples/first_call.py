"""The first call: a member's contracts, read from a sandbox in this process.

python first_call.py
"""

import asyncio

from membership_sdk.sandbox import MembershipSandbox


async def main() -> None:
    """Print the contracts of the sandbox's member."""
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        for contract in await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID):
            print(contract.id, contract.rate_name, contract.end_date, contract.cancelation_status)


asyncio.run(main())
