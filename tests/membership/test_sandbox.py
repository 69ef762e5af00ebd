"""The Membership sandbox: its state, its refusals, and the faults it plays (those of the shared base included)."""

import asyncio
from datetime import date
from typing import Any

import pytest
from aiohttp import ClientSession
from attrs import evolve
from wire import FakeTime

from membership_sdk import (
    AdditionalModuleValidationStatus,
    BadRequestError,
    CallTimeoutError,
    CancelationOrigin,
    CancelationStatus,
    ConflictError,
    ConnectionFailedError,
    ContractCancelationReason,
    ContractData,
    ContractStatus,
    Document,
    IdlePeriod,
    IdlePeriodConfiguration,
    IdlePeriodCreationStatus,
    IdlePeriodState,
    IdlePeriodValidationStatus,
    IdleTemporalUnit,
    InvalidResponseError,
    MembershipClient,
    NotFoundError,
    Outcome,
    RateLimitError,
    RetryPolicy,
    SdkError,
    ServerError,
    TemporalUnit,
    Term,
    operations,
)
from membership_sdk.sandbox import Fault, LedgerEntry, MembershipSandbox, ReceivedDocument

TODAY = date(2026, 1, 15)
CONTRACT: dict[str, Any] = {"customer_id": MembershipSandbox.CUSTOMER_ID, "contract_id": MembershipSandbox.CONTRACT_ID}
MODULE: dict[str, Any] = {
    "contract_id": MembershipSandbox.CONTRACT_ID,
    "additional_module_contract_id": MembershipSandbox.MODULE_CONTRACT_ID,
}
OFFERED: dict[str, Any] = {"cancelation_date": date(2026, 2, 28), "cancelation_reason_id": MembershipSandbox.REASON_ID}
IDLE: dict[str, Any] = {"contract_id": MembershipSandbox.CONTRACT_ID}
MARCH: dict[str, Any] = {
    "start_date": date(2026, 3, 1),
    "temporal_unit": IdleTemporalUnit.MONTH,
    "term_value": 2,
}
MARCH_AND_APRIL: dict[str, Any] = {**MARCH, "reason_id": MembershipSandbox.IDLE_REASON_ID}
SOLARIUM: dict[str, Any] = {
    "contract_id": MembershipSandbox.CONTRACT_ID,
    "additional_module_id": MembershipSandbox.SOLARIUM_ID,
    "payment_frequency_id": MembershipSandbox.PAYMENT_FREQUENCY_IDS[MembershipSandbox.SOLARIUM_ID],
    "book_trial_period": True,
}
STATUS = IdlePeriodValidationStatus
KEY = {"X-API-KEY": MembershipSandbox.API_KEY}
UNTYPED_PART = (
    b'--b\r\nContent-Disposition: form-data; name="data"\r\n\r\n'
    b'{"startDate":"2026-03-01","temporalUnit":"MONTH","termValue":1,"reasonId":21}\r\n--b--'
)
IDLE_PATH = f"/v1/memberships/{MembershipSandbox.CONTRACT_ID}/self-service/idle-periods"
CANCEL_PATH = f"/v1/memberships/{MembershipSandbox.CUSTOMER_ID}/self-service/ordinary-contract-cancelation"
ONCE = RetryPolicy.none()

pytestmark = pytest.mark.filterwarnings("ignore::sdk_core.deprecation.OperationDeprecatedWarning")


def patient(fake_time: FakeTime) -> RetryPolicy:
    return RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)


async def read_contract(client: MembershipClient, contract_id: int = MembershipSandbox.CONTRACT_ID) -> ContractData:
    contracts = await client.get_contract_data(customer_id=MembershipSandbox.CUSTOMER_ID)
    return next(contract for contract in contracts if contract.id == contract_id)


async def send(
    sandbox: MembershipSandbox, method: str, path: str, *, headers: dict[str, str] = KEY, data: bytes | None = None
) -> tuple[int, Any]:
    async with (
        ClientSession() as session,
        session.request(method, sandbox.url + path, headers=headers, data=data) as response,
    ):
        return response.status, await response.json() if response.content_length else None


def test_every_operation_has_a_method_of_its_name() -> None:
    assert [o.name for o in MembershipSandbox.operations if not hasattr(MembershipSandbox, o.name)] == []
    assert all(operation in MembershipSandbox.operations for operation in operations.OPERATIONS)


def test_a_sandbox_that_does_not_run_has_no_url() -> None:
    with pytest.raises(RuntimeError, match="async with"):
        _ = MembershipSandbox().url


