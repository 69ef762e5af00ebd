"""The sandbox's rules: which values are refused, and what may be changed when; without state.

The API publishes neither. The status codes 400 and 409 are documented, the error types are the sandbox's choice.
"""

from collections.abc import Callable, Collection
from datetime import date, datetime
from http import HTTPStatus
from typing import Any, Final

from cloudcockpit_sdk.models import OfferType, PriceMargin, Subscription, SubscriptionStatus
from cloudcockpit_sdk.sandbox.answers import UPGRADE, conflict, offer_type
from sdk_core import codec
from sdk_core.sandbox.requests import RefusalError

__all__ = [
    "check_cancellation",
    "check_email",
    "check_po_number",
    "check_status",
    "check_update",
    "has_transition",
    "not_found",
    "read_margin",
    "sort_key",
]

_LONGEST_TEXT: Final = 255
_LARGEST_QUANTITY: Final = 2**31 - 1
_SORT_KEYS: Final[dict[str, Callable[[Subscription], Any]]] = {
    "Offer.Name": lambda subscription: subscription.offer["name"],
    "Status": lambda subscription: subscription.status,
    "StartDate": lambda subscription: _missing_first(subscription.start_date),
    "EndDate": lambda subscription: _missing_first(subscription.end_date),
}
"""The documented properties that lists can be sorted by."""


def not_found(what: str, status: int = HTTPStatus.NOT_FOUND) -> RefusalError:
    """Return the refusal of an id that does not exist."""
    return RefusalError(status, "NotFound", f"There is no such {what}.")


def sort_key(name: str) -> Callable[[Subscription], Any]:
    """Return the key function of a list that is sorted by the property `name`."""
    try:
        return _SORT_KEYS[name]
    except KeyError:
        raise _invalid("sortPropertyName", f"Sort by one of {', '.join(_SORT_KEYS)}.") from None


def _missing_first(moment: datetime | None) -> tuple[bool, datetime | None]:
    return moment is not None, moment


def check_update(body: dict[str, Any]) -> None:
    """Refuse an update without its required fields, or with an invalid name or quantity."""
    for name in ("name", "quantity", "nextBillingFrequency"):
        if name not in body:
            raise _invalid(name, "required, but missing")
    name, quantity = body["name"], body["quantity"]
    if name is not None and not (isinstance(name, str) and len(name) <= _LONGEST_TEXT):
        raise _invalid("name", f"expected a string of at most {_LONGEST_TEXT} characters, or null")
    if type(quantity) is not int or not 0 <= quantity <= _LARGEST_QUANTITY:
        raise _invalid("quantity", "expected a whole number")


def check_cancellation(subscription: Subscription, today: date) -> None:
    """Refuse a cancellation after the last day that the subscription allows it."""
    until = subscription.cancellation_allowed_until
    if until is not None and until.date() < today:
        raise RefusalError(409, "Conflict", "The time for cancellation has passed.", answer=conflict(subscription))


def check_status(subscription: Subscription, allowed: Collection[SubscriptionStatus]) -> None:
    """Refuse a change that the subscription's status does not allow."""
    if subscription.status not in allowed:
        raise RefusalError(400, "InvalidStatus", f"The subscription is {subscription.status}.")


def read_margin(body: dict[str, Any]) -> PriceMargin:
    """Return the margin; how requests write it is not documented, so it is read as answers write it."""
    try:
        margin = codec.structure(body, PriceMargin)
    except codec.ShapeError as error:
        raise _invalid("marginRule", error.problems[0]) from None
    if margin.margin_rule is None:
        raise _invalid("marginRule", "required, but missing")
    return margin


def check_po_number(po_number: str) -> None:
    """Refuse a purchase order number that is too long."""
    if len(po_number) > _LONGEST_TEXT:
        raise _invalid("", f"expected at most {_LONGEST_TEXT} characters")


def check_email(user_email: str) -> None:
    """Refuse what is no e-mail address."""
    name, at, host = user_email.rpartition("@")
    if not (name and at and host):
        raise _invalid("userEmail", "expected an e-mail address")


def has_transition(subscription: Subscription) -> bool:
    """Return whether the subscription can be upgraded."""
    return (
        subscription.status == SubscriptionStatus.ACTIVE
        and offer_type(subscription) == OfferType.LICENSE
        and subscription.offer["id"] != UPGRADE["offerId"]
    )


def _invalid(name: str, message: str) -> RefusalError:
    return RefusalError(400, "ValidationError", message, field=name)
