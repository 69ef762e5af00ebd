"""Sending a request and reading its answer: the only I/O with an API.

Calls get an `Answer` or an SdkError from here, never a response or an exception of aiohttp.
"""

from asyncio import CancelledError
from collections.abc import Mapping
from contextlib import AsyncExitStack
from functools import partial
from types import MappingProxyType
from typing import Any, Final

from aiohttp import ClientResponse, hdrs
from multidict import CIMultiDict

from sdk_core import fork
from sdk_core.backend import Backend
from sdk_core.call import Answer, Call
from sdk_core.errors import ConnectionFailedError, InvalidResponseError, SdkError
from sdk_core.hooks import is_cancelled
from sdk_core.outcome import Outcome, may_repeat, outcome_of_failure
from sdk_core.telemetry import Observer
from sdk_core.transport.body import ending_with_its_connection
from sdk_core.transport.cause import is_passing, is_stale_connection, safe_cause, unreadable
from sdk_core.transport.connector import CheckedBody, CheckedPayload, DisturbedError, KnownConnection, Use
from sdk_core.transport.multipart import Multipart
from sdk_core.transport.session import LoopSession, Sessions
from sdk_core.transport.timer import Limit

__all__ = ["EXCHANGE_ERRORS", "Exchange", "read_at_most"]

EXCHANGE_ERRORS: Final = (Exception,)
"""What may end a request. Mostly aiohttp's ClientError and OSErrors, timeouts among them; but also what its parser in
Python raises, a machine without another thread for the resolver, and the middleware of an injected session."""

_CONNECT_GRACE: Final = 0.05
"""Seconds by which the limit of connecting passes before that of the attempt."""
_JSON: Final = "application/json"
_JSON_HEADER: Final = {hdrs.CONTENT_TYPE: _JSON}
_NO_TIME_LEFT: Final = "the total timeout passed before it was sent"
_NO_CONTENT_TYPE: Final = (hdrs.CONTENT_TYPE,)
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
"""Where aiohttp names a Content-Type even if there is no content."""


_AS_IT_COMES: Final = {"allow_redirects": False, "raise_for_status": False}
"""Redirects and error statuses are answers like all others."""
_NOTHING_MORE: Final[Mapping[str, str]] = MappingProxyType({})


