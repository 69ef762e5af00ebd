"""Webhooks: what a delivery says, who sent it, whether it came before; and the answer, in both frameworks."""

import asyncio
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
from aiohttp import ClientSession, web
from cases import goes_through
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st

from membership_sdk import ConfigurationError
from membership_sdk.webhooks import (
    ContractEvent,
    DeliveryStore,
    IdlePeriodEvent,
    ModuleContractEvent,
    RecentDeliveries,
    UnreadableDeliveryError,
    WebhookEvent,
    WebhookEventType,
    WebhookReceiver,
    read_delivery,
)
from membership_sdk.webhooks.aiohttp_web import webhook_handler
from membership_sdk.webhooks.asgi import WebhookApp

ID = UUID("0f8fad5b-d9cb-469f-a165-70867728950e")
KEY = "key-of-berlin"
KEYS = {"berlin": KEY, "hamburg": "key-of-hamburg"}
NOON = 1_764_504_000_123


def body(kind: str = "CONTRACT_CANCELLED", content: Any = None, **changes: Any) -> bytes:
    event = {"timestamp": NOON, "type": kind, "content": {"contractId": 2002} if content is None else content}
    return json.dumps({"entityId": 1001, "uuid": str(ID), "payload": [event], **changes}).encode()


def only(text: bytes) -> WebhookEvent:
    (event,) = read_delivery(text, studio="berlin").events
    return event


# -- What a delivery says ----------------------------------------------------------------------------------------------


@goes_through("kind", ["CREATED", "UPDATED", "CANCELLED"])
def test_a_contract(kind: str) -> None:
    event = only(body(f"CONTRACT_{kind}"))
    assert event == ContractEvent(
        studio="berlin",
        delivery_id=ID,
        entity_id=1001,
        type=WebhookEventType(f"CONTRACT_{kind}"),
        occurred_at=datetime(2025, 11, 30, 12, 0, 0, 123000, UTC),
        content={"contractId": 2002},
        contract_id=2002,
    )
    assert isinstance(event, ContractEvent)
    assert event.customer_id == 1001
    assert len({event, event}) == 1


@goes_through("kind", ["CREATED", "UPDATED", "CANCELLED"])
@goes_through("amount", [{"amount": 5, "currency": "EUR"}, "5.00", None])
def test_an_idle_period(kind: str, amount: Any) -> None:
    """The form of the amount is not documented: it is handed on as it is."""
    content = {"contractId": 2002, "idlePeriodId": 7, "idlePeriodAmount": amount, "usedFreeTermsInDays": 30, "new": []}
    event = only(body(f"CONTRACT_IDLE_PERIOD_{kind}", content))
    assert isinstance(event, IdlePeriodEvent)
    assert (event.contract_id, event.idle_period_id, event.idle_period_amount) == (2002, 7, amount)
    assert event.used_free_terms_in_days == 30
    assert event.content == content
    shorter = only(body(f"CONTRACT_IDLE_PERIOD_{kind}", {"contractId": 2002, "idlePeriodId": 7}))
    assert isinstance(shorter, IdlePeriodEvent)
    assert (shorter.idle_period_amount, shorter.used_free_terms_in_days) == (None, None)


@goes_through("kind", ["CREATED", "UPDATED", "CANCELLED", "DELETED"])
def test_a_module(kind: str) -> None:
    event = only(body(f"CONTRACT_ADDITIONAL_MODULE_{kind}", {"contractId": 2002, "moduleContractId": 3003}))
    assert isinstance(event, ModuleContractEvent)
    assert (event.contract_id, event.module_contract_id) == (2002, 3003)


def test_each_documented_type_has_a_class() -> None:
    content = {"contractId": 1, "idlePeriodId": 2, "moduleContractId": 3}
    kinds = {kind: type(only(body(kind, content))) for kind in WebhookEventType}
    assert len(kinds) == 10
    assert {*kinds.values()} == {ContractEvent, IdlePeriodEvent, ModuleContractEvent}


@goes_through("content", [{"contractId": 2002, "anything": 1}, {}, 7, [1]])
def test_an_unknown_type_is_kept(content: Any) -> None:
    event = only(body("CONTRACT_REVERSED", content))
    assert type(event) is WebhookEvent
    assert (event.type, event.type.is_known, event.entity_id) == ("CONTRACT_REVERSED", False, 1001)
    assert event.content == (content if isinstance(content, dict) else {})


