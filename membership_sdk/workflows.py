"""Procedures on contracts, modules and idle periods that end in a known state; each is safe to run twice.

They read the state, act only if needed, and after an UNKNOWN outcome read again before anything is repeated.
"""

from collections.abc import Sequence
from datetime import date
from typing import Final, Literal

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleValidationStatus,
    CancelationStatus,
    ContractData,
    IdlePeriod,
    IdlePeriodCreationStatus,
    IdlePeriodLists,
    IdleTemporalUnit,
    MainContractCancelation,
)
from sdk_core.arguments import plain_date
from sdk_core.client import Reply
from sdk_core.errors import NotOfferedError, Outcome, SdkError, WorkflowError
from sdk_core.multipart import Document
from sdk_core.workflow import Settled, settle

__all__ = [
    "CancelationDate",
    "Purchase",
    "cancel_contract",
    "cancel_module",
    "purchase_module",
    "request_idle_period",
    "withdraw_cancelation",
    "withdraw_module_cancelation",
]

CancelationDate = date | Literal["earliest", "latest"]
"""One of the dates the API offers: itself, the first or the last."""

_TIMEOUT: Final = 30.0
_POLL: Final = 0.5
_PATIENCE: Final = 2.0

_CANCELED: Final = frozenset({CancelationStatus.CANCELED, CancelationStatus.PENDING_VERIFICATION})
_NOT_CANCELED: Final = frozenset({None, CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION})


async def cancel_contract(
    client: MembershipClient, *, customer_id: int, contract_id: int, on: CancelationDate, reason: int | str
) -> Settled[ContractData]:
    """Cancel a contract, unless it is canceled already, and return what the contract says afterwards.

    Its `cancelation_status` is then CANCELED, or PENDING_VERIFICATION if the studio has to agree.

    Args:
        client: the studio's client.
        customer_id: the member's id.
        contract_id: the contract's id.
        on: one of the dates the API offers, or which of them.
        reason: id or exact name of one of the studio's reasons.

    Raises:
        NotOfferedError: date or reason is not offered; nothing was sent.
        WorkflowError: no such contract, or it is canceled to another date, or a withdrawal waits for the studio.
        SdkError: a call failed, and reading again did not show the cancelation.
    """
    _check_on(on)

    async def read() -> Reply[ContractData]:
        return await _read_contract(client, customer_id, contract_id)

    def reached(contract: ContractData) -> bool:
        return _is_canceled(contract.cancelation_status, contract.cancelation_date, on)

    chosen: list[MainContractCancelation] = []

    async def act(contract: ContractData) -> Reply[object]:
        if not chosen:
            # Chosen once: a repetition asks for the same.
            chosen.append(
                MainContractCancelation(
                    cancelation_date=_choose_date(contract.available_cancelation_dates, on),
                    cancelation_reason_id=await _choose_reason(client, reason),
                    contract_id=contract_id,
                )
            )
        return await client.call_with_reply(
            operations.CREATE_CONTRACT_CANCELATION_AMENDMENT, customer_id=customer_id, body=chosen[0]
        )

    return await settle(
        client.retry_policy,
        read=read,
        reached=reached,
        act=act,
        describe=_contract_state,
        timeout=_TIMEOUT,
        poll=_POLL,
        patience=_PATIENCE,
    )


async def withdraw_cancelation(
    client: MembershipClient, *, customer_id: int, contract_id: int
) -> Settled[ContractData]:
    """Withdraw a contract's cancelation, unless there is none, and return what the contract says afterwards.

    Its `cancelation_status` is then None, or PENDING_WITHDRAWAL_VERIFICATION if the studio has to agree.

    Raises:
        WorkflowError: no such contract, or its cancelation has a state this release does not know.
        SdkError: a call failed, and reading again did not show the withdrawal.
    """

    async def read() -> Reply[ContractData]:
        return await _read_contract(client, customer_id, contract_id)

    def reached(contract: ContractData) -> bool:
        return _is_withdrawn(contract.cancelation_status)

    async def act(_contract: ContractData) -> Reply[object]:
        return await client.call_with_reply(
            operations.WITHDRAW_CONTRACT_CANCELATION, customer_id=customer_id, contract_id=contract_id
        )

    return await settle(
        client.retry_policy,
        read=read,
        reached=reached,
        act=act,
        describe=_contract_state,
        timeout=_TIMEOUT,
        poll=_POLL,
        patience=_PATIENCE,
    )


