"""The operations of the Membership Self-service API (version 1.11.0)."""

from typing import Any, Final

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractValidationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatusResult,
    MainContractCancelation,
    RemainingIdlePeriods,
    VoidResult,
)
from sdk_core.operation import Effect, Operation

__all__ = [
    "CREATE_CONTRACT_CANCELATION_AMENDMENT",
    "CREATE_IDLE_PERIOD_AMENDMENT",
    "CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT",
    "GET_ADDITIONAL_MODULES",
    "GET_ADDITIONAL_MODULE_CONTRACT",
    "GET_CONTRACT_CANCELATION_REASON_DATA",
    "GET_CONTRACT_DATA",
    "GET_IDLE_PERIODS",
    "GET_IDLE_PERIOD_BY_ID",
    "GET_IDLE_PERIOD_CONFIG",
    "GET_PURCHASABLE_ADDITIONAL_MODULES",
    "GET_REMAINING_IDLE_PERIODS",
    "IDLE_PERIOD_UPDATE_PREVIEW",
    "OPERATIONS",
    "PURCHASE_ADDITIONAL_MODULE_CONTRACT",
    "UPDATE_IDLE_PERIOD",
    "VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST",
    "VALIDATE_IDLE_PERIOD_REQUEST",
    "VERIFY_API_KEY",
    "WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION",
    "WITHDRAW_CONTRACT_CANCELATION",
    "WITHDRAW_IDLE_PERIOD",
]

# Every operation documents 409 as "Concurrent modification detected. The entity was modified by another request". So
# a 409 refuses the request, and a retry can succeed. Its error codes are not published.
_CONCURRENT: Final = True
_IDLE_PERIODS: Final = "/v1/memberships/{contract_id:int}/self-service/idle-periods"
_MODULES: Final = "/v1/memberships/{contract_id:int}/self-service/additional-modules"
_DOCUMENT_TYPES: Final = ("application/pdf", "image/heic", "image/jpeg", "image/png")
_DOCS: Final = "Membership Self-service API 1.11.0, "

