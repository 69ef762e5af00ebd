"""Tokens: fetched once for everybody, replaced in time, dropped when refused, and never told."""

import asyncio
import base64
import json
import pickle
import threading
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from attrs import frozen
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireRequest, WireServer

from cloudcockpit_sdk import (
    AuthenticationError,
    CallTimeoutError,
    ClientCredentials,
    CloudCockpitClient,
    ConfigurationError,
    ConnectionFailedError,
    InvalidResponseError,
    Outcome,
    PermissionDeniedError,
    RetryPolicy,
    SdkError,
)
from membership_sdk import MembershipClient
from sdk_core.auth import BearerToken, Token, TokenSession, jwt_expiry
from sdk_core.deadline import deadline_scope, end_of_scope
from sdk_core.operation import Effect, Operation
from sdk_core.transport.connection import Connection

CUSTOMER, SUBSCRIPTION = UUID(int=1), UUID(int=2)
SECRET = "CANARY-client-secret"
NOW = 1_800_000_000
"""Seconds since the epoch."""
READ_ANY: Operation[Any] = Operation(name="read", method="GET", path="/it", returns=object, effect=Effect.READ)
LEND: Any = nullcontext
"""What a source of tokens gets, where it needs none."""


def jwt(payload: bytes) -> str:
    return f"h.{base64.urlsafe_b64encode(payload).decode().rstrip('=')}.s"


def _provider_of(value: Any) -> Callable[[], Awaitable[Any]]:
    async def provide() -> Any:
        return value

    return provide


def token(name: str = "token-1", **more: object) -> CannedAnswer:
    return CannedAnswer(body={"token_type": "Bearer", "access_token": name, "expires_in": 3599, **more})


def numbered(login: WireServer) -> CannedAnswer:
    return token(f"token-{len(login.requests)}")


class Setup:
    """A token endpoint, an API and a client between them."""

    def __init__(self, login: WireServer, server: WireServer, client: CloudCockpitClient) -> None:
        self.login, self.server, self.client = login, server, client

    async def read(self) -> None:
        await self.client.list_customer_subscriptions(customer_id=CUSTOMER)

    async def write(self) -> None:
        await self.client.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)

    @property
    def requests(self) -> tuple[int, int]:
        """How many the token endpoint and the API saw."""
        return len(self.login.requests), len(self.server.requests)

    @property
    def tokens_seen(self) -> list[str]:
        return [request.headers["authorization"].removeprefix("Bearer ") for request in self.server.requests]


@pytest.fixture
async def setup(fake_time: FakeTime) -> AsyncIterator[Setup]:
    """An API that takes everything, and a token endpoint that numbers its tokens; tests replace the scripts."""
    async with WireServer() as login, WireServer(CannedAnswer(body={"items": []})) as server:
        login.script = [lambda _request: numbered(login)]
        policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
        credentials = ClientCredentials("app-1", SECRET, token_url=f"{login.url}/token")
        async with CloudCockpitClient("t.example", credentials, base_url=server.url, retry=policy) as client:
            yield Setup(login, server, client)


