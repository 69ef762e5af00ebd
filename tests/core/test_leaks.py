"""R-13 and R-07: failures give their connection back, and a connection the server gave up costs no call."""

import gc
import re
import weakref
from pathlib import Path
from typing import Any

import pytest
from alone import run_alone
from wire import DROP, CannedAnswer, FakeTime, Raw, WireServer

from membership_sdk import ConnectionFailedError, MembershipClient, Outcome, SdkError, VoidResult
from sdk_core.call import Answer
from sdk_core.operation import Effect, Operation
from sdk_core.retry import RetryPolicy
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.transport.timer import Limit, Timer

ROOT = Path(__file__).parents[2]

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
PUT = Operation(name="put_it", method="PUT", path="/it", returns=VoidResult, effect=Effect.IDEMPOTENT)
WRITE = Operation(name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE)

# -- A thousand failures on one connection (R-13) ----------------------------------------------------------------------

_STORM = """
import asyncio, gc, logging, time
from attrs import evolve
from wire import DROP, STALL, Raw, CannedAnswer, WireServer
from membership_sdk import Connection, MembershipClient, RetryPolicy, SdkError
from membership_sdk.operations import GET_CONTRACT_DATA

# A debug loop tells of callbacks that a busy machine has slowed down; everything worse is an error there.
logging.getLogger("asyncio").setLevel(logging.ERROR)
HEAD = b"HTTP/1.1 200 X\\r\\nContent-Type: application/json\\r\\n"
STEPS = {
    "html": CannedAnswer(502, "<html>" + "x" * 5000, content_type="text/html"),
    "json_cut": CannedAnswer(body='[{"id":'),
    "body_cut": Raw(HEAD + b"Content-Length: 99\\r\\n\\r\\n{"),
    "bad_chunk": Raw(HEAD + b"Transfer-Encoding: chunked\\r\\n\\r\\nzz\\r\\n"),
    "undecodable": CannedAnswer(body=[{"id": "seven"}]),
    "oversized": CannedAnswer(body=b"x" * 100_000),
    "redirect": CannedAnswer(302, "elsewhere", headers={"Location": "https://studio.example/"}),
    "upgraded": Raw(b"HTTP/1.1 101 X\\r\\nConnection: upgrade\\r\\nUpgrade: websocket\\r\\n\\r\\n", close=False),
    "not_found": CannedAnswer(404, {"errorMessage": "no"}),
    "dropped": DROP,
    "cancelled": STALL,
}
ROUNDS = 100

def answer(request):
    return STEPS.get(request.target.rpartition("/")[2], CannedAnswer(body=[]))

async def cancel_when_seen(server, call):
    seen = len(server.requests)
    task = asyncio.create_task(call)
    while len(server.requests) == seen:
        await asyncio.sleep(0)
    task.cancel()
    await task

async def main():
    ends = []
    async with WireServer(answer) as server, MembershipClient(
        server.url, "key", retry=RetryPolicy.none(), connection=Connection(limit=1), max_response_bytes=50_000
    ) as client:
        operations = [evolve(GET_CONTRACT_DATA, name=name, path="/it/" + name) for name in STEPS]
        for _ in range(ROUNDS):
            for operation in operations:
                call = client.call(operation)
                try:
                    await (cancel_when_seen(server, call) if operation.name == "cancelled" else call)
                except (SdkError, asyncio.CancelledError) as error:
                    ends.append(type(error).__name__)
        started = time.monotonic()
        assert await client.get_contract_cancelation_reason_data() == []
        assert time.monotonic() - started < 1
    assert len(ends) == ROUNDS * len(STEPS) == len(server.requests) - 1, (len(ends), len(server.requests))
    assert len(set(ends)) == 5, set(ends)
    gc.collect()

asyncio.run(main())
"""


@pytest.mark.endurance
def test_thousand_failures_leave_nothing_behind() -> None:
    """Eleven kinds, a hundred times each, on one connection: then a call succeeds in a second, and no warning came."""
    assert run_alone(_STORM, options=("-X", "dev")) == ""


# -- Connections the server has given up (R-07) ------------------------------------------------------------------------


def client_for(server: WireServer, time: FakeTime, **options: Any) -> MembershipClient:
    policy = RetryPolicy(sleep=time.sleep, clock=time.clock, **options)
    return MembershipClient(server.url, "key", retry=policy)


