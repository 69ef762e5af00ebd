"""Buying a module: the one workflow whose effect can't be read back."""

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import AdditionalModuleContractRequest, AdditionalModuleValidationStatus
from sdk_core.errors import BadRequestError, ConflictError, NotOfferedError, Outcome, SdkError
from sdk_core.workflow import cannot

__all__ = ["Purchase", "purchase_module"]

_BOUGHT = AdditionalModuleValidationStatus.ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED


@frozen
class Purchase:
    """How the purchase of a module ended."""

    changed: bool
    """Whether this run bought it. False: it had been bought before."""
    additional_module_contract_id: int | None
    """Keep it: no operation of this group lists bought modules. None if it had been bought before."""
    correlation_ids: tuple[str, ...]
    """Of all calls made, in order."""

    @property
    def unchanged(self) -> bool:
        """Whether it had been bought before."""
        return not self.changed


async def purchase_module(
    client: MembershipClient,
    *,
    contract_id: int,
    additional_module_id: int,
    payment_frequency_id: int,
    book_trial_period: bool = False,
) -> Purchase:
    """Buy a module, unless the API says that it is bought already. The purchase is never sent twice.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        additional_module_id: the module's id.
        payment_frequency_id: from the module's `payment_frequencies`.
        book_trial_period: needs a module with a `trial_period_config`.

    Raises:
        NotOfferedError: the API would refuse the purchase, `state` says why; nothing was bought.
        SdkError: with `outcome` UNKNOWN, it may be bought. This API can't list bought modules: run this again, which
            validates first (and returns `unchanged` if it was bought), or look into the studio's system.
    """
    body = AdditionalModuleContractRequest(
        additional_module_id=additional_module_id,
        payment_frequency_id=payment_frequency_id,
        book_trial_period=book_trial_period,
    )
    verdict = await client.call_with_reply(
        operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
    )
    status = verdict.value.validation_status
    if status == _BOUGHT:
        return Purchase(False, None, (verdict.correlation_id,))  # noqa: FBT003  a record's first field
    if not status.is_positive:
        raise cannot(NotOfferedError, "the API would refuse the purchase", state=status)
    try:
        bought = await client.call_with_reply(
            operations.PURCHASE_ADDITIONAL_MODULE_CONTRACT, contract_id=contract_id, body=body
        )
    except (BadRequestError, ConflictError):
        # Refused: perhaps because somebody else has just bought it.
        second = await client.call_with_reply(
            operations.VALIDATE_ADDITIONAL_MODULE_CONTRACT_REQUEST, contract_id=contract_id, body=body
        )
        if second.value.validation_status != _BOUGHT:
            raise
        return Purchase(False, None, (verdict.correlation_id, second.correlation_id))  # noqa: FBT003
    except SdkError as error:
        if error.outcome is Outcome.UNKNOWN:
            advice = (
                "; the module may have been bought, and this API can't list bought modules: run this again, it "
                "validates first, and ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED tells that it was"
            )
            error.args = (error.args[0] + advice, error.args[1])
        raise
    return Purchase(True, bought.value.id, (verdict.correlation_id, bought.correlation_id))  # noqa: FBT003