class Exchange:
    """The requests of one client.

    Args:
        backend: where they go.
        sessions: asked whether they are closed.
    """

    def __init__(self, backend: Backend, sessions: Sessions) -> None:
        self._base_url = backend.base_url
        self._base_path = backend.base_url.raw_path.rstrip("/")
        self._correlation_header = backend.correlation_header
        self._sessions = sessions

    async def send(
        self,
        call: Call[Any],
        here: LoopSession,
        credential: Mapping[str, str],
        added: Mapping[str, str] = _NOTHING_MORE,
    ) -> Answer:
        """Make one attempt of `call`, in a slot of `here`.

        Args:
            call: what to send.
            here: what to send it with.
            credential: the headers of the credential.
            added: headers of the telemetry's; where names are the same, ours are sent.

        Returns:
            What came back, whatever its status.

        Raises:
            SdkError: nothing came back that could be judged; the attempt is recorded.
        """
        body, options, method = call.body, call.options, call.operation.method
        # With telemetry all of them are ours to send, so that no hook can put others in their place.
        headers = here.headers_beside(options.headers, credential, all_of_them=call.info is not None)
        if self._correlation_header is not None:
            headers[self._correlation_header] = call.correlation_id
        if added:
            headers = _joined(added, headers)
        url = self._base_url.with_path(self._base_path + call.path, encoded=True)
        request: dict[str, Any] = {
            **_AS_IT_COMES,
            "method": method,
            "url": url.with_query(call.query) if call.query else url,
            "headers": headers,
        }
        if type(body) is bytes:
            request["data"] = CheckedBody(body, content_type=_JSON)
            # An injected session may have a Content-Type for all its requests, which would go before that of the body.
            headers.update(_JSON_HEADER if here.is_injected else ())
        elif body is None and method in _METHODS_WITH_BODY:
            request["skip_auto_headers"] = _NO_CONTENT_TYPE
        while True:
            try:
                if isinstance(body, Multipart):
                    return await self._transfer_opened(call, body, here, request)
                return await self._transfer(call, here, request)
            except DisturbedError:
                # Nothing was sent: that was no attempt, and another connection is taken.
                continue
            except SdkError as failure:
                # The exception it was made from must not follow it: aiohttp's name URLs.
                failure.__context__ = None
                raise (failure if call.forks == fork.forks else call.inherited()) from failure.__cause__

    async def send_observed(
        self, observer: Observer, call: Call[Any], here: LoopSession, credential: Mapping[str, str]
    ) -> Answer:
        """Like `send`, and tell the observer of it."""
        send = partial(self.send, call, here, credential)
        # For the type checker: where there is an observer, there is an info.
        return await (send() if call.info is None else observer.attempt(call.info, len(call.attempts) + 1, send))

    async def _transfer_opened(
        self, call: Call[Any], body: Multipart, here: LoopSession, request: Mapping[str, Any]
    ) -> Answer:
        """Like `_transfer`, with a body that is opened for one attempt."""
        async with AsyncExitStack() as stack:
            parts = await _opened(call, body, here, stack)
            return await self._transfer(call, here, {**request, "data": parts})

    async def _transfer(self, call: Call[Any], here: LoopSession, request: Mapping[str, Any]) -> Answer:
        """Send the request and read the answer; the connection is given back in any case.

        The limit of connecting passes first, so that a timeout tells whether anything was sent. (aiohttp's own total
        timeout would lose a cancellation that comes in the same turn of the loop.) An error status says what it says
        without its body; a success is one only with all of it. Closing a session, aiohttp cancels those who wait for a
        connection, though nobody cancelled their tasks.

        Raises:
            SdkError: nothing came back that could be judged.
            DisturbedError: what came was there before the request, which was not sent.
        """
        clock = call.options.retry.clock
        started = clock()
        allowed = min(call.options.attempt_timeout, call.deadline - started)
        if allowed <= 0 or here.owner.closed or self._sessions.closed or call.forks != fork.forks:
            raise self._too_late(call, here)
        head: ClientResponse | None = None
        content: bytes | None = None
        use = Use.__new__(Use)
        use.connect, use.body = allowed, request.get("data")
        sender = here.sender(request["method"]) if here.is_injected else here.session
        try:
            call.is_under_way = True
            with Limit(here.timer, allowed + _CONNECT_GRACE):
                head = await sender.request(timeout=use, **request)
                if use.was_refused:
                    raise _closed(head)
                content = await read_at_most(head, call.options.max_response_bytes)
            call.elapsed = clock() - started
            self._sessions.may_reuse_connection = True
            return Answer(head.status, head.headers, content)
        except EXCHANGE_ERRORS as error:
            if use.was_refused:
                call.is_under_way = False
                raise DisturbedError from None
            call.elapsed = clock() - started
            if head is not None and head.status >= 400:
                return Answer(head.status, head.headers, None)
            raise self._failure(call, here, error, started, use.connection)  # noqa: B904  `send` takes aiohttp's exception off
        except CancelledError:
            if not here.session.closed or is_cancelled():
                raise
            raise call.closed("the client was closed while the call waited for a connection") from None
        finally:
            if (used := use.connection) is not None and (
                content is None or used.is_closing() or (call.body is not None and used.unwritten())
            ):
                used.abort()
            if sender is not here.session:
                sender.detach()

    def _too_late(self, call: Call[Any], here: LoopSession) -> SdkError:
        """Say what happened since the attempt was admitted, while a file, the limiter or a hook was waited for."""
        if call.forks != fork.forks:
            return call.inherited()
        if not self._sessions.is_usable(here):
            return call.closed("the client was closed before the request was sent")
        return call.timed_out("total_timeout", Outcome.NOT_SENT, _NO_TIME_LEFT, retryable=True)

    def _failure(
        self, call: Call[Any], here: LoopSession, error: Exception, started: float, connection: KnownConnection | None
    ) -> SdkError:
        # Our connector tells whether there was a connection to send anything over; of another one, the error has to.
        was_sent = connection is not None or here.is_injected
        is_kept = was_sent and (self._sessions.may_reuse_connection if connection is None else connection.is_kept)
        if is_kept and (is_stale_connection(error) or isinstance(error, TimeoutError)):
            here.suspect_kept_connections()
        outcome = outcome_of_failure(error) if was_sent else Outcome.NOT_SENT
        call.record(outcome, error=type(error).__name__)
        retryable = may_repeat(call.operation.effect, outcome, passing=is_passing(error))
        if was_sent and (what := unreadable(error)) is not None:
            return call.fail(InvalidResponseError, what, outcome, retryable=False, cause=type(error).__name__)
        if isinstance(error, TimeoutError):
            limit = "attempt_timeout" if call.deadline - started >= call.options.attempt_timeout else "total_timeout"
            phase = "no complete answer"
            if outcome is Outcome.NOT_SENT:
                phase = "could not connect" + ("" if here.proxy is None else " through the proxy")
            return call.timed_out(limit, outcome, f"{phase} within the {limit.replace('_', ' ')}", retryable=retryable)
        cause = safe_cause(error, None if was_sent else here.proxy)
        what = "could not connect"
        if outcome is not Outcome.NOT_SENT:
            what = "the connection failed before the answer was complete"
        if cause is not None:
            what += f": {cause.strerror or cause}"
        # A kept connection may be closed at any time: that is no sign of trouble, and the first time no reason to wait.
        at_once = len(call.attempts) == 1 and is_kept and is_stale_connection(error)
        failure = call.fail(
            ConnectionFailedError,
            what,
            outcome,
            retryable=retryable,
            cause=type(error).__name__ if cause is None else f"{type(error).__name__}: {cause}",
            retry_at_once=retryable and at_once,
        )
        failure.__cause__ = cause
        return failure