GET_CONTRACT_DATA: Final = Operation(
    name="get_contract_data",
    method="GET",
    path="/v1/memberships/{customer_id:int}/self-service/contract-data",
    returns=list[ContractData],
    # The page shows the fields of one contract at top level, the vendor's schema is an array: both are accepted.
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

GET_IDLE_PERIOD_CONFIG: Final = Operation(
    name="get_idle_period_config",
    method="GET",
    path=_IDLE_PERIODS + "/config",
    returns=IdlePeriodConfiguration,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_CONFIG_READ",),
    source=_DOCS + "getIdlePeriodConfig",
)

VALIDATE_IDLE_PERIOD_REQUEST: Final = Operation(
    name="validate_idle_period_request",
    method="POST",
    path=_IDLE_PERIODS + "/validate",
    body=IdlePeriodValidationRequest,
    returns=IdlePeriodValidationStatusResult,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    # Up to 1.5.0, MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ was enough.
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE",),
    source=_DOCS + "validateIdlePeriodRequest",
)

GET_IDLE_PERIODS: Final = Operation(
    name="get_idle_periods",
    method="GET",
    path=_IDLE_PERIODS,
    returns=IdlePeriodLists,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ",),
    source=_DOCS + "getIdlePeriods",
)

CREATE_IDLE_PERIOD_AMENDMENT: Final = Operation(
    name="create_idle_period_amendment",
    method="POST",
    path=_IDLE_PERIODS,
    body=IdlePeriodCreateRequest,
    multipart=True,
    document_types=_DOCUMENT_TYPES,
    returns=IdlePeriod,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE",),
    source=_DOCS + "createIdlePeriodAmendment",
)

GET_IDLE_PERIOD_BY_ID: Final = Operation(
    name="get_idle_period_by_id",
    method="GET",
    path=_IDLE_PERIODS + "/{idle_period_id:int}",
    returns=IdlePeriod,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ",),
    source=_DOCS + "getIdlePeriodById",
)

UPDATE_IDLE_PERIOD: Final = Operation(
    name="update_idle_period",
    method="PUT",
    path=_IDLE_PERIODS + "/{idle_period_id:int}",
    body=IdlePeriodUpdateRequest,
    multipart=True,
    document_types=_DOCUMENT_TYPES,
    returns=IdlePeriod,
    # It is a PUT, but each request may create another amendment.
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE",),
    source=_DOCS + "updateIdlePeriod",
)

WITHDRAW_IDLE_PERIOD: Final = Operation(
    name="withdraw_idle_period",
    method="DELETE",
    path=_IDLE_PERIODS + "/{idle_period_id:int}",
    returns=VoidResult,
    effect=Effect.IDEMPOTENT,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE",),
    source=_DOCS + "withdrawIdlePeriod",
)

IDLE_PERIOD_UPDATE_PREVIEW: Final = Operation(
    name="idle_period_update_preview",
    # It is a PUT, but it changes nothing: a READ scope is enough for it.
    method="PUT",
    path=_IDLE_PERIODS + "/{idle_period_id:int}/preview",
    body=IdlePeriodUpdateRequest,
    returns=IdlePeriodUpdatePreview,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ",),
    source=_DOCS + "idlePeriodUpdatePreview",
)

GET_REMAINING_IDLE_PERIODS: Final = Operation(
    name="get_remaining_idle_periods",
    method="GET",
    path=_IDLE_PERIODS + "/remaining",
    returns=RemainingIdlePeriods,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ",),
    source=_DOCS + "getRemainingIdlePeriods",
)

GET_ADDITIONAL_MODULES: Final = Operation(
    name="get_additional_modules",
    method="GET",
    path="/v1/memberships/self-service/additional-modules",
    returns=list[AdditionalModule],
    lone_item=True,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ",),
    source=_DOCS + "getAdditionalModules",
)

GET_PURCHASABLE_ADDITIONAL_MODULES: Final = Operation(
    name="get_purchasable_additional_modules",
    method="GET",
    path=_MODULES + "/purchasable",
    returns=list[AdditionalModule],
    lone_item=True,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ",),
    source=_DOCS + "getPurchasableAdditionalModules",
)

VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST: Final = Operation(
    name="validate_additional_module_contract_request",
    method="POST",
    path=_MODULES + "/validate",
    body=AdditionalModuleContractRequest,
    returns=AdditionalModuleContractValidationStatus,
    effect=Effect.READ,
    retry_conflict=_CONCURRENT,
    # Up to 1.5.0, MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ was enough.
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",),
    source=_DOCS + "validateAdditionalModuleContractRequest",
)

PURCHASE_ADDITIONAL_MODULE_CONTRACT: Final = Operation(
    name="purchase_additional_module_contract",
    method="POST",
    path=_MODULES + "/purchase",
    body=AdditionalModuleContractRequest,
    returns=AdditionalModuleContract,
    effect=Effect.WRITE,
    retry_conflict=_CONCURRENT,
    scopes=("MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE",),
    source=_DOCS + "purchaseAdditionalModuleContract",
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
    GET_IDLE_PERIOD_CONFIG,
    VALIDATE_IDLE_PERIOD_REQUEST,
    GET_IDLE_PERIODS,
    CREATE_IDLE_PERIOD_AMENDMENT,
    GET_IDLE_PERIOD_BY_ID,
    UPDATE_IDLE_PERIOD,
    WITHDRAW_IDLE_PERIOD,
    IDLE_PERIOD_UPDATE_PREVIEW,
    GET_REMAINING_IDLE_PERIODS,
    GET_ADDITIONAL_MODULES,
    GET_PURCHASABLE_ADDITIONAL_MODULES,
    VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST,
    PURCHASE_ADDITIONAL_MODULE_CONTRACT,
    GET_ADDITIONAL_MODULE_CONTRACT,
    CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT,
    WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
)
"""The operations, in the order of the documentation. VERIFY_API_KEY is none of them: it is documented for any path."""
