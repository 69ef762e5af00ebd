"""The Membership sandbox: its server, its state, and who is let in."""

import asyncio
from typing import Any

import pytest
from attrs import evolve
from membership_samples import (
    CANCEL_PATH,
    CONTRACT,
    MARCH,
    MARCH_AND_APRIL,
    MODULE,
    OFFERED,
    ONCE,
    SOLARIUM,
    TODAY,
    read_contract,
    send,
)

from membership_sdk import (
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    NotFoundError,
    PermissionDeniedError,
    ServerError,
    operations,
)
from membership_sdk.sandbox import MembershipSandbox, RefusalError

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")


def test_every_operation_has_a_method_of_its_name() -> None:
    assert [o.name for o in MembershipSandbox.operations if not hasattr(MembershipSandbox, o.name)] == []
    assert all(operation in MembershipSandbox.operations for operation in operations.OPERATIONS)


def test_a_sandbox_that_does_not_run_has_no_url() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = MembershipSandbox().url


async def test_it_can_run_again_and_keeps_its_state() -> None:
    sandbox = MembershipSandbox(today=TODAY)
    async with sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
    async with sandbox, sandbox.client() as client:
        assert (await read_contract(client)).cancelation_status == CancelationStatus.CANCELED


async def test_contracts_and_reasons_are_served_as_they_are_held() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        contracts = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
        assert contracts == list(sandbox.contracts[sandbox.CUSTOMER_ID].values())
        assert await client.get_contract_cancelation_reason_data() == sandbox.reasons
        assert await client.get_additional_module_contract(**MODULE) == sandbox.modules[tuple(MODULE.values())]
        assert sandbox.ledger == []


async def test_answers_use_the_documented_names() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        status, contracts = await send(sandbox, "GET", "/v1/memberships/1001/self-service/contract-data")
        assert status == 200
        assert contracts[0]["priceDetails"]["currentPrice"] == {"amount": 39.9, "currency": "EUR"}
        assert contracts[0]["availableCancelationDates"] == ["2026-02-28", "2026-03-31", "2026-04-30"]
        assert "cancelationStatus" not in contracts[0]
        assert contracts[1]["cancelationStatus"] == "CANCELED"
        body = b'{"cancelationDate":"2026-02-28","cancelationReasonId":11,"contractId":2002}'
        assert await send(sandbox, "POST", CANCEL_PATH, data=body) == (200, {})


async def test_state_can_be_brought_along() -> None:
    contract = evolve(MembershipSandbox().contracts[MembershipSandbox.CUSTOMER_ID][2002], id=7)
    reason = ContractCancelationReason(cancelation_reason_id=1, cancelation_reason_name="Because")
    own = MembershipSandbox(contracts={5: [contract], 6: []}, reasons=[reason], modules={})
    async with own as sandbox, sandbox.client() as client:
        assert await client.get_contract_data(customer_id=5) == [contract]
        assert await client.get_contract_data(customer_id=6) == []
        assert await client.get_contract_cancelation_reason_data() == [reason]
        with pytest.raises(NotFoundError):
            await client.get_additional_module_contract(**MODULE)


async def test_ids_that_do_not_exist_are_not_found() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        for call in (
            client.get_contract_data(customer_id=9),
            client.create_contract_cancelation_amendment(**{**CONTRACT, "customer_id": 9}, **OFFERED),
            client.create_contract_cancelation_amendment(**{**CONTRACT, "contract_id": 9}, **OFFERED),
            client.withdraw_contract_cancelation(**{**CONTRACT, "contract_id": 9}),
            client.get_additional_module_contract(contract_id=9, additional_module_contract_id=3003),
            client.create_module_contract_cancelation_amendment(
                contract_id=2002, additional_module_contract_id=9, **OFFERED
            ),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.details.recognised


async def test_idle_periods_and_modules_of_a_contract_that_does_not_exist_are_not_found() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        nobodys: dict[str, Any] = {"contract_id": 9}
        for call in (
            client.get_idle_period_config(**nobodys),
            client.validate_idle_period_request(**nobodys, **MARCH),
            client.get_idle_periods(**nobodys),
            client.create_idle_period_amendment(**nobodys, **MARCH_AND_APRIL),
            client.get_remaining_idle_periods(**nobodys),
            client.update_idle_period(**nobodys, idle_period_id=4004, **MARCH_AND_APRIL),
            client.idle_period_update_preview(**nobodys, idle_period_id=4004, **MARCH_AND_APRIL),
            client.get_purchasable_additional_modules(**nobodys),
            client.validate_additional_module_contract_request(**{**SOLARIUM, **nobodys}),
            client.purchase_additional_module_contract(**{**SOLARIUM, **nobodys}),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.details.recognised
        assert sandbox.ledger == []


@pytest.mark.parametrize("headers", [{}, {"X-API-KEY": "wrong"}])
async def test_a_missing_or_wrong_key_is_refused_everywhere(headers: dict[str, str]) -> None:
    async with MembershipSandbox() as sandbox:
        path = "/v1/memberships/1001/self-service/contract-data"
        status, envelope = await send(sandbox, "GET", path, headers=headers)
        assert (status, envelope["errorCode"]) == (401, "UNAUTHORIZED")
        assert (await send(sandbox, "GET", "/nowhere", headers=headers))[0] == 401
        assert (await send(sandbox, "HEAD", path, headers=headers))[0] == 401


async def test_head_checks_the_key_on_any_path_and_nothing_else() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        assert await client.verify_api_key()
        assert (await send(sandbox, "HEAD", "/nowhere/at/all"))[0] == 200
        assert (await send(sandbox, "HEAD", "/v1/memberships/0/self-service/contract-data"))[0] == 200
        assert not await sandbox.client(api_key="wrong").verify_api_key()
        assert sandbox.ledger == []


async def test_unknown_paths_and_methods_are_404_in_the_envelope() -> None:
    async with MembershipSandbox() as sandbox:
        for method, path in (("GET", "/"), ("GET", "/v1/other"), ("DELETE", CANCEL_PATH)):
            status, envelope = await send(sandbox, method, path)
            assert (status, set(envelope)) == (404, {"errorMessage", "errorCode", "traceId"})
        assert [request.operation for request in sandbox.requests] == [None] * 3


async def test_an_error_in_the_sandbox_is_a_500_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(MembershipSandbox):
        def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
            raise ZeroDivisionError

    async with Broken() as sandbox, sandbox.client(retry=ONCE) as client:
        with pytest.raises(ServerError) as caught:
            await client.get_contract_data(customer_id=1)
        assert "ZeroDivisionError" in (caught.value.details.message or "")
        assert caught.value.status == 500
    assert capfd.readouterr().err == ""


async def test_two_sandboxes_run_side_by_side_with_states_of_their_own() -> None:
    async with MembershipSandbox(today=TODAY) as one, MembershipSandbox(today=TODAY) as other:
        async with one.client() as client, other.client() as other_client:
            await asyncio.gather(
                client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED), read_contract(other_client)
            )
            assert (await read_contract(other_client)).cancelation_status is None
        assert (len(one.ledger), len(other.ledger)) == (1, 0)


async def test_a_handler_of_ones_own_can_refuse() -> None:
    class Frozen(MembershipSandbox):
        def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
            raise RefusalError(403, "CUSTOMER_FROZEN", f"Customer {customer_id} is frozen.", field="customerId")

    async with Frozen() as sandbox, sandbox.client() as client:
        with pytest.raises(PermissionDeniedError) as caught:
            await client.get_contract_data(customer_id=1)
        assert (caught.value.code, caught.value.details.reference) == ("CUSTOMER_FROZEN", "customerId")
