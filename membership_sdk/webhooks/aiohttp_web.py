"""Webhooks as a handler of aiohttp.web."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from membership_sdk.webhooks.receiver import WebhookReceiver
from sdk_core.arguments import instance

__all__ = ["webhook_handler"]


def webhook_handler(receiver: WebhookReceiver) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a handler that takes deliveries.

    Add it for POST, `app.router.add_post("/webhooks", ...)`, and close the receiver in the application's `on_cleanup`.
    """
    instance("receiver", receiver, WebhookReceiver)

    async def handle(request: web.Request) -> web.Response:
        return web.Response(status=await receiver.receive(request.headers.get("x-api-key"), request.read))

    return handle
