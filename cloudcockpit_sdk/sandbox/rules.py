"""What is refused, and why."""

from cloudcockpit_sdk.models import OfferType, Subscription, SubscriptionStatus
from cloudcockpit_sdk.sandbox.answers import UPGRADE, offer_type
from sdk_core.sandbox.requests import RefusalError

__all__ = ["has_transition", "invalid", "not_found"]


def not_found(what: str, status: int = 404) -> RefusalError:
    """Return the refusal for an id that is not there."""
    return RefusalError(status, "NotFound", f"There is no such {what}.")


def invalid(name: str, message: str) -> RefusalError:
    """Return the refusal for a value that can't be."""
    return RefusalError(400, "ValidationError", message, field=name)


def has_transition(subscription: Subscription) -> bool:
    """Return whether the subscription can be upgraded."""
    return (
        subscription.status == SubscriptionStatus.ACTIVE
        and offer_type(subscription) == OfferType.LICENSE
        and subscription.offer["id"] != UPGRADE["offerId"]
    )
