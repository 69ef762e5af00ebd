"""The workflows under audit: how each is run, what it reads and sends, and between which states it moves."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final
from uuid import UUID

from attrs import evolve, frozen

import cloudcockpit_sdk.operations as cloudcockpit
import membership_sdk.operations as membership
from benchmarks.audit.workflows.answers import DAYS, IDLE_REASON, REASON
from cloudcockpit_sdk import workflows as changes
from membership_sdk import workflows
from sdk_core.operation import Operation
from sdk_core.workflow import Settled

__all__ = ["GONE", "SUBJECTS", "Subject"]

GONE: Final = "gone"
"""The state that is answered with 404."""

Run = Callable[..., Awaitable[Settled[Any] | workflows.Purchase]]


@frozen(kw_only=True)
class Subject:
    """One workflow."""

    run: Run
    """Called with a client, the world's number, whether a reason is given by its name, and the options."""
    reads: tuple[Operation[Any], ...]
    """The first tells the state; the others only inform."""
    write: Operation[Any]
    before: str
    """The state in which the request is accepted."""
    goal: str
    others: tuple[str, ...] = ()
    """The states that other people may bring about."""
    answer: bytes = b'{"success":"yes"}'
    """The answer to an accepted request."""
    is_creation: bool = False
    is_slow: bool = False
    """Whether the API answers before it has done what it was asked (202), and the workflow can be told how to poll."""

    @property
    def name(self) -> str:
        """The name of the request."""
        return self.write.name


def _on_contract(workflow: Run, client: Any, number: int, *, by_name: bool, cancels: bool, **options: Any) -> Any:
    arguments = options | {"customer_id": number, "contract_id": number}
    return workflow(client, **arguments, **_cancelation(by_name=by_name) if cancels else {})


def _on_module(workflow: Run, client: Any, number: int, *, by_name: bool, cancels: bool, **options: Any) -> Any:
    arguments = options | {"contract_id": number, "additional_module_contract_id": 7}
    return workflow(client, **arguments, **_cancelation(by_name=by_name) if cancels else {})


def _cancelation(*, by_name: bool) -> dict[str, object]:
    if by_name:
        return {"on": "earliest", "reason": REASON.cancelation_reason_name}
    return {"on": DAYS[0], "reason": REASON.cancelation_reason_id}


def _request_idle_period(client: Any, number: int, *, by_name: bool, **options: Any) -> Any:
    reason = IDLE_REASON.name if by_name else IDLE_REASON.id
    return workflows.request_idle_period(
        client, contract_id=number, start_date=DAYS[0], term_value=1, reason=reason, **options
    )


def _purchase(client: Any, number: int, *, by_name: bool, **options: Any) -> Any:
    del by_name
    return workflows.purchase_module(
        client, contract_id=number, additional_module_id=1, payment_frequency_id=2, **options
    )


def _on_subscription(workflow: Run, client: Any, number: int, *, by_name: bool, **options: Any) -> Any:
    del by_name
    return workflow(client, customer_id=UUID(int=number), subscription_id=UUID(int=number), **options)


_CANCEL_CONTRACT: Final = Subject(
    run=partial(_on_contract, workflows.cancel_contract, cancels=True),
    reads=(membership.GET_CONTRACT_DATA, membership.GET_CONTRACT_CANCELATION_REASON_DATA),
    write=membership.CREATE_CONTRACT_CANCELATION_AMENDMENT,
    before="open",
    goal="canceled",
    others=("elsewhere", "limbo"),
)
_CANCEL_MODULE: Final = evolve(
    _CANCEL_CONTRACT,
    run=partial(_on_module, workflows.cancel_module, cancels=True),
    reads=(membership.GET_ADDITIONAL_MODULE_CONTRACT, membership.GET_CONTRACT_CANCELATION_REASON_DATA),
    write=membership.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT,
)
_REACTIVATE: Final = Subject(
    run=partial(_on_subscription, changes.reactivate_and_wait),
    reads=(cloudcockpit.GET_SUBSCRIPTION,),
    write=cloudcockpit.REACTIVATE_SUBSCRIPTION,
    before="Suspended",
    goal="Active",
    others=("Deleted", "Limbo"),
    answer=b"",
    is_slow=True,
)
SUBJECTS: Final = (
    _CANCEL_CONTRACT,
    evolve(
        _CANCEL_CONTRACT,
        run=partial(_on_contract, workflows.withdraw_cancelation, cancels=False),
        write=membership.WITHDRAW_CONTRACT_CANCELATION,
        before="canceled",
        goal="open",
        others=("limbo",),
    ),
    _CANCEL_MODULE,
    evolve(
        _CANCEL_MODULE,
        run=partial(_on_module, workflows.withdraw_module_cancelation, cancels=False),
        write=membership.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
        before="canceled",
        goal="open",
        others=("limbo",),
    ),
    Subject(
        run=_request_idle_period,
        reads=(
            membership.GET_IDLE_PERIODS,
            membership.GET_IDLE_PERIOD_CONFIG,
            membership.VALIDATE_IDLE_PERIOD_REQUEST,
        ),
        write=membership.CREATE_IDLE_PERIOD_AMENDMENT,
        before="absent",
        goal="there",
        others=("elsewhere", "limbo"),
        answer=b'{"id":4,"startDate":"2031-01-31","state":"ACCEPTED",'
        b'"idlePeriodReason":{"id":21,"name":"Vacation","documentRequired":false}}',
        is_creation=True,
    ),
    Subject(
        run=_purchase,
        reads=(membership.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST,),
        write=membership.PURCHASE_ADDITIONAL_MODULE_CONTRACT,
        before="purchasable",
        goal="bought",
        others=("off sale", "limbo"),
        answer=b'{"id":4711}',
        is_creation=True,
    ),
    _REACTIVATE,
    evolve(
        _REACTIVATE,
        run=partial(_on_subscription, changes.suspend_and_wait),
        write=cloudcockpit.SUSPEND_SUBSCRIPTION,
        before="Active",
        goal="Suspended",
        others=("Deleted", "Limbo", GONE),
    ),
    evolve(
        _REACTIVATE,
        run=partial(_on_subscription, changes.cancel_and_wait),
        write=cloudcockpit.CANCEL_SUBSCRIPTION,
        before="Active",
        goal="Deleted",
        others=("Disabled", "Suspended", "Cancelled", GONE),
    ),
    evolve(
        _REACTIVATE,
        run=partial(_on_subscription, changes.migrate_and_wait, purchase_full_term=False, quantity=3),
        reads=(cloudcockpit.GET_MIGRATION_STATUS,),
        write=cloudcockpit.START_MIGRATION,
        before="incomplete",
        goal="completed",
        others=(),
        is_creation=True,
    ),
)
