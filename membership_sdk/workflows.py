"""Procedures on contracts, modules and idle periods that end in a known state; each is safe to run twice.

They read the state, act only if needed, and after an UNKNOWN outcome read again before anything is repeated.
"""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final, Literal, TypeVar

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleValidationStatus,
    CancelationStatus,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodCreationStatus,
    IdlePeriodLists,
    IdlePeriodReason,
    IdlePeriodValidationRequest,
    MainContractCancelation,
)
from sdk_core.arguments import instance, int64_id, plain_date
from sdk_core.call import Reply
from sdk_core.errors import BadRequestError, ConflictError, NotOfferedError, SdkError, WorkflowError
from sdk_core.outcome import Outcome
from sdk_core.transport.multipart import Document
from sdk_core.workflow import Procedure, Settled, cannot, settle

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

R = TypeVar("R")

CancelationDate = date | Literal["earliest", "latest"]
"""One of the dates the API offers: itself, the first, or the last."""

# The API does what it is asked before it answers: what does not show within seconds has not happened.
_TIMING: Final = {"timeout": 30.0, "poll": 0.5, "patience": 2.0}

_BOUGHT: Final = AdditionalModuleValidationStatus.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED
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
    _check_cancelation({"customer_id": customer_id, "contract_id": contract_id}, on, reason)

    async def choose(contract: ContractData) -> MainContractCancelation:
        return MainContractCancelation(
            cancelation_date=_choose_date(contract.available_cancelation_dates, on),
            cancelation_reason_id=await _choose_cancelation_reason(client, reason),
            contract_id=contract_id,
        )

    async def act(body: MainContractCancelation) -> Reply[Any]:
        return await client.call_with_reply(
            operations.CREATE_CONTRACT_CANCELATION_AMENDMENT, customer_id=customer_id, body=body
        )

    return await settle(
        client.retry_policy,
        Procedure(
            read=lambda: _read_contract(client, customer_id, contract_id),
            reached=lambda contract: _is_canceled(contract.cancelation_status, contract.cancelation_date, on),
            choose=choose,
            act=act,
            describe=lambda contract: str(contract.cancelation_status),
        ),
        **_TIMING,
    )


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
    _check_ids({"customer_id": customer_id, "contract_id": contract_id})

    async def act(_nothing: None) -> Reply[Any]:
        return await client.call_with_reply(
            operations.WITHDRAW_CONTRACT_CANCELATION, customer_id=customer_id, contract_id=contract_id
        )

    return await settle(
        client.retry_policy,
        Procedure(
            read=lambda: _read_contract(client, customer_id, contract_id),
            reached=lambda contract: _is_withdrawn(contract.cancelation_status),
            choose=_nothing_to_choose,
            act=act,
            describe=lambda contract: str(contract.cancelation_status),
        ),
        **_TIMING,
    )


async def cancel_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_contract_id: int,
    on: CancelationDate,
    reason: int | str,
) -> Settled[AdditionalModuleContractExtended]:
    """Cancel a module contract, unless it is canceled already; arguments and errors as of `cancel_contract`."""
    ids = {"contract_id": contract_id, "additional_module_contract_id": additional_module_contract_id}
    _check_cancelation(ids, on, reason)

    async def choose(module: AdditionalModuleContractExtended) -> AdditionalModuleContractCancelation:
        return AdditionalModuleContractCancelation(
            cancelation_date=_choose_date(module.available_cancelation_dates, on),
            cancelation_reason_id=await _choose_cancelation_reason(client, reason),
        )

    async def act(body: AdditionalModuleContractCancelation) -> Reply[Any]:
        return await client.call_with_reply(
            operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
            body=body,
        )

    return await settle(
        client.retry_policy,
        Procedure(
            read=lambda: _read_module(client, contract_id, additional_module_contract_id),
            reached=lambda module: _is_canceled(module.contract_cancelation_status, module.cancelation_date, on),
            choose=choose,
            act=act,
            describe=lambda module: str(module.contract_cancelation_status),
        ),
        **_TIMING,
    )


