"""Runs on a sandbox: what is sent, what is recorded, and what resuming does with it."""

import asyncio
import json
import re
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock
from uuid import uuid4

import pytest
from attrs import evolve
from msgspec.structs import replace
from wire import FakeTime

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk import bulk as cloudcockpit_bulk
from cloudcockpit_sdk.models import SubscriptionStatus
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk import Connection, MembershipClient, RetryPolicy, bulk
from membership_sdk.bulk import RowOptions, RowOutcome
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.bulk import journal as journal_module
from sdk_core.bulk import row as row_module
from sdk_core.bulk.journal import Journal
from sdk_core.bulk.lock import lock
from sdk_core.bulk.plan import PlanError
from sdk_core.bulk.progress import Progress
from sdk_core.bulk.records import JournalError, reading, results_of
from sdk_core.bulk.result import Ending

WITHDRAW = "withdraw_contract_cancelation"
CANCEL = "create_contract_cancelation_amendment"
FIRST = 5000


def studio(contracts: int, *, canceled: bool = True) -> MembershipSandbox:
    sandbox = MembershipSandbox()
    sample = sandbox.contracts[1001][sandbox.CANCELED_CONTRACT_ID if canceled else sandbox.CONTRACT_ID]
    sandbox.contracts = {1001: {FIRST + i: evolve(sample, id=FIRST + i) for i in range(contracts)}}
    return sandbox


def withdrawals(contracts: int) -> list[dict[str, object]]:
    return [{"customer_id": 1001, "contract_id": FIRST + i} for i in range(contracts)]


def cancelations(contracts: int, on: object, reason: object) -> list[dict[str, object]]:
    return [{**row, "on": on, "reason": reason} for row in withdrawals(contracts)]


def effects(sandbox: MembershipSandbox) -> Counter[object]:
    return Counter(entry.arguments["contract_id"] for entry in sandbox.ledger)


def requests(sandbox: MembershipSandbox) -> Counter[str | None]:
    return Counter(request.operation for request in sandbox.requests)


async def outcomes(run: bulk.BulkRun) -> Counter[RowOutcome]:
    async with run:
        return Counter([result.outcome async for result in run])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
async def client(fake_time: FakeTime) -> AsyncIterator[Any]:
    """Returns a client of a sandbox whose waiting needs no time."""
    clients: list[MembershipClient] = []

    def of(sandbox: MembershipSandbox, **options: Any) -> MembershipClient:
        policy = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
        clients.append(sandbox.client(**{"retry": policy, **options}))
        return clients[-1]

    yield of
    for each in clients:
        await each.aclose()


async def test_a_row_with_date_and_reason_id_is_its_write_and_nothing_else(client: Any, path: Path) -> None:
    async with studio(50, canceled=False) as sandbox:
        day = sandbox.contracts[1001][FIRST].available_cancelation_dates[0]
        plan = cancelations(50, str(day), 11)
        ended = await outcomes(bulk.run(client(sandbox), plan, operation="cancel_contract", journal=path))
        assert ended == {RowOutcome.DONE: 50}
        assert requests(sandbox) == {CANCEL: 50}


async def test_earliest_reads_once_and_a_reason_by_name_is_looked_up_once_a_run(client: Any, path: Path) -> None:
    async with studio(50, canceled=False) as sandbox:
        plan = cancelations(50, "earliest", "Moving away")
        ended = await outcomes(bulk.run(client(sandbox), plan, operation="cancel_contract", journal=path))
        assert ended == {RowOutcome.DONE: 50}
        expected = {CANCEL: 50, "get_contract_data": 50, "get_contract_cancelation_reason_data": 1}
        assert requests(sandbox) == expected
        assert all(contract.cancelation_reason == "Moving away" for contract in sandbox.contracts[1001].values())


async def test_a_reason_that_is_not_offered_fails_its_rows_and_sends_nothing(client: Any, path: Path) -> None:
    async with studio(3, canceled=False) as sandbox:
        plan = cancelations(3, "earliest", "No such")
        ended = await outcomes(bulk.run(client(sandbox), plan, operation="cancel_contract", journal=path))
        assert ended == {RowOutcome.NOT_SENT: 3}
        assert sandbox.ledger == []


