"""What the handlers and middlewares for web apps do with ids and errors."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer
from anyio.from_thread import BlockingPortal, start_blocking_portal
from asgi_correlation_id import CorrelationIdMiddleware, correlation_id
from wire import STALL, CannedAnswer, WireServer

from cloudcockpit_sdk import CallTimeoutError, CloudCockpitClient, correlation_scope, deadline_scope
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from sdk_core.correlation import current_correlation_id, new_correlation_id
from sdk_core.integrations.aiohttp_web import CORRELATION_ID, correlation_middleware, problem_middleware
from sdk_core.integrations.asgi import add_problem_handlers

ID = "4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"
NO_IDS = ["", "no id", "x" * 500, "4f1c0f9e-2f0d-4c9f-9d2f", "é"]


def wrong_arguments() -> None:
    int("secret")


# -- FastAPI -----------------------------------------------------------------------------------------------------------


@pytest.fixture
async def sandbox() -> AsyncIterator[CloudCockpitSandbox]:
    async with CloudCockpitSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def asgi(sandbox: CloudCockpitSandbox) -> AsyncIterator[Any]:
    import httpx
    from fastapi import FastAPI, HTTPException

    client = sandbox.client(correlation_id=lambda: correlation_id.get() or new_correlation_id())
    app = FastAPI()
    app.add_middleware(
        CorrelationIdMiddleware,
        header_name="X-Correlation-Id",
        generator=new_correlation_id,
        transformer=lambda text: str(UUID(text)),
    )
    add_problem_handlers(app)

    @app.get("/call/{customer}")
    async def call(customer: str) -> int:
        await asyncio.gather(*(client.list_customer_subscriptions(customer_id=customer) for _ in range(2)))
        return 1

    @app.get("/fault")
    async def fault() -> None:
        wrong_arguments()

    @app.get("/sync/{customer}")
    def sync(customer: str) -> None:
        raise HTTPException(418)

    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with client, httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        yield http


async def test_asgi_correlation_id_binds_all_calls_of_a_request(asgi: Any, sandbox: CloudCockpitSandbox) -> None:
    answer = await asgi.get(f"/call/{sandbox.CUSTOMER_ID}", headers={"X-Correlation-Id": ID})
    assert (answer.status_code, answer.headers["X-Correlation-Id"]) == (200, ID)
    assert [request.headers["X-Correlation-Id"] for request in sandbox.requests] == [ID, ID]


@pytest.mark.parametrize("given", NO_IDS)
async def test_asgi_correlation_id_replaces_what_is_no_id(asgi: Any, sandbox: CloudCockpitSandbox, given: str) -> None:
    answer = await asgi.get(f"/call/{sandbox.CUSTOMER_ID}", headers={"X-Correlation-Id": given.encode()})
    [used] = {request.headers["X-Correlation-Id"] for request in sandbox.requests}
    assert answer.headers["X-Correlation-Id"] == used == str(UUID(used))
    assert used != given


async def test_asgi_handlers_leave_alone_what_is_not_the_sdk_s(asgi: Any, sandbox: CloudCockpitSandbox) -> None:
    fault = await asgi.get("/fault")
    assert (fault.status_code, "secret" in fault.text) == (500, False)
    assert (await asgi.get("/sync/1")).status_code == 418
    problem = await asgi.get("/call/nobody")
    assert (problem.status_code, problem.headers["Content-Type"]) == (422, "application/problem+json")
    assert problem.json()["detail"].startswith("customer_id must be a UUID")
    assert sandbox.requests == []


# -- aiohttp.web -------------------------------------------------------------------------------------------------------


@pytest.fixture
async def aio(sandbox: CloudCockpitSandbox) -> AsyncIterator[TestServer]:
    client = sandbox.client()

    async def call(request: web.Request) -> web.Response:
        await client.list_customer_subscriptions(customer_id=request.match_info["customer"])
        assert request[CORRELATION_ID] == current_correlation_id()
        return web.Response()

    async def end(request: web.Request) -> web.StreamResponse:
        match request.match_info["how"]:
            case "fault":
                wrong_arguments()
            case "conflict":
                raise web.HTTPConflict
            case "stream":
                answer = web.StreamResponse()
                await answer.prepare(request)
                return answer
            case "broken-stream":
                answer = web.StreamResponse()
                await answer.prepare(request)
                await answer.write(b"first")
                await client.list_customer_subscriptions(customer_id="nobody")
        raise KeyError

    app = web.Application(middlewares=[correlation_middleware, problem_middleware])
    app.add_routes([web.get("/call/{customer}", call), web.get("/end/{how}", end)])
    async with client, TestServer(app) as server:
        yield server


@pytest.mark.parametrize("given", [ID, *NO_IDS, None, ID.upper()])
async def test_the_middleware_binds_all_calls_of_a_request(
    aio: TestServer, sandbox: CloudCockpitSandbox, given: str | None
) -> None:
    headers = {} if given is None else {"X-Correlation-Id": given}
    async with (
        ClientSession() as browser,
        browser.get(aio.make_url(f"/call/{sandbox.CUSTOMER_ID}"), headers=headers) as answer,
    ):
        assert answer.status == 200
    [used] = {request.headers["X-Correlation-Id"] for request in sandbox.requests}
    assert answer.headers["X-Correlation-Id"] == used == str(UUID(used))
    assert (used == ID) is (given in {ID, ID.upper()})


@pytest.mark.parametrize(
    ("path", "status", "kind"),
    [
        ("/call/nobody", 422, "application/problem+json"),
        ("/call/7c9e6679-7425-40de-944b-e07fc1f90ae8", 404, "application/problem+json"),
        ("/end/fault", 500, "text/plain"),
        ("/end/missing", 500, "text/plain"),
        ("/end/conflict", 409, "text/plain"),
        ("/end/stream", 200, "application/octet-stream"),
        ("/nowhere", 404, "text/plain"),
    ],
)
async def test_the_middlewares_leave_alone_what_is_not_the_sdk_s(
    aio: TestServer, path: str, status: int, kind: str
) -> None:
    async with (
        ClientSession() as browser,
        browser.get(aio.make_url(path), headers={"X-Correlation-Id": ID}) as answer,
    ):
        text = await answer.text()
    assert (answer.status, answer.content_type, "secret" in text) == (status, kind, False)
    if status in {404, 409, 422}:
        assert answer.headers["X-Correlation-Id"] == ID


async def test_no_problem_is_written_into_an_answer_that_has_begun(aio: TestServer) -> None:
    """It ends where it is, as with any other error."""
    reader, writer = await asyncio.open_connection(aio.host, aio.port)
    writer.write(b"GET /end/broken-stream HTTP/1.1\r\nHost: test\r\n\r\n")
    text = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    assert text.startswith(b"HTTP/1.1 200 OK")
    assert text.endswith(b"5\r\nfirst\r\n")
    assert b"customer_id" not in text


# -- Synchronous views -------------------------------------------------------------------------------------------------


@pytest.fixture
def portal() -> Iterator[BlockingPortal]:
    with start_blocking_portal() as portal:
        yield portal


def test_scopes_of_a_synchronous_view_reach_the_portal(portal: BlockingPortal) -> None:
    """`correlation_scope` and `deadline_scope` around `portal.call`."""

    server = portal.call(WireServer(CannedAnswer(202), STALL).__aenter__)
    client = CloudCockpitClient("tenant.example", "token", base_url=server.url)
    ids = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}

    async def suspend() -> None:
        await client.suspend_subscription(**ids)

    with correlation_scope(ID), deadline_scope(0.2):
        portal.call(suspend)
        with pytest.raises(CallTimeoutError) as caught:
            portal.call(suspend)
    assert caught.value.correlation_id == ID
    assert [request.headers["x-correlation-id"] for request in server.requests] == [ID, ID]
    portal.call(client.aclose)
    portal.call(server.__aexit__, None, None, None)
