"""How each client makes the calls. Each runs in processes of its own, and imports only what it needs."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from itertools import cycle
from typing import Any, Final, NamedTuple

from benchmarks.payloads import API_KEY, CANCELATION, CONTRACT_ID, DAY, REASON_ID
from benchmarks.peers import GENERATED
from benchmarks.server import (
    EVERY_CALL_REFUSED_ONCE,
    EVERY_TENTH_CALL_REFUSED_ONCE,
    KINDS,
    ONE_CONTRACT,
    TEN_CONTRACTS,
    get_path,
    post_path,
)

__all__ = ["CLIENTS", "OPERATIONS", "Api", "Call", "loop_factory"]

Call = Callable[[], Awaitable[object]]

_HEADERS: Final = {"X-API-KEY": API_KEY}
_MEMBERS: Final = 1000
"""Customers whose turn it is one after another."""
_PATIENCE: Final = 60.0
"""Seconds, for those who would give up on 1,000 calls at a time before they are through."""


class Api(NamedTuple):
    """The two operations, as one client makes them."""

    get: Callable[[int], Awaitable[object]]
    """Of a customer's contracts."""
    post: Callable[[int], Awaitable[object]]
    """Of a cancelation."""


@asynccontextmanager
async def naive(url: str) -> AsyncGenerator[Api]:
    """Aiohttp as everyone writes it first: what the others are compared with."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def get(customer_id: int) -> object:
            async with session.get(url + get_path(customer_id), headers=_HEADERS) as response:
                return await response.json()

        async def post(customer_id: int) -> object:
            async with session.post(url + post_path(customer_id), json=CANCELATION, headers=_HEADERS) as response:
                return await response.json()

        yield Api(get, post)


@asynccontextmanager
async def undecoded(url: str) -> AsyncGenerator[Api]:
    """Aiohttp without reading what the bytes mean: what nobody on top of aiohttp can beat."""
    import aiohttp

    async with aiohttp.ClientSession() as session:

        async def get(customer_id: int) -> object:
            async with session.get(url + get_path(customer_id), headers=_HEADERS) as response:
                return await response.read()

        async def post(customer_id: int) -> object:
            async with session.post(url + post_path(customer_id), json=CANCELATION, headers=_HEADERS) as response:
                return await response.read()

        yield Api(get, post)


@asynccontextmanager
async def sdk(url: str, telemetry: Any = None) -> AsyncGenerator[Api]:
    """membership_sdk as it is installed, but with a rate limit and a retry budget that are never reached."""
    from membership_sdk import LocalRateLimiter, MembershipClient, RetryBudget, RetryPolicy

    # The default keeps as many starts in mind, but for a minute.
    limiter = LocalRateLimiter(1000, period=0.001)
    # Where every call is refused once, the default budget would be used up soon; and of those that run side by side,
    # one may get the refusals of others.
    retry = RetryPolicy(budget=RetryBudget(10**9), max_attempts=100)
    async with MembershipClient(url, API_KEY, rate_limiter=limiter, retry=retry, telemetry=telemetry) as client:

        async def get(customer_id: int) -> object:
            return await client.get_contract_data(customer_id=customer_id)

        async def post(customer_id: int) -> object:
            return await client.create_contract_cancelation_amendment(
                customer_id=customer_id,
                contract_id=CONTRACT_ID,
                cancelation_date=DAY,
                cancelation_reason_id=REASON_ID,
            )

        yield Api(get, post)


@asynccontextmanager
async def sdk_without_limiter(url: str) -> AsyncGenerator[Api]:
    """The same calls without a rate limiter."""
    from yarl import URL

    from membership_sdk import operations
    from membership_sdk.errors import read_error
    from membership_sdk.models import MainContractCancelation
    from sdk_core.auth import ApiKey
    from sdk_core.backend import Backend
    from sdk_core.client import Client

    backend = Backend(base_url=URL(url), auth=ApiKey("X-API-KEY", API_KEY), read_error=read_error)
    async with Client(backend) as client:

        async def get(customer_id: int) -> object:
            return await client.call(operations.GET_CONTRACT_DATA, customer_id=customer_id)

        async def post(customer_id: int) -> object:
            body = MainContractCancelation(
                cancelation_date=DAY, cancelation_reason_id=REASON_ID, contract_id=CONTRACT_ID
            )
            operation = operations.CREATE_CONTRACT_CANCELATION_AMENDMENT
            return await client.call(operation, customer_id=customer_id, body=body)

        yield Api(get, post)


@asynccontextmanager
async def sdk_in_scope(url: str) -> AsyncGenerator[Api]:
    """membership_sdk with correlation ids of the caller's."""
    from membership_sdk import correlation_scope

    async with sdk(url) as api:

        async def get(customer_id: int) -> object:
            with correlation_scope("4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"):
                return await api.get(customer_id)

        async def post(customer_id: int) -> object:
            with correlation_scope("4f1c0f9e-2f0d-4c9f-9d2f-8a1f6f1f7f11"):
                return await api.post(customer_id)

        yield Api(get, post)