async def test_confirming_reads_what_the_api_said_yes_to(client: Any, path: Path) -> None:
    async with studio(5) as sandbox:
        run = bulk.run(
            client(sandbox),
            withdrawals(5),
            operation="withdraw_cancelation",
            journal=path,
            row_options=RowOptions(confirm=True),
        )
        assert await outcomes(run) == {RowOutcome.DONE: 5}
        assert requests(sandbox) == {WITHDRAW: 5, "get_contract_data": 5}


async def test_what_can_not_be_confirmed_is_never_sent_again(
    client: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(1) as sandbox:
        monkeypatch.setattr(sandbox, WITHDRAW, lambda **_ids: None)
        for resume in (False, True):
            run = bulk.run(
                client(sandbox),
                withdrawals(1),
                operation="withdraw_cancelation",
                journal=path,
                resume=resume,
                row_options=RowOptions(confirm=True, resend_after=1),
            )
            assert await outcomes(run) == ({} if resume else {RowOutcome.UNCONFIRMED: 1})
        assert requests(sandbox)[WITHDRAW] == 1


@pytest.mark.parametrize("operation", ["withdraw_cancelation", WITHDRAW])
async def test_a_lost_answer_is_settled_by_reading(client: Any, path: Path, operation: str) -> None:
    async with studio(10) as sandbox:
        sandbox.fail(Fault.drop(after_applying=True), Fault.truncated(), Fault.garbage(after_applying=True))
        ended = await outcomes(bulk.run(client(sandbox), withdrawals(10), operation=operation, journal=path))
        assert ended == {RowOutcome.DONE: 7, RowOutcome.SETTLED: 3}
        assert (requests(sandbox)[WITHDRAW], set(effects(sandbox).values())) == (10, {1})


async def test_a_lost_request_is_sent_again_after_a_while_only(client: Any, path: Path, fake_time: FakeTime) -> None:
    async with studio(1) as sandbox:
        sandbox.fail(Fault.drop(), operation=WITHDRAW)
        before = fake_time.clock()
        ended = await outcomes(
            bulk.run(client(sandbox), withdrawals(1), operation="withdraw_cancelation", journal=path)
        )
        assert ended == {RowOutcome.DONE: 1}
        assert (effects(sandbox).total(), requests(sandbox)[WITHDRAW]) == (1, 2)
        assert fake_time.clock() - before >= 59


@pytest.mark.parametrize("resend_after", [60.0, None])
async def test_a_row_tells_all_attempts_as_the_results_file_does(
    client: Any, path: Path, resend_after: float | None
) -> None:
    async with studio(1) as sandbox:
        sandbox.fail(Fault.drop(), operation=WITHDRAW)
        options = RowOptions(resend_after=resend_after)
        run = bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path, row_options=options)
        async with run:
            (result,) = [result async for result in run]
        bulk.write_results(path, path.with_name("results.jsonl"))
        written = json.loads(path.with_name("results.jsonl").read_text(encoding="utf-8"))
        sent = requests(sandbox)[WITHDRAW]
        assert (result.attempts, written["attempts"], sent) == ((2, 2, 2) if resend_after else (1, 1, 1))
        assert run.progress.retries == sent - 1


async def test_it_is_not_sent_again_if_that_is_not_wanted(client: Any, path: Path) -> None:
    async with studio(1) as sandbox:
        sandbox.fail(Fault.drop(), operation=WITHDRAW)
        options = RowOptions(resend_after=None)
        run = bulk.run(
            client(sandbox), withdrawals(1), operation="withdraw_cancelation", journal=path, row_options=options
        )
        assert await outcomes(run) == {RowOutcome.UNKNOWN: 1}
        assert requests(sandbox)[WITHDRAW] == 1
        run = bulk.run(client(sandbox), None, resume=True, journal=path)
        assert await outcomes(run) == {RowOutcome.DONE: 1}
        assert effects(sandbox).total() == 1


async def test_a_purchase_is_never_sent_again(client: Any, path: Path) -> None:
    ids = {"contract_id": MembershipSandbox.CONTRACT_ID, "additional_module_id": MembershipSandbox.DRINKS_ID}
    plan = [{**ids, "payment_frequency_id": MembershipSandbox.PAYMENT_FREQUENCY_IDS[MembershipSandbox.DRINKS_ID]}]
    purchase = "purchase_additional_module_contract"
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.drop(), operation=purchase)
        for resume in (False, True):
            run = bulk.run(client(sandbox), plan, operation="purchase_module", journal=path, resume=resume)
            assert await outcomes(run) == {RowOutcome.UNKNOWN: 1}
        assert (requests(sandbox)[purchase], sandbox.ledger) == (1, [])


