"""R-18: what is secret, or a member's, is told nowhere: a table of canaries, of ways to fail, and of surfaces."""

import asyncio
import copy
import io
import json
import logging
import pickle
import re
import socket
import ssl
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import trustme
from aiohttp import ClientSession
from cases import goes_through
from multidict import CIMultiDict, CIMultiDictProxy
from payloads import payload
from rich.pretty import pretty_repr
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireRequest, WireServer
from yarl import URL

import membership_sdk
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient, correlation_scope
from cloudcockpit_sdk import operations as cloudcockpit_operations
from cloudcockpit_sdk import workflows as cloudcockpit_workflows
from cloudcockpit_sdk.errors import read_error as read_cloudcockpit_error
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import Connection, Document, LocalRateLimiter, MembershipClient, workflows
from membership_sdk import operations as membership_operations
from membership_sdk.errors import read_error as read_membership_error
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.auth import ApiKey, BearerToken, FixedToken, Token
from sdk_core.backend import Backend
from sdk_core.call import Answer, Call, Options
from sdk_core.errors import SdkError
from sdk_core.retry import RetryPolicy
from sdk_core.transport.multipart import Multipart

# -- What must not be told ---------------------------------------------------------------------------------------------

KEY = "CANARY-api-key"
TOKEN = "CANARY-token"
SECRET = "CANARY-client-secret"
PASSWORD = "CANARY-proxy-password"
TENANT = "CANARY-tenant.example"
HOST = "canary-host.example"
"""A studio's host has the tenant's name in it."""
QUERY = "CANARY-query"
BODY = "CANARY-body"
FILE = "CANARY-file"
SERVER_TEXT = "CANARY server text"
MEMBER = 7700112233445566
CONTRACT = 8800112233445566
REASON = 9900112233445566
PERSON = UUID("deadbeef-0000-4000-8000-00000000cafe")
CANARIES = re.compile(rf"(?i)CANARY.{{0,20}}|{MEMBER}|{CONTRACT}|{REASON}|{PERSON}|{PERSON.hex}")
"""Every text above, whatever became of its case, and the ids."""

TRACES = ("canary", *map(str, (MEMBER, CONTRACT, REASON, PERSON)), PERSON.hex)
"""One of these is in each canary; to look for them takes a tenth of the time."""


def canaries_in(told: str) -> list[str]:
    lower = told.lower()
    return CANARIES.findall(told) if any(trace in lower for trace in TRACES) else []


CORRELATION = "5ca1ab1e-c0de-4000-8000-000000000001"
"""Not secret: it is on every error of a call and its log records, and nowhere else."""

# -- Where it must not be told -----------------------------------------------------------------------------------------

