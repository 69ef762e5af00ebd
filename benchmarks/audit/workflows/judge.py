"""The runs' word against what really was."""

from collections.abc import Iterator
from enum import Enum
from typing import Final

from benchmarks.audit.workflows.account import RunAccount
from benchmarks.audit.workflows.plan import RunPlan
from benchmarks.audit.workflows.runner import Story
from benchmarks.audit.workflows.server import correlation_id_of
from benchmarks.audit.workflows.subjects import GONE
from benchmarks.audit.workflows.world import RunRecord, World
from sdk_core.outcome import Outcome
from sdk_core.workflow import LAST_READ, Change

__all__ = ["WorkflowLie", "judge_world"]

_ROUNDING: Final = 0.1
_AT_DEADLINE: Final = {"NotSettledError", "BadRequestError", "ConflictError"}


class WorkflowLie(Enum):
    """What must never happen."""

    TWICE = "a run had its effect twice"
    """Unless its caller had it sent again, and somebody had undone the first."""
    SENT_AGAIN = "a run sent its request again, although the one before may have had an effect"
    """Unless its caller asked for that."""
    SENT_EARLY = "a run sent its request again on what it had read too early"
    """On a read that came before the time was over in which the effect of the first would show."""
    SENT_LATE = "a run sent its request after its deadline"
    UNASKED = "a run that was only to wait sent a request"
    CHANGE = "said another part in the change than it had"
    """ACKNOWLEDGED, and nothing was accepted; NONE, and something was; UNKNOWN, and nothing was sent."""
    NOT_SO = "said settled, but it was not so"
    """Within the time that reads may be behind."""
    OUTCOME = "said another outcome than it had"
    """NOT_SENT or REJECTED, and something was accepted; APPLIED, and nothing was; UNKNOWN, and nothing was sent. A run
    that was only to wait: anything but UNKNOWN. Also: it offered to be repeated, and something was accepted."""
    GAVE_UP = "did not read on until its deadline"
    """A request that is in doubt, or was refused as if somebody else had done it. Of a cancellation, 404 is an end."""
    MISREAD = "told of a state that it did not read, or named another request"
    OUTLIVED = f"outlived its timeout by more than the {LAST_READ:g} s of the last read"
    HUNG = "did not end"
    FOREIGN_ERROR = "raised something else than an SdkError"
    STRAYED = "requests that belong to no run"


def judge_world(story: Story) -> Iterator[tuple[WorkflowLie, str]]:
    """Return every contradiction."""
    world, accounts = story
    for account, run in zip(accounts, world.plan.runs, strict=True):
        record = world.record(account.number)
        for lie in {*_deeds(account, record, world, run), *_words(account, record, world, run)}:
            yield lie, _tell(world, account, record, run)
    for request in world.strangers:
        yield WorkflowLie.STRAYED, request


def _deeds(account: RunAccount, record: RunRecord, world: World, run: RunPlan) -> Iterator[WorkflowLie]:
    """Look at what it did."""
    subject = world.plan.subject
    undone = run.resend_after is not None and any(deed.state == subject.before for deed in world.plan.deeds)
    if record.effects > 1 and not undone:
        yield WorkflowLie.TWICE
    if record.unsettled and run.resend_after is None:
        yield WorkflowLie.SENT_AGAIN
    if run.resend_after is not None and _is_early(record, run.resend_after):
        yield WorkflowLie.SENT_EARLY
    if record.sent and not run.asks:
        yield WorkflowLie.UNASKED
    if not account.crashed and any(sent > account.started + account.timeout for sent in record.sent):
        yield WorkflowLie.SENT_LATE
    if account.hung:
        yield WorkflowLie.HUNG
    if account.foreign:
        yield WorkflowLie.FOREIGN_ERROR
    if account.ended > account.started + account.timeout + LAST_READ + _ROUNDING:
        yield WorkflowLie.OUTLIVED
    gave_up = account.raised in _AT_DEADLINE and record.sent and account.operation == subject.name
    if gave_up and account.ended < account.started + account.timeout - _ROUNDING and GONE not in subject.others:
        yield WorkflowLie.GAVE_UP


def _is_early(record: RunRecord, resend_after: float) -> bool:
    """Return whether a request was sent again without a read in between that may be believed."""
    for again in record.sent:
        doubts = [first for first in record.in_doubt if first < again]
        if doubts and not any(doubts[-1] + resend_after <= came <= again for came in record.read):
            return True
    return False


def _words(account: RunAccount, record: RunRecord, world: World, run: RunPlan) -> Iterator[WorkflowLie]:
    """Look at what it said."""
    false_changes = {
        Change.ACKNOWLEDGED: not record.accepted,
        Change.NONE: bool(record.accepted),
        Change.UNKNOWN: not record.sent,
    }
    # Who only waits can't know what a run before has done.
    false_outcomes = {
        Outcome.NOT_SENT: bool(record.accepted) or not run.asks,
        Outcome.REJECTED: bool(record.accepted) or not run.asks,
        Outcome.APPLIED: not record.accepted,
        Outcome.UNKNOWN: not record.sent and run.asks,
    }
    if account.change is not None:
        if false_changes[account.change]:
            yield WorkflowLie.CHANGE
        # A purchase is settled by its answer, before it can be read.
        says_all = account.change is Change.ACKNOWLEDGED and record.effects > 0
        seen = world.states_between(account.ended - world.plan.lag - LAST_READ, account.ended)
        if world.plan.subject.goal not in seen and not says_all:
            yield WorkflowLie.NOT_SO
    if account.outcome is not None:
        if false_outcomes[account.outcome] or (account.offers_repeat and record.accepted):
            yield WorkflowLie.OUTCOME
        if account.state is not None and account.state not in record.shown and not _is_verdict(account):
            yield WorkflowLie.MISREAD
        expected = world.plan.subject.name if record.sent else account.operation
        if account.operation != expected or {*account.correlation_ids} != {correlation_id_of(account.number)}:
            yield WorkflowLie.MISREAD


def _is_verdict(account: RunAccount) -> bool:
    """Return whether its state is what a call said that only informs."""
    return account.raised == "NotOfferedError"


def _tell(world: World, account: RunAccount, record: RunRecord, run: RunPlan) -> str:
    plan = world.plan
    kind = "refuses doubles" if plan.refuses_doubles else "does doubles"
    said = account.change or f"{account.raised or 'nothing'} {account.outcome} (state {account.state})"
    history = [f"{since - world.began:.1f} {state}" for since, state in world.history[1:]]
    sent = [f"{moment - world.began:.1f}" for moment in record.sent]
    return (
        f"{plan.subject.name} ({kind}): said {said} from {account.started - world.began:.1f} to "
        f"{account.ended - world.began:.1f}, timeout {run.timeout:g}, {'asks' if run.asks else 'waits'}, "
        f"resend_after {run.resend_after}; sent at {sent}, accepted {record.accepted}, effects {record.effects}; "
        f"began {plan.begins}, then {history}; lag {plan.lag:g}, faults {world.faults}; {account.foreign}"
    )
