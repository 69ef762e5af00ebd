"""pytest-asyncio in its mode `strict`, a loop for all tests of the module; and anyio beside it."""

import pytest

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("reads", [0, 1])
async def test_a_marked_coroutine_is_a_test(
    cloudcockpit_client: CloudCockpitClient, cloudcockpit_sandbox: CloudCockpitSandbox, reads: int
) -> None:
    cloudcockpit_sandbox.settle_after = reads
    ids = {
        "customer_id": cloudcockpit_sandbox.CUSTOMER_ID,
        "subscription_id": cloudcockpit_sandbox.ACTIVE_SUBSCRIPTION_ID,
    }
    await cloudcockpit_client.suspend_subscription(**ids)
    seen = [str((await cloudcockpit_client.get_subscription(**ids)).status) for _ in range(2)]
    assert seen == ["Active"] * reads + ["Suspended"] * (2 - reads)


@pytest.mark.anyio
async def test_of_anyio(membership_client: MembershipClient, membership_sandbox: MembershipSandbox) -> None:
    membership_sandbox.fail(Fault.status(503), operation="get_contract_data")
    assert len(await membership_client.get_contract_data(customer_id=1001)) == 2
