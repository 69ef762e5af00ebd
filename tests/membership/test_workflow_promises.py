"""What one call promises, kept over several: no request twice, one deadline, no word that is not so."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from aiohttp import web
from attrs import evolve
from cases import goes_through
from timeline import Timeline
from wire import CannedAnswer, WireServer

from membership_sdk import (
    AuthenticationError,
    BadRequestError,
    CancelationStatus,
    Change,
    InvalidResponseError,
    MembershipClient,
    NotOfferedError,
    NotSettledError,
    Outcome,
    RetryPolicy,
    SdkError,
    Settled,
    WorkflowError,
)
from membership_sdk.models import IdlePeriodCreationStatus, IdlePeriodState
from membership_sdk.sandbox import Fault, MembershipSandbox
from membership_sdk.workflows import (
    Purchase,
    cancel_contract,
    cancel_module,
    purchase_module,
    request_idle_period,
    withdraw_cancelation,
    withdraw_module_cancelation,
)
from sdk_core.workflow import LAST_READ

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")

Run = Callable[..., Awaitable[Settled[Any] | Purchase]]
Box = MembershipSandbox
MAIN: dict[str, Any] = {"customer_id": Box.CUSTOMER_ID, "contract_id": Box.CONTRACT_ID}
CANCELED: dict[str, Any] = {"customer_id": Box.CUSTOMER_ID, "contract_id": Box.CANCELED_CONTRACT_ID}
MODULE: dict[str, Any] = {"contract_id": Box.CONTRACT_ID, "additional_module_contract_id": Box.MODULE_CONTRACT_ID}
ORDER: dict[str, Any] = {
    "contract_id": Box.CONTRACT_ID,
    "additional_module_id": Box.SOLARIUM_ID,
    "payment_frequency_id": Box.PAYMENT_FREQUENCY_IDS[Box.SOLARIUM_ID],
}


async def cancel(client: MembershipClient, **options: Any) -> Settled[Any]:
    return await cancel_contract(client, **MAIN, on="earliest", reason=Box.REASON_ID, **options)


async def withdraw(client: MembershipClient, **options: Any) -> Settled[Any]:
    return await withdraw_cancelation(client, **CANCELED, **options)


async def end_module(client: MembershipClient, **options: Any) -> Settled[Any]:
    return await cancel_module(client, **MODULE, on="latest", reason="Moving away", **options)


async def keep_module(client: MembershipClient, **options: Any) -> Settled[Any]:
    return await withdraw_module_cancelation(client, **MODULE, **options)


async def pause(client: MembershipClient, **options: Any) -> Settled[Any]:
    start = START[0]
    ids: dict[str, Any] = {"contract_id": Box.CONTRACT_ID, "start_date": start}
    return await request_idle_period(client, **ids, term_value=1, reason=Box.IDLE_REASON_ID, **options)


async def buy(client: MembershipClient, **options: Any) -> Purchase:
    return await purchase_module(client, **ORDER, **options)


START = [MembershipSandbox().idle_period_config.first_possible_start_date]
CHANGES: dict[str, Run] = {
    "create_contract_cancelation_amendment": cancel,
    "withdraw_contract_cancelation": withdraw,
    "create_module_contract_cancelation_amendment": end_module,
    "withdraw_additional_module_contract_cancelation": keep_module,
}
CREATIONS: dict[str, Run] = {
    "create_idle_period_amendment": pause,
    "purchase_additional_module_contract": buy,
}
READS = {
    "create_contract_cancelation_amendment": "get_contract_data",
    "withdraw_contract_cancelation": "get_contract_data",
    "create_module_contract_cancelation_amendment": "get_additional_module_contract",
    "withdraw_additional_module_contract_cancelation": "get_additional_module_contract",
    "create_idle_period_amendment": "get_idle_periods",
    "purchase_additional_module_contract": "validate_additional_module_contract_request",
}
WORKFLOWS: dict[str, Run] = CHANGES | CREATIONS
each = pytest.mark.parametrize(("operation", "run"), WORKFLOWS.items(), ids=list(WORKFLOWS))
each_change = pytest.mark.parametrize(("operation", "run"), CHANGES.items(), ids=list(CHANGES))
each_creation = pytest.mark.parametrize(("operation", "run"), CREATIONS.items(), ids=list(CREATIONS))


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def prepared(operation: str) -> MembershipSandbox:
    sandbox = MembershipSandbox()
    if operation == "withdraw_additional_module_contract_cancelation":
        day = sandbox.modules[Box.CONTRACT_ID, Box.MODULE_CONTRACT_ID].available_cancelation_dates[0]
        sandbox.create_module_contract_cancelation_amendment(
            **MODULE, cancelation_date=day, cancelation_reason_id=Box.REASON_ID
        )
    return sandbox


def client_of(sandbox: MembershipSandbox, timeline: Timeline, **options: Any) -> MembershipClient:
    return sandbox.client(retry=RetryPolicy(sleep=timeline.sleep, clock=timeline.clock), rate_limiter=None, **options)


def sent(sandbox: MembershipSandbox, operation: str) -> list[Any]:
    return [request for request in sandbox.requests if request.operation == operation]


class Late(MembershipSandbox):
    """Answers a change with an error, and performs it later: the backend itself, or for somebody else."""

    timeline: Timeline
    operation: str
    status: int
    late: float

    def _apply(self, operation: Any, request: Any, body: bytes) -> web.Response:
        perform = partial(super()._apply, operation, request, body)
        if operation is None or operation.name != self.operation:
            return perform()
        self.timeline.at(self.timeline.passed + self.late, perform)
        self.operation = ""
        return web.Response(status=self.status)


def late(timeline: Timeline, operation: str, status: int, seconds: float) -> Late:
    sandbox = Late(modules=prepared(operation).modules)
    sandbox.timeline, sandbox.operation, sandbox.status, sandbox.late = timeline, operation, status, seconds
    return sandbox


@each
async def test_an_effect_that_comes_late_is_not_asked_for_again(operation: str, run: Run, timeline: Timeline) -> None:
    """504, and the backend finishes all the same, 3 s later or 20: one request, one effect, and nobody claims it."""
    for seconds in (3, 20):
        async with (
            late(timeline, operation, 504, seconds) as sandbox,
            client_of(sandbox, timeline) as client,
        ):
            settled = await run(client)
            assert settled.change is Change.UNKNOWN
            assert (settled.changed, settled.unchanged) == (False, False)
            assert len(sent(sandbox, operation)) == len(sandbox.ledger) == 1


@each
async def test_an_effect_that_never_comes_is_waited_for_until_the_deadline(
    operation: str, run: Run, timeline: Timeline
) -> None:
    """One request; the last read at the deadline; the error names the request, and what was read."""
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        with pytest.raises(NotSettledError, match="answer to the request was lost") as caught:
            await run(client)
        assert timeline.passed == pytest.approx(30)
        error = pickle.loads(pickle.dumps(caught.value))
        assert (error.outcome, error.retryable, error.operation) == (Outcome.UNKNOWN, False, operation)
        assert error.correlation_id in error.correlation_ids
        assert len(error.correlation_ids) == len(sandbox.requests)
        assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN]
        assert error.state in str(error)
        assert len(sent(sandbox, operation)) == 1
        assert sandbox.requests[-1].operation == READS[operation]


@each
async def test_timeout_is_the_whole_of_it(operation: str, run: Run, timeline: Timeline) -> None:
    """Reads that answer 429, at first or after the request."""
    throttled = [Fault.status(429, retry_after=50)] * 100
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(*throttled, operation=READS[operation])
        with pytest.raises(SdkError) as caught:
            await run(client, timeout=10.0)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.REJECTED, True)
        assert timeline.passed <= 10 + LAST_READ
        assert sent(sandbox, operation) == []

    timeline = Timeline()
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        settle = asyncio.ensure_future(run(client, timeout=10.0))
        while not sent(sandbox, operation):
            await asyncio.sleep(0)
        sandbox.fail(*throttled, operation=READS[operation])
        with pytest.raises(NotSettledError, match="within 10 s"):
            await settle
        assert timeline.passed == pytest.approx(10)
        assert len(sent(sandbox, operation)) == 1


@each
async def test_waiting_sends_nothing(operation: str, run: Run, timeline: Timeline) -> None:
    """`ask=False` goes on waiting for what a run before has asked for: it never says that nothing happened."""
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(NotSettledError, match="nothing was sent") as caught:
            await run(client, ask=False)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, True)
        sandbox.fail(Fault.status(401))
        with pytest.raises(AuthenticationError) as refused:
            await run(client, ask=False)
        assert (refused.value.outcome, refused.value.retryable) == (Outcome.UNKNOWN, False)
        assert sent(sandbox, operation) == []
    async with late(timeline, operation, 504, 20) as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(NotSettledError, match="ask=False"):
            await run(client, timeout=2.0)
        assert (await run(client, ask=False)).change is Change.NONE
        assert len(sent(sandbox, operation)) == len(sandbox.ledger) == 1


@each
async def test_a_refusal_is_waited_out_like_an_acceptance(operation: str, run: Run, timeline: Timeline) -> None:
    """400, 404 or 409: which of them says so is not documented. Then somebody else's change shows, 20 s later."""
    for status in (400, 404, 409):
        async with (
            late(timeline, operation, status, 20) as sandbox,
            client_of(sandbox, timeline) as client,
        ):
            settled = await run(client)
            assert settled.change is Change.NONE
            assert len(sent(sandbox, operation)) == len(sandbox.ledger) == 1


