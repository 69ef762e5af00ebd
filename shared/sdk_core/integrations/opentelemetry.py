"""Traces and metrics of calls, by OpenTelemetry: a client's `telemetry=OpenTelemetry()`. Needs the extra `otel`."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Final

from sdk_core.errors import SdkError
from sdk_core.telemetry import CallInfo, Telemetry
from sdk_core.version import __version__

try:
    from opentelemetry.context import Context, attach, detach, get_current
    from opentelemetry.metrics import MeterProvider, get_meter
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


_SCOPE: Final = "sdk_core.integrations.opentelemetry"
_SCHEMA: Final = "https://opentelemetry.io/schemas/1.37.0"
"""The version of the conventions that names and units are of."""
_REQUEST_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""Bounds of the buckets, as the conventions for HTTP have them ..."""
_CALL_SECONDS: Final = (*_REQUEST_SECONDS, 30.0, 60.0, 120.0)
"""... and for what may wait as well: until the minute of a rate limit is over, and for the default total timeout."""


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


class _Metrics:
    """The instruments, and what is recorded with them."""

    def __init__(self, provider: MeterProvider | None, *, server_address: bool) -> None:
        meter = get_meter(_SCOPE, __version__, provider, _SCHEMA)
        self._requests = meter.create_histogram(
            "http.client.request.duration",
            "s",
            "Duration of HTTP client requests.",
            explicit_bucket_boundaries_advisory=_REQUEST_SECONDS,
        )
        self._calls = meter.create_histogram(
            "sdk.client.call.duration",
            "s",
            "Duration of calls: all requests, and what was waited for.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._waits = meter.create_histogram(
            "sdk.client.limiter.wait.duration",
            "s",
            "What the rate limiter held requests back.",
            explicit_bucket_boundaries_advisory=_CALL_SECONDS,
        )
        self._retries = meter.create_counter("sdk.client.retries", "{retry}", "Requests that repeat a failed one.")
        self._server_address = server_address

    def request_ended(self, call: CallInfo, status: int | None, error: BaseException | None, elapsed: float) -> None:
        operation = call.operation
        attributes: dict[str, str | int] = {
            "http.request.method": operation.method,
            "url.template": operation.template,
            **self._attributes(call),
        }
        if status is not None:
            attributes["http.response.status_code"] = status
            if status >= 400:
                attributes["error.type"] = str(status)
        elif isinstance(error, Exception):
            attributes["error.type"] = type(error).__qualname__
        self._requests.record(elapsed, attributes)

    def call_ended(self, call: CallInfo, error: BaseException | None, elapsed: float) -> None:
        attributes = self._attributes(call)
        match error:
            case None:
                attributes["sdk.outcome"] = "success"
            case SdkError():
                attributes |= _of(error)
            case Exception():
                # Of the caller's own code. Where a request may have had an effect, it is an SdkError.
                attributes |= {"sdk.outcome": "error", "error.type": type(error).__qualname__}
            case _:
                attributes["sdk.outcome"] = "canceled"
        self._calls.record(elapsed, attributes)

    def retried(self, call: CallInfo, error: SdkError) -> None:
        self._retries.add(1, self._attributes(call) | _of(error))

    def waited(self, call: CallInfo, seconds: float) -> None:
        self._waits.record(seconds, self._attributes(call))

    def _attributes(self, call: CallInfo) -> dict[str, str | int]:
        attributes: dict[str, str | int] = {"sdk.operation": call.operation.name}
        if self._server_address:
            attributes |= _server(call)
        return attributes


def _of(error: SdkError) -> dict[str, str | int]:
    return {"sdk.outcome": error.outcome.value, "error.type": type(error).__qualname__}


def _server(call: CallInfo) -> dict[str, str | int]:
    address, port = call.base_url.host, call.base_url.port
    return {} if address is None or port is None else {"server.address": address, "server.port": port}


class OpenTelemetry(Telemetry):
    """A span for each call, named like its operation, and inside it a CLIENT span for each request sent.

    Waits - for the rate limit, a connection, a token, the next attempt - are in the call's span only, and all attempts
    of a call have its `sdk.correlation_id`. Spans show the operation, its path template, status and kind of failure; no
    id, query, body, header, text of the server, and therefore no `url.full`; nor the host, which may name a tenant.

    The attempt's span goes along in the headers, `traceparent` in most cases. OpenTelemetry's instrumentation of
    aiohttp is switched off for the attempts: it would make a second span, with the full URL.

    Metrics, by `sdk.operation` and never by an id:

    - `http.client.request.duration`: each request, by method, template and status or `error.type`; a canceled one has
      neither of the two.
    - `sdk.client.call.duration`: each call, by `sdk.outcome`: `success`, those of `Outcome`, `canceled`, and `error` if
      code of the caller's failed.
    - `sdk.client.retries`: by outcome and kind of the failure that is repeated.
    - `sdk.client.limiter.wait.duration`: how long the rate limiter held a request back.

    (For Prometheus, take opentelemetry-exporter-prometheus 0.62b0 or later: older ones mix such labels up.)

    Args:
        tracer_provider: where spans go; None: the global one.
        propagator: writes the headers; None: the global one, which sends your baggage too.
        meter_provider: where metrics go; None: the global one.
        server_address: whether requests and metrics have `server.address` and `server.port`; the host may name a
            tenant.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        propagator: TextMapPropagator | None = None,
        *,
        meter_provider: MeterProvider | None = None,
        server_address: bool = False,
    ) -> None:
        self._tracer = get_tracer(_SCOPE, __version__, tracer_provider, _SCHEMA)
        self._metrics = _Metrics(meter_provider, server_address=server_address)
        self._server_address = server_address
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
        if self._server_address:
            attributes |= _server(call)
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
        elapsed: float,
    ) -> None:
        """End the attempt's span."""
        attempt = self._attempts.pop(call)
        if status is not None:
            attempt.span.set_attribute("http.response.status_code", status)
            if status >= 400:
                attempt.span.set_attribute("error.type", str(status))
                attempt.span.set_status(StatusCode.ERROR)
        try:
            # While the span is current: the metric's exemplars name it.
            self._metrics.request_ended(call, status, error, elapsed)
        finally:
            attempt.leave(error)

    def on_wait(self, call: CallInfo, delay: float) -> None:
        """Record how long the rate limiter holds a request back."""
        self._metrics.waited(call, delay)

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> None:
        """Note on the call's span for how long it waits now, and why."""
        self._metrics.retried(call, error)
        self._calls[call].span.add_event("sdk.retry", {"error.type": type(error).__qualname__, "sdk.delay": delay})

    def on_give_up(self, call: CallInfo, error: SdkError) -> None:
        """Note on the call's span what is known of the effect."""
        self._calls[call].span.set_attribute("sdk.outcome", error.outcome.value)

    def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> None:
        """End the call's span."""
        try:
            self._metrics.call_ended(call, error, elapsed)
        finally:
            self._calls.pop(call).leave(error)