async def test_the_id_of_what_was_bought_is_kept(client: Any, path: Path) -> None:
    ids = {"contract_id": MembershipSandbox.CONTRACT_ID, "additional_module_id": MembershipSandbox.DRINKS_ID}
    plan = [{**ids, "payment_frequency_id": MembershipSandbox.PAYMENT_FREQUENCY_IDS[MembershipSandbox.DRINKS_ID]}]
    async with (
        MembershipSandbox() as sandbox,
        bulk.run(client(sandbox), plan, operation="purchase_module", journal=path) as run,
    ):
        (result,) = [result async for result in run]
        assert result.answer["id"] >= 9001


async def test_an_operation_without_a_workflow_is_left_to_a_person(client: Any, path: Path) -> None:
    ids = {"contract_id": MembershipSandbox.CONTRACT_ID, "idle_period_id": MembershipSandbox.PAST_IDLE_PERIOD_ID}
    plan = [{**ids, "start_date": "2030-01-01", "reason_id": MembershipSandbox.IDLE_REASON_ID}]
    async with MembershipSandbox() as sandbox:
        await _leave_intents(client(sandbox), plan, "update_idle_period", path)
        async with bulk.run(client(sandbox), None, resume=True, journal=path) as run:
            (result,) = [result async for result in run]
        assert result.outcome is RowOutcome.UNKNOWN
        assert result.arguments == plan[0]
        assert result.error is not None
        assert "no workflow can settle it" in result.error["message"]
        assert sandbox.requests == []


async def test_what_may_have_been_sent_is_read_before_it_is_sent(client: Any, path: Path) -> None:
    async with studio(4) as sandbox:
        await _leave_intents(client(sandbox), withdrawals(4), "withdraw_cancelation", path)
        # Of two, the killed process had sent the request.
        for contract in (FIRST, FIRST + 1):
            await sandbox.client().withdraw_contract_cancelation(customer_id=1001, contract_id=contract)
        sandbox.requests.clear()
        ended = await outcomes(
            bulk.run(client(sandbox), withdrawals(4), operation="withdraw_cancelation", journal=path, resume=True)
        )
        assert ended == {RowOutcome.SETTLED: 2, RowOutcome.DONE: 2}
        assert sandbox.requests[0].operation == "get_contract_data"
        assert set(effects(sandbox).values()) == {1}


async def test_what_was_refused_but_is_so_already_is_unchanged(client: Any, path: Path) -> None:
    async with studio(2) as sandbox:
        await sandbox.client().withdraw_contract_cancelation(customer_id=1001, contract_id=FIRST)
        ended = await outcomes(
            bulk.run(client(sandbox), withdrawals(3), operation="withdraw_cancelation", journal=path)
        )
        assert ended == {RowOutcome.UNCHANGED: 1, RowOutcome.DONE: 1, RowOutcome.REJECTED: 1}
        assert set(effects(sandbox).values()) == {1}


async def test_rows_that_nothing_happened_of_are_sent_by_the_next_run(client: Any, path: Path) -> None:
    async with studio(3) as sandbox:
        unreachable = client(sandbox, retry=RetryPolicy.none(), connection=Connection(proxy="http://127.0.0.1:9"))
        ended = await outcomes(bulk.run(unreachable, withdrawals(3), operation="withdraw_cancelation", journal=path))
        assert ended == {RowOutcome.NOT_SENT: 3}
        ended = await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path))
        assert ended == {RowOutcome.DONE: 3}
        assert await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path)) == {}
        assert effects(sandbox).total() == 3


async def test_a_refused_key_stops_the_run_and_the_next_sends_all(client: Any, path: Path) -> None:
    async with studio(50) as sandbox:
        wrong = bulk.run(
            client(sandbox, api_key="wrong"),
            withdrawals(50),
            operation="withdraw_cancelation",
            journal=path,
            concurrency=2,
        )
        assert (await outcomes(wrong))[RowOutcome.REJECTED] <= 4
        assert wrong.is_refused
        assert wrong.stopped_by is not None
        await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path))
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (50, {1})


async def test_it_stops_after_so_many_failures(client: Any, path: Path) -> None:
    async with studio(0) as sandbox:
        run = bulk.run(
            client(sandbox), withdrawals(200), operation=WITHDRAW, journal=path, concurrency=4, max_failures=10
        )
        assert 10 <= (await outcomes(run))[RowOutcome.REJECTED] <= 30
        assert run.stopped_by == "10 rows have failed"


