"""What one call promises, kept over several: no request twice, one deadline, no word that is not so."""

import asyncio
import pickle
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from cases import goes_through
from timeline import Timeline
from wire import STALL, CannedAnswer, WireServer

from cloudcockpit_sdk import (
    BadRequestError,
    Change,
    ClientClosedError,
    CloudCockpitClient,
    InvalidResponseError,
    NotFoundError,
    NotSettledError,
    Outcome,
    RetryPolicy,
    SdkError,
    Settled,
    Subscription,
    SubscriptionStatus,
    WorkflowError,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault
from cloudcockpit_sdk.workflows import cancel_and_wait, migrate_and_wait, reactivate_and_wait, suspend_and_wait
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.workflow import LAST_READ
from sdk_core.workflow import Run as Run_

Run = Callable[..., Awaitable[Settled[Any]]]
ACTIVE: dict[str, Any] = {
    "customer_id": CloudCockpitSandbox.CUSTOMER_ID,
    "subscription_id": CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID,
}
SUSPENDED: dict[str, Any] = {**ACTIVE, "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID}
LEGACY: dict[str, Any] = {**ACTIVE, "subscription_id": CloudCockpitSandbox.LEGACY_SUBSCRIPTION_ID}
ORDER: dict[str, Any] = {"purchase_full_term": False, "quantity": 3}


async def reactivate(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await reactivate_and_wait(client, **SUSPENDED, **options)


async def suspend(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await suspend_and_wait(client, **ACTIVE, **options)


async def cancel(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await cancel_and_wait(client, **ACTIVE, **options)


async def migrate(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await migrate_and_wait(client, **LEGACY, **ORDER, **options)


IDS = {"reactivate_subscription": SUSPENDED, "suspend_subscription": ACTIVE, "cancel_subscription": ACTIVE}
CHANGES: dict[str, Run] = {
    "reactivate_subscription": reactivate,
    "suspend_subscription": suspend,
    "cancel_subscription": cancel,
}
WORKFLOWS: dict[str, Run] = {**CHANGES, "start_migration": migrate}
each = pytest.mark.parametrize(("operation", "run"), WORKFLOWS.items(), ids=list(WORKFLOWS))
each_change = pytest.mark.parametrize(("operation", "run"), CHANGES.items(), ids=list(CHANGES))


@pytest.fixture
def timeline() -> Timeline:
    return Timeline()


def client_of(sandbox: CloudCockpitSandbox, timeline: Timeline, **options: Any) -> CloudCockpitClient:
    return sandbox.client(retry=RetryPolicy(sleep=timeline.sleep, clock=timeline.clock), **options)


def sent(sandbox: CloudCockpitSandbox, operation: str) -> list[Any]:
    return [request for request in sandbox.requests if request.operation == operation]


def read_of(operation: str) -> str:
    return "get_migration_status" if operation == "start_migration" else "get_subscription"


def do(sandbox: CloudCockpitSandbox, operation: str) -> Callable[[], object]:
    """What the backend, or somebody else, does on its own."""
    if operation == "start_migration":
        more = {"term_duration": None, "billing_frequency": None}
        return lambda: sandbox.start_migration(**LEGACY, **ORDER, **more)
    return lambda: getattr(sandbox, operation)(**IDS[operation])


@each
async def test_an_effect_that_comes_late_is_not_asked_for_again(operation: str, run: Run, timeline: Timeline) -> None:
    """504, and the backend finishes all the same: in 20 s, or in 400."""
    for late in (20, 400):
        async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
            timeline.at(timeline.passed + late, do(sandbox, operation))
            sandbox.fail(Fault.status(504), operation=operation)
            settled = await run(client)
            assert settled.change is Change.UNKNOWN
            assert not settled.changed
            assert not settled.unchanged
            assert len(sent(sandbox, operation)) == 1


@each
async def test_an_effect_that_never_comes_is_waited_for_until_the_deadline(
    operation: str, run: Run, timeline: Timeline
) -> None:
    """One request; the last read at the deadline; and nobody is told to repeat it."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        with pytest.raises(NotSettledError, match="answer to the request was lost") as caught:
            await run(client)
        assert timeline.passed == pytest.approx(600)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)
        assert len(sent(sandbox, operation)) == 1
        assert sandbox.requests[-1].operation == read_of(operation)


@each
async def test_the_error_names_the_request_and_what_was_read(operation: str, run: Run, timeline: Timeline) -> None:
    """So that the server's log can be searched for it; pickled too."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        with pytest.raises(NotSettledError) as caught:
            await run(client, timeout=20.0)
        error = pickle.loads(pickle.dumps(caught.value))
        (request,) = sent(sandbox, operation)
        assert (error.operation, error.correlation_id) == (operation, request.headers["X-Correlation-Id"])
        assert error.correlation_ids == tuple(request.headers["X-Correlation-Id"] for request in sandbox.requests)
        assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN]
        before = {"reactivate_subscription": "Suspended", "start_migration": "incomplete"}
        assert error.state == before.get(operation, "Active")
        for part in (operation, error.state, error.correlation_id):
            assert part in str(error)


@each_change
async def test_it_is_sent_again_for_who_asks_for_it(operation: str, run: Run, timeline: Timeline) -> None:
    """After just that time, once, in the state that it was sent in."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        moments: list[float] = []
        sandbox.fail(*[Fault.drop()] * 3, operation=operation)
        for later in (29, 31):
            timeline.at(later, lambda: moments.append(len(sent(sandbox, operation))))
        with pytest.raises(NotSettledError) as caught:
            await run(client, resend_after=30.0)
        assert moments == [1, 2]
        assert len(sent(sandbox, operation)) == 2
        assert caught.value.outcome is Outcome.UNKNOWN


@each_change
async def test_it_is_not_sent_again_once_something_moves(operation: str, run: Run, timeline: Timeline) -> None:
    """Neither what was acknowledged, nor what may have led to another state."""
    async with CloudCockpitSandbox(settle_after=10) as sandbox, client_of(sandbox, timeline) as client:
        assert (await run(client, resend_after=1.0)).changed
        assert len(sent(sandbox, operation)) == 1

    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        number = IDS[operation]["subscription_id"]

        def move() -> None:
            moved = evolve(sandbox.subscriptions[number], status=SubscriptionStatus("Working"))
            sandbox.subscriptions[number] = moved

        sandbox.fail(Fault.drop(), operation=operation)
        timeline.at(timeline.passed + 5, move)
        with pytest.raises(NotSettledError, match="Working"):
            await run(client, resend_after=10.0)
        assert len(sent(sandbox, operation)) == 1


@each_change
async def test_it_is_not_sent_again_for_what_was_read_too_early(operation: str, run: Run, timeline: Timeline) -> None:
    """Read within the time that the effect may take, and answered after it: that says nothing of the effect."""
    late = 0.0

    class Slow(CloudCockpitSandbox):
        def get_subscription(self, **ids: Any) -> Subscription:
            found = super().get_subscription(**ids)
            if sent(self, operation):
                timeline.now += late
            return found

    for late, times in ((20.0, 1), (0.0, 2)):
        async with Slow() as sandbox, client_of(sandbox, timeline, attempt_timeout=1e6) as client:
            sandbox.settle_after = 0
            timeline.at(timeline.passed + 8, do(sandbox, operation) if late else int)
            sandbox.fail(Fault.drop(), operation=operation)
            await run(client, resend_after=10.0)
            assert len(sent(sandbox, operation)) == times


async def test_a_migration_is_never_sent_again(timeline: Timeline) -> None:
    """It places an order."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(TypeError, match="resend_after"):
            await migrate(client, resend_after=10.0)
        assert sandbox.requests == []


@each
async def test_reads_that_fail_are_repeated_until_the_deadline(operation: str, run: Run, timeline: Timeline) -> None:
    """Accepted; then the API is down for a while."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        settle = asyncio.ensure_future(run(client))
        while not sent(sandbox, operation):
            await asyncio.sleep(0)
        sandbox.fail(*[Fault.status(503)] * 12, *[Fault.status(403)] * 3, operation=read_of(operation))
        assert (await settle).change is Change.ACKNOWLEDGED
        assert len(sent(sandbox, operation)) == 1


@each
async def test_what_can_not_be_read_to_the_end_is_unknown(operation: str, run: Run, timeline: Timeline) -> None:
    """Not settled, not to be repeated, and about the request rather than about the read."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        settle = asyncio.ensure_future(run(client, timeout=60.0))
        while not sent(sandbox, operation):
            await asyncio.sleep(0)
        sandbox.fail(*[Fault.garbage()] * 100, operation=read_of(operation))
        with pytest.raises(
            NotSettledError, match="took the request, and the state asked for could not be read"
        ) as error:
            await settle
        assert timeline.passed == pytest.approx(60)
        assert (error.value.outcome, error.value.retryable, error.value.operation) == (
            Outcome.UNKNOWN,
            False,
            operation,
        )
        assert isinstance(error.value.__cause__, InvalidResponseError)


@each
async def test_waiting_sends_nothing(operation: str, run: Run, timeline: Timeline) -> None:
    """`ask=False` goes on waiting for what was asked for before, which may have happened, and reads on."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        with pytest.raises(NotSettledError, match="nothing was sent") as caught:
            await run(client, ask=False)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, True)
        assert timeline.passed == pytest.approx(600)

        timeline.at(timeline.passed + 300, do(sandbox, operation))
        sandbox.fail(*[Fault.status(503)] * 4, operation=read_of(operation))
        settled = await run(client, ask=False)
        assert settled.change is Change.NONE
        assert sent(sandbox, operation) == []


@each
async def test_a_refusal_is_waited_out_like_an_acceptance(operation: str, run: Run, timeline: Timeline) -> None:
    """400, because somebody else's change is being worked on: it happens 300 s later."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.status(400), operation=operation)
        timeline.at(300, do(sandbox, operation))
        settled = await run(client)
        assert settled.change is Change.NONE
        assert len(sent(sandbox, operation)) == 1


@each
async def test_a_refusal_is_raised_at_the_deadline(operation: str, run: Run, timeline: Timeline) -> None:
    """As it was; that reads fail meanwhile does not hide it."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.status(409), operation=operation)
        timeline.at(30, lambda: sandbox.fail(*[Fault.status(500)] * 100, operation=read_of(operation)))
        with pytest.raises(SdkError) as caught:
            await run(client, timeout=60.0)
        assert timeline.passed == pytest.approx(60)
        assert (caught.value.outcome, caught.value.operation) == (Outcome.REJECTED, operation)
        assert caught.value.to_dict()["state"] in str(caught.value)


class BrokenError(Exception):
    pass


def cancelled() -> object:
    """Ask for the result of something that was cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    return future.result()


def broken() -> object:
    raise BrokenError


@each
@pytest.mark.parametrize("fail", [broken, cancelled])
@pytest.mark.parametrize("for_good", [False, True])
async def test_a_clock_that_fails_hides_no_effect(
    operation: str, run: Run, fail: Callable[[], object], for_good: bool, timeline: Timeline
) -> None:
    """Whenever it does: what the caller hears is never that nothing has happened, if something has."""
    async with CloudCockpitSandbox() as sandbox:
        for ticks in range(1, 100):
            asked = 0
            sandbox.reset()

            def clock(ticks: int = ticks) -> float:
                nonlocal asked
                asked += 1
                if asked == ticks or (for_good and asked > ticks):
                    fail()
                return timeline.clock()

            client = sandbox.client(retry=RetryPolicy(sleep=timeline.sleep, clock=clock))
            try:
                settled = await run(client)
            except SdkError as error:
                hides = error.retryable or error.outcome in {Outcome.NOT_SENT, Outcome.REJECTED}
                assert not (hides and sandbox.ledger)
            except (BrokenError, asyncio.CancelledError):
                assert not sandbox.ledger
            else:
                assert settled.change in ({Change.ACKNOWLEDGED, Change.UNKNOWN} if sandbox.ledger else {Change.NONE})
            await client.aclose()
            if asked < ticks:
                return
    pytest.fail("it asks for the time for ever")


@each
@pytest.mark.parametrize("moves_back", [False, True])
async def test_a_clock_that_stands_still_does_not_prolong_a_run(operation: str, run: Run, moves_back: bool) -> None:
    """Or that is set back: what was slept has passed."""
    slept, now = 0.0, 1000.0

    def clock() -> float:
        nonlocal now
        now -= moves_back
        return now

    async def sleep(seconds: float) -> None:
        nonlocal slept
        slept += seconds
        assert slept < 100
        await asyncio.sleep(0)

    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy(sleep=sleep, clock=clock)) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        with pytest.raises(NotSettledError) as caught:
            await run(client, timeout=60.0)
    assert slept == pytest.approx(60)
    assert caught.value.outcome is Outcome.UNKNOWN


@each
async def test_closing_the_client_ends_a_run(operation: str, run: Run, timeline: Timeline) -> None:
    """At the next read, not at the deadline; what may have happened is told."""
    async with CloudCockpitSandbox() as sandbox:
        client = client_of(sandbox, timeline)
        closing: list[asyncio.Task[None]] = []
        timeline.at(30, lambda: closing.append(asyncio.create_task(client.aclose())))
        sandbox.fail(Fault.drop(), operation=operation)
        with pytest.raises(ClientClosedError) as caught:
            await run(client)
        assert 30 <= timeline.passed <= 90
        assert (caught.value.outcome, caught.value.retryable, caught.value.operation) == (
            Outcome.UNKNOWN,
            False,
            operation,
        )
        await asyncio.gather(*closing)


class Pauses:
    """A sleep for `RetryPolicy` that never ends by itself."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    async def sleep(self, _seconds: float) -> None:
        self.begun.set()
        await asyncio.Event().wait()


@each
async def test_closing_the_client_ends_a_pause_at_once(operation: str, run: Run) -> None:
    """Also if the policy's sleep would go on for ever."""
    pauses = Pauses()
    async with CloudCockpitSandbox() as sandbox:
        client = sandbox.client(retry=RetryPolicy(sleep=pauses.sleep))
        sandbox.fail(Fault.drop(), operation=operation)
        running = asyncio.create_task(run(client))
        await pauses.begun.wait()
        await client.aclose()
        async with asyncio.timeout(1):
            with pytest.raises(ClientClosedError) as caught:
                await running
    error = caught.value
    assert (error.outcome, error.retryable, error.operation) == (Outcome.UNKNOWN, False, operation)
    assert running.cancelling() == 0


def test_closing_the_client_in_another_thread_ends_a_pause() -> None:
    pauses = Pauses()

    async def use() -> None:
        async with CloudCockpitSandbox() as sandbox:
            client = sandbox.client(retry=RetryPolicy(sleep=pauses.sleep))
            running = asyncio.create_task(suspend(client))
            await pauses.begun.wait()
            async with asyncio.timeout(1):
                await asyncio.to_thread(asyncio.run, client.aclose())
                with pytest.raises(ClientClosedError):
                    await running

    asyncio.run(use())


async def test_a_timeout_of_the_sleep_s_own_is_not_taken_for_a_closing() -> None:
    async def sleep(_seconds: float) -> None:
        raise TimeoutError("of the sleep")

    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=RetryPolicy(sleep=sleep)) as client:
        with pytest.raises(WorkflowError, match="TimeoutError"):
            await suspend(client)


async def test_a_run_that_is_cancelled_while_its_client_is_closed_is_cancelled() -> None:
    pauses = Pauses()
    async with CloudCockpitSandbox() as sandbox:
        client = sandbox.client(retry=RetryPolicy(sleep=pauses.sleep))
        running = asyncio.create_task(suspend(client))
        await pauses.begun.wait()
        running.cancel()
        await client.aclose()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_a_run_pauses_before_anything_was_sent(timeline: Timeline) -> None:
    """A limiter that has no slot for its first read: there is no session yet."""
    limiter = LocalRateLimiter(1, 3600, clock=timeline.clock)
    limiter.acquire("get_subscription", 0)
    retry = RetryPolicy(sleep=timeline.sleep, clock=timeline.clock)
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=retry, rate_limiter=limiter) as client:
        with pytest.raises(NotSettledError):
            await suspend(client, ask=False, timeout=60.0)
    assert timeline.passed == pytest.approx(60)


@each
async def test_closing_the_client_before_anything_is_sent(operation: str, run: Run, timeline: Timeline) -> None:
    """Of a run that only waits, nothing is known of what it waits for."""
    async with CloudCockpitSandbox() as sandbox:
        client = client_of(sandbox, timeline)
        await client.aclose()
        for ask, outcome in ((True, Outcome.NOT_SENT), (False, Outcome.UNKNOWN)):
            with pytest.raises(ClientClosedError) as caught:
                await run(client, ask=ask)
            assert caught.value.outcome is outcome
    assert timeline.passed == 0
    assert operation


@each_change
async def test_a_second_request_that_can_not_be_made_does_not_end_a_run(
    operation: str, run: Run, timeline: Timeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as of a file that vanished after the first: that one may still take effect."""
    call, made = Run_.call, 0

    async def call_once(self: Run_, called: Any, **arguments: Any) -> Any:
        nonlocal made
        made += called.name == operation
        if made > 1 and called.name == operation:
            raise FileNotFoundError
        return await call(self, called, **arguments)

    monkeypatch.setattr(Run_, "call", call_once)
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.drop(), operation=operation)
        timeline.at(200, do(sandbox, operation))
        settled = await run(client, resend_after=20.0)
    assert settled.change is Change.UNKNOWN
    assert made == 2


@each
@pytest.mark.parametrize("timeout", [4.0, 10.0, 60.0])
async def test_reads_that_are_refused_do_not_outlast_the_timeout(
    operation: str, run: Run, timeout: float, timeline: Timeline
) -> None:
    """429 with 50 s to wait, from the beginning or after the request; nothing is sent after the deadline."""
    throttled = [Fault.status(429, retry_after=50)] * 100
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(*throttled, operation=read_of(operation))
        with pytest.raises(SdkError) as caught:
            await run(client, timeout=timeout)
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.REJECTED, True)
        assert timeline.passed <= timeout + LAST_READ
        assert sent(sandbox, operation) == []

    timeline = Timeline()
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        settle = asyncio.ensure_future(run(client, timeout=timeout))
        while not sent(sandbox, operation):
            await asyncio.sleep(0)
        sandbox.fail(*throttled, operation=read_of(operation))
        with pytest.raises(NotSettledError, match=f"within {timeout:g} s") as not_settled:
            await settle
        assert timeline.passed == pytest.approx(timeout)
        assert not_settled.value.outcome is Outcome.UNKNOWN


@each
async def test_requests_are_not_repeated_past_the_deadline(operation: str, run: Run, timeline: Timeline) -> None:
    """A request that is throttled is the call's to repeat, within what is left."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(*[Fault.status(429, retry_after=8)] * 10, operation=operation)
        with pytest.raises(SdkError) as caught:
            await run(client, timeout=10.0)
        assert caught.value.outcome is Outcome.REJECTED
        assert len(sent(sandbox, operation)) == 2
        assert timeline.passed <= 10


async def test_the_last_read_is_at_the_deadline_and_has_a_time_of_its_own(timeline: Timeline) -> None:
    """Polls of 5 s and a timeout of 4: it is read at 0 and at 4."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        timeline.at(4, do(sandbox, "suspend_subscription"))
        sandbox.settle_after = 0
        sandbox.fail(Fault.drop(), operation="suspend_subscription")
        assert (await suspend(client, timeout=4.0)).change is Change.UNKNOWN
        assert timeline.passed == pytest.approx(4)


async def test_no_call_is_given_more_than_what_is_left() -> None:
    """A server that never answers, an hour for each call: the run ends in time, by the real clock."""
    async with (
        WireServer(STALL) as server,
        CloudCockpitClient(
            "portal.example.com", "token", base_url=server.url, attempt_timeout=3600.0, total_timeout=3600.0
        ) as client,
    ):
        async with asyncio.timeout(5):
            with pytest.raises(SdkError) as caught:
                await suspend(client, timeout=0.05)
        assert caught.value.outcome is Outcome.NOT_SENT


@pytest.mark.parametrize(
    ("before", "after"),
    [(("suspend_subscription", Fault.drop()), Change.NONE), (("suspend_subscription", None), Change.NONE)],
)
async def test_what_others_did_is_not_claimed(
    before: tuple[str, Fault | None], after: Change, timeline: Timeline
) -> None:
    """Found so, or refused and then found so."""
    operation, _ = before
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        if before[1] is None:
            sandbox.suspend_subscription(**ACTIVE)
            sandbox.settle_after = 0
        else:
            sandbox.fail(Fault.status(400), operation=operation)
            timeline.at(5, do(sandbox, operation))
        assert (await suspend(client)).change is after


async def test_a_lost_answer_is_never_claimed(timeline: Timeline) -> None:
    """Whoever did it: the answer was lost, and somebody else may have been faster."""
    for applied in (True, False):
        async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
            sandbox.fail(Fault.drop(after_applying=applied), operation="suspend_subscription")
            if not applied:
                timeline.at(timeline.passed + 3, do(sandbox, "suspend_subscription"))
            assert (await suspend(client)).change is Change.UNKNOWN


@each_change
async def test_a_state_this_release_does_not_know_is_waited_out(operation: str, run: Run, timeline: Timeline) -> None:
    """After the request; before it, nothing is sent."""
    number = IDS[operation]["subscription_id"]
    async with CloudCockpitSandbox(settle_after=8) as sandbox, client_of(sandbox, timeline) as client:
        after = sandbox.subscriptions[number]

        def pass_through() -> None:
            sandbox.subscriptions[number] = evolve(after, status=SubscriptionStatus("InTransit"))

        timeline.at(6, pass_through)
        assert (await run(client)).changed
        sandbox.subscriptions[number] = evolve(after, status=SubscriptionStatus("InTransit"))
        with pytest.raises(WorkflowError, match="InTransit") as caught:
            await run(client)
        assert caught.value.outcome is Outcome.NOT_SENT
        assert len(sent(sandbox, operation)) == 1


@each
async def test_an_unreadable_answer_to_a_read_is_no_effect(operation: str, run: Run, timeline: Timeline) -> None:
    """Neither of one call nor of a run: JSON of another shape says REJECTED, for a READ has none."""
    odd = CannedAnswer(body={"unexpected": True})
    async with (
        WireServer(odd) as server,
        CloudCockpitClient("portal.example.com", "token", base_url=server.url) as client,
    ):
        with pytest.raises(InvalidResponseError) as caught:
            await run(client)
        assert caught.value.outcome is Outcome.REJECTED
        assert len(server.requests) == 1


@each
async def test_whatever_fails_after_the_request_is_told_as_an_unknown_outcome(
    operation: str, run: Run, timeline: Timeline
) -> None:
    """Here the caller's own source of correlation ids; before the request, its exception is its own."""
    names = iter(["one", "two"])
    async with (
        CloudCockpitSandbox() as sandbox,
        client_of(sandbox, timeline, correlation_id=lambda: next(names)) as client,
    ):
        with pytest.raises(WorkflowError, match=r"StopIteration|RuntimeError") as caught:
            await run(client)
        assert (caught.value.outcome, caught.value.operation, caught.value.correlation_id) == (
            Outcome.UNKNOWN,
            operation,
            "two",
        )
        assert len(sent(sandbox, operation)) == 1


@pytest.mark.parametrize("status", ["Cancelled", "Disabled", "Expired"])
async def test_a_cancellation_is_not_sent_where_one_may_have_led(status: str, timeline: Timeline) -> None:
    """The error names the state; a second run sends nothing; who knows better names it in `until`."""
    number = ACTIVE["subscription_id"]
    async with CloudCockpitSandbox(settle_after=10**6) as sandbox, client_of(sandbox, timeline) as client:

        def end() -> None:
            ended = evolve(sandbox.subscriptions[number], status=SubscriptionStatus(status))
            sandbox.subscriptions[number] = ended

        timeline.at(5, end)
        with pytest.raises(NotSettledError, match="took the request") as first:
            await cancel(client, resend_after=1.0)
        assert first.value.state == status
        with pytest.raises(WorkflowError, match=status) as second:
            await cancel(client)
        assert (second.value.outcome, second.value.state) == (Outcome.NOT_SENT, status)
        assert (await cancel(client, until=["Deleted", status])).unchanged
        assert len(sent(sandbox, "cancel_subscription")) == 1


@pytest.mark.parametrize("lost", [False, True], ids=["acknowledged", "answer lost"])
async def test_a_subscription_that_is_gone_after_its_cancellation(lost: bool, timeline: Timeline) -> None:
    """404: probably gone, and certainly no reason to send it again. Without a cancellation of ours, just a 404."""
    async with CloudCockpitSandbox(settle_after=10**6) as sandbox, client_of(sandbox, timeline) as client:
        if lost:
            sandbox.fail(Fault.drop(after_applying=True), operation="cancel_subscription")
        timeline.at(5, lambda: sandbox.subscriptions.pop(ACTIVE["subscription_id"]))
        with pytest.raises(NotSettledError, match=r"404.*probably gone") as caught:
            await cancel(client)
        assert timeline.passed < 60
        assert (caught.value.outcome, caught.value.retryable) == (Outcome.UNKNOWN, False)
        assert caught.value.state is None
        with pytest.raises(NotFoundError) as second:
            await cancel(client)
        assert second.value.outcome is Outcome.REJECTED
        assert len(sent(sandbox, "cancel_subscription")) == 1


@goes_through(
    "wrong", [{"timeout": 0.0}, {"poll": float("nan")}, {"resend_after": -1.0}, {"ask": 0}, {"timeout": "10"}]
)
async def test_bad_options_are_refused_before_anything_is_sent(wrong: dict[str, Any]) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises((TypeError, ValueError), match=next(iter(wrong))):
            await suspend(client, **wrong)
        assert sandbox.requests == []


@goes_through("until", [None, (), "Deleted", b"Deleted", iter(["Deleted"]), ["Deleted", None], [""], 5])
async def test_bad_statuses_are_refused_before_anything_is_sent(until: Any) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises((TypeError, ValueError), match="until"):
            await cancel(client, until=until, timeout=0.2, poll=0.05)
        assert sandbox.requests == []


async def test_a_refusal_that_is_not_somebody_elses_doing_is_raised_at_once(timeline: Timeline) -> None:
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        sandbox.fail(Fault.status(403), operation="suspend_subscription")
        with pytest.raises(SdkError) as caught:
            await suspend(client)
        assert (caught.value.outcome, timeline.passed) == (Outcome.REJECTED, 0)
        assert not isinstance(caught.value, BadRequestError)


async def test_waiting_for_what_is_not_there_does_not_say_that_it_was_canceled(timeline: Timeline) -> None:
    """An id that was mistyped: this run has sent nothing, so that nothing is known of a cancellation."""
    async with CloudCockpitSandbox() as sandbox, client_of(sandbox, timeline) as client:
        ids = {"customer_id": sandbox.CUSTOMER_ID, "subscription_id": UUID(int=9)}
        with pytest.raises(NotFoundError) as caught:
            await cancel_and_wait(client, **ids, ask=False)
    assert caught.value.outcome is Outcome.UNKNOWN
