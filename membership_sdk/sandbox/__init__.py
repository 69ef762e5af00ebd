"""The Membership API as a local server: a studio with one member, for tests and demos; it fails on request."""

from collections.abc import Iterable, Mapping
from datetime import date
from itertools import count
from typing import Final, Self, Unpack

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
from membership_sdk.sandbox import samples
from membership_sdk.sandbox.studio import Studio
from membership_sdk.sandbox.webhooks import Webhook, Webhooks
from sdk_core import codec
from sdk_core.backend import ClientOptions
from sdk_core.sandbox.faults import Fault
from sdk_core.sandbox.requests import LedgerEntry, ReceivedDocument, ReceivedRequest, RefusalError

__all__ = ["Fault", "LedgerEntry", "MembershipSandbox", "ReceivedDocument", "ReceivedRequest", "Webhook"]


class MembershipSandbox(Studio):
    """The Membership API on a loopback port: `async with MembershipSandbox() as sandbox:`.

    Error codes and the status of business refusals are the sandbox's own: the API publishes neither. A request that
    repeats an earlier one is refused, so that the ledger holds one effect.

    `webhooks` tells of its effects; `agree()` is the studio that verifies what waits for it.

    Args:
        verification: whether the studio verifies cancelations, withdrawals and idle periods before they take effect.
        contracts: main contracts by customer id; None: two of CUSTOMER_ID.
        modules: module contracts by (contract id, module contract id); None: one of CONTRACT_ID.
        reasons: the cancelation reasons; None: two.
        idle_period_config: the rules for idle periods of all contracts; None: up to three whole months, or unlimited.
        idle_periods: idle periods by contract id; None: a past one of CONTRACT_ID.
        additional_modules: what the studio sells; None: three, of which CONTRACT_ID has the sauna.
        today: the date for which the defaults above are made; None: today (UTC).
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
        self.verification = verification
        if contracts is None:
            contracts = {self.CUSTOMER_ID: samples.contracts(self.today)}
        self.contracts: dict[int, dict[int, ContractData]] = {
            customer: {contract.id: contract for contract in own} for customer, own in contracts.items()
        }
        if modules is None:
            modules = {(self.CONTRACT_ID, self.MODULE_CONTRACT_ID): samples.sauna(self.today)}
        self.modules: dict[tuple[int, int], AdditionalModuleContractExtended] = dict(modules)
        self.reasons: list[ContractCancelationReason] = samples.reasons() if reasons is None else list(reasons)
        rules = idle_period_config or samples.idle_period_config(self.today, verification=verification)
        self.idle_period_config = rules
        if idle_periods is None:
            idle_periods = {self.CONTRACT_ID: [samples.past_idle_period(self.today, self.idle_period_config)]}
        self.idle_periods: dict[int, dict[int, IdlePeriod]] = {
            contract: {period.id: period for period in own} for contract, own in idle_periods.items()
        }
        self.additional_modules: list[AdditionalModule] = (
            samples.modules_on_sale() if additional_modules is None else list(additional_modules)
        )
        self.webhooks: Webhooks = Webhooks(self.WEBHOOK_KEY)
        self._new_ids = count(9001)
        self._amended = {}

    async def __aenter__(self) -> Self:
        self.webhooks.start()
        return await super().__aenter__()

    async def __aexit__(self, *exc: object) -> None:
        await super().__aexit__(*exc)
        await self.webhooks.stop()

    def client(
        self, *, api_key: str = API_KEY, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> MembershipClient:
        """Return a client for this sandbox; the options are those of MembershipClient."""
        return MembershipClient(self.url, api_key, language=language, **options)

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
            "traceId": f"sandbox-{len(self.requests)}",
            "reference": refusal.field,
        }
        return codec.dump({name: value for name, value in answer.items() if value is not None})
