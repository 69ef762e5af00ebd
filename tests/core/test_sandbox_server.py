"""Where a sandbox answers: its port, threads and event loops."""

import asyncio
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, date, datetime

import pytest
from freezegun import freeze_time
from membership_samples import CONTRACT, OFFERED, TODAY, read_contract, send
from wire import FakeTime

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.sandbox.serving import serve


async def test_it_listens_on_loopback_unless_it_is_told_otherwise() -> None:
    sandbox = MembershipSandbox()
    async with sandbox:
        assert sandbox.url.startswith("http://127.0.0.1:")
        with pytest.raises(RuntimeError, match="running already"):
            await sandbox.start()
        port = int(sandbox.url.rpartition(":")[2])
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            await MembershipSandbox().start(port=port)
    for host in ("0.0.0.0", "localhost"):
        await sandbox.start(host=host)
        assert sandbox.url.rpartition(":")[0] in {"http://127.0.0.1", "http://[::1]"}
        assert (await send(sandbox, "GET", "/v1/memberships/1001/self-service/contract-data"))[0] == 200
        await sandbox.stop()
    await sandbox.stop()


@pytest.mark.skipif(not socket.has_ipv6, reason="this machine has no IPv6")
async def test_ipv6_works_too() -> None:
    sandbox = MembershipSandbox()
    try:
        await sandbox.start(host="::1")
    except OSError:
        pytest.skip("this machine has no IPv6 loopback")
    assert sandbox.url.startswith("http://[::1]:")
    assert (await send(sandbox, "GET", "/v1/memberships/1001/self-service/contract-data"))[0] == 200
    await sandbox.stop()


def test_use_from_another_event_loop_is_told_plainly() -> None:
    sandbox = MembershipSandbox()

    async def use() -> None:
        with pytest.raises(RuntimeError, match="another event loop, which is not running"):
            sandbox.client()
        with pytest.raises(RuntimeError, match="must be stopped on the event loop on which it was started"):
            await sandbox.stop()

    loop = asyncio.new_event_loop()
    loop.run_until_complete(sandbox.start())
    assert sandbox.url
    asyncio.run(use())
    loop.run_until_complete(sandbox.stop())
    loop.close()


def test_a_sandbox_whose_loop_is_gone_can_be_started_again() -> None:
    sandbox = MembershipSandbox()

    async def start() -> int:
        await sandbox.start()
        return int(sandbox.url.rpartition(":")[2])

    port = asyncio.run(start())

    async def use() -> None:
        with pytest.raises(RuntimeError, match="another event loop, which is not running"):
            sandbox.client()
        await sandbox.stop()
        async with sandbox, sandbox.client() as client:
            assert len(await client.get_contract_data(customer_id=1001)) == 2
        await sandbox.start(port=port)
        await sandbox.stop()

    asyncio.run(use())


