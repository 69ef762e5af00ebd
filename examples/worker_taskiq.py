"""Withdraw cancelations in taskiq workers, over RabbitMQ: nothing is lost with a killed worker, nothing is done twice.

Start workers, as many as you like, and send tasks from anywhere that can import this file:

    export AMQP_URL=amqp://guest:guest@127.0.0.1:5672/
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    taskiq worker worker_taskiq:broker

    await broker.startup()
    await withdraw.kiq(1001, 2003)

A single write of a worker that died goes to the queue `look-into`: it may have happened, and somebody has to look.
"""

import asyncio
import functools
import os
from collections.abc import Callable, Coroutine
from math import inf
from typing import Any, ParamSpec, TypeVar

from aio_pika import ExchangeType
from taskiq_aio_pika import AioPikaBroker, Exchange, Queue

from membership_sdk import MembershipClient, SdkError, correlation_scope
from membership_sdk.workflows import withdraw_cancelation
from sdk_core.correlation import new_correlation_id
from sdk_core.integrations.queues import next_run, settles

P = ParamSpec("P")
R = TypeVar("R")

broker = AioPikaBroker(
    os.environ["AMQP_URL"],
    # Direct: a task that names none of the queues is refused when it is sent, and not lost.
    exchange=Exchange("studio", ExchangeType.DIRECT),
    task_queues=[
        # Delivered again when a worker has died; one that kills each of its workers comes to an end, too.
        Queue(name="workflows", arguments={"x-delivery-limit": 20}),
        # Never delivered again: it would be done twice. It moves on, and leaves only when it has arrived.
        Queue(
            name="single-writes",
            arguments={
                "x-delivery-limit": 0,
                "x-dead-letter-strategy": "at-least-once",
                "x-overflow": "reject-publish",
            },
        ),
    ],
    dead_letter_queue=Queue(name="look-into"),
    # Tasks that a worker holds, of each queue. It runs all of them at once, as long as there are no more than
    # `--max-async-tasks`: what is held and not begun would be lost to the other workers.
    qos=10,
)
# Opens nothing here: the worker's event loop has connections of its own.
client = MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"])


# Acknowledged at its end, however its worker was started ...
AT_ITS_END = "when_saved"
# ... and broken off before RabbitMQ hands it out again, which it does after half an hour though its worker lives.
SECONDS = 1500.0


def repeated(function: Callable[P, Coroutine[Any, Any, R]]) -> Callable[P, Coroutine[Any, Any, R]]:
    """Run a task again if that can't do something twice. It waits in the worker: RabbitMQ has it until its end."""
    can_settle = settles(function)

    @functools.wraps(function)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        tried = 0
        with correlation_scope(new_correlation_id()):
            while True:
                try:
                    return await function(*args, **kwargs)
                except SdkError as error:
                    decision = next_run(error, kwargs, settles=can_settle, tried=tried, most=20, longest=inf)
                    if decision is None:
                        raise
                tried += 1
                await asyncio.sleep(decision.delay)

    return run


@broker.task(queue_name="workflows", ack_type=AT_ITS_END, timeout=SECONDS)
@repeated
async def withdraw(customer_id: int, contract_id: int, *, ask: bool = True) -> str:
    """Withdraw a contract's cancelation; `ask` is False when it is run again to see what became of a request.

    It is delivered again on the assumption that the API refuses to withdraw what is withdrawn: a second run reads
    first, but the first one's request may take effect later than that.
    """
    settled = await withdraw_cancelation(client, customer_id=customer_id, contract_id=contract_id, ask=ask)
    return settled.change.value


@broker.task(queue_name="single-writes", ack_type=AT_ITS_END, timeout=SECONDS)
@repeated
async def withdraw_once(customer_id: int, contract_id: int) -> None:
    """The same by a single request, which is never sent again: a lost answer fails the task, for somebody to look."""
    await client.withdraw_contract_cancelation(customer_id=customer_id, contract_id=contract_id)


@broker.task(queue_name="workflows", ack_type=AT_ITS_END, timeout=SECONDS)
@repeated
async def count_contracts(customer_id: int) -> int:
    """Only read, which may be done as often as a worker is killed."""
    return len(await client.get_contract_data(customer_id=customer_id))
