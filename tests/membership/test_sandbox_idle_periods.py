"""The Membership sandbox's rules for idle periods."""

import asyncio
import json
from datetime import date
from typing import Any

import pytest
from attrs import evolve
from membership_samples import MARCH, MARCH_AND_APRIL, TODAY, send

from membership_sdk import (
    BadRequestError,
    Document,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodState,
    IdlePeriodValidationStatus,
    IdleTemporalUnit,
    NotFoundError,
    TemporalUnit,
    Term,
)
from membership_sdk.sandbox import LedgerEntry, MembershipSandbox, ReceivedDocument

IDLE: dict[str, Any] = {"contract_id": MembershipSandbox.CONTRACT_ID}
STATUS = IdlePeriodValidationStatus


def idle_config(**changes: Any) -> IdlePeriodConfiguration:
    return evolve(MembershipSandbox(today=TODAY).idle_period_config, **changes)


async def test_an_idle_period_is_configured_validated_created_listed_and_withdrawn() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        config = await client.get_idle_period_config(**IDLE)
        assert config == sandbox.idle_period_config
        assert (config.temporal_unit, config.first_possible_start_date) == (IdleTemporalUnit.MONTH, date(2026, 2, 1))
        assert [reason.document_required for reason in config.idle_period_reasons] == [False, True]
        verdict = await client.validate_idle_period_request(**IDLE, **MARCH)
        assert verdict.validation_status == STATUS.IDLEPERIOD_CREATABLE
        created = await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        assert (created.state, created.end_date) == (IdlePeriodState.ACCEPTED, date(2026, 4, 30))
        assert created.idle_period_reason == config.idle_period_reasons[0]
        assert await client.get_idle_period_by_id(**IDLE, idle_period_id=created.id) == created
        periods = await client.get_idle_periods(**IDLE)
        assert [period.id for period in periods.past_idle_periods] == [sandbox.PAST_IDLE_PERIOD_ID]
        assert periods.current_and_upcoming_idle_periods == (created,)
        await client.withdraw_idle_period(**IDLE, idle_period_id=created.id)
        for call in (client.get_idle_period_by_id, client.withdraw_idle_period):
            with pytest.raises(NotFoundError):
                await call(**IDLE, idle_period_id=created.id)
        asked = {**IDLE, **MARCH_AND_APRIL, "unlimited": None, "document": None}
        assert sandbox.ledger == [
            LedgerEntry("create_idle_period_amendment", asked),
            LedgerEntry("withdraw_idle_period", {**IDLE, "idle_period_id": created.id}),
        ]


async def test_the_same_idle_period_is_created_once_however_many_try_at_the_same_time() -> None:
    for verification, code in ((False, "IDLEPERIOD_OVERLAPPING"), (True, "IDLEPERIOD_PENDING_VERIFICATION")):
        async with MembershipSandbox(today=TODAY, verification=verification) as sandbox, sandbox.client() as client:
            runs = [client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL) for _ in range(3)]
            ended = await asyncio.gather(*runs, return_exceptions=True)
            assert [end.code for end in ended if isinstance(end, BadRequestError)] == [code] * 2
            assert len(sandbox.ledger) == 1


async def test_a_verifying_studio_makes_idle_periods_and_their_changes_wait() -> None:
    async with MembershipSandbox(today=TODAY, verification=True) as sandbox, sandbox.client() as client:
        config = await client.get_idle_period_config(**IDLE)
        assert config.idle_period_creation_status == IdlePeriodCreationStatus.CHANGES_REQUIRE_VERIFICATION
        pending = await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        assert pending.state == IdlePeriodState.PENDING_VERIFICATION
        accepted = evolve(pending, state=IdlePeriodState.ACCEPTED)
        sandbox.idle_periods[sandbox.CONTRACT_ID][pending.id] = accepted
        shorter = {"start_date": accepted.start_date, "reason_id": 21, "end_date": date(2026, 3, 31)}
        amendment = await client.update_idle_period(**IDLE, idle_period_id=accepted.id, **shorter)
        assert amendment.id != accepted.id
        assert (amendment.state, amendment.end_date) == (IdlePeriodState.PENDING_VERIFICATION, date(2026, 3, 31))
        assert (await client.get_idle_periods(**IDLE)).current_and_upcoming_idle_periods == (accepted, amendment)
        preview = await client.idle_period_update_preview(**IDLE, idle_period_id=accepted.id, **shorter)
        assert preview.validation_status == STATUS.IDLEPERIOD_PENDING_VERIFICATION


