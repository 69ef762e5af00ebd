"""Schemathesis against both sandboxes: whatever is asked, the answer is one the documents of record allow."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from typing import Any

import pytest
import requests
import schemathesis
from fuzz import FACTOR
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.sandbox import Sandbox
from specs import SPECS, Spec

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = settings(
    max_examples=6 * FACTOR,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)
TODAY = date(2026, 1, 15)
KNOWN = {
    "customerId": "CUSTOMER_ID",
    "contractId": "CONTRACT_ID",
    "additionalModuleContractId": "MODULE_CONTRACT_ID",
    "idlePeriodId": "PAST_IDLE_PERIOD_ID",
    "subscriptionId": "ACTIVE_SUBSCRIPTION_ID",
    "withdraw-ordinary-contract-cancelation/contractId": "CANCELED_CONTRACT_ID",
    "reactivate/subscriptionId": "SUSPENDED_SUBSCRIPTION_ID",
    "monthly-budget/subscriptionId": "ENTITLEMENT_ID",
    "grant-owner-access/subscriptionId": "ENTITLEMENT_ID",
    "migration/subscriptionId": "LEGACY_SUBSCRIPTION_ID",
}
"""Where the sandboxes name the ids they have; some operations need another one."""
GIVEN = {"userEmail": "anna@example.com"}
"""What the sandboxes do not need to know."""
CANCELATION = {"cancelationDate": "2026-02-28", "cancelationReasonId": MembershipSandbox.REASON_ID}
PERIOD = {"startDate": "2026-02-01", "temporalUnit": "MONTH", "termValue": 1}
PURCHASE = {
    "additionalModuleId": MembershipSandbox.SOLARIUM_ID,
    "paymentFrequencyId": MembershipSandbox.PAYMENT_FREQUENCY_IDS[MembershipSandbox.SOLARIUM_ID],
    "bookTrialPeriod": True,
}
GOOD = {
    "ordinary-contract-cancelation": CANCELATION | {"contractId": MembershipSandbox.CONTRACT_ID},
    "ordinary-cancelation": CANCELATION,
    "idle-periods/validate": PERIOD,
    "idle-periods": {"data": PERIOD | {"reasonId": MembershipSandbox.IDLE_REASON_ID}},
    "preview": PERIOD | {"reasonId": MembershipSandbox.IDLE_REASON_ID},
    "additional-modules/validate": PURCHASE,
    "purchase": PURCHASE,
    "upgrade": {"quantity": 5, "providerOfferId": "CFQ7TTC0LFLX:0001"},
}
"""Bodies, by the end of the path, that the sandbox does not refuse."""
MODULE_CONTRACT = "/v1/memberships/{contractId}/self-service/additional-module-contracts/{additionalModuleContractId}"
NEED_A_PAST = {
    "PUT /v1/memberships/{contractId}/self-service/idle-periods/{idlePeriodId}",
    f"POST {MODULE_CONTRACT}/withdraw-cancelation",
}
"""Operations that a fresh sandbox refuses, whatever is asked."""
OPERATIONS = [
    pytest.param(spec, result.ok(), id=f"{spec} {result.ok().label}")
    for spec in SPECS
    for result in schemathesis.openapi.from_dict(spec.as_promised()).get_all_operations()
]
HTTPS_OWN = ("Connection", "Content-Length", "Expect", "Host", "Transfer-Encoding", "Upgrade")


@contextmanager
def served(sandbox: Sandbox) -> Iterator[None]:
    """Serve the sandbox from a loop and thread of its own: Schemathesis calls it in blocking ways."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result()
        try:
            yield
        finally:
            asyncio.run_coroutine_threadsafe(sandbox.__aexit__(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def credentials(sandbox: Sandbox) -> dict[str, str]:
    if isinstance(sandbox, CloudCockpitSandbox):
        return {"Authorization": f"Bearer {sandbox.issue_token()}", "X-Tenant": sandbox.TENANT}
    assert isinstance(sandbox, MembershipSandbox)
    return {"X-API-KEY": sandbox.API_KEY}


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_document_is_openapi(spec: Spec) -> None:
    """As it stands, and as the sandboxes are held to it."""
    schemathesis.openapi.from_dict(spec.document).validate()
    schemathesis.openapi.from_dict(spec.as_promised()).validate()


@pytest.mark.fuzz
@pytest.mark.parametrize(("spec", "operation"), OPERATIONS)
def test_sandbox_answers_as_documented(spec: Spec, operation: APIOperation) -> None:
    """No server error, no undocumented status, no answer of another shape: for good requests, bad ones, known ids."""
    sandbox, answered = spec.sandbox(today=TODAY), set()
    names = {parameter.name: parameter.name for parameter in operation.path_parameters}
    names |= {key.rpartition("/")[2]: key for key in KNOWN if f"/{key.partition('/')[0]}" in operation.path}
    known = {name: GIVEN.get(name) or getattr(sandbox, KNOWN[key]) for name, key in names.items()}
    bodies = [body for end, body in GOOD.items() if operation.body and operation.path.endswith(f"/{end}")]
    good = {"body": bodies[0]} if bodies else {}

    with served(sandbox), requests.Session() as session:

        def ask(case: Case) -> None:
            # Made-up headers are no matter of the API, and these are read by HTTP itself.
            for name in HTTPS_OWN:
                case.headers.pop(name, None)
            answer = case.call_and_validate(
                base_url=sandbox.url, session=session, headers=credentials(sandbox), checks=CHECKS, timeout=10
            )
            answered.add(answer.status_code)

        @FEW
        @given(data=st.data(), mode=st.sampled_from(GenerationMode), path=st.sampled_from([None, known]))
        def run(data: st.DataObject, mode: GenerationMode, path: dict[str, Any] | None) -> None:
            ask(data.draw(operation.as_strategy(mode, path_parameters=path and {**path})))

        @FEW
        @given(case=operation.as_strategy(path_parameters={**known}, **good))
        def run_well(case: Case) -> None:
            ask(case)

        run_well()
        run()
    assert bool(answered & {200, 202, 204}) == (operation.label not in NEED_A_PAST), answered
