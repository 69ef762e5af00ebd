"""Webhooks of the membership platform: read, checked, told apart, answered in time.

    receiver = WebhookReceiver({"berlin": os.environ["BERLIN_WEBHOOK_KEY"]}, handle)
    WebhookApp(receiver)         # of `membership_sdk.webhooks.asgi`: for FastAPI, Starlette and other ASGI
    webhook_handler(receiver)    # of `membership_sdk.webhooks.aiohttp_web`

What the platform promises is little: a delivery may come twice, out of order, or not at all. (Its documentation says
both that nothing is repeated, and that a delivery is repeated up to three times after 10 minutes.) So an event is a
reason to ask the API, and asking now and then is no luxury.
"""

from membership_sdk.webhooks.events import (
    ContractEvent,
    Delivery,
    IdlePeriodEvent,
    ModuleContractEvent,
    UnreadableDeliveryError,
    WebhookEvent,
    WebhookEventType,
    read_delivery,
)
from membership_sdk.webhooks.receiver import WebhookReceiver
from membership_sdk.webhooks.store import DeliveryStore, RecentDeliveries

__all__ = [
    "ContractEvent",
    "Delivery",
    "DeliveryStore",
    "IdlePeriodEvent",
    "ModuleContractEvent",
    "RecentDeliveries",
    "UnreadableDeliveryError",
    "WebhookEvent",
    "WebhookEventType",
    "WebhookReceiver",
    "read_delivery",
]
