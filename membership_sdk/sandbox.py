"""The Membership API in process: a studio with one member, to try things on, to test with, to break on purpose."""

from calendar import monthrange
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Final, Unpack

from aiohttp import web
from attrs import evolve

from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModuleContractExtended,
    CancelationOrigin,
    CancelationStatus,
    ContractCancelationReason,
    ContractData,
    ContractPaymentFrequency,
    ContractStatus,
    Money,
    PaymentFrequencyType,
    PriceDetails,
    TemporalUnit,
    Term,
    TimePeriod,
    VoidResult,
)
from membership_sdk.operations import OPERATIONS, VERIFY_API_KEY
from sdk_core import codec
from sdk_core.client import ClientOptions
from sdk_core.operation import Operation
from sdk_core.sandbox import Fault, LedgerEntry, ReceivedRequest, RefusalError, Sandbox

__all__ = ["Fault", "LedgerEntry", "MembershipSandbox", "ReceivedRequest"]


class MembershipSandbox(Sandbox):
    """The Membership API on a loopback port: `async with MembershipSandbox() as sandbox:`.

    Error codes and the status of business refusals are the sandbox's own: the API publishes neither.

    Args:
        verification: whether the studio checks cancelations and withdrawals before they count.
        contracts: main contracts by customer id; None: two of CUSTOMER_ID.
        modules: module contracts by (contract id, module contract id); None: one of CONTRACT_ID.
        reasons: the cancelation reasons; None: two.
        today: the date that the contracts above are made for; None: today.
    """

    API_KEY: Final = "sandbox-key"
    CUSTOMER_ID: Final = 1001
    CONTRACT_ID: Final = 2002
    """Not canceled; three dates on offer."""
    CANCELED_CONTRACT_ID: Final = 2003
    """Canceled by the member."""
    MODULE_CONTRACT_ID: Final = 3003
    """Of CONTRACT_ID; not canceled."""
    REASON_ID: Final = 11

    operations: ClassVar[tuple[Operation[Any], ...]] = (*OPERATIONS, VERIFY_API_KEY)

    def __init__(
        self,
        *,
        verification: bool = False,
        contracts: Mapping[int, Iterable[ContractData]] | None = None,
        modules: Mapping[tuple[int, int], AdditionalModuleContractExtended] | None = None,
        reasons: Iterable[ContractCancelationReason] | None = None,
        today: date | None = None,
    ) -> None:
        super().__init__(today=today)
        self.verification = verification
        if contracts is None:
            contracts = {self.CUSTOMER_ID: _contracts(self.today)}
        self.contracts: dict[int, dict[int, ContractData]] = {
            customer: {contract.id: contract for contract in own} for customer, own in contracts.items()
        }
        """The state of the main contracts, by customer id and contract id."""
        if modules is None:
            modules = {(self.CONTRACT_ID, self.MODULE_CONTRACT_ID): _module(self.today)}
        self.modules: dict[tuple[int, int], AdditionalModuleContractExtended] = dict(modules)
        """The state of the module contracts, by contract id and module contract id."""
        self.reasons: list[ContractCancelationReason] = _reasons() if reasons is None else list(reasons)

    def client(
        self, *, api_key: str = API_KEY, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> MembershipClient:
        """Return a client for this sandbox; the options are those of MembershipClient."""
        return MembershipClient(self.url, api_key, language=language, **options)

    def admit(self, request: web.Request) -> None:
        """Ask for the API key."""
        if request.headers.get("X-API-KEY") != self.API_KEY:
            raise RefusalError(401, "UNAUTHORIZED", "The API key is missing or wrong.")

    def elsewhere(self, request: web.Request) -> object:
        """Answer HEAD on any path: it checks the key and nothing else."""
        return self.verify_api_key() if request.method == "HEAD" else super().elsewhere(request)

    def envelope(self, refusal: RefusalError, request: web.Request) -> bytes:  # noqa: ARG002  nothing is echoed
        """Return an ErrorResponse."""
        answer = {
            "errorMessage": refusal.message,
            "errorCode": refusal.code,
            "traceId": f"sandbox-{len(self.requests)}",
            "reference": refusal.field,
        }
        return codec.dump({name: value for name, value in answer.items() if value is not None})

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

    def get_additional_module_contract(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> AdditionalModuleContractExtended:
        """Return a module contract."""
        try:
            return self.modules[contract_id, additional_module_contract_id]
        except KeyError:
            raise _not_found("module contract") from None

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

    def _contracts_of(self, customer_id: int) -> dict[int, ContractData]:
        try:
            return self.contracts[customer_id]
        except KeyError:
            raise _not_found("customer") from None

    def _contract(self, customer_id: int, contract_id: int) -> ContractData:
        try:
            return self._contracts_of(customer_id)[contract_id]
        except KeyError:
            raise _not_found("contract") from None

    def _reason(self, reason_id: int) -> str:
        for reason in self.reasons:
            if reason.cancelation_reason_id == reason_id:
                return reason.cancelation_reason_name
        raise RefusalError(400, "CANCELATION_REASON_UNKNOWN", "There is no such reason.", field="cancelationReasonId")

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


def _not_found(what: str) -> RefusalError:
    return RefusalError(404, "NOT_FOUND", f"There is no such {what}.")


def _offered(wanted: date, offered: Iterable[date]) -> date:
    if wanted not in offered:
        raise RefusalError(400, "CANCELATION_DATE_NOT_AVAILABLE", "The date is not on offer.", field="cancelationDate")
    return wanted


def _end_of_month(today: date, later: int) -> date:
    years, month = divmod(today.month - 1 + later, 12)
    year = today.year + years
    return date(year, month + 1, monthrange(year, month + 1)[1])


def _euros(amount: str) -> Money:
    return Money(amount=Decimal(amount), currency="EUR")


def _contract(today: date, contract_id: int, rate: str, price: str) -> ContractData:
    monthly = ContractPaymentFrequency(
        type=PaymentFrequencyType.RECURRING,
        id=contract_id + 5000,
        term=Term(value=1, unit=TemporalUnit.MONTH),
        price=_euros(price),
    )
    return ContractData(
        id=contract_id,
        start_date=date(today.year - 1, 1, 1),
        end_date=_end_of_month(today, 12),
        rate_name=rate,
        contract_status=ContractStatus.ACTIVE,
        price_details=PriceDetails(base_price=_euros(price), current_price=_euros(price), payment_frequency=monthly),
        cancelation_period=TimePeriod(period_value=1, period_unit=TemporalUnit.MONTH),
        last_possible_cancelation_date=_end_of_month(today, 0),
        available_cancelation_dates=tuple(_end_of_month(today, later) for later in (1, 2, 3)),
    )


def _contracts(today: date) -> tuple[ContractData, ...]:
    premium = _contract(today, MembershipSandbox.CONTRACT_ID, "Premium", "39.90")
    evening = _contract(today, MembershipSandbox.CANCELED_CONTRACT_ID, "Evenings", "19.90")
    canceled = evolve(
        evening,
        cancelation_status=CancelationStatus.CANCELED,
        cancelation_date=_end_of_month(today, 1),
        cancelation_reason=_reasons()[0].cancelation_reason_name,
        cancelation_origin=CancelationOrigin.CUSTOMER,
    )
    return premium, canceled


def _module(today: date) -> AdditionalModuleContractExtended:
    return AdditionalModuleContractExtended(
        name="Sauna",
        price=_euros("9.90"),
        start_date=date(today.year - 1, 1, 1),
        contract_cancelation_can_be_withdrawn=False,
        last_possible_cancelation_date=_end_of_month(today, 0),
        available_cancelation_dates=tuple(_end_of_month(today, later) for later in (1, 2)),
    )


def _reasons() -> list[ContractCancelationReason]:
    names = {MembershipSandbox.REASON_ID: "Moving away", 12: "No time"}
    return [
        ContractCancelationReason(cancelation_reason_id=number, cancelation_reason_name=name)
        for number, name in names.items()
    ]
