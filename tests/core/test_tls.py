"""R-33: whom a client trusts, who it is itself, and by which way it goes there: TLS, client certificates, proxies."""

import asyncio
import re
import socket
import ssl
import threading
from base64 import b64encode
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol, Self

import pytest
import trustme
from aiohttp import ClientConnectorError, ClientOSError
from alone import run_alone
from cases import goes_through
from wire import CannedAnswer, FakeTime, WireRequest, WireServer, read_request
from yarl import URL

from membership_sdk import (
    AuthenticationError,
    Connection,
    ConnectionFailedError,
    MembershipClient,
    Outcome,
    RetryPolicy,
    SdkError,
    VoidResult,
)
from membership_sdk.errors import read_error
from sdk_core.auth import BearerToken, Token, TokenSession
from sdk_core.backend import Backend
from sdk_core.client import Client
from sdk_core.operation import Effect, Operation
from sdk_core.transport.cause import safe_cause

ROOT = Path(__file__).parents[2]

WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
DAY = timedelta(days=1)
NOW = datetime.now(UTC)
AUTHORITY, STRANGER = trustme.CA(), trustme.CA()


class Certificate(Protocol):
    def configure_cert(self, context: ssl.SSLContext) -> None: ...


class TlsServer(WireServer):
    """The same, with a certificate."""

    def __init__(self, certificate: Certificate, *script: Any) -> None:
        super().__init__(*script)
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._context)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, ssl=self._context)
        return self

    @property
    def url(self) -> str:
        return super().url.replace("http://127.0.0.1", "https://localhost")


def trusting(*authorities: trustme.CA, own: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """Return the context of a client that trusts these, and shows a certificate of its own."""
    context = ssl.create_default_context()
    for authority in authorities:
        authority.configure_trust(context)
    if own is not None:
        own.configure_cert(context)
    return context


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


# -- The server's certificate ------------------------------------------------------------------------------------------


async def test_private_authority_is_accepted_when_told() -> None:
    """With a context that knows it, like any other server."""
    connection = Connection(ssl=trusting(AUTHORITY))
    async with (
        TlsServer(AUTHORITY.issue_cert("localhost")) as server,
        MembershipClient(server.url, "key", connection=connection) as client,
    ):
        await client.call(WRITE, body={})
        assert len(server.requests) == 1


class SelfSigned:
    """A certificate that is its own authority."""

    def configure_cert(self, context: ssl.SSLContext) -> None:
        with STRANGER.cert_pem.tempfile() as certificate, STRANGER.private_key_pem.tempfile() as key:
            context.load_cert_chain(certificate, key)


LOCAL = AUTHORITY.issue_cert("localhost")
REFUSED: dict[str, tuple[Certificate, ssl.SSLContext | bool, str]] = {
    "unknown-authority": (LOCAL, True, "unable to get local issuer certificate"),
    "other-authority": (LOCAL, trusting(STRANGER), "unable to get local issuer certificate"),
    "self-signed": (SelfSigned(), trusting(AUTHORITY), "self-signed certificate"),
    "wrong-name": (AUTHORITY.issue_cert("studio.example"), trusting(AUTHORITY), "Hostname mismatch"),
    "expired": (
        AUTHORITY.issue_cert("localhost", not_before=NOW - 2 * DAY, not_after=NOW - DAY),
        trusting(AUTHORITY),
        "certificate has expired",
    ),
    "of-tomorrow": (
        AUTHORITY.issue_cert("localhost", not_before=NOW + DAY, not_after=NOW + 2 * DAY),
        trusting(AUTHORITY),
        "certificate is not yet valid",
    ),
}


@pytest.mark.parametrize(("certificate", "context", "says"), REFUSED.values(), ids=REFUSED)
async def test_bad_certificate_is_refused(
    certificate: Certificate, context: ssl.SSLContext | bool, says: str, fake_time: FakeTime
) -> None:
    """Nothing is sent, whatever the operation; the error's text says what is wrong with it, and names no host."""
    retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    connection = Connection(ssl=context)
    async with (
        TlsServer(certificate) as server,
        MembershipClient(server.url, "key", retry=retry, connection=connection) as client,
    ):
        error = await failure(client.call(WRITE, body={}))
        assert server.requests == []
    assert type(error) is ConnectionFailedError
    assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, False)
    # A certificate does not get better by asking again.
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.NOT_SENT]
    # OpenSSL may add what else it could be.
    assert re.search(f": could not connect: certificate verify failed: {says}[^;]*;", str(error))
    assert str(error.cause).startswith(f"ClientConnectorCertificateError: certificate verify failed: {says}")
    assert isinstance(error.__cause__, ssl.SSLCertVerificationError)
    assert str(error.__cause__).startswith(f"certificate verify failed: {says}")


