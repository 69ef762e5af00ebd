"""When a call is tried again, how long is waited before, and what comes out in the end."""

import asyncio
import math
import random
import sys
import threading
import traceback
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from fuzz import fuzzed
from hypothesis import example, given
from hypothesis import strategies as st
from wire import DROP, STALL, CannedAnswer, FakeTime, Raw, Step, WireRequest, WireServer, patience

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from membership_sdk.models import VoidResult
from sdk_core.errors import ApiError, ConflictError, NotFoundError, RateLimitError, SdkError, ServerError
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.retry import Retries, RetryBudget, RetryPolicy, parse_retry_after, retry_after_of

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
PUT = Operation(name="put_it", method="PUT", path="/it", returns=VoidResult, effect=Effect.IDEMPOTENT)
WRITE = Operation(name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE)

NOW = 1_800_000_000.0
"""Friday, 15 January 2027, 08:00:00 GMT: the wall clock of these tests."""


def policy(time: FakeTime, **changes: Any) -> RetryPolicy:
    return RetryPolicy(**{"sleep": time.sleep, "clock": time.clock, "wall_clock": lambda: NOW, **changes})


def membership(server: WireServer, retry: RetryPolicy, **options: Any) -> MembershipClient:
    return MembershipClient(server.url, "key", retry=retry, **{"total_timeout": 1000, **options})


def cloudcockpit(server: WireServer, retry: RetryPolicy, **options: Any) -> CloudCockpitClient:
    options = {"token": "t", "total_timeout": 1000, **options}
    return CloudCockpitClient("tenant.example", base_url=server.url, retry=retry, **options)


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


# -- Retry-After (R-01) ------------------------------------------------------------------------------------------------

HINTS = {
    "0": 0.0,
    "5": 5.0,
    "1.5": 1.5,
    "120": 120.0,
    "121": 121.0,
    "86400": 86400.0,
    "-5": None,
    "nan": None,
    "inf": None,
    "1e999": None,
    "": None,
    "soon": None,
    "5 s": None,
    "²": None,
    formatdate(NOW - 61, usegmt=True): None,
    formatdate(NOW - 60, usegmt=True): 0.0,
    formatdate(NOW - 1, usegmt=True): 0.0,
    formatdate(NOW, usegmt=True): 0.0,
    formatdate(NOW + 30, usegmt=True): 30.0,  # RFC 1123
    "Friday, 15-Jan-27 08:00:30 GMT": 30.0,  # RFC 850
    "Fri Jan 15 08:00:30 2027": 30.0,  # asctime
    "Fri, 31 Dec 9999 23:59:59 GMT": datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC).timestamp() - NOW,
    "Fri, 31 Dec 99999 23:59:59 GMT": None,
    "Fri, 99 Foo 2027 08:00:00 GMT": None,
}


@goes_through(("text", "delay"), HINTS.items())
def test_retry_after_is_read(text: str, delay: float | None) -> None:
    """Seconds and the three forms of an HTTP-date; what says nothing usable gives no hint."""
    assert parse_retry_after(text, now=NOW) == delay


def test_no_retry_after_is_no_hint() -> None:
    assert retry_after_of(429, {}, now=NOW) is None


_DATE_LIKE = st.lists(
    st.sampled_from(["Fri,", "Jan", "15", "2027", "08:00:30", "GMT", "-0000", "+9999", "99", ":", ".", "-", "9" * 20]),
    max_size=9,
).map(" ".join)


@fuzzed(25)
@given(text=st.one_of(st.text(max_size=40), _DATE_LIKE, st.floats().map(str), st.integers().map(str)), now=st.floats())
@example(text="Fri, 15 Jan 2027 08:00:30 +9999", now=NOW)
@example(text="1" * 5000, now=NOW)
def test_retry_after_never_raises(text: str, now: float) -> None:
    """Whatever a server sends: None, or a finite number of seconds from 0."""
    delay = parse_retry_after(text, now=now)
    assert delay is None or 0 <= delay < float("inf")


