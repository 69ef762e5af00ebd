"""The way through a proxy, when something is wrong with it: nothing is sent, and the error names what to look at."""

import asyncio
import os
import socket
import ssl
import struct
import sys
from base64 import b64encode
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Self

import pytest
import trustme
from aiohttp import ClientSession
from cases import goes_through
from wire import DROP, CannedAnswer, Raw, Step, WireRequest, WireServer, read_request

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import (
    ConfigurationError,
    Connection,
    ConnectionFailedError,
    MembershipClient,
    Outcome,
    RetryPolicy,
    SdkError,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()
PASSWORD = "canary"
CUSTOMER = "00000000-0000-0000-0000-000000000001"
NOW = RetryPolicy(backoff_base=0)
FORGED = CannedAnswer(body={"access_token": "t", "expires_in": 3600})


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


def context_of(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    return context


def trusting() -> ssl.SSLContext:
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    return context


class TlsServer(WireServer):
    """The same, with a certificate of some authority."""

    def __init__(self, authority: trustme.CA, *script: Step) -> None:
        super().__init__(*script)
        self._context = context_of(authority)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    @property
    def url(self) -> str:
        return super().url.replace("http://127.0.0.1", "https://localhost")


class Tunnel(WireServer):
    """A proxy that opens tunnels; with an authority, it is asked over TLS."""

    def __init__(self, authority: trustme.CA | None = None) -> None:
        super().__init__()
        self._context = None if authority is None else context_of(authority)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    @property
    def url(self) -> str:
        return super().url if self._context is None else super().url.replace("http://127.0.0.1", "https://localhost")

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            request = await read_request(reader)
            if request is None:
                return
            self.requests.append(request)
            there, out = await asyncio.open_connection("127.0.0.1", int(request.target.rpartition(":")[2]))
            writer.write(b"HTTP/1.1 200 X\r\n\r\n")
            try:
                await asyncio.gather(_copy(reader, out), _copy(there, writer))
            finally:
                out.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
    writer.close()


def with_password(url: str) -> str:
    return url.replace("://", f"://user:{PASSWORD}@")


# -- A proxy that fails ------------------------------------------------------------------------------------------------


class Resetting(WireServer):
    """Reads a request and resets the connection."""

    async def _perform(self, _step: Step, _request: WireRequest, writer: asyncio.StreamWriter) -> bool:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.transport.abort()
        return False


FAULTS: dict[str, tuple[WireServer, str]] = {
    "drops": (WireServer(DROP), "the proxy hung up"),
    "half-a-head": (WireServer(Raw(b"HTTP/1.1 200 OK\r\nX")), "the proxy hung up"),
    "resets": (Resetting(), "no connection through the proxy: Connection reset by peer"),
    "nonsense": (WireServer(Raw(b"SSH-2.0-OpenSSH_9 canary\r\n\r\n")), "the proxy's answer is no HTTP"),
    "large-head": (
        WireServer(Raw(b"HTTP/1.1 200 OK\r\nX: " + b"canary" * 10_000 + b"\r\n\r\n")),
        "the proxy's answer is too large",
    ),
    "tunnel-to-nowhere": (
        WireServer(Raw(b"HTTP/1.1 200 OK\r\n\r\n")),
        "no connection through the proxy: Connection reset by peer",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_proxy_that_fails_has_sent_nothing(fault: str) -> None:
    """The API can have seen nothing: NOT_SENT, even a WRITE is tried again, and the error names the proxy.

    Only an answer that is too large is so again.
    """
    attempts = 1 if fault == "large-head" else 3
    proxy, says = FAULTS[fault]
    async with proxy, TlsServer(AUTHORITY) as server:
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting())
        async with MembershipClient(server.url, "key", retry=NOW, connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
        assert (len(proxy.requests), server.connections) == (attempts, 0)
    assert type(error) is ConnectionFailedError
    assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, attempts > 1)
    assert {attempt.outcome for attempt in error.attempts} == {Outcome.NOT_SENT}
    assert f"could not connect: {says};" in str(error)
    assert PASSWORD not in f"{error!r}{error.to_dict()}{error.__cause__!r}"


async def test_proxy_that_does_not_answer_is_named() -> None:
    async with WireServer(lambda _request: asyncio.Event().wait()) as proxy:
        connection = Connection(proxy=proxy.url)
        options: dict[str, Any] = {"retry": RetryPolicy.none(), "attempt_timeout": 0.1, "connection": connection}
        async with MembershipClient("https://studio.example", "key", **options) as client:
            error = await failure(client.call(WRITE, body={}))
    assert error.outcome is Outcome.NOT_SENT
    assert "could not connect through the proxy within the attempt timeout" in str(error)


async def test_proxy_without_a_name_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """What can't be resolved is the proxy's name, not the API's."""

    def getaddrinfo(*_arguments: Any, **_options: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    connection = Connection(proxy="http://proxy.invalid:3128")
    async with MembershipClient("https://studio.example", "key", retry=NOW, connection=connection) as client:
        error = await failure(client.call(WRITE, body={}))
    assert "the proxy's host name could not be resolved: Name or service not known" in str(error)
    assert "invalid" not in str(error)


# -- TLS to a proxy, and within it -------------------------------------------------------------------------------------


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_call_through_a_proxy_of_either_kind(secure: bool) -> None:
    async with Tunnel(AUTHORITY if secure else None) as proxy, TlsServer(AUTHORITY) as server:
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting())
        async with MembershipClient(server.url, "key", connection=connection) as client:
            await client.call(WRITE, body={})
            await client.call(WRITE, body={})
        assert [request.method for request in proxy.requests] == ["CONNECT"]
        assert len(server.requests) == 2


@pytest.mark.parametrize("secure", [False, True], ids=["http", "https"])
async def test_bad_certificate_behind_a_proxy(secure: bool, caplog: pytest.LogCaptureFixture) -> None:
    """The error gives the certificate's fault as its reason; through https, asyncio itself fails over it."""
    async with Tunnel(AUTHORITY if secure else None) as proxy, TlsServer(STRANGER) as server:
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting())
        async with MembershipClient(server.url, "key", retry=NOW, connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
        assert (len(proxy.requests), server.requests) == (1, [])
    assert (type(error), error.outcome, error.retryable) == (ConnectionFailedError, Outcome.NOT_SENT, False)
    assert "could not connect: certificate verify failed: unable to get local issuer certificate;" in str(error)
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert PASSWORD not in f"{error!r}{error.to_dict()}{error.__cause__!r}{caplog.text}"


async def test_bad_certificate_of_the_proxy_itself() -> None:
    async with Tunnel(STRANGER) as proxy, TlsServer(AUTHORITY) as server:
        connection = Connection(proxy=proxy.url, ssl=trusting())
        async with MembershipClient(server.url, "key", retry=NOW, connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
        assert (proxy.requests, server.connections) == ([], 0)
    assert (error.outcome, error.retryable, len(error.attempts)) == (Outcome.NOT_SENT, False, 1)
    assert "could not connect: the proxy: certificate verify failed: unable to get local issuer" in str(error)


# -- Settings that can't be right --------------------------------------------------------------------------------------

MALFORMED = [
    "http://:8080",
    f"http://u:{PASSWORD}#ss@h:1",
    f"http://u:12/{PASSWORD}@h:1",
    f"http://u:{PASSWORD}?@h:1",
    "proxy.corp:8080",
    "proxy.corp",
    "//proxy.corp:8080",
    "socks5://h:1",
    "http://h:0",
    "http://h:99999",
    "http://h:port",
    "http://h h:1",
    "http://h\n:1",
    "http://127.1:1",
    "http://a..b:1",
    "http://h:1/path",
    f"http://a%3Ab:{PASSWORD}@h:1",
    f"http://u:{PASSWORD}%E2%82%AC@h:1",
    "http://" + "h" * 64 + ":1",
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment that names no proxy yet."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    return monkeypatch


@goes_through("value", MALFORMED)
def test_malformed_proxy_is_refused_where_it_is_given(value: str) -> None:
    """By a ValueError that names the setting, and shows nothing of it."""
    with pytest.raises(ValueError, match=r"^proxy must ") as caught:
        Connection(proxy=value)
    assert PASSWORD not in str(caught.value)
    assert caught.value.__context__ is None or caught.value.__suppress_context__


@pytest.mark.parametrize("value", [value for value in MALFORMED if value])
def test_malformed_proxy_of_the_environment_is_refused(value: str, environment: pytest.MonkeyPatch) -> None:
    """When a client is built that would use it: a ConfigurationError that names the setting."""
    environment.setenv("https_proxy", value)
    with pytest.raises(ConfigurationError, match=r"^https_proxy in the environment must ") as caught:
        MembershipClient("https://studio.example", "key", connection=Connection(trust_env=True))
    assert PASSWORD not in str(caught.value)
    # Who does not look at it, or is told not to use it, is not bothered.
    MembershipClient("https://studio.example", "key")
    MembershipClient("https://studio.example", "key", connection=Connection(trust_env=True, proxy="http://h:1"))
    environment.setenv("no_proxy", "studio.example")
    MembershipClient("https://studio.example", "key", connection=Connection(trust_env=True))


async def test_malformed_proxy_for_the_token_endpoint_is_named(environment: pytest.MonkeyPatch) -> None:
    """It is another host, and another setting may hold for it."""
    environment.setenv("http_proxy", f"http://u:{PASSWORD}#@h:1")
    environment.setenv("no_proxy", "127.0.0.1")
    async with WireServer() as server:
        credentials = ClientCredentials("id", "secret", token_url=server.url.replace("127.0.0.1", "localhost"))
        connection = Connection(trust_env=True)
        client = CloudCockpitClient("t", credentials, base_url=server.url, connection=connection)
        async with client:
            error = await failure(client.list_customer_subscriptions(customer_id=CUSTOMER))
        assert server.connections == 0
    assert (type(error), error.outcome, error.retryable) == (ConfigurationError, Outcome.NOT_SENT, False)
    assert "http_proxy in the environment must" in str(error)
    assert PASSWORD not in str(error)


@goes_through(
    "value", ["http://h:1", "https://h:1", "http://h", "http://h:1/", "http://[::1]:1", "http://u:p%40@h_x.y.:1"]
)
def test_proxy_that_can_be_one_is_taken(value: str) -> None:
    assert Connection(proxy=value).proxy == value


# -- The environment ---------------------------------------------------------------------------------------------------


async def test_environment_is_read_for_each_host(environment: pytest.MonkeyPatch) -> None:
    """The token endpoint behind a proxy, the API not; a port may be named, too."""
    async with WireServer(FORGED) as proxy, WireServer(CannedAnswer(body={"items": []})) as server:
        environment.setenv("http_proxy", with_password(proxy.url))
        environment.setenv("no_proxy", server.url.removeprefix("http://"))
        credentials = ClientCredentials("id", "secret", token_url="http://localhost:9/token")
        connection = Connection(trust_env=True)
        async with CloudCockpitClient("t", credentials, base_url=server.url, connection=connection) as client:
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
        (fetch,), (call,) = proxy.requests, server.requests
    assert fetch.target == "http://localhost:9/token"
    assert fetch.headers["proxy-authorization"] == "Basic " + b64encode(f"user:{PASSWORD}".encode()).decode()
    assert call.headers["authorization"] == "Bearer t"
    assert "proxy-authorization" not in call.headers


@pytest.fixture
def netrc(tmp_path: Path, environment: pytest.MonkeyPatch) -> Path:
    """A .netrc with a login for this machine, which is the API, the token endpoint and the proxy."""
    path = tmp_path / ".netrc"
    path.write_text(f"machine 127.0.0.1 login mine password {PASSWORD}\n")
    path.chmod(0o600)
    environment.setenv("HOME", str(tmp_path))
    environment.setenv("NETRC", str(path))
    return path


@pytest.mark.usefixtures("netrc")
async def test_netrc_is_not_read_for_the_api() -> None:
    """Its login would go beside the key, or, with a token, make each call fail."""
    async with WireServer(CannedAnswer(body=[])) as server:
        async with MembershipClient(server.url, "key", connection=Connection(trust_env=True)) as client:
            await client.get_contract_data(customer_id=1)
        async with CloudCockpitClient(
            "t", "made.up.jwt", base_url=server.url, connection=Connection(trust_env=True)
        ) as other:
            await failure(other.list_customer_subscriptions(customer_id=CUSTOMER))
        assert [request.headers.get("authorization") for request in server.requests] == [None, "Bearer made.up.jwt"]


@pytest.mark.usefixtures("netrc")
async def test_netrc_is_not_read_for_the_token_endpoint() -> None:
    """It is no host of that login's either: the client id and secret are what it gets."""
    async with WireServer(FORGED) as login, WireServer(CannedAnswer(body={"items": []})) as server:
        credentials = ClientCredentials("id", "secret", token_url=login.url)
        connection = Connection(trust_env=True)
        async with CloudCockpitClient("t", credentials, base_url=server.url, connection=connection) as client:
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
        assert "authorization" not in login.requests[0].headers
        assert server.requests[0].headers["authorization"] == "Bearer t"


@pytest.mark.usefixtures("netrc")
async def test_netrc_is_not_read_for_proxies(environment: pytest.MonkeyPatch) -> None:
    async with WireServer(CannedAnswer(body=[])) as proxy:
        environment.setenv("http_proxy", proxy.url)
        connection = Connection(trust_env=True)
        async with MembershipClient("http://localhost:9", "key", connection=connection) as client:
            await client.get_contract_data(customer_id=1)
        assert not {"authorization", "proxy-authorization"} & proxy.requests[0].headers.keys()


async def test_injected_session_must_not_read_a_netrc() -> None:
    """A session of the caller's that would: refused, and told what to do instead."""
    async with ClientSession(trust_env=True) as session:
        with pytest.raises(ConfigurationError, match=r"session must not have trust_env.*netrc.*proxy="):
            MembershipClient("https://studio.example", "key", session=session)


@pytest.mark.skipif(sys.platform == "win32", reason="the system's own settings")
async def test_environment_is_read_once(environment: pytest.MonkeyPatch) -> None:
    """When the client is built: a later change does not send a member's data another way."""
    async with WireServer(CannedAnswer(body=[])) as proxy, WireServer(CannedAnswer(body=[])) as server:
        client = MembershipClient(server.url, "key", connection=Connection(trust_env=True))
        environment.setenv("http_proxy", proxy.url)
        async with client:
            await client.get_contract_data(customer_id=1)
        assert (proxy.connections, len(server.requests)) == (0, 1)
