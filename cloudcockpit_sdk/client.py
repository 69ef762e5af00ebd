"""The client of the CloudCockpit subscription API: one method per operation, which builds the request's values."""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, TypeVar, Unpack, cast
from uuid import UUID

from cloudcockpit_sdk import operations
from cloudcockpit_sdk.auth import TokenArgument, bearer
from cloudcockpit_sdk.errors import read_error
from cloudcockpit_sdk.models import (
    Accepted,
    Done,
    MigrationRequest,
    MigrationStatus,
    MonthlyBudget,
    Page,
    Subscription,
    SubscriptionListItem,
    Transition,
    whole_page,
)
from cloudcockpit_sdk.pagination import Paginator
from sdk_core.arguments import base_url as checked_base_url
from sdk_core.arguments import header_text, instance, int32, mapping, text, uuid_id
from sdk_core.backend import Backend, ClientOptions, configuring, user_agent
from sdk_core.call import Reply
from sdk_core.client import Client
from sdk_core.operation import Operation

__all__ = ["API_CLOUDCOCKPIT_COM", "DEFAULT_BASE_URL", "CloudCockpitClient"]

T = TypeVar("T")

DEFAULT_BASE_URL: Final = "https://app-cloudcockpitapi-prod-01.azurewebsites.net"
"""The host of the "Reactivate a Subscription" page."""
API_CLOUDCOCKPIT_COM: Final = "https://api.cloudcockpit.com"
"""The host that the newer pages name under "Servers"."""
_NO_DOMAIN: Final = re.compile("[/:@ ]")
"""No domain has one of these, and each URL or address has."""
_NAME_MAX: Final = 255