@pytest.mark.parametrize(("text", "delay"), HINTS.items())
async def test_retry_after_is_sat_out_or_raised(text: str, delay: float | None, fake_time: FakeTime) -> None:
    """Up to `max_retry_after` (inclusive) it is waited, never less; a longer one is raised at once with `.retry_after`;
    without a usable one the client backs off."""
    headers = {"Retry-After": text.encode().decode("latin-1")}
    async with (
        WireServer(CannedAnswer(429, headers=headers), CannedAnswer()) as server,
        cloudcockpit(server, policy(fake_time, backoff_base=0.25)) as client,
    ):
        if delay is not None and delay > 120:
            error = await failure(client.call(READ))
            assert isinstance(error, RateLimitError)
            assert error.retry_after == delay
            assert error.retryable
            assert (fake_time.sleeps, len(server.requests)) == ([], 1)
            return
        reply = await client.call_with_reply(READ)
    [slept] = fake_time.sleeps
    least, most = (0, 0.25) if delay is None else (delay, delay + min(1, delay / 10))
    assert least <= slept <= most
    assert [attempt.delay for attempt in reply.attempts] == [0, slept]


async def test_retry_after_counts_on_every_status_that_is_repeated(fake_time: FakeTime) -> None:
    """Not on 429 alone: a 503 may name a delay as well, and a date is measured by the wall clock."""
    headers = {"Retry-After": formatdate(NOW + 30, usegmt=True)}
    async with (
        WireServer(CannedAnswer(503, headers=headers), CannedAnswer()) as server,
        membership(server, policy(fake_time)) as client,
    ):
        await client.call(READ)
    assert 30 <= fake_time.sleeps[0] <= 31


@pytest.mark.parametrize("total_timeout", [9.9, 4])
async def test_retry_after_beyond_the_deadline_is_raised_at_once(total_timeout: float, fake_time: FakeTime) -> None:
    """A wait that can't end in time is not begun, and the queue learns how long it would have been."""
    async with WireServer(CannedAnswer(429, headers={"Retry-After": "10"})) as server:
        async with cloudcockpit(server, policy(fake_time), total_timeout=total_timeout) as client:
            error = await failure(client.call(READ))
        assert len(server.requests) == 1
    assert type(error) is RateLimitError
    assert (error.retry_after, fake_time.sleeps) == (10, [])


