"""Tests without an event loop of their own."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator

import pytest
from app import app, studio
from fastapi.testclient import TestClient

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import CancelationStatus, MembershipClient, RetryPolicy
from membership_sdk.sandbox import Fault, MembershipSandbox

CANCEL = "create_contract_cancelation_amendment"


@pytest.fixture
def browser(membership_client: MembershipClient) -> Iterator[TestClient]:
    app.dependency_overrides[studio] = lambda: membership_client
    with TestClient(app) as browser:
        yield browser


def test_a_member_leaves(browser: TestClient, membership_sandbox: MembershipSandbox) -> None:
    membership_sandbox.fail(Fault.drop(after_applying=True), operation=CANCEL)
    answer = browser.post("/members/1001/contracts/2002/leave")
    assert (answer.status_code, answer.json()["status"]) == (200, "CANCELED")
    assert [entry.operation for entry in membership_sandbox.ledger] == [CANCEL]


@pytest.mark.parametrize(("agrees", "status"), [(False, "CANCELED"), (True, "PENDING_VERIFICATION")])
def test_each_test_has_a_server_of_its_own(
    browser: TestClient, membership_sandbox: MembershipSandbox, agrees: bool, status: str
) -> None:
    membership_sandbox.verification = agrees
    assert [browser.post("/members/1001/contracts/2002/leave").json()["status"] for _ in range(2)] == [status] * 2
    assert len(membership_sandbox.ledger) == 1


def test_a_refusal_is_passed_on(browser: TestClient, membership_sandbox: MembershipSandbox) -> None:
    membership_sandbox.fail(Fault.status(403))
    answer = browser.post("/members/1001/contracts/2002/leave")
    assert (answer.status_code, answer.json()) == (503, {"detail": "rejected"})


def test_other_processes_reach_it(membership_sandbox: MembershipSandbox) -> None:
    path = "/v1/memberships/1001/self-service/contract-data"
    program = (
        "import sys, urllib.request as r; url, key = sys.argv[1:]\n"
        "print(r.urlopen(r.Request(url, headers={'X-API-KEY': key})).status)"
    )
    url, key = membership_sandbox.url + path, membership_sandbox.API_KEY
    assert subprocess.check_output([sys.executable, "-c", program, url, key], text=True) == "200\n"


def test_one_client_on_several_loops(
    cloudcockpit_client: CloudCockpitClient, cloudcockpit_sandbox: CloudCockpitSandbox
) -> None:
    cloudcockpit_sandbox.fail(Fault.status(503, retry_after=60), operation="list_subscriptions")
    pages = [asyncio.run(cloudcockpit_client.list_subscriptions()) for _ in range(3)]
    assert pages[0] == pages[2]


def test_own_clients_need_not_wait_either(membership_sandbox: MembershipSandbox, instant_retries: RetryPolicy) -> None:
    async def run() -> CancelationStatus | None:
        async with MembershipClient(
            membership_sandbox.url, membership_sandbox.API_KEY, retry=instant_retries
        ) as client:
            membership_sandbox.fail(Fault.status(429), Fault.status(503))
            before = instant_retries.clock()
            (_, canceled) = await client.get_contract_data(customer_id=1001)
            # A 429 that names no delay means a minute.
            assert 60 <= instant_retries.clock() - before < 70
            return canceled.cancelation_status

    assert asyncio.run(run()) == CancelationStatus.CANCELED
