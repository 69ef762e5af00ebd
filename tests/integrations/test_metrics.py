"""Metrics of calls, by OpenTelemetry: read in memory, and as Prometheus reads them."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from opentelemetry.trace import SpanKind
from watched import BUSY, READ, SEARCH, UPLOAD, WRITE, arrival, client_for, cloudcockpit
from wire import DROP, STALL, CannedAnswer, FakeTime, WireServer
from yarl import URL

from membership_sdk import (
    CallInfo,
    Document,
    Effect,
    IdlePeriodReason,
    NotFoundError,
    Operation,
    SdkError,
    correlation_scope,
)
from sdk_core import telemetry as telemetry_module
from sdk_core.integrations.opentelemetry import OpenTelemetry

REQUESTS, CALLS = "http.client.request.duration", "sdk.client.call.duration"
RETRIES, WAITS = "sdk.client.retries", "sdk.client.limiter.wait.duration"
CONVENTION = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

LISTED = Operation(name="list_it", method="POST", path="/it", returns=list[IdlePeriodReason], effect=Effect.WRITE)
"""A write whose answer has a shape that can be wrong."""

Points = list[tuple[dict[str, Any], float]]


class Metrics:
    """A provider, and what was recorded."""

    def __init__(self) -> None:
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import InMemoryMetricReader

        self._reader = InMemoryMetricReader()
        self.provider = MeterProvider([self._reader])
        self.telemetry = OpenTelemetry(meter_provider=self.provider)

    def read(self) -> dict[str, Any]:
        data = self._reader.get_metrics_data()
        [of_resource] = data.resource_metrics if data is not None else ()
        # Some versions of OpenTelemetry measure themselves, too.
        name = "sdk_core.integrations.opentelemetry"
        [of_scope] = [it for it in of_resource.scope_metrics if it.scope.name == name]
        assert of_scope.schema_url == "https://opentelemetry.io/schemas/1.37.0"
        return {metric.name: metric for metric in of_scope.metrics}

    def points(self, name: str) -> Points:
        """The attributes of each series, and how often it was recorded."""
        from opentelemetry.sdk.metrics.export import HistogramDataPoint

        metric = self.read().get(name)
        return [
            (dict(it.attributes), it.count if isinstance(it, HistogramDataPoint) else it.value)
            for it in (metric.data.data_points if metric is not None else ())
        ]


@pytest.fixture
def metrics(caplog: pytest.LogCaptureFixture) -> Iterator[Metrics]:
    """Metrics; and nobody may have complained about them."""
    yield Metrics()
    assert not [it for it in caplog.get_records("call") if it.name.startswith(("opentelemetry", "sdk_core.telemetry"))]


async def test_a_retried_call_is_one_call_of_several_requests(metrics: Metrics, fake_time: FakeTime) -> None:
    script = (BUSY, DROP, CannedAnswer())
    async with WireServer(*script) as server, client_for(server, metrics.telemetry, fake_time) as client:
        await client.call(READ)
    request = {"http.request.method": "GET", "url.template": "/it", "sdk.operation": "read_it"}
    assert metrics.points(REQUESTS) == [
        ({**request, "http.response.status_code": 429, "error.type": "429"}, 1),
        ({**request, "error.type": "ConnectionFailedError"}, 1),
        ({**request, "http.response.status_code": 200}, 1),
    ]
    assert metrics.points(CALLS) == [({"sdk.operation": "read_it", "sdk.outcome": "success"}, 1)]
    assert metrics.points(RETRIES) == [
        ({"sdk.operation": "read_it", "sdk.outcome": "rejected", "error.type": "RateLimitError"}, 1),
        ({"sdk.operation": "read_it", "sdk.outcome": "unknown", "error.type": "ConnectionFailedError"}, 1),
    ]


async def test_seconds_go_into_the_buckets_of_the_convention(
    metrics: Metrics, fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a request; a call may take as long as its total timeout, and so has some more."""
    now = [0.0]
    monkeypatch.setattr(telemetry_module, "perf_counter", lambda: now[0])

    def answer(_request: object) -> CannedAnswer:
        now[0] += 45.0
        return CannedAnswer()

    async with WireServer(answer) as server, client_for(server, metrics.telemetry, fake_time) as client:
        await client.call(READ)
    metrics.telemetry.on_wait(CallInfo(READ, "id", URL("http://127.0.0.1")), 45.0)
    read, longer = metrics.read(), (*CONVENTION, 30, 60, 120)
    for name, bounds in ((REQUESTS, CONVENTION), (CALLS, longer), (WAITS, longer)):
        [point] = read[name].data.data_points
        assert (read[name].unit, tuple(point.explicit_bounds), point.sum) == ("s", bounds, 45.0)
    assert metrics.points(WAITS) == [({"sdk.operation": "read_it"}, 1)]