async def test_jitter_leaves_time_for_the_attempt(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is waited on top of Retry-After must not eat up the time that is left: the next attempt has to be made."""
    monkeypatch.setattr(random, "random", lambda: 0.999)
    async with WireServer(CannedAnswer(429, headers={"Retry-After": "10"}), CannedAnswer()) as server:
        async with cloudcockpit(server, policy(fake_time), total_timeout=10.5) as client:
            await client.call(READ)
        assert len(server.requests) == 2


async def test_429_without_a_delay_waits_as_the_api_implies(fake_time: FakeTime) -> None:
    """Membership refuses the whole next minute and says so nowhere: 60 s. CloudCockpit documents nothing: back-off."""
    for make, least, most in ((membership, 60, 61), (cloudcockpit, 0, 0.5)):
        async with WireServer(CannedAnswer(429), CannedAnswer()) as server:
            async with make(server, policy(fake_time)) as client:
                await client.call(WRITE)
            assert len(server.requests) == 2
        assert least <= fake_time.sleeps.pop() <= most


async def test_rate_limit_wait_of_the_policy_wins(fake_time: FakeTime) -> None:
    """`rate_limit_wait` replaces what the API implies, and a Retry-After replaces both."""
    for headers, wait in (({}, 7), ({"Retry-After": "3"}, 3)):
        async with (
            WireServer(CannedAnswer(429, headers=headers), CannedAnswer()) as server,
            membership(server, policy(fake_time, rate_limit_wait=7)) as client,
        ):
            await client.call(READ)
        assert wait <= fake_time.sleeps.pop() <= wait * 1.1


async def test_blocked_minute_that_does_not_fit_is_raised(fake_time: FakeTime) -> None:
    """A web application with a total timeout of 10 s gets the 429 at once, with the minute in `.retry_after`."""
    async with WireServer(CannedAnswer(429)) as server:
        async with membership(server, policy(fake_time), total_timeout=10) as client:
            error = await failure(client.call(READ))
        assert len(server.requests) == 1
    assert (error.retry_after, fake_time.sleeps) == (60, [])


# -- Back-off and the number of attempts (R-08) ------------------------------------------------------------------------


async def test_backoff_is_capped_exponential_with_full_jitter() -> None:
    """Delays fill the whole range from 0 to base * 2^(n-1), and never leave it or pass the cap."""
    tries = RetryPolicy(max_attempts=10**7, backoff_base=0.5, backoff_cap=20, budget=None)
    error = ServerError("status 500", {"retryable": True})
    for number, most in ((1, 0.5), (2, 1), (3, 2), (6, 16), (7, 20), (50, 20), (10**6, 20)):
        delays: list[float] = []
        for _ in range(300):
            retries = Retries(tries, deadline=math.inf)
            retries._state.attempt_number = number
            delays.append(retries.delay_after(error) or 0.0)
        assert 0 <= min(delays) < most * 0.1
        assert most * 0.9 < max(delays) <= most


async def test_backoff_grows_from_attempt_to_attempt(fake_time: FakeTime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The n-th retry waits for the n-th delay; the last failure is raised without another wait."""
    monkeypatch.setattr(random, "uniform", lambda _low, high: high)
    async with WireServer(CannedAnswer(502)) as server:
        async with membership(server, policy(fake_time, max_attempts=6, backoff_cap=5)) as client:
            await failure(client.call(READ))
        assert len(server.requests) == 6
    assert fake_time.sleeps == [0.5, 1, 2, 4, 5]


FAILURES: dict[str, Step] = {
    "dropped": DROP,
    "cut": Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"),
    "stalled": STALL,
    "401": CannedAnswer(401),
    "409": CannedAnswer(409, {"errorMessage": "no"}),
    "429": CannedAnswer(429),
    "429-hint": CannedAnswer(429, headers={"Retry-After": "0"}),
    "500": CannedAnswer(500),
    "503": CannedAnswer(503, {"errorMessage": "no"}),
}


@goes_through("step", FAILURES)
@goes_through("operation", [READ, PUT, WRITE])
async def test_policy_none_sends_exactly_once(operation: Operation[Any], step: Step) -> None:
    """For workers whose queue retries: one request whatever happens, a 401 that a new token could cure included."""
    async with WireServer(step) as server:
        options = {"attempt_timeout": patience(step)}
        async with membership(server, RetryPolicy.none(), **options) as client:
            error = await failure(client.call(operation))
        assert (len(error.attempts), len(server.requests)) == (1, 1)

        tokens: list[str] = []
        async with cloudcockpit(server, RetryPolicy.none(), token=_counting(tokens), **options) as client:
            error = await failure(client.call(operation))
        assert (len(error.attempts), len(server.requests)) == (1, 2)
        assert len(tokens) == 1


def _counting(tokens: list[str]) -> Callable[[], Awaitable[str]]:
    async def provide() -> str:
        tokens.append(f"token{len(tokens)}")
        return tokens[-1]

    return provide


async def test_401_costs_no_attempt_and_no_wait(fake_time: FakeTime) -> None:
    """A fresh token is tried once, at once, for a WRITE too; a second 401 is final."""
    for second, requests in ((CannedAnswer(), 2), (CannedAnswer(401), 2)):
        tokens: list[str] = []
        async with WireServer(CannedAnswer(401), second) as server:
            async with cloudcockpit(server, policy(fake_time), token=_counting(tokens)) as client:
                result = await asyncio.gather(client.call(WRITE), return_exceptions=True)
            assert len(server.requests) == requests
            assert [request.headers["authorization"] for request in server.requests] == [
                "Bearer token0",
                "Bearer token1",
            ]
        assert fake_time.sleeps == []
    assert isinstance(result[0], ApiError)
    assert (result[0].status, len(result[0].attempts)) == (401, 2)


async def test_concurrent_failing_calls_have_their_own_attempts(fake_time: FakeTime) -> None:
    """50 calls at once each get their three attempts; a shared tenacity object would share out the count."""
    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, policy(fake_time, budget=None)) as client:
            errors = await asyncio.gather(*(failure(client.call(READ)) for _ in range(50)))
        assert len(server.requests) == 150
    assert {len(error.attempts) for error in errors} == {3}
    assert len({error.correlation_id for error in errors}) == 50