async def test_stopping_finishes_what_is_under_way_and_leaves_the_rest_planned(client: Any, path: Path) -> None:
    async with studio(100) as sandbox:
        run = bulk.run(client(sandbox), withdrawals(100), operation="withdraw_cancelation", journal=path, concurrency=5)
        async with run:
            async for _result in run:
                run.stop("enough")
        status = bulk.status_of(path)
        assert set(status.counts) == {"done", "planned"}
        assert status.counts["done"] == effects(sandbox).total()


async def test_leaving_with_an_exception_cancels_and_resuming_repeats_nothing(client: Any, path: Path) -> None:
    async with studio(60) as sandbox:
        sandbox.fail(*[Fault.delay(30)] * 3)
        run = bulk.run(client(sandbox), withdrawals(60), operation=WITHDRAW, journal=path, concurrency=5)

        async def fail() -> None:
            async with run:
                async for _result in run:
                    raise KeyError

        with pytest.raises(KeyError):
            await fail()
        assert bulk.status_of(path).counts["sent"] >= 3
        await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path))
        assert bulk.status_of(path).is_finished
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (60, {1})


async def test_nothing_is_sent_before_the_first_result_is_asked_for(client: Any, path: Path) -> None:
    async with studio(3) as sandbox:
        async with bulk.run(client(sandbox), withdrawals(3), operation=WITHDRAW, journal=path) as run:
            assert run.operations() == {WITHDRAW: 3}
        assert sandbox.requests == []
        assert bulk.status_of(path).counts == {"planned": 3}


async def test_a_caller_who_takes_its_time_holds_the_run_back(client: Any, path: Path) -> None:
    async with studio(100) as sandbox:
        run = bulk.run(client(sandbox), withdrawals(100), operation=WITHDRAW, journal=path, concurrency=4)
        async with run:
            await anext(aiter(run))
            seen = -1
            while seen < len(sandbox.requests):
                seen = len(sandbox.requests)
                await asyncio.sleep(0.05)
            assert seen <= 40
            assert len([result async for result in run]) == 99


async def test_reads_are_done_and_their_answers_kept(client: Any, path: Path) -> None:
    async with (
        studio(1) as sandbox,
        bulk.run(client(sandbox), [{"customer_id": 1001}], operation="get_contract_data", journal=path) as run,
    ):
        (result,) = [result async for result in run]
        assert (result.outcome, result.answer[0]["id"]) == (RowOutcome.DONE, FIRST)


async def test_a_change_that_the_api_works_on_later_is_done_once_it_has_taken_it(path: Path) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        ids = {"customer_id": str(sandbox.CUSTOMER_ID), "subscription_id": str(sandbox.ACTIVE_SUBSCRIPTION_ID)}
        run = cloudcockpit_bulk.run(client, [ids], operation="suspend_and_wait", journal=path)
        assert await outcomes(run) == {RowOutcome.DONE: 1}
        assert [request.operation for request in sandbox.requests] == ["suspend_subscription"]


async def test_a_cancellation_looks_at_the_subscription_first(path: Path) -> None:
    async with CloudCockpitSandbox() as sandbox, sandbox.client() as client:
        number = sandbox.ACTIVE_SUBSCRIPTION_ID
        sandbox.subscriptions[number] = evolve(sandbox.subscriptions[number], status=SubscriptionStatus.DELETED)
        ids = {"customer_id": str(sandbox.CUSTOMER_ID), "subscription_id": str(number)}
        run = cloudcockpit_bulk.run(client, [ids], operation="cancel_and_wait", journal=path)
        assert await outcomes(run) == {RowOutcome.UNCHANGED: 1}
        assert sandbox.ledger == []


async def test_a_journal_is_worked_on_once_whatever_it_is_called(client: Any, path: Path) -> None:
    link, folder = path.with_name("link.db"), path.parent / "folder"
    link.symlink_to(path.name)
    folder.symlink_to(path.parent)
    async with studio(3) as sandbox:
        async with bulk.run(client(sandbox), withdrawals(3), operation=WITHDRAW, journal=path):
            for name in (link, folder / path.name):
                with pytest.raises(JournalError, match="another process works on"):
                    await bulk.run(client(sandbox), None, resume=True, journal=name).__aenter__()
        # One after the other, they are one.
        assert await outcomes(bulk.run(client(sandbox), None, resume=True, journal=link)) == {RowOutcome.DONE: 3}
        path.with_name("second.db").hardlink_to(path)
        with pytest.raises(JournalError, match="has a second name, a hard link: delete one of the two names"):
            await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
    assert [file.name for file in path.parent.iterdir() if file.name.endswith("-lock")] == []