@each
async def test_a_refusal_is_raised_whatever_the_reads_say(operation: str, run: Run, timeline: Timeline) -> None:
    """The failure of a call that only informs does not hide that it was refused."""
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.status(400), operation=operation)
        settle = asyncio.ensure_future(run(client))
        while not sent(sandbox, operation):
            await asyncio.sleep(0)
        sandbox.fail(*[Fault.status(500)] * 200, operation=READS[operation])
        with pytest.raises(BadRequestError) as caught:
            await settle
        assert (caught.value.outcome, caught.value.operation) == (Outcome.REJECTED, operation)


@each_change
async def test_it_is_sent_again_for_who_asks_for_it(operation: str, run: Run, timeline: Timeline) -> None:
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        settled = await run(client, resend_after=2.0)
        assert settled.change is Change.ACKNOWLEDGED
        assert timeline.passed == pytest.approx(2)
        assert len(sent(sandbox, operation)) == 2


@each_creation
async def test_creations_are_never_sent_again(operation: str, run: Run, timeline: Timeline) -> None:
    async with prepared(operation) as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(TypeError, match="resend_after"):
            await run(client, resend_after=2.0)
        assert sandbox.requests == []


@each
async def test_an_unreadable_answer_to_a_read_is_no_effect(operation: str, run: Run, timeline: Timeline) -> None:
    async with (
        WireServer(CannedAnswer(body={"unexpected": True})) as server,
        MembershipClient(server.url, "key") as client,
    ):
        with pytest.raises(InvalidResponseError) as caught:
            await run(client)
        assert caught.value.outcome is Outcome.REJECTED
        assert len(server.requests) == 1


