"""What becomes of a call when it fails: every operation of both SDKs x every place where it can fail.

The expectations stand here once more, written from the documentation and not imported from the code: a change of
either shows.
"""

import asyncio
import json
import socket
from collections.abc import Awaitable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import pytest
from aiohttp import ClientSession
from attrs import frozen
from both_apis import APIS, Api, valid_arguments
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, WireServer

from membership_sdk import MembershipClient, VoidResult
from membership_sdk.operations import OPERATIONS as MEMBERSHIP
from sdk_core.client import Client
from sdk_core.errors import (
    ApiError,
    AuthenticationError,
    BadRequestError,
    CallTimeoutError,
    ConflictError,
    ConnectionFailedError,
    InvalidResponseError,
    NotFoundError,
    PermissionDeniedError,
    RateLimitError,
    SdkError,
    ServerError,
    ServiceUnavailableError,
)
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.retry import RetryPolicy

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")

# -- The two APIs ------------------------------------------------------------------------------------------------------

READ, IDEMPOTENT, WRITE = Effect

NOTHING_TOLD, RAW, LISTED = "nothing", "raw", "a bare list"
"""What the documented answer holds: nothing that is read, JSON of no documented shape, a list, or (None) an object."""

# What a call may change, and what its answer holds, as the documentation has it.
DOCUMENTED: dict[str, tuple[Effect, str | None]] = {
    "get_contract_data": (READ, LISTED),
    "create_contract_cancelation_amendment": (WRITE, NOTHING_TOLD),
    "get_contract_cancelation_reason_data": (READ, LISTED),
    "withdraw_contract_cancelation": (WRITE, NOTHING_TOLD),
    "get_idle_period_config": (READ, None),
    "validate_idle_period_request": (READ, None),
    "get_idle_periods": (READ, None),
    "create_idle_period_amendment": (WRITE, None),
    "get_idle_period_by_id": (READ, None),
    "update_idle_period": (WRITE, None),
    "withdraw_idle_period": (IDEMPOTENT, NOTHING_TOLD),
    "idle_period_update_preview": (READ, None),
    "get_remaining_idle_periods": (READ, None),
    "get_additional_modules": (READ, LISTED),
    "get_purchasable_additional_modules": (READ, LISTED),
    "validate_additional_module_contract_request": (READ, None),
    "purchase_additional_module_contract": (WRITE, None),
    "get_additional_module_contract": (READ, None),
    "create_module_contract_cancelation_amendment": (WRITE, NOTHING_TOLD),
    "withdraw_additional_module_contract_cancelation": (WRITE, NOTHING_TOLD),
    "list_customer_subscriptions": (READ, None),
    "list_subscriptions": (READ, None),
    "get_subscription": (READ, None),
    "update_subscription": (WRITE, NOTHING_TOLD),
    "cancel_subscription": (WRITE, NOTHING_TOLD),
    "suspend_subscription": (WRITE, NOTHING_TOLD),
    "reactivate_subscription": (WRITE, NOTHING_TOLD),
    "change_associated_reseller": (IDEMPOTENT, None),
    "change_price_margin": (IDEMPOTENT, NOTHING_TOLD),
    "change_po_number": (IDEMPOTENT, NOTHING_TOLD),
    "change_monthly_budget": (IDEMPOTENT, NOTHING_TOLD),
    "list_eligible_transitions": (READ, LISTED),
    "upgrade_subscription": (WRITE, NOTHING_TOLD),
    "get_migration_status": (READ, None),
    "start_migration": (WRITE, NOTHING_TOLD),
    "list_azure_entitlements": (READ, LISTED),
    "list_eligible_for_upgrade": (READ, LISTED),
    "get_custom_term_end_dates": (READ, RAW),
    "grant_owner_access": (IDEMPOTENT, NOTHING_TOLD),
    "list_audit_logs": (READ, None),
}


def test_every_operation_is_what_the_documentation_says() -> None:
    """What it may change decides what is repeated: a slip here would do something twice."""
    declared = {operation.name: operation.effect for api in APIS for operation in api.operations}
    assert declared == {name: effect for name, (effect, _) in DOCUMENTED.items()}


# -- The table ---------------------------------------------------------------------------------------------------------

NOT_SENT, REJECTED, UNKNOWN, APPLIED = Outcome.NOT_SENT, Outcome.REJECTED, Outcome.UNKNOWN, Outcome.APPLIED

REFUSED = object()
"""Nobody listens."""
ENVELOPE = object()
"""The body is the API's own error envelope."""
LONG_ENVELOPE = object()
"""The same with so much white space that it is not read."""
PAGE = "<html>Bad gateway</html>"


