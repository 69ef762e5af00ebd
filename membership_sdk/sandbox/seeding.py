"""Own data: what a test adds to the sandbox in a line, or brings along as JSON."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from typing import Any, TypeVar, Unpack

from attrs import evolve

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
)
from membership_sdk.sandbox import samples
from membership_sdk.sandbox.answers import end_of_month, euros, idle_period, module_contract
from membership_sdk.sandbox.fields import (
    AdditionalModuleFields,
    ContractFields,
    IdlePeriodFields,
    ModuleContractFields,
)
from membership_sdk.sandbox.rules import months_later
from membership_sdk.sandbox.state import State
from sdk_core.arguments import int64_id, plain_date
from sdk_core.sandbox.seeds import Seeds, checked

__all__ = ["Seeding"]

T = TypeVar("T")


class Seeding(State):
    """Adds data; each value is checked, so that it can be served, when it is given.

    What has the id of something that is there already takes its place.
    """

    def add_contract(
        self, *, customer_id: int = samples.SampleIds.CUSTOMER_ID, **fields: Unpack[ContractFields]
    ) -> ContractData:
        """Add a main contract: running, not canceled, unless the fields say otherwise.

        Args:
            customer_id: whose it is; a customer that is not known yet becomes known.
            **fields: those of ContractData; what is not given gets a default, the id included.

        Raises:
            ValueError, TypeError: a field is unknown, or not as documented; or the id is another customer's.
        """
        number = self._new_id()
        return self._put_contract(
            customer_id, evolve(samples.contract(self.today, number, "Premium", "39.90"), **fields)
        )

    def add_module_contract(
        self,
        *,
        contract_id: int = samples.SampleIds.CONTRACT_ID,
        additional_module_contract_id: int | None = None,
        **fields: Unpack[ModuleContractFields],
    ) -> AdditionalModuleContract:
        """Add a contract of an additional module, and return its id: running, unless the fields say otherwise.

        Args:
            contract_id: the main contract it belongs to.
            additional_module_contract_id: its id; None: a new one.
            **fields: those of AdditionalModuleContractExtended; what is not given gets a default.

        Raises:
            ValueError, TypeError: a field is unknown, or not as documented; or there is no such main contract.
        """
        number = self._new_id() if additional_module_contract_id is None else additional_module_contract_id
        start = date(self.today.year - 1, 1, 1)
        self._put_module(
            (contract_id, number), evolve(module_contract(self.today, "Sauna", euros("9.90"), start), **fields)
        )
        return AdditionalModuleContract(id=number)

    def add_idle_period(
        self, *, contract_id: int = samples.SampleIds.CONTRACT_ID, **fields: Unpack[IdlePeriodFields]
    ) -> IdlePeriod:
        """Add an idle period: an accepted one in the month after next, unless the fields say otherwise.

        Args:
            contract_id: the main contract it belongs to.
            **fields: those of IdlePeriod; what is not given gets a default, the id included.

        Raises:
            ValueError, TypeError: a field is unknown, or not as documented; or there is no such main contract.
        """
        config, number = self.idle_period_config, self._new_id()
        start = plain_date("start_date", fields.get("start_date", months_later(self.today, 2)))
        reason = next(iter(config.idle_period_reasons), samples.vacation())
        default = idle_period(config, reason, number, start, end_of_month(start, 0))
        return self._put_idle_period(contract_id, evolve(default, **fields))

    def add_cancelation_reason(
        self, *, cancelation_reason_id: int | None = None, cancelation_reason_name: str = "Other"
    ) -> ContractCancelationReason:
        """Add a reason for cancelations."""
        number = self._new_id() if cancelation_reason_id is None else cancelation_reason_id
        return self._put_reason(
            ContractCancelationReason(cancelation_reason_id=number, cancelation_reason_name=cancelation_reason_name)
        )

    def add_additional_module(self, **fields: Unpack[AdditionalModuleFields]) -> AdditionalModule:
        """Add a module that the studio sells: paid monthly, without a trial, unless the fields say otherwise."""
        number = self._new_id()
        return self._put_additional_module(evolve(samples.module_on_sale(number), **fields))

    def seeds(self) -> Mapping[str, Seeds]:
        """Return the kinds of data by their names in JSON; what others belong to comes first."""
        return {
            "contracts": Seeds(
                ContractData,
                self.add_contract,
                lambda: _flat("customer_id", self.contracts),
                self.contracts.clear,
                keys={"customer_id": int64_id},
            ),
            "moduleContracts": Seeds(
                AdditionalModuleContractExtended,
                self.add_module_contract,
                lambda: (
                    ({"contract_id": contract, "additional_module_contract_id": number}, module)
                    for (contract, number), module in self.modules.items()
                ),
                self.modules.clear,
                keys={"contract_id": int64_id, "additional_module_contract_id": int64_id},
            ),
            "idlePeriods": Seeds(
                IdlePeriod,
                self.add_idle_period,
                lambda: _flat("contract_id", self.idle_periods),
                self._clear_idle_periods,
                keys={"contract_id": int64_id},
            ),
            "cancelationReasons": Seeds(
                ContractCancelationReason,
                self.add_cancelation_reason,
                lambda: (({}, reason) for reason in self.reasons),
                self.reasons.clear,
            ),
            "additionalModules": Seeds(
                AdditionalModule,
                self.add_additional_module,
                lambda: (({}, module) for module in self.additional_modules),
                self.additional_modules.clear,
            ),
        }

    def _clear_idle_periods(self) -> None:
        self.idle_periods.clear()
        self._amended.clear()

    def _fill(
        self,
        *,
        contracts: Mapping[int, Iterable[ContractData]] | None,
        modules: Mapping[tuple[int, int], AdditionalModuleContractExtended] | None,
        reasons: Iterable[ContractCancelationReason] | None,
        idle_period_config: IdlePeriodConfiguration | None,
        idle_periods: Mapping[int, Iterable[IdlePeriod]] | None,
        additional_modules: Iterable[AdditionalModule] | None,
    ) -> None:
        """Fill the state with the samples, and put what the sandbox is created with in their place."""
        self._fill_with_samples()
        if idle_period_config is not None:
            self.idle_period_config = checked("idle_period_config", idle_period_config, IdlePeriodConfiguration)
        if contracts is not None:
            self._fill_contracts(contracts)
        for key, module in _instead_of(self.modules, None if modules is None else modules.items()):
            self._put_module(key, module)
        for contract_id, periods in _instead_of(
            self.idle_periods, None if idle_periods is None else idle_periods.items()
        ):
            for period in periods:
                self._put_idle_period(contract_id, period)
        for reason in _instead_of(self.reasons, reasons):
            self._put_reason(reason)
        for on_sale in _instead_of(self.additional_modules, additional_modules):
            self._put_additional_module(on_sale)

    def _fill_contracts(self, contracts: Mapping[int, Iterable[ContractData]]) -> None:
        self.contracts: dict[int, dict[int, ContractData]] = {
            int64_id("customer_id", customer): {} for customer in contracts
        }
        for customer, own in contracts.items():
            for contract in own:
                self._put_contract(customer, contract)
        if not any(self.CONTRACT_ID in own for own in self.contracts.values()):
            # The other samples belong to this contract.
            self.modules: dict[tuple[int, int], AdditionalModuleContractExtended] = {}
            self.idle_periods: dict[int, dict[int, IdlePeriod]] = {}

    def _fill_with_samples(self) -> None:
        today = self.today
        config = samples.idle_period_config(today, verification=self.verification)
        self.idle_period_config: IdlePeriodConfiguration = config
        past = samples.past_idle_period(today, config)
        self.contracts = {self.CUSTOMER_ID: {contract.id: contract for contract in samples.contracts(today)}}
        self.modules = {(self.CONTRACT_ID, self.MODULE_CONTRACT_ID): samples.sauna(today)}
        self.idle_periods = {self.CONTRACT_ID: {past.id: past}}
        self.reasons: list[ContractCancelationReason] = samples.reasons()
        self.additional_modules: list[AdditionalModule] = samples.modules_on_sale()
        self._last_id = 9000

    def _put_contract(self, customer_id: int, contract: ContractData) -> ContractData:
        customer = int64_id("customer_id", customer_id)
        contract = checked("contract", contract, ContractData)
        number = contract.id
        _require_order(contract.start_date, contract.end_date)
        with self.lock:
            for other, own in self.contracts.items():
                if number in own and other != customer:
                    raise ValueError(f"contract {number} belongs to another customer")
            self.contracts.setdefault(customer, {})[int64_id("id", number)] = contract
        return contract

    def _put_module(self, key: tuple[int, int], module: AdditionalModuleContractExtended) -> None:
        contract_id, number = key
        module = checked("module contract", module, AdditionalModuleContractExtended)
        _require_order(module.start_date, module.end_date)
        with self.lock:
            self._require_contract(contract_id)
            self.modules[contract_id, int64_id("additional_module_contract_id", number)] = module

    def _put_idle_period(self, contract_id: int, period: IdlePeriod) -> IdlePeriod:
        period = checked("idle period", period, IdlePeriod)
        number = int64_id("id", period.id)
        _require_order(period.start_date, period.end_date)
        with self.lock:
            self._require_contract(contract_id)
            self.idle_periods.setdefault(contract_id, {})[number] = period
        return period

    def _put_reason(self, reason: ContractCancelationReason) -> ContractCancelationReason:
        reason = checked("cancelation reason", reason, ContractCancelationReason)
        number = int64_id("cancelation_reason_id", reason.cancelation_reason_id)
        with self.lock:
            kept = [other for other in self.reasons if other.cancelation_reason_id != number]
            self.reasons[:] = [*kept, reason]
        return reason

    def _put_additional_module(self, module: AdditionalModule) -> AdditionalModule:
        module = checked("additional module", module, AdditionalModule)
        number = int64_id("id", module.id)
        with self.lock:
            self.additional_modules[:] = [*(other for other in self.additional_modules if other.id != number), module]
        return module

    def _require_contract(self, contract_id: int) -> None:
        if not any(int64_id("contract_id", contract_id) in own for own in self.contracts.values()):
            raise ValueError(f"there is no contract {contract_id}: add it first")


def _flat(key: str, values: Mapping[int, Mapping[int, object]]) -> Iterator[tuple[dict[str, object], object]]:
    for owner, own in values.items():
        for value in own.values():
            yield {key: owner}, value


def _instead_of(samples: list[Any] | dict[Any, Any], given: Iterable[T] | None) -> Iterable[T]:
    """Remove the samples if something else is given, and return that."""
    if given is None:
        return ()
    samples.clear()
    return given


def _require_order(start: date, end: date | None) -> None:
    if end is not None and end < start:
        raise ValueError(f"it ends ({end}) before it starts ({start})")
