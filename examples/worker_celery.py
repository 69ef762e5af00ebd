"""Withdraw cancelations in Celery workers, over Redis: a killed worker's task is run again, and nothing is done twice.

A task that is sent at the moment its worker dies may be lost, which RabbitMQ as the broker does not do (BROKER_URL).

Start workers, as many as you like, and send tasks from anywhere that can import this file:

    export REDIS_URL=redis://127.0.0.1:6379/0
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    celery --app worker_celery worker --concurrency 4

    withdraw.delay(1001, 2003)
"""

import os

from celery import Celery

from membership_sdk import MembershipClient
from membership_sdk.workflows import withdraw_cancelation
from sdk_core.integrations.celery import configure, sdk_task

results = os.environ["REDIS_URL"]
app = Celery("worker_celery", broker=os.environ.get("BROKER_URL", results), backend=results)
# Redis hands out again what a dead machine held after this many seconds. A process that died alone is noticed in a few.
configure(app, visibility_timeout=int(os.environ.get("VISIBILITY_TIMEOUT", "600")))
# Opens nothing here: each worker process has connections of its own, and keeps them from task to task.
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"])


@sdk_task(app, repeatable=True)
async def withdraw(customer_id: int, contract_id: int, *, ask: bool = True) -> str:
    """Withdraw a contract's cancelation; `ask` is False when it is run again to see what became of a request.

    It is repeatable on the assumption that the API refuses to withdraw what is withdrawn: a second run reads first, but
    the first one's request may take effect later than that.
    """
    settled = await withdraw_cancelation(client, customer_id=customer_id, contract_id=contract_id, ask=ask)
    return settled.change.value


@sdk_task(app)
async def withdraw_once(customer_id: int, contract_id: int) -> None:
    """The same by a single request, which is never sent again: a lost answer fails the task, for somebody to look."""
    await client.withdraw_contract_cancelation(customer_id=customer_id, contract_id=contract_id)


@sdk_task(app, repeatable=True)
async def count_contracts(customer_id: int) -> int:
    """Only read, which may be done as often as a worker is killed."""
    return len(await client.get_contract_data(customer_id=customer_id))
