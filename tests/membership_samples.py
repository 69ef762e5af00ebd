"""Calls and requests to the Membership sandbox's sample data."""

from datetime import date
from typing import Any

from aiohttp import ClientSession

from membership_sdk import ContractData, IdleTemporalUnit, MembershipClient, RetryPolicy
from membership_sdk.sandbox import MembershipSandbox

TODAY = date(2026, 1, 15)
CONTRACT: dict[str, Any] = {"customer_id": MembershipSandbox.CUSTOMER_ID, "contract_id": MembershipSandbox.CONTRACT_ID}
MODULE: dict[str, Any] = {
    "contract_id": MembershipSandbox.CONTRACT_ID,
    "additional_module_contract_id": MembershipSandbox.MODULE_CONTRACT_ID,
}
OFFERED: dict[str, Any] = {"cancelation_date": date(2026, 2, 28), "cancelation_reason_id": MembershipSandbox.REASON_ID}
MARCH: dict[str, Any] = {
    "start_date": date(2026, 3, 1),
    "temporal_unit": IdleTemporalUnit.MONTH,
    "term_value": 2,
}
MARCH_AND_APRIL: dict[str, Any] = {**MARCH, "reason_id": MembershipSandbox.IDLE_REASON_ID}
SOLARIUM: dict[str, Any] = {
    "contract_id": MembershipSandbox.CONTRACT_ID,
    "additional_module_id": MembershipSandbox.SOLARIUM_ID,
    "payment_frequency_id": MembershipSandbox.PAYMENT_FREQUENCY_IDS[MembershipSandbox.SOLARIUM_ID],
    "book_trial_period": True,
}
KEY = {"X-API-KEY": MembershipSandbox.API_KEY}
CANCEL_PATH = f"/v1/memberships/{MembershipSandbox.CUSTOMER_ID}/self-service/ordinary-contract-cancelation"
ONCE = RetryPolicy.none()


async def read_contract(client: MembershipClient, contract_id: int = MembershipSandbox.CONTRACT_ID) -> ContractData:
    contracts = await client.get_contract_data(customer_id=MembershipSandbox.CUSTOMER_ID)
    return next(contract for contract in contracts if contract.id == contract_id)


async def send(
    sandbox: MembershipSandbox, method: str, path: str, *, headers: dict[str, str] = KEY, data: bytes | None = None
) -> tuple[int, Any]:
    async with (
        ClientSession() as session,
        session.request(method, sandbox.url + path, headers=headers, data=data) as response,
    ):
        return response.status, await response.json() if response.content_length else None
