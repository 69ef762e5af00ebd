"""The state of the sandbox: the values that it serves and changes, their look-up by id, and accepted changes."""

from collections.abc import Callable, Mapping
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar, Final
from uuid import UUID, uuid4

from aiohttp import web
from attrs import define, field, frozen

from cloudcockpit_sdk.models import Accepted, Subscription
from cloudcockpit_sdk.operations import OPERATIONS
from cloudcockpit_sdk.sandbox.rules import not_found
from cloudcockpit_sdk.sandbox.samples import SampleIds
from sdk_core.sandbox import Sandbox
from sdk_core.sandbox.recent import Recent
from sdk_core.sandbox.requests import LedgerEntry, RefusalError

__all__ = ["AuditEntry", "PendingChange", "State"]

_ASYNCHRONOUS: Final = frozenset(operation.name for operation in OPERATIONS if operation.returns is Accepted)


@define
class PendingChange:
    """An asynchronous change that was accepted. It is applied after a number of reads, so that tests need not wait."""

    apply: Callable[[Subscription], Subscription]
    reads_left: int
    """How many reads still show the old state."""
    completed: bool = False


@frozen
class AuditEntry:
    """A change that was accepted, as the audit log keeps it."""

    moment: datetime
    operation: str
    correlation_id: str
    subscription: Subscription
    change: PendingChange | None
    """None: the operation is synchronous."""
    id: UUID = field(factory=uuid4)

    @property
    def status(self) -> str:
        """Progress of the change; "Succeded" is the API's own spelling."""
        return "Succeded" if self.change is None or self.change.completed else "Processing"


class State(SampleIds, Sandbox):
    """What `CloudCockpitSandbox` is created with; the handlers read and change it."""

    subscriptions: dict[UUID, Subscription]
    """By subscription id. An asynchronous change shows here once it is applied."""
    entitlements: dict[UUID, list[Subscription]]
    """Azure entitlements by plan. Of the operations only `list_azure_entitlements`, `change_monthly_budget` and
    `grant_owner_access` know them."""
    budgets: dict[UUID, Decimal | None]
    """The monthly budgets that were set, by entitlement."""
    owners: dict[UUID, set[str]]
    """The e-mail addresses that were granted owner access, by entitlement."""
    settle_after: int
    """How many reads still show the old state after an asynchronous change."""
    token_lifetime: int
    """Seconds a token is valid."""
    token_requests: int
    """Number of requests for a token."""
    state_names: ClassVar[tuple[str, ...]] = (
        "subscriptions",
        "entitlements",
        "budgets",
        "owners",
        "settle_after",
        "token_lifetime",
        "token_requests",
        "_pending",
        "_migrations",
    )
    settings: ClassVar[Mapping[str, Any]] = {
        "settle_after": int,
        "token_lifetime": int,
        "budgets": dict[UUID, Decimal | None],
    }
    _pending: dict[UUID, PendingChange]
    _migrations: dict[UUID, tuple[PendingChange, UUID]]
    _audit: Recent[AuditEntry]

    def record(self, entry: LedgerEntry, request: web.Request) -> None:
        """Record the effect in the ledger and in the audit log."""
        super().record(entry, request)
        customer_id: Any = entry.arguments["customer_id"]
        subscription_id: Any = entry.arguments["subscription_id"]
        self._audit.append(
            AuditEntry(
                self.clock.now(),
                entry.operation,
                request.headers.get("X-Correlation-Id") or str(uuid4()),
                self.subscriptions.get(subscription_id) or self._entitlement(customer_id, subscription_id),
                self._pending.get(subscription_id) if entry.operation in _ASYNCHRONOUS else None,
            )
        )

    def reset(self) -> None:
        """Go back to how it was created; tokens stay valid."""
        super().reset()
        self._audit.clear()

    def _subscriptions_of(self, customer_id: UUID, *, missing: int = HTTPStatus.NOT_FOUND) -> list[Subscription]:
        owned = [
            found for found in self.subscriptions.values() if (found.customer_id or self.CUSTOMER_ID) == customer_id
        ]
        if not owned and customer_id != self.CUSTOMER_ID:
            raise not_found("customer", missing)
        return owned

    def _subscription(
        self, customer_id: UUID, subscription_id: UUID, *, missing: int = HTTPStatus.NOT_FOUND
    ) -> Subscription:
        """Return the customer's subscription, uncounted as a read; `missing` is the HTTP status if there is none."""
        for subscription in self._subscriptions_of(customer_id, missing=missing):
            if subscription.id == subscription_id:
                return subscription
        raise not_found("subscription", missing)

    def _entitlement(
        self, customer_id: UUID, entitlement_id: UUID, *, missing: int = HTTPStatus.NOT_FOUND
    ) -> Subscription:
        """Return the customer's entitlement; `missing` is the HTTP status if there is none."""
        for owned in self.entitlements.values():
            for entitlement in owned:
                if entitlement.id == entitlement_id and entitlement.customer_id == customer_id:
                    return entitlement
        raise not_found("entitlement", missing)

    def _accept_change(self, owned: Subscription, apply: Callable[[Subscription], Subscription]) -> PendingChange:
        # How the real API answers to a change while another one is pending is not known.
        if owned.id in self._pending:
            raise RefusalError(400, "ChangeInProgress", "Another change of the subscription is being worked on.")
        change = self._pending[owned.id] = PendingChange(apply, self.settle_after)
        return change

    def _read(self, subscription_id: UUID) -> Subscription:
        """Return the subscription as a read shows it, and count the read for a pending change."""
        subscription = self.subscriptions[subscription_id]
        change = self._pending.get(subscription_id)
        if change is None:
            return subscription
        if change.reads_left > 0:
            change.reads_left -= 1
            return subscription
        del self._pending[subscription_id]
        change.completed = True
        changed = self.subscriptions[subscription_id] = change.apply(subscription)
        return changed
