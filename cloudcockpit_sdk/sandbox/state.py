"""The state of the sandbox, and how it is looked up."""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID, uuid4

from aiohttp import web
from attrs import define, field, frozen

from cloudcockpit_sdk.models import Accepted, Subscription
from cloudcockpit_sdk.operations import OPERATIONS
from cloudcockpit_sdk.sandbox.rules import not_found
from cloudcockpit_sdk.sandbox.samples import SampleIds
from sdk_core.sandbox import Sandbox
from sdk_core.sandbox.requests import LedgerEntry, RefusalError

__all__ = ["AuditEntry", "State", "Work"]

_ASYNCHRONOUS: Final = frozenset(operation.name for operation in OPERATIONS if operation.returns is Accepted)


@define
class Work:
    """An accepted change that has not happened yet. Reads, not seconds, are what it takes."""

    after: Callable[[Subscription], Subscription]
    reads_left: int
    completed: bool = False


@frozen
class AuditEntry:
    """A change that was accepted."""

    moment: datetime
    operation: str
    correlation_id: str
    subscription: Subscription
    work: Work | None
    id: UUID = field(factory=uuid4)

    @property
    def status(self) -> str:
        """How far the change is, in the API's word."""
        # The API spells it so.
        return "Succeded" if self.work is None or self.work.completed else "Processing"


class State(SampleIds, Sandbox):
    """The state."""

    subscriptions: dict[UUID, Subscription]
    """The state, by subscription id; what is accepted shows here once it has happened."""
    entitlements: dict[UUID, list[Subscription]]
    """Azure entitlements by plan; known to `list_azure_entitlements` and `change_monthly_budget` only."""
    budgets: dict[UUID, Decimal | None]
    """The monthly budgets that were set, by entitlement."""
    settle_after: int
    _clock: Callable[[], float]
    _unsettled: dict[UUID, Work]
    _migrations: dict[UUID, tuple[Work, UUID]]
    _audit: list[AuditEntry]

    def record(self, entry: LedgerEntry, request: web.Request) -> None:
        """Note it in the audit log too."""
        super().record(entry, request)
        number: Any = entry.arguments["subscription_id"]
        self._audit.append(
            AuditEntry(
                self._now(),
                entry.operation,
                request.headers.get("X-Correlation-Id") or str(uuid4()),
                self.subscriptions.get(number) or self._entitlement(number),
                self._unsettled.get(number) if entry.operation in _ASYNCHRONOUS else None,
            )
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _subscriptions_of(self, customer_id: UUID, *, otherwise: int = 404) -> list[Subscription]:
        owned = [
            found for found in self.subscriptions.values() if (found.customer_id or self.CUSTOMER_ID) == customer_id
        ]
        if not owned and customer_id != self.CUSTOMER_ID:
            raise not_found("customer", otherwise)
        return owned

    def _owned(self, customer_id: UUID, subscription_id: UUID, *, otherwise: int = 404) -> Subscription:
        """Return the customer's subscription as it is now."""
        for subscription in self._subscriptions_of(customer_id, otherwise=otherwise):
            if subscription.id == subscription_id:
                return subscription
        raise not_found("subscription", otherwise)

    def _entitlement(self, number: UUID, *, otherwise: int = 404) -> Subscription:
        for owned in self.entitlements.values():
            for entitlement in owned:
                if entitlement.id == number:
                    return entitlement
        raise not_found("entitlement", otherwise)

    def _start(self, owned: Subscription, after: Callable[[Subscription], Subscription]) -> Work:
        # What the real API says to a change while another is being worked on is not known.
        if owned.id in self._unsettled:
            raise RefusalError(400, "ChangeInProgress", "Another change of the subscription is being worked on.")
        work = self._unsettled[owned.id] = Work(after, self.settle_after)
        return work

    def _read(self, subscription_id: UUID) -> Subscription:
        """Return the subscription as this read sees it: reads, not seconds, are what work in progress takes."""
        subscription = self.subscriptions[subscription_id]
        work = self._unsettled.get(subscription_id)
        if work is None:
            return subscription
        if work.reads_left > 0:
            work.reads_left -= 1
            return subscription
        del self._unsettled[subscription_id]
        work.completed = True
        changed = self.subscriptions[subscription_id] = work.after(subscription)
        return changed
