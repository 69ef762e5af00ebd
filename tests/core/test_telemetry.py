"""R-27: hooks are told of each call and attempt and can break none; spans of them, by OpenTelemetry."""

import asyncio
import contextvars
import logging
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import pytest
from opentelemetry.baggage import set_baggage
from opentelemetry.context import attach, detach, get_current
from opentelemetry.instrumentation.aiohttp_client import AioHttpClientInstrumentor, create_trace_config
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from wire import DROP, STALL, CannedAnswer, FakeTime, Step, WireServer

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import (
    AuthenticationError,
    CallInfo,
    CallTimeoutError,
    ConnectionFailedError,
    Document,
    Effect,
    LocalRateLimiter,
    MembershipClient,
    NotFoundError,
    Operation,
    Query,
    RateLimitError,
    RetryPolicy,
    SdkError,
    ServerError,
    Telemetry,
    VoidResult,
)
from sdk_core import client as client_module
from sdk_core import telemetry as telemetry_module
from sdk_core.opentelemetry import OpenTelemetry

ROOT = Path(__file__).parents[2]

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
WRITE = Operation(name="write_it", method="POST", path="/it", body=dict, returns=VoidResult, effect=Effect.WRITE)
UPLOAD = Operation(
    name="upload_it", method="POST", path="/it", body=dict, multipart=True, returns=VoidResult, effect=Effect.WRITE
)
SEARCH = Operation(
    name="search_it",
    method="PUT",
    path="/it/{customer_id:int}/{name:str}",
    query={"q": Query("q")},
    body=dict,
    returns=VoidResult,
    effect=Effect.IDEMPOTENT,
)
BUSY = CannedAnswer(429, headers={"Retry-After": "1"})
IDS: dict[str, Any] = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}
HOOKS = ("on_call_start", "on_wait", "on_attempt_start", "on_attempt_end", "on_retry", "on_give_up", "on_call_end")


def client_for(server: WireServer, telemetry: Telemetry | None, time: FakeTime, **options: Any) -> MembershipClient:
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    return MembershipClient(server.url, "key", **{"retry": retry, "telemetry": telemetry, **options})


@asynccontextmanager
async def cloudcockpit(
    telemetry: Telemetry, *script: Step, token: Any = "jwt", **options: Any
) -> AsyncIterator[tuple[CloudCockpitClient, WireServer]]:
    async with (
        WireServer(*script) as server,
        CloudCockpitClient("t.example", token, base_url=server.url, telemetry=telemetry, **options) as client,
    ):
        yield client, server


async def arrival(server: WireServer) -> None:
    while not server.requests:
        await asyncio.sleep(0)


# -- Hooks -------------------------------------------------------------------------------------------------------------


class Notes(Telemetry):
    """Writes down what it is told, without the calls."""

    def __init__(self) -> None:
        self.calls: list[CallInfo] = []
        self.told: list[tuple[Any, ...]] = []

    def note(self, what: str, call: CallInfo, *facts: Any) -> None:
        self.calls.append(call)
        self.told.append((what, *(type(it) if isinstance(it, BaseException) else it for it in facts)))

    def on_call_start(self, call: CallInfo) -> Awaitable[None] | None:
        self.note("call", call)

    def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> Awaitable[None] | None:
        self.note("attempt", call, number)

    def on_attempt_end(
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None
    ) -> Awaitable[None] | None:
        self.note("attempt ended", call, number, status, error)

    def on_wait(self, call: CallInfo, delay: float) -> Awaitable[None] | None:
        self.note("wait", call, delay)

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> Awaitable[None] | None:
        self.note("retry", call, error, delay)

    def on_give_up(self, call: CallInfo, error: SdkError) -> Awaitable[None] | None:
        self.note("given up", call, error)

    def on_call_end(self, call: CallInfo, error: BaseException | None) -> Awaitable[None] | None:
        self.note("call ended", call, error)


class AsyncNotes(Notes):
    """The same, taking its time."""

    async def _later(self, hook: Callable[..., object], *arguments: Any) -> None:
        await asyncio.sleep(0)
        hook(self, *arguments)

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("on_"):
            return partial(self._later, getattr(Notes, name))
        return super().__getattribute__(name)