def test_calls_that_fail_in_turns_are_counted_apart() -> None:
    """In one thread and in several: each has the retries of its own policy, ."""
    error = ServerError("status 500", {"retryable": True, "operation": "read_it", "correlation_id": "c"})
    counts: list[list[int]] = []

    def fail_in_turns() -> None:
        attempts = range(1, 6)
        calls = [Retries(RetryPolicy(max_attempts=n, budget=None, backoff_base=n), deadline=math.inf) for n in attempts]
        retries = [0 for _ in calls]
        for _ in attempts:
            for n, call in enumerate(calls):
                delay = call.delay_after(error)
                if delay is not None:
                    assert 0 <= delay <= (n + 1) * 2 ** retries[n]
                    retries[n] += 1
        counts.append(retries)

    threads = [threading.Thread(target=fail_in_turns) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == [[0, 1, 2, 3, 4]] * 4


@goes_through("max_attempts", [0, -1, True, 1.5, "3"])
def test_max_attempts_is_a_positive_whole_number(max_attempts: Any) -> None:
    with pytest.raises(ValueError, match="max_attempts"):
        RetryPolicy(max_attempts=max_attempts)


# -- The retry budget (R-09) -------------------------------------------------------------------------------------------


async def test_exhausted_budget_raises_the_original_error(fake_time: FakeTime) -> None:
    """In an outage the retries stop after the bucket is empty; the error is the same, and tells why."""
    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, policy(fake_time, budget=RetryBudget(3, 0))) as client:
            errors = [await failure(client.call(READ)) for _ in range(4)]
        assert len(server.requests) == 4 + 3
    assert [(type(error), error.retries_suppressed, len(error.attempts)) for error in errors] == [
        (ServerError, False, 3),
        (ServerError, True, 2),
        (ServerError, True, 1),
        (ServerError, True, 1),
    ]
    assert all(error.retryable for error in errors)


async def test_budget_bounds_a_storm(fake_time: FakeTime) -> None:
    """R-09: 1000 calls into an outage make no more than 1000 requests and the bucket's worth of retries."""
    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, policy(fake_time)) as client:
            await asyncio.gather(*(failure(client.call(READ)) for _ in range(1000)))
        assert len(server.requests) == 1000 + 100


async def test_budget_refills_by_successes(fake_time: FakeTime) -> None:
    """Ten successes earn one retry; failures earn nothing; it never holds more than its capacity."""
    outage = True
    async with (
        WireServer(lambda _request: CannedAnswer(500) if outage else CannedAnswer()) as server,
        membership(server, policy(fake_time, budget=RetryBudget(1, 0.125), max_attempts=2)) as client,
    ):

        async def attempts() -> int:
            return len((await failure(client.call(READ))).attempts)

        assert [await attempts() for _ in range(3)] == [2, 1, 1]
        for successes, then in ((7, [1]), (1, [2, 1]), (99, [2, 1])):
            outage = False
            for _ in range(successes):
                await client.call(READ)
            outage = True
            assert [await attempts() for _ in then] == then


async def test_budget_is_per_policy(fake_time: FakeTime) -> None:
    """Two clients with policies of their own do not share a bucket; those with one policy do."""
    async with WireServer(CannedAnswer(500)) as server:
        shared = policy(fake_time, budget=RetryBudget(1, 0), max_attempts=2)
        own = policy(fake_time, max_attempts=2)
        counts = []
        for retry in (shared, shared, own):
            async with membership(server, retry) as client:
                counts.append(len((await failure(client.call(READ))).attempts))
    assert counts == [2, 1, 2]


# -- What is raised, cancellation (R-12) ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "step", [*FAILURES.values(), CannedAnswer(body="nope"), CannedAnswer(302)], ids=[*FAILURES, "junk", "302"]
)
async def test_no_foreign_exception_escapes(step: Step, fake_time: FakeTime) -> None:
    """Neither the error nor its causes, nor what a traceback prints, come from tenacity, aiohttp or cattrs."""
    async with (
        WireServer(step) as server,
        membership(server, policy(fake_time), attempt_timeout=patience(step)) as client,
    ):
        error = await failure(client.call(READ))
    chain: list[BaseException] = []
    link: BaseException | None = error
    while link is not None:
        chain.append(link)
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    assert {type(item).__module__.partition(".")[0] for item in chain} <= {"sdk_core", "builtins"}
    assert "RetryError" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("effect", list(Effect))
