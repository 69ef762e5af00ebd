"""The CloudCockpit API and its token endpoint in process: one customer with a few subscriptions."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from math import ceil
from typing import Any, ClassVar, Final, Unpack
from uuid import UUID, uuid4, uuid5

from aiohttp import web
from attrs import evolve

from cloudcockpit_sdk.auth import DEFAULT_SCOPE, ClientCredentials, TokenArgument
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import (
    BillingFrequency,
    OfferType,
    Segment,
    Subscription,
    SubscriptionStatus,
    TermDuration,
)
from cloudcockpit_sdk.operations import OPERATIONS
from sdk_core import codec
from sdk_core.client import ClientOptions
from sdk_core.codec import OpenEnumObject
from sdk_core.operation import Operation
from sdk_core.sandbox import Fault, LedgerEntry, ReceivedRequest, RefusalError, Sandbox

__all__ = ["CloudCockpitSandbox", "Fault", "LedgerEntry", "ReceivedRequest"]

_TOKEN_PATH: Final = "/oauth2/v2.0/token"  # noqa: S105
_NAMESPACE: Final = UUID("5f0c2a1e-6d3b-4c58-9e47-0a1b2c3d4e5f")
_NO_ENVELOPE: Final = frozenset({401, 403})
"""Statuses that are documented without a body."""


class CloudCockpitSandbox(Sandbox):
    """The CloudCockpit API on a loopback port: `async with CloudCockpitSandbox() as sandbox:`.

    Kinds of errors (`type`) and what may be suspended or reactivated are the sandbox's own: the API publishes neither.
    The token endpoint is not part of the API: it has its own count, `token_requests`, and `fail()` reaches it only
    with `operation="token"`.

    Args:
        subscriptions: what CUSTOMER_ID has, each with an `offer` of `id` and `name`; None: seven, in several states.
        settle_after: how many reads of a subscription still show its old state after a suspension or reactivation.
        token_lifetime: seconds a token is valid.
        clock: seconds since the epoch, which tokens expire by.
        today: the date that the subscriptions above are made for; None: today.
    """

    TENANT: Final = "portal.example.com"
    CLIENT_ID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"
    CLIENT_SECRET: Final = "sandbox-secret"  # noqa: S105
    CUSTOMER_ID: Final = UUID("7c9e6679-7425-40de-944b-e07fc1f90ae7")
    ACTIVE_SUBSCRIPTION_ID: Final = UUID("16fd2706-8baf-433b-82eb-8c7fada847da")
    SUSPENDED_SUBSCRIPTION_ID: Final = UUID("886313e1-3b8a-4372-9b90-0c9aee199e5d")
    EXPIRED_SUBSCRIPTION_ID: Final = UUID("6fa459ea-ee8a-4ca4-894e-db77e160355e")
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
        settle_after: int = 2,
        token_lifetime: int = 3599,
        clock: Callable[[], float] = time.time,
        today: date | None = None,
    ) -> None:
        super().__init__(today=today)
        owned = _subscriptions(self.today) if subscriptions is None else subscriptions
        self.subscriptions: dict[UUID, Subscription] = {subscription.id: subscription for subscription in owned}
        """The state, by subscription id; what is accepted shows here once it has happened."""
        self.settle_after = settle_after
        self.token_lifetime = token_lifetime
        self.token_requests: int = 0
        """How often a token was asked for."""
        self._clock = clock
        self._tokens: dict[str, float] = {}
        self._unsettled: dict[UUID, tuple[SubscriptionStatus, int]] = {}

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
        self._check_customer(customer_id)
        found = [
            subscription
            for subscription in self.subscriptions.values()
            if reseller_id in {None, subscription.reseller_id}
            and (offer_id is None or str(offer_id) == subscription.offer["id"])
        ]
        if sort_property_name is not None:
            if sort_property_name not in _SORT_KEYS:
                known = ", ".join(_SORT_KEYS)
                raise RefusalError(400, "ValidationError", f"Sort by one of {known}.", field="sortPropertyName")
            found.sort(key=_SORT_KEYS[sort_property_name])
        first = (page_number - 1) * page_size
        total_pages = ceil(len(found) / page_size)
        return {
            "items": [_list_item(self._read(subscription.id)) for subscription in found[first : first + page_size]],
            "totalPages": total_pages,
            "totalCount": len(found),
            "hasNextPage": page_number < total_pages,
            "continuationToken": None,
        }

    def get_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> dict[str, object]:
        """Return a subscription."""
        self._check_customer(customer_id)
        return _detail(self._read(subscription_id))

    def suspend_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the suspension of an Active subscription."""
        self._check_customer(customer_id)
        self._start(subscription_id, SubscriptionStatus.ACTIVE, SubscriptionStatus.SUSPENDED)

    def reactivate_subscription(self, *, customer_id: UUID, subscription_id: UUID) -> None:
        """Accept the reactivation of a Suspended subscription."""
        self._check_customer(customer_id)
        self._start(subscription_id, SubscriptionStatus.SUSPENDED, SubscriptionStatus.ACTIVE)

    def _check_customer(self, customer_id: UUID) -> None:
        if customer_id != self.CUSTOMER_ID:
            raise RefusalError(404, "NotFound", "There is no such customer.")

    def _subscription(self, subscription_id: UUID) -> Subscription:
        try:
            return self.subscriptions[subscription_id]
        except KeyError:
            raise RefusalError(404, "NotFound", "The customer has no such subscription.") from None

    def _start(self, subscription_id: UUID, before: SubscriptionStatus, after: SubscriptionStatus) -> None:
        status = self._subscription(subscription_id).status
        # What the real API says to a second request while the first is being worked on is not known: accepted here.
        if status != before:
            raise RefusalError(400, "InvalidStatus", f"The subscription is {status}, not {before}.")
        self._unsettled[subscription_id] = after, self.settle_after

    def _read(self, subscription_id: UUID) -> Subscription:
        """Return the subscription as this read sees it: reads, not seconds, are what work in progress takes."""
        subscription = self._subscription(subscription_id)
        if subscription_id in self._unsettled:
            status, reads_left = self._unsettled.pop(subscription_id)
            if reads_left > 0:
                self._unsettled[subscription_id] = status, reads_left - 1
            else:
                subscription = self.subscriptions[subscription_id] = evolve(subscription, status=status)
        return subscription

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


