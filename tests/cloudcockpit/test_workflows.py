"""A change is followed until it has happened, with one effect on the server, however the connection behaves."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from attrs import evolve
from wire import FakeTime

from cloudcockpit_sdk import (
    Change,
    CloudCockpitClient,
    NotSettledError,
    Outcome,
    RetryPolicy,
    SdkError,
    Settled,
    SubscriptionStatus,
    WorkflowError,
)
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox, Fault
from cloudcockpit_sdk.workflows import cancel_and_wait, migrate_and_wait, reactivate_and_wait, suspend_and_wait

Run = Callable[..., Awaitable[Settled[Any]]]
ACTIVE = {
    "customer_id": CloudCockpitSandbox.CUSTOMER_ID,
    "subscription_id": CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID,
}
SUSPENDED = {**ACTIVE, "subscription_id": CloudCockpitSandbox.SUSPENDED_SUBSCRIPTION_ID}
LEGACY = {**ACTIVE, "subscription_id": CloudCockpitSandbox.LEGACY_SUBSCRIPTION_ID}


def policy(fake_time: FakeTime) -> RetryPolicy:
    return RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)


async def reactivate(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await reactivate_and_wait(client, **SUSPENDED, **options)


async def suspend(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await suspend_and_wait(client, **ACTIVE, **options)


async def cancel(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await cancel_and_wait(client, **ACTIVE, **options)


async def migrate(client: CloudCockpitClient, **options: Any) -> Settled[Any]:
    return await migrate_and_wait(client, **LEGACY, purchase_full_term=False, quantity=3, **options)


WORKFLOWS: dict[str, Run] = {
    "reactivate_subscription": reactivate,
    "suspend_subscription": suspend,
    "cancel_subscription": cancel,
    "start_migration": migrate,
}
each = pytest.mark.parametrize(("operation", "run"), WORKFLOWS.items(), ids=list(WORKFLOWS))


@each
async def test_twice_in_sequence_is_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """The first run changes it and waits, the second returns at once."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        first = await run(client)
        slept = len(fake_time.sleeps)
        second = await run(client)
        assert (first.changed, second.changed, second.unchanged) == (True, False, True)
        assert slept == len(fake_time.sleeps)
        assert [entry.operation for entry in sandbox.ledger] == [operation]


@each
async def test_twice_concurrently_is_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """Whoever comes second is refused, waits too, and says that it was not him."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await asyncio.gather(run(client), run(client))
        assert sorted(s.changed for s in settled) == [False, True]
        assert [entry.operation for entry in sandbox.ledger] == [operation]


@each
async def test_dropped_connection_leaves_one_effect(operation: str, run: Run, fake_time: FakeTime) -> None:
    """Dropped after the effect it is only waited for."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(Fault.drop(after_applying=True), operation=operation)
        settled = await run(client, timeout=100.0, poll=1.0)
        assert settled.change is Change.UNKNOWN
        assert [entry.operation for entry in sandbox.ledger] == [operation]


async def test_last_state_seen_is_on_the_error(fake_time: FakeTime) -> None:
    """The API took it, and takes longer than we want to wait."""
    async with CloudCockpitSandbox(settle_after=1000) as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        started = fake_time.now
        with pytest.raises(NotSettledError, match="20 s") as caught:
            await reactivate(client, timeout=20.0, poll=1.0)
        assert isinstance(caught.value, TimeoutError)
        assert (caught.value.state, caught.value.outcome) == ("Suspended", Outcome.UNKNOWN)
        assert not caught.value.retryable
        assert fake_time.now - started <= 20


async def test_a_suspended_subscription_can_be_canceled(fake_time: FakeTime) -> None:
    """Who does not pay is suspended first."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await cancel_and_wait(client, **SUSPENDED)
        assert (settled.changed, settled.state.status) == (True, SubscriptionStatus.DELETED)


async def test_open_status_strings(fake_time: FakeTime) -> None:
    """A status this release does not know can be waited for."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        settled = await cancel_and_wait(client, **ACTIVE, until=["Active", "BrandNew"])
        assert settled.unchanged
        assert sandbox.ledger == []


async def test_polling_slows_down(fake_time: FakeTime) -> None:
    """Half as long again each time, up to ten times."""
    async with CloudCockpitSandbox(settle_after=15) as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        await reactivate(client, timeout=1000.0, poll=2.0)
        assert fake_time.sleeps[:3] == [2.0, 3.0, 4.5]
        assert max(fake_time.sleeps) == 20.0


@pytest.mark.parametrize("wrong", [{"timeout": 0.0}, {"timeout": float("inf")}, {"poll": -1.0}])
async def test_bad_timing_is_refused(wrong: dict[str, float]) -> None:
    """Before anything is sent."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            await reactivate(client, **wrong)
        assert sandbox.requests == []


async def test_unknown_status_is_not_acted_upon(fake_time: FakeTime) -> None:
    """What this release does not know it does not touch; it may be waited for."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        subscription = sandbox.subscriptions[sandbox.SUSPENDED_SUBSCRIPTION_ID]
        sandbox.subscriptions[subscription.id] = evolve(subscription, status=SubscriptionStatus("Migrating"))
        with pytest.raises(WorkflowError, match="Migrating"):
            await reactivate(client)
        assert sandbox.ledger == []


async def test_one_status_is_no_collection() -> None:
    """A str would be searched for parts."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(TypeError, match="until"):
            await cancel_and_wait(client, **ACTIVE, until="Deleted")
        assert sandbox.requests == []


async def test_other_failures_are_raised(fake_time: FakeTime) -> None:
    """A 403 is nobody else's doing."""
    async with CloudCockpitSandbox() as sandbox, sandbox.client(retry=policy(fake_time)) as client:
        sandbox.fail(Fault.status(403), operation="reactivate_subscription")
        with pytest.raises(SdkError) as caught:
            await reactivate(client)
        assert caught.value.outcome is Outcome.REJECTED
        assert sandbox.ledger == []
