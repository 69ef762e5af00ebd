"""R-27: spans of calls and attempts, by OpenTelemetry."""

import asyncio
import contextvars
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from alone import run_alone
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from watched import BUSY, IDS, READ, SEARCH, UPLOAD, WRITE, arrival, client_for, cloudcockpit
from wire import DROP, STALL, CannedAnswer, FakeTime, Step, WireServer, patience
from yarl import URL

from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import (
    CallInfo,
    Document,
    MembershipClient,
    NotFoundError,
    RetryPolicy,
    SdkError,
    ServerError,
    VoidResult,
)
from sdk_core.integrations.opentelemetry import OpenTelemetry

ROOT = Path(__file__).parents[2]


class Traces:
    """A provider, and the spans that ended."""

    def __init__(self) -> None:
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import SimpleSpanProcessor
        from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")
        self.telemetry = OpenTelemetry(self.provider)

    @property
    def ended(self) -> list[Any]:
        return list(self._exporter.get_finished_spans())

    def of_kind(self, kind: SpanKind) -> list[Any]:
        return [span for span in self.ended if span.kind is kind]

    @property
    def one_call(self) -> tuple[Any, list[Any]]:
        """The span of the only call, and those of its attempts."""
        [call] = self.of_kind(SpanKind.INTERNAL)
        return call, self.of_kind(SpanKind.CLIENT)


@pytest.fixture
def traces(caplog: pytest.LogCaptureFixture) -> Iterator[Traces]:
    """Spans; and nobody may have complained about them, nor have left one current."""
    assert not get_current_span().get_span_context().is_valid
    yield Traces()
    assert not [it for it in caplog.get_records("call") if it.name.startswith(("opentelemetry", "sdk_core.telemetry"))]


def id_of(span: Any) -> int:
    return span.get_span_context().span_id


def parent_of(span: Any) -> int | None:
    return span.parent and span.parent.span_id


def header_of(span: Any) -> str:
    context = span.get_span_context()
    assert context is not None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


async def test_one_span_for_the_call_and_one_for_each_attempt(traces: Traces) -> None:
    """R-27's test: 429, 429, 200 is one parent and three children, each on the wire, and the waits in none of them."""
    time, waiting = FakeTime(), []

    async def sleep(seconds: float) -> None:
        waiting.append((len(traces.of_kind(SpanKind.CLIENT)), id_of(get_current_span())))
        await time.sleep(seconds)

    retry = RetryPolicy(sleep=sleep, clock=time.clock)
    async with WireServer(BUSY, BUSY, CannedAnswer()) as server:
        async with client_for(server, traces.telemetry, time, retry=retry) as client:
            reply = await client.call_with_reply(READ)
        sent = [request.headers["traceparent"] for request in server.requests]
    call, attempts = traces.one_call
    assert len(traces.ended) == 4
    assert call.parent is None
    assert [parent_of(span) for span in attempts] == [id_of(call)] * 3
    assert sent == [header_of(span) for span in attempts]
    assert len(set(sent)) == 3
    # When a wait begins, what was sent so far has ended, and the call is what goes on.
    assert waiting == [(1, id_of(call)), (2, id_of(call))]

    assert call.name == "read_it"
    assert dict(call.attributes or {}) == {"sdk.correlation_id": reply.correlation_id}
    assert call.status.status_code is StatusCode.UNSET
    assert [(event.name, dict(event.attributes or {})) for event in call.events] == [
        ("sdk.retry", {"error.type": "RateLimitError", "sdk.delay": delay}) for delay in time.sleeps
    ]
    assert {span.name for span in attempts} == {"GET /it"}
    everywhere = {
        "http.request.method": "GET",
        "url.template": "/it",
        "sdk.correlation_id": reply.correlation_id,
    }
    assert [dict(span.attributes or {}) for span in attempts] == [
        {**everywhere, "http.response.status_code": 429, "error.type": "429"},
        {**everywhere, "http.response.status_code": 429, "error.type": "429", "http.request.resend_count": 1},
        {**everywhere, "http.response.status_code": 200, "http.request.resend_count": 2},
    ]
    codes = [span.status.status_code for span in attempts]
    assert codes == [StatusCode.ERROR, StatusCode.ERROR, StatusCode.UNSET]


