"""The aiohttp sessions below a client: how often they send, where they live, who closes them, what they refuse."""

import asyncio
import gc
import gzip
import ssl
import threading
import weakref
from collections.abc import Awaitable, Callable, Iterator
from datetime import date
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from aiohttp import ClientSession, CookieJar, TCPConnector, ThreadedResolver
from alone import run_alone
from cases import goes_through
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireServer
from yarl import URL

import sdk_core.transport.session
from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from membership_sdk.errors import read_error
from membership_sdk.models import VoidResult
from sdk_core import fork
from sdk_core.auth import BearerToken, Token, TokenSession
from sdk_core.backend import Backend
from sdk_core.client import Client
from sdk_core.errors import ClientClosedError, ConfigurationError, InvalidResponseError, NotFoundError, SdkError
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryPolicy
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.transport.connection import Connection

ROOT = Path(__file__).parents[3]


def operation(method: str, effect: Effect = Effect.READ) -> Operation[VoidResult]:
    return Operation(name=f"{method.lower()}_it", method=method, path="/it", returns=VoidResult, effect=effect)


GET, POST = operation("GET"), operation("POST", Effect.WRITE)
REASONS: Any = []
"""What the API answers when a studio offers no cancelation reasons."""


def client_for(server: WireServer, **options: Any) -> MembershipClient:
    return MembershipClient(server.url, "key", **options)


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


# -- aiohttp's hidden replay (R-06) ------------------------------------------------------------------------------------


@pytest.mark.parametrize("injected", [False, True], ids=["owned", "injected"])
@pytest.mark.parametrize("reused", [False, True], ids=["fresh-connection", "reused-connection"])
@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "POST", "PATCH", "delete"])
async def test_attempts_are_requests_on_the_wire(
    method: str, reused: bool, injected: bool, fake_time: FakeTime
) -> None:
    """A server that always drops sees exactly `max_attempts` requests, and one with `RetryPolicy.none()`."""
    attempted = operation(method, Effect.IDEMPOTENT)
    script = [CannedAnswer(), DROP] if reused else [DROP]
    async with ClientSession() as session, WireServer(*script) as server:
        policy = RetryPolicy(max_attempts=3, sleep=fake_time.sleep, clock=fake_time.clock)
        async with client_for(server, session=session if injected else None, retry=policy) as client:
            for view, attempts in ((client, 3), (client.with_options(retry=RetryPolicy.none()), 1)):
                if reused:
                    server.script[:] = [*[DROP] * len(server.requests), CannedAnswer(), DROP]
                    await client.call(GET)
                before = len(server.requests)
                error = await failure(view.call(attempted))
                assert len(server.requests) - before == len(error.attempts) == attempts


async def test_switch_of_the_replay_still_exists() -> None:
    """Fails when aiohttp takes its private switch away: then the tests above have to be passed some other way."""
    async with ClientSession() as session:
        assert session._retry_connection is True


async def test_injected_session_keeps_its_replay() -> None:
    """Only our requests are sent once: the session's owner may count on what aiohttp does."""
    async with ClientSession() as session, WireServer(DROP) as server:
        async with client_for(server, session=session, retry=RetryPolicy.none()) as client:
            await failure(client.call(GET))
        assert session._retry_connection is True
        with pytest.raises(Exception, match="disconnected"):
            await session.get(server.url)
        assert len(server.requests) == 1 + 2


# -- One session per event loop (R-14) ---------------------------------------------------------------------------------


