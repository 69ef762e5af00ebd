"""An application that hears of changes: members leave through it, and it shows when their studio has agreed.

    pip install fastapi uvicorn
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=... MEMBERSHIP_WEBHOOK_KEY=...
    uvicorn --factory webhook_app:fastapi_app        # or aiohttp.web: python webhook_app.py

The platform forbids to call its API while a webhook is handled. So the handler only notes that something has changed,
and a worker asks what. The notes are in memory here, and lost when the process ends: yours belong into your database,
or your job queue.
"""

import asyncio
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from fastapi import FastAPI
from starlette.routing import Route

from membership_sdk import MembershipClient, SdkError, workflows
from membership_sdk.webhooks import ContractEvent, WebhookEvent, WebhookReceiver
from membership_sdk.webhooks.aiohttp_web import webhook_handler
from membership_sdk.webhooks.asgi import WebhookApp


class Members:
    """What the application knows of its members' contracts."""

    def __init__(self, client: MembershipClient) -> None:
        self.client = client
        self.statuses: dict[int, str | None] = {}
        """By contract id."""
        self.changed: asyncio.Queue[int] = asyncio.Queue()
        """Ids of customers, something of whom has changed."""

    async def leave(self, customer_id: int, contract_id: int) -> str | None:
        """Cancel a contract; the studio may have to agree."""
        settled = await workflows.cancel_contract(
            self.client, customer_id=customer_id, contract_id=contract_id, on="earliest", reason="Moving away"
        )
        self.statuses[contract_id] = settled.state.cancelation_status
        return self.statuses[contract_id]

    async def hear(self, event: WebhookEvent) -> None:
        """Handle a webhook: take it over, and be done."""
        if isinstance(event, ContractEvent):
            await self.changed.put(event.customer_id)

    async def work(self) -> None:
        """Ask the API about what has changed. It does not matter how often, or in which order, that was told."""
        while True:
            customer_id = await self.changed.get()
            try:
                for contract in await self.client.get_contract_data(customer_id=customer_id):
                    self.statuses[contract.id] = contract.cancelation_status
            except SdkError as error:
                print(f"not known now, asked again in a minute: {error}")
                asyncio.get_running_loop().call_later(60, self.changed.put_nowait, customer_id)
            finally:
                self.changed.task_done()

    @asynccontextmanager
    async def at_work(self, receiver: WebhookReceiver) -> AsyncGenerator[None]:
        """Work while the application runs."""
        worker = asyncio.create_task(self.work())
        yield
        await receiver.aclose()
        worker.cancel()
        await self.client.aclose()


def from_environment() -> Members:
    """Return the members of the studio that the environment names."""
    return Members(MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"]))


def receiver_of(members: Members) -> WebhookReceiver:
    """Return what takes the webhooks of the studio."""
    return WebhookReceiver({"my studio": os.environ["MEMBERSHIP_WEBHOOK_KEY"]}, members.hear)


def fastapi_app(members: Members | None = None) -> FastAPI:
    """Return the application in FastAPI."""
    known = members or from_environment()
    receiver = receiver_of(known)
    app = FastAPI(lifespan=lambda _: known.at_work(receiver))
    app.router.routes.append(Route("/webhooks", WebhookApp(receiver), methods=["POST"]))

    @app.post("/members/{customer_id}/contracts/{contract_id}/leave")
    async def leave(customer_id: int, contract_id: int) -> str | None:
        return await known.leave(customer_id, contract_id)

    @app.get("/contracts/{contract_id}")
    async def show(contract_id: int) -> str | None:
        return known.statuses.get(contract_id)

    return app


def aiohttp_app(members: Members | None = None) -> web.Application:
    """Return the application in aiohttp.web."""
    known = members or from_environment()
    receiver = receiver_of(known)

    async def leave(request: web.Request) -> web.Response:
        ids = request.match_info
        return web.json_response(await known.leave(int(ids["customer_id"]), int(ids["contract_id"])))

    async def show(request: web.Request) -> web.Response:
        return web.json_response(known.statuses.get(int(request.match_info["contract_id"])))

    async def at_work(_: web.Application) -> AsyncIterator[None]:
        async with known.at_work(receiver):
            yield

    app = web.Application()
    app.cleanup_ctx.append(at_work)
    app.router.add_post("/webhooks", webhook_handler(receiver))
    app.router.add_post("/members/{customer_id}/contracts/{contract_id}/leave", leave)
    app.router.add_get("/contracts/{contract_id}", show)
    return app


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO)
    web.run_app(aiohttp_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")))
