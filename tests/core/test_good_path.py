"""What a successful call does not do: look for trouble, parse what is known, import, leave garbage."""

import asyncio
import builtins
import gc
import sys
import tracemalloc
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from types import FrameType
from typing import Any
from uuid import UUID

import pytest
import tenacity
import yarl
from aiohttp import ClientSession, ClientTimeout
from attrs import frozen
from payloads import payload
from wire import STALL, CannedAnswer, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import LocalRateLimiter, MembershipClient, RetryPolicy, SdkError
from sdk_core.transport.connection import Connection

SUBSCRIPTION = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}


@frozen
class Case:
    """A successful call."""

    answer: CannedAnswer
    client: Callable[[str], Any]
    call: Callable[[Any], Awaitable[Any]]


def membership(url: str) -> MembershipClient:
    return MembershipClient(url, "key")


def cloudcockpit(url: str) -> CloudCockpitClient:
    return CloudCockpitClient("tenant.example", "token", base_url=url)


def cancel(client: MembershipClient) -> Awaitable[Any]:
    return client.create_contract_cancelation_amendment(
        customer_id=1, contract_id=2, cancelation_date=date(2030, 1, 31), cancelation_reason_id=3
    )


CASES = {
    "membership-get": Case(
        CannedAnswer(body=payload("membership_contract_data")),
        membership,
        lambda client: client.get_contract_data(customer_id=1),
    ),
    "membership-post": Case(CannedAnswer(), membership, cancel),
    "membership-post-without-body": Case(
        CannedAnswer(), membership, lambda client: client.withdraw_contract_cancelation(customer_id=1, contract_id=2)
    ),
    "cloudcockpit-get": Case(
        CannedAnswer(body=payload("cloudcockpit_subscription")),
        cloudcockpit,
        lambda client: client.get_subscription(**SUBSCRIPTION),
    ),
    "cloudcockpit-get-with-query": Case(
        CannedAnswer(body=payload("cloudcockpit_subscription_page")),
        cloudcockpit,
        lambda client: client.list_customer_subscriptions(customer_id=UUID(int=1), page_number=2, page_size=50),
    ),
    "cloudcockpit-patch": Case(
        CannedAnswer(), cloudcockpit, lambda client: client.change_po_number(**SUBSCRIPTION, po_number="PO-1")
    ),
    "cloudcockpit-post-without-body": Case(
        CannedAnswer(202), cloudcockpit, lambda client: client.suspend_subscription(**SUBSCRIPTION)
    ),
}


@pytest.fixture(params=CASES.values(), ids=CASES)
async def call(request: pytest.FixtureRequest) -> AsyncIterator[Callable[[], Awaitable[Any]]]:
    """A call that was made before, so that its connection is there and everything is known that is kept."""
    case: Case = request.param
    async with WireServer(case.answer) as server, case.client(server.url) as client:
        for _ in range(3):
            await case.call(client)
        yield lambda: case.call(client)
        assert server.connections == 1


# -- Work that is for failures, or was done before ---------------------------------------------------------------------

_TENACITY = str(Path(tenacity.__file__).parent)
_COSTLY = {
    asyncio.Timeout.__init__.__code__: "asyncio.timeout",
    ClientTimeout.__init__.__code__: "ClientTimeout",
    uuid.uuid4.__code__: "uuid4",
    yarl.URL.build.__func__.__code__: "URL.build",  # type: ignore[attr-defined]
}


@contextmanager
def noting() -> Iterator[list[str]]:
    """Give the list of what is done in the block that a call which succeeds has no need for."""
    noted: list[str] = []
    url = yarl.URL.__new__.__code__
    prepare = ClientSession._prepare_headers.__code__
    import_module = builtins.__import__

    def note_work(frame: FrameType, event: str, _argument: object) -> None:
        code = frame.f_code
        if event != "call":
            return
        if code in _COSTLY:
            noted.append(_COSTLY[code])
        elif code is url and not isinstance(frame.f_locals["val"], yarl.URL):
            noted.append("URL of text")
        elif code is prepare and "User-Agent" in frame.f_locals["headers"]:
            noted.append("headers the session sends by itself")
        elif code.co_filename.startswith(_TENACITY):
            noted.append("tenacity")

    def note_import(name: str, *arguments: Any) -> Any:
        noted.append(f"import {name}")
        return import_module(name, *arguments)

    builtins.__import__ = note_import
    sys.setprofile(note_work)
    try:
        yield noted
    finally:
        sys.setprofile(None)
        builtins.__import__ = import_module