async def test_it_can_run_again_and_keeps_its_state() -> None:
    sandbox = MembershipSandbox(today=TODAY)
    async with sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
    async with sandbox, sandbox.client() as client:
        assert (await read_contract(client)).cancelation_status == CancelationStatus.CANCELED


async def test_contracts_and_reasons_are_served_as_they_are_held() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        contracts = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
        assert contracts == list(sandbox.contracts[sandbox.CUSTOMER_ID].values())
        assert await client.get_contract_cancelation_reason_data() == sandbox.reasons
        assert await client.get_additional_module_contract(**MODULE) == sandbox.modules[tuple(MODULE.values())]
        assert sandbox.ledger == []


async def test_answers_use_the_documented_names() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        status, contracts = await send(sandbox, "GET", "/v1/memberships/1001/self-service/contract-data")
        assert status == 200
        assert contracts[0]["priceDetails"]["currentPrice"] == {"amount": 39.9, "currency": "EUR"}
        assert contracts[0]["availableCancelationDates"] == ["2026-02-28", "2026-03-31", "2026-04-30"]
        assert "cancelationStatus" not in contracts[0]
        assert contracts[1]["cancelationStatus"] == "CANCELED"
        body = b'{"cancelationDate":"2026-02-28","cancelationReasonId":11,"contractId":2002}'
        assert await send(sandbox, "POST", CANCEL_PATH, data=body) == (200, {})


async def test_state_can_be_brought_along() -> None:
    contract = evolve(MembershipSandbox().contracts[MembershipSandbox.CUSTOMER_ID][2002], id=7)
    reason = ContractCancelationReason(cancelation_reason_id=1, cancelation_reason_name="Because")
    own = MembershipSandbox(contracts={5: [contract], 6: []}, reasons=[reason], modules={})
    async with own as sandbox, sandbox.client() as client:
        assert await client.get_contract_data(customer_id=5) == [contract]
        assert await client.get_contract_data(customer_id=6) == []
        assert await client.get_contract_cancelation_reason_data() == [reason]
        with pytest.raises(NotFoundError):
            await client.get_additional_module_contract(**MODULE)


async def test_canceling_shows_in_the_contract_and_the_ledger() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        contract = await read_contract(client)
        assert contract.cancelation_status == CancelationStatus.CANCELED
        assert contract.cancelation_date == OFFERED["cancelation_date"]
        assert contract.cancelation_reason == "Moving away"
        assert contract.cancelation_origin == CancelationOrigin.CUSTOMER
        assert sandbox.ledger == [LedgerEntry("create_contract_cancelation_amendment", {**CONTRACT, **OFFERED})]


async def test_withdrawing_reverts_a_cancelation_wholly() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await read_contract(client)
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        await client.withdraw_contract_cancelation(**CONTRACT)
        assert await read_contract(client) == before
        assert sandbox.ledger[-1] == LedgerEntry("withdraw_contract_cancelation", CONTRACT)


async def test_a_verifying_studio_makes_a_cancelation_wait_until_it_is_withdrawn() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert (await read_contract(client)).cancelation_status == CancelationStatus.PENDING_VERIFICATION
        await client.withdraw_contract_cancelation(**CONTRACT)
        assert (await read_contract(client)).cancelation_status is None


async def test_a_verifying_studio_makes_the_withdrawal_of_a_canceled_contract_wait() -> None:
    async with MembershipSandbox(verification=True) as sandbox, sandbox.client() as client:
        canceled = {"customer_id": sandbox.CUSTOMER_ID, "contract_id": sandbox.CANCELED_CONTRACT_ID}
        before = await read_contract(client, sandbox.CANCELED_CONTRACT_ID)
        await client.withdraw_contract_cancelation(**canceled)
        contract = await read_contract(client, sandbox.CANCELED_CONTRACT_ID)
        assert contract == evolve(before, cancelation_status=CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION)
        with pytest.raises(BadRequestError) as caught:
            await client.withdraw_contract_cancelation(**canceled)
        assert caught.value.code == "WITHDRAWAL_PENDING"


async def test_a_module_contract_is_canceled_and_withdrawn_alike() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await client.get_additional_module_contract(**MODULE)
        await client.create_module_contract_cancelation_amendment(**MODULE, **OFFERED)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.CANCELED
        assert module.contract_cancelation_can_be_withdrawn
        assert (module.cancelation_date, module.cancelation_reason) == (OFFERED["cancelation_date"], "Moving away")
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        assert await client.get_additional_module_contract(**MODULE) == before
        assert [entry.operation for entry in sandbox.ledger] == [
            "create_module_contract_cancelation_amendment",
            "withdraw_additional_module_contract_cancelation",
        ]


