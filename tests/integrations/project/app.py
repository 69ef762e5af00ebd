"""An application that somebody might have: members leave by themselves."""

import os
from datetime import date
from functools import cache
from typing import Annotated

from fastapi import Depends, FastAPI, HTTPException

from membership_sdk import MembershipClient, SdkError, workflows

app = FastAPI()


@cache
def studio() -> MembershipClient:  # pragma: no cover
    return MembershipClient(os.environ["STUDIO_URL"], os.environ["STUDIO_KEY"])


@app.post("/members/{member}/contracts/{contract}/leave")
async def leave(client: Annotated[MembershipClient, Depends(studio)], member: int, contract: int) -> dict[str, str]:
    try:
        settled = await workflows.cancel_contract(
            client, customer_id=member, contract_id=contract, on="latest", reason="Moving away"
        )
    except SdkError as error:
        raise HTTPException(503, error.outcome.value) from error
    assert isinstance(settled.state.cancelation_date, date)
    return {"until": settled.state.cancelation_date.isoformat(), "status": f"{settled.state.cancelation_status}"}