async def test_failure_is_told_where_nothing_can_be_imported_any_more(
    effect: Effect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no file can be opened any more, neither a connection nor a module can be: the call says what it knows."""
    operation = Operation(name="do_it", method="POST", path="/it", returns=object, effect=effect)
    # A policy that no other test has: what tenacity makes for it is not there yet.
    async with WireServer(CannedAnswer(429)) as server, membership(server, RetryPolicy(max_attempts=17)) as client:
        monkeypatch.setitem(sys.modules, "tenacity", None)
        error = await failure(client.call(operation))
    assert isinstance(error, RateLimitError)
    assert (len(error.attempts), error.outcome, error.retryable) == (1, Outcome.REJECTED, True)


async def test_cancellation_during_backoff_sends_nothing_more() -> None:
    """A cancelled call ends as cancelled, at once, and the retry it waited for never happens."""
    asleep = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, RetryPolicy(sleep=sleep)) as client:
            call = asyncio.create_task(client.call(READ))
            await asleep.wait()
            call.cancel()
            with pytest.raises(asyncio.CancelledError):
                await call
            await asyncio.sleep(0.02)
        assert len(server.requests) == 1


async def test_timeout_around_a_call_that_backs_off() -> None:
    """`asyncio.timeout()` works around a call, which does not swallow the cancellation."""
    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, RetryPolicy(backoff_base=60, backoff_cap=60, max_attempts=9)) as client:
            with pytest.raises(TimeoutError) as caught:
                async with asyncio.timeout(0.05):
                    await client.call(READ)
        assert len(server.requests) <= 2
    assert not isinstance(caught.value, SdkError)


async def test_mistake_in_the_injected_sleep_is_not_hidden() -> None:
    """Only SDK errors are repeated: a bug of the caller's comes out as it is."""

    async def sleep(_seconds: float) -> None:
        raise LookupError("bug")

    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server, RetryPolicy(sleep=sleep)) as client:
            with pytest.raises(LookupError):
                await client.call(READ)
        assert len(server.requests) == 1


# -- Refusals that our own earlier attempt has caused (R-03) -----------------------------------------------------------


@pytest.mark.parametrize("first", [DROP, CannedAnswer(500)], ids=["dropped", "500"])
@pytest.mark.parametrize(("status", "kind"), [(409, ConflictError), (404, NotFoundError)])
async def test_refused_replay_may_be_our_own_doing(
    first: Step, status: int, kind: type[ApiError], fake_time: FakeTime
) -> None:
    """The first attempt may have done it: the 409 or 404 that answers the replay does not say "nothing happened"."""
    operation = Operation(
        name="delete_it",
        method="DELETE",
        path="/it",
        returns=VoidResult,
        effect=Effect.IDEMPOTENT,
        retry_conflict=True,
    )
    async with WireServer(first, CannedAnswer(status, {"errorMessage": "no"}), CannedAnswer()) as server:
        async with membership(server, policy(fake_time)) as client:
            error = await failure(client.call(operation))
        assert len(server.requests) == 2
    assert type(error) is kind
    assert error.maybe_own_previous_attempt
    assert error.outcome is Outcome.UNKNOWN
    assert not error.retryable
    assert "earlier attempt" in str(error)


class IdlePeriods:
    """A server that withdraws an idle period once; then there is none. The first answer may get lost."""

    def __init__(self, first_answer: Step, *, applied: bool) -> None:
        self.first_answer = first_answer
        self.applied = applied
        self.periods = {"/v1/memberships/1/self-service/idle-periods/2"}
        self.withdrawn: list[str] = []
        self.asked = 0

    def __call__(self, request: WireRequest) -> Step:
        assert request.method == "DELETE"
        self.asked += 1
        if self.asked == 1 and not self.applied:
            return self.first_answer
        if request.target not in self.periods:
            return CannedAnswer(404, {"errorMessage": "no such idle period", "errorCode": "NOT_FOUND"})
        self.periods.remove(request.target)
        self.withdrawn.append(request.target)
        return self.first_answer if self.asked == 1 else CannedAnswer(body={})


LOST = {"dropped": DROP, "500": CannedAnswer(500), "502": CannedAnswer(502, "<html>")}


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
async def test_withdrawal_whose_answer_got_lost_may_be_the_404s_reason(answer: Step, fake_time: FakeTime) -> None:
    """The DELETE took effect, its replay finds nothing: a NotFoundError that does not claim that nothing happened."""
    api = IdlePeriods(answer, applied=True)
    async with WireServer(api) as server, membership(server, policy(fake_time)) as client:
        error = await failure(client.withdraw_idle_period(contract_id=1, idle_period_id=2))
    assert (api.asked, len(api.withdrawn)) == (2, 1)
    assert isinstance(error, NotFoundError)
    assert error.maybe_own_previous_attempt
    assert (error.outcome, error.retryable, error.code) == (Outcome.UNKNOWN, False, "NOT_FOUND")
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN, Outcome.REJECTED]


@pytest.mark.parametrize("answer", LOST.values(), ids=LOST)
async def test_withdrawal_that_did_not_arrive_is_repeated(answer: Step, fake_time: FakeTime) -> None:
    """Withdrawing is the same once or twice, so the replay is sent, and its success is the call's."""
    api = IdlePeriods(answer, applied=False)
    async with WireServer(api) as server, membership(server, policy(fake_time)) as client:
        assert await client.withdraw_idle_period(contract_id=1, idle_period_id=2) == VoidResult()
    assert (api.asked, len(api.withdrawn)) == (2, 1)