async def test_amendments_end_with_the_period_they_would_change() -> None:
    """Verified later, they would bring it back; and one that is withdrawn itself leaves nothing."""
    async with MembershipSandbox(today=TODAY, verification=True) as sandbox, sandbox.client() as client:
        period = await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        sandbox.agree(contract_id=sandbox.CONTRACT_ID)
        for withdrawn in (1, 0):
            shorter = {"start_date": period.start_date, "reason_id": 21, "end_date": date(2026, 3, 31)}
            amendment = await client.update_idle_period(**IDLE, idle_period_id=period.id, **shorter)
            await client.withdraw_idle_period(**IDLE, idle_period_id=(period, amendment)[withdrawn].id)
            with pytest.raises(ValueError, match="nothing of this contract waits"):
                sandbox.agree(contract_id=sandbox.CONTRACT_ID)
        assert (await client.get_idle_periods(**IDLE)).current_and_upcoming_idle_periods == ()


async def test_a_new_state_has_nothing_of_the_old_amendments() -> None:
    async with MembershipSandbox(today=TODAY, verification=True) as sandbox, sandbox.client() as client:
        period = await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        sandbox.agree(contract_id=sandbox.CONTRACT_ID)
        shorter = {"start_date": period.start_date, "reason_id": 21, "end_date": date(2026, 3, 31)}
        amendment = await client.update_idle_period(**IDLE, idle_period_id=period.id, **shorter)
        _, state = await send(sandbox, "GET", "/_sandbox/state")
        assert (await send(sandbox, "PUT", "/_sandbox/state", data=json.dumps(state).encode()))[0] == 200
        sandbox.agree(contract_id=sandbox.CONTRACT_ID)
        assert amendment.id in sandbox.idle_periods[sandbox.CONTRACT_ID]


@pytest.mark.parametrize(
    ("change", "config", "status"),
    [
        ({"start_date": date(2026, 3, 2)}, {}, STATUS.IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT),
        ({"start_date": date(2026, 1, 1)}, {}, STATUS.IDLEPERIOD_DEADLINE_VIOLATED),
        ({"start_date": date(9999, 12, 1)}, {}, STATUS.IDLEPERIOD_DEADLINE_VIOLATED),
        ({}, {"next_possible_start_date_only": True}, STATUS.IDLEPERIOD_EXPECTED_STARTDATE_MISMATCH),
        ({"temporal_unit": IdleTemporalUnit.WEEK}, {}, STATUS.IDLEPERIOD_TEMPORALUNIT_INVALID),
        ({"temporal_unit": None}, {}, STATUS.IDLEPERIOD_TEMPORALUNIT_INVALID),
        ({"term_value": None}, {}, STATUS.IDLEPERIOD_TERMVALUE_MISSING),
        ({"term_value": 4}, {}, STATUS.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED),
        ({}, {"max_term_per_reference_period": 1}, STATUS.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED),
        ({"term_value": 61}, {}, STATUS.IDLEPERIOD_MAXIMUM_YEARS_VIOLATED),
        ({"term_value": 2**31 - 1}, {}, STATUS.IDLEPERIOD_MAXIMUM_YEARS_VIOLATED),
        ({"start_date": date(2026, 6, 1)}, {}, STATUS.IDLEPERIOD_OVERLAPPING),
        ({"start_date": date(2026, 5, 1)}, {}, STATUS.IDLEPERIOD_OVERLAPPING),
        ({"unlimited": True, "temporal_unit": None, "term_value": None}, {}, STATUS.IDLEPERIOD_OVERLAPPING),
        (
            {"unlimited": True, "temporal_unit": None, "term_value": None},
            {"unlimited_allowed": False},
            STATUS.IDLEPERIOD_TERMVALUE_MISSING,
        ),
        ({"unlimited": True}, {}, STATUS.IDLEPERIOD_TEMPORALUNIT_INVALID),
        (
            {},
            {"idle_period_creation_status": IdlePeriodCreationStatus.READ},
            STATUS.IDLEPERIOD_DEACTIVATED_FOR_CONTRACT,
        ),
        (
            {"temporal_unit": IdleTemporalUnit.WEEK},
            {"temporal_unit": IdleTemporalUnit.WEEK},
            STATUS.IDLEPERIOD_DATE_NOT_FIRSTDAY_OF_TEMPORALUNIT,
        ),
        (
            {"temporal_unit": IdleTemporalUnit.WEEK, "start_date": date(2026, 3, 2)},
            {"temporal_unit": IdleTemporalUnit.WEEK, "max_term_per_reference_period": None},
            STATUS.IDLEPERIOD_CREATABLE,
        ),
        (
            {"temporal_unit": IdleTemporalUnit.DAY, "start_date": date(2026, 5, 31)},
            {"temporal_unit": IdleTemporalUnit.DAY},
            STATUS.IDLEPERIOD_OVERLAPPING,
        ),
        ({"start_date": date(2026, 7, 1)}, {}, STATUS.IDLEPERIOD_CREATABLE),
    ],
)
async def test_validation_and_creation_say_the_same(
    change: dict[str, Any], config: dict[str, Any], status: IdlePeriodValidationStatus
) -> None:
    june = IdlePeriod(
        id=7,
        start_date=date(2026, 6, 1),
        end_date=date(2026, 6, 30),
        state=IdlePeriodState.ACCEPTED,
        idle_period_reason=idle_config().idle_period_reasons[0],
    )
    own = MembershipSandbox(today=TODAY, idle_period_config=idle_config(**config), idle_periods={2002: [june]})
    async with own as sandbox, sandbox.client() as client:
        request = {**IDLE, **MARCH, **change}
        assert (await client.validate_idle_period_request(**request)).validation_status == status
        assert sandbox.ledger == []
        if not status.is_positive:
            with pytest.raises(BadRequestError) as caught:
                await client.create_idle_period_amendment(**request, reason_id=sandbox.IDLE_REASON_ID)
            assert caught.value.code == status
            assert sandbox.ledger == []
            assert list(sandbox.idle_periods[2002]) == [7]