async def test_a_run_goes_on_where_it_was_begun(path: Path) -> None:
    async with (
        studio(2) as sandbox,
        sandbox.client() as client,
        MembershipClient(sandbox.url + "/", "another key") as same,
        MembershipClient("https://other.example", sandbox.API_KEY) as other,
    ):
        async with bulk.run(client, withdrawals(2), operation=WITHDRAW, journal=path):
            pass
        told = f"is the journal of a run at {sandbox.url}, and not at https://other.example: use the settings"
        with pytest.raises(JournalError, match=re.escape(told)):
            await bulk.run(other, None, journal=path, resume=True).__aenter__()
        async with bulk.run(same, None, journal=path, resume=True) as run:
            assert run.progress.total == 2
        assert b"another key" not in path.read_bytes()


async def test_a_run_goes_on_at_its_tenant(path: Path) -> None:
    async with CloudCockpitSandbox() as sandbox:
        plan = [{"customer_id": str(sandbox.CUSTOMER_ID), "subscription_id": str(sandbox.ACTIVE_SUBSCRIPTION_ID)}]
        of = partial(CloudCockpitClient, token="made.up.jwt", base_url=sandbox.url)
        async with of("Portal.example.com") as client, of("portal.example.com") as same, of("a.example.com") as other:
            async with cloudcockpit_bulk.run(client, plan, operation="suspend_and_wait", journal=path):
                pass
            told = f"run at {sandbox.url} (portal.example.com), and not at {sandbox.url} (a.example.com): use"
            with pytest.raises(JournalError, match=re.escape(told)):
                await cloudcockpit_bulk.run(other, None, journal=path, resume=True).__aenter__()
            async with cloudcockpit_bulk.run(same, None, journal=path, resume=True):
                pass
            assert sandbox.requests == []


async def test_a_journal_of_an_earlier_release_is_taken_as_it_is(client: Any, path: Path) -> None:
    async with studio(2) as sandbox, MembershipClient("https://other.example", "key") as other:
        async with bulk.run(other, withdrawals(2), operation=WITHDRAW, journal=path):
            pass
        with sqlite3.connect(path) as database:
            database.execute("drop table origin")
        database.close()
        assert await outcomes(bulk.run(client(sandbox), None, journal=path, resume=True)) == {RowOutcome.DONE: 2}
        with pytest.raises(JournalError, match=r"and not at https://other\.example"):
            await bulk.run(other, None, journal=path, resume=True).__aenter__()


async def test_a_journal_is_of_one_run_one_plan_and_one_process(client: Any, path: Path) -> None:
    async with studio(3) as sandbox:
        plan = withdrawals(3)
        run = bulk.run(client(sandbox), plan, operation=WITHDRAW, journal=path)
        async with run:
            with pytest.raises(JournalError, match="another process works on"):
                await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
        with pytest.raises(JournalError, match="holds a run already"):
            await bulk.run(client(sandbox), plan, operation=WITHDRAW, journal=path).__aenter__()
        edited = [plan[0], {**plan[1], "contract_id": 9}, plan[2]]
        for other, told in (
            (edited, "line 2: the journal .* was edited since"),
            (plan[:2], "line 3 is missing"),
            ([*plan, edited[1]], "line 4: .* has no such line"),
        ):
            with pytest.raises(PlanError, match=told):
                await bulk.run(client(sandbox), other, operation=WITHDRAW, resume=True, journal=path).__aenter__()
        assert sandbox.requests == []
        assert await outcomes(bulk.run(client(sandbox), plan, operation=WITHDRAW, resume=True, journal=path)) == {
            RowOutcome.DONE: 3
        }


