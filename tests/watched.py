"""Operations and clients of the tests that watch calls."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

from wire import CannedAnswer, FakeTime, Step, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import Effect, MembershipClient, Operation, Query, RetryPolicy, Telemetry, VoidResult

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
UPLOAD = Operation(
    name="upload_it", method="POST", path="/it", body=dict, multipart=True, returns=VoidResult, effect=Effect.WRITE
)
SEARCH = Operation(
    name="search_it",
    method="PUT",
    path="/it/{customer_id:int}/{name:str}",
    query={"q": Query("q")},
    body=dict,
    returns=VoidResult,
    effect=Effect.IDEMPOTENT,
)
BUSY = CannedAnswer(429, headers={"Retry-After": "1"})
IDS: dict[str, Any] = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}


def client_for(server: WireServer, telemetry: Telemetry | None, time: FakeTime, **options: Any) -> MembershipClient:
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    return MembershipClient(server.url, "key", **{"retry": retry, "telemetry": telemetry, **options})


@asynccontextmanager
async def cloudcockpit(
    telemetry: Telemetry, *script: Step, token: Any = "jwt", **options: Any
) -> AsyncIterator[tuple[CloudCockpitClient, WireServer]]:
    async with (
        WireServer(*script) as server,
        CloudCockpitClient("t.example", token, base_url=server.url, telemetry=telemetry, **options) as client,
    ):
        yield client, server


async def arrival(server: WireServer) -> None:
    while not server.requests:
        await asyncio.sleep(0)