async def test_a_verifying_studio_checks_modules_too() -> None:
    async with MembershipSandbox(verification=True, today=TODAY) as sandbox, sandbox.client() as client:
        await client.create_module_contract_cancelation_amendment(**MODULE, **OFFERED)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.PENDING_VERIFICATION
        canceled = evolve(module, contract_cancelation_status=CancelationStatus.CANCELED)
        sandbox.modules[tuple(MODULE.values())] = canceled
        await client.withdraw_additional_module_contract_cancelation(**MODULE)
        module = await client.get_additional_module_contract(**MODULE)
        assert module.contract_cancelation_status == CancelationStatus.PENDING_WITHDRAWAL_VERIFICATION
        assert not module.contract_cancelation_can_be_withdrawn
        assert module.cancelation_date == OFFERED["cancelation_date"]


@pytest.mark.parametrize(
    ("change", "code", "reference"),
    [
        ({"cancelation_date": date(2026, 2, 27)}, "CANCELATION_DATE_NOT_AVAILABLE", "cancelationDate"),
        ({"cancelation_reason_id": 99}, "CANCELATION_REASON_UNKNOWN", "cancelationReasonId"),
        ({"contract_id": MembershipSandbox.CANCELED_CONTRACT_ID}, "ALREADY_CANCELED", None),
    ],
)
async def test_a_cancelation_that_can_not_be_is_refused_in_the_envelope_and_leaves_no_trace(
    change: dict[str, Any], code: str, reference: str | None
) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        before = await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID)
        with pytest.raises(BadRequestError) as caught:
            await client.create_contract_cancelation_amendment(**{**CONTRACT, **OFFERED, **change})
        details = caught.value.details
        assert (details.recognised, details.code, details.reference) == (True, code, reference)
        assert details.message
        assert details.trace_id
        assert await client.get_contract_data(customer_id=sandbox.CUSTOMER_ID) == before
        assert sandbox.ledger == []


async def test_withdrawing_what_is_not_canceled_is_refused() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        with pytest.raises(BadRequestError) as caught:
            await client.withdraw_contract_cancelation(**CONTRACT)
        assert caught.value.code == "NOT_CANCELED"
        with pytest.raises(BadRequestError):
            await client.withdraw_additional_module_contract_cancelation(**MODULE)
        assert sandbox.ledger == []


async def test_ids_that_do_not_exist_are_not_found() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        for call in (
            client.get_contract_data(customer_id=9),
            client.create_contract_cancelation_amendment(**{**CONTRACT, "customer_id": 9}, **OFFERED),
            client.create_contract_cancelation_amendment(**{**CONTRACT, "contract_id": 9}, **OFFERED),
            client.withdraw_contract_cancelation(**{**CONTRACT, "contract_id": 9}),
            client.get_additional_module_contract(contract_id=9, additional_module_contract_id=3003),
            client.create_module_contract_cancelation_amendment(
                contract_id=2002, additional_module_contract_id=9, **OFFERED
            ),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.details.recognised


async def test_a_contract_is_canceled_once_however_many_try_at_the_same_time() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        runs = [client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED) for _ in range(3)]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        assert [end.code for end in ended if isinstance(end, BadRequestError)] == ["ALREADY_CANCELED"] * 2
        assert len(sandbox.ledger) == 1


# Idle periods


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
    ("content_type", "body"),
    [
        ("application/json", b'{"startDate":"2026-03-01","reasonId":21}'),
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b""),
        ("multipart/form-data; boundary=b", UNTYPED_PART),
        ("multipart/mixed; boundary=b", b"--b--"),
    ],
)
async def test_a_multipart_request_needs_a_json_part_of_that_type(content_type: str, body: bytes) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox:
        headers = {**KEY, "Content-Type": content_type}
        status, envelope = await send(sandbox, "POST", IDLE_PATH, headers=headers, data=body)
        assert (status, envelope["errorCode"], sandbox.ledger) == (400, "VALIDATION_ERROR", [])