SURFACES: dict[str, Callable[[BaseException], str]] = {
    "str": str,
    "repr": repr,
    "args": lambda error: repr(error.args),
    "traceback": lambda error: "".join(traceback.format_exception(error, limit=1000)),
}
OF_SDK_ERRORS: dict[str, Callable[[Any], str]] = SURFACES | {
    "to_dict": lambda error: json.dumps(error.to_dict()),
    "copy": lambda error: repr(vars(copy.deepcopy(error))) + repr(copy.deepcopy(error)),
    "pickle": lambda error: "".join(repr(pickle.dumps(error, protocol)) for protocol in range(2, 6)),
    "unpickled": lambda error: repr(vars(pickle.loads(pickle.dumps(error)))) + repr(pickle.loads(pickle.dumps(error))),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that is chained to it: what a debugger or an error tracker walks through."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def check_errors(errors: Iterable[BaseException]) -> None:
    """No canary on any surface of an error, nor of those chained to it; none of these is a foreign library's."""
    for error in errors:
        for link in chain(error):
            assert type(link).__module__ in {
                "sdk_core.errors",
                "sdk_core.workflow",
                "builtins",
                "ssl",
                "socket",
                "asyncio.exceptions",
            }
            of_a_call = isinstance(link, SdkError) and link.operation is not None
            for name, tell in (OF_SDK_ERRORS if isinstance(link, SdkError) else SURFACES).items():
                told = tell(link)
                assert canaries_in(told) == [], name
                assert (CORRELATION in told) or not of_a_call, name


def check_records(records: Iterable[logging.LogRecord]) -> None:
    """No canary in a record, whoever wrote it; the correlation id in ours, and in no other."""
    for record in records:
        told = "\n".join((record.getMessage(), repr(vars(record)), logging.Formatter().format(record)))
        found = canaries_in(told)
        if record.name == "asyncio":
            # In debug mode it logs which host it looks up and shakes hands with: not in our hands.
            assert [canary for canary in found if not canary.startswith("canary-h")] == []
            # And the errors that end tasks.
            assert CORRELATION not in told or "exception=<" in told
        else:
            assert found == [], record.name
            assert (CORRELATION in told) == (record.name == "sdk_core.client"), record.name


# -- Ways to fail ------------------------------------------------------------------------------------------------------

Make = Callable[[], Awaitable[Any]]
Way = Callable[[dict[str, Any]], AbstractAsyncContextManager[list[Make]]]
"""Gives what to call, with clients of the options it is given."""

DAY = date(2023, 1, 25)
DOCUMENT = Document(source=BODY.encode(), content_type="image/png", filename=FILE)


def membership_calls(client: MembershipClient) -> list[Make]:
    ids = {"contract_id": CONTRACT, "idle_period_id": REASON}
    body = membership_sdk.IdlePeriodUpdateRequest(start_date=DAY, reason_id=REASON)
    return [
        lambda: client.get_contract_data(customer_id=MEMBER),
        lambda: client.create_contract_cancelation_amendment(
            customer_id=MEMBER, contract_id=CONTRACT, cancelation_date=DAY, cancelation_reason_id=REASON
        ),
        lambda: client.call(membership_operations.UPDATE_IDLE_PERIOD, **ids, body=body, document=DOCUMENT),
    ]


def cloudcockpit_calls(client: CloudCockpitClient) -> list[Make]:
    return [
        lambda: client.list_customer_subscriptions(customer_id=PERSON, sort_property_name=QUERY),
        lambda: client.update_subscription(customer_id=PERSON, subscription_id=PERSON, changes={BODY: BODY}),
    ]


@asynccontextmanager
async def both(url: str, options: dict[str, Any], *, closed: bool = False) -> AsyncIterator[list[Make]]:
    async with (
        MembershipClient(url, KEY, **options) as membership,
        CloudCockpitClient(TENANT, TOKEN, base_url=url, **options) as cloudcockpit,
    ):
        if closed:
            await membership.aclose()
            await cloudcockpit.aclose()
        yield membership_calls(membership) + cloudcockpit_calls(cloudcockpit)


ENVELOPE = {
    "errorMessage": SERVER_TEXT,
    "errorCode": f"{SERVER_TEXT} as code",
    "traceId": f"{SERVER_TEXT} as trace",
    "reference": f"{SERVER_TEXT} as reference",
    "statusCode": 409,
    "type": SERVER_TEXT,
    "description": SERVER_TEXT,
    "correlationId": SERVER_TEXT,
    "errors": [{"propertyName": SERVER_TEXT, "description": [SERVER_TEXT]}],
}
CUT = b"HTTP/1.1 200 CANARY\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\nCANARY"
ANSWERS: dict[str, Any] = {
    "400": CannedAnswer(400, ENVELOPE),
    "401": CannedAnswer(401, ENVELOPE, {"WWW-Authenticate": SERVER_TEXT}),
    "403": CannedAnswer(403, ENVELOPE),
    "404": CannedAnswer(404, ENVELOPE),
    "409": CannedAnswer(409, ENVELOPE),
    "429": CannedAnswer(429, ENVELOPE, {"Retry-After": SERVER_TEXT}),
    "500 HTML": CannedAnswer(500, f"<html>{SERVER_TEXT}", content_type="text/CANARY html"),
    "503": CannedAnswer(503, ENVELOPE),
    "redirect": CannedAnswer(302, SERVER_TEXT, {"Location": "http://127.0.0.1:9/CANARY"}),
    "other JSON": CannedAnswer(200, [{"id": SERVER_TEXT, SERVER_TEXT: SERVER_TEXT}]),
    "HTML": CannedAnswer(200, f"<html>{SERVER_TEXT}", content_type="text/html; CANARY"),
    "odd content type": CannedAnswer(200, f"{SERVER_TEXT}", content_type="CANARY at the gate"),
    "drop": DROP,
    "garbage": Raw(f"{SERVER_TEXT}\r\n\r\n".encode()),
    "garbage header": Raw(b"HTTP/1.1 200 OK\r\nCANARY\x00: CANARY\r\n\r\n"),
    "bad length": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: CANARY\r\n\r\n"),
    "bad chunk": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\n"),
    "bad compression": Raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nCANARY"),
    "cut": Raw(CUT),
    "cut error": Raw(CUT.replace(b"200", b"500")),
    "stall": STALL,
}


def answered(step: Any, **more: Any) -> Way:
    @asynccontextmanager
    async def way(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
        async with WireServer(step) as server, both(server.url, options | more) as calls:
            yield calls

    return way


AUTHORITY = trustme.CA()
TRUST = ssl.create_default_context()
AUTHORITY.configure_trust(TRUST)


def over_tls(name: str, trust: ssl.SSLContext | bool, *script: Any) -> Way:
    """Give a server whose certificate has this name; the base URL has HOST."""

    @asynccontextmanager
    async def way(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        AUTHORITY.issue_cert(name).configure_cert(context)
        server = WireServer(*script)
        server._server = await asyncio.start_server(server._serve, "127.0.0.1", 0, ssl=context)
        url = server.url.replace("http://127.0.0.1", f"https://{HOST}")
        try:
            async with both(url, options | {"connection": Connection(ssl=trust)}) as calls:
                yield calls
        finally:
            await server.__aexit__(None, None, None)

    return way


def by_proxy(step: Any) -> Way:
    @asynccontextmanager
    async def way(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
        async with WireServer(step) as proxy:
            connection = Connection(proxy=proxy.url.replace("//", f"//user:{PASSWORD}@"))
            async with both(f"https://{HOST}", options | {"connection": connection}) as calls:
                yield calls

    return way


@asynccontextmanager
async def nobody_listens(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    async with WireServer() as gone:
        url = gone.url
    async with both(url, options) as calls:
        yield calls


@asynccontextmanager
async def proxy_is_gone(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    async with WireServer() as gone:
        connection = Connection(proxy=gone.url.replace("//", f"//user:{PASSWORD}@"))
    async with both(f"https://{HOST}", options | {"connection": connection}) as calls:
        yield calls


def no_such_host(options: dict[str, Any]) -> AbstractAsyncContextManager[list[Make]]:
    return both(f"https://{HOST}.invalid", options)


def closed(options: dict[str, Any]) -> AbstractAsyncContextManager[list[Make]]:
    return both(f"https://{HOST}", options, closed=True)


@asynccontextmanager
async def session_is_closed(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    async with ClientSession() as session:
        pass
    async with both(f"https://{HOST}", options | {"session": session}) as calls:
        yield calls


@asynccontextmanager
async def no_slot(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    limiter = LocalRateLimiter(1)
    async with both(f"https://{HOST}", options | {"rate_limiter": limiter, "total_timeout": 1}) as calls:
        for operation in (*membership_operations.OPERATIONS, *cloudcockpit_operations.OPERATIONS):
            limiter.acquire(operation.name, 0)
        yield calls


def with_login(*script: Any) -> Way:
    """Fetch the token from an endpoint that answers so; the API itself answers 401."""

    @asynccontextmanager
    async def way(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
        async with WireServer(*script) as login, WireServer(CannedAnswer(401, ENVELOPE)) as server:
            credentials = ClientCredentials("app", SECRET, token_url=f"{login.url}/{TENANT}/token", scope=BODY)
            async with CloudCockpitClient(TENANT, credentials, base_url=server.url, **options) as client:
                yield cloudcockpit_calls(client)

    return way


def provided(provide: Callable[[], Awaitable[str]], **more: Any) -> Way:
    @asynccontextmanager
    async def way(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
        async with CloudCockpitClient(TENANT, provide, base_url=f"https://{HOST}", **(options | more)) as client:
            yield cloudcockpit_calls(client)

    return way


async def provide_refused_text() -> str:
    return f"{TOKEN}\n"


async def provide_nothing() -> str:
    raise LookupError(f"{SECRET} is no secret")


async def provide_after_hours() -> str:
    await asyncio.sleep(3600)
    return TOKEN


async def _made(make: Callable[[], Any]) -> Any:
    return make()


@asynccontextmanager
async def wrong_arguments(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    """A typo in a secret is still a secret, and an id in the wrong place still an id."""
    membership = MembershipClient(f"https://{HOST}", KEY, **options)
    cloudcockpit = CloudCockpitClient(TENANT, TOKEN, base_url=f"https://{HOST}", **options)
    anything: Any = BODY
    person: Any = PERSON
    settings: list[Callable[[], Any]] = [
        *(
            lambda text=text, build=build: build(text)
            for text in ("", f" {BODY}", f"{BODY}\n", f"{BODY}\r\nX: y", f"{BODY}ä", f"{BODY}\x00", BODY * 2000)
            for build in (
                lambda text: MembershipClient("https://a.example", text),
                lambda text: CloudCockpitClient("t.example", text),
                lambda text: CloudCockpitClient(text, TOKEN),
                lambda text: MembershipClient(text, KEY),
                lambda text: MembershipClient("https://a.example", KEY, language=text),
                lambda text: MembershipClient.for_tenant(text, api_key=KEY),
                lambda text: ClientCredentials("id", SECRET, token_url=text),
                lambda text: Connection(proxy=text),
                lambda text: Document(source=b"", content_type=text),
                lambda text: Document(source=text, content_type="image/png"),
                lambda text: correlation_scope(text).__enter__(),
            )
        ),
        lambda: MembershipClient(f"https://user:{PASSWORD}@a.example", KEY),
        lambda: MembershipClient(f"https://a.example/?key={KEY}", KEY),
        lambda: MembershipClient(f"http://{HOST}", KEY),
        lambda: MembershipClient(f"https://{'x' * 64}{HOST}", KEY),
        lambda: Connection(proxy=f"ftp://user:{PASSWORD}@a.example"),
        lambda: Document(source=b"", content_type="image/png", filename=f"{FILE}\n"),
        lambda: ClientCredentials(f"{KEY}\n", SECRET),
        lambda: ClientCredentials("id", f"{SECRET}\n"),
    ]
    yield [
        *(lambda make=make: _made(make) for make in settings),
        lambda: membership.get_contract_data(customer_id=anything),
        lambda: membership.get_contract_data(customer_id=-MEMBER),
        lambda: membership.get_contract_data(customer_id=MEMBER * 10**6),
        lambda: membership.get_contract_data(customer_id=person),
        lambda: membership.create_contract_cancelation_amendment(
            customer_id=MEMBER, contract_id=CONTRACT, cancelation_date=anything, cancelation_reason_id=REASON
        ),
        lambda: membership.create_contract_cancelation_amendment(
            customer_id=MEMBER, contract_id=CONTRACT, cancelation_date=DAY, cancelation_reason_id=anything
        ),
        lambda: cloudcockpit.list_customer_subscriptions(customer_id=BODY),
        lambda: cloudcockpit.list_customer_subscriptions(customer_id=PERSON, page_number=anything),
        lambda: cloudcockpit.list_customer_subscriptions(customer_id=PERSON, sort_property_name=anything * 10**4),
        lambda: cloudcockpit.update_subscription(customer_id=PERSON, subscription_id=PERSON, changes=anything),
        lambda: cloudcockpit.update_subscription(customer_id=PERSON, subscription_id=PERSON, changes={BODY: object()}),
        lambda: cloudcockpit.change_po_number(customer_id=PERSON, subscription_id=PERSON, po_number=person),
        *(
            lambda email=email: cloudcockpit.grant_owner_access(
                customer_id=PERSON, subscription_id=PERSON, user_email=email
            )
            for email in (person, f"{BODY}\ud800")
        ),
        lambda: cloudcockpit.change_monthly_budget(
            customer_id=PERSON, subscription_id=PERSON, monthly_budget=Decimal("NaN")
        ),
        lambda: workflows.cancel_contract(
            membership, customer_id=MEMBER, contract_id=CONTRACT, on=anything, reason=REASON
        ),
    ]
    await membership.aclose()
    await cloudcockpit.aclose()


def _odd_state(request: WireRequest) -> CannedAnswer:
    """A state that is a sentence, wherever the APIs have one."""
    name = request.target.partition("?")[0].rpartition("/")[2]
    answers: dict[str, Any] = {
        "contract-data": json.loads(payload("membership_contract_data")),
        "config": json.loads(payload("membership_idle_period_config")),
        "idle-periods": {"currentAndUpcomingIdlePeriods": [], "pastIdlePeriods": []},
        "validate": {"validationStatus": SERVER_TEXT},
    }
    answer = answers.get(name) or json.loads(payload("cloudcockpit_subscription"))
    if name == "contract-data":
        answer[0] |= {"id": CONTRACT, "cancelationStatus": SERVER_TEXT}
    elif "status" in answer:
        answer["status"]["name"] = SERVER_TEXT
    return CannedAnswer(body=answer)


@asynccontextmanager
async def states_are_odd(options: dict[str, Any]) -> AsyncIterator[list[Make]]:
    ids: Any = {"customer_id": PERSON, "subscription_id": PERSON}
    contract = {"customer_id": MEMBER, "contract_id": CONTRACT}
    async with (
        WireServer(_odd_state) as server,
        MembershipClient(server.url, KEY, **options) as membership,
        CloudCockpitClient(TENANT, TOKEN, base_url=server.url, **options) as cloudcockpit,
    ):
        yield [
            lambda: workflows.cancel_contract(membership, **contract, on="earliest", reason=BODY),
            lambda: workflows.withdraw_cancelation(membership, **contract),
            lambda: workflows.purchase_module(
                membership, contract_id=CONTRACT, additional_module_id=REASON, payment_frequency_id=REASON
            ),
            lambda: workflows.request_idle_period(
                membership, contract_id=CONTRACT, start_date=DAY, term_value=1, reason="Vacation"
            ),
            lambda: workflows.request_idle_period(
                membership, contract_id=CONTRACT, start_date=DAY, term_value=1, reason=BODY
            ),
            lambda: cloudcockpit_workflows.suspend_and_wait(cloudcockpit, **ids),
            lambda: cloudcockpit_workflows.cancel_and_wait(cloudcockpit, **ids),
        ]


WAYS: dict[str, Way] = {name: answered(step) for name, step in ANSWERS.items() if step is not STALL} | {
    "stall": answered(STALL, attempt_timeout=0.01),
    "nobody listens": nobody_listens,
    "no such host": no_such_host,
    "other name": over_tls("other.example", TRUST),
    "unknown authority": over_tls(HOST, True),
    "refused over TLS": over_tls(HOST, TRUST, CannedAnswer(500, ENVELOPE)),
    "dropped over TLS": over_tls(HOST, TRUST, DROP),
    "proxy refuses": by_proxy(CannedAnswer(407, SERVER_TEXT)),
    "proxy drops": by_proxy(DROP),
    "proxy is gone": proxy_is_gone,
    "closed": closed,
    "session is closed": session_is_closed,
    "no slot": no_slot,
    "token refused": with_login(
        CannedAnswer(400, {"error": "invalid_client", "error_description": f"{SERVER_TEXT}: {SECRET}"})
    ),
    "token is a sentence": with_login(CannedAnswer(400, {"error": SERVER_TEXT})),
    "token endpoint drops": with_login(DROP),
    "token endpoint talks": with_login(CannedAnswer(body={"access_token": {"is": TOKEN}})),
    "token is of no use": with_login(CannedAnswer(body={"access_token": TOKEN, "expires_in": 3600})),
    "token can't be sent": provided(provide_refused_text),
    "no token": provided(provide_nothing),
    "no token in time": provided(provide_after_hours, total_timeout=0.05),
    "wrong arguments": wrong_arguments,
    "odd states": states_are_odd,
}


@pytest.fixture(autouse=True)
def short_stacks(monkeypatch: pytest.MonkeyPatch) -> None:
    """In debug mode asyncio notes all frames of whatever it makes, and tells one; it looks for changes of all files."""
    monkeypatch.setattr("asyncio.constants.DEBUG_STACK_DEPTH", 1)
    monkeypatch.setattr("sys.tracebacklimit", 1, raising=False)
    monkeypatch.setattr("linecache.checkcache", lambda _name=None: None)


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is this machine's, except those that are nobody's."""

    def getaddrinfo(host: str, port: int, *_arguments: Any, **_options: Any) -> list[Any]:
        if host.endswith(".invalid"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def log_everything(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    loop = asyncio.get_running_loop()
    loop.set_debug(True)
    loop.slow_callback_duration = -1


ONCE = ("409", "429", "503", "drop", "stall", "nobody listens", "dropped over TLS", "token endpoint drops")
"""One of each kind of those after which a call is repeated, where it may be; here it may not."""


@pytest.mark.usefixtures("resolver")
@pytest.mark.parametrize(
    ("way", "attempts"),
    [*((WAYS[name], 1) for name in ONCE), *((way, 3) for way in WAYS.values())],
    ids=[*(f"{name}, once" for name in ONCE), *WAYS],
)
async def test_no_secret_is_told_by_a_failure(
    way: Way, attempts: int, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Nor by the log, with every logger at DEBUG, and with asyncio's debug mode, which logs each step of a task."""
    log_everything(caplog)
    retry = RetryPolicy(max_attempts=attempts, sleep=fake_time.sleep, clock=fake_time.clock)
    with correlation_scope(CORRELATION):
        async with way({"retry": retry}) as calls:
            ends = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
    errors = [end for end in ends if isinstance(end, BaseException)]
    # A page of JSON is a fine answer to a request whose answer carries nothing.
    assert len(errors) >= (len(ends) if way is not WAYS["other JSON"] else 2)
    assert any(record.name == "asyncio" for record in caplog.records)
    check_errors(errors)
    check_records(caplog.records)


@pytest.mark.parametrize("step", [STALL, Raw(CUT, close=False)], ids=["no answer", "half an answer"])
async def test_no_secret_is_told_by_a_task(step: Any, caplog: pytest.LogCaptureFixture) -> None:
    """While it waits, when it is cancelled, and when it is forgotten, which the event loop complains of."""
    log_everything(caplog)
    told = io.StringIO()
    with correlation_scope(CORRELATION):
        async with WireServer(step) as server, both(server.url, {}) as calls:
            tasks = [asyncio.ensure_future(call()) for call in calls]
            while len(server.requests) < len(tasks):
                await asyncio.sleep(0)
            for task in tasks:
                assert isinstance(task, asyncio.Task)
                task.print_stack(file=told)
                # As the loop does for "Task was destroyed but it is pending!".
                asyncio.get_running_loop().call_exception_handler({"message": "forgotten", "task": task})
                task.cancel()
            errors = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(error) for error in errors} == {asyncio.CancelledError}
    assert CANARIES.findall(told.getvalue()) == []
    assert sum("forgotten" in record.getMessage() for record in caplog.records) == len(tasks)
    check_errors(error for error in errors if error is not None)
    check_records(caplog.records)


async def test_no_secret_is_told_by_a_success(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever was answered, and the token that was fetched for it: it went through several tasks."""
    log_everything(caplog)
    token = CannedAnswer(body={"access_token": TOKEN, "expires_in": 3600})
    audit = CannedAnswer(body=json.loads(payload("cloudcockpit_audit_log_page")) | {SERVER_TEXT: SERVER_TEXT})
    with correlation_scope(CORRELATION):
        async with WireServer(token) as login, WireServer(audit) as server:
            credentials = ClientCredentials("app", SECRET, token_url=login.url)
            async with CloudCockpitClient(TENANT, credentials, base_url=server.url) as client:
                await asyncio.gather(*(client.list_audit_logs(customer=QUERY) for _ in range(3)))
    assert any("_replace" in record.getMessage() for record in caplog.records)
    check_records(caplog.records)


async def test_no_secret_is_told_by_a_sandbox(caplog: pytest.LogCaptureFixture) -> None:
    """They see what tests send, which may be copied from life; refusing it, and failing, they log nothing of it."""
    caplog.set_level(logging.DEBUG)
    retry = RetryPolicy.none()
    async with MembershipSandbox() as membership, CloudCockpitSandbox() as cloudcockpit:
        for sandbox in (membership, cloudcockpit):
            sandbox.fail(Fault.drop(), Fault.garbage(), Fault.status(500), Fault.truncated())
            async with both(sandbox.url, {"retry": retry}) as calls:
                for call in calls * 2:
                    with pytest.raises(SdkError):
                        await call()
        assert CANARIES.findall(f"{membership.requests} {cloudcockpit.requests}") == []
    check_records(caplog.records)


async def test_cookies_are_not_kept() -> None:
    """Nor sent back: calls for different members share nothing but a connection."""
    answer = CannedAnswer(body=[], headers={"Set-Cookie": f"session={SERVER_TEXT.replace(' ', '-')}; Path=/"})
    async with WireServer(answer) as server:
        # By name: of an address aiohttp would keep no cookie anyway.
        async with MembershipClient(server.url.replace("127.0.0.1", "localhost"), KEY) as client:
            for member in (MEMBER, MEMBER + 1):
                await client.get_contract_data(customer_id=member)
        assert server.connections == 1
        assert not any("cookie" in request.headers for request in server.requests)


# -- What holds a secret ----------------------------------------------------------------------------------------------


async def _token(_session: ClientSession) -> Token:
    return Token(TOKEN, None)


HEADERS = {"X-Tenant": TENANT, "Set-Cookie": SERVER_TEXT}
OPTIONS = Options(RetryPolicy(), 1, 1, 1, CIMultiDict(HEADERS))
MEMBERSHIP = MembershipClient(f"https://{HOST}", KEY, connection=Connection(proxy=f"http://user:{PASSWORD}@{HOST}"))
COCKPIT = CloudCockpitClient(TENANT, ClientCredentials("id", SECRET), base_url=f"https://{HOST}")
HOLDERS: dict[str, object] = {
    "membership": MEMBERSHIP,
    "view": MEMBERSHIP.with_options(total_timeout=1, language="de"),
    "cloudcockpit": CloudCockpitClient(TENANT, TOKEN, base_url=f"https://{HOST}"),
    "with credentials": COCKPIT,
    "paginator": COCKPIT.iter_customer_subscriptions(customer_id=PERSON, sort_property_name=QUERY),
    "credentials": ClientCredentials("id", SECRET, token_url=f"https://login.example/{TENANT}"),
    "api key": ApiKey("X-API-KEY", KEY),
    "fixed token": FixedToken("Authorization", TOKEN),
    "bearer token": BearerToken(_token),
    "token": Token(TOKEN, None),
    "connection": Connection(proxy=f"http://user:{PASSWORD}@{HOST}"),
    "backend": Backend(
        base_url=URL(f"https://{HOST}"),
        auth=ApiKey("X-API-KEY", KEY),
        read_error=read_membership_error,
        headers=HEADERS,
    ),
    "options": OPTIONS,
    "call": Call(membership_operations.GET_CONTRACT_DATA, f"/{MEMBER}", {"q": QUERY}, BODY.encode(), OPTIONS, 1.0, "c"),
    "answer": Answer(200, HEADERS, BODY.encode()),
    "reply": membership_sdk.Reply(None, 200, CIMultiDictProxy(CIMultiDict(HEADERS)), (), "c"),
    "document": DOCUMENT,
    "document of a path": Document(source=Path(FILE), content_type="image/png"),
    "multipart": Multipart(BODY.encode(), DOCUMENT),
    "details": read_membership_error(json.dumps(ENVELOPE).encode()),
    "other details": read_cloudcockpit_error(json.dumps(ENVELOPE).encode()),
}


@goes_through("holder", HOLDERS)
def test_no_secret_is_told_by_what_holds_it(holder: object) -> None:
    """`repr`, `str` and `format`, alone and within something else."""
    assert CANARIES.findall(f"{holder!r} {holder!s} {holder} {[holder]}") == []
    # As structlog and rich's own tracebacks print local variables.
    assert CANARIES.findall(pretty_repr(holder) + pretty_repr([holder])) == []


def test_details_show_their_codes() -> None:
    """A code or id is shown, a sentence in its place is not (above)."""
    assert "error.validation.date.past" in repr(read_membership_error(payload("membership_error")))
    assert read_membership_error(json.dumps(ENVELOPE).encode()).code == ENVELOPE["errorCode"]