TOLD: dict[str, tuple[Step, str, str, str]] = {
    "refused": (CannedAnswer(404), "404", "NotFoundError", "rejected"),
    "unknown": (CannedAnswer(500), "500", "ServerError", "unknown"),
    "dropped": (DROP, "ConnectionFailedError", "ConnectionFailedError", "unknown"),
    "timeout": (STALL, "CallTimeoutError", "CallTimeoutError", "unknown"),
}


@pytest.mark.parametrize(("step", "attempt_error", "error", "outcome"), TOLD.values(), ids=TOLD)
async def test_spans_tell_of_a_failure(
    step: Step, attempt_error: str, error: str, outcome: str, traces: Traces, fake_time: FakeTime
) -> None:
    """Its kind on both, its text and what it did on the call's; an HTTP status speaks for itself."""
    async with (
        WireServer(step) as server,
        client_for(server, traces.telemetry, fake_time, attempt_timeout=patience(step)) as client,
    ):
        with pytest.raises(SdkError) as caught:
            await client.call(WRITE, body={})
    call, [attempt] = traces.one_call
    assert (call.status.status_code, call.status.description) == (StatusCode.ERROR, str(caught.value))
    assert dict(call.attributes or {}) == {
        "sdk.correlation_id": caught.value.correlation_id,
        "error.type": error,
        "sdk.outcome": outcome,
    }
    assert attempt.status.status_code is StatusCode.ERROR
    assert attempt.status.description == (None if attempt_error.isdigit() else str(caught.value))
    assert (attempt.attributes or {})["error.type"] == attempt_error


@pytest.mark.parametrize("answer", [CannedAnswer(body="<html>"), CannedAnswer(302)], ids=["html", "redirect"])
async def test_answer_that_cannot_be_used_fails_the_call_only(
    answer: CannedAnswer, traces: Traces, fake_time: FakeTime
) -> None:
    """Below 400, HTTP has done its part."""
    async with WireServer(answer) as server, client_for(server, traces.telemetry, fake_time) as client:
        with pytest.raises(SdkError):
            await client.call(READ)
    call, [attempt] = traces.one_call
    assert (call.status.status_code, attempt.status.status_code) == (StatusCode.ERROR, StatusCode.UNSET)


