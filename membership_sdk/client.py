"""The client of the Membership Self-service API: one method per operation, which builds the request's values."""

import re
from datetime import date
from typing import Final, Self, Unpack

from membership_sdk import operations
from membership_sdk.errors import read_error
from membership_sdk.models import (
    AdditionalModule,
    AdditionalModuleContract,
    AdditionalModuleContractCancelation,
    AdditionalModuleContractExtended,
    AdditionalModuleContractRequest,
    AdditionalModuleContractValidationStatus,
    ContractCancelationReason,
    ContractData,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodLists,
    IdlePeriodUpdatePreview,
    IdlePeriodUpdateRequest,
    IdlePeriodValidationRequest,
    IdlePeriodValidationStatusResult,
    IdleTemporalUnit,
    MainContractCancelation,
    RemainingIdlePeriods,
    VoidResult,
)
from sdk_core.arguments import base_url as checked_base_url
from sdk_core.arguments import header_text, instance
from sdk_core.auth import ApiKey
from sdk_core.backend import Backend, ClientOptions, configuring, user_agent
from sdk_core.client import Client
from sdk_core.errors import AuthenticationError, ConfigurationError
from sdk_core.ratelimit import LocalRateLimiter
from sdk_core.retry import RetryPolicy
from sdk_core.transport.multipart import Document

__all__ = ["MembershipClient"]

_TENANT: Final = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
RATE_LIMIT: Final = 1000
"""Requests a minute and endpoint: the documented default (general information)."""
_RATE_LIMIT_WAIT: Final = 60.0
"""Seconds: above the limit all requests of the next minute are refused, and no header says so (same source)."""