@pytest.mark.parametrize("kind", [Notes, AsyncNotes])
async def test_hooks_are_told_of_a_retried_call(kind: type[Notes], fake_time: FakeTime) -> None:
    """Each in its turn, of the same CallInfo, with the id the reply has too."""
    notes = kind()
    async with WireServer(BUSY, BUSY, CannedAnswer()) as server, client_for(server, notes, fake_time) as client:
        reply = await client.call_with_reply(READ)
    assert notes.told == [
        ("call",),
        ("attempt", 1),
        ("attempt ended", 1, 429, None),
        ("retry", RateLimitError, fake_time.sleeps[0]),
        ("attempt", 2),
        ("attempt ended", 2, 429, None),
        ("retry", RateLimitError, fake_time.sleeps[1]),
        ("attempt", 3),
        ("attempt ended", 3, 200, None),
        ("call ended", None),
    ]
    [call] = set(notes.calls)
    assert (call.operation, call.correlation_id) == (READ, reply.correlation_id)


FAILURES: dict[str, tuple[Step, int | None, type[SdkError] | None, type[SdkError]]] = {
    "refused": (CannedAnswer(404), 404, None, NotFoundError),
    "unknown": (CannedAnswer(500), 500, None, ServerError),
    "dropped": (DROP, None, ConnectionFailedError, ConnectionFailedError),
    "timeout": (STALL, None, CallTimeoutError, CallTimeoutError),
}


@pytest.mark.parametrize(("step", "status", "attempt_error", "error"), FAILURES.values(), ids=FAILURES)
async def test_hooks_are_told_of_a_failed_call(
    step: Step, status: int | None, attempt_error: type[SdkError] | None, error: type[SdkError], fake_time: FakeTime
) -> None:
    """A status ends an attempt without an error; what is raised ends the call."""
    notes = Notes()
    async with WireServer(step) as server, client_for(server, notes, fake_time, attempt_timeout=0.02) as client:
        with pytest.raises(error):
            await client.call(WRITE, body={})
    assert notes.told == [
        ("call",),
        ("attempt", 1),
        ("attempt ended", 1, status, attempt_error),
        ("given up", error),
        ("call ended", error),
    ]


async def test_given_up_is_told_what_is_raised(fake_time: FakeTime) -> None:
    """The very error, after all attempts."""
    told: list[BaseException | None] = []
    hooks = Telemetry()
    hooks.on_give_up = lambda call, error: told.append(error)  # type: ignore[method-assign]
    hooks.on_call_end = lambda call, error: told.append(error)  # type: ignore[method-assign]
    async with WireServer(BUSY) as server, client_for(server, hooks, fake_time) as client:
        with pytest.raises(RateLimitError) as caught:
            await client.call(READ)
        assert len(server.requests) == 3
    assert [error is caught.value for error in told] == [True, True]


async def test_fresh_token_is_a_second_attempt(fake_time: FakeTime) -> None:
    """Though no retry."""
    notes = Notes()
    tokens = iter(["old", "new"])

    async def provide() -> str:
        return next(tokens)

    async with cloudcockpit(notes, CannedAnswer(401), CannedAnswer(202), token=provide) as (client, _server):
        await client.suspend_subscription(**IDS)
    assert notes.told == [
        ("call",),
        ("attempt", 1),
        ("attempt ended", 1, 401, None),
        ("attempt", 2),
        ("attempt ended", 2, 202, None),
        ("call ended", None),
    ]


async def test_call_without_a_token_has_no_attempt(fake_time: FakeTime) -> None:
    notes = Notes()

    async def provide() -> str:
        raise KeyError

    async with cloudcockpit(notes, token=provide) as (client, _server):
        with pytest.raises(AuthenticationError):
            await client.suspend_subscription(**IDS)
    assert notes.told == [("call",), ("given up", AuthenticationError), ("call ended", AuthenticationError)]


async def test_hooks_are_told_of_a_cancelled_call(fake_time: FakeTime) -> None:
    """The attempt and the call end; nothing was given up."""
    notes = Notes()
    async with WireServer(STALL) as server, client_for(server, notes, fake_time) as client:
        task = asyncio.create_task(client.call(READ))
        await arrival(server)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    ended = asyncio.CancelledError
    assert notes.told == [("call",), ("attempt", 1), ("attempt ended", 1, None, ended), ("call ended", ended)]