async def test_what_is_no_journal_of_this_sdk_is_refused_and_left_alone(client: Any, path: Path) -> None:
    async with studio(1) as sandbox:
        with pytest.raises(JournalError, match="there is no journal"):
            await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
        path.write_bytes(b"something else" * 100)
        for resume in (False, True):
            with pytest.raises(JournalError, match="is no journal of a bulk run"):
                await bulk.run(
                    client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path, resume=resume
                ).__aenter__()
        assert path.read_bytes() == b"something else" * 100
        assert list(path.parent.iterdir()) == [path]
        other = path.with_name("other.db")
        Journal.begin(other, "cloudcockpit_sdk", "plan", iter(()), run_id="1").close_now()
        with pytest.raises(JournalError, match="of a run of cloudcockpit_sdk, not of membership_sdk"):
            await bulk.run(client(sandbox), None, resume=True, journal=other).__aenter__()
        with pytest.raises(JournalError, match="can't be written: No such file or directory"):
            await bulk.run(
                client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path.parent / "no" / "run.db"
            ).__aenter__()


async def test_a_read_only_journal_is_refused(client: Any, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with studio(2) as sandbox:
        async with bulk.run(client(sandbox), withdrawals(2), operation=WITHDRAW, journal=path):
            pass
        monkeypatch.setattr(
            journal_module,
            "_connect",
            lambda file: sqlite3.connect(
                f"{file.as_uri()}?mode=ro", uri=True, isolation_level=None, check_same_thread=False
            ),
        )
        with pytest.raises(JournalError, match="attempt to write a readonly database"):
            await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
        assert sandbox.requests == []


async def test_a_disk_that_is_full_before_a_run_begins_keeps_nothing_of_it(
    client: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(_file: Path) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(journal_module, "_connect", connect)
    async with studio(1) as sandbox:
        with pytest.raises(JournalError, match="database or disk is full"):
            await bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path).__aenter__()
    assert list(path.parent.iterdir()) == []


async def test_rows_that_wait_for_their_turn_are_not_recorded_as_sent(client: Any, path: Path) -> None:
    async with studio(50) as sandbox:
        sandbox.fail(*[Fault.delay(60)] * 3)
        run = bulk.run(client(sandbox), withdrawals(50), operation=WITHDRAW, journal=path, concurrency=3)
        async with run:
            first = asyncio.ensure_future(anext(run))
            while len(sandbox.ledger) < 3:
                await asyncio.sleep(0)
            assert bulk.status_of(path).counts == {"sent": 3, "planned": 47}
            run.cancel()
            with pytest.raises(StopAsyncIteration):
                await first


async def test_a_full_disk_ends_the_run_and_loses_nothing(client: Any, path: Path) -> None:
    async with studio(200) as sandbox:
        run = bulk.run(client(sandbox), withdrawals(200), operation="withdraw_cancelation", journal=path)
        async with run:
            # SQLite says of a database that has no room what it says of a disk that has none.
            database = run._journal._database
            pages = database.execute("pragma page_count").fetchone()[0]
            database.execute(f"pragma max_page_count = {pages + 1}")
            with pytest.raises(JournalError, match=r"database or disk is full; what was recorded in it is safe"):
                async for _result in run:
                    pass
        assert not bulk.status_of(path).is_finished
        await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path))
        assert bulk.status_of(str(path)).is_finished
        assert (effects(sandbox).total(), set(effects(sandbox).values())) == (200, {1})


async def test_only_the_owner_can_read_journal_and_results(client: Any, path: Path) -> None:
    async with studio(1) as sandbox:
        await outcomes(bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path))
    bulk.write_results(str(path), str(path.with_name("results.csv")))
    assert {file.stat().st_mode & 0o077 for file in path.parent.iterdir()} == {0}
    assert sorted(file.name for file in path.parent.iterdir()) == ["results.csv", "run.db"]


async def _leave_intents(client: MembershipClient, plan: list[Any], operation: str, path: Path) -> None:
    """Leave the journal of a process that was killed right before it sent anything."""
    async with bulk.run(client, plan, operation=operation, journal=path) as run:
        rows = list(run._journal.rows("planned"))
        await run._journal.note(1.0, intents=[replace(row, correlation_id=str(uuid4())) for row in rows])


async def test_a_run_whose_engine_can_not_be_opened_leaves_no_new_journal(client: Any, path: Path) -> None:
    def unreachable(_run: str) -> Any:
        return AsyncMock(__aenter__=AsyncMock(side_effect=ConnectionError("no Redis")))

    async with studio(1) as sandbox:
        plan, options = withdrawals(1), {"operation": "withdraw_cancelation", "journal": path}
        with pytest.raises(ConnectionError):
            await outcomes(bulk.run(client(sandbox), plan, engine=unreachable, **options))
        assert list(path.parent.iterdir()) == []
        assert await outcomes(bulk.run(client(sandbox), plan, **options)) == {RowOutcome.DONE: 1}
        with pytest.raises(ConnectionError):
            await outcomes(bulk.run(client(sandbox), None, journal=path, resume=True, engine=unreachable))
        assert path.exists()