async def withdraw_module_cancelation(
    client: MembershipClient, *, contract_id: int, additional_module_contract_id: int
) -> Settled[AdditionalModuleContractExtended]:
    """Withdraw a module contract's cancelation, unless there is none; see `withdraw_cancelation`."""

    async def act(_nothing: None) -> Reply[Any]:
        return await client.call_with_reply(
            operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
        )

    return await settle(
        client.retry_policy,
        Procedure(
            read=lambda: _read_module(client, contract_id, additional_module_contract_id),
            reached=lambda module: _is_withdrawn(module.contract_cancelation_status),
            choose=_nothing_to_choose,
            act=act,
            describe=lambda module: str(module.contract_cancelation_status),
        ),
        **_TIMING,
    )


@frozen
class Purchase:
    """How the purchase of a module ended."""

    changed: bool
    """Whether this run bought it. False: it had been bought before."""
    additional_module_contract_id: int | None
    """Keep it: no operation of this group lists bought modules. None if it had been bought before."""
    correlation_ids: tuple[str, ...]
    """Of all calls made, in order."""

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
    """Buy a module, unless the API says that it is bought already. The purchase is never sent twice.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        additional_module_id: the module's id.
        payment_frequency_id: from the module's `payment_frequencies`.
        book_trial_period: needs a module with a `trial_period_config`.

    Raises:
        NotOfferedError: the API would refuse the purchase, `state` says why; nothing was bought.
        SdkError: with `outcome` UNKNOWN, it may be bought. This API can't list bought modules: run this again, which
            validates first (and returns `unchanged` if it was bought), or look into the studio's system.
    """
    body = AdditionalModuleContractRequest(
        additional_module_id=additional_module_id,
        payment_frequency_id=payment_frequency_id,
        book_trial_period=book_trial_period,
    )
    verdict = await client.call_with_reply(
        operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
    )
    status = verdict.value.validation_status
    if status == _BOUGHT:
        return Purchase(False, None, (verdict.correlation_id,))  # noqa: FBT003  a record's first field
    if not status.is_positive:
        raise cannot(NotOfferedError, "the API would refuse the purchase", state=status)
    try:
        bought = await client.call_with_reply(
            operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT, contract_id=contract_id, body=body
        )
    except (BadRequestError, ConflictError):
        # Refused: perhaps because somebody else has just bought it.
        second = await client.call_with_reply(
            operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
        )
        if second.value.validation_status != _BOUGHT:
            raise
        return Purchase(False, None, (verdict.correlation_id, second.correlation_id))  # noqa: FBT003
    except SdkError as error:
        if error.outcome is Outcome.UNKNOWN:
            advice = (
                "; the module may have been bought, and this API can't list bought modules: run this again, it "
                "validates first, and ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED tells that it was"
            )
            error.args = (error.args[0] + advice, error.args[1])
        raise
    return Purchase(True, bought.value.id, (verdict.correlation_id, bought.correlation_id))  # noqa: FBT003


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
    """Request an idle period, unless one with this start and reason is there already; return it as the API lists it.

    Whether one that is there already has the length asked for is for the caller to see: the API lists its end, not its
    term.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        start_date: first day.
        reason: id or exact name of one of the contract's idle period reasons.
        term_value: length in the unit that the contract's configuration names; None if unlimited.
        unlimited: open-ended, instead of a term.
        document: proof, where the reason needs one.

    Raises:
        NotOfferedError: configuration or validation refuse it, `state` says why; nothing was requested.
        SdkError: a call failed, and listing again did not show the idle period.
    """
    _check_ids({"contract_id": contract_id})
    _check_reason(reason)
    if document is not None:
        instance("document", document, Document)
    # The request checks its own values; the unit comes with the configuration.
    wanted = IdlePeriodValidationRequest(start_date=start_date, term_value=term_value, unlimited=unlimited)
    configuration = await client.call_with_reply(operations.GET_IDLE_PERIOD_CONFIG, contract_id=contract_id)
    rules = configuration.value
    chosen = _choose(rules.idle_period_reasons, reason, "reason", key=lambda r: r.id, name=lambda r: r.name)

    async def read() -> Reply[IdlePeriod | None]:
        reply = await client.call_with_reply(operations.GET_IDLE_PERIODS, contract_id=contract_id)
        return reply.with_value(_find_idle_period(reply.value, wanted, chosen))

    async def choose(_missing: IdlePeriod | None) -> IdlePeriodCreateRequest:
        _check_rules(rules, chosen, document, unlimited=unlimited)
        unit = None if unlimited else rules.temporal_unit
        verdict = await client.validate_idle_period_request(
            contract_id=contract_id,
            start_date=start_date,
            temporal_unit=unit,
            term_value=term_value,
            unlimited=unlimited or None,
        )
        if not verdict.is_positive:
            status = verdict.validation_status
            raise cannot(NotOfferedError, "the API would refuse the idle period", state=status)
        return IdlePeriodCreateRequest(
            start_date=start_date,
            reason_id=chosen.id,
            temporal_unit=unit,
            term_value=term_value,
            unlimited=unlimited or None,
        )

    async def act(body: IdlePeriodCreateRequest) -> Reply[Any]:
        return await client.call_with_reply(
            operations.CREATE_IDLE_PERIOD_AMENDMENT, contract_id=contract_id, body=body, document=document
        )

    settled = await settle(
        client.retry_policy,
        Procedure(
            read=read,
            reached=lambda period: period is not None,
            choose=choose,
            act=act,
            describe=lambda period: "absent" if period is None else str(period.state),
        ),
        **_TIMING,
    )
    assert settled.state is not None  # noqa: S101  that is what `reached` says
    return Settled(settled.changed, settled.state, (configuration.correlation_id, *settled.correlation_ids))


