"""The server of a bulk run, in a process of its own: a studio that does whatever it is asked, as often as it is asked.

Unlike the sandbox it withdraws and cancels twice where it is asked twice, so that its ledger shows every request that
should not have been sent. With faults, one request in eight goes wrong, before or after it has taken effect; or its
effect comes late.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import date
from http import HTTPStatus
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, Final

from aiohttp import web
from attrs import evolve, frozen

from membership_sdk.models import CancelationStatus, ContractData, VoidResult
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.sandbox.requests import ReceivedRequest

__all__ = ["CONTRACT", "CUSTOMER", "LATEST", "Counts", "Server", "serving"]

CUSTOMER: Final = 10_000
"""The first customer's id; row i is contract CONTRACT + i of customer CUSTOMER + i."""
CONTRACT: Final = 5_000_000
LATEST: Final = 0.5
"""Seconds after which an effect that comes late has come."""
_FAULTS: Final = (
    Fault.status(429, retry_after=0.05),
    Fault.status(500),
    Fault.status(409),
    Fault.drop(),
    Fault.drop(after_applying=True),
    Fault.truncated(),
    Fault.garbage(after_applying=True),
)


@frozen
class Counts:
    """What the server saw."""

    requests: int
    effects: dict[int, int]
    """By contract."""


class _Studio(MembershipSandbox):
    """Does what it is asked."""

    latency: float
    """Seconds that an answer takes at most."""
    is_faulty: bool
    chance: random.Random

    def withdraw_contract_cancelation(self, *, customer_id: int, contract_id: int) -> VoidResult:
        contract = self._contract(customer_id, contract_id)
        self.contracts[customer_id][contract_id] = evolve(contract, cancelation_status=None, cancelation_date=None)
        return VoidResult()

    def create_contract_cancelation_amendment(
        self,
        *,
        customer_id: int,
        contract_id: int,
        cancelation_date: date,
        cancelation_reason_id: int,  # noqa: ARG002  any will do
    ) -> VoidResult:
        contract = self._contract(customer_id, contract_id)
        self.contracts[customer_id][contract_id] = evolve(
            contract, cancelation_status=CancelationStatus.CANCELED, cancelation_date=cancelation_date
        )
        return VoidResult()

    async def answer(
        self,
        request: web.Request,
        received: ReceivedRequest,
        *targets: str | None,
        apply: Callable[[], web.Response],
        **rest: Any,
    ) -> web.StreamResponse:
        if self.latency:
            await asyncio.sleep(self.latency * self.chance.random())
        if self.is_faulty and self.chance.random() < 1 / 8:
            if self.chance.random() < 1 / 8 and request.transport is not None:
                asyncio.get_running_loop().call_later(LATEST * self.chance.random(), apply)
                request.transport.abort()
                return web.Response(status=HTTPStatus.ACCEPTED)
            self.clear_faults()
            self.fail(self.chance.choice(_FAULTS))
        return await super().answer(request, received, *targets, apply=apply, **rest)


@frozen
class Server:
    """A server in another process."""

    url: str
    _control: Connection

    def counts(self) -> Counts:
        """Return what it has seen since it was asked last."""
        self._control.send("counts")
        requests, effects = self._control.recv()
        return Counts(requests, effects)


@contextmanager
def serving(
    contracts: int, *, canceled: bool, latency: float = 0.0, faulty: bool = False, seed: int = 1
) -> Generator[Server]:
    """Run a server.

    Args:
        contracts: how many there are.
        canceled: whether they are canceled.
        latency: as of the studio.
        faulty: whether requests go wrong.
        seed: which do.
    """
    context = get_context("spawn")
    here, there = context.Pipe()
    settings = {"contracts": contracts, "canceled": canceled, "latency": latency, "faulty": faulty, "seed": seed}
    process = context.Process(target=_serve, args=(there, settings), daemon=True)
    process.start()
    # If the process fails, nobody is to be waited for.
    there.close()
    try:
        yield Server(here.recv(), here)
    finally:
        here.send("stop")
        process.join(10)
        process.kill()


def _serve(control: Connection, settings: dict[str, Any]) -> None:
    asyncio.run(_run(control, **settings))


async def _run(control: Connection, contracts: int, *, canceled: bool, latency: float, faulty: bool, seed: int) -> None:
    studio = _Studio(contracts={CUSTOMER + i: (_contract(CONTRACT + i, canceled=canceled),) for i in range(contracts)})
    studio.latency, studio.is_faulty, studio.chance = latency, faulty, random.Random(seed)
    loop = asyncio.get_running_loop()
    async with studio:
        control.send(studio.url)
        while await loop.run_in_executor(None, control.recv) == "counts":
            effects = Counter(entry.arguments["contract_id"] for entry in studio.ledger)
            control.send((len(studio.requests), dict(effects)))
            studio.requests.clear()


_SAMPLES: Final = MembershipSandbox(today=date(2026, 1, 1))


def _contract(number: int, *, canceled: bool) -> ContractData:
    sample = MembershipSandbox.CANCELED_CONTRACT_ID if canceled else MembershipSandbox.CONTRACT_ID
    return evolve(_SAMPLES.contracts[MembershipSandbox.CUSTOMER_ID][sample], id=number)
