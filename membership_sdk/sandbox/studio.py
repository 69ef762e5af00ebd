"""What the studio does in the sandbox: it verifies what its members have asked for."""

from typing import Any, Final

from attrs import evolve

from membership_sdk.models import CancelationStatus, IdlePeriod, IdlePeriodState
from membership_sdk.sandbox.handlers import Handlers
from membership_sdk.webhooks import WebhookEventType

__all__ = ["Studio"]

_AFTER_WITHDRAWAL: Final[dict[str, Any]] = {"cancelation_date": None, "cancelation_reason": None}


class Studio(Handlers):
    """The studio's side of what waits for it."""

    def agree(self, *, contract_id: int) -> None:
        """Verify all that waits for the studio: of the contract, of its modules and of its idle periods.

        Raises:
            ValueError: nothing waits.
        """
        with self.lock:
            verified = [self._agree_to_contract(contract_id)]
            verified += [self._agree_to_module(*ids) for ids in self.modules if ids[0] == contract_id]
            verified += [self._agree_to_period(contract_id, period) for period in self._periods(contract_id)]
        if not any(verified):
            raise ValueError("nothing of this contract waits for the studio")

    def _agree_to_contract(self, contract_id: int) -> bool:
        customer_id = self._customer_of(contract_id)
        contract = self.contracts[customer_id][contract_id]
        match contract.cancelation_status:
            case CancelationStatus.PENDING_VERIFICATION:
                agreed = evolve(contract, cancelation_status=CancelationStatus.CANCELED)
                self._tell(WebhookEventType.CONTRACT_CANCELLED, contract_id)
            case CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION:
                agreed = evolve(contract, cancelation_status=None, cancelation_origin=None, **_AFTER_WITHDRAWAL)
            case _:
                return False
        self.contracts[customer_id][contract_id] = agreed
        return True

    def _agree_to_module(self, contract_id: int, number: int) -> bool:
        module = self.modules[contract_id, number]
        match module.contract_cancelation_status:
            case CancelationStatus.PENDING_VERIFICATION:
                agreed = evolve(module, contract_cancelation_status=CancelationStatus.CANCELED)
                self._tell(WebhookEventType.CONTRACT_ADDITIONAL_MODULE_CANCELLED, contract_id, moduleContractId=number)
            case CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION:
                agreed = evolve(module, contract_cancelation_status=None, **_AFTER_WITHDRAWAL)
            case _:
                return False
        self.modules[contract_id, number] = agreed
        return True

    def _periods(self, contract_id: int) -> list[IdlePeriod]:
        return [*self.idle_periods.get(contract_id, {}).values()]

    def _agree_to_period(self, contract_id: int, period: IdlePeriod) -> bool:
        if period.state != IdlePeriodState.PENDING_VERIFICATION:
            return False
        periods = self.idle_periods[contract_id]
        # An amendment has an id of its own until it is accepted, and then it is what it has amended.
        amended = self._amended.pop(period.id, None)
        del periods[period.id]
        kept = evolve(period, id=period.id if amended is None else amended, state=IdlePeriodState.ACCEPTED)
        periods[kept.id] = kept
        event = WebhookEventType
        kind = event.CONTRACT_IDLE_PERIOD_CREATED if amended is None else event.CONTRACT_IDLE_PERIOD_UPDATED
        self._tell(kind, contract_id, idlePeriodId=kept.id)
        return True
