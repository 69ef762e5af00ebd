"""Operations of your own: an endpoint that the SDK does not list, with its retries, outcomes and errors.

export MEMBERSHIP_BASE_URL=https://acme.open-api.magicline.com MEMBERSHIP_API_KEY=...
python own_operations.py
"""

import asyncio
import os
from datetime import date
from typing import Any

from attrs import field, frozen

from membership_sdk import Effect, MembershipClient, Operation
from membership_sdk.models import VoidResult


@frozen(kw_only=True)
class Term:
    """Of a contract, only what this program needs: other keys of the answer are ignored."""

    id: int
    ends: date = field(metadata={"json": "endDate"})


GET_TERMS = Operation(
    name="get_terms",
    method="GET",
    path="/v1/memberships/{customer_id:int}/self-service/contract-data",
    returns=list[Term],
    effect=Effect.READ,
)
# The path is all that this project has seen of it: so the answer stays raw JSON.
GET_UTILIZATION = Operation(
    name="get_utilization", method="GET", path="/v1/studios/utilization", returns=dict[str, Any], effect=Effect.READ
)
# Withdrawal of a contract (after a distance sale), as a third party's client sends it. No page of the vendor's that
# shows method, path or body has been seen, and no live answer: check it with your studio before you use it.
WITHDRAW_CONTRACT = Operation(
    name="withdraw_contract",
    method="POST",
    path="/v1/memberships/{customer_id:int}/self-service/contract-withdrawal/{contract_id:int}",
    body=dict,
    returns=VoidResult,
    effect=Effect.WRITE,
)


async def main() -> None:
    """Print when the contracts of a member end."""
    async with MembershipClient(os.environ["MEMBERSHIP_BASE_URL"], os.environ["MEMBERSHIP_API_KEY"]) as client:
        for term in await client.call(GET_TERMS, customer_id=1001):
            print(term.id, term.ends)


if __name__ == "__main__":
    asyncio.run(main())
