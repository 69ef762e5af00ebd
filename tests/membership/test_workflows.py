"""Workflows end in the state they name, with one effect on the server, however the connection behaves."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from datetime import date, timedelta
from typing import Any

import pytest
from aiohttp import web
from cases import goes_through
from wire import FakeTime

from membership_sdk import (
    BadRequestError,
    CancelationStatus,
    Change,
    ConnectionFailedError,
    Document,
    IdlePeriodCreateRequest,
    InvalidResponseError,
    MembershipClient,
    NotFoundError,
    NotOfferedError,
    NotSettledError,
    Outcome,
    RetryPolicy,
    Settled,
    WorkflowError,
    operations,
)
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import (
    cancel_contract,
    cancel_module,
    purchase_module,
    request_idle_period,
    withdraw_cancelation,
    withdraw_module_cancelation,
)
from sdk_core.workflow import LAST_READ

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")

Run = Callable[[MembershipClient, MembershipSandbox], Awaitable[Any]]
CONTRACT = {"customer_id": MembershipSandbox.CUSTOMER_ID, "contract_id": MembershipSandbox.CONTRACT_ID}
CANCELED = {"customer_id": MembershipSandbox.CUSTOMER_ID, "contract_id": MembershipSandbox.CANCELED_CONTRACT_ID}
MODULE = {
    "contract_id": MembershipSandbox.CONTRACT_ID,
    "additional_module_contract_id": MembershipSandbox.MODULE_CONTRACT_ID,
}


def policy(fake_time: FakeTime) -> RetryPolicy:
    return RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)


def first_of_next_month(today: date) -> date:
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


async def cancel(client: MembershipClient, _sandbox: MembershipSandbox) -> Settled[Any]:
    return await cancel_contract(client, **CONTRACT, on="earliest", reason="Moving away")


async def withdraw(client: MembershipClient, _sandbox: MembershipSandbox) -> Settled[Any]:
    return await withdraw_cancelation(client, **CANCELED)


async def end_module(client: MembershipClient, _sandbox: MembershipSandbox) -> Settled[Any]:
    return await cancel_module(client, **MODULE, on="latest", reason=MembershipSandbox.REASON_ID)


async def pause(client: MembershipClient, sandbox: MembershipSandbox) -> Settled[Any]:
    config = await client.get_idle_period_config(contract_id=sandbox.CONTRACT_ID)
    reason = next(r for r in config.idle_period_reasons if not r.document_required)
    return await request_idle_period(
        client,
        contract_id=sandbox.CONTRACT_ID,
        start_date=config.first_possible_start_date,
        reason=reason.name,
        term_value=1,
    )


WORKFLOWS: dict[str, tuple[str, Run]] = {
    "create_contract_cancelation_amendment": ("cancel_contract", cancel),
    "withdraw_contract_cancelation": ("withdraw_cancelation", withdraw),
    "create_module_contract_cancelation_amendment": ("cancel_module", end_module),
    "create_idle_period_amendment": ("request_idle_period", pause),
}
each = pytest.mark.parametrize(
    ("operation", "run"),
    [(operation, run) for operation, (_, run) in WORKFLOWS.items()],
    ids=[n for n, _ in WORKFLOWS.values()],
)


@each
async def test_twice_in_sequence_is_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """The first run changes it, the second finds it done."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        first, second = await run(client, sandbox), await run(client, sandbox)
        assert (first.changed, second.changed, second.unchanged) == (True, False, True)
        assert first.state == second.state
        assert [entry.operation for entry in sandbox.ledger] == [operation]


@each
async def test_twice_concurrently_is_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """Whoever comes second is refused, reads again, and says that it was not him."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await asyncio.gather(run(client, sandbox), run(client, sandbox))
        assert sorted(s.changed for s in settled) == [False, True]
        assert settled[0].state == settled[1].state
        assert [entry.operation for entry in sandbox.ledger] == [operation]


@each
async def test_dropped_connection_leaves_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """Dropped after the effect it is only read."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(Fault.drop(after_applying=True), operation=operation)
        settled = await run(client, sandbox)
        assert settled.change is Change.UNKNOWN
        assert [entry.operation for entry in sandbox.ledger] == [operation]
        assert len([request for request in sandbox.requests if request.operation == operation]) == 1


