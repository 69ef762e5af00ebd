"""The Membership Self-service API as a table (version 1.11.0)."""

from typing import Any, Final

from membership_sdk.models import (
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    MainContractCancelation,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

__all__ = [
    "CREATE_CONTRACT_CANCELATION_AMENDMENT",
    "CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT",
    "GET_ADDITIONAL_MODULE_CONTRACT",
    "GET_CONTRACT_CANCELATION_REASON_DATA",
    "GET_CONTRACT_DATA",
    "OPERATIONS",
    "VERIFY_API_KEY",
    "WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION",
    "WITHDRAW_CONTRACT_CANCELATION",
]

# Every operation documents 409 as "Concurrent modification detected. The entity was modified by another
# request": refused, and worth another try. Its error codes are not published.
_CONCURRENT: Final = True
_DOCS: Final = "Membership Self-service API 1.11.0, "

GET_CONTRACT_DATA: Final = Operation(
    name="get_contract_data",
    method="GET",
    path="/v1/memberships/{customer_id:int}/self-service/contract-data",
    returns=list[ContractData],
    # The page shows the fields at top level; the vendor's schema is an array of them.
    lone_item=True,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_READ",),
    source=_DOCS + "getContractData",
)

GET_CONTRACT_CANCELATION_REASON_DATA: Final = Operation(
    name="get_contract_cancelation_reason_data",
    method="GET",
    path="/v1/memberships/self-service/contract-cancelation-reasons",
    returns=list[ContractCancelationReason],
    lone_item=True,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_READ",),
    source=_DOCS + "getContractCancelationReasonData",
)

CREATE_CONTRACT_CANCELATION_AMENDMENT: Final = Operation(
    name="create_contract_cancelation_amendment",
    method="POST",
    path="/v1/memberships/{customer_id:int}/self-service/ordinary-contract-cancelation",
    body=MainContractCancelation,
    returns=VoidResult,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_WRITE",),
    source=_DOCS + "createContractCancelationAmendment",
)

WITHDRAW_CONTRACT_CANCELATION: Final = Operation(
    name="withdraw_contract_cancelation",
    method="POST",
    path="/v1/memberships/{customer_id:int}/self-service/withdraw-ordinary-contract-cancelation/{contract_id:int}",
    returns=VoidResult,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_WRITE",),
    source=_DOCS + "withdrawContractCancelation",
)

GET_ADDITIONAL_MODULE_CONTRACT: Final = Operation(
    name="get_additional_module_contract",
    method="GET",
    path="/v1/memberships/{contract_id:int}/self-service/additional-module-contracts/{additional_module_contract_id:int}",
    returns=AdditionalModuleContractExtended,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_READ",),
    source=_DOCS + "getAdditionalModuleContract",
)

CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT: Final = Operation(
    name="create_module_contract_cancelation_amendment",
    method="POST",
    path=(
        "/v1/memberships/{contract_id:int}/self-service/additional-module-contracts"
        "/{additional_module_contract_id:int}/ordinary-cancelation"
    ),
    body=AdditionalModuleContractCancelation,
    returns=VoidResult,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",),
    deprecated=(
        "one copy of the API's pages marks it deprecated, the vendor's own 1.11.1 document does not; "
        "no replacement is known"
    ),
    source=_DOCS + "createModuleContractCancelationAmendment",
)

WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION: Final = Operation(
    name="withdraw_additional_module_contract_cancelation",
    method="POST",
    path=(
        "/v1/memberships/{contract_id:int}/self-service/additional-module-contracts"
        "/{additional_module_contract_id:int}/withdraw-cancelation"
    ),
    returns=VoidResult,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",),
    source=_DOCS + "withdrawAdditionalModuleContractCancelation",
)

VERIFY_API_KEY: Final = Operation(
    name="verify_api_key",
    method="HEAD",
    # HEAD on any path checks the key and nothing else; this one needs no id.
    path="/v1/memberships/self-service/contract-cancelation-reasons",
    returns=VoidResult,
    effect=Effect.READ,
    source="Open API, general information (since 1.9.0)",
)

OPERATIONS: Final[tuple[Operation[Any], ...]] = (
    GET_CONTRACT_DATA,
    CREATE_CONTRACT_CANCELATION_AMENDMENT,
    GET_CONTRACT_CANCELATION_REASON_DATA,
    WITHDRAW_CONTRACT_CANCELATION,
    GET_ADDITIONAL_MODULE_CONTRACT,
    CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT,
    WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
)
"""The documented operations, in the order of the documentation. (VERIFY_API_KEY is a property of all paths.)"""
