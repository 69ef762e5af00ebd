"""The audit finds nothing in the SDK, and does find what is put there: a lie in each row of the outcome table."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any

import aiohttp
import pytest

import cloudcockpit_sdk.operations
import membership_sdk.operations
import sdk_core.client
from benchmarks.audit.__main__ import main
from benchmarks.audit.faults import FAULTS
from benchmarks.audit.judge import Lie
from benchmarks.audit.plan import plan
from benchmarks.audit.report import audit
from sdk_core.errors import Outcome
from sdk_core.operation import Effect
from sdk_core.outcome import of_failure, of_refusal

CALLS = range(1, 2001)


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Thousands of retries are logged; pytest would keep each record, and the audit find the memory gone."""
    caplog.set_level("CRITICAL", "sdk_core")
    # What thousands of tests have left is not looked through again: each time would be a pause of the loop.
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def test_sdk_never_lies() -> None:
    report = audit(1, CALLS)
    if {lie for lie in Lie if report.counts[lie]} == {Lie.OUTLIVED}:
        # A busy machine can be late too. What is the SDK's fault is late again.
        report = audit(1, CALLS)
    assert report.ok, "\n".join(report.lines())
    assert report.calls == len(CALLS)
    # It is not for want of faults, or of calls that matter.
    assert set(report.faults) > set(FAULTS)
    assert report.ends["returned"] > len(CALLS) / 3
    assert report.ends["CancelledError"] > 0
    operations = {plan(1, number).operation for number in CALLS}
    assert operations == {*membership_sdk.operations.OPERATIONS, *cloudcockpit_sdk.operations.OPERATIONS}


def repeat_writes(effect: Effect, outcome: Outcome, *, passing: bool) -> bool:
    return passing


def dropped_is_rejected(error: BaseException) -> Outcome:
    return Outcome.REJECTED


def dropped_is_not_sent(error: BaseException) -> Outcome:
    lost = isinstance(error, aiohttp.ServerDisconnectedError)
    return Outcome.NOT_SENT if lost else of_failure(error)


def conflict_is_applied(operation: Any, status: int, details: Any, *, throttles_with_503: bool) -> tuple[Outcome, bool]:
    if status == 409:
        return Outcome.APPLIED, False
    return of_refusal(operation, status, details, throttles_with_503=throttles_with_503)


def server_error_is_rejected(
    operation: Any, status: int, details: Any, *, throttles_with_503: bool
) -> tuple[Outcome, bool]:
    if status == 500:
        return Outcome.REJECTED, True
    return of_refusal(operation, status, details, throttles_with_503=throttles_with_503)


def every_503_throttles(operation: Any, status: int, details: Any, *, throttles_with_503: bool) -> tuple[Outcome, bool]:
    if status == 503:
        return Outcome.REJECTED, True
    return of_refusal(operation, status, details, throttles_with_503=throttles_with_503)


@pytest.mark.parametrize(
    ("name", "mutant", "lie"),
    [
        ("may_repeat", repeat_writes, Lie.TWICE),
        ("of_failure", dropped_is_rejected, Lie.APPLIED),
        ("of_failure", dropped_is_not_sent, Lie.MISCOUNTED),
        ("of_refusal", conflict_is_applied, Lie.NOT_APPLIED),
        ("of_refusal", server_error_is_rejected, Lie.TWICE),
        ("of_refusal", every_503_throttles, Lie.TWICE),
    ],
)
def test_audit_finds_a_wrong_table(
    monkeypatch: pytest.MonkeyPatch, name: str, mutant: Callable[..., Any], lie: Lie
) -> None:
    monkeypatch.setattr(sdk_core.client, name, mutant)
    report = audit(1, range(1, 601))
    assert not report.ok
    assert report.counts[lie]


def test_audit_finds_a_foreign_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_core.client, "EXCHANGE_ERRORS", ())
    assert audit(1, range(1, 101)).counts[Lie.FOREIGN_ERROR]


def test_audit_finds_a_hidden_replay(monkeypatch: pytest.MonkeyPatch) -> None:
    """What aiohttp would do by itself (R-06)."""
    monkeypatch.setattr("sdk_core.session._switch_replay_off", lambda _session: None)
    assert audit(1, range(1, 501)).counts[Lie.MISCOUNTED]


def test_audit_finds_followed_redirects(monkeypatch: pytest.MonkeyPatch) -> None:
    request = aiohttp.ClientSession.request

    def follow(session: aiohttp.ClientSession, *args: Any, **options: Any) -> Any:
        return request(session, *args, **{**options, "allow_redirects": True})

    monkeypatch.setattr(aiohttp.ClientSession, "request", follow)
    assert audit(1, range(1, 501)).counts[Lie.REDIRECTED]


def test_audit_finds_a_call_that_outlives_its_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    send = sdk_core.client.Client._send

    async def hesitate(*args: Any) -> Any:
        try:
            return await send(*args)
        finally:
            await asyncio.sleep(0.5)

    monkeypatch.setattr(sdk_core.client.Client, "_send", hesitate)
    assert audit(1, range(1, 51)).counts[Lie.OUTLIVED]


def test_audit_finds_what_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def forget(_client: object) -> None:
        pass

    monkeypatch.setattr(sdk_core.client.Client, "aclose", forget)
    monkeypatch.setattr("sdk_core.session._graveyard", [])
    report = audit(1, range(1, 101))
    assert not report.violations
    assert any(report.left.values())


def test_command_repeats_a_single_call(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["audit", "--only", "7", "--seed", "3"])
    assert main() == 0
    assert "seed 3: 1 calls" in capsys.readouterr().out
