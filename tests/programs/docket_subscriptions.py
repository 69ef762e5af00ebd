"""Docket tasks that suspend and reactivate subscriptions."""

import os

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from cloudcockpit_sdk.workflows import reactivate_and_wait, suspend_and_wait
from sdk_core.integrations.docket import sdk_task

client = CloudCockpitClient(
    os.environ["CLOUDCOCKPIT_TENANT"],
    ClientCredentials(
        os.environ["CLOUDCOCKPIT_CLIENT_ID"],
        os.environ["CLOUDCOCKPIT_CLIENT_SECRET"],
        token_url=os.environ["CLOUDCOCKPIT_TOKEN_URL"],
    ),
    base_url=os.environ["CLOUDCOCKPIT_BASE_URL"],
)


@sdk_task(repeatable=True)
async def switch(subscription_id: str, status: str, *, ask: bool = True) -> str:
    """Have a subscription be Active or Suspended, and return what is known of this run's part in it."""
    workflow = suspend_and_wait if status == "Suspended" else reactivate_and_wait
    customer_id = os.environ["CLOUDCOCKPIT_CUSTOMER_ID"]
    settled = await workflow(
        client, customer_id=customer_id, subscription_id=subscription_id, timeout=6.0, poll=0.1, ask=ask
    )
    return settled.change.value


tasks = [switch]
