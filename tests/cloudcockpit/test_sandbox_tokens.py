"""The CloudCockpit sandbox's token endpoint and its check of tokens."""

from typing import Any

import pytest
from aiohttp import ClientSession
from cloudcockpit_samples import ACTIVE, SUBSCRIPTIONS_PATH, SUSPENDED, send
from wire import FakeTime

from cloudcockpit_sdk import (
    AuthenticationError,
    ClientCredentials,
    ConnectionFailedError,
    Outcome,
    RetryPolicy,
    operations,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault
from sdk_core.auth import jwt_expiry


async def ask_for_token(sandbox: CloudCockpitSandbox, **changes: str) -> tuple[int, Any]:
    form = {
        "client_id": sandbox.CLIENT_ID,
        "client_secret": sandbox.CLIENT_SECRET,
        "scope": sandbox.credentials.scope,
        "grant_type": "client_credentials",
    }
    async with ClientSession() as session, session.post(sandbox.token_url, data=form | changes) as response:
        return response.status, await response.json()


@pytest.mark.parametrize("authorization", ["", "Bearer ", "Bearer forged", "Basic abc"])
async def test_a_bad_bearer_is_401_without_a_body(authorization: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        assert await send(sandbox, SUBSCRIPTIONS_PATH, Authorization=authorization) == (401, b"")


async def test_tokens_are_jwts_that_expire_by_the_sandboxs_clock(fake_time: FakeTime) -> None:
    async with CloudCockpitSandbox(token_lifetime=60, clock=fake_time.clock) as sandbox:
        token = sandbox.issue_token()
        assert jwt_expiry(token) == fake_time.now + 60
        async with sandbox.client(token=token) as client:
            await client.get_subscription(**ACTIVE)
            fake_time.now += 60
            with pytest.raises(AuthenticationError):
                await client.get_subscription(**ACTIVE)


async def test_one_token_serves_all_calls_until_it_is_expired_early() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        await client.get_subscription(**ACTIVE)
        await client.get_subscription(**ACTIVE)
        assert sandbox.token_requests == 1
        sandbox.expire_tokens()
        reply = await client.call_with_reply(operations.GET_SUBSCRIPTION, **ACTIVE)
        assert [attempt.status for attempt in reply.attempts] == [401, 200]
        assert sandbox.token_requests == 2


async def test_the_token_endpoint_answers_as_documented() -> None:
    async with CloudCockpitSandbox() as sandbox:
        status, answer = await ask_for_token(sandbox)
        token = answer.pop("access_token")
        assert (status, answer) == (200, {"token_type": "Bearer", "expires_in": 3599, "ext_expires_in": 3599})
        assert token.count(".") == 2
        assert sandbox.requests == []


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"client_secret": "wrong"}, 401, "invalid_client"),
        ({"client_id": "wrong"}, 401, "invalid_client"),
        ({"scope": "api://other/.default"}, 400, "invalid_scope"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
async def test_the_token_endpoint_refuses_in_oauth_words(change: dict[str, str], status: int, code: str) -> None:
    async with CloudCockpitSandbox() as sandbox:
        assert await ask_for_token(sandbox, **change) == (status, {"error": code})


async def test_wrong_credentials_fail_the_call_before_anything_reaches_the_api() -> None:
    async with CloudCockpitSandbox() as sandbox:
        wrong = ClientCredentials(sandbox.CLIENT_ID, "wrong", token_url=sandbox.token_url)
        async with sandbox.client(token=wrong) as client:
            with pytest.raises(AuthenticationError) as caught:
                await client.reactivate_subscription(**SUSPENDED)
        assert (caught.value.outcome, caught.value.code) == (Outcome.NOT_SENT, "invalid_client")
        assert sandbox.requests == []


async def test_only_faults_that_name_the_token_endpoint_reach_it() -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy.none()) as client:
        sandbox.fail(Fault.drop(after_applying=True))
        with pytest.raises(ConnectionFailedError) as caught:
            await client.reactivate_subscription(**SUSPENDED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert (sandbox.token_requests, len(sandbox.ledger)) == (1, 1)
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy.none()) as client:
        sandbox.fail(Fault.status(503, retry_after=4), operation="token")
        with pytest.raises(AuthenticationError) as caught_too:
            await client.reactivate_subscription(**SUSPENDED)
        assert (caught_too.value.code, caught_too.value.retry_after) == ("temporarily_unavailable", 4)
        assert sandbox.ledger == []
