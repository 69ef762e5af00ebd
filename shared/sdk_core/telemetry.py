"""Watching calls from outside: hooks for metrics, logs and traces, of which `integrations.opentelemetry` is made."""

import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from time import perf_counter
from typing import Any, Protocol, TypeVar

from attrs import field, frozen
from yarl import URL

from sdk_core.arguments import header_text
from sdk_core.errors import SdkError
from sdk_core.hooks import notify
from sdk_core.operation import Operation
from sdk_core.value import Shown

__all__ = ["CallInfo", "Observer", "Telemetry"]

T = TypeVar("T")
A = TypeVar("A", bound="_Answered")
_log = logging.getLogger("sdk_core.telemetry")
_PATIENCE = 1.0
"""Seconds an `async` hook may take."""
_HEADER_NAME = r"[\w!#$%&'*+.^`|~-]+"
"""Compiled when a hook first sends one: most never do, and all import this."""
_HTTP_OWN = frozenset(
    {"connection", "content-encoding", "content-length", "content-type", "expect", "host", "transfer-encoding"}
)
"""Headers that say how the request is put on the wire."""


@frozen(eq=False)
class CallInfo(Shown):
    """The call a hook is told of: always the same object for the same call."""

    operation: Operation[Any]
    correlation_id: str
    base_url: URL = field(repr=False)
    """The API's. Its host may name the tenant."""


class Telemetry:
    """What to do when something happens in a call: override what you need; each hook may be `async`.

    A hook that raises, or takes longer than a second, never fails a call: it is logged, once per client and hook.
    Hooks run inside the call's own task; what they wait comes on top of its timeouts. They are told of no credential,
    no body and no answer. For each start there is an end, whatever happens. Times are of `time.perf_counter`: the retry
    policy's clock is the caller's, and a call that was made must not fail because that does.
    """

    def on_call_start(self, call: CallInfo) -> Awaitable[None] | None:
        """A call begins: before it waits for anything."""

    def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> Awaitable[None] | None:
        """A request is about to be sent, the `number`-th of the call (from 1).

        What is put into `headers` is sent with it, except names that the SDK sends itself or that HTTP needs.
        """

    def on_attempt_end(
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None, elapsed: float
    ) -> Awaitable[None] | None:
        """It was answered with this HTTP status, or ended in this error, after `elapsed` seconds.

        The error is an SdkError, a CancelledError, or what reading the caller's document raised.
        """

    def on_wait(self, call: CallInfo, delay: float) -> Awaitable[None] | None:
        """The rate limiter holds the call's next attempt back for so many seconds."""

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> Awaitable[None] | None:
        """The call failed, and is tried again after so many seconds."""

    def on_give_up(self, call: CallInfo, error: SdkError) -> Awaitable[None] | None:
        """The call failed for good: this is what is raised."""

    def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> Awaitable[None] | None:
        """The call is over after `elapsed` seconds: it returned (no error), failed, or was cancelled.

        Waits and hooks are a part of it.
        """


class _Answered(Protocol):
    @property
    def status(self) -> int: ...


class Observer:
    """Tells one client's telemetry of its calls."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._failed: set[str] = set()

    async def call(self, call: CallInfo, attempts: Callable[[], Awaitable[T]]) -> T:
        """Make a call's attempts."""
        start = perf_counter()
        try:
            await self._tell("on_call_start", call)
            result = await attempts()
        except BaseException as error:
            try:
                if isinstance(error, SdkError):
                    await self._tell("on_give_up", call, error)
            finally:
                await self._tell("on_call_end", call, error, perf_counter() - start)
            raise
        await self._tell("on_call_end", call, None, perf_counter() - start)
        return result

    async def attempt(self, call: CallInfo, number: int, send: Callable[[Mapping[str, str]], Awaitable[A]]) -> A:
        """Make one attempt: `send` is to send the headers that the telemetry adds."""
        added: dict[str, str] = {}
        start = perf_counter()
        try:
            await self._tell("on_attempt_start", call, number, added)
            # What the hook took is no part of the request.
            start = perf_counter()
            answer = await send(self._sendable(added))
        except BaseException as error:
            await self._tell("on_attempt_end", call, number, None, error, perf_counter() - start)
            raise
        await self._tell("on_attempt_end", call, number, answer.status, None, perf_counter() - start)
        return answer

    async def wait(self, call: CallInfo, delay: float) -> None:
        """Tell of a wait for the rate limiter."""
        await self._tell("on_wait", call, delay)

    async def retry(self, call: CallInfo, error: SdkError, delay: float) -> None:
        """Tell of a retry."""
        await self._tell("on_retry", call, error, delay)

    async def _tell(self, hook: str, *arguments: Any) -> None:
        note_failure = partial(self._note_failure, hook)
        await notify(getattr(self._telemetry, hook), *arguments, patience=_PATIENCE, on_failure=note_failure)

    def _sendable(self, headers: dict[str, str]) -> Mapping[str, str]:
        try:
            for name, value in headers.items():
                _check_header(name, value)
        except (TypeError, ValueError) as error:
            self._note_failure("on_attempt_start", error)
            return {}
        return {name: value for name, value in headers.items() if name.lower() not in _HTTP_OWN}

    def _note_failure(self, hook: str, error: BaseException) -> None:
        if hook not in self._failed:
            self._failed.add(hook)
            # What the hook was told of is no part of its failure, and may name a file of the caller's.
            error.__suppress_context__ = True
            _log.error("the telemetry hook %s failed; calls go on", hook, exc_info=error)


def _check_header(name: str, value: str) -> None:
    if not re.fullmatch(_HEADER_NAME, header_text("header name", name), re.ASCII):
        raise ValueError("a header's name must consist of letters, digits and !#$%&'*+-.^_`|~")
    header_text(f"header {name}", value)
