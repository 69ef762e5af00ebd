"""Extreme values of every option: a TypeError or ValueError names it, or a call works with it."""

import asyncio
import math
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any, TypeVar

import pytest
from attrs import evolve
from cases import goes_through
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import Connection, LocalRateLimiter, MembershipClient, RetryBudget, RetryPolicy

URL = "https://studio.example"
SECONDS = [1e9, 3e9, 4e9, 1e18, 1e300, math.inf, math.nan, -1.0, 10**400, True, "1", Decimal(1), b"1", None]
NUMBERS = [2**31, 2**63 - 1, 2**63, 10**400, 0, -1, 1.0, True, "1", None, math.nan]
OTHERS = [None, 0, 1, 1.5, "", "x", "/path/ca.pem", b"x", [], {}, object, object(), print]


def connection(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {"connection": Connection(**{name: value})}


def policy(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {"retry": RetryPolicy(**{name: value})}


def option(name: str) -> Callable[[Any], dict[str, Any]]:
    return lambda value: {name: value}


OPTIONS: dict[str, tuple[Callable[[Any], dict[str, Any]], list[Any]]] = {
    "attempt_timeout": (option("attempt_timeout"), SECONDS),
    "total_timeout": (option("total_timeout"), SECONDS),
    "max_response_bytes": (option("max_response_bytes"), NUMBERS),
    "session": (option("session"), OTHERS),
    "telemetry": (option("telemetry"), OTHERS),
    "rate_limiter": (option("rate_limiter"), OTHERS),
    "language": (option("language"), [*OTHERS, "x" * 9000, "\ud800", "x\n"]),
    "ssl": (connection("ssl"), OTHERS),
    "proxy": (connection("proxy"), OTHERS),
    "trust_env": (connection("trust_env"), OTHERS),
    "limit": (connection("limit"), NUMBERS),
    "keepalive_timeout": (connection("keepalive_timeout"), [*SECONDS, 5e-324]),
    "max_header_bytes": (connection("max_header_bytes"), [*NUMBERS, 8189, 8190, 2**24, 2**24 + 1]),
    "max_attempts": (policy("max_attempts"), NUMBERS),
    "backoff_base": (policy("backoff_base"), [*SECONDS, 0, 5e-324]),
    "backoff_cap": (policy("backoff_cap"), [*SECONDS, 0, 5e-324]),
    "max_retry_after": (policy("max_retry_after"), [*SECONDS, 0]),
    "rate_limit_wait": (policy("rate_limit_wait"), [*SECONDS, 0]),
    "budget": (policy("budget"), OTHERS),
    "sleep": (policy("sleep"), OTHERS[:-3]),
    "clock": (policy("clock"), OTHERS[:-3]),
    "wall_clock": (policy("wall_clock"), OTHERS[:-3]),
    "capacity": (lambda value: {"retry": RetryPolicy(budget=RetryBudget(value, 0))}, NUMBERS),
    "refill": (lambda value: {"retry": RetryPolicy(budget=RetryBudget(100, value))}, [*NUMBERS, 0.5]),
    "limit of a limiter": (lambda value: {"rate_limiter": LocalRateLimiter(value)}, NUMBERS),
    "period": (lambda value: {"rate_limiter": LocalRateLimiter(9, value)}, SECONDS),
}


T = TypeVar("T")


def made(make: Callable[[], T], name: str) -> T | None:
    """Return what is made, or None if it is refused by name."""
    try:
        return make()
    except (TypeError, ValueError) as error:
        refusal = error
    assert name in str(refusal)
    assert not isinstance(refusal, UnicodeError)
    return None


async def call_with_each(name: str) -> int:
    make, values = OPTIONS[name]
    calls = 0
    async with WireServer(CannedAnswer(body=[])) as server:
        for value in values:
            client = made(
                lambda value=value: MembershipClient(server.url, "key", **make(value)), name.partition(" ")[0]
            )
            if client is not None:
                async with client:
                    assert await client.get_contract_data(customer_id=1) == []
                    # Over the connection that was kept, or not.
                    assert await client.get_contract_data(customer_id=1) == []
                calls += 2
        assert len(server.requests) == calls
    return calls


@goes_through("name", list(OPTIONS))
def test_extreme_value_is_refused_or_a_call_works_with_it(name: str) -> None:
    """On asyncio's loop."""
    asyncio.run(call_with_each(name))


@pytest.mark.parametrize("name", ["attempt_timeout", "total_timeout", "keepalive_timeout"])
def test_extreme_value_on_uvloop(name: str) -> None:
    """Its timers count in other ticks."""
    uvloop = pytest.importorskip("uvloop")
    assert uvloop.run(call_with_each(name))


async def call_after_a_refusal(name: str) -> None:
    """Make a call that has to wait as the policy says, though nobody sleeps."""
    make, values = OPTIONS[name]

    async def sleep(_seconds: float) -> None:
        await asyncio.sleep(0)

    for value in values:
        retry = made(lambda value=value: make(value)["retry"], name)
        if retry is None:
            continue
        async with WireServer(
            CannedAnswer(429), CannedAnswer(503, {"errorMessage": "x"}), CannedAnswer(body=[])
        ) as server:
            patient = evolve(retry, sleep=sleep, rate_limit_wait=0)
            async with MembershipClient(server.url, "key", retry=patient, total_timeout=3.1e9) as client:
                await client.get_contract_data(customer_id=1)


@pytest.mark.parametrize("name", ["backoff_base", "backoff_cap"])
async def test_extreme_wait_is_one(name: str) -> None:
    await call_after_a_refusal(name)


CREDENTIALS = ["", " ", "x\n", "\ud800", "x" * 10_000, None, 5, b"x"]


@goes_through("name", ["client_id", "client_secret", "scope", "token_url"])
@goes_through("value", CREDENTIALS)
async def test_credentials_are_refused_or_sent(name: str, value: Any) -> None:
    async with (
        WireServer(CannedAnswer(body={"access_token": "t"})) as login,
        WireServer(CannedAnswer(body={"items": []})) as server,
    ):
        given: dict[str, Any] = {"client_id": "id", "client_secret": "secret", "token_url": login.url, name: value}
        credentials = made(lambda: ClientCredentials(**given), name)
        if credentials is None:
            return
        async with CloudCockpitClient("t", credentials, base_url=server.url) as client:
            await client.list_customer_subscriptions(customer_id="00000000-0000-0000-0000-000000000001")
        assert len(login.requests) == 1


HOSTS = [
    "h h",
    "%41",
    "a%2fb",
    "127.1",
    "2130706433",
    "1.2.3.4.5",
    "h:0",
    "a..b",
    "x" * 64,
    "h\nx",
    "h\x00",
    "[::1",
    "::1",
    "²",
]


@goes_through("host", HOSTS)
def test_host_that_can_not_be_one_is_refused(host: str) -> None:
    """When the client is built, not in each call."""
    for build in (partial(MembershipClient, api_key="key"), partial(_cockpit)):
        with pytest.raises(ValueError, match="base_url"):
            build(f"https://{host}")


def _cockpit(url: str) -> CloudCockpitClient:
    return CloudCockpitClient("t", "token", base_url=url)
