"""What is wrong with these tests, the plugin finds out; the other way round, a failure stays what it was."""

import asyncio

from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox


def test_never_meets_its_fault(membership_client: MembershipClient, membership_sandbox: MembershipSandbox) -> None:
    membership_sandbox.fail(Fault.status(503), operation="get_idle_periods")
    asyncio.run(membership_client.get_contract_data(customer_id=1001))


async def test_never_meets_the_second(
    membership_client: MembershipClient, membership_sandbox: MembershipSandbox
) -> None:
    membership_sandbox.fail(Fault.delay(0.001), Fault.drop())
    await membership_client.get_contract_data(customer_id=1001)


def test_fails_by_itself(membership_sandbox: MembershipSandbox) -> None:
    membership_sandbox.fail(Fault.drop())
    raise LookupError("of its own")
