"""Whatever both SDKs offer to call: an argument of a wrong type is refused by its name, and nothing is sent."""

import inspect
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from wire import WireServer

import cloudcockpit_sdk
import cloudcockpit_sdk.workflows
import membership_sdk
import membership_sdk.workflows
from cloudcockpit_sdk import CancelConflict, ClientCredentials, CloudCockpitClient, Paginator, Transition
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import (
    ConflictError,
    Connection,
    Document,
    Effect,
    LocalRateLimiter,
    MembershipClient,
    Money,
    Operation,
    Query,
    RetryBudget,
    RetryPolicy,
    SdkError,
    correlation_scope,
    deadline_scope,
    from_json,
    to_dict,
    to_json,
    to_problem,
)
from membership_sdk.sandbox import MembershipSandbox
from membership_sdk.webhooks import RecentDeliveries, WebhookReceiver, read_delivery
from membership_sdk.webhooks.aiohttp_web import webhook_handler
from membership_sdk.webhooks.asgi import WebhookApp
from sdk_core.backend import ClientOptions


class Odd:
    """Of no type that anything takes."""


ODD: tuple[Any, ...] = (Odd(), 1j)
SDKS: dict[str, tuple[Callable[[str], Any], Any]] = {
    "membership": (lambda url: MembershipClient(url, "key"), membership_sdk.workflows),
    "cloudcockpit": (
        lambda url: CloudCockpitClient("tenant.example", "token", base_url=url),
        cloudcockpit_sdk.workflows,
    ),
}
OPTIONS = tuple(ClientOptions.__annotations__)
ID = UUID(int=1)
GOOD: dict[str, Any] = {
    **dict.fromkeys(
        (
            *("contract_id", "reason_id", "cancelation_reason_id", "idle_period_id", "additional_module_id"),
            *("payment_frequency_id", "additional_module_contract_id", "quantity", "reason"),
        ),
        1,
    ),
    **dict.fromkeys(("subscription_id", "reseller_id"), ID),
    "changes": {},
    "margin": {},
    **dict.fromkeys(("cancelation_date", "start_date"), date(2026, 1, 31)),
    **dict.fromkeys(("book_trial_period", "purchase_full_term"), False),
    "monthly_budget": Decimal(1),
    "on": "latest",
    "po_number": "x",
    "transition": Transition(quantity=1),
    "user_email": "x@example.com",
}
"""What the methods and workflows need."""


def good(sdk: str, name: str) -> Any:
    return {"membership": 1, "cloudcockpit": ID}[sdk] if name == "customer_id" else GOOD[name]


def names_of(call: Any) -> list[str]:
    return [name for name in inspect.signature(call).parameters if name not in {"options", "members", "faults"}]


async def refuse(make: Callable[[], Any], name: str) -> None:
    """Make the call, and what it returns, if that is yet to be waited for; it is refused."""

    async def called() -> object:
        found = make()
        return await (anext(aiter(found)) if isinstance(found, Paginator) else found)

    with pytest.raises((TypeError, ValueError), match=rf"\b{name}\b") as caught:
        await called()
    assert not isinstance(caught.value, SdkError) or isinstance(caught.value, membership_sdk.ConfigurationError)


def methods(client: type) -> list[str]:
    found = inspect.getmembers(client, inspect.isfunction)
    return [name for name, _ in found if not name.startswith("_") and name not in {"call", "call_with_reply", "aclose"}]


METHODS = [
    (sdk, name)
    for sdk, client in (("membership", MembershipClient), ("cloudcockpit", CloudCockpitClient))
    for name in methods(client)
]
SDKS_OF_CALL = [(sdk, name) for sdk in SDKS for name in ("call", "call_with_reply")]
WORKFLOWS = [
    (sdk, name)
    for sdk, (_, module) in SDKS.items()
    for name in module.__all__
    if inspect.iscoroutinefunction(getattr(module, name))
]


@goes_through(("sdk", "name"), METHODS)
async def test_a_method_names_the_argument(sdk: str, name: str) -> None:
    async with WireServer() as server, SDKS[sdk][0](server.url) as client:
        method = getattr(client, name)
        parameters = inspect.signature(method).parameters
        needed = {each: good(sdk, each) for each, p in parameters.items() if p.default is p.empty}
        for argument in parameters:
            for odd in ODD:
                await refuse(lambda arguments={**needed, argument: odd}: method(**arguments), argument)  # type: ignore[misc]
        assert server.connections == 0