async def _read_contract(client: MembershipClient, customer_id: int, contract_id: int) -> Reply[ContractData]:
    reply = await client.call_with_reply(operations.GET_CONTRACT_DATA, customer_id=customer_id)
    for contract in reply.value:
        if contract.id == contract_id:
            return reply.with_value(contract)
    raise cannot(WorkflowError, "the customer has no such contract", correlation_id=reply.correlation_id)


async def _read_module(
    client: MembershipClient, contract_id: int, additional_module_contract_id: int
) -> Reply[AdditionalModuleContractExtended]:
    return await client.call_with_reply(
        operations.GET_ADDITIONAL_MODULE_CONTRACT,
        contract_id=contract_id,
        additional_module_contract_id=additional_module_contract_id,
    )


async def _nothing_to_choose(_state: object) -> None:
    return None


def _check_cancelation(ids: Mapping[str, object], on: object, reason: object) -> None:
    _check_ids(ids)
    if on not in ("earliest", "latest"):
        plain_date("on", on)
    _check_reason(reason)


def _check_ids(ids: Mapping[str, object]) -> None:
    for name, value in ids.items():
        int64_id(name, value)


def _check_reason(reason: object) -> None:
    if isinstance(reason, bool) or not isinstance(reason, int | str):
        raise TypeError(f"reason must be an id (int) or an exact name (str), not {type(reason).__name__}")


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
    chosen = _choose(
        tuple(reasons),
        reason,
        "reason",
        key=lambda r: r.cancelation_reason_id,
        name=lambda r: r.cancelation_reason_name,
    )
    return chosen.cancelation_reason_id


def _choose(
    offered: tuple[R, ...], wanted: int | str, argument: str, *, key: Callable[[R], int], name: Callable[[R], str]
) -> R:
    """Return the one entry with this id or exact name."""
    found = [entry for entry in offered if wanted in (key(entry), name(entry))]
    if not found:
        raise cannot(NotOfferedError, f"{argument} is not one of those the API offers")
    if len(found) > 1:
        raise cannot(NotOfferedError, f"{argument} names several of those the API offers: pass the id")
    return found[0]


def _find_idle_period(
    lists: IdlePeriodLists, wanted: IdlePeriodValidationRequest, reason: IdlePeriodReason
) -> IdlePeriod | None:
    for period in lists.current_and_upcoming_idle_periods:
        if period.start_date == wanted.start_date and period.idle_period_reason.id == reason.id:
            if bool(period.unlimited) != bool(wanted.unlimited):
                what = "there is an idle period with this start already, of another length"
                raise cannot(WorkflowError, what, state=period.state)
            return period
    return None


def _check_rules(
    rules: IdlePeriodConfiguration, reason: IdlePeriodReason, document: Document | None, *, unlimited: bool
) -> None:
    if rules.idle_period_creation_status == IdlePeriodCreationStatus.READ:
        status = rules.idle_period_creation_status
        raise cannot(NotOfferedError, "the studio takes no idle periods for this contract", state=status)
    if unlimited and not rules.unlimited_allowed:
        raise cannot(NotOfferedError, "the contract allows no unlimited idle period")
    if reason.document_required and document is None:
        raise cannot(NotOfferedError, "the reason needs a document")