async def test_a_multipart_request_by_anybodys_hand_is_understood() -> None:
    body = (
        b'--b\r\nContent-Type: application/json\r\nContent-Disposition: form-data; name="data"\r\n\r\n'
        b'{"startDate":"2026-03-01","temporalUnit":"MONTH","termValue":1,"reasonId":22}\r\n'
        b"--b\r\nContent-Disposition: form-data; name=document\r\n\r\n\r\n--b--\r\n"
    )
    async with MembershipSandbox(today=TODAY) as sandbox:
        headers = {**KEY, "Content-Type": "multipart/form-data; boundary=b"}
        status, period = await send(sandbox, "POST", IDLE_PATH, headers=headers, data=body)
        assert (status, period["endDate"], period["state"]) == (200, "2026-03-31", "ACCEPTED")
        assert {"id", "reason", "fee", "idlePeriodReason"} <= set(period)
        assert sandbox.ledger[0].arguments["document"] == ReceivedDocument(b"", "text/plain", None)


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


# Additional modules


async def test_a_module_is_listed_validated_and_bought_once() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        modules = await client.get_additional_modules()
        assert modules == sandbox.additional_modules
        purchasable = await client.get_purchasable_additional_modules(contract_id=2002)
        assert [module.id for module in purchasable] == [sandbox.SOLARIUM_ID, sandbox.DRINKS_ID]
        assert (await client.validate_additional_module_contract_request(**SOLARIUM)).is_positive
        runs = [client.purchase_additional_module_contract(**SOLARIUM) for _ in range(3)]
        ended = await asyncio.gather(*runs, return_exceptions=True)
        (bought,) = [end for end in ended if not isinstance(end, BaseException)]
        refusals = {end.code for end in ended if isinstance(end, BadRequestError)}
        assert refusals == {"ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED"}
        assert sandbox.ledger == [LedgerEntry("purchase_additional_module_contract", SOLARIUM)]
        contract = await client.get_additional_module_contract(
            contract_id=2002, additional_module_contract_id=bought.id
        )
        assert (contract.name, contract.start_date) == ("Solarium", TODAY)
        assert contract.price == modules[1].payment_frequencies[0].price
        assert contract.trial_period is not None
        assert contract.trial_period.term == Term(value=2, unit=TemporalUnit.WEEK)
        purchasable = await client.get_purchasable_additional_modules(contract_id=2002)
        assert [module.id for module in purchasable] == [sandbox.DRINKS_ID]
        # Another contract has nothing yet.
        assert len(await client.get_purchasable_additional_modules(contract_id=2003)) == 3


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"additional_module_id": MembershipSandbox.SAUNA_ID}, "ADDITIONAL_MODULE_CONTRACT_ALREADY_PURCHASED"),
        ({"additional_module_id": 9}, "ADDITIONAL_MODULE_NOT_FOUND"),
        ({"payment_frequency_id": 9}, "ADDITIONAL_MODULE_NOT_ONLINE_PURCHASABLE"),
        (
            {"additional_module_id": MembershipSandbox.DRINKS_ID, "payment_frequency_id": 303},
            "ADDITIONAL_MODULE_TRIAL_PERIOD_NOT_BOOKABLE",
        ),
        ({"contract_id": 5}, "ADDITIONAL_MODULE_CONTRACT_INVALID_STATUS"),
    ],
)
async def test_validation_and_purchase_say_the_same(change: dict[str, Any], status: str) -> None:
    sandbox = MembershipSandbox(today=TODAY)
    inactive = evolve(sandbox.contracts[sandbox.CUSTOMER_ID][2002], id=5, contract_status=ContractStatus.INACTIVE)
    sandbox.contracts[sandbox.CUSTOMER_ID][5] = inactive
    async with sandbox, sandbox.client() as client:
        request = {**SOLARIUM, **change}
        verdict = await client.validate_additional_module_contract_request(**request)
        assert verdict.validation_status == AdditionalModuleValidationStatus(status)
        with pytest.raises(BadRequestError, match=status):
            await client.purchase_additional_module_contract(**request)
        assert sandbox.ledger == []
        assert len(sandbox.modules) == 1