@each
async def test_server_that_always_drops_is_asked_once_and_the_error_says_unknown(
    operation: str, run: Run, fake_time: FakeTime
) -> None:
    """What may have happened is not repeated."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(*[Fault.drop()] * 5, operation=operation)
        with pytest.raises(NotSettledError) as caught:
            await run(client, sandbox)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len([request for request in sandbox.requests if request.operation == operation]) == 1
        assert sandbox.ledger == []


@each
async def test_refusal_is_raised_as_it_was(operation: str, run: Run, fake_time: FakeTime) -> None:
    """A 400 that nobody else's change explains."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(Fault.status(400), operation=operation)
        with pytest.raises(BadRequestError):
            await run(client, sandbox)
        assert sandbox.ledger == []


async def test_cancelation_waits_for_the_studio_where_it_must(fake_time: FakeTime) -> None:
    """PENDING_VERIFICATION is the end of the procedure too, and its withdrawal as well."""
    async with MembershipSandbox(verification=True) as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await cancel(client, sandbox)
        assert settled.state.cancelation_status == CancelationStatus.PENDING_VERIFICATION
        withdrawn = await withdraw_cancelation(client, **CONTRACT)
        assert withdrawn.changed
        assert withdrawn.state.cancelation_status is None


async def test_module_cancelation_is_withdrawn(fake_time: FakeTime) -> None:
    """And once more finds nothing to do."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        await end_module(client, sandbox)
        first = await withdraw_module_cancelation(client, **MODULE)
        second = await withdraw_module_cancelation(client, **MODULE)
        assert (first.changed, second.changed) == (True, False)
        assert first.state.contract_cancelation_status is None
        assert len(sandbox.ledger) == 2


async def test_ids_of_all_calls_are_returned(fake_time: FakeTime) -> None:
    """Read, act, read: each as the server saw it."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await withdraw(client, sandbox)
        assert len(settled.correlation_ids) == len(set(settled.correlation_ids)) == 3


async def test_date_is_chosen_from_those_on_offer(fake_time: FakeTime) -> None:
    """Earliest, latest, or itself."""
    for on, pick in (("earliest", min), ("latest", max), (None, lambda offered: sorted(offered)[1])):
        async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
            contract = (await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID))[0]
            wanted = pick(contract.available_cancelation_dates)
            settled = await cancel_contract(client, **CONTRACT, on=on or wanted, reason=sandbox.REASON_ID)
            assert settled.state.cancelation_date == wanted


@pytest.mark.parametrize(
    ("arguments", "error", "names"),
    [
        ({"on": date(1999, 1, 1)}, NotOfferedError, "on"),
        ({"on": "soon"}, TypeError, "on"),
        ({"on": "latest", "reason": "No such reason"}, NotOfferedError, "reason"),
        ({"on": "latest", "reason": None}, TypeError, "reason"),
        ({"on": "latest", "contract_id": 4}, WorkflowError, "no such contract"),
        ({"on": "latest", "customer_id": 4}, NotFoundError, "404"),
    ],
)
async def test_what_is_not_offered_is_never_asked_for(
    arguments: dict[str, Any], error: type[Exception], names: str, fake_time: FakeTime
) -> None:
    """Refused by what was read, before the cancelation is sent."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        with pytest.raises(error, match=names):
            await cancel_contract(client, **{**CONTRACT, "reason": sandbox.REASON_ID, **arguments})
        assert sandbox.ledger == []
        assert "create_contract_cancelation_amendment" not in {request.operation for request in sandbox.requests}


async def test_contract_canceled_to_another_date_is_left_alone(fake_time: FakeTime) -> None:
    """Asking for a date is not fulfilled by another one."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        with pytest.raises(WorkflowError, match="another date") as caught:
            await cancel_contract(client, **CANCELED, on=date(1999, 1, 1), reason=sandbox.REASON_ID)
        assert caught.value.state == "CANCELED"
        assert sandbox.ledger == []


