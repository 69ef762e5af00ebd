"""The state of the sandbox: the values that it serves and changes, and their look-up by id."""

from collections.abc import Mapping
from typing import Any, ClassVar

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
from membership_sdk.sandbox.webhooks import Webhooks
from membership_sdk.webhooks import WebhookEventType
from sdk_core.sandbox import Sandbox
from sdk_core.sandbox.requests import RefusalError

__all__ = ["State"]


class State(SampleIds, Sandbox):
    """What `MembershipSandbox` is created with; the handlers read and change it."""

    verification: bool
    """Whether the studio verifies cancelations and withdrawals before they take effect."""
    contracts: dict[int, dict[int, ContractData]]
    """Main contracts, by customer id and contract id."""
    modules: dict[tuple[int, int], AdditionalModuleContractExtended]
    """Module contracts, by contract id and module contract id."""
    reasons: list[ContractCancelationReason]
    """Cancelation reasons."""
    idle_period_config: IdlePeriodConfiguration
    """Rules for the idle periods of all contracts."""
    idle_periods: dict[int, dict[int, IdlePeriod]]
    """Idle periods and amendments, by contract id and idle period id."""
    additional_modules: list[AdditionalModule]
    """Modules that the studio sells."""
    webhooks: Webhooks
    """Of what happened in the studio."""
    state_names: ClassVar[tuple[str, ...]] = (
        "verification",
        "contracts",
        "modules",
        "reasons",
        "idle_period_config",
        "idle_periods",
        "additional_modules",
        "_amended",
        "_last_id",
    )
    settings: ClassVar[Mapping[str, Any]] = {
        "verification": bool,
        "idle_period_config": IdlePeriodConfiguration,
    }
    _amended: dict[int, int]
    """What amendments of idle periods are about: idle period ids, by the ids of the amendments."""
    _last_id: int

    def _new_id(self) -> int:
        """Return an id that nothing has."""
        self._last_id += 1
        while self._is_used(self._last_id):
            self._last_id += 1
        return self._last_id

    def _is_used(self, number: int) -> bool:
        return (
            any(number in own for own in self.contracts.values())
            or any(number in own for own in self.idle_periods.values())
            or any(number == module for _, module in self.modules)
            or any(number == reason.cancelation_reason_id for reason in self.reasons)
            or any(number == module.id for module in self.additional_modules)
        )

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

    def _contract_of_any_customer(self, contract_id: int) -> ContractData:
        return self.contracts[self._customer_of(contract_id)][contract_id]

    def _customer_of(self, contract_id: int) -> int:
        for customer_id, contracts in self.contracts.items():
            if contract_id in contracts:
                return customer_id
        raise not_found("contract")

    def _tell(self, kind: WebhookEventType, contract_id: int, **content: int) -> None:
        self.webhooks.add(kind, self._customer_of(contract_id), {"contractId": contract_id, **content})

    def _idle_periods_of(self, contract_id: int) -> dict[int, IdlePeriod]:
        self._contract_of_any_customer(contract_id)
        return self.idle_periods.setdefault(contract_id, {})

    @property
    def _changes_require_verification(self) -> bool:
        status = self.idle_period_config.idle_period_creation_status
        return status == IdlePeriodCreationStatus.CHANGES_REQUIRE_VERIFICATION

    def _idle_reason(self, reason_id: int) -> IdlePeriodReason:
        for reason in self.idle_period_config.idle_period_reasons:
            if reason.id == reason_id:
                return reason
        raise RefusalError(400, "IDLE_PERIOD_REASON_UNKNOWN", "There is no such reason.", field="reasonId")

    def _has_module(self, contract_id: int, module: AdditionalModule) -> bool:
        return any(owner == contract_id and bought.name == module.name for (owner, _), bought in self.modules.items())

    def _cancelation_reason_name(self, reason_id: int) -> str:
        for reason in self.reasons:
            if reason.cancelation_reason_id == reason_id:
                return reason.cancelation_reason_name
        raise RefusalError(400, "CANCELATION_REASON_UNKNOWN", "There is no such reason.", field="cancelationReasonId")
