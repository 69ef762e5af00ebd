"""Other libraries that stop or move the time."""

import asyncio
from datetime import UTC, datetime

import time_machine
from freezegun import freeze_time

from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox

THEN = datetime(2031, 5, 4, 12, tzinfo=UTC)


@freeze_time(THEN)
def test_with_freezegun(membership_client: MembershipClient, membership_sandbox: MembershipSandbox) -> None:
    _leave(membership_client, membership_sandbox)


@time_machine.travel(THEN, tick=False)
def test_with_time_machine(membership_client: MembershipClient, membership_sandbox: MembershipSandbox) -> None:
    _leave(membership_client, membership_sandbox)


def _leave(client: MembershipClient, sandbox: MembershipSandbox) -> None:
    async def run() -> None:
        sandbox.fail(Fault.status(429), operation="get_contract_data")
        contract, _ = await client.get_contract_data(customer_id=1001)
        await client.create_contract_cancelation_amendment(
            customer_id=1001,
            contract_id=contract.id,
            cancelation_date=contract.available_cancelation_dates[-1],
            cancelation_reason_id=sandbox.REASON_ID,
        )

    assert datetime.now(UTC) == THEN
    asyncio.run(run())
    assert len(sandbox.ledger) == 1
