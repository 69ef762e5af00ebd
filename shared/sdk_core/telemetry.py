"""Watching calls from outside: hooks for metrics, logs and traces. `sdk_core.opentelemetry` is made of them."""

import logging
from asyncio import timeout
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from attrs import frozen

from sdk_core.arguments import header_text
from sdk_core.errors import SdkError
from sdk_core.operation import Operation

__all__ = ["CallInfo", "Observer", "Telemetry"]

T = TypeVar("T")
A = TypeVar("A", bound="_Answered")
_log = logging.getLogger("sdk_core.telemetry")
_PATIENCE = 1.0
"""Seconds an `async` hook may take."""


@frozen(eq=False)
class CallInfo:
    """The call a hook is told of: always the same object for the same call."""

    operation: Operation[Any]
    correlation_id: str


class Telemetry:
    """What to do when something happens in a call: override what you need; each hook may be `async`.

    A hook that raises, or takes longer than a second, never fails a call: it is logged, once per client and hook.
    Hooks run inside the call's own task. They are told of no credential, no body and no answer.
    """

    def on_call_start(self, call: CallInfo) -> Awaitable[None] | None:
        """A call begins: before it waits for anything."""

    def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> Awaitable[None] | None:
        """A request is about to be sent, the `number`-th of the call (from 1).

        What is put into `headers` is sent with it, except names the SDK sends itself.
        """

    def on_attempt_end(
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None
    ) -> Awaitable[None] | None:
        """It was answered with this HTTP status, or failed with this error: an SdkError, or a CancelledError."""

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> Awaitable[None] | None:
        """The call failed, and is tried again after so many seconds."""

    def on_give_up(self, call: CallInfo, error: SdkError) -> Awaitable[None] | None:
        """The call failed for good: this is what is raised."""

    def on_call_end(self, call: CallInfo) -> Awaitable[None] | None:
        """The call is over: returned, failed or cancelled."""


class _Answered(Protocol):
    status: int


class Observer:
    """Tells one client's telemetry of its calls."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._failed: set[str] = set()

    async def call(self, call: CallInfo, attempts: Awaitable[T]) -> T:
        """Await a call's attempts."""
        await self._tell(self._telemetry.on_call_start, call)
        try:
            return await attempts
        except SdkError as error:
            await self._tell(self._telemetry.on_give_up, call, error)
            raise
        finally:
            await self._tell(self._telemetry.on_call_end, call)

    async def attempt(self, call: CallInfo, number: int, send: Callable[[Mapping[str, str]], Awaitable[A]]) -> A:
        """Make one attempt: `send` is given the headers to send along."""
        headers: dict[str, str] = {}
        await self._tell(self._telemetry.on_attempt_start, call, number, headers)
        await self._tell(_check, headers)
        try:
            answer = await send(headers)
        except BaseException as error:
            await self._tell(self._telemetry.on_attempt_end, call, number, None, error)
            raise
        await self._tell(self._telemetry.on_attempt_end, call, number, answer.status, None)
        return answer

    async def retry(self, call: CallInfo, error: SdkError, delay: float) -> None:
        """Tell of a retry."""
        await self._tell(self._telemetry.on_retry, call, error, delay)

    async def _tell(self, hook: Callable[..., Awaitable[None] | None], *arguments: Any) -> None:
        try:
            answer = hook(*arguments)
            if answer is not None:
                async with timeout(_PATIENCE):
                    await answer
        except Exception:  # noqa: BLE001  whatever it is, it is logged and does not fail the call
            if hook.__name__ not in self._failed:
                self._failed.add(hook.__name__)
                _log.exception("the telemetry hook %s failed; calls go on", hook.__name__)


def _check(headers: dict[str, str]) -> None:
    """Refuse what can't stand in a header."""
    try:
        for name, value in headers.items():
            header_text("header name", name)
            header_text(f"header {name}", value)
    except Exception:
        headers.clear()
        raise
