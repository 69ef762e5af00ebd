"""R-25: what the SDKs log, and how loud. (What never stands in a record: test_secrets.py.)"""

import io
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from alone import run_alone
from wire import DROP, CannedAnswer, FakeTime, WireServer

from membership_sdk import MembershipClient, RetryPolicy, SdkError, VoidResult, correlation_scope
from sdk_core.call import Call
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


FIELDS = ("sdk_operation", "sdk_attempt", "sdk_outcome", "sdk_correlation_id")


def fields_of(record: logging.LogRecord) -> tuple[object, ...]:
    return tuple(getattr(record, name) for name in FIELDS)


async def test_records_carry_their_facts_as_fields(caplog: pytest.LogCaptureFixture, fake_time: FakeTime) -> None:
    """So that a log collector needs to parse no text: the retries, and what became of the call in the end."""
    caplog.set_level(logging.DEBUG, "sdk_core")
    script = (CannedAnswer(429, headers={"Retry-After": "1"}), CannedAnswer(500), CannedAnswer(body=ANSWER))
    with correlation_scope("order-7"):
        assert await use(fake_time, *script) is None
    assert [(record.levelname, record.name, *fields_of(record)) for record in our_records(caplog)] == [
        ("WARNING", "sdk_core.client", "search_it", 1, "rejected", "order-7"),
        ("WARNING", "sdk_core.client", "search_it", 2, "unknown", "order-7"),
        ("DEBUG", "sdk_core.client", "search_it", 3, "success", "order-7"),
    ]


async def test_success_is_one_line_at_debug(caplog: pytest.LogCaptureFixture, fake_time: FakeTime) -> None:
    """With the status, the time and the id; of a reply too."""
    caplog.set_level(logging.DEBUG, "sdk_core")
    async with WireServer(CannedAnswer(body=ANSWER)) as server, MembershipClient(server.url, "key") as client:
        reply = await client.call_with_reply(SEARCH)
    [record] = our_records(caplog)
    took = f"{reply.attempts[0].elapsed:.3f}"
    assert record.getMessage() == (
        f"search_it succeeded with 200 in attempt 1, which took {took} s (correlation id {reply.correlation_id})"
    )
    assert fields_of(record) == ("search_it", 1, "success", reply.correlation_id)


async def test_success_does_no_work_for_a_log_that_is_off(
    fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delattr(Call, "log_success")
    caplog.set_level(logging.INFO, "sdk_core")
    assert await use(fake_time, CannedAnswer(body=ANSWER)) is None


async def test_an_applications_logging_fails_no_call(fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """A record factory that knows the common names of such fields, and a filter that raises once the call is made."""
    caplog.set_level(logging.DEBUG, "sdk_core")
    make_record, calls = logging.getLogRecordFactory(), logging.getLogger("sdk_core.client")

    def with_common_names(*arguments: Any, **more: Any) -> logging.LogRecord:
        record = make_record(*arguments, **more)
        record.__dict__ |= dict.fromkeys(("operation", "attempt", "outcome", "correlation_id"), "mine")
        return record

    def refuse(record: logging.LogRecord) -> bool:
        if record.levelno == logging.DEBUG:
            raise RuntimeError
        return True

    logging.setLogRecordFactory(with_common_names)
    calls.addFilter(refuse)
    try:
        assert await use(fake_time, CannedAnswer(500), CannedAnswer(body=ANSWER)) is None
    finally:
        logging.setLogRecordFactory(make_record)
        calls.removeFilter(refuse)
    [record] = our_records(caplog)
    assert fields_of(record)[:3] == ("search_it", 1, "unknown")


async def test_structlog_gets_the_fields(fake_time: FakeTime) -> None:
    """As its documentation has it for records of the standard library: one JSON object a line."""
    import structlog

    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    shared = [structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name, structlog.stdlib.ExtraAdder()]
    render = [
        structlog.stdlib.ProcessorFormatter.remove_processors_meta,
        structlog.processors.JSONRenderer(sort_keys=True),
    ]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=render))
    logger = logging.getLogger("sdk_core")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG)
    try:
        with correlation_scope("order-7"):
            await use(fake_time, CannedAnswer(500), CannedAnswer(body=ANSWER))
    finally:
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [{name: line[name] for name in ("level", "logger", *FIELDS)} for line in lines] == [
        {"level": level, "logger": name, **dict(zip(FIELDS, ("search_it", attempt, outcome, "order-7"), strict=True))}
        for level, name, attempt, outcome in (
            ("warning", "sdk_core.client", 1, "unknown"),
            ("debug", "sdk_core.client", 2, "success"),
        )
    ]


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
    assert run_alone(_IMPORTED) == ""
