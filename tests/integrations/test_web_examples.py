"""The web apps of `examples/`, started as their first lines say, with the sandboxes behind them."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import ClientError, ClientSession
from attrs import define
from redis_server import free_port

from cloudcockpit_sdk import SubscriptionStatus, from_json
from cloudcockpit_sdk.models import Subscription, SubscriptionListItem
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import CancelationStatus, ContractData
from membership_sdk.sandbox import Fault, MembershipSandbox

pytestmark = pytest.mark.asyncio(loop_scope="module")
ROOT = Path(__file__).parents[2]
ID = "4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"
COMMANDS: Mapping[str, tuple[str, ...]] = {
    "fastapi": ("-m", "uvicorn", "fastapi_app:app", "--port", "{port}"),
    "aiohttp": ("aiohttp_app.py",),
    "flask": ("-m", "flask", "--app", "flask_app", "run", "--port", "{port}"),
    "django": ("django_app.py", "runserver", "--noreload", "{port}"),
}
MEMBER = f"/members/{MembershipSandbox.CUSTOMER_ID}/contracts"
CUSTOMER = f"/customers/{CloudCockpitSandbox.CUSTOMER_ID}/subscriptions"


@define
class App:
    """A web app that runs in a process of its own."""

    name: str
    url: str
    process: Process
    sandbox: Any

    @property
    def is_membership(self) -> bool:
        return self.name in {"fastapi", "flask"}

    @property
    def read(self) -> str:
        return self.url + (MEMBER if self.is_membership else CUSTOMER)

    @property
    def read_operation(self) -> str:
        return "get_contract_data" if self.is_membership else "list_customer_subscriptions"

    def write(self, thing: object) -> str:
        what = "cancelation?on=earliest&reason=Moving+away" if self.is_membership else "suspension"
        return f"{self.read}/{thing}/{what}"

    @property
    def write_operation(self) -> str:
        return "create_contract_cancelation_amendment" if self.is_membership else "suspend_subscription"

    @property
    def thing(self) -> object:
        return self.sandbox.CONTRACT_ID if self.is_membership else self.sandbox.ACTIVE_SUBSCRIPTION_ID

    def effects(self) -> list[str]:
        return [entry.operation for entry in self.sandbox.ledger if entry.operation == self.write_operation]


def environment(sandbox: Any, port: int) -> dict[str, str]:
    found = os.environ | {"PYTHONPATH": os.pathsep.join((str(ROOT), str(ROOT / "shared"))), "PORT": str(port)}
    if isinstance(sandbox, MembershipSandbox):
        return found | {"MEMBERSHIP_BASE_URL": sandbox.url, "MEMBERSHIP_API_KEY": sandbox.API_KEY}
    return found | {
        "CLOUDCOCKPIT_BASE_URL": sandbox.url,
        "CLOUDCOCKPIT_TENANT": sandbox.TENANT,
        "CLOUDCOCKPIT_CLIENT_ID": sandbox.CLIENT_ID,
        "CLOUDCOCKPIT_CLIENT_SECRET": sandbox.CLIENT_SECRET,
        "CLOUDCOCKPIT_TOKEN_URL": sandbox.token_url,
    }


@asynccontextmanager
async def running(name: str) -> AsyncIterator[App]:
    sandbox = MembershipSandbox() if name in {"fastapi", "flask"} else CloudCockpitSandbox(settle_after=0)
    port = free_port()
    async with sandbox:
        command = [part.format(port=port) for part in COMMANDS[name]]
        process = await asyncio.create_subprocess_exec(
            sys.executable, *command, cwd=ROOT / "examples", env=environment(sandbox, port), stdout=PIPE, stderr=PIPE
        )
        app = App(name, f"http://127.0.0.1:{port}", process, sandbox)
        try:
            yield app
        finally:
            if process.returncode is None:
                process.terminate()
            await process.communicate()


async def answering(app: App, browser: ClientSession) -> App:
    async with asyncio.timeout(30):
        while app.process.returncode is None:
            try:
                async with browser.get(app.url):
                    return app
            except ClientError:
                await asyncio.sleep(0.02)
    raise AssertionError((await app.process.communicate())[1].decode())


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def browser() -> AsyncIterator[ClientSession]:
    async with ClientSession() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def apps(browser: ClientSession) -> AsyncIterator[dict[str, App]]:
    """All of them, started at the same time."""
    async with AsyncExitStack() as stack:
        apps = [await stack.enter_async_context(running(name)) for name in COMMANDS]
        yield {app.name: await answering(app, browser) for app in apps}


@pytest.fixture
def app(request: pytest.FixtureRequest, apps: dict[str, App]) -> App:
    app = apps[request.param]
    app.sandbox.requests.clear()
    return app


def of(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("app", names, indirect=True)


@of(*COMMANDS)
async def test_a_read_answers_the_api_s_json(app: App, browser: ClientSession) -> None:
    async with browser.get(app.read) as answer:
        text = await answer.read()
    assert (answer.status, answer.content_type) == (200, "application/json")
    if app.name == "fastapi":
        contracts = await answer.json()
        assert [contract["id"] for contract in contracts] == list(app.sandbox.contracts[app.sandbox.CUSTOMER_ID])
        assert contracts[0]["priceDetails"]["basePrice"]["currency"] == "EUR"
    elif app.is_membership:
        assert from_json(list[ContractData], text) == list(app.sandbox.contracts[app.sandbox.CUSTOMER_ID].values())
    else:
        assert {item.id for item in from_json(list[SubscriptionListItem], text)} == set(app.sandbox.subscriptions)


@of(*COMMANDS)
async def test_what_is_not_there_is_a_problem(app: App, browser: ClientSession) -> None:
    """Without a word of the server's."""
    missing = app.write(7 if app.is_membership else "7c9e6679-7425-40de-944b-e07fc1f90ae8")
    async with browser.post(missing) as answer:
        body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["status"], body["outcome"]) in [(404, 404, "rejected"), (409, 409, "not_sent")]
    assert app.effects() == []