@frozen
class Case:
    """What the server does, and what is to come of it with three attempts allowed."""

    name: str
    step: Any
    error: type[SdkError]
    outcome: Outcome
    repeated: int
    """Attempts of a READ or IDEMPOTENT operation."""
    written: int
    """Attempts of a WRITE."""
    only: str | None = None
    """The API it is true of; None: both."""
    success_if: frozenset[str] = frozenset()
    """The answers (as in DOCUMENTED) for which it is a success after all."""
    stalls: bool = False
    """Whether it takes as long as the attempt timeout."""


def _status(
    status: int,
    error: type[ApiError],
    outcome: Outcome,
    repeated: int,
    written: int,
    *,
    body: Any = ENVELOPE,
    only: str | None = None,
    **headers: str,
) -> Case:
    kind = {ENVELOPE: "envelope", LONG_ENVELOPE: "long-envelope"}.get(body, "page")
    notes = [str(status), kind, *headers.values(), *([only] if only else [])]
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return Case("-".join(notes), CannedAnswer(status, body, headers), error, outcome, repeated, written, only)


_CUT_HEAD = Raw(b"HTTP/1.1 200 OK\r\nContent-Le")
_HALF_A_BODY = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"id"'
_NO_GZIP = Raw(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope")
_LARGE_HEAD = Raw(b"HTTP/1.1 200 OK\r\nX: " + bytes(2**16).replace(b"\0", b"x") + b"\r\n\r\n")
_HALF_AN_ERROR = _HALF_A_BODY.replace(b"200 OK", b"404 Not Found")

_VOID = frozenset({NOTHING_TOLD})

CASES = (
    # Below HTTP.
    Case("refused", REFUSED, ConnectionFailedError, NOT_SENT, 3, 3),
    Case("dropped", DROP, ConnectionFailedError, UNKNOWN, 3, 1),
    Case("cut-in-head", _CUT_HEAD, ConnectionFailedError, UNKNOWN, 3, 1),
    Case("cut-in-body", Raw(_HALF_A_BODY), ConnectionFailedError, UNKNOWN, 3, 1),
    Case("no-http", Raw(b"SSH-2.0-OpenSSH_9\r\n\r\n"), ConnectionFailedError, UNKNOWN, 3, 1),
    Case("broken-gzip", _NO_GZIP, InvalidResponseError, UNKNOWN, 1, 1),
    Case("large-head", _LARGE_HEAD, InvalidResponseError, UNKNOWN, 1, 1),
    Case("stalled", STALL, CallTimeoutError, UNKNOWN, 3, 1, stalls=True),
    Case("stalled-in-body", Raw(_HALF_A_BODY, close=False), CallTimeoutError, UNKNOWN, 3, 1, stalls=True),
    # Over HTTP. Refusals: each API documents its own reasons to try again, and only its own envelope proves it spoke.
    _status(400, BadRequestError, REJECTED, 1, 1),
    _status(400, BadRequestError, REJECTED, 1, 1, body=PAGE),
    _status(401, AuthenticationError, REJECTED, 1, 1),
    _status(403, PermissionDeniedError, REJECTED, 1, 1),
    _status(404, NotFoundError, REJECTED, 1, 1),
    _status(404, NotFoundError, REJECTED, 1, 1, body=PAGE),
    Case("404-cut-in-body", Raw(_HALF_AN_ERROR), NotFoundError, REJECTED, 1, 1),
    # A thing in between that gave up on a request it may have forwarded.
    *(_status(status, ApiError, UNKNOWN, 3, 1, body=PAGE) for status in (408, 460, 499)),
    *(_status(status, ApiError, REJECTED, 1, 1) for status in (408, 460, 499)),
    *(_status(status, ApiError, REJECTED, 1, 1, body=body) for status in (413, 431) for body in (ENVELOPE, PAGE)),
    _status(409, ConflictError, REJECTED, 3, 3, only="membership"),
    _status(409, ConflictError, REJECTED, 1, 1, only="cloudcockpit"),
    _status(409, ConflictError, REJECTED, 1, 1, body=PAGE),
    _status(418, ApiError, REJECTED, 1, 1),
    # Nobody knows whose words they are that were not read.
    _status(400, BadRequestError, REJECTED, 1, 1, body=LONG_ENVELOPE),
    _status(408, ApiError, UNKNOWN, 3, 1, body=LONG_ENVELOPE),
    _status(409, ConflictError, REJECTED, 1, 1, body=LONG_ENVELOPE),
    _status(503, ServiceUnavailableError, UNKNOWN, 3, 1, body=LONG_ENVELOPE),
    _status(429, RateLimitError, REJECTED, 3, 3),
    _status(429, RateLimitError, REJECTED, 3, 3, body=PAGE),
    _status(429, RateLimitError, REJECTED, 3, 3, Retry_After="2"),
    _status(503, ServiceUnavailableError, REJECTED, 3, 3, only="membership"),
    _status(503, ServiceUnavailableError, UNKNOWN, 3, 1, only="cloudcockpit"),
    _status(503, ServiceUnavailableError, UNKNOWN, 3, 1, body=PAGE),
    # Server errors.
    *(_status(status, ServerError, UNKNOWN, 3, 1) for status in (500, 502, 504)),
    *(_status(status, ServerError, UNKNOWN, 3, 1, body=PAGE) for status in (500, 502, 504)),
    *(_status(status, ServerError, UNKNOWN, 3, 1, body=PAGE) for status in (520, 524, 527)),
    *(_status(status, ServerError, UNKNOWN, 1, 1) for status in (501, 528)),
    # Successes that are none.
    Case("200-garbage", CannedAnswer(body=b"\x00\xff\xfe"), InvalidResponseError, UNKNOWN, 1, 1),
    Case("200-html", CannedAnswer(body=PAGE, content_type="text/html"), InvalidResponseError, UNKNOWN, 1, 1),
    Case("200-half-json", CannedAnswer(body='{"items": ['), InvalidResponseError, UNKNOWN, 1, 1),
    Case("200-empty", CannedAnswer(), InvalidResponseError, UNKNOWN, 1, 1, success_if=_VOID | {LISTED}),
    Case("204", Raw(b"HTTP/1.1 204 X\r\n\r\n"), InvalidResponseError, UNKNOWN, 1, 1, success_if=_VOID | {LISTED}),
    Case("200-other-shape", CannedAnswer(body="42"), InvalidResponseError, APPLIED, 1, 1, success_if=_VOID | {RAW}),
    Case("302", CannedAnswer(302, headers={"Location": "/elsewhere"}), InvalidResponseError, UNKNOWN, 1, 1),
)


_BELOW_HTTP: Final = [case.name for case in CASES].index("large-head")


def _kind(operation: Operation[Any]) -> tuple[object, ...]:
    """What decides how a failure is treated, besides the API."""
    body = "multipart" if operation.multipart else operation.body is not None
    return operation.effect, body, DOCUMENTED[operation.name][1]


def _representatives(operations: tuple[Operation[Any], ...]) -> frozenset[str]:
    """One operation of each kind: a stall takes real time, and is not tried with each of them."""
    return frozenset({_kind(operation): operation.name for operation in operations}.values())


def _tried(api: Api, case: Case) -> tuple[Operation[Any], ...]:
    """Return the operations that a case is tried with."""
    if case.only not in {None, api.name}:
        return ()
    representatives = _representatives(api.operations)
    return tuple(it for it in api.operations if not case.stalls or it.name in representatives)


def _step(api: Api, case: Case) -> Any:
    if not isinstance(case.step, CannedAnswer) or case.step.body not in {ENVELOPE, LONG_ENVELOPE}:
        return case.step
    space = "" if case.step.body is ENVELOPE else " " * 2**16
    return CannedAnswer(case.step.status, json.dumps(api.envelope) + space, case.step.headers)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_the_table_holds(case: Case) -> None:
    """Requests on the wire, class, outcome, retryable and the count of attempts, for each operation and failure."""
    tried = [(api, _tried(api, case)) for api in APIS]
    if case.stalls:
        await asyncio.gather(*(_assert_rows_hold(api, [it], case) for api, operations in tried for it in operations))
    else:
        for api, operations in tried:
            await _assert_rows_hold(api, operations, case)


@pytest.mark.parametrize("case", CASES[:_BELOW_HTTP], ids=lambda case: case.name)
async def test_the_table_holds_for_a_session_of_the_caller_s(case: Case) -> None:
    """Of its connections nothing is known but what aiohttp's errors tell."""
    async with ClientSession() as session:
        for api in APIS:
            kinds = _representatives(api.operations)
            tried = [operation for operation in api.operations if operation.name in kinds]
            await _assert_rows_hold(api, tried, case, session=session)


async def _assert_rows_hold(api: Api, operations: Iterable[Operation[Any]], case: Case, **options: Any) -> None:
    fake_time = FakeTime()
    policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    limit = 0.2 if case.stalls else 30
    with _nobody() as nobody:
        async with WireServer(_step(api, case)) as server:
            url = nobody if case.step is REFUSED else server.url
            async with api.client(url, retry=policy, attempt_timeout=limit, total_timeout=1000, **options) as client:
                for operation in operations:
                    server.requests.clear()
                    await _assert_row_holds(client, operation, case, server)


async def _assert_row_holds(client: Client, operation: Operation[Any], case: Case, server: WireServer) -> None:
    effect, answer = DOCUMENTED[operation.name]
    # A READ has no effect, whatever the server answers.
    outcome = REJECTED if case.outcome is APPLIED and effect is READ else case.outcome
    attempts = case.written if effect is WRITE else case.repeated
    call = client.call(operation, **valid_arguments(operation))
    if answer in case.success_if:
        await call
        assert len(server.requests) == 1, operation.name
        return
    try:
        error = await _failure(call)
    except BaseException as unexpected:
        unexpected.add_note(operation.name)
        raise

    assert type(error) is case.error, operation.name
    assert error.outcome is outcome, operation.name
    assert error.retryable is (attempts > 1), operation.name
    assert len(error.attempts) == attempts, operation.name
    assert len(server.requests) == (0 if case.step is REFUSED else attempts), operation.name
    _assert_counts_agree(error, server)


def _assert_counts_agree(error: SdkError, server: WireServer) -> None:
    assert len(server.requests) == sum(attempt.outcome is not NOT_SENT for attempt in error.attempts)
    assert [attempt.number for attempt in error.attempts] == list(range(1, len(error.attempts) + 1))
    plural = "" if len(error.attempts) == 1 else "s"
    assert f"; {len(error.attempts)} attempt{plural};" in str(error)


async def _failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


@contextmanager
def _nobody() -> Iterator[str]:
    """Give the URL of a port that is taken, so that nobody else gets it, but where nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"


# -- Attempts of different kinds in one call ---------------------------------------------------------------------------


async def test_error_counts_attempts_of_every_kind(fake_time: FakeTime) -> None:
    """Dropped, 500, 429, 404: the error tells them all, in order, with the delays before them."""
    async with WireServer(
        DROP, CannedAnswer(500), CannedAnswer(429, headers={"Retry-After": "3"}), CannedAnswer(404)
    ) as server:
        policy = RetryPolicy(max_attempts=9, sleep=fake_time.sleep, clock=fake_time.clock)
        async with MembershipClient(server.url, "key", retry=policy) as client:
            error = await _failure(client.get_contract_data(customer_id=7))
        _assert_counts_agree(error, server)
    assert [attempt.status for attempt in error.attempts] == [None, 500, 429, 404]
    assert [attempt.error is None for attempt in error.attempts] == [False, True, True, True]
    assert [attempt.outcome for attempt in error.attempts] == [UNKNOWN, UNKNOWN, REJECTED, REJECTED]
    assert [attempt.delay for attempt in error.attempts] == [0, *(round(delay, 3) for delay in fake_time.sleeps)]
    assert error.outcome is REJECTED


async def test_write_is_repeated_after_refusals_but_not_beyond_an_unknown_outcome(fake_time: FakeTime) -> None:
    """409, then 500: the second attempt of the WRITE may have happened, so there is no third."""
    conflict = CannedAnswer(409, APIS[0].envelope)
    async with WireServer(conflict, CannedAnswer(500), CannedAnswer()) as server:
        policy = RetryPolicy(max_attempts=9, sleep=fake_time.sleep, clock=fake_time.clock)
        async with MembershipClient(server.url, "key", retry=policy) as client:
            error = await _failure(client.withdraw_contract_cancelation(customer_id=7, contract_id=8))
        _assert_counts_agree(error, server)
    assert [attempt.status for attempt in error.attempts] == [409, 500]
    assert error.outcome is UNKNOWN


async def test_write_that_was_refused_at_first_succeeds(fake_time: FakeTime) -> None:
    """The same request, byte for byte, goes out again after a concurrent modification."""
    conflict = CannedAnswer(409, APIS[0].envelope)
    async with WireServer(conflict, conflict, CannedAnswer(body={"success": True})) as server:
        policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
        async with MembershipClient(server.url, "key", retry=policy) as client:
            operation = next(o for o in MEMBERSHIP if o.body is not None and o.effect is WRITE and not o.multipart)
            reply = await client.call_with_reply(operation, **valid_arguments(operation))
    assert [attempt.status for attempt in reply.attempts] == [409, 409, 200]
    assert reply.attempts[-1].outcome is None
    assert len({(r.method, r.target, r.body) for r in server.requests}) == 1


async def test_conflict_codes_of_an_operation_decide(fake_time: FakeTime) -> None:
    """R-02: a 409 is repeated for the codes an operation lists, and for no others."""
    operation = Operation(
        name="lock_thing",
        method="POST",
        path="/v1/things",
        returns=VoidResult,
        effect=WRITE,
        retry_conflict=frozenset({"LOCKED"}),
    )
    for code, requests in (("LOCKED", 3), ("OTHER", 1), (None, 1)):
        async with WireServer(CannedAnswer(409, {"errorMessage": "no", "errorCode": code})) as server:
            policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
            async with MembershipClient(server.url, "key", retry=policy) as client:
                await _failure(client.call(operation))
            assert len(server.requests) == requests, code