async def test_an_unlimited_idle_period_has_an_end_that_means_nothing() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        request = {**IDLE, "start_date": date(2026, 3, 1), "reason_id": sandbox.IDLE_REASON_ID}
        unlimited = await client.create_idle_period_amendment(**request, unlimited=True)
        assert (unlimited.unlimited, unlimited.end_date) == (True, date(2031, 2, 28))
        change = {**request, "idle_period_id": unlimited.id, "end_date": date(2026, 3, 31)}
        preview = await client.idle_period_update_preview(**change)
        assert preview.validation_status == STATUS.IDLEPERIOD_UNLIMITED_PARAMETER_IS_MISSING
        limited = await client.update_idle_period(**change, unlimited=False)
        assert (limited.unlimited, limited.end_date) == (False, date(2026, 3, 31))


async def test_an_idle_period_that_has_begun_can_be_made_longer_but_not_moved() -> None:
    reason = idle_config().idle_period_reasons[0]
    begun = IdlePeriod(
        id=7,
        start_date=date(2026, 1, 1),
        end_date=date(2026, 1, 31),
        state=IdlePeriodState.ACCEPTED,
        idle_period_reason=reason,
    )
    async with MembershipSandbox(today=TODAY, idle_periods={2002: [begun]}) as sandbox, sandbox.client() as client:
        request = {**IDLE, **MARCH_AND_APRIL, "idle_period_id": 7}
        with pytest.raises(BadRequestError, match="IDLEPERIOD_DEADLINE_VIOLATED"):
            await client.update_idle_period(**{**request, "start_date": date(2025, 12, 1)})
        longer = await client.update_idle_period(**{**request, "start_date": begun.start_date})
        assert longer.end_date == date(2026, 2, 28)


async def test_a_reason_may_need_a_document_which_arrives_untouched() -> None:
    content = bytes(range(256)) * 8192 + b"\r\n--\r\n"
    document = Document(source=content, content_type="image/png", filename="proof.png")
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        request = {**IDLE, **MARCH_AND_APRIL, "reason_id": sandbox.DOCUMENTED_IDLE_REASON_ID}
        with pytest.raises(BadRequestError) as caught:
            await client.create_idle_period_amendment(**request)
        assert (caught.value.code, caught.value.details.reference) == ("DOCUMENT_REQUIRED", "document")
        assert sandbox.ledger == []
        created = await client.create_idle_period_amendment(**request, document=document)
        received = sandbox.ledger[0].arguments["document"]
        assert received == ReceivedDocument(content, "image/png", "proof.png")
        assert "proof" not in repr(received)
        shorter = {**request, "end_date": date(2026, 4, 15), "temporal_unit": None, "term_value": None}
        changed = await client.update_idle_period(**shorter, idle_period_id=created.id)
        assert changed.end_date == date(2026, 4, 15)
        with pytest.raises(BadRequestError) as caught:
            await client.create_idle_period_amendment(**{**request, "reason_id": 9})
        assert caught.value.code == "IDLE_PERIOD_REASON_UNKNOWN"