async def test_server_that_closes_after_each_answer(fake_time: FakeTime) -> None:
    """Without announcing it: 100 calls, one after the other, no error, no wait."""
    answer = Raw(CannedAnswer().encode())
    async with WireServer(answer) as server, client_for(server, fake_time) as client:
        for _ in range(100):
            await client.call(READ)
        assert 100 <= len(server.requests) < 200
        assert server.connections == 100
    assert not any(fake_time.sleeps)


@pytest.mark.parametrize("operation", [READ, PUT], ids=lambda operation: operation.effect.value)
async def test_stale_connection_is_replaced_at_once(operation: Operation[Any], fake_time: FakeTime) -> None:
    """The server hangs up on the first reuse, without a byte: each call succeeds on a new one, with no wait."""
    async with (
        WireServer(*[CannedAnswer(), DROP] * 100) as server,
        client_for(server, fake_time, budget=None) as client,
    ):
        replies = [await client.call_with_reply(operation) for _ in range(100)]
        assert len(server.requests) == 199
        assert server.connections == 100
    assert {len(reply.attempts) for reply in replies[1:]} == {2}
    assert sum(fake_time.sleeps) == 0


async def test_write_on_a_stale_connection_is_not_repeated(fake_time: FakeTime) -> None:
    """Nobody knows whether the server had read it: one request, outcome UNKNOWN."""
    async with WireServer(CannedAnswer(), DROP) as server, client_for(server, fake_time) as client:
        await client.call(READ)
        with pytest.raises(ConnectionFailedError) as caught:
            await client.call(WRITE)
        assert len(server.requests) == 2
    assert caught.value.outcome is Outcome.UNKNOWN


TROUBLE: dict[str, list[Any]] = {
    "new-connection": [DROP],
    "head-begun": [CannedAnswer(), Raw(b"HTTP/1.1 200 X\r\nContent-Type: text/html\r\n")],
    "body-begun": [CannedAnswer(), Raw(b"HTTP/1.1 200 X\r\nContent-Length: 9\r\n\r\n{")],
}


@pytest.mark.parametrize("script", TROUBLE.values(), ids=TROUBLE)
async def test_server_in_trouble_is_given_time(script: list[Any], fake_time: FakeTime) -> None:
    """Dropped on a new connection, or in the middle of an answer: that is no stale one, and the retry backs off."""
    async with WireServer(*script, CannedAnswer()) as server, client_for(server, fake_time) as client:
        for _ in script:
            await client.call(READ)
        assert len(server.requests) == len(script) + 1
    [wait] = fake_time.sleeps
    assert wait > 0


async def test_only_the_first_drop_of_a_call_is_made_good_at_once(fake_time: FakeTime) -> None:
    """From the second on it is an outage, and the retries back off."""
    async with WireServer(CannedAnswer(), DROP) as server, client_for(server, fake_time, max_attempts=4) as client:
        await client.call(READ)
        with pytest.raises(ConnectionFailedError):
            await client.call(READ)
        assert len(server.requests) == 1 + 4
    first, *others = fake_time.sleeps
    assert first == 0
    assert all(wait > 0 for wait in others)


async def test_one_request_stays_one_on_a_stale_connection() -> None:
    """`RetryPolicy.none()` allows no second one, however it came to the first."""
    async with WireServer(CannedAnswer(), DROP) as server:
        async with MembershipClient(server.url, "key", retry=RetryPolicy.none()) as client:
            await client.call(READ)
            with pytest.raises(ConnectionFailedError):
                await client.call(READ)
        assert len(server.requests) == 2


async def test_failure_before_a_success_is_gone_with_the_call(fake_time: FakeTime) -> None:
    """Without the garbage collector: a call that was repeated leaves no reference cycle."""
    failures: list[weakref.ref[SdkError]] = []

    class Noting(Telemetry):
        def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> None:
            failures.append(weakref.ref(error))

    retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    async with (
        WireServer(CannedAnswer(500), CannedAnswer(body=[])) as server,
        MembershipClient(server.url, "key", retry=retry, telemetry=Noting()) as client,
    ):
        gc.collect()
        gc.disable()
        try:
            assert await client.get_contract_data(customer_id=1) == []
            assert [failure() for failure in failures] == [None]
        finally:
            gc.enable()


@pytest.mark.parametrize("made", [Answer(200, {"X": "Jane Doe"}, b"Jane Doe"), Limit(Timer(None), 7777.0)])  # type: ignore[arg-type]
def test_what_is_made_for_a_call_shows_nothing(made: object) -> None:
    assert re.fullmatch(r"<[\w.]+ object at 0x\w+>", repr(made))
