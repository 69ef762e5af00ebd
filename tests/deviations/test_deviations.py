"""Every row of the tables, through the real clients over a socket, for every operation that it concerns."""

import json
import re
from collections.abc import Callable
from functools import cache
from typing import Any, get_args, get_origin
from uuid import UUID

import attrs
import pytest
from both_apis import APIS, Api, valid_arguments
from cases import goes_through
from model_json import Site, full, is_enum, sites, value_at
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk import CloudCockpitClient, InvalidResponseError, Outcome, Paginator, RetryPolicy
from deviations.errors import REFUSALS, STATUSES, Refusal
from deviations.fields import FIELDS, UNREADABLE, Field
from deviations.pages import NO_LISTS, PAGES, Pages
from membership_sdk import AdditionalModuleContract, RemainingIdlePeriods
from sdk_core.codec import OpenEnumObject
from sdk_core.deviation import Deviation
from sdk_core.errors import ApiError, RateLimitError, api_error_class
from sdk_core.operation import Effect, Operation
from sdk_core.returns import Empty

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")

ITERATORS: dict[str, Callable[[CloudCockpitClient], Paginator[Any]]] = {
    "list_customer_subscriptions": lambda client: client.iter_customer_subscriptions(customer_id=UUID(int=7)),
    "list_subscriptions": lambda client: client.iter_subscriptions(),
    "list_audit_logs": lambda client: client.iter_audit_logs(),
}


def as_bytes(body: Any) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def test_there_are_as_many_rows_as_promised() -> None:
    """A row is a body with a status for an API; each has a name of its own."""
    rows = [f"{row.what} {status}" for row in REFUSALS for status in STATUSES] + [row.what for row in PAGES]
    rows += [name for _row, name in FIELD_ROWS]
    assert len(set(rows)) == len(rows) >= 250
    assert {row.mark for row in (*REFUSALS, *PAGES, *FIELDS)} == {"V", "3P", "T", "INF", "-"}


@pytest.mark.parametrize("row", REFUSALS, ids=lambda row: row.what)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_refusal_tells_what_is_in_its_body(api: Api, row: Refusal) -> None:
    """Code, message, trace id and fields from where they are; and only the API's own envelope is taken for that.

    With every status, each operation at one of them: what a body means does not depend on who asked. Where the API
    itself speaks, each at 403 as well, which tells the scope it needs.
    """
    asked = [(status, it) for n, status in enumerate(STATUSES) for it in api.operations[n :: len(STATUSES)]]
    if row.recognised_by == api.name:
        asked += [(403, operation) for operation in api.operations]
    assert {status for status, _operation in asked} == {*STATUSES}
    async with (
        WireServer(*(CannedAnswer(status, as_bytes(row.body)) for status, _operation in asked)) as server,
        api.client(server.url, retry=RetryPolicy.none()) as client,
    ):
        for status, operation in asked:
            with pytest.raises(ApiError) as caught:
                await client.call(operation, **valid_arguments(operation))
            error, details, where = caught.value, caught.value.details, (status, operation.name)
            assert type(error) is api_error_class(status), where
            assert error.outcome is (Outcome.REJECTED if status < 500 else Outcome.UNKNOWN), where
            assert (details.code, details.message, details.trace_id) == (row.code, row.message, row.trace_id), where
            assert {field.name: field.messages for field in details.fields} == row.fields, where
            assert details.recognised is (row.recognised_by == api.name), where
            # Something in between refuses for its own reasons.
            assert ("needs the scope" in str(error)) is (
                status == 403 and details.recognised and bool(operation.scopes)
            ), where


@goes_through("row", PAGES)
async def test_list_is_read_wholly_or_an_error(row: Pages) -> None:
    """Items served are items returned, or an error tells; none goes on for ever; a READ is never APPLIED."""
    answers = [CannedAnswer(body=as_bytes(page)) for page in row.pages]
    for name, iterate in ITERATORS.items():
        async with (
            WireServer(*answers) as server,
            CloudCockpitClient("tenant.example", "token", base_url=server.url, retry=RetryPolicy.none()) as client,
        ):
            found: list[str] = []
            reading = _read(iterate(client), found)
            if isinstance(row.come, str):
                with pytest.raises(InvalidResponseError, match=row.come) as caught:
                    await reading
                assert caught.value.outcome in {Outcome.REJECTED, Outcome.UNKNOWN}, name
            else:
                await reading
                assert found == [*map(str, row.come)], name
            assert len(server.requests) == row.requests, name


async def _read(paginator: Paginator[Any], found: list[str]) -> None:
    async for item in paginator:
        # Entries of the audit log are raw.
        identifier = UUID(item["id"]) if isinstance(item, dict) else item.id
        found.append(f"{identifier.int:x}")


ODD: tuple[tuple[str, bytes], ...] = (("a number", b"42"), ("a text", b'"OK"'), ("an object", b'{"done": true}'))
"""Answers with status 200 that nobody documents."""


def takes_anything(operation: Operation[Any]) -> bool:
    """Whether any JSON is an answer."""
    return operation.returns is object or issubclass(getattr(operation.returns, "__origin__", operation.returns), Empty)


