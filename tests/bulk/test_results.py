"""What is told of rows is of the types that it says, digit by digit; and what may hold a member's data is not shown."""

import csv
import json
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from msgspec import Struct
from rich.pretty import pretty_repr
from wire import DROP, CannedAnswer, FakeTime, WireServer

from cloudcockpit_sdk import CloudCockpitClient, RetryPolicy, bulk
from membership_sdk import IdlePeriod, MembershipClient, SdkError, from_json
from membership_sdk import bulk as membership_bulk
from sdk_core.bulk.plan import PlannedRow, _RawRow

IDS = {"customer_id": str(UUID(int=1)), "subscription_id": str(UUID(int=2))}
ENTRY = '{"amount":5.00,"large":123456789012345678901234567890,"text":"Z\\u00fcrich\\u2028\\n","none":null}'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "run.db"


async def test_numbers_of_a_results_file_are_those_of_plan_and_answer(path: Path) -> None:
    budget = {**IDS, "operation": "change_monthly_budget", "monthly_budget": Decimal("12.50")}
    async with (
        WireServer(CannedAnswer(body=f'{{"items":[{ENTRY}]}}')) as server,
        CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url) as client,
        bulk.run(client, [{"operation": "list_audit_logs"}, budget], journal=path, concurrency=1) as run,
    ):
        results = [result async for result in run]
    assert results[0].answer["items"] == [json.loads(ENTRY, parse_float=Decimal)]
    assert results[1].arguments["monthly_budget"] == Decimal("12.50")
    assert bulk.write_results(path, path.with_name("results.jsonl")) == 2
    # As a text, each number has all of its digits; in quotes it would have them, too.
    lines = path.with_name("results.jsonl").read_text(encoding="utf-8").split("\n")
    first, second = (json.loads(line, parse_float=lambda digits: ("number", digits)) for line in lines if line)
    assert first["answer"]["items"] == [json.loads(ENTRY, parse_float=lambda digits: ("number", digits))]
    assert second["arguments"]["monthly_budget"] == ("number", "12.50")
    names = ["run", "line", "operation", "outcome", "attempts", "correlation_id", "arguments", "answer", "error"]
    assert list(first) == names


async def test_an_answer_in_a_results_file_is_one_of_the_api(path: Path) -> None:
    fee = '{"idlePeriodFeeCalculationType":"ABSOLUTE","idlePeriodTotalAmount":{"amount":5.00,"currency":"EUR"}}'
    answer = f'{{"id":9,"startDate":"2030-01-07","state":"ACCEPTED","idlePeriodFee":{fee}}}'
    plan = [{"contract_id": 1, "start_date": "2030-01-07", "reason_id": 1, "unlimited": True}]
    async with (
        WireServer(CannedAnswer(body=answer)) as server,
        MembershipClient(server.url, "key") as client,
        membership_bulk.run(client, plan, operation="create_idle_period_amendment", journal=path) as run,
    ):
        assert [result.outcome.value async for result in run] == ["done"]
    membership_bulk.write_results(path, path.with_name("results.jsonl"))
    kept = json.loads(path.with_name("results.jsonl").read_bytes())["answer"]
    assert from_json(IdlePeriod, json.dumps(kept)) == from_json(IdlePeriod, answer)


@pytest.mark.parametrize("step", [DROP, CannedAnswer(status=429, body={}, headers={"Retry-After": "1"})])
async def test_an_error_is_told_as_the_call_itself_tells_it(path: Path, step: object, fake_time: FakeTime) -> None:
    retry = RetryPolicy(max_attempts=1, sleep=fake_time.sleep, clock=fake_time.clock)
    plan = [{"contract_id": 1, "idle_period_id": 2}]
    async with (
        WireServer(step) as server,
        MembershipClient(server.url, "key", retry=retry) as client,
        membership_bulk.run(client, plan, operation="withdraw_idle_period", journal=path) as run,
    ):
        (result,) = [result async for result in run]
        with pytest.raises(SdkError) as raised:
            await client.withdraw_idle_period(contract_id=1, idle_period_id=2)
    told = result.error
    assert told is not None
    assert json.loads(json.dumps(told)) == told
    expected = raised.value.to_dict()
    assert told.keys() == expected.keys()
    assert {name: type(value) for name, value in told.items()} == {n: type(v) for n, v in expected.items()}
    assert [{n: type(v) for n, v in each.items()} for each in told["attempts"]] == [
        {n: type(v) for n, v in each.items()} for each in expected["attempts"]
    ]
    membership_bulk.write_results(path, path.with_name("results.jsonl"))
    assert json.loads(path.with_name("results.jsonl").read_bytes())["error"] == told
    membership_bulk.write_results(path, path.with_name("results.csv"))
    with path.with_name("results.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert row["error"] == f"{told['type']}: {told['message']}"
    assert json.loads(row["arguments"]) == plan[0]


def structs(kind: type = Struct) -> Iterator[type]:
    """Yields the classes of the core's that msgspec has made, which gives each a `__rich_repr__` with all fields."""
    for each in kind.__subclasses__():
        if each.__module__.startswith("sdk_core."):
            yield each
        yield from structs(each)


STRUCTS = {f"{each.__module__}.{each.__qualname__}": each for each in structs()}


def test_structs_of_all_rooms_are_looked_at() -> None:
    rooms = {name.rpartition(".")[0] for name in STRUCTS}
    assert {f"sdk_core.bulk.{room}" for room in ("journal", "result", "row")} | {"sdk_core.call"} <= rooms


@goes_through("name", list(STRUCTS))
def test_rich_shows_no_more_than_python(name: str) -> None:
    kind: Any = STRUCTS[name]
    value = kind(**{field: f"CANARY-{field}." for field in kind.__struct_fields__})
    shown = set(re.findall(r"CANARY-\w+\.", repr(value)))
    assert set(re.findall(r"CANARY-\w+\.", pretty_repr(value))) == shown
    assert not shown & {
        f"CANARY-{hidden}." for hidden in ("values", "arguments", "answer", "answer_text", "error_text")
    }


def test_no_row_of_a_plan_shows_what_it_holds() -> None:
    for row in (
        PlannedRow(1, "o", "CANARY", is_text=False, target="CANARY"),
        _RawRow(1, {"a": "CANARY"}, is_text=False),
    ):
        assert "CANARY" not in repr(row) + pretty_repr(row)
