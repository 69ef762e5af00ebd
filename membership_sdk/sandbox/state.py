"""The state of the sandbox, and how it is looked up."""

from collections.abc import Iterator

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodReason,
)
from membership_sdk.sandbox.rules import not_found
from membership_sdk.sandbox.samples import SampleIds
from sdk_core.sandbox import Sandbox
from sdk_core.sandbox.requests import RefusalError

__all__ = ["State"]


class State(SampleIds, Sandbox):
    """The state."""

    verification: bool
    contracts: dict[int, dict[int, ContractData]]
    """The state of the main contracts, by customer id and contract id."""
    modules: dict[tuple[int, int], AdditionalModuleContractExtended]
    """The state of the module contracts, by contract id and module contract id."""
    reasons: list[ContractCancelationReason]
    idle_period_config: IdlePeriodConfiguration
    idle_periods: dict[int, dict[int, IdlePeriod]]
    """The state of the idle periods and their amendments, by contract id and their own."""
    additional_modules: list[AdditionalModule]
    _new_ids: Iterator[int]

    def _contracts_of(self, customer_id: int) -> dict[int, ContractData]:
        try:
            return self.contracts[customer_id]
        except KeyError:
            raise not_found("customer") from None

    def _contract(self, customer_id: int, contract_id: int) -> ContractData:
        try:
            return self._contracts_of(customer_id)[contract_id]
        except KeyError:
            raise not_found("contract") from None

    def _contract_of_any(self, contract_id: int) -> ContractData:
        for contracts in self.contracts.values():
            if contract_id in contracts:
                return contracts[contract_id]
        raise not_found("contract")

    def _idle_periods_of(self, contract_id: int) -> dict[int, IdlePeriod]:
        self._contract_of_any(contract_id)
        return self.idle_periods.setdefault(contract_id, {})

    @property
    def _studio_checks(self) -> bool:
        status = self.idle_period_config.idle_period_creation_status
        return status == IdlePeriodCreationStatus.CHANGES_REQUIRE_VERIFICATION

    def _idle_reason(self, reason_id: int) -> IdlePeriodReason:
        for reason in self.idle_period_config.idle_period_reasons:
            if reason.id == reason_id:
                return reason
        raise RefusalError(400, "IDLE_PERIOD_REASON_UNKNOWN", "There is no such reason.", field="reasonId")

    def _has_module(self, contract_id: int, module: AdditionalModule) -> bool:
        return any(owner == contract_id and bought.name == module.name for (owner, _), bought in self.modules.items())

    def _reason(self, reason_id: int) -> str:
        for reason in self.reasons:
            if reason.cancelation_reason_id == reason_id:
                return reason.cancelation_reason_name
        raise RefusalError(400, "CANCELATION_REASON_UNKNOWN", "There is no such reason.", field="cancelationReasonId")
