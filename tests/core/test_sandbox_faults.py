"""The faults of a sandbox, shown on the Membership sandbox."""

import pytest
from membership_samples import CONTRACT, OFFERED, ONCE, TODAY, read_contract
from wire import FakeTime

from membership_sdk import (
    CallTimeoutError,
    ConflictError,
    ConnectionFailedError,
    InvalidResponseError,
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
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(attempt_timeout=0.05) as client:
        sandbox.fail(Fault.delay(600))
        with pytest.raises(CallTimeoutError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == 1


async def test_a_short_delay_ends_in_the_real_answer() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.delay(0.01))
        assert len(await client.get_contract_data(customer_id=1001)) == 2