@goes_through("content", [{}, {"contractId": "2002"}, {"contractId": None}, {"contractId": True}, 7, "x"])
def test_a_content_that_can_not_be_read_costs_no_event(content: Any) -> None:
    """That something happened to a customer is known all the same."""
    event = only(body(content=content))
    assert type(event) is WebhookEvent
    assert (event.type, event.entity_id) == (WebhookEventType.CONTRACT_CANCELLED, 1001)


@goes_through("timestamp", [None, "noon", 1.5, True, 10**30, -(10**30)])
def test_a_time_that_is_none_is_left_out(timestamp: Any) -> None:
    event = {"timestamp": timestamp, "type": "CONTRACT_CREATED", "content": {"contractId": 1}}
    assert only(body(payload=[event])).occurred_at is None
    del event["timestamp"], event["content"]
    assert only(body(payload=[event])).content == {}


def test_a_payload_may_have_any_length() -> None:
    """At present it has one element, the documentation says."""
    events = [{"timestamp": NOON, "type": kind, "content": {"contractId": 1}} for kind in WebhookEventType]
    assert [event.type for event in read_delivery(body(payload=events), studio="x").events] == [*WebhookEventType]
    assert read_delivery(body(payload=[]), studio="x").events == ()


@goes_through(
    ("text", "problem"),
    [
        (b"", "$: no JSON"),
        (b"secret", "$: no JSON"),
        (b"[]", "$: expected an object"),
        (body(uuid="secret"), "$.uuid: expected a UUID"),
        (body(entityId="secret"), "$.entityId: expected a whole number"),
        (body(payload={"secret": 1}), "$.payload: expected a list"),
        (body(payload=[{"timestamp": NOON}]), "$.payload[0].type: required, but missing"),
        (b'{"payload":[]}', "$.entityId: required, but missing; $.uuid: required, but missing"),
    ],
)
def test_what_is_no_delivery_is_said_without_a_value(text: bytes, problem: str) -> None:
    with pytest.raises(UnreadableDeliveryError) as caught:
        read_delivery(text, studio="berlin")
    assert problem in str(caught.value)
    assert "secret" not in f"{caught.value!r} {caught.value.__context__!r}"


@fuzzed(20)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(st.sampled_from(["entityId", "uuid", "payload", "type", "content", "timestamp"]), x)
        ),
    )
)
def test_anything_is_a_delivery_or_refused(value: Any) -> None:
    with suppress(UnreadableDeliveryError):
        read_delivery(json.dumps(value).encode(), studio="berlin")


# -- Who sent it -------------------------------------------------------------------------------------------------------


async def ignore(event: WebhookEvent) -> None:
    pass


def test_a_key_is_one_studio_s() -> None:
    receiver = WebhookReceiver(KEYS, ignore)
    assert [receiver.studio_of(key) for key in KEYS.values()] == ["berlin", "hamburg"]
    for wrong in (None, "", KEY[:-1], KEY + "x", KEY.upper(), f" {KEY}", "ké\udc80y"):
        assert receiver.studio_of(wrong) is None
    assert KEY not in repr(vars(receiver))


def test_keys_are_compared_in_constant_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """All of them, whichever it is, and digests of one length: neither order nor length shows."""
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    receiver = WebhookReceiver(KEYS, ignore)
    monkeypatch.setattr("hmac.compare_digest", compare)
    for key in ("", KEY, "key-of-hamburg", "x" * 5000):
        receiver.studio_of(key)
        assert compared == [(32, 32)] * 2
        compared.clear()


@goes_through("keys", [{}, {"berlin": ""}, {"berlin": "a\nb"}, {"": "key"}, {"berlin": "x", "hamburg": "x"}])
def test_keys_that_can_not_be_are_refused(keys: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError):
        WebhookReceiver(keys, ignore)


async def test_the_body_of_a_stranger_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    async def read() -> bytes:
        raise AssertionError("read")

    assert await WebhookReceiver(KEYS, ignore).receive("wrong", read) == 401
    assert caplog.messages == ["a webhook with a wrong key, or with none, was refused"]


# -- Whether it came before --------------------------------------------------------------------------------------------


def reading(text: bytes) -> Callable[[], Awaitable[bytes]]:
    async def read() -> bytes:
        return text

    return read


class Handler:
    """Handles events as it is told to, and keeps them."""

    def __init__(self, *errors: Exception | None) -> None:
        self.errors = [*errors]
        self.events: list[WebhookEvent] = []
        self.may_end = asyncio.Event()
        self.may_end.set()

    async def __call__(self, event: WebhookEvent) -> None:
        self.events.append(event)
        await self.may_end.wait()
        if self.errors and (error := self.errors.pop(0)) is not None:
            raise error


