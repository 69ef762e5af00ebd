"""A portal lists and suspends a customer's subscriptions, in aiohttp.web.

    export CLOUDCOCKPIT_BASE_URL=https://... CLOUDCOCKPIT_TENANT=portal.example.com
    export CLOUDCOCKPIT_CLIENT_ID=... CLOUDCOCKPIT_CLIENT_SECRET=... CLOUDCOCKPIT_TOKEN_URL=...
    python aiohttp_app.py

Who may see which customer's subscriptions is the app's own business, and left out here.
"""

import logging
import os
from collections.abc import AsyncIterator

from aiohttp import web

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient, deadline_scope, to_json
from cloudcockpit_sdk.workflows import suspend_and_wait
from sdk_core.integrations.aiohttp_web import correlation_middleware, handle_disconnects, problem_middleware

logging.basicConfig(level=logging.INFO)
client = CloudCockpitClient(
    os.environ["CLOUDCOCKPIT_TENANT"],
    ClientCredentials(
        os.environ["CLOUDCOCKPIT_CLIENT_ID"],
        os.environ["CLOUDCOCKPIT_CLIENT_SECRET"],
        token_url=os.environ["CLOUDCOCKPIT_TOKEN_URL"],
    ),
    base_url=os.environ["CLOUDCOCKPIT_BASE_URL"],
    total_timeout=10,
)


async def close_client(_app: web.Application) -> AsyncIterator[None]:
    """Close the client when the server stops."""
    async with client:
        yield


async def subscriptions(request: web.Request) -> web.Response:
    """Return all of a customer's subscriptions, however many pages they have."""
    with deadline_scope(20):
        found = client.iter_customer_subscriptions(customer_id=request.match_info["customer_id"])
        return web.Response(body=to_json([item async for item in found]), content_type="application/json")


async def suspend(request: web.Request) -> web.Response:
    """Suspend a subscription, and answer when it is; asked twice, it is suspended once."""
    ids = request.match_info
    settled = await suspend_and_wait(
        client, customer_id=ids["customer_id"], subscription_id=ids["subscription_id"], timeout=60
    )
    return web.Response(body=to_json(settled.state), content_type="application/json")


def make_app() -> web.Application:
    """Return the app."""
    app = web.Application(middlewares=[correlation_middleware, problem_middleware])
    handle_disconnects(app)
    app.cleanup_ctx.append(close_client)
    app.router.add_get("/customers/{customer_id}/subscriptions", subscriptions)
    app.router.add_post("/customers/{customer_id}/subscriptions/{subscription_id}/suspension", suspend)
    return app


if __name__ == "__main__":
    web.run_app(make_app(), host="127.0.0.1", port=int(os.environ.get("PORT", "8000")), handler_cancellation=True)
