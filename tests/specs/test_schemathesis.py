"""Schemathesis against both sandboxes: whatever is asked, the answer is one the documents of record allow."""

import asyncio
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from importlib import import_module
from typing import Any

import pytest

from membership_sdk.sandbox import MembershipSandbox
from sdk_core.sandbox import Sandbox
from specs import SPECS, Spec

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
OPERATIONS = [(spec, f"{described.method} {described.path}") for spec in SPECS for described in spec.described()]


@pytest.fixture(scope="module")
def conformance() -> Any:
    with warnings.catch_warnings():
        # Of others: it imports much.
        warnings.simplefilter("ignore")
        return import_module("specs.conformance")


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


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_document_is_openapi(spec: Spec, conformance: Any) -> None:
    conformance.validate(spec)


def test_all_operations_are_tried(conformance: Any) -> None:
    assert {(spec, label) for spec in SPECS for label in conformance.operations_of(spec)} == {*OPERATIONS}


@pytest.mark.fuzz
@pytest.mark.parametrize(("spec", "label"), OPERATIONS, ids=[f"{spec} {label}" for spec, label in OPERATIONS])
def test_sandbox_answers_as_documented(spec: Spec, label: str, conformance: Any) -> None:
    """No server error, no undocumented status, no answer of another shape: for good requests, bad ones, known ids."""
    sandbox, operation = spec.sandbox(today=TODAY), conformance.operations_of(spec)[label]
    names = {parameter.name: parameter.name for parameter in operation.path_parameters}
    names |= {key.rpartition("/")[2]: key for key in KNOWN if f"/{key.partition('/')[0]}" in operation.path}
    known = {name: GIVEN.get(name) or getattr(sandbox, KNOWN[key]) for name, key in names.items()}
    bodies = [body for end, body in GOOD.items() if operation.body and operation.path.endswith(f"/{end}")]
    with served(sandbox):
        statuses = conformance.statuses_of(sandbox, operation, known, {"body": bodies[0]} if bodies else {})
    assert bool(statuses & {200, 202, 204}) == (label not in NEED_A_PAST), statuses
