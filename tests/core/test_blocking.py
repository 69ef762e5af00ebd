"""R-16: a call does no work of files, TLS settings, name resolution or imports in the event loop's thread."""

import asyncio
import gc
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import pytest
from alone import run_alone
from both_apis import APIS, valid_arguments
from cases import named
from model_json import full
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk import Transition
from membership_sdk import (
    ContractCancelationReason,
    ContractData,
    InvalidResponseError,
    MembershipClient,
    NotFoundError,
    RetryPolicy,
    SdkError,
)
from sdk_core import codec
from sdk_core.deviation import Deviation
from sdk_core.errors import AnsweredError
from sdk_core.operation import Effect, Operation
from sdk_core.returns import Empty

ROOT = Path(__file__).parents[2]
OPERATIONS = {operation.name: (api, operation) for api in APIS for operation in api.operations}

# In a process of its own: what is imported by the first request of all would not be seen here.
_GUARDED = """
import asyncio, ssl, sys, threading
from uuid import UUID
from pathlib import Path
import trustme
from wire import DROP, FakeTime, CannedAnswer, WireServer
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import Document, MembershipClient, RetryPolicy, SdkError, VoidResult
from sdk_core.operation import Effect, Operation

PATH = Path(sys.argv[1])
BLOCKING = {
    "import", "open", "os.listdir", "os.scandir", "subprocess.Popen", "time.sleep",
    "socket.getaddrinfo", "socket.gethostbyname",
}
LOOP = threading.get_ident()
guarded, seen = False, []

def watch(event, arguments):
    if guarded and event in BLOCKING and threading.get_ident() == LOOP:
        seen.append(event)

sys.addaudithook(watch)
for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths", "load_cert_chain"):
    def note(self, *arguments, _name=name, _original=getattr(ssl.SSLContext, name)):
        if guarded:
            seen.append(_name)
        return _original(self, *arguments)
    setattr(ssl.SSLContext, name, note)

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
UPLOAD = Operation(name="upload_it", method="POST", path="/it", body=dict, multipart=True, returns=VoidResult,
                   effect=Effect.WRITE)
SUBSCRIPTION = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}

async def failure(call):
    [error] = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(error, SdkError), error

async def main():
    global guarded
    time = FakeTime()
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    busy = [CannedAnswer(429, {"errorMessage": "no"}, headers={"Retry-After": when})
            for when in ("1", "Fri, 31 Dec 2100 23:59:59 GMT")]
    token = CannedAnswer(body={"access_token": "t", "expires_in": 3600})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    unknown = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)
    ok = CannedAnswer()
    async with (
        unknown,
        WireServer(ok, ok, CannedAnswer(500), DROP, ok, busy[0], ok, CannedAnswer(body=[]), busy[1]) as one,
        WireServer(token, CannedAnswer(202), CannedAnswer(401), token, CannedAnswer(202), CannedAnswer(404)) as two,
    ):
        # What a server's first connection takes is not the client's doing.
        for server in (one, two):
            _reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.close()
            await writer.wait_closed()
        # Nor is what asyncio itself imports for the first thread.
        await asyncio.to_thread(int)
        guarded = True
        credentials = ClientCredentials("id", "secret", token_url=two.url + "/token")
        async with (
            MembershipClient(one.url.replace("127.0.0.1", "localhost"), "key", retry=retry) as membership,
            CloudCockpitClient("tenant.example", credentials, base_url=two.url, retry=retry) as cloudcockpit,
            MembershipClient(f"https://localhost:{unknown.sockets[0].getsockname()[1]}", "key", retry=retry) as tls,
        ):
            for _ in range(3):
                await membership.call(READ)
            await membership.call(UPLOAD, body={"a": 1}, document=Document(source=PATH, content_type="image/png"))
            await membership.get_contract_data(customer_id=1)
            await failure(membership.call(READ))
            for _ in range(2):
                await cloudcockpit.suspend_subscription(**SUBSCRIPTION)
            await failure(cloudcockpit.get_subscription(**SUBSCRIPTION))
            await failure(tls.call(READ))
        assert (len(one.requests), len(two.requests)) == (9, 6), (len(one.requests), len(two.requests))
    assert seen == [], seen
    # And the guard does see such things.
    open(PATH).close()
    import colorsys
    ssl.create_default_context()
    assert {"open", "import", "load_default_certs"} <= set(seen), seen
    guarded = False

asyncio.run(main())
"""


def test_calls_do_not_block_the_loop(tmp_path: Path) -> None:
    """First, second, retried, refused, uploading, with tokens and over TLS: no such work where the loop runs."""
    path = tmp_path / "proof.png"
    path.write_bytes(b"x" * 100_000)
    assert run_alone(_GUARDED, str(path)) == ""


