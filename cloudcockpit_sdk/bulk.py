"""Bulk runs of the CloudCockpit API: a plan of many rows, and a journal with which it goes on after a kill.

    async with CloudCockpitClient(...) as client, bulk.run(client, "plan.csv", journal="run.db") as run:
        async for result in run:
            ...

The API takes most changes and works on them later: a row is DONE once the API has taken it. `RowOptions(confirm=True)`
reads on until it shows; give it a `timeout` that is long enough.

Resuming reads what became of a request that may have been sent. By default, one of unknown outcome is sent once more if
reading shows no effect 60 s after it was sent, unless it creates something: see `RowOptions.resend_after`.
"""

from collections.abc import Mapping
from typing import Any, Final, Unpack

from cloudcockpit_sdk import operations, workflows
from cloudcockpit_sdk.client import CloudCockpitClient
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

_SUBSCRIPTION: Final = ("subscription_id",)
_STATUS: Final = "status"
"""Of a subscription. A migration is begun in one, too: what it finds must not depend on which row comes first."""
_WORKFLOWS: Final = {
    task.name: task
    for task in (
        workflow_task(workflows.reactivate_and_wait, workflows.reactivation, target=_SUBSCRIPTION, change=_STATUS),
        workflow_task(workflows.suspend_and_wait, workflows.suspension, target=_SUBSCRIPTION, change=_STATUS),
        workflow_task(workflows.cancel_and_wait, workflows.cancellation, target=_SUBSCRIPTION, change=_STATUS),
        workflow_task(workflows.migrate_and_wait, workflows.migration, target=_SUBSCRIPTION, change=_STATUS),
    )
}
_SETTLED_BY: Final = {
    operations.REACTIVATE_SUBSCRIPTION.name: "reactivate_and_wait",
    operations.SUSPEND_SUBSCRIPTION.name: "suspend_and_wait",
    operations.CANCEL_SUBSCRIPTION.name: "cancel_and_wait",
    operations.START_MIGRATION.name: "migrate_and_wait",
}
"""The workflow that does the same as an operation, with the same arguments."""


def _operations() -> dict[str, Task]:
    tasks: dict[str, Task] = {}
    for operation in operations.OPERATIONS:
        workflow = _SETTLED_BY.get(operation.name)
        settled_by = None if workflow is None else _WORKFLOWS[workflow]
        tasks[operation.name] = operation_task(CloudCockpitClient, operation, settled_by=settled_by)
    return tasks


async def _as_they_are(_task: Task, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
    return arguments


def _lookup(_client: Client) -> Lookup:
    # This API names nothing that would have to be looked up.
    return _as_they_are


CATALOGUE: Final = Catalogue(sdk="cloudcockpit_sdk", tasks={**_WORKFLOWS, **_operations()}, lookup=_lookup)
"""What a plan can ask for: the workflows and the operations."""


def run(client: CloudCockpitClient, plan: Plan | None, **options: Unpack[RunOptions]) -> BulkRun:
    """Return a run of a plan, to be entered with `async with`; see `BulkRun` for arguments and errors."""
    return BulkRun(client, CATALOGUE, plan, **options)
