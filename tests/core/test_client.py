"""What callers see of a client beyond the answers: correlation ids, views, arguments, warnings, the rate limiter."""

import asyncio
import copy
import json
import pickle
import warnings
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Any, get_args
from urllib.parse import unquote
from uuid import UUID

import attrs
import pytest
import yarl
from both_apis import APIS
from cases import goes_through, named
from fuzz import fuzzed
from hypothesis import given
from hypothesis import strategies as st
from model_json import full
from wire import DROP, STALL, CannedAnswer, FakeTime, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from membership_sdk import MembershipClient
from membership_sdk.models import ContractCancelationReason, IdleTemporalUnit, TemporalUnit, VoidResult
from sdk_core import codec
from sdk_core.client import Client
from sdk_core.codec.shapes import typed_attributes
from sdk_core.correlation import correlation_scope, current_correlation_id, new_correlation_id
from sdk_core.deprecation import OperationDeprecatedWarning
from sdk_core.errors import AuthenticationError, ClientThrottledError, ConfigurationError, SdkError, ServerError
from sdk_core.operation import Effect, Operation
from sdk_core.outcome import Outcome
from sdk_core.query import Query
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryPolicy

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
HEADER = "x-correlation-id"
CONTROL = ["a\r\nX-Evil: 1", "a\nb", "a\rb", "a\x00b", "a\tb", "a\x7fb", "", " a", "a ", "ä"]


def membership(server: WireServer, **options: Any) -> MembershipClient:
    return MembershipClient(server.url, "key", **options)


def cloudcockpit(server: WireServer, **options: Any) -> CloudCockpitClient:
    return CloudCockpitClient("tenant.example", "token", base_url=server.url, **options)


def policy(time: FakeTime, **changes: Any) -> RetryPolicy:
    return RetryPolicy(**{"sleep": time.sleep, "clock": time.clock, **changes})


async def failure(call: Awaitable[Any]) -> SdkError:
    with pytest.raises(SdkError) as caught:
        await call
    return caught.value


# -- Correlation ids (R-26) --------------------------------------------------------------------------------------------


async def test_one_correlation_id_for_all_attempts(fake_time: FakeTime) -> None:
    """Minted once a call, sent with each of its three requests, and on the error; the next call has another."""
    async with WireServer(CannedAnswer(500)) as server, cloudcockpit(server, retry=policy(fake_time)) as client:
        errors = [await failure(client.call(READ)) for _ in range(2)]
    sent = [request.headers[HEADER] for request in server.requests]
    assert sent == [errors[0].correlation_id] * 3 + [errors[1].correlation_id] * 3
    assert len({str(UUID(text)) for text in sent}) == 2
    assert all(str(error.correlation_id) in str(error) for error in errors)


async def test_correlation_id_comes_back_with_a_success() -> None:
    """On the reply, and on what CloudCockpit answers to a change: it finds the call in the portal's audit log."""
    async with WireServer() as server, cloudcockpit(server) as client:
        reply = await client.call_with_reply(READ)
        accepted = await client.suspend_subscription(customer_id=UUID(int=1), subscription_id=UUID(int=2))
    assert [request.headers[HEADER] for request in server.requests] == [reply.correlation_id, accepted.correlation_id]


async def test_correlation_id_is_sent_only_where_the_api_has_a_header() -> None:
    """Membership documents none: there the id is ours alone, and still on the error."""
    async with WireServer(CannedAnswer(404)) as server, membership(server) as client:
        with correlation_scope("mine"):
            error = await failure(client.call(READ))
    assert error.correlation_id == "mine"
    assert "mine" not in str(server.requests)


async def test_callers_scope_wins_over_the_provider() -> None:
    """The innermost scope, else the client's provider, asked once a call, else a fresh UUID."""
    provided = iter(["one", "two"])
    async with WireServer() as server, cloudcockpit(server, correlation_id=lambda: next(provided)) as client:
        await client.call(READ)
        with correlation_scope("outer"):
            await client.call(READ)
            with correlation_scope("inner"):
                await client.call(READ)
            await client.call(READ)
        await client.call(READ)
    assert [request.headers[HEADER] for request in server.requests] == ["one", "outer", "inner", "outer", "two"]


async def test_concurrent_calls_have_ids_of_their_own() -> None:
    """100 calls at once, 100 ids."""
    async with WireServer() as server, cloudcockpit(server) as client:
        await asyncio.gather(*(client.call(READ) for _ in range(100)))
    assert len({request.headers[HEADER] for request in server.requests}) == 100


async def test_scope_does_not_bleed_between_tasks() -> None:
    """Each task sees its own scope, however they interleave, and none is left behind."""

    async def task(name: str) -> None:
        with correlation_scope(name):
            await client.call(
                Operation(name="it", method="GET", path="/" + name, returns=VoidResult, effect=Effect.READ)
            )
            assert current_correlation_id() == name

    async with WireServer() as server, cloudcockpit(server) as client:
        await asyncio.gather(*(task(f"task-{number}") for number in range(20)))
    assert current_correlation_id() is None
    assert {(request.target, request.headers[HEADER]) for request in server.requests} == {
        (f"/task-{number}", f"task-{number}") for number in range(20)
    }


