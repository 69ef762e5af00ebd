"""`deadline_scope`: all calls and workflows of a request stay within the time that it has."""

import asyncio
import time
from typing import Any

import pytest
from cases import goes_through
from timeline import Timeline
from wire import STALL, CannedAnswer, FakeTime, WireServer

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault
from cloudcockpit_sdk.workflows import reactivate_and_wait
from membership_sdk import LocalRateLimiter, MembershipClient, RetryPolicy, deadline_scope
from membership_sdk.models import VoidResult
from sdk_core.deadline import within_scope
from sdk_core.errors import CallTimeoutError, SdkError, ServerError
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.workflow import NotSettledError

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE)
SUSPENDED: dict[str, Any] = {
    "customer_id": CloudCockpitSandbox.CUSTOMER_ID,
    "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID,
}


@pytest.fixture
def timeline(monkeypatch: pytest.MonkeyPatch) -> Timeline:
    """One clock for scopes and clients."""
    timeline = Timeline()
    monkeypatch.setattr("sdk_core.deadline.monotonic", timeline.clock)
    return timeline


def client_for(server: WireServer, time: FakeTime | None = None, **options: Any) -> MembershipClient:
    retry = RetryPolicy(backoff_base=0) if time is None else RetryPolicy(clock=time.clock, sleep=time.sleep)
    return MembershipClient(server.url, "key", retry=retry, **options)


async def test_a_call_ends_with_the_scope() -> None:
    async with WireServer(STALL) as server, client_for(server, total_timeout=9) as client:
        started = time.monotonic()
        with deadline_scope(0.1), pytest.raises(CallTimeoutError) as caught:
            await client.call(WRITE)
        assert 0.1 <= time.monotonic() - started < 0.4
        assert len(server.requests) == 1
    assert (caught.value.limit, caught.value.outcome) == ("total_timeout", Outcome.UNKNOWN)


async def test_the_client_s_own_timeout_holds_if_it_is_smaller() -> None:
    async with WireServer(STALL) as server, client_for(server, total_timeout=0.1) as client:
        started = time.monotonic()
        with deadline_scope(9), pytest.raises(CallTimeoutError):
            await client.call(WRITE)
        assert 0.1 <= time.monotonic() - started < 0.4


async def test_all_calls_share_the_scope_and_nothing_is_sent_once_it_is_over(timeline: Timeline) -> None:
    async with WireServer(CannedAnswer()) as server, client_for(server, timeline) as client:
        with deadline_scope(10):
            await client.call(WRITE)
            timeline.now += 10
            for operation in (WRITE, READ):
                with pytest.raises(CallTimeoutError) as caught:
                    await client.call(operation)
                assert (caught.value.outcome, caught.value.retryable) == (Outcome.NOT_SENT, True)
                assert caught.value.operation == operation.name
            assert len(server.requests) == 1
        await client.call(WRITE)
    assert len(server.requests) == 2


async def test_no_wait_goes_beyond_the_scope(timeline: Timeline) -> None:
    """Neither one that the server asks for, nor one of the limiter's."""
    refusal = CannedAnswer(503, {"errorMessage": "no", "errorCode": "BUSY"}, {"Retry-After": "20"})
    limiter = LocalRateLimiter(1, clock=timeline.clock)
    async with WireServer(refusal) as server, client_for(server, timeline, rate_limiter=limiter) as client:
        with deadline_scope(15):
            with pytest.raises(ServerError) as refused:
                await client.call(READ)
            with pytest.raises(SdkError) as held_back:
                await client.call(READ)
        assert len(server.requests) == 1
    assert (refused.value.retry_after, held_back.value.retry_after) == (20, 60)
    assert timeline.sleeps == []


async def test_a_scope_inside_another_can_only_shorten_it(timeline: Timeline) -> None:
    with deadline_scope(10):
        with deadline_scope(20):
            assert within_scope(99) == 10
        with deadline_scope(5):
            assert within_scope(99) == 5
            assert within_scope(3) == 3
        timeline.now += 4
        assert within_scope(99) == 6
    assert within_scope(99) == 99


async def test_tasks_inherit_the_scope_and_no_other_task_does(timeline: Timeline) -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def inside() -> tuple[float, float]:
        with deadline_scope(5):
            entered.set()
            child = asyncio.create_task(asyncio.to_thread(within_scope, 99))
            await left.wait()
            return await child, within_scope(99)

    task = asyncio.create_task(inside())
    await entered.wait()
    assert within_scope(99) == 99
    left.set()
    assert await task == (5, 5)


@goes_through("wrong", [0, -1, float("nan"), float("inf")])
def test_a_scope_needs_some_seconds(wrong: float) -> None:
    with pytest.raises(ValueError, match="seconds"), deadline_scope(wrong):
        pass
    assert within_scope(99) == 99


async def test_a_workflow_ends_with_the_scope(timeline: Timeline) -> None:
    """What it asked for may still come: and no read is made after the scope's end."""
    retry = RetryPolicy(clock=timeline.clock, sleep=timeline.sleep)
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=retry) as client:
        sandbox.fail(Fault.drop(), operation="reactivate_subscription")
        with deadline_scope(30), pytest.raises(NotSettledError, match="within 30 s") as caught:
            await reactivate_and_wait(client, **SUSPENDED, timeout=600)
        read = len(sandbox.requests)
        with deadline_scope(30):
            timeline.now += 30
            with pytest.raises(CallTimeoutError) as too_late:
                await reactivate_and_wait(client, **SUSPENDED, timeout=600)
        assert len(sandbox.requests) == read
    assert (caught.value.outcome, too_late.value.outcome) == (Outcome.UNKNOWN, Outcome.NOT_SENT)
    assert timeline.passed == 60


async def test_a_workflow_s_own_timeout_holds_if_it_is_smaller(timeline: Timeline) -> None:
    """Then there is time for the read at its end."""
    retry = RetryPolicy(clock=timeline.clock, sleep=timeline.sleep)
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=retry) as client:
        sandbox.fail(Fault.drop(), operation="reactivate_subscription")
        timeline.at(20, lambda: sandbox.reactivate_subscription(**SUSPENDED))
        sandbox.settle_after = 0
        with deadline_scope(99):
            settled = await reactivate_and_wait(client, **SUSPENDED, timeout=20)
    assert settled.state.status is SubscriptionStatus.ACTIVE
    assert timeline.passed == 20


def test_both_sdks_offer_it() -> None:
    assert membership_sdk.deadline_scope is cloudcockpit_sdk.deadline_scope
    assert "deadline_scope" in membership_sdk.__all__
    assert "deadline_scope" in cloudcockpit_sdk.__all__
