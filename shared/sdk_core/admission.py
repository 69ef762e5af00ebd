"""What a call waits for before it is sent: the rate limiter, a credential, a slot for its connection."""

import logging
from asyncio import CancelledError, get_running_loop, timeout
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

from sdk_core.arguments import INT64_MAX
from sdk_core.auth import Auth
from sdk_core.call import Call
from sdk_core.errors import ClientClosedError, ClientThrottledError, RateLimitError, SdkError
from sdk_core.hooks import answer_of, notify
from sdk_core.outcome import Outcome
from sdk_core.ratelimit import RateLimiter
from sdk_core.telemetry import Observer
from sdk_core.transport.session import LoopSession, Sessions
from sdk_core.transport.timer import Limit

__all__ = ["Admission"]

_log = logging.getLogger("sdk_core.admission")
_HOOK_TIMEOUT = 1.0
"""Seconds a limiter may take to answer."""


class Admission:
    """Where the calls of one client wait.

    Args:
        sessions: where the slots are.
        auth: where the credential comes from.
        limiter: asked before each attempt; None: nobody is.
        observer: told when the limiter makes a call wait.
    """

    def __init__(
        self, sessions: Sessions, auth: Auth, limiter: RateLimiter | None, observer: Observer | None = None
    ) -> None:
        self._sessions = sessions
        self._auth = auth
        self._limiter = limiter
        self._observer = observer

    async def admit(self, call: Call[Any]) -> tuple[LoopSession, Mapping[str, str]]:
        """Wait until an attempt may be sent.

        Returns:
            The session to send with, of which a slot is taken and has to be released, and the credential's headers.

        Raises:
            ClientThrottledError: the limiter has no slot within the total timeout.
            CallTimeoutError: what else is needed can't be had within it.
            ClientClosedError: there is nothing to send with any more.
            SdkError: no token could be fetched.
        """
        if self._limiter is not None:
            patience = call.deadline - call.options.retry.clock()
            try:
                said = self._limiter.acquire(call.operation.name, patience)
                must_wait = bool(said != 0.0)
            # Nothing is waited for here: that something was cancelled is a failure of the limiter's.
            except (Exception, CancelledError) as error:  # noqa: BLE001  which is not a reason to fail the call
                _note_failure(error)
                said, must_wait = 0.0, False
            if must_wait:
                await self._wait_for_limiter(call, self._limiter, said, patience)
        here = self._sessions.of_loop.get(get_running_loop())
        if here is None or here.owner.closed:
            here = await self._open(call)
        if (headers := self._auth.headers) is None:
            headers = await self.fetch_token(call, here)
        if not here.slots.take():
            await self._wait_for_slot(call, here)
            # The token may have been refused meanwhile, and replaced.
            headers = self._auth.headers or headers
        return here, headers

    async def wait_for_limiter(self, call: Call[Any]) -> None:
        """Wait until another request of an attempt may be sent; ClientThrottledError if that is beyond the deadline."""
        if self._limiter is not None:
            patience = call.remaining()
            said = _ask(self._limiter.acquire, call.operation.name, patience)
            await self._wait_for_limiter(call, self._limiter, said, patience)

    async def fetch_token(self, call: Call[Any], here: LoopSession) -> Mapping[str, str]:
        """Return the headers of a credential that must be fetched; SdkError, with the facts of `call`, if it can't."""
        try:
            async with timeout(call.remaining()):
                headers = await self._auth.fetch(here.token_session)
        except SdkError as error:
            error.with_facts(**call.facts(Outcome.NOT_SENT))
            raise
        except TimeoutError:
            pass
        else:
            if not self._sessions.is_usable(here):
                raise call.closed("the client was closed while a token was fetched")
            return headers
        # Raised here and not in the handler, whose exception would be its context.
        what = "no token within the total timeout"
        raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)

    async def note_rate_limit(self, call: Call[Any], refusal: RateLimitError) -> None:
        """Tell the limiter of a 429, if it is known how long to wait."""
        if self._limiter is not None and refusal.retry_after is not None:
            pause = min(refusal.retry_after, call.options.retry.max_retry_after)
            await _tell(self._limiter.on_rate_limited, call.operation.name, pause)

    async def _wait_for_slot(self, call: Call[Any], here: LoopSession) -> None:
        with suppress(TimeoutError), Limit(here.timer, call.remaining()):
            await here.slots.wait()
            if self._sessions.is_usable(here):
                return
            here.slots.release()
            raise call.closed("the client was closed while the call waited for a connection")
        what = "no free connection within the total timeout"
        raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)

    async def _open(self, call: Call[Any]) -> LoopSession:
        try:
            return await self._sessions.open()
        except ClientClosedError as error:
            raise call.closed(error.message) from None

    async def _wait_for_limiter(
        self, call: Call[Any], limiter: RateLimiter, said: float | Awaitable[float], patience: float
    ) -> None:
        """Sleep as long as the limiter says, and ask it again: a 429 may have come meanwhile."""
        while (wait := await _seconds(said, patience)) > 0:
            if wait > patience:
                raise _throttled(call, wait)
            await self._sleep_until_slot(call, limiter, wait)
            patience = call.remaining()
            said = _ask(limiter.confirm, call.operation.name, patience)

    async def _sleep_until_slot(self, call: Call[Any], limiter: RateLimiter, wait: float) -> None:
        clock = call.options.retry.clock
        start = clock() + wait
        _log.info(
            "%s waits %.2f s for the rate limiter (correlation id %s)", call.operation.name, wait, call.correlation_id
        )
        try:
            if self._observer is not None and call.info is not None:
                await self._observer.wait(call.info, wait)
            await call.options.retry.sleep(wait)
        except BaseException:
            await _tell(limiter.give_back, call.operation.name, start - clock())
            raise


def _throttled(call: Call[Any], wait: float) -> ClientThrottledError:
    what = "the rate limiter has no slot within the total timeout"
    error = call.fail(ClientThrottledError, what, Outcome.NOT_SENT, retryable=True, retry_after=wait)
    error.__cause__ = call.last_failure
    return error


def _ask(
    limiter: Callable[[str, float], float | Awaitable[float]], operation: str, patience: float
) -> float | Awaitable[float]:
    try:
        return limiter(operation, patience)
    except (Exception, CancelledError) as error:  # noqa: BLE001  as in `admit`
        _note_failure(error)
        return 0.0


async def _seconds(said: float | Awaitable[float], patience: float) -> float:
    """Return what a limiter said; 0.0, and log it, if that is no number."""
    if isinstance(said, Awaitable):
        within = min(_HOOK_TIMEOUT, patience)
        said = await answer_of(said, otherwise=0.0, patience=within, on_failure=_note_failure)
    # A limiter is the caller's own, and may say anything.
    number: object = said
    if not isinstance(number, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
        _log.error("the rate limiter's answer is no number; going on without it")
        return 0.0
    # A subclass may compare in its own way, an int be larger than any float, and JSON knows no infinity.
    return min(float.__float__(number) if isinstance(number, float) else max(0, int.__int__(number)), float(INT64_MAX))


def _note_failure(error: BaseException) -> None:
    _log.error("the rate limiter failed; going on without it", exc_info=error)


async def _tell(note: Any, operation: str, seconds: float) -> None:
    await notify(note, operation, seconds, patience=_HOOK_TIMEOUT, on_failure=_note_failure)
