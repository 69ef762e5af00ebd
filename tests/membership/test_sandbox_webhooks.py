"""The sandbox's webhooks: told of documented effects only, delivered in any order and number, from end to end."""

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from typing import Any
from uuid import uuid4

import pytest
from aiohttp import ClientSession, web
from cases import goes_through

from membership_sdk import (
    BadRequestError,
    CancelationStatus,
    Document,
    IdlePeriodState,
    IdleTemporalUnit,
    MembershipClient,
)
from membership_sdk.sandbox import MembershipSandbox, Webhook
from membership_sdk.webhooks import ContractEvent, WebhookEvent, WebhookEventType, WebhookReceiver, read_delivery
from membership_sdk.webhooks.aiohttp_web import webhook_handler

pytestmark = pytest.mark.filterwarnings("ignore::membership_sdk.OperationDeprecatedWarning")

TODAY = date(2026, 1, 15)
CUSTOMER, CONTRACT = MembershipSandbox.CUSTOMER_ID, MembershipSandbox.CONTRACT_ID
CANCELATION: dict[str, Any] = {"cancelation_date": date(2026, 2, 28), "cancelation_reason_id": 11}
PERIOD: dict[str, Any] = {
    "start_date": date(2026, 2, 1),
    "temporal_unit": IdleTemporalUnit.MONTH,
    "term_value": 1,
    "reason_id": 21,
}
MODULE: dict[str, Any] = {
    "contract_id": CONTRACT,
    "additional_module_contract_id": MembershipSandbox.MODULE_CONTRACT_ID,
}


def event_of(webhook: Webhook) -> WebhookEvent:
    (event,) = read_delivery(webhook.body, studio="mine").events
    return event


def told(sandbox: MembershipSandbox) -> list[tuple[str, dict[str, Any]]]:
    """Return what is waiting, and forget it."""
    events = [event_of(webhook) for webhook in sandbox.webhooks.waiting]
    assert {event.entity_id for event in events} <= {CUSTOMER}
    sandbox.webhooks.waiting.clear()
    return [(str(event.type), dict(event.content)) for event in events]


# -- What is told ------------------------------------------------------------------------------------------------------


async def cancel(client: MembershipClient) -> None:
    await client.create_contract_cancelation_amendment(customer_id=CUSTOMER, contract_id=CONTRACT, **CANCELATION)


async def withdraw(client: MembershipClient) -> None:
    await client.withdraw_contract_cancelation(customer_id=CUSTOMER, contract_id=CONTRACT)


async def test_effects_that_take_place_at_once_are_told_at_once() -> None:
    own = {"contractId": CONTRACT}
    module = {**own, "moduleContractId": MODULE["additional_module_contract_id"]}
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        await cancel(client)
        assert told(sandbox) == [("CONTRACT_CANCELLED", own)]
        await withdraw(client)
        assert told(sandbox) == []

        created = await client.create_idle_period_amendment(contract_id=CONTRACT, **PERIOD)
        period = {**own, "idlePeriodId": created.id}
        assert told(sandbox) == [("CONTRACT_IDLE_PERIOD_CREATED", period)]
        ids = {"contract_id": CONTRACT, "idle_period_id": created.id}
        await client.update_idle_period(**ids, **{**PERIOD, "term_value": 2})
        assert told(sandbox) == [("CONTRACT_IDLE_PERIOD_UPDATED", period)]
        await client.withdraw_idle_period(**ids)
        assert told(sandbox) == [("CONTRACT_IDLE_PERIOD_CANCELLED", period)]

        bought = await client.purchase_additional_module_contract(
            contract_id=CONTRACT,
            additional_module_id=sandbox.SOLARIUM_ID,
            payment_frequency_id=sandbox.PAYMENT_FREQUENCY_IDS[sandbox.SOLARIUM_ID],
            book_trial_period=False,
        )
        assert told(sandbox) == [("CONTRACT_ADDITIONAL_MODULE_CREATED", {**own, "moduleContractId": bought.id})]
        await client.create_module_contract_cancelation_amendment(**MODULE, **CANCELATION)
        assert told(sandbox) == [("CONTRACT_ADDITIONAL_MODULE_CANCELLED", module)]
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        assert told(sandbox) == []