@asynccontextmanager
async def sdk_with_telemetry(url: str) -> AsyncGenerator[Api]:
    """membership_sdk with hooks that do nothing."""
    from membership_sdk import Telemetry

    async with sdk(url, Telemetry()) as api:
        yield api


@asynccontextmanager
async def aiohttp_retry(url: str) -> AsyncGenerator[Api]:
    """aiohttp-retry as its README shows it."""
    import aiohttp

    library = import_module("aiohttp_retry")
    async with (
        aiohttp.ClientSession() as session,
        library.RetryClient(session, retry_options=library.ExponentialRetry(attempts=3)) as client,
    ):

        async def get(customer_id: int) -> object:
            async with client.get(url + get_path(customer_id), headers=_HEADERS) as response:
                return await response.json()

        async def post(customer_id: int) -> object:
            async with client.post(url + post_path(customer_id), json=CANCELATION, headers=_HEADERS) as response:
                return await response.json()

        yield Api(get, post)


@asynccontextmanager
async def httpx(url: str) -> AsyncGenerator[Api]:
    """httpx, as naive as the aiohttp above."""
    async with import_module("httpx").AsyncClient(timeout=_PATIENCE) as client:

        async def get(customer_id: int) -> object:
            return (await client.get(url + get_path(customer_id), headers=_HEADERS)).json()

        async def post(customer_id: int) -> object:
            return (await client.post(url + post_path(customer_id), json=CANCELATION, headers=_HEADERS)).json()

        yield Api(get, post)


@asynccontextmanager
async def azure_core(url: str) -> AsyncGenerator[Api]:
    """azure-core with the policies, in their order, of the clients that Azure's own generator makes."""
    policies = import_module("azure.core.pipeline.policies")
    key = import_module("azure.core.credentials").AzureKeyCredential(API_KEY)
    request = import_module("azure.core.rest").HttpRequest
    pipeline = [
        policies.RequestIdPolicy(),
        policies.HeadersPolicy(),
        policies.UserAgentPolicy(sdk_moniker="membership/1.0"),
        policies.ProxyPolicy(),
        policies.ContentDecodePolicy(),
        policies.AsyncRedirectPolicy(),
        policies.AsyncRetryPolicy(),
        policies.AzureKeyCredentialPolicy(key, "X-API-KEY"),
        policies.CustomHookPolicy(),
        policies.NetworkTraceLoggingPolicy(),
        policies.DistributedTracingPolicy(),
        policies.SensitiveHeaderCleanupPolicy(),
        policies.HttpLoggingPolicy(),
    ]
    async with import_module("azure.core").AsyncPipelineClient(url, policies=pipeline) as client:

        async def send(method: str, path: str, **content: object) -> object:
            response = await client.send_request(request(method, url + path, **content))
            response.raise_for_status()
            return response.json()

        async def get(customer_id: int) -> object:
            return await send("GET", get_path(customer_id), headers={"Accept": "application/json"})

        async def post(customer_id: int) -> object:
            return await send("POST", post_path(customer_id), json=CANCELATION, headers={"Accept": "application/json"})

        yield Api(get, post)