# -- The client's certificate ------------------------------------------------------------------------------------------


@contextmanager
def strict_server(version: ssl.TLSVersion) -> Iterator[str]:
    """Give the URL of a server that wants a certificate of AUTHORITY: in a thread, so that its refusal arrives."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = context.maximum_version = version
    LOCAL.configure_cert(context)
    AUTHORITY.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED

    def serve() -> None:
        connection, _address = listening.accept()
        connection.settimeout(5)
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
            try:
                tls.do_handshake()
                tls.recv(2**16)
                tls.sendall(CannedAnswer().encode())
            except ssl.SSLError:
                # Closed with bytes unread, the connection would be reset, and the alert lost.
                tls.shutdown(socket.SHUT_WR)
                while socket.socket.recv(tls, 2**16):
                    pass

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve)
        thread.start()
        yield f"https://localhost:{listening.getsockname()[1]}"
        thread.join()


V12, V13 = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3


@pytest.mark.parametrize("version", [V12, V13], ids=["tls1.2", "tls1.3"])
async def test_client_shows_its_certificate(version: ssl.TLSVersion) -> None:
    """One that the context holds is shown to a server that asks for it."""
    connection = Connection(ssl=trusting(AUTHORITY, own=AUTHORITY.issue_cert("me@studio.example")))
    with strict_server(version) as url:
        async with MembershipClient(url, "key", retry=RetryPolicy.none(), connection=connection) as client:
            await client.call(WRITE, body={})


@pytest.mark.parametrize(
    ("version", "own", "says"),
    [
        # Up to TLS 1.2 a missing certificate has no alert of its own.
        (V12, None, "the server refused the TLS handshake: sslv3 alert handshake failure"),
        (V12, STRANGER, "the server refused the client certificate: tlsv1 alert unknown ca"),
        (V13, None, "the server refused the client certificate: tlsv13 alert certificate required"),
        (V13, STRANGER, "the server refused the client certificate: tlsv1 alert unknown ca"),
    ],
    ids=["1.2-missing", "1.2-unknown", "1.3-missing", "1.3-unknown"],
)
async def test_server_wants_a_client_certificate(version: ssl.TLSVersion, own: trustme.CA | None, says: str) -> None:
    """Without one it knows, the call fails, and its error tells the server's reason.

    In TLS 1.3 the client is done with the handshake before the server looks at its certificate (RFC 8446, 2): the
    request is under way when the refusal comes, and nobody knows whether the server read it: UNKNOWN.
    """
    certificate = None if own is None else own.issue_cert("me@studio.example")
    connection = Connection(ssl=trusting(AUTHORITY, own=certificate))
    with strict_server(version) as url:
        async with MembershipClient(url, "key", retry=RetryPolicy.none(), connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
    assert type(error) is ConnectionFailedError
    assert error.outcome is (Outcome.NOT_SENT if version is V12 else Outcome.UNKNOWN)
    phase = "could not connect" if version is V12 else "the connection failed before the answer was complete"
    assert f": {phase}: {says};" in str(error)
    assert says in str(error.cause)
    assert isinstance(error.__cause__, ssl.SSLError)


# -- Other ways not to get there ---------------------------------------------------------------------------------------


async def reason(url: str, **connection: Any) -> str:
    """Return what the error of a call there gives as its reason, having checked that nothing was sent."""
    async with MembershipClient(url, "key", retry=RetryPolicy.none(), connection=Connection(**connection)) as client:
        error = await failure(client.call(WRITE, body={}))
    assert type(error) is ConnectionFailedError
    assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, True)
    text, why = error.args[0].split(": ", 1)
    assert text == "could not connect"
    assert why in str(error.__cause__)
    assert str(error.__cause__) in str(error.cause)
    return str(why)


@pytest.fixture
def deaf() -> Iterator[str]:
    """The address of a port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"127.0.0.1:{taken.getsockname()[1]}"


async def test_error_says_that_nobody_listens(deaf: str) -> None:
    """At the server's port, or at the proxy's, which is another thing to look at."""
    assert await reason(f"http://{deaf}") == "Connection refused"
    assert (
        await reason("http://127.0.0.1:9", proxy=f"http://{deaf}") == "no connection to the proxy: Connection refused"
    )


async def test_error_says_that_the_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the name: it may be a tenant's."""
    unknown = socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def getaddrinfo(*_arguments: Any, **_options: Any) -> Any:
        raise unknown

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    assert await reason("https://x.invalid") == "the host name could not be resolved: Name or service not known"
    # Other resolvers, of injected sessions, raise OSErrors with texts of their own.
    unknown = OSError(None, "x.invalid is not known")
    assert await reason("https://x.invalid") == "the host name could not be resolved"


