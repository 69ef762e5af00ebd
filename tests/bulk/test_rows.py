"""What is wrong with one row, or with the answer to it, ends that row and no other."""

import json
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from wire import DROP, CannedAnswer, FakeTime, WireRequest, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk import bulk as cloudcockpit_bulk
from membership_sdk import MembershipClient, RetryPolicy, bulk
from membership_sdk.bulk import JournalError, RowOutcome

IDLE = "create_idle_period_amendment"
HALF = '"Kur \\ud83d"'
"""JSON of a text with half of a surrogate pair, which Python reads and UTF-8 can't carry."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


@pytest.fixture
async def clients(fake_time: FakeTime) -> AsyncIterator[Any]:
    """Makes clients whose waiting needs no time."""
    made: list[Any] = []

    def of(server: WireServer, **options: Any) -> Any:
        retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
        made.append(MembershipClient(server.url, "key", retry=retry, **options))
        return made[-1]

    yield of
    for each in made:
        await each.aclose()


def idle_periods(*contracts: int, **more: object) -> list[dict[str, object]]:
    row = {"start_date": "2030-01-07", "reason_id": 1, "term_value": 1, "temporal_unit": "WEEK"}
    return [{"contract_id": contract, **row, **more} for contract in contracts]


def idle_period(reason: str = '"Kur"') -> CannedAnswer:
    text = '{"id":9,"startDate":"2030-01-07","state":"ACCEPTED","idlePeriodReason":{"id":1,"name":%s}}'
    return CannedAnswer(body=text % reason)


async def results(run: bulk.BulkRun) -> list[bulk.Result]:
    async with run:
        return sorted([result async for result in run], key=lambda result: result.n)


def outcomes(ended: list[bulk.Result]) -> list[RowOutcome]:
    return [result.outcome for result in ended]


async def test_an_answer_that_can_not_be_written_down_is_done_without_it(clients: Any, path: Path) -> None:
    def answer(request: WireRequest) -> CannedAnswer:
        return idle_period(HALF if "/2/" in request.target else '"Kur"')

    async with WireServer(answer) as server:
        ended = await results(bulk.run(clients(server), idle_periods(1, 2, 3), operation=IDLE, journal=path))
        assert outcomes(ended) == [RowOutcome.DONE] * 3
        assert [result.answer is None for result in ended] == [False, True, False]
        assert len(server.requests) == 3
    assert bulk.status_of(path).counts == {"done": 3}


@pytest.mark.parametrize("text", [HALF, '{"a":' * 700 + "1" + "}" * 700])
async def test_so_is_an_answer_of_raw_json(path: Path, text: str) -> None:
    async with (
        WireServer(CannedAnswer(body=f'{{"items":[{text}]}}')) as server,
        CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url) as client,
    ):
        run = cloudcockpit_bulk.run(client, [{}], operation="list_audit_logs", journal=path)
        assert outcomes(await results(run)) == [RowOutcome.DONE]


@pytest.fixture
def documents(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{name}.pdf" for name in "ab"]
    for each in found:
        each.write_bytes(b"%PDF")
    return found


async def test_a_document_that_is_gone_ends_its_row_only_and_is_sent_once_it_is_back(
    clients: Any, path: Path, documents: list[Path]
) -> None:
    first, gone = documents
    plan = idle_periods(1, 2, document=str(first)) + idle_periods(3, document=str(gone))
    async with WireServer(idle_period()) as server:
        client = clients(server)
        run = bulk.run(client, plan, operation=IDLE, journal=path)
        async with run:
            gone.unlink()
            ended = sorted([result async for result in run], key=lambda result: result.n)
        assert outcomes(ended) == [RowOutcome.DONE, RowOutcome.DONE, RowOutcome.NOT_SENT]
        assert ended[2].error is not None
        assert "FileNotFoundError" in ended[2].error["message"]
        # Those that ended need theirs no longer.
        first.unlink()
        gone.write_bytes(b"%PDF")
        assert outcomes(await results(bulk.run(client, plan, operation=IDLE, journal=path, resume=True))) == [
            RowOutcome.DONE
        ]
        assert len(server.requests) == 3


async def test_a_row_whose_document_is_gone_is_settled_by_reading(
    clients: Any, path: Path, documents: list[Path]
) -> None:
    def answer(request: WireRequest) -> object:
        if request.method == "GET":
            listed = json.loads(str(idle_period().body))
            return CannedAnswer(body={"currentAndUpcomingIdlePeriods": [listed], "pastIdlePeriods": []})
        documents[0].unlink()
        return DROP

    async with WireServer(answer) as server:
        run = bulk.run(clients(server), idle_periods(1, document=str(documents[0])), operation=IDLE, journal=path)
        assert outcomes(await results(run)) == [RowOutcome.SETTLED]
        assert Counter(request.method for request in server.requests) == {"POST": 1, "GET": 1}


@pytest.mark.parametrize(("wrong", "told"), [("contract_id", "a whole number"), ("temporal_unit", "one of DAY, WEEK")])
async def test_a_row_that_this_release_does_not_take_is_told_and_the_others_are_sent(
    clients: Any, path: Path, wrong: str, told: str
) -> None:
    async with WireServer(idle_period()) as server:
        client = clients(server)
        async with bulk.run(client, idle_periods(1, 2, 3), operation=IDLE, journal=path):
            pass
        with closing(sqlite3.connect(path)) as database, database:
            # Taken in by another release; of the third row, nobody knows whether it was sent.
            database.execute(f"update row set arguments = json_set(arguments, '$.{wrong}', 'FORTNIGHT') where n > 1")
            database.execute("update row set state = 'sent', correlation_id = 'c' where n = 3")
        ended = await results(bulk.run(client, None, journal=path, resume=True))
        assert outcomes(ended) == [RowOutcome.DONE, RowOutcome.NOT_SENT, RowOutcome.UNKNOWN]
        for result in ended[1:]:
            assert result.error is not None
            assert told in result.error["message"]
            assert "FORTNIGHT" not in result.error["message"]
        assert len(server.requests) == 1


@pytest.mark.parametrize("state", ["'planned'", "'sent'", "'ended', outcome = 'unknown'"])
async def test_a_run_with_rows_that_this_release_does_not_know_is_refused_and_left_as_it_is(
    clients: Any, path: Path, state: str
) -> None:
    async with WireServer(idle_period()) as server:
        client = clients(server)
        async with bulk.run(client, idle_periods(1, 2), operation=IDLE, journal=path):
            pass
        with closing(sqlite3.connect(path)) as database, database:
            database.execute(f"update row set operation = 'fly', state = {state} where n = 2")
        counts = bulk.status_of(path).counts
        with pytest.raises(JournalError, match="holds rows of fly, which this release does not have"):
            await results(bulk.run(client, None, journal=path, resume=True))
        assert bulk.status_of(path).counts == counts
        assert server.requests == []
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("update row set state = 'ended', outcome = 'done' where n = 2")
        assert outcomes(await results(bulk.run(client, None, journal=path, resume=True))) == [RowOutcome.DONE]


async def test_an_id_of_the_api_that_can_not_be_sent_ends_the_rows_that_need_it(clients: Any, path: Path) -> None:
    def answer(request: WireRequest) -> CannedAnswer:
        if "cancelation-reasons" in request.target:
            return CannedAnswer(body=[{"cancelationReasonId": 0, "cancelationReasonName": "Moving away"}])
        return CannedAnswer(body={})

    plan = [
        {"customer_id": 1, "contract_id": number, "on": "2030-01-31", "reason": reason}
        for number, reason in enumerate(["Moving away", 11, "Moving away"], 1)
    ]
    async with WireServer(answer) as server:
        ended = await results(bulk.run(clients(server), plan, operation="cancel_contract", journal=path))
        assert outcomes(ended) == [RowOutcome.NOT_SENT, RowOutcome.DONE, RowOutcome.NOT_SENT]
        assert ended[0].error is not None
        assert "reason" in ended[0].error["message"]


def statuses(*each: int) -> list[CannedAnswer]:
    return [CannedAnswer(status=status, body={} if status >= 400 else []) for status in each]


@pytest.mark.parametrize(
    ("refusals", "outcome"),
    [
        ([500] * 3, RowOutcome.NOT_SENT),
        ([501], RowOutcome.NOT_SENT),
        ([302], RowOutcome.NOT_SENT),
        ([404], RowOutcome.REJECTED),
        ([403], RowOutcome.REJECTED),
    ],
)
async def test_a_read_that_failed_changed_nothing_and_is_read_again(
    clients: Any, path: Path, refusals: list[int], outcome: RowOutcome
) -> None:
    async with WireServer(*statuses(*refusals, 200)) as server:
        client = clients(server)
        run = bulk.run(client, [{"customer_id": 1}], operation="get_contract_data", journal=path)
        (failed,) = await results(run)
        assert failed.outcome is outcome
        assert failed.error is not None
        assert failed.error["operation"] == "get_contract_data"
        assert len(server.requests) == len(refusals)
        assert outcomes(await results(bulk.run(client, None, journal=path, resume=True))) == [RowOutcome.DONE]
        assert len(server.requests) == len(refusals) + 1
        assert outcomes(await results(bulk.run(client, None, journal=path, resume=True))) == []


async def test_a_read_that_an_earlier_release_has_given_up_is_read_again(clients: Any, path: Path) -> None:
    async with WireServer(CannedAnswer(body=[])) as server:
        client = clients(server)
        plan = [{"customer_id": number} for number in (1, 2)]
        async with bulk.run(client, plan, operation="get_contract_data", journal=path):
            pass
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("update row set state = 'ended', outcome = 'unknown', may_succeed_later = 0 where n = 1")
            database.execute("update row set state = 'sent', correlation_id = 'c' where n = 2")
        assert outcomes(await results(bulk.run(client, None, journal=path, resume=True))) == [RowOutcome.DONE] * 2
        assert len(server.requests) == 2


def idempotent(server: WireServer, path: Path, *, resume: bool = False, **options: Any) -> Any:
    client = CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url, retry=RetryPolicy.none())
    ids = {"customer_id": str(UUID(int=1)), "subscription_id": str(UUID(int=2))}
    plan = None if resume else [{**ids, "po_number": "7"}]
    named = None if resume else "change_po_number"
    return client, cloudcockpit_bulk.run(client, plan, operation=named, journal=path, resume=resume, **options)


@pytest.mark.parametrize(
    ("answer", "outcome", "later"),
    [
        (CannedAnswer(body={}), RowOutcome.DONE, []),
        (CannedAnswer(status=500, body={}), RowOutcome.UNKNOWN, [RowOutcome.UNKNOWN]),
        # The request that was lost may have had its effect, which this refusal may come from.
        (CannedAnswer(status=404, body={}), RowOutcome.UNKNOWN, [RowOutcome.UNKNOWN]),
        (CannedAnswer(status=401, body={}), RowOutcome.UNKNOWN, [RowOutcome.UNKNOWN]),
    ],
)
async def test_what_is_the_same_twice_is_sent_once_more_by_each_run(
    path: Path, answer: CannedAnswer, outcome: RowOutcome, later: list[RowOutcome]
) -> None:
    async with WireServer(DROP, answer) as server:
        for resume, expected, requests in ((False, [RowOutcome.UNKNOWN], 1), (True, [outcome], 2), (True, later, 3)):
            client, run = idempotent(server, path, resume=resume)
            async with client:
                assert outcomes(await results(run)) == expected
            assert len(server.requests) == min(requests, 2 if outcome is RowOutcome.DONE else 3)


async def test_it_is_left_to_a_person_if_nothing_is_to_be_sent_again(path: Path) -> None:
    async with WireServer(DROP) as server:
        for resume in (False, True):
            client, run = idempotent(server, path, resume=resume, row_options=bulk.RowOptions(resend_after=None))
            async with client:
                (result,) = await results(run)
            assert result.outcome is RowOutcome.UNKNOWN
            assert result.error is not None
            assert ("no workflow can settle it" in result.error["message"]) is resume
        assert len(server.requests) == 1


async def test_what_has_happened_is_done_and_never_repeated_though_its_answer_can_not_be_read(
    clients: Any, path: Path
) -> None:
    async with WireServer(CannedAnswer(body='"none"')) as server:
        (row,) = await results(bulk.run(clients(server), idle_periods(1), operation=IDLE, journal=path))
        assert (row.outcome, row.answer) == (RowOutcome.DONE, None)
        assert row.error is not None
        assert row.error["outcome"] == "applied"
        assert await results(bulk.run(clients(server), None, journal=path, resume=True)) == []
        assert len(server.requests) == 1