async def test_an_unreadable_answer_to_a_purchase_is_raised(timeline: Timeline) -> None:
    """It was bought, and the only handle there is stands in that answer."""
    purchasable = CannedAnswer(body={"validationStatus": "ADDITIONAL_MODULE_PURCHASABLE"})
    async with (
        WireServer(purchasable, CannedAnswer(body={"id": ["4711"]})) as server,
        MembershipClient(server.url, "key") as client,
    ):
        with pytest.raises(InvalidResponseError) as caught:
            await buy(client)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.APPLIED, False)
        assert len(server.requests) == 2


@each_change
async def test_whatever_fails_after_the_request_is_told_as_an_unknown_outcome(
    operation: str, run: Run, timeline: Timeline
) -> None:
    def name() -> str:
        if sent(sandbox, operation):
            raise FileNotFoundError
        return "a-name"

    async with (
        prepared(operation) as sandbox,
        client_of(sandbox, timeline, correlation_id=name) as client,
    ):
        with pytest.raises(WorkflowError, match="FileNotFoundError") as caught:
            await run(client)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)


def cancel_otherwise(sandbox: MembershipSandbox) -> None:
    dates = sandbox.contracts[Box.CUSTOMER_ID][Box.CONTRACT_ID].available_cancelation_dates
    sandbox.create_contract_cancelation_amendment(
        **MAIN, cancelation_date=dates[1], cancelation_reason_id=Box.REASON_ID
    )


