"""The clients that the calls are made with; building them needs no event loop."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Final

from aiohttp import ClientSession
from attrs import evolve

from benchmarks.audit.faults import HUGE
from benchmarks.audit.plan import (
    ATTEMPT_TIMEOUT,
    CLOUDCOCKPIT,
    DEAD,
    FLAPPING,
    INJECTED,
    LIMITED,
    MEMBERSHIP,
    STEADY,
    Plan,
)
from benchmarks.audit.server import Addresses
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import MembershipClient
from sdk_core.backend import ClientOptions
from sdk_core.client import Client
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryBudget, RetryPolicy

__all__ = ["MAX_ATTEMPTS", "Clients", "own_client", "shared_clients"]

Clients = dict[tuple[str, str], Client]

MAX_ATTEMPTS: Final = 3
_POLICY: Final = RetryPolicy(
    max_attempts=MAX_ATTEMPTS,
    backoff_base=0.005,
    backoff_cap=0.02,
    max_retry_after=0.25,
    rate_limit_wait=0.05,
    budget=None,
)
_PATIENT: Final = evolve(_POLICY, max_retry_after=1.2)
"""Waits until a token may be asked for again."""


def shared_clients(at: Addresses, session: ClientSession | None = None) -> Clients:
    """Build the clients of all routes but OWN, by API and route."""
    urls = {STEADY: at.steady, INJECTED: at.steady, LIMITED: at.steady, FLAPPING: at.flapping, DEAD: at.dead}
    clients: Clients = {}
    for route, url in urls.items():
        limited = route == LIMITED
        options = _options(evolve(_POLICY, budget=RetryBudget()) if limited else _POLICY)
        # Membership's default allows 1000 calls a minute: most of a long audit would be spent waiting.
        options["rate_limiter"] = LocalRateLimiter(1, 0.25) if limited else LocalRateLimiter(10**6)
        options["session"] = session if route == INJECTED else None
        clients[MEMBERSHIP, route] = MembershipClient(url, "key", **options)
        clients[CLOUDCOCKPIT, route] = CloudCockpitClient("contoso.example", _token, base_url=url, **options)
    return clients


def own_client(at: Addresses, call: Plan) -> Client:
    """Build the client of a call on the route OWN."""
    options = _options(_PATIENT)
    if call.api == MEMBERSHIP:
        return MembershipClient(at.steady, "key", **options)
    credentials = ClientCredentials("id", "secret", token_url=f"{at.tokens}/{call.number}/token")
    token = credentials if call.needs_token else _bad_provider(call)
    return CloudCockpitClient("contoso.example", token, base_url=at.steady, **options)


def _options(policy: RetryPolicy) -> ClientOptions:
    return {"retry": policy, "attempt_timeout": ATTEMPT_TIMEOUT, "max_response_bytes": HUGE}


class _ProviderError(OSError):
    """Somebody else's, whose text may hold anything."""


def _bad_provider(call: Plan) -> Callable[[], Awaitable[str]]:
    rng = random.Random(f"{call.seed}:{call.number}:provider")

    async def provide() -> Any:
        await asyncio.sleep(rng.uniform(0, 0.1))
        match rng.randrange(10):
            case 0 | 1:
                raise _ProviderError
            case 2:
                raise asyncio.CancelledError
            case 3:
                return "two\nlines"
            case 4:
                return None
            case _:
                return "token"

    return provide


async def _token() -> str:
    await asyncio.sleep(random.uniform(0, 0.01))
    return f"token-{random.getrandbits(32)}"
