"""Let worlds happen, one after the other, and keep the runs' own accounts."""

import asyncio
import random
from collections.abc import Callable, Iterable
from functools import partial
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from aiohttp import ClientSession, UnixConnector

from benchmarks.audit import leftovers
from benchmarks.audit.workflows.account import RunAccount
from benchmarks.audit.workflows.clock import MadeUpTime
from benchmarks.audit.workflows.plan import RunPlan, WorldPlan, plan_world
from benchmarks.audit.workflows.server import Server, correlation_id_of, language_of, serving
from benchmarks.audit.workflows.world import World
from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from sdk_core.backend import ClientOptions
from sdk_core.client import Client
from sdk_core.correlation import correlation_scope
from sdk_core.errors import SdkError
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryPolicy

__all__ = ["Story", "make_worlds"]

# The first retry of a process would import it in a thread, and made-up time waits for none.
import_module("tenacity")

Story = tuple[World, list[RunAccount]]

_URL: Final = "http://127.0.0.1"
_RUNS: Final = 8
"""No world has as many."""
_AFTERMATH: Final = 500.0
"""Seconds after which all that was accepted has happened."""
_PATIENCE: Final = 3000.0
"""Seconds after which a run is held to hang."""


def make_worlds(
    seed: int, numbers: Iterable[int], complaints: leftovers.Complaints, hear: Callable[[Story], None]
) -> None:
    """Let these worlds happen, and have each heard."""
    # The SDK draws from these, too: from the seed meanwhile.
    state = random.getstate()
    try:
        with TemporaryDirectory() as folder, asyncio.Runner(loop_factory=MadeUpTime) as runner:
            runner.get_loop().set_exception_handler(complaints.of_loop)
            runner.run(_worlds(seed, numbers, Path(folder), hear))
            left = runner.run(leftovers.in_loop())
    finally:
        random.setstate(state)
    complaints += [f"{count} {what} left" for what, count in left.items() if count]


async def _worlds(seed: int, numbers: Iterable[int], folder: Path, hear: Callable[[Story], None]) -> None:
    async with serving(folder) as (server, path), ClientSession(connector=UnixConnector(path)) as session:
        for number in numbers:
            hear(await _make(plan_world(seed, number), server, session))


async def _make(plan: WorldPlan, server: Server, session: ClientSession) -> Story:
    loop = asyncio.get_running_loop()
    random.seed(f"{plan.seed}:{plan.number}:sdk")
    world = server.world = World(plan, loop)
    world.begin()
    clients = {limited: _client(plan, session, limited=limited) for limited in {run.is_limited for run in plan.runs}}
    tasks: list[asyncio.Task[RunAccount]] = []
    for index, run in enumerate(plan.runs):
        before = tasks[-1] if tasks and run.follows else None
        number = plan.number * _RUNS + index
        tasks.append(loop.create_task(_run(world, run, number, clients[run.is_limited], before)))
    accounts = [await task for task in tasks]
    await asyncio.sleep(_AFTERMATH)
    return world, accounts


def _client(plan: WorldPlan, session: ClientSession, *, limited: bool) -> Client:
    loop = asyncio.get_running_loop()
    options: ClientOptions = {
        "session": session,
        "retry": RetryPolicy(clock=loop.time, budget=None),
        "rate_limiter": LocalRateLimiter(3, 10.0, clock=loop.time) if limited else None,
    }
    if plan.subject.is_slow:
        return CloudCockpitClient("portal.example.com", "token", base_url=_URL, **options)
    return MembershipClient(_URL, "key", **options)


async def _run(
    world: World, run: RunPlan, number: int, client: Client, before: asyncio.Task[RunAccount] | None
) -> RunAccount:
    if before is not None:
        await asyncio.wait([before])
    await asyncio.sleep(run.starts)
    task = asyncio.create_task(_settle(world, run, number, client))
    await asyncio.wait([task], timeout=run.crashes or _PATIENCE)
    if task.done():
        return task.result()
    task.cancel()
    await asyncio.wait([task])
    now = world.loop.time()
    ends = run.crashes is not None
    return RunAccount(number=number, timeout=run.timeout, started=now, ended=now, crashed=ends, hung=not ends)


async def _settle(world: World, run: RunPlan, number: int, client: Client) -> RunAccount:
    plan, loop = world.plan, world.loop
    options: dict[str, Any] = {"timeout": run.timeout, "ask": run.asks}
    if plan.subject.is_slow:
        options["poll"] = run.poll
    if run.resend_after is not None:
        options["resend_after"] = run.resend_after
    if isinstance(client, MembershipClient):
        client = client.with_options(language=language_of(number))
    account = partial(RunAccount, number=number, timeout=run.timeout, started=loop.time())
    try:
        with correlation_scope(correlation_id_of(number)):
            settled = await plan.subject.run(client, plan.number, by_name=run.by_name, **options)
    except SdkError as error:
        told = error.to_dict()
        return account(
            ended=loop.time(),
            raised=type(error).__name__,
            outcome=error.outcome,
            offers_repeat=error.retryable,
            state=told.get("state"),
            operation=error.operation,
            correlation_ids=(error.correlation_id, *told.get("correlation_ids", ())),
        )
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the audit looks for
        return account(ended=loop.time(), foreign=repr(error), raised=type(error).__name__)
    return account(ended=loop.time(), change=settled.change)
