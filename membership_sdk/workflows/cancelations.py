"""Canceling contracts and modules, and withdrawing that."""

from abc import ABC, abstractmethod
from datetime import date
from typing import Final, Generic, Literal, Protocol, TypeVar

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    CancelationStatus,
    ContractData,
    MainContractCancelation,
)
from membership_sdk.workflows.common import TIMING, check_ids, check_reason, choose
from sdk_core.arguments import plain_date
from sdk_core.client import Reply
from sdk_core.errors import NotOfferedError, WorkflowError
from sdk_core.workflow import Procedure, Request, Settled, cannot, settle

__all__ = [
    "CancelationDate",
    "cancel_contract",
    "cancel_module",
    "withdraw_cancelation",
    "withdraw_module_cancelation",
]


class _Cancelable(Protocol):
    """What contracts of both kinds have."""

    @property
    def cancelation_date(self) -> date | None: ...

    @property
    def available_cancelation_dates(self) -> tuple[date, ...]: ...


C = TypeVar("C", bound=_Cancelable)

CancelationDate = date | Literal["earliest", "latest"]
"""One of the dates the API offers: itself, the first, or the last."""

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
        NotOfferedError: date or reason is not offered; nothing was asked of the API.
        WorkflowError: no such contract, or it is canceled to another date, or a withdrawal waits for the studio.
        SdkError: a call failed, and reading again did not show the cancelation.
    """
    check_ids({"customer_id": customer_id, "contract_id": contract_id})
    _check_cancelation(on, reason)
    contract = _MainContract(client, customer_id, contract_id)
    return await settle(client, _Cancelation(contract, on, reason), **TIMING)


async def withdraw_cancelation(
    client: MembershipClient, *, customer_id: int, contract_id: int
) -> Settled[ContractData]:
    """Withdraw a contract's cancelation, unless there is none, and return what the contract says afterwards.

    Its `cancelation_status` is then None, or PENDING_WITHDRAWAL_VERIFICATION if the studio has to agree.

    Args:
        client: the studio's client.
        customer_id: the member's id.
        contract_id: the contract's id.

    Raises:
        WorkflowError: no such contract, or its cancelation has a state this release does not know.
        SdkError: a call failed, and reading again did not show the withdrawal.
    """
    check_ids({"customer_id": customer_id, "contract_id": contract_id})
    return await settle(client, _Withdrawal(_MainContract(client, customer_id, contract_id)), **TIMING)


async def cancel_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_contract_id: int,
    on: CancelationDate,
    reason: int | str,
) -> Settled[AdditionalModuleContractExtended]:
    """Cancel a module contract, unless it is canceled already; arguments and errors as of `cancel_contract`."""
    check_ids({"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id})
    _check_cancelation(on, reason)
    module = _ModuleContract(client, contract_id, additional_module_contract_id)
    return await settle(client, _Cancelation(module, on, reason), **TIMING)


async def withdraw_module_cancelation(
    client: MembershipClient, *, contract_id: int, additional_module_contract_id: int
) -> Settled[AdditionalModuleContractExtended]:
    """Withdraw a module contract's cancelation, unless there is none; see `withdraw_cancelation`."""
    check_ids({"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id})
    module = _ModuleContract(client, contract_id, additional_module_contract_id)
    return await settle(client, _Withdrawal(module), **TIMING)


@frozen
class _Contract(ABC, Generic[C]):
    """What differs between a main contract and a module's where a cancelation is concerned."""

    client: MembershipClient

    @abstractmethod
    async def read(self) -> Reply[C]: ...

    @abstractmethod
    def status(self, contract: C) -> CancelationStatus | None: ...

    @abstractmethod
    def cancelation(self, day: date, reason_id: int) -> Request: ...

    @abstractmethod
    def withdrawal(self) -> Request: ...


@frozen
class _MainContract(_Contract[ContractData]):
    customer_id: int
    contract_id: int

    async def read(self) -> Reply[ContractData]:
        reply = await self.client.call_with_reply(operations.GET_CONTRACT_DATA, customer_id=self.customer_id)
        for contract in reply.value:
            if contract.id == self.contract_id:
                return reply.with_value(contract)
        raise cannot(WorkflowError, "the customer has no such contract", correlation_id=reply.correlation_id)

    def status(self, contract: ContractData) -> CancelationStatus | None:
        return contract.cancelation_status

    def cancelation(self, day: date, reason_id: int) -> Request:
        body = MainContractCancelation(
            cancelation_date=day, cancelation_reason_id=reason_id, contract_id=self.contract_id
        )
        arguments = {"customer_id": self.customer_id, "body": body}
        return Request(operations.CREATE_CONTRACT_CANCELATION_AMENDMENT, arguments)

    def withdrawal(self) -> Request:
        ids = {"customer_id": self.customer_id, "contract_id": self.contract_id}
        return Request(operations.WITHDRAW_CONTRACT_CANCELATION, ids)


@frozen
class _ModuleContract(_Contract[AdditionalModuleContractExtended]):
    contract_id: int
    additional_module_contract_id: int

    @property
    def _ids(self) -> dict[str, object]:
        return {
            "contract_id": self.contract_id,
            "additional_module_contract_id": self.additional_module_contract_id,
        }

    async def read(self) -> Reply[AdditionalModuleContractExtended]:
        return await self.client.call_with_reply(operations.GET_ADDITIONAL_MODULE_CONTRACT, **self._ids)

    def status(self, contract: AdditionalModuleContractExtended) -> CancelationStatus | None:
        return contract.contract_cancelation_status

    def cancelation(self, day: date, reason_id: int) -> Request:
        body = AdditionalModuleContractCancelation(cancelation_date=day, cancelation_reason_id=reason_id)
        return Request(operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT, {**self._ids, "body": body})

    def withdrawal(self) -> Request:
        return Request(operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION, self._ids)


@frozen
class _OfContract(Procedure[C]):
    """What both procedures on a contract have in common."""

    contract: _Contract[C]

    async def read(self) -> Reply[C]:
        return await self.contract.read()

    def describe(self, state: C) -> str:
        return str(self.contract.status(state))


@frozen
class _Cancelation(_OfContract[C]):
    on: CancelationDate
    reason: int | str

    def reached(self, state: C) -> bool:
        return _is_canceled(self.contract.status(state), state.cancelation_date, self.on)

    async def prepare(self, state: C) -> Request:
        day = _choose_date(state.available_cancelation_dates, self.on)
        return self.contract.cancelation(day, await _choose_cancelation_reason(self.contract.client, self.reason))


@frozen
class _Withdrawal(_OfContract[C]):
    def reached(self, state: C) -> bool:
        return _is_withdrawn(self.contract.status(state))

    async def prepare(self, state: C) -> Request:  # noqa: ARG002  there is nothing to choose
        return self.contract.withdrawal()


def _check_cancelation(on: object, reason: object) -> None:
    if on not in ("earliest", "latest"):
        plain_date("on", on)
    check_reason(reason)


def _is_canceled(status: CancelationStatus | None, canceled_to: date | None, on: CancelationDate) -> bool:
    if status is None:
        return False
    if status not in _CANCELED:
        raise cannot(WorkflowError, "can't cancel in this state of the cancelation", state=status)
    if isinstance(on, date) and canceled_to is not None and canceled_to != on:
        raise cannot(WorkflowError, "it is canceled already, to another date", state=status)
    return True


def _is_withdrawn(status: CancelationStatus | None) -> bool:
    if status in _NOT_CANCELED:
        return True
    if status not in _CANCELED:
        raise cannot(WorkflowError, "can't withdraw in this state of the cancelation", state=status)
    return False


def _choose_date(offered: tuple[date, ...], on: CancelationDate) -> date:
    if not offered:
        raise cannot(NotOfferedError, "the API offers no date to cancel to")
    if on == "earliest":
        return min(offered)
    if on == "latest":
        return max(offered)
    if on not in offered:
        raise cannot(NotOfferedError, "on is not one of the dates the API offers")
    return on


async def _choose_cancelation_reason(client: MembershipClient, reason: int | str) -> int:
    reasons = await client.get_contract_cancelation_reason_data()
    chosen = choose(
        tuple(reasons),
        reason,
        "reason",
        key=lambda r: r.cancelation_reason_id,
        name=lambda r: r.cancelation_reason_name,
    )
    return chosen.cancelation_reason_id
