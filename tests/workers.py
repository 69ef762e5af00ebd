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
from typing import IO, Any

import pytest
from aiohttp import web
from attrs import evolve

from membership_sdk.sandbox import Fault, MembershipSandbox, ReceivedRequest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"
PROGRAMS = ROOT / "tests" / "programs"
PATIENCE = 90.0
"""Seconds for what takes a few at most, on a machine that does other things too."""


LATE = 3.0
"""Seconds after which an effect comes late."""


class Studio(MembershipSandbox):
    """A studio whose contracts are all canceled. It takes its time before and after each withdrawal, if told to.

    A client that hangs up meanwhile, or is killed, stops nothing: what was sent takes effect.
    """

    FIRST = 5000

    def __init__(self, contracts: int) -> None:
        canceled = MembershipSandbox().contracts[self.CUSTOMER_ID][self.CANCELED_CONTRACT_ID]
        own = [evolve(canceled, id=self.FIRST + number) for number in range(contracts)]
        super().__init__(contracts={self.CUSTOMER_ID: own})
        self.before, self.after = 0.0, 0.0
        """Seconds."""
        self.phase = ""
        """Of the withdrawal that came in last."""
        self.arrived = asyncio.Event()
        """Set when a withdrawal comes in."""
        self.faults_of: dict[int, list[Fault]] = {}
        """What goes wrong with the withdrawals of a contract, one by one."""
        self.hang_up_after: float | None = None
        """Seconds after which a connection is closed that is not used."""
        self.hung_up = asyncio.Event()

    async def answer(
        self, request: web.Request, received: ReceivedRequest, *targets: str | None, **how: Any
    ) -> web.StreamResponse:
        if "withdraw_contract_cancelation" not in targets:
            return await super().answer(request, received, *targets, **how)
        self.phase = "before its effect"
        self.arrived.set()
        await asyncio.sleep(self.before)
        if faults := self.faults_of.get(int(request.path.rpartition("/")[2])):
            # Taken by the answer at once: nothing else gets a turn meanwhile.
            self.fail(faults.pop(0), operation="withdraw_contract_cancelation")
        response = await super().answer(request, received, *targets, **how)
        self.phase = "before its answer"
        await asyncio.sleep(self.after)
        self.phase = "after its answer"
        if self.hang_up_after is not None:
            asyncio.get_running_loop().call_later(self.hang_up_after, self._hang_up, request.transport)
        return response

    def _hang_up(self, transport: asyncio.Transport) -> None:
        transport.close()
        self.hung_up.set()

    @property
    def withdrawn(self) -> list[int]:
        """The contracts of the withdrawals that took effect, in order."""
        return [int(str(entry.arguments["contract_id"])) for entry in self.ledger]

    def requests_for(self, contract_id: int) -> int:
        """Return how many withdrawals of a contract came in, whatever became of them."""
        return sum(request.method == "POST" and request.path.endswith(f"/{contract_id}") for request in self.requests)

    @property
    def environment(self) -> dict[str, str]:
        """What the examples read."""
        return {"MEMBERSHIP_BASE_URL": self.url, "MEMBERSHIP_API_KEY": self.API_KEY}


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
        self._log.seek(0)
        return self._log.read().decode(errors="replace")

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
    studio: Studio, send: Callable[[int], Any], kill: Callable[[int], None], *, kills: int, seed: int
) -> Counter[str]:
    """Send a task for each contract of the studio, one by one, and kill its worker once it has made its request.

    Args:
        studio: takes up to 0.15 s before each effect, and as long after it; every fifth effect comes so late that the
            task may have been run again before, and asked again, which the studio refuses.
        send: sends the task for a contract; may be `async`.
        kill: kills the worker for the so-manieth time.
        kills: how many tasks.
        seed: of the moments: while the request waits, while its answer does, or when both are over.

    Returns:
        How many were killed at which stage of the request.
    """
    moments, phases = random.Random(seed), Counter[str]()
    for number in range(kills):
        studio.before, studio.after = moments.uniform(0, 0.15), moments.uniform(0, 0.15)
        moment = moments.uniform(0, studio.before + studio.after + 0.03)
        if number % 5 == 4:
            studio.before += LATE
        studio.arrived.clear()
        sent = send(studio.FIRST + number)
        if asyncio.iscoroutine(sent):
            await sent
        async with asyncio.timeout(PATIENCE):
            await studio.arrived.wait()
        await asyncio.sleep(moment)
        kill(number)
        phases[studio.phase] += 1
        if number % 5 == 4:
            studio.arrived.clear()
            # Not killed again before it is run again, if that is soon enough.
            with suppress(TimeoutError):
                async with asyncio.timeout(LATE):
                    await studio.arrived.wait()
    studio.before = studio.after = 0.0
    return phases
