"""Tests of an application against the sandboxes, with the fixtures that the SDK brings for pytest.

    python -m pytest first_tests.py
"""

import asyncio

import pytest

from membership_sdk import CancelationStatus, MembershipClient, NotSettledError
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import cancel_contract


async def leave(client: MembershipClient, customer_id: int, contract_id: int) -> CancelationStatus | None:
    """Stand in for the application: what is tested here is yours."""
    settled = await cancel_contract(
        client, customer_id=customer_id, contract_id=contract_id, on="earliest", reason="Moving away"
    )
    return settled.state.cancelation_status


def test_own_data(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    """A contract of the test's own; what is not said gets a default."""
    contract = membership_sandbox.add_contract(customer_id=7, rate_name="Basic")
    assert asyncio.run(leave(membership_client, 7, contract.id)) == CancelationStatus.CANCELED
    assert [entry.operation for entry in membership_sandbox.ledger] == ["create_contract_cancelation_amendment"]


def test_a_lost_answer(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    """The request took effect and its answer was lost: the member leaves once, and the application knows it."""
    membership_sandbox.fail(Fault.drop(after_applying=True), operation="create_contract_cancelation_amendment")
    asyncio.run(leave(membership_client, membership_sandbox.CUSTOMER_ID, membership_sandbox.CONTRACT_ID))
    assert len(membership_sandbox.ledger) == 1


def test_nobody_knows(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    """It was not applied, and the answer was lost: the workflow reads for 30 s, which take no time, and says so."""
    membership_sandbox.fail(Fault.drop(), operation="create_contract_cancelation_amendment")
    with pytest.raises(NotSettledError) as raised:
        asyncio.run(leave(membership_client, membership_sandbox.CUSTOMER_ID, membership_sandbox.CONTRACT_ID))
    assert raised.value.outcome.value == "unknown"


def test_time_passes(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    """A month later there is another earliest date."""
    ids = membership_sandbox.CUSTOMER_ID, membership_sandbox.CONTRACT_ID
    before = membership_sandbox.contracts[ids[0]][ids[1]].available_cancelation_dates
    membership_sandbox.clock.advance(days=40)
    asyncio.run(leave(membership_client, *ids))
    contract = membership_sandbox.contracts[ids[0]][ids[1]]
    assert contract.cancelation_date not in {None, before[0]}