async def test_error_says_how_each_address_failed(deaf: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host may have one of each kind: one refuses, no route leads to the other."""
    port = int(deaf.rpartition(":")[2])
    addresses = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.255.255.255", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_arguments, **_options: addresses)
    why = await reason(f"https://x.invalid:{port}")
    # Where there is no IPv6, the first is not refused, but impossible.
    assert len(why.split(", ")) == 2
    assert "127" not in why


async def test_error_says_that_the_server_speaks_no_tls() -> None:
    """`https` where `http` is spoken."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        why = await reason(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    # Which of its checks fails first is OpenSSL's business.
    assert why in {"TLS failed: wrong version number", "TLS failed: record layer failure"}


async def test_error_says_that_the_server_hung_up_in_the_handshake() -> None:
    """asyncio itself has neither a number nor a text for that."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(5)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        assert await reason(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}") == "Connection reset by peer"


@goes_through("failed", [ssl.SSLError("own"), ssl.CertificateError("own"), OSError("own"), ssl.SSLError()])
def test_error_without_a_reason_is_no_reason_to_fail(failed: OSError) -> None:
    """Exceptions that neither OpenSSL nor the system made have texts that nobody vouches for, and lack attributes."""
    key: Any = None
    for error in (failed, ClientConnectorError(key, failed), ClientOSError(*failed.args)):
        assert "own" not in str(safe_cause(error))


# -- Proxies -----------------------------------------------------------------------------------------------------------


class Proxy(WireServer):
    """Opens a tunnel for CONNECT, or answers it with `refusal`; answers everything else itself."""

    def __init__(self, refusal: CannedAnswer | None = None) -> None:
        super().__init__()
        self._refusal = refusal

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        try:
            while (request := await read_request(reader)) is not None:
                self.requests.append(request)
                if request.method == "CONNECT" and self._refusal is None:
                    return await self._tunnel(request, reader, writer)
                writer.write((self._refusal or CannedAnswer(body={"via": "proxy"})).encode())
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _tunnel(self, request: WireRequest, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, out = await asyncio.open_connection("127.0.0.1", int(request.target.rpartition(":")[2]))
        writer.write(b"HTTP/1.1 200 X\r\n\r\n")
        try:
            await asyncio.gather(_copy(reader, out), _copy(there, writer))
        finally:
            out.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(2**16):
        writer.write(data)
    writer.close()


def with_password(url: str) -> str:
    return url.replace("http://", "http://user:canary@")


CREDENTIALS = "Basic " + b64encode(b"user:canary").decode()


async def test_https_goes_through_the_proxys_tunnel() -> None:
    """One CONNECT, with the proxy's password; the server behind it sees the call, and the proxy nothing of it."""
    async with Proxy() as proxy, TlsServer(LOCAL) as server:
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting(AUTHORITY))
        async with MembershipClient(server.url, "key", language="de", connection=connection) as client:
            for _ in range(2):
                await client.call(WRITE, body={"name": "canary"})
        [tunnel] = proxy.requests
        assert (tunnel.method, tunnel.target) == ("CONNECT", server.url.removeprefix("https://"))
        assert tunnel.headers["proxy-authorization"] == CREDENTIALS
        assert tunnel.headers.keys() <= {"host", "accept", "accept-encoding", "user-agent", "proxy-authorization"}
        assert "membership" not in tunnel.headers["user-agent"]
        assert [request.headers["accept-language"] for request in server.requests] == ["de"] * 2
        assert [request.json for request in server.requests] == [{"name": "canary"}] * 2
        assert not any("proxy-authorization" in request.headers for request in server.requests)