class MembershipClient(Client):
    """The Membership Self-service API of one studio.

    A key is valid for one tenant. All ids are positive 64-bit integers and keyword-only, because some paths take a
    customer id where others take a contract id.

    Every method raises TypeError or ValueError for an invalid argument, before anything is sent; and an `SdkError` when
    the call failed, whose `outcome` says what is known of its effect.

    Args:
        base_url: `https://<tenant>.open-api.magicline.com`, or a sandbox's URL.
        api_key: the studio's key.
        language: `Accept-Language` for messages, like `de` or `de-CH`; None: the studio's language.
        **options: the options of `sdk_core.client.Client`: `session`, `retry` (a 429 that names no delay waits 60 s),
            `attempt_timeout`, `total_timeout` (120 s: enough to wait out one refused minute; a web app sets 10),
            `correlation_id` (the API has no header for it: it is on errors, replies and log records),
            `rate_limiter` (left out: 1000 attempts a minute and operation, in this process; None: no limiter),
            `telemetry`, `connection`, `max_response_bytes`, `skip_unreadable_items`, `on_unexpected`.

    Raises:
        ConfigurationError: a value is invalid; it is a ValueError too.
    """

    def __init__(
        self, base_url: str, api_key: str, *, language: str | None = None, **options: Unpack[ClientOptions]
    ) -> None:
        with configuring():
            headers = {"Accept": "application/json", "User-Agent": user_agent("membership-sdk")}
            if language is not None:
                headers["Accept-Language"] = header_text("language", language)
            if "rate_limiter" not in options:
                # Pauses after a 429 are to end when retries expect it: with a clock of the caller's, on that.
                retry = instance("retry", options.get("retry") or RetryPolicy(), RetryPolicy)
                options["rate_limiter"] = LocalRateLimiter(RATE_LIMIT, clock=retry.clock)
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
        if not re.fullmatch(_TENANT, instance("tenant", tenant, str)):
            raise ConfigurationError("tenant must be the name before .open-api.magicline.com: a-z, 0-9 and hyphens")
        return cls(f"https://{tenant}.open-api.magicline.com", api_key, language=language, **options)

    def with_options(
        self,
        *,
        retry: RetryPolicy | None = None,
        attempt_timeout: float | None = None,
        total_timeout: float | None = None,
        skip_unreadable_items: bool | None = None,
        language: str | None = None,
    ) -> Self:
        """Return a client with other options, `language` among them, that shares connections; this one is unchanged."""
        view = self
        if language is not None:
            view = self._with_headers({"Accept-Language": header_text("language", language)})
        return super(MembershipClient, view).with_options(
            retry=retry,
            attempt_timeout=attempt_timeout,
            total_timeout=total_timeout,
            skip_unreadable_items=skip_unreadable_items,
        )

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

        The answer holds no state: depending on the studio's settings the cancelation takes effect at once or after the
        studio has verified it. Read `get_contract_data` afterwards.

        Args:
            customer_id: the member's id.
            contract_id: the contract's id.
            cancelation_date: one of the contract's `available_cancelation_dates`; a `date`, not a `datetime`.
            cancelation_reason_id: from `get_contract_cancelation_reason_data`.

        Raises:
            BadRequestError: the API refused date or reason (REJECTED).
            NotFoundError: no such customer or contract (REJECTED).
            ConflictError: a concurrent change, after all retries (REJECTED).
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
            ConflictError: a concurrent change, after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract first.

        Source: withdrawContractCancelation. Scope MEMBERSHIP_SELF_SERVICE_WRITE.
        """
        return await self.call(
            operations.WITHDRAW_CONTRACT_CANCELATION, customer_id=customer_id, contract_id=contract_id
        )

    async def get_idle_period_config(self, *, contract_id: int) -> IdlePeriodConfiguration:
        """Return the rules for idle periods of a contract.

        Source: getIdlePeriodConfig. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_CONFIG_READ.
        """
        return await self.call(operations.GET_IDLE_PERIOD_CONFIG, contract_id=contract_id)

    async def validate_idle_period_request(
        self,
        *,
        contract_id: int,
        start_date: date,
        temporal_unit: IdleTemporalUnit | None = None,
        term_value: int | None = None,
        unlimited: bool | None = None,
    ) -> IdlePeriodValidationStatusResult:
        """Ask whether an idle period would be accepted; a refusal is a value (`is_positive` False), not an error.

        Args:
            contract_id: the contract's id.
            start_date: first day; WEEK units start on Mondays, MONTH units on the first.
            temporal_unit: the unit of the contract's configuration; None for an unlimited period.
            term_value: length in units; None for an unlimited period.
            unlimited: open-ended, where the configuration allows it.

        Source: validateIdlePeriodRequest. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE (up to 1.5.0: READ).
        """
        body = IdlePeriodValidationRequest(
            start_date=start_date, temporal_unit=temporal_unit, term_value=term_value, unlimited=unlimited
        )
        return await self.call(operations.VALIDATE_IDLE_PERIOD_REQUEST, contract_id=contract_id, body=body)

    async def get_idle_periods(self, *, contract_id: int) -> IdlePeriodLists:
        """Return a contract's idle periods, past and present; pending amendments are among them.

        Source: getIdlePeriods. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ.
        """
        return await self.call(operations.GET_IDLE_PERIODS, contract_id=contract_id)

    async def create_idle_period_amendment(
        self,
        *,
        contract_id: int,
        start_date: date,
        reason_id: int,
        temporal_unit: IdleTemporalUnit | None = None,
        term_value: int | None = None,
        unlimited: bool | None = None,
        document: Document | None = None,
    ) -> IdlePeriod:
        """Request an idle period; it takes effect once its `state` is ACCEPTED.

        Args:
            contract_id: the contract's id.
            start_date: first day; see `validate_idle_period_request`.
            reason_id: from the configuration's `idle_period_reasons`.
            temporal_unit: the unit of the contract's configuration; None for an unlimited period.
            term_value: length in units; None for an unlimited period.
            unlimited: open-ended, where the configuration allows it.
            document: proof, if the reason needs one: jpeg, png, pdf or heic. Files are streamed.

        Raises:
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, list the idle periods before
                requesting again; this call is not repeated for you.

        Source: createIdlePeriodAmendment (multipart). Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE.
        """
        body = IdlePeriodCreateRequest(
            start_date=start_date,
            reason_id=reason_id,
            temporal_unit=temporal_unit,
            term_value=term_value,
            unlimited=unlimited,
        )
        return await self.call(
            operations.CREATE_IDLE_PERIOD_AMENDMENT, contract_id=contract_id, body=body, document=document
        )

    async def get_idle_period_by_id(self, *, contract_id: int, idle_period_id: int) -> IdlePeriod:
        """Return one idle period or amendment.

        Args:
            contract_id: the contract's id.
            idle_period_id: its id now; the id of an amendment may change when it is accepted.

        Source: getIdlePeriodById. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ.
        """
        return await self.call(operations.GET_IDLE_PERIOD_BY_ID, contract_id=contract_id, idle_period_id=idle_period_id)

    async def update_idle_period(
        self,
        *,
        contract_id: int,
        idle_period_id: int,
        start_date: date,
        reason_id: int,
        temporal_unit: IdleTemporalUnit | None = None,
        term_value: int | None = None,
        unlimited: bool | None = None,
        end_date: date | None = None,
        document: Document | None = None,
    ) -> IdlePeriod:
        """Request a change of an idle period; it takes effect once it is ACCEPTED.

        Args: as of `create_idle_period_amendment`, and
            idle_period_id: the period's id now.
            end_date: only to shorten: the same `start_date`, an earlier end, and neither unit nor term.

        Source: updateIdlePeriod (multipart). Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE.
        """
        body = IdlePeriodUpdateRequest(
            start_date=start_date,
            reason_id=reason_id,
            temporal_unit=temporal_unit,
            term_value=term_value,
            unlimited=unlimited,
            end_date=end_date,
        )
        return await self.call(
            operations.UPDATE_IDLE_PERIOD,
            contract_id=contract_id,
            idle_period_id=idle_period_id,
            body=body,
            document=document,
        )

    async def withdraw_idle_period(self, *, contract_id: int, idle_period_id: int) -> VoidResult:
        """Withdraw an idle period or amendment.

        Raises:
            NotFoundError: no such period; with `maybe_own_previous_attempt`, an earlier attempt of this call may have
                withdrawn it.

        Source: withdrawIdlePeriod. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_WRITE.
        """
        return await self.call(operations.WITHDRAW_IDLE_PERIOD, contract_id=contract_id, idle_period_id=idle_period_id)

    async def idle_period_update_preview(
        self,
        *,
        contract_id: int,
        idle_period_id: int,
        start_date: date,
        reason_id: int,
        temporal_unit: IdleTemporalUnit | None = None,
        term_value: int | None = None,
        unlimited: bool | None = None,
        end_date: date | None = None,
    ) -> IdlePeriodUpdatePreview:
        """Ask what a change of an idle period would cost, and whether it would be accepted; it changes nothing.

        Args: as of `update_idle_period`, without a document.

        Source: idlePeriodUpdatePreview. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ.
        """
        body = IdlePeriodUpdateRequest(
            start_date=start_date,
            reason_id=reason_id,
            temporal_unit=temporal_unit,
            term_value=term_value,
            unlimited=unlimited,
            end_date=end_date,
        )
        return await self.call(
            operations.IDLE_PERIOD_UPDATE_PREVIEW, contract_id=contract_id, idle_period_id=idle_period_id, body=body
        )

    async def get_remaining_idle_periods(self, *, contract_id: int) -> RemainingIdlePeriods:
        """Return how much idle time is left.

        Source: getRemainingIdlePeriods. Scope MEMBERSHIP_SELF_SERVICE_IDLE_PERIOD_READ.
        """
        return await self.call(operations.GET_REMAINING_IDLE_PERIODS, contract_id=contract_id)

    async def get_additional_modules(self) -> list[AdditionalModule]:
        """Return the modules the studio sells online.

        Source: getAdditionalModules. Scope MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ.
        """
        return await self.call(operations.GET_ADDITIONAL_MODULES)

    async def get_purchasable_additional_modules(self, *, contract_id: int) -> list[AdditionalModule]:
        """Return the modules a contract can buy.

        Source: getPurchasableAdditionalModules. Scope MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ.
        """
        return await self.call(operations.GET_PURCHASABLE_ADDITIONAL_MODULES, contract_id=contract_id)

    async def validate_additional_module_contract_request(
        self, *, contract_id: int, additional_module_id: int, payment_frequency_id: int, book_trial_period: bool
    ) -> AdditionalModuleContractValidationStatus:
        """Ask whether a module could be bought; a refusal is a value (`is_positive` False), not an error.

        Args:
            contract_id: the contract's id.
            additional_module_id: the module's id.
            payment_frequency_id: from the module's `payment_frequencies`; one without an id can't be bought.
            book_trial_period: True needs a module with a `trial_period_config`.

        Source: validateAdditionalModuleContractRequest. Scope
        MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE (up to 1.5.0: ADDITIONAL_MODULE_READ).
        """
        body = AdditionalModuleContractRequest(
            additional_module_id=additional_module_id,
            payment_frequency_id=payment_frequency_id,
            book_trial_period=book_trial_period,
        )
        return await self.call(
            operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
        )

    async def purchase_additional_module_contract(
        self, *, contract_id: int, additional_module_id: int, payment_frequency_id: int, book_trial_period: bool
    ) -> AdditionalModuleContract:
        """Buy a module. Keep the returned id: no operation of this group lists bought modules.

        Args: as of `validate_additional_module_contract_request`.

        Raises:
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, it may be bought; asking
                `validate_additional_module_contract_request` again may tell (ALREADY_PURCHASED).
            InvalidResponseError: bought (APPLIED), but the answer holds no id.

        Source: purchaseAdditionalModuleContract. Scope MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE.
        """
        body = AdditionalModuleContractRequest(
            additional_module_id=additional_module_id,
            payment_frequency_id=payment_frequency_id,
            book_trial_period=book_trial_period,
        )
        return await self.call(operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT, contract_id=contract_id, body=body)

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
        """Cancel a module contract to a date: at once, or after the studio has verified it, as the studio has set.

        Args:
            contract_id: the main contract's id.
            additional_module_contract_id: the module contract's id.
            cancelation_date: one of the module contract's `available_cancelation_dates`.
            cancelation_reason_id: from `get_contract_cancelation_reason_data`.

        Raises:
            BadRequestError: the API refused date or reason (REJECTED).
            NotFoundError: no such contract (REJECTED).
            ConflictError: a concurrent change, after all retries (REJECTED).
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
            ConflictError: a concurrent change, after all retries (REJECTED).
            ServerError, ConnectionFailedError, CallTimeoutError: with `outcome` UNKNOWN, read the contract first.

        Source: withdrawAdditionalModuleContractCancelation. Scope
        MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_CONTRACT_WRITE.
        """
        return await self.call(
            operations.WITHDRAW_ADDITIONAL_MODULE_CONTRACT_CANCELATION,
            contract_id=contract_id,
            additional_module_contract_id=additional_module_contract_id,
        )