@pytest.mark.parametrize("fault", [Fault.drop(), Fault.status(400)], ids=["answer lost", "refused"])
async def test_another_date_than_asked_for_is_told(fault: Fault, timeline: Timeline) -> None:
    """Somebody else cancels to another date: what was read is told, and what is known of our own request."""
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(fault, operation="create_contract_cancelation_amendment")
        timeline.at(1, lambda: cancel_otherwise(sandbox))
        with pytest.raises(WorkflowError, match="to another date") as caught:
            await cancel(client)
        error = caught.value
        outcome = Outcome.REJECTED if fault.kind == "status" else Outcome.UNKNOWN
        assert (error.outcome, error.state, error.retryable) == (outcome, "CANCELED", False)
        assert error.operation == "create_contract_cancelation_amendment"


@pytest.mark.parametrize(("on", "index"), [("latest", 0), ("latest", 1), ("earliest", 1), ("earliest", 2)])
async def test_canceled_to_another_date_than_its_name_says(on: Any, index: int, timeline: Timeline) -> None:
    """Never silently unchanged: it is not what was asked for."""
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        dates = sandbox.contracts[Box.CUSTOMER_ID][Box.CONTRACT_ID].available_cancelation_dates
        await cancel_contract(client, **MAIN, on=dates[index], reason=Box.REASON_ID)
        with pytest.raises(WorkflowError, match="to another date") as caught:
            await cancel_contract(client, **MAIN, on=on, reason=Box.REASON_ID)
        assert (caught.value.outcome, caught.value.state) == (Outcome.NOT_SENT, "CANCELED")
        assert len(sandbox.ledger) == 1


async def test_canceled_to_a_date_that_is_no_longer_offered(timeline: Timeline) -> None:
    """Earlier than what is offered is no later than the earliest; and where nothing is, nothing can be compared."""
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        contracts = sandbox.contracts[Box.CUSTOMER_ID]
        await cancel(client)
        contract = contracts[Box.CONTRACT_ID]
        contracts[Box.CONTRACT_ID] = evolve(
            contract, available_cancelation_dates=contract.available_cancelation_dates[1:]
        )
        assert (await cancel(client)).unchanged
        contracts[Box.CONTRACT_ID] = evolve(contract, available_cancelation_dates=())
        for on in ("earliest", "latest"):
            settled = await cancel_contract(client, **MAIN, on=on, reason=Box.REASON_ID)
            assert settled.unchanged


async def test_a_reason_given_by_its_id_is_not_looked_up(timeline: Timeline) -> None:
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        await cancel(client)
        assert [request.operation for request in sandbox.requests] == [
            "get_contract_data",
            "create_contract_cancelation_amendment",
            "get_contract_data",
        ]
        await pause(client)
        before = len(sandbox.requests)
        assert (await pause(client)).unchanged
        assert [request.operation for request in sandbox.requests[before:]] == ["get_idle_periods"]


