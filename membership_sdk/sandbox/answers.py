"""The values that the sandbox makes: for its sample data, and as answers."""

from datetime import date, timedelta
from decimal import Decimal

from membership_sdk.models import (
    AccountPreviewItem,
    AdditionalModuleContractExtended,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodFee,
    IdlePeriodFeeCalculationType,
    IdlePeriodReason,
    IdlePeriodState,
    Money,
)
from membership_sdk.sandbox.rules import months_later

__all__ = ["end_of_month", "euros", "idle_period", "idle_period_charges", "module_contract"]


def end_of_month(today: date, later: int) -> date:
    """Return the last day of the month that is `later` months after that of `today`."""
    return months_later(today, later + 1) - timedelta(days=1)


def euros(amount: str) -> Money:
    """Return an amount in euros."""
    return Money(amount=Decimal(amount), currency="EUR")


def module_contract(today: date, name: str, price: Money, start: date) -> AdditionalModuleContractExtended:
    """Return a module contract that is not canceled."""
    return AdditionalModuleContractExtended(
        name=name,
        price=price,
        start_date=start,
        contract_cancelation_can_be_withdrawn=False,
        last_possible_cancelation_date=end_of_month(today, 0),
        available_cancelation_dates=tuple(end_of_month(today, later) for later in (1, 2)),
    )


def idle_period(
    config: IdlePeriodConfiguration, reason: IdlePeriodReason, number: int, start: date, end: date
) -> IdlePeriod:
    """Return an accepted idle period."""
    # How studios compute the fee is not documented: it is the configured fee once, whatever the length.
    fee = config.idle_period_fee
    return IdlePeriod(
        id=number,
        start_date=start,
        end_date=end,
        unlimited=False,
        state=IdlePeriodState.ACCEPTED,
        idle_period_reason=reason,
        idle_period_fee=IdlePeriodFee(
            idle_period_fee_calculation_type=IdlePeriodFeeCalculationType.ABSOLUTE, idle_period_total_amount=fee
        ),
        # `reason` and `fee` are deprecated, yet documented as required.
        reason=reason.name,
        fee=fee,
    )


def idle_period_charges(
    config: IdlePeriodConfiguration, reason: IdlePeriodReason, start: date, end: date
) -> tuple[AccountPreviewItem, ...]:
    """Return the charges that an idle period would cause; none where none is configured."""
    if config.idle_period_fee is None:
        return ()
    charge = AccountPreviewItem(
        due_date=start,
        amount=config.idle_period_fee,
        paid_period_from=start,
        paid_period_to=end,
        description=reason.name,
    )
    return (charge,)