@pytest.mark.parametrize(
    ("change", "config", "status"),
    [
        ({"end_date": date(2026, 4, 15)}, {}, STATUS.IDLEPERIOD_UPDATABLE),
        ({"end_date": date(2026, 3, 31)}, {"day_based_term_shortening_allowed": False}, STATUS.IDLEPERIOD_UPDATABLE),
        (
            {"end_date": date(2026, 4, 15)},
            {"day_based_term_shortening_allowed": False},
            STATUS.IDLEPERIOD_TEMPORALUNIT_INVALID,
        ),
        ({"end_date": date(2026, 4, 30)}, {}, STATUS.IDLEPERIOD_ENDDATE_ONLY_FOR_SHORTENING),
        (
            {"end_date": date(2026, 4, 15), "start_date": date(2026, 4, 1)},
            {},
            STATUS.IDLEPERIOD_ENDDATE_ONLY_FOR_SHORTENING,
        ),
        ({"end_date": date(2026, 2, 15)}, {}, STATUS.IDLEPERIOD_ENDDATE_BEFORE_STARTDATE),
        ({"end_date": date(2026, 4, 15), "term_value": 1}, {}, STATUS.IDLEPERIOD_ENDDATE_AND_TERM_PROVIDED),
        ({"temporal_unit": IdleTemporalUnit.MONTH, "term_value": 3}, {}, STATUS.IDLEPERIOD_UPDATABLE),
        ({"temporal_unit": IdleTemporalUnit.MONTH, "term_value": 4}, {}, STATUS.IDLEPERIOD_MAXIMUM_TERMS_VIOLATED),
        ({}, {}, STATUS.IDLEPERIOD_TERMVALUE_MISSING),
        ({"idle_period_id": MembershipSandbox.PAST_IDLE_PERIOD_ID}, {}, STATUS.IDLEPERIOD_DEADLINE_VIOLATED),
        (
            {"end_date": date(2026, 4, 15)},
            {"idle_period_creation_status": IdlePeriodCreationStatus.READ},
            STATUS.IDLEPERIOD_DEACTIVATED_FOR_CONTRACT,
        ),
    ],
)
async def test_preview_and_update_say_the_same(
    change: dict[str, Any], config: dict[str, Any], status: IdlePeriodValidationStatus
) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        period = await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        sandbox.idle_period_config = idle_config(**config)
        sandbox.ledger.clear()
        request: dict[str, Any] = {"idle_period_id": period.id, "start_date": period.start_date, "reason_id": 21}
        request |= {**IDLE, **change}
        preview = await client.idle_period_update_preview(**request)
        assert preview.validation_status == status
        assert sandbox.ledger == []
        if status.is_positive:
            changed = await client.update_idle_period(**request)
            assert changed == await client.get_idle_period_by_id(**IDLE, idle_period_id=period.id)
            assert changed.end_date == change.get("end_date", date(2026, 5, 31))
            assert [charge.amount for charge in preview.preview_charges] == [sandbox.idle_period_config.idle_period_fee]
            assert preview.preview_end_date is not None
            assert preview.preview_end_date - date(2027, 1, 31) == changed.end_date - date(2026, 4, 30)
            assert [entry.operation for entry in sandbox.ledger] == ["update_idle_period"]
        else:
            with pytest.raises(BadRequestError, match=status):
                await client.update_idle_period(**request)
            assert sandbox.ledger == []


async def test_what_remains_shrinks_with_every_idle_period_of_the_year() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await client.get_remaining_idle_periods(**IDLE)
        assert before.remaining_max_terms == Term(value=6, unit=TemporalUnit.MONTH)
        assert before.remaining_free_terms == Term(value=1, unit=TemporalUnit.MONTH)
        await client.create_idle_period_amendment(**IDLE, **MARCH_AND_APRIL)
        after = await client.get_remaining_idle_periods(**IDLE)
        assert after.remaining_max_terms == Term(value=4, unit=TemporalUnit.MONTH)
        assert after.remaining_free_terms.value == 0