def _closed(head: ClientResponse) -> DisturbedError:
    """Close what is no answer to a request that was not written."""
    head.close()
    return DisturbedError()


def _joined(headers: Mapping[str, str], more: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return both; where names are the same, those of `more`."""
    joined = CIMultiDict(headers)
    joined.update(more)
    return joined


async def read_at_most(response: ClientResponse, limit: int) -> bytes | None:
    """Return the body, decompressed; None if it is larger than `limit` bytes. The connection is not held any more."""
    content = response.content
    try:
        # What came in one piece with the head is there already.
        body = content.read_nowait()
        if len(body) <= limit and content.at_eof():
            return body
        chunks, left = [body], limit - len(body)
        with ending_with_its_connection(response):
            while left >= 0 and (chunk := await content.readany()):
                chunks.append(chunk)
                left -= len(chunk)
        return b"".join(chunks) if left >= 0 else None
    finally:
        # At the end of its body a response gives its connection back to the pool, and is closed by itself.
        if not response.closed:
            response.close()


async def _opened(call: Call[Any], body: Multipart, here: LoopSession, stack: AsyncExitStack) -> CheckedPayload:
    """Open the body of one attempt; `stack` closes it. What is wrong with a file before the first is the caller's."""
    try:
        with Limit(here.timer, call.remaining()):
            return await stack.enter_async_context(body.opened())
    except TimeoutError:
        what, cause = "the document could not be opened within the total timeout", None
    except Exception as error:
        if not call.attempts and isinstance(error, OSError | TypeError | ValueError):
            raise
        what, cause = "the document could not be opened", type(error).__name__
    # Raised here and not in the handlers, whose exceptions, with a path in them, would be its context.
    if cause is None:
        raise call.timed_out("total_timeout", Outcome.NOT_SENT, what, retryable=True)
    raise call.fail(SdkError, f"{what}: {cause}", Outcome.NOT_SENT, retryable=False, cause=cause)
