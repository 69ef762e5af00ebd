"""The sandbox's rules for idle periods: what a studio would say to a request, in the API's words; pure.

The statuses are documented by a line each. Which of several comes first, and where the bounds lie exactly, is the
sandbox's own.
"""

from collections.abc import Collection
from datetime import date, timedelta
from typing import Final

from attrs import evolve

from membership_sdk.models import (
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodState,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatus,
    IdleTemporalUnit,
    RemainingIdlePeriods,
    TemporalUnit,
    Term,
)
from sdk_core.sandbox.requests import RefusalError

__all__ = ["end_of", "months_later", "not_found", "on_change", "on_request", "remaining"]

_Status = IdlePeriodValidationStatus
_DAY: Final = timedelta(days=1)
_MOST_TERMS: Final = {IdleTemporalUnit.DAY: 5 * 365, IdleTemporalUnit.WEEK: 5 * 52, IdleTemporalUnit.MONTH: 5 * 12}
"""The hard limit of five years."""
_LAST_START: Final = date(date.max.year - 6, 1, 1)
"""From here on, five years are more than a `date` can hold."""


def not_found(what: str) -> RefusalError:
    """Return the refusal for an id that is not there."""
    return RefusalError(404, "NOT_FOUND", f"There is no such {what}.")


def months_later(first: date, months: int) -> date:
    """Return the first of the month that is `months` after that of `first`."""
    years, month = divmod(first.month - 1 + months, 12)
    return date(first.year + years, month + 1, 1)


def end_of(request: IdlePeriodValidationRequest) -> date:
    """Return the last day of what is asked for."""
    terms = request.term_value or 0
    match request.temporal_unit:
        case IdleTemporalUnit.DAY:
            return request.start_date + (terms - 1) * _DAY
        case IdleTemporalUnit.WEEK:
            return request.start_date + (7 * terms - 1) * _DAY
        case IdleTemporalUnit.MONTH:
            return months_later(request.start_date, terms) - _DAY
        case _:
            # Unlimited. The API documents an end even then, but not which: here it is the hard limit.
            return months_later(request.start_date, _MOST_TERMS[IdleTemporalUnit.MONTH]) - _DAY


def on_request(
    config: IdlePeriodConfiguration, others: Collection[IdlePeriod], request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus:
    """Return whether an idle period can be created, beside the contract's `others`."""
    return (
        _on_contract(config, others)
        or _on_length(config, request)
        or _on_start(config, request.start_date)
        or _on_others(config, others, request)
        or _Status.IDLEPERIOD_CREATABLE
    )


def on_change(
    config: IdlePeriodConfiguration,
    others: Collection[IdlePeriod],
    period: IdlePeriod,
    request: IdlePeriodUpdateRequest,
    today: date,
) -> IdlePeriodValidationStatus:
    """Return whether `period` can be changed, beside the contract's `others`."""
    refusal = _on_contract(config, (period, *others))
    if refusal is None and _end(period) < today:
        refusal = _Status.IDLEPERIOD_DEADLINE_VIOLATED
    if refusal is None and period.unlimited and request.unlimited is None:
        refusal = _Status.IDLEPERIOD_UNLIMITED_PARAMETER_IS_MISSING
    if refusal is None and request.end_date is not None:
        refusal = _on_shortening(config, period, request, request.end_date)
    elif refusal is None:
        refusal = (
            _on_length(config, request)
            or (None if request.start_date == period.start_date else _on_start(config, request.start_date))
            or _on_others(config, others, request)
        )
    return refusal or _Status.IDLEPERIOD_UPDATABLE


def remaining(config: IdlePeriodConfiguration, periods: Collection[IdlePeriod], year: int) -> RemainingIdlePeriods:
    """Return what a calendar year has left; a contract year is taken for one."""
    used = sum(_terms(config, period) for period in periods if period.start_date.year == year)
    most = config.max_term_per_reference_period
    unit = TemporalUnit(config.temporal_unit)
    return RemainingIdlePeriods(
        remaining_free_terms=evolve(config.free_terms, value=max(0, config.free_terms.value - used)),
        remaining_max_terms=None if most is None else Term(value=max(0, most - used), unit=unit),
    )


def _on_contract(config: IdlePeriodConfiguration, periods: Collection[IdlePeriod]) -> IdlePeriodValidationStatus | None:
    if config.idle_period_creation_status == IdlePeriodCreationStatus.READ:
        return _Status.IDLEPERIOD_DEACTIVATED_FOR_CONTRACT
    if any(period.state == IdlePeriodState.PENDING_VERIFICATION for period in periods):
        return _Status.IDLEPERIOD_PENDING_VERIFICATION
    return None


def _on_length(
    config: IdlePeriodConfiguration, request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus | None:
    if request.unlimited and config.unlimited_allowed:
        # No status is documented for a unit or term beside `unlimited`.
        has_term = request.temporal_unit is not None or request.term_value is not None
        return _Status.IDLEPERIOD_TEMPORALUNIT_INVALID if has_term else None
    if request.term_value is None:
        return _Status.IDLEPERIOD_TERMVALUE_MISSING
    if request.temporal_unit != config.temporal_unit:
        return _Status.IDLEPERIOD_TEMPORALUNIT_INVALID
    if request.term_value > _MOST_TERMS[config.temporal_unit]:
        return _Status.IDLEPERIOD_MAXIMUM_YEARS_VIOLATED
    if request.term_value > config.max_terms:
        return _Status.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED
    return None


def _on_start(config: IdlePeriodConfiguration, start: date) -> IdlePeriodValidationStatus | None:
    if not _is_first_day(config.temporal_unit, start):
        return _Status.IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT
    if config.next_possible_start_date_only and start != config.first_possible_start_date:
        return _Status.IDLEPERIOD_EXPECTED_STARTDATE_MISMATCH
    if not config.first_possible_start_date <= start < _LAST_START:
        return _Status.IDLEPERIOD_DEADLINE_VIOLATED
    return None


def _on_others(
    config: IdlePeriodConfiguration, others: Collection[IdlePeriod], request: IdlePeriodValidationRequest
) -> IdlePeriodValidationStatus | None:
    start, end = request.start_date, end_of(request)
    if any(start <= _end(other) and other.start_date <= end for other in others):
        return _Status.IDLEPERIOD_OVERLAPPING
    left = remaining(config, others, start.year).remaining_max_terms
    if left is not None and (request.term_value or 0) > left.value:
        return _Status.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED
    return None


def _on_shortening(
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
    """Return the length in the configuration's unit, a begun one counted whole; an unlimited period counts none."""
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
