"""The Membership sandbox's rules for the purchase of additional modules."""

import asyncio
from typing import Any

import pytest
from attrs import evolve
from membership_samples import SOLARIUM, TODAY

from membership_sdk import (
    AdditionalModuleValidationStatus,
    BadRequestError,
    ContractStatus,
    TemporalUnit,
    Term,
)
from membership_sdk.sandbox import LedgerEntry, MembershipSandbox


async def test_a_module_is_listed_validated_and_bought_once() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        modules = await client.get_additional_modules()
        assert modules == sandbox.additional_modules
        purchasable = await client.get_purchasable_additional_modules(contract_id=2002)
        assert [module.id for module in purchasable] == [sandbox.SOLARIUM_ID, sandbox.DRINKS_ID]
        assert (await client.validate_additional_module_contract_request(**SOLARIUM)).is_positive
        runs = [client.purchase_additional_module_contract(**SOLARIUM) for _ in range(3)]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        (bought,) = [end for end in ended if not isinstance(end, BaseException)]
        refusals = {end.code for end in ended if isinstance(end, BadRequestError)}
        assert refusals == {"ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED"}
        assert sandbox.ledger == [LedgerEntry("purchase_additional_module_contract", SOLARIUM)]
        contract = await client.get_additional_module_contract(
            contract_id=2002, additional_module_contract_id=bought.id
        )
        assert (contract.name, contract.start_date) == ("Solarium", TODAY)
        assert contract.price == modules[1].payment_frequencies[0].price
        assert contract.trial_period is not None
        assert contract.trial_period.term == Term(value=2, unit=TemporalUnit.WEEK)
        purchasable = await client.get_purchasable_additional_modules(contract_id=2002)
        assert [module.id for module in purchasable] == [sandbox.DRINKS_ID]
        # Another contract has nothing yet.
        assert len(await client.get_purchasable_additional_modules(contract_id=2003)) == 3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"additional_module_id": MembershipSandbox.SAUNA_ID}, "ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED"),
        ({"additional_module_id": 9}, "ADDITIONAL_MODULE_NOT_FOUND"),
        ({"payment_frequency_id": 9}, "ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE"),
        (
            {"additional_module_id": MembershipSandbox.DRINKS_ID, "payment_frequency_id": 303},
            "ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE",
        ),
        ({"contract_id": 5}, "ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS"),
    ],
)
async def test_validation_and_purchase_say_the_same(change: dict[str, Any], status: str) -> None:
    sandbox = MembershipSandbox(today=TODAY)
    inactive = evolve(sandbox.contracts[sandbox.CUSTOMER_ID][2002], id=5, contract_status=ContractStatus.INACTIVE)
    sandbox.contracts[sandbox.CUSTOMER_ID][5] = inactive
    async with sandbox, sandbox.client() as client:
        request = {**SOLARIUM, **change}
        verdict = await client.validate_additional_module_contract_request(**request)
        assert verdict.validation_status == AdditionalModuleValidationStatus(status)
        with pytest.raises(BadRequestError, match=status):
            await client.purchase_additional_module_contract(**request)
        assert sandbox.ledger == []
        assert len(sandbox.modules) == 1