@goes_through(("sdk", "name"), SDKS_OF_CALL)
@goes_through("odd", [*ODD, "get_contract_data", None])
async def test_a_call_names_the_operation(sdk: str, name: str, odd: Any) -> None:
    async with SDKS[sdk][0]("http://127.0.0.1:1") as client:
        await refuse(lambda: getattr(client, name)(odd), "operation must be an Operation")


@goes_through(("sdk", "name"), WORKFLOWS)
async def test_a_workflow_names_the_argument(sdk: str, name: str) -> None:
    """The client among them: that of the other API would ask its own server for what only this one knows."""
    (other,) = SDKS.keys() - {sdk}
    async with WireServer() as server, SDKS[sdk][0](server.url) as client, SDKS[other][0](server.url) as wrong:
        workflow = getattr(SDKS[sdk][1], name)
        parameters = inspect.signature(workflow).parameters
        needed = {each: good(sdk, each) for each, p in parameters.items() if p.default is p.empty and each != "client"}
        for argument in parameters:
            for odd in (*ODD, *([wrong] if argument == "client" else [])):
                arguments = {"client": client, **needed, argument: odd}
                await refuse(lambda arguments=arguments: workflow(**arguments), argument)  # type: ignore[misc]
        assert server.connections == 0


MONEY = Money(amount=Decimal(1), currency="EUR")
CALLS: dict[str, tuple[Any, dict[str, Any]]] = {
    "MembershipClient": (MembershipClient, {"base_url": "https://x.example", "api_key": "key"}),
    "MembershipClient.for_tenant": (MembershipClient.for_tenant, {"tenant": "x", "api_key": "key"}),
    "CloudCockpitClient": (CloudCockpitClient, {"tenant": "x", "token": "key"}),
    "ClientCredentials": (ClientCredentials, {"client_id": "x", "client_secret": "y"}),
    "CancelConflict.of": (CancelConflict.of, {"error": ConflictError("x")}),
    "Connection": (Connection, {}),
    "Document": (Document, {"source": b"x", "content_type": "image/png"}),
    "LocalRateLimiter": (LocalRateLimiter, {"limit": 1}),
    "Operation": (Operation, {"name": "x", "method": "GET", "path": "/x", "returns": dict, "effect": Effect.READ}),
    "Paginator": (
        Paginator,
        {"operation": cloudcockpit_sdk.operations.LIST_SUBSCRIPTIONS, "fetch": lambda _number: None},
    ),
    "Query": (Query, {"name": "x"}),
    "RecentDeliveries": (RecentDeliveries, {}),
    "RetryBudget": (RetryBudget, {}),
    "RetryPolicy": (RetryPolicy, {}),
    "WebhookReceiver": (WebhookReceiver, {"keys": {"x": "key"}, "handle": print}),
    "correlation_scope": (correlation_scope, {"correlation_id": "x"}),
    "deadline_scope": (lambda seconds: deadline_scope(seconds).__enter__(), {"seconds": 1}),
    "MembershipSandbox": (MembershipSandbox, {}),
    "CloudCockpitSandbox": (CloudCockpitSandbox, {}),
    "fail": (MembershipSandbox().fail, {}),
    "seed": (MembershipSandbox().seed, {"document": {}}),
    "clear_faults": (MembershipSandbox().clear_faults, {}),
    "WebhookApp": (WebhookApp, {}),
    "webhook_handler": (webhook_handler, {}),
    "from_json": (from_json, {"shape": Money, "text": "{}"}),
    "read_delivery": (read_delivery, {"body": b"{}", "studio": "x"}),
    "to_dict": (to_dict, {"model": MONEY}),
    "to_json": (to_json, {"model": MONEY}),
    "to_problem": (to_problem, {"error": SdkError("x")}),
}


@goes_through("name", list(CALLS))
async def test_a_function_names_the_argument(name: str) -> None:
    """Where it is called, and not when what it made is used."""
    call, needed = CALLS[name]
    for argument in [*names_of(call), *(OPTIONS if "Client" in name and "Credentials" not in name else ())]:
        for odd in ODD:
            await refuse(lambda arguments={**needed, argument: odd}: call(**arguments), argument)  # type: ignore[misc]


def test_all_that_is_offered_is_looked_at() -> None:
    """But for classes of what is only returned or raised, and those to be implemented."""
    offered = {
        name
        for sdk in (membership_sdk, cloudcockpit_sdk)
        for name in sdk.__all__
        if inspect.isfunction(getattr(sdk, name))
    }
    assert offered <= CALLS.keys()