class ServerThread:
    """A server for code with event loops of its own: it runs in another thread."""

    def __init__(self, *script: Any) -> None:
        self.server = WireServer(*(script or (CannedAnswer(body=REASONS),)))
        self._ready = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        async with self.server:
            self._stop = asyncio.Event()
            self._loop = asyncio.get_running_loop()
            self._ready.set()
            await self._stop.wait()

    def __enter__(self) -> WireServer:
        self._thread.start()
        self._ready.wait()
        return self.server

    def __exit__(self, *_exc: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()


@pytest.fixture
def thread_server() -> Iterator[WireServer]:
    with ServerThread() as server:
        yield server


def test_client_survives_several_event_loops(thread_server: WireServer) -> None:
    """A module global used from five `asyncio.run()` calls; each loop has a connection of its own."""
    client = client_for(thread_server)
    for _ in range(5):
        assert asyncio.run(client.get_contract_cancelation_reason_data()) == []
    assert thread_server.connections == 5


def test_finished_event_loops_are_forgotten(thread_server: WireServer) -> None:
    """A worker that runs a loop per task must not keep them all: after the next run, the last one is free to go."""
    client = client_for(thread_server)
    loops: list[weakref.ref[asyncio.AbstractEventLoop]] = []

    async def use() -> None:
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await client.get_contract_cancelation_reason_data()

    for _ in range(5):
        asyncio.run(use())
    gc.collect()
    assert sum(loop() is not None for loop in loops) <= 1


def test_threads_have_sessions_of_their_own(thread_server: WireServer) -> None:
    """Two threads, each with a loop, share one client at the same time."""
    client = client_for(thread_server)
    together = threading.Barrier(2)
    results: list[Any] = []

    async def use() -> None:
        together.wait(5)
        results.extend(await asyncio.gather(*(client.get_contract_cancelation_reason_data() for _ in range(20))))

    threads = [threading.Thread(target=lambda: asyncio.run(use())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [[]] * 40


async def test_concurrent_first_calls_open_one_session(monkeypatch: pytest.MonkeyPatch) -> None:
    """100 calls that find no session yet open one, not a hundred."""
    opened: list[ClientSession] = []

    def counted(*args: Any, **options: Any) -> ClientSession:
        opened.append(ClientSession(*args, **options))
        return opened[-1]

    monkeypatch.setattr(sdk_core.transport.session, "ClientSession", counted)
    async with WireServer(CannedAnswer()) as server, client_for(server) as client:
        await asyncio.gather(*(client.call(GET) for _ in range(100)))
        await asyncio.gather(*(client.with_options(total_timeout=9).call(GET) for _ in range(100)))
        assert len(server.requests) == 200
    assert len(opened) == 1
    assert opened[0].closed


_FORK = """
import asyncio, os, sys
from membership_sdk import MembershipClient

before, after, closed = (MembershipClient(url, "key") for url in sys.argv[1:])

def use(client):
    assert asyncio.run(client.get_contract_cancelation_reason_data()) == []

def close(client):
    asyncio.run(client.aclose())

def in_child(work, client):
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            work(client)
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0

in_child(use, before)
use(before)
for client, work in ((after, use), (closed, close)):
    with asyncio.Runner() as runner:
        call = client.get_contract_cancelation_reason_data
        assert runner.run(call()) == []
        in_child(work, client)
        for _ in range(3):
            assert runner.run(call()) == []
        in_child(use, client)
"""


def test_client_survives_fork() -> None:
    """Before first use or after, with the session open: child and parent go on, and the parent keeps its connection."""
    with ServerThread() as before, ServerThread() as after, ServerThread() as closed:
        run_python(_FORK, before.url, after.url, closed.url)
        # The parent's calls over its one connection, and one for each child that called.
        assert (before.connections, after.connections, closed.connections) == (2, 3, 2)


_FORK_AFTER_GARBAGE = """
import asyncio, os, ssl, sys
from membership_sdk import Connection, MembershipClient, RetryPolicy, SdkError

url, authority = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)
client = MembershipClient(url, "key", connection=Connection(ssl=context), retry=RetryPolicy.none())
call = client.get_contract_cancelation_reason_data

with asyncio.Runner() as runner:
    try:
        runner.run(call())
        raise AssertionError
    except SdkError:
        pass
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = asyncio.run(call()) != []
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0
    assert runner.run(call()) == []
    runner.run(client.aclose())
"""


@pytest.mark.parametrize("tls_server", [(Raw(b"\0\r\n\r\n"), CannedAnswer(body=[]))], indirect=True)
def test_connection_that_ended_badly_does_not_stop_a_child_from_starting_over(tls_server: tuple[str, str]) -> None:
    """A TLS transport that aiohttp closed twice fails whoever asks for its socket."""
    run_python(_FORK_AFTER_GARBAGE, *tls_server)


class _Resettable:
    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.is_reset = False

    def reset_after_fork(self) -> None:
        self.is_reset = True
        if self.failure is not None:
            raise self.failure


def test_child_resets_all_even_if_one_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    things = [_Resettable(OSError("too many files")), _Resettable(), _Resettable(ValueError())]
    monkeypatch.setattr(fork, "_resettables", things)
    with pytest.raises(ExceptionGroup) as caught:
        fork._reset_all()
    assert all(thing.is_reset for thing in things)
    assert len(caught.value.exceptions) == 2


# That a busy machine takes its time is told by asyncio, and no complaint about the SDK.
_TIME_IS_NO_MATTER = """
import logging
logging.getLogger("asyncio").addFilter(lambda record: not record.getMessage().startswith("Executing "))
"""


def run_python(code: str, *arguments: str, **environment: str) -> None:
    """Run `code` with every warning an error, and expect it to print nothing and end well."""
    assert run_alone(_TIME_IS_NO_MATTER + code, *arguments, options=("-X", "dev"), **environment) == ""


_RUNS = """
import asyncio, ssl, sys
from membership_sdk import MembershipClient
from sdk_core.transport.connection import Connection

plain, secured, authority = sys.argv[1:]
context = ssl.create_default_context(cafile=authority)

async def use(client):
    assert await client.get_contract_cancelation_reason_data() == []

async def use_and_close(client):
    await use(client)
    await client.aclose()

async def use_in_block(client):
    async with client:
        await use(client)

RUNS = {"forget": [use] * 5, "aclose": [use_and_close], "block": [use_in_block]}
# They are there until the end.
clients = []
for runs in RUNS.values():
    for url, trust in ((plain, True), (secured, context)):
        clients.append(client := MembershipClient(url, "key", connection=Connection(ssl=trust)))
        for run in runs:
            asyncio.run(run(client))
"""


def test_interpreter_exits_without_a_warning(thread_server: WireServer, tls_server: tuple[str, str]) -> None:
    """Forgotten or closed, plain and over TLS: no ResourceWarning, no "Event loop is closed", no "Unclosed client"."""
    run_python(_RUNS, thread_server.url, *tls_server)


class _TlsServer(WireServer):
    async def __aenter__(self) -> Self:
        self._authority = trustme.CA()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._authority.issue_cert("localhost").configure_cert(context)
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=context)
        return self

    @property
    def url(self) -> str:
        return super().url.replace("http://127.0.0.1", "https://localhost")


@pytest.fixture
def tls_server(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Give the URL of a TLS server, with a script if a test has one, and the file of the authority that vouches."""
    thread = ServerThread()
    thread.server = _TlsServer(*getattr(request, "param", [CannedAnswer(body=REASONS)]))
    with thread as server:
        authority = tmp_path / "ca.pem"
        server._authority.cert_pem.write_to_path(authority)
        yield server.url, str(authority)


async def test_certificate_of_an_unknown_authority_is_refused(tls_server: tuple[str, str], fake_time: FakeTime) -> None:
    """Certificates are verified unless told otherwise, and nothing is sent to who can't show one."""
    url, _authority = tls_server
    async with MembershipClient(url, "key", retry=RetryPolicy.none()) as client:
        error = await failure(client.call(POST))
    assert error.outcome is Outcome.NOT_SENT


# -- Sessions of others, and the end (R-15) ----------------------------------------------------------------------------


async def test_injected_session_is_shared_and_left_alone() -> None:
    """Both SDKs send with one session of the caller's; closing them changes nothing of it."""
    session = ClientSession(headers={"X-Own": "mine"}, cookie_jar=CookieJar(unsafe=True))
    async with session, WireServer(CannedAnswer(body=REASONS)) as server:
        session.cookie_jar.update_cookies({"own": "1"})
        before = {name: value for name, value in vars(session).items() if name != "_loop"}
        async with (
            client_for(server, session=session) as membership,
            CloudCockpitClient("tenant.example", "token", base_url=server.url, session=session) as cloudcockpit,
        ):
            for method in ("GET", "PUT", "POST"):
                await membership.call(operation(method))
                await cloudcockpit.call(operation(method))
        assert not session.closed
        assert {name: value for name, value in vars(session).items() if name != "_loop"} == before
        assert dict(session.headers) == {"X-Own": "mine"}
        assert [(cookie.key, cookie.value) for cookie in session.cookie_jar] == [("own", "1")]
        async with session.get(server.url + "/own") as response:
            assert response.status == 200
    *ours, own = server.requests
    assert server.connections == 1
    assert all(request.headers["x-own"] == "mine" for request in ours)
    assert [("x-api-key" in r.headers, "authorization" in r.headers) for r in ours] == [
        (True, False),
        (False, True),
    ] * 3
    assert not {"x-api-key", "authorization", "x-tenant"} & own.headers.keys()


@pytest.mark.parametrize(
    "options", [{"headers": {"Content-Type": "text/plain"}}, {"skip_auto_headers": ["Content-Type"]}], ids=str
)
async def test_bodies_are_json_whatever_an_injected_session_says(options: dict[str, Any]) -> None:
    """Of its own headers those that the SDK sends are overruled."""
    async with (
        WireServer() as server,
        ClientSession(**options) as session,
        MembershipClient(server.url, "key", session=session) as client,
    ):
        await client.create_contract_cancelation_amendment(
            customer_id=1, contract_id=2, cancelation_date=date(2030, 1, 31), cancelation_reason_id=3
        )
    (request,) = server.requests
    assert request.headers["content-type"] == "application/json"


async def test_injected_session_may_raise_for_status() -> None:
    """A setting of the session's owner does not change what our errors say."""
    async with (
        ClientSession(raise_for_status=True) as session,
        WireServer(CannedAnswer(404)) as server,
        client_for(server, session=session, retry=RetryPolicy.none()) as client,
    ):
        error = await failure(client.call(POST))
    assert type(error) is NotFoundError
    assert error.outcome is Outcome.REJECTED


async def test_owned_session_sends_no_cookies() -> None:
    """What a server sets is not sent back: calls for different members share a session."""
    async with WireServer(CannedAnswer(headers={"Set-Cookie": "who=alice; Path=/"})) as server:
        # By name: aiohttp's own cookie jar would ignore what a bare address sets.
        async with MembershipClient(server.url.replace("127.0.0.1", "localhost"), "key") as client:
            await client.call(GET)
            await client.call(GET)
        assert len(server.requests) == 2
    assert not any("cookie" in request.headers for request in server.requests)


async def test_source_of_tokens_has_a_session_of_its_own() -> None:
    """On the client's connections; it may close it, and what it sends with a request is no other request's business."""
    lent: list[ClientSession] = []

    async def token(lend: TokenSession) -> Token:
        # As a source may that takes the session for its own.
        async with lend(URL(server.url)) as session, session.get(server.url, cookies={"own": "1"}):
            lent.append(session)
            await session.close()
        return Token("t", None)

    async with WireServer(CannedAnswer(), CannedAnswer(401), CannedAnswer()) as server:
        backend = Backend(
            base_url=URL(server.url), auth=BearerToken(token), read_error=read_error, headers={"X-Tenant": "t"}
        )
        async with Client(backend) as client:
            for _ in range(2):
                await client.call(POST)
        sent = [(r.method, "cookie" in r.headers, "x-tenant" in r.headers) for r in server.requests]
        assert server.connections == 1
    of_token, of_call = ("GET", True, False), ("POST", False, True)
    assert sent == [of_token, of_call, of_token, of_call, of_call]
    assert all(session.closed for session in lent)


async def test_requests_of_a_source_of_tokens_are_sent_once() -> None:
    """By aiohttp: whether to try again is ours to say."""

    async def token(lend: TokenSession) -> Token:
        async with lend(URL(server.url)) as session:
            await session.get(server.url)
        raise AssertionError

    async with WireServer(DROP) as server:
        backend = Backend(base_url=URL(server.url), auth=BearerToken(token), read_error=read_error)
        async with Client(backend, retry=RetryPolicy.none()) as client:
            error = await failure(client.call(POST))
        assert len(server.requests) == 1
    assert error.cause == "ServerDisconnectedError"


async def test_cookies_of_one_request_are_not_sent_with_others() -> None:
    """Whoever puts them there: something between aiohttp and us, or a source of tokens."""
    async with WireServer(CannedAnswer()) as server, client_for(server) as client, client_for(server) as other:
        await client.call(GET)
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        assert here is not None
        async with here.token_session(URL(server.url)) as lent:
            for session in (here.session, lent):
                async with session.get(server.url, cookies={"own": "1"}):
                    pass
        await client.call(GET)
        await other.call(GET)
    assert [request.headers.get("cookie") for request in server.requests] == [None, "own=1", "own=1", None, None]


async def test_source_of_tokens_gets_the_injected_session() -> None:
    """Which is not closed when the token is there."""

    async def token(lend: TokenSession) -> Token:
        async with lend(URL(server.url)) as session:
            assert session is injected
        return Token("t", None)

    async with ClientSession() as injected, WireServer(CannedAnswer()) as server:
        backend = Backend(base_url=URL(server.url), auth=BearerToken(token), read_error=read_error)
        async with Client(backend, session=injected) as client:
            await client.call(POST)
        assert not injected.closed


@pytest.mark.parametrize("injected", [False, True], ids=["owned", "injected"])
async def test_constant_headers_are_sent_with_every_request(injected: bool) -> None:
    """Whoever's session it is, and whatever its owner has it send; a view's go before the client's."""
    async with (
        ClientSession(headers={"Accept": "text/html", "X-Own": "1"}) as session,
        WireServer(CannedAnswer()) as server,
    ):
        async with client_for(server, session=session if injected else None, language="de") as client:
            for view in (client, client.with_options(language="fr"), client.with_options(total_timeout=9)):
                await view.call(GET)
        sent = [request.headers for request in server.requests]
    assert [headers["accept-language"] for headers in sent] == ["de", "fr", "de"]
    for headers in sent:
        assert headers["accept"] == "application/json"
        assert headers["user-agent"].startswith("membership-sdk/")
        assert headers["x-api-key"] == "key"
        assert headers.get("x-own") == ("1" if injected else None)


async def test_session_that_somebody_closed_is_replaced() -> None:
    """Our own, by whatever means."""
    async with WireServer(CannedAnswer()) as server, client_for(server) as client:
        await client.call(GET)
        here = client._sessions.of_loop[asyncio.get_running_loop()]
        assert here is not None
        await here.session.close()
        await client.call(GET)
        assert server.connections == 2


@pytest.mark.parametrize("used", [False, True])
async def test_closed_injected_session_is_named(used: bool) -> None:
    """Closed by its owner, who may have others on its connections: an error of ours says so, and nothing is sent."""
    async with WireServer(CannedAnswer()) as server, TCPConnector() as connector:
        session = ClientSession(connector=connector, connector_owner=False)
        client = client_for(server, session=session)
        if used:
            await client.call(GET)
        await session.close()
        error = await failure(client.call(GET))
        assert len(server.requests) == used
    assert isinstance(error, ClientClosedError)
    assert "injected" in str(error)


@pytest.mark.parametrize("used", [False, True])
async def test_closed_client_stays_closed(used: bool) -> None:
    """`aclose()` is for good, as often as it is called, before or after first use, and for all views."""
    async with WireServer() as server:
        client = client_for(server)
        view = client.with_options(total_timeout=9)
        if used:
            await view.call(GET)
        await client.aclose()
        await view.aclose()
        await asyncio.gather(client.aclose(), client.aclose())
        for closed in (client, view, client.with_options()):
            error = await failure(closed.call(GET))
            assert type(error) is ClientClosedError
            assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, False)
        assert len(server.requests) == int(used)


async def test_block_closes_even_after_an_error() -> None:
    async with WireServer(CannedAnswer(404)) as server:
        with pytest.raises(NotFoundError):
            async with client_for(server) as client:
                await client.call(GET)
        assert isinstance(await failure(client.call(GET)), ClientClosedError)


async def test_closing_ends_calls_under_way() -> None:
    """A call that waits for its answer when the client is closed fails with an SDK error that knows it was sent."""
    async with WireServer(STALL) as server:
        client = client_for(server)
        call = asyncio.create_task(failure(client.call(POST)))
        while not server.requests:
            await asyncio.sleep(0.001)
        await client.aclose()
        error = await asyncio.wait_for(call, 1)
    assert error.outcome is Outcome.UNKNOWN
    assert not error.retryable


CLOSINGS = pytest.mark.parametrize(
    ("injected", "by_owner"), [(False, False), (True, False), (True, True)], ids=["owned", "injected", "by-its-owner"]
)


@CLOSINGS
async def test_closing_ends_calls_in_line(injected: bool, by_owner: bool) -> None:
    """Those that wait for a connection are never sent, and do not wait for it to come back.

    The call that has it ends with its connection, or - a session of the caller's is not closed - in its own time.
    """
    async with WireServer(STALL) as server, ClientSession(connector=TCPConnector(limit=1)) as session:
        options: dict[str, Any] = {"session": session} if injected else {"connection": Connection(limit=1)}
        client = client_for(server, retry=RetryPolicy.none(), attempt_timeout=0.2, **options)
        first, *others = [asyncio.create_task(failure(client.call(POST))) for _ in range(4)]
        while not server.requests:
            await asyncio.sleep(0.001)
        others[1].cancel()
        await (session.close() if by_owner else client.aclose())
        async with asyncio.timeout(0.1):
            errors = [await others[0], await others[2]]
        assert first.done() is (by_owner or not injected)
        assert {(type(error), error.outcome) for error in errors} == {(ClientClosedError, Outcome.NOT_SENT)}
        assert (await asyncio.wait_for(first, 1)).outcome is Outcome.UNKNOWN
        assert len(server.requests) == 1


async def test_closing_does_not_wait_for_a_handshake() -> None:
    """The call that has the only connection is still connecting, which closing does not end: those in line end."""
    deaf = await asyncio.start_server(lambda _reader, writer: opened.append(writer), "127.0.0.1", 0)
    opened: list[asyncio.StreamWriter] = []
    url = f"https://127.0.0.1:{deaf.sockets[0].getsockname()[1]}"
    client = MembershipClient(url, "key", retry=RetryPolicy.none(), connection=Connection(limit=1), attempt_timeout=0.2)
    async with deaf:
        first, second = (asyncio.create_task(failure(client.call(POST))) for _ in range(2))
        while not opened:
            await asyncio.sleep(0.001)
        await client.aclose()
        assert type(await asyncio.wait_for(second, 0.1)) is ClientClosedError
        assert not first.done()
        assert (await asyncio.wait_for(first, 1)).outcome is Outcome.NOT_SENT
        for writer in opened:
            writer.close()


def test_closing_from_another_thread_ends_calls_in_line(thread_server: WireServer) -> None:
    """A client used in one loop and closed in another: nobody hangs there, and what waits in line is not sent."""
    thread_server.script[:] = [STALL]
    client = client_for(thread_server, connection=Connection(limit=1))

    async def close_when_sent() -> None:
        while not thread_server.requests:
            await asyncio.sleep(0.001)
        await client.aclose()

    async def use() -> list[SdkError]:
        closing = asyncio.to_thread(asyncio.run, close_when_sent())
        async with asyncio.timeout(1):
            *errors, _ = await asyncio.gather(*(failure(client.call(POST)) for _ in range(3)), closing)
        return errors

    errors = asyncio.run(use())
    assert [error.outcome for error in errors] == [Outcome.UNKNOWN, Outcome.NOT_SENT, Outcome.NOT_SENT]
    assert {type(error) for error in errors[1:]} == {ClientClosedError}
    assert len(thread_server.requests) == 1


@CLOSINGS
async def test_closing_while_a_token_is_fetched(injected: bool, by_owner: bool) -> None:
    """The session goes away between two steps of a call: an SDK error, nothing sent, no RuntimeError of aiohttp's."""
    fetching, go_on = asyncio.Event(), asyncio.Event()

    async def provide() -> str:
        fetching.set()
        await go_on.wait()
        return "token"

    async with WireServer() as server, ClientSession() as session:
        client = CloudCockpitClient(
            "tenant.example", provide, base_url=server.url, session=session if injected else None
        )
        call = asyncio.create_task(failure(client.call(POST)))
        await fetching.wait()
        await (session.close() if by_owner else client.aclose())
        go_on.set()
        error = await call
        assert server.requests == []
    assert isinstance(error, ClientClosedError)
    assert error.outcome is Outcome.NOT_SENT


class _ClosingHook(Telemetry):
    def __init__(self) -> None:
        self.close: Callable[[], Awaitable[None]]

    async def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
        await self.close()


@CLOSINGS
async def test_closing_while_a_hook_is_waited_for(injected: bool, by_owner: bool) -> None:
    """A write that was never sent is not told as one of which nothing is known."""
    async with WireServer() as server, ClientSession() as session:
        hook = _ClosingHook()
        client = client_for(server, telemetry=hook, session=session if injected else None)
        hook.close = session.close if by_owner else client.aclose
        error = await failure(client.call(POST))
        assert server.requests == []
    assert type(error) is ClientClosedError
    assert error.outcome is Outcome.NOT_SENT


class _Limiter(LocalRateLimiter):
    """Makes the second request wait."""

    def __init__(self) -> None:
        super().__init__(1)
        self.waits = iter([0.0, 1.0])

    def acquire(self, operation: str, patience: float) -> float:
        return next(self.waits)


@CLOSINGS
async def test_closing_while_another_token_waits_for_the_limiter(injected: bool, by_owner: bool) -> None:
    async def sleep(_seconds: float) -> None:
        await (session.close() if by_owner else client.aclose())

    async def provide() -> str:
        return "token"

    async with WireServer(CannedAnswer(401), CannedAnswer()) as server, ClientSession() as session:
        client = CloudCockpitClient(
            "tenant.example",
            provide,
            base_url=server.url,
            session=session if injected else None,
            rate_limiter=_Limiter(),
            retry=RetryPolicy(sleep=sleep),
        )
        error = await failure(client.call(POST))
        assert len(server.requests) == 1
    assert type(error) is ClientClosedError
    assert error.outcome is Outcome.NOT_SENT


def test_aclose_from_another_loop_does_not_raise(thread_server: WireServer) -> None:
    """A client used in one loop and closed in another: while the first one still lives, and after it is gone."""
    client = client_for(thread_server)
    with asyncio.Runner() as first:
        first.run(client.get_contract_cancelation_reason_data())
        asyncio.run(client.aclose())
        # The session is closed by its own loop, as soon as that runs again.
        first.run(asyncio.sleep(0.01))
    client = client_for(thread_server)
    asyncio.run(client.get_contract_cancelation_reason_data())
    asyncio.run(client.aclose())
    gc.collect()


async def test_session_and_connection_exclude_each_other() -> None:
    async with ClientSession() as session:
        with pytest.raises(ConfigurationError, match="session or connection"):
            MembershipClient("https://studio.example", "key", session=session, connection=Connection())


# -- How our sessions connect ------------------------------------------------------------------------------------------


async def test_owned_session_connects_as_told() -> None:
    """The system's resolver even if aiodns is installed, the pool's limits, the environment not read by aiohttp."""
    for connection in (Connection(limit=7, keepalive_timeout=3), Connection(trust_env=True)):
        async with MembershipClient("https://studio.example", "key", connection=connection) as client:
            session = (await client._sessions.open()).session
            connector = session.connector
            assert isinstance(connector, TCPConnector)
            assert isinstance(connector._resolver, ThreadedResolver)
            assert (connector.limit, connector._keepalive_timeout) == (connection.limit, connection.keepalive_timeout)
            # It is read when the client is built, and aiohttp would read a .netrc too.
            assert session.trust_env is False


async def test_redirects_are_never_followed() -> None:
    """A 302 to another host, or a 307 that would repeat a POST there: one request, and the key stays here."""
    async with WireServer() as elsewhere:
        for status in (301, 302, 303, 307, 308):
            async with WireServer(CannedAnswer(status, headers={"Location": elsewhere.url + "/it"})) as server:
                async with client_for(server) as client:
                    for attempted in (GET, POST):
                        error = await failure(client.call(attempted))
                        assert isinstance(error, InvalidResponseError)
                        assert (error.status, error.outcome) == (status, Outcome.UNKNOWN)
                assert len(server.requests) == 2
        assert elsewhere.connections == 0


_LIMIT = 2**20


def _response(body: bytes, *headers: bytes) -> Raw:
    return Raw(b"\r\n".join([b"HTTP/1.1 200 X", *headers, b"", body]))


def _bomb() -> Raw:
    packed = gzip.compress(b"x" * _LIMIT * 16, compresslevel=1)
    return _response(packed, b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed))


LARGE: dict[str, Callable[[], Raw]] = {
    "plain": lambda: _response(b'"' + b"x" * _LIMIT + b'"', b"Content-Length: %d" % (_LIMIT + 2)),
    "until-close": lambda: _response(b'"' + b"x" * _LIMIT + b'"'),
    "gzip-bomb": _bomb,
}


@pytest.mark.parametrize("step", LARGE.values(), ids=LARGE)
async def test_large_answers_are_not_taken_in(step: Callable[[], Raw]) -> None:
    """Counted after decompression; the connection is given up, the pool slot given back."""
    async with (
        WireServer(step(), CannedAnswer()) as server,
        client_for(server, max_response_bytes=_LIMIT, connection=Connection(limit=1)) as client,
    ):
        error = await failure(client.call(GET))
        assert isinstance(error, InvalidResponseError)
        assert f"larger than {_LIMIT} bytes" in str(error)
        assert error.outcome is Outcome.UNKNOWN
        assert len(server.requests) == 1
        await client.with_options(total_timeout=1).call(GET)


async def test_answer_that_comes_in_one_piece_is_measured_too() -> None:
    """With its head, as small ones do."""
    async with (
        WireServer(CannedAnswer(body='"12345678"')) as server,
        client_for(server, max_response_bytes=9) as client,
    ):
        assert "larger than 9 bytes" in str(await failure(client.call(GET)))


async def test_answer_of_the_allowed_size_is_taken() -> None:
    """The limit itself is allowed, plain and compressed."""
    body = b'"' + b"x" * (_LIMIT - 2) + b'"'
    packed = gzip.compress(body)
    steps = [
        CannedAnswer(body=body),
        Raw(_response(packed, b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed)).data, close=False),
    ]
    async with WireServer(*steps) as server, client_for(server, max_response_bytes=_LIMIT) as client:
        await client.call(GET)
        await client.call(GET)