async def test_idle_periods_and_modules_of_a_contract_that_does_not_exist_are_not_found() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        nobodys: dict[str, Any] = {"contract_id": 9}
        for call in (
            client.get_idle_period_config(**nobodys),
            client.validate_idle_period_request(**nobodys, **MARCH),
            client.get_idle_periods(**nobodys),
            client.create_idle_period_amendment(**nobodys, **MARCH_AND_APRIL),
            client.get_remaining_idle_periods(**nobodys),
            client.update_idle_period(**nobodys, idle_period_id=4004, **MARCH_AND_APRIL),
            client.idle_period_update_preview(**nobodys, idle_period_id=4004, **MARCH_AND_APRIL),
            client.get_purchasable_additional_modules(**nobodys),
            client.validate_additional_module_contract_request(**{**SOLARIUM, **nobodys}),
            client.purchase_additional_module_contract(**{**SOLARIUM, **nobodys}),
        ):
            with pytest.raises(NotFoundError) as caught:
                await call
            assert caught.value.details.recognised
        assert sandbox.ledger == []


@pytest.mark.parametrize("headers", [{}, {"X-API-KEY": "wrong"}])
async def test_a_missing_or_wrong_key_is_refused_everywhere(headers: dict[str, str]) -> None:
    async with MembershipSandbox() as sandbox:
        path = "/v1/memberships/1001/self-service/contract-data"
        status, envelope = await send(sandbox, "GET", path, headers=headers)
        assert (status, envelope["errorCode"]) == (401, "UNAUTHORIZED")
        assert (await send(sandbox, "GET", "/nowhere", headers=headers))[0] == 401
        assert (await send(sandbox, "HEAD", path, headers=headers))[0] == 401


async def test_head_checks_the_key_on_any_path_and_nothing_else() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        assert await client.verify_api_key()
        assert (await send(sandbox, "HEAD", "/nowhere/at/all"))[0] == 200
        assert (await send(sandbox, "HEAD", "/v1/memberships/0/self-service/contract-data"))[0] == 200
        assert not await sandbox.client(api_key="wrong").verify_api_key()
        assert sandbox.ledger == []


async def test_unknown_paths_and_methods_are_404_in_the_envelope() -> None:
    async with MembershipSandbox() as sandbox:
        for method, path in (("GET", "/"), ("GET", "/v1/other"), ("DELETE", CANCEL_PATH)):
            status, envelope = await send(sandbox, method, path)
            assert (status, set(envelope)) == (404, {"errorMessage", "errorCode", "traceId"})
        assert [request.operation for request in sandbox.requests] == [None] * 3


@pytest.mark.parametrize(
    ("path", "data", "reference"),
    [
        ("/v1/memberships/abc/self-service/ordinary-contract-cancelation", b"{}", "customer_id"),
        ("/v1/memberships/0/self-service/ordinary-contract-cancelation", b"{}", "customer_id"),
        (CANCEL_PATH, b"", None),
        (CANCEL_PATH, b"not json", None),
        (CANCEL_PATH, b"[]", None),
        (CANCEL_PATH, b'{"cancelationDate":"2026-02-28","contractId":2002}', "cancelationReasonId"),
        (CANCEL_PATH, b'{"cancelationDate":"soon","cancelationReasonId":11,"contractId":2002}', "cancelationDate"),
    ],
)
async def test_a_malformed_path_or_body_is_400_and_names_the_field(
    path: str, data: bytes, reference: str | None
) -> None:
    async with MembershipSandbox() as sandbox:
        status, envelope = await send(sandbox, "POST", path, data=data)
        assert (status, envelope["errorCode"], envelope.get("reference")) == (400, "VALIDATION_ERROR", reference)
        assert sandbox.ledger == []


async def test_requests_are_kept_as_they_came_and_their_repr_shows_no_key() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(language="de") as client:
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        (request,) = sandbox.requests
        assert (request.operation, request.method, request.path) == (
            "create_contract_cancelation_amendment",
            "POST",
            CANCEL_PATH,
        )
        assert request.headers["x-api-key"] == sandbox.API_KEY
        assert request.headers["Accept-Language"] == "de"
        assert b'"cancelationReasonId":11' in request.body
        assert sandbox.API_KEY not in repr(request)


async def test_an_error_in_the_sandbox_is_a_500_and_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    class Broken(MembershipSandbox):
        def get_contract_data(self, *, customer_id: int) -> list[ContractData]:
            raise ZeroDivisionError

    async with Broken() as sandbox, sandbox.client(retry=ONCE) as client:
        with pytest.raises(ServerError) as caught:
            await client.get_contract_data(customer_id=1)
        assert "ZeroDivisionError" in (caught.value.details.message or "")
        assert caught.value.status == 500
    assert capfd.readouterr().err == ""


# Faults


