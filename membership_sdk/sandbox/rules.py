"""The sandbox's rules: what a studio would refuse, in the API's own statuses; without state.

Statuses of idle periods and purchases are documented by a line each. Which of several applies first, and where the
limits lie exactly, is the sandbox's choice, and so are the status code 400 and the error codes.
"""

from collections.abc import Collection, Iterable
from datetime import date, timedelta
from typing import Final

from attrs import evolve

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContractRequest,
    AdditionalModuleValidationStatus,
    CancelationStatus,
    ContractData,
    ContractStatus,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodReason,
    IdlePeriodState,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatus,
    IdleTemporalUnit,
    RemainingIdlePeriods,
    TemporalUnit,
    Term,
)
from sdk_core.sandbox.requests import ReceivedDocument, RefusalError

__all__ = [
    "after_cancelation",
    "after_withdrawal",
    "available_date",
    "change_status",
    "creation_status",
    "end_of",
    "months_later",
    "not_found",
    "purchase_status",
    "remaining",
    "require_document",
    "require_positive",
]

_Status = IdlePeriodValidationStatus
_DAY: Final = timedelta(days=1)
_MAXIMUM_TERMS: Final = {IdleTemporalUnit.DAY: 5 * 365, IdleTemporalUnit.WEEK: 5 * 52, IdleTemporalUnit.MONTH: 5 * 12}
"""Five years: the documented limit of every idle period."""
_LAST_START: Final = date(date.max.year - 6, 1, 1)
"""Five years after a later start can be more than a `date` can hold."""


def not_found(what: str) -> RefusalError:
    """Return the refusal of an id that does not exist."""
    return RefusalError(404, "NOT_FOUND", f"There is no such {what}.")


def after_cancelation(status: CancelationStatus | None, *, verification: bool) -> CancelationStatus:
    """Return the status of a contract after its cancelation; refuse that if it is canceled already."""
    if status is not None:
        raise RefusalError(400, "ALREADY_CANCELED", f"The contract is {status} already.")
    return CancelationStatus.PENDING_VERIFICATION if verification else CancelationStatus.CANCELED


def after_withdrawal(status: CancelationStatus | None, *, verification: bool) -> CancelationStatus | None:
    """Return the status of a contract after the withdrawal of its cancelation; refuse that if there is none."""
    if status is None:
        raise RefusalError(400, "NOT_CANCELED", "There is no cancelation to withdraw.")
    if status == CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION:
        raise RefusalError(400, "WITHDRAWAL_PENDING", "The withdrawal waits for the studio already.")
    pending = verification and status == CancelationStatus.CANCELED
    return CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION if pending else None


def available_date(wanted: date, available: Iterable[date]) -> date:
    """Return `wanted` if the contract can be canceled to it."""
    if wanted not in available:
        raise RefusalError(400, "CANCELATION_DATE_NOT_AVAILABLE", "The date is not on offer.", field="cancelationDate")
    return wanted


def require_positive(status: IdlePeriodValidationStatus | AdditionalModuleValidationStatus) -> None:
    """Refuse what validation would not accept; the status is the error code."""
    if not status.is_positive:
        raise RefusalError(400, status, f"It can not be done: {status}.")


def require_document(reason: IdlePeriodReason, document: ReceivedDocument | None) -> None:
    """Refuse a missing document if the reason needs one."""
    if reason.document_required and document is None:
        raise RefusalError(400, "DOCUMENT_REQUIRED", f"The reason {reason.name} needs a document.", field="document")


def purchase_status(
    contract: ContractData,
    module: AdditionalModule | None,
    request: AdditionalModuleContractRequest,
    *,
    purchased: bool,
) -> AdditionalModuleValidationStatus:
    """Return whether a module can be bought; `purchased`: the contract has it already."""
    status = AdditionalModuleValidationStatus
    if module is None:
        return status.ADDITIONAL_MODULE_NOT_FOUND
    if purchased:
        return status.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED
    if contract.contract_status != ContractStatus.ACTIVE:
        return status.ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS
    if request.payment_frequency_id not in {frequency.id for frequency in module.payment_frequencies}:
        return status.ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE
    if request.book_trial_period and module.trial_period_config is None:
        return status.ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE
    return status.ADDITIONAL_MODULE_PURCHASABLE


def months_later(first: date, months: int) -> date:
    """Return the first of the month that is `months` after that of `first`."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def end_of(request: IdlePeriodValidationRequest) -> date:
    """Return the last day of the idle period that is requested."""
    terms = request.term_value or 0
    match request.temporal_unit:
        case IdleTemporalUnit.DAY:
            return request.start_date + (terms - 1) * _DAY
        case IdleTemporalUnit.WEEK:
            return request.start_date + (7 * terms - 1) * _DAY
        case IdleTemporalUnit.MONTH:
            return months_later(request.start_date, terms) - _DAY
        case _:
            # Unlimited. The API documents that there is an end even then, but not which: here it is the limit.
            return months_later(request.start_date, _MAXIMUM_TERMS[IdleTemporalUnit.MONTH]) - _DAY


def creation_status(
    config: IdlePeriodConfiguration, others: Collection[IdlePeriod], request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus:
    """Return whether an idle period can be created; `others` are those that the contract has."""
    return (
        _refusal_by_contract(config, others)
        or _refusal_by_length(config, request)
        or _refusal_by_start(config, request.start_date)
        or _refusal_by_others(config, others, request)
        or _Status.IDLEPERIOD_CREATABLE
    )


def change_status(
    config: IdlePeriodConfiguration,
    others: Collection[IdlePeriod],
    period: IdlePeriod,
    request: IdlePeriodUpdateRequest,
    today: date,
) -> IdlePeriodValidationStatus:
    """Return whether `period` can be changed; `others` are the contract's other ones."""
    refusal = _refusal_by_contract(config, (period, *others))
    if refusal is None and _end(period) < today:
        refusal = _Status.IDLEPERIOD_DEADLINE_VIOLATED
    if refusal is None and period.unlimited and request.unlimited is None:
        refusal = _Status.IDLEPERIOD_UNLIMITED_PARAMETER_IS_MISSING
    if refusal is None and request.end_date is not None:
        refusal = _refusal_by_shortening(config, period, request, request.end_date)
    elif refusal is None:
        refusal = (
            _refusal_by_length(config, request)
            or (None if request.start_date == period.start_date else _refusal_by_start(config, request.start_date))
            or _refusal_by_others(config, others, request)
        )
    return refusal or _Status.IDLEPERIOD_UPDATABLE


