"""Errors travel whole, and are the only thing a call raises."""

import asyncio
import copy
import gc
import json
import pickle
import socket
import traceback
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from payloads import payload
from wire import DROP, STALL, CannedAnswer, WireServer

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from cloudcockpit_sdk.errors import read_error as read_cloudcockpit_error
from membership_sdk import MembershipClient
from membership_sdk.errors import read_error as read_membership_error
from sdk_core.client import Client
from sdk_core.details import ErrorDetails, FieldError
from sdk_core.errors import (
    ApiError,
    CallTimeoutError,
    ConfigurationError,
    ConnectionFailedError,
    InvalidResponseError,
    SdkError,
    api_error_class,
)
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.retry import RetryPolicy

CUSTOMER = UUID(int=7)


def all_subclasses(kind: type[SdkError]) -> Iterator[type[SdkError]]:
    yield kind
    for subclass in kind.__subclasses__():
        yield from all_subclasses(subclass)


PACKAGES = {"sdk_core", "membership_sdk", "cloudcockpit_sdk"}
KINDS = sorted({kind for kind in all_subclasses(SdkError) if kind.__module__.partition(".")[0] in PACKAGES}, key=str)
FACTS: dict[str, Any] = {
    "operation": "withdraw_contract_cancelation",
    "request": "POST /v1/memberships/{customer_id}",
    "outcome": "unknown",
    "retryable": True,
    "retry_after": 7.5,
    "retries_suppressed": True,
    "correlation_id": "7f1f0c9e-43a2-4a55-8f1e-0c2d6f3b9a10",
    "attempts": [
        {
            "number": 1,
            "status": None,
            "error": "ServerDisconnectedError",
            "delay": 0,
            "elapsed": 1.5,
            "outcome": "unknown",
        },
        {"number": 2, "status": 200, "error": None, "delay": 0.5, "elapsed": 0.1, "outcome": None},
    ],
    "cause": "OSError: Connection refused",
    "status": 409,
    "limit": "total_timeout",
    "problems": ["$.id: expected a whole number"],
    "maybe_own_previous_attempt": True,
}
DETAILS = ErrorDetails(
    code="error.conflict",
    message="human text",
    reference="parent.child",
    fields=(FieldError("name", ("human text",)),),
    trace_id="8713540987134509871",
    recognised=True,
    raw={"errorMessage": "human text"},
    body=b'{"errorMessage": "human text"}',
)


def sample(kind: type[SdkError]) -> SdkError:
    if issubclass(kind, ApiError):
        return kind.from_details("status 409 (error.conflict)", FACTS, DETAILS)
    return kind("it failed", FACTS)


def seen(error: SdkError) -> dict[str, Any]:
    """Return everything an error promises to keep."""
    names = ["operation", "outcome", "retryable", "retry_after", "retries_suppressed", "correlation_id", "attempts"]
    names += ["cause", "status", "limit", "problems", "code", "maybe_own_previous_attempt"]
    told = {name: getattr(error, name) for name in names if hasattr(error, name)}
    if isinstance(error, ApiError):
        details = error.details
        told |= {"reference": details.reference, "trace_id": details.trace_id, "recognised": details.recognised}
        told["fields"] = [item.name for item in details.fields]
    return told | {"type": type(error), "str": str(error), "repr": repr(error), "dict": error.to_dict()}


# They travel whole


@pytest.mark.parametrize("sdk", [membership_sdk, cloudcockpit_sdk], ids=lambda sdk: sdk.__name__)
def test_both_sdks_export_every_error(sdk: Any) -> None:
    """Nobody needs to import from the core to catch what a call raises."""
    exported = {value for value in map(vars(sdk).get, sdk.__all__) if isinstance(value, type)}
    assert [kind.__name__ for kind in KINDS if kind.__module__ == "sdk_core.errors" and kind not in exported] == []


@goes_through("kind", KINDS)
def test_error_survives_every_way_of_travelling(kind: type[SdkError]) -> None:
    """Pickle, copies, and task queues that send `type(error)(*error.args)` as JSON: nothing it promises is lost."""
    error = sample(kind)
    expected = seen(error)
    assert expected["outcome"] is Outcome.UNKNOWN
    assert [attempt.outcome for attempt in expected["attempts"]] == [Outcome.UNKNOWN, None]
    travelled = {f"pickle {protocol}": pickle.loads(pickle.dumps(error, protocol)) for protocol in range(2, 6)}
    travelled["copy"] = copy.copy(error)
    travelled["deepcopy"] = copy.deepcopy(error)
    travelled["args"] = type(error)(*error.args)
    travelled["JSON args"] = type(error)(*json.loads(json.dumps(error.args)))
    travelled["twice"] = pickle.loads(pickle.dumps(copy.deepcopy(error)))
    for way, arrived in travelled.items():
        assert seen(arrived) == expected, way


