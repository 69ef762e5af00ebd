"""Withdraw cancelations in docket workers, over Redis: a killed worker's task is run again, and nothing is done twice.

Start workers, as many as you like, and add a task as `main` does:

    export REDIS_URL=redis://127.0.0.1:6379/0
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    python -m docket worker --url $REDIS_URL --docket studio --tasks worker_docket:tasks --redelivery-timeout 30s
    python worker_docket.py

Tasks of one key are one task, as long as it has not ended. A worker renews what it holds, so that a long task is not
run twice; one that is dead is noticed after `--redelivery-timeout`, which the event loop must never stand still for.
"""

import asyncio
import os

from docket import Docket

from membership_sdk import MembershipClient
from membership_sdk.workflows import withdraw_cancelation
from sdk_core.integrations.docket import correlated, sdk_task

# Opens nothing here: the worker's event loop has connections of its own.
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"])


@sdk_task(repeatable=True)
async def withdraw(customer_id: int, contract_id: int, *, ask: bool = True) -> str:
    """Withdraw a contract's cancelation; `ask` is False when it is run again to see what became of a request.

    It is repeatable on the assumption that the API refuses to withdraw what is withdrawn: a second run reads first, but
    the first one's request may take effect later than that.
    """
    settled = await withdraw_cancelation(client, customer_id=customer_id, contract_id=contract_id, ask=ask)
    return settled.change.value


@sdk_task()
async def withdraw_once(customer_id: int, contract_id: int) -> None:
    """The same by a single request, which is never sent again: a lost answer fails the task, for somebody to look."""
    await client.withdraw_contract_cancelation(customer_id=customer_id, contract_id=contract_id)


@sdk_task(repeatable=True)
async def count_contracts(customer_id: int) -> int:
    """Only read, which may be done as often as a worker is killed."""
    return len(await client.get_contract_data(customer_id=customer_id))


tasks = [withdraw, withdraw_once, count_contracts]


async def main() -> None:
    """Add a task, and wait for what it returns."""
    async with Docket(name="studio", url=os.environ["REDIS_URL"]) as docket:
        docket.register(withdraw)
        execution = await correlated(docket.add(withdraw, key="withdraw:2003"))(1001, 2003)
        print(await execution.get_result())


if __name__ == "__main__":
    asyncio.run(main())
