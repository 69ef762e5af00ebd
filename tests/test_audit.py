"""The audit finds nothing in the SDK, and does find what is put there: a lie in each row of the outcome table."""

import asyncio
import gc
import multiprocessing
import os
from collections.abc import Callable, Sequence
from functools import cache
from itertools import count, islice
from typing import Any

import aiohttp
import pytest
from aiohttp.http_parser import HttpResponseParserPy
from fuzz import FACTOR

import cloudcockpit_sdk.operations
import membership_sdk.operations
import sdk_core.admission
import sdk_core.auth
import sdk_core.client
import sdk_core.transport.exchange
import sdk_core.transport.session
import sdk_core.verdict
from benchmarks.audit.__main__ import main
from benchmarks.audit.exchange import Exchange
from benchmarks.audit.faults import FAULTS, obey
from benchmarks.audit.judge import Lie
from benchmarks.audit.plan import OWN, STEADY, Plan, plan
from benchmarks.audit.report import Report, audit
from sdk_core.errors import SdkError
from sdk_core.operation import Effect
from sdk_core.outcome import Outcome, outcome_of_failure, outcome_of_status

pytestmark = pytest.mark.real_time("the server of the audit answers late, and stalls, as a network does")

CALLS = range(1, 2001)


@cache
def planned(number: int) -> Plan:
    return plan(1, number)


def such_calls(calls: int, wanted: Callable[[Plan], bool]) -> list[int]:
    return list(islice((number for number in count(1) if wanted(planned(number))), calls))


def quick(calls: int) -> list[int]:
    """But for those which may wait a second until they may ask for a token again."""
    return such_calls(calls, lambda call: call.route != OWN)


def writes(calls: int) -> list[int]:
    return such_calls(calls, lambda call: call.route != OWN and call.operation.effect is Effect.WRITE)


def cancelled(calls: int) -> list[int]:
    return such_calls(calls, lambda call: call.route == STEADY and call.cancelled)


def with_tokens(calls: int) -> list[int]:
    return such_calls(calls, lambda call: call.needs_token and call.total_timeout < 0.5)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of retries are logged; pytest would keep each record, and the audit find the memory gone."""
    caplog.set_level("CRITICAL", "sdk_core")
    # What thousands of tests have left is not looked through again: each time would be a pause of the loop.
    gc.collect()
    gc.freeze()


def passed(numbers: Sequence[int], runtime: str = "asyncio") -> Report:
    report = audit(1, numbers, runtime)
    if {lie for lie in Lie if report.counts[lie]} == {Lie.OUTLIVED}:
        # A busy machine can be late too. What is the SDK's fault is late again.
        report = audit(1, numbers, runtime)
    assert report.ok, "\n".join(report.lines())
    assert report.calls == len(numbers)
    return report


def with_only(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let half of the calls meet this fault, and no other: no luck is needed."""
    monkeypatch.setattr("benchmarks.audit.server.FAULTS", {fault: FAULTS[fault]})


@pytest.mark.endurance
def test_sdk_never_lies() -> None:
    report = passed(CALLS)
    # It is not for want of faults, or of calls that matter.
    assert set(report.faults) > set(FAULTS)
    assert report.ends["returned"] > len(CALLS) * 0.3
    assert report.ends["CancelledError"] > 0
    assert report.token_requests > 0
    operations = {plan(1, number).operation for number in CALLS}
    assert operations == {
        *membership_sdk.operations.OPERATIONS,
        membership_sdk.operations.VERIFY_API_KEY,
        *cloudcockpit_sdk.operations.OPERATIONS,
    }


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "runtime", ["uvloop", "runs", "threads", "fork", pytest.param("spawn", marks=pytest.mark.endurance)]
)
def test_sdk_never_lies_wherever_it_runs(runtime: str) -> None:
    """R-14: but for uvloop, with clients as of a module: made once, used in all loops, threads and processes."""
    if runtime == "uvloop":
        pytest.importorskip("uvloop")
    elif runtime == "fork" and runtime not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    assert passed(quick(100 * FACTOR), runtime).ends["returned"] > 25 * FACTOR


