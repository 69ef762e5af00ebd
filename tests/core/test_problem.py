"""`to_problem`: an error as the answer of a web app (RFC 9457), which tells what to do and nothing of the inside."""

import asyncio
import copy
import json
import logging
import pickle
from collections.abc import Awaitable, Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from cases import goes_through
from wire import DROP, STALL, CannedAnswer, WireServer, patience

import cloudcockpit_sdk
import membership_sdk
from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import (
    ClientClosedError,
    ConfigurationError,
    LocalRateLimiter,
    MainContractCancelation,
    MembershipClient,
    Money,
    NotOfferedError,
    NotSettledError,
    RetryPolicy,
    SdkError,
    WorkflowError,
    to_problem,
    workflows,
)
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.outcome import Outcome

MARK = "Erika Mustermann"
MEMBER: dict[str, Any] = {"customer_id": 7700112233445566, "contract_id": 8800112233445566}
"""Too long to be in a random id."""
ENVELOPE = {"errorMessage": MARK, "errorCode": "SOME_CODE", "traceId": "t-1", "reference": "contract.id"}


async def read(client: MembershipClient) -> object:
    return await client.get_contract_data(customer_id=MEMBER["customer_id"])


async def write(client: MembershipClient) -> object:
    return await client.withdraw_contract_cancelation(**MEMBER)


async def error_of(awaitable: Awaitable[object]) -> Exception:
    with pytest.raises(Exception) as caught:
        await awaitable
    return caught.value


def body_of(problem: Any) -> Any:
    assert problem.headers["Content-Type"] == "application/problem+json"
    body = json.loads(problem.body)
    assert body["status"] == problem.status
    return body


Call = Callable[[MembershipClient], Awaitable[object]]
ANSWERS: dict[str, tuple[Any, Call, int, Outcome, str | None]] = {
    "rate-limit": (CannedAnswer(429, ENVELOPE, {"Retry-After": "7"}), write, 503, Outcome.REJECTED, "7"),
    "throttling": (CannedAnswer(503, ENVELOPE, {"Retry-After": "3"}), write, 503, Outcome.REJECTED, "3"),
    "bad-gateway": (CannedAnswer(502, MARK, content_type="text/html"), write, 502, Outcome.UNKNOWN, None),
    "server": (CannedAnswer(500, ENVELOPE), write, 502, Outcome.UNKNOWN, None),
    "dropped": (DROP, write, 502, Outcome.UNKNOWN, None),
    "unreadable": (CannedAnswer(200, MARK, content_type="text/html"), write, 502, Outcome.UNKNOWN, None),
    "stalled-write": (STALL, write, 504, Outcome.UNKNOWN, None),
    "stalled-read": (STALL, read, 504, Outcome.UNKNOWN, None),
    "server-read": (CannedAnswer(500, ENVELOPE), read, 502, Outcome.UNKNOWN, None),
    "other-shape": (CannedAnswer(200, [{"id": MARK}]), read, 502, Outcome.REJECTED, None),
    "not-found": (CannedAnswer(404, ENVELOPE), read, 404, Outcome.REJECTED, None),
    "conflict": (CannedAnswer(409, ENVELOPE), write, 409, Outcome.REJECTED, None),
    "bad-request": (CannedAnswer(400, ENVELOPE), write, 422, Outcome.REJECTED, None),
    "key-refused": (CannedAnswer(401, ENVELOPE), read, 502, Outcome.REJECTED, None),
    "no-scope": (CannedAnswer(403, ENVELOPE), read, 502, Outcome.REJECTED, None),
    "other-4xx": (CannedAnswer(418, ENVELOPE), read, 502, Outcome.REJECTED, None),
}


@goes_through(("step", "call", "status", "outcome", "after"), ANSWERS)
async def test_what_the_api_said_becomes_an_answer(
    step: Any, call: Call, status: int, outcome: Outcome, after: str | None
) -> None:
    """Live, and after a queue."""
    options: dict[str, Any] = {"retry": RetryPolicy.none(), "attempt_timeout": patience(step)}
    async with WireServer(step) as server, MembershipClient(server.url, "key", **options) as client:
        error = await error_of(call(client))
    assert isinstance(error, SdkError)
    for known in (error, pickle.loads(pickle.dumps(error)), copy.copy(error)):
        problem = to_problem(known)
        body = body_of(problem)
        assert (problem.status, body["outcome"], problem.headers.get("Retry-After")) == (status, outcome.value, after)
        assert body["retryable"] is error.retryable
        assert (body["operation"], body["correlation_id"]) == (error.operation, error.correlation_id)
        assert body["title"]
        # Whoever asked for a read need not look at anything before asking again.
        assert ("look at the current state" in body["detail"]) is (outcome is Outcome.UNKNOWN and call is write)
        for private in (MARK, "t-1", "127.0.0.1", "scope", "key", *map(str, MEMBER.values()), "v1/"):
            assert private not in problem.body.decode()


