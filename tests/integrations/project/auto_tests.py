"""pytest-asyncio in its mode `auto`."""

from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox


async def test_a_coroutine_is_a_test(
    membership_client: MembershipClient, membership_sandbox: MembershipSandbox
) -> None:
    membership_sandbox.fail(Fault.status(503), operation="get_contract_data")
    assert len(await membership_client.get_contract_data(customer_id=1001)) == 2
    assert len(membership_sandbox.requests) == 2
