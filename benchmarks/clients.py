"""How each client makes the calls. Each runs in processes of its own, and imports only what it needs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import Any, Final, NamedTuple

from benchmarks.payloads import API_KEY, CANCELATION, CONTRACT_ID, DAY, REASON_ID
from benchmarks.server import (
    EVERY_CALL_REFUSED_ONCE,
    EVERY_TENTH_CALL_REFUSED_ONCE,
    ONE_CONTRACT,
    TEN_CONTRACTS,
    get_path,
    post_path,
)

__all__ = ["CLIENTS", "OPERATIONS", "Api", "Call", "loop_factory"]

Call = Callable[[], Awaitable[object]]

_HEADERS: Final = {"X-API-KEY": API_KEY}


class Api(NamedTuple):
    """The two operations, as one client makes them."""

    get: Callable[[int], Awaitable[object]]
    """Of a customer's contracts."""
    post: Call
    """Of a cancelation."""


@asynccontextmanager
async def naive(url: str) -> AsyncGenerator[Api]:
    """Aiohttp as everyone writes it first: what the others are compared with."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def get(customer_id: int) -> object:
            async with session.get(url + get_path(customer_id), headers=_HEADERS) as response:
                return await response.json()

        async def post() -> object:
            async with session.post(url + post_path(ONE_CONTRACT), json=CANCELATION, headers=_HEADERS) as response:
                return await response.json()

        yield Api(get, post)


@asynccontextmanager
async def undecoded(url: str) -> AsyncGenerator[Api]:
    """Aiohttp without reading what the bytes mean: what nobody on top of aiohttp can beat."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def get(customer_id: int) -> object:
            async with session.get(url + get_path(customer_id), headers=_HEADERS) as response:
                return await response.read()

        async def post() -> object:
            async with session.post(url + post_path(ONE_CONTRACT), json=CANCELATION, headers=_HEADERS) as response:
                return await response.read()

        yield Api(get, post)


@asynccontextmanager
async def sdk(url: str) -> AsyncGenerator[Api]:
    """membership_sdk as it is installed, but with a rate limit and a retry budget that are never reached."""
    from membership_sdk import LocalRateLimiter, MembershipClient, RetryBudget, RetryPolicy

    # The default keeps as many starts in mind, but for a minute.
    limiter = LocalRateLimiter(1000, period=0.001)
    # Where every call is refused once, the default budget would be used up soon; and of those that run side by side,
    # one may get the refusals of others.
    retry = RetryPolicy(budget=RetryBudget(10**9), max_attempts=100)
    async with MembershipClient(url, API_KEY, rate_limiter=limiter, retry=retry) as client:

        async def get(customer_id: int) -> object:
            return await client.get_contract_data(customer_id=customer_id)

        async def post() -> object:
            return await client.create_contract_cancelation_amendment(
                customer_id=ONE_CONTRACT,
                contract_id=CONTRACT_ID,
                cancelation_date=DAY,
                cancelation_reason_id=REASON_ID,
            )

        yield Api(get, post)


@asynccontextmanager
async def sdk_in_scope(url: str) -> AsyncGenerator[Api]:
    """membership_sdk with correlation ids of the caller's."""
    from membership_sdk import correlation_scope

    async with sdk(url) as api:

        async def get(customer_id: int) -> object:
            with correlation_scope("4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"):
                return await api.get(customer_id)

        async def post() -> object:
            with correlation_scope("4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"):
                return await api.post()

        yield Api(get, post)


CLIENTS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Api]]]] = {
    "aiohttp": naive,
    "aiohttp, not decoded": undecoded,
    "membership_sdk": sdk,
    "membership_sdk, correlation scope": sdk_in_scope,
}

OPERATIONS: Final[dict[str, Callable[[Api], Call]]] = {
    "GET": lambda api: partial(api.get, ONE_CONTRACT),
    "GET ten": lambda api: partial(api.get, TEN_CONTRACTS),
    "GET, every tenth refused once": lambda api: partial(api.get, EVERY_TENTH_CALL_REFUSED_ONCE),
    "GET, refused once": lambda api: partial(api.get, EVERY_CALL_REFUSED_ONCE),
    "POST": lambda api: api.post,
}


def loop_factory(loop: str) -> Callable[[], Any]:
    """Return what makes the event loops of that name."""
    if loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
