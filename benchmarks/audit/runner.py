"""Make the calls in one event loop, and keep their own accounts of what happened."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final
from uuid import UUID

from attrs import evolve, frozen

from benchmarks.audit import leftovers
from benchmarks.audit.account import Account
from benchmarks.audit.clients import Clients, own_client
from benchmarks.audit.plan import OWN, Plan, plan
from benchmarks.audit.pulse import Pulse
from benchmarks.audit.server import Addresses, language_of
from benchmarks.audit.turns import settle
from membership_sdk import MembershipClient
from sdk_core.client import Client
from sdk_core.correlation import correlation_scope
from sdk_core.errors import SdkError
from sdk_core.outcome import Outcome

__all__ = ["Share", "make_calls"]

_CONCURRENCY: Final = 64
_PYTHONS_OWN: Final = {"builtins", "socket", "ssl"}
"""Modules whose OSErrors may be told as the cause."""


@frozen
class Share:
    """What the calls of one event loop came to."""

    accounts: list[Account]
    longest_pause: float
    left: Counter[str]
    """Leftovers; each should be 0."""


async def make_calls(
    seed: int, numbers: Iterable[int], clients: Clients, at: Addresses, complaints: leftovers.Complaints
) -> Share:
    """Make these calls, many at a time."""
    asyncio.get_running_loop().set_exception_handler(complaints.of_loop)
    todo = iter(numbers)
    accounts: list[Account] = []

    async def work() -> None:
        for number in todo:
            call = plan(seed, number)
            async with _client_of(call, clients, at) as client:
                accounts.append(await _make(client, call, at))

    async with Pulse() as pulse:
        await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))
    return Share(
        [evolve(account, stolen=pulse.stolen(account.due, account.ended)) for account in accounts],
        pulse.longest,
        Counter({"connections not given back": leftovers.borrowed_connections()}),
    )


@asynccontextmanager
async def _client_of(call: Plan, clients: Clients, at: Addresses) -> AsyncGenerator[Client]:
    if call.route != OWN:
        yield clients[call.api, call.route]
        return
    async with own_client(at, call) as client:
        yield client
        await _token_fetches()


async def _token_fetches() -> None:
    """Wait until no token is being fetched: who reads its body is not told by aiohttp that the session is closed."""
    tasks = asyncio.all_tasks()
    fetches = [task for task in tasks if getattr(task.get_coro(), "__qualname__", "") == "BearerToken._replace"]
    if fetches:
        await asyncio.wait(fetches)


async def _make(client: Client, call: Plan, at: Addresses) -> Account:
    """Make one call, cancel it if that is the plan, and return its account."""
    task = asyncio.create_task(_call(client, call))
    if call.cancel_step is not None:
        for _ in range(call.cancel_step):
            await asyncio.sleep(0)
    elif call.cancel_after is not None:
        await asyncio.wait([task], timeout=call.cancel_after)
    cancelled, now = call.cancelled and not task.done(), time.monotonic()
    if cancelled:
        task.cancel()
    await asyncio.wait([task])
    ended = time.monotonic()
    if cancelled:
        await _seal(call, at)
    if task.cancelled():
        account = Account(call.number, now, ended, now, raised=asyncio.CancelledError, foreign="nobody cancelled it")
    else:
        account = task.result()
    return evolve(account, due=now, cancelled=True) if cancelled else account


async def _seal(call: Plan, at: Addresses) -> None:
    """Tell that no request of the call may come any more."""
    # What the client wrote before it was cancelled is on its way first.
    await settle()
    _, writer = await asyncio.open_connection("127.0.0.1", at.seals)
    writer.write(b"%d\n" % call.number)
    writer.close()
    await writer.wait_closed()


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
            foreign=_company(error),
            outcome=error.outcome,
            offers_repeat=error.retryable,
            attempts=error.attempts,
        )
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the audit looks for
        return account(ended=time.monotonic(), raised=type(error), foreign=repr(error))
    return account(
        ended=time.monotonic(),
        outcome=Outcome.APPLIED,
        answered=reply.headers.get("X-Call"),
        attempts=reply.attempts,
    )


def _company(error: BaseException | None) -> str:
    """Return what an error carries along that is neither the SDK's nor Python's own: it could tell anything."""
    found: list[str] = []
    while error is not None:
        known = isinstance(error, OSError) and type(error).__module__ in _PYTHONS_OWN
        if not known and not isinstance(error, SdkError):
            found.append(f"carries {error!r}")
        error = error.__cause__ or error.__context__
    return ", ".join(found)


def _with_mark(client: Client, call: Plan) -> Client:
    """Return a view with the call's deadline, by which the server knows whose request it gets."""
    if isinstance(client, MembershipClient):
        return client.with_options(total_timeout=call.total_timeout, language=language_of(call.number))
    return client.with_options(total_timeout=call.total_timeout)