@pytest.fixture
def auth_time(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> FakeTime:
    """The clock of tokens, driven by hand; the event loop's stays what it is."""
    monkeypatch.setattr("sdk_core.auth.time", SimpleNamespace(monotonic=fake_time.clock))
    return fake_time


class Source:
    """A source of tokens that counts."""

    def __init__(self, lifetime: float | None = 3600.0) -> None:
        self.lifetime = lifetime
        self.fetches = 0
        self.error: Exception | None = None

    async def __call__(self, _lend: TokenSession) -> Token:
        self.fetches += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Token(f"token-{self.fetches}", self.lifetime)


async def fetched() -> None:
    """Let a fetch that was begun end: a `Source` gives way once."""
    for _ in range(5):
        await asyncio.sleep(0)


# One fetch for all


@pytest.mark.parametrize("lifetime", [None, 3599, 0], ids=["first", "valid", "expired at once"])
async def test_200_concurrent_calls_need_one_token(setup: Setup, lifetime: int | None) -> None:
    """However many calls wait, the endpoint sees one request - also for a token that is stale on arrival."""
    setup.login.script = [token(expires_in=lifetime)]
    await asyncio.gather(*(setup.read() for _ in range(200)))
    assert setup.requests == (1, 200)
    assert set(setup.tokens_seen) == {"token-1"}


async def test_cancelled_leader_takes_nobody_along(setup: Setup) -> None:
    """The call that started the fetch may go: the others still get their token, from the same fetch."""
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def slow(_request: WireRequest) -> CannedAnswer:
        arrived.set()
        await answer.wait()
        return token()

    setup.login.script = [slow]
    leader = asyncio.create_task(setup.read())
    await arrived.wait()
    followers = [asyncio.create_task(setup.read()) for _ in range(20)]
    await asyncio.sleep(0)
    leader.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leader
    answer.set()
    await asyncio.gather(*followers)
    assert setup.requests == (1, 20)


async def test_token_of_a_cancelled_call_is_kept(setup: Setup) -> None:
    """Nobody waits any more, but the fetch is under way: the next call uses what it brings."""
    arrived, answer = asyncio.Event(), asyncio.Event()

    async def slow(_request: WireRequest) -> CannedAnswer:
        arrived.set()
        await answer.wait()
        return token()

    setup.login.script = [slow]
    only = asyncio.create_task(setup.read())
    await arrived.wait()
    only.cancel()
    with pytest.raises(asyncio.CancelledError):
        await only
    answer.set()
    await setup.read()
    assert setup.requests == (1, 1)


@pytest.mark.parametrize("status", [400, 503], ids=["final", "passing"])
async def test_failed_fetch_fails_all_who_wait_once(setup: Setup, auth_time: FakeTime, status: int) -> None:
    """One request, fifty errors; and who comes within the pause does not ask again, but is told how long it takes."""
    gate = asyncio.Event()

    async def refuse(_request: WireRequest) -> CannedAnswer:
        await gate.wait()
        return CannedAnswer(status, {"error": "invalid_client"})

    setup.login.script = [refuse]
    setup.client = setup.client.with_options(retry=RetryPolicy.none())
    calls = [asyncio.create_task(setup.read()) for _ in range(50)]
    while not setup.login.requests:
        await asyncio.sleep(0)
    gate.set()
    errors = await asyncio.gather(*calls, return_exceptions=True)
    assert {type(error) for error in errors} == {AuthenticationError}
    assert len({id(error) for error in errors}) == 50, "each call has an error of its own"
    assert len({error.correlation_id for error in errors if isinstance(error, SdkError)}) == 50
    with pytest.raises(AuthenticationError, match="invalid_client") as caught:
        await setup.read()
    assert caught.value.retryable is (status == 503)
    if caught.value.retryable:
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 1
    assert setup.requests == (1, 0)


async def test_endpoint_is_asked_again_after_the_pause(auth_time: FakeTime) -> None:
    """A failure is remembered for a second, no longer."""
    source = Source()
    auth = BearerToken(source)
    source.error = RuntimeError()
    for _ in range(3):
        with pytest.raises(AuthenticationError):
            await auth.fetch(LEND)
    assert source.fetches == 1
    auth_time.now += 1.01
    source.error = None
    assert await auth.fetch(LEND) == {"Authorization": "Bearer token-2"}


async def test_two_loops_fetch_at_the_same_time() -> None:
    """A client in a module global, used by two threads: neither waits for the other loop's fetch."""
    both = threading.Barrier(2, timeout=10)

    async def provide() -> str:
        await asyncio.to_thread(both.wait)
        return "opaque"

    async with WireServer(CannedAnswer(body={"items": []})) as server:
        client = CloudCockpitClient("t.example", provide, base_url=server.url)

        def run() -> None:
            asyncio.run(_close_after(client.list_customer_subscriptions(customer_id=CUSTOMER)))

        await asyncio.gather(asyncio.to_thread(run), asyncio.to_thread(run))
    assert len(server.requests) == 2


async def _close_after(call: Any) -> None:
    await call


# In time


async def test_token_is_replaced_before_it_expires(auth_time: FakeTime) -> None:
    """An hour's token goes 2.5 to 5 minutes early, at a random point."""
    source = Source()
    auth = BearerToken(source)
    assert auth.headers is None
    headers = await auth.fetch(LEND)
    started = auth_time.now
    auth_time.now = started + 3299
    assert auth.headers is headers
    auth_time.now = started + 3451
    assert auth.headers is None
    assert await auth.fetch(LEND) is headers
    await fetched()
    assert auth.headers == {"Authorization": "Bearer token-2"}


async def test_short_token_is_used_for_most_of_its_life(auth_time: FakeTime) -> None:
    """Five minutes early would be never, for a token of four."""
    auth = BearerToken(Source(lifetime=240.0))
    await auth.fetch(LEND)
    auth_time.now += 215
    assert auth.headers is not None


async def test_failed_refresh_falls_back_on_a_token_that_still_holds(auth_time: FakeTime) -> None:
    """Early refreshing makes a short outage of the endpoint invisible; a long one is an error."""
    source = Source()
    auth = BearerToken(source)
    headers = await auth.fetch(LEND)
    source.error = RuntimeError()
    auth_time.now += 3500
    assert await auth.fetch(LEND) is headers
    auth_time.now += 101
    with pytest.raises(AuthenticationError):
        await auth.fetch(LEND)


async def test_failed_refresh_is_not_repeated_by_each_call(auth_time: FakeTime) -> None:
    """While the old token holds, calls must not pay for a dead endpoint one after the other."""
    source = Source()
    auth = BearerToken(source)
    headers = await auth.fetch(LEND)
    source.error = RuntimeError()
    auth_time.now += 3500
    for _ in range(10):
        assert (auth.headers or await auth.fetch(LEND)) is headers
        await fetched()
    assert source.fetches == 2


async def test_nobody_waits_for_an_endpoint_that_hangs_while_the_old_token_is_good(
    setup: Setup, auth_time: FakeTime
) -> None:
    """The next token is fetched early for that very reason; after the old one has expired, calls wait for it."""
    setup.login.script = [token(expires_in=3600), STALL]
    await setup.read()
    auth_time.now += 3451
    async with asyncio.timeout(10):
        await asyncio.gather(*(setup.read() for _ in range(10)))
    assert (setup.requests, set(setup.tokens_seen)) == ((2, 11), {"token-1"})
    auth_time.now += 150
    with pytest.raises(CallTimeoutError, match="no token"):
        await setup.client.with_options(total_timeout=0.05).list_subscriptions()


async def test_deadline_of_whoever_starts_a_fetch_is_not_everybodys() -> None:
    """A broker of tokens may be called by an SDK, too: its call is for all, and keeps its own time."""
    left: list[float | None] = []
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def broker(_lend: TokenSession) -> Token:
        left.append(end_of_scope())
        asked.set()
        await go_on.wait()
        return Token("token", 3600.0)

    auth = BearerToken(broker)
    with deadline_scope(0.5):
        first = asyncio.create_task(auth.fetch(LEND))
        await asked.wait()
    go_on.set()
    assert await first == await auth.fetch(LEND)
    assert left == [None]


async def test_attempt_that_was_refused_with_401_is_told_as_that() -> None:
    """The server has seen it, and said no."""
    tokens = iter(("old", "new"))

    async def token_of_now() -> str:
        return next(tokens)

    async with (
        WireServer(CannedAnswer(401), CannedAnswer(body=[])) as server,
        CloudCockpitClient("t.example", token_of_now, base_url=server.url) as client,
    ):
        with pytest.raises(InvalidResponseError) as caught:
            await client.get_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert [attempt.outcome for attempt in caught.value.attempts] == [Outcome.REJECTED, Outcome.REJECTED]


async def test_refused_token_is_no_fallback(auth_time: FakeTime) -> None:
    """What the server answered 401 to is not sent again, however long it is still valid."""
    source = Source()
    auth = BearerToken(source)
    auth.reject(await auth.fetch(LEND))
    source.error = RuntimeError()
    with pytest.raises(AuthenticationError):
        await auth.fetch(LEND)


# When the server refuses


@pytest.mark.parametrize("call", [Setup.read, Setup.write], ids=["READ", "WRITE"])
async def test_endless_401_ends_after_one_fresh_token(
    setup: Setup, call: Callable[[Setup], Any], fake_time: FakeTime
) -> None:
    """Two requests, two tokens, no waiting - per call, and for each further call."""
    setup.server.script = [CannedAnswer(401)]
    for calls in (1, 2, 3):
        before = setup.requests
        with pytest.raises(AuthenticationError) as caught:
            await call(setup)
        used = [now - then for now, then in zip(setup.requests, before, strict=True)]
        assert max(used) <= 2, calls
        assert (caught.value.status, caught.value.outcome) == (401, Outcome.REJECTED)
        assert [attempt.status for attempt in caught.value.attempts] == [401, 401]
    assert fake_time.sleeps == []


@pytest.mark.parametrize("call", [Setup.read, Setup.write], ids=["READ", "WRITE"])
async def test_401_is_cured_by_a_fresh_token(setup: Setup, call: Callable[[Setup], Any]) -> None:
    """A 401 was not processed: even a WRITE may go again."""
    setup.server.script = [CannedAnswer(401), CannedAnswer(202, {"items": []})]
    await call(setup)
    assert setup.tokens_seen == ["token-1", "token-2"]


async def test_retries_bring_no_further_tokens(setup: Setup) -> None:
    """One fresh token per call, however many attempts it takes: a second 401 is final, also after a 500."""
    setup.server.script = [CannedAnswer(401), CannedAnswer(500), CannedAnswer(401), CannedAnswer(200, {"items": []})]
    with pytest.raises(AuthenticationError) as caught:
        await setup.read()
    assert [attempt.status for attempt in caught.value.attempts] == [401, 500, 401]
    assert setup.requests == (2, 3)


async def test_concurrent_401s_cause_one_refresh(setup: Setup) -> None:
    """Also those that arrive when the token has long been replaced: only the refused token is dropped."""
    calls = 20
    all_here, refreshed = asyncio.Event(), asyncio.Event()
    first = Counter[str]()

    async def answer(request: WireRequest) -> CannedAnswer:
        if request.headers["authorization"] != "Bearer token-1":
            refreshed.set()
            return CannedAnswer(202)
        first["old"] += 1
        if first["old"] == calls:
            all_here.set()
        await all_here.wait()
        if request is not setup.server.requests[0]:
            await refreshed.wait()
        return CannedAnswer(401)

    setup.server.script = [answer]
    await asyncio.gather(*(setup.write() for _ in range(calls)))
    assert setup.requests == (2, 2 * calls)
    assert Counter(setup.tokens_seen) == {"token-1": calls, "token-2": calls}


async def test_failed_refresh_after_a_401_tells_of_both(setup: Setup) -> None:
    """The error is the endpoint's; the refused attempt is on record."""
    setup.login.script = [token(), CannedAnswer(400, {"error": "invalid_client"})]
    setup.server.script = [CannedAnswer(401)]
    with pytest.raises(AuthenticationError, match="invalid_client") as caught:
        await setup.write()
    assert [attempt.status for attempt in caught.value.attempts] == [401]
    assert setup.requests == (2, 1)


async def test_403_is_final(setup: Setup) -> None:
    """Another token would have the same rights."""
    setup.server.script = [CannedAnswer(403)]
    with pytest.raises(PermissionDeniedError):
        await setup.read()
    assert setup.requests == (1, 1)


async def test_policy_none_sends_one_request_even_after_a_401(setup: Setup) -> None:
    """One request on the wire means one; but the token is dropped for the next call."""
    setup.server.script = [CannedAnswer(401), CannedAnswer(202)]
    once = setup.client.with_options(retry=RetryPolicy.none())
    with pytest.raises(AuthenticationError):
        await once.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert setup.requests == (1, 1)
    await once.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    assert setup.tokens_seen == ["token-1", "token-2"]


async def test_what_never_changes_is_not_tried_again() -> None:
    """An API key and a token given as text: one request each."""
    async with WireServer(CannedAnswer(401)) as server:
        async with MembershipClient(server.url, "key") as membership:
            with pytest.raises(AuthenticationError):
                await membership.get_contract_data(customer_id=1)
        async with CloudCockpitClient("t.example", "made.up.jwt", base_url=server.url) as cloudcockpit:
            with pytest.raises(AuthenticationError):
                await cloudcockpit.list_customer_subscriptions(customer_id=CUSTOMER)
    assert len(server.requests) == 2


# When the token endpoint fails


@frozen
class Failure:
    step: Any
    kind: type[SdkError]
    retryable: bool
    code: str | None = None
    text: str = ""


ENTRA_ADVICE = {
    7000215: "the client secret is wrong",
    7000222: "the client secret has expired",
    90002: "the tenant in token_url does not exist",
    900021: "the tenant in token_url does not exist",
    65001: "the consent is missing",
    700016: "the tenant has no application of this client_id",
    50034: "check client id, secret, scope and token URL",
}


@goes_through("number", list(ENTRA_ADVICE))
async def test_numbers_of_entra_say_what_to_do(number: int) -> None:
    """With the ids that its support asks for, also after pickling, and never with its description."""
    said = {
        "error": "invalid_client",
        "error_description": f"AADSTS{number}: CANARY",
        "error_codes": [number],
        "trace_id": "7f1f0c9e-0000",
        "correlation_id": "c0ffee00-0000",
    }
    async with WireServer(CannedAnswer(401, said)) as login:
        credentials = ClientCredentials("id", "s", token_url=login.url)
        async with CloudCockpitClient("tenant.example", credentials, base_url=login.url) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.list_subscriptions()
    error = caught.value
    codes = f"(invalid_client, AADSTS{number}, trace id 7f1f0c9e-0000, correlation id c0ffee00-0000)"
    assert f"the token endpoint answered 401 {codes}: {ENTRA_ADVICE[number]}" in str(error)
    assert (error.code, error.details.trace_id) == ("invalid_client", "7f1f0c9e-0000")
    assert error.details.reference == f"AADSTS{number}"
    assert str(pickle.loads(pickle.dumps(error))) == str(error)
    assert "CANARY" not in repr(error) + repr(error.details) + str(error.to_dict())


FAILURES = {
    "wrong secret": Failure(
        CannedAnswer(401, {"error": "invalid_client", "error_description": f"AADSTS7000215: '{SECRET}' is not valid"}),
        AuthenticationError,
        retryable=False,
        code="invalid_client",
        text="(invalid_client, AADSTS7000215): the client secret is wrong",
    ),
    "wrong scope": Failure(
        CannedAnswer(400, {"error": "invalid_scope"}), AuthenticationError, retryable=False, code="invalid_scope"
    ),
    "code that is no code": Failure(CannedAnswer(400, {"error": f"{SECRET} no"}), AuthenticationError, retryable=False),
    "html": Failure(CannedAnswer(200, f"<html>{SECRET}"), AuthenticationError, retryable=False, text="answered 200"),
    "no token": Failure(CannedAnswer(200, {"access_token": None}), AuthenticationError, retryable=False),
    "list": Failure(CannedAnswer(200, [SECRET]), AuthenticationError, retryable=False),
    "token with a line break": Failure(token(f"{SECRET}\r\nX: y"), AuthenticationError, retryable=False),
    "redirect": Failure(
        CannedAnswer(302, headers={"Location": f"http://127.0.0.1:9/{SECRET}"}), AuthenticationError, retryable=False
    ),
    "busy": Failure(CannedAnswer(503, SECRET), AuthenticationError, retryable=True, text="answered 503"),
    "too many": Failure(CannedAnswer(429, headers={"Retry-After": "5"}), AuthenticationError, retryable=True),
    "dropped": Failure(DROP, ConnectionFailedError, retryable=True),
    "garbage": Failure(Raw(f"{SECRET}\r\n\r\n".encode()), ConnectionFailedError, retryable=True),
    "truncated": Failure(
        Raw(b'HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n{"access_token": "x"'),
        ConnectionFailedError,
        retryable=True,
    ),
    "broken compression": Failure(
        Raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nabcd"),
        InvalidResponseError,
        retryable=False,
        text="the body of the answer is not what its Content-Encoding says",
    ),
}


@pytest.mark.parametrize("name", FAILURES)
async def test_token_endpoint_errors_are_typed_and_secret_free(setup: Setup, name: str) -> None:
    """The API saw nothing, the error says which side failed, and repeats nothing that was sent or answered."""
    failure = FAILURES[name]
    setup.login.script = [failure.step]
    client = setup.client.with_options(retry=RetryPolicy.none())
    with pytest.raises(SdkError) as caught:
        await client.suspend_subscription(customer_id=CUSTOMER, subscription_id=SUBSCRIPTION)
    error = caught.value
    assert type(error) is failure.kind
    assert (error.outcome, error.retryable, error.attempts) == (Outcome.NOT_SENT, failure.retryable, ())
    assert (error.operation, error.correlation_id is not None) == ("suspend_subscription", True)
    assert failure.text in str(error)
    if isinstance(error, AuthenticationError):
        assert error.code == failure.code
    told = (
        "".join(traceback.format_exception(error))
        + repr(error)
        + json.dumps(error.to_dict())
        + repr(error.details if isinstance(error, AuthenticationError) else "")
    )
    assert SECRET not in told
    assert setup.requests == (1, 0)


async def test_unreachable_token_endpoint(setup: Setup) -> None:
    """Connection refused: nothing was sent, and the API is not to blame."""
    async with WireServer() as gone:
        credentials = ClientCredentials("app-1", SECRET, token_url=gone.url)
    client = CloudCockpitClient("t.example", credentials, base_url=setup.server.url, retry=RetryPolicy.none())
    async with client:
        with pytest.raises(ConnectionFailedError, match="token endpoint") as caught:
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert (caught.value.outcome, caught.value.retryable) == (Outcome.NOT_SENT, True)
    assert setup.requests == (0, 0)


@pytest.mark.parametrize("step", [CannedAnswer(503), CannedAnswer(429), DROP], ids=["busy", "too many", "dropped"])
async def test_passing_failure_of_the_endpoint_is_retried_in_earnest(
    setup: Setup, auth_time: FakeTime, step: Any
) -> None:
    """Even by a WRITE, and even with two attempts: the second asks the endpoint, not the memory of the first."""
    setup.login.script = [step, token()]
    patient = RetryPolicy(max_attempts=2, sleep=auth_time.sleep, clock=auth_time.clock)
    await setup.client.with_options(retry=patient).suspend_subscription(
        customer_id=CUSTOMER, subscription_id=SUBSCRIPTION
    )
    assert setup.requests == (2, 1)


async def test_endpoints_retry_after_is_kept(setup: Setup, auth_time: FakeTime) -> None:
    """The wait the endpoint asks for is the wait that is made."""
    setup.login.script = [CannedAnswer(429, headers={"Retry-After": "7"}), token()]
    await setup.write()
    (waited,) = auth_time.sleeps
    assert 7 <= waited <= 8
    assert setup.requests == (2, 1)


async def test_failing_provider_is_told_by_type_only(setup: Setup) -> None:
    """Of a foreign exception only the type is told: its text, also further down the traceback, may hold the secret."""

    async def provide() -> str:
        raise LookupError(SECRET)

    async with CloudCockpitClient("t.example", provide, base_url=setup.server.url) as client:
        with pytest.raises(AuthenticationError, match="failed with LookupError") as caught:
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert (caught.value.outcome, caught.value.cause) == (Outcome.NOT_SENT, "LookupError")
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("given_token", [None, 5, "", "x\ny", "Bearer x", "x y", "x" * 9000], ids=str)
async def test_provider_that_returns_no_token(setup: Setup, given_token: Any) -> None:
    """Typed like every other failure, and nothing is sent."""

    async def provide() -> Any:
        return given_token

    async with CloudCockpitClient("t.example", provide, base_url=setup.server.url) as client:
        with pytest.raises(AuthenticationError, match="the token provider gave none that can be sent: token must"):
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert setup.requests == (0, 0)


# What a caller has to change is said


class Sync:
    """As azure-identity has them: the same names as the asynchronous ones."""

    def get_token(self, *_scopes: str, **_options: Any) -> Any:
        return SimpleNamespace(token=SECRET, expires_on=2_000_000_000)


class Lacking:
    async def get_token(self, *_scopes: str) -> Any:
        return SECRET


ADVICE: dict[str, tuple[Any, str]] = {
    "synchronous credential": (
        Sync(),
        r"the credential's get_token\(\) must be async: take .* from azure\.identity\.aio",
    ),
    "plain function": (lambda: SECRET, "the token callable returned str: it must be async"),
    "credential without a token": (Lacking(), "none that can be sent: token must be a str, not NoneType"),
    "line break": (_provider_of(f"{SECRET}\n"), "none that can be sent: token must"),
    "bearer": (_provider_of(f"Bearer {SECRET}"), 'none that can be sent: token must be the token alone.*"Bearer"'),
    "too long": (_provider_of(SECRET * 1000), "none that can be sent: token must have at most 8192 characters"),
    "bytes": (_provider_of(SECRET.encode()), "none that can be sent: token must be a str, not bytes"),
}


@pytest.mark.parametrize("name", ADVICE)
async def test_provider_that_is_made_wrong_is_told_what_to_do(setup: Setup, name: str) -> None:
    """Not "failed with TypeError": the error says what is wrong with it, and repeats nothing of the token."""
    provider, says = ADVICE[name]
    async with CloudCockpitClient("t.example", provider, base_url=setup.server.url) as client:
        with pytest.raises(AuthenticationError, match=says) as caught:
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert (caught.value.outcome, caught.value.retryable) == (Outcome.NOT_SENT, False)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert setup.requests == (0, 0)


@goes_through("given", [f"Bearer {SECRET}", f"bearer  {SECRET}", f"{SECRET} {SECRET}"])
def test_token_as_text_is_the_token_alone(given: str) -> None:
    """With "Bearer" before it twice, it would be refused by the API, as any wrong one."""
    with pytest.raises(ConfigurationError, match="token must be the token alone") as caught:
        CloudCockpitClient("t.example", given)
    assert SECRET not in str(caught.value)


@goes_through("given", [Sync, ClientCredentials, int])
def test_class_is_no_token(given: Any) -> None:
    """The class has all the methods of its instances."""
    with pytest.raises(TypeError, match="token must be an instance"):
        CloudCockpitClient("t.example", given)


# How long a token lasts


def expiring(moment: float) -> str:
    return jwt(json.dumps({"exp": moment}).encode())


LIFETIMES: dict[str, tuple[dict[str, Any], float | None]] = {
    "number": ({"expires_in": 3599}, 3599),
    "text": ({"expires_in": "3599"}, 3599),
    "fraction": ({"expires_in": 3599.5}, 3599.5),
    "fraction as text": ({"expires_in": "3599.0"}, 3599),
    "missing": ({"expires_in": None}, None),
    "missing, but the token names it": ({"expires_in": None, "access_token": expiring(NOW + 1800)}, 1800),
    "senseless, but the token names it": ({"expires_in": "soon", "access_token": expiring(NOW + 1800)}, 1800),
    "none, but the token names it": ({"expires_in": 0, "access_token": expiring(NOW + 1800)}, 1800),
    "number before what the token names": ({"expires_in": 60, "access_token": expiring(NOW + 1800)}, 60),
    "negative": ({"expires_in": -1}, None),
    "true": ({"expires_in": True}, None),
    "list": ({"expires_in": [3599]}, None),
    "not finite": ({"expires_in": "inf"}, None),
    "no number": ({"expires_in": "nan"}, None),
    "enormous": ({"expires_in": "9" * 5000}, None),
    "over by this machine's clock": ({"expires_in": None, "access_token": expiring(NOW - 3600)}, None),
}


@pytest.mark.parametrize("name", LIFETIMES)
async def test_lifetime_is_read_from_the_answer_or_the_token(
    setup: Setup, name: str, auth_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is renewed ahead if anything says when it ends; else it is used until it is refused."""
    monkeypatch.setattr("cloudcockpit_sdk.auth.time", SimpleNamespace(time=lambda: NOW))
    monkeypatch.setattr("sdk_core.auth.random", SimpleNamespace(uniform=lambda _least, most: most))
    answer, lifetime = LIFETIMES[name]
    setup.login.script = [token(**{"access_token": "t", **answer})]
    await setup.read()
    started = auth_time.now
    if lifetime is None:
        auth_time.now = started + 10**9
        await setup.read()
        assert len(setup.login.requests) == 1
        return
    renewed = started + lifetime - min(300, lifetime / 10)
    auth_time.now = renewed - 1
    await setup.read()
    assert len(setup.login.requests) == 1
    auth_time.now = renewed + 1
    await setup.read()
    assert len(setup.login.requests) == 2


HOUR = 3600


@pytest.mark.parametrize("ahead", [-2 * HOUR, 0, HOUR - 1, HOUR, 2 * HOUR, 10**12], ids=str)
@pytest.mark.parametrize("kind", ["callable", "credential", "credential in text"])
async def test_wrong_wall_clock_does_not_make_each_call_fetch_a_token(
    setup: Setup, kind: str, ahead: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token that seems to be over, or nearly so, is used: only the API knows."""
    monkeypatch.setattr("cloudcockpit_sdk.auth.time", SimpleNamespace(time=lambda: NOW + ahead))
    fetches: list[str] = []

    async def provide() -> str:
        fetches.append(kind)
        return expiring(NOW + HOUR)

    class Credential:
        async def get_token(self, *_scopes: str) -> Any:
            expiry: Any = NOW + HOUR
            return SimpleNamespace(token=await provide(), expires_on=str(expiry) if "text" in kind else expiry)

    given: Any = provide if kind == "callable" else Credential()
    async with CloudCockpitClient("t.example", given, base_url=setup.server.url) as client:
        for _ in range(5):
            await client.list_customer_subscriptions(customer_id=CUSTOMER)
    assert len(fetches) == 1


async def test_token_is_used_for_a_minute_at_least(auth_time: FakeTime) -> None:
    source = Source(lifetime=0.5)
    auth = BearerToken(source)
    headers = await auth.fetch(LEND)
    auth_time.now += 50
    assert auth.headers is headers
    auth_time.now += 11
    assert auth.headers is None


# The expiry of a JWT


@fuzzed(25)
@given(st.text() | st.binary().map(jwt) | st.text().map(lambda text: f"a.{text}.c"))
@example(jwt(b"[" * 100_000))
@example(jwt(b'{"exp": 1' + b"0" * 400 + b"}"))
@example(jwt(b'{"exp": NaN}'))
@example(jwt(b'{"exp": []}'))
@example("a.\ud800.c")
def test_expiry_of_anything_is_a_number_or_nothing(text: str) -> None:
    expiry = jwt_expiry(text)
    assert expiry is None or 0 < expiry < float("inf")


@goes_through(
    ("payload", "expiry"),
    [
        (b'{"exp": 1700000000}', 1700000000.0),
        (b'{"exp": 1700000000.5, "a": "\xc3\xa4"}', 1700000000.5),
        (b'{"exp": "1700000000"}', 1700000000.0),
        (b'{"exp": 0}', None),
        (b'{"exp": -1}', None),
        (b'{"exp": null}', None),
        (b"{}", None),
        (b"[]", None),
        (b'"exp"', None),
    ],
)
def test_expiry_is_read_from_the_claims(payload: bytes, expiry: float | None) -> None:
    """Unverified: it only decides when to ask for another."""
    assert jwt_expiry(jwt(payload)) == expiry


async def test_token_that_was_replaced_meanwhile_is_not_sent_after_waiting_in_line() -> None:
    """A call that waited for its connection does not send a token that others were refused with."""
    names = iter(["old", "new"])

    async def provide() -> str:
        return next(names)

    arrived, refuse = asyncio.Event(), asyncio.Event()

    async def refused_late(_request: WireRequest) -> CannedAnswer:
        arrived.set()
        await refuse.wait()
        return CannedAnswer(401)

    async with WireServer(refused_late, CannedAnswer(body={"items": []})) as server:
        options: dict[str, Any] = {"base_url": server.url, "connection": Connection(limit=1)}
        async with CloudCockpitClient("portal.example.com", provide, **options) as client:
            calls = [asyncio.create_task(client.list_customer_subscriptions(customer_id=CUSTOMER)) for _ in range(2)]
            await arrived.wait()
            refuse.set()
            await asyncio.gather(*calls, return_exceptions=True)
    assert [request.headers["authorization"] for request in server.requests] == [
        "Bearer old",
        "Bearer new",
        "Bearer new",
    ]


class _Masked(str):
    """What shows nothing of itself, as settings libraries have it."""

    __slots__ = ()

    def __str__(self) -> str:
        return "***"

    def __format__(self, _spec: str) -> str:
        return "***"


async def test_token_that_masks_itself_is_sent_as_it_is() -> None:
    async with (
        WireServer(CannedAnswer(body={})) as server,
        CloudCockpitClient("t", _provider_of(_Masked("abc")), base_url=server.url) as client,
    ):
        await client.call(READ_ANY)
    assert server.requests[0].headers["authorization"] == "Bearer abc"


async def test_error_of_a_provider_that_cannot_be_copied_is_told_by_its_type() -> None:
    class OwnError(SdkError):
        def __init__(self, _first: int, _second: int, _third: int) -> None:
            super().__init__("own")

    async def provide() -> str:
        raise OwnError(1, 2, 3)

    async with WireServer() as server, CloudCockpitClient("t", provide, base_url=server.url) as client:
        with pytest.raises(AuthenticationError, match="failed with OwnError"):
            await client.call(READ_ANY)


async def test_request_with_another_token_was_not_waited_for(fake_time: FakeTime) -> None:
    """After a retry that was: each attempt tells its own delay."""

    async def provide() -> str:
        return "token"

    answers = CannedAnswer(500), CannedAnswer(401), CannedAnswer(body={"items": [], "totalCount": 0})
    retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    operation = Operation(name="read_it", method="GET", path="/it", returns=object, effect=Effect.READ)
    async with (
        WireServer(*answers) as server,
        CloudCockpitClient("tenant.example", provide, base_url=server.url, retry=retry) as client,
    ):
        reply = await client.call_with_reply(operation)
    assert [attempt.status for attempt in reply.attempts] == [500, 401, 200]
    assert [attempt.delay for attempt in reply.attempts] == [0.0, *fake_time.sleeps, 0.0]