# The names on the wire are spelled out, not derived from the models: a test must not read its own writing.
def _list_item(subscription: Subscription) -> dict[str, object]:
    return {
        "id": subscription.id,
        "offerId": subscription.offer["id"],
        "customerId": subscription.customer_id,
        "providerInstanceId": subscription.provider_instance_id,
        "resellerId": subscription.reseller_id,
        "subscriptionName": subscription.name,
        "offerName": subscription.offer["name"],
        "offerType": _named(OfferType.LICENSE),
        "isAddonOffer": False,
        "isTrialOffer": False,
        "subscriptionStatus": _named(subscription.status),
        "startDate": subscription.start_date,
        "endDate": subscription.end_date,
        "cancellationAllowedUntil": subscription.cancellation_allowed_until,
        "quantity": subscription.quantity,
        "billingFrequency": _named(subscription.billing_frequency),
        "termDuration": _named(subscription.term_duration),
        "segment": _named(subscription.segment),
    }


def _detail(subscription: Subscription) -> dict[str, object]:
    return {
        "id": subscription.id,
        "customerId": subscription.customer_id,
        "providerInstanceId": subscription.provider_instance_id,
        "resellerId": subscription.reseller_id,
        "name": subscription.name,
        "status": _named(subscription.status),
        "startDate": subscription.start_date,
        "endDate": subscription.end_date,
        "cancellationAllowedUntil": subscription.cancellation_allowed_until,
        "quantity": subscription.quantity,
        "termDuration": _named(subscription.term_duration),
        "billingFrequency": _named(subscription.billing_frequency),
        "segment": _named(subscription.segment),
        "autoRenewEnabled": subscription.auto_renew_enabled,
        "offer": subscription.offer,
    }


def _named(value: OpenEnumObject | None) -> dict[str, str] | None:
    return None if value is None else {"name": str(value)}


def _subscriptions(today: date) -> list[Subscription]:
    box = CloudCockpitSandbox
    active = SubscriptionStatus.ACTIVE
    rows = [
        (box.ACTIVE_SUBSCRIPTION_ID, "Microsoft 365 Business Premium", active, 25),
        (box.SUSPENDED_SUBSCRIPTION_ID, "Exchange Online (Plan 1)", SubscriptionStatus.SUSPENDED, 10),
        (box.EXPIRED_SUBSCRIPTION_ID, "Visio Plan 2", SubscriptionStatus.EXPIRED, 2),
        *((uuid5(_NAMESPACE, name), name, active, 5) for name in ("Power BI Pro", "Teams Phone", "Intune", "Defender")),
    ]
    midnight = datetime(today.year, today.month, 1, tzinfo=UTC)
    return [
        Subscription(
            id=number,
            status=status,
            customer_id=box.CUSTOMER_ID,
            provider_instance_id=uuid5(_NAMESPACE, "provider"),
            reseller_id=box.RESELLER_ID if index % 2 else None,
            name=f"{name} for Example Ltd",
            start_date=midnight - timedelta(days=30 * index),
            end_date=midnight + timedelta(days=365 - 30 * index),
            quantity=quantity,
            term_duration=TermDuration.ONE_YEAR,
            billing_frequency=BillingFrequency.MONTHLY,
            segment=Segment.COMMERCIAL,
            auto_renew_enabled=True,
            offer={"id": str(uuid5(_NAMESPACE, "offer " + name) if index else box.OFFER_ID), "name": name},
        )
        for index, (number, name, status, quantity) in enumerate(rows)
    ]
