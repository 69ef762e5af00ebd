"""What reads are answered in each state of a world."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import Final
from uuid import UUID

from attrs import evolve

import cloudcockpit_sdk.operations as cloudcockpit
import membership_sdk.operations as membership
from benchmarks.audit import samples
from cloudcockpit_sdk.models import MigrationStatus, Subscription, SubscriptionStatus
from membership_sdk.models import (
    AdditionalModuleContractExtended,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleValidationStatus,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodLists,
    IdlePeriodReason,
    IdlePeriodState,
    IdlePeriodValidationStatus,
    IdlePeriodValidationStatusResult,
)
from sdk_core import codec
from sdk_core.operation import Operation

__all__ = ["DAYS", "IDLE_REASON", "LIMBO", "REASON", "answer", "shown"]

DAYS: Final = (date(2031, 1, 31), date(2031, 2, 28))
"""That contracts can be canceled to. A cancelation that is asked for is to the first; elsewhere, to the second."""
REASON: Final = ContractCancelationReason(cancelation_reason_id=11, cancelation_reason_name="Moving away")
IDLE_REASON: Final = IdlePeriodReason(id=21, name="Vacation", document_required=False)
LIMBO: Final = "IN_LIMBO"
"""A state that the SDK does not know, by whatever name."""

_STATUS: Final = {
    "open": None,
    "canceled": CancelationStatus.CANCELED,
    "elsewhere": CancelationStatus.CANCELED,
    "limbo": CancelationStatus(LIMBO),
}
_DATE: Final = {"canceled": DAYS[0], "elsewhere": DAYS[1]}
_VERDICT: Final = {
    "purchasable": AdditionalModuleValidationStatus.ADDITIONAL_MODULE_PURCHASABLE,
    "bought": AdditionalModuleValidationStatus.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED,
    "off sale": AdditionalModuleValidationStatus.ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE,
    "limbo": AdditionalModuleValidationStatus(LIMBO),
}
_PERIOD_SHOWN: Final = {"there": "ACCEPTED", "elsewhere": "ACCEPTED", "limbo": LIMBO}


def answer(operation: Operation[object], number: int, state: str) -> bytes:
    """Return what a read of world `number` is answered in a state."""
    return codec.dump(_ANSWERS[operation.name](number, state))


def shown(operation: Operation[object], state: str) -> str:
    """Return what errors call a state that such a read has told."""
    if operation.name in {membership.GET_CONTRACT_DATA.name, membership.GET_ADDITIONAL_MODULE_CONTRACT.name}:
        status = _STATUS[state]
        return "absent" if status is None else str(status)
    if operation is membership.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST:
        return str(_VERDICT[state])
    if operation is membership.GET_IDLE_PERIODS:
        return _PERIOD_SHOWN.get(state, state)
    return state


def _contracts(number: int, state: str) -> list[ContractData]:
    contract: ContractData = samples.value_of(ContractData)
    status, day = _STATUS[state], _DATE.get(state)
    return [
        evolve(contract, id=number, cancelation_status=status, cancelation_date=day, available_cancelation_dates=DAYS)
    ]


def _module(_number: int, state: str) -> AdditionalModuleContractExtended:
    module: AdditionalModuleContractExtended = samples.value_of(AdditionalModuleContractExtended)
    status, day = _STATUS[state], _DATE.get(state)
    return evolve(module, contract_cancelation_status=status, cancelation_date=day, available_cancelation_dates=DAYS)


def _reasons(_number: int, _state: str) -> list[ContractCancelationReason]:
    return [REASON]


def _idle_periods(_number: int, state: str) -> IdlePeriodLists:
    if state == "absent":
        return IdlePeriodLists(past_idle_periods=(), current_and_upcoming_idle_periods=())
    period = IdlePeriod(
        id=4,
        start_date=DAYS[0],
        state=IdlePeriodState(_PERIOD_SHOWN[state]),
        idle_period_reason=IDLE_REASON,
        unlimited=state == "elsewhere",
    )
    return IdlePeriodLists(past_idle_periods=(), current_and_upcoming_idle_periods=(period,))


def _configuration(_number: int, _state: str) -> IdlePeriodConfiguration:
    configuration: IdlePeriodConfiguration = samples.value_of(IdlePeriodConfiguration)
    return evolve(
        configuration,
        idle_period_creation_status=IdlePeriodCreationStatus.CHANGES_WITHOUT_VERIFICATION,
        idle_period_reasons=(IDLE_REASON,),
    )


def _idle_verdict(_number: int, state: str) -> IdlePeriodValidationStatusResult:
    verdicts = IdlePeriodValidationStatus
    verdict = verdicts.IDLEPERIOD_CREATABLE if state == "absent" else verdicts.IDLEPERIOD_OVERLAPPING
    return IdlePeriodValidationStatusResult(validation_status=verdict)


def _verdict(_number: int, state: str) -> AdditionalModuleContractValidationStatus:
    return AdditionalModuleContractValidationStatus(validation_status=_VERDICT[state])


def _subscription(number: int, state: str) -> Subscription:
    return Subscription(id=UUID(int=number), status=SubscriptionStatus(state))


def _migration(_number: int, state: str) -> MigrationStatus:
    return MigrationStatus(is_completed=state == "completed")


_ANSWERS: Final[Mapping[str, Callable[[int, str], object]]] = {
    membership.GET_CONTRACT_DATA.name: _contracts,
    membership.GET_ADDITIONAL_MODULE_CONTRACT.name: _module,
    membership.GET_CONTRACT_CANCELATION_REASON_DATA.name: _reasons,
    membership.GET_IDLE_PERIODS.name: _idle_periods,
    membership.GET_IDLE_PERIOD_CONFIG.name: _configuration,
    membership.VALIDATE_IDLE_PERIOD_REQUEST.name: _idle_verdict,
    membership.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST.name: _verdict,
    cloudcockpit.GET_SUBSCRIPTION.name: _subscription,
    cloudcockpit.GET_MIGRATION_STATUS.name: _migration,
}
