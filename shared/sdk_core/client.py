"""A call, from the arguments to the decoded answer. Read `Client._attempts` first: it is the whole story."""

import copy
import logging
import warnings
from asyncio import CancelledError, current_task, timeout
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from inspect import currentframe
from typing import Any, Generic, Self, TypedDict, TypeVar, cast

from aiohttp import ClientResponse, ClientSession, MultipartWriter, hdrs
from attrs import evolve, field, frozen
from multidict import CIMultiDict, istr
from yarl import URL

from sdk_core import codec
from sdk_core.arguments import positive_int, seconds
from sdk_core.auth import Auth
from sdk_core.call import Call, Options
from sdk_core.correlation import checked_correlation_id, current_correlation_id
from sdk_core.errors import (
    Attempt,
    ClientClosedError,
    ConnectionFailedError,
    ErrorDetails,
    InvalidResponseError,
    OperationDeprecatedWarning,
    Outcome,
    SdkError,
    api_error_class,
    safe_code,
)
from sdk_core.multipart import Multipart
from sdk_core.operation import Operation
from sdk_core.outcome import is_stale_connection, may_repeat, of_failure, of_refusal, safe_cause
from sdk_core.ratelimit import RateLimiter
from sdk_core.retry import Retries, RetryPolicy, parse_retry_after
from sdk_core.returns import Empty
from sdk_core.session import EXCHANGE_ERRORS, Connection, LoopSession, Sessions, read_at_most
from sdk_core.telemetry import CallInfo, Observer, Telemetry
from sdk_core.timer import Limit
from sdk_core.version import __version__

__all__ = ["Backend", "Client", "ClientOptions", "Empty", "Reply", "user_agent"]

T = TypeVar("T")
U = TypeVar("U")

_log = logging.getLogger("sdk_core")
_log.addHandler(logging.NullHandler())
_CONNECT_GRACE = 0.05
_LIMITER_TIMEOUT = 1.0
_LIMITER_FAILED = "the rate limiter failed; going on without it"
_NO_CONTENT_TYPE = (hdrs.CONTENT_TYPE,)
_DEPRECATION, _SUNSET = istr("Deprecation"), istr("Sunset")
_JSON = "application/json"
_METHODS_WITH_BODY = frozenset({"POST", "PUT", "PATCH"})
"""Where aiohttp names a Content-Type even if there is no content."""


@frozen(kw_only=True, eq=False)
class Backend:
    """What one API has of its own; everything else is the same for all."""

    base_url: URL = field(repr=False)
    auth: Auth
    read_error: Callable[[bytes], ErrorDetails]
    """Reads the API's error envelope; never raises."""
    headers: Mapping[str, str] = field(factory=dict[str, str], repr=False)
    """Sent with every request."""
    correlation_header: str | None = None
    """The header that carries the correlation id, where the API has one."""
    rate_limit_wait: float | None = None
    """Seconds the documentation implies after a 429 that names no delay."""
    throttles_with_503: bool = False
    """Whether the API documents 503 as a refusal under load (nothing happened)."""


