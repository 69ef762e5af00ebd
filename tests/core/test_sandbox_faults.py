"""The faults of a sandbox, shown on the Membership sandbox."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from cases import goes_through
from membership_samples import CONTRACT, OFFERED, ONCE, TODAY, read_contract
from wire import FakeTime

from membership_sdk import (
    ApiError,
    BadRequestError,
    CallTimeoutError,
    CancelationStatus,
    ConflictError,
    ConnectionFailedError,
    InvalidResponseError,
    MembershipClient,
    Outcome,
    RateLimitError,
    RetryPolicy,
    SdkError,
    ServerError,
    operations,
)
from membership_sdk.sandbox import Fault, MembershipSandbox


def patient(fake_time: FakeTime) -> RetryPolicy:
    return RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)


async def test_a_refusing_fault_comes_in_the_envelope_and_is_used_up_by_one_request() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(409))
        with pytest.raises(ConflictError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert (caught.value.code, caught.value.details.recognised) == ("SCRIPTED_FAULT", True)
        assert sandbox.ledger == []
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert len(sandbox.ledger) == 1


@pytest.mark.parametrize(("sent", "read"), [(7, 7.0), (1.5, 1.5), ("30", 30.0), ("soon", 60.0), (None, 60.0)], ids=repr)
async def test_retry_after_may_be_seconds_or_any_text(sent: float | str | None, read: float) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(429, retry_after=sent))
        with pytest.raises(RateLimitError) as caught:
            await client.get_contract_data(customer_id=1001)
        assert caught.value.retry_after == read


async def test_faults_are_played_in_order_and_the_client_sits_them_out(fake_time: FakeTime) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=patient(fake_time)) as client:
        sandbox.fail(Fault.status(503), Fault.status(429, retry_after=2))
        reply = await client.call_with_reply(operations.GET_CONTRACT_DATA, customer_id=1001)
        assert [attempt.status for attempt in reply.attempts] == [503, 429, 200]
        assert fake_time.sleeps[1] >= 2


async def test_a_fault_for_an_operation_waits_for_that_operation() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(500), operation="get_contract_cancelation_reason_data")
        await client.get_contract_data(customer_id=1001)
        with pytest.raises(ServerError):
            await client.get_contract_cancelation_reason_data()
        await client.get_contract_cancelation_reason_data()


async def test_faults_that_could_never_happen_are_refused_when_they_are_queued() -> None:
    sandbox = MembershipSandbox()
    with pytest.raises(ValueError, match="operation must be one of"):
        sandbox.fail(Fault.drop(), operation="withdraw_contract_cancellation")
    with pytest.raises(ValueError, match="400 to 599"):
        Fault.status(200)
    with pytest.raises(ValueError, match="delay"):
        Fault.delay(-1)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_dropped_connection_leaves_the_outcome_unknown_and_the_ledger_knows(applied: bool) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.drop(after_applying=applied))
        with pytest.raises(ConnectionFailedError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.requests) == 1
        assert len(sandbox.ledger) == applied
        assert ((await read_contract(client)).cancelation_status is not None) == applied


@pytest.mark.parametrize(
    ("fault", "kind", "effects"),
    [
        (Fault.garbage(), InvalidResponseError, 0),
        (Fault.garbage(after_applying=True), InvalidResponseError, 1),
        (Fault.garbage(502), ServerError, 0),
        (Fault.truncated(), ConnectionFailedError, 1),
    ],
    ids=repr,
)
async def test_garbled_answers_leave_the_outcome_unknown(fault: Fault, kind: type[SdkError], effects: int) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(fault)
        with pytest.raises(kind) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == effects


async def test_a_truncated_read_is_read_again(fake_time: FakeTime) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=patient(fake_time)) as client:
        sandbox.fail(Fault.truncated(), Fault.drop())
        assert len(await client.get_contract_data(customer_id=1001)) == 2
        assert len(sandbox.requests) == 3


async def test_a_late_answer_is_late_only_for_who_waits_for_it() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(attempt_timeout=0.2) as client:
        sandbox.fail(Fault.delay(600))
        with pytest.raises(CallTimeoutError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == 1


async def test_a_short_delay_ends_in_the_real_answer() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.delay(0.01))
        assert len(await client.get_contract_data(customer_id=1001)) == 2


async def _statuses(client: MembershipClient, count: int, customer_id: int = 1001) -> list[int]:
    """Read the contracts, and return what was answered: 200, or the status of an error."""
    statuses: list[int] = []
    for _ in range(count):
        try:
            await client.get_contract_data(customer_id=customer_id)
        except ApiError as error:
            statuses.append(error.status)
        else:
            statuses.append(200)
    return statuses


async def test_a_fault_can_happen_several_times_or_until_it_is_cleared() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        (twice,) = sandbox.fail(Fault.status(409), times=2)
        (always,) = sandbox.fail(Fault.status(500), times=None)
        assert await _statuses(client, 4) == [409, 409, 500, 500]
        assert (twice.used, always.used, sandbox.faults) == (2, 2, [always])
        sandbox.fail(Fault.status(404))
        assert await _statuses(client, 2) == [404, 500]
        assert sandbox.clear_faults()
        assert await _statuses(client, 1) == [200]
        assert not sandbox.clear_faults()


async def test_a_fault_can_be_meant_for_some_ids_wherever_they_are_sent() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.add_contract(customer_id=7, id=70)
        sandbox.fail(Fault.status(409), ids={"contract_id": 70})
        sandbox.fail(Fault.status(404), ids={"customer_id": 7}, operation="get_contract_data")
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        with pytest.raises(ConflictError):
            await client.create_contract_cancelation_amendment(customer_id=7, contract_id=70, **OFFERED)
        assert await _statuses(client, 1) == [200]
        assert await _statuses(client, 2, customer_id=7) == [404, 200]


async def test_a_fault_can_be_meant_for_what_a_predicate_finds() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(409), when=lambda request: request.headers.get("Accept-Language") == "de", times=None)
        german = sandbox.client(retry=ONCE, language="de")
        assert (await _statuses(client, 1), await _statuses(german, 1)) == ([200], [409])
        sandbox.clear_faults()
        sandbox.fail(Fault.status(409), when=lambda request: request.nothing)
        with pytest.raises(ServerError, match="500"):
            await client.get_contract_data(customer_id=1001)
        assert sandbox.requests[-1].answer is not None
        await german.aclose()


async def test_status_code_message_and_body_can_be_ones_own() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(409, code="LOCKED", message="Somebody else is at it."))
        with pytest.raises(ConflictError) as caught:
            await client.get_contract_data(customer_id=1001)
        assert (caught.value.code, caught.value.details.message) == ("LOCKED", "Somebody else is at it.")
        sandbox.fail(Fault.status(418, body={"teapot": Decimal("1.50")}), Fault.status(500, body=b"<oops"))
        for status, raw in ((418, {"teapot": Decimal("1.50")}), (500, None)):
            with pytest.raises(ApiError) as other:
                await client.get_contract_data(customer_id=1001)
            assert (other.value.status, other.value.details.raw) == (status, raw)
        sandbox.fail(Fault.status(200, body=[]))
        assert await client.get_contract_data(customer_id=1001) == []


@goes_through(
    ("queue", "problem"),
    [
        (lambda sandbox: sandbox.fail(Fault.status(204, body={})), "status 204 has no body"),
        (lambda _: Fault.status(409, body=1.5), "pass Decimal"),
        (lambda _: Fault.status(409, body=object()), "can't be sent as JSON"),
        (lambda _: Fault.status(429, retry_after="1\r\nX: y"), "retry_after"),
        (lambda _: Fault.garbage(99), "200 to 599"),
        (lambda sandbox: sandbox.fail("drop"), "fault must be a Fault"),
        (lambda sandbox: sandbox.fail(Fault.drop, times=1), "fault must be a Fault"),
        (lambda sandbox: sandbox.fail(Fault.drop(), times=0), "times"),
        (lambda sandbox: sandbox.fail(Fault.drop(), ids={"contract": 1}), "no request has contract; ids may be"),
        (lambda sandbox: sandbox.fail(Fault.drop(), ids={"customer_id": "1"}), "customer_id"),
        (lambda sandbox: sandbox.fail(Fault.late(), operation="get_idle_periods"), "changes nothing"),
    ],
)
def test_what_could_never_happen_is_refused(queue: Callable[[MembershipSandbox], Any], problem: str) -> None:
    sandbox = MembershipSandbox()
    with pytest.raises((TypeError, ValueError), match=problem):
        queue(sandbox)
    assert sandbox.faults == []


async def test_a_rate_limit_closes_the_operation_for_the_next_minute() -> None:
    """Over 3 a minute, all of the minute that follows is refused; other operations are not; and it opens again."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE, rate_limiter=None) as client:
        sandbox.fail(Fault.rate_limit(3))
        assert await _statuses(client, 5) == [200, 200, 200, 429, 429]
        assert len(await client.get_contract_cancelation_reason_data()) == 2
        sandbox.clock.advance(seconds=59)
        assert await _statuses(client, 1) == [429]
        sandbox.clock.advance(seconds=1)
        assert await _statuses(client, 3) == [200] * 3
        # Late in its minute, too, it closes for a whole one: the next window alone does not open it.
        sandbox.clock.advance(seconds=50)
        assert await _statuses(client, 1) == [429]
        sandbox.clock.advance(seconds=30)
        assert await _statuses(client, 1) == [429]
        sandbox.clock.advance(seconds=30)
        assert await _statuses(client, 4) == [200, 200, 200, 429]
        with pytest.raises(RateLimitError) as caught:
            await client.get_contract_data(customer_id=1001)
        assert caught.value.retry_after == 60


