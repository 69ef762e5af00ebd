"""R-27: hooks are told of each call and attempt and can break none. (Spans and metrics: test_opentelemetry.py.)"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from watched import BUSY, IDS, READ, UPLOAD, WRITE, arrival, client_for, cloudcockpit
from wire import DROP, STALL, CannedAnswer, FakeTime, Step, WireServer, patience
from yarl import URL

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import (
    AuthenticationError,
    CallInfo,
    CallTimeoutError,
    ConnectionFailedError,
    Document,
    LocalRateLimiter,
    MembershipClient,
    NotFoundError,
    RateLimitError,
    RetryPolicy,
    SdkError,
    ServerError,
    Telemetry,
    VoidResult,
)
from sdk_core import client as client_module
from sdk_core import telemetry as telemetry_module

ROOT = Path(__file__).parents[2]

HOOKS = ("on_call_start", "on_wait", "on_attempt_start", "on_attempt_end", "on_retry", "on_give_up", "on_call_end")


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
        self, call: CallInfo, number: int, status: int | None, error: BaseException | None, elapsed: float
    ) -> Awaitable[None] | None:
        self.note("attempt ended", call, number, status, error)

    def on_wait(self, call: CallInfo, delay: float) -> Awaitable[None] | None:
        self.note("wait", call, delay)

    def on_retry(self, call: CallInfo, error: SdkError, delay: float) -> Awaitable[None] | None:
        self.note("retry", call, error, delay)

    def on_give_up(self, call: CallInfo, error: SdkError) -> Awaitable[None] | None:
        self.note("given up", call, error)

    def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> Awaitable[None] | None:
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
        url = URL(server.url)
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
    assert call.base_url == url
    # The host may name the tenant.
    assert "127.0.0.1" not in repr(call)


async def test_hooks_are_told_how_long_it_took(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each request without the hook that began it; the call with all there was in it. A policy's clock is not asked."""
    now, told = [0.0], dict[str, list[float]](attempts=[], calls=[])
    monkeypatch.setattr(telemetry_module, "perf_counter", lambda: now[0])

    def answer_after(seconds: float, status: int) -> Callable[[object], CannedAnswer]:
        def answer(_request: object) -> CannedAnswer:
            now[0] += seconds
            return CannedAnswer(status, headers={"Retry-After": "1"})

        return answer

    class Clocked(Telemetry):
        def on_call_start(self, call: CallInfo) -> None:
            now[0] += 100

        def on_attempt_start(self, call: CallInfo, number: int, headers: dict[str, str]) -> None:
            now[0] += 1000

        def on_attempt_end(
            self, call: CallInfo, number: int, status: int | None, error: BaseException | None, elapsed: float
        ) -> None:
            told["attempts"].append(elapsed)

        def on_call_end(self, call: CallInfo, error: BaseException | None, elapsed: float) -> None:
            told["calls"].append(elapsed)

    script = (answer_after(2, 429), answer_after(3, 200), answer_after(4, 404))
    async with WireServer(*script) as server, client_for(server, Clocked(), fake_time) as client:
        await client.call(READ)
        with pytest.raises(NotFoundError):
            await client.call(READ)
    assert told == {"attempts": [2.0, 3.0, 4.0], "calls": [2105.0, 1104.0]}


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
    async with (
        WireServer(step) as server,
        client_for(server, notes, fake_time, attempt_timeout=patience(step)) as client,
    ):
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
    hooks.on_call_end = lambda call, error, elapsed: told.append(error)  # type: ignore[method-assign]
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
