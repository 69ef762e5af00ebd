"""The client of the CloudCockpit subscription API: a method is the signature users see, and one line."""

from typing import Final, Unpack
from uuid import UUID

from cloudcockpit_sdk import operations
from cloudcockpit_sdk.auth import TokenArgument, bearer
from cloudcockpit_sdk.errors import read_error
from cloudcockpit_sdk.models import Accepted, Page, Subscription, SubscriptionListItem
from cloudcockpit_sdk.pagination import Paginator
from sdk_core.arguments import base_url as checked_base_url
from sdk_core.arguments import header_text
from sdk_core.client import Backend, Client, ClientOptions, user_agent
from sdk_core.errors import configuring

__all__ = ["API_CLOUDCOCKPIT_COM", "DEFAULT_BASE_URL", "CloudCockpitClient"]

DEFAULT_BASE_URL: Final = "https://app-cloudcockpitapi-prod-01.azurewebsites.net"
"""The host of the "Reactivate a Subscription" page."""
API_CLOUDCOCKPIT_COM: Final = "https://api.cloudcockpit.com"
"""The host that the newer pages name under "Servers"."""


class CloudCockpitClient(Client):
    """The CloudCockpit subscription API for one tenant.

    Ids are UUIDs, or text that parses as one, and keyword-only. Every method raises TypeError or ValueError, before
    anything is sent, for an argument that can't be right; and an `SdkError` when the call failed, whose `outcome` says
    what is known of its effect.

    Args:
        tenant: `X-Tenant`: an existing domain of the tenant (newer pages: the domain the portal is opened with).
        token: the JWT as text; an async callable that returns one; `ClientCredentials`; or any of azure-identity's
            asynchronous credentials. All but a text are asked again before the token expires, and once after a 401.
        base_url: the API's host; two are documented, see DEFAULT_BASE_URL and API_CLOUDCOCKPIT_COM.
        **options: the options of `sdk_core.client.Client`: `session`, `retry`, `attempt_timeout`, `total_timeout`,
            `correlation_id` (sent as `X-Correlation-Id`, which finds the call in the portal's audit log; documented as
            a UUID, and a fresh one by default), `rate_limiter`, `connection`, `max_response_bytes`. The API documents
            no limits, so there is no limiter by default.

    Raises:
        ConfigurationError: a value can't be right; it is a ValueError too.
    """

    def __init__(
        self, tenant: str, token: TokenArgument, *, base_url: str = DEFAULT_BASE_URL, **options: Unpack[ClientOptions]
    ) -> None:
        with configuring():
            backend = Backend(
                base_url=checked_base_url("base_url", base_url),
                auth=bearer(token),
                read_error=read_error,
                headers={
                    "Accept": "application/json",
                    "User-Agent": user_agent("cloudcockpit-sdk"),
                    "X-Tenant": header_text("tenant", tenant),
                },
                correlation_header="X-Correlation-Id",
            )
            super().__init__(backend, **options)

    async def list_customer_subscriptions(
        self,
        *,
        customer_id: UUID | str,
        page_number: int | None = None,
        page_size: int | None = None,
        sort_property_name: str | None = None,
        reseller_id: UUID | str | None = None,
        offer_id: UUID | str | None = None,
    ) -> Page[SubscriptionListItem]:
        """Return one page of a customer's subscriptions.

        Args:
            customer_id: the customer.
            page_number: from 1; the API's default is 1.
            page_size: 1 to 2000; the API's default is 25.
            sort_property_name: `Offer.Name`, `Status`, `StartDate` or `EndDate`.
            reseller_id: only this reseller's subscriptions.
            offer_id: only subscriptions of this offer.

        Source: operation-get-v1-customers-parameter-subscriptions. Search, status filter and direction of sorting exist
        too, but the names of their parameters are not shown there.
        """
        return await self.call(
            operations.LIST_CUSTOMER_SUBSCRIPTIONS,
            customer_id=customer_id,
            page_number=page_number,
            page_size=page_size,
            sort_property_name=sort_property_name,
            reseller_id=reseller_id,
            offer_id=offer_id,
        )

    def iter_customer_subscriptions(
        self,
        *,
        customer_id: UUID | str,
        start_page: int = 1,
        page_size: int | None = None,
        sort_property_name: str | None = None,
        reseller_id: UUID | str | None = None,
        offer_id: UUID | str | None = None,
    ) -> Paginator[SubscriptionListItem]:
        """Return all of a customer's subscriptions as an async iterator that fetches page by page.

        Args: as of `list_customer_subscriptions`; `start_page` is where to begin, or to go on after an error.
        """

        async def fetch(page_number: int) -> Page[SubscriptionListItem]:
            return await self.list_customer_subscriptions(
                customer_id=customer_id,
                page_number=page_number,
                page_size=page_size,
                sort_property_name=sort_property_name,
                reseller_id=reseller_id,
                offer_id=offer_id,
            )

        return Paginator(fetch, start_page=start_page)

    async def get_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Subscription:
        """Return one subscription.

        Raises:
            NotFoundError: no such subscription of this customer (REJECTED).

        Source: operation-get-v1-customers-parameter-subscriptions-parameter.
        """
        return await self.call(operations.GET_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id)

    async def suspend_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Accepted:
        """Ask for the suspension of a subscription; it happens some time after the answer.

        Raises:
            BadRequestError: the subscription can't be suspended (REJECTED).
            NotFoundError: no such subscription of this customer (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-post-v1-customers-parameter-subscriptions-parameter-suspend. Its success status was not seen;
        any 2xx counts.
        """
        return await self.call(
            operations.SUSPEND_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id
        )

    async def reactivate_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Accepted:
        """Ask for the reactivation of a subscription; it happens some time after the answer (202).

        Raises:
            BadRequestError: the subscription can't be reactivated (REJECTED).
            NotFoundError: no such subscription of this customer (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: "Reactivate a Subscription", operation-post-v1-customers-parameter-subscriptions-parameter-reactivate.
        """
        return await self.call(
            operations.REACTIVATE_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id
        )
