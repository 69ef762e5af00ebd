"""A call, from the arguments to the decoded answer. Read `Client._attempts` first: it is the main loop."""

import copy
import logging
from asyncio import CancelledError, get_running_loop
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Self, TypeVar

from aiohttp import ClientSession
from multidict import CIMultiDict, istr

from sdk_core import fork
from sdk_core.admission import Admission
from sdk_core.arguments import instance, positive_int, seconds
from sdk_core.backend import Backend, check_functions, check_kinds, check_session
from sdk_core.call import Answer, Call, Options, Reply
from sdk_core.codec import LARGE
from sdk_core.correlation import checked_correlation_id, current_correlation_id
from sdk_core.deadline import end_of_scope, within_scope
from sdk_core.deprecation import Deprecations
from sdk_core.deviation import Deviation
from sdk_core.errors import RateLimitError, SdkError
from sdk_core.operation import Operation
from sdk_core.outcome import Outcome
from sdk_core.ratelimit import RateLimiter
from sdk_core.retry import RetryPolicy, begin_retries
from sdk_core.telemetry import CallInfo, Observer, Telemetry
from sdk_core.transport.connection import Connection
from sdk_core.transport.exchange import Exchange
from sdk_core.transport.session import LoopSession, Sessions
from sdk_core.verdict import accept, accept_large, refuse

__all__ = ["Client"]

T = TypeVar("T")

logging.getLogger("sdk_core").addHandler(logging.NullHandler())
_log = logging.getLogger("sdk_core.client")
_DEPRECATION, _SUNSET = istr("Deprecation"), istr("Sunset")


