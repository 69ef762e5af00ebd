"""Worker processes of the examples, for the tests: started as a user would, killed as nobody would."""

import asyncio
import importlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryFile
from types import ModuleType
from typing import IO, Any, ClassVar
from uuid import UUID

import pytest
from aiohttp import web
from alone import written
from attrs import evolve

from cloudcockpit_sdk import SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import Fault, LedgerEntry, MembershipSandbox, ReceivedRequest
from sdk_core.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PROGRAMS = ROOT / "tests" / "programs"
PATIENCE = 90.0
"""Seconds for what takes a few at most, on a machine that does other things too."""


LATE = 3.0
"""Seconds after which an effect comes late."""


class Slow(Sandbox):
    """A server that takes its time before and after each write of a kind, if told to.

    A client that hangs up meanwhile, or is killed, stops nothing: what was sent takes effect. What it changes has
    numbers, from `FIRST` on.
    """

    FIRST = 5000
    writes: ClassVar[frozenset[str]]
    """The operations that are slow."""

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        self.before, self.after = 0.0, 0.0
        """Seconds."""
        self.phase = ""
        """Of the write that came in last."""
        self.arrived = asyncio.Event()
        """Set when a write comes in."""
        self.faults_of: dict[int, list[Fault]] = {}
        """What goes wrong with the writes to a number, one by one."""
        self.hang_up_after: float | None = None
        """Seconds after which a connection is closed that is not used."""
        self.hung_up = asyncio.Event()

    async def answer(
        self, request: web.Request, received: ReceivedRequest, *targets: str | None, **how: Any
    ) -> web.StreamResponse:
        if self.writes.isdisjoint(targets):
            return await super().answer(request, received, *targets, **how)
        self.phase = "before its effect"
        self.arrived.set()
        await asyncio.sleep(self.before)
        if faults := self.faults_of.get(self.number_in(request.path)):
            # Taken by the answer at once: nothing else gets a turn meanwhile.
            self.fail(faults.pop(0), operation=received.operation)
        response = await super().answer(request, received, *targets, **how)
        self.phase = "before its answer"
        await asyncio.sleep(self.after)
        self.phase = "after its answer"
        if self.hang_up_after is not None:
            asyncio.get_running_loop().call_later(self.hang_up_after, self._hang_up, request.transport)
        return response

    def _hang_up(self, transport: asyncio.Transport | None) -> None:
        if transport is not None:
            transport.close()
        self.hung_up.set()

    @property
    def changed(self) -> list[int]:
        """The numbers of the writes that took effect, in order."""
        return [self.number_of(entry) for entry in self.ledger if entry.operation in self.writes]

    def requests_for(self, number: int) -> int:
        """Return how many writes to a number came in, whatever became of them."""
        return sum(it.operation in self.writes and self.number_in(it.path) == number for it in self.requests)

    def number_in(self, path: str) -> int:
        """Return the number in the path of a write."""
        raise NotImplementedError

    def number_of(self, effect: LedgerEntry) -> int:
        """Return the number of a write's effect."""
        raise NotImplementedError

    def arguments(self, number: int) -> tuple[object, ...]:
        """Return what a task for a number is sent with."""
        raise NotImplementedError

    @property
    def environment(self) -> dict[str, str]:
        """What the programs read."""
        raise NotImplementedError


class Studio(Slow, MembershipSandbox):
    """A studio whose contracts are all canceled; each is to be withdrawn."""

    writes = frozenset({"withdraw_contract_cancelation"})

    def __init__(self, contracts: int) -> None:
        canceled = MembershipSandbox().contracts[self.CUSTOMER_ID][self.CANCELED_CONTRACT_ID]
        own = [evolve(canceled, id=self.FIRST + number) for number in range(contracts)]
        super().__init__(contracts={self.CUSTOMER_ID: own})

    def number_in(self, path: str) -> int:
        return int(path.rpartition("/")[2])

    def number_of(self, effect: LedgerEntry) -> int:
        return int(str(effect.arguments["contract_id"]))

    def arguments(self, number: int) -> tuple[object, ...]:
        return self.CUSTOMER_ID, number

    @property
    def environment(self) -> dict[str, str]:
        return {"MEMBERSHIP_BASE_URL": self.url, "MEMBERSHIP_API_KEY": self.API_KEY}


