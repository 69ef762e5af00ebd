"""The audit of the workflows finds nothing, and does find what is put there: each lie, by the change that brings it."""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.audit.__main__ import main
from benchmarks.audit.workflows.judge import WorkflowLie
from benchmarks.audit.workflows.plan import plan_world
from benchmarks.audit.workflows.report import WorkflowReport, audit_workflows
from benchmarks.audit.workflows.subjects import SUBJECTS
from sdk_core import settling as settling_module
from sdk_core import workflow
from sdk_core.outcome import Outcome
from sdk_core.workflow import Change, Settled

pytestmark = pytest.mark.skipif(not hasattr(asyncio, "start_unix_server"), reason="needs Unix sockets")

WORLDS = range(1, 121)
FEW = (14, 19, 22, 30, 33, 39, 40, 69, 82)
"""Of the first hundred, these show each of the lies below: a world is the same whenever it is run."""
Lie = WorkflowLie


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Thousands of retries are logged; pytest would keep each record."""
    caplog.set_level("CRITICAL", "sdk_core")


def test_workflows_never_lie() -> None:
    report = audit_workflows(1, WORLDS)
    assert report.ok, "\n".join(report.lines())
    # It is not for want of trouble, of either kind of server, or of runs that got somewhere.
    plans = [plan_world(1, number) for number in WORLDS]
    assert {(plan.subject.name, plan.refuses_doubles) for plan in plans} == {
        (subject.name, refuses) for subject in SUBJECTS for refuses in (True, False)
    }
    for end in ("settled, acknowledged", "settled, none", "settled, unknown", "NotSettledError, unknown", "crashed"):
        assert report.ends[end] > 3
    assert report.faults.total() > 100


@pytest.mark.endurance
def test_a_world_is_the_same_whenever_it_is_run() -> None:
    """So that `--only` shows what the whole run has found."""
    together = audit_workflows(5, range(1, 9))
    alone = Counter[str]()
    for number in range(1, 9):
        alone.update(audit_workflows(5, [number]).ends)
    assert alone == together.ends


settling = settling_module._Settling
run = workflow.Run


def lies(report: WorkflowReport) -> set[WorkflowLie]:
    return {lie for lie, count in report.counts.items() if count}


def send_again_when_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def soon(self: Any) -> float | None:
        return 0.0 if self._outcome is Outcome.UNKNOWN and self._times_sent < 2 else None

    monkeypatch.setattr(settling, "_resend_at", soon)


def believe_what_was_read_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer came after the time was over, but the read began before."""

    def is_time(self: Any) -> bool:
        moment = self._resend_at() if self.was_sent else 0.0
        return self._ask and self._run.left > 0 and moment is not None and moment <= self._run.now

    monkeypatch.setattr(settling, "_is_time_to_send", is_time)


def claim_what_was_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    def claim(self: Any, state: Any) -> Settled[Any]:
        return Settled(Change.ACKNOWLEDGED if self._requests_sent() else Change.NONE, state, ())

    monkeypatch.setattr(settling, "_requests_sent", lambda self: self._times_sent, raising=False)
    monkeypatch.setattr(settling, "_settled", claim)


def claim_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_settled", lambda _self, state: Settled(Change.NONE, state, ()))


def doubt_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "_settled", lambda _self, state: Settled(Change.UNKNOWN, state, ()))


def take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = run.__init__
    monkeypatch.setattr(run, "__init__", lambda self, client, timeout: begin(self, client, 3 * timeout))


def give_calls_their_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it was once: each call could take as long as any other, and be repeated."""
    call = run.call

    async def unlimited(self: Any, operation: Any, **arguments: Any) -> Any:
        client = self._client

        class Unlimited:
            def with_options(self, **_options: Any) -> Any:
                return client

        self._client = Unlimited()
        try:
            return await call(self, operation, **arguments)
        finally:
            self._client = client

    monkeypatch.setattr(run, "call", unlimited)


def send_though_told_to_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = settling.__init__
    monkeypatch.setattr(settling, "__init__", lambda self, *args, **named: begin(self, *args, **{**named, "ask": True}))


def believe_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    async def settle(self: Any) -> Any:
        reply = await self._read()
        return self._settled(reply and reply.value)

    monkeypatch.setattr(settling, "settle", settle)


def forget_the_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """The error that is raised says what became of the read."""
    monkeypatch.setattr(settling, "was_sent", False)
    monkeypatch.setattr(settling, "_may_have_effect", False)


def end_with_the_first_failed_read(monkeypatch: pytest.MonkeyPatch) -> None:
    read = settling._read

    async def impatient(self: Any) -> Any:
        reply = await read(self)
        if reply is None:
            raise self._not_settled()
        return reply

    monkeypatch.setattr(settling, "_read", impatient)


def tell_of_another_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling_module, "shown", lambda _state: "another")


def wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep(_self: Any, _delay: float) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(run, "sleep", sleep)


def raise_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(_self: Any, _error: Any) -> Any:
        raise LookupError

    monkeypatch.setattr(settling, "complete", complete)


@pytest.mark.parametrize(
    ("mutate", "expected"),
    [
        (send_again_when_lost, {Lie.TWICE, Lie.SENT_AGAIN}),
        (claim_what_was_lost, {Lie.CHANGE}),
        (claim_nothing, {Lie.CHANGE}),
        (doubt_always, {Lie.CHANGE}),
        (take_longer, {Lie.OUTLIVED, Lie.SENT_LATE}),
        (give_calls_their_own_time, {Lie.OUTLIVED}),
        (send_though_told_to_wait, {Lie.UNASKED}),
        (believe_too_early, {Lie.NOT_SO}),
        (forget_the_request, {Lie.OUTCOME, Lie.MISREAD}),
        (end_with_the_first_failed_read, {Lie.GAVE_UP}),
        (tell_of_another_state, {Lie.MISREAD}),
        (wait_for_ever, {Lie.HUNG}),
        (raise_something_else, {Lie.FOREIGN_ERROR}),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_audit_finds_a_lie(
    monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None], expected: set[WorkflowLie]
) -> None:
    mutate(monkeypatch)
    report = audit_workflows(1, FEW)
    assert not report.ok
    assert lies(report) >= expected


def test_audit_finds_a_request_sent_again_too_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes a read that is on its way just then."""
    believe_what_was_read_too_early(monkeypatch)
    assert audit_workflows(1, [456]).counts[Lie.SENT_EARLY]


def test_audit_finds_a_request_of_no_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmarks.audit.workflows.runner.language_of", lambda _run: "de")
    assert audit_workflows(1, WORLDS[:4]).counts[Lie.STRAYED]


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["audit", "--workflows", "--calls", "10", "--seed", "3"])
    assert main() == 0
    assert "seed 3, workflows: 10 worlds" in capsys.readouterr().out