@frozen
class Reply(Generic[T]):
    """A successful call with everything known of it."""

    value: T
    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Response headers; names compare without case."""
    attempts: tuple[Attempt, ...]
    """All attempts, the successful one last."""
    correlation_id: str

    def with_value(self, value: U) -> "Reply[U]":
        """Return this reply with a part of its value, or one made from it."""
        return Reply(value, self.status, self.headers, self.attempts, self.correlation_id)


class ClientOptions(TypedDict, total=False):
    """What both SDKs' clients take as keyword arguments; see `Client`."""

    session: ClientSession | None
    retry: RetryPolicy | None
    attempt_timeout: float
    total_timeout: float
    correlation_id: Callable[[], str] | None
    rate_limiter: RateLimiter | None
    telemetry: Telemetry | None
    connection: Connection | None
    max_response_bytes: int


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
        rate_limiter: asked before each call.
        telemetry: told what happens in each call.
        connection: TLS, proxy and pool of the sessions the client opens itself; not together with `session`.
        max_response_bytes: the largest answer to accept, after decompression.
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
    ) -> None:
        _check_type("session", session, ClientSession)
        _check_type("retry", retry, RetryPolicy)
        _check_type("connection", connection, Connection)
        _check_type("telemetry", telemetry, Telemetry)
        _check_type("rate_limiter", rate_limiter, RateLimiter)
        if correlation_id is not None and not callable(correlation_id):
            raise TypeError(f"correlation_id must be callable, not {type(correlation_id).__name__}")
        if session is not None and connection is not None:
            raise ValueError("pass session or connection, not both: an injected session has connected its own way")
        if session is not None and session.auth is not None:
            raise ValueError("session must not have auth of its own: aiohttp would put it in place of the SDK's")
        self._backend = backend
        self._base_url = backend.base_url
        self._base_path = backend.base_url.raw_path.rstrip("/")
        self._options = Options(
            retry or RetryPolicy(),
            seconds("attempt_timeout", attempt_timeout),
            seconds("total_timeout", total_timeout),
            CIMultiDict(backend.headers),
        )
        self._provide_correlation_id = correlation_id
        self._rate_limiter = rate_limiter
        self._observer = None if telemetry is None else Observer(telemetry)
        self._max_response_bytes = positive_int("max_response_bytes", max_response_bytes)
        self._sessions = Sessions(connection or Connection(), session, self._options.headers)
        self._warned: set[str] = set()

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        attempt_timeout: float | None = None,
        total_timeout: float | None = None,
    ) -> Self:
        """Return a view of this client with other options: same sessions, same credential; nothing is changed here.

        Closing either closes both.
        """
        changes: dict[str, Any] = {}
        _check_type("retry", retry, RetryPolicy)
        if retry is not None:
            changes["retry"] = retry
        if attempt_timeout is not None:
            changes["attempt_timeout"] = seconds("attempt_timeout", attempt_timeout)
        if total_timeout is not None:
            changes["total_timeout"] = seconds("total_timeout", total_timeout)
        return self._view(evolve(self._options, **changes))

    @property
    def retry_policy(self) -> RetryPolicy:
        """How this client repeats; workflows wait with the same clock and sleep."""
        return self._options.retry

    def with_headers(self, headers: Mapping[str, str]) -> Self:
        """Return a view of this client that sends these headers too; for the SDKs' own options."""
        more = self._options.headers.copy()
        more.update(headers)
        return self._view(evolve(self._options, headers=more))

    def _view(self, options: Options) -> Self:
        view = copy.copy(self)
        view._options = options  # noqa: SLF001  our own copy
        return view

    async def aclose(self) -> None:
        """Close the sessions the client opened. Calls made afterwards raise ClientClosedError."""
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
                arguments it takes follows from its path and its tables: no type can say that, so that they are checked
                here, each by name and before anything is sent. The methods of the SDKs have typed arguments.

        Raises:
            TypeError: an argument is missing, unknown or of the wrong type; nothing was sent.
            ValueError: an argument's value can't be sent; nothing was sent.
            SdkError: the call failed; `outcome` tells what is known of its effect.
        """
        value, _answer = await self._observed(self._begin(operation, arguments))
        return value

    async def call_with_reply(self, operation: Operation[T], /, **arguments: object) -> Reply[T]:
        """Like `call`, but return status, headers, attempts and correlation id along with the value."""
        call = self._begin(operation, arguments)
        value, answer = await self._observed(call)
        call.record(None, answer.status)
        return Reply(value, answer.status, answer.headers, call.attempts, call.correlation_id)

    def _begin(self, operation: Operation[T], arguments: Mapping[str, object]) -> Call[T]:
        options, given_id = self._options, current_correlation_id()
        path, query, body = operation.request(arguments)
        if given_id is None and self._provide_correlation_id is not None:
            given_id = checked_correlation_id(self._provide_correlation_id())
        if operation.deprecated is not None:
            self._warn_deprecated(operation, operation.deprecated)
        return Call(operation, path, query, body, options, options.retry.clock() + options.total_timeout, given_id)

    def _observed(self, call: Call[T]) -> Awaitable[tuple[T, ClientResponse]]:
        """Make the attempts of a call, and tell its telemetry of them."""
        if self._observer is None:
            return self._attempts(call)
        call.info = CallInfo(call.operation, call.correlation_id)
        return self._observer.call(call.info, partial(self._attempts, call))

    async def _attempts(self, call: Call[T]) -> tuple[T, ClientResponse]:
        """Make attempts until one succeeds, or another would not help."""
        if self._rate_limiter is not None:
            patience = call.deadline - call.options.retry.clock()
            try:
                wait = self._rate_limiter.acquire(call.operation.name, patience)
            except Exception:  # noqa: BLE001  a limiter that fails is not a reason to fail the call
                _log.exception(_LIMITER_FAILED)
                wait = 0.0
            if wait != 0.0:
                await self._wait_for_slot(call, self._rate_limiter, wait, patience)
        try:
            while True:
                try:
                    here, headers = self._sessions.here(), self._backend.auth.current()
                    if here and headers and here.line.free:
                        here.line.free -= 1
                    else:
                        here, headers = await self._wait_for_place(call)
                    try:
                        answer = await self._exchange(call, here, headers)
                        if answer.status == 401 and self._may_reauthenticate(call, headers):  # noqa: PLR2004
                            answer = await self._exchange_with_another_token(call, here, answer)
                    finally:
                        here.line.leave()
                    if 200 <= answer.status < 300:  # noqa: PLR2004
                        return self._accept(call, answer), answer
                    raise await self._refusal(call, answer)
                except SdkError as failure:
                    if not await self._wait_for_another(call, failure):
                        raise
        finally:
            call.last_failure = None

    async def _wait_for_place(self, call: Call[Any]) -> tuple[LoopSession, Mapping[str, str]]:
        """Return where to send, in whose line we have a place then, and the headers of the credential."""
        try:
            here = self._sessions.here() or await self._sessions.open()
        except ClientClosedError as error:
            raise call.closed(error.args[0]) from None
        headers = self._backend.auth.current() or await self._fetch_token(call, here)
        if here.line.free:
            here.line.free -= 1
        else:
            await self._wait_in_line(call, here)
            # It may have been refused meanwhile, and replaced.
            headers = self._backend.auth.current() or headers
        return here, headers

    async def _wait_for_another(self, call: Call[Any], failure: SdkError) -> bool:
        """Return whether there is to be another attempt, when it is time for it."""
        policy = call.options.retry
        if call.retries is None:
            call.retries = Retries(policy, call.deadline)
        delay = call.retries.delay_after(failure)
        if delay is None:
            return False
        if self._observer is not None and call.info is not None:
            await self._observer.retry(call.info, failure, delay)
        await policy.sleep(delay)
        call.delay, call.last_failure = delay, failure
        return True

    async def _exchange_with_another_token(
        self, call: Call[Any], here: LoopSession, refusal: ClientResponse
    ) -> ClientResponse:
        call.record(Outcome.REJECTED, refusal.status)
        call.reauthenticated, call.delay = True, 0.0
        # Another call may have replaced the token meanwhile.
        headers = self._backend.auth.current() or await self._fetch_token(call, here)
        return await self._exchange(call, here, headers)

    def _exchange(
        self, call: Call[Any], here: LoopSession, auth_headers: Mapping[str, str]
    ) -> Awaitable[ClientResponse]:
        """Send the request and read the answer."""
        if call.options.headers is here.headers and call.info is None:
            # The session sends those by itself. (A hook must not put others in their place: then we send them.)
            headers = CIMultiDict(auth_headers)
        else:
            headers = call.options.headers.copy()
            headers.update(auth_headers)
        if self._backend.correlation_header is not None:
            headers[self._backend.correlation_header] = call.correlation_id
        body = call.body
        if type(body) is bytes:
            headers[hdrs.CONTENT_TYPE] = _JSON
        send = self._send if not isinstance(body, Multipart) else self._send_parts
        if self._observer is None or call.info is None:
            return send(call, here, headers)
        send_it = partial(send, call, here, headers)
        return self._observer.attempt(call.info, len(call.attempts) + 1, headers, send_it)

    async def _send_parts(self, call: Call[Any], here: LoopSession, headers: CIMultiDict[str]) -> ClientResponse:
        body = cast("Multipart", call.body)  # As `_exchange` has seen.
        # Opened out here: a file that is not there is the caller's error, not the connection's.
        async with body.opened() as parts:
            return await self._send(call, here, headers, parts)

    async def _send(
        self,
        call: Call[Any],
        here: LoopSession,
        headers: CIMultiDict[str],
        parts: MultipartWriter | None = None,
    ) -> ClientResponse:
        """The only I/O with the API. The connection is given back in any case."""
        options, body, method = call.options, call.body, call.operation.method
        # A Multipart comes opened, as its parts.
        data = body if type(body) is bytes else parts
        if self._sessions.closed or here.lifeline.closed:
            raise call.closed("the client was closed during the call")
        url = self._base_url.with_path(self._base_path + call.path, encoded=True)
        clock = options.retry.clock
        started = clock()
        allowed, limits = options.attempt_timeout, options.limits
        if call.deadline - started < allowed:
            allowed, limits = call.last_limits(started)
        head: ClientResponse | None = None
        sender = here.sender(method) if here.borrowed else here.session
        try:
            # The limit of connecting passes first, so that a timeout tells whether anything was sent. aiohttp's own
            # total timeout would lose a cancellation that comes in the same turn of the loop.
            with Limit(here.timer, allowed + _CONNECT_GRACE):
                head = await sender.request(
                    method,
                    url.with_query(call.query) if call.query else url,
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    skip_auto_headers=_NO_CONTENT_TYPE if data is None and method in _METHODS_WITH_BODY else None,
                    timeout=limits,
                    raise_for_status=False,
                )
                call.content = await read_at_most(head, self._max_response_bytes)
            call.elapsed = clock() - started
            self._sessions.keeps_connections = True
            return head  # noqa: TRY300  the shortest way
        except EXCHANGE_ERRORS as error:
            if head is not None and head.status >= 400:  # noqa: PLR2004
                # An error status says what it says without its body; a success is one only with all of it.
                call.content, call.elapsed = None, clock() - started
                return head
            failure = self._transport_failure(call, error, started)
        except CancelledError:
            # Closing a session, aiohttp cancels those who wait for a connection, though nobody cancelled their tasks.
            if not _was_closed_under(here.session):
                raise
            failure = call.closed("the client was closed while the call waited for a connection")
        finally:
            if sender is not here.session:
                sender.detach()
        # Raised here, not in the handler: aiohttp's exception would follow as __context__, with its URL.
        try:
            raise failure
        finally:
            # Its traceback leads here: a cycle, which only the collector would free.
            del failure

    def _transport_failure(self, call: Call[Any], error: Exception, started: float) -> SdkError:
        outcome, options = of_failure(error), call.options
        call.elapsed = options.retry.clock() - started
        call.record(outcome, error=type(error).__name__)
        retryable = may_repeat(call.operation.effect, outcome, passing=True)
        if isinstance(error, TimeoutError):
            limit = "attempt_timeout" if call.deadline - started >= options.attempt_timeout else "total_timeout"
            phase = "could not connect" if outcome is Outcome.NOT_SENT else "no complete answer"
            return call.timed_out(limit, outcome, f"{phase} within the {limit.replace('_', ' ')}", retryable=retryable)
        cause = safe_cause(error)
        text = f"{type(error).__name__}: {cause}" if cause is not None else type(error).__name__
        what = (
            "could not connect"
            if outcome is Outcome.NOT_SENT
            else "the connection failed before the answer was complete"
        )
        if cause is not None:
            what += f": {cause.strerror or cause}"
        # A kept connection may be closed at any time: that is no sign of trouble, and the first time no reason to wait.
        at_once = len(call.attempts) == 1 and self._sessions.keeps_connections and is_stale_connection(error)
        failure = call.fail(
            ConnectionFailedError, what, outcome, retryable=retryable, cause=text, retry_at_once=retryable and at_once
        )
        failure.__cause__ = cause
        return failure

    def _accept(self, call: Call[T], answer: ClientResponse) -> T:
        """Decode a success."""
        operation = call.operation
        shape: Any = operation.returns
        try:
            if call.content is None:
                raise codec.NotJsonError  # noqa: TRY301  what is too large is not looked at
            if isinstance(shape, type) and issubclass(shape, Empty):
                value: Any = shape.from_answer(call.content, lambda: call.correlation_id)
            else:
                value = codec.load(call.content, operation.returns, lone_item=operation.lone_item)
        except (codec.NotJsonError, codec.ShapeError) as error:
            problems = error.problems if isinstance(error, codec.ShapeError) else ()
        else:
            if (budget := call.options.retry.budget) is not None:
                budget.deposit()
            if _DEPRECATION in (headers := answer.headers) or _SUNSET in headers:
                self._notice_deprecation(operation)
            return cast("T", value)
        # JSON comes from the API, which said yes; anything else may be a page of something in between.
        outcome = Outcome.APPLIED if problems else Outcome.UNKNOWN
        call.record(outcome, answer.status)
        if call.content is None:
            what = f"the answer is larger than {self._max_response_bytes} bytes"
        elif problems:
            what = "the answer is not of the documented shape: " + ", ".join(problems[:5])
        else:
            content_type = safe_code(answer.headers.get("Content-Type", "").partition(";")[0]) or "no content type"
            what = f"status {answer.status} with a body that is no JSON ({content_type}, {len(call.content)} bytes)"
        raise call.fail(
            InvalidResponseError, what, outcome, retryable=False, status=answer.status, problems=list(problems)
        )

    async def _refusal(self, call: Call[Any], answer: ClientResponse) -> SdkError:
        """Turn any status but a success into its error."""
        operation, policy, status = call.operation, call.options.retry, answer.status
        if status < 400:  # noqa: PLR2004
            call.record(Outcome.UNKNOWN, status)
            what = f"status {status}, which the API does not document; redirects are not followed, check the base URL"
            return call.fail(InvalidResponseError, what, Outcome.UNKNOWN, retryable=False, status=status)
        details = self._backend.read_error(call.content or b"")
        outcome, passing = of_refusal(operation, status, details, throttles_with_503=self._backend.throttles_with_503)
        echo = call.maybe_echo(status)
        call.record(outcome, status)
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=policy.wall_clock())
        if status == 429:  # noqa: PLR2004
            if retry_after is None:
                waits = (policy.rate_limit_wait, self._backend.rate_limit_wait)
                retry_after = next((wait for wait in waits if wait is not None), None)
            if self._rate_limiter is not None and retry_after is not None:
                pause = min(retry_after, policy.max_retry_after)
                told = _tell(self._rate_limiter.on_rate_limited, operation.name, pause)
                if told is not None:
                    await told
        # Refused with a token that is dropped now, and not tried with another: the next call would be.
        curable = status == 401 and self._backend.auth.current() is None and not call.reauthenticated  # noqa: PLR2004
        facts = call.facts(
            outcome,
            retryable=curable or (not echo and may_repeat(operation.effect, outcome, passing=passing)),
            status=status,
            retry_after=retry_after,
            maybe_own_previous_attempt=echo,
        )
        return api_error_class(status).from_details(_describe(operation, status, details, echo=echo), facts, details)

    def _may_reauthenticate(self, call: Call[Any], rejected: Mapping[str, str]) -> bool:
        others = self._backend.auth.reject(rejected)
        return others and not call.reauthenticated and call.options.retry.max_attempts > 1

    async def _fetch_token(self, call: Call[Any], here: LoopSession) -> Mapping[str, str]:
        try:
            async with timeout(call.deadline - call.options.retry.clock()):
                return await self._backend.auth.fetch(here.lend)
        except SdkError as error:
            facts = {**error.args[1], **call.facts(Outcome.NOT_SENT, retryable=error.retryable)}
            failure = type(error)(error.args[0], facts)
            failure.__cause__ = error.__cause__
        except TimeoutError:
            what = "no token within the total timeout"
            failure = call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)
        try:
            raise failure
        finally:
            del failure

    async def _wait_in_line(self, call: Call[Any], here: LoopSession) -> None:
        try:
            with Limit(here.timer, call.deadline - call.options.retry.clock()):
                await here.line.wait()
        except TimeoutError:
            what = "no free connection within the total timeout"
            failure = call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)
        else:
            return
        try:
            raise failure
        finally:
            del failure

    async def _wait_for_slot(
        self, call: Call[Any], limiter: RateLimiter, wait: float | Awaitable[float], patience: float
    ) -> None:
        if isinstance(wait, Awaitable):
            wait = await _within_reason(wait, 0.0, patience)
        # A limiter is the caller's own, and may say anything.
        if not isinstance(wait, int | float):  # pyright: ignore[reportUnnecessaryIsInstance]
            _log.error("the rate limiter's answer is no number; going on without it")  # type: ignore[unreachable]
            return
        if wait > patience:
            what = "the rate limit leaves no slot within the total timeout"
            raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True, retry_after=wait)
        if wait > 0:
            clock = call.options.retry.clock
            start = clock() + wait
            try:
                await call.options.retry.sleep(wait)
            except BaseException:
                told = _tell(limiter.give_back, call.operation.name, start - clock())
                if told is not None:
                    await told
                raise

    def _notice_deprecation(self, operation: Operation[Any]) -> None:
        try:
            why = "the server announces the operation's end (Deprecation/Sunset header)"
            self._warn_deprecated(operation, why)
        except OperationDeprecatedWarning as warning:
            # With warnings as errors: the call has succeeded, and its result must not be lost.
            _log.warning("%s", warning)

    def _warn_deprecated(self, operation: Operation[Any], why: str) -> None:
        """Warn once, at the line outside of the SDK that led here."""
        if operation.name in self._warned:
            return
        self._warned.add(operation.name)
        ours = {__name__.partition(".")[0], type(self).__module__.partition(".")[0]}
        level, frame = 1, currentframe()
        while frame is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ours:
            level, frame = level + 1, frame.f_back
        warnings.warn(f"{operation.name}: {why}", OperationDeprecatedWarning, stacklevel=level)


def _is_cancelled() -> bool:
    """Return whether it was this task that somebody cancelled, not something it waited for."""
    task = current_task()
    return task is not None and task.cancelling() > 0


def _was_closed_under(session: ClientSession) -> bool:
    return session.closed and not _is_cancelled()


def _check_type(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


def user_agent(product: str) -> str:
    """Return the User-Agent of an SDK."""
    return f"{product}/{__version__}"


def _describe(operation: Operation[Any], status: int, details: ErrorDetails, *, echo: bool) -> str:
    text = f"status {status}"
    if details.code is not None and (code := safe_code(details.code)) is not None:
        text += f" ({code})"
    if not details.recognised:
        text += ", without the API's error envelope"
    if status == 403 and operation.scopes:  # noqa: PLR2004
        text += f"; needs the scope {' and '.join(operation.scopes)}"
    if echo:
        text += "; an earlier attempt of this call may have taken effect and be what it collides with"
    return text


def _tell(
    note: Callable[[str, float], Awaitable[None] | None], operation: str, seconds: float
) -> Awaitable[None] | None:
    """Tell a rate limiter something; return what is to be waited for, if it answers later."""
    try:
        answer = note(operation, seconds)
    except Exception:  # noqa: BLE001  whatever it is, it is logged
        _log.exception(_LIMITER_FAILED)
        return None
    return None if answer is None else _within_reason(answer, None, _LIMITER_TIMEOUT)


async def _within_reason(answer: Awaitable[T], otherwise: T, patience: float) -> T:
    """Return what a rate limiter will say; nor is one that hangs."""
    try:
        async with timeout(min(_LIMITER_TIMEOUT, patience)):
            return await answer
    except (Exception, CancelledError) as error:
        if isinstance(error, CancelledError) and _is_cancelled():
            raise
        _log.exception(_LIMITER_FAILED)
        return otherwise
