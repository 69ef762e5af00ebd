"""The Membership API as a local server: a studio with one member, for tests and demos; it fails on request."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import Final, Unpack

from aiohttp import web

from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
)
from membership_sdk.sandbox.seeding import Seeding
from membership_sdk.sandbox.studio import Studio
from membership_sdk.sandbox.webhooks import Webhook, Webhooks
from sdk_core import codec
from sdk_core.arguments import instance
from sdk_core.backend import ClientOptions
from sdk_core.sandbox.contents import check_kind
from sdk_core.sandbox.faults import Fault
from sdk_core.sandbox.requests import LedgerEntry, ReceivedDocument, ReceivedRequest, RefusalError

__all__ = [
    "Fault",
    "LedgerEntry",
    "MembershipSandbox",
    "ReceivedDocument",
    "ReceivedRequest",
    "RefusalError",
    "Webhook",
]


class MembershipSandbox(Seeding, Studio):
    """The Membership API on a loopback port: `async with MembershipSandbox() as sandbox:`.

    Error codes and the status of business refusals are the sandbox's own: the API publishes neither. A request that
    repeats an earlier one is refused, so that the ledger holds one effect.

    `add_contract(...)` and the like add own data in a line, `fail(Fault.status(409))` lets requests fail,
    `clock.advance(days=30)` lets time pass, and `reset()` brings all back. `webhooks` tells of its effects; `agree()`
    is the studio that verifies what waits for it.

    Args:
        verification: whether the studio verifies cancelations, withdrawals and idle periods before they take effect.
        contracts: main contracts by customer id; None: two of CUSTOMER_ID.
        modules: module contracts by (contract id, module contract id); None: one of CONTRACT_ID.
        reasons: the cancelation reasons; None: two.
        idle_period_config: the rules for idle periods of all contracts; None: up to three whole months, or unlimited.
        idle_periods: idle periods by contract id; None: a past one of CONTRACT_ID.
        additional_modules: what the studio sells; None: three, of which CONTRACT_ID has the sauna.
        today: the date at the start, for which the defaults above are made; None: today (UTC).

    Raises:
        ValueError, TypeError: some of the data can't be served: it is not as documented, or belongs to no contract.
    """

    API_KEY: Final = "sandbox-key"
    WEBHOOK_KEY: Final = "sandbox-webhook-key"

    def __init__(
        self,
        *,
        verification: bool = False,
        contracts: Mapping[int, Iterable[ContractData]] | None = None,
        modules: Mapping[tuple[int, int], AdditionalModuleContractExtended] | None = None,
        reasons: Iterable[ContractCancelationReason] | None = None,
        idle_period_config: IdlePeriodConfiguration | None = None,
        idle_periods: Mapping[int, Iterable[IdlePeriod]] | None = None,
        additional_modules: Iterable[AdditionalModule] | None = None,
        today: date | None = None,
    ) -> None:
        super().__init__(today=today)
        check_kind(Mapping, contracts=contracts, modules=modules, idle_periods=idle_periods)
        check_kind(Iterable, reasons=reasons, additional_modules=additional_modules)
        self.verification: bool = instance("verification", verification, bool)
        self._fill(
            contracts=contracts,
            modules=modules,
            reasons=reasons,
            idle_period_config=idle_period_config,
            idle_periods=idle_periods,
            additional_modules=additional_modules,
        )
        self.webhooks: Webhooks = Webhooks(self.WEBHOOK_KEY, self.clock.timestamp)
        self._amended = {}
        self.keep_state()

    async def start(self, *, host: str = "127.0.0.1", port: int = 0) -> None:
        """Begin to answer, and to send webhooks; see `Sandbox.start`."""
        await super().start(host=host, port=port)
        self.webhooks.start()

    async def stop(self) -> None:
        """Answer no more, and send no more webhooks; the state stays."""
        await super().stop()
        await self.webhooks.stop()

    def reset(self) -> None:
        """Go back to how it was created; who receives webhooks stays."""
        super().reset()
        self.webhooks.waiting.clear()
        self.webhooks.sent.clear()

    def client(
        self, *, api_key: str = API_KEY, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> MembershipClient:
        """Return a client for this sandbox; the options are those of MembershipClient."""
        return MembershipClient(self.url, api_key, language=language, **options)

    def introduction(self) -> list[str]:
        """Return lines that tell how to call the API."""
        path = f"/v1/memberships/{self.CUSTOMER_ID}/self-service/contract-data"
        return [
            f"API key         {self.API_KEY}   (header X-API-KEY)",
            f"customer id     {self.CUSTOMER_ID}",
            f"contract ids    {self.CONTRACT_ID}, {self.CANCELED_CONTRACT_ID} (canceled)",
            f"module contract {self.MODULE_CONTRACT_ID}, of contract {self.CONTRACT_ID}",
            f"reason id       {self.REASON_ID}",
            f"try             curl -H 'X-API-KEY: {self.API_KEY}' {self.url}{path}",
        ]

    def authenticate(self, request: web.Request) -> None:
        """Refuse a request without the API key."""
        if request.headers.get("X-API-KEY") != self.API_KEY:
            raise RefusalError(401, "UNAUTHORIZED", "The API key is missing or wrong.")

    def handle_other(self, request: web.Request) -> object:
        """Answer HEAD on any path: it checks the key and nothing else."""
        return self.verify_api_key() if request.method == "HEAD" else super().handle_other(request)

    def error_body(self, refusal: RefusalError, request: web.Request) -> bytes:  # noqa: ARG002  it echoes nothing
        """Return an ErrorResponse, as the API documents it."""
        answer = {
            "errorMessage": refusal.message,
            "errorCode": refusal.code,
            "traceId": f"sandbox-{self.requests.forgotten + len(self.requests)}",
            "reference": refusal.field,
        }
        return codec.dump({name: value for name, value in answer.items() if value is not None})
