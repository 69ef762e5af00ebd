"""Settings are checked when a client is built; closing and failing providers are told as what they are."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from wire import STALL, CannedAnswer, WireServer

from cloudcockpit_sdk import AuthenticationError, CloudCockpitClient
from membership_sdk import ClientClosedError, Connection, MembershipClient, Outcome, RetryPolicy

IDS: dict[str, Any] = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}


@goes_through(
    ("option", "value"),
    [
        ("session", "x"),
        ("retry", 3),
        ("connection", "x"),
        ("rate_limiter", "x"),
        ("correlation_id", "abc"),
        ("max_response_bytes", "x"),
        ("max_response_bytes", 0),
        ("max_response_bytes", -1),
        ("attempt_timeout", 0),
        ("total_timeout", "x"),
    ],
)
def test_option_of_a_client_is_checked(option: str, value: Any) -> None:
    """By a TypeError or ValueError that names it."""
    with pytest.raises((TypeError, ValueError), match=option):
        MembershipClient("https://studio.example", "key", **{option: value})


@goes_through(
    ("trait", "value"),
    [
        ("limit", 0),
        ("limit", True),
        ("keepalive_timeout", -1),
        ("proxy", "127.0.0.1:3128"),
        ("proxy", "socks5://host:1"),
    ],
)
def test_trait_of_a_connection_is_checked(trait: str, value: Any) -> None:
    """Before a request finds out, and has to guess what became of it."""
    with pytest.raises((TypeError, ValueError), match=trait):
        Connection(**{trait: value})


async def test_closing_ends_who_waits_for_a_connection() -> None:
    """As ClientClosedError: nobody cancelled the task."""
    async with WireServer(STALL) as server:
        retry = RetryPolicy(backoff_base=0)
        client = MembershipClient(server.url, "key", retry=retry, connection=Connection(limit=1))
        busy = asyncio.create_task(client.get_contract_data(customer_id=1))
        while not server.requests:
            await asyncio.sleep(0.001)
        waiting = asyncio.create_task(client.withdraw_contract_cancelation(customer_id=1, contract_id=2))
        await asyncio.sleep(0.01)
        await client.aclose()
        await asyncio.wait([busy, waiting])
        error = waiting.exception()
        assert isinstance(error, ClientClosedError)
        assert error.outcome is Outcome.NOT_SENT
        assert len(server.requests) == 1
        assert busy.exception() is not None


@pytest.mark.parametrize(("token", "retryable"), [("fixed", False), (None, True)], ids=["fixed", "provider"])
async def test_refused_token_that_can_be_replaced_is_worth_another_call(token: str | None, retryable: bool) -> None:
    """With `RetryPolicy.none()` the SDK does not replay it: the queue may, and gets a fresh token."""

    async def provide() -> str:
        return "fresh"

    async with (
        WireServer(CannedAnswer(401)) as server,
        CloudCockpitClient("t", token or provide, base_url=server.url, retry=RetryPolicy.none()) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.get_subscription(**IDS)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.REJECTED, retryable)
        assert len(server.requests) == 1


async def unreachable() -> str:
    raise ConnectionError("no route")


async def confused() -> str:
    raise LookupError("no such secret")


async def interrupted() -> str:
    raise asyncio.CancelledError


async def hanging() -> str:
    return await asyncio.Event().wait()  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("provider", "retryable"), [(unreachable, True), (confused, False), (interrupted, False), (hanging, True)]
)
async def test_failing_provider_is_an_authentication_error(
    provider: Callable[[], Awaitable[str]], retryable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was sent; passing failures may be repeated, and a task of its own that was cancelled cancels nobody."""
    monkeypatch.setattr("sdk_core.auth._FETCH_TIMEOUT", 0.05)
    async with (
        WireServer() as server,
        CloudCockpitClient("t", provider, base_url=server.url, retry=RetryPolicy.none()) as client,
    ):
        with pytest.raises(AuthenticationError) as caught:
            await client.get_subscription(**IDS)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.NOT_SENT, retryable)
        assert server.requests == []