@goes_through("kind", KINDS)
def test_error_is_json(kind: type[SdkError]) -> None:
    """`to_dict()` holds plain data, all of it, and is a copy."""
    error = sample(kind)
    told = json.loads(json.dumps(error.to_dict()))
    assert told["type"] == kind.__name__
    assert {name: told[name] for name in FACTS} == FACTS
    error.to_dict()["operation"] = "changed"
    assert error.operation == "withdraw_contract_cancelation"


@goes_through("kind", KINDS)
def test_error_can_be_made_by_hand(kind: type[SdkError]) -> None:
    """Users' tests raise them without facts; every attribute has an answer."""
    for error in (kind(), kind("text")):
        assert seen(pickle.loads(pickle.dumps(error))) == seen(error)
        assert error.outcome is Outcome.NOT_SENT
    assert str(kind("text")) == "text"


def test_human_text_stays_behind() -> None:
    """What the server wrote is on the live error only."""
    error = sample(membership_sdk.ConflictError)
    assert isinstance(error, ApiError)
    assert (error.details.message, error.details.raw) == ("human text", {"errorMessage": "human text"})
    for form in (str(error), repr(error), repr(error.details), json.dumps(error.to_dict()), repr(pickle.dumps(error))):
        assert "human text" not in form
    assert pickle.loads(pickle.dumps(error)).details.message is None


@goes_through(
    ("kind", "builtin"),
    [(ConnectionFailedError, ConnectionError), (CallTimeoutError, TimeoutError), (ConfigurationError, ValueError)],
)
def test_error_is_the_builtin_everybody_catches(kind: type[SdkError], builtin: type[Exception]) -> None:
    """`except TimeoutError` works without knowing this SDK."""
    with pytest.raises(builtin, match="text"):
        raise kind("text")


@goes_through("code", ["a b", "x@example.com", "ä", "a\n", "x" * 129, ""])
def test_text_in_place_of_a_code_is_not_kept(code: str) -> None:
    """A sentence or an address in `errorCode` could name a member."""
    error = ApiError.from_details("text", FACTS, ErrorDetails(code=code, trace_id=code, fields=(FieldError(code),)))
    assert pickle.loads(pickle.dumps(error)).code is None
    assert error.to_dict()["details"] == {
        "code": None,
        "reference": None,
        "trace_id": None,
        "fields": [None],
        "recognised": False,
    }


# They are raised where the call is


async def test_traceback_leads_to_the_caller() -> None:
    """And through few frames of the SDK, none of tenacity's or aiohttp's on the first attempt."""
    async with WireServer(CannedAnswer(404)) as server, MembershipClient(server.url, "key") as client:
        with pytest.raises(membership_sdk.NotFoundError) as caught:
            await client.get_contract_data(customer_id=1)
    files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files[0] == Path(__file__).name
    assert len(files) <= 6
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


# They hold on to nothing

Call = Callable[[RetryPolicy], AbstractAsyncContextManager[Client]]


def at_server(*script: Any, **options: Any) -> Call:
    @asynccontextmanager
    async def client(retry: RetryPolicy) -> AsyncIterator[Client]:
        async with WireServer(*script) as server, MembershipClient(server.url, "key", retry=retry, **options) as client:
            yield client

    return client


def with_token(token: Any) -> Call:
    return lambda retry: CloudCockpitClient("t", token, base_url=nowhere(), retry=retry, total_timeout=0.02)


async def provide_nothing() -> str:
    raise LookupError


async def provide_late() -> str:
    await asyncio.sleep(0.05)
    raise LookupError


async def provide_not_yet() -> str:
    raise ConnectionError


def nowhere() -> str:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


FAILURES: dict[str, Call] = {
    "404": at_server(CannedAnswer(404)),
    "500": at_server(CannedAnswer(500)),
    "no JSON": at_server(CannedAnswer(200, "<html>")),
    "dropped": at_server(DROP),
    "stalled": at_server(STALL, attempt_timeout=0.02),
    "500, then stalled": at_server(CannedAnswer(500), STALL, total_timeout=0.05),
    "refused": lambda retry: MembershipClient(nowhere(), "key", retry=retry),
    "no token": with_token(provide_nothing),
    "no token yet": with_token(provide_not_yet),
    "no token in time": with_token(provide_late),
    "no token endpoint": with_token(ClientCredentials("app", "secret", token_url=nowhere())),
}


@pytest.mark.parametrize("retry", [RetryPolicy.none(), RetryPolicy(backoff_base=0)], ids=["one attempt", "retried"])
@pytest.mark.parametrize("failing", FAILURES.values(), ids=FAILURES)
async def test_error_is_freed_with_its_last_reader(failing: Call, retry: RetryPolicy) -> None:
    """And with it all that its traceback leads to: request, answer, connection. It does not wait for the collector."""
    read = Operation(name="read_it", method="GET", path="/it", returns=dict, effect=Effect.READ)
    gc.collect()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        async with failing(retry) as client:
            for _ in range(2):
                with suppress(SdkError):
                    await client.call(read)
        del client
        # A token fetch may outlive the calls that waited for it.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()}, return_exceptions=True)
        gc.collect()
        assert [error for error in gc.garbage if isinstance(error, SdkError) and error.__traceback__] == []
    finally:
        gc.set_debug(0)
        gc.garbage.clear()


