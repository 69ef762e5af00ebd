"""A call, from the arguments to the decoded answer. Read `Client.call_with_reply` first: it is the whole story."""

import copy
import logging
import warnings
from asyncio import CancelledError, current_task, timeout
from collections.abc import Awaitable, Callable, Mapping
from inspect import currentframe
from typing import Any, Generic, Self, TypedDict, TypeVar, cast

from aiohttp import ClientResponse, ClientSession, MultipartWriter
from attrs import evolve, field, frozen
from multidict import CIMultiDictProxy
from yarl import URL

from sdk_core import codec
from sdk_core.arguments import positive_int, seconds
from sdk_core.auth import Auth
from sdk_core.call import Call, Options, connect_timeout
from sdk_core.correlation import checked_correlation_id, current_correlation_id, new_correlation_id
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
from sdk_core.retry import RetryPolicy, parse_retry_after, retry
from sdk_core.session import EXCHANGE_ERRORS, Connection, Sessions, read_at_most
from sdk_core.version import __version__

__all__ = ["Backend", "Client", "ClientOptions", "Empty", "Reply", "user_agent"]

T = TypeVar("T")
U = TypeVar("U")

_log = logging.getLogger("sdk_core")
_log.addHandler(logging.NullHandler())
_CONNECT_GRACE = 0.05
_LIMITER_TIMEOUT = 1.0
_NO_CONTENT_TYPE = ("Content-Type",)


@frozen(kw_only=True)
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


class Empty:
    """Base of what operations return whose documented answer carries nothing: an empty success is a success."""

    @classmethod
    def from_answer(cls, answer: Any, correlation_id: str) -> Self:
        """Build the value from the JSON of the answer (None if it was empty)."""
        raise NotImplementedError


@frozen
class _Answer:
    status: int
    headers: CIMultiDictProxy[str]
    body: bytes | None
    """None: not read to its end."""
    elapsed: float

    @property
    def content_type(self) -> str:
        return safe_code(self.headers.get("Content-Type", "").partition(";")[0]) or "no content type"


