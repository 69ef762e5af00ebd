"""Errors travel whole, tell no secret, and are the only thing a call raises."""

import asyncio
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from aiohttp import ClientSession
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from payloads import payload
from wire import DROP, FakeTime, Raw, Reply, WireServer

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from cloudcockpit_sdk.errors import read_error as read_cloudcockpit_error
from membership_sdk import MembershipClient
from membership_sdk.errors import read_error as read_membership_error
from sdk_core.auth import ApiKey, BearerToken, FixedToken, Token
from sdk_core.errors import (
    ApiError,
    CallTimeoutError,
    ConfigurationError,
    ConnectionFailedError,
    ErrorDetails,
    FieldError,
    InvalidResponseError,
    Outcome,
    SdkError,
    api_error_class,
)
from sdk_core.retry import RetryPolicy

DAY = date(2023, 1, 25)


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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
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


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_error_is_json(kind: type[SdkError]) -> None:
    """`to_dict()` holds plain data, all of it, and is a copy."""
    error = sample(kind)
    told = json.loads(json.dumps(error.to_dict()))
    assert told["type"] == kind.__name__
    assert {name: told[name] for name in FACTS} == FACTS
    error.to_dict()["operation"] = "changed"
    assert error.operation == "withdraw_contract_cancelation"


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
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


@pytest.mark.parametrize(
    ("kind", "builtin"),
    [(ConnectionFailedError, ConnectionError), (CallTimeoutError, TimeoutError), (ConfigurationError, ValueError)],
    ids=lambda kind: kind.__name__,
)
def test_error_is_the_builtin_everybody_catches(kind: type[SdkError], builtin: type[Exception]) -> None:
    """`except TimeoutError` works without knowing this SDK."""
    with pytest.raises(builtin, match="text"):
        raise kind("text")


@pytest.mark.parametrize("code", ["a b", "x@example.com", "ä", "a\n", "x" * 129, ""], ids=repr)
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


# They tell no secret

KEY = "CANARY-api-key"
TOKEN = "CANARY-token"
SECRET = "CANARY-client-secret"
QUERY = "CANARY-query"
SERVER_TEXT = "CANARY server text"
MEMBER = 7700112233445566
CONTRACT = 8800112233445566
REASON = 9900112233445566
PERSON = UUID("deadbeef-0000-4000-8000-00000000cafe")
CANARIES = ("CANARY", str(MEMBER), str(CONTRACT), str(REASON), str(PERSON), PERSON.hex)
ENVELOPE = {
    "errorMessage": SERVER_TEXT,
    "errorCode": f"{SERVER_TEXT} as code",
    "traceId": f"{SERVER_TEXT} as trace",
    "reference": f"{SERVER_TEXT} as reference",
    "statusCode": 409,
    "type": SERVER_TEXT,
    "description": SERVER_TEXT,
    "correlationId": SERVER_TEXT,
    "errors": [{"propertyName": SERVER_TEXT, "description": [SERVER_TEXT]}],
}
CUT = b"HTTP/1.1 200 CANARY\r\nContent-Type: application/json\r\nContent-Length: 999\r\n\r\nCANARY"
STEPS: dict[str, Any] = {
    "400": Reply(400, ENVELOPE),
    "401": Reply(401, ENVELOPE, {"WWW-Authenticate": SERVER_TEXT}),
    "403": Reply(403, ENVELOPE),
    "404": Reply(404, ENVELOPE),
    "409": Reply(409, ENVELOPE),
    "429": Reply(429, ENVELOPE, {"Retry-After": SERVER_TEXT}),
    "500 HTML": Reply(500, f"<html>{SERVER_TEXT}", content_type="text/CANARY html"),
    "503": Reply(503, ENVELOPE),
    "redirect": Reply(302, SERVER_TEXT, {"Location": "http://127.0.0.1:9/CANARY"}),
    "other JSON": Reply(200, [{"id": SERVER_TEXT, SERVER_TEXT: SERVER_TEXT}]),
    "HTML": Reply(200, f"<html>{SERVER_TEXT}", content_type="text/html; CANARY"),
    "odd content type": Reply(200, f"{SERVER_TEXT}", content_type="CANARY at the gate"),
    "drop": DROP,
    "garbage": Raw(f"{SERVER_TEXT}\r\n\r\n".encode()),
    "garbage header": Raw(b"HTTP/1.1 200 OK\r\nCANARY\x00: CANARY\r\n\r\n"),
    "bad length": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: CANARY\r\n\r\n"),
    "bad chunk": Raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nCANARY\r\n"),
    "bad compression": Raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 6\r\n\r\nCANARY"),
    "cut": Raw(CUT),
    "cut error": Raw(CUT.replace(b"200", b"500")),
}


def chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and all that is chained to it: what a debugger or an error tracker walks through."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def told_by(error: BaseException, logs: pytest.LogCaptureFixture) -> str:
    """Return all that an error and the log records of its call say, in every form they have."""
    forms = [str(error), repr(error), "".join(traceback.format_exception(error)), repr(error.args)]
    if isinstance(error, SdkError):
        forms += [json.dumps(error.to_dict()), repr(vars(pickle.loads(pickle.dumps(error))))]
        forms += [repr(pickle.dumps(error, protocol)) for protocol in range(2, 6)]
    for record in logs.records:
        forms += [record.getMessage(), repr(vars(record)), logging.Formatter().format(record)]
    return "\n".join(forms)


@pytest.mark.parametrize("retry", [RetryPolicy.none(), None], ids=["one attempt", "retried"])
@pytest.mark.parametrize("name", STEPS)
async def test_no_secret_in_errors_or_logs(
    name: str, retry: RetryPolicy | None, fake_time: FakeTime, caplog: pytest.LogCaptureFixture
) -> None:
    """No credential, id of a member, query value, body, or word of the server in any form of the error."""
    caplog.set_level(logging.DEBUG)
    policy = retry or RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    options: Any = {"retry": policy}
    errors: list[SdkError] = []
    async with (
        WireServer(STEPS[name]) as server,
        MembershipClient(server.url, KEY, **options) as membership,
        CloudCockpitClient("t.example", TOKEN, base_url=server.url, **options) as cloudcockpit,
    ):
        calls = (
            lambda: membership.get_contract_data(customer_id=MEMBER),
            lambda: membership.create_contract_cancelation_amendment(
                customer_id=MEMBER, contract_id=CONTRACT, cancelation_date=DAY, cancelation_reason_id=REASON
            ),
            lambda: cloudcockpit.list_customer_subscriptions(customer_id=PERSON, sort_property_name=QUERY),
            lambda: cloudcockpit.suspend_subscription(customer_id=PERSON, subscription_id=PERSON),
        )
        for call in calls:
            try:
                await call()
            except SdkError as error:
                errors.append(error)
    # A page of JSON is a fine answer to a request whose answer carries nothing.
    assert len(errors) == (2 if name == "other JSON" else 4)
    for error in errors:
        told = told_by(error, caplog)
        assert [canary for canary in CANARIES if canary in told] == []
        assert {type(link).__module__ for link in chain(error)} <= {"sdk_core.errors", "builtins"}


@pytest.mark.parametrize("read", [read_membership_error, read_cloudcockpit_error], ids=["membership", "cloudcockpit"])
def test_details_show_codes_only(read: Any) -> None:
    """Their `repr` lands in logs, too: a code or id is shown, a sentence in its place is not."""
    details = read(json.dumps(ENVELOPE).encode())
    assert details.code is not None
    assert SERVER_TEXT in details.code
    assert "CANARY" not in repr(details)
    assert "error.validation.date.past" in repr(read_membership_error(payload("membership_error")))


async def test_no_secret_when_the_token_endpoint_refuses(caplog: pytest.LogCaptureFixture) -> None:
    """Neither what was sent there nor what it says."""
    caplog.set_level(logging.DEBUG)
    refusal = Reply(400, {"error": "invalid_client", "error_description": f"{SERVER_TEXT}: {SECRET}"})
    async with WireServer(refusal, Reply(body={"access_token": TOKEN})) as login, WireServer(Reply(401)) as server:
        credentials = ClientCredentials("app-1", SECRET, token_url=login.url)
        for _ in range(2):
            async with CloudCockpitClient("t.example", credentials, base_url=server.url) as client:
                with pytest.raises(membership_sdk.AuthenticationError) as caught:
                    await client.list_customer_subscriptions(customer_id=PERSON, sort_property_name=QUERY)
                told = told_by(caught.value, caplog) + repr(client) + repr(credentials)
                assert [canary for canary in CANARIES if canary in told] == []
    assert len(login.requests) == 3