class Client:
    """Base of both SDKs' clients: makes calls; see the subclasses for the operations.

    Building one opens nothing and needs no event loop; it may be a module global. Use `async with`, or
    `aclose()` when done.

    Args:
        backend: the API's own traits.
        session: an aiohttp session of yours to send with. It is never closed or changed.
        retry: how patiently failed calls are repeated.
        attempt_timeout: seconds for one attempt, connecting included.
        total_timeout: seconds for the whole call: attempts, waits between them, tokens, waiting for a connection.
        correlation_id: called once a call for its correlation id, unless a `correlation_scope` names one.
            None: a fresh UUID.
        rate_limiter: asked before each attempt; None: nobody is.
        telemetry: told what happens in each call.
        connection: TLS, proxy and pool of the sessions the client opens itself; not together with `session`.
        max_response_bytes: the largest answer to accept, after decompression.
        skip_unreadable_items: whether items of lists that can't be read are left out, and logged with their paths.
            By default the call fails, and the error has the others in `readable`; so it does if a list of the answer
            loses all its items, and would look empty.
        on_unexpected: called with a `Deviation` for each part of an answer that is not as documented and was read all
            the same; while the call is under way, so that it must be quick. They are logged at INFO, too.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        session: ClientSession | None = None,
        retry: RetryPolicy | None = None,
        attempt_timeout: float = 30.0,
        total_timeout: float = 120.0,
        correlation_id: Callable[[], str] | None = None,
        rate_limiter: RateLimiter | None = None,
        telemetry: Telemetry | None = None,
        connection: Connection | None = None,
        max_response_bytes: int = 10 * 2**20,
        skip_unreadable_items: bool = False,
        on_unexpected: Callable[[Deviation], None] | None = None,
    ) -> None:
        check_kinds(session=session, retry=retry, connection=connection, telemetry=telemetry, rate_limiter=rate_limiter)
        check_functions(correlation_id=correlation_id, on_unexpected=on_unexpected)
        check_session(session, connection)
        self._backend = backend
        self._options = Options(
            retry=retry or RetryPolicy(),
            attempt_timeout=seconds("attempt_timeout", attempt_timeout),
            total_timeout=seconds("total_timeout", total_timeout),
            max_response_bytes=positive_int("max_response_bytes", max_response_bytes),
            headers=CIMultiDict({**backend.headers, **backend.auth.constant}),
            skip_unreadable_items=instance("skip_unreadable_items", skip_unreadable_items, bool),
            on_unexpected=on_unexpected,
        )
        self._provide_correlation_id = correlation_id
        self._observer = None if telemetry is None else Observer(telemetry)
        self._sessions = Sessions(connection or Connection(), session, self._options.headers, backend.base_url)
        self._admission = Admission(self._sessions, backend.auth, rate_limiter, self._observer)
        exchange = Exchange(backend, self._sessions)
        self._send = exchange.send if self._observer is None else partial(exchange.send_observed, self._observer)
        self._deprecations = Deprecations(type(self).__module__)

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        attempt_timeout: float | None = None,
        total_timeout: float | None = None,
        skip_unreadable_items: bool | None = None,
    ) -> Self:
        """Return a client with other options that shares connections and credential; nothing is changed here.

        Closing either closes both.
        """
        changes: dict[str, Any] = {}
        if retry is not None:
            changes["retry"] = instance("retry", retry, RetryPolicy)
        if attempt_timeout is not None:
            changes["attempt_timeout"] = seconds("attempt_timeout", attempt_timeout)
        if total_timeout is not None:
            changes["total_timeout"] = seconds("total_timeout", total_timeout)
        if skip_unreadable_items is not None:
            changes["skip_unreadable_items"] = instance("skip_unreadable_items", skip_unreadable_items, bool)
        return self._view(self._options.but(**changes))

    @property
    def place(self) -> str:
        """What it calls: the URL of the API, and the account where that is not in the URL; no secret."""
        return self._backend.place

    @property
    def retry_policy(self) -> RetryPolicy:
        """How this client repeats; workflows wait with the same clock and sleep."""
        return self._options.retry

    async def _pause(self, delay: float) -> None:
        """Wait by the retry policy's sleep, but no longer than the client is open; for the pauses of workflows."""
        if not self._sessions.closed:
            here = self._sessions.of_loop.get(get_running_loop()) or await self._sessions.open()
            await here.timer.pause(self._options.retry.sleep, delay)

    def _with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a client that sends these headers too, which were checked, and shares connections."""
        more = self._options.headers.copy()
        more.update(headers)
        return self._view(self._options.but(headers=more))

    def _view(self, options: Options) -> Self:
        view = copy.copy(self)
        view._options = options  # noqa: SLF001  our own copy
        return view

    async def aclose(self) -> None:
        """Close the sessions the client opened. Calls made afterwards raise ClientClosedError.

        Requests that are under way are broken off, and a write is then UNKNOWN: wait for your calls first.
        """
        await self._sessions.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    async def call(self, operation: Operation[T], /, **arguments: object) -> T:
        """Call `operation` and return its decoded answer.

        Args:
            operation: one of the SDK's `operations`, or one you declare.
            **arguments: its path slots and query parameters by name, and `body`. An operation is a value, and which
                arguments it takes follows from its path and its tables: no type can say that, so they are checked
                here, each by name and before anything is sent. The methods of the SDKs have typed arguments.

        Raises:
            TypeError: an argument is missing, unknown or of the wrong type; nothing was sent.
            ValueError: an argument's value can't be sent; nothing was sent.
            SdkError: the call failed; `outcome` tells what is known of its effect.
        """
        call = self._begin(operation, arguments)
        return await (self._attempts(call) if self._observer is None else self._observed(call, self._observer))

    async def call_with_reply(self, operation: Operation[T], /, **arguments: object) -> Reply[T]:
        """Like `call`, but return status, headers, attempts and correlation id along with the value."""
        call = self._begin(operation, arguments)
        value = await (self._attempts(call) if self._observer is None else self._observed(call, self._observer))
        status = call.answer.status
        call.record(None, status)
        # aiohttp's own mapping of headers can't be pickled.
        return Reply(value, status, CIMultiDict(call.answer.headers), call.attempts, call.correlation_id)

    def _begin(self, operation: Operation[T], arguments: Mapping[str, object]) -> Call[T]:
        """Check the arguments, and start the clock."""
        options, correlation_id = self._options, current_correlation_id()
        if not isinstance(operation, Operation):  # pyright: ignore[reportUnnecessaryIsInstance]  callers without types
            raise TypeError(f"operation must be an Operation, not {type(operation).__name__}")
        path, query, body = operation.request(arguments)
        if correlation_id is None and self._provide_correlation_id is not None:
            correlation_id = checked_correlation_id(self._provide_correlation_id())
        if operation.deprecated is not None:
            self._deprecations.warn(operation, operation.deprecated)
        limit = options.total_timeout if end_of_scope() is None else within_scope(options.total_timeout)
        deadline = options.retry.clock() + limit
        return Call(operation, path, query, body, options, deadline, correlation_id, fork.forks)

    async def _attempts(self, call: Call[T]) -> T:
        """Make attempts until one succeeds, or another would not help."""
        try:
            while True:
                try:
                    here, credential = await self._admission.admit(call)
                    try:
                        answer = await self._send(call, here, credential)
                        if answer.status == 401 and self._may_reauthenticate(call, credential):
                            answer = await self._send_with_another_token(call, here, answer)
                    finally:
                        here.slots.release()
                    if 200 <= answer.status < 300:
                        is_small = len(answer.content or b"") < LARGE
                        backend = self._backend
                        value = accept(call, answer, backend) if is_small else await accept_large(call, answer, backend)
                        break
                    raise refuse(call, answer, self._backend)
                except SdkError as failure:
                    if not await self._pause_before_retry(call, failure):
                        raise
        except SdkError:
            raise
        except (Exception, CancelledError) as error:
            # Raised by what is the caller's. Between attempts that can have had no effect, it is raised unchanged.
            broken_off = call.broken_off(error)
            if broken_off is None:
                raise
            raise broken_off from None
        finally:
            # The failure's traceback refers to this frame, which refers to the call: that would be a reference cycle.
            call.last_failure = None
        call.answer = answer
        budget, headers = call.options.retry.budget, answer.headers
        is_noted = not (budget is None or budget.is_full) or _DEPRECATION in headers or _SUNSET in headers
        if is_noted or _log.isEnabledFor(logging.DEBUG):
            self._note_success(call, headers)
        return value

    def _note_success(self, call: Call[Any], headers: Mapping[str, str]) -> None:
        if call.options.retry.budget is not None:
            call.options.retry.budget.deposit()
        if _DEPRECATION in headers or _SUNSET in headers:
            self._deprecations.warn_after_success(call.operation)
        if _log.isEnabledFor(logging.DEBUG):
            call.log_success(call.answer.status)

    async def _observed(self, call: Call[T], observer: Observer) -> T:
        call.info = CallInfo(call.operation, call.correlation_id, self._backend.base_url)
        return await observer.call(call.info, partial(self._attempts, call))

    def _may_reauthenticate(self, call: Call[Any], refused: Mapping[str, str]) -> bool:
        """Drop the credential that was refused; return whether to try another."""
        others = self._backend.auth.reject(refused)
        return others and not call.reauthenticated and call.options.retry.max_attempts > 1

    async def _send_with_another_token(self, call: Call[Any], here: LoopSession, refusal: Answer) -> Answer:
        call.record(Outcome.REJECTED, refusal.status)
        call.reauthenticated, call.delay = True, 0.0
        # Another call may have replaced the token meanwhile.
        headers = self._backend.auth.headers or await self._admission.fetch_token(call, here)
        await self._admission.wait_for_limiter(call)
        return await self._send(call, here, headers)

    async def _pause_before_retry(self, call: Call[Any], failure: SdkError) -> bool:
        """Wait until it is time for another attempt; False if there is to be none."""
        if isinstance(failure, RateLimitError):
            await self._admission.note_rate_limit(call, failure)
        policy = call.options.retry
        if call.retries is None:
            call.retries = await begin_retries(policy, call.deadline)
        delay = None if call.retries is None else call.retries.delay_after(failure)
        if delay is None:
            return False
        _log.warning(
            "retrying %s in %.2f s after attempt %d: %s (correlation id %s)",
            call.operation.name,
            delay,
            len(call.attempts),
            type(failure).__name__,
            call.correlation_id,
            extra=call.log_fields(failure.outcome.value, attempt=len(call.attempts)),
        )
        if self._observer is not None and call.info is not None:
            await self._observer.retry(call.info, failure, delay)
        await policy.sleep(delay)
        call.delay, call.last_failure = delay, failure
        return True