async def test_the_api_s_code_is_told_and_its_text_only_if_the_app_adds_it() -> None:
    retry = RetryPolicy(backoff_base=0)
    async with (
        WireServer(CannedAnswer(409, ENVELOPE)) as server,
        MembershipClient(server.url, "key", retry=retry) as client,
    ):
        error = await error_of(write(client))
    assert isinstance(error, membership_sdk.ConflictError)
    assert body_of(to_problem(error))["code"] == "SOME_CODE"
    body = body_of(to_problem(error, detail=error.details.message, instance="/contracts"))
    assert (body["detail"], body["instance"], body["status"]) == (MARK, "/contracts", 409)


async def test_a_code_that_is_a_text_is_not_told() -> None:
    answer = CannedAnswer(409, ENVELOPE | {"errorCode": MARK})
    retry = RetryPolicy(backoff_base=0)
    async with WireServer(answer) as server, MembershipClient(server.url, "key", retry=retry) as client:
        problem = to_problem(await error_of(write(client)))
    assert "code" not in json.loads(problem.body)
    assert MARK not in problem.body.decode()


async def test_a_full_limiter_of_our_own_is_throttling_too() -> None:
    """Nothing was sent, and the browser is told when to come again."""
    async with WireServer(CannedAnswer()) as server:
        limiter = LocalRateLimiter(1)
        async with MembershipClient(server.url, "key", rate_limiter=limiter, total_timeout=5) as client:
            await write(client)
            problem = to_problem(await error_of(write(client)))
        assert len(server.requests) == 1
    body = body_of(problem)
    assert (problem.status, body["outcome"], body["retryable"]) == (503, "not_sent", True)
    assert 55 <= int(problem.headers["Retry-After"]) <= 60


async def test_a_server_that_is_not_there() -> None:
    async with MembershipClient("http://127.0.0.1:1", "key", retry=RetryPolicy.none()) as client:
        problem = to_problem(await error_of(write(client)))
    assert (problem.status, body_of(problem)["outcome"]) == (502, "not_sent")
    assert "127.0.0.1" not in problem.body.decode()


async def test_a_closed_client_and_a_timeout_before_sending() -> None:
    client = MembershipClient("http://127.0.0.1:1", "key")
    await client.aclose()
    error = await error_of(write(client))
    assert isinstance(error, ClientClosedError)
    assert to_problem(error).status == 503


@goes_through(
    ("error", "status"),
    [
        (ConfigurationError("base_url must be https"), 500),
        (NotOfferedError("reason is not one of those the API offers"), 422),
        (NotSettledError("not reached", {"outcome": "unknown"}), 504),
        (WorkflowError("a withdrawal waits for the studio", {"outcome": "not_sent"}), 409),
        (WorkflowError("failed after sending", {"outcome": "unknown"}), 502),
        (membership_sdk.NotFoundError("gone", {"outcome": "unknown", "maybe_own_previous_attempt": True}), 502),
        (membership_sdk.RateLimitError("later", {"outcome": "unknown", "retry_after": 3}), 502),
        (membership_sdk.RateLimitError("later", {"outcome": "rejected"}), 503),
        (membership_sdk.InvalidResponseError("another shape", {"outcome": "applied"}), 502),
        (SdkError("broken off"), 502),
    ],
)
def test_errors_without_an_answer(error: SdkError, status: int) -> None:
    problem = to_problem(error)
    assert (problem.status, body_of(problem)["outcome"]) == (status, error.outcome.value)
    assert "Retry-After" not in problem.headers