async def test_a_delivery_is_handled_once() -> None:
    handler = Handler()
    receiver = WebhookReceiver(KEYS, handler)
    statuses = [await receiver.receive(KEY, reading(body())) for _ in range(3)]
    statuses.append(await receiver.receive(KEY, reading(body(uuid=str(uuid4())))))
    assert (statuses, len(handler.events)) == ([200] * 4, 2)
    assert {event.studio for event in handler.events} == {"berlin"}


async def test_a_delivery_that_comes_while_it_is_handled_is_handled_once() -> None:
    handler = Handler(RuntimeError("no"))
    handler.may_end.clear()
    receiver = WebhookReceiver(KEYS, handler)
    both = [asyncio.create_task(receiver.receive(KEY, reading(body()))) for _ in range(2)]
    while not handler.events:
        await asyncio.sleep(0)
    handler.may_end.set()
    assert await asyncio.gather(*both) == [500, 500]
    assert len(handler.events) == 1


async def test_what_failed_is_handled_again(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler(None, RuntimeError("of the application"))
    receiver = WebhookReceiver(KEYS, handler)
    two = json.loads(body())
    two["payload"] *= 2
    statuses = [await receiver.receive(KEY, reading(json.dumps(two).encode())) for _ in range(3)]
    assert (statuses, len(handler.events)) == ([500, 200, 200], 4)
    (record,) = caplog.records
    assert (record.levelno, record.getMessage()) == (logging.ERROR, f"the handler of delivery {ID} failed")
    assert record.exc_info is not None


async def test_a_handler_that_is_cancelled_has_failed() -> None:
    async def handle(event: WebhookEvent) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    assert await WebhookReceiver(KEYS, handle).receive(KEY, reading(body())) == 500


async def test_a_handler_whose_pool_was_closed_has_failed_and_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """It waited for what somebody else has cancelled. After the answer, the log is all that tells of the delivery."""
    pool = asyncio.get_running_loop().create_future()

    async def handle(event: WebhookEvent) -> None:
        await pool

    receiver = WebhookReceiver(KEYS, handle, answer_within=0.02)
    assert await receiver.receive(KEY, reading(body())) == 200
    pool.cancel()
    await receiver.aclose()
    assert caplog.messages[-1] == f"the handler of delivery {ID} was cancelled before its end"


async def test_a_handler_that_is_slow_is_told_so(caplog: pytest.LogCaptureFixture) -> None:
    """The platform waits 5 s: it is answered before, and the handler goes on. A repetition does not start it again."""
    handler = Handler()
    handler.may_end.clear()
    receiver = WebhookReceiver(KEYS, handler, answer_within=0.02)
    async with asyncio.timeout(2):
        assert [await receiver.receive(KEY, reading(body())) for _ in range(2)] == [200, 200]
    assert [record.levelno for record in caplog.records] == [logging.WARNING] * 2
    assert f"delivery {ID} is acknowledged after 0.02 s, but its handler has not ended" in caplog.text
    await receiver.aclose(timeout=0.01)
    assert caplog.messages[-1] == f"the handler of delivery {ID} has not ended"
    handler.may_end.set()
    await receiver.aclose()
    assert await receiver.receive(KEY, reading(body())) == 200
    assert len(handler.events) == 1


async def test_the_default_is_below_the_five_seconds() -> None:
    assert 3 <= WebhookReceiver(KEYS, ignore)._answer_within < 5


async def test_memory_is_bounded() -> None:
    store = RecentDeliveries(2)
    ids = [uuid4() for _ in range(3)]
    for number in (*ids, ids[-1]):
        await store.add(number)
    assert [await store.is_known(number) for number in ids] == [False, True, True]
    assert isinstance(store, DeliveryStore)


class Broken:
    """A store that can't be reached."""

    async def is_known(self, delivery_id: UUID) -> bool:
        raise ConnectionError

    async def add(self, delivery_id: UUID) -> None:
        raise ConnectionError


class Distant(RecentDeliveries):
    """A store that takes a moment, as all do that are somewhere else."""

    async def is_known(self, delivery_id: UUID) -> bool:
        await asyncio.sleep(0.01)
        return await super().is_known(delivery_id)

    async def add(self, delivery_id: UUID) -> None:
        await asyncio.sleep(0.01)
        await super().add(delivery_id)


async def test_a_store_has_time(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    receiver = WebhookReceiver(KEYS, handler, store=Distant())
    assert [await receiver.receive(KEY, reading(body())) for _ in range(2)] == [200, 200]
    assert (len(handler.events), caplog.messages) == (1, [])


class BrokenAtOnce:
    """A store that raises where it is called: what it asks for a connection is not async."""

    def is_known(self, delivery_id: UUID) -> Coroutine[Any, Any, bool]:
        raise ConnectionError

    def add(self, delivery_id: UUID) -> Coroutine[Any, Any, None]:
        raise ConnectionError


@pytest.mark.parametrize("store", [Broken(), BrokenAtOnce()], ids=lambda store: type(store).__name__)
async def test_a_store_that_fails_loses_nothing(store: DeliveryStore, caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    receiver = WebhookReceiver(KEYS, handler, store=store)
    assert [await receiver.receive(KEY, reading(body())) for _ in range(2)] == [200, 200]
    assert len(handler.events) == 2
    assert [message.partition(str(ID))[2] for message in caplog.messages] == [
        " was handled is not known: it is handled now",
        " was handled, which could not be stored: it may be handled again",
    ] * 2


async def test_what_is_no_delivery_is_400_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    assert await WebhookReceiver(KEYS, handler).receive(KEY, reading(body(uuid="1001"))) == 400
    assert caplog.messages == [
        "a webhook of berlin is not of the documented form, and was refused: $.uuid: expected a UUID"
    ]
    assert handler.events == []


# -- In the frameworks -------------------------------------------------------------------------------------------------


@asynccontextmanager
async def on_asgi(receiver: WebhookReceiver) -> AsyncIterator[str]:
    import uvicorn

    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(WebhookApp(receiver), lifespan="off", log_config=None)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        yield f"http://127.0.0.1:{listening.getsockname()[1]}/webhooks"
        server.should_exit = True
        await serving


@asynccontextmanager
async def on_aiohttp(receiver: WebhookReceiver) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/webhooks", webhook_handler(receiver))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/webhooks"
    await runner.cleanup()


Serve = Callable[[WebhookReceiver], AbstractAsyncContextManager[str]]
each_framework = pytest.mark.parametrize("serve", [on_asgi, on_aiohttp])


@each_framework
@pytest.mark.parametrize(
    ("key", "text", "status"),
    [
        (KEY, body(), 200),
        (KEY, b"{}", 400),
        (KEY, b"x" * (2**20 + 1), 413),
        ("wrong", body(), 401),
        (None, body(), 401),
    ],
    ids=["good", "no delivery", "too large", "wrong key", "no key"],
)
async def test_the_answer_in_each_framework(serve: Serve, key: str | None, text: bytes, status: int) -> None:
    handler = Handler()
    headers = {} if key is None else {"X-API-KEY": key}
    async with serve(WebhookReceiver(KEYS, handler)) as url, ClientSession() as session:
        async with session.post(url, data=io.BytesIO(text), headers=headers) as answer:
            assert (answer.status, len(handler.events)) == (status, int(status == 200))
        async with session.get(url, headers=headers) as answer:
            assert (answer.status, answer.headers["Allow"]) == (405, "POST")


@each_framework
async def test_a_slow_handler_in_each_framework(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    handler = Handler()
    handler.may_end.clear()
    receiver = WebhookReceiver(KEYS, handler, answer_within=0.02)
    async with serve(receiver) as url, ClientSession() as session, asyncio.timeout(2):
        for _ in range(2):
            async with session.post(url, data=body(), headers={"x-api-key": KEY}) as answer:
                assert (answer.status, len(handler.events)) == (200, 1)
        assert "its handler has not ended" in caplog.text
        handler.may_end.set()
        await receiver.aclose()


@each_framework
async def test_a_body_may_come_in_pieces(serve: Serve) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for byte in body():
            yield bytes([byte])

    handler = Handler()
    async with (
        serve(WebhookReceiver(KEYS, handler)) as url,
        ClientSession() as session,
        session.post(url, data=pieces(), headers={"x-api-key": KEY}) as answer,
    ):
        assert (answer.status, len(handler.events)) == (200, 1)


async def test_a_sender_that_hangs_up_is_not_answered() -> None:
    messages = [{"type": "http.request", "body": body(), "more_body": True}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    async def send(message: dict[str, object]) -> None:
        raise AssertionError(message)

    scope = {"type": "http", "method": "POST", "headers": [(b"x-api-key", KEY.encode())]}
    handler = Handler()
    await WebhookApp(WebhookReceiver(KEYS, handler))(scope, receive, send)
    assert (messages, handler.events) == ([], [])
    with pytest.raises(ValueError, match="HTTP only"):
        await WebhookApp(WebhookReceiver(KEYS, ignore))({"type": "lifespan"}, receive, send)