async def test_unsendable_correlation_ids_are_refused() -> None:
    """In a scope at once; from a provider before anything is sent."""
    ids = [*CONTROL, "x" * 129]
    for text in ids:
        with pytest.raises(ValueError, match="correlation_id"), correlation_scope(text):
            pytest.fail(f"the scope of {text!r} was entered")
    provided = iter(ids)
    async with WireServer() as server, cloudcockpit(server, correlation_id=lambda: next(provided)) as client:
        for _ in ids:
            with pytest.raises(ValueError, match="correlation_id"):
                await client.call(READ)
        assert server.requests == []


def test_new_correlation_ids_are_random_uuids() -> None:
    """Version 4, in the text form of a UUID."""
    ids = {new_correlation_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {(UUID(text).version, str(UUID(text)) == text) for text in ids} == {(4, True)}


# -- Views (R-38) ------------------------------------------------------------------------------------------------------


async def test_with_options_changes_nothing_of_the_client(fake_time: FakeTime) -> None:
    """A view of the same kind on the same connection; both are used at once, each with its own options."""
    async with (
        WireServer(CannedAnswer(500)) as server,
        membership(server, retry=policy(fake_time, budget=None)) as client,
    ):
        once = client.with_options(retry=RetryPolicy.none())
        assert type(once) is MembershipClient
        calls = [failure(view.call(READ)) for _ in range(10) for view in (client, once)]
        errors = await asyncio.gather(*calls)
        assert [len(error.attempts) for error in errors] == [3, 1] * 10
        assert once._sessions is client._sessions


async def test_with_options_keeps_what_is_not_named(fake_time: FakeTime) -> None:
    """Options add up, view on view."""
    async with WireServer(STALL) as server, membership(server) as client:
        view = client.with_options(retry=policy(fake_time, max_attempts=2)).with_options(attempt_timeout=0.05)
        error = await failure(view.with_options(total_timeout=500).call(READ))
    assert len(error.attempts) == 2


async def test_language_of_a_view_is_its_own() -> None:
    """Another Accept-Language for the view, none or the old one for the client, on one connection."""
    async with WireServer(CannedAnswer(body=b"[]")) as server, membership(server, language="de") as german:
        french = german.with_options(language="fr-LU")
        swiss = french.with_options(language="de-CH").with_options(attempt_timeout=9)
        for view in (german, french, swiss, german):
            await view.get_contract_data(customer_id=1)
        assert server.connections == 1
    assert [request.headers["accept-language"] for request in server.requests] == ["de", "fr-LU", "de-CH", "de"]


async def test_client_without_a_language_stays_without() -> None:
    """The studio's language, unless a view says otherwise; all other headers are the same."""
    async with WireServer(CannedAnswer(body=b"[]")) as server, membership(server) as client:
        await client.with_options(language="pl").get_contract_data(customer_id=1)
        await client.get_contract_data(customer_id=1)
    polish, plain = (request.headers for request in server.requests)
    assert polish == {**plain, "accept-language": "pl"}
    assert "accept-language" not in plain


async def test_concurrent_calls_of_views_keep_their_options(fake_time: FakeTime) -> None:
    """R-38: 60 calls at once, three languages, attempts of each after its own policy."""
    async with (
        WireServer(CannedAnswer(500)) as server,
        membership(server, retry=policy(fake_time, budget=None)) as client,
    ):
        views = {
            "de": (client.with_options(language="de"), 3),
            "en": (client.with_options(language="en", retry=RetryPolicy.none()), 1),
            "fr": (client.with_options(language="fr", retry=policy(fake_time, budget=None, max_attempts=2)), 2),
        }
        ids = {name: iter(range(start, start + 20)) for name, start in (("de", 100), ("en", 200), ("fr", 300))}
        errors = await asyncio.gather(
            *(
                failure(views[name][0].get_contract_data(customer_id=next(ids[name])))
                for _ in range(20)
                for name in views
            )
        )
    assert [len(error.attempts) for error in errors] == [attempts for _, attempts in views.values()] * 20
    sent = {(request.headers["accept-language"], request.target.split("/")[3][0]) for request in server.requests}
    assert sent == {("de", "1"), ("en", "2"), ("fr", "3")}
    assert len(server.requests) == 20 * (3 + 1 + 2)


async def test_language_of_a_view_is_checked() -> None:
    """As the client's own."""
    async with WireServer() as server, membership(server) as client:
        for text in CONTROL:
            with pytest.raises(ValueError, match="language"):
                client.with_options(language=text)
        assert server.connections == 0


# -- Calls -------------------------------------------------------------------------------------------------------------


async def test_declared_operation_gets_all_of_it(fake_time: FakeTime) -> None:
    """An endpoint the SDK does not list: typed slots, query, decoding, retries and the credential, for one value."""
    declared = Operation(
        name="get_reasons",
        method="GET",
        path="/v1/studios/{name:str}/reasons/{number:int}/{key:uuid}",
        returns=list[ContractCancelationReason],
        effect=Effect.READ,
        query={
            "limit": Query("pageLimit", int, minimum=1, maximum=9),
            "active": Query("onlyActive", bool),
            "since": Query("since", datetime),
            "text": Query("q"),
        },
    )
    answer = [{"cancelationReasonId": 7, "cancelationReasonName": "moved", "new": 1}]
    async with (
        WireServer(DROP, CannedAnswer(body=answer)) as server,
        membership(server, retry=policy(fake_time)) as client,
    ):
        [reason] = await client.call(
            declared,
            name="a/../ü?#%2e",
            number=7,
            key="{12345678-1234-5678-1234-567812345678}",
            limit=3,
            active=True,
            since=datetime(2026, 1, 31, tzinfo=UTC),
            text="a b&c=d",
        )
    assert reason == ContractCancelationReason(cancelation_reason_id=7, cancelation_reason_name="moved")
    assert len(server.requests) == 2
    request = server.requests[-1]
    path, _, query = request.target.partition("?")
    assert path == "/v1/studios/a%2F..%2F%C3%BC%3F%23%252e/reasons/7/12345678-1234-5678-1234-567812345678"
    assert sorted(query.split("&")) == [
        "onlyActive=true",
        "pageLimit=3",
        "q=a+b%26c%3Dd",
        "since=2026-01-31T00:00:00%2B00:00",
    ]
    assert request.headers["x-api-key"] == "key"


async def test_call_with_reply_tells_everything(fake_time: FakeTime) -> None:
    """Status, headers without case, all attempts with the successful one last, the correlation id."""
    steps = [CannedAnswer(500), CannedAnswer(202, headers={"X-Remaining": "7"})]
    async with WireServer(*steps) as server, membership(server, retry=policy(fake_time)) as client:
        with correlation_scope("mine"):
            reply = await client.call_with_reply(READ)
    assert (reply.value, reply.status, reply.correlation_id) == (VoidResult(), 202, "mine")
    assert reply.headers["x-remaining"] == "7"
    assert [(a.number, a.status, a.error, a.outcome) for a in reply.attempts] == [
        (1, 500, None, Outcome.UNKNOWN),
        (2, 202, None, None),
    ]


async def test_reply_leaves_the_process_and_stands_in_a_set() -> None:
    """As its value does; headers are compared without case after that, too, and may come several times."""
    answer = CannedAnswer(202, {"success": True}, headers={"X-Remaining": "7", "x-remaining": "6"})
    async with WireServer(answer) as server, membership(server) as client:
        reply = await client.call_with_reply(READ)
    for again in (pickle.loads(pickle.dumps(reply)), copy.deepcopy(reply)):
        assert again == reply
        assert again.headers.getall("x-REMAINING") == ["7", "6"]
        assert len({again, reply}) == 1
    assert len({attrs.evolve(reply, status=200), reply}) == 2


def test_a_client_tells_what_it_calls() -> None:
    """For logs: the URL, and the tenant, which is not in it. No key and no token."""
    base_url = "http://127.0.0.1:8080/api"
    assert MembershipClient(base_url, "key").place == base_url
    client = CloudCockpitClient("Portal.Example.COM", "token", base_url=base_url)
    assert client.place == "http://127.0.0.1:8080/api (portal.example.com)"


def test_a_client_offers_nothing_that_is_for_the_sdks_alone() -> None:
    """Besides its operations."""
    offered = {"aclose", "call", "call_with_reply", "place", "retry_policy", "with_options"}
    assert {name for name in dir(Client) if not name.startswith("_")} == offered


# -- Arguments: refused before anything is sent ------------------------------------------------------------------------

M, C, ID, DAY = "membership", "cloudcockpit", UUID(int=1), date(2026, 1, 31)
CANCEL = {"customer_id": 1, "contract_id": 2, "cancelation_date": DAY, "cancelation_reason_id": 3}

BAD_IDS = [0, -1, 2**63, True, "1", "", None, 1.0]
BAD_UUIDS = ["", "..", "1", "123e4567-e89b-42d3-a456-42661417400g", 1, None, b"x"]
BAD_DATES = [datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31", None, 20260131]

BAD_MOMENTS = [datetime(2026, 1, 31), DAY, "2026-01-31T00:00:00Z", 0]  # noqa: DTZ001  that it is naive is the point

IDLE = {"contract_id": 1, "start_date": DAY}
CREATE = {**IDLE, "reason_id": 3}
UPDATE = {**CREATE, "idle_period_id": 2}
IDLE_METHODS: list[tuple[str, dict[str, Any]]] = [
    ("validate_idle_period_request", IDLE),
    ("create_idle_period_amendment", CREATE),
    ("update_idle_period", UPDATE),
    ("idle_period_update_preview", UPDATE),
]
BAD_IDLE: dict[str, list[Any]] = {
    "contract_id": BAD_IDS,
    "start_date": BAD_DATES,
    "reason_id": BAD_IDS,
    # A text is no unit, and the units of contracts are others: they have a year.
    "temporal_unit": ["WEEK", "", 5, TemporalUnit.WEEK],
    "term_value": [0, -1, 2**31, True, 1.0, "1"],
    "unlimited": [0, 1, "true", ""],
}
BUY = {"contract_id": 1, "additional_module_id": 2, "payment_frequency_id": 3, "book_trial_period": False}
BAD_BUY: dict[str, list[Any]] = {
    "contract_id": BAD_IDS,
    "additional_module_id": BAD_IDS,
    "payment_frequency_id": BAD_IDS,
    "book_trial_period": [0, 1, None, "true"],
}
CONTRACT_ONLY = ["get_idle_periods", "get_remaining_idle_periods", "get_purchasable_additional_modules"]
SUBSCRIPTION = {"customer_id": ID, "subscription_id": ID}
MIGRATE = {**SUBSCRIPTION, "purchase_full_term": True, "quantity": 1}

REFUSED: list[tuple[str, str, dict[str, Any], str]] = [
    *((M, "get_contract_data", {"customer_id": bad}, "customer_id") for bad in BAD_IDS),
    *((M, "withdraw_contract_cancelation", {"customer_id": 1, "contract_id": bad}, "contract_id") for bad in BAD_IDS),
    *((M, "create_contract_cancelation_amendment", {**CANCEL, "contract_id": bad}, "contract_id") for bad in BAD_IDS),
    *(
        (M, "create_contract_cancelation_amendment", {**CANCEL, "cancelation_reason_id": b}, "reason_id")
        for b in BAD_IDS
    ),
    *(
        (M, "create_contract_cancelation_amendment", {**CANCEL, "cancelation_date": b}, "cancelation_date")
        for b in BAD_DATES
    ),
    *((C, "get_subscription", {"customer_id": bad, "subscription_id": ID}, "customer_id") for bad in BAD_UUIDS),
    *((C, "suspend_subscription", {"customer_id": ID, "subscription_id": bad}, "subscription_id") for bad in BAD_UUIDS),
    *(
        (C, "list_customer_subscriptions", {"customer_id": ID, "page_size": b}, "page_size")
        for b in (0, -1, 2001, "9", True)
    ),
    *((C, "list_customer_subscriptions", {"customer_id": ID, "page_number": bad}, "page_number") for bad in (0, 1.0)),
    *((C, "list_customer_subscriptions", {"customer_id": ID, "offer_id": bad}, "offer_id") for bad in ("", "x", 1)),
    (C, "list_customer_subscriptions", {"customer_id": ID, "sort_property_name": ""}, "sort_property_name"),
    (C, "list_customer_subscriptions", {"customer_id": ID, "sort_property_name": 1}, "sort_property_name"),
    # Idle periods.
    *((M, "get_idle_period_config", {"contract_id": bad}, "contract_id") for bad in BAD_IDS),
    *((M, "get_idle_period_by_id", {"contract_id": 1, "idle_period_id": bad}, "idle_period_id") for bad in BAD_IDS),
    *((M, "withdraw_idle_period", {"contract_id": 1, "idle_period_id": bad}, "idle_period_id") for bad in BAD_IDS),
    *((M, "update_idle_period", {**UPDATE, "idle_period_id": bad}, "idle_period_id") for bad in BAD_IDS),
    *(
        (M, method, {**arguments, name: bad}, name)
        for method, arguments in IDLE_METHODS
        for name, values in BAD_IDLE.items()
        if name != "reason_id" or name in arguments
        for bad in values
    ),
    *((M, "update_idle_period", {**UPDATE, "end_date": bad}, "end_date") for bad in BAD_DATES if bad is not None),
    (M, "create_idle_period_amendment", {**CREATE, "end_date": DAY}, "end_date"),
    (M, "idle_period_update_preview", {**UPDATE, "document": None}, "document"),
    # Modules.
    *(
        (M, method, {**BUY, name: bad}, name)
        for method in ("validate_additional_module_contract_request", "purchase_additional_module_contract")
        for name, values in BAD_BUY.items()
        for bad in values
    ),
    *((M, method, {"contract_id": bad}, "contract_id") for method in CONTRACT_ONLY for bad in (0, "1", None, True)),
    # CloudCockpit's changes.
    *((C, "change_associated_reseller", {**SUBSCRIPTION, "reseller_id": bad}, "reseller_id") for bad in BAD_UUIDS),
    *(
        (C, "change_po_number", {**SUBSCRIPTION, "po_number": bad}, "po_number")
        for bad in ("", "x" * 256, None, 5, b"x")
    ),
    *(
        (C, "grant_owner_access", {**SUBSCRIPTION, "user_email": bad}, "user_email")
        for bad in ("", ".", "..", None, 5, b"a@example.com", "\ud800@example.com")
    ),
    *(
        (C, "change_monthly_budget", {**SUBSCRIPTION, "monthly_budget": bad}, "monthly_budget")
        for bad in (0.1, 100, True, "100", Decimal("NaN"), Decimal("Infinity"))
    ),
    *(
        (C, "start_migration", {**MIGRATE, "quantity": bad}, "quantity")
        for bad in (True, -1, 2**31, 1.0, "1", None, Decimal(1))
    ),
    *(
        (C, "start_migration", {**MIGRATE, "purchase_full_term": bad}, "purchase_full_term")
        for bad in (1, "true", None)
    ),
    *((C, "start_migration", {**MIGRATE, "term_duration": bad}, "term_duration") for bad in (5, {"name": "OneYear"})),
    *((C, "start_migration", {**MIGRATE, "billing_frequency": bad}, "billing_frequency") for bad in (5, True)),
    *((C, "upgrade_subscription", {**SUBSCRIPTION, "transition": bad}, "transition") for bad in (None, {}, "x")),
    *(
        (C, method, {**SUBSCRIPTION, name: bad}, name)
        for method, name in (("update_subscription", "changes"), ("change_price_margin", "margin"))
        for bad in (None, 5, "x", b"x", [("name", "x")])
    ),
    (C, "update_subscription", {**SUBSCRIPTION, "changes": {1: 2}}, "key"),
    (C, "update_subscription", {**SUBSCRIPTION, "changes": {"undocumented": 1.5}}, "Decimal, not float"),
    *(
        (C, "update_subscription", {**SUBSCRIPTION, "changes": {"quantity": bad}}, r"changes\['quantity'\] must be")
        for bad in ("3", None, True, -7, 2**31, 1.5, Decimal("2.5"))
    ),
    *(
        (C, "update_subscription", {**SUBSCRIPTION, "changes": {"name": bad}}, r"changes\['name'\] must be")
        for bad in (3, b"x", "x" * 256)
    ),
    *((C, "list_azure_entitlements", {**SUBSCRIPTION, "reseller_id": bad}, "reseller_id") for bad in ("", "x", 1)),
    *(
        (C, "get_custom_term_end_dates", {"customer_id": ID, "query": bad}, "query")
        for bad in ("x", 5, ["x"], {"x": 1}, {"x": None}, {"x": ""}, {"": "x"}, {1: "x"}, {"x": ["y"]})
    ),
    # The audit log.
    *((C, "list_audit_logs", {name: bad}, name) for name in ("start_date", "end_date") for bad in BAD_MOMENTS),
    *(
        (C, "list_audit_logs", {"operation_names": bad}, "operation_names")
        for bad in ("CreateOrder", [1], [""], ["a|b"])
    ),
    *((C, "list_audit_logs", {name: bad}, name) for name in ("status", "reseller", "customer") for bad in ("", 1)),
    *((C, "list_audit_logs", {"page_size": bad}, "page_size") for bad in (0, 2001, True, "9")),
    *((C, "list_audit_logs", {"page_number": bad}, "page_number") for bad in (0, -1, 1.0)),
    *((C, "list_audit_logs", {"reseller_id": bad}, "reseller_id") for bad in ("", "x", 1)),
    (C, "list_audit_logs", {"correlation_id": "x"}, "correlation_id"),
    (C, "list_subscriptions", {"reseller_id": ID}, "reseller_id"),
    (C, "list_subscriptions", {"page_size": 2001}, "page_size"),
    (C, "cancel_subscription", {"customer_id": ID}, "subscription_id"),
    (C, "change_price_margin", SUBSCRIPTION, "margin"),
    (M, "purchase_additional_module_contract", {"contract_id": 1}, "additional_module_id"),
    (M, "create_idle_period_amendment", {"contract_id": 1, "start_date": DAY}, "reason_id"),
    (M, "get_contract_data", {}, "customer_id"),
    (M, "get_contract_data", {"customer_id": 1, "contract_id": 2}, "contract_id"),
    (C, "get_subscription", {"customer_id": ID}, "subscription_id"),
    (C, "get_subscription", {"customer_id": ID, "subscription_id": ID, "sub_id": ID}, "sub_id"),
]


@goes_through(("api", "method"), [*dict.fromkeys(case[:2] for case in REFUSED)])
async def test_wrong_arguments_send_nothing(api: str, method: str) -> None:
    """TypeError or ValueError that names the argument, and no request: a slip must not reach another endpoint."""
    async with WireServer() as server, {M: membership, C: cloudcockpit}[api](server) as client:
        for arguments, name in ((case[2], case[3]) for case in REFUSED if case[:2] == (api, method)):
            with named(arguments), pytest.raises((TypeError, ValueError), match=name):
                await getattr(client, method)(**arguments)
            assert server.connections == 0, arguments


@pytest.mark.parametrize(
    "arguments", [{"page_size": 0}, {"start_page": 0}, {"start_page": "1"}, {"status": 5}], ids=str
)
async def test_wrong_arguments_of_a_paginator_send_nothing(arguments: dict[str, Any]) -> None:
    """At the latest when the first page is asked for."""
    (name,) = arguments
    async with WireServer() as server, cloudcockpit(server) as client:
        with pytest.raises((TypeError, ValueError), match=name):
            await anext(aiter(client.iter_audit_logs(**arguments).pages()))
        assert server.connections == 0


@pytest.mark.parametrize(
    "arguments", [{"changes": {"name": "x"}}, {"changes": MappingProxyType({"name": "x"})}], ids=str
)
async def test_any_mapping_is_a_body(arguments: dict[str, Any]) -> None:
    """And it is sent as it was at the time of the call."""
    async with WireServer(CannedAnswer(202)) as server, cloudcockpit(server) as client:
        await client.update_subscription(**SUBSCRIPTION, **arguments)
    assert server.requests[0].body == b'{"name":"x"}'


@pytest.mark.parametrize(
    "value",
    [
        {"temporal_unit": IdleTemporalUnit.DAY, "term_value": 1},
        {"temporal_unit": IdleTemporalUnit("NEW")},
        {"unlimited": False},
    ],
    ids=str,
)
async def test_right_arguments_are_not_refused(value: dict[str, Any]) -> None:
    """A unit of tomorrow among them, and a False that must not be left out."""
    async with (
        WireServer(CannedAnswer(body={"validationStatus": "IDLEPERIOD_CREATABLE"})) as server,
        membership(server) as client,
    ):
        await client.validate_idle_period_request(contract_id=1, start_date=DAY, **value)
    names = {"temporal_unit": "temporalUnit", "term_value": "termValue"}
    assert server.requests[0].json == {"startDate": "2026-01-31", **{names.get(k, k): v for k, v in value.items()}}


def models_of(shape: Any) -> Iterator[Any]:
    """Give a model, and all that it holds."""
    if attrs.has(shape):
        yield shape
    for part in [kind for _, kind in typed_attributes(shape)] if attrs.has(shape) else get_args(shape):
        yield from models_of(part)


SENT = {model: None for api in APIS for operation in api.operations for model in models_of(operation.body)}
SENT_FIELDS = [(model, attribute.alias) for model in SENT for attribute in attrs.fields(model)]


@goes_through("bad", [object(), 1.5, b"x", ["x"]])
@goes_through(("model", "name"), SENT_FIELDS)
def test_each_field_of_what_is_sent_is_checked(model: Any, name: str, bad: object) -> None:
    """However it got there: bodies are built by methods, by applications, and from what was read (`evolve`)."""
    value = codec.load(json.dumps(full(model)).encode(), model)
    with pytest.raises((TypeError, ValueError), match=name):
        attrs.evolve(value, **{name: bad})


DECLARED = Operation(
    name="name_it",
    method="GET",
    path="/it/{name:str}/end",
    returns=VoidResult,
    effect=Effect.READ,
    query={"q": Query("q")},
)


@goes_through(
    ("arguments", "name"),
    [
        ({"name": ""}, "name"),
        ({"name": "."}, "name"),
        ({"name": ".."}, "name"),
        ({"name": 1}, "name"),
        ({"name": None}, "name"),
        ({}, "name"),
        ({"name": "x", "q": ""}, "q"),
        ({"name": "x", "q": 1}, "q"),
        ({"name": "x", "other": 1}, "other"),
        ({"name": "x", "body": {}}, "body"),
    ],
)
async def test_wrong_arguments_of_a_declared_operation_send_nothing(arguments: dict[str, Any], name: str) -> None:
    """`call` checks as the methods do: dot segments would be collapsed on the way, and reach another endpoint."""
    async with WireServer() as server, membership(server) as client:
        with pytest.raises((TypeError, ValueError), match=name):
            await client.call(DECLARED, **arguments)
        assert server.connections == 0


async def test_missing_or_foreign_body_sends_nothing() -> None:
    """A body is a value of the operation's class, not a dict that looks like it."""
    operation = Operation(
        name="send_it",
        method="POST",
        path="/it",
        body=ContractCancelationReason,
        returns=VoidResult,
        effect=Effect.WRITE,
    )
    async with WireServer() as server, membership(server) as client:
        for arguments in ({}, {"body": None}, {"body": {"cancelationReasonId": 1}}, {"body": VoidResult()}):
            with pytest.raises(TypeError, match="body"):
                await client.call(operation, **arguments)
        assert server.connections == 0


def test_unknown_slot_types_are_refused_where_they_are_declared() -> None:
    with pytest.raises(ValueError, match="float"):
        Operation(name="x", method="GET", path="/{x:float}", returns=VoidResult, effect=Effect.READ)


# -- Settings ----------------------------------------------------------------------------------------------------------

URL = "https://studio.example"
SETTINGS: dict[str, Callable[[str], Any]] = {
    "api_key": lambda text: MembershipClient(URL, text),
    "language": lambda text: MembershipClient(URL, "key", language=text),
    "tenant": lambda text: CloudCockpitClient(text, "token"),
    "token": lambda text: CloudCockpitClient("tenant.example", text),
}


@goes_through("name", list(SETTINGS))
def test_settings_that_would_break_a_header_are_refused(name: str) -> None:
    """At construction, by name, and without repeating what may be a secret."""
    for text in CONTROL:
        secret = f"s3cret{text}" if text.strip() == text and text else text
        with pytest.raises(ConfigurationError, match=name) as caught:
            SETTINGS[name](secret)
        assert "s3cret" not in str(caught.value), text


@goes_through("tenant", ["", "a.b", "a/b", "-a", "a-", "A", "ä", "a@b", "a\n", "x" * 64])
def test_tenants_that_would_change_the_host_are_refused(tenant: str) -> None:
    with pytest.raises(ConfigurationError, match="tenant"):
        MembershipClient.for_tenant(tenant, api_key="key")


async def test_provided_token_that_would_break_a_header_is_refused() -> None:
    """A provider may return anything: what can't stand in a header is not sent, and not shown."""
    async with WireServer() as server:
        for text in CONTROL:

            async def provide(text: str = text) -> str:
                return text

            async with CloudCockpitClient("tenant.example", provide, base_url=server.url) as client:
                error = await failure(client.call(READ))
            assert server.requests == [], text
            assert isinstance(error, AuthenticationError), text
            assert error.outcome is Outcome.NOT_SENT, text
            assert not error.retryable, text


# -- Deprecation -------------------------------------------------------------------------------------------------------

MODULE = {"contract_id": 1, "additional_module_contract_id": 2, "cancelation_date": DAY, "cancelation_reason_id": 3}


async def test_deprecated_operation_warns_once() -> None:
    """The first call of a client warns, at the caller's line, with what is known; the others do not."""
    async with WireServer() as server, membership(server) as client:
        with pytest.warns(OperationDeprecatedWarning, match="create_module_contract_cancelation_amendment") as caught:
            await client.create_module_contract_cancelation_amendment(**MODULE)
        await client.create_module_contract_cancelation_amendment(**MODULE)
        await client.with_options(total_timeout=9).create_module_contract_cancelation_amendment(**MODULE)
        assert len(server.requests) == 3
    assert [warning.filename for warning in caught] == [__file__]
    assert "no replacement is known" in str(caught[0].message)


async def test_deprecation_as_an_error_sends_nothing() -> None:
    """With warnings as errors the mark stops the call before it is sent, not after."""
    async with WireServer() as server, membership(server) as client:
        with warnings.catch_warnings(action="error"), pytest.raises(OperationDeprecatedWarning):
            await client.create_module_contract_cancelation_amendment(**MODULE)
        assert server.requests == []


@pytest.mark.parametrize("header", ["Deprecation", "Sunset"])
async def test_server_announces_the_end_of_an_operation(header: str) -> None:
    """The header warns once; as an error it is only logged: the result must not be lost."""
    async with WireServer(CannedAnswer(headers={header: "Fri, 31 Dec 2027 23:59:59 GMT"})) as server:
        async with membership(server) as client:
            with pytest.warns(OperationDeprecatedWarning, match="read_it"):
                await client.call(READ)
            await client.call(READ)
        async with membership(server) as client:
            with warnings.catch_warnings(action="error"):
                assert await client.call(READ) == VoidResult()


async def test_what_fails_to_show_a_warning_loses_no_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook of the application's, or a stderr that is closed."""
    server_end = {"Sunset": "Fri, 31 Dec 2027 23:59:59 GMT"}
    async with WireServer(CannedAnswer(headers=server_end)) as server, membership(server) as client:
        with warnings.catch_warnings(action="always"):
            monkeypatch.setattr(warnings, "showwarning", lambda *_: 1 / 0)
            assert await client.call(READ) == VoidResult()


# -- The rate limiter --------------------------------------------------------------------------------------------------


async def test_local_limiter_keeps_to_its_window() -> None:
    """At most `limit` starts in any `period`, per operation; a start that is refused takes no slot."""
    now = 0.0
    limiter = LocalRateLimiter(2, 60, clock=lambda: now)
    assert [limiter.acquire("a", 100) for _ in range(5)] == [0, 0, 60, 60, 120]
    assert limiter.acquire("b", 0) == 0
    assert limiter.acquire("a", 119) == 120
    assert limiter.acquire("a", 120) == 120
    now = 200.0
    assert [limiter.acquire("a", 0) for _ in range(3)] == [0, 0, 60]


async def test_local_limiter_never_starts_too_many_in_a_window(fake_time: FakeTime) -> None:
    """The property itself, over 300 calls that come at uneven times."""
    limiter = LocalRateLimiter(10, 60, clock=fake_time.clock)
    starts = []
    for number in range(300):
        fake_time.now += number % 7
        starts.append(fake_time.now + limiter.acquire("a", float("inf")))
    for start in starts:
        assert sum(start <= other < start + 60 for other in starts) <= 10


async def test_429_pauses_new_calls_of_the_operation(fake_time: FakeTime) -> None:
    """Everybody who shares the limiter waits; other operations do not; a longer pause is not cut short."""
    limiter = LocalRateLimiter(9, 60, clock=fake_time.clock)
    limiter.on_rate_limited("a", 30)
    limiter.on_rate_limited("a", 5)
    assert 30 <= limiter.acquire("a", 60) <= 31
    assert limiter.acquire("b", 60) == 0
    fake_time.now += 32
    assert limiter.acquire("a", 60) == 0


@goes_through(("limit", "period"), [(0, 60), (-1, 60), (1, 0), (1, -1), (1, float("inf")), (1, float("nan"))])
def test_limiter_settings_are_checked(limit: int, period: float) -> None:
    with pytest.raises(ValueError, match="limit" if limit < 1 else "period"):
        LocalRateLimiter(limit, period)


async def test_calls_wait_for_their_slot(fake_time: FakeTime) -> None:
    """The third call of a minute with two slots waits a minute, with the policy's sleep."""
    limiter = LocalRateLimiter(2, 60, clock=fake_time.clock)
    async with WireServer() as server:
        async with membership(server, rate_limiter=limiter, retry=policy(fake_time)) as client:
            for _ in range(3):
                await client.call(READ)
        assert len(server.requests) == 3
    assert fake_time.sleeps == [60]


async def test_429_of_one_client_pauses_the_other(fake_time: FakeTime) -> None:
    """Two clients with one limiter: what one is told holds for both."""
    limiter = LocalRateLimiter(99, clock=fake_time.clock)
    options: dict[str, Any] = {"rate_limiter": limiter, "total_timeout": 500}
    once = policy(fake_time, max_attempts=1)
    async with (
        WireServer(CannedAnswer(429, headers={"Retry-After": "30"}), CannedAnswer()) as server,
        membership(server, retry=once, **options) as one,
        membership(server, retry=once, **options) as other,
    ):
        await failure(one.call(READ))
        assert fake_time.sleeps == []
        await other.call(READ)
    [wait] = fake_time.sleeps
    assert 30 <= wait <= 31


async def test_slot_beyond_the_deadline_is_not_waited_for(fake_time: FakeTime) -> None:
    """Nothing is sent and nothing is slept; the error tells when there will be a slot."""
    limiter = LocalRateLimiter(1, 60, clock=fake_time.clock)
    options: dict[str, Any] = {"rate_limiter": limiter, "retry": policy(fake_time), "total_timeout": 10}
    async with WireServer() as server, membership(server, **options) as client:
        await client.call(READ)
        error = await failure(client.call(READ))
        assert len(server.requests) == 1
    assert type(error) is ClientThrottledError
    assert (error.outcome, error.retryable) == (Outcome.NOT_SENT, True)
    assert (error.retry_after, error.attempts, fake_time.sleeps) == (60, (), [])


class BrokenLimiter:
    """A limiter whose store is gone."""

    async def acquire(self, _operation: str, _patience: float) -> float:
        raise ConnectionError("no store")

    async def confirm(self, _operation: str, _patience: float) -> float:
        raise ConnectionError("no store")

    async def on_rate_limited(self, _operation: str, _retry_after: float) -> None:
        raise ConnectionError("no store")

    async def give_back(self, _operation: str, _wait: float) -> None:
        raise ConnectionError("no store")


async def test_failing_limiter_never_fails_a_call(fake_time: FakeTime, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged, and the call goes on without it, through a 429 as well."""
    async with WireServer(CannedAnswer(429), CannedAnswer()) as server:
        async with membership(server, rate_limiter=BrokenLimiter(), retry=policy(fake_time)) as client:
            await client.call(READ)
        assert len(server.requests) == 2
    assert sum("rate limiter failed" in record.message for record in caplog.records) == 3


class Limiter:
    """Answers at once or later, with what it is told; what is an error is raised."""

    def __init__(self, answer: Any, *, later: bool) -> None:
        self._answer, self._later = answer, later

    def acquire(self, _operation: str, _patience: float) -> Any:
        return self._give_later() if self._later else self._give()

    def confirm(self, _operation: str, _patience: float) -> Any:
        return self._later_nothing() if self._later else 0

    def on_rate_limited(self, _operation: str, _retry_after: float) -> Any:
        return self._give_later() if self._later else self._give()

    def give_back(self, _operation: str, _wait: float) -> Any:
        return self._give_later() if self._later else self._give()

    def _give(self) -> Any:
        if isinstance(self._answer, BaseException):
            raise self._answer
        return self._answer

    async def _later_nothing(self) -> int:
        await asyncio.sleep(0)
        return 0

    async def _give_later(self) -> Any:
        await asyncio.sleep(0)
        if isinstance(self._answer, asyncio.CancelledError):
            inner = asyncio.create_task(asyncio.sleep(9))
            inner.cancel()
            await inner
        return self._give()


ANSWERS = {"int": (0, []), "float": (0.0, []), "wait": (7, [7]), "fails": (OSError(), [])}
LIMITERS = {
    **{f"{name}-at-once": (Limiter(answer, later=False), waits) for name, (answer, waits) in ANSWERS.items()},
    **{f"{name}-later": (Limiter(answer, later=True), waits) for name, (answer, waits) in ANSWERS.items()},
    "cancelled-inside": (Limiter(asyncio.CancelledError(), later=True), []),
}


@pytest.mark.parametrize(("limiter", "waits"), LIMITERS.values(), ids=LIMITERS)
async def test_limiter_may_answer_at_once_or_later(limiter: Limiter, waits: list[float], fake_time: FakeTime) -> None:
    """`def` or `async def`, int or float; one that fails, or in which something was cancelled, is done without."""
    options: dict[str, Any] = {"rate_limiter": limiter, "retry": policy(fake_time)}
    async with WireServer(CannedAnswer(429, headers={"Retry-After": "0"}), CannedAnswer()) as server:
        async with membership(server, **options) as client:
            await client.call(READ)
        assert len(server.requests) == 2
    assert fake_time.sleeps == [*waits, 0, *waits]


async def test_cancelled_wait_for_a_slot_sends_nothing() -> None:
    """Cancellation passes through the limiter's wait and is not taken for its failure."""
    asleep = asyncio.Event()

    async def sleep(_seconds: float) -> None:
        asleep.set()
        await asyncio.Event().wait()

    limiter = LocalRateLimiter(1)
    async with (
        WireServer() as server,
        membership(server, rate_limiter=limiter, retry=RetryPolicy(sleep=sleep)) as client,
    ):
        await client.call(READ)
        call = asyncio.create_task(client.call(READ))
        await asleep.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert len(server.requests) == 1


async def test_membership_limits_itself_by_default(fake_time: FakeTime) -> None:
    """1000 a minute and operation, as documented; CloudCockpit documents no limit and has none."""
    async with WireServer(CannedAnswer(500)) as server:
        async with membership(server) as client:
            limiter = client._admission._limiter
            assert isinstance(limiter, LocalRateLimiter)
            waits = [limiter.acquire("a", 0) for _ in range(1001)]
            assert waits[:1000] == [0] * 1000
            assert 59 < waits[1000] <= 60
            assert isinstance(await failure(client.with_options(retry=RetryPolicy.none()).call(READ)), ServerError)
        assert cloudcockpit(server)._admission._limiter is None


def test_slot_may_stand_twice_in_a_path() -> None:
    operation = Operation(
        name="get", method="GET", path="/of/{id:int}/{name:str}/{id:int}", returns=VoidResult, effect=Effect.READ
    )
    assert operation.request({"id": 7, "name": "{id}"})[0] == "/of/7/%7Bid%7D/7"


@fuzzed(25)
@given(
    st.text(min_size=1, max_size=20) | st.sampled_from([".", "..", "/", "%2e%2e", "a/../b", "?q", "#f", "\\", "\x00"])
)
def test_no_value_of_a_slot_leaves_its_place(value: str) -> None:
    """Whatever it is, it stays one segment of the path, and arrives as it was; or it is refused."""
    operation = Operation(name="get", method="GET", path="/v1/{name:str}/end", returns=VoidResult, effect=Effect.READ)
    try:
        path = operation.request({"name": value})[0]
    except ValueError:
        assert value in {".", ".."} or any("\ud800" <= character <= "\udfff" for character in value)
        return
    url = yarl.URL("https://host/").with_path(path, encoded=True)
    assert (url.host, url.query_string, url.fragment) == ("host", "", "")
    start, segment, end = url.raw_path.removeprefix("/").split("/")
    assert (start, unquote(segment), end) == ("v1", value, "end")