def remaining(config: IdlePeriodConfiguration, periods: Collection[IdlePeriod], year: int) -> RemainingIdlePeriods:
    """Return the terms that are left in a calendar year; a contract year is treated as a calendar year."""
    used = sum(_terms(config, period) for period in periods if period.start_date.year == year)
    most = config.max_term_per_reference_period
    unit = TemporalUnit(config.temporal_unit)
    free = config.free_terms
    return RemainingIdlePeriods(
        remaining_free_terms=None if free is None else evolve(free, value=max(0, free.value - used)),
        remaining_max_terms=None if most is None else Term(value=max(0, most - used), unit=unit),
    )


def _refusal_by_contract(
    config: IdlePeriodConfiguration, periods: Collection[IdlePeriod]
) -> IdlePeriodValidationStatus | None:
    if config.idle_period_creation_status == IdlePeriodCreationStatus.READ:
        return _Status.IDLEPERIOD_DEACTIVATED_FOR_CONTRACT
    if any(period.state == IdlePeriodState.PENDING_VERIFICATION for period in periods):
        return _Status.IDLEPERIOD_PENDING_VERIFICATION
    return None


def _refusal_by_length(
    config: IdlePeriodConfiguration, request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus | None:
    if request.unlimited and config.unlimited_allowed:
        # No status is documented for a unit or term together with `unlimited`.
        has_term = request.temporal_unit is not None or request.term_value is not None
        return _Status.IDLEPERIOD_TEMPORALUNIT_INVALID if has_term else None
    if request.term_value is None:
        return _Status.IDLEPERIOD_TERMVALUE_MISSING
    if request.temporal_unit != config.temporal_unit:
        return _Status.IDLEPERIOD_TEMPORALUNIT_INVALID
    if request.term_value > _MAXIMUM_TERMS[config.temporal_unit]:
        return _Status.IDLEPERIOD_MAXIMUM_YEARS_VIOLATED
    if request.term_value > config.max_terms:
        return _Status.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED
    return None


def _refusal_by_start(config: IdlePeriodConfiguration, start: date) -> IdlePeriodValidationStatus | None:
    if not _is_first_day(config.temporal_unit, start):
        return _Status.IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT
    if config.next_possible_start_date_only and start != config.first_possible_start_date:
        return _Status.IDLEPERIOD_EXPECTED_STARTDATE_MISMATCH
    if not config.first_possible_start_date <= start < _LAST_START:
        return _Status.IDLEPERIOD_DEADLINE_VIOLATED
    return None


def _refusal_by_others(
    config: IdlePeriodConfiguration, others: Collection[IdlePeriod], request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus | None:
    start, end = request.start_date, end_of(request)
    if any(start <= _end(other) and other.start_date <= end for other in others):
        return _Status.IDLEPERIOD_OVERLAPPING
    left = remaining(config, others, start.year).remaining_max_terms
    if left is not None and (request.term_value or 0) > left.value:
        return _Status.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED
    return None


def _refusal_by_shortening(
    config: IdlePeriodConfiguration, period: IdlePeriod, request: IdlePeriodUpdateRequest, end: date
) -> IdlePeriodValidationStatus | None:
    if request.temporal_unit is not None or request.term_value is not None:
        return _Status.IDLEPERIOD_ENDDATE_AND_TERM_PROVIDED
    if end < request.start_date:
        return _Status.IDLEPERIOD_ENDDATE_BEFORE_STARTDATE
    if request.start_date != period.start_date or end >= _end(period):
        return _Status.IDLEPERIOD_ENDDATE_ONLY_FOR_SHORTENING
    if not config.day_based_term_shortening_allowed and not _is_first_day(config.temporal_unit, end + _DAY):
        return _Status.IDLEPERIOD_TEMPORALUNIT_INVALID
    return None


def _is_first_day(unit: IdleTemporalUnit, day: date) -> bool:
    match unit:
        case IdleTemporalUnit.WEEK:
            return day.weekday() == 0
        case IdleTemporalUnit.MONTH:
            return day.day == 1
        case _:
            return True


def _end(period: IdlePeriod) -> date:
    return date.max if period.end_date is None else period.end_date


def _terms(config: IdlePeriodConfiguration, period: IdlePeriod) -> int:
    """Return the length in the configuration's unit, rounded up; an unlimited period has none."""
    if period.unlimited or period.end_date is None:
        return 0
    days = (period.end_date - period.start_date).days + 1
    match config.temporal_unit:
        case IdleTemporalUnit.WEEK:
            return -(-days // 7)
        case IdleTemporalUnit.MONTH:
            return (
                12 * (period.end_date.year - period.start_date.year)
                + period.end_date.month
                - period.start_date.month
                + 1
            )
        case _:
            return days
