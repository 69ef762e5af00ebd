"""Buying a module. It can't be read back: what tells that a module was bought is that it can't be bought again."""

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModuleContract,
    AdditionalModuleContractRequest,
    AdditionalModuleValidationStatus,
)
from membership_sdk.workflows.common import POLL, TIMEOUT, check_ids, of_studio
from sdk_core.call import Reply
from sdk_core.settling import settle
from sdk_core.workflow import Change, NotOfferedError, Procedure, Request, Run, WithChange, cannot

__all__ = ["Purchase", "module_purchase", "purchase_module"]

_BOUGHT = AdditionalModuleValidationStatus.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED


@frozen
class Purchase(WithChange):
    """How the purchase of a module ended: it is bought."""

    change: Change
    additional_module_contract_id: int | None
    """Keep it: no operation of this group lists bought modules. None unless this run's purchase was answered."""
    correlation_ids: tuple[str, ...]
    """Of all calls made, in order."""


async def purchase_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_id: int,
    payment_frequency_id: int,
    book_trial_period: bool = False,
    timeout: float = TIMEOUT,
    ask: bool = True,
) -> Purchase:
    """Buy a module, unless the API says that it is bought already. The purchase is never sent twice.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        additional_module_id: the module's id.
        payment_frequency_id: from the module's `payment_frequencies`.
        book_trial_period: needs a module with a `trial_period_config`.
        timeout: seconds for the whole. After a lost answer, the module is validated until it is bought or the time is
            over.
        ask: False: buy nothing, only wait until validation says that it is bought.

    Raises:
        NotOfferedError: the API would refuse the purchase, `state` says why; nothing was bought.
        NotSettledError: with `outcome` UNKNOWN, it may be bought. This API can't list bought modules: wait once more
            with `ask=False`, or look into the studio's system.
        SdkError: the purchase was refused (REJECTED); or it was made, and its answer can't be read (APPLIED).
    """
    purchase = module_purchase(
        contract_id=contract_id,
        additional_module_id=additional_module_id,
        payment_frequency_id=payment_frequency_id,
        book_trial_period=book_trial_period,
    )
    settled = await settle(of_studio(client), purchase, timeout=timeout, poll=POLL, ask=ask)
    bought = settled.answer
    number = bought.id if isinstance(bought, AdditionalModuleContract) else None
    return Purchase(settled.change, number, settled.correlation_ids)


def module_purchase(
    *, contract_id: int, additional_module_id: int, payment_frequency_id: int, book_trial_period: bool = False
) -> Procedure[AdditionalModuleValidationStatus]:
    """Return what `purchase_module` runs, its arguments checked."""
    check_ids({"contract_id": contract_id})
    body = AdditionalModuleContractRequest(
        additional_module_id=additional_module_id,
        payment_frequency_id=payment_frequency_id,
        book_trial_period=book_trial_period,
    )
    return _ModulePurchase(contract_id, body)


@frozen
class _ModulePurchase(Procedure[AdditionalModuleValidationStatus]):
    answer_says_all = True

    contract_id: int
    body: AdditionalModuleContractRequest

    async def read(self, run: Run, /) -> Reply[AdditionalModuleValidationStatus]:
        operation = operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST
        reply = await run.call(operation, contract_id=self.contract_id, body=self.body)
        return reply.with_value(reply.value.validation_status)

    def reached(self, state: AdditionalModuleValidationStatus, /) -> bool:
        return state == _BOUGHT

    async def prepare(self, _run: Run, state: AdditionalModuleValidationStatus, /) -> Request:
        if not state.is_positive:
            raise cannot(NotOfferedError, "the API would refuse the purchase", state=state)
        arguments = {"contract_id": self.contract_id, "body": self.body}
        return Request(operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT, arguments)

    def describe(self, state: AdditionalModuleValidationStatus, /) -> str:
        return str(state)