async def test_spans_name_the_server_only_when_asked(traces: Traces, fake_time: FakeTime) -> None:
    """Of a Membership API the host names the tenant. The schema says which conventions the names are of."""
    asked = OpenTelemetry(traces.provider, server_address=True)
    async with WireServer() as server:
        for telemetry in (traces.telemetry, asked):
            async with client_for(server, telemetry, fake_time) as client:
                await client.call(READ)
        port = URL(server.url).port
    quiet, named = (dict(span.attributes or {}) for span in traces.of_kind(SpanKind.CLIENT))
    assert named == {
        **quiet,
        "sdk.correlation_id": named["sdk.correlation_id"],
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    assert not [name for name in quiet if name.startswith("server.")]
    assert {span.instrumentation_scope.schema_url for span in traces.ended} == {
        "https://opentelemetry.io/schemas/1.37.0"
    }


async def test_cancelled_call_ends_its_spans(traces: Traces, fake_time: FakeTime) -> None:
    """Not as errors, by convention; what was current before is so again."""
    async with WireServer(STALL) as server, client_for(server, traces.telemetry, fake_time) as client:

        async def handle() -> bool:
            with traces.tracer.start_as_current_span("mine", kind=SpanKind.SERVER) as mine:
                with pytest.raises(asyncio.CancelledError):
                    await client.call(READ)
                return get_current_span() is mine

        task = asyncio.create_task(handle())
        await arrival(server)
        task.cancel()
        assert await task
    call, [attempt] = traces.one_call
    for span in (call, attempt):
        assert span.status.status_code is StatusCode.UNSET
        assert (span.attributes or {})["sdk.canceled"] is True
        assert "error.type" not in (span.attributes or {})


async def test_spans_of_a_file_that_is_not_there(traces: Traces, fake_time: FakeTime, tmp_path: Path) -> None:
    """A failure; its text, with the file's name, is the caller's."""
    document = Document(source=tmp_path / "canary.png", content_type="image/png")
    async with WireServer(CannedAnswer()) as server, client_for(server, traces.telemetry, fake_time) as client:
        with pytest.raises(FileNotFoundError):
            await client.call(UPLOAD, body={}, document=document)
    call, [attempt] = traces.one_call
    for span in (call, attempt):
        assert (span.attributes or {})["error.type"] == "FileNotFoundError"
        assert span.status.status_code is StatusCode.ERROR
        assert "canary" not in span.to_json()


async def test_concurrent_calls_have_their_own_spans(traces: Traces, fake_time: FakeTime) -> None:
    """Ten at a time, each retried: attempts are under their own call, calls under the caller's span."""
    seen: set[str] = set()

    def busy_once(request: Any) -> CannedAnswer:
        first = request.target not in seen
        seen.add(request.target)
        return BUSY if first else CannedAnswer()

    async with WireServer(busy_once) as server, client_for(server, traces.telemetry, fake_time) as client:
        with traces.tracer.start_as_current_span("mine", kind=SpanKind.SERVER) as mine:
            await asyncio.gather(*(client.call(SEARCH, customer_id=n, name="x", body={}) for n in range(1, 11)))
    calls = {id_of(span): span for span in traces.of_kind(SpanKind.INTERNAL)}
    attempts = traces.of_kind(SpanKind.CLIENT)
    assert (len(calls), len(attempts)) == (10, 20)
    assert {parent_of(span) for span in calls.values()} == {id_of(mine)}
    assert {parent_of(span) for span in attempts} == set(calls)
    for span in attempts:
        call = calls[parent_of(span) or 0]
        assert (span.attributes or {})["sdk.correlation_id"] == (call.attributes or {})["sdk.correlation_id"]
    assert len({(span.attributes or {})["sdk.correlation_id"] for span in attempts}) == 10


async def test_pages_leave_the_callers_span_current(traces: Traces) -> None:
    """An iterator that is left in the middle, and closed in another context, holds no span."""
    answers = [CannedAnswer(body={"items": [{"id": str(UUID(int=n))}], "totalPages": 3}) for n in (5, 6)]
    async with cloudcockpit(traces.telemetry, *answers) as (client, _server):
        with traces.tracer.start_as_current_span("mine", kind=SpanKind.SERVER) as mine:
            pages: Any = client.iter_customer_subscriptions(customer_id=UUID(int=1)).pages()
            for _ in range(2):
                await anext(pages)
                assert get_current_span() is mine
            await asyncio.create_task(pages.aclose(), context=contextvars.Context())
            assert get_current_span() is mine
    assert [parent_of(span) for span in traces.of_kind(SpanKind.INTERNAL)] == [id_of(mine)] * 2


def test_coroutine_that_is_thrown_away_ends_its_spans(traces: Traces) -> None:
    """Elsewhere than it began, as the garbage collector does it: the span that is current there stays so."""
    hooks, call = traces.telemetry, CallInfo(READ, "id", URL("http://127.0.0.1"))

    def begin() -> None:
        hooks.on_call_start(call)
        hooks.on_attempt_start(call, 1, {})

    contextvars.copy_context().run(begin)
    with traces.tracer.start_as_current_span("mine", kind=SpanKind.SERVER) as mine:
        hooks.on_attempt_end(call, 1, None, GeneratorExit(), 0.1)
        hooks.on_call_end(call, GeneratorExit(), 0.1)
        assert get_current_span() is mine
    assert len(traces.ended) == 3


async def test_nothing_is_kept_of_a_call(traces: Traces, fake_time: FakeTime) -> None:
    script = (BUSY, CannedAnswer(), CannedAnswer(404))
    async with WireServer(*script) as server, client_for(server, traces.telemetry, fake_time) as client:
        await client.call(READ)
        with pytest.raises(SdkError):
            await client.call(READ)
    assert not traces.telemetry._calls
    assert not traces.telemetry._attempts


@contextmanager
def instrumented(traces: Traces) -> Iterator[None]:
    from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor

    instrumentor = AioHttpClientInstrumentor()
    instrumentor.instrument(tracer_provider=traces.provider)
    try:
        yield
    finally:
        instrumentor.uninstrument()


async def test_no_second_span_from_the_instrumentation_of_aiohttp(traces: Traces) -> None:
    """Of an attempt; a token's request has one, inside the call. Other requests keep theirs."""
    token = CannedAnswer(body={"access_token": "t", "expires_in": 3600})
    with instrumented(traces):
        async with WireServer(token, CannedAnswer(401), token, CannedAnswer(202), CannedAnswer()) as server:
            credentials = ClientCredentials("id", "secret", token_url=server.url + "/token")
            async with CloudCockpitClient(
                "tenant.example", credentials, base_url=server.url, telemetry=traces.telemetry
            ) as client:
                await client.suspend_subscription(**IDS)
            async with aiohttp.ClientSession() as session, session.get(server.url + "/mine"):
                pass
            sent = [request.headers["traceparent"] for request in server.requests]
    path = "/v1/customers/{customer_id}/subscriptions/{subscription_id}/suspend"
    spans = {header_of(span): span for span in traces.of_kind(SpanKind.CLIENT)}
    assert [spans[header].name for header in sent] == ["POST", f"POST {path}", "POST", f"POST {path}", "GET"]
    assert len(spans) == 5
    [call] = traces.of_kind(SpanKind.INTERNAL)
    assert [parent_of(spans[header]) for header in sent] == [id_of(call)] * 4 + [None]


async def test_no_second_span_in_a_traced_session(traces: Traces, fake_time: FakeTime) -> None:
    """One of the caller's, whose `trace_configs` trace for others; without telemetry they trace the SDK's too."""
    from opentelemetry.instrumentation.aiohttp_client import create_trace_config

    async with WireServer() as server:
        config = create_trace_config(tracer_provider=traces.provider)
        async with aiohttp.ClientSession(trace_configs=[config]) as session:
            await client_for(server, traces.telemetry, fake_time, session=session).call(READ)
            assert [span.name for span in traces.of_kind(SpanKind.CLIENT)] == ["GET /it"]
            await client_for(server, None, fake_time, session=session).call(READ)
            assert [span.name for span in traces.of_kind(SpanKind.CLIENT)] == ["GET /it", "GET"]


async def test_spans_hold_nothing_of_what_was_sent_or_answered(traces: Traces, fake_time: FakeTime) -> None:
    """Canaries in key, ids, names, query, body, file, tenant, client id and secret, tokens, answers and errors."""
    hush = CannedAnswer(
        500, {"errorMessage": "canary-text", "errorCode": "no code: canary"}, {"X-Request": "canary-header"}
    )
    token = CannedAnswer(body={"access_token": "canary-token", "expires_in": 3600})
    search = {"customer_id": 7331007, "name": "canary-name", "q": "canary-query", "body": {"name": "canary-body"}}
    document = Document(source=b"canary", content_type="image/png", filename="canary.png")
    retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    script = (CannedAnswer(body={"a": "canary"}), hush, DROP, CannedAnswer(404, "canary"), CannedAnswer(), hush)
    with instrumented(traces):
        async with (
            WireServer(*script) as server,
            MembershipClient(server.url, "canary-key", retry=retry, telemetry=traces.telemetry) as client,
        ):
            await client.call(SEARCH, **search)
            with pytest.raises(NotFoundError):
                await client.call(SEARCH, **search)
            await client.call(UPLOAD, body={"name": "canary-body"}, document=document)
            with pytest.raises(ServerError):
                await client.call(UPLOAD, body={"name": "canary-body"}, document=document)
        refusal = CannedAnswer(404, {"type": "no code: canary", "title": "canary"})
        async with WireServer(token, CannedAnswer(401), token, refusal) as server:
            credentials = ClientCredentials("canary-id", "canary-secret", token_url=server.url + "/token")
            async with CloudCockpitClient(
                "canary.example", credentials, base_url=server.url, retry=retry, telemetry=traces.telemetry
            ) as cloud:
                with pytest.raises(NotFoundError):
                    await cloud.get_subscription(customer_id=UUID(int=7331007), subscription_id=UUID(int=2))
    told = "\n".join(span.to_json() for span in traces.ended)
    assert len(traces.ended) == 5 + 6 + 2 + 2
    assert '"/it/{customer_id}/{name}"' in told
    for canary in ("canary", "7331007", str(UUID(int=7331007))):
        assert canary not in told
    # Of a Membership API the host names the tenant. (Requests for tokens have spans of aiohttp's instrumentation.)
    ours = [span for span in traces.ended if span.instrumentation_scope.name == "sdk_core.integrations.opentelemetry"]
    assert len(ours) == 5 + 6 + 2
    assert not [span for span in ours if "127.0.0.1" in span.to_json()]


async def test_propagator_writes_the_headers(traces: Traces, fake_time: FakeTime) -> None:
    """The global one sends baggage too; another sends what it knows of."""
    token = attach(set_baggage("mine", "1"))
    try:
        async with WireServer() as server:
            async with client_for(server, traces.telemetry, fake_time) as client:
                await client.call(READ)
            quiet = OpenTelemetry(traces.provider, TraceContextTextMapPropagator())
            async with client_for(server, quiet, fake_time) as client:
                await client.call(READ)
            names = [request.headers.keys() & {"traceparent", "baggage"} for request in server.requests]
    finally:
        detach(token)
    assert names == [{"traceparent", "baggage"}, {"traceparent"}]


async def test_without_a_provider_calls_are_as_ever(fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """The API alone makes spans of nothing."""
    caplog.set_level(logging.INFO)
    async with WireServer() as server, client_for(server, OpenTelemetry(), fake_time) as client:
        assert await client.call(READ) == VoidResult()
        assert "traceparent" not in server.requests[0].headers
    assert caplog.records == []


_WITHOUT = """
import sys
import membership_sdk, cloudcockpit_sdk
assert not [name for name in sys.modules if name.partition(".")[0] == "opentelemetry"]

missing = ["opentelemetry"]

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(tuple(missing)):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
membership_sdk.MembershipClient("https://studio.example", "key", telemetry=membership_sdk.Telemetry())
try:
    import sdk_core.integrations.opentelemetry
except ImportError as error:
    print(error)
missing[:] = ["opentelemetry.instrumentation", "opentelemetry.sdk"]
from sdk_core.integrations.opentelemetry import OpenTelemetry
print(OpenTelemetry())
"""


def test_opentelemetry_is_optional() -> None:
    """The SDKs never import it; its module says what to install, and needs the API only."""
    needs, made = run_alone(_WITHOUT).splitlines()
    assert needs == "sdk_core.integrations.opentelemetry needs: pip install 'membership-cloudcockpit-sdk[otel]'"
    assert made.startswith("<sdk_core.integrations.opentelemetry.OpenTelemetry object")


async def test_span_that_cannot_be_ended_does_not_stay_current(fake_time: FakeTime) -> None:
    """Else whatever the application does next would be a part of a call that is over, with tracing switched off."""
    from opentelemetry.sdk.trace import SpanProcessor, TracerProvider

    class FailsAtTheEnd(SpanProcessor):
        def on_end(self, span: Any) -> None:
            raise RuntimeError

    provider = TracerProvider()
    provider.add_span_processor(FailsAtTheEnd())
    before = get_current()
    async with WireServer() as server, client_for(server, OpenTelemetry(provider), fake_time) as client:
        await client.call(READ)
    assert get_current() is before
