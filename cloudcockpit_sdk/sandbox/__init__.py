"""The CloudCockpit API and its token endpoint as a local server: one customer with a few subscriptions."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterable, Mapping
from datetime import date
from http import HTTPStatus
from typing import ClassVar, Final, Unpack
from uuid import UUID, uuid4

from aiohttp import web

from cloudcockpit_sdk.auth import DEFAULT_SCOPE, ClientCredentials, TokenArgument
from cloudcockpit_sdk.client import CloudCockpitClient
from cloudcockpit_sdk.models import Subscription
from cloudcockpit_sdk.sandbox.handlers import Handlers
from cloudcockpit_sdk.sandbox.seeding import Seeding
from sdk_core import codec
from sdk_core.backend import ClientOptions
from sdk_core.sandbox.contents import check_kind
from sdk_core.sandbox.faults import Fault
from sdk_core.sandbox.recent import Recent
from sdk_core.sandbox.requests import LedgerEntry, ReceivedRequest, RefusalError

__all__ = ["CloudCockpitSandbox", "Fault", "LedgerEntry", "ReceivedRequest", "RefusalError"]

_TOKEN_PATH: Final = "/oauth2/v2.0/token"  # noqa: S105  a path
_WITHOUT_BODY: Final = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
"""Statuses that are documented without a body."""


class CloudCockpitSandbox(Seeding, Handlers):
    """The CloudCockpit API on a loopback port: `async with CloudCockpitSandbox() as sandbox:`.

    The error types (`type`), and which change is possible in which status, are the sandbox's own: the API publishes
    neither. A subscription takes one asynchronous change at a time; a second one is refused until the first is applied.

    The token endpoint is not part of the API: its requests are counted in `token_requests`, and a fault reaches it only
    with `fail(..., operation="token")`.

    `add_subscription(...)` adds own data in a line, `fail(Fault.status(409))` lets requests fail,
    `clock.advance(days=30)` lets time pass, and `reset()` brings all back.

    Args:
        subscriptions: of CUSTOMER_ID, unless they have a `customer_id`; each with an `offer` of `id`, `name` and, if
            it is no License, `offerType`, like `{"name": "AzurePlan"}`; None: seven, in several states.
        entitlements: those of Azure plans, by the plan's id; None: one of AZURE_PLAN_ID.
        settle_after: how many reads of a subscription still show its old state after an asynchronous change.
        token_lifetime: seconds a token is valid.
        clock: returns seconds since the epoch: the sandbox's time, by which tokens expire, the audit log is written and
            late cancellations are refused; None: the machine's time.
        today: the date at the start, for which the defaults above are made; None: that of the clock (UTC).

    Raises:
        ValueError, TypeError: some of the data can't be served: it is not as documented, or belongs to no subscription.
    """

    TENANT: Final = "portal.example.com"
    CLIENT_ID: Final = "0f8fad5b-d9cb-469f-a165-70867728950e"
    CLIENT_SECRET: Final = "sandbox-secret"  # noqa: S105  the secret of a test server
    other_endpoints: ClassVar[frozenset[str]] = frozenset({"token"})

    def __init__(
        self,
        *,
        subscriptions: Iterable[Subscription] | None = None,
        entitlements: Mapping[UUID, Iterable[Subscription]] | None = None,
        settle_after: int = 2,
        token_lifetime: int = 3599,
        clock: Callable[[], float] | None = None,
        today: date | None = None,
    ) -> None:
        super().__init__(today=today, clock=clock)
        check_kind(Iterable, subscriptions=subscriptions)
        check_kind(Mapping, entitlements=entitlements)
        self.settle_after = settle_after
        self.token_lifetime = token_lifetime
        self.token_requests: int = 0
        self._tokens: dict[str, float] = {}
        self._audit = Recent(lambda _entry: 0)
        self._fill(subscriptions, entitlements)
        self.keep_state()

    @property
    def token_url(self) -> str:
        """URL of the token endpoint."""
        return self.url + _TOKEN_PATH

    @property
    def credentials(self) -> ClientCredentials:
        """An "Api Access" that the token endpoint accepts."""
        return ClientCredentials(self.CLIENT_ID, self.CLIENT_SECRET, token_url=self.token_url)

    def client(
        self, *, tenant: str = TENANT, token: TokenArgument | None = None, **options: Unpack[ClientOptions]
    ) -> CloudCockpitClient:
        """Return a client for this sandbox with its `credentials`; the options are those of CloudCockpitClient."""
        return CloudCockpitClient(tenant, self.credentials if token is None else token, base_url=self.url, **options)

    def issue_token(self) -> str:
        """Return a fresh JWT that the API accepts until it expires."""
        now = self.clock.timestamp()
        claims = {"aud": DEFAULT_SCOPE.rpartition("/")[0], "appid": self.CLIENT_ID, "iat": int(now)}
        token = _jwt({**claims, "nbf": int(now), "exp": int(now + self.token_lifetime), "uti": str(uuid4())})
        self._tokens = {known: end for known, end in self._tokens.items() if end > now}
        self._tokens[token] = now + self.token_lifetime
        return token

    def expire_tokens(self) -> None:
        """Refuse all tokens that were issued so far."""
        self._tokens.clear()

    def add_routes(self, router: web.UrlDispatcher) -> None:
        """Add the token endpoint."""
        router.add_post(_TOKEN_PATH, self._serve_token)

    def introduction(self) -> list[str]:
        """Return lines that tell how to call the API."""
        form = f"-d grant_type=client_credentials -d client_id={self.CLIENT_ID}"
        secret = f"-d client_secret={self.CLIENT_SECRET} -d scope={DEFAULT_SCOPE}"
        headers = f"-H 'Authorization: Bearer TOKEN' -H 'X-Tenant: {self.TENANT}'"
        return [
            f"token URL        {self.token_url}",
            f"client id        {self.CLIENT_ID}",
            f"client secret    {self.CLIENT_SECRET}",
            f"scope            {DEFAULT_SCOPE}",
            f"X-Tenant         {self.TENANT}",
            f"customer id      {self.CUSTOMER_ID}",
            f"subscription ids {self.ACTIVE_SUBSCRIPTION_ID} (active)",
            f"                 {self.SUSPENDED_SUBSCRIPTION_ID} (suspended)",
            f"a token          curl {form} {secret} {self.token_url}",
            f"then             curl {headers} {self.url}/v1/customers/{self.CUSTOMER_ID}/subscriptions",
        ]

    def authenticate(self, request: web.Request) -> None:
        """Refuse a request without a valid token or the tenant."""
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or self._tokens.get(token, 0.0) <= self.clock.timestamp():
            raise RefusalError(401, "Unauthorized", "The token is missing, wrong or expired.")
        if request.headers.get("X-Tenant") != self.TENANT:
            raise RefusalError(
                400, "InvalidTenant", "The header X-Tenant must name a domain of the tenant.", field="X-Tenant"
            )

    def error_body(self, refusal: RefusalError, request: web.Request) -> bytes:
        """Return the API's error body; it echoes the request's correlation id."""
        if refusal.status in _WITHOUT_BODY:
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

    async def _serve_token(self, request: web.Request) -> web.StreamResponse:
        self.token_requests += 1
        form = await request.post()

        def apply() -> web.Response:
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

        # Its body holds the secret.
        received = ReceivedRequest("token", request.method, request.path, {}, b"")
        return await self.answer(request, received, "token", apply=apply, error_body=_oauth_error)


def _oauth_error(refusal: RefusalError, request: web.Request) -> bytes:  # noqa: ARG001  unlike the API, it echoes nothing
    temporary = refusal.status == HTTPStatus.TOO_MANY_REQUESTS or refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR
    code = "temporarily_unavailable" if temporary else "invalid_request"
    return codec.dump({"error": code, "error_description": refusal.message})


def _jwt(claims: dict[str, object]) -> str:
    def encoded(part: bytes) -> str:
        return base64.urlsafe_b64encode(part).rstrip(b"=").decode()

    head = encoded(json.dumps({"typ": "JWT", "alg": "HS256"}).encode())
    signed = f"{head}.{encoded(json.dumps(claims).encode())}"
    return f"{signed}.{encoded(hmac.digest(b'sandbox', signed.encode(), hashlib.sha256))}"