CLIENTS: dict[str, Any] = {
    "membership": lambda url: MembershipClient(url, "key"),
    "cloudcockpit": lambda url: CloudCockpitClient("tenant.example", "token", base_url=url),
}


@goes_through("build", CLIENTS)
@goes_through(
    "url",
    [
        "http://studio.example",
        "http://localhost.example",
        "http://127.0.0.1.example",
        "http://127.0.0.1@studio.example",
        "http://10.0.0.1",
        "http://0.0.0.0",
        "ftp://localhost",
        "ws://localhost",
        "//studio.example",
        "studio.example",
        "/v1",
        "",
        "https://",
        "https://user:secret@studio.example",
        "https://studio.example?key=1",
        "https://studio.example#part",
        "https://studio.example:port",
    ],
)
def test_unsafe_base_urls_are_refused(build: Any, url: str) -> None:
    """A key never travels in the clear, except within this machine; the error is both kinds of error."""
    with pytest.raises(ConfigurationError, match="base_url") as caught:
        build(url)
    assert isinstance(caught.value, ValueError)
    assert "secret" not in str(caught.value)


@goes_through("build", CLIENTS)
@goes_through(
    "url", ["https://studio.example", "https://studio.example:8443/base/", "http://localhost:1", "http://[::1]:1"]
)
def test_safe_base_urls_are_taken(build: Any, url: str) -> None:
    assert isinstance(build(url), Client)


async def test_base_url_may_have_a_path() -> None:
    """Behind a gateway the API may start below the root; a final slash makes no difference."""
    async with WireServer() as server:
        for base in ("/gate", "/gate/"):
            async with MembershipClient(server.url + base, "key") as client:
                await client.call(GET)
    assert [request.target for request in server.requests] == ["/gate/it"] * 2