class CloudCockpitClient(Client):
    """The CloudCockpit subscription API for one tenant.

    Ids are UUIDs, or text that parses as one, and keyword-only. Every method raises TypeError or ValueError for an
    invalid argument, before anything is sent; and an `SdkError` when the call failed, whose `outcome` says what is
    known of its effect.

    Args:
        tenant: `X-Tenant`: an existing domain of the tenant (newer pages: the domain the portal is opened with).
        token: the JWT as text; an async callable that returns one; `ClientCredentials`; or any of azure-identity's
            asynchronous credentials. All but text are asked for a new token before the last one expires, and once after
            a 401.
        base_url: the API's host; two are documented, see DEFAULT_BASE_URL and API_CLOUDCOCKPIT_COM.
        **options: the options of `sdk_core.client.Client`: `session`, `retry`, `attempt_timeout`, `total_timeout`,
            `correlation_id` (sent as `X-Correlation-Id`, by which the portal's audit log lists the call; documented as
            a UUID, and a new one by default), `rate_limiter`, `telemetry`, `connection`, `max_response_bytes`,
            `skip_unreadable_items`, `on_unexpected`. The
            API documents no limits, so there is no limiter by default.

    Raises:
        ConfigurationError: a value is invalid; it is a ValueError too.
    """

    def __init__(
        self, tenant: str, token: TokenArgument, *, base_url: str = DEFAULT_BASE_URL, **options: Unpack[ClientOptions]
    ) -> None:
        with configuring():
            domain = _domain(tenant)
            backend = Backend(
                base_url=checked_base_url("base_url", base_url),
                auth=bearer(token),
                read_error=read_error,
                headers={
                    "Accept": "application/json",
                    "User-Agent": user_agent("cloudcockpit-sdk"),
                    "X-Tenant": domain,
                },
                account=domain.lower(),
                correlation_header="X-Correlation-Id",
                unwrap=whole_page,
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

        Args: as of `list_customer_subscriptions`; `start_page` is the first page to fetch, to go on after an error.
        """
        return self._paginate(
            operations.LIST_CUSTOMER_SUBSCRIPTIONS,
            start_page,
            customer_id=customer_id,
            page_size=page_size,
            sort_property_name=sort_property_name,
            reseller_id=reseller_id,
            offer_id=offer_id,
        )

    async def list_subscriptions(
        self,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
        sort_property_name: str | None = None,
    ) -> Page[SubscriptionListItem]:
        """Return one page of the subscriptions of all customers. For the role `csp`.

        Args: as of `list_customer_subscriptions`.

        Source: operation-get-v1-subscriptions.
        """
        return await self.call(
            operations.LIST_SUBSCRIPTIONS,
            page_number=page_number,
            page_size=page_size,
            sort_property_name=sort_property_name,
        )

    def iter_subscriptions(
        self, *, start_page: int = 1, page_size: int | None = None, sort_property_name: str | None = None
    ) -> Paginator[SubscriptionListItem]:
        """Return the subscriptions of all customers as an async iterator that fetches page by page."""
        return self._paginate(
            operations.LIST_SUBSCRIPTIONS, start_page, page_size=page_size, sort_property_name=sort_property_name
        )

    def _paginate(self, operation: Operation[Page[T]], start_page: int, /, **arguments: object) -> Paginator[T]:
        async def fetch(page_number: int) -> Reply[Page[T]]:
            return await self.call_with_reply(operation, page_number=page_number, **arguments)

        return Paginator(operation, fetch, start_page=start_page)

    async def get_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Subscription:
        """Return one subscription.

        Raises:
            NotFoundError: no such subscription of this customer (REJECTED).

        Source: operation-get-v1-customers-parameter-subscriptions-parameter.
        """
        return await self.call(operations.GET_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id)

    async def update_subscription(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, changes: Mapping[str, Any]
    ) -> Accepted:
        """Ask for a change of name, quantity, next billing frequency or renewal; it takes effect after the answer.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            changes: the JSON to send, as a mapping: `name`, `quantity`, `nextBillingFrequency`, `autoRenewSettings` are
                documented, the first three as required. How enumerations are written in requests is not documented
                (answers write `{"name": "Monthly"}`), so the mapping is sent as it is; `name` (up to 255 characters, or
                None) and `quantity`, whose form is documented, are checked.

        Raises:
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-patch-v1-customers-parameter-subscriptions-parameter. Its page shows no success status; any
        2xx is accepted.
        """
        return await self.call(
            operations.UPDATE_SUBSCRIPTION,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=_checked_changes(changes),
        )

    async def cancel_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Accepted:
        """Ask for the cancellation of a subscription; it takes effect after the answer.

        Raises:
            ConflictError: the subscription can't be canceled now (REJECTED, not retried); `CancelConflict.of(error)`
                is the subscription as the portal has it.
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-delete-v1-customers-parameter-subscriptions-parameter.
        """
        return await self.call(operations.CANCEL_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id)

    async def suspend_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Accepted:
        """Ask for the suspension of a subscription; it takes effect after the answer.

        Raises:
            BadRequestError: the subscription can't be suspended (REJECTED).
            NotFoundError: no such subscription of this customer (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-post-v1-customers-parameter-subscriptions-parameter-suspend. Its page shows no
        success status; any 2xx is accepted.
        """
        return await self.call(
            operations.SUSPEND_SUBSCRIPTION, customer_id=customer_id, subscription_id=subscription_id
        )

    async def reactivate_subscription(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> Accepted:
        """Ask for the reactivation of a subscription; it takes effect after the answer (202).

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

    async def change_associated_reseller(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, reseller_id: UUID | str
    ) -> bool:
        """Give the subscription to another reseller. For the role `csp`.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            reseller_id: the reseller who gets it.

        Returns:
            Whether the support contact was updated too. False is no failure: the reseller was changed.

        Source: operation-patch-v1-customers-parameter-subscriptions-parameter-associated-reseller.
        """
        return await self.call(
            operations.CHANGE_ASSOCIATED_RESELLER,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=uuid_id("reseller_id", reseller_id),
        )

    async def change_price_margin(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, margin: Mapping[str, Any]
    ) -> Done:
        """Change the price margin. For the roles `csp` and `reseller`.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            margin: the JSON to send, as a mapping. `marginRule` is documented as required; how the rule and the number
                are written is not shown, so the mapping is sent as it is.

        Source: operation-patch-v1-customers-parameter-subscriptions-parameter-price-margin.
        """
        return await self.call(
            operations.CHANGE_PRICE_MARGIN,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=mapping("margin", margin),
        )

    async def change_po_number(self, *, customer_id: UUID | str, subscription_id: UUID | str, po_number: str) -> Done:
        """Change the purchase order number. For the roles `csp` and `reseller`.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            po_number: 1 to 255 characters. How a number is taken away again is not documented, and not possible here.

        Source: operation-patch-v1-customers-parameter-subscriptions-parameter-po-number.
        """
        return await self.call(
            operations.CHANGE_PO_NUMBER,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=text("po_number", po_number, maximum=255),
        )

    async def change_monthly_budget(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, monthly_budget: Decimal | None
    ) -> Done:
        """Change the monthly budget of an Azure entitlement. For the roles `csp` and `reseller`.

        Args:
            customer_id: the customer.
            subscription_id: the entitlement's subscription.
            monthly_budget: None: no budget.

        Source: operation-patch-v1-customers-parameter-subscriptions-parameter-monthly-budget.
        """
        return await self.call(
            operations.CHANGE_MONTHLY_BUDGET,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=MonthlyBudget(monthly_budget=monthly_budget),
        )

    async def list_eligible_transitions(
        self, *, customer_id: UUID | str, subscription_id: UUID | str
    ) -> list[Transition]:
        """Return what the subscription can be upgraded to.

        Source: operation-get-v1-customers-parameter-subscriptions-parameter-eligible-transitions.
        """
        return await self.call(
            operations.LIST_ELIGIBLE_TRANSITIONS, customer_id=customer_id, subscription_id=subscription_id
        )

    async def upgrade_subscription(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, transition: Transition
    ) -> Accepted:
        """Ask for an upgrade; it takes effect after the answer.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            transition: one of `list_eligible_transitions`; it is sent back as it came, undocumented fields included.
                Fields that `attrs.evolve` changes are checked there.

        Raises:
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-post-v1-customers-parameter-subscriptions-parameter-upgrade.
        """
        return await self.call(
            operations.UPGRADE_SUBSCRIPTION,
            customer_id=customer_id,
            subscription_id=subscription_id,
            body=instance("transition", transition, Transition),
        )

    async def get_migration_status(self, *, customer_id: UUID | str, subscription_id: UUID | str) -> MigrationStatus:
        """Return how far the migration of a legacy subscription is.

        Source: operation-get-v1-customers-parameter-subscriptions-parameter-migration.
        """
        return await self.call(
            operations.GET_MIGRATION_STATUS, customer_id=customer_id, subscription_id=subscription_id
        )

    async def start_migration(
        self,
        *,
        customer_id: UUID | str,
        subscription_id: UUID | str,
        purchase_full_term: bool,
        quantity: int,
        term_duration: str | None = None,
        billing_frequency: str | None = None,
    ) -> Accepted:
        """Ask for the migration of a legacy subscription; poll `get_migration_status`.

        Args:
            customer_id: the customer.
            subscription_id: the subscription.
            purchase_full_term: buy the whole term, not the rest of it.
            quantity: licenses.
            term_duration: plain text, like `OneYear`.
            billing_frequency: plain text, like `Monthly`.

        Raises:
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the subscription before
                asking again; this call is not repeated for you.

        Source: operation-post-v1-customers-parameter-subscriptions-parameter-migration.
        """
        body = MigrationRequest(
            purchase_full_term=purchase_full_term,
            quantity=quantity,
            term_duration=term_duration,
            billing_frequency=billing_frequency,
        )
        return await self.call(
            operations.START_MIGRATION, customer_id=customer_id, subscription_id=subscription_id, body=body
        )

    async def list_azure_entitlements(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, reseller_id: UUID | str | None = None
    ) -> list[SubscriptionListItem]:
        """Return the entitlements of an Azure plan.

        Args:
            customer_id: the customer.
            subscription_id: the Azure plan's subscription.
            reseller_id: only this reseller's.

        Source: operation-get-v1-customers-parameter-subscriptions-parameter-azure-entitlements.
        """
        return await self.call(
            operations.LIST_AZURE_ENTITLEMENTS,
            customer_id=customer_id,
            subscription_id=subscription_id,
            reseller_id=reseller_id,
        )

    async def list_eligible_for_upgrade(
        self, *, customer_id: UUID | str, subscription_id: UUID | str
    ) -> list[SubscriptionListItem]:
        """Return the subscriptions eligible for an upgrade; the page has no description.

        Source: operation-get-v1-customers-parameter-subscriptions-parameter-eligible-for-upgrade. Whether it answers
        with a list or with one object is not known; both are accepted.
        """
        return await self.call(
            operations.LIST_ELIGIBLE_FOR_UPGRADE, customer_id=customer_id, subscription_id=subscription_id
        )

    async def get_custom_term_end_dates(
        self, *, customer_id: UUID | str, query: Mapping[str, str] | None = None
    ) -> object:
        """Return the end dates to which a customer's subscriptions can be aligned, as raw JSON of unknown shape.

        Args:
            customer_id: the customer.
            query: query parameters by the names that the API uses; the page says that there are some (a term duration),
                but not their names.

        Source: operation-get-v1-customers-parameter-subscriptions-custom-term-end-dates.
        """
        return await self.call(operations.GET_CUSTOM_TERM_END_DATES, customer_id=customer_id, query=query)

    async def grant_owner_access(
        self, *, customer_id: UUID | str, subscription_id: UUID | str, user_email: str
    ) -> Done:
        """Make a user an owner of an Azure subscription. For the roles `csp` and `reseller`.

        That it has happened when the answer comes, and that doing it twice is the same as once, is not documented: both
        are read out of the method (PUT) and of "No Content". No operation that takes the access back is known.

        Args:
            customer_id: the customer.
            subscription_id: the Azure subscription.
            user_email: the user's e-mail address, as it is; it is sent in the path.

        Source: operation-put-v1-customers-parameter-subscriptions-parameter-grant-owner-access-parameter.
        """
        return await self.call(
            operations.GRANT_OWNER_ACCESS,
            customer_id=customer_id,
            subscription_id=subscription_id,
            user_email=user_email,
        )

    async def list_audit_logs(
        self,
        *,
        page_number: int | None = None,
        page_size: int | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        operation_names: Iterable[str] = (),
        status: str | None = None,
        reseller: str | None = None,
        customer: str | None = None,
        reseller_id: UUID | str | None = None,
    ) -> Page[Any]:
        """Return one page of the audit log, newest first: the documented way to follow asynchronous work.

        The items are raw JSON: their fields are not known. For the roles `csp` and `reseller`.

        Args:
            page_number: from 1.
            page_size: 1 to 2000; the API's default is 25.
            start_date: with a time zone; the API's default is a month ago.
            end_date: with a time zone; the API's default is now.
            operation_names: like `CreateOrder`.
            status: `Processing`, `Succeded` (spelled so) or `Failed`.
            reseller: part of a reseller's name.
            customer: part of a customer's name.
            reseller_id: only this reseller's entries.

        Source: operation-get-v1-auditlogs. No filter by correlation id is documented.
        """
        return await self.call(
            operations.LIST_AUDIT_LOGS,
            page_number=page_number,
            page_size=page_size,
            start_date=start_date,
            end_date=end_date,
            operations=_joined(operation_names),
            status=status,
            reseller=reseller,
            customer=customer,
            reseller_id=reseller_id,
        )

    def iter_audit_logs(
        self,
        *,
        start_page: int = 1,
        page_size: int | None = None,
        start_date: datetime | None = None,
        end_date: datetime | None = None,
        operation_names: Iterable[str] = (),
        status: str | None = None,
        reseller: str | None = None,
        customer: str | None = None,
        reseller_id: UUID | str | None = None,
    ) -> Paginator[Any]:
        """Return the audit log as an async iterator that fetches page by page; see `list_audit_logs`."""
        return self._paginate(
            operations.LIST_AUDIT_LOGS,
            start_page,
            page_size=page_size,
            start_date=start_date,
            end_date=end_date,
            operations=_joined(operation_names),
            status=status,
            reseller=reseller,
            customer=customer,
            reseller_id=reseller_id,
        )


def _domain(tenant: str) -> str:
    """Return the tenant's domain; ValueError if it can be none, like the URL that the portal is opened with."""
    found = header_text("tenant", tenant)
    if _NO_DOMAIN.search(found):
        raise ValueError("tenant must be a domain, like portal.example.com: no URL, and without spaces")
    return found


def _checked_changes(changes: object) -> dict[str, Any]:
    """Return the JSON of an update, if what is documented of it is as documented."""
    body = mapping("changes", changes)
    if "quantity" in body:
        int32("changes['quantity']", body["quantity"])
    if body.get("name") is not None and len(instance("changes['name']", body["name"], str)) > _NAME_MAX:
        raise ValueError(f"changes['name'] must be at most {_NAME_MAX} characters long")
    return body


def _joined(operation_names: object) -> str | None:
    """Return the names in one text, separated by `|`; None if there are none."""
    if isinstance(operation_names, str) or not isinstance(operation_names, Iterable):
        raise TypeError(f"operation_names must be several names, not one {type(operation_names).__name__}")
    given = cast("Iterable[object]", operation_names)
    names = [text("operation_names", name, maximum=255) for name in given]
    if any("|" in name for name in names):
        raise ValueError("operation_names must not hold '|': it is what separates them")
    return "|".join(names) or None
