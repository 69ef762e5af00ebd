"""The guard against pauses fails a test that pauses, and no other."""

import asyncio
import time
from contextlib import suppress

import pytest
from pauses import LONGEST
from wire import CannedAnswer, WireServer

from membership_sdk import MembershipClient, RetryPolicy

TOO_LONG = LONGEST + 0.001
fails = pytest.mark.xfail(raises=pytest.fail.Exception, reason="it pauses")


@fails
def test_a_pause_of_a_test_fails_it() -> None:
    time.sleep(TOO_LONG)


@fails
async def test_a_pause_on_the_loop_fails_it() -> None:
    await asyncio.sleep(TOO_LONG)


@fails
async def test_a_pause_of_the_sdk_fails_it() -> None:
    retry = RetryPolicy(max_attempts=2)
    refusal = CannedAnswer(429, headers={"Retry-After": "0.06"})
    async with (
        WireServer(refusal, CannedAnswer(body=[])) as server,
        MembershipClient(server.url, "key", retry=retry) as client,
    ):
        await client.get_contract_data(customer_id=1)


async def test_what_is_cancelled_was_not_waited_for() -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(0.001):
            await asyncio.sleep(3600)


@pytest.mark.real_time("that it may pause is what it shows")
def test_a_test_that_says_why_may_pause() -> None:
    time.sleep(TOO_LONG)
