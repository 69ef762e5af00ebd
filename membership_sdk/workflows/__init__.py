"""Procedures on contracts, modules and idle periods that end in a known state; each is safe to run twice.

They read the state, act only if needed, and after an UNKNOWN outcome read again before anything is repeated.
"""

from membership_sdk.workflows.cancelations import (
    CancelationDate,
    cancel_contract,
    cancel_module,
    withdraw_cancelation,
    withdraw_module_cancelation,
)
from membership_sdk.workflows.idle_periods import request_idle_period
from membership_sdk.workflows.purchases import Purchase, purchase_module

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