async def cancel_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_contract_id: int,
    on: CancelationDate,
    reason: int | str,
) -> Settled[AdditionalModuleContractExtended]:
    """Cancel a module contract, unless it is canceled already; see `cancel_contract`."""
    _check_on(on)
    ids = {"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id}

    async def read() -> Reply[AdditionalModuleContractExtended]:
        return await client.call_with_reply(operations.GET_ADDITIONAL_MODULE_CONTRACT, **ids)

    def reached(module: AdditionalModuleContractExtended) -> bool:
        return _is_canceled(module.contract_cancelation_status, module.cancelation_date, on)

    chosen: list[AdditionalModuleContractCancelation] = []

    async def act(module: AdditionalModuleContractExtended) -> Reply[object]:
        if not chosen:
            chosen.append(
                AdditionalModuleContractCancelation(
                    cancelation_date=_choose_date(module.available_cancelation_dates, on),
                    cancelation_reason_id=await _choose_reason(client, reason),
                )
            )
        return await client.call_with_reply(
            operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT, **ids, body=chosen[0]
        )

    return await settle(
        client.retry_policy,
        read=read,
        reached=reached,
        act=act,
        describe=_module_state,
        timeout=_TIMEOUT,
        poll=_POLL,
        patience=_PATIENCE,
    )


async def withdraw_module_cancelation(
    client: MembershipClient, *, contract_id: int, additional_module_contract_id: int
) -> Settled[AdditionalModuleContractExtended]:
    """Withdraw a module contract's cancelation, unless there is none; see `withdraw_cancelation`."""
    ids = {"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id}

    async def read() -> Reply[AdditionalModuleContractExtended]:
        return await client.call_with_reply(operations.GET_ADDITIONAL_MODULE_CONTRACT, **ids)

    def reached(module: AdditionalModuleContractExtended) -> bool:
        return _is_withdrawn(module.contract_cancelation_status)

    async def act(_module: AdditionalModuleContractExtended) -> Reply[object]:
        return await client.call_with_reply(operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION, **ids)

    return await settle(
        client.retry_policy,
        read=read,
        reached=reached,
        act=act,
        describe=_module_state,
        timeout=_TIMEOUT,
        poll=_POLL,
        patience=_PATIENCE,
    )


@frozen
class Purchase:
    """How the purchase of a module ended."""

    changed: bool
    """Whether this run bought it. False: it had been bought before."""
    additional_module_contract_id: int | None
    """Keep it: no operation of this group lists bought modules. None if it had been bought before."""
    correlation_ids: tuple[str, ...]

    @property
    def unchanged(self) -> bool:
        """Whether it had been bought before."""
        return not self.changed


async def purchase_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_id: int,
    payment_frequency_id: int,
    book_trial_period: bool = False,
) -> Purchase:
    """Buy a module, unless the API says that it is bought already. It is never sent twice.

    Args: as of `MembershipClient.purchase_additional_module_contract`.

    Raises:
        NotOfferedError: the API would refuse the purchase, `state` says why; nothing was bought.
        SdkError: with `outcome` UNKNOWN, it may be bought. No operation lists bought modules: run this again, which
            validates first (ALREADY_PURCHASED: it was), or look into the studio's system.
    """
    arguments = {
        "additional_module_id": additional_module_id,
        "payment_frequency_id": payment_frequency_id,
        "book_trial_period": book_trial_period,
    }
    body = AdditionalModuleContractRequest(**arguments)
    verdict = await client.call_with_reply(
        operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
    )
    status = verdict.value.validation_status
    if status == AdditionalModuleValidationStatus.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED:
        return Purchase(changed=False, additional_module_contract_id=None, correlation_ids=(verdict.correlation_id,))
    if not status.is_positive:
        raise _not_offered(f"the module can't be bought: {status}", status)
    try:
        bought = await client.call_with_reply(
            operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT, contract_id=contract_id, body=body
        )
    except SdkError as error:
        if error.outcome is Outcome.UNKNOWN:
            error.add_note(
                "The module may have been bought. Validate the same purchase again: "
                "ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED tells that it was."
            )
        raise
    ids = (verdict.correlation_id, bought.correlation_id)
    return Purchase(changed=True, additional_module_contract_id=bought.value.id, correlation_ids=ids)


async def request_idle_period(
    client: MembershipClient,
    *,
    contract_id: int,
    start_date: date,
    reason: int | str,
    term_value: int | None = None,
    unlimited: bool = False,
    document: Document | None = None,
) -> Settled[IdlePeriod]:
    """Request an idle period, unless there is one with this start already, and return it as the API lists it.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        start_date: first day.
        reason: id or exact name of one of the contract's idle period reasons.
        term_value: length, in the unit of the contract's configuration.
        unlimited: open-ended, instead of a term.
        document: proof, where the reason needs one.

    Raises:
        NotOfferedError: configuration or validation refuse it, `state` says why; nothing was requested.
        SdkError: a call failed, and listing again did not show the idle period.
    """
    raise NotImplementedError
