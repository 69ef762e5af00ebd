"""The CloudCockpit API and its token endpoint in process: one customer with a few subscriptions."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any, ClassVar, Final, Unpack
from uuid import UUID, uuid4, uuid5

from aiohttp import web
from attrs import define, evolve, field, frozen

from cloudcockpit_sdk.auth import DEFAULT_SCOPE, ClientCredentials, TokenArgument
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import (
    Accepted,
    AutoRenewSettings,
    BillingFrequency,
    OfferType,
    PriceMargin,
    Segment,
    Subscription,
    SubscriptionStatus,
    TermDuration,
    Transition,
)
from cloudcockpit_sdk.operations import OPERATIONS
from cloudcockpit_sdk.sandbox.answers import (
    NAMESPACE,
    UPGRADE,
    conflict,
    detail,
    has_transition,
    list_item,
    migration_status,
    named,
    offer_type,
    page,
    transition,
)
from sdk_core import codec
from sdk_core.client import ClientOptions
from sdk_core.operation import Operation
from sdk_core.sandbox import Sandbox
from sdk_core.sandbox.faults import Fault
from sdk_core.sandbox.requests import LedgerEntry, ReceivedRequest, RefusalError

__all__ = ["CloudCockpitSandbox", "Fault", "LedgerEntry", "ReceivedRequest"]

_TOKEN_PATH: Final = "/oauth2/v2.0/token"  # noqa: S105
_NO_ENVELOPE: Final = frozenset({401, 403})
"""Statuses that are documented without a body."""
_ASYNCHRONOUS: Final = frozenset(operation.name for operation in OPERATIONS if operation.returns is Accepted)
_LONGEST_TEXT: Final = 255
_LARGEST_QUANTITY: Final = 2**31 - 1


@define
class _Work:
    """An accepted change that has not happened yet. Reads, not seconds, are what it takes."""

    after: Callable[[Subscription], Subscription]
    reads_left: int
    completed: bool = False


@frozen
class _AuditEntry:
    moment: datetime
    operation: str
    correlation_id: str
    subscription: Subscription
    work: _Work | None
    id: UUID = field(factory=uuid4)

    @property
    def status(self) -> str:
        # The API spells it so.
        return "Succeded" if self.work is None or self.work.completed else "Processing"


class CloudCockpitSandbox(Sandbox):
    """The CloudCockpit API on a loopback port: `async with CloudCockpitSandbox() as sandbox:`.

    Kinds of errors (`type`) and what may be changed when are the sandbox's own: the API publishes neither. A
    subscription takes one asynchronous change at a time; a second one is refused until the first has happened.

    The token endpoint is not part of the API: it has its own count, `token_requests`, and `fail()` reaches it only
    with `operation="token"`.

    Args:
        subscriptions: of CUSTOMER_ID, unless they name another; each with an `offer` of `id`, `name` and maybe
            `offerType`, like `{"name": "AzurePlan"}`; None: seven, in several states.
        entitlements: those of Azure plans, by the plan's id; None: one of AZURE_PLAN_ID.
        settle_after: how many reads of a subscription still show its old state after an asynchronous change.
        token_lifetime: seconds a token is valid.
        clock: seconds since the epoch, which tokens expire by and the audit log is kept in.
        today: the date that the subscriptions above are made for, and that cancellations are judged by; None: today.
    """

    TENANT: Final = "portal.example.com"
    CLIENT_ID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"
    CLIENT_SECRET: Final = "sandbox-secret"  # noqa: S105
    CUSTOMER_ID: Final = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    ACTIVE_SUBSCRIPTION_ID: Final = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")
    SUSPENDED_SUBSCRIPTION_ID: Final = UUID("886313e1-3b8a-4372-9b90-0c9aee199e5d")
    EXPIRED_SUBSCRIPTION_ID: Final = UUID("6fa459ea-ee8a-4ca4-894e-db77e160355e")
    LOCKED_SUBSCRIPTION_ID: Final = UUID("1b4e28ba-2fa1-41d2-883f-0016d3cca427")
    """Active, but too old to be canceled."""
    LEGACY_SUBSCRIPTION_ID: Final = UUID("3d813cbb-47fb-42ba-91df-831e1593ac29")
    """Active; the one that can be migrated."""
    AZURE_PLAN_ID: Final = UUID("4fa1b9a2-6d0c-4c3a-9f7e-2b8d5c6e7f80")
    ENTITLEMENT_ID: Final = UUID("5e2c8d1f-7a3b-4d6e-8c9f-0a1b2c3d4e5f")
    """Of the Azure plan; the one that takes a budget."""
    RESELLER_ID: Final = UUID("c9bf9e57-1685-4c89-bafb-ff5af830be8a")
    """Of every second subscription."""
    OFFER_ID: Final = UUID("9b2f6c1d-3e4a-4f5b-8c7d-1a2b3c4d5e6f")
    """Of the first subscription."""

    operations: ClassVar[tuple[Operation[Any], ...]] = OPERATIONS
    other_endpoints: ClassVar[frozenset[str]] = frozenset({"token"})

    def __init__(
        self,
        *,
        subscriptions: Iterable[Subscription] | None = None,
        entitlements: Mapping[UUID, Iterable[Subscription]] | None = None,
        settle_after: int = 2,
        token_lifetime: int = 3599,
        clock: Callable[[], float] = time.time,
        today: date | None = None,
    ) -> None:
        super().__init__(today=today)
        owned = _subscriptions(self.today) if subscriptions is None else subscriptions
        self.subscriptions: dict[UUID, Subscription] = {subscription.id: subscription for subscription in owned}
        """The state, by subscription id; what is accepted shows here once it has happened."""
        if entitlements is None:
            entitlements = {self.AZURE_PLAN_ID: [_entitlement(self.today)]}
        self.entitlements: dict[UUID, list[Subscription]] = {plan: list(owned) for plan, owned in entitlements.items()}
        """Azure entitlements by plan; known to `list_azure_entitlements` and `change_monthly_budget` only."""
        self.budgets: dict[UUID, Decimal | None] = {}
        """The monthly budgets that were set, by entitlement."""
        self.settle_after = settle_after
        self.token_lifetime = token_lifetime
        self.token_requests: int = 0
        """How often a token was asked for."""
        self._clock = clock
        self._tokens: dict[str, float] = {}
        self._unsettled: dict[UUID, _Work] = {}
        self._migrations: dict[UUID, tuple[_Work, UUID]] = {}
        self._audit: list[_AuditEntry] = []

    @property
    def token_url(self) -> str:
        """URL of the token endpoint."""
        return self.url + _TOKEN_PATH

    @property
    def credentials(self) -> ClientCredentials:
        """An Api Access that the token endpoint knows."""
        return ClientCredentials(self.CLIENT_ID, self.CLIENT_SECRET, token_url=self.token_url)

    def client(
        self, *, tenant: str = TENANT, token: TokenArgument | None = None, **options: Unpack[ClientOptions]
    ) -> CloudCockpitClient:
        """Return a client for this sandbox with its `credentials`; the options are those of CloudCockpitClient."""
        return CloudCockpitClient(tenant, self.credentials if token is None else token, base_url=self.url, **options)

    def issue_token(self) -> str:
        """Return a fresh JWT that the API accepts until it expires."""
        now = self._clock()
        claims = {"aud": DEFAULT_SCOPE.rpartition("/")[0], "appid": self.CLIENT_ID, "iat": int(now)}
        token = _jwt({**claims, "nbf": int(now), "exp": int(now + self.token_lifetime), "uti": str(uuid4())})
        self._tokens[token] = now + self.token_lifetime
        return token

    def expire_tokens(self) -> None:
        """Refuse all tokens that were issued so far."""
        self._tokens.clear()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the token endpoint."""
        router.add_post(_TOKEN_PATH, self._serve_token)

    def admit(self, request: web.Request) -> None:
        """Ask for a valid token and the tenant."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0.0) <= self._clock():
            raise RefusalError(401, "Unauthorized", "The token is missing, wrong or expired.")
        if request.headers.get("X-Tenant") != self.TENANT:
            raise RefusalError(
                400, "InvalidTenant", "The header X-Tenant must name a domain of the tenant.", field="X-Tenant"
            )

    def envelope(self, refusal: RefusalError, request: web.Request) -> bytes:
        """Return the API's error body; it echoes the request's correlation id."""
        if refusal.status in _NO_ENVELOPE:
            return b""
        errors = refusal.field and [{"propertyName": refusal.field, "description": [refusal.message]}]
        return codec.dump(
            {
                "statusCode": refusal.status,
                "type": refusal.code,
                "description": refusal.message,
                "correlationId": request.headers.get("X-Correlation-Id") or str(uuid4()),
                "errors": errors or None,
            }
        )

    def record(self, entry: LedgerEntry, request: web.Request) -> None:
        """Note it in the audit log too."""
        super().record(entry, request)
        number: Any = entry.arguments["subscription_id"]
        self._audit.append(
            _AuditEntry(
                self._now(),
                entry.operation,
                request.headers.get("X-Correlation-Id") or str(uuid4()),
                self.subscriptions.get(number) or self._entitlement(number),
                self._unsettled.get(number) if entry.operation in _ASYNCHRONOUS else None,
            )
        )

    def list_customer_subscriptions(
        self,
        *,
        customer_id: UUID,
        page_number: int = 1,
        page_size: int = 25,
        sort_property_name: str | None = None,
        reseller_id: UUID | None = None,
        offer_id: UUID | None = None,
    ) -> dict[str, object]:
        """Return one page."""
        found = [
            subscription
            for subscription in self._subscriptions_of(customer_id)
            if reseller_id in {None, subscription.reseller_id}
            and (offer_id is None or str(offer_id) == subscription.offer["id"])
        ]
        return self._page_of_subscriptions(found, page_number, page_size, sort_property_name)

    def list_subscriptions(
        self, *, page_number: int = 1, page_size: int = 25, sort_property_name: str | None = None
    ) -> dict[str, object]:
        """Return one page of all customers' subscriptions."""
        return self._page_of_subscriptions([*self.subscriptions.values()], page_number, page_size, sort_property_name)

    def get_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return a subscription."""
        return detail(self._read(self._owned(customer_id, subscription_id).id))

    def update_subscription(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> None:
        """Accept a new name and quantity; the other fields are checked for nothing but their presence."""
        owned = self._owned(customer_id, subscription_id)
        for name in ("name", "quantity", "nextBillingFrequency"):
            if name not in body:
                raise _invalid(name, "required, but missing")
        name, quantity = body["name"], body["quantity"]
        if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_TEXT):
            raise _invalid("name", f"expected a string of at most {_LONGEST_TEXT} characters, or null")
        if type(quantity) is not int or not 0 <= quantity <= _LARGEST_QUANTITY:
            raise _invalid("quantity", "expected a whole number")
        self._start(owned, lambda before: evolve(before, name=name, quantity=quantity))

    def cancel_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the cancellation, unless the time for it has passed."""
        # The page of this operation shows no 404.
        owned = self._owned(customer_id, subscription_id, otherwise=400)
        until = owned.cancellation_allowed_until
        if until is not None and until.date() < self.today:
            raise RefusalError(409, "Conflict", "The time for cancellation has passed.", answer=conflict(owned))
        self._change_status(
            owned, {SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED}, SubscriptionStatus.DELETED
        )

    def suspend_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the suspension of an Active subscription."""
        owned = self._owned(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.ACTIVE}, SubscriptionStatus.SUSPENDED)

    def reactivate_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the reactivation of a Suspended subscription."""
        owned = self._owned(customer_id, subscription_id)
        self._change_status(owned, {SubscriptionStatus.SUSPENDED}, SubscriptionStatus.ACTIVE)

    def change_associated_reseller(self, *, customer_id: UUID, subscription_id: UUID, body: UUID) -> bool:
        """Change the reseller; the support contact of a legacy license changes too."""
        owned = self._owned(customer_id, subscription_id)
        self.subscriptions[subscription_id] = evolve(owned, reseller_id=body)
        return offer_type(owned) == OfferType.LICENSE_LEGACY

    def change_price_margin(self, *, customer_id: UUID, subscription_id: UUID, body: dict[str, Any]) -> HTTPStatus:
        """Change the margin's rule, read as answers write it: `{"marginRule": {"name": "Markup"}}`."""
        owned = self._owned(customer_id, subscription_id)
        try:
            margin = codec.structure(body, PriceMargin)
        except codec.ShapeError as error:
            raise _invalid("marginRule", error.problems[0]) from None
        if margin.margin_rule is None:
            raise _invalid("marginRule", "required, but missing")
        self.subscriptions[subscription_id] = evolve(owned, margin=margin)
        return HTTPStatus.NO_CONTENT

    def change_po_number(self, *, customer_id: UUID, subscription_id: UUID, body: str) -> HTTPStatus:
        """Change the purchase order number."""
        owned = self._owned(customer_id, subscription_id)
        if len(body) > _LONGEST_TEXT:
            raise _invalid("", f"expected at most {_LONGEST_TEXT} characters")
        self.subscriptions[subscription_id] = evolve(owned, po_number=body)
        return HTTPStatus.NO_CONTENT

    def change_monthly_budget(
        self, *, customer_id: UUID, subscription_id: UUID, monthly_budget: Decimal | None
    ) -> HTTPStatus:
        """Change an entitlement's budget; None: no budget."""
        # The page of this operation shows no 404.
        if self._entitlement(subscription_id, otherwise=400).customer_id != customer_id:
            raise _not_found("entitlement", 400)
        self.budgets[subscription_id] = monthly_budget
        return HTTPStatus.NO_CONTENT

    def list_eligible_transitions(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the one offer that is above any other license."""
        owned = self._owned(customer_id, subscription_id)
        return [transition(owned)] if has_transition(owned) else []

    def upgrade_subscription(self, *, customer_id: UUID, subscription_id: UUID, **transition: Any) -> None:
        """Accept one of the eligible transitions; offer, quantity, term and billing change."""
        owned = self._owned(customer_id, subscription_id)
        asked = Transition(**transition)
        if not has_transition(owned) or asked.provider_offer_id != UPGRADE["providerOfferId"]:
            raise RefusalError(400, "InvalidTransition", "It is none of the eligible transitions.")

        def upgraded(before: Subscription) -> Subscription:
            return evolve(
                before,
                offer={**before.offer, "id": UPGRADE["offerId"], "name": UPGRADE["offerName"]},
                quantity=asked.quantity,
                term_duration=asked.term_duration or before.term_duration,
                billing_frequency=asked.billing_frequency or before.billing_frequency,
            )

        self._start(owned, upgraded)

    def get_migration_status(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return how far it is; reading this counts as reading the subscription."""
        self._read(self._owned(customer_id, subscription_id).id)
        work, destination = self._migrations.get(subscription_id, (None, None))
        completed = work is not None and work.completed
        return migration_status(subscription_id, self.subscriptions[destination] if completed and destination else None)

    def start_migration(
        self,
        *,
        customer_id: UUID,
        subscription_id: UUID,
        purchase_full_term: bool,  # noqa: ARG002  what it costs is not played
        quantity: int,
        term_duration: str | None,
        billing_frequency: str | None,
    ) -> None:
        """Accept the migration of a legacy license to a new subscription; what becomes of the old one is unknown."""
        owned = self._owned(customer_id, subscription_id)
        if offer_type(owned) != OfferType.LICENSE_LEGACY or subscription_id in self._migrations:
            raise RefusalError(400, "InvalidMigration", "Only a legacy license can be migrated, and only once.")
        destination = uuid5(NAMESPACE, f"destination {subscription_id}")

        def migrated(before: Subscription) -> Subscription:
            self.subscriptions[destination] = evolve(
                before,
                id=destination,
                provider_subscription_id=str(destination),
                quantity=quantity,
                term_duration=before.term_duration if term_duration is None else TermDuration(term_duration),
                billing_frequency=before.billing_frequency
                if billing_frequency is None
                else BillingFrequency(billing_frequency),
                offer={**before.offer, "offerType": named(OfferType.LICENSE)},
            )
            return before

        self._migrations[subscription_id] = self._start(owned, migrated), destination

    def list_azure_entitlements(
        self, *, customer_id: UUID, subscription_id: UUID, reseller_id: UUID | None = None
    ) -> list[dict[str, object]]:
        """Return the entitlements; a subscription that is no Azure plan has none."""
        owned = self.entitlements.get(self._owned(customer_id, subscription_id).id, [])
        return [list_item(entitlement) for entitlement in owned if reseller_id in {None, entitlement.reseller_id}]

    def list_eligible_for_upgrade(self, *, customer_id: UUID, subscription_id: UUID) -> list[dict[str, object]]:
        """Return the customer's subscriptions that have a transition; what the real API means by this is unknown."""
        self._owned(customer_id, subscription_id)
        return [list_item(owned) for owned in self._subscriptions_of(customer_id) if has_transition(owned)]

    def get_custom_term_end_dates(self, *, customer_id: UUID, query: Mapping[str, str]) -> list[datetime]:  # noqa: ARG002  no name is documented
        """Return the ends of the customer's subscriptions. The shape is made up: the real one was not seen."""
        # The page of this operation shows no 404.
        owned = self._subscriptions_of(customer_id, otherwise=400)
        return sorted({end for subscription in owned if (end := subscription.end_date) is not None})

    def list_audit_logs(
        self,
        *,
        page_number: int = 1,
        page_size: int = 25,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        operations: str | None = None,
        status: str | None = None,
        reseller: str = "",
        customer: str = "",
        reseller_id: UUID | None = None,
    ) -> dict[str, object]:
        """Return one page, newest first: an entry for each change that was accepted. It counts as reading all of them.

        The fields of the items and the names of the operations (`SuspendSubscription`) are made up: the API's were not
        seen. There is no entry with the status Failed: what is accepted here happens.
        """
        for number in [*self._unsettled]:
            self._read(number)
        first = start_date or self._now() - timedelta(days=31)
        last = end_date or self._now()
        names = None if operations is None else operations.split("|")
        items = [_audit_item(entry) for entry in reversed(self._audit) if first <= entry.moment <= last]
        found = [
            item
            for item in items
            if (names is None or item["operation"] in names)
            and status in {None, item["status"]}
            and reseller in item["reseller"]
            and customer in item["customer"]
            and reseller_id in {None, item["resellerId"]}
        ]
        return page(found, page_number, page_size)

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def _subscriptions_of(self, customer_id: UUID, *, otherwise: int = 404) -> list[Subscription]:
        owned = [
            found for found in self.subscriptions.values() if (found.customer_id or self.CUSTOMER_ID) == customer_id
        ]
        if not owned and customer_id != self.CUSTOMER_ID:
            raise _not_found("customer", otherwise)
        return owned

    def _owned(self, customer_id: UUID, subscription_id: UUID, *, otherwise: int = 404) -> Subscription:
        """Return the customer's subscription as it is now."""
        for subscription in self._subscriptions_of(customer_id, otherwise=otherwise):
            if subscription.id == subscription_id:
                return subscription
        raise _not_found("subscription", otherwise)

    def _entitlement(self, number: UUID, *, otherwise: int = 404) -> Subscription:
        for owned in self.entitlements.values():
            for entitlement in owned:
                if entitlement.id == number:
                    return entitlement
        raise _not_found("entitlement", otherwise)

    def _change_status(self, owned: Subscription, before: set[SubscriptionStatus], after: SubscriptionStatus) -> None:
        if owned.status not in before:
            raise RefusalError(400, "InvalidStatus", f"The subscription is {owned.status}.")
        self._start(owned, lambda subscription: evolve(subscription, status=after))

    def _start(self, owned: Subscription, after: Callable[[Subscription], Subscription]) -> _Work:
        # What the real API says to a change while another is being worked on is not known.
        if owned.id in self._unsettled:
            raise RefusalError(400, "ChangeInProgress", "Another change of the subscription is being worked on.")
        work = self._unsettled[owned.id] = _Work(after, self.settle_after)
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

    def _page_of_subscriptions(
        self, found: list[Subscription], page_number: int, page_size: int, sort_property_name: str | None
    ) -> dict[str, object]:
        if sort_property_name is not None:
            if sort_property_name not in _SORT_KEYS:
                raise _invalid("sortPropertyName", f"Sort by one of {', '.join(_SORT_KEYS)}.")
            found.sort(key=_SORT_KEYS[sort_property_name])
        envelope = page(found, page_number, page_size)
        shown = found[(page_number - 1) * page_size :][:page_size]
        return {**envelope, "items": [list_item(self._read(subscription.id)) for subscription in shown]}

    async def _serve_token(self, request: web.Request) -> web.StreamResponse:
        self.token_requests += 1
        form = await request.post()

        def perform() -> web.Response:
            if form.get("grant_type") != "client_credentials":
                return web.json_response({"error": "unsupported_grant_type"}, status=400)
            if (form.get("client_id"), form.get("client_secret")) != (self.CLIENT_ID, self.CLIENT_SECRET):
                return web.json_response({"error": "invalid_client"}, status=401)
            if form.get("scope") != DEFAULT_SCOPE:
                return web.json_response({"error": "invalid_scope"}, status=400)
            return web.json_response(
                {
                    "token_type": "Bearer",
                    "expires_in": self.token_lifetime,
                    "ext_expires_in": self.token_lifetime,
                    "access_token": self.issue_token(),
                }
            )

        return await self.play(request, self.next_fault("token"), perform, _oauth_error)


def _not_found(what: str, status: int = 404) -> RefusalError:
    return RefusalError(status, "NotFound", f"There is no such {what}.")


def _invalid(name: str, message: str) -> RefusalError:
    return RefusalError(400, "ValidationError", message, field=name)


def _audit_item(entry: _AuditEntry) -> dict[str, Any]:
    reseller_id = entry.subscription.reseller_id
    return {
        "id": entry.id,
        "date": entry.moment,
        "operation": "".join(word.capitalize() for word in entry.operation.split("_")),
        "status": entry.status,
        "correlationId": entry.correlation_id,
        "subscriptionId": entry.subscription.id,
        "customerId": entry.subscription.customer_id,
        "customer": "Example Ltd",
        "resellerId": reseller_id,
        "reseller": "Example Reseller" if reseller_id else "",
    }


def _oauth_error(refusal: RefusalError, request: web.Request) -> bytes:  # noqa: ARG001  RFC 6749 echoes nothing
    code = "temporarily_unavailable" if refusal.status >= 500 or refusal.status == 429 else "invalid_request"  # noqa: PLR2004
    return codec.dump({"error": code, "error_description": refusal.message})


def _jwt(claims: dict[str, object]) -> str:
    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = encoded(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    signed = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(b'sandbox', signed.encode(), hashlib.sha256))}"