@pytest.mark.parametrize(("what", "body"), ODD)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_what_cannot_be_read_of_a_read_has_no_effect(api: Api, what: str, body: bytes) -> None:
    """Never APPLIED of a READ, which is not repeated; of a WRITE whose answer says something, always."""
    async with WireServer(CannedAnswer(body=body)) as server, api.client(server.url) as client:
        for operation in api.operations:
            if takes_anything(operation):
                continue
            with pytest.raises(InvalidResponseError) as caught:
                await client.call(operation, **valid_arguments(operation))
            expected = Outcome.REJECTED if operation.effect is Effect.READ else Outcome.APPLIED
            assert (operation.name, caught.value.outcome) == (operation.name, expected)
            assert (caught.value.retryable, len(caught.value.attempts)) == (False, 1)


def kind_of(site: Site) -> str:
    """Return what rows call a kind of field."""
    if site.root is AdditionalModuleContract:
        return "id of a purchase"
    if is_enum(site.shape):
        return "enum object" if issubclass(site.shape, OpenEnumObject) else "enum"
    if get_origin(site.shape) is tuple:
        return "list"
    return "object" if attrs.has(site.shape) else getattr(site.shape, "__name__", "")


@cache
def _sites(root: Any) -> list[Site]:
    return [*sites(root, root)]


def sites_of(operation: Operation[Any], row: Field) -> list[Site]:
    """Return the fields of an operation's answer that a row is about; none of them within another."""
    shape: Any = operation.returns
    root = get_args(shape)[0] if get_origin(shape) is list else shape
    # An answer with neither of its two fields is none, and where nothing is documented, nothing can be wrong.
    if (
        takes_anything(operation)
        or not attrs.has(get_origin(root) or root)
        or (root is RemainingIdlePeriods and row.kind == "object")
    ):
        return []
    found: list[Site] = []
    for site in _sites(root):
        # The items of a page are needed, and may be null: pages have rows of their own.
        is_one = not site.is_item and not (site.required and site.is_nullable)
        fits = kind_of(site) == row.kind and site.required is row.needed and is_one
        if fits and not any(site.keys[: len(other.keys)] == other.keys for other in found):
            found.append(site)
    return found


def served(operation: Operation[Any], found: list[Site], value: Any) -> Any:
    """Return the answer with this value in all these places."""
    document = full(found[0].root)
    for site in found:
        part = document
        for key in site.keys[:-1]:
            part = part[key]
        part[site.keys[-1]] = value
    return [document] if get_origin(operation.returns) is list else document


def path_in(operation: Operation[Any], site: Site) -> str:
    """Return the path of a field in the whole answer, as deviations tell it."""
    path = site.path.replace("[0]", "[*]")
    return path.replace("$", "$[*]", 1) if get_origin(operation.returns) is list else path


FIELD_ROWS = [(row, f"{row.what}, {'needed' if row.needed else 'optional'} {row.kind}") for row in FIELDS]


@pytest.mark.parametrize("row", [row for row, _name in FIELD_ROWS], ids=[name for _row, name in FIELD_ROWS])
async def test_field_of_another_form_costs_a_field_or_is_an_error(row: Field) -> None:
    """In every field of its kind at once: what comes out, what is told, and which paths an error names."""
    concerned = [(api, op, found) for api in APIS for op in api.operations if (found := sites_of(op, row))]
    assert concerned
    for api, operation, found in concerned:
        told: list[Deviation] = []
        body = as_bytes(served(operation, found, row.served))
        async with (
            WireServer(CannedAnswer(body=body)) as server,
            api.client(server.url, on_unexpected=told.append) as client,
        ):
            call = client.call(operation, **valid_arguments(operation))
            paths = {path_in(operation, site) for site in found}
            if row.comes is UNREADABLE:
                with pytest.raises(InvalidResponseError) as caught:
                    await call
                named = {re.sub(r"\[\d+\]", "[*]", problem.partition(":")[0]) for problem in caught.value.problems}
                assert named <= paths
                assert len(named) == min(len(paths), 20)
                continue
            value = await call
            for site in found:
                come = value_at(site, value[0] if isinstance(value, list) else value)
                assert come == row.comes, (operation.name, site.path)
                assert isinstance(come, (type(row.comes), site.shape if is_enum(site.shape) else type(row.comes)))
            assert {what.path for what in told} == (paths if row.told else set())


@goes_through(("what", "mark", "body"), NO_LISTS)
async def test_what_is_no_list_is_an_error(what: str, mark: str, body: Any) -> None:
    """Never an empty list: a nightly job would believe it."""
    assert mark in {"V", "3P", "T", "INF", "-"}
    async with WireServer(CannedAnswer(body=as_bytes(body))) as server:
        for api in APIS:
            async with api.client(server.url) as client:
                for operation in api.operations:
                    if get_origin(operation.returns) is list:
                        with pytest.raises(InvalidResponseError):
                            await client.call(operation, **valid_arguments(operation))


