"""Make the calls and keep their own accounts of what happened."""

import asyncio
import time
from collections.abc import Iterable
from contextlib import AsyncExitStack
from functools import partial
from random import Random
from typing import Final
from uuid import UUID

from aiohttp import ClientSession
from attrs import evolve, frozen

from benchmarks.audit import leftovers
from benchmarks.audit.account import Account
from benchmarks.audit.faults import HUGE
from benchmarks.audit.judge import Violation, judge
from benchmarks.audit.ledger import Entry, Ledger
from benchmarks.audit.plan import (
    ATTEMPT_TIMEOUT,
    CLOUDCOCKPIT,
    DEAD,
    FLAPPING,
    INJECTED,
    MEMBERSHIP,
    STEADY,
    Plan,
    plan,
)
from benchmarks.audit.pulse import Pulse
from benchmarks.audit.server import DeadPort, Elsewhere, Server, language_of
from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from sdk_core.client import Client, ClientOptions
from sdk_core.correlation import correlation_scope
from sdk_core.errors import Outcome, SdkError
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryPolicy

__all__ = ["Run", "run"]

_CONCURRENCY: Final = 64
_POLICY: Final = RetryPolicy(
    backoff_base=0.005, backoff_cap=0.02, max_retry_after=0.25, rate_limit_wait=0.05, budget=None
)
_TURNS_TO_ARRIVE: Final = 12
"""Turns of the event loop in which what a client wrote before it was cancelled reaches the server."""


@frozen
class Run:
    """All that is worth telling of a run."""

    accounts: list[Account]
    ledger: Ledger
    violations: list[Violation]
    longest_pause: float
    left: dict[str, int]
    """Leftovers inside the loop; each should be 0."""


async def run(seed: int, numbers: Iterable[int], complaints: leftovers.Complaints) -> Run:
    """Make these calls."""
    asyncio.get_running_loop().set_exception_handler(complaints.of_loop)
    ledger, todo = Ledger(), iter(numbers)
    accounts: list[Account] = []
    async with AsyncExitStack() as stack:
        clients, pulse = await _set_up(stack, seed, ledger)

        async def work() -> None:
            for number in todo:
                call = plan(seed, number)
                accounts.append(await _make(clients[call.api, call.route], call, ledger.open(call)))

        await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))
        borrowed = leftovers.borrowed_connections()
    # What is closed is told so in the next turns.
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)
    left = {
        "connections not given back": borrowed,
        "tasks": leftovers.other_tasks(),
        "pending timers": leftovers.pending_timers(),
    }
    return Run(accounts, ledger, judge(accounts, ledger, pulse, _POLICY.max_attempts), pulse.longest, left)


async def _set_up(stack: AsyncExitStack, seed: int, ledger: Ledger) -> tuple[dict[tuple[str, str], Client], Pulse]:
    """Start servers first, then clients: these are closed first."""
    pulse = await stack.enter_async_context(Pulse())
    elsewhere = await stack.enter_async_context(Elsewhere(ledger))
    steady = await stack.enter_async_context(Server(ledger, seed, elsewhere.url))
    flapping = await stack.enter_async_context(Server(ledger, seed, elsewhere.url, flapping=True))
    session = await stack.enter_async_context(ClientSession())
    urls = {
        STEADY: steady.url,
        INJECTED: steady.url,
        FLAPPING: flapping.url,
        DEAD: stack.enter_context(DeadPort()).url,
    }
    clients: dict[tuple[str, str], Client] = {}
    for route, url in urls.items():
        options: ClientOptions = {
            "retry": _POLICY,
            "attempt_timeout": ATTEMPT_TIMEOUT,
            "max_response_bytes": HUGE,
            "session": session if route == INJECTED else None,
        }
        clients[CLOUDCOCKPIT, route] = await stack.enter_async_context(_cloudcockpit(seed, url, options))
        # The default allows 1000 calls a minute: most of a long audit would be spent waiting.
        options["rate_limiter"] = LocalRateLimiter(10**6)
        clients[MEMBERSHIP, route] = await stack.enter_async_context(MembershipClient(url, "key", **options))
    return clients, pulse


def _cloudcockpit(seed: int, url: str, options: ClientOptions) -> CloudCockpitClient:
    rng = Random(f"{seed}:tokens")  # noqa: S311  to be repeatable

    async def token() -> str:
        await asyncio.sleep(rng.uniform(0, 0.01))
        return f"token-{rng.getrandbits(32)}"

    return CloudCockpitClient("contoso.example", token, base_url=url, **options)


async def _make(client: Client, call: Plan, entry: Entry) -> Account:
    """Make one call, cancel it if that is the plan, and return its account."""
    task = asyncio.create_task(_call(client, call))
    if call.cancel_step is not None:
        for _ in range(call.cancel_step):
            await asyncio.sleep(0)
    elif call.cancel_after is not None:
        await asyncio.wait([task], timeout=call.cancel_after)
    if not call.cancelled or task.done():
        return await task
    now = time.monotonic()
    task.cancel()
    await asyncio.wait([task])
    ended = time.monotonic()
    for _ in range(_TURNS_TO_ARRIVE):
        await asyncio.sleep(0)
    entry.sealed = True
    if task.cancelled():
        return Account(call.number, now, ended, due=now, cancelled=True, raised=asyncio.CancelledError)
    return evolve(task.result(), due=now, cancelled=True)


async def _call(client: Client, call: Plan) -> Account:
    view = _with_mark(client, call)
    account = partial(Account, call.number, started := time.monotonic(), due=started + call.total_timeout)
    try:
        with correlation_scope(str(UUID(int=call.number))):
            reply = await view.call_with_reply(call.operation, **call.arguments)
    except SdkError as error:
        return account(
            ended=time.monotonic(),
            raised=type(error),
            outcome=error.outcome,
            offers_repeat=error.retryable,
            attempts=error.attempts,
        )
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the audit looks for
        return account(ended=time.monotonic(), raised=type(error), detail=repr(error))
    return account(
        ended=time.monotonic(),
        outcome=Outcome.APPLIED,
        answered=reply.headers.get("X-Call"),
        attempts=reply.attempts,
    )


def _with_mark(client: Client, call: Plan) -> Client:
    """Return a view with the call's deadline, by which the server knows whose request it gets."""
    if isinstance(client, MembershipClient):
        return client.with_options(total_timeout=call.total_timeout, language=language_of(call.number))
    return client.with_options(total_timeout=call.total_timeout)
