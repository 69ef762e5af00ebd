"""What each operation does to the state."""

from collections.abc import Iterable
from datetime import date
from typing import Any, ClassVar

from attrs import evolve

from membership_sdk.models import (
    AccountPreviewItem,
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractTrialPeriod,
    AdditionalModuleContractValidationStatus,
    AdditionalModuleValidationStatus,
    CancelationOrigin,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    ContractStatus,
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
from membership_sdk.sandbox.answers import euros, idle_period, module_contract
from membership_sdk.sandbox.rules import end_of, not_found, on_change, on_request, remaining
from membership_sdk.sandbox.state import State
from sdk_core.operation import Operation
from sdk_core.sandbox.requests import ReceivedDocument, RefusalError

__all__ = ["Handlers"]


class Handlers(State):
    """The operations."""

    operations: ClassVar[tuple[Operation[Any], ...]] = (*OPERATIONS, VERIFY_API_KEY)

    def verify_api_key(self) -> VoidResult:
        """Say yes: the key was checked on the way in."""
        return VoidResult()

    def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
        """Return the customer's contracts."""
        return list(self._contracts_of(customer_id).values())

    def get_contract_cancelation_reason_data(self) -> list[ContractCancelationReason]:
        """Return the reasons."""
        return self.reasons

    def create_contract_cancelation_amendment(
        self, *, customer_id: int, contract_id: int, cancelation_date: date, cancelation_reason_id: int
    ) -> VoidResult:
        """Cancel a main contract, or have the studio asked to."""
        contract = self._contract(customer_id, contract_id)
        self.contracts[customer_id][contract_id] = evolve(
            contract,
            cancelation_reason=self._reason(cancelation_reason_id),
            cancelation_date=_offered(cancelation_date, contract.available_cancelation_dates),
            cancelation_status=self._after_cancelation(contract.cancelation_status),
            cancelation_origin=CancelationOrigin.CUSTOMER,
        )
        return VoidResult()

    def withdraw_contract_cancelation(self, *, customer_id: int, contract_id: int) -> VoidResult:
        """Take a cancelation back, or have the studio asked to."""
        contract = self._contract(customer_id, contract_id)
        status = self._after_withdrawal(contract.cancelation_status)
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
        self._contract_of_any(contract_id)
        return self.idle_period_config

    def validate_idle_period_request(self, *, contract_id: int, **request: Any) -> IdlePeriodValidationStatusResult:
        """Return what `create_idle_period_amendment` would say."""
        others = self._idle_periods_of(contract_id).values()
        status = on_request(self.idle_period_config, others, IdlePeriodValidationRequest(**request))
        return IdlePeriodValidationStatusResult(validation_status=status)

    def get_idle_periods(self, *, contract_id: int) -> IdlePeriodLists:
        """Return idle periods and amendments, the past ones apart."""
        periods = sorted(self._idle_periods_of(contract_id).values(), key=lambda period: period.start_date)
        past = [period for period in periods if period.end_date is not None and period.end_date < self.today]
        return IdlePeriodLists(
            past_idle_periods=tuple(past),
            current_and_upcoming_idle_periods=tuple(period for period in periods if period not in past),
        )

    def create_idle_period_amendment(
        self, *, contract_id: int, document: ReceivedDocument | None, **request: Any
    ) -> IdlePeriod:
        """Create an idle period, or have the studio asked to."""
        asked = IdlePeriodCreateRequest(**request)
        periods = self._idle_periods_of(contract_id)
        reason = self._idle_reason(asked.reason_id)
        _check_document(reason, document)
        _insist(on_request(self.idle_period_config, periods.values(), asked))
        return self._keep(contract_id, asked, reason, next(self._new_ids), end_of(asked))

    def get_idle_period_by_id(self, *, contract_id: int, idle_period_id: int) -> IdlePeriod:
        """Return one."""
        try:
            return self._idle_periods_of(contract_id)[idle_period_id]
        except KeyError:
            raise not_found("idle period") from None

    def update_idle_period(
        self, *, contract_id: int, idle_period_id: int, document: ReceivedDocument | None, **request: Any
    ) -> IdlePeriod:
        """Change an idle period; a studio that checks gets an amendment with an id of its own beside it."""
        asked = IdlePeriodUpdateRequest(**request)
        status, period = self._judge_change(contract_id, idle_period_id, asked)
        reason = self._idle_reason(asked.reason_id)
        if reason != period.idle_period_reason:
            _check_document(reason, document)
        _insist(status)
        number = next(self._new_ids) if self._studio_checks else idle_period_id
        return self._keep(contract_id, asked, reason, number, asked.end_date or end_of(asked))

    def withdraw_idle_period(self, *, contract_id: int, idle_period_id: int) -> VoidResult:
        """Remove an idle period or amendment at once; whether a studio may check that first is not documented."""
        period = self.get_idle_period_by_id(contract_id=contract_id, idle_period_id=idle_period_id)
        del self.idle_periods[contract_id][period.id]
        return VoidResult()

    def idle_period_update_preview(
        self, *, contract_id: int, idle_period_id: int, **request: Any
    ) -> IdlePeriodUpdatePreview:
        """Return what `update_idle_period` would say, the contract's new end and the fee."""
        asked = IdlePeriodUpdateRequest(**request)
        reason = self._idle_reason(asked.reason_id)
        # Which of the two positive statuses the real API gives here is not known; UPDATABLE is likely.
        status, period = self._judge_change(contract_id, idle_period_id, asked)
        if not status.is_positive:
            return IdlePeriodUpdatePreview(validation_status=status)
        end = asked.end_date or end_of(asked)
        charge = AccountPreviewItem(
            due_date=asked.start_date,
            amount=self.idle_period_config.idle_period_fee,
            paid_period_from=asked.start_date,
            paid_period_to=end,
            description=reason.name,
        )
        contract_end = self._contract_of_any(contract_id).end_date
        if contract_end is not None and self.idle_period_config.contract_has_extension and period.end_date is not None:
            contract_end += (end - asked.start_date) - (period.end_date - period.start_date)
        return IdlePeriodUpdatePreview(
            validation_status=status, preview_end_date=contract_end, preview_charges=(charge,)
        )

    def get_remaining_idle_periods(self, *, contract_id: int) -> RemainingIdlePeriods:
        """Return what this calendar year has left."""
        return remaining(self.idle_period_config, self._idle_periods_of(contract_id).values(), self.today.year)

    def get_additional_modules(self) -> list[AdditionalModule]:
        """Return what the studio sells."""
        return self.additional_modules

    def get_purchasable_additional_modules(self, *, contract_id: int) -> list[AdditionalModule]:
        """Return the modules that the contract has not."""
        self._contract_of_any(contract_id)
        return [module for module in self.additional_modules if not self._has_module(contract_id, module)]

    def validate_additional_module_contract_request(
        self, *, contract_id: int, **request: Any
    ) -> AdditionalModuleContractValidationStatus:
        """Return what `purchase_additional_module_contract` would say."""
        status = self._judge_purchase(contract_id, AdditionalModuleContractRequest(**request))
        return AdditionalModuleContractValidationStatus(validation_status=status)

    def purchase_additional_module_contract(self, *, contract_id: int, **request: Any) -> AdditionalModuleContract:
        """Make a module contract that starts today."""
        asked = AdditionalModuleContractRequest(**request)
        _insist(self._judge_purchase(contract_id, asked))
        module = next(module for module in self.additional_modules if module.id == asked.additional_module_id)
        price = next(way.price for way in module.payment_frequencies if way.id == asked.payment_frequency_id)
        trial = module.trial_period_config
        number = next(self._new_ids)
        self.modules[contract_id, number] = evolve(
            module_contract(self.today, module.name, price or euros("0.00"), self.today),
            rate_codes=module.rate_codes,
            trial_period=AdditionalModuleContractTrialPeriod(term=trial.term, start_date=self.today)
            if trial is not None and asked.book_trial_period
            else None,
        )
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
        """Cancel a module contract, or have the studio asked to."""
        module = self.get_additional_module_contract(
            contract_id=contract_id, additional_module_contract_id=additional_module_contract_id
        )
        self.modules[contract_id, additional_module_contract_id] = evolve(
            module,
            cancelation_reason=self._reason(cancelation_reason_id),
            cancelation_date=_offered(cancelation_date, module.available_cancelation_dates),
            contract_cancelation_status=self._after_cancelation(module.contract_cancelation_status),
            contract_cancelation_can_be_withdrawn=True,
        )
        return VoidResult()

    def withdraw_additional_module_contract_cancelation(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> VoidResult:
        """Take a module's cancelation back, or have the studio asked to."""
        module = self.get_additional_module_contract(
            contract_id=contract_id, additional_module_contract_id=additional_module_contract_id
        )
        status = self._after_withdrawal(module.contract_cancelation_status)
        withdrawing = evolve(module, contract_cancelation_status=status, contract_cancelation_can_be_withdrawn=False)
        self.modules[contract_id, additional_module_contract_id] = (
            withdrawing if status is not None else evolve(withdrawing, cancelation_date=None, cancelation_reason=None)
        )
        return VoidResult()

    def _judge_change(
        self, contract_id: int, idle_period_id: int, asked: IdlePeriodUpdateRequest
    ) -> tuple[IdlePeriodValidationStatus, IdlePeriod]:
        period = self.get_idle_period_by_id(contract_id=contract_id, idle_period_id=idle_period_id)
        others = [other for other in self._idle_periods_of(contract_id).values() if other is not period]
        return on_change(self.idle_period_config, others, period, asked, self.today), period

    def _keep(
        self, contract_id: int, asked: IdlePeriodCreateRequest, reason: IdlePeriodReason, number: int, end: date
    ) -> IdlePeriod:
        state = IdlePeriodState.PENDING_VERIFICATION if self._studio_checks else IdlePeriodState.ACCEPTED
        kept = idle_period(self.idle_period_config, reason, number, asked.start_date, end)
        kept = evolve(kept, state=state, unlimited=bool(asked.unlimited))
        self.idle_periods[contract_id][number] = kept
        return kept

    def _judge_purchase(
        self, contract_id: int, asked: AdditionalModuleContractRequest
    ) -> AdditionalModuleValidationStatus:
        status = AdditionalModuleValidationStatus
        contract = self._contract_of_any(contract_id)
        module = next((module for module in self.additional_modules if module.id == asked.additional_module_id), None)
        if module is None:
            return status.ADDITIONAL_MODULE_NOT_FOUND
        if self._has_module(contract_id, module):
            return status.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED
        if contract.contract_status != ContractStatus.ACTIVE:
            return status.ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS
        if asked.payment_frequency_id not in {way.id for way in module.payment_frequencies}:
            return status.ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE
        if asked.book_trial_period and module.trial_period_config is None:
            return status.ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE
        return status.ADDITIONAL_MODULE_PURCHASABLE

    def _after_cancelation(self, status: CancelationStatus | None) -> CancelationStatus:
        if status is not None:
            raise RefusalError(400, "ALREADY_CANCELED", f"The contract is {status} already.")
        return CancelationStatus.PENDING_VERIFICATION if self.verification else CancelationStatus.CANCELED

    def _after_withdrawal(self, status: CancelationStatus | None) -> CancelationStatus | None:
        # 400 is our choice: how the real API refuses a withdrawal that has nothing to withdraw is not known.
        if status is None:
            raise RefusalError(400, "NOT_CANCELED", "There is no cancelation to withdraw.")
        if status == CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION:
            raise RefusalError(400, "WITHDRAWAL_PENDING", "The withdrawal waits for the studio already.")
        checked = self.verification and status == CancelationStatus.CANCELED
        return CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION if checked else None


def _offered(wanted: date, offered: Iterable[date]) -> date:
    if wanted not in offered:
        raise RefusalError(400, "CANCELATION_DATE_NOT_AVAILABLE", "The date is not on offer.", field="cancelationDate")
    return wanted


def _insist(status: IdlePeriodValidationStatus | AdditionalModuleValidationStatus) -> None:
    """Refuse what validation would. 400, and the status as code, are our choice: the real API's answer is unknown."""
    if not status.is_positive:
        raise RefusalError(400, status, f"It can not be done: {status}.")


def _check_document(reason: IdlePeriodReason, document: ReceivedDocument | None) -> None:
    # How the real API answers here is not known.
    if reason.document_required and document is None:
        raise RefusalError(400, "DOCUMENT_REQUIRED", f"The reason {reason.name} needs a document.", field="document")