MIB = 2**20


def filled(piece: str, before: str = "[", after: str = "]", size: int = MIB) -> Callable[[], str]:
    """Return what makes a text of this size: no process that only collects tests needs it."""
    return lambda: before + ",".join([piece] * (size // (len(piece) + 1))) + after


CONTRACT = codec.dump(full(ContractData)).decode().replace('"rateCodes"', '"others"').removesuffix("}")
LARGE_ANSWERS: dict[str, tuple[str, Callable[[], str]]] = {
    "objects without anything": ("get_contract_data", filled("{}", f'[{CONTRACT},"rateCodes":[', "]}]")),
    "objects with a name": ("get_contract_data", filled('{"name":"x"}', f'[{CONTRACT},"rateCodes":[', "]}]")),
    "objects, the last of them odd": (
        "get_contract_data",
        filled("{}", f'[{CONTRACT},"rateCodes":[', ',{"name":"","identifier":7}]}]'),
    ),
    "dates": ("get_contract_data", filled('"2024-05-04"', f'[{CONTRACT},"availableCancelationDates":[', "]}]")),
    "misfits": ("get_contract_data", filled("{}")),
    "strings": ("get_contract_data", filled('"x"')),
    "numbers": ("get_contract_data", filled("1.5")),
    "transitions": ("list_eligible_transitions", filled('{"quantity":1}')),
    "odd transitions": ("list_eligible_transitions", filled('{"quantity":1,"offerId":""}')),
    "items": ("list_subscriptions", filled(f'{{"id":"{UUID(int=1)}"}}', '{"items":[', "]}")),
    "raw objects": ("list_audit_logs", filled("{}", '{"items":[', "]}")),
    "raw lists": ("list_audit_logs", filled("[]", '{"items":[', "]}")),
    "raw texts": ("list_audit_logs", filled('"x"', '{"items":[', "]}")),
    "raw numbers": ("list_audit_logs", filled("0.1", '{"items":[', "]}")),
    "raw depths": ("list_audit_logs", filled("[" * 400 + "]" * 400, '{"items":[', "]}")),
    "a map": ("get_custom_term_end_dates", lambda: json.dumps({str(number): number for number in range(70_000)})),
    "nothing documented": ("withdraw_contract_cancelation", filled("[]")),
}
"""An operation, and a MiB that it is answered."""


@pytest.mark.parametrize("name", LARGE_ANSWERS)
async def test_loop_goes_on_while_a_large_answer_is_read(name: str) -> None:
    """No step of the loop takes 50 ms of its thread, whatever a MiB holds; in the codec itself, see test_bounds."""
    operation, body = LARGE_ANSWERS[name]
    longest, error = await longest_step(operation, CannedAnswer(body=body()))
    assert longest < 0.05
    assert error is None or isinstance(error, InvalidResponseError)


async def longest_step(name: str, answer: CannedAnswer) -> tuple[float, SdkError | None]:
    """Return how long the longest step of the loop took its thread in a call, and how the call ended."""
    api, operation = OPERATIONS[name]
    steps: list[float] = []
    async with WireServer(answer) as server, api.client(server.url, retry=RetryPolicy(max_attempts=1)) as client:
        call = asyncio.create_task(_end_of(client.call(operation, **valid_arguments(operation))))
        while not call.done():
            started = time.thread_time()
            # All that is to be done in a millisecond; to ask again at once would take half of the time of who reads.
            await asyncio.sleep(0.001)
            steps.append(time.thread_time() - started)
    return max(steps), await call


async def _end_of(call: Awaitable[object]) -> SdkError | None:
    try:
        await call
    except SdkError as error:
        return error
    return None


OWN_ENVELOPE = '"errorMessage":"No.","errorCode":"NO","statusCode":400,"type":"NO","description":"No."'
LARGE_ERRORS = {
    "depths": filled("[" * 900 + "]" * 900, size=8 * MIB),
    "fields": filled('{"name":"x"}', f'{{{OWN_ENVELOPE},"errors":[', "]}", size=8 * MIB),
    "numbers": filled("1.5", f'{{{OWN_ENVELOPE},"errors":[', "]}", size=8 * MIB),
    "no JSON after all": filled("{}", after="", size=8 * MIB),
}


@pytest.mark.parametrize("what", LARGE_ERRORS)
async def test_loop_goes_on_after_a_large_error(what: str) -> None:
    """8 MiB of it: nothing of that length is an API's envelope."""
    body = LARGE_ERRORS[what]().encode()
    for status in (302, 409, 503):
        with named(status):
            longest, error = await longest_step("get_contract_data", CannedAnswer(status, body))
            assert longest < 0.05
            assert isinstance(error, AnsweredError)
            assert (error.details.raw, error.details.recognised) == (None, False)
            assert body.startswith(error.details.body)
            assert error.details.body
            if status >= 400:
                assert f"with {len(body)} bytes, too many for an error" in error.message


@pytest.mark.parametrize("name", ["withdraw_contract_cancelation", "get_custom_term_end_dates", "list_subscriptions"])
async def test_loop_goes_on_after_a_large_error_with_a_success(name: str) -> None:
    body = filled('{"name":"x"}', f'{{{OWN_ENVELOPE},"errors":[', "]}", size=2 * MIB)
    longest, error = await longest_step(name, CannedAnswer(200, body()))
    # 50 ms for each MiB: one call into msgspec holds the interpreter's lock, in whatever thread.
    assert longest < 0.05 * 2
    assert isinstance(error, InvalidResponseError)
    assert error.details.raw["errorCode"] == "NO"


GIVING_WAY: dict[str, tuple[Callable[[], str], Any]] = {
    "objects that are as they come": (LARGE_ANSWERS["objects without anything"][1], list[ContractData]),
    "raw numbers": (filled("1e9"), object),
    "raw numbers in UTF-16": (filled("1e9"), object),
    "raw numbers in objects": (filled('{"id":1,"offer":[' + "1e9," * 30 + "1]}"), list[Transition]),
}


@pytest.mark.parametrize("name", GIVING_WAY)
def test_other_threads_go_on_while_a_large_answer_is_read(name: str) -> None:
    """A call into msgspec that calls nothing back holds the interpreter's lock, and so holds up the loop's thread."""
    text, shape = GIVING_WAY[name]
    body = text().encode("utf-16" if "UTF-16" in name else "utf-8")
    # Other work on the machine adds to a measurement; where the lock is held, each of them is 0.98 or more.
    assert any(_longest_share_without_us(partial(codec.load, body, shape)) < 0.4 for _ in range(10))


def _longest_share_without_us(read: Callable[[], object]) -> float:
    """Return for which share of the time that another thread reads this one had to stand still at a stretch."""
    with ThreadPoolExecutor(1) as executor:
        longest, started = 0.0, time.perf_counter()
        reading, last = executor.submit(read), started
        while not reading.done():
            time.sleep(0.001)
            now = time.perf_counter()
            longest, last = max(longest, now - last), now
    return longest / (last - started)


async def test_answer_that_is_read_elsewhere_is_told_here() -> None:
    """Callbacks are called in the loop's thread; what does not fit is raised as ever."""
    threads: list[int] = []
    reason = {"cancelationReasonId": 1, "cancelationReasonName": "x" * MIB}
    contract = full(ContractData) | {"cancelationReason": "x" * MIB, "cancelationOrigin": ""}
    answers = [[contract], [reason, reason | {"cancelationReasonId": None}]]

    def tell(_what: Deviation) -> None:
        threads.append(threading.get_ident())

    async with (
        WireServer(*(CannedAnswer(body=answer) for answer in answers)) as server,
        MembershipClient(server.url, "key", on_unexpected=tell) as client,
    ):
        (read,) = await client.get_contract_data(customer_id=1)
        assert read.cancelation_origin is None
        with pytest.raises(InvalidResponseError, match="whole number") as caught:
            await client.get_contract_cancelation_reason_data()
    assert threads == [threading.get_ident()]
    assert caught.value.readable == [codec.structure(reason, ContractCancelationReason)]


async def test_large_answer_is_read_once_however_long_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread has begun with it: nobody begins again in the loop's, which would stand still."""
    monkeypatch.setattr("sdk_core.verdict._PATIENCE", 0.01)
    threads: list[int] = []
    end = threading.Event()

    class Slow(Empty):
        @classmethod
        def from_answer(cls, body: bytes, correlation_id: Callable[[], str]) -> Self:
            threads.append(threading.get_ident())
            end.wait(5)
            return cls()

    operation = Operation(name="do_it", method="POST", path="/it", returns=Slow, effect=Effect.WRITE)
    async with WireServer(CannedAnswer(body=[0] * MIB)) as server, MembershipClient(server.url, "key") as client:
        call = asyncio.create_task(client.call(operation))
        while not threads:
            await asyncio.sleep(0.001)
        asyncio.get_running_loop().call_later(0.03, end.set)
        assert isinstance(await call, Slow)
    assert len(threads) == 1
    assert threads != [threading.get_ident()]


async def test_large_answer_is_read_here_if_there_is_no_other_thread() -> None:
    """Slowly is better than not at all."""
    asyncio.get_running_loop().set_default_executor(executor := ThreadPoolExecutor(1))
    executor.shutdown()
    contract = full(ContractData) | {"cancelationReason": "x" * MIB}
    async with WireServer(CannedAnswer(body=[contract])) as server, MembershipClient(server.url, "key") as client:
        assert len(await client.get_contract_data(customer_id=1)) == 1


@pytest.mark.parametrize("is_shut_down", [False, True])
async def test_large_answer_does_not_wait_for_threads_that_are_all_taken(is_shut_down: bool) -> None:
    """The application's own work may hold them for any time: a call ends at its total timeout, and nothing is lost."""
    executor, end = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(executor)
    contract = full(ContractData) | {"cancelationReason": "x" * MIB}
    async with (
        WireServer(CannedAnswer(body=[contract])) as server,
        MembershipClient(server.url, "key", total_timeout=0.8) as client,
    ):
        executor.submit(end.wait, 10)
        if is_shut_down:
            # By then the answer is in the queue.
            asyncio.get_running_loop().call_later(0.2, partial(executor.shutdown, wait=False, cancel_futures=True))
        try:
            async with asyncio.timeout(5):
                assert len(await client.get_contract_data(customer_id=1)) == 1
        finally:
            end.set()


@pytest.mark.parametrize("state", ["taken", "shut down", "shut down meanwhile"])
async def test_first_retry_does_not_depend_on_the_applications_threads(
    state: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It imports tenacity in one, if there is one."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "tenacity"]:
        monkeypatch.delitem(sys.modules, name)
    executor, end = ThreadPoolExecutor(1), threading.Event()
    asyncio.get_running_loop().set_default_executor(executor)
    answers = CannedAnswer(500), CannedAnswer(body=[])
    async with (
        WireServer(*answers) as server,
        MembershipClient(server.url, "key", retry=RetryPolicy(backoff_base=0)) as client,
    ):
        executor.submit(end.wait, 10)
        if state == "shut down":
            executor.shutdown(wait=False)
        elif state == "shut down meanwhile":
            asyncio.get_running_loop().call_later(0.2, partial(executor.shutdown, wait=False, cancel_futures=True))
        try:
            async with asyncio.timeout(5):
                assert await client.get_contract_data(customer_id=1) == []
        finally:
            end.set()


async def test_call_may_be_cancelled_while_its_answer_is_read(caplog: pytest.LogCaptureFixture) -> None:
    """What becomes of the reading concerns nobody any more, and nobody is told."""
    body = filled("{}")()
    async with WireServer(CannedAnswer(body=body)) as server, MembershipClient(server.url, "key") as client:
        reading = asyncio.Event()
        loop = asyncio.get_running_loop()
        run = loop.run_in_executor

        def noted(*arguments: Any) -> Any:
            reading.set()
            return run(*arguments)

        loop.run_in_executor = noted  # type: ignore[method-assign]
        call = asyncio.create_task(client.get_contract_data(customer_id=1))
        await asyncio.wait_for(reading.wait(), 5)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await loop.shutdown_default_executor()
        gc.collect()
        await asyncio.sleep(0)
    assert not caplog.records


def test_no_step_of_a_call_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    """A loop in debug mode reports no callback of 50 ms: first, second and retried call, and an answer of 256 KiB."""
    large = json.dumps([{"id": number, "name": "x" * 40} for number in range(4_300)])
    assert len(large) > 2**18

    async def use(slow: float) -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = slow
        # In the thread's own time: how long a busy machine lets us wait says nothing of what we do.
        loop.time = time.thread_time  # type: ignore[method-assign]
        async with (
            WireServer(
                CannedAnswer(body="[]"),
                CannedAnswer(body="[]"),
                CannedAnswer(500),
                CannedAnswer(body="[]"),
                CannedAnswer(404, large),
            ) as server,
            MembershipClient(server.url, "key", retry=RetryPolicy(backoff_base=0)) as client,
        ):
            for _ in range(3):
                assert await client.get_contract_data(customer_id=1) == []
            with pytest.raises(NotFoundError):
                await client.get_contract_data(customer_id=1)

    def reports(slow: float) -> list[str]:
        caplog.clear()
        asyncio.run(use(slow), debug=True)
        return [record.getMessage() for record in caplog.records if record.name == "asyncio" and "took" in record.msg]

    assert reports(0.05) == []
    assert reports(0.0) != []
