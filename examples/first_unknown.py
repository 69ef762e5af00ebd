"""The first UNKNOWN: the server withdraws a cancelation, but its answer is lost.

python first_unknown.py
"""

import asyncio

from membership_sdk import Outcome, SdkError
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import withdraw_cancelation


async def main() -> None:
    """Lose an answer, look at the error, then find out what happened."""
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        customer_id, contract_id = sandbox.CUSTOMER_ID, sandbox.CANCELED_CONTRACT_ID
        sandbox.fail(Fault.drop(after_applying=True), operation="withdraw_contract_cancelation")
        try:
            await client.withdraw_contract_cancelation(customer_id=customer_id, contract_id=contract_id)
        except SdkError as error:
            print(type(error).__name__, error.outcome.value, "after", len(error.attempts), "attempt")
            if error.outcome is not Outcome.UNKNOWN:
                raise
        # The workflow reads first. It would send the request only if the contract were still canceled.
        settled = await withdraw_cancelation(client, customer_id=customer_id, contract_id=contract_id)
        print(settled.change.value, settled.state.cancelation_status)
        print("effects on the server:", len(sandbox.ledger))


asyncio.run(main())
