"""Changes of a subscription that are followed until they have happened.

The API takes such a change and works on it later. These read the state, ask only if needed, and read on until the state
is reached. A request whose answer was lost is not sent again: its effect may come late. A second run sends a second
request if the effect of the first does not show yet, unless it is told to wait only (`ask=False`); that the API then
refuses to start the same change twice is an assumption, which its documentation does not state.

The API documents its audit log as the way to follow such work. It is not used here: the log has no filter by
correlation id, and the fields of its entries are not documented, so that nothing true could be read from it.
"""

from collections.abc import Collection, Mapping
from typing import Final, cast
from uuid import UUID

from attrs import frozen

from cloudcockpit_sdk import operations
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import Accepted, MigrationRequest, MigrationStatus, Subscription, SubscriptionStatus
from sdk_core.arguments import instance, non_empty, uuid_id
from sdk_core.call import Reply
from sdk_core.errors import NotFoundError, SdkError
from sdk_core.operation import Operation
from sdk_core.settling import settle
from sdk_core.workflow import Procedure, Request, Run, Settled, WorkflowError, cannot

__all__ = ["cancel_and_wait", "migrate_and_wait", "reactivate_and_wait", "suspend_and_wait"]

_TIMEOUT: Final = 600.0
_POLL: Final = 5.0
_BEFORE_CANCELLATION: Final = frozenset({SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED})
"""Any other may be one that a cancellation has led to."""


async def reactivate_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[Subscription]:
    """Reactivate a subscription, unless it is Active already, and return when it is.

    Args:
        client: the tenant's client.
        customer_id: the customer.
        subscription_id: the subscription.
        timeout: seconds for the whole; how long the API takes is not documented. A last read may take ten more.
        poll: seconds between reads; grows by half each time, up to ten times as long.
        ask: False: send nothing, only wait: to go on after a NotSettledError.
        resend_after: seconds; a request whose answer was lost is sent once more if the subscription is in the same
            status then. Only if you know that the API has always begun by then, or refuses to do it twice.

    Raises:
        NotSettledError: not Active in time; `state` is the status seen last, `outcome` UNKNOWN if a request was sent
            that was not refused.
        WorkflowError: the subscription is in a state this release does not know; nothing was sent.
        SdkError: a call failed, and the subscription did not become Active all the same. A refusal is raised at the
            deadline only: it may mean that somebody else's change is being worked on.
    """
    change = reactivation(customer_id=customer_id, subscription_id=subscription_id)
    return await settle(_of_portal(client), change, timeout=timeout, poll=poll, ask=ask, resend_after=resend_after)


async def suspend_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[Subscription]:
    """Suspend a subscription, unless it is Suspended already, and return when it is; see `reactivate_and_wait`."""
    change = suspension(customer_id=customer_id, subscription_id=subscription_id)
    return await settle(_of_portal(client), change, timeout=timeout, poll=poll, ask=ask, resend_after=resend_after)


async def cancel_and_wait(
    client: CloudCockpitClient,
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    until: Collection[str] = (SubscriptionStatus.DELETED,),
    timeout: float = _TIMEOUT,
    poll: float = _POLL,
    ask: bool = True,
    resend_after: float | None = None,
) -> Settled[Subscription]:
    """Cancel a subscription, unless it is canceled already, and return when it is; see `reactivate_and_wait`.

    It asks for the cancellation of an Active or Suspended subscription only: any other status may be one that a
    cancellation has led to.

    Args:
        client: the tenant's client.
        customer_id: the customer.
        subscription_id: the subscription.
        until: the statuses that mean canceled. The API's list of statuses is not documented, nor which of them a
            cancellation leads to; `Deleted` stands in articles about the product.
        timeout: seconds for the whole.
        poll: seconds between reads.
        ask: False: send nothing, only wait.
        resend_after: seconds; see `reactivate_and_wait`.

    Raises:
        NotSettledError: none of `until` was reached in time: if `state` means canceled to you, name it there. Also: the
            subscription was asked to be canceled, and then was not found any more (404); it is probably gone.
        WorkflowError: the subscription is neither Active nor Suspended; nothing was sent.
        SdkError: a call failed; see `reactivate_and_wait`.
    """
    change = cancellation(customer_id=customer_id, subscription_id=subscription_id, until=until)
    return await settle(_of_portal(client), change, timeout=timeout, poll=poll, ask=ask, resend_after=resend_after)


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
    ask: bool = True,
) -> Settled[MigrationStatus]:
    """Migrate a legacy subscription, unless that is completed already, and return when it is.

    A migration places an order, so its request is sent once by a run, whatever happens. That one is under way can't be
    read: another run sends another request, unless it is told to wait only (`ask=False`).

    Args and errors: as of `CloudCockpitClient.start_migration` and `reactivate_and_wait`.
    """
    change = migration(
        customer_id=customer_id,
        subscription_id=subscription_id,
        purchase_full_term=purchase_full_term,
        quantity=quantity,
        term_duration=term_duration,
        billing_frequency=billing_frequency,
    )
    return await settle(_of_portal(client), change, timeout=timeout, poll=poll, ask=ask)