async def test_what_a_rate_limit_refuses_uses_up_no_other_fault() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE, rate_limiter=None) as client:
        sandbox.fail(Fault.status(503))
        sandbox.fail(Fault.rate_limit(1), operation="get_contract_data")
        assert await _statuses(client, 3) == [503, 429, 429]
        sandbox.fail(Fault.status(500))
        assert await _statuses(client, 1) == [429]
        assert [queued.used for queued in sandbox.faults] == [3, 0]


async def test_a_change_can_show_late() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.late(reads=2))
        seen = [(await read_contract(client)).cancelation_status]
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert len(sandbox.ledger) == 1
        seen += [(await read_contract(client)).cancelation_status for _ in range(3)]
        assert seen == [None, None, None, CancelationStatus.CANCELED]
        with pytest.raises(BadRequestError, match="ALREADY_CANCELED"):
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)


async def test_two_changes_that_show_late_hide_behind_the_state_before_both() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.late(), Fault.late(), operation="create_contract_cancelation_amendment")
        sandbox.add_contract(customer_id=7, id=70)
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        await client.create_contract_cancelation_amendment(customer_id=7, contract_id=70, **OFFERED)
        assert [(await read_contract(client)).cancelation_status for _ in range(2)] == [None, "CANCELED"]


async def test_changes_apply_to_the_real_state_while_an_older_one_shows() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.late(reads=2), operation="create_contract_cancelation_amendment")
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        await client.withdraw_contract_cancelation(**CONTRACT)
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert [(await read_contract(client)).cancelation_status for _ in range(3)] == [None, None, "CANCELED"]
        assert len(sandbox.ledger) == 3