async def test_leaving_early_finishes_what_is_under_way_and_sends_no_more(client: Any, path: Path) -> None:
    async with studio(100) as sandbox:
        run = bulk.run(client(sandbox), withdrawals(100), operation=WITHDRAW, journal=path, concurrency=5)
        async with run:
            async for _result in run:
                break
        assert run.stopped_by == "the caller has left"
        counts = bulk.status_of(path).counts
        assert set(counts) == {"done", "planned"}
        assert counts["done"] == effects(sandbox).total() <= 50


async def test_a_clock_that_was_set_back_leaves_no_row_to_a_person(
    client: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(1) as sandbox:
        sandbox.fail(Fault.drop(after_applying=True), operation=WITHDRAW)
        monkeypatch.setattr(row_module, "time", SimpleNamespace(time=lambda: time.time() - 3600))
        ended = await outcomes(bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path))
        assert ended == {RowOutcome.SETTLED: 1}


async def test_a_run_that_is_stopped_while_it_settles_sends_nothing_blindly_when_it_is_resumed(
    client: Any, path: Path
) -> None:
    plan = withdrawals(30)
    async with studio(30) as sandbox:
        await _leave_intents(client(sandbox), plan, "withdraw_cancelation", path)
        run = bulk.run(client(sandbox), None, resume=True, journal=path, concurrency=1)
        async with run:
            async for _result in run:
                run.stop("enough")
        assert bulk.status_of(path).counts.keys() == {"done", "sent"}
        sandbox.requests.clear()
        async with bulk.run(client(sandbox), None, resume=True, journal=path, concurrency=1) as run:
            await anext(run)
        assert sandbox.requests[0].operation == "get_contract_data"