async def test_list_that_is_null_is_empty() -> None:
    """Also a bare one, and the list of a page."""
    async with WireServer(CannedAnswer(body=b"null")) as server:
        for api in APIS:
            async with api.client(server.url) as client:
                for operation in api.operations:
                    if get_origin(operation.returns) is list:
                        assert await client.call(operation, **valid_arguments(operation)) == []


FAILURES: tuple[tuple[str, Any, str | None], ...] = (
    ("CloudCockpit's own", {"statusCode": 500, "type": "E", "description": "D"}, "E"),
    ("CloudCockpit's own, with fields", {"statusCode": 400, "type": None, "errors": [{"propertyName": "f"}]}, None),
    ("Membership's own", {"errorMessage": "M", "errorCode": "C"}, "C"),
    ("Membership's own, a message", {"errorMessage": "M"}, None),
    ("a problem", {"title": "T", "status": 500}, None),
    ("a problem in PascalCase", {"Title": "T", "Status": 400, "ErrorCode": "E7"}, "E7"),
    ("ModelState", {"Message": "M", "ModelState": {"Name": ["a"]}}, None),
    ("a Web API exception", {"Message": "M", "ExceptionType": "X"}, None),
    ("OData", {"error": {"code": "Denied", "message": "M"}}, "Denied"),
    ("OAuth", {"error": "invalid_token", "error_description": "D"}, "invalid_token"),
    ("Spring", {"timestamp": 1, "status": 503, "error": "Service Unavailable", "path": "/"}, None),
    ("API Management", {"statusCode": 429, "message": "M"}, None),
    ("errors and nothing else", {"errors": ["a"]}, None),
)
"""Bodies of errors that come with status 200, and the code in them."""


@pytest.mark.parametrize(("what", "body", "code"), FAILURES)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_error_with_a_status_of_success_is_none(api: Api, what: str, body: Any, code: str | None) -> None:
    """Status and body contradict each other: nobody knows what a WRITE did, also where any JSON is an answer."""
    async with WireServer(CannedAnswer(body=as_bytes(body))) as server, api.client(server.url) as client:
        for operation in api.operations:
            with pytest.raises(InvalidResponseError) as caught:
                await client.call(operation, **valid_arguments(operation))
            error = caught.value
            expected = Outcome.REJECTED if operation.effect is Effect.READ else Outcome.UNKNOWN
            assert (operation.name, error.outcome) == (operation.name, expected)
            assert (error.retryable, len(error.attempts), error.details.code) == (False, 1, code)
            assert error.details.raw == body


@pytest.mark.parametrize(
    "body", [rb'{"\u0065rrorCode": "C"}', '{"errorCode": "C"}'.encode("utf-16")], ids=["escaped", "UTF-16"]
)
@pytest.mark.parametrize("api", APIS, ids=lambda api: api.name)
async def test_error_with_a_status_of_success_is_none_however_its_keys_are_written(api: Api, body: bytes) -> None:
    async with WireServer(CannedAnswer(body=body)) as server, api.client(server.url) as client:
        for operation in filter(takes_anything, api.operations):
            with pytest.raises(InvalidResponseError, match="the body of an error"):
                await client.call(operation, **valid_arguments(operation))


@goes_through(
    "body", [{"success": True}, {"status": "Accepted"}, {"errors": []}, {"error": None, "status": 202}, {"code": 0}, []]
)
@goes_through("api", APIS)
async def test_what_tells_no_failure_is_a_success(api: Api, body: Any) -> None:
    """Where the answer carries nothing, what it says otherwise is not known, and not looked at."""
    async with WireServer(CannedAnswer(body=as_bytes(body))) as server, api.client(server.url) as client:
        for operation in filter(takes_anything, api.operations):
            await client.call(operation, **valid_arguments(operation))


@goes_through(
    ("headers", "seconds"),
    [
        ({"retry-after-ms": "1500"}, 1.5),
        ({"x-ms-retry-after-ms": "2500"}, 2.5),
        ({"Retry-After": "7", "retry-after-ms": "6500"}, 6.5),
        ({"Retry-After": "7", "RateLimit-Reset": "9"}, 7),
        ({"RateLimit-Reset": "9"}, 9),
        ({"RateLimit-Reset": "1790000000"}, None),
        ({"RateLimit-Reset": "soon"}, None),
        ({"retry-after-ms": "-1"}, None),
        ({"retry-after-ms": "1e400"}, None),
        ({"x-ms-retry-after-ms": "", "Retry-After": "3"}, 3),
    ],
)
async def test_hints_of_other_names_are_followed(headers: dict[str, str], seconds: float | None) -> None:
    """As exactly as they say; a reset that comes with another status is not about that."""
    async with (
        WireServer(CannedAnswer(429, headers=headers), CannedAnswer(404, headers=headers)) as server,
        CloudCockpitClient("tenant.example", "token", base_url=server.url, retry=RetryPolicy.none()) as client,
    ):
        with pytest.raises(RateLimitError) as caught:
            await client.list_subscriptions()
        assert caught.value.retry_after == seconds
        with pytest.raises(ApiError) as other:
            await client.list_subscriptions()
        assert other.value.retry_after == (None if {*headers} == {"RateLimit-Reset"} else seconds)