ENDS = {
    "on_call_start": [("call ended", asyncio.CancelledError)],
    "on_attempt_start": [
        ("call",),
        ("attempt ended", 1, None, asyncio.CancelledError),
        ("call ended", asyncio.CancelledError),
    ],
    "on_retry": [
        ("call",),
        ("attempt", 1),
        ("attempt ended", 1, 500, None),
        ("call ended", asyncio.CancelledError),
    ],
    "on_give_up": [
        ("call",),
        ("attempt", 1),
        ("attempt ended", 1, 500, None),
        ("retry", ServerError, 0.0),
        ("attempt", 2),
        ("attempt ended", 2, 500, None),
        # What ends the call is the failure; the cancellation came after it.
        ("call ended", ServerError),
    ],
}


@pytest.mark.parametrize(("hook", "told"), ENDS.items(), ids=ENDS)
async def test_call_can_be_cancelled_in_a_hook(
    hook: str, told: list[tuple[Any, ...]], fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """Each start has its end then too, and nothing is logged."""
    notes, hooked = Notes(), asyncio.Event()

    async def hang(*_told: object) -> None:
        hooked.set()
        await asyncio.Event().wait()

    setattr(notes, hook, hang)
    retry = RetryPolicy(max_attempts=2, backoff_base=0, sleep=fake_time.sleep, clock=fake_time.clock)
    async with WireServer(CannedAnswer(500)) as server, client_for(server, notes, fake_time, retry=retry) as client:
        task = asyncio.create_task(client.call(READ))
        await hooked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert notes.told == told
    assert [record for record in caplog.records if record.name == "sdk_core.telemetry"] == []


class BrokenError(Exception):
    pass


def broken(*_told: object) -> None:
    raise BrokenError


async def broken_later(*_told: object) -> None:
    await asyncio.sleep(0)
    raise BrokenError


async def cancelled_inside(*_told: object) -> None:
    """Something of the hook's own is cancelled, not the call."""
    task = asyncio.create_task(asyncio.sleep(60))
    await asyncio.sleep(0)
    task.cancel()
    await task


def cancelled_before(*_told: object) -> None:
    """Asks for the result of something that was cancelled."""
    future = asyncio.get_running_loop().create_future()
    future.cancel()
    future.result()


async def hanging(*_told: object) -> None:
    await asyncio.Event().wait()


def answering(*_told: object) -> str:
    return "no awaitable"


BROKEN: dict[str, tuple[Callable[..., object], type[BaseException]]] = {
    "raises": (broken, BrokenError),
    "raises-later": (broken_later, BrokenError),
    "cancelled-inside": (cancelled_inside, asyncio.CancelledError),
    "cancelled-before": (cancelled_before, asyncio.CancelledError),
    "hangs": (hanging, TimeoutError),
    "answers": (answering, TypeError),
    "nameless": (partial(broken), BrokenError),
}


@pytest.mark.parametrize(("hook", "error"), BROKEN.values(), ids=BROKEN)
async def test_broken_hooks_break_no_call(
    hook: Callable[..., object],
    error: type[BaseException],
    fake_time: FakeTime,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """All of them, in calls that wait, succeed, are retried, and fail: each hook is logged once, with its traceback."""
    monkeypatch.setattr(telemetry_module, "_PATIENCE", 0.001 if hook is hanging else 60.0)
    hooks = Telemetry()
    for name in HOOKS:
        setattr(hooks, name, hook)
    async with (
        WireServer(BUSY, CannedAnswer(), CannedAnswer(), CannedAnswer(404)) as server,
        client_for(server, hooks, fake_time, rate_limiter=LocalRateLimiter(2, 9, clock=fake_time.clock)) as client,
    ):
        assert await client.call(READ) == VoidResult()
        assert await client.with_options(total_timeout=50).call(READ) == VoidResult()
        for _ in range(2):
            with pytest.raises(NotFoundError):
                await client.call(READ)
    records = [record for record in caplog.records if record.name == "sdk_core.telemetry"]
    assert sorted(str(record.args[0]) for record in records if record.args) == sorted(HOOKS)
    assert {(record.levelname, (record.exc_info or [None])[0]) for record in records} == {("ERROR", error)}


async def test_headers_of_a_hook_are_sent(fake_time: FakeTime) -> None:
    """Those of this attempt, beside the SDK's own, which stay as they are however they are spelled."""

    class Tracing(Telemetry):
        def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
            headers |= {"X-Trace": f"attempt {number}", f"X-Only-{number}": "1"}
            headers |= dict.fromkeys(OWN, "1")

    async with WireServer(CannedAnswer(), BUSY, CannedAnswer()) as server:
        for telemetry in (None, Tracing()):
            async with client_for(server, telemetry, fake_time) as client:
                await client.call(WRITE, body={"a": 1})
        plain, first, second = (request.headers for request in server.requests)
    assert first == {**plain, "x-trace": "attempt 1", "x-only-1": "1"}
    assert second == {**plain, "x-trace": "attempt 2", "x-only-2": "1"}


OWN = [
    "x-api-key",
    "ACCEPT",
    "user-agent",
    "content-type",
    "Content-Length",
    "content-encoding",
    "Transfer-Encoding",
    "host",
    "expect",
    "Connection",
]


async def test_correlation_header_and_token_are_the_sdks(fake_time: FakeTime) -> None:
    class Tracing(Telemetry):
        def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
            headers |= dict.fromkeys(("authorization", "x-correlation-id", "X-TENANT", "x-mine"), "1")

    async with cloudcockpit(Tracing(), CannedAnswer(202)) as (client, server):
        accepted = await client.suspend_subscription(**IDS)
        headers = server.requests[0].headers
    names = ("authorization", "x-correlation-id", "x-tenant", "x-mine")
    assert [headers[name] for name in names] == ["Bearer jwt", accepted.correlation_id, "t.example", "1"]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x-trace", "a\r\nX-API-KEY: other"),
        ("x-trace", "ü"),
        ("x-trace", ""),
        ("x-trace", 7),
        ("x-trace: 1\r\nx", "1"),
        ("x trace", "1"),
        ("X-API-KEY:", "1"),
        ("", "1"),
        (7, "1"),
    ],
)
async def test_headers_that_cannot_be_sent_are_refused(
    name: Any, value: Any, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """All that the hook wanted; the call is made without them, and it is logged once."""

    class Tracing(Telemetry):
        def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
            headers |= {"x-good": "1", name: value}

    async with WireServer(BUSY, CannedAnswer()) as server, client_for(server, Tracing(), fake_time) as client:
        await client.call(READ)
    assert all(not request.headers.keys() & {"x-good", "x-trace", "x trace"} for request in server.requests)
    assert [request.headers["x-api-key"] for request in server.requests] == ["key", "key"]
    [record] = [record for record in caplog.records if record.name == "sdk_core.telemetry"]
    assert "on_attempt_start" in record.getMessage()


async def test_upload_takes_the_headers_too(fake_time: FakeTime, tmp_path: Path) -> None:
    """And keeps its boundary."""

    class Tracing(Notes):
        def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
            super().on_attempt_start(call, number, headers)
            headers |= {"x-trace": "1", "content-type": "text/plain"}

    notes, path = Tracing(), tmp_path / "proof.png"
    path.write_bytes(b"x")
    async with WireServer(CannedAnswer()) as server, client_for(server, notes, fake_time) as client:
        await client.call(UPLOAD, body={}, document=Document(source=path, content_type="image/png"))
        [request] = server.requests
    assert request.headers["x-trace"] == "1"
    assert request.headers["content-type"].startswith("multipart/form-data; boundary=")
    assert notes.told == [("call",), ("attempt", 1), ("attempt ended", 1, 200, None), ("call ended", None)]


async def test_file_that_is_not_there_ends_attempt_and_call(
    fake_time: FakeTime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its name is the caller's: a hook that breaks over it does not bring it into the log."""
    notes = Notes()
    document = Document(source=tmp_path / "canary.png", content_type="image/png")
    async with WireServer(CannedAnswer()) as server, client_for(server, notes, fake_time) as client:
        with pytest.raises(FileNotFoundError, match="canary"):
            await client.call(UPLOAD, body={}, document=document)
    assert notes.told[1:] == [
        ("attempt", 1),
        ("attempt ended", 1, None, FileNotFoundError),
        ("call ended", FileNotFoundError),
    ]
    notes.on_attempt_end = notes.on_call_end = broken  # type: ignore[method-assign]
    async with WireServer(CannedAnswer()) as server, client_for(server, notes, fake_time) as client:
        with pytest.raises(FileNotFoundError):
            await client.call(UPLOAD, body={}, document=document)
    assert "BrokenError" in caplog.text
    assert "canary" not in caplog.text


async def test_without_telemetry_nothing_is_built(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CallInfo", "Observer"):
        monkeypatch.setattr(client_module, name, None)
    async with WireServer(BUSY, CannedAnswer()) as server, client_for(server, None, fake_time) as client:
        assert await client.call(READ) == VoidResult()


def test_telemetry_is_for_both_sdks() -> None:
    for sdk in (membership_sdk, cloudcockpit_sdk):
        assert (sdk.Telemetry, sdk.CallInfo) == (Telemetry, CallInfo)
        assert {"Telemetry", "CallInfo"} <= set(sdk.__all__)
    nothing: Any = "x"
    with pytest.raises(TypeError, match="telemetry must be a Telemetry"):
        MembershipClient("https://studio.example", "key", telemetry=nothing)
    with pytest.raises(TypeError, match="telemetry must be a Telemetry"):
        CloudCockpitClient("tenant.example", "jwt", telemetry=nothing)


# -- OpenTelemetry -----------------------------------------------------------------------------------------------------


class Traces:
    """A provider, and the spans that ended."""

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self.provider = TracerProvider()
        self.provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = self.provider.get_tracer("test")
        self.telemetry = OpenTelemetry(self.provider)

    @property
    def ended(self) -> list[ReadableSpan]:
        return list(self._exporter.get_finished_spans())

    def of_kind(self, kind: SpanKind) -> list[ReadableSpan]:
        return [span for span in self.ended if span.kind is kind]

    @property
    def one_call(self) -> tuple[ReadableSpan, list[ReadableSpan]]:
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


def parent_of(span: ReadableSpan) -> int | None:
    return span.parent and span.parent.span_id


def header_of(span: ReadableSpan) -> str:
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
        client_for(server, traces.telemetry, fake_time, attempt_timeout=0.02) as client,
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
    hooks, call = traces.telemetry, CallInfo(READ, "id")

    def begin() -> None:
        hooks.on_call_start(call)
        hooks.on_attempt_start(call, 1, {})

    contextvars.copy_context().run(begin)
    with traces.tracer.start_as_current_span("mine", kind=SpanKind.SERVER) as mine:
        hooks.on_attempt_end(call, 1, None, GeneratorExit())
        hooks.on_call_end(call, GeneratorExit())
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
    ours = [span for span in traces.ended if span.instrumentation_scope.name == "sdk_core.opentelemetry"]
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

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.startswith(sys.argv[1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Blocker())
membership_sdk.MembershipClient("https://studio.example", "key", telemetry=membership_sdk.Telemetry())
try:
    from sdk_core.opentelemetry import OpenTelemetry
except ImportError as error:
    print(error)
else:
    print(OpenTelemetry())
"""


@pytest.mark.parametrize(
    ("missing", "printed"),
    [
        ("opentelemetry", "sdk_core.opentelemetry needs: pip install 'membership-cloudcockpit-sdk[otel]'"),
        ("opentelemetry.instrumentation", "<sdk_core.opentelemetry.OpenTelemetry object"),
        ("opentelemetry.sdk", "<sdk_core.opentelemetry.OpenTelemetry object"),
    ],
)
def test_opentelemetry_is_optional(missing: str, printed: str) -> None:
    """The SDKs never import it; its module says what to install, and needs the API only."""
    search = os.pathsep.join(str(ROOT / folder) for folder in (".", "shared"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _WITHOUT, missing],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(printed)


class FailsAtTheEnd(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        raise RuntimeError


async def test_span_that_cannot_be_ended_does_not_stay_current(fake_time: FakeTime) -> None:
    """Else whatever the application does next would be a part of a call that is over, with tracing switched off."""
    provider = TracerProvider()
    provider.add_span_processor(FailsAtTheEnd())
    before = get_current()
    async with WireServer() as server, client_for(server, OpenTelemetry(provider), fake_time) as client:
        await client.call(READ)
    assert get_current() is before


@pytest.mark.parametrize("hook", ["on_call_start", "on_attempt_start", "on_attempt_end", "on_call_end"])
async def test_cancellation_of_something_else_in_a_hook_is_no_cancellation(hook: str) -> None:
    """Like `future.result()` of a cancelled future: nobody cancelled the call, whose write was applied."""

    def look(_self: Telemetry, *_arguments: Any) -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        future.result()

    telemetry = type("Looking", (Telemetry,), {hook: look})()
    async with (
        WireServer(CannedAnswer(body={})) as server,
        MembershipClient(server.url, "key", telemetry=telemetry, rate_limiter=None) as client,
    ):
        await client.call(WRITE, body={})
    assert len(server.requests) == 1