def test_a_lock_whose_file_was_replaced_meanwhile_is_none(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who held it deletes its file at the end, and the next makes another: two would work on the journal."""
    path.touch()
    connect = sqlite3.connect

    def connect_late(file: Path, **options: Any) -> sqlite3.Connection:
        held = connect(file, **options)
        file.rename(file.with_name("of-who-held-it"))
        file.touch()
        return held

    monkeypatch.setattr(sqlite3, "connect", connect_late)
    with pytest.raises(JournalError, match="another process works on"):
        lock(path)


async def test_what_is_being_recorded_is_on_disk_when_a_journal_is_closed(
    client: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_recording, go_on, commit = asyncio.Event(), threading.Event(), Journal._commit
    loop = asyncio.get_running_loop()

    def commit_late(*args: Any) -> None:
        loop.call_soon_threadsafe(is_recording.set)
        go_on.wait()
        commit(*args)

    async with (
        studio(1) as sandbox,
        bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path) as run,
    ):
        monkeypatch.setattr(Journal, "_commit", commit_late)
        noting = asyncio.ensure_future(run._journal.note(1.0, intents=run._journal.rows("planned")))
        await is_recording.wait()
        noting.cancel()
        loop.call_later(0.02, go_on.set)
    assert bulk.status_of(path).counts == {"sent": 1}


async def test_nor_is_what_had_to_be_read_before_it_was_sent(
    client: Any, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with studio(1, canceled=False) as sandbox:
        monkeypatch.setattr(sandbox, CANCEL, lambda **_arguments: None)
        # A refusal comes first: it is the last attempt that counts.
        sandbox.fail(Fault.status(429, retry_after=1), operation=CANCEL)
        for resume in (False, True):
            run = bulk.run(
                client(sandbox),
                cancelations(1, "earliest", "Moving away"),
                operation="cancel_contract",
                journal=path,
                resume=resume,
                row_options=RowOptions(confirm=True, resend_after=1),
            )
            assert await outcomes(run) == ({} if resume else {RowOutcome.UNCONFIRMED: 1})
        assert requests(sandbox)[CANCEL] == 2


async def test_what_was_not_begun_with_is_planned_again_when_a_run_is_cancelled(client: Any, path: Path) -> None:
    async with studio(20) as sandbox:
        sandbox.fail(Fault.delay(0.001), Fault.delay(0.001), *[Fault.delay(60)] * 20)
        run = bulk.run(client(sandbox), withdrawals(20), operation=WITHDRAW, journal=path, concurrency=2)
        ended = asyncio.ensure_future(outcomes(run))
        while len(sandbox.ledger) < 4 or run.progress.ended < 2:
            await asyncio.sleep(0)
        assert bulk.status_of(path).counts["sent"] > 2
        run.cancel()
        await ended
        assert run.stopped_by == "it was cancelled"
        assert bulk.status_of(path).counts == {"done": 2, "sent": 2, "planned": 16}


async def test_a_journal_of_another_form_is_refused(client: Any, path: Path) -> None:
    async with studio(1) as sandbox:
        async with bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path):
            pass
        with sqlite3.connect(path) as database:
            database.execute("update run set format = format + 1")
        database.close()
        with pytest.raises(JournalError, match="was written by another release of the SDK"):
            await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
        with pytest.raises(JournalError, match="was written by another release of the SDK"):
            bulk.status_of(path)
        assert sandbox.requests == []


async def test_what_is_told_of_a_row_is_what_its_journal_says(client: Any, path: Path) -> None:
    async with studio(2) as sandbox:
        sandbox.fail(Fault.drop(after_applying=True), operation=WITHDRAW)
        async with bulk.run(client(sandbox), withdrawals(3), operation=WITHDRAW, journal=path) as run:
            told = sorted([result async for result in run], key=lambda result: result.n)
        with reading(path) as database:
            assert told == list(results_of(database))
        assert {result.outcome for result in told} == {RowOutcome.SETTLED, RowOutcome.DONE, RowOutcome.REJECTED}


async def test_a_commit_that_fails_keeps_nothing_and_the_next_one_can_be_made(client: Any, path: Path) -> None:
    async with studio(1) as sandbox, bulk.run(client(sandbox), withdrawals(1), operation=WITHDRAW, journal=path) as run:
        (row,) = run._journal.rows("planned")
        database = run._journal._database
        database.execute("create trigger fail before update on row begin select raise(abort, 'no room'); end")
        with pytest.raises(JournalError, match="no room; what was recorded in it is safe"):
            await run._journal.note(1.0, intents=[row])
        assert bulk.status_of(path).counts == {"planned": 1}
        database.execute("drop trigger fail")
        await run._journal.note(1.0, intents=[row])
        assert bulk.status_of(path).counts == {"sent": 1}


async def test_a_row_that_was_refused_for_now_is_sent_by_the_next_run(client: Any, path: Path) -> None:
    async with studio(2) as sandbox:
        sandbox.fail(*[Fault.status(429, retry_after=1)] * 2, operation=WITHDRAW)
        impatient = client(sandbox, retry=RetryPolicy.none())
        ended = await outcomes(bulk.run(impatient, withdrawals(2), operation=WITHDRAW, journal=path))
        assert ended == {RowOutcome.REJECTED: 2}
        assert await outcomes(bulk.run(client(sandbox), None, resume=True, journal=path)) == {RowOutcome.DONE: 2}
        assert effects(sandbox).total() == 2


@pytest.mark.parametrize("outcome", RowOutcome)
def test_what_a_person_has_to_look_at_is_a_failure(outcome: RowOutcome) -> None:
    progress = Progress(total=1)
    progress.note(Ending(outcome=outcome, correlation_id="id", attempts=1))
    are_good = {RowOutcome.DONE, RowOutcome.SETTLED, RowOutcome.UNCHANGED}
    assert progress.failures == (outcome not in are_good)


async def test_a_resume_that_is_refused_leaves_the_journal_as_it_was(client: Any, path: Path) -> None:
    """Why rows failed is told by nothing else."""
    async with studio(2) as sandbox:
        sandbox.fail(*[Fault.status(429, retry_after=1)] * 2, operation=WITHDRAW)
        impatient = client(sandbox, retry=RetryPolicy.none())
        async with bulk.run(impatient, withdrawals(2), operation=WITHDRAW, journal=path) as run:
            await run._journal.keep_queue("docket elsewhere")
            async for _result in run:
                pass
        with pytest.raises(JournalError, match="may still be queued in docket elsewhere"):
            await bulk.run(client(sandbox), None, resume=True, journal=path).__aenter__()
        assert bulk.status_of(path).counts == {"rejected": 2}
