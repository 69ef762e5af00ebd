"""Tests of an application against the sandboxes, with the fixtures that the SDK brings for pytest.

python -m pytest first_tests.py
"""

import asyncio
from datetime import timedelta

import pytest

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import CancelationStatus, ConflictError, MembershipClient, NotSettledError
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


def test_a_refusal_that_passes(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    """The API asks to wait for 20 s, and the client does, in no time."""
    membership_sandbox.fail(Fault.status(503, retry_after=20), operation="get_contract_data")
    asyncio.run(leave(membership_client, membership_sandbox.CUSTOMER_ID, membership_sandbox.CONTRACT_ID))
    assert len(membership_sandbox.ledger) == 1


def test_time_passes(cloudcockpit_sandbox: CloudCockpitSandbox, cloudcockpit_client: CloudCockpitClient) -> None:
    """A subscription may be canceled for a week only: a day later, the API refuses."""
    sandbox = cloudcockpit_sandbox
    week = sandbox.clock.now() + timedelta(days=7)
    subscription = sandbox.add_subscription(cancellation_allowed_until=week)
    sandbox.clock.advance(days=8)
    call = cloudcockpit_client.cancel_subscription(customer_id=sandbox.CUSTOMER_ID, subscription_id=subscription.id)
    with pytest.raises(ConflictError):
        asyncio.run(call)