async def test_what_waits_for_the_studio_is_told_when_it_agrees() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        await cancel(client)
        await client.create_module_contract_cancelation_amendment(**MODULE, **CANCELATION)
        created = await client.create_idle_period_amendment(contract_id=CONTRACT, **PERIOD)
        assert told(sandbox) == []
        sandbox.agree(contract_id=CONTRACT)
        assert [kind for kind, _ in told(sandbox)] == [
            "CONTRACT_CANCELLED",
            "CONTRACT_ADDITIONAL_MODULE_CANCELLED",
            "CONTRACT_IDLE_PERIOD_CREATED",
        ]
        contract, _ = await client.get_contract_data(customer_id=CUSTOMER)
        assert (contract.cancelation_status, contract.cancelation_date) == (
            CancelationStatus.CANCELED,
            date(2026, 2, 28),
        )
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.CANCELED

        ids = {"contract_id": CONTRACT, "idle_period_id": created.id}
        assert (await client.get_idle_period_by_id(**ids)).state == IdlePeriodState.ACCEPTED
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        await withdraw(client)
        amendment = await client.update_idle_period(**ids, **{**PERIOD, "term_value": 2})
        assert amendment.id != created.id
        assert told(sandbox) == []
        sandbox.agree(contract_id=CONTRACT)
        # Of withdrawals, the platform tells nothing.
        assert told(sandbox) == [("CONTRACT_IDLE_PERIOD_UPDATED", {"contractId": CONTRACT, "idlePeriodId": created.id})]
        contract, _ = await client.get_contract_data(customer_id=CUSTOMER)
        assert (contract.cancelation_status, contract.cancelation_date, contract.cancelation_origin) == (
            None,
            None,
            None,
        )
        module = await client.get_additional_module_contract(**MODULE)
        assert (module.contract_cancelation_status, module.cancelation_date) == (None, None)
        periods = (await client.get_idle_periods(contract_id=CONTRACT)).current_and_upcoming_idle_periods
        assert [(period.id, period.state, period.end_date) for period in periods] == [
            (created.id, IdlePeriodState.ACCEPTED, date(2026, 3, 31))
        ]
        with pytest.raises(ValueError, match="nothing of this contract waits"):
            sandbox.agree(contract_id=CONTRACT)


async def test_nothing_is_told_of_what_was_refused_or_never_became_true() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        pending = await client.create_idle_period_amendment(
            contract_id=CONTRACT,
            **{**PERIOD, "reason_id": 22},
            document=Document(source=b"x", content_type="image/png"),
        )
        await client.withdraw_idle_period(contract_id=CONTRACT, idle_period_id=pending.id)
        with pytest.raises(BadRequestError, match="NOT_CANCELED"):
            await withdraw(client)
        assert told(sandbox) == []


# -- How it is delivered -----------------------------------------------------------------------------------------------


