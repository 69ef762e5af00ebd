"""A browser that hangs up, over real sockets: reads are cancelled, everything else runs to its end and is logged."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession, web
from attrs import define, field
from wire import CannedAnswer, WireRequest, WireServer

from membership_sdk import MembershipClient
from sdk_core.integrations.aiohttp_web import correlation_middleware, handle_disconnects, problem_middleware
from sdk_core.integrations.asgi import DisconnectMiddleware, add_problem_handlers

IDS = {"customer_id": 1001, "contract_id": 2002}


@define
class World:
    """An API that answers when it is told to, and what became of the views that wait for it."""

    answer: CannedAnswer = field(factory=CannedAnswer)
    asked: asyncio.Event = field(factory=asyncio.Event)
    release: asyncio.Event = field(factory=asyncio.Event)
    ended: asyncio.Event = field(factory=asyncio.Event)
    ends: list[str] = field(factory=list)
    upstream: WireServer = field(init=False)
    client: MembershipClient = field(init=False)

    async def hold(self, _request: WireRequest) -> CannedAnswer:
        self.asked.set()
        await self.release.wait()
        return self.answer

    async def call(self, write: bool) -> str:
        """What a view does."""
        try:
            if write:
                await self.client.withdraw_contract_cancelation(**IDS)
            else:
                await self.client.get_contract_data(customer_id=1001)
        except BaseException as error:
            self.ends.append(type(error).__name__)
            raise
        else:
            self.ends.append("done")
        finally:
            self.ended.set()
        return "done"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    async with WireServer(world.hold) as world.upstream:
        world.client = MembershipClient(world.upstream.url, "key")
        yield world
        await world.client.aclose()


@define
class Running:
    """A web app on a loopback port."""

    port: int
    connections: Callable[[], Iterable[object]]
    stop: Callable[[], Awaitable[None]]

    async def noticed(self) -> None:
        """Wait until the server knows that its only connection is gone."""
        while list(self.connections()):
            await asyncio.sleep(0)
        for _ in range(5):
            await asyncio.sleep(0)


async def noop() -> None:
    pass


@asynccontextmanager
async def uvicorn_with(app: Any) -> AsyncIterator[Running]:
    import uvicorn

    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", log_config=None))
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.001)

    async def stop() -> None:
        server.should_exit = True
        await serving

    yield Running(server.servers[0].sockets[0].getsockname()[1], lambda: server.server_state.connections, stop)
    await stop()


@asynccontextmanager
async def fastapi_app(world: World) -> AsyncIterator[Running]:
    from fastapi import FastAPI, Request, Response

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with world.client:
            yield

    app = FastAPI(lifespan=lifespan)

    @app.middleware("http")
    async def another(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        return await call_next(request)

    app.add_middleware(DisconnectMiddleware)
    app.middleware("http")(another)  # one inside of it, and one outside
    add_problem_handlers(app)

    @app.get("/members/1001")
    async def read() -> str:
        return await world.call(write=False)

    @app.post("/members/1001")
    async def write() -> str:
        return await world.call(write=True)

    async with uvicorn_with(app) as running:
        yield running


@asynccontextmanager
async def aiohttp_app(world: World) -> AsyncIterator[Running]:
    async def client(_app: web.Application) -> AsyncIterator[None]:
        async with world.client:
            yield

    async def read(_request: web.Request) -> web.Response:
        return web.Response(text=await world.call(write=False))

    async def write(_request: web.Request) -> web.Response:
        return web.Response(text=await world.call(write=True))

    app = web.Application(middlewares=[correlation_middleware, problem_middleware])
    handle_disconnects(app)
    app.cleanup_ctx.append(client)
    app.add_routes([web.get("/members/1001", read), web.post("/members/1001", write)])
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = runner.server
    assert server is not None
    yield Running(runner.addresses[0][1], lambda: server.connections, runner.cleanup)
    await runner.cleanup()


Start = Callable[[World], AbstractAsyncContextManager[Running]]
IN_BOTH = pytest.mark.parametrize("start", [fastapi_app, aiohttp_app], ids=["fastapi", "aiohttp"])


async def hang_up(running: Running, method: str, asked: asyncio.Event, path: str = "/members/1001") -> None:
    """Send a request, wait until the app works on it, and close the connection."""
    _reader, writer = await asyncio.open_connection("127.0.0.1", running.port)
    writer.write(f"{method} {path} HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n".encode())
    async with asyncio.timeout(5):
        await asked.wait()
        writer.close()
        await running.noticed()


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


@IN_BOTH
async def test_a_read_is_cancelled(start: Start, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The request to the API, too; nobody needs to hear of it, and the server serves on."""
    async with start(world) as running:
        await hang_up(running, "GET", world.asked)
        async with asyncio.timeout(5):
            await world.ended.wait()
        assert world.ends == ["CancelledError"]
        world.release.set()
        async with ClientSession() as browser, browser.get(f"http://127.0.0.1:{running.port}/members/1001") as answer:
            assert answer.status == 200
    assert told(caplog) == []
    assert len(world.upstream.requests) == 2
    assert world.upstream.connections == 2


