"""A studio's members see and cancel their contracts, in FastAPI.

    pip install fastapi uvicorn asgi-correlation-id
    export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
    uvicorn fastapi_app:app

Who may see which member's contracts is the app's own business, and left out here.
"""

import logging
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from uuid import UUID

from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from fastapi import FastAPI

from membership_sdk import ContractData, MembershipClient, deadline_scope
from membership_sdk.workflows import CancelationDate, cancel_contract
from sdk_core.correlation import new_correlation_id
from sdk_core.integrations.asgi import DisconnectMiddleware, add_problem_handlers

logging.basicConfig(level=logging.INFO)
client = MembershipClient(
    os.environ["MEMBERSHIP_BASE_URL"],
    os.environ["MEMBERSHIP_API_KEY"],
    total_timeout=10,
    correlation_id=lambda: correlation_id.get() or new_correlation_id(),
)


@asynccontextmanager
async def lifespan(_app: FastAPI) -> AsyncGenerator[None]:
    """Close the client when the server stops."""
    async with client:
        yield


app = FastAPI(lifespan=lifespan)
app.add_middleware(DisconnectMiddleware)
app.add_middleware(
    CorrelationIdMiddleware,
    header_name="X-Correlation-Id",
    generator=new_correlation_id,
    # It takes a UUID in any spelling; a call's id has at most 128 characters.
    transformer=lambda text: str(UUID(text)),
)
add_problem_handlers(app)


@app.get("/members/{customer_id}/contracts")
async def contracts(customer_id: int) -> list[ContractData]:
    """Return a member's contracts."""
    return await client.get_contract_data(customer_id=customer_id)


@app.post("/members/{customer_id}/contracts/{contract_id}/cancelation")
async def cancel(customer_id: int, contract_id: int, on: CancelationDate, reason: str) -> ContractData:
    """Cancel a contract; asked twice, it is canceled once."""
    with deadline_scope(20):
        settled = await cancel_contract(client, customer_id=customer_id, contract_id=contract_id, on=on, reason=reason)
    return settled.state