@asynccontextmanager
async def openapi_generator(url: str) -> AsyncGenerator[Api]:
    """What openapi-generator makes of our document with `-g python --library asyncio`, as its README shows it."""
    generated = import_module(GENERATED["openapi-generator"])
    configuration = generated.Configuration(host=url, api_key={"ApiKeyAuth": API_KEY})
    async with generated.ApiClient(configuration) as client:
        api = generated.MembershipSelfServiceApi(client)

        async def get(customer_id: int) -> object:
            return await api.get_contract_data(customer_id)

        async def post(customer_id: int) -> object:
            body = generated.MembershipSelfServiceMainContractCancelation(
                cancelation_date=DAY, cancelation_reason_id=REASON_ID, contract_id=CONTRACT_ID
            )
            return await api.create_contract_cancelation_amendment(customer_id, body)

        yield Api(get, post)


@asynccontextmanager
async def openapi_python_client(url: str) -> AsyncGenerator[Api]:
    """What openapi-python-client makes of our document, as its README shows it."""
    package = GENERATED["openapi-python-client"]
    operations = f"{package}.api.membership_self_service"
    get_contract_data = import_module(f"{operations}.get_contract_data")
    cancel = import_module(f"{operations}.create_contract_cancelation_amendment")
    models = import_module(f"{package}.models")
    timeout = import_module("httpx").Timeout(_PATIENCE)
    async with import_module(package).AuthenticatedClient(
        base_url=url, token=API_KEY, prefix="", auth_header_name="X-API-KEY", timeout=timeout
    ) as client:

        async def get(customer_id: int) -> object:
            return await get_contract_data.asyncio(customer_id, client=client)

        async def post(customer_id: int) -> object:
            body = models.MembershipSelfServiceMainContractCancelation(
                cancelation_date=DAY, cancelation_reason_id=REASON_ID, contract_id=CONTRACT_ID
            )
            return await cancel.asyncio(customer_id, client=client, body=body)

        yield Api(get, post)


CLIENTS: Final[dict[str, Callable[[str], AbstractAsyncContextManager[Api]]]] = {
    "aiohttp": naive,
    "aiohttp, not decoded": undecoded,
    "membership_sdk": sdk,
    "membership_sdk, no rate limiter": sdk_without_limiter,
    "membership_sdk, correlation scope": sdk_in_scope,
    "membership_sdk, telemetry hooks": sdk_with_telemetry,
    "aiohttp-retry": aiohttp_retry,
    "httpx": httpx,
    "azure-core": azure_core,
    "openapi-generator": openapi_generator,
    "openapi-python-client": openapi_python_client,
}


def _for_each(call: Callable[[int], Awaitable[object]], kind: int) -> Call:
    """Return what makes each call for another customer of a kind."""
    customers = cycle(range(kind, _MEMBERS * KINDS, KINDS))
    return lambda: call(next(customers))


OPERATIONS: Final[dict[str, Callable[[Api], Call]]] = {
    "GET": lambda api: _for_each(api.get, ONE_CONTRACT),
    "GET ten": lambda api: _for_each(api.get, TEN_CONTRACTS),
    "GET, every tenth refused once": lambda api: _for_each(api.get, EVERY_TENTH_CALL_REFUSED_ONCE),
    "GET, refused once": lambda api: _for_each(api.get, EVERY_CALL_REFUSED_ONCE),
    "GET same member": lambda api: partial(api.get, ONE_CONTRACT),
    "POST": lambda api: _for_each(api.post, ONE_CONTRACT),
    "POST same member": lambda api: partial(api.post, ONE_CONTRACT),
}


def loop_factory(loop: str) -> Callable[[], Any]:
    """Return what makes the event loops of that name."""
    if loop == "uvloop":
        import uvloop

        return uvloop.new_event_loop
    return asyncio.new_event_loop