async def test_certificate_is_checked_through_the_tunnel() -> None:
    """Who offers the tunnel is not who ends it."""
    async with Proxy() as proxy, TlsServer(LOCAL) as server:
        connection = Connection(proxy=proxy.url)
        async with MembershipClient(server.url, "key", retry=RetryPolicy.none(), connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
        assert (len(proxy.requests), server.requests) == (1, [])
    assert error.outcome is Outcome.NOT_SENT
    assert "unable to get local issuer certificate" in str(error)


async def test_http_is_asked_of_the_proxy() -> None:
    """A server of this machine, without TLS: the proxy gets the request with its full address."""
    async with Proxy() as proxy, WireServer() as server:
        connection = Connection(proxy=with_password(proxy.url))
        async with MembershipClient(server.url, "key", connection=connection) as client:
            await client.call(WRITE, body={})
        assert server.connections == 0
        [request] = proxy.requests
        assert (request.method, request.target) == ("POST", server.url + "/it")
    assert request.headers["proxy-authorization"] == CREDENTIALS


async def test_tokens_are_fetched_through_the_proxy() -> None:
    """Through the same tunnel as the calls, where both go to one host."""

    async def token(lend: TokenSession) -> Token:
        url = URL(f"{server.url}/token")
        async with lend(url) as session, session.get(url):
            return Token("t", None)

    async with Proxy() as proxy, TlsServer(LOCAL) as server:
        backend = Backend(
            base_url=URL(server.url), auth=BearerToken(token), read_error=read_error, headers={"X-Tenant": "canary"}
        )
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting(AUTHORITY))
        async with Client(backend, connection=connection) as client:
            await client.call(WRITE, body={})
        assert [request.method for request in proxy.requests] == ["CONNECT"]
        assert [(request.target, "x-tenant" in request.headers) for request in server.requests] == [
            ("/token", False),
            ("/it", True),
        ]


@pytest.mark.parametrize(
    ("status", "passing"), [(400, False), (403, False), (407, False), (408, True), (429, True), (502, True)]
)
async def test_proxy_that_refuses_the_tunnel(status: int, passing: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing reached the server: NOT_SENT even for a WRITE, with the proxy's status, and without its password.

    A password or a rule of the proxy's that refuses once refuses again: it is not asked twice.
    """
    async with Proxy(CannedAnswer(status, "<html>")) as proxy, TlsServer(LOCAL) as server:
        connection = Connection(proxy=with_password(proxy.url), ssl=trusting(AUTHORITY))
        retry = RetryPolicy(max_attempts=2, backoff_base=0)
        async with MembershipClient(server.url, "key", retry=retry, connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
        assert server.connections == 0
        assert len(proxy.requests) == (2 if passing else 1)
    assert type(error) is ConnectionFailedError
    assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, passing)
    assert f": could not connect: the proxy answered {status};" in str(error)
    assert error.cause == f"ClientHttpProxyError: the proxy answered {status}"
    assert "canary" not in f"{error!r}{error.to_dict()}{error.__cause__!r}{connection!r}{caplog.text}"


async def test_proxy_that_is_not_there(deaf: str) -> None:
    """No proxy, no call: it is not made directly instead."""
    async with WireServer() as server:
        await reason(server.url, proxy=f"http://{deaf}")
        assert server.connections == 0


@pytest.mark.parametrize("trust_env", [False, True])
async def test_environment_counts_only_if_asked(trust_env: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY of the process is nothing a client uses unless it is told to."""
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    async with Proxy() as proxy, WireServer() as server:
        monkeypatch.setenv("http_proxy", proxy.url)
        async with MembershipClient(server.url, "key", connection=Connection(trust_env=trust_env)) as client:
            await client.call(WRITE, body={})
        assert (len(proxy.requests), len(server.requests)) == ((1, 0) if trust_env else (0, 1))


async def test_refusal_from_behind_the_tunnel_is_the_apis() -> None:
    """A 401 of the server is an API error as ever; only the proxy's own answers are about the way there."""
    async with Proxy() as proxy, TlsServer(LOCAL, CannedAnswer(401)) as server:
        connection = Connection(proxy=proxy.url, ssl=trusting(AUTHORITY))
        async with MembershipClient(server.url, "key", connection=connection) as client:
            error = await failure(client.call(WRITE, body={}))
    assert isinstance(error, AuthenticationError)
    assert error.outcome is Outcome.REJECTED


# -- Names -------------------------------------------------------------------------------------------------------------

_RESOLVED = """
import asyncio, sys, types

class DNSResolver:
    def __init__(self, *arguments, **options):
        raise AssertionError("aiodns was used")
    getaddrinfo = None

sys.modules["aiodns"] = types.SimpleNamespace(DNSResolver=DNSResolver)

import aiohttp
from membership_sdk import MembershipClient
from wire import CannedAnswer, WireServer

assert aiohttp.DefaultResolver is aiohttp.AsyncResolver

async def main():
    async with WireServer(CannedAnswer(body=[])) as server:
        async with MembershipClient(server.url.replace("127.0.0.1", "localhost"), "key") as client:
            assert await client.get_contract_data(customer_id=1) == []

asyncio.run(main())
"""


def test_system_resolves_names_even_if_aiodns_is_there() -> None:
    """aiohttp would prefer it as soon as it can be imported; c-ares ignores parts of the system's settings."""
    assert run_alone(_RESOLVED) == ""
