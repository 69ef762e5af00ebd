"""A test that fails the first time, and is run once more: see rerun.py."""

import asyncio

from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox

runs: list[int] = []


def test_meets_its_fault_in_the_end(membership_client: MembershipClient, membership_sandbox: MembershipSandbox) -> None:
    runs.append(len(runs))
    membership_sandbox.fail(Fault.status(409), operation="get_contract_data")
    assert len(runs) > 1, "what it needs is not there yet"
    assert len(asyncio.run(membership_client.get_contract_data(customer_id=1001))) == 2