async def test_states_this_release_does_not_know(timeline: Timeline) -> None:
    """Nothing is asked for in them, in no workflow; after a request they are waited out."""
    limbo = CancelationStatus("IN_LIMBO")
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        contracts = sandbox.contracts[Box.CUSTOMER_ID]
        before = contracts[Box.CONTRACT_ID]
        sandbox.fail(Fault.drop(after_applying=True), operation="create_contract_cancelation_amendment")
        timeline.at(1, lambda: contracts.update({Box.CONTRACT_ID: evolve(before, cancelation_status=limbo)}))
        after = evolve(
            before,
            cancelation_status=CancelationStatus.CANCELED,
            cancelation_date=before.available_cancelation_dates[0],
        )
        timeline.at(10, lambda: contracts.update({Box.CONTRACT_ID: after}))
        contracts[Box.CONTRACT_ID] = before
        sandbox.get_contract_data = lambda customer_id: (  # type: ignore[method-assign]
            [evolve(after, cancelation_status=limbo)]
            if len(sandbox.ledger) > 0 and timeline.passed < 10
            else list(contracts.values())
        )
        settled = await cancel(client)
        assert (settled.change, settled.state.cancelation_status) == (Change.UNKNOWN, CancelationStatus.CANCELED)
        assert timeline.passed >= 10

    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        await pause(client)
        (period,) = (p for p in sandbox.idle_periods[Box.CONTRACT_ID].values() if p.start_date == START[0])
        sandbox.idle_periods[Box.CONTRACT_ID][period.id] = evolve(period, state=IdlePeriodState("REFUSED_BY_STUDIO"))
        with pytest.raises(WorkflowError, match="REFUSED_BY_STUDIO") as caught:
            await pause(client)
        assert caught.value.outcome is Outcome.NOT_SENT
        del sandbox.idle_periods[Box.CONTRACT_ID][period.id]
        sandbox.idle_period_config = evolve(
            sandbox.idle_period_config, idle_period_creation_status=IdlePeriodCreationStatus("ON_REQUEST")
        )
        with pytest.raises(WorkflowError, match="ON_REQUEST"):
            await pause(client)
        assert len(sandbox.ledger) == 1


async def test_a_verdict_that_is_not_known_is_a_refusal(timeline: Timeline) -> None:
    async with (
        WireServer(CannedAnswer(body={"validationStatus": "ADDITIONAL_MODULE_ON_HOLD"})) as server,
        MembershipClient(server.url, "key") as client,
    ):
        with pytest.raises(NotOfferedError, match="ON_HOLD") as caught:
            await buy(client)
        assert (caught.value.outcome, caught.value.operation) == (
            Outcome.NOT_SENT,
            "validate_additional_module_contract_request",
        )
        assert len(server.requests) == 1


@goes_through("reason", [0, -1, 2**63, True, "", "\ud800", None])
async def test_bad_reasons_are_refused_before_anything_is_sent(reason: Any) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        for run in (
            cancel_contract(client, **MAIN, on="earliest", reason=reason),
            cancel_module(client, **MODULE, on="earliest", reason=reason),
            request_idle_period(client, contract_id=Box.CONTRACT_ID, start_date=START[0], term_value=1, reason=reason),
        ):
            with pytest.raises((TypeError, ValueError), match="reason"):
                await run
        assert sandbox.requests == []


async def test_an_idle_period_that_is_over_is_not_requested_again(timeline: Timeline) -> None:
    """A job is delivered once more after months: on an API that takes a start in the past, too."""
    async with MembershipSandbox() as sandbox, client_of(sandbox, timeline) as client:
        over = sandbox.idle_periods[Box.CONTRACT_ID][Box.PAST_IDLE_PERIOD_ID]
        settled = await request_idle_period(
            client,
            contract_id=Box.CONTRACT_ID,
            start_date=over.start_date,
            term_value=1,
            reason=over.idle_period_reason.id,
        )
        assert (settled.change, settled.state) == (Change.NONE, over)
        assert sandbox.ledger == []


@pytest.mark.parametrize("wrong", [{"timeout": 0.0}, {"timeout": float("nan")}, {"ask": "no"}])
@each
async def test_bad_options_are_refused_before_anything_is_sent(operation: str, run: Run, wrong: dict[str, Any]) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            await run(client, **wrong)
        assert sandbox.requests == []