class ClientOptions(TypedDict, total=False):
    """What both SDKs' clients take as keyword arguments; see `Client`."""

    session: ClientSession | None
    retry: RetryPolicy | None
    attempt_timeout: float
    total_timeout: float
    correlation_id: Callable[[], str] | None
    rate_limiter: RateLimiter | None
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
        connection: Connection | None = None,
        max_response_bytes: int = 10 * 2**20,
    ) -> None:
        _check_type("session", session, ClientSession)
        _check_type("retry", retry, RetryPolicy)
        _check_type("connection", connection, Connection)
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
            backend.headers,
        )
        self._provide_correlation_id = correlation_id
        self._rate_limiter = rate_limiter
        self._max_response_bytes = positive_int("max_response_bytes", max_response_bytes)
        self._sessions = Sessions(connection or Connection(), session)
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
        return self._view(evolve(self._options, headers={**self._options.headers, **headers}))

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
            **arguments: its path slots and query parameters by name, and `body`.

        Raises:
            TypeError: an argument is missing, unknown or of the wrong type; nothing was sent.
            ValueError: an argument's value can't be sent; nothing was sent.
            SdkError: the call failed; `outcome` tells what is known of its effect.
        """
        return (await self.call_with_reply(operation, **arguments)).value

    async def call_with_reply(self, operation: Operation[T], /, **arguments: object) -> Reply[T]:
        """Like `call`, but return status, headers, attempts and correlation id along with the value."""
        options = self._options
        call = Call(
            operation,
            operation.request(arguments),
            options,
            self._correlation_id(),
            options.retry.clock() + options.total_timeout,
        )
        if operation.deprecated is not None:
            self._warn_deprecated(operation, operation.deprecated)
        if self._rate_limiter is not None:
            await self._wait_for_slot(call, self._rate_limiter)
        try:
            return await self._attempt(call)
        except SdkError as failure:
            if not failure.retryable or options.retry.max_attempts == 1:
                raise
            first_failure = failure

        async def attempt_again(delay: float, last_failure: SdkError) -> Reply[T]:
            call.last_failure = last_failure
            return await self._attempt(call, delay)

        try:
            return await retry(options.retry, first_failure, attempt_again, deadline=call.deadline)
        finally:
            call.last_failure = None
            del first_failure

    async def _attempt(self, call: Call, delay: float = 0.0) -> Reply[Any]:
        """Make one attempt (two, if a 401 could be cured by a fresh token) and judge the answer."""
        try:
            session = await self._sessions.current()
        except ClientClosedError as error:
            raise call.closed(error.args[0]) from None
        headers = self._backend.auth.current() or await self._fetch_token(call, session)
        answer = await self._exchange(call, session, headers, delay)
        if answer.status == 401 and self._may_reauthenticate(call, headers):  # noqa: PLR2004
            call.reauthenticated = True
            call.record(Outcome.REJECTED, answer.status, delay=delay, elapsed=answer.elapsed)
            delay = 0.0
            # Another call may have replaced the token meanwhile.
            headers = self._backend.auth.current() or await self._fetch_token(call, session)
            answer = await self._exchange(call, session, headers, delay)
        if 200 <= answer.status < 300:  # noqa: PLR2004
            return self._accept(call, answer, delay)
        raise await self._refusal(call, answer, delay)

    async def _exchange(
        self, call: Call, session: ClientSession, auth_headers: Mapping[str, str], delay: float
    ) -> _Answer:
        """Send the request and read the answer."""
        body = call.request.body
        if not isinstance(body, Multipart):
            return await self._send(call, session, auth_headers, body, delay)
        # Opened out here: a file that is not there is the caller's error, not the connection's.
        async with body.opened() as parts:
            return await self._send(call, session, auth_headers, parts, delay)

    async def _send(
        self,
        call: Call,
        session: ClientSession,
        auth_headers: Mapping[str, str],
        data: bytes | MultipartWriter | None,
        delay: float,
    ) -> _Answer:
        """The only I/O with the API. The connection is given back in any case."""
        options, request, clock = call.options, call.request, call.options.retry.clock
        headers = {**options.headers, **auth_headers}
        if self._backend.correlation_header is not None:
            headers[self._backend.correlation_header] = call.correlation_id
        if isinstance(data, bytes):
            headers["Content-Type"] = "application/json"
        if session.closed:
            raise call.closed("the client was closed during the call")
        url = self._base_url.with_path(self._base_path + request.path, encoded=True)
        started = clock()
        remaining = call.deadline - started
        if remaining <= 0:
            what = "the total timeout passed before it was sent"
            raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)
        if remaining >= options.attempt_timeout:
            limit, allowed, connecting = "attempt_timeout", options.attempt_timeout, options.connect_timeout
        else:
            limit, allowed, connecting = "total_timeout", remaining, connect_timeout(remaining)
        head: ClientResponse | None = None
        try:
            # The limit of connecting fires first, so that a timeout tells whether anything was sent. aiohttp's own
            # total timeout would lose a cancellation that comes in the same turn of the loop.
            async with timeout(allowed + _CONNECT_GRACE):
                with self._sessions.without_replay(session, call.operation.method) as sender:
                    async with sender.request(
                        call.operation.method,
                        url.with_query(request.query) if request.query else url,
                        data=data,
                        headers=headers,
                        allow_redirects=False,
                        skip_auto_headers=_NO_CONTENT_TYPE if data is None else None,
                        timeout=connecting,
                        raise_for_status=False,
                    ) as head:
                        body = await read_at_most(head, self._max_response_bytes)
                        self._sessions.keeps_connections = True
                        return _Answer(head.status, head.headers, body, clock() - started)
        except EXCHANGE_ERRORS as error:
            if head is not None and head.status >= 400:  # noqa: PLR2004
                # An error status says what it says without its body; a success is one only with all of it.
                return _Answer(head.status, head.headers, None, clock() - started)
            failure = self._transport_failure(call, error, limit, delay=delay, elapsed=clock() - started)
        except CancelledError:
            # Closing a session, aiohttp cancels those who wait for a connection, though nobody cancelled their tasks.
            if not _was_closed_under(session):
                raise
            failure = call.closed("the client was closed while the call waited for a connection")
        # Raised here, not in the handler: aiohttp's exception would follow as __context__, with its URL.
        try:
            raise failure
        finally:
            # Its traceback leads here: a cycle, which only the collector would free.
            del failure

    def _transport_failure(self, call: Call, error: Exception, limit: str, *, delay: float, elapsed: float) -> SdkError:
        outcome = of_failure(error)
        call.record(outcome, error=type(error).__name__, delay=delay, elapsed=elapsed)
        retryable = may_repeat(call.operation.effect, outcome, passing=True)
        if isinstance(error, TimeoutError):
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

    def _accept(self, call: Call, answer: _Answer, delay: float) -> Reply[Any]:
        """Decode a success."""
        operation = call.operation
        try:
            value = _decode(operation, answer.body, call.correlation_id)
        except (codec.NotJsonError, codec.ShapeError) as error:
            problems = error.problems if isinstance(error, codec.ShapeError) else ()
        else:
            call.record(None, answer.status, delay=delay, elapsed=answer.elapsed)
            if call.options.retry.budget is not None:
                call.options.retry.budget.deposit()
            self._notice_deprecation(operation, answer.headers)
            return Reply(value, answer.status, answer.headers, tuple(call.attempts), call.correlation_id)
        # JSON comes from the API, which said yes; anything else may be a page of something in between.
        outcome = Outcome.APPLIED if problems else Outcome.UNKNOWN
        call.record(outcome, answer.status, delay=delay, elapsed=answer.elapsed)
        if answer.body is None:
            what = f"the answer is larger than {self._max_response_bytes} bytes"
        elif problems:
            what = "the answer is not of the documented shape: " + ", ".join(problems[:5])
        else:
            what = (
                f"status {answer.status} with a body that is no JSON ({answer.content_type}, {len(answer.body)} bytes)"
            )
        raise call.fail(
            InvalidResponseError, what, outcome, retryable=False, status=answer.status, problems=list(problems)
        )

    async def _refusal(self, call: Call, answer: _Answer, delay: float) -> SdkError:
        """Turn any status but a success into its error."""
        operation, policy, status = call.operation, call.options.retry, answer.status
        if status < 400:  # noqa: PLR2004
            call.record(Outcome.UNKNOWN, status, delay=delay, elapsed=answer.elapsed)
            what = f"status {status}, which the API does not document; redirects are not followed, check the base URL"
            return call.fail(InvalidResponseError, what, Outcome.UNKNOWN, retryable=False, status=status)
        details = self._backend.read_error(answer.body or b"")
        outcome, passing = of_refusal(operation, status, details, throttles_with_503=self._backend.throttles_with_503)
        echo = call.maybe_echo(status)
        call.record(outcome, status, delay=delay, elapsed=answer.elapsed)
        retry_after = parse_retry_after(answer.headers.get("Retry-After"), now=policy.wall_clock())
        if status == 429:  # noqa: PLR2004
            if retry_after is None:
                waits = (policy.rate_limit_wait, self._backend.rate_limit_wait)
                retry_after = next((wait for wait in waits if wait is not None), None)
            if self._rate_limiter is not None and retry_after is not None:
                pause = min(retry_after, policy.max_retry_after)
                await _within_reason(self._rate_limiter.on_rate_limited(operation.name, pause), None, _LIMITER_TIMEOUT)
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

    def _may_reauthenticate(self, call: Call, rejected: Mapping[str, str]) -> bool:
        others = self._backend.auth.reject(rejected)
        return others and not call.reauthenticated and call.options.retry.max_attempts > 1

    async def _fetch_token(self, call: Call, session: ClientSession) -> Mapping[str, str]:
        try:
            async with timeout(call.deadline - call.options.retry.clock()):
                return await self._backend.auth.fetch(session)
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

    async def _wait_for_slot(self, call: Call, limiter: RateLimiter) -> None:
        patience = call.deadline - call.options.retry.clock()
        wait = await _within_reason(limiter.acquire(call.operation.name, patience), 0.0, patience)
        if wait > patience:
            what = "the rate limit leaves no slot within the total timeout"
            raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True, retry_after=wait)
        if wait > 0:
            clock = call.options.retry.clock
            start = clock() + wait
            try:
                await call.options.retry.sleep(wait)
            except BaseException:
                await _within_reason(limiter.give_back(call.operation.name, start - clock()), None, _LIMITER_TIMEOUT)
                raise

    def _correlation_id(self) -> str:
        given = current_correlation_id()
        if given is not None:
            return given
        if self._provide_correlation_id is not None:
            return checked_correlation_id(self._provide_correlation_id())
        return new_correlation_id()

    def _notice_deprecation(self, operation: Operation[Any], headers: Mapping[str, str]) -> None:
        if "Deprecation" in headers or "Sunset" in headers:
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


def _was_closed_under(session: ClientSession) -> bool:
    task = current_task()
    return session.closed and (task is None or not task.cancelling())


def _check_type(name: str, value: object, kind: type) -> None:
    if value is not None and not isinstance(value, kind):
        raise TypeError(f"{name} must be a {kind.__name__}, not {type(value).__name__}")


def user_agent(product: str) -> str:
    """Return the User-Agent of an SDK."""
    return f"{product}/{__version__}"


def _decode(operation: Operation[T], body: bytes | None, correlation_id: str) -> T:
    if body is None:
        raise codec.NotJsonError
    shape: Any = operation.returns
    if isinstance(shape, type) and issubclass(shape, Empty):
        nothing: Any = shape.from_answer(codec.parse(body) if body.strip() else None, correlation_id)
        return cast("T", nothing)
    value = codec.parse(body)
    if operation.lone_item and isinstance(value, dict):
        value = [codec.as_object(value)]
    return codec.structure(value, operation.returns)


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


async def _within_reason(awaitable: Awaitable[T], otherwise: T, patience: float) -> T:
    """Return what a rate limiter says; one that fails, or hangs, is not a reason to fail the call."""
    try:
        async with timeout(min(_LIMITER_TIMEOUT, patience)):
            return await awaitable
    except Exception:  # noqa: BLE001  whatever it is, it is logged and does not fail the call
        _log.exception("the rate limiter failed; going on without it")
        return otherwise
