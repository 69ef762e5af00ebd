"""Bulk runs of the Membership API: a plan of many rows, and a journal with which it goes on after a kill.

    async with MembershipClient(...) as client, bulk.run(client, "plan.csv", journal="run.db") as run:
        async for result in run:
            ...

The results come in the order in which rows end.

Resuming reads what became of a request that may have been sent. By default, one of unknown outcome is sent once more if
reading shows no effect 60 s after it was sent, unless it creates something: see `RowOptions.resend_after`.
"""

from asyncio import Lock
from collections.abc import Mapping
from typing import Any, Final, Unpack

from membership_sdk import operations, workflows
from membership_sdk.client import MembershipClient
from membership_sdk.models import ContractCancelationReason
from membership_sdk.workflows.cancelations import (
    contract_cancelation,
    contract_withdrawal,
    module_cancelation,
    module_withdrawal,
)
from membership_sdk.workflows.common import choose
from membership_sdk.workflows.idle_periods import idle_period_request
from membership_sdk.workflows.purchases import module_purchase
from sdk_core.bulk.plan import Plan, PlanError
from sdk_core.bulk.progress import Pause, Progress
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.report import Status, status_of, write_results
from sdk_core.bulk.result import Result, RowOutcome
from sdk_core.bulk.row import RowOptions
from sdk_core.bulk.run import BulkRun, RunOptions
from sdk_core.bulk.tasks import Catalogue, Lookup, Task, operation_task, workflow_task
from sdk_core.client import Client

__all__ = [
    "CATALOGUE",
    "BulkRun",
    "JournalError",
    "Pause",
    "Plan",
    "PlanError",
    "Progress",
    "Result",
    "RowOptions",
    "RowOutcome",
    "Status",
    "run",
    "status_of",
    "write_results",
]

_MODULE: Final = ("contract_id", "additional_module_contract_id")
_CANCELATION: Final = "cancelation"
_REASON: Final = {"cancelation_date": "on", "cancelation_reason_id": "reason"}
_WORKFLOWS: Final = {
    task.name: task
    for task in (
        workflow_task(workflows.cancel_contract, contract_cancelation, target=("contract_id",), change=_CANCELATION),
        workflow_task(
            workflows.withdraw_cancelation, contract_withdrawal, target=("contract_id",), change=_CANCELATION
        ),
        workflow_task(workflows.cancel_module, module_cancelation, target=_MODULE, change=_CANCELATION),
        workflow_task(workflows.withdraw_module_cancelation, module_withdrawal, target=_MODULE, change=_CANCELATION),
        workflow_task(workflows.purchase_module, module_purchase, target=("contract_id", "additional_module_id")),
        workflow_task(workflows.request_idle_period, idle_period_request, target=("contract_id", "start_date")),
    )
}
_SETTLED_BY: Final[Mapping[str, tuple[str, Mapping[str, str]]]] = {
    operations.CREATE_CONTRACT_CANCELATION_AMENDMENT.name: ("cancel_contract", _REASON),
    operations.WITHDRAW_CONTRACT_CANCELATION.name: ("withdraw_cancelation", {}),
    operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT.name: ("cancel_module", _REASON),
    operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION.name: ("withdraw_module_cancelation", {}),
    operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT.name: ("purchase_module", {}),
    operations.CREATE_IDLE_PERIOD_AMENDMENT.name: ("request_idle_period", {"reason_id": "reason"}),
}
"""The workflow that does the same as an operation, and what it calls the operation's arguments."""


def _operations() -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for operation in operations.OPERATIONS:
        if operation.name not in _SETTLED_BY:
            tasks[operation.name] = operation_task(MembershipClient, operation)
            continue
        workflow, renamed = _SETTLED_BY[operation.name]
        tasks[operation.name] = operation_task(
            MembershipClient,
            operation,
            settled_by=_WORKFLOWS[workflow],
            renamed=renamed,
        )
    return tasks


class _Reasons:
    """Puts ids in place of the names of cancelation reasons; they are read once, when the first name comes."""

    def __init__(self, client: Client) -> None:
        # What is decided by a list that was read in part may be wrong.
        self._client = client.with_options(skip_unreadable_items=False)
        self._lock = Lock()
        self._offered: list[ContractCancelationReason] | None = None

    async def __call__(self, task: Task, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        if task.name not in {"cancel_contract", "cancel_module"} or isinstance(arguments["reason"], int):
            return arguments
        async with self._lock:
            if self._offered is None:
                self._offered = await self._client.call(operations.GET_CONTRACT_CANCELATION_REASON_DATA)
        reason = choose(
            tuple(self._offered),
            arguments["reason"],
            "reason",
            operations.GET_CONTRACT_CANCELATION_REASON_DATA,
            key=lambda r: r.cancelation_reason_id,
            name=lambda r: r.cancelation_reason_name,
        )
        return {**arguments, "reason": reason.cancelation_reason_id}


def _lookup(client: Client) -> Lookup:
    return _Reasons(client)


CATALOGUE: Final = Catalogue(sdk="membership_sdk", tasks={**_WORKFLOWS, **_operations()}, lookup=_lookup)
"""What a plan can ask for: the workflows and the operations."""


def run(client: MembershipClient, plan: Plan | None, **options: Unpack[RunOptions]) -> BulkRun:
    """Return a run of a plan, to be entered with `async with`; see `BulkRun` for arguments and errors."""
    return BulkRun(client, CATALOGUE, plan, **options)