async def test_unknown_state_is_not_acted_upon(fake_time: FakeTime) -> None:
    """What this release does not know it does not touch."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        contracts = sandbox.contracts[sandbox.CUSTOMER_ID]
        contract = contracts[sandbox.CONTRACT_ID]
        from attrs import evolve

        contracts[sandbox.CONTRACT_ID] = evolve(contract, cancelation_status=CancelationStatus("IN_LIMBO"))
        for workflow in (cancel(client, sandbox), withdraw_cancelation(client, **CONTRACT)):
            with pytest.raises(WorkflowError, match="IN_LIMBO"):
                await workflow
        assert sandbox.ledger == []


async def test_purchase_is_sent_once(fake_time: FakeTime) -> None:
    """Bought, and the second run learns from the validation that it was."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        order = await order_for(client, sandbox)
        first, second = await purchase_module(client, **order), await purchase_module(client, **order)
        assert first.changed
        assert first.additional_module_contract_id is not None
        assert second.unchanged
        assert [entry.operation for entry in sandbox.ledger] == ["purchase_additional_module_contract"]


async def test_lost_purchase_is_found_by_its_validation(fake_time: FakeTime) -> None:
    """Bought, by whom is not known; its id is nowhere."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        order = await order_for(client, sandbox)
        sandbox.fail(Fault.drop(after_applying=True), operation="purchase_additional_module_contract")
        purchase = await purchase_module(client, **order)
        assert (purchase.change, purchase.additional_module_contract_id) == (Change.UNKNOWN, None)
        assert [entry.operation for entry in sandbox.ledger] == ["purchase_additional_module_contract"]


async def test_unknown_purchase_is_reported_and_not_repeated(fake_time: FakeTime) -> None:
    """It does not show; so the run ends when its time is over, and whoever runs it again sends another."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        order = await order_for(client, sandbox)
        sandbox.fail(Fault.drop(), operation="purchase_additional_module_contract")
        with pytest.raises(NotSettledError) as caught:
            await purchase_module(client, **order)
        assert (caught.value.outcome, caught.value.state) == (Outcome.UNKNOWN, "ADDITIONAL_MODULE_PURCHASABLE")
        assert sandbox.ledger == []
        with pytest.raises(NotSettledError, match="nothing was sent"):
            await purchase_module(client, **order, ask=False)
        assert (await purchase_module(client, **order)).changed


async def test_purchase_that_would_be_refused_is_not_sent(fake_time: FakeTime) -> None:
    """The verdict is the error's state."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        order = {**await order_for(client, sandbox), "additional_module_id": 987654}
        with pytest.raises(NotOfferedError) as caught:
            await purchase_module(client, **order)
        assert caught.value.state == "ADDITIONAL_MODULE_NOT_FOUND"
        # A member of an enumeration would be no plain JSON.
        assert type(caught.value.to_dict()["state"]) is str
        assert sandbox.ledger == []


async def order_for(client: MembershipClient, sandbox: MembershipSandbox) -> dict[str, Any]:
    module = (await client.get_purchasable_additional_modules(contract_id=sandbox.CONTRACT_ID))[0]
    return {
        "contract_id": sandbox.CONTRACT_ID,
        "additional_module_id": module.id,
        "payment_frequency_id": module.payment_frequencies[0].id,
    }


async def test_idle_period_rules_are_checked_first(fake_time: FakeTime) -> None:
    """A reason that needs a document, a start the studio does not take: nothing is requested."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        config = await client.get_idle_period_config(contract_id=sandbox.CONTRACT_ID)
        ill = next(reason for reason in config.idle_period_reasons if reason.document_required)
        wanted: dict[str, Any] = {
            "contract_id": sandbox.CONTRACT_ID,
            "start_date": config.first_possible_start_date,
            "reason": ill.id,
            "term_value": 1,
        }
        with pytest.raises(NotOfferedError, match="document"):
            await request_idle_period(client, **wanted)
        proof = Document(source=b"%PDF-", content_type="application/pdf")
        with pytest.raises(NotOfferedError) as caught:
            await request_idle_period(client, **{**wanted, "start_date": date(1999, 1, 5)}, document=proof)
        assert caught.value.state is not None
        assert caught.value.state.startswith("IDLEPERIOD_")
        assert sandbox.ledger == []
        assert (await request_idle_period(client, **wanted, document=proof)).changed