# Nothing else is raised

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=20), inner, max_size=4),
    max_leaves=8,
)
NAMES = [
    *("errorMessage", "errorCode", "traceId", "reference", "args", "typedArgs"),
    *("statusCode", "type", "description", "correlationId", "errors"),
]
FIELD_ERRORS = st.lists(
    st.fixed_dictionaries({}, optional={"propertyName": JSON, "description": JSON | st.lists(JSON)}) | JSON, max_size=3
)
ENVELOPES = st.fixed_dictionaries({}, optional={**dict.fromkeys(NAMES, JSON), "errors": FIELD_ERRORS | JSON})
BODIES = (
    st.binary(max_size=100)
    | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode())
    | (ENVELOPES | JSON).map(lambda value: json.dumps(value).encode()[:-1])
    | st.sampled_from([payload("membership_error"), payload("cloudcockpit_error"), b"<html>", b"\xff\xfe", b"[" * 5000])
)
STATUSES = st.sampled_from([200, 202, 204, 302, 400, 401, 403, 404, 409, 418, 429, 500, 502, 503, 504, 599])


@fuzzed(25)
@given(BODIES, st.integers(400, 599))
@example(b'{"errorMessage": "x", "statusCode": 1, "a": 1e99999999999999999999}', 400)
@example(b'{"errorMessage": "\\ud800", "errorCode": "\\ud800", "statusCode": 1, "type": "\\ud800"}', 400)
@example(b'{"statusCode": true, "errors": {"a": 1}}', 400)
@example(b"[" * 100_000, 500)
def test_no_envelope_is_too_odd(body: bytes, status: int) -> None:
    """Whatever the body is: details are read, and the error they make travels."""
    for read in (read_membership_error, read_cloudcockpit_error):
        details = read(body)
        error = api_error_class(status).from_details("text", {"status": status}, details)
        assert error.details.body == body[:2048]
        assert seen(pickle.loads(pickle.dumps(error)))["dict"] == error.to_dict()
        json.dumps(error.to_dict())
        repr(details)


@pytest.mark.parametrize("read", [read_membership_error, read_cloudcockpit_error], ids=["membership", "cloudcockpit"])
def test_body_of_an_error_is_kept_in_part(read: Any) -> None:
    """Enough to see what it was, not enough to fill a log."""
    details = read(b"x" * 10_000)
    assert (details.recognised, details.raw, details.body) == (False, None, b"x" * 2048)


REPLIES = st.builds(
    CannedAnswer,
    status=STATUSES,
    body=BODIES,
    headers=st.fixed_dictionaries(
        {}, optional={"Retry-After": st.sampled_from(["0", "-1", "nan", "inf", "1e400", "x", "Mon, 99 Foo 0000", ""])}
    ),
    content_type=st.sampled_from(
        [
            "application/json",
            "application/json; charset=utf-16",
            "application/json; charset=nope",
            "text/html",
            ";",
            "x",
        ]
    ),
)


@fuzzed(8)
@given(st.lists(REPLIES, min_size=5, max_size=5))
@example([CannedAnswer(400, b'{"errorMessage": "x", "statusCode": 1, "a": 1e99999999999999999999}')] * 5)
@example([CannedAnswer(200, b'{"a": 1e99999999999999999999}')] * 5)
def test_calls_raise_nothing_but_sdk_errors(replies: list[CannedAnswer]) -> None:
    """Any status, body and content type, on the wire: an answer or an SdkError, and the connection stays usable."""

    async def scenario() -> None:
        async with (
            WireServer(*replies) as server,
            MembershipClient(server.url, "key", retry=RetryPolicy.none()) as membership,
            CloudCockpitClient("t.example", "token", base_url=server.url, retry=RetryPolicy.none()) as cloudcockpit,
        ):
            for call in (
                membership.get_contract_data(customer_id=1),
                membership.get_additional_module_contract(contract_id=1, additional_module_contract_id=2),
                membership.withdraw_contract_cancelation(customer_id=1, contract_id=2),
                cloudcockpit.list_customer_subscriptions(customer_id=CUSTOMER),
                cloudcockpit.suspend_subscription(customer_id=CUSTOMER, subscription_id=CUSTOMER),
            ):
                try:
                    await call
                except SdkError as error:
                    pickle.loads(pickle.dumps(error))
                    json.dumps(error.to_dict())
            assert len(server.requests) == 5

    asyncio.run(scenario())


def test_problem_paths_are_all_an_invalid_response_shows() -> None:
    """The wrong value itself is nowhere on the error."""
    error = InvalidResponseError("text", {"problems": ["$.id: expected a whole number"], "status": 200})
    assert (error.problems, error.status) == (("$.id: expected a whole number",), 200)
