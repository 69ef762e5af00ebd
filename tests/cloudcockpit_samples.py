"""Calls and requests to the CloudCockpit sandbox's sample data."""

from typing import Any
from uuid import UUID

from aiohttp import ClientSession

from cloudcockpit_sdk import CloudCockpitClient, SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox

CUSTOMER: dict[str, Any] = {"customer_id": CloudCockpitSandbox.CUSTOMER_ID}
ACTIVE: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID}
SUSPENDED: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID}
ENTITLEMENT: dict[str, Any] = {**CUSTOMER, "subscription_id": CloudCockpitSandbox.ENTITLEMENT_ID}
CHANGES: dict[str, Any] = {"name": "Ours", "quantity": 30, "nextBillingFrequency": {"name": "Annual"}}
MIGRATION: dict[str, Any] = {"purchase_full_term": True, "quantity": 7, "term_duration": "ThreeYears"}
SUBSCRIPTIONS_PATH = f"/v1/customers/{CloudCockpitSandbox.CUSTOMER_ID}/subscriptions"
ENVELOPE = {"statusCode", "type", "description", "correlationId", "errors"}


async def status_of(client: CloudCockpitClient, ids: dict[str, UUID]) -> SubscriptionStatus:
    return (await client.get_subscription(**ids)).status


async def send(
    sandbox: CloudCockpitSandbox, path: str, method: str = "GET", data: bytes | None = None, **headers: str
) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {sandbox.issue_token()}", "X-Tenant": sandbox.TENANT}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    async with (
        ClientSession() as session,
        session.request(method, sandbox.url + path, headers=sent, data=data) as response,
    ):
        return response.status, await response.json() if response.content_length else await response.read()
