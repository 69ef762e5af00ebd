"""Canceling contracts and modules, and withdrawing that."""

from abc import ABC, abstractmethod
from datetime import date
from typing import Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar

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
from membership_sdk.workflows.common import POLL, TIMEOUT, check_ids, check_reason, choose, of_studio
from sdk_core.arguments import plain_date
from sdk_core.call import Reply
from sdk_core.operation import Operation
from sdk_core.settling import settle
from sdk_core.workflow import NotOfferedError, Procedure, Request, Run, Settled, WorkflowError, cannot

__all__ = [
    "CancelationDate",
    "cancel_contract",
    "cancel_module",
    "contract_cancelation",
    "contract_withdrawal",
    "module_cancelation",
    "module_withdrawal",
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
    client: MembershipClient,
    *,
    customer_id: int,
    contract_id: int,
    on: CancelationDate,
    reason: int | str,
    timeout: float = TIMEOUT,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[ContractData]:
    """Cancel a contract, unless it is canceled already, and return what the contract says afterwards.

    Its `cancelation_status` is then CANCELED, or PENDING_VERIFICATION if the studio has to agree.

    A contract that is canceled already must be canceled to the date that `on` names: `"earliest"` is no later than all
    dates the API still offers, `"latest"` no earlier. If it offers none any more, they name any date: look at
    `state.cancelation_date`.

    Args:
        client: the studio's client.
        customer_id: the member's id.
        contract_id: the contract's id.
        on: one of the dates the API offers, or which of them.
        reason: id or exact name of one of the studio's reasons. Only a name is looked up.
        timeout: seconds for the whole. A last read may take ten more.
        ask: False: send nothing, only wait: to go on after a NotSettledError.
        resend_after: seconds; a request whose answer was lost is sent once more if the contract is in the same state
            then. Only if you know that the API has always begun by then, or refuses to do it twice.

    Raises:
        NotOfferedError: date or reason is not offered; nothing was asked of the API.
        NotSettledError: not canceled in time; `outcome` UNKNOWN if it was asked for and not refused.
        WorkflowError: no such contract, or it is canceled to another date, or a withdrawal waits for the studio, or the
            cancelation has a state this release does not know.
        SdkError: a call failed, and reading again did not show the cancelation. A refusal is raised at the deadline
            only: it may mean that somebody else is canceling.
    """
    cancelation = contract_cancelation(customer_id=customer_id, contract_id=contract_id, on=on, reason=reason)
    return await settle(of_studio(client), cancelation, timeout=timeout, poll=POLL, ask=ask, resend_after=resend_after)


async def withdraw_cancelation(
    client: MembershipClient,
    *,
    customer_id: int,
    contract_id: int,
    timeout: float = TIMEOUT,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[ContractData]:
    """Withdraw a contract's cancelation, unless there is none, and return what the contract says afterwards.

    Its `cancelation_status` is then None, or PENDING_WITHDRAWAL_VERIFICATION if the studio has to agree.

    Args:
        client: the studio's client.
        customer_id: the member's id.
        contract_id: the contract's id.
        timeout: seconds; see `cancel_contract`.
        ask: False: send nothing, only wait.
        resend_after: seconds; see `cancel_contract`.

    Raises:
        NotSettledError: not withdrawn in time; `outcome` UNKNOWN if it was asked for and not refused.
        WorkflowError: no such contract, or its cancelation has a state this release does not know.
        SdkError: a call failed, and reading again did not show the withdrawal.
    """
    withdrawal = contract_withdrawal(customer_id=customer_id, contract_id=contract_id)
    return await settle(of_studio(client), withdrawal, timeout=timeout, poll=POLL, ask=ask, resend_after=resend_after)


async def cancel_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_contract_id: int,
    on: CancelationDate,
    reason: int | str,
    timeout: float = TIMEOUT,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[AdditionalModuleContractExtended]:
    """Cancel a module contract, unless it is canceled already; arguments and errors as of `cancel_contract`."""
    cancelation = module_cancelation(
        contract_id=contract_id, additional_module_contract_id=additional_module_contract_id, on=on, reason=reason
    )
    return await settle(of_studio(client), cancelation, timeout=timeout, poll=POLL, ask=ask, resend_after=resend_after)


async def withdraw_module_cancelation(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_contract_id: int,
    timeout: float = TIMEOUT,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[AdditionalModuleContractExtended]:
    """Withdraw a module contract's cancelation, unless there is none; see `withdraw_cancelation`."""
    withdrawal = module_withdrawal(contract_id=contract_id, additional_module_contract_id=additional_module_contract_id)
    return await settle(of_studio(client), withdrawal, timeout=timeout, poll=POLL, ask=ask, resend_after=resend_after)


def contract_cancelation(
    *, customer_id: int, contract_id: int, on: CancelationDate, reason: int | str
) -> Procedure[ContractData]:
    """Return what `cancel_contract` runs, its arguments checked."""
    check_ids({"customer_id": customer_id, "contract_id": contract_id})
    _check_cancelation(on, reason)
    return _Cancelation(_MainContract(customer_id, contract_id), on, reason)


def contract_withdrawal(*, customer_id: int, contract_id: int) -> Procedure[ContractData]:
    """Return what `withdraw_cancelation` runs, its arguments checked."""
    check_ids({"customer_id": customer_id, "contract_id": contract_id})
    return _Withdrawal(_MainContract(customer_id, contract_id))


def module_cancelation(
    *, contract_id: int, additional_module_contract_id: int, on: CancelationDate, reason: int | str
) -> Procedure[AdditionalModuleContractExtended]:
    """Return what `cancel_module` runs, its arguments checked."""
    check_ids({"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id})
    _check_cancelation(on, reason)
    return _Cancelation(_ModuleContract(contract_id, additional_module_contract_id), on, reason)


def module_withdrawal(
    *, contract_id: int, additional_module_contract_id: int
) -> Procedure[AdditionalModuleContractExtended]:
    """Return what `withdraw_module_cancelation` runs, its arguments checked."""
    check_ids({"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id})
    return _Withdrawal(_ModuleContract(contract_id, additional_module_contract_id))


class _Contract(ABC, Generic[C]):
    """What differs between a main contract and a module's where a cancelation is concerned."""

    reading: ClassVar[Operation[Any]]
    """What reads it."""

    @abstractmethod
    async def read(self, run: Run, /) -> Reply[C]: ...

    @abstractmethod
    def status(self, contract: C) -> CancelationStatus | None: ...

    @abstractmethod
    def cancelation(self, day: date, reason_id: int) -> Request: ...

    @abstractmethod
    def withdrawal(self) -> Request: ...


@frozen
class _MainContract(_Contract[ContractData]):
    reading = operations.GET_CONTRACT_DATA

    customer_id: int
    contract_id: int

    async def read(self, run: Run, /) -> Reply[ContractData]:
        reply = await run.call(self.reading, customer_id=self.customer_id)
        for contract in reply.value:
            if contract.id == self.contract_id:
                return reply.with_value(contract)
        raise cannot(WorkflowError, "the customer has no such contract")

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
    reading = operations.GET_ADDITIONAL_MODULE_CONTRACT

    contract_id: int
    additional_module_contract_id: int

    @property
    def _ids(self) -> dict[str, object]:
        return {
            "contract_id": self.contract_id,
            "additional_module_contract_id": self.additional_module_contract_id,
        }

    async def read(self, run: Run, /) -> Reply[AdditionalModuleContractExtended]:
        return await run.call(self.reading, **self._ids)

    def status(self, contract: AdditionalModuleContractExtended) -> CancelationStatus | None:
        return contract.contract_cancelation_status

    def cancelation(self, day: date, reason_id: int) -> Request:
        body = AdditionalModuleContractCancelation(cancelation_date=day, cancelation_reason_id=reason_id)
        return Request(operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT, {**self._ids, "body": body})

    def withdrawal(self) -> Request:
        return Request(operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION, self._ids)


class _OfContract(Procedure[C]):
    """What both procedures on a contract have in common."""

    def __init__(self, contract: _Contract[C]) -> None:
        self._contract = contract

    async def read(self, run: Run, /) -> Reply[C]:
        return await self._contract.read(run)

    def describe(self, state: C, /) -> str:
        status = self._contract.status(state)
        return "absent" if status is None else str(status)

    def _known_status(self, state: C) -> CancelationStatus | None:
        status = self._contract.status(state)
        if status is not None and not status.is_known:
            raise cannot(WorkflowError, "the cancelation is in a state this release does not know", state=status)
        return status


class _Cancelation(_OfContract[C]):
    def __init__(self, contract: _Contract[C], on: CancelationDate, reason: int | str) -> None:
        super().__init__(contract)
        self._on: CancelationDate = on
        self._reason = reason

    def reached(self, state: C, /) -> bool:
        status = self._contract.status(state)
        if status is None or not status.is_known:
            return False
        if status not in _CANCELED:
            raise cannot(WorkflowError, "a withdrawal of the cancelation waits for the studio", state=status)
        if not _is_date(state.cancelation_date, self._on, state.available_cancelation_dates):
            raise cannot(WorkflowError, "it is canceled already, to another date", state=status)
        return True

    def immediate(self) -> Request | None:
        if isinstance(self._on, str) or isinstance(self._reason, str):
            return None
        return self._contract.cancelation(self._on, self._reason)

    async def prepare(self, run: Run, state: C, /) -> Request:
        self._known_status(state)
        # From now on it is this very date, whatever is offered later.
        self._on = _choose_date(state.available_cancelation_dates, self._on, self._contract.reading)
        reason_id = self._reason if isinstance(self._reason, int) else await _reason_named(run, self._reason)
        return self._contract.cancelation(self._on, reason_id)


class _Withdrawal(_OfContract[C]):
    def reached(self, state: C, /) -> bool:
        return self._contract.status(state) in _NOT_CANCELED

    def immediate(self) -> Request | None:
        return self._contract.withdrawal()

    async def prepare(self, _run: Run, state: C, /) -> Request:
        self._known_status(state)
        return self._contract.withdrawal()


def _check_cancelation(on: object, reason: object) -> None:
    if on not in ("earliest", "latest"):
        plain_date("on", on)
    check_reason(reason)


def _is_date(canceled_to: date | None, on: CancelationDate, offered: tuple[date, ...]) -> bool:
    """Return whether a date is the one that `on` names, as far as it can be told."""
    if canceled_to is None:
        return True
    if on == "earliest":
        return not offered or canceled_to <= min(offered)
    if on == "latest":
        return not offered or canceled_to >= max(offered)
    return canceled_to == on


def _choose_date(offered: tuple[date, ...], on: CancelationDate, listed_by: Operation[Any]) -> date:
    if not offered:
        raise cannot(NotOfferedError, "the API offers no date to cancel to")
    if on == "earliest":
        return min(offered)
    if on == "latest":
        return max(offered)
    if on not in offered:
        raise cannot(NotOfferedError, f"on is not one of the dates the API offers; `{listed_by.name}` lists them")
    return on


async def _reason_named(run: Run, name: str) -> int:
    reply = await run.call(operations.GET_CONTRACT_CANCELATION_REASON_DATA)
    return choose(
        tuple(reply.value),
        name,
        "reason",
        operations.GET_CONTRACT_CANCELATION_REASON_DATA,
        key=lambda r: r.cancelation_reason_id,
        name=lambda r: r.cancelation_reason_name,
    ).cancelation_reason_id
