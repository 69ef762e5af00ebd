"""R-25: what the SDKs log, and how loud. (What never stands in a record: test_secrets.py.)"""

import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from wire import DROP, CannedAnswer, FakeTime, WireServer

from membership_sdk import MembershipClient, RetryPolicy, SdkError, VoidResult
from sdk_core.operation import Effect, Operation

ROOT = Path(__file__).parents[2]

SEARCH = Operation(name="search_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
ANSWER = {"name": "x"}


def our_records(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.partition(".")[0] == "sdk_core"]


async def use(time: FakeTime, *script: Any, **policy: Any) -> SdkError | None:
    """Make one call."""
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock, **policy)
    async with WireServer(*script) as server, MembershipClient(server.url, "key", retry=retry) as client:
        try:
            await client.call(SEARCH)
        except SdkError as error:
            return error
    return None


async def test_success_says_nothing(caplog: pytest.LogCaptureFixture, fake_time: FakeTime) -> None:
    """Not one record at INFO, from any logger: a line per request is noise in the application's log."""
    caplog.set_level(logging.INFO)
    assert await use(fake_time, CannedAnswer(body=ANSWER)) is None
    assert caplog.records == []


RETRIED = {
    "500": (CannedAnswer(500, ANSWER), CannedAnswer(500, ANSWER), CannedAnswer(body=ANSWER)),
    "429": (CannedAnswer(429, ANSWER, {"Retry-After": "1"}), CannedAnswer(body=ANSWER)),
    "dropped": (DROP, DROP, CannedAnswer(body=ANSWER)),
    "given-up": (CannedAnswer(502, "page"), CannedAnswer(502, "page"), CannedAnswer(502, "page")),
}


@pytest.mark.parametrize("script", RETRIED.values(), ids=RETRIED)
async def test_a_retry_is_one_warning(
    script: tuple[Any, ...], caplog: pytest.LogCaptureFixture, fake_time: FakeTime
) -> None:
    """One record for each request beyond the first, and no other: what is raised is the caller's to log."""
    caplog.set_level(logging.INFO)
    await use(fake_time, *script)
    assert [(record.levelname, record.name) for record in our_records(caplog)] == [("WARNING", "sdk_core.client")] * (
        len(script) - 1
    )


async def test_warning_tells_what_is_needed(caplog: pytest.LogCaptureFixture, fake_time: FakeTime) -> None:
    """Operation, kind of failure, number of the attempt, the wait, and the id that is on the error too."""
    error = await use(fake_time, CannedAnswer(500), max_attempts=2)
    [record] = our_records(caplog)
    assert error is not None
    message = record.getMessage()
    for part in ("search_it", "ServerError", "attempt 1", f"{fake_time.sleeps[0]:.2f} s", str(error.correlation_id)):
        assert part in message
    # Arguments are apart from the text, so that log collectors can group by it.
    assert "search_it" not in record.msg
    assert record.exc_info is None


_IMPORTED = """
import logging
before = logging.root.level, list(logging.root.handlers), set(logging.root.manager.loggerDict)
import cloudcockpit_sdk, membership_sdk
import cloudcockpit_sdk.sandbox, membership_sdk.sandbox

assert (logging.root.level, logging.root.handlers) == before[:2]
new = {name: logging.getLogger(name) for name in set(logging.root.manager.loggerDict) - before[2]}
ours = {name: logger for name, logger in new.items() if name.partition(".")[0] == "sdk_core"}
assert "sdk_core" in ours and "sdk_core.client" in ours, sorted(new)
assert not {name for name in new if name.partition(".")[0] in {"membership_sdk", "cloudcockpit_sdk"}}
assert {logger.level for logger in new.values()} == {logging.NOTSET}
assert all(logger.propagate and not logger.disabled for logger in ours.values())
handlers = {name: [type(handler) for handler in logger.handlers] for name, logger in ours.items() if logger.handlers}
assert handlers == {"sdk_core": [logging.NullHandler]}, handlers

import asyncio
from wire import CannedAnswer, WireServer

async def main():
    async with WireServer(CannedAnswer(500), CannedAnswer(body=[])) as server:
        async with membership_sdk.MembershipClient(
            server.url, "key", retry=membership_sdk.RetryPolicy(backoff_base=0)
        ) as client:
            assert await client.get_contract_data(customer_id=1) == []
        assert len(server.requests) == 2

asyncio.run(main())
"""


def test_logging_is_the_applications_to_configure() -> None:
    """One tree of loggers with a NullHandler; importing sets no level, and a retry prints nothing of its own accord."""
    search = os.pathsep.join(str(ROOT / folder) for folder in (".", "shared", "tests"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORTED],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
