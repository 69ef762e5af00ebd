"""Fixtures for pytest: both APIs as local servers, a client of each, and retries that need no time.

pytest loads this in every project of an environment, before coverage is measured. What it imported would be slow for
those who do not use it, and not covered for those who do: the SDK is imported by the fixtures.
"""

import threading
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

import pytest

if TYPE_CHECKING:
    from cloudcockpit_sdk import CloudCockpitClient
    from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
    from membership_sdk import MembershipClient
    from membership_sdk.sandbox import MembershipSandbox
    from sdk_core.retry import RetryPolicy
    from sdk_core.sandbox import Sandbox

__all__ = [
    "cloudcockpit_client",
    "cloudcockpit_sandbox",
    "instant_retries",
    "membership_client",
    "membership_sandbox",
    "pytest_runtest_call",
]

S = TypeVar("S", bound="Sandbox")

_PATIENCE: Final = 10.0
"""Seconds for a server to start or stop."""
_SANDBOXES: Final = pytest.StashKey["list[Sandbox]"]()
"""Those of one test."""


@pytest.fixture
def membership_sandbox(request: pytest.FixtureRequest) -> Iterator["MembershipSandbox"]:
    """The Membership API on a free loopback port, with state, faults and a ledger that are this test's alone.

    It runs in a thread and an event loop of its own, so that it serves blocking tests, tests on any event loop, and
    other processes (its `url`) alike. A test that leaves a fault unused fails: what it wanted to see did not happen.
    """
    from membership_sdk.sandbox import MembershipSandbox

    with _served(MembershipSandbox(), request.node) as sandbox:
        yield sandbox


@pytest.fixture
def cloudcockpit_sandbox(request: pytest.FixtureRequest) -> Iterator["CloudCockpitSandbox"]:
    """The CloudCockpit API and its token endpoint on a free loopback port; otherwise like `membership_sandbox`."""
    from cloudcockpit_sdk.sandbox import CloudCockpitSandbox

    with _served(CloudCockpitSandbox(), request.node) as sandbox:
        yield sandbox


@pytest.fixture
def membership_client(membership_sandbox: "MembershipSandbox", instant_retries: "RetryPolicy") -> "MembershipClient":
    """A client of `membership_sandbox` with `instant_retries`; on any event loop, and closed with it."""
    return membership_sandbox.client(retry=instant_retries)


@pytest.fixture
def cloudcockpit_client(
    cloudcockpit_sandbox: "CloudCockpitSandbox", instant_retries: "RetryPolicy"
) -> "CloudCockpitClient":
    """A client of `cloudcockpit_sandbox` with `instant_retries`; on any event loop, and closed with it."""
    return cloudcockpit_sandbox.client(retry=instant_retries)


@pytest.fixture
def instant_retries() -> "RetryPolicy":
    """The default retry policy, but its waits take no time: its clock moves by as much instead.

    For clients of your own: `MembershipClient(membership_sandbox.url, membership_sandbox.API_KEY,
    retry=instant_retries)`. Workflows wait with the same clock.
    """
    import asyncio

    from sdk_core.retry import RetryPolicy

    waited = 0.0

    async def sleep(delay: float) -> None:
        nonlocal waited
        waited += delay
        await asyncio.sleep(0)

    return RetryPolicy(sleep=sleep, clock=lambda: time.monotonic() + waited, wall_clock=lambda: time.time() + waited)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    """Fail a test that ended well, but left faults unused."""
    yield
    unused = [
        queued
        for sandbox in item.stash.get(_SANDBOXES, ())
        for queued in sandbox.faults
        # What is to stay until it is cleared is no step of the test.
        if queued.times is not None
    ]
    if unused:
        from sdk_core.sandbox.faults import show_fault

        faults = (f"{show_fault(one.fault)} for {one.operation or 'any operation'} {one.ids or ''}" for one in unused)
        pytest.fail(
            f"no request met {'; '.join(map(str.rstrip, faults))}. Queue only what the test is to meet, or look why "
            "the requests were not made.",
            pytrace=False,
        )


@contextmanager
def _served(sandbox: S, item: pytest.Item) -> Generator[S]:
    """Run the server beside the test, and remember it for the end of `item`."""
    # In each project of the environment, most tests need no event loop.
    import asyncio

    item.stash.setdefault(_SANDBOXES, []).append(sandbox)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name=type(sandbox).__name__, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(sandbox.__aenter__(), loop).result(_PATIENCE)
        try:
            yield sandbox
        finally:
            asyncio.run_coroutine_threadsafe(sandbox.__aexit__(), loop).result(_PATIENCE)
    finally:
        # A test that is run again (pytest-rerunfailures) must not be held against what this run left unused.
        item.stash[_SANDBOXES].remove(sandbox)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(_PATIENCE)
        loop.close()