class Listener:
    """Receives webhooks with the key of the sandbox, and keeps the events."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[WebhookEvent] = asyncio.Queue()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        app = web.Application()
        receiver = WebhookReceiver({"mine": MembershipSandbox.WEBHOOK_KEY}, self.events.put)
        app.router.add_post("/webhooks", webhook_handler(receiver))
        async with served(app) as url:
            yield f"{url}/webhooks"


@asynccontextmanager
async def served(app: web.Application) -> AsyncIterator[str]:
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_who_subscribes_is_told_by_itself() -> None:
    listener = Listener()
    async with listener.serving() as url, MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.webhooks.subscribe(url)
        await cancel(client)
        event = await listener.events.get()
        assert isinstance(event, ContractEvent)
        assert (event.type, event.customer_id, event.contract_id) == ("CONTRACT_CANCELLED", CUSTOMER, CONTRACT)
        # Also of what a test does in another thread.
        await asyncio.to_thread(sandbox.webhooks.add, "CONTRACT_REVERSED", CUSTOMER)
        assert (await listener.events.get()).type == "CONTRACT_REVERSED"
        assert not sandbox.webhooks.waiting


async def test_twice_and_out_of_order_on_request() -> None:
    listener = Listener()
    async with listener.serving() as url, MembershipSandbox(today=TODAY) as sandbox:
        with pytest.raises(RuntimeError, match="nobody has subscribed"):
            await sandbox.webhooks.deliver()
        sandbox.webhooks.subscribe(url, hold=True)
        kinds = ["CONTRACT_CREATED", "CONTRACT_UPDATED", "CONTRACT_CANCELLED"]
        for kind in kinds:
            sandbox.webhooks.add(kind, CUSTOMER, {"contractId": CONTRACT})
        assert await sandbox.webhooks.deliver(times=2, reverse=True) == [200] * 6
        assert [webhook.type for webhook, _ in sandbox.webhooks.sent] == kinds[::-1] * 2
        assert [(await listener.events.get()).type for _ in kinds] == kinds[::-1]
        assert listener.events.empty()
        assert await sandbox.webhooks.deliver() == []


async def test_a_receiver_that_refuses_or_is_not_there() -> None:
    listener = Listener()
    async with MembershipSandbox(today=TODAY) as sandbox:
        async with listener.serving() as url:
            sandbox.webhooks.subscribe(url, key="another", hold=True)
            sandbox.webhooks.add("CONTRACT_CREATED", CUSTOMER)
            assert await sandbox.webhooks.deliver() == [401]
        sandbox.webhooks.add("CONTRACT_CREATED", CUSTOMER)
        assert await sandbox.webhooks.deliver() == [None]
        assert [status for _, status in sandbox.webhooks.sent] == [401, None]


async def test_a_sandbox_that_stops_waits_for_no_receiver() -> None:
    arrived = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        arrived.set()
        await asyncio.Event().wait()
        raise AssertionError

    app = web.Application()
    app.router.add_post("/webhooks", never)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with MembershipSandbox(today=TODAY) as sandbox:
        sandbox.webhooks.subscribe(f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks")
        sandbox.webhooks.add("CONTRACT_CREATED", CUSTOMER)
        await arrived.wait()
    await runner.cleanup()
    assert not sandbox.webhooks.sent


@goes_through("url", ["http://example.com/webhooks", "ftp://127.0.0.1", "webhooks", ""])
def test_webhooks_leave_the_machine_by_https_only(url: str) -> None:
    with pytest.raises(ValueError, match="url"):
        MembershipSandbox().webhooks.subscribe(url)


def test_without_a_receiver_nothing_grows() -> None:
    webhooks = MembershipSandbox().webhooks
    for number in range(1500):
        webhooks.add(WebhookEventType.CONTRACT_UPDATED, number + 1)
    assert [event_of(webhooks.waiting[index]).entity_id for index in (0, -1)] == [501, 1500]
    assert "sandbox-webhook-key" not in repr(webhooks.waiting[0])


# -- From end to end ---------------------------------------------------------------------------------------------------


@asynccontextmanager
async def on_fastapi(members: Any) -> AsyncIterator[str]:
    import uvicorn

    from examples.webhook_app import fastapi_app

    with socket.create_server(("127.0.0.1", 0)) as listening:
        server = uvicorn.Server(uvicorn.Config(fastapi_app(members), log_config=None))
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


def on_aiohttp(members: Any) -> AbstractAsyncContextManager[str]:
    from examples.webhook_app import aiohttp_app

    return served(aiohttp_app(members))


@pytest.mark.parametrize("serve", [on_fastapi, on_aiohttp])
async def test_the_example_from_a_cancelation_to_the_studio_s_yes(
    serve: Callable[[Any], AbstractAsyncContextManager[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A member leaves; the studio agrees; the application hears of it twice and out of order, and asks once each."""
    from examples.webhook_app import Members

    monkeypatch.setitem(os.environ, "MEMBERSHIP_WEBHOOK_KEY", MembershipSandbox.WEBHOOK_KEY)
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox:
        members = Members(sandbox.client())
        async with serve(members) as url, ClientSession() as session:

            async def ask(method: str, path: str) -> Any:
                async with session.request(method, url + path) as answer:
                    assert answer.status == 200
                    return await answer.json()

            leave = f"/members/{CUSTOMER}/contracts/{CONTRACT}/leave"
            assert await ask("POST", leave) == "PENDING_VERIFICATION"
            sandbox.webhooks.subscribe(f"{url}/webhooks", hold=True)
            sandbox.agree(contract_id=CONTRACT)
            sandbox.webhooks.add("CONTRACT_UPDATED", CUSTOMER, {"contractId": CONTRACT})
            sandbox.webhooks.add("CONTRACT_REVERSED", CUSTOMER, {"contractId": CONTRACT})
            reads = len(sandbox.requests)
            assert await sandbox.webhooks.deliver(times=2, reverse=True) == [200] * 6
            await members.changed.join()
            assert await ask("GET", f"/contracts/{CONTRACT}") == "CANCELED"
            assert [request.operation for request in sandbox.requests[reads:]] == ["get_contract_data"] * 2
            assert await ask("POST", leave) == "CANCELED"
            assert len(sandbox.ledger) == 1

            sandbox.webhooks.subscribe(f"{url}/webhooks", key=str(uuid4()), hold=True)
            sandbox.webhooks.add("CONTRACT_CANCELLED", CUSTOMER, {"contractId": CONTRACT})
            assert await sandbox.webhooks.deliver() == [401]
            assert members.changed.empty()
