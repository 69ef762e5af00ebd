"""Traces of calls, by OpenTelemetry: a client's `telemetry=OpenTelemetry()`. Needs the extra `otel`."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

from sdk_core.errors import SdkError
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.version import __version__

try:
    from opentelemetry.context import Context, attach, detach, get_current
    from opentelemetry.propagate import get_global_textmap
    from opentelemetry.propagators.textmap import TextMapPropagator
    from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider, get_tracer, set_span_in_context
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "opentelemetry":
        raise
    raise ImportError(
        "sdk_core.integrations.opentelemetry needs: pip install 'membership-cloudcockpit-sdk[otel]'"
    ) from _missing

__all__ = ["OpenTelemetry"]

_suppress_others: Callable[[], AbstractContextManager[None]]
try:
    # All of it: before 0.60b0, that of aiohttp does not look for `suppress_http_instrumentation`.
    from opentelemetry.instrumentation.utils import suppress_instrumentation as _suppress_others
except ModuleNotFoundError:
    # Then nothing else is there that would trace aiohttp's requests.
    _suppress_others = nullcontext


class _Current:
    """A span, made the current one."""

    def __init__(self, span: Span, context: Context) -> None:
        self.span = span
        self._context = context
        self._token = attach(context)

    def leave(self, error: BaseException | None) -> None:
        if isinstance(error, Exception):
            self.span.set_attribute("error.type", type(error).__qualname__)
            # Other errors than ours may tell of anything.
            self.span.set_status(StatusCode.ERROR, str(error) if isinstance(error, SdkError) else None)
        elif error is not None:
            # By convention no error: the caller wanted it so.
            self.span.set_attribute("sdk.canceled", value=True)
        try:
            self.span.end()
        finally:
            # A coroutine that is thrown away ends somewhere else, where the token would be refused.
            if get_current() is self._context:
                detach(self._token)


class OpenTelemetry(Telemetry):
    """A span for each call, named like its operation, and inside it a CLIENT span for each request sent.

    Waits - for the rate limit, a connection, a token, the next attempt - are in the call's span only, and all attempts
    of a call have its `sdk.correlation_id`. Spans show the operation, its path template, status and kind of failure; no
    id, query, body, header, text of the server, and therefore no `url.full`; nor the host, which may name a tenant.

    The attempt's span goes along in the headers, `traceparent` in most cases. OpenTelemetry's instrumentation of
    aiohttp is switched off for the attempts: it would make a second span, with the full URL.

    Args:
        tracer_provider: where spans go; None: the global one.
        propagator: writes the headers; None: the global one, which sends your baggage too.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, propagator: TextMapPropagator | None = None
    ) -> None:
        self._tracer = get_tracer("sdk_core.integrations.opentelemetry", __version__, tracer_provider)
        self._propagator = propagator
        self._calls: dict[CallInfo, _Current] = {}
        self._attempts: dict[CallInfo, _Current] = {}
        """The one under way of each call."""

    def on_call_start(self, call: CallInfo) -> None:
        """Start the call's span."""
        span = self._tracer.start_span(call.operation.name, attributes={"sdk.correlation_id": call.correlation_id})
        self._calls[call] = _Current(span, set_span_in_context(span))

    def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
        """Start the attempt's span and send its id along."""
        attributes: dict[str, str | int] = {
            "http.request.method": call.operation.method,
            "url.template": call.operation.template,
            "sdk.correlation_id": call.correlation_id,
        }
        if number > 1:
            attributes["http.request.resend_count"] = number - 1
        span = self._tracer.start_span(str(call.operation), kind=SpanKind.CLIENT, attributes=attributes)
        with _suppress_others():
            context = set_span_in_context(span)
        self._attempts[call] = _Current(span, context)
        (self._propagator or get_global_textmap()).inject(headers)  # pyright: ignore[reportArgumentType]  its own default

    def on_attempt_end(
        self,
        call: CallInfo,
        number: int,  # noqa: ARG002  a call makes one attempt at a time
        status: int | None,
        error: BaseException | None,
    ) -> None:
        """End the attempt's span."""
        attempt = self._attempts.pop(call)
        if status is not None:
            attempt.span.set_attribute("http.response.status_code", status)
            if status >= 400:
                attempt.span.set_attribute("error.type", str(status))
                attempt.span.set_status(StatusCode.ERROR)
        attempt.leave(error)

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> None:
        """Note on the call's span for how long it waits now, and why."""
        self._calls[call].span.add_event("sdk.retry", {"error.type": type(error).__qualname__, "sdk.delay": delay})

    def on_give_up(self, call: CallInfo, error: SdkError) -> None:
        """Note on the call's span what is known of the effect."""
        self._calls[call].span.set_attribute("sdk.outcome", error.outcome.value)

    def on_call_end(self, call: CallInfo, error: BaseException | None) -> None:
        """End the call's span."""
        self._calls.pop(call).leave(error)
