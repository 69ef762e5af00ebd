"""The SDK's word against the ledger."""

from asyncio import CancelledError
from collections.abc import Iterable, Iterator
from enum import Enum
from typing import Final

from benchmarks.audit.account import Account
from benchmarks.audit.ledger import Entry, Ledger
from sdk_core.errors import ClientClosedError, SdkError
from sdk_core.operation import Effect
from sdk_core.outcome import Attempt, Outcome

__all__ = ["LATENESS", "Lie", "Violation", "judge"]

Violation = tuple["Lie", int, str]
"""What, which call, and how it came about."""

LATENESS: Final = 0.25
"""Seconds that a call may take beyond its deadline, or beyond its cancellation."""


class Lie(Enum):
    """What must never happen."""

    NOT_APPLIED = "said applied, but was not"
    """It returned, or said APPLIED. Also: it said so of a READ, or returned the answer to another call."""
    APPLIED = "said NOT_SENT or REJECTED, but was applied"
    """Also: it offered a WRITE to be repeated that was applied. (A READ has no effect to be wrong about.)"""
    TWICE = "a WRITE applied more than once"
    MISCOUNTED = "wire requests differ from the attempts reported"
    """See `_miscounts`. Also: a request after its call was cancelled, or one that belongs to no call, or one of a call
    that was issued no token."""
    FOREIGN_ERROR = "raised something else than an SdkError"
    """Or than CancelledError when, and only when, it was cancelled. Also: an SdkError that carries somebody else's, or
    that tells of a closed client, when none was."""
    OUTLIVED = f"outlived its deadline by more than {LATENESS * 1000:.0f} ms"
    """Or its cancellation. Time in which the machine did not let the process run is not counted; see `pulse`."""
    REDIRECTED = "requests to the host that answers redirect to"


def judge(accounts: Iterable[Account], ledger: Ledger, max_attempts: int) -> list[Violation]:
    """Return every contradiction."""
    found: list[Violation] = []
    unseen = 0
    for account in accounts:
        entry = ledger.entry(account.number)
        assert entry is not None  # noqa: S101  they are the ledger's calls
        story = _story(account, entry)
        found += [(lie, account.number, f"{detail}; {story}") for lie, detail in _contradictions(account, entry)]
        found += [(Lie.MISCOUNTED, account.number, f"{d}; {story}") for d in _miscounts(account, entry, max_attempts)]
        unseen += _unseen(account, entry)
        late = account.ended - account.due
        if late - account.stolen > LATENESS:
            found.append((Lie.OUTLIVED, account.number, f"by {late * 1000:.0f} ms; {story}"))
    if unseen > ledger.unheard:
        found.append((Lie.MISCOUNTED, 0, f"{unseen} attempts never arrived, {ledger.unheard} can have got lost"))
    found += [(Lie.MISCOUNTED, 0, f"belongs to no call: {request}") for request in ledger.strangers]
    found += [(Lie.REDIRECTED, 0, "a connection")] * ledger.elsewhere
    return found


def _contradictions(account: Account, entry: Entry) -> Iterator[tuple[Lie, str]]:
    effect, outcome = entry.plan.operation.effect, account.outcome
    of_read = effect is Effect.READ and account.raised is not None
    if outcome is Outcome.APPLIED and (of_read or not entry.applied):
        yield Lie.NOT_APPLIED, "a READ has no effect" if of_read else "never applied"
    if account.raised is None and account.answered != str(account.number):
        yield Lie.NOT_APPLIED, f"got the answer to call {account.answered}"
    if effect is not Effect.READ and entry.applied and outcome in {Outcome.NOT_SENT, Outcome.REJECTED}:
        yield Lie.APPLIED, f"applied {entry.applied} times"
    if effect is Effect.WRITE and entry.applied and account.offers_repeat:
        yield Lie.APPLIED, "offered to be repeated"
    if effect is Effect.WRITE and entry.applied > 1:
        yield Lie.TWICE, f"applied {entry.applied} times"
    if account.cancelled:
        if account.raised is not CancelledError:
            yield Lie.FOREIGN_ERROR, "was cancelled, but ended otherwise"
    elif account.raised is ClientClosedError:
        yield Lie.FOREIGN_ERROR, "nobody closed the client"
    elif account.foreign:
        yield Lie.FOREIGN_ERROR, account.foreign


def _miscounts(account: Account, entry: Entry, max_attempts: int) -> Iterator[str]:
    """Compare the wire with the attempts reported.

    On the wire is a request whose head the server received in full. The client can't know whether what it sent
    into a connection that then broke or stayed silent was received. So an attempt with a status, and no other, is
    certainly on the wire; one without may be; one that is NOT_SENT is not. For all calls together, no more may have
    got lost than there were connections to lose them in (`Ledger.unheard`).
    """
    if entry.late:
        yield f"{entry.late} requests after the call was cancelled"
    if entry.plan.needs_token and entry.seen and not entry.tokens:
        yield f"{entry.seen} on the wire without a token"
    if len(entry.token_faults) > max_attempts + 1:
        yield f"{len(entry.token_faults)} requests for a token, {max_attempts} allowed"
    # Neither tells of attempts.
    if account.raised is not None and not issubclass(account.raised, SdkError):
        return
    if account.outcome is not Outcome.NOT_SENT and not account.attempts:
        yield "no attempts"
    sent = _sent(account)
    answered = [attempt for attempt in sent if attempt.status is not None]
    if not len(answered) <= entry.seen <= len(sent):
        yield f"{entry.seen} on the wire, {len(sent)} reported as sent, {len(answered)} as answered"
    # One more than allowed may cure a 401.
    allowed = max_attempts + any(attempt.status == 401 for attempt in sent)
    if entry.seen > allowed:
        yield f"{entry.seen} on the wire, {allowed} allowed"


def _unseen(account: Account, entry: Entry) -> int:
    """Return how many requests of the call are said to have been sent into a connection that broke, but never came."""
    # Those that timed out are left out: with hardly any time, the limit may pass before the first byte is written.
    broken = sum(attempt.status is None and attempt.error != "TimeoutError" for attempt in _sent(account))
    return min(len(_sent(account)) - entry.seen, broken)


def _sent(account: Account) -> list[Attempt]:
    return [attempt for attempt in account.attempts if attempt.outcome is not Outcome.NOT_SENT]


def _story(account: Account, entry: Entry) -> str:
    said = account.outcome.value if account.outcome else "nothing"
    how = account.raised.__name__ if account.raised else "returned"
    attempts = ", ".join(str(a.status or a.error) for a in account.attempts)
    plan = entry.plan
    tokens = f"tokens {entry.token_faults}; " if plan.needs_token else ""
    return (
        f"{plan.operation.name} ({plan.operation.effect.value}, {plan.route}): {how}, said {said}; "
        f"attempts [{attempts}]; {tokens}on the wire {entry.faults}, applied {entry.applied} times; "
        f"{account.ended - account.started:.3f} s of {plan.total_timeout:.3f} s"
    )