def test_it_runs_in_a_thread_of_its_own_and_is_used_from_others() -> None:
    """Seeds, faults and readers in four threads at once, while the server answers in a fifth."""
    sandbox = MembershipSandbox(today=TODAY)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    asyncio.run_coroutine_threadsafe(sandbox.start(), loop).result()

    async def read(customer: int) -> int:
        async with sandbox.client() as client:
            for number in range(25):
                sandbox.add_contract(customer_id=customer, id=customer * 1000 + number)
                sandbox.fail(Fault.delay(0.001), ids={"customer_id": customer})
                await client.get_contract_data(customer_id=customer)
                await client.get_idle_periods(contract_id=2002)
            return len(await client.get_contract_data(customer_id=customer))

    try:
        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(lambda customer: asyncio.run(read(customer)), (5, 6, 7, 8))) == [25] * 4
        assert sandbox.faults == []
        asyncio.run_coroutine_threadsafe(sandbox.stop(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def test_it_may_stop_while_somebody_connects(caplog: pytest.LogCaptureFixture) -> None:
    """However far that has come: nothing is logged, and the connection is closed."""
    for turns in range(6):
        sandbox = MembershipSandbox()
        await sandbox.start()
        address = "127.0.0.1", int(sandbox.url.rpartition(":")[2])
        with socket.create_connection(address) as coming:
            for _ in range(turns):
                await asyncio.sleep(0)
            await sandbox.stop()
            coming.settimeout(5)
            with suppress(ConnectionResetError):
                assert coming.recv(1) == b"", turns
    assert caplog.messages == []


async def test_a_request_that_breaks_off_is_no_error_of_the_server_s(caplog: pytest.LogCaptureFixture) -> None:
    """Like an upload that was cancelled: there is nobody to answer, and nothing to log."""
    async with MembershipSandbox() as sandbox:
        _, writer = await asyncio.open_connection("127.0.0.1", int(sandbox.url.rpartition(":")[2]))
        writer.write(b"POST /v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nhalf")
        async with sandbox.client() as client:
            await read_contract(client)
            writer.transport.abort()
            await read_contract(client)
    assert caplog.messages == []


async def test_serving_ends_when_it_is_cancelled_and_stops_the_server() -> None:
    sandbox, lines = MembershipSandbox(), list[str]()
    task = asyncio.create_task(serve(sandbox, port=0, tell=lines.append))
    while not lines or not lines[-1].startswith("Ctrl-C"):
        await asyncio.sleep(0)
    assert sandbox.url in lines[0]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    with pytest.raises(RuntimeError, match="not running"):
        _ = sandbox.url


async def test_reset_brings_back_what_it_was_created_with() -> None:
    own = MembershipSandbox(today=TODAY, verification=True)
    async with own as sandbox, sandbox.client() as client:
        contract = await read_contract(client)
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        sandbox.add_contract(customer_id=7)
        sandbox.fail(Fault.drop())
        sandbox.verification = False
        sandbox.clock.advance(days=400)
        sandbox.reset()
        assert (sandbox.requests, sandbox.ledger, sandbox.faults, sandbox.verification) == ([], [], [], True)
        assert (sandbox.today, await read_contract(client)) == (TODAY, contract)
        assert list(sandbox.contracts) == [1001]


async def test_reset_ends_changes_that_are_under_way() -> None:
    async with CloudCockpitSandbox(settle_after=5) as sandbox, sandbox.client() as client:
        ids = {"customer_id": sandbox.CUSTOMER_ID, "subscription_id": sandbox.ACTIVE_SUBSCRIPTION_ID}
        await client.suspend_subscription(**ids)
        sandbox.reset()
        assert sandbox.token_requests == 0
        await client.suspend_subscription(**ids)
        assert (len(sandbox.ledger), (await client.list_audit_logs()).total_count) == (1, 1)


def test_time_is_the_sandboxs_own(fake_time: FakeTime) -> None:
    sandbox = CloudCockpitSandbox(today=date(2030, 2, 28), clock=fake_time.clock)
    assert sandbox.clock.now() == datetime(2030, 2, 28, 12, tzinfo=UTC)
    fake_time.now += 60
    sandbox.clock.advance(days=1, hours=11, minutes=58, seconds=59.5)
    assert sandbox.clock.now() == datetime(2030, 3, 1, 23, 59, 59, 500_000, tzinfo=UTC)
    for bad in ({"days": -1}, {"days": 10**7}, {"seconds": float("nan")}, {"hours": "1"}):
        with pytest.raises((TypeError, ValueError)):
            sandbox.clock.advance(**bad)
    sandbox.clock.reset()
    assert sandbox.today == date(2030, 2, 28)


def test_frozen_time_is_the_sandboxs_time() -> None:
    with freeze_time("2026-01-15"):
        sandbox = MembershipSandbox()
        assert sandbox.today == date(2026, 1, 15)
        sandbox.clock.advance(days=1)
        assert sandbox.today == date(2026, 1, 16)
