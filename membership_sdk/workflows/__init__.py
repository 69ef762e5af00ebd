"""Procedures on contracts, modules and idle periods that end in a known state.

They read the state, act only if needed, and read on until it shows. A request whose answer was lost is not sent again:
its effect may come late. A second run sends a second request if the effect of the first does not show yet, unless it is
told to wait only (`ask=False`); that the API then refuses to cancel, withdraw or buy the same twice is an assumption,
which its documentation does not state.
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