def reactivation(*, customer_id: UUID | str, subscription_id: UUID | str) -> Procedure[Subscription]:
    """Return what `reactivate_and_wait` runs, its arguments checked."""
    ids = _ids(customer_id, subscription_id)
    return _StatusChange(ids, operations.REACTIVATE_SUBSCRIPTION, {SubscriptionStatus.ACTIVE})


def suspension(*, customer_id: UUID | str, subscription_id: UUID | str) -> Procedure[Subscription]:
    """Return what `suspend_and_wait` runs, its arguments checked."""
    ids = _ids(customer_id, subscription_id)
    return _StatusChange(ids, operations.SUSPEND_SUBSCRIPTION, {SubscriptionStatus.SUSPENDED})


def cancellation(
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    until: Collection[str] = (SubscriptionStatus.DELETED,),
) -> Procedure[Subscription]:
    """Return what `cancel_and_wait` runs, its arguments checked."""
    ids = _ids(customer_id, subscription_id)
    return _Cancellation(ids, operations.CANCEL_SUBSCRIPTION, _statuses("until", until))


def migration(
    *,
    customer_id: UUID | str,
    subscription_id: UUID | str,
    purchase_full_term: bool,
    quantity: int,
    term_duration: str | None = None,
    billing_frequency: str | None = None,
) -> Procedure[MigrationStatus]:
    """Return what `migrate_and_wait` runs, its arguments checked."""
    body = MigrationRequest(
        purchase_full_term=purchase_full_term,
        quantity=quantity,
        term_duration=term_duration,
        billing_frequency=billing_frequency,
    )
    return _Migration(_ids(customer_id, subscription_id), body)


def _of_portal(client: object) -> CloudCockpitClient:
    """Return the client if it is one of this API: another would ask its own server."""
    return instance("client", client, CloudCockpitClient)


def _ids(customer_id: object, subscription_id: object) -> Mapping[str, object]:
    return {
        "customer_id": uuid_id("customer_id", customer_id),
        "subscription_id": uuid_id("subscription_id", subscription_id),
    }


def _statuses(name: str, value: object) -> frozenset[str]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise TypeError(f"{name} must be a collection of statuses, not {type(value).__name__}")
    statuses = frozenset(non_empty(name, status) for status in cast("Collection[object]", value))
    if not statuses:
        raise ValueError(f"{name} must name a status")
    return statuses


@frozen
class _Migration(Procedure[MigrationStatus]):
    ids: Mapping[str, object]
    body: MigrationRequest

    async def read(self, run: Run, /) -> Reply[MigrationStatus]:
        return await run.call(operations.GET_MIGRATION_STATUS, **self.ids)

    def reached(self, state: MigrationStatus, /) -> bool:
        return state.is_completed

    async def prepare(self, _run: Run, _state: MigrationStatus, /) -> Request:
        return Request(operations.START_MIGRATION, {**self.ids, "body": self.body})

    def describe(self, state: MigrationStatus, /) -> str:
        return "completed" if state.is_completed else "incomplete"


@frozen
class _StatusChange(Procedure[Subscription]):
    ids: Mapping[str, object]
    operation: Operation[Accepted]
    until: Collection[str]

    async def read(self, run: Run, /) -> Reply[Subscription]:
        return await run.call(operations.GET_SUBSCRIPTION, **self.ids)

    def reached(self, state: Subscription, /) -> bool:
        return state.status in self.until

    def immediate(self) -> Request | None:
        return Request(self.operation, self.ids)

    async def prepare(self, _run: Run, state: Subscription, /) -> Request:
        if not state.status.is_known:
            what = "the subscription is in a state this release does not know"
            raise cannot(WorkflowError, what, state=state.status)
        return Request(self.operation, self.ids)

    def describe(self, state: Subscription, /) -> str:
        return str(state.status)


@frozen
class _Cancellation(_StatusChange):
    def immediate(self) -> Request | None:
        # It is asked for in two states only.
        return None

    async def prepare(self, run: Run, state: Subscription, /) -> Request:
        request = await super().prepare(run, state)
        if state.status not in _BEFORE_CANCELLATION:
            what = "a cancellation may have led to this state: if it means canceled to you, name it in until"
            raise cannot(WorkflowError, what, state=state.status)
        return request

    def end_of(self, failure: SdkError, /) -> str | None:
        if isinstance(failure, NotFoundError):
            return "the cancellation was sent, and now the subscription is not found (404): it is probably gone"
        return None