async def test_withdrawal_of_nothing_is_a_plain_404(fake_time: FakeTime) -> None:
    """Without an earlier attempt there is nothing that could have caused it."""
    api = IdlePeriods(CannedAnswer(body={}), applied=True)
    async with WireServer(api) as server, membership(server, policy(fake_time)) as client:
        error = await failure(client.withdraw_idle_period(contract_id=1, idle_period_id=3))
    assert isinstance(error, NotFoundError)
    assert not error.maybe_own_previous_attempt
    assert (error.outcome, api.asked) == (Outcome.REJECTED, 1)


IDS: dict[str, Any] = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}
SETTERS: dict[str, tuple[Callable[[CloudCockpitClient], Awaitable[object]], bytes]] = {
    "reseller": (lambda c: c.change_associated_reseller(**IDS, reseller_id=UUID(int=3)), b"true"),
    "margin": (lambda c: c.change_price_margin(**IDS, margin={"marginRule": {"name": "Markup"}}), b""),
    "po number": (lambda c: c.change_po_number(**IDS, po_number="PO-1"), b""),
    "budget": (lambda c: c.change_monthly_budget(**IDS, monthly_budget=None), b""),
    "owner": (lambda c: c.grant_owner_access(**IDS, user_email="anna@example.com"), b""),
}


@pytest.mark.parametrize("step", LOST.values(), ids=LOST)
@pytest.mark.parametrize("name", SETTERS)
async def test_setting_a_value_is_repeated(name: str, step: Step, fake_time: FakeTime) -> None:
    """A PATCH or PUT that sets one value says the same again: the second attempt's success is the call's."""
    call, answer = SETTERS[name]
    async with WireServer(step, CannedAnswer(body=answer)) as server, cloudcockpit(server, policy(fake_time)) as client:
        await call(client)
    assert len(server.requests) == 2
    first, second = server.requests
    assert (first.target, first.body) == (second.target, second.body)


@pytest.mark.parametrize("first", [CannedAnswer(429), CannedAnswer(409, {"errorMessage": "no"})], ids=["429", "409"])
async def test_replay_after_a_refusal_is_no_echo(first: Step, fake_time: FakeTime) -> None:
    """A refused attempt did nothing: the 404 that follows is a plain 404."""
    async with WireServer(first, CannedAnswer(404)) as server:
        async with membership(server, policy(fake_time)) as client:
            operation = Operation(
                name="write_it", method="POST", path="/it", returns=VoidResult, effect=Effect.WRITE, retry_conflict=True
            )
            error = await failure(client.call(operation))
        assert len(server.requests) == 2
    assert isinstance(error, NotFoundError)
    assert not error.maybe_own_previous_attempt
    assert error.outcome is Outcome.REJECTED


async def test_reading_leaves_no_echo(fake_time: FakeTime) -> None:
    """A READ has no effect that could cause a 404."""
    async with WireServer(DROP, CannedAnswer(404)) as server, membership(server, policy(fake_time)) as client:
        error = await failure(client.call(READ))
    assert isinstance(error, NotFoundError)
    assert not error.maybe_own_previous_attempt
    assert error.outcome is Outcome.REJECTED


async def test_closing_during_backoff_keeps_what_is_known(fake_time: FakeTime) -> None:
    """The client is closed while an IDEMPOTENT call with an unknown outcome waits: the outcome stays unknown."""

    async def sleep(_seconds: float) -> None:
        await client.aclose()

    async with WireServer(DROP) as server:
        client = membership(server, RetryPolicy(sleep=sleep))
        error = await failure(client.call(PUT))
        assert len(server.requests) == 1
    assert error.outcome is Outcome.UNKNOWN
    assert [attempt.outcome for attempt in error.attempts] == [Outcome.UNKNOWN]


async def test_requests_of_all_attempts_are_the_same(fake_time: FakeTime) -> None:
    """Method, target, body and headers do not change from attempt to attempt."""
    seen: list[WireRequest] = []

    def answer(request: WireRequest) -> CannedAnswer:
        seen.append(request)
        return CannedAnswer(500)

    async with WireServer(answer) as server, cloudcockpit(server, policy(fake_time)) as client:
        await failure(client.call(PUT))
    assert len(seen) == 3
    assert seen[0] == seen[1] == seen[2]