async def test_outcomes_of_calls(metrics: Metrics, fake_time: FakeTime) -> None:
    """Those of the errors, success, canceled, and what the caller's own code raised."""
    document = Document(source=Path("/no/such/file"), content_type="image/png")
    script = (CannedAnswer(), CannedAnswer(404), CannedAnswer(500), CannedAnswer(body='"x"'), STALL)
    async with WireServer(*script) as server, client_for(server, metrics.telemetry, fake_time) as client:
        await client.call(WRITE, body={})
        for _ in range(2):
            with pytest.raises(SdkError):
                await client.call(WRITE, body={})
        with pytest.raises(SdkError):
            await client.call(LISTED)
        with pytest.raises(FileNotFoundError):
            await client.call(UPLOAD, body={}, document=document)
        server.requests.clear()
        task = asyncio.create_task(client.call(WRITE, body={}))
        await arrival(server)
        task.cancel()
        await asyncio.wait([task])
    outcomes = [
        (it.get("sdk.operation"), it.get("sdk.outcome"), it.get("error.type")) for it, _ in metrics.points(CALLS)
    ]
    assert outcomes == [
        ("write_it", "success", None),
        ("write_it", "rejected", "NotFoundError"),
        ("write_it", "unknown", "ServerError"),
        ("list_it", "applied", "InvalidResponseError"),
        ("upload_it", "error", "FileNotFoundError"),
        ("write_it", "canceled", None),
    ]
    canceled = {"http.request.method": "POST", "url.template": "/it", "sdk.operation": "write_it"}
    assert metrics.points(REQUESTS)[-1] == (canceled, 1)


MEMBER = 7700112233445000
"""Too long to be in a time."""


async def test_series_do_not_grow_with_ids(metrics: Metrics, fake_time: FakeTime) -> None:
    """Hundred members, queries and correlation ids are one series; no server is named."""
    async with WireServer() as server, client_for(server, metrics.telemetry, fake_time) as client:
        for number in range(1, 101):
            with correlation_scope(f"canary-{number}"):
                await client.call(SEARCH, customer_id=MEMBER + number, name=f"canary {number}", q="canary", body={})
    assert [count for _, count in metrics.points(REQUESTS)] == [100]
    assert [count for _, count in metrics.points(CALLS)] == [100]
    told = str(metrics.read())
    assert not [canary for canary in ("canary", str(MEMBER)[:-3], "127.0.0.1") if canary in told]


async def test_server_is_named_only_when_asked(fake_time: FakeTime) -> None:
    """On all metrics, as the convention has it."""
    metrics = Metrics()
    telemetry = OpenTelemetry(meter_provider=metrics.provider, server_address=True)
    async with WireServer(BUSY, CannedAnswer()) as server, client_for(server, telemetry, fake_time) as client:
        await client.call(READ)
        port = URL(server.url).port
    for name in (REQUESTS, CALLS, RETRIES):
        for attributes, _ in metrics.points(name):
            assert (attributes["server.address"], attributes["server.port"]) == ("127.0.0.1", port)


async def test_exemplars_lead_to_the_span_of_the_request(fake_time: FakeTime) -> None:
    from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    reader, spans, traced = InMemoryMetricReader(), InMemorySpanExporter(), TracerProvider()
    traced.add_span_processor(SimpleSpanProcessor(spans))
    provider = MeterProvider([reader], exemplar_filter=AlwaysOnExemplarFilter())
    telemetry = OpenTelemetry(traced, meter_provider=provider)
    async with WireServer() as server, client_for(server, telemetry, fake_time) as client:
        await client.call(READ)
    data = reader.get_metrics_data()
    assert data is not None
    metrics = {it.name: it for it in data.resource_metrics[0].scope_metrics[0].metrics}
    kinds = {REQUESTS: SpanKind.CLIENT, CALLS: SpanKind.INTERNAL}
    for name, kind in kinds.items():
        [span] = [span for span in spans.get_finished_spans() if span.kind is kind]
        [exemplar] = metrics[name].data.data_points[0].exemplars
        assert exemplar.span_id == span.get_span_context().span_id


async def test_both_sdks_record(metrics: Metrics) -> None:
    async with cloudcockpit(metrics.telemetry, CannedAnswer(404)) as (client, _server):
        with pytest.raises(NotFoundError):
            await client.get_subscription(customer_id=UUID(int=1), subscription_id=UUID(int=2))
    [(attributes, _)] = metrics.points(CALLS)
    assert attributes == {
        "sdk.operation": "get_subscription",
        "sdk.outcome": "rejected",
        "error.type": "NotFoundError",
    }


async def test_prometheus_reads_them(fake_time: FakeTime) -> None:
    """Under the names that its dashboards expect."""
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from prometheus_client import REGISTRY, generate_latest

    reader = PrometheusMetricReader()
    provider = MeterProvider([reader])
    try:
        telemetry = OpenTelemetry(meter_provider=provider)
        async with WireServer(BUSY, CannedAnswer()) as server, client_for(server, telemetry, fake_time) as client:
            await client.call(READ)
        text = generate_latest(REGISTRY).decode()
    finally:
        provider.shutdown()
    lines = [line for line in text.splitlines() if line.startswith(("http_client_", "sdk_client_"))]
    for start, labels in {
        "http_client_request_duration_seconds_count{": ('http_response_status_code="429"', 'sdk_operation="read_it"'),
        "sdk_client_call_duration_seconds_count{": ('sdk_outcome="success"', 'sdk_operation="read_it"'),
        "sdk_client_retries_total{": ('sdk_outcome="rejected"', 'error_type="RateLimitError"'),
    }.items():
        found = [line for line in lines if line.startswith(start) and all(label in line for label in labels)]
        assert [line.rpartition(" ")[2] for line in found] == ["1.0"], (start, lines)
