"""Own data in the Membership sandbox."""

from collections.abc import Callable
from datetime import date
from typing import Any, get_type_hints

import pytest
from attrs import evolve, fields, resolve_types
from cases import goes_through
from membership_samples import TODAY

from membership_sdk import (
    AdditionalModule,
    AdditionalModuleContractExtended,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodState,
)
from membership_sdk.sandbox import Fault, MembershipSandbox, samples
from membership_sdk.sandbox import fields as typed
from membership_sdk.workflows import cancel_contract


@goes_through(
    ("given", "model"),
    [
        (typed.ContractFields, ContractData),
        (typed.ModuleContractFields, AdditionalModuleContractExtended),
        (typed.IdlePeriodFields, IdlePeriod),
        (typed.AdditionalModuleFields, AdditionalModule),
    ],
)
def test_the_fields_that_can_be_given_are_those_of_the_model(given: Any, model: Any) -> None:
    assert get_type_hints(given) == {field.name: field.type for field in fields(resolve_types(model))}


async def test_own_data_in_a_line_each() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        contract = sandbox.add_contract(customer_id=7, rate_name="Basic", cancelation_status=CancelationStatus.CANCELED)
        module = sandbox.add_module_contract(contract_id=contract.id, name="Pool")
        period = sandbox.add_idle_period(contract_id=contract.id, state=IdlePeriodState.PENDING_VERIFICATION)
        reason = sandbox.add_cancelation_reason(cancelation_reason_name="Illness")
        sold = sandbox.add_additional_module(name="Climbing wall")
        assert await client.get_contract_data(customer_id=7) == [contract]
        read = await client.get_additional_module_contract(
            contract_id=contract.id, additional_module_contract_id=module.id or 0
        )
        assert (read.name, read.cancelation_date) == ("Pool", None)
        periods = await client.get_idle_periods(contract_id=contract.id)
        assert periods.current_and_upcoming_idle_periods == (period,)
        assert (period.start_date, period.end_date) == (date(2026, 3, 1), date(2026, 3, 31))
        assert (await client.get_contract_cancelation_reason_data())[-1] == reason
        assert (await client.get_additional_modules())[-1] == sold
        assert (await client.get_purchasable_additional_modules(contract_id=contract.id))[-1] == sold
        assert len({contract.id, module.id, period.id, reason.cancelation_reason_id, sold.id}) == 5


def test_ids_are_given_once_and_what_has_the_same_id_takes_its_place() -> None:
    sandbox = MembershipSandbox(today=TODAY)
    first = sandbox.add_contract(id=9002)
    second = sandbox.add_contract()
    assert (first.id, second.id) == (9002, 9003)
    assert sandbox.add_idle_period().id == 9004
    sandbox.add_contract(id=9002, rate_name="Other")
    assert [c.rate_name for c in sandbox.contracts[1001].values()] == ["Premium", "Evenings", "Other", "Premium"]
    sandbox.add_additional_module(id=samples.SampleIds.SAUNA_ID, name="Steam bath")
    sandbox.add_cancelation_reason(cancelation_reason_id=samples.SampleIds.REASON_ID)
    assert sorted(module.name for module in sandbox.additional_modules) == ["Drink flat", "Solarium", "Steam bath"]
    assert sorted(reason.cancelation_reason_name for reason in sandbox.reasons) == ["No time", "Other"]


WRONG: list[tuple[Callable[[MembershipSandbox], object], str]] = [
    (lambda s: s.add_contract(rate="x"), "rate"),
    (lambda s: s.add_contract(end_date="soon"), "contract: endDate: expected a date"),
    (lambda s: s.add_contract(contract_status=None), "contractStatus"),
    (lambda s: s.add_contract(id=0), "id"),
    (lambda s: s.add_contract(id="7"), "id"),
    (lambda s: s.add_contract(price=1.5), "pass Decimal"),
    (lambda s: s.add_contract(customer_id=0), "customer_id"),
    (lambda s: s.add_contract(customer_id=5, id=2002), "contract 2002 belongs to another customer"),
    (lambda s: s.add_contract(start_date=date(2026, 2, 1), end_date=date(2026, 1, 1)), "before it starts"),
    (lambda s: s.add_module_contract(contract_id=5), "there is no contract 5: add it first"),
    (lambda s: s.add_idle_period(contract_id=5), "there is no contract 5: add it first"),
    (lambda s: s.add_idle_period(start_date="soon"), "start_date must be a datetime.date"),
    (lambda s: s.add_additional_module(payment_frequencies=("x",)), "paymentFrequencies"),
    (lambda s: s.add_cancelation_reason(cancelation_reason_name=5), "cancelationReasonName"),
]


@goes_through(("add", "problem"), WRONG)
def test_bad_data_is_refused_when_it_is_given(add: Callable[[MembershipSandbox], object], problem: str) -> None:
    sandbox = MembershipSandbox(today=TODAY)
    before = sandbox.show_state()
    with pytest.raises((TypeError, ValueError), match=problem):
        add(sandbox)
    assert sandbox.show_state() == before


GOOD = samples.contract(TODAY, 7, "Basic", "9.90")


@goes_through(
    ("seed", "problem"),
    [
        ({"contracts": {5: [{"id": 7}]}}, "contract must be a ContractData, not dict"),
        ({"contracts": {"5": [GOOD]}}, "customer_id must be"),
        ({"contracts": {5: [evolve(GOOD, start_date="soon")]}}, "contract: startDate: expected a date"),
        ({"contracts": {5: [GOOD], 6: [GOOD]}}, "contract 7 belongs to another customer"),
        ({"contracts": {5: [GOOD]}, "modules": {(8, 1): samples.sauna(TODAY)}}, "there is no contract 8"),
        ({"modules": {(2002, 1): GOOD}}, "module contract must be"),
        ({"idle_periods": {2002: [GOOD]}}, "idle period must be"),
        ({"reasons": ["x"]}, "cancelation reason must be"),
        ({"additional_modules": [ContractCancelationReason]}, "additional module must be"),
        ({"idle_period_config": {}}, "idle_period_config must be"),
    ],
)
def test_a_sandbox_is_not_created_with_bad_data(seed: dict[str, Any], problem: str) -> None:
    with pytest.raises((TypeError, ValueError), match=problem):
        MembershipSandbox(today=TODAY, **seed)


async def test_own_data_a_fault_and_time_in_a_few_lines() -> None:
    """The test of an own app: the workflow stands for it."""
    async with MembershipSandbox(today=date(2026, 1, 15)) as sandbox, sandbox.client() as client:
        contract = sandbox.add_contract(customer_id=7, rate_name="Basic")
        sandbox.fail(Fault.drop(after_applying=True), operation="create_contract_cancelation_amendment")
        done = await cancel_contract(client, customer_id=7, contract_id=contract.id, on="latest", reason="Moving away")
        assert done.state.cancelation_status == CancelationStatus.CANCELED
        assert len(sandbox.ledger) == 1
        sandbox.clock.advance(days=90)
        again = await cancel_contract(client, customer_id=7, contract_id=contract.id, on="latest", reason="Moving away")
        assert again.unchanged
