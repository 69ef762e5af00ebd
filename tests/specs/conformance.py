"""Schemathesis with the documents of record. It is large: only a process that runs its tests imports this."""

from functools import cache
from typing import Any

import requests
import schemathesis
from fuzz import FACTOR, drawn
from hypothesis import given, settings
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
from specs import Spec

CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
FEW = drawn(2)
HTTPS_OWN = ("Connection", "Content-Length", "Expect", "Host", "Transfer-Encoding", "Upgrade")


def validate(spec: Spec) -> None:
    """As the document stands, and as the sandboxes are held to it."""
    schemathesis.openapi.from_dict(spec.document).validate()
    schemathesis.openapi.from_dict(spec.as_promised()).validate()


@cache
def operations_of(spec: Spec) -> dict[str, APIOperation]:
    """Return the operations of a document by method and path."""
    found = (result.ok() for result in schemathesis.openapi.from_dict(spec.as_promised()).get_all_operations())
    return {operation.label: operation for operation in found}


def credentials(sandbox: Sandbox) -> dict[str, str]:
    if isinstance(sandbox, CloudCockpitSandbox):
        return {"Authorization": f"Bearer {sandbox.issue_token()}", "X-Tenant": sandbox.TENANT}
    assert isinstance(sandbox, MembershipSandbox)
    return {"X-API-KEY": sandbox.API_KEY}


def statuses_of(sandbox: Sandbox, operation: APIOperation, known: dict[str, Any], good: dict[str, Any]) -> set[int]:
    """Ask a running sandbox in good ways and bad ones, check each answer, and return the statuses.

    Args:
        sandbox: what to ask.
        operation: what to ask for.
        known: the ids that it has, by their names in the path.
        good: a body that it does not refuse, if the operation has one.
    """
    answered: set[int] = set()
    with requests.Session() as session:

        def ask(case: Case) -> None:
            # Made-up headers are no matter of the API, and these are read by HTTP itself.
            for name in HTTPS_OWN:
                case.headers.pop(name, None)
            answer = case.call_and_validate(
                base_url=sandbox.url, session=session, headers=credentials(sandbox), checks=CHECKS, timeout=10
            )
            answered.add(answer.status_code)

        cases = [
            operation.as_strategy(mode, path_parameters=path and {**path})
            for mode in GenerationMode
            for path in (None, known)
        ]

        @FEW
        @given(case=st.sampled_from(cases).flatmap(lambda chosen: chosen))
        def run(case: Case) -> None:
            ask(case)

        @settings(FEW, max_examples=2 * FACTOR)
        @given(case=operation.as_strategy(path_parameters={**known}, **good))
        def run_well(case: Case) -> None:
            ask(case)

        run_well()
        run()
    return answered
