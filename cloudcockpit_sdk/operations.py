"""The CloudCockpit subscription API as a table."""

from typing import Any, Final
from uuid import UUID

from cloudcockpit_sdk.models import Accepted, Page, Subscription, SubscriptionListItem
from sdk_core.operation import Effect, Operation, Query

__all__ = [
    "GET_SUBSCRIPTION",
    "LIST_CUSTOMER_SUBSCRIPTIONS",
    "OPERATIONS",
    "REACTIVATE_SUBSCRIPTION",
    "SUSPEND_SUBSCRIPTION",
]

_SUBSCRIPTION: Final = "/v1/customers/{customer_id:uuid}/subscriptions/{subscription_id:uuid}"
_DOCS: Final = "https://developer.cloudcockpit.com/operation/operation-"

LIST_CUSTOMER_SUBSCRIPTIONS: Final = Operation(
    name="list_customer_subscriptions",
    method="GET",
    path="/v1/customers/{customer_id:uuid}/subscriptions",
    # Search, ascending flag and status filter exist too, but the documentation copies do not show their names.
    query={
        "page_number": Query("pageNumber", int, minimum=1),
        "page_size": Query("pageSize", int, minimum=1, maximum=2000),
        "sort_property_name": Query("sortPropertyName"),
        "reseller_id": Query("resellerId", UUID),
        "offer_id": Query("offerId", UUID),
    },
    returns=Page[SubscriptionListItem],
    effect=Effect.READ,
    source=_DOCS + "get-v1-customers-parameter-subscriptions",
)

GET_SUBSCRIPTION: Final = Operation(
    name="get_subscription",
    method="GET",
    path=_SUBSCRIPTION,
    returns=Subscription,
    effect=Effect.READ,
    source=_DOCS + "get-v1-customers-parameter-subscriptions-parameter",
)

SUSPEND_SUBSCRIPTION: Final = Operation(
    name="suspend_subscription",
    method="POST",
    path=_SUBSCRIPTION + "/suspend",
    returns=Accepted,
    effect=Effect.WRITE,
    source=_DOCS + "post-v1-customers-parameter-subscriptions-parameter-suspend",
)

REACTIVATE_SUBSCRIPTION: Final = Operation(
    name="reactivate_subscription",
    method="POST",
    path=_SUBSCRIPTION + "/reactivate",
    returns=Accepted,
    effect=Effect.WRITE,
    source=_DOCS + "post-v1-customers-parameter-subscriptions-parameter-reactivate",
)

OPERATIONS: Final[tuple[Operation[Any], ...]] = (
    LIST_CUSTOMER_SUBSCRIPTIONS,
    GET_SUBSCRIPTION,
    SUSPEND_SUBSCRIPTION,
    REACTIVATE_SUBSCRIPTION,
)
"""The operations of this SDK, in the order of the documentation."""