async def test_no_secret_when_nobody_listens(caplog: pytest.LogCaptureFixture, fake_time: FakeTime) -> None:
    """A refused connection, over all attempts."""
    caplog.set_level(logging.DEBUG)
    async with WireServer() as gone:
        url = gone.url
    policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    async with CloudCockpitClient("t.example", TOKEN, base_url=url, retry=policy) as client:
        with pytest.raises(ConnectionFailedError) as caught:
            await client.list_customer_subscriptions(customer_id=PERSON, sort_property_name=QUERY)
    assert len(caught.value.attempts) == 3
    assert {type(link).__module__ for link in chain(caught.value)} <= {"sdk_core.errors", "builtins"}
    told = told_by(caught.value, caplog)
    assert [canary for canary in CANARIES if canary in told] == []


async def test_success_is_silent(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing above DEBUG, and nothing secret even there."""
    caplog.set_level(logging.DEBUG)
    async with WireServer(Reply(body=[])) as server, MembershipClient(server.url, KEY) as client:
        await client.get_contract_data(customer_id=MEMBER)
    assert [record for record in caplog.records if record.levelno > logging.DEBUG] == []
    assert [record for record in caplog.records if any(canary in repr(vars(record)) for canary in CANARIES)] == []


async def _token(_session: ClientSession) -> Token:
    return Token(TOKEN, None)


@pytest.mark.parametrize(
    "holder",
    [
        MembershipClient("https://a.example", KEY),
        CloudCockpitClient("t.example", TOKEN),
        CloudCockpitClient("t.example", ClientCredentials("id", SECRET)),
        ClientCredentials("id", SECRET),
        ApiKey("X-API-KEY", KEY),
        FixedToken("Authorization", TOKEN),
        BearerToken(_token),
        Token(TOKEN, None),
        membership_sdk.Connection(proxy="http://user:CANARY@proxy.example"),
    ],
    ids=lambda holder: type(holder).__name__,
)
def test_no_secret_in_what_holds_one(holder: object) -> None:
    """`repr`, `str` and `format` of clients and credentials."""
    assert "CANARY" not in f"{holder!r} {holder!s} {holder} {[holder]}"


@pytest.mark.parametrize("key", ["", " CANARY", "CANARY\n", "CANARY\r\nX: y", "CANARYä", "CANARY\x00"], ids=repr)
def test_refused_credential_is_not_repeated(key: str) -> None:
    """A typo in a secret is still a secret."""
    for build in (lambda: MembershipClient("https://a.example", key), lambda: CloudCockpitClient("t.example", key)):
        with pytest.raises(ConfigurationError) as caught:
            build()
        assert "CANARY" not in "".join(traceback.format_exception(caught.value))


async def test_traceback_leads_to_the_caller() -> None:
    """And through few frames of the SDK, none of tenacity's or aiohttp's on the first attempt."""
    async with WireServer(Reply(404)) as server, MembershipClient(server.url, KEY) as client:
        with pytest.raises(membership_sdk.NotFoundError) as caught:
            await client.get_contract_data(customer_id=1)
    files = [Path(frame.filename).name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert files[0] == Path(__file__).name
    assert len(files) <= 6
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


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


@fuzzed(200)
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
    Reply,
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


@fuzzed(30)
@given(st.lists(REPLIES, min_size=5, max_size=5))
@example([Reply(400, b'{"errorMessage": "x", "statusCode": 1, "a": 1e99999999999999999999}')] * 5)
@example([Reply(200, b'{"a": 1e99999999999999999999}')] * 5)
def test_calls_raise_nothing_but_sdk_errors(replies: list[Reply]) -> None:
    """Any status, body and content type, on the wire: an answer or an SdkError, and the connection stays usable."""

    async def scenario() -> None:
        async with (
            WireServer(*replies) as server,
            MembershipClient(server.url, KEY, retry=RetryPolicy.none()) as membership,
            CloudCockpitClient("t.example", TOKEN, base_url=server.url, retry=RetryPolicy.none()) as cloudcockpit,
        ):
            for call in (
                membership.get_contract_data(customer_id=1),
                membership.get_additional_module_contract(contract_id=1, additional_module_contract_id=2),
                membership.withdraw_contract_cancelation(customer_id=1, contract_id=2),
                cloudcockpit.list_customer_subscriptions(customer_id=PERSON),
                cloudcockpit.suspend_subscription(customer_id=PERSON, subscription_id=PERSON),
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
