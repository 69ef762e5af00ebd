"""The first test of somebody who is new here: of an own application, with own data, a fault, and time that passes."""

from app import app, studio
from attrs import evolve
from fastapi.testclient import TestClient

from membership_sdk import MembershipClient
from membership_sdk.sandbox import Fault, MembershipSandbox


def test_a_member_leaves(membership_sandbox: MembershipSandbox, membership_client: MembershipClient) -> None:
    contract = membership_sandbox.contracts[1001][2002]
    membership_sandbox.contracts[7] = {70: evolve(contract, id=70)}
    membership_sandbox.fail(Fault.status(503, retry_after=20), operation="get_contract_data")
    app.dependency_overrides[studio] = lambda: membership_client
    answer = TestClient(app).post("/members/7/contracts/70/leave")
    assert answer.json()["status"] == "CANCELED"
    assert len(membership_sandbox.ledger) == 1
