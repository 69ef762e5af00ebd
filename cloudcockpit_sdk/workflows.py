"""Changes of a subscription that are followed until they have happened; each is safe to run twice.

The API takes such a change and works on it later. These read the state, ask only if needed, read on until the state is
reached, and after an UNKNOWN outcome give the effect time to show before they ask once more.
"""

from collections.abc import Collection, Mapping
from typing import Final, TypedDict
from uuid import UUID

from attrs import frozen

from cloudcockpit_sdk import operations
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import Accepted, MigrationRequest, MigrationStatus, Subscription, SubscriptionStatus
from sdk_core.arguments import seconds
from sdk_core.client import Reply
from sdk_core.errors import WorkflowError
from sdk_core.operation import Operation
from sdk_core.workflow import Procedure, Request, Settled, cannot, settle

__all__ = ["cancel_and_wait", "migrate_and_wait", "reactivate_and_wait", "suspend_and_wait"]


class _Timing(TypedDict):
    timeout: float
    poll: float
    patience: float


_TIMEOUT: Final = 600.0
_POLL: Final = 5.0


async def reactivate_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
) -> Settled[Subscription]:
    """Reactivate a subscription, unless it is Active already, and return when it is.

    Args:
        client: the tenant's client.
        customer_id: the customer.
        subscription_id: the subscription.
        timeout: seconds for the whole; how long the API takes is not documented.
        poll: seconds between reads; grows by half each time, up to ten times as long.

    Raises:
        NotSettledError: not Active in time; `state` is the status seen last. The API had taken the request: run this
            again to go on waiting.
        SdkError: a call failed, and the subscription did not become Active all the same.
    """
    ids = {"customer_id": customer_id, "subscription_id": subscription_id}
    change = _StatusChange(client, ids, operations.REACTIVATE_SUBSCRIPTION, {SubscriptionStatus.ACTIVE})
    return await settle(client, change, **_timing(timeout, poll))


async def suspend_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
) -> Settled[Subscription]:
    """Suspend a subscription, unless it is Suspended already, and return when it is; see `reactivate_and_wait`."""
    ids = {"customer_id": customer_id, "subscription_id": subscription_id}
    change = _StatusChange(client, ids, operations.SUSPEND_SUBSCRIPTION, {SubscriptionStatus.SUSPENDED})
    return await settle(client, change, **_timing(timeout, poll))


async def cancel_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    until: Collection[str] = (SubscriptionStatus.DELETED,),
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
) -> Settled[Subscription]:
    """Cancel a subscription, unless it is canceled already, and return when it is; see `reactivate_and_wait`.

    Args:
        client: the tenant's client.
        customer_id: the customer.
        subscription_id: the subscription.
        until: the statuses that mean canceled. The API's list of statuses is not documented, nor which of them a
            cancellation leads to; `Deleted` stands in articles about the product.
        timeout: seconds for the whole.
        poll: seconds between reads.
    """
    if isinstance(until, str):
        raise TypeError("until must be several statuses, not one str")
    ids = {"customer_id": customer_id, "subscription_id": subscription_id}
    change = _StatusChange(client, ids, operations.CANCEL_SUBSCRIPTION, until)
    return await settle(client, change, **_timing(timeout, poll))


async def migrate_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    purchase_full_term: bool,
    quantity: int,
    term_duration: str | None = None,
    billing_frequency: str | None = None,
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
) -> Settled[MigrationStatus]:
    """Migrate a legacy subscription, unless that is completed already, and return when it is.

    Args: as of `CloudCockpitClient.start_migration` and `reactivate_and_wait`.
    """
    body = MigrationRequest(
        purchase_full_term=purchase_full_term,
        quantity=quantity,
        term_duration=term_duration,
        billing_frequency=billing_frequency,
    )
    ids = {"customer_id": customer_id, "subscription_id": subscription_id}
    return await settle(client, _Migration(client, ids, body), **_timing(timeout, poll))


@frozen
class _Migration(Procedure[MigrationStatus]):
    client: CloudCockpitClient
    ids: Mapping[str, object]
    body: MigrationRequest

    async def read(self) -> Reply[MigrationStatus]:
        return await self.client.call_with_reply(operations.GET_MIGRATION_STATUS, **self.ids)

    def reached(self, state: MigrationStatus) -> bool:
        return state.is_completed

    async def prepare(self, state: MigrationStatus) -> Request:  # noqa: ARG002  there is nothing to choose
        return Request(operations.START_MIGRATION, {**self.ids, "body": self.body})

    def describe(self, state: MigrationStatus) -> str:
        return "completed" if state.is_completed else "incomplete"


@frozen
class _StatusChange(Procedure[Subscription]):
    client: CloudCockpitClient
    ids: Mapping[str, object]
    operation: Operation[Accepted]
    until: Collection[str]

    async def read(self) -> Reply[Subscription]:
        return await self.client.call_with_reply(operations.GET_SUBSCRIPTION, **self.ids)

    def reached(self, state: Subscription) -> bool:
        return state.status in self.until

    async def prepare(self, state: Subscription) -> Request:
        if not state.status.is_known:
            what = "the subscription is in a state this release does not know"
            raise cannot(WorkflowError, what, state=state.status)
        return Request(self.operation, self.ids)

    def describe(self, state: Subscription) -> str:
        return str(state.status)


def _timing(timeout: float, poll: float) -> _Timing:
    timeout = seconds("timeout", timeout)
    # The change takes a while: half of the time is given to one whose fate is unknown, before it is asked for again.
    return {"timeout": timeout, "poll": seconds("poll", poll), "patience": timeout / 2}
