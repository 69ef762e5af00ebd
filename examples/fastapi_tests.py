"""Tests of `fastapi_app.py`: what a browser is answered, and what really happened at the studio.

pip install pytest httpx2
python -m pytest fastapi_tests.py
"""

import sys
from collections.abc import Iterator
from importlib import import_module

import pytest
from fastapi.testclient import TestClient

from membership_sdk.sandbox import Fault, MembershipSandbox

CANCEL = "/members/1001/contracts/2002/cancelation?on=earliest&reason=Moving away"


@pytest.fixture
def browser(membership_sandbox: MembershipSandbox, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    """Import the app anew, so that its client is one of this test's sandbox."""
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", membership_sandbox.url)
    monkeypatch.setenv("MEMBERSHIP_API_KEY", membership_sandbox.API_KEY)
    monkeypatch.delitem(sys.modules, "fastapi_app", raising=False)
    with TestClient(import_module("fastapi_app").app) as browser:
        yield browser


def test_a_double_click_cancels_once(browser: TestClient, membership_sandbox: MembershipSandbox) -> None:
    """Both are told the same."""
    answers = [browser.post(CANCEL) for _ in range(2)]
    assert [answer.json()["cancelationStatus"] for answer in answers] == ["CANCELED", "CANCELED"]
    assert len(membership_sandbox.ledger) == 1


def test_a_lost_answer_cancels_once(browser: TestClient, membership_sandbox: MembershipSandbox) -> None:
    """The request takes effect, and its answer is lost: the route reads, and does not send it again."""
    membership_sandbox.fail(Fault.drop(after_applying=True), operation="create_contract_cancelation_amendment")
    assert browser.post(CANCEL).json()["cancelationStatus"] == "CANCELED"
    assert len(membership_sandbox.ledger) == 1


def test_an_api_that_is_overloaded_is_a_503(browser: TestClient, membership_sandbox: MembershipSandbox) -> None:
    """The API wants two minutes, the app has ten seconds: the browser is told when to come back."""
    membership_sandbox.fail(Fault.status(503, retry_after=120), operation="get_contract_data")
    answer = browser.get("/members/1001/contracts")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "120")
    assert answer.json()["outcome"] == "rejected"