@pytest.mark.fuzz
def test_sdk_never_lies_with_the_parser_in_python(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no C extension, aiohttp raises more, and sooner."""
    monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", HttpResponseParserPy)
    passed(quick(100 * FACTOR))
    monkeypatch.setattr(sdk_core.transport.exchange, "EXCHANGE_ERRORS", (aiohttp.ClientError, OSError))
    with_only("invalid chunk, later", monkeypatch)
    assert audit(1, quick(50)).counts[Lie.FOREIGN_ERROR]


def repeat_writes(effect: Effect, outcome: Outcome, *, passing: bool) -> bool:
    return passing


def dropped_is_rejected(error: BaseException) -> Outcome:
    return Outcome.REJECTED


def dropped_is_not_sent(error: BaseException) -> Outcome:
    lost = isinstance(error, aiohttp.ServerDisconnectedError)
    return Outcome.NOT_SENT if lost else outcome_of_failure(error)


def conflict_is_applied(operation: Any, status: int, details: Any, *, throttles_with_503: bool) -> tuple[Outcome, bool]:
    if status == 409:
        return Outcome.APPLIED, False
    return outcome_of_status(operation, status, details, throttles_with_503=throttles_with_503)


def server_error_is_rejected(
    operation: Any, status: int, details: Any, *, throttles_with_503: bool
) -> tuple[Outcome, bool]:
    if status == 500:
        return Outcome.REJECTED, True
    return outcome_of_status(operation, status, details, throttles_with_503=throttles_with_503)


def every_503_is_a_refusal(
    operation: Any, status: int, details: Any, *, throttles_with_503: bool
) -> tuple[Outcome, bool]:
    if status == 503:
        return Outcome.REJECTED, False
    return outcome_of_status(operation, status, details, throttles_with_503=throttles_with_503)


@pytest.mark.parametrize(
    ("name", "mutant", "fault", "lie"),
    [
        ("may_repeat", repeat_writes, "closed after applying", Lie.TWICE),
        ("outcome_of_failure", dropped_is_rejected, "closed after applying", Lie.APPLIED),
        ("outcome_of_failure", dropped_is_not_sent, "closed after applying", Lie.MISCOUNTED),
        ("outcome_of_status", conflict_is_applied, "409 with envelope", Lie.NOT_APPLIED),
        ("outcome_of_status", server_error_is_rejected, "500 bare", Lie.TWICE),
        ("outcome_of_status", every_503_is_a_refusal, "503 bare", Lie.APPLIED),
    ],
)
def test_audit_finds_a_wrong_table(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., Any], fault: str, lie: Lie
) -> None:
    """In a hundred calls of which half meet the one fault that shows it."""
    with_only(fault, monkeypatch)
    for module in (sdk_core.transport.exchange, sdk_core.verdict):
        if hasattr(module, name):
            monkeypatch.setattr(module, name, mutant)
    assert audit(1, writes(100)).counts[lie]


def test_audit_finds_a_foreign_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_core.transport.exchange, "EXCHANGE_ERRORS", ())
    assert audit(1, quick(100)).counts[Lie.FOREIGN_ERROR]


def test_audit_finds_a_hidden_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What aiohttp would do by itself (R-06)."""
    monkeypatch.setattr("sdk_core.transport.session._switch_replay_off", lambda _session: None)
    with_only("closed before applying", monkeypatch)
    assert audit(1, quick(50)).counts[Lie.MISCOUNTED]


async def busy_after_its_answer(x: Exchange) -> None:
    """Answer; what comes next over the connection lies there for a while before it is read."""
    await obey(x)
    await asyncio.sleep(0.1)


def test_audit_allows_what_was_sent_before_its_call_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    """However late the server reads it."""
    monkeypatch.setattr("benchmarks.audit.server.FAULTS", {"busy": busy_after_its_answer})
    # Few at a time, so that they are given up faster than the server reads.
    monkeypatch.setattr("benchmarks.audit.runner._CONCURRENCY", 4)
    report = audit(1, cancelled(150))
    assert report.ok, "\n".join(report.lines())
    assert report.ends["CancelledError"] > 30


def test_audit_finds_a_request_after_its_call_was_cancelled(monkeypatch: pytest.MonkeyPatch) -> None:
    send = sdk_core.transport.exchange.Exchange.send

    async def later(*args: Any) -> Any:
        await asyncio.sleep(0.1)
        return await send(*args)

    async def detached(*args: Any) -> Any:
        return await asyncio.shield(later(*args))

    monkeypatch.setattr(sdk_core.transport.exchange.Exchange, "send", detached)
    report = audit(1, cancelled(50))
    assert any("after the call was cancelled" in detail for _, _, detail in report.violations)


def test_audit_finds_followed_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    request = aiohttp.ClientSession.request

    def follow(session: aiohttp.ClientSession, *args: Any, **options: Any) -> Any:
        return request(session, *args, **{**options, "allow_redirects": True})

    monkeypatch.setattr(aiohttp.ClientSession, "request", follow)
    with_only("redirect to another host", monkeypatch)
    assert audit(1, quick(50)).counts[Lie.REDIRECTED]


def test_audit_finds_a_call_that_outlives_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    send = sdk_core.transport.exchange.Exchange.send

    async def hesitate(*args: Any) -> Any:
        try:
            return await send(*args)
        finally:
            await asyncio.sleep(0.5)

    monkeypatch.setattr(sdk_core.transport.exchange.Exchange, "send", hesitate)
    assert audit(1, quick(10)).counts[Lie.OUTLIVED]


def test_audit_finds_a_session_used_in_another_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    opened = sdk_core.admission.Admission._open
    first: list[sdk_core.transport.session.LoopSession] = []

    async def whichever(admission: sdk_core.admission.Admission, call: Any) -> sdk_core.transport.session.LoopSession:
        if not first:
            first.append(await opened(admission, call))
        return first[0]

    monkeypatch.setattr(sdk_core.admission.Admission, "_open", whichever)
    assert audit(1, quick(50), "runs").counts[Lie.FOREIGN_ERROR]


def test_audit_finds_a_lie_told_in_a_forked_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    if "fork" not in multiprocessing.get_all_start_methods():
        pytest.skip("no fork here")
    parent = os.getpid()

    def in_workers(error: BaseException) -> Outcome:
        return outcome_of_failure(error) if os.getpid() == parent else Outcome.NOT_SENT

    monkeypatch.setattr(sdk_core.transport.exchange, "outcome_of_failure", in_workers)
    assert audit(1, quick(100), "fork").counts[Lie.MISCOUNTED]


def test_audit_finds_a_token_that_was_never_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = sdk_core.auth.BearerToken.fetch

    async def make_up(*args: Any) -> Any:
        try:
            return await fetch(*args)
        except SdkError:
            return {"Authorization": "Bearer made up"}

    monkeypatch.setattr(sdk_core.auth.BearerToken, "fetch", make_up)
    report = audit(1, with_tokens(15))
    assert report.counts[Lie.MISCOUNTED]
    assert any("without a token" in detail for _, _, detail in report.violations)


def test_audit_finds_a_failed_token_that_leaves_all_open(monkeypatch: pytest.MonkeyPatch) -> None:
    fetch = sdk_core.admission.Admission.fetch_token

    async def unsure(*args: Any) -> Any:
        try:
            return await fetch(*args)
        except SdkError as error:
            error.args[1]["outcome"] = Outcome.UNKNOWN.value
            raise

    monkeypatch.setattr(sdk_core.admission.Admission, "fetch_token", unsure)
    assert audit(1, with_tokens(15)).counts[Lie.MISCOUNTED]


def test_audit_finds_an_error_with_foreign_company(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_core.transport.exchange, "safe_cause", lambda error, _proxy: error)
    assert audit(1, quick(50)).counts[Lie.FOREIGN_ERROR]


def test_audit_finds_what_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(_client: object) -> None:
        pass

    monkeypatch.setattr(sdk_core.client.Client, "aclose", forget)
    monkeypatch.setattr("sdk_core.transport.session._inherited", [])
    report = audit(1, quick(100))
    assert not report.violations
    assert any(report.left.values())


def test_command_repeats_a_single_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["audit", "--only", "7", "--seed", "3"])
    assert main() == 0
    assert "seed 3, asyncio: 1 calls" in capsys.readouterr().out