@of("fastapi", "aiohttp", "flask")
async def test_an_argument_that_is_refused_is_a_problem(app: App, browser: ClientSession) -> None:
    """The routes of the Django app take UUIDs only."""
    wrong = app.read.replace(str(app.sandbox.CUSTOMER_ID), "0" if app.is_membership else "nobody")
    async with browser.get(wrong) as answer:
        body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["outcome"]) == (422, "not_sent")
    assert body["detail"].startswith("customer_id must be ")
    assert app.sandbox.requests == []


@of("fastapi", "aiohttp")
async def test_the_id_of_a_request_goes_along(app: App, browser: ClientSession) -> None:
    """To the API, where it has a header for it, and back to the browser; what is no id is replaced."""
    odd = ("{" * 200 + ID + "}", f"urn:uuid:{ID}", "-" * 200 + ID, ID.upper())
    for given, kept in ((ID, True), *((spelled, True) for spelled in odd), ("no id", False), ("x" * 300, False)):
        app.sandbox.requests.clear()
        async with browser.get(app.read, headers={"X-Correlation-Id": given}) as answer:
            told = answer.headers["X-Correlation-Id"]
        assert (answer.status, told == ID) == (200, kept)
        assert len(told) == 36
        if not app.is_membership:
            assert {request.headers["X-Correlation-Id"] for request in app.sandbox.requests} == {told}


def asked(app: App) -> list[str | None]:
    return [request.operation for request in app.sandbox.requests]


@of(*COMMANDS)
async def test_a_browser_that_hangs_up_loses_nothing(app: App, browser: ClientSession) -> None:
    """The write runs to its end, once; who asks again is told that it is so."""
    app.sandbox.fail(Fault.delay(0.3), operation=app.write_operation)
    host, _, port = app.url.removeprefix("http://").partition(":")
    _reader, writer = await asyncio.open_connection(host, int(port))
    path = app.write(app.thing).removeprefix(app.url)
    writer.write(f"POST {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode())
    async with asyncio.timeout(10):
        while app.write_operation not in asked(app):
            await asyncio.sleep(0.01)
        writer.close()
        while asked(app)[-1] == app.write_operation:
            await asyncio.sleep(0.01)
    # After the write, the workflow has read what came of it.
    assert len(app.effects()) == 1
    async with browser.post(app.write(app.thing)) as answer:
        text = await answer.text()
    assert answer.status == 200, text
    if app.is_membership:
        state = (await answer.json())["cancelationStatus"]
        assert state == CancelationStatus.CANCELED
    else:
        assert from_json(Subscription, text).status is SubscriptionStatus.SUSPENDED
    assert len(app.effects()) == 1


@of(*COMMANDS)
async def test_an_api_that_throttles_is_a_problem(app: App, browser: ClientSession) -> None:
    """From now on the app's own limiter holds reads back, too."""
    app.sandbox.fail(Fault.status(429, retry_after=60), operation=app.read_operation)
    async with browser.get(app.read) as answer:
        body = await answer.json(content_type="application/problem+json")
    assert (answer.status, body["outcome"], body["operation"]) == (503, "rejected", app.read_operation)
    assert 50 <= int(answer.headers["Retry-After"]) <= 60


@of(*COMMANDS)
async def test_an_app_stops_cleanly(app: App, browser: ClientSession) -> None:
    """Last of all, by Ctrl+C: no session is left open, and what was logged is of hang-ups and problems only."""
    app.process.send_signal(signal.SIGINT)
    async with asyncio.timeout(10):
        output, errors = await app.process.communicate()
    text = (output + errors).decode()
    assert "Traceback" not in text
    assert "Unclosed" not in text
    assert "answered with status 503" in text
    if app.name in {"fastapi", "aiohttp"}:
        assert text.count("(POST) ended with status 200 when nobody waited for its answer any more") == 1, text
