"""One run of a workflow: read the state, send a request if it is needed, and read until the state is reached.

`settle` ends with the state that was asked for, or with an error that says what is known of the request. It never sends
a request again whose effect is not known, unless the caller asked for that.
"""

from asyncio import CancelledError
from typing import Final, Generic, TypeVar

from sdk_core.arguments import instance, of_type, seconds
from sdk_core.call import Reply
from sdk_core.client import Client
from sdk_core.errors import BadRequestError, ClientClosedError, ConflictError, Facts, NotFoundError, SdkError
from sdk_core.hooks import is_cancelled
from sdk_core.outcome import Outcome
from sdk_core.workflow import (
    Change,
    NotOfferedError,
    NotSettledError,
    Procedure,
    Request,
    Run,
    Settled,
    WorkflowError,
    cannot,
    shown,
)

__all__ = ["settle"]

S = TypeVar("S")

_MOST_REQUESTS: Final = 2
_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 10
"""How many times as long as the first pause between two reads the longest is."""
_CERTAINTY: Final = (Outcome.NOT_SENT, Outcome.REJECTED, Outcome.UNKNOWN, Outcome.APPLIED)
"""If the requests of a run have several outcomes, the run has that one of them which comes last here."""


async def settle(
    client: Client,
    procedure: Procedure[S],
    *,
    timeout: float,
    poll: float,
    ask: bool = True,
    resend_after: float | None = None,
    confirm: bool = True,
    asked_ago: float | None = None,
) -> Settled[S]:
    """Bring a contract or subscription into a state, and return once a read shows it in that state.

    Args:
        client: makes the calls; its retry policy's clock and sleep are waited with.
        procedure: how to read and change the state.
        timeout: seconds for the whole run, with all its calls and pauses.
        poll: seconds between reads; grows by half each time, up to ten times as long.
        ask: whether to send the request if it is needed. If False, nothing is sent: the run only waits for the state.
        resend_after: seconds after which the effect of a request can be read, if it had one. A request whose outcome is
            UNKNOWN is sent once more if the state is still the same after that time. If None, it is never sent again.
        confirm: False: once the API said yes to the request, nothing is read any more.
        asked_ago: seconds since an earlier run may have sent the request, with an outcome that nobody knows. It counts
            as one of this run's, and its outcome as UNKNOWN; the state it was sent in is not known. None: there is no
            such run.

    Raises:
        NotSettledError: the state was not reached in time.
        WorkflowError: the state that was read allows no request, or rules out the one that was asked for.
        SdkError: a call failed, or the client was closed.

    All errors carry the state that was read last, and the correlation ids of all calls. `outcome` is that of the
    request. If none was sent: with `ask=False` UNKNOWN, after a read that was refused REJECTED, and else NOT_SENT.
    """
    instance("client", client, Client)
    timeout, poll = seconds("timeout", timeout), seconds("poll", poll)
    of_type(bool)("ask", ask)
    if resend_after is not None:
        resend_after = seconds("resend_after", resend_after)
    settling = _Settling(
        Run(client, timeout), procedure, poll=poll, ask=ask, resend_after=resend_after, confirm=confirm
    )
    if asked_ago is not None:
        settling.take_over(seconds("asked_ago", asked_ago, zero=True))
    try:
        return await settling.settle()
    except SdkError as error:
        settling.complete(error)
        raise
    except (Exception, CancelledError) as error:
        # A CancelledError may come from something that the caller's code waited for, and not from this task.
        if not settling.was_sent or (isinstance(error, CancelledError) and is_cancelled()):
            raise
        what = f"a request was sent, but then the program failed with {type(error).__name__}"
        raise settling.complete(cannot(WorkflowError, what)) from error
    finally:
        settling.forget()


