"""Requesting an idle period."""

from datetime import date

from attrs import frozen

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodCreationStatus,
    IdlePeriodLists,
    IdlePeriodReason,
    IdlePeriodValidationRequest,
)
from membership_sdk.workflows.common import TIMING, check_ids, check_reason, choose
from sdk_core.client import Reply
from sdk_core.errors import NotOfferedError, WorkflowError
from sdk_core.multipart import Document
from sdk_core.workflow import Procedure, Request, Settled, cannot, settle

__all__ = ["request_idle_period"]


async def request_idle_period(
    client: MembershipClient,
    *,
    contract_id: int,
    start_date: date,
    reason: int | str,
    term_value: int | None = None,
    unlimited: bool = False,
    document: Document | None = None,
) -> Settled[IdlePeriod]:
    """Request an idle period, unless one with this start and reason is there already; return it as the API lists it.

    Whether one that is there already has the length asked for is for the caller to see: the API lists its end, not its
    term.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        start_date: first day.
        reason: id or exact name of one of the contract's idle period reasons.
        term_value: length in the unit that the contract's configuration names; None if unlimited.
        unlimited: open-ended, instead of a term.
        document: proof, where the reason needs one.

    Raises:
        NotOfferedError: configuration or validation refuse it, `state` says why; nothing was requested.
        SdkError: a call failed, and listing again did not show the idle period.
    """
    check_ids({"contract_id": contract_id})
    check_reason(reason)
    if not isinstance(document, Document | None):  # pyright: ignore[reportUnnecessaryIsInstance]
        raise TypeError(f"document must be a Document, not {type(document).__name__}")
    # The request checks its own values; the unit comes with the configuration.
    wanted = IdlePeriodValidationRequest(start_date=start_date, term_value=term_value, unlimited=unlimited)
    configuration = await client.call_with_reply(operations.GET_IDLE_PERIOD_CONFIG, contract_id=contract_id)
    rules = configuration.value
    chosen = choose(rules.idle_period_reasons, reason, "reason", key=lambda r: r.id, name=lambda r: r.name)
    settled = await settle(client, _IdlePeriodRequest(client, contract_id, wanted, chosen, rules, document), **TIMING)
    assert settled.state is not None  # noqa: S101  that is what `reached` says
    return Settled(settled.changed, settled.state, (configuration.correlation_id, *settled.correlation_ids))


@frozen
class _IdlePeriodRequest(Procedure[IdlePeriod | None]):
    client: MembershipClient
    contract_id: int
    wanted: IdlePeriodValidationRequest
    """Without the unit."""
    reason: IdlePeriodReason
    rules: IdlePeriodConfiguration
    document: Document | None

    async def read(self) -> Reply[IdlePeriod | None]:
        reply = await self.client.call_with_reply(operations.GET_IDLE_PERIODS, contract_id=self.contract_id)
        return reply.with_value(_find_idle_period(reply.value, self.wanted, self.reason))

    def reached(self, state: IdlePeriod | None) -> bool:
        return state is not None

    async def prepare(self, state: IdlePeriod | None) -> Request:  # noqa: ARG002  there is none to look at
        unlimited, wanted = bool(self.wanted.unlimited), self.wanted
        _check_rules(self.rules, self.reason, self.document, unlimited=unlimited)
        unit = None if unlimited else self.rules.temporal_unit
        verdict = await self.client.validate_idle_period_request(
            contract_id=self.contract_id,
            start_date=wanted.start_date,
            temporal_unit=unit,
            term_value=wanted.term_value,
            unlimited=unlimited or None,
        )
        if not verdict.is_positive:
            status = verdict.validation_status
            raise cannot(NotOfferedError, "the API would refuse the idle period", state=status)
        body = IdlePeriodCreateRequest(
            start_date=wanted.start_date,
            reason_id=self.reason.id,
            temporal_unit=unit,
            term_value=wanted.term_value,
            unlimited=unlimited or None,
        )
        return Request(
            operations.CREATE_IDLE_PERIOD_AMENDMENT,
            {"contract_id": self.contract_id, "body": body, "document": self.document},
        )

    def describe(self, state: IdlePeriod | None) -> str:
        return "absent" if state is None else str(state.state)


def _find_idle_period(
    lists: IdlePeriodLists, wanted: IdlePeriodValidationRequest, reason: IdlePeriodReason
) -> IdlePeriod | None:
    for period in lists.current_and_upcoming_idle_periods:
        if period.start_date == wanted.start_date and period.idle_period_reason.id == reason.id:
            if bool(period.unlimited) != bool(wanted.unlimited):
                what = "there is an idle period with this start already, of another length"
                raise cannot(WorkflowError, what, state=period.state)
            return period
    return None


def _check_rules(
    rules: IdlePeriodConfiguration, reason: IdlePeriodReason, document: Document | None, *, unlimited: bool
) -> None:
    if rules.idle_period_creation_status == IdlePeriodCreationStatus.READ:
        status = rules.idle_period_creation_status
        raise cannot(NotOfferedError, "the studio takes no idle periods for this contract", state=status)
    if unlimited and not rules.unlimited_allowed:
        raise cannot(NotOfferedError, "the contract allows no unlimited idle period")
    if reason.document_required and document is None:
        raise cannot(NotOfferedError, "the reason needs a document")
