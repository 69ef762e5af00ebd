"""Requesting an idle period."""

from datetime import date
from typing import Any

from membership_sdk import operations
from membership_sdk.client import MembershipClient
from membership_sdk.models import (
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreateRequest,
    IdlePeriodCreationStatus,
    IdlePeriodReason,
    IdlePeriodValidationRequest,
)
from membership_sdk.workflows.common import POLL, TIMEOUT, check_ids, check_reason, choose, of_studio
from sdk_core.call import Reply
from sdk_core.settling import settle
from sdk_core.transport.multipart import Document
from sdk_core.workflow import NotOfferedError, Procedure, Request, Run, Settled, WorkflowError, cannot

__all__ = ["idle_period_request", "request_idle_period"]


async def request_idle_period(
    client: MembershipClient,
    *,
    contract_id: int,
    start_date: date,
    reason: int | str,
    term_value: int | None = None,
    unlimited: bool = False,
    document: Document | None = None,
    timeout: float = TIMEOUT,
    ask: bool = True,
) -> Settled[IdlePeriod]:
    """Request an idle period, unless one with this start and reason is there already; return it as the API lists it.

    Whether one that is there already has the length asked for is for the caller to see: the API lists its end, not its
    term. The request is sent once by a run, whatever happens: whether the API would refuse a second is not documented.

    Args:
        client: the studio's client.
        contract_id: the contract's id.
        start_date: first day.
        reason: id or exact name of one of the contract's idle period reasons.
        term_value: length in the unit that the contract's configuration names; None if unlimited.
        unlimited: open-ended, instead of a term.
        document: proof, where the reason needs one.
        timeout: seconds for the whole. A last read may take ten more.
        ask: False: request nothing, only wait until it is listed.

    Raises:
        NotOfferedError: configuration or validation refuse it, `state` says why; nothing was requested.
        NotSettledError: it was not listed in time; `outcome` UNKNOWN if it was requested and not refused.
        SdkError: a call failed, and listing again did not show the idle period.
    """
    request = idle_period_request(
        contract_id=contract_id,
        start_date=start_date,
        reason=reason,
        term_value=term_value,
        unlimited=unlimited,
        document=document,
    )
    settled = await settle(of_studio(client), request, timeout=timeout, poll=POLL, ask=ask)
    return Settled(settled.change, settled.state[0], settled.correlation_ids, settled.attempts, settled.answer)


def idle_period_request(
    *,
    contract_id: int,
    start_date: date,
    reason: int | str,
    term_value: int | None = None,
    unlimited: bool = False,
    document: Document | None = None,
) -> Procedure[tuple[IdlePeriod, ...]]:
    """Return what `request_idle_period` runs, its arguments checked."""
    check_ids({"contract_id": contract_id})
    check_reason(reason)
    operations.CREATE_IDLE_PERIOD_AMENDMENT.checked_document(document)
    # The request checks its own values; the unit comes with the configuration.
    wanted = IdlePeriodValidationRequest(start_date=start_date, term_value=term_value, unlimited=unlimited)
    return _IdlePeriodRequest(contract_id, wanted, reason, document)


class _IdlePeriodRequest(Procedure[tuple[IdlePeriod, ...]]):
    """The state is the idle periods with the start and reason asked for: one or none."""

    def __init__(
        self, contract_id: int, wanted: IdlePeriodValidationRequest, reason: int | str, document: Document | None
    ) -> None:
        self._contract_id = contract_id
        self._wanted = wanted
        """Without the unit."""
        self._reason = reason
        self._document = document
        self._configuration: IdlePeriodConfiguration | None = None

    async def read(self, run: Run, /) -> Reply[tuple[IdlePeriod, ...]]:
        reason_id = self._reason if isinstance(self._reason, int) else (await self._chosen_reason(run)).id
        reply = await run.call(operations.GET_IDLE_PERIODS, contract_id=self._contract_id)
        # One that is over was requested, too: a run that is repeated late must not ask for it again.
        listed = (*reply.value.current_and_upcoming_idle_periods, *reply.value.past_idle_periods)
        return reply.with_value(
            tuple(
                period
                for period in listed
                # One whose reason the API does not tell may be ours: it must not be asked for again.
                if period.start_date == self._wanted.start_date
                and (period.idle_period_reason is None or period.idle_period_reason.id == reason_id)
            )
        )

    def reached(self, state: tuple[IdlePeriod, ...], /) -> bool:
        if state and bool(state[0].unlimited) != bool(self._wanted.unlimited):
            what = "there is an idle period with this start already, of another length"
            raise cannot(WorkflowError, what, state=state[0].state)
        return bool(state) and state[0].state.is_known

    async def prepare(self, run: Run, state: tuple[IdlePeriod, ...], /) -> Request:
        if state:
            what = "there is such an idle period, in a state this release does not know"
            raise cannot(WorkflowError, what, state=state[0].state)
        rules, reason = await self._rules(run), await self._chosen_reason(run)
        unlimited = self._wanted.unlimited or None
        _check_rules(rules, reason, self._document, unlimited=bool(unlimited))
        length: dict[str, Any] = {
            "start_date": self._wanted.start_date,
            "temporal_unit": None if unlimited else rules.temporal_unit,
            "term_value": self._wanted.term_value,
            "unlimited": unlimited,
        }
        verdict = await run.call(
            operations.VALIDATE_IDLE_PERIOD_REQUEST,
            contract_id=self._contract_id,
            body=IdlePeriodValidationRequest(**length),
        )
        if not verdict.value.is_positive:
            status = verdict.value.validation_status
            raise cannot(NotOfferedError, "the API would refuse the idle period", state=status)
        body = IdlePeriodCreateRequest(**length, reason_id=reason.id)
        return Request(
            operations.CREATE_IDLE_PERIOD_AMENDMENT,
            {"contract_id": self._contract_id, "body": body, "document": self._document},
        )

    def describe(self, state: tuple[IdlePeriod, ...], /) -> str:
        return str(state[0].state) if state else "absent"

    async def _rules(self, run: Run) -> IdlePeriodConfiguration:
        if self._configuration is None:
            reply = await run.call(operations.GET_IDLE_PERIOD_CONFIG, contract_id=self._contract_id)
            self._configuration = reply.value
        return self._configuration

    async def _chosen_reason(self, run: Run) -> IdlePeriodReason:
        offered = (await self._rules(run)).idle_period_reasons
        return choose(
            offered,
            self._reason,
            "reason",
            operations.GET_IDLE_PERIOD_CONFIG,
            key=lambda r: r.id,
            name=lambda r: r.name,
        )


def _check_rules(
    rules: IdlePeriodConfiguration, reason: IdlePeriodReason, document: Document | None, *, unlimited: bool
) -> None:
    status = rules.idle_period_creation_status
    if not status.is_known:
        what = "whether the studio takes idle periods is told in a way this release does not know"
        raise cannot(WorkflowError, what, state=status)
    if status == IdlePeriodCreationStatus.READ:
        raise cannot(NotOfferedError, "the studio takes no idle periods for this contract", state=status)
    if unlimited and not rules.unlimited_allowed:
        raise cannot(NotOfferedError, "the contract allows no unlimited idle period")
    if reason.document_required and document is None:
        raise cannot(NotOfferedError, "the reason needs a document")