async def test_a_workflow_that_is_refused() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        ids = {"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CONTRACT_ID}
        problem = to_problem(await error_of(workflows.cancel_contract(client, **ids, on="latest", reason="No such")))
        assert (problem.status, body_of(problem)["outcome"]) == (422, "not_sent")
        refused = to_problem(await error_of(workflows.cancel_contract(client, **ids, on="latest", reason=1.5)))  # type: ignore[arg-type]
    assert (refused.status, body_of(refused)["detail"]) == (
        422,
        "reason must be an id (int) or an exact name (str), not float",
    )


REFUSED: dict[str, Callable[[], object]] = {
    "id": lambda: MainContractCancelation(cancelation_date=date(2026, 1, 31), cancelation_reason_id=0, contract_id=1),
    "type": lambda: MainContractCancelation(cancelation_date="soon", cancelation_reason_id=1, contract_id=1),  # type: ignore[arg-type]
    "json": lambda: membership_sdk.from_json(MainContractCancelation, "{}"),
    "seconds": lambda: membership_sdk.deadline_scope(-1).__enter__(),
}


@goes_through("refuse", REFUSED)
def test_an_argument_that_the_sdk_refuses(refuse: Callable[[], object]) -> None:
    with pytest.raises((ValueError, TypeError)) as caught:
        refuse()
    problem = to_problem(caught.value)
    body = body_of(problem)
    assert (problem.status, body["detail"]) == (422, str(caught.value))
    assert (body["outcome"], body["retryable"]) == ("not_sent", False)


async def test_an_argument_of_a_call() -> None:
    async with CloudCockpitClient("tenant.example", "token", base_url="http://127.0.0.1:1") as client:
        error = await error_of(client.get_subscription(customer_id="x", subscription_id="y"))
    body = body_of(to_problem(error))
    assert body["detail"] == "customer_id must be a UUID, like 123e4567-e89b-42d3-a456-426614174000"


def _missing_argument() -> None:
    MainContractCancelation()  # type: ignore[call-arg]


FAULTS: dict[str, Callable[[], object]] = {
    "value": lambda: int("secret"),
    "type": _missing_argument,
    "json": lambda: json.loads("{secret"),
    "other": lambda: {}["secret"],
}


@goes_through("fault", FAULTS)
def test_a_fault_of_the_program_is_no_problem_of_who_asked(fault: Callable[[], object]) -> None:
    with pytest.raises(Exception) as caught:
        fault()
    with pytest.raises(type(caught.value)) as again:
        to_problem(caught.value)
    assert again.value is caught.value


async def test_the_log_has_what_the_answer_keeps_to_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answers = CannedAnswer(500, ENVELOPE), CannedAnswer(404, ENVELOPE)
    async with WireServer(*answers) as server, MembershipClient(server.url, "key") as client:
        failed, missing = await error_of(write(client)), await error_of(write(client))
    to_problem(failed)
    to_problem(missing)
    first, second = (record for record in caplog.records if record.name == "sdk_core.problem")
    assert (first.levelname, first.getMessage()) == ("WARNING", f"answered with status 502: {failed}")
    assert (second.levelname, second.getMessage()) == ("INFO", f"answered with status 404: {missing}")


THROTTLED = membership_sdk.ClientThrottledError("later", {"retry_after": 1.5, "outcome": "not_sent"})
MEMBERS: dict[str, tuple[Any, str]] = {
    "float": (THROTTLED.retry_after, "1.5"),
    "deep floats": ({"a": [1.5, (0.1, -0.0)]}, '{"a":[1.5,[0.1,-0.0]]}'),
    "large float": (1e300, "1E+300"),
    "Decimal": (Decimal("39.90"), "39.90"),
    "null": (None, "null"),
    "list": ([1, "x", True, None], '[1,"x",true,null]'),
    "date": (date(2026, 1, 31), '"2026-01-31"'),
    "enumeration": (Outcome.UNKNOWN, '"unknown"'),
    "model": (Money(amount=Decimal("20.50"), currency="EUR"), '{"amount":20.50,"currency":"EUR"}'),
}


@goes_through(("value", "text"), MEMBERS)
def test_members_may_be_any_json(value: Any, text: str) -> None:
    """Every digit of an amount is told, and seconds are floats."""
    assert f'"more":{text}'.encode() in to_problem(THROTTLED, more=value).body


def _endless() -> list[Any]:
    found: list[Any] = []
    found.append(found)
    return found


NO_JSON: dict[str, Any] = {
    "object": object(),
    "set": {1},
    "bytes": b"x",
    "nan": float("nan"),
    "deep infinity": {"a": [float("inf")]},
    "NaN": Decimal("NaN"),
    "half of a pair": "\ud800",
    "key": {1: 2},
    "naive": datetime(2026, 1, 31),  # noqa: DTZ001  that is the case
    "endless": _endless(),
    "error": ValueError(MARK),
}


@pytest.mark.parametrize("value", NO_JSON.values(), ids=NO_JSON)
def test_a_member_that_is_no_json_is_left_out(value: Any, caplog: pytest.LogCaptureFixture) -> None:
    """An answer without it is better than none: an error handler that fails hides the error. The log names it."""
    problem = to_problem(THROTTLED, more=value, detail=value, other=1)
    body = body_of(problem)
    assert "more" not in body
    assert (problem.status, body["detail"], body["other"]) == (503, "Nothing was changed.", 1)
    told = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert told == [
        f"left out of a problem's body: {name!r}, a {type(value).__name__} that is no JSON"
        for name in ("more", "detail")
    ]
    assert MARK not in caplog.text


def test_a_member_whose_name_is_no_json_is_left_out() -> None:
    members: Any = {"\ud800": 1}
    assert body_of(to_problem(THROTTLED, **members)) == body_of(to_problem(THROTTLED))


def test_both_sdks_offer_it() -> None:
    for name in ("Problem", "to_problem"):
        assert name in membership_sdk.__all__
        assert getattr(membership_sdk, name) is getattr(cloudcockpit_sdk, name)


def test_a_cancellation_goes_on() -> None:
    """Whoever asks for an answer to it: it is none of the SDK's errors."""
    cancelled: Any = asyncio.CancelledError()
    with pytest.raises(asyncio.CancelledError):
        to_problem(cancelled)
