"""The operations of the CloudCockpit subscription API; S1 to S19 number them in the order of the documentation."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

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
)
from sdk_core.operation import Effect, Operation
from sdk_core.query import Query

__all__ = [
    "CANCEL_SUBSCRIPTION",
    "CHANGE_ASSOCIATED_RESELLER",
    "CHANGE_MONTHLY_BUDGET",
    "CHANGE_PO_NUMBER",
    "CHANGE_PRICE_MARGIN",
    "GET_CUSTOM_TERM_END_DATES",
    "GET_MIGRATION_STATUS",
    "GET_SUBSCRIPTION",
    "GRANT_OWNER_ACCESS",
    "LIST_AUDIT_LOGS",
    "LIST_AZURE_ENTITLEMENTS",
    "LIST_CUSTOMER_SUBSCRIPTIONS",
    "LIST_ELIGIBLE_FOR_UPGRADE",
    "LIST_ELIGIBLE_TRANSITIONS",
    "LIST_SUBSCRIPTIONS",
    "OPERATIONS",
    "REACTIVATE_SUBSCRIPTION",
    "START_MIGRATION",
    "SUSPEND_SUBSCRIPTION",
    "UPDATE_SUBSCRIPTION",
    "UPGRADE_SUBSCRIPTION",
]

_SUBSCRIPTIONS: Final = "/v1/customers/{customer_id:uuid}/subscriptions"
_SUBSCRIPTION: Final = _SUBSCRIPTIONS + "/{subscription_id:uuid}"
_DOCS: Final = "https://developer.cloudcockpit.com/operation/operation-"
# The documentation has a view for each audience. An operation's source is a view that has its page.
_RESELLER_DOCS: Final = "https://developer.cloudcockpit.com/reseller/operation/operation-"
_CUSTOMER_DOCS: Final = "https://developer.cloudcockpit.com/customer/operation/operation-"
_PAGE_OF_SUBSCRIPTION: Final = "-v1-customers-parameter-subscriptions-parameter"

# A search, a sort direction and (S1) a status filter exist too, but the documentation does not show their names.
_PAGING: Final = {
    "page_number": Query("pageNumber", int, minimum=1),
    "page_size": Query("pageSize", int, minimum=1, maximum=2000),
    "sort_property_name": Query("sortPropertyName"),
}

LIST_CUSTOMER_SUBSCRIPTIONS: Final = Operation(
    name="list_customer_subscriptions",
    method="GET",
    path=_SUBSCRIPTIONS,
    query={**_PAGING, "reseller_id": Query("resellerId", UUID), "offer_id": Query("offerId", UUID)},
    returns=Page[SubscriptionListItem],
    effect=Effect.READ,
    source=_DOCS + "get-v1-customers-parameter-subscriptions",
)

LIST_SUBSCRIPTIONS: Final = Operation(
    name="list_subscriptions",
    method="GET",
    path="/v1/subscriptions",
    query=_PAGING,
    returns=Page[SubscriptionListItem],
    effect=Effect.READ,
    roles=("csp",),
    source=_DOCS + "get-v1-subscriptions",
)

GET_SUBSCRIPTION: Final = Operation(
    name="get_subscription",
    method="GET",
    path=_SUBSCRIPTION,
    returns=Subscription,
    effect=Effect.READ,
    source=_DOCS + "get" + _PAGE_OF_SUBSCRIPTION,
)

UPDATE_SUBSCRIPTION: Final = Operation(
    name="update_subscription",
    method="PATCH",
    path=_SUBSCRIPTION,
    body=dict,
    returns=Accepted,
    # It is asynchronous and may place an order, so that repeating it is not safe.
    effect=Effect.WRITE,
    source=_DOCS + "patch" + _PAGE_OF_SUBSCRIPTION,
)

CANCEL_SUBSCRIPTION: Final = Operation(
    name="cancel_subscription",
    method="DELETE",
    path=_SUBSCRIPTION,
    returns=Accepted,
    effect=Effect.WRITE,
    source=_CUSTOMER_DOCS + "delete" + _PAGE_OF_SUBSCRIPTION,
)

SUSPEND_SUBSCRIPTION: Final = Operation(
    name="suspend_subscription",
    method="POST",
    path=_SUBSCRIPTION + "/suspend",
    returns=Accepted,
    effect=Effect.WRITE,
    source=_RESELLER_DOCS + "post" + _PAGE_OF_SUBSCRIPTION + "-suspend",
)

REACTIVATE_SUBSCRIPTION: Final = Operation(
    name="reactivate_subscription",
    method="POST",
    path=_SUBSCRIPTION + "/reactivate",
    returns=Accepted,
    effect=Effect.WRITE,
    source=_RESELLER_DOCS + "post" + _PAGE_OF_SUBSCRIPTION + "-reactivate",
)

CHANGE_ASSOCIATED_RESELLER: Final = Operation(
    name="change_associated_reseller",
    method="PATCH",
    path=_SUBSCRIPTION + "/associated-reseller",
    body=UUID,
    returns=bool,
    effect=Effect.IDEMPOTENT,
    roles=("csp",),
    source=_DOCS + "patch" + _PAGE_OF_SUBSCRIPTION + "-associated-reseller",
)

CHANGE_PRICE_MARGIN: Final = Operation(
    name="change_price_margin",
    method="PATCH",
    path=_SUBSCRIPTION + "/price-margin",
    body=dict,
    returns=Done,
    effect=Effect.IDEMPOTENT,
    roles=("csp", "reseller"),
    source=_DOCS + "patch" + _PAGE_OF_SUBSCRIPTION + "-price-margin",
)

CHANGE_PO_NUMBER: Final = Operation(
    name="change_po_number",
    method="PATCH",
    path=_SUBSCRIPTION + "/po-number",
    body=str,
    returns=Done,
    effect=Effect.IDEMPOTENT,
    roles=("csp", "reseller"),
    source="https://developer.cloudcockpit.works/reseller/operation/operation-patch"
    + _PAGE_OF_SUBSCRIPTION
    + "-po-number",
)

CHANGE_MONTHLY_BUDGET: Final = Operation(
    name="change_monthly_budget",
    method="PATCH",
    path=_SUBSCRIPTION + "/monthly-budget",
    body=MonthlyBudget,
    returns=Done,
    effect=Effect.IDEMPOTENT,
    roles=("csp", "reseller"),
    source=_DOCS + "patch" + _PAGE_OF_SUBSCRIPTION + "-monthly-budget",
)

LIST_ELIGIBLE_TRANSITIONS: Final = Operation(
    name="list_eligible_transitions",
    method="GET",
    path=_SUBSCRIPTION + "/eligible-transitions",
    returns=list[Transition],
    effect=Effect.READ,
    source=_DOCS + "get" + _PAGE_OF_SUBSCRIPTION + "-eligible-transitions",
)

UPGRADE_SUBSCRIPTION: Final = Operation(
    name="upgrade_subscription",
    method="POST",
    path=_SUBSCRIPTION + "/upgrade",
    body=Transition,
    returns=Accepted,
    effect=Effect.WRITE,
    source=_DOCS + "post" + _PAGE_OF_SUBSCRIPTION + "-upgrade",
)

GET_MIGRATION_STATUS: Final = Operation(
    name="get_migration_status",
    method="GET",
    path=_SUBSCRIPTION + "/migration",
    returns=MigrationStatus,
    effect=Effect.READ,
    source=_DOCS + "get" + _PAGE_OF_SUBSCRIPTION + "-migration",
)

START_MIGRATION: Final = Operation(
    name="start_migration",
    method="POST",
    path=_SUBSCRIPTION + "/migration",
    body=MigrationRequest,
    returns=Accepted,
    effect=Effect.WRITE,
    source=_DOCS + "post" + _PAGE_OF_SUBSCRIPTION + "-migration",
)

LIST_AZURE_ENTITLEMENTS: Final = Operation(
    name="list_azure_entitlements",
    method="GET",
    path=_SUBSCRIPTION + "/azure-entitlements",
    query={"reseller_id": Query("resellerId", UUID)},
    returns=list[SubscriptionListItem],
    effect=Effect.READ,
    source=_DOCS + "get" + _PAGE_OF_SUBSCRIPTION + "-azure-entitlements",
)

LIST_ELIGIBLE_FOR_UPGRADE: Final = Operation(
    name="list_eligible_for_upgrade",
    method="GET",
    path=_SUBSCRIPTION + "/eligible-for-upgrade",
    returns=list[SubscriptionListItem],
    # Whether it answers with a list or with one object is not known: both are accepted.
    lone_item=True,
    effect=Effect.READ,
    source=_CUSTOMER_DOCS + "get" + _PAGE_OF_SUBSCRIPTION + "-eligible-for-upgrade",
)

GET_CUSTOM_TERM_END_DATES: Final = Operation(
    name="get_custom_term_end_dates",
    method="GET",
    path=_SUBSCRIPTIONS + "/custom-term-end-dates",
    open_query=True,
    returns=object,
    effect=Effect.READ,
    source=_DOCS + "get-v1-customers-parameter-subscriptions-custom-term-end-dates",
)

GRANT_OWNER_ACCESS: Final = Operation(
    name="grant_owner_access",
    method="PUT",
    path=_SUBSCRIPTION + "/grant-owner-access/{user_email:str}",
    returns=Done,
    # A PUT: whoever is an owner already is one after a second request, too.
    effect=Effect.IDEMPOTENT,
    roles=("csp", "reseller"),
    source=_DOCS + "put" + _PAGE_OF_SUBSCRIPTION + "-grant-owner-access-parameter",
)

LIST_AUDIT_LOGS: Final = Operation(
    name="list_audit_logs",
    method="GET",
    path="/v1/AuditLogs",
    query={
        "page_number": Query("PageNumber", int, minimum=1),
        "page_size": Query("PageSize", int, minimum=1, maximum=2000),
        "start_date": Query("StartDate", datetime),
        "end_date": Query("EndDate", datetime),
        "operations": Query("Operations"),
        "status": Query("Status"),
        "reseller": Query("Reseller"),
        "customer": Query("Customer"),
        "reseller_id": Query("resellerId", UUID),
    },
    returns=Page[Any],
    effect=Effect.READ,
    roles=("csp", "reseller"),
    source=_DOCS + "get-v1-auditlogs",
)

OPERATIONS: Final[tuple[Operation[Any], ...]] = (
    LIST_CUSTOMER_SUBSCRIPTIONS,
    LIST_SUBSCRIPTIONS,
    GET_SUBSCRIPTION,
    UPDATE_SUBSCRIPTION,
    CANCEL_SUBSCRIPTION,
    SUSPEND_SUBSCRIPTION,
    REACTIVATE_SUBSCRIPTION,
    CHANGE_ASSOCIATED_RESELLER,
    CHANGE_PRICE_MARGIN,
    CHANGE_PO_NUMBER,
    CHANGE_MONTHLY_BUDGET,
    LIST_ELIGIBLE_TRANSITIONS,
    UPGRADE_SUBSCRIPTION,
    GET_MIGRATION_STATUS,
    START_MIGRATION,
    LIST_AZURE_ENTITLEMENTS,
    LIST_ELIGIBLE_FOR_UPGRADE,
    GET_CUSTOM_TERM_END_DATES,
    GRANT_OWNER_ACCESS,
    LIST_AUDIT_LOGS,
)
"""The operations of this SDK, in the order of the documentation: S1 to S19, and the audit log."""