async def test_state_that_never_comes_is_an_error_with_the_last_one(fake_time: FakeTime) -> None:
    """The API said yes, and the contract never shows it."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(*[Fault.drop()] * 5, operation="withdraw_contract_cancelation")
        with pytest.raises(NotSettledError) as caught:
            await withdraw(client, sandbox)
        assert (caught.value.state, caught.value.outcome) == ("CANCELED", Outcome.UNKNOWN)
        assert isinstance(caught.value.__cause__, ConnectionFailedError)
        assert sandbox.ledger == []


@pytest.mark.parametrize("lost", [False, True], ids=["acknowledged", "answer lost"])
@pytest.mark.parametrize("status", [403, 429, 500])
@each
async def test_effect_that_cannot_be_read_back_is_unknown(
    operation: str, run: Run, status: int, lost: bool, fake_time: FakeTime
) -> None:
    """The failure of the reading is not the outcome of the change; if it passes in time, nothing was lost."""
    reads = {
        "create_idle_period_amendment": "get_idle_periods",
        "create_module_contract_cancelation_amendment": "get_additional_module_contract",
    }
    read = reads.get(operation, "get_contract_data")
    for failures in (3, 100):
        async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
            if lost:
                sandbox.fail(Fault.drop(after_applying=True), operation=operation)

            def once_applied(*arguments: Any, apply: Any = sandbox.record, fail: Any = sandbox.fail) -> Any:
                fail(*[Fault.status(status, retry_after=5)] * failures, operation=read)  # noqa: B023
                return apply(*arguments)

            sandbox.record = once_applied  # type: ignore[method-assign]
            started = fake_time.now
            if failures == 3:
                assert (await run(client, sandbox)).change is (Change.UNKNOWN if lost else Change.ACKNOWLEDGED)
            else:
                with pytest.raises(NotSettledError, match="could not be read") as caught:
                    await run(client, sandbox)
                assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)
                assert 30 <= round(fake_time.now - started, 3) <= 30 + LAST_READ
            assert len(sandbox.ledger) == 1


async def test_concurrent_purchases_are_one(fake_time: FakeTime) -> None:
    """Whoever comes second learns that it is bought."""
    async with MembershipSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        order = await order_for(client, sandbox)
        purchases = await asyncio.gather(purchase_module(client, **order), purchase_module(client, **order))
        assert sorted(purchase.changed for purchase in purchases) == [False, True]
        assert len(sandbox.ledger) == 1


@goes_through(
    ("workflow", "wrong"),
    [
        (cancel_contract, {"contract_id": "a"}),
        (cancel_contract, {"customer_id": -1}),
        (cancel_contract, {"reason": True}),
        (withdraw_cancelation, {"contract_id": 0}),
        (cancel_module, {"additional_module_contract_id": None}),
        (withdraw_module_cancelation, {"contract_id": "a"}),
        (purchase_module, {"payment_frequency_id": "a"}),
        (purchase_module, {"book_trial_period": 1}),
        (request_idle_period, {"term_value": "a"}),
        (request_idle_period, {"document": b"x"}),
        (request_idle_period, {"reason": None}),
    ],
)
async def test_bad_arguments_are_refused_before_anything_is_sent(workflow: Any, wrong: dict[str, Any]) -> None:
    """Each names the argument, and none shows the value."""
    good: dict[Any, dict[str, Any]] = {
        cancel_contract: {**CONTRACT, "on": "latest", "reason": 11},
        withdraw_cancelation: {**CONTRACT},
        cancel_module: {**MODULE, "on": "latest", "reason": 11},
        withdraw_module_cancelation: {**MODULE},
        purchase_module: {"contract_id": 1, "additional_module_id": 1, "payment_frequency_id": 1},
        request_idle_period: {"contract_id": 1, "start_date": date(2030, 1, 1), "reason": 1, "term_value": 1},
    }
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            await workflow(client, **{**good[workflow], **wrong})
        assert sandbox.requests == []


async def test_a_contract_that_is_not_canceled_has_a_state_to_tell() -> None:
    """The API leaves the status out then: that is no text "None"."""
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(NotOfferedError) as raised:
            await cancel_contract(client, customer_id=1001, contract_id=2002, on="earliest", reason="no such reason")
    assert raised.value.state == "absent"


async def test_what_is_not_offered_is_told_with_what_lists_it() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        ids = {"customer_id": 1001, "contract_id": 2002}
        with pytest.raises(NotOfferedError) as reason:
            await cancel_contract(client, **ids, on="earliest", reason="no such reason")
        with pytest.raises(NotOfferedError) as day:
            await cancel_contract(client, **ids, on=date(2020, 1, 1), reason=sandbox.REASON_ID)
        module = {"contract_id": 2002, "additional_module_contract_id": sandbox.MODULE_CONTRACT_ID}
        with pytest.raises(NotOfferedError) as module_day:
            await cancel_module(client, **module, on=date(2020, 1, 1), reason=sandbox.REASON_ID)
        start = sandbox.today.replace(day=1) + timedelta(days=62)
        with pytest.raises(NotOfferedError) as idle:
            await request_idle_period(
                client, contract_id=2002, start_date=start.replace(day=1), reason="no such reason", term_value=1
            )
    assert [raised.value.message for raised in (reason, day, module_day, idle)] == [
        "reason is not one of those the API offers; `get_contract_cancelation_reason_data` lists them",
        "on is not one of the dates the API offers; `get_contract_data` lists them",
        "on is not one of the dates the API offers; `get_additional_module_contract` lists them",
        "reason is not one of those the API offers; `get_idle_period_config` lists them",
    ]


class Odd(MembershipSandbox):
    """Shows the first of each list of days, and the first idle period, in a form that can't be read."""

    def _apply(self, operation: Any, request: Any, body: bytes) -> web.Response:
        answer = super()._apply(operation, request, body)
        shown = json.loads(answer.body) if isinstance(answer.body, bytes) and answer.body else None
        if operation is operations.GET_CONTRACT_DATA:
            for contract in shown:
                contract["availableCancelationDates"][0] += "T00:00:00"
        elif operation is operations.GET_IDLE_PERIODS:
            for period in shown["currentAndUpcomingIdlePeriods"]:
                period["id"] = None
        else:
            return answer
        return web.json_response(shown, status=answer.status)