_SORT_KEYS: Final[dict[str, Callable[[Subscription], Any]]] = {
    "Offer.Name": lambda subscription: subscription.offer["name"],
    "Status": lambda subscription: subscription.status,
    "StartDate": lambda subscription: subscription.start_date,
    "EndDate": lambda subscription: subscription.end_date,
}


def _subscriptions(today: date) -> list[Subscription]:
    box, kind = CloudCockpitSandbox, OfferType
    active = SubscriptionStatus.ACTIVE
    rows = [
        (box.ACTIVE_SUBSCRIPTION_ID, "Microsoft 365 Business Premium", active, 25, kind.LICENSE),
        (box.SUSPENDED_SUBSCRIPTION_ID, "Exchange Online (Plan 1)", SubscriptionStatus.SUSPENDED, 10, kind.LICENSE),
        (box.EXPIRED_SUBSCRIPTION_ID, "Visio Plan 2", SubscriptionStatus.EXPIRED, 2, kind.LICENSE),
        (box.LOCKED_SUBSCRIPTION_ID, "Power BI Pro", active, 5, kind.LICENSE),
        (box.LEGACY_SUBSCRIPTION_ID, "Teams Phone", active, 5, kind.LICENSE_LEGACY),
        (box.AZURE_PLAN_ID, "Azure plan", active, 1, kind.AZURE_PLAN),
        (uuid5(NAMESPACE, "Defender"), "Defender", active, 5, kind.LICENSE),
    ]
    midnight = datetime(today.year, today.month, 1, tzinfo=UTC)
    locked = {box.LOCKED_SUBSCRIPTION_ID: midnight - timedelta(days=83)}
    return [
        Subscription(
            id=number,
            status=status,
            customer_id=box.CUSTOMER_ID,
            provider_instance_id=uuid5(NAMESPACE, "provider"),
            reseller_id=box.RESELLER_ID if index % 2 else None,
            name=f"{name} for Example Ltd",
            provider_subscription_id=str(uuid5(NAMESPACE, f"provider's {number}")),
            start_date=midnight - timedelta(days=30 * index),
            end_date=midnight + timedelta(days=365 - 30 * index),
            cancellation_allowed_until=locked.get(number),
            quantity=quantity,
            term_duration=TermDuration.ONE_YEAR,
            billing_frequency=BillingFrequency.MONTHLY,
            segment=Segment.COMMERCIAL,
            auto_renew_enabled=True,
            auto_renew_settings=AutoRenewSettings(
                term=TermDuration.ONE_YEAR, billing_frequency=BillingFrequency.MONTHLY
            ),
            offer={
                "id": str(uuid5(NAMESPACE, "offer " + name) if index else box.OFFER_ID),
                "name": name,
                "offerType": named(offer_type),
            },
        )
        for index, (number, name, status, quantity, offer_type) in enumerate(rows)
    ]


def _entitlement(today: date) -> Subscription:
    plan = next(owned for owned in _subscriptions(today) if owned.id == CloudCockpitSandbox.AZURE_PLAN_ID)
    return evolve(plan, id=CloudCockpitSandbox.ENTITLEMENT_ID, name="Azure subscription for Example Ltd")
