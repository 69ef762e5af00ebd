"""Docket tasks that fail on purpose; no call is repeated but by the queue."""

import os
import random
import sys

from membership_sdk import MembershipClient, RetryPolicy
from membership_sdk.workflows import withdraw_cancelation
from sdk_core.correlation import current_correlation_id
from sdk_core.integrations.docket import sdk_task

# No jitter: what is asked for is waited for, and no test waits for more.
if "pytest" not in sys.modules:  # the tests themselves import this, too
    random.random = lambda: 0.0
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"], retry=RetryPolicy.none())


@sdk_task(max_retries=2)
async def withdraw(contract_id: int) -> str | None:
    """Withdraw by a single request, and return the correlation id."""
    await client.withdraw_contract_cancelation(customer_id=1001, contract_id=contract_id)
    return current_correlation_id()


@sdk_task(max_retries=2)
async def settle(contract_id: int, *, timeout: float = 0.1, ask: bool = True) -> tuple[bool, str]:
    """Withdraw by a workflow that has little time, and return whether this run was to ask."""
    ids = {"customer_id": 1001, "contract_id": contract_id}
    return ask, (await withdraw_cancelation(client, **ids, timeout=timeout, ask=ask)).change.value


@sdk_task()
async def mistaken(**_options: int) -> None:
    """Fail with something that no call has raised."""
    raise LookupError


tasks = [withdraw, settle, mistaken]
