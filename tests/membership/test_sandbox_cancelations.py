"""The Membership sandbox's rules for cancelations and their withdrawal, of main and module contracts."""

import asyncio
from datetime import date
from typing import Any

import pytest
from attrs import evolve
from membership_samples import CONTRACT, MODULE, OFFERED, TODAY, read_contract

from membership_sdk import (
    BadRequestError,
    CancelationOrigin,
    CancelationStatus,
)
from membership_sdk.sandbox import LedgerEntry, MembershipSandbox

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")


async def test_canceling_shows_in_the_contract_and_the_ledger() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        contract = await read_contract(client)
        assert contract.cancelation_status == CancelationStatus.CANCELED
        assert contract.cancelation_date == OFFERED["cancelation_date"]
        assert contract.cancelation_reason == "Moving away"
        assert contract.cancelation_origin == CancelationOrigin.CUSTOMER
        assert sandbox.ledger == [LedgerEntry("create_contract_cancelation_amendment", {**CONTRACT, **OFFERED})]


async def test_withdrawing_reverts_a_cancelation_wholly() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await read_contract(client)
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        await client.withdraw_contract_cancelation(**CONTRACT)
        assert await read_contract(client) == before
        assert sandbox.ledger[-1] == LedgerEntry("withdraw_contract_cancelation", CONTRACT)


async def test_a_verifying_studio_makes_a_cancelation_wait_until_it_is_withdrawn() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert (await read_contract(client)).cancelation_status == CancelationStatus.PENDING_VERIFICATION
        await client.withdraw_contract_cancelation(**CONTRACT)
        assert (await read_contract(client)).cancelation_status is None


async def test_a_verifying_studio_makes_the_withdrawal_of_a_canceled_contract_wait() -> None:
    async with MembershipSandbox(verification=True) as sandbox, sandbox.client() as client:
        canceled = {"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CANCELED_CONTRACT_ID}
        before = await read_contract(client, sandbox.CANCELED_CONTRACT_ID)
        await client.withdraw_contract_cancelation(**canceled)
        contract = await read_contract(client, sandbox.CANCELED_CONTRACT_ID)
        assert contract == evolve(before, cancelation_status=CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION)
        with pytest.raises(BadRequestError) as caught:
            await client.withdraw_contract_cancelation(**canceled)
        assert caught.value.code == "WITHDRAWAL_PENDING"


async def test_a_module_contract_is_canceled_and_withdrawn_alike() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await client.get_additional_module_contract(**MODULE)
        await client.create_module_contract_cancelation_amendment(**MODULE, **OFFERED)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.CANCELED
        assert module.contract_cancelation_can_be_withdrawn
        assert (module.cancelation_date, module.cancelation_reason) == (OFFERED["cancelation_date"], "Moving away")
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        assert await client.get_additional_module_contract(**MODULE) == before
        assert [entry.operation for entry in sandbox.ledger] == [
            "create_module_contract_cancelation_amendment",
            "withdraw_additional_module_contract_cancelation",
        ]


async def test_a_verifying_studio_checks_modules_too() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_module_contract_cancelation_amendment(**MODULE, **OFFERED)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.PENDING_VERIFICATION
        canceled = evolve(module, contract_cancelation_status=CancelationStatus.CANCELED)
        sandbox.modules[tuple(MODULE.values())] = canceled
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION
        assert not module.contract_cancelation_can_be_withdrawn
        assert module.cancelation_date == OFFERED["cancelation_date"]


@pytest.mark.parametrize(
    ("change", "code", "reference"),
    [
        ({"cancelation_date": date(2026, 2, 27)}, "CANCELATION_DATE_NOT_AVAILABLE", "cancelationDate"),
        ({"cancelation_reason_id": 99}, "CANCELATION_REASON_UNKNOWN", "cancelationReasonId"),
        ({"contract_id": MembershipSandbox.CANCELED_CONTRACT_ID}, "ALREADY_CANCELED", None),
    ],
)
async def test_a_cancelation_that_can_not_be_is_refused_in_the_envelope_and_leaves_no_trace(
    change: dict[str, Any], code: str, reference: str | None
) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
        with pytest.raises(BadRequestError) as caught:
            await client.create_contract_cancelation_amendment(**{**CONTRACT, **OFFERED, **change})
        details = caught.value.details
        assert (details.recognised, details.code, details.reference) == (True, code, reference)
        assert details.message
        assert details.trace_id
        assert await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID) == before
        assert sandbox.ledger == []


async def test_withdrawing_what_is_not_canceled_is_refused() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(BadRequestError) as caught:
            await client.withdraw_contract_cancelation(**CONTRACT)
        assert caught.value.code == "NOT_CANCELED"
        with pytest.raises(BadRequestError):
            await client.withdraw_additional_module_contract_cancelation(**MODULE)
        assert sandbox.ledger == []


async def test_a_contract_is_canceled_once_however_many_try_at_the_same_time() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        runs = [client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED) for _ in range(3)]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        assert [end.code for end in ended if isinstance(end, BadRequestError)] == ["ALREADY_CANCELED"] * 2
        assert len(sandbox.ledger) == 1