class Tenant(Slow, CloudCockpitSandbox):
    """A tenant whose subscriptions are Active and Suspended by turns; each is to be the other."""

    writes = frozenset({"suspend_subscription", "reactivate_subscription"})

    def __init__(self, subscriptions: int) -> None:
        super().__init__(subscriptions=[])
        for number in range(self.FIRST, self.FIRST + subscriptions):
            self.add_subscription(id=UUID(int=number), status=SubscriptionStatus(self._status(number)))
        self.keep_state()

    def _status(self, number: int) -> str:
        return "Suspended" if number % 2 else "Active"

    def number_in(self, path: str) -> int:
        return UUID(path.split("/")[-2]).int

    def number_of(self, effect: LedgerEntry) -> int:
        return UUID(str(effect.arguments["subscription_id"])).int

    def arguments(self, number: int) -> tuple[object, ...]:
        return str(UUID(int=number)), self._status(number + 1)

    @property
    def environment(self) -> dict[str, str]:
        return {
            "CLOUDCOCKPIT_TENANT": self.TENANT,
            "CLOUDCOCKPIT_CLIENT_ID": self.CLIENT_ID,
            "CLOUDCOCKPIT_CLIENT_SECRET": self.CLIENT_SECRET,
            "CLOUDCOCKPIT_TOKEN_URL": self.token_url,
            "CLOUDCOCKPIT_BASE_URL": self.url,
            "CLOUDCOCKPIT_CUSTOMER_ID": str(self.CUSTOMER_ID),
        }


class WorkerProcess:
    """A worker in a session of its own, so that all of its processes can be killed at once."""

    def __init__(self, *command: str, environment: Mapping[str, str]) -> None:
        self._command = [sys.executable, *command]
        paths = [ROOT, ROOT / "shared", EXAMPLES, PROGRAMS]
        search = os.pathsep.join(map(str, paths))
        self._environment = {**os.environ, **environment, "PYTHONPATH": search, "PYTHONDONTWRITEBYTECODE": "1"}
        self._log: IO[bytes] = TemporaryFile()  # noqa: SIM115  as long as the worker, which `stop` ends
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(
            self._command,
            cwd=EXAMPLES,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    @property
    def log(self) -> str:
        return written(self._log)

    def wait_for(self, text: str, *, times: int = 1) -> None:
        """Wait until it has printed this so often."""
        give_up = time.monotonic() + PATIENCE
        while self.log.count(text) < times:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < give_up, self.log
            time.sleep(0.02)

    def wait(self) -> int:
        """Wait for its end, and return its exit code."""
        return self._process.wait(PATIENCE)

    def kill(self) -> None:
        """Kill all its processes at once, as the end of its machine would."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    def suspend(self) -> None:
        """Have it stand still, with all its connections."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def kill_children(self) -> None:
        """Kill the processes it has started: of Celery, those that run the tasks."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text()
        for child in map(int, children.split()):
            os.kill(child, signal.SIGKILL)

    def terminate(self) -> None:
        """Have it end as a deployment does, and wait for all of its processes."""
        os.kill(self._process.pid, signal.SIGTERM)
        self.wait()

    def stop(self) -> None:
        if self._process.poll() is None:
            self.kill()
        self._log.close()


@contextmanager
def worker(*command: str, environment: Mapping[str, str]) -> Generator[WorkerProcess]:
    process = WorkerProcess(*command, environment=environment)
    try:
        yield process
    finally:
        process.stop()


@contextmanager
def program(name: str, environment: Mapping[str, str]) -> Generator[ModuleType]:
    """Import an example, or a module of the tests, in this environment, and forget it again."""
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in environment.items():
            patch.setenv(variable, value)
        patch.syspath_prepend(str(EXAMPLES))
        patch.syspath_prepend(str(PROGRAMS))
        try:
            yield importlib.import_module(name)
        finally:
            del sys.modules[name]


async def run_killed(
    server: Slow, send: Callable[[int], Any], kill: Callable[[int], None], *, kills: int, seed: int
) -> Counter[str]:
    """Send a task for each number of the server, one by one, and kill its worker once it has made its request.

    Args:
        server: takes up to 0.15 s before each effect, and as long after it; every fifth effect comes so late that the
            task may have been run again before, and asked again, which the server refuses.
        send: sends the task for a number; may be `async`.
        kill: kills the worker for the so-manieth time.
        kills: how many tasks.
        seed: of the moments: while the request waits, while its answer does, or when both are over.

    Returns:
        How many were killed at which stage of the request.
    """
    moments, phases = random.Random(seed), Counter[str]()
    for number in range(kills):
        server.before, server.after = moments.uniform(0, 0.15), moments.uniform(0, 0.15)
        moment = moments.uniform(0, server.before + server.after + 0.03)
        if number % 5 == 4:
            server.before += LATE
        server.arrived.clear()
        sent = send(server.FIRST + number)
        if asyncio.iscoroutine(sent):
            await sent
        async with asyncio.timeout(PATIENCE):
            await server.arrived.wait()
        await asyncio.sleep(moment)
        kill(number)
        phases[server.phase] += 1
        if number % 5 == 4:
            server.arrived.clear()
            # Not killed again before it is run again, if that is soon enough.
            with suppress(TimeoutError):
                async with asyncio.timeout(LATE):
                    await server.arrived.wait()
    server.before = server.after = 0.0
    return phases
