"""Celery tasks that fail on purpose; no call is repeated but by the queue."""

import asyncio
import os
import random
import sys

from celery import Celery
from celery.concurrency.asynpool import AsynPool

from membership_sdk import MembershipClient, RetryPolicy
from membership_sdk.workflows import withdraw_cancelation
from sdk_core.correlation import current_correlation_id
from sdk_core.integrations.celery import configure, sdk_task

app = Celery("celery_tasks", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
configure(app, visibility_timeout=20)
if os.environ.get("UNDO"):
    app.conf.task_acks_late = False
# No jitter: what is asked for is waited for, and no test waits for more.
if "pytest" not in sys.modules:  # the tests themselves import this, too
    random.random = lambda: 0.0
# Celery looks every 5 s for processes that died, unless it happens to learn of it.
AsynPool.timers = property(lambda pool: {pool.maintain_pool: 0.1})
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"], retry=RetryPolicy.none())


@sdk_task(app, max_retries=2)
async def withdraw(contract_id: int) -> str | None:
    """Withdraw by a single request, and return the correlation id."""
    await client.withdraw_contract_cancelation(customer_id=1001, contract_id=contract_id)
    return current_correlation_id()


@sdk_task(app, max_retries=2)
async def settle(contract_id: int, *, timeout: float = 0.1, ask: bool = True) -> tuple[bool, str]:
    """Withdraw by a workflow that has little time, and return whether this run was to ask."""
    ids = {"customer_id": 1001, "contract_id": contract_id}
    return ask, (await withdraw_cancelation(client, **ids, timeout=timeout, ask=ask)).change.value


@sdk_task(app)
async def where() -> tuple[int, int]:
    """Return the process and the event loop."""
    return os.getpid(), id(asyncio.get_running_loop())
