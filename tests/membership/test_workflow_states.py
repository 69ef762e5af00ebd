"""What workflows make of states, choices and rules that are not the usual ones."""

from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from timeline import Timeline

from membership_sdk import (
    CancelationStatus,
    Change,
    Document,
    MembershipClient,
    NotOfferedError,
    NotSettledError,
    Outcome,
    PermissionDeniedError,
    RetryPolicy,
    WorkflowError,
)
from membership_sdk.models import IdlePeriodConfiguration, IdlePeriodCreationStatus
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import cancel_contract, request_idle_period, withdraw_cancelation

Box = MembershipSandbox
MAIN: dict[str, Any] = {"customer_id": Box.CUSTOMER_ID, "contract_id": Box.CONTRACT_ID}
CANCELED: dict[str, Any] = {"customer_id": Box.CUSTOMER_ID, "contract_id": Box.CANCELED_CONTRACT_ID}
EARLIEST: dict[str, Any] = {**MAIN, "on": "earliest"}
IDLE: dict[str, Any] = {
    "contract_id": Box.CONTRACT_ID,
    "start_date": MembershipSandbox().idle_period_config.first_possible_start_date,
    "reason": Box.IDLE_REASON_ID,
}
PENDING = CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def client_of(sandbox: MembershipSandbox, timeline: Timeline) -> MembershipClient:
    return sandbox.client(retry=RetryPolicy(sleep=timeline.sleep, clock=timeline.clock), rate_limiter=None)


# -- Cancelations ------------------------------------------------------------------------------------------------------


async def test_a_studio_that_verifies_has_taken_the_cancelation(timeline: Timeline) -> None:
    async with MembershipSandbox(verification=True) as sandbox, client_of(sandbox, timeline) as client:
        first = await cancel_contract(client, **EARLIEST, reason=Box.REASON_ID)
        assert first.changed
        assert first.state.cancelation_status == CancelationStatus.PENDING_VERIFICATION
        assert (await cancel_contract(client, **EARLIEST, reason=Box.REASON_ID)).unchanged
        assert len(sandbox.ledger) == 1


async def test_a_contract_whose_withdrawal_waits_for_the_studio_is_withdrawn_and_not_canceled(
    timeline: Timeline,
) -> None:
    """Its day is still there: whoever took that for a cancelation would tell the member that the contract ends."""
    async with MembershipSandbox(verification=True) as sandbox, client_of(sandbox, timeline) as client:
        settled = await withdraw_cancelation(client, **CANCELED)
        assert (settled.change, settled.state.cancelation_status) == (Change.ACKNOWLEDGED, PENDING)
        day = settled.state.cancelation_date
        assert day is not None
        with pytest.raises(WorkflowError, match="withdrawal") as caught:
            await cancel_contract(client, **CANCELED, on=day, reason=Box.REASON_ID)
        assert caught.value.state == PENDING
        assert len(sandbox.ledger) == 1


async def test_a_cancelation_to_a_day_that_is_not_told_is_one(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        contracts = sandbox.contracts[Box.CUSTOMER_ID]
        contracts[Box.CANCELED_CONTRACT_ID] = evolve(contracts[Box.CANCELED_CONTRACT_ID], cancelation_date=None)
        assert (await cancel_contract(client, **CANCELED, on="earliest", reason=Box.REASON_ID)).unchanged
        assert sandbox.ledger == []


async def test_a_name_that_two_reasons_have_is_no_choice(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        first = sandbox.reasons[0]
        sandbox.reasons = [*sandbox.reasons, evolve(first, cancelation_reason_id=9999)]
        with pytest.raises(NotOfferedError, match="several"):
            await cancel_contract(client, **EARLIEST, reason=first.cancelation_reason_name)
        assert sandbox.ledger == []


async def test_a_repetition_sends_the_same(timeline: Timeline) -> None:
    """It is not made anew: a reason that was renamed meanwhile would not be found."""
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation="create_contract_cancelation_amendment")
        name = sandbox.reasons[0].cancelation_reason_name
        assert (await cancel_contract(client, **EARLIEST, reason=name, resend_after=2.0)).changed
        asked = [request.operation for request in sandbox.requests]
        assert asked.count("get_contract_cancelation_reason_data") == 1
        sent = [each for each in sandbox.requests if each.operation == "create_contract_cancelation_amendment"]
        assert [each.body for each in sent] == [sent[0].body] * 2


async def test_waiting_ends_with_what_waiting_does_not_cure(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.status(403), operation="get_contract_data")
        with pytest.raises(PermissionDeniedError):
            await cancel_contract(client, **EARLIEST, reason=Box.REASON_ID, ask=False)
    assert timeline.passed == 0


# -- Idle periods ------------------------------------------------------------------------------------------------------


async def test_an_unlimited_period_is_requested_where_the_contract_allows_it(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.idle_period_config = evolve(sandbox.idle_period_config, unlimited_allowed=False)
        with pytest.raises(NotOfferedError, match="allows no unlimited"):
            await request_idle_period(client, **IDLE, unlimited=True)
        sandbox.idle_period_config = evolve(sandbox.idle_period_config, unlimited_allowed=True)
        settled = await request_idle_period(client, **IDLE, unlimited=True)
        assert (settled.changed, settled.state.unlimited) == (True, True)


async def test_a_period_of_another_length_is_not_the_one_asked_for(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        await request_idle_period(client, **IDLE, term_value=1)
        with pytest.raises(WorkflowError, match="another length"):
            await request_idle_period(client, **IDLE, unlimited=True)
        assert len(sandbox.ledger) == 1


async def test_a_studio_that_takes_no_idle_periods_is_not_asked(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        taken = evolve(sandbox.idle_period_config, idle_period_creation_status=IdlePeriodCreationStatus.READ)
        sandbox.idle_period_config = taken
        with pytest.raises(NotOfferedError, match="takes no idle periods") as caught:
            await request_idle_period(client, **IDLE, term_value=1)
        assert caught.value.state == "READ"
        assert "validate_idle_period_request" not in [request.operation for request in sandbox.requests]


async def test_a_document_that_is_not_there_is_told_at_once(timeline: Timeline, tmp_path: Path) -> None:
    document = Document(source=tmp_path / "proof.pdf", content_type="application/pdf")
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(FileNotFoundError):
            await request_idle_period(client, **IDLE, term_value=1, document=document)
        assert (timeline.passed, sandbox.ledger) == (0, [])


class Slow(MembershipSandbox):
    """Takes five seconds to show the rules."""

    timeline: Timeline

    def get_idle_period_config(self, *, contract_id: int) -> IdlePeriodConfiguration:
        self.timeline.now += 5
        return super().get_idle_period_config(contract_id=contract_id)


async def test_time_may_run_out_between_two_calls_of_a_step(timeline: Timeline) -> None:
    async with Slow() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.timeline = timeline
        with pytest.raises(NotSettledError, match="no time left") as caught:
            await request_idle_period(client, **IDLE, term_value=1, timeout=4.0)
        assert (caught.value.outcome, sandbox.ledger) == (Outcome.NOT_SENT, [])