class _Settling(Generic[S]):
    """One run: what was read, what was sent, and what is known of its effect."""

    def __init__(
        self,
        run: Run,
        procedure: Procedure[S],
        *,
        poll: float,
        ask: bool,
        resend_after: float | None,
        confirm: bool,
    ) -> None:
        self._run = run
        self._procedure = procedure
        self._poll = poll
        self._ask = ask
        self._resend_after = resend_after
        self._answer_says_all = procedure.answer_says_all or not confirm
        self._answer: object = None
        """To the request that the API said yes to."""
        self._attempts = 0
        """Of all requests to change something."""
        self._state: str | None = None
        """What was read last."""
        self._read_at = 0.0
        """When that read began. Its answer may be as old as that, however late it comes."""
        self._read_failure: SdkError | None = None
        """Why the last read failed."""
        self._request: Request | None = None
        self._requested_in: str | None = None
        """The state that the request was made for."""
        self._times_sent = 0
        self._sent: Facts = {}
        """What errors tell of the request; of two, that of the one which is more likely to have had an effect."""
        self._sent_at = 0.0
        self._send_failure: SdkError | None = None
        self._outcome = Outcome.NOT_SENT
        """What is known of the effect of all requests together. APPLIED: the API has answered one with a success."""

    def take_over(self, ago: float) -> None:
        """Count a request that an earlier run may have sent `ago` seconds ago, as one of this run's."""
        self._times_sent, self._outcome, self._sent_at = 1, Outcome.UNKNOWN, self._run.now - ago
        # Errors tell of the request, and of its attempts nothing is known here.
        self._sent = {"attempts": []}

    @property
    def was_sent(self) -> bool:
        """Whether the request was sent, whatever came of it."""
        return self._times_sent > 0

    @property
    def _may_have_effect(self) -> bool:
        return self._outcome in {Outcome.UNKNOWN, Outcome.APPLIED} or not self._ask  # a run before has asked

    async def settle(self) -> Settled[S]:
        pause = self._poll
        while True:
            # The time is checked before the read, so that the last read begins after the deadline.
            self._run.is_last_read = not self._run.left
            self._read_at = self._run.now
            reply = await self._read()
            if reply is not None:
                if self._procedure.reached(reply.value):
                    return self._settled(reply.value)
                if self._is_time_to_send():
                    if await self._send(reply.value):
                        return self._settled(reply.value)
                    continue
            if self._run.is_last_read:
                raise self._not_settled()
            await self._run.sleep(self._next_pause(pause))
            pause = min(pause * _GROWTH, self._poll * _LONGEST_PAUSE)

    async def _read(self) -> Reply[S] | None:
        """Read the state; None if that failed, and may be tried again."""
        try:
            reply = await self._procedure.read(self._run)
        except ClientClosedError:
            # Nothing can be read any more, however long the run goes on.
            raise
        except SdkError as error:
            end = self._procedure.end_of(error) if self.was_sent and self._may_have_effect else None
            if end is not None:
                self._state = None
                raise cannot(NotSettledError, end) from error
            if not self.was_sent and (self._ask or not error.retryable):
                raise
            self._read_failure = error
            return None
        self._read_failure = None
        self._state = self._procedure.describe(reply.value)
        return reply

    def _is_time_to_send(self) -> bool:
        if not self._ask or not self._run.left:
            return False
        if not self.was_sent:
            return True
        moment = self._resend_at()
        return moment is not None and moment <= self._read_at

    def _resend_at(self) -> float | None:
        """Return the moment from which the state read then has the request sent once more; None: it is not."""
        if self._resend_after is None or self._outcome is not Outcome.UNKNOWN or self._times_sent >= _MOST_REQUESTS:
            return None
        # In any other state, something is under way. Of an earlier run's request, it is not known which state that was.
        if self._request is not None and self._state != self._requested_in:
            return None
        return self._sent_at + self._resend_after

    def _next_pause(self, pause: float) -> float:
        if self._read_failure is not None:
            return max(pause, self._read_failure.retry_after or 0.0)
        moment = self._resend_at()
        return pause if moment is None else min(pause, max(0.0, moment - self._run.now))

    async def _send(self, state: S) -> bool:
        """Send the request, if there is time, and return whether nothing needs to be read after its answer.

        A failure is raised only if it ends the run.
        """
        if self._request is None:
            self._request = await self._procedure.prepare(self._run, state)
            self._requested_in = self._state
        if not self._run.left:
            return False
        try:
            reply = await self._run.call(self._request.operation, **self._request.arguments)
        except SdkError as error:
            self._note_sent(error.outcome)
            self._send_failure = error
            # The API may refuse because somebody else has made the same change, or is making it. Reads will show that.
            explicable = isinstance(error, BadRequestError | ConflictError | NotFoundError)
            lost = self._answer_says_all and error.outcome is Outcome.APPLIED
            if lost or not (self._may_have_effect or explicable):
                raise
            return False
        except Exception:
            # Raised before anything was sent, by what is the caller's: a file, a clock. What was sent before may still
            # take effect, which can be read.
            if not self._may_have_effect:
                raise
            self._times_sent = _MOST_REQUESTS
            return False
        self._note_sent(Outcome.APPLIED)
        self._answer = reply.value
        return self._answer_says_all

    def _note_sent(self, outcome: Outcome) -> None:
        # The clock is asked last, because it is the caller's and may fail.
        self._times_sent += 1
        self._attempts += len(self._run.last_request.get("attempts", ()))
        if _CERTAINTY.index(outcome) >= _CERTAINTY.index(self._outcome):
            self._outcome, self._sent = outcome, self._run.last_request
        self._sent_at = self._run.now

    def _settled(self, state: S) -> Settled[S]:
        change = {Outcome.APPLIED: Change.ACKNOWLEDGED, Outcome.UNKNOWN: Change.UNKNOWN}.get(self._outcome, Change.NONE)
        return Settled(change, state, tuple(self._run.correlation_ids), self._attempts, self._answer)

    def _not_settled(self) -> SdkError:
        """Return the error to end with at the deadline."""
        if self._outcome is Outcome.REJECTED and self._send_failure is not None:
            return self._send_failure
        sent = {
            Outcome.NOT_SENT: "nothing was sent",
            Outcome.UNKNOWN: "the answer to the request was lost",
            Outcome.APPLIED: "the API took the request",
        }[self._outcome]
        what = "was not reached" if self._read_failure is None else "could not be read"
        text = f"{sent}, and the state asked for {what} within {self._run.timeout:g} s"
        if self._may_have_effect:
            text += "; ask=False goes on waiting"
        retry_after = None if self._read_failure is None else self._read_failure.retry_after
        error = cannot(NotSettledError, text, retryable=True, retry_after=retry_after)
        error.__cause__ = self._read_failure or self._send_failure
        return error

    def complete(self, error: SdkError) -> SdkError:
        """Add to an error all that is known of the run, and return it."""
        message = error.message
        told: Facts = {**self._run.last_request, **error.facts, "correlation_ids": [*self._run.correlation_ids]}
        if self.was_sent:
            # The error reports the request, even if a later read failed.
            told |= {**self._sent, "outcome": self._outcome.value}
        elif error.outcome is not Outcome.REJECTED:
            # Only reads were made, and they change nothing.
            told["outcome"] = Outcome.NOT_SENT.value
        if self._may_have_effect:
            told["retryable"] = error.retryable and not self.was_sent  # to wait once more does nothing twice
            if error is not self._send_failure:
                told["outcome"] = Outcome.UNKNOWN.value
        if self._state is not None and "state" not in told:
            told["state"] = shown(self._state)
            message += "" if isinstance(error, NotOfferedError) else f" (state: {told['state']})"
        return error.with_facts(message, **told)

    def forget(self) -> None:
        """Drop the errors: the traceback of what is raised refers to this object, which would make a cycle."""
        self._read_failure = self._send_failure = None
