"""The demo: a cancelation and its withdrawal, without and with failures."""

import warnings
from collections.abc import Sequence
from datetime import date
from typing import Any

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import CancelationStatus, ContractData
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import cancel_contract, withdraw_cancelation
from sdk_core.cli.narration import ClaimError, Narration
from sdk_core.errors import ConnectionFailedError
from sdk_core.outcome import Outcome
from sdk_core.workflow import Change

__all__ = ["demo"]


async def demo() -> None:
    """Show the main task on a sandbox.

    Raises:
        ClaimError: a statement of the demo does not hold.
        SdkError: a call failed that should succeed.
    """
    tell = Narration()
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        tell.say(f"A sandbox of the Membership API answers at {sandbox.url}")
        await _read(tell, sandbox, client)
        await _cancel(tell, sandbox, client)
        await _withdraw_despite_refusals(tell, sandbox, client)
        await _cancel_module(tell, sandbox, client)
        await _lose_the_answer(tell, sandbox, client)
        await _settle(tell, sandbox, client)
        tell.end(f"All of it happened: {len(sandbox.requests)} requests, {len(sandbox.ledger)} effects.")


async def _read(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Read the member's contracts and the studio's reasons for cancelations")
    contracts = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
    _show(tell, contracts)
    reasons = await client.get_contract_cancelation_reason_data()
    tell.table(("reason", "name"), ((r.cancelation_reason_id, r.cancelation_reason_name) for r in reasons))
    tell.check("both are what the server holds", (contracts, reasons), (_state(sandbox), sandbox.reasons))


async def _cancel(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Cancel one, and read it again: the answer itself holds no state")
    contract = await _contract(sandbox, client)
    await client.create_contract_cancelation_amendment(
        customer_id=sandbox.CUSTOMER_ID,
        contract_id=contract.id,
        cancelation_date=contract.available_cancelation_dates[0],
        cancelation_reason_id=sandbox.REASON_ID,
    )
    canceled = await _contract(sandbox, client)
    _show(tell, [canceled])
    tell.check("the contract is canceled", canceled.cancelation_status, CancelationStatus.CANCELED)
    tell.check("to that date", canceled.cancelation_date, contract.available_cancelation_dates[0])
    tell.check(
        "by one effect on the server", _effects(sandbox), [operations.CREATE_CONTRACT_CANCELATION_AMENDMENT.name]
    )


async def _withdraw_despite_refusals(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Withdraw that, against a concurrent change (409) and a rate limit (429)")
    before = len(sandbox.ledger)
    sandbox.fail(Fault.status(409), Fault.status(429, retry_after=1))
    reply = await client.call_with_reply(
        operations.WITHDRAW_CONTRACT_CANCELATION, customer_id=sandbox.CUSTOMER_ID, contract_id=sandbox.CONTRACT_ID
    )
    tell.attempts(reply.attempts)
    tell.check("the two refusals were retried", [attempt.status for attempt in reply.attempts], [409, 429, 200])
    tell.check("the server's Retry-After of 1 s was respected", reply.attempts[2].delay >= 1, expected=True)
    tell.check(
        "three requests, one effect", _effects(sandbox)[before:], [operations.WITHDRAW_CONTRACT_CANCELATION.name]
    )
    tell.check("the contract is not canceled", (await _contract(sandbox, client)).cancelation_status, None)


async def _cancel_module(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Cancel an additional module")
    contract_id, module_id = sandbox.CONTRACT_ID, sandbox.MODULE_CONTRACT_ID
    module = await client.get_additional_module_contract(
        contract_id=contract_id, additional_module_contract_id=module_id
    )
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await client.create_module_contract_cancelation_amendment(
            contract_id=contract_id,
            additional_module_contract_id=module_id,
            cancelation_date=module.available_cancelation_dates[0],
            cancelation_reason_id=sandbox.REASON_ID,
        )
    for warning in caught:
        tell.note(str(warning.message))
    module = await client.get_additional_module_contract(
        contract_id=contract_id, additional_module_contract_id=module_id
    )
    tell.table(
        ("module", "price", "state", "to"),
        [(module.name, module.price.amount, module.contract_cancelation_status, module.cancelation_date)],
    )
    tell.check("the module is canceled", module.contract_cancelation_status, CancelationStatus.CANCELED)
    tell.check(
        "by one effect on the server",
        _effects(sandbox)[-1],
        operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT.name,
    )


async def _lose_the_answer(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Cancel again, and lose the answer: the server cancels, but the connection drops")
    contract = await _contract(sandbox, client)
    before = len(sandbox.ledger)
    sandbox.fail(Fault.drop(after_applying=True))
    try:
        await client.create_contract_cancelation_amendment(
            customer_id=sandbox.CUSTOMER_ID,
            contract_id=contract.id,
            cancelation_date=contract.available_cancelation_dates[-1],
            cancelation_reason_id=sandbox.REASON_ID,
        )
    except ConnectionFailedError as error:
        tell.attempts(error.attempts)
        tell.check("the error says that the effect is unknown", error.outcome, Outcome.UNKNOWN)
        tell.check("so the call was not repeated", len(error.attempts), 1)
    else:
        raise ClaimError("the connection did not drop")
    contract = await _contract(sandbox, client)
    _show(tell, [contract])
    tell.check("reading the contract shows that it happened", contract.cancelation_status, CancelationStatus.CANCELED)
    tell.check("and only once", _effects(sandbox)[before:], [operations.CREATE_CONTRACT_CANCELATION_AMENDMENT.name])


async def _settle(tell: Narration, sandbox: MembershipSandbox, client: MembershipClient) -> None:
    tell.step("Leave that to workflows: they read the state first, and again when the effect is unknown")
    ids: dict[str, Any] = {"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CONTRACT_ID}
    withdrawn = await withdraw_cancelation(client, **ids)
    tell.check("withdraw_cancelation changed it", (withdrawn.changed, withdrawn.state.cancelation_status), (True, None))
    before = len(sandbox.ledger)
    sandbox.fail(Fault.drop(after_applying=True), operation=operations.CREATE_CONTRACT_CANCELATION_AMENDMENT.name)
    first = await cancel_contract(client, **ids, on="latest", reason="Moving away")
    _show(tell, [first.state])
    tell.check("it is canceled; by whom, nobody knows: the answer was lost", first.change, Change.UNKNOWN)
    again = await cancel_contract(client, **ids, on="latest", reason="Moving away")
    tell.check("run again, it finds nothing to do", again.unchanged, expected=True)
    tell.check(
        "one effect on the server", _effects(sandbox)[before:], [operations.CREATE_CONTRACT_CANCELATION_AMENDMENT.name]
    )


async def _contract(sandbox: MembershipSandbox, client: MembershipClient) -> ContractData:
    contracts = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
    return next(contract for contract in contracts if contract.id == sandbox.CONTRACT_ID)


def _show(tell: Narration, contracts: Sequence[ContractData]) -> None:
    tell.table(
        ("contract", "rate", "price", "state", "to", "on offer"),
        (
            (
                contract.id,
                contract.rate_name,
                contract.price_details.current_price and contract.price_details.current_price.amount,
                contract.cancelation_status,
                contract.cancelation_date,
                _summary(contract.available_cancelation_dates),
            )
            for contract in contracts
        ),
    )


def _summary(dates: Sequence[date]) -> str:
    return f"{dates[0]} and {len(dates) - 1} more" if dates else "nothing"


def _state(sandbox: MembershipSandbox) -> list[ContractData]:
    return list(sandbox.contracts[sandbox.CUSTOMER_ID].values())


def _effects(sandbox: MembershipSandbox) -> list[str]:
    return [entry.operation for entry in sandbox.ledger]
