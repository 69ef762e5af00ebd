"""The handler of each operation: what it does to the state, and what it answers."""

from datetime import date
from typing import Any, ClassVar

from attrs import evolve

from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractTrialPeriod,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleValidationStatus,
    CancelationOrigin,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodLists,
    IdlePeriodReason,
    IdlePeriodState,
    IdlePeriodUpdatePreview,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatus,
    IdlePeriodValidationStatusResult,
    RemainingIdlePeriods,
    VoidResult,
)
from membership_sdk.operations import OPERATIONS, VERIFY_API_KEY
from membership_sdk.sandbox.answers import euros, idle_period, idle_period_charges, module_contract
from membership_sdk.sandbox.rules import (
    after_cancelation,
    after_withdrawal,
    available_date,
    change_status,
    creation_status,
    end_of,
    not_found,
    purchase_status,
    remaining,
    require_document,
    require_positive,
)
from membership_sdk.sandbox.state import State
from membership_sdk.webhooks import WebhookEventType
from sdk_core.operation import Operation
from sdk_core.sandbox.requests import ReceivedDocument

__all__ = ["Handlers"]


class Handlers(State):
    """One method per operation, with the operation's name and arguments."""

    operations: ClassVar[tuple[Operation[Any], ...]] = (*OPERATIONS, VERIFY_API_KEY)

    def verify_api_key(self) -> VoidResult:
        """Return an empty success: `authenticate` has checked the key."""
        return VoidResult()

    def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
        """Return the customer's contracts."""
        return list(self._contracts_of(customer_id).values())

    def get_contract_cancelation_reason_data(self) -> list[ContractCancelationReason]:
        """Return the cancelation reasons."""
        return self.reasons

    def create_contract_cancelation_amendment(
        self, *, customer_id: int, contract_id: int, cancelation_date: date, cancelation_reason_id: int
    ) -> VoidResult:
        """Cancel a main contract, or file the cancelation for the studio to verify."""
        contract = self._contract(customer_id, contract_id)
        self.contracts[customer_id][contract_id] = evolve(
            contract,
            cancelation_reason=self._cancelation_reason_name(cancelation_reason_id),
            cancelation_date=available_date(cancelation_date, contract.available_cancelation_dates),
            cancelation_status=after_cancelation(contract.cancelation_status, verification=self.verification),
            cancelation_origin=CancelationOrigin.CUSTOMER,
        )
        if not self.verification:
            self._tell(WebhookEventType.CONTRACT_CANCELLED, contract_id)
        return VoidResult()

    def withdraw_contract_cancelation(self, *, customer_id: int, contract_id: int) -> VoidResult:
        """Withdraw a cancelation, or file the withdrawal for the studio to verify."""
        contract = self._contract(customer_id, contract_id)
        status = after_withdrawal(contract.cancelation_status, verification=self.verification)
        self.contracts[customer_id][contract_id] = (
            evolve(contract, cancelation_status=status)
            if status is not None
            else evolve(
                contract,
                cancelation_status=None,
                cancelation_date=None,
                cancelation_reason=None,
                cancelation_origin=None,
            )
        )
        return VoidResult()

    def get_idle_period_config(self, *, contract_id: int) -> IdlePeriodConfiguration:
        """Return the rules, which are the same for all contracts."""
        self._contract_of_any_customer(contract_id)
        return self.idle_period_config

    def validate_idle_period_request(self, *, contract_id: int, **fields: Any) -> IdlePeriodValidationStatusResult:
        """Return the status that `create_idle_period_amendment` would have."""
        others = self._idle_periods_of(contract_id).values()
        status = creation_status(self.idle_period_config, others, IdlePeriodValidationRequest(**fields))
        return IdlePeriodValidationStatusResult(validation_status=status)

    def get_idle_periods(self, *, contract_id: int) -> IdlePeriodLists:
        """Return idle periods and amendments by start; those that ended before today are in a list of their own."""
        periods = sorted(self._idle_periods_of(contract_id).values(), key=lambda period: period.start_date)
        past = [period for period in periods if period.end_date is not None and period.end_date < self.today]
        return IdlePeriodLists(
            past_idle_periods=tuple(past),
            current_and_upcoming_idle_periods=tuple(period for period in periods if period not in past),
        )

    def create_idle_period_amendment(
        self, *, contract_id: int, document: ReceivedDocument | None, **fields: Any
    ) -> IdlePeriod:
        """Create an idle period, pending if the studio verifies it."""
        request = IdlePeriodCreateRequest(**fields)
        periods = self._idle_periods_of(contract_id)
        reason = self._idle_reason(request.reason_id)
        require_document(reason, document)
        require_positive(creation_status(self.idle_period_config, periods.values(), request))
        created = self._store_idle_period(contract_id, request, reason, self._new_id(), end_of(request))
        if created.state == IdlePeriodState.ACCEPTED:
            self._tell(WebhookEventType.CONTRACT_IDLE_PERIOD_CREATED, contract_id, idlePeriodId=created.id)
        return created

    def get_idle_period_by_id(self, *, contract_id: int, idle_period_id: int) -> IdlePeriod:
        """Return one idle period or amendment."""
        try:
            return self._idle_periods_of(contract_id)[idle_period_id]
        except KeyError:
            raise not_found("idle period") from None

    def update_idle_period(
        self, *, contract_id: int, idle_period_id: int, document: ReceivedDocument | None, **fields: Any
    ) -> IdlePeriod:
        """Change an idle period; if the studio verifies changes, create a pending amendment with an id of its own."""
        request = IdlePeriodUpdateRequest(**fields)
        status, period = self._change_status(contract_id, idle_period_id, request)
        reason = self._idle_reason(request.reason_id)
        if reason != period.idle_period_reason:
            require_document(reason, document)
        require_positive(status)
        number = idle_period_id
        if self._changes_require_verification:
            number = self._new_id()
            self._amended[number] = idle_period_id
        updated = self._store_idle_period(contract_id, request, reason, number, request.end_date or end_of(request))
        if updated.state == IdlePeriodState.ACCEPTED:
            self._tell(WebhookEventType.CONTRACT_IDLE_PERIOD_UPDATED, contract_id, idlePeriodId=number)
        return updated

    def withdraw_idle_period(self, *, contract_id: int, idle_period_id: int) -> VoidResult:
        """Remove an idle period or amendment at once; whether a studio may verify that first is not documented."""
        period = self.get_idle_period_by_id(contract_id=contract_id, idle_period_id=idle_period_id)
        periods = self.idle_periods[contract_id]
        # With a period end its amendments, which would bring it back.
        for ended in (period.id, *(number for number, amended in self._amended.items() if amended == period.id)):
            periods.pop(ended, None)
            self._amended.pop(ended, None)
        if period.state == IdlePeriodState.ACCEPTED:
            self._tell(WebhookEventType.CONTRACT_IDLE_PERIOD_CANCELLED, contract_id, idlePeriodId=period.id)
        return VoidResult()

    def idle_period_update_preview(
        self, *, contract_id: int, idle_period_id: int, **fields: Any
    ) -> IdlePeriodUpdatePreview:
        """Return the status that `update_idle_period` would have, the contract's new end and the fee."""
        request = IdlePeriodUpdateRequest(**fields)
        reason = self._idle_reason(request.reason_id)
        # Which of the two positive statuses the API answers here is not documented; UPDATABLE is the likely one.
        status, period = self._change_status(contract_id, idle_period_id, request)
        if not status.is_positive:
            return IdlePeriodUpdatePreview(validation_status=status)
        config, end = self.idle_period_config, request.end_date or end_of(request)
        contract_end = self._contract_of_any_customer(contract_id).end_date
        if contract_end is not None and config.contract_has_extension and period.end_date is not None:
            contract_end += (end - request.start_date) - (period.end_date - period.start_date)
        return IdlePeriodUpdatePreview(
            validation_status=status,
            preview_end_date=contract_end,
            preview_charges=idle_period_charges(config, reason, request.start_date, end),
        )

    def get_remaining_idle_periods(self, *, contract_id: int) -> RemainingIdlePeriods:
        """Return the terms that are left in this calendar year."""
        return remaining(self.idle_period_config, self._idle_periods_of(contract_id).values(), self.today.year)

    def get_additional_modules(self) -> list[AdditionalModule]:
        """Return what the studio sells."""
        return self.additional_modules

    def get_purchasable_additional_modules(self, *, contract_id: int) -> list[AdditionalModule]:
        """Return the modules that the contract does not have yet."""
        self._contract_of_any_customer(contract_id)
        return [module for module in self.additional_modules if not self._has_module(contract_id, module)]

    def validate_additional_module_contract_request(
        self, *, contract_id: int, **fields: Any
    ) -> AdditionalModuleContractValidationStatus:
        """Return the status that `purchase_additional_module_contract` would have."""
        status = self._purchase_status(contract_id, AdditionalModuleContractRequest(**fields))
        return AdditionalModuleContractValidationStatus(validation_status=status)

    def purchase_additional_module_contract(self, *, contract_id: int, **fields: Any) -> AdditionalModuleContract:
        """Make a module contract that starts today."""
        request = AdditionalModuleContractRequest(**fields)
        require_positive(self._purchase_status(contract_id, request))
        module = next(module for module in self.additional_modules if module.id == request.additional_module_id)
        price = next(way.price for way in module.payment_frequencies if way.id == request.payment_frequency_id)
        trial = module.trial_period_config
        number = self._new_id()
        self.modules[contract_id, number] = evolve(
            module_contract(self.today, module.name, price or euros("0.00"), self.today),
            rate_codes=module.rate_codes,
            trial_period=AdditionalModuleContractTrialPeriod(term=trial.term, start_date=self.today)
            if trial is not None and request.book_trial_period
            else None,
        )
        self._tell(WebhookEventType.CONTRACT_ADDITIONAL_MODULE_CREATED, contract_id, moduleContractId=number)
        return AdditionalModuleContract(id=number)

    def get_additional_module_contract(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> AdditionalModuleContractExtended:
        """Return a module contract."""
        try:
            return self.modules[contract_id, additional_module_contract_id]
        except KeyError:
            raise not_found("module contract") from None

    def create_module_contract_cancelation_amendment(
        self,
        *,
        contract_id: int,
        additional_module_contract_id: int,
        cancelation_date: date,
        cancelation_reason_id: int,
    ) -> VoidResult:
        """Cancel a module contract, or file the cancelation for the studio to verify."""
        module = self.get_additional_module_contract(
            contract_id=contract_id, additional_module_contract_id=additional_module_contract_id
        )
        self.modules[contract_id, additional_module_contract_id] = evolve(
            module,
            cancelation_reason=self._cancelation_reason_name(cancelation_reason_id),
            cancelation_date=available_date(cancelation_date, module.available_cancelation_dates),
            contract_cancelation_status=after_cancelation(
                module.contract_cancelation_status, verification=self.verification
            ),
            contract_cancelation_can_be_withdrawn=True,
        )
        if not self.verification:
            event = WebhookEventType.CONTRACT_ADDITIONAL_MODULE_CANCELLED
            self._tell(event, contract_id, moduleContractId=additional_module_contract_id)
        return VoidResult()

    def withdraw_additional_module_contract_cancelation(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> VoidResult:
        """Withdraw a module's cancelation, or file the withdrawal for the studio to verify."""
        module = self.get_additional_module_contract(
            contract_id=contract_id, additional_module_contract_id=additional_module_contract_id
        )
        status = after_withdrawal(module.contract_cancelation_status, verification=self.verification)
        changed = evolve(module, contract_cancelation_status=status, contract_cancelation_can_be_withdrawn=False)
        self.modules[contract_id, additional_module_contract_id] = (
            changed if status is not None else evolve(changed, cancelation_date=None, cancelation_reason=None)
        )
        return VoidResult()

    def _change_status(
        self, contract_id: int, idle_period_id: int, request: IdlePeriodUpdateRequest
    ) -> tuple[IdlePeriodValidationStatus, IdlePeriod]:
        period = self.get_idle_period_by_id(contract_id=contract_id, idle_period_id=idle_period_id)
        others = [other for other in self._idle_periods_of(contract_id).values() if other is not period]
        return change_status(self.idle_period_config, others, period, request, self.today), period

    def _store_idle_period(
        self, contract_id: int, request: IdlePeriodCreateRequest, reason: IdlePeriodReason, number: int, end: date
    ) -> IdlePeriod:
        state = IdlePeriodState.PENDING_VERIFICATION if self._changes_require_verification else IdlePeriodState.ACCEPTED
        kept = idle_period(self.idle_period_config, reason, number, request.start_date, end)
        kept = evolve(kept, state=state, unlimited=bool(request.unlimited))
        self.idle_periods[contract_id][number] = kept
        return kept

    def _purchase_status(
        self, contract_id: int, request: AdditionalModuleContractRequest
    ) -> AdditionalModuleValidationStatus:
        contract = self._contract_of_any_customer(contract_id)
        modules = {module.id: module for module in self.additional_modules}
        module = modules.get(request.additional_module_id)
        purchased = module is not None and self._has_module(contract_id, module)
        return purchase_status(contract, module, request, purchased=purchased)
