"""The demo: a suspended subscription becomes active again."""

from typing import Any

from cloudcockpit_sdk import operations
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from cloudcockpit_sdk.workflows import reactivate_and_wait
from sdk_core.cli.narration import ClaimError, Narration
from sdk_core.errors import BadRequestError
from sdk_core.outcome import Outcome

__all__ = ["demo"]

_POLL_INTERVAL = 0.3
_TIMEOUT = 10.0


async def demo() -> None:
    """Show the main task on a sandbox.

    Raises:
        ClaimError: a statement of the demo does not hold.
        SdkError: a call failed that should succeed.
    """
    tell = Narration()
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        tell.say(f"A sandbox of the CloudCockpit API answers at {sandbox.url}")
        await _list(tell, sandbox, client)
        await _see_suspended(tell, sandbox, client)
        await _reactivate(tell, sandbox, client)
        await _be_refused(tell, sandbox, client)
        await _lose_the_token(tell, sandbox, client)
        tell.end(
            f"All of it happened: {len(sandbox.requests)} requests, {len(sandbox.ledger)} effect, "
            f"{sandbox.token_requests} tokens."
        )


async def _list(tell: Narration, sandbox: CloudCockpitSandbox, client: CloudCockpitClient) -> None:
    tell.step("Get a token, and list the customer's subscriptions page by page")
    pages = [
        page async for page in client.iter_customer_subscriptions(customer_id=sandbox.CUSTOMER_ID, page_size=3).pages()
    ]
    tell.table(
        ("page", "subscription", "offer", "quantity", "state"),
        (
            (number, str(item.id)[:8] + "...", item.offer_name, item.quantity, item.subscription_status)
            for number, page in enumerate(pages, 1)
            for item in page.items
        ),
    )
    listed = [item.id for page in pages for item in page.items]
    tell.check("every subscription came once, in three pages", (len(pages), listed), (3, list(sandbox.subscriptions)))
    tell.check("all with one token", sandbox.token_requests, 1)


async def _see_suspended(tell: Narration, sandbox: CloudCockpitSandbox, client: CloudCockpitClient) -> None:
    tell.step("Look at the suspended one")
    subscription = await client.get_subscription(
        customer_id=sandbox.CUSTOMER_ID, subscription_id=sandbox.SUSPENDED_SUBSCRIPTION_ID
    )
    tell.table(
        ("subscription", "state", "term", "billed", "ends"),
        [
            (
                subscription.offer["name"],
                subscription.status,
                subscription.term_duration,
                subscription.billing_frequency,
                subscription.end_date and subscription.end_date.date(),
            )
        ],
    )
    tell.check("it is suspended", subscription.status, SubscriptionStatus.SUSPENDED)


async def _reactivate(tell: Narration, sandbox: CloudCockpitSandbox, client: CloudCockpitClient) -> None:
    tell.step("Reactivate it: the API only acknowledges it (202), so reactivate_and_wait reads until it is done")
    ids: dict[str, Any] = {
        "customer_id": sandbox.CUSTOMER_ID,
        "subscription_id": sandbox.SUSPENDED_SUBSCRIPTION_ID,
    }
    before = len(sandbox.requests)
    settled = await reactivate_and_wait(client, **ids, timeout=_TIMEOUT, poll=_POLL_INTERVAL)
    calls = [request.operation for request in sandbox.requests[before:]]
    reads = calls[calls.index(operations.REACTIVATE_SUBSCRIPTION.name) + 1 :]
    tell.say(" -> ".join(str(call) for call in calls))
    tell.check("it is active now", settled.state.status, SubscriptionStatus.ACTIVE)
    tell.check("it took a few reads", len(reads) > 1, expected=True)
    tell.check("this run did it", settled.changed, expected=True)
    again = await reactivate_and_wait(client, **ids, timeout=_TIMEOUT, poll=_POLL_INTERVAL)
    tell.check("run again, it finds nothing to do", again.unchanged, expected=True)
    tell.check(
        "one effect on the server",
        [entry.operation for entry in sandbox.ledger],
        [operations.REACTIVATE_SUBSCRIPTION.name],
    )


async def _be_refused(tell: Narration, sandbox: CloudCockpitSandbox, client: CloudCockpitClient) -> None:
    tell.step("Reactivate an active one, and read the error")
    before = len(sandbox.ledger)
    try:
        await client.reactivate_subscription(
            customer_id=sandbox.CUSTOMER_ID, subscription_id=sandbox.ACTIVE_SUBSCRIPTION_ID
        )
    except BadRequestError as error:
        tell.say(str(error))
        tell.check("the error says that nothing happened", error.outcome, Outcome.REJECTED)
        tell.check("and nothing did", len(sandbox.ledger), before)
        sent = sandbox.requests[-1].headers.get("X-Correlation-Id")
        tell.check("one id names the call on both sides", (error.correlation_id, error.details.trace_id), (sent, sent))
    else:
        raise ClaimError("the API did not refuse")


async def _lose_the_token(tell: Narration, sandbox: CloudCockpitSandbox, client: CloudCockpitClient) -> None:
    tell.step("Have the token expire early: the call fetches another and goes on")
    sandbox.expire_tokens()
    reply = await client.call_with_reply(
        operations.GET_SUBSCRIPTION,
        customer_id=sandbox.CUSTOMER_ID,
        subscription_id=sandbox.SUSPENDED_SUBSCRIPTION_ID,
    )
    tell.attempts(reply.attempts)
    tell.check("refused once (401), then answered", [attempt.status for attempt in reply.attempts], [401, 200])
    tell.check("with a second token", sandbox.token_requests, 2)