@IN_BOTH
async def test_a_write_runs_to_its_end_and_is_logged(
    start: Start, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with start(world) as running:
        await hang_up(running, "POST", world.asked)
        assert world.ends == []
        world.release.set()
        async with asyncio.timeout(5):
            await world.ended.wait()
        await running.noticed()
    assert world.ends == ["done"]
    assert len(world.upstream.requests) == 1
    [line] = told(caplog)
    assert "(POST) ended with status 200 when nobody waited for its answer any more" in line
    assert line.startswith(("write ", "/members/1001 "))


@IN_BOTH
async def test_what_a_lost_write_said_is_logged(start: Start, world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The error, with its outcome; and how the browser would have been answered."""
    world.answer = CannedAnswer(502)
    async with start(world) as running:
        await hang_up(running, "POST", world.asked)
        world.release.set()
        async with asyncio.timeout(5):
            await world.ended.wait()
        await running.noticed()
    error, end = told(caplog)
    assert error.startswith("answered with status 502: withdraw_contract_cancelation")
    assert "outcome: unknown" in error
    assert "ended with status 502 when nobody waited for its answer any more" in end


@IN_BOTH
async def test_the_app_is_not_cleaned_up_before_a_write_has_ended(start: Start, world: World) -> None:
    """Its client neither: the answer is read, or nobody would know what became of it."""
    async with start(world) as running:
        await hang_up(running, "POST", world.asked)
        stopping = asyncio.ensure_future(running.stop())
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.shield(stopping), 0.3)
        assert (stopping.done(), world.ends) == (False, [])
        world.release.set()
        await asyncio.wait_for(stopping, 5)
    assert world.ends == ["done"]


@IN_BOTH
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_browser_that_waits_is_answered(
    start: Start, world: World, method: str, caplog: pytest.LogCaptureFixture
) -> None:
    world.release.set()
    world.answer = CannedAnswer(body=[] if method == "GET" else b"")
    async with start(world) as running, ClientSession() as browser:
        for _ in range(3):
            async with browser.request(method, f"http://127.0.0.1:{running.port}/members/1001") as answer:
                assert (answer.status, (await answer.text()).strip('"')) == (200, "done")
    assert told(caplog) == []


# -- What only one of them has -----------------------------------------------------------------------------------------


@asynccontextmanager
async def serving(app: Any) -> AsyncIterator[Running]:
    app.add_middleware(DisconnectMiddleware)
    async with uvicorn_with(app) as running:
        yield running


async def test_what_runs_after_the_answer_is_not_the_browser_s(caplog: pytest.LogCaptureFixture) -> None:
    """A background task goes on, although the server then says that the browser is gone."""
    from fastapi import BackgroundTasks, FastAPI

    app, started, release, ends = FastAPI(), asyncio.Event(), asyncio.Event(), list[str]()

    async def work() -> None:
        started.set()
        try:
            await release.wait()
        except asyncio.CancelledError:
            ends.append("cancelled")
            raise
        ends.append("done")

    @app.get("/")
    async def view(tasks: BackgroundTasks) -> str:
        tasks.add_task(work)
        return "later"

    async with serving(app) as running:
        async with ClientSession() as browser, browser.get(f"http://127.0.0.1:{running.port}/") as answer:
            assert await answer.json() == "later"
        async with asyncio.timeout(5):
            await started.wait()
            await running.noticed()
        release.set()
    assert ends == ["done"]
    assert told(caplog) == []


async def test_an_answer_under_way_ends_with_its_browser() -> None:
    from fastapi import FastAPI
    from fastapi.responses import StreamingResponse

    app, started, ended = FastAPI(), asyncio.Event(), asyncio.Event()

    async def rows() -> AsyncIterator[bytes]:
        try:
            yield b"first"
            started.set()
            await asyncio.Event().wait()
        finally:
            ended.set()

    @app.get("/")
    async def view() -> StreamingResponse:
        return StreamingResponse(rows())

    async with serving(app) as running:
        await hang_up(running, "GET", started, "/")
        await asyncio.wait_for(ended.wait(), 5)


async def test_a_body_comes_whole_and_a_view_may_ask_for_its_browser() -> None:
    """A megabyte; and `is_disconnected` says the same however often it is asked."""
    from fastapi import FastAPI, Request

    app, asked, release, said = FastAPI(), asyncio.Event(), asyncio.Event(), list[bool]()

    @app.post("/size")
    async def size(request: Request) -> int:
        return len(await request.body())

    @app.post("/")
    async def view(request: Request) -> None:
        said.append(await request.is_disconnected())
        asked.set()
        await release.wait()
        said.extend([await request.is_disconnected(), await request.is_disconnected()])

    async with serving(app) as running:
        url = f"http://127.0.0.1:{running.port}/size"
        async with ClientSession() as browser, browser.post(url, data=b"x" * 2**20) as answer:
            assert await answer.json() == 2**20
        await hang_up(running, "POST", asked, "/")
        release.set()
    assert said == [False, True, True]


async def test_a_body_that_a_middleware_outside_refuses_ends_the_request() -> None:
    """As a limit of its size does; whoever reads is told, as often as they read."""
    from fastapi import FastAPI, Request
    from fastapi.responses import JSONResponse

    class TooLargeError(Exception):
        pass

    class Limit:
        def __init__(self, app: Any) -> None:
            self._app = app

        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            async def limited() -> Any:
                message = await receive()
                if len(message.get("body", b"")) > 100:
                    raise TooLargeError
                return message

            try:
                await self._app(scope, limited, send)
            except TooLargeError:
                await JSONResponse("too large", 413)(scope, receive, send)

    app, errors = FastAPI(), list[str]()

    @app.post("/")
    async def view(request: Request) -> int:
        for _ in range(2):
            try:
                await request.receive()
            except TooLargeError as error:
                errors.append(type(error).__name__)
        return len(await request.body())

    app.add_middleware(DisconnectMiddleware)
    app.add_middleware(Limit)
    async with (
        uvicorn_with(app) as running,
        ClientSession() as browser,
        asyncio.timeout(5),
        browser.post(f"http://127.0.0.1:{running.port}/", data=b"x" * 101) as answer,
    ):
        assert (answer.status, await answer.json()) == (413, "too large")
    assert errors == ["TooLargeError", "TooLargeError"]


async def test_a_read_that_is_cancelled_ends_with_an_empty_answer() -> None:
    """For the middlewares outside, though its server sends nothing to a browser that has gone."""
    sent = list[int]()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        await asyncio.Event().wait()

    async def receive() -> Any:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message["status"])
        raise OSError("the browser has gone")

    await DisconnectMiddleware(app)({"type": "http", "method": "GET"}, receive, send)
    assert sent == [499]


async def test_a_cancellation_that_is_not_the_browser_s_is_passed_on() -> None:
    """The server's own, at a shutdown that can't wait."""
    arrived = asyncio.Event()

    async def app(_scope: Any, _receive: Any, _send: Any) -> None:
        arrived.set()
        await asyncio.Event().wait()

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(_message: Any) -> None:
        pass

    serving = asyncio.ensure_future(DisconnectMiddleware(app)({"type": "http", "method": "GET"}, receive, send))
    await arrived.wait()
    serving.cancel()
    with pytest.raises(asyncio.CancelledError):
        await serving


async def test_a_write_runs_to_its_end_when_its_server_can_not_wait(caplog: pytest.LogCaptureFixture) -> None:
    """The browser of aiohttp.web's waits all the time, and is not said to have hung up."""
    asked, release, ended = asyncio.Event(), asyncio.Event(), list[bool]()

    async def view(_request: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        ended.append(True)
        return web.Response()

    async def resource(_app: web.Application) -> AsyncIterator[None]:
        yield
        assert ended == [True]

    app = web.Application()
    handle_disconnects(app)
    app.cleanup_ctx.append(resource)
    app.router.add_post("/", view)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    reader, writer = await asyncio.open_connection("127.0.0.1", runner.addresses[0][1])
    writer.write(b"POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 0\r\n\r\n")
    async with asyncio.timeout(5):
        await asked.wait()
        stopping = asyncio.ensure_future(runner.cleanup())
        assert await reader.read() == b""
        release.set()
        await stopping
    writer.close()
    [line] = told(caplog)
    assert line.startswith("/ (POST) ended with status 200 when nobody waited for its answer any more")


async def test_an_error_that_nobody_answers_is_logged_with_its_traceback(caplog: pytest.LogCaptureFixture) -> None:
    """In aiohttp.web, of a request whose client has gone: an HTTP error is an answer, a fault is none."""
    asked, release = asyncio.Event(), asyncio.Event()
    errors: list[Exception] = [web.HTTPConflict(), RuntimeError("fault")]

    async def view(_request: web.Request) -> web.Response:
        asked.set()
        await release.wait()
        raise errors.pop(0)

    app = web.Application(middlewares=[problem_middleware])
    handle_disconnects(app)
    app.router.add_post("/{member}", view)
    runner = web.AppRunner(app, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    server = runner.server
    assert server is not None
    running = Running(runner.addresses[0][1], lambda: server.connections, noop)
    for _ in range(2):
        await hang_up(running, "POST", asked, "/7700112233445566")
        release.set()
        await running.noticed()
        asked.clear()
        release.clear()
    await runner.cleanup()
    conflict, fault = caplog.records
    assert conflict.getMessage().startswith("/{member} (POST) ended with status 409 when nobody waited for its answer")
    assert fault.getMessage().startswith("/{member} (POST) ended with RuntimeError")
    assert fault.exc_info is not None
    assert "7700112233445566" not in caplog.text