async def pause_once_more(client: MembershipClient, sandbox: MembershipSandbox) -> Settled[Any]:
    start = first_of_next_month(sandbox.today)
    sandbox.add_idle_period(contract_id=MembershipSandbox.CONTRACT_ID, start_date=start)
    ids: dict[str, Any] = {"contract_id": MembershipSandbox.CONTRACT_ID, "start_date": start}
    return await request_idle_period(client, **ids, term_value=1, reason=MembershipSandbox.IDLE_REASON_ID)


@pytest.mark.parametrize("run", [cancel, pause_once_more])
async def test_nothing_is_decided_by_a_list_that_was_read_in_part(run: Run, fake_time: FakeTime) -> None:
    """`skip_unreadable_items` is for lists that are shown: the earliest of the days that are left is none, and a period
    that can't be read is there all the same.
    """
    async with Odd() as sandbox, sandbox.client(retry=policy(fake_time), skip_unreadable_items=True) as client:
        with pytest.raises(InvalidResponseError):
            await run(client, sandbox)
        assert sandbox.ledger == []


async def test_document_of_another_type_is_refused_before_anything_is_sent() -> None:
    """By the workflow as by the method: a refusal of the API's would come after the request."""
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        period: dict[str, Any] = {"contract_id": sandbox.CONTRACT_ID, "start_date": first_of_next_month(sandbox.today)}
        document = Document(source=b"MZ", content_type="application/x-msdownload")
        with pytest.raises(ValueError, match="document must be one of application/pdf, image/heic"):
            await request_idle_period(client, **period, term_value=1, reason=sandbox.IDLE_REASON_ID, document=document)
        body = IdlePeriodCreateRequest(
            start_date=period["start_date"], reason_id=sandbox.IDLE_REASON_ID, unlimited=True
        )
        with pytest.raises(ValueError, match="document must be one of"):
            await client.call(
                operations.CREATE_IDLE_PERIOD_AMENDMENT,
                contract_id=sandbox.CONTRACT_ID,
                body=body,
                document=document,
            )
        assert sandbox.requests == []