async def test_a_refusing_fault_comes_in_the_envelope_and_is_used_up_by_one_request() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(409))
        with pytest.raises(ConflictError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert (caught.value.code, caught.value.details.recognised) == ("SCRIPTED_FAULT", True)
        assert sandbox.ledger == []
        await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert len(sandbox.ledger) == 1


@pytest.mark.parametrize(("sent", "read"), [(7, 7.0), (1.5, 1.5), ("30", 30.0), ("soon", 60.0), (None, 60.0)], ids=repr)
async def test_retry_after_may_be_seconds_or_any_text(sent: float | str | None, read: float) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(429, retry_after=sent))
        with pytest.raises(RateLimitError) as caught:
            await client.get_contract_data(customer_id=1001)
        assert caught.value.retry_after == read


async def test_faults_are_played_in_order_and_the_client_sits_them_out(fake_time: FakeTime) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=patient(fake_time)) as client:
        sandbox.fail(Fault.status(503), Fault.status(429, retry_after=2))
        reply = await client.call_with_reply(operations.GET_CONTRACT_DATA, customer_id=1001)
        assert [attempt.status for attempt in reply.attempts] == [503, 429, 200]
        assert fake_time.sleeps[1] >= 2


async def test_a_fault_for_an_operation_waits_for_that_operation() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(Fault.status(500), operation="get_contract_cancelation_reason_data")
        await client.get_contract_data(customer_id=1001)
        with pytest.raises(ServerError):
            await client.get_contract_cancelation_reason_data()
        await client.get_contract_cancelation_reason_data()


async def test_faults_that_could_never_happen_are_refused_when_they_are_queued() -> None:
    sandbox = MembershipSandbox()
    with pytest.raises(ValueError, match="operation must be one of"):
        sandbox.fail(Fault.drop(), operation="withdraw_contract_cancellation")
    with pytest.raises(ValueError, match="400 to 599"):
        Fault.status(200)
    with pytest.raises(ValueError, match="delay"):
        Fault.delay(-1)


@pytest.mark.parametrize("applied", [False, True])
async def test_a_dropped_connection_leaves_the_outcome_unknown_and_the_ledger_knows(applied: bool) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.drop(after_applying=applied))
        with pytest.raises(ConnectionFailedError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.requests) == 1
        assert len(sandbox.ledger) == applied
        assert ((await read_contract(client)).cancelation_status is not None) == applied


@pytest.mark.parametrize(
    ("fault", "kind", "effects"),
    [
        (Fault.garbage(), InvalidResponseError, 0),
        (Fault.garbage(after_applying=True), InvalidResponseError, 1),
        (Fault.garbage(502), ServerError, 0),
        (Fault.truncated(), ConnectionFailedError, 1),
    ],
    ids=repr,
)
async def test_garbled_answers_leave_the_outcome_unknown(fault: Fault, kind: type[SdkError], effects: int) -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(retry=ONCE) as client:
        sandbox.fail(fault)
        with pytest.raises(kind) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == effects


async def test_a_truncated_read_is_read_again(fake_time: FakeTime) -> None:
    async with MembershipSandbox() as sandbox, sandbox.client(retry=patient(fake_time)) as client:
        sandbox.fail(Fault.truncated(), Fault.drop())
        assert len(await client.get_contract_data(customer_id=1001)) == 2
        assert len(sandbox.requests) == 3


async def test_a_late_answer_is_late_only_for_who_waits_for_it() -> None:
    async with MembershipSandbox(today=TODAY) as sandbox, sandbox.client(attempt_timeout=0.05) as client:
        sandbox.fail(Fault.delay(600))
        with pytest.raises(CallTimeoutError) as caught:
            await client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED)
        assert caught.value.outcome is Outcome.UNKNOWN
        assert len(sandbox.ledger) == 1
        # Leaving does not wait the ten minutes either.


async def test_a_short_delay_ends_in_the_real_answer() -> None:
    async with MembershipSandbox() as sandbox, sandbox.client() as client:
        sandbox.fail(Fault.delay(0.01))
        assert len(await client.get_contract_data(customer_id=1001)) == 2


async def test_two_sandboxes_run_side_by_side_with_states_of_their_own() -> None:
    async with MembershipSandbox(today=TODAY) as one, MembershipSandbox(today=TODAY) as other:
        async with one.client() as client, other.client() as other_client:
            await asyncio.gather(
                client.create_contract_cancelation_amendment(**CONTRACT, **OFFERED), read_contract(other_client)
            )
            assert (await read_contract(other_client)).cancelation_status is None
        assert (len(one.ledger), len(other.ledger)) == (1, 0)