async def test_successful_call_does_no_needless_work(call: Callable[[], Awaitable[Any]]) -> None:
    """No retry machinery, no URL parsed, no timeout object, no constant header put together, no import."""
    with noting() as noted:
        await call()
    assert noted == []


async def test_needless_work_would_be_noted() -> None:
    with noting() as noted:
        asyncio.timeout(1)
        ClientTimeout(total=1)
        uuid.uuid4()
        yarl.URL("http://127.0.0.1/")
        yarl.URL("http://127.0.0.1/", encoded=True)
        yarl.URL.build(scheme="http", host="127.0.0.1")
        tenacity.AsyncRetrying()
        import string  # noqa: F401  loaded already: that costs, too
    assert noted[:6] == ["asyncio.timeout", "ClientTimeout", "uuid4", "URL of text", "URL of text", "URL.build"]
    assert {*noted[6:-1]} == {"tenacity"}
    assert noted[-1] == "import string"


# -- Garbage -----------------------------------------------------------------------------------------------------------


@contextmanager
def collecting() -> Iterator[list[Any]]:
    """Give the list of the objects which the block left to the cyclic garbage collector."""
    left: list[Any] = []
    gc.collect()
    # What other tests keep is not looked at again and again.
    gc.freeze()
    gc.disable()
    try:
        yield left
        gc.set_debug(gc.DEBUG_SAVEALL)
        gc.collect()
        left += gc.garbage
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


async def test_successful_calls_leave_no_reference_cycles(call: Callable[[], Awaitable[Any]]) -> None:
    """All that a call made is gone with it, without the garbage collector."""
    with collecting() as left:
        for _ in range(20):
            await call()
    assert left == []


@pytest.mark.parametrize("failures", [1, 2])
async def test_failures_made_good_leave_no_reference_cycles(failures: int) -> None:
    """A failure's traceback refers to the frames of its call, which must not refer to the failure for good."""

    async def sleep(_seconds: float) -> None:
        pass

    script = [*[CannedAnswer(503)] * failures, CannedAnswer(body=payload("membership_contract_data"))]
    async with WireServer(*script) as server:
        async with MembershipClient(server.url, "key", retry=RetryPolicy(sleep=sleep)) as client:
            with collecting() as left:
                await client.get_contract_data(customer_id=1)
        assert len(server.requests) == failures + 1
    assert [thing for thing in left if isinstance(thing, SdkError | tenacity.Retrying | tenacity.RetryCallState)] == []


def test_reference_cycles_would_be_found() -> None:
    with collecting() as left:
        cycle: list[Any] = []
        cycle.append(cycle)
        del cycle
    assert len(left) == 1


# -- Memory ------------------------------------------------------------------------------------------------------------


async def _bytes_of(pending: Callable[[int], Coroutine[Any, Any, Any]]) -> float:
    """Return how much each of a thousand tasks takes that do this and wait."""
    tracemalloc.start()
    try:
        tasks = [asyncio.create_task(pending(number)) for number in range(1000)]
        for _ in range(3):
            await asyncio.sleep(0)
        size, _peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert not any(task.done() for task in tasks)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
    return size / len(tasks)


async def test_calls_in_line_take_little_memory() -> None:
    """At most 3 kB beyond what any task takes that waits: no request is built before there is a connection for it."""
    limiter = LocalRateLimiter(10_000)

    async def wait(_number: int) -> None:
        await asyncio.get_running_loop().create_future()

    async with WireServer(STALL) as server:
        options: dict[str, Any] = {"connection": Connection(limit=1), "rate_limiter": limiter}
        async with MembershipClient(server.url, "key", **options) as client:
            first = asyncio.create_task(client.get_contract_data(customer_id=1))
            await asyncio.sleep(0)
            taken = await _bytes_of(lambda number: client.get_contract_data(customer_id=1000 + number))
            first.cancel()
            assert taken - await _bytes_of(wait) <= 3000
        assert len(server.requests) <= 1
