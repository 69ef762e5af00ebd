"""The client of the Membership Self-service API: a method is the signature users see, and one line."""

import re
from datetime import date
from typing import Final, Self, Unpack

from membership_sdk import operations
from membership_sdk.errors import read_error
from membership_sdk.models import (
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    ContractCancelationReason,
    ContractData,
    MainContractCancelation,
    VoidResult,
)
from sdk_core.arguments import base_url as checked_base_url
from sdk_core.arguments import header_text
from sdk_core.auth import ApiKey
from sdk_core.client import Backend, Client, ClientOptions, user_agent
from sdk_core.errors import AuthenticationError, ConfigurationError, configuring
from sdk_core.ratelimit import LocalRateLimiter

__all__ = ["MembershipClient"]

_TENANT: Final = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_RATE_LIMIT: Final = 1000
"""Requests a minute and endpoint, by default (general information)."""
_RATE_LIMIT_WAIT: Final = 60.0
"""Over the limit, the whole next minute is refused, and no header says so (general information)."""


class MembershipClient(Client):
    """The Membership Self-service API of one studio.

    Key and tenant belong together. All ids are positive 64-bit
    integers and keyword-only, because the same place in a URL holds a customer id in some operations and a
    contract id in others.

    Every method raises TypeError or ValueError, before anything is sent, for an argument that can't be right;
    and an `SdkError` when the call failed, whose `outcome` says what is known of its effect.

    Args:
        base_url: `https://<tenant>.open-api.magicline.com`, or a sandbox's URL.
        api_key: the studio's key.
        language: `Accept-Language` for messages, like `de` or `de-CH`; None: the studio's language.
        **options: the options of `sdk_core.client.Client`: `session`, `retry` (a 429 that names no delay waits 60 s),
            `attempt_timeout`, `total_timeout` (120 s sit out one blocked minute; a web app sets 10),
            `correlation_id` (the API has no header for it: it is on errors, replies and log records),
            `rate_limiter` (default: 1000 calls a minute and operation, in this process), `connection`,
            `max_response_bytes`.

    Raises:
        ConfigurationError: a value can't be right; it is a ValueError too.
    """

    def __init__(
        self, base_url: str, api_key: str, *, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        with configuring():
            headers = {"Accept": "application/json", "User-Agent": user_agent("membership-sdk")}
            if language is not None:
                headers["Accept-Language"] = header_text("language", language)
            if options.get("rate_limiter") is None:
                options["rate_limiter"] = LocalRateLimiter(_RATE_LIMIT)
            backend = Backend(
                base_url=checked_base_url("base_url", base_url),
                auth=ApiKey("X-API-KEY", api_key),
                read_error=read_error,
                headers=headers,
                rate_limit_wait=_RATE_LIMIT_WAIT,
                throttles_with_503=True,
            )
            super().__init__(backend, **options)

    @classmethod
    def for_tenant(
        cls, tenant: str, *, api_key: str, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> Self:
        """Return a client for `https://<tenant>.open-api.magicline.com`; see the class for the arguments."""
        if not _TENANT.fullmatch(tenant):
            raise ConfigurationError("tenant must be the name before .open-api.magicline.com: a-z, 0-9 and hyphens")
        return cls(f"https://{tenant}.open-api.magicline.com", api_key, language=language, **options)

    async def verify_api_key(self) -> bool:
        """Return whether the API accepts the key; it says nothing about scopes or ids.

        Source: general information, "HEAD on any path" (since 1.9.0).
        """
        try:
            await self.call(operations.VERIFY_API_KEY)
        except AuthenticationError:
            return False
        return True

    async def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
        """Return the customer's current main contracts; the list may be empty.

        Args:
            customer_id: the member's id.

        Raises:
            NotFoundError: no such customer (REJECTED).
            PermissionDeniedError: the key lacks MEMBERSHIP_SELF_SERVICE_READ (REJECTED).

        Source: getContractData. The page shows the fields of one contract at top level; the vendor's schema is an
        array, and a lone object is accepted too.
        """
        return await self.call(operations.GET_CONTRACT_DATA, customer_id=customer_id)

    async def get_contract_cancelation_reason_data(self) -> list[ContractCancelationReason]:
        """Return the reasons the studio offers for cancelations.

        Source: getContractCancelationReasonData. Scope MEMBERSHIP_SELF_SERVICE_READ.
        """
        return await self.call(operations.GET_CONTRACT_CANCELATION_REASON_DATA)

    async def create_contract_cancelation_amendment(
        self, *, customer_id: int, contract_id: int, cancelation_date: date, cancelation_reason_id: int
    ) -> VoidResult:
        """Cancel a main contract to a date.

        The answer says nothing: depending on the studio's settings the cancelation takes effect at once or waits for
        the studio. Read `get_contract_data` afterwards.

        Args:
            customer_id: the member's id.
            contract_id: the contract's id.
            cancelation_date: one of the contract's `available_cancelation_dates`; a `date`, not a `datetime`.
            cancelation_reason_id: from `get_contract_cancelation_reason_data`.

        Raises:
            BadRequestError: the API refused date or reason (REJECTED).
            NotFoundError: no such customer or contract (REJECTED).
            ConflictError: still changed by others after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract before
                canceling again; this call is not repeated for you.

        Source: createContractCancelationAmendment. Scope MEMBERSHIP_SELF_SERVICE_WRITE.
        """
        body = MainContractCancelation(
            cancelation_date=cancelation_date, cancelation_reason_id=cancelation_reason_id, contract_id=contract_id
        )
        return await self.call(operations.CREATE_CONTRACT_CANCELATION_AMENDMENT, customer_id=customer_id, body=body)

    async def withdraw_contract_cancelation(self, *, customer_id: int, contract_id: int) -> VoidResult:
        """Withdraw a pending cancelation of a main contract, or revert one that took effect.

        Args:
            customer_id: the member's id.
            contract_id: the contract's id.

        Raises:
            NotFoundError: no such customer or contract (REJECTED).
            ConflictError: still changed by others after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract first.

        Source: withdrawContractCancelation. Scope MEMBERSHIP_SELF_SERVICE_WRITE.
        """
        return await self.call(
            operations.WITHDRAW_CONTRACT_CANCELATION, customer_id=customer_id, contract_id=contract_id
        )

    async def get_additional_module_contract(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> AdditionalModuleContractExtended:
        """Return one contract of an additional module.

        Args:
            contract_id: the main contract's id.
            additional_module_contract_id: the module contract's id.

        Raises:
            NotFoundError: no such contract (REJECTED).

        Source: getAdditionalModuleContract. Scope MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_READ.
        """
        return await self.call(
            operations.GET_ADDITIONAL_MODULE_CONTRACT,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
        )

    async def create_module_contract_cancelation_amendment(
        self,
        *,
        contract_id: int,
        additional_module_contract_id: int,
        cancelation_date: date,
        cancelation_reason_id: int,
    ) -> VoidResult:
        """Cancel a module contract to a date; whether at once or after the studio's check is the studio's setting.

        Args:
            contract_id: the main contract's id.
            additional_module_contract_id: the module contract's id.
            cancelation_date: one of the module contract's `available_cancelation_dates`.
            cancelation_reason_id: from `get_contract_cancelation_reason_data`.

        Raises:
            BadRequestError: the API refused date or reason (REJECTED).
            NotFoundError: no such contract (REJECTED).
            ConflictError: still changed by others after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract first.

        Source: createModuleContractCancelationAmendment. Scope
        MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE. One copy of the pages marks it deprecated, the
        vendor's own 1.11.1 document does not, and no replacement is known: the first call warns with
        OperationDeprecatedWarning.
        """
        body = AdditionalModuleContractCancelation(
            cancelation_date=cancelation_date, cancelation_reason_id=cancelation_reason_id
        )
        return await self.call(
            operations.CREATE_MODULE_CONTRACT_CANCELATION_AMENDMENT,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
            body=body,
        )

    async def withdraw_additional_module_contract_cancelation(
        self, *, contract_id: int, additional_module_contract_id: int
    ) -> VoidResult:
        """Withdraw a pending cancelation of a module contract, or revert one that took effect.

        Args:
            contract_id: the main contract's id.
            additional_module_contract_id: the module contract's id.

        Raises:
            NotFoundError: no such contract (REJECTED).
            ConflictError: still changed by others after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract first.

        Source: withdrawAdditionalModuleContractCancelation. Scope
        MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE.
        """
        return await self.call(
            operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
        )
