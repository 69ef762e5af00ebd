"""A plan is checked whole before the first call: what is wrong is told with its line, and nothing is sent."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import combinations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from cases import goes_through
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk import bulk as cloudcockpit_bulk
from membership_sdk import MembershipClient, bulk
from sdk_core.bulk.plan import PlanError, checked_rows

CANCEL = "customer_id,contract_id,on,reason\n"


def rows(text: str | bytes, operation: str | None = "cancel_contract") -> list[Any]:
    file = io.BytesIO(text.encode() if isinstance(text, str) else text)
    return list(checked_rows(file, bulk.CATALOGUE, operation))


def problems(text: str | bytes, operation: str | None = "cancel_contract") -> tuple[str, ...]:
    with pytest.raises(PlanError) as caught:
        rows(text, operation)
    return caught.value.problems


@goes_through(
    ("text", "expected"),
    [
        (CANCEL + "1,2,earliest,11\nx,3,latest,11\n", "line 3: customer_id must be a whole number"),
        (CANCEL + "1,2,31.12.2026,11\n", "line 2: on must be a date like 2026-12-31 or earliest or latest"),
        (CANCEL + "1,,latest,11\n", "line 2: contract_id is missing"),
        (CANCEL + "0,2,latest,11\n", "line 2: customer_id must be from 1 to 9223372036854775807"),
        (
            '{"customer_id": 1, "contract": 2}',
            "line 1: cancel_contract takes no contract: it takes customer_id, contract_id",
        ),
        (CANCEL + "1,2,latest,11,5\n", "line 2: it has 5 cells, the header 4"),
        (CANCEL + '1,2,latest,"a\nb"\n1,x,latest,1\n', "line 4: contract_id must be a whole number"),
        ("a,a\n1,2\n", "line 1: the header has two columns of one name"),
        ("a,,b\n1,2,3\n", "line 1: the header has a column without a name"),
        (CANCEL + '1,2,latest,"x\n', "line 2: it is no CSV: unexpected end of data"),
        ("operation,customer_id\ncancel,1\n", "line 1: the header has a column operation, and one was given"),
        ("", "it holds no rows"),
        (CANCEL, "it holds no rows"),
        ('{"customer_id": 1}\n[1]\n', "line 2: it is no JSON object"),
        ('{"customer_id": true, "contract_id": 2, "on": "latest", "reason": 1}', "line 1: customer_id must be a whole"),
        ('{"customer_id": 1.5, "contract_id": 2, "on": "latest", "reason": 1}', "line 1: customer_id must be a whole"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(text: str, expected: str) -> None:
    assert any(problem.startswith(expected) for problem in problems(text)), problems(text)


def test_text_that_is_no_utf8_is_told_with_its_line() -> None:
    advice = ': in Excel, save as "CSV UTF-8"'
    assert problems(CANCEL.encode() + b"1,2,latest,caf\xe9\n") == (f"line 2: it is not UTF-8{advice}",)
    assert problems(b"customer_id,gr\xfcnde\n1,2\n3,4\n") == (f"line 1: it is not UTF-8{advice}",)
    assert problems(CANCEL.encode("utf-16")) == (f"line 1: it is not UTF-8{advice}",)
    assert problems(b'{"reason": "caf\xe9"}\n') == ("line 1: it is not UTF-8",)


def test_an_operation_has_to_be_named_and_known() -> None:
    assert problems("customer_id\n1\n2\n", None) == (
        "line 1: the header has no column operation, and none was given for all rows: add one of both",
    )
    assert "names no operation" in problems('{"customer_id": 1}\n', None)[0]
    unknown = "membership_sdk has no operation or workflow of this name: "
    for given, told in (
        ("cancel_contracts", "did you mean cancel_contract"),
        ("cancelContract", "did you mean cancel_contract"),
        ("withdraw-cancelations", "did you mean withdraw_cancelation"),
        ("fly", "`membership-sdk --help` lists them"),
    ):
        (told_once,) = problems(CANCEL + "1,2,latest,11\n" * 3, given)
        assert told_once.startswith(f"operation: {unknown}{told}")
        (of_row,) = problems(f"operation,customer_id\n{given},1\n", None)
        assert of_row.startswith(f"line 2: {unknown}{told}")
        assert len(told_once) < 200


def test_columns_that_do_not_fit_are_told_once_with_those_that_do() -> None:
    rows_of_data = "1,2,latest,3\n" * 30
    takes = "the columns may be customer_id, contract_id, on, reason"
    assert problems("customer_id,contract,on,why\n" + rows_of_data) == (
        f"line 1: no column of cancel_contract: contract, why; {takes}",
    )
    assert problems("customer_id,contract_id\n" + "1,2\n" * 30) == (
        f"line 1: cancel_contract needs on, reason, too: {takes}",
    )
    # Without a header, the first row is not shown.
    assert problems("Muster,2,latest,3\n" + rows_of_data) == (
        f"line 1: the header names no column of cancel_contract: {takes}",
    )
    (told,) = problems("operation,customer_id,contact_id\n" + "cancel_contract,1,2\n" * 30, None)
    assert told.startswith("line 1: no column of any operation: contact_id; the columns may be operation, ")


async def test_problems_are_told_in_the_order_of_lines(tmp_path: Path) -> None:
    plan: list[dict[str, object]] = [{"customer_id": 1, "contract_id": n} for n in (1, 2, 2, 1, "x")]
    async with MembershipClient("http://127.0.0.1:9", "key") as client:
        run = bulk.run(client, plan, operation="withdraw_cancelation", journal=tmp_path / "run.db")
        with pytest.raises(PlanError) as raised:
            await run.__aenter__()
    assert [problem.partition(":")[0] for problem in raised.value.problems] == ["line 3", "line 4", "line 5"]


def test_the_first_problems_are_told_and_the_others_counted() -> None:
    with pytest.raises(PlanError) as caught:
        rows(CANCEL + "x,1,latest,1\n" * 50)
    assert len(caught.value.problems) == 20
    assert str(caught.value).endswith("... and 30 more")


def test_no_message_shows_a_value() -> None:
    assert "secret" not in str(problems(CANCEL + "secret,1,latest,1\n"))


@goes_through(
    "text",
    [
        CANCEL + "1,2,2026-12-31,Moving away\n",
        "\ufeffcustomer_id;contract_id;on;reason\r\n1;2;2026-12-31;Moving away\r\n",
        "customer_id\tcontract_id\ton\treason\n1\t2\t2026-12-31\tMoving away\n",
        '{"customer_id": 1, "contract_id": "2", "on": "2026-12-31", "reason": "Moving away"}\n\n',
    ],
)
def test_csv_of_any_delimiter_and_jsonl_say_the_same(text: str) -> None:
    (row,) = rows(text)
    read = bulk.CATALOGUE.tasks[row.operation].read(json.loads(row.values), text=row.is_text)
    assert read == {"customer_id": 1, "contract_id": 2, "on": date(2026, 12, 31), "reason": "Moving away"}


def test_a_number_in_a_cell_is_an_id_and_a_text_of_json_is_a_name() -> None:
    task = bulk.CATALOGUE.tasks["cancel_contract"]
    values = {"customer_id": "1", "contract_id": "2", "on": "latest", "reason": "11"}
    assert task.read(values, text=True)["reason"] == 11
    assert task.read(values, text=False)["reason"] == "11"


@goes_through(
    ("text", "lines"),
    [
        (CANCEL + "1,2,latest,11\n,,,\n , ,\t,\n1,3,latest,11\n,,,,,\n\n,,,\n", [2, 5]),
        ("sep=;\r\n" + CANCEL.replace(",", ";") + "1;2;latest;11\r\n;;;\r\n", [3]),
        ('\ufeff"SEP=,"\r\n' + CANCEL + "1,2,latest,a;b;c;d;e;f\r\n", [3]),
        ("\nsep=\t\n" + CANCEL.replace(",", "\t") + "1\t2\tlatest\t11\n", [4]),
    ],
)
def test_csv_is_taken_as_excel_leaves_it(text: str, lines: list[int]) -> None:
    assert [row.line for row in rows(text)] == lines


def test_csv_of_nothing_but_empty_cells_holds_no_rows() -> None:
    assert problems(CANCEL + ",,,\n") == ("it holds no rows",)
    assert problems("sep=;\n")[0].startswith("line 2: the header names no column of cancel_contract")


@goes_through(
    ("text", "expected"),
    [
        ('{"customer_id":1,"contract_id":2003,"contract_id":2002}', "line 2: it has the key contract_id twice"),
        ('{"customer_id":1,"contract_id":2,"contract_id":2}', "line 2: it has the key contract_id twice"),
        ('{"customer_id":1,"contract_id":2,"changes":{"a":1.5,"b":2,"a":3}}', "line 2: it has the key a twice"),
    ],
)
def test_a_key_that_is_there_twice_is_told_and_its_values_are_not(text: str, expected: str) -> None:
    first = '{"customer_id":1,"contract_id":1}\n'
    assert problems(first + text, "withdraw_cancelation") == (expected,)


def test_json_in_a_cell_has_each_key_once() -> None:
    task = cloudcockpit_bulk.CATALOGUE.tasks["update_subscription"]
    values = {"customer_id": CUSTOMER, "subscription_id": SUBSCRIPTION, "changes": '{"quantity":3,"quantity":4}'}
    with pytest.raises(ValueError, match="changes must be a JSON object that has each key once"):
        task.read(values, text=True)


def test_empty_cells_are_arguments_that_are_not_given_and_rows_name_their_operations() -> None:
    text = "operation,customer_id,contract_id,on,reason\nwithdraw-cancelation,1,2,,\ncancel_contract,1,3,latest,11\n"
    assert [row.operation for row in rows(text, None)] == ["withdraw_cancelation", "cancel_contract"]


def test_what_cells_can_hold() -> None:
    tasks = cloudcockpit_bulk.CATALOGUE.tasks
    ids: Mapping[str, object] = {"customer_id": str(UUID(int=1)), "subscription_id": str(UUID(int=2))}
    budget = tasks["change_monthly_budget"].read({**ids, "monthly_budget": "12.50"}, text=True)
    assert (budget["monthly_budget"], budget["customer_id"]) == (Decimal("12.50"), UUID(int=1))
    with pytest.raises(ValueError, match="monthly_budget must be a number or none"):
        tasks["change_monthly_budget"].read({**ids, "monthly_budget": "nothing"}, text=True)
    changes = tasks["update_subscription"].read({**ids, "changes": '{"quantity": 3}'}, text=True)
    assert changes["changes"] == {"quantity": 3}
    logs = tasks["list_audit_logs"].read(
        {"operation_names": "CreateOrder|Cancel", "start_date": "2026-01-01T00:00:00+00:00"}, text=True
    )
    assert logs == {"operation_names": ("CreateOrder", "Cancel"), "start_date": datetime(2026, 1, 1, tzinfo=UTC)}
    migration = {**ids, "purchase_full_term": "TRUE", "quantity": "3"}
    assert tasks["migrate_and_wait"].read(migration, text=True)["purchase_full_term"] is True


async def test_no_budget_can_be_written_in_a_cell(tmp_path: Path) -> None:
    """An empty cell is none that is given."""
    header = "customer_id,subscription_id,monthly_budget\n"
    ids = f"{UUID(int=1)},{UUID(int=2)}"
    with pytest.raises(PlanError, match="monthly_budget is missing"):
        list(
            checked_rows(io.BytesIO(f"{header}{ids},\n".encode()), cloudcockpit_bulk.CATALOGUE, "change_monthly_budget")
        )
    async with (
        WireServer(CannedAnswer(status=204)) as server,
        CloudCockpitClient("portal.example.com", "made.up.jwt", base_url=server.url) as client,
        cloudcockpit_bulk.run(
            client,
            io.BytesIO(f"{header}{ids},None\n".encode()),
            operation="change_monthly_budget",
            journal=tmp_path / "run.db",
        ) as run,
    ):
        assert [result.outcome.value async for result in run] == ["done"]
    assert [request.json for request in server.requests] == [{"monthlyBudget": None}]


@pytest.mark.parametrize("path", ["missing.pdf", ".", "x" * 300, "a\0b"])
def test_a_document_is_the_path_of_a_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "proof.pdf").write_bytes(b"%PDF")
    values = {"contract_id": 1, "start_date": "2027-01-01", "reason": 1, "term_value": 1}
    plan = "".join(json.dumps({**values, "document": str(tmp_path / each)}) + "\n" for each in ("proof.pdf", path))
    assert problems(plan, "request_idle_period") == ("line 2: document must be the path of a file",)
    task = bulk.CATALOGUE.tasks["request_idle_period"]
    read = task.read({**values, "document": str(tmp_path / "proof.pdf")}, text=False)
    assert read["document"].content_type == "application/pdf"


@pytest.mark.parametrize("catalogue", [bulk.CATALOGUE, cloudcockpit_bulk.CATALOGUE])
def test_every_operation_that_changes_something_names_what_it_changes(catalogue: Any) -> None:
    changing = [task for task in catalogue.tasks.values() if task.effect.name != "READ"]
    assert changing
    assert all(task.target and set(task.target) <= task.parameters.keys() for task in changing)


async def test_rows_that_are_wrong_and_rows_that_change_the_same_are_told_at_once(tmp_path: Path) -> None:
    plan: list[dict[str, object]] = [
        {"customer_id": 1, "contract_id": 2},
        {"customer_id": 1, "contract_id": "two"},
        {"customer_id": 1, "contract_id": 2},
    ]
    async with MembershipClient("http://127.0.0.1:9", "key") as client:
        run = bulk.run(client, plan, operation="withdraw_cancelation", journal=tmp_path / "run.db")
        with pytest.raises(PlanError) as raised:
            await run.__aenter__()
    assert raised.value.problems == (
        "line 2: contract_id must be a whole number",
        "line 3: it is a second row for the same as line 1 (withdraw_cancelation; 2 rows in all)",
    )
    assert list(tmp_path.iterdir()) == []


async def test_two_rows_that_change_the_same_are_refused_and_leave_no_journal(tmp_path: Path) -> None:
    plan = [
        {"customer_id": 1, "contract_id": 2, "on": "latest", "reason": 11},
        {"customer_id": 1, "contract_id": 3, "on": "latest", "reason": 11},
        {"customer_id": 1, "contract_id": 2, "on": "earliest", "reason": 11},
    ]
    async with MembershipClient("http://127.0.0.1:9", "key") as client:
        run = bulk.run(client, plan, operation="cancel_contract", journal=tmp_path / "run.db")
        with pytest.raises(PlanError, match="line 3: it is a second row for the same as line 1"):
            await run.__aenter__()
    assert list(tmp_path.iterdir()) == []


CUSTOMER, SUBSCRIPTION = "123e4567-e89b-42d3-a456-42661417400a", "123e4567-e89b-42d3-a456-42661417400b"
MIGRATION: Mapping[str, object] = {"customer_id": CUSTOMER, "purchase_full_term": True, "quantity": 5}


async def second_rows(path: Path, plan: Any, *, of: Any = cloudcockpit_bulk) -> tuple[str, ...]:
    """Returns what is told of the plan by the run that is to carry it out; nothing, if it takes it."""
    connect: Any = CloudCockpitClient("portal.example.com", "made.up.jwt", base_url="http://127.0.0.1:9")
    if of is bulk:
        connect = MembershipClient("http://127.0.0.1:9", "key")
    async with connect as client:
        try:
            async with of.run(client, plan, journal=path):
                return ()
        except PlanError as error:
            return error.problems


@pytest.mark.parametrize(
    "spelling",
    [
        SUBSCRIPTION.upper(),
        SUBSCRIPTION.replace("-", ""),
        f"{{{SUBSCRIPTION}}}",
        f"urn:uuid:{SUBSCRIPTION}",
        SUBSCRIPTION.replace("1", "\N{ARABIC-INDIC DIGIT ONE}"),
        SUBSCRIPTION.replace("1", "\N{FULLWIDTH DIGIT ONE}"),
    ],
)
@pytest.mark.parametrize("kind", ["mappings", "jsonl", "csv"])
async def test_another_spelling_of_a_uuid_names_the_same(tmp_path: Path, spelling: str, kind: str) -> None:
    rows = [{"operation": "start_migration", **MIGRATION, "subscription_id": each} for each in (SUBSCRIPTION, spelling)]
    plan: Any = rows
    if kind == "jsonl":
        plan = io.BytesIO("\n".join(json.dumps(row) for row in rows).encode())
    if kind == "csv":
        lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
        plan = io.BytesIO("\n".join(lines).encode())
    (told,) = await second_rows(tmp_path / "run.db", plan)
    assert "it is a second row for the same as line" in told


@pytest.mark.parametrize("spelling", ["007", "7"])
async def test_another_spelling_of_a_number_names_the_same(tmp_path: Path, spelling: str) -> None:
    plan = [
        {"operation": "withdraw_cancelation", "customer_id": 1, "contract_id": 7},
        {"operation": "withdraw_cancelation", "customer_id": 1, "contract_id": spelling},
    ]
    (told,) = await second_rows(tmp_path / "run.db", plan, of=bulk)
    assert told.startswith("line 2: it is a second row for the same as line 1")


@pytest.mark.parametrize(
    "text", ["+7", "-7", " 7", "7_0", "7.0", "\N{ARABIC-INDIC DIGIT SEVEN}", "\N{SUPERSCRIPT TWO}"]
)
async def test_what_only_looks_like_a_number_is_refused(tmp_path: Path, text: str) -> None:
    plan = [{"operation": "withdraw_cancelation", "customer_id": 1, "contract_id": text}]
    told = await second_rows(tmp_path / "run.db", plan, of=bulk)
    assert told == ("line 1: contract_id must be a whole number",)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"operation": "start_migration"}, {"operation": "migrate_and_wait"}),
        ({"operation": "migrate_and_wait"}, {"operation": "start_migration", "subscription_id": SUBSCRIPTION.upper()}),
        ({"operation": "start_migration"}, {"operation": "start_migration", "customer_id": str(UUID(int=9))}),
    ],
)
async def test_what_one_workflow_settles_is_the_same_change(
    tmp_path: Path, one: dict[str, object], other: dict[str, object]
) -> None:
    plan = [{**MIGRATION, "subscription_id": SUBSCRIPTION, **row} for row in (one, other)]
    (told,) = await second_rows(tmp_path / "run.db", plan)
    what = (
        "it is a second row for the same"
        if one["operation"] == other.get("operation", one["operation"])
        else "it asks for a change of the same"
    )
    assert told.startswith(f"line 2: {what} as line 1 (")
    assert str(one["operation"]) in told


@pytest.mark.parametrize(
    ("operation", "workflow"),
    [
        ("withdraw_contract_cancelation", "withdraw_cancelation"),
        ("create_contract_cancelation_amendment", "cancel_contract"),
    ],
)
async def test_an_operation_and_its_workflow_in_one_plan_are_the_same_change(
    tmp_path: Path, operation: str, workflow: str
) -> None:
    ids = {"customer_id": 1, "contract_id": 2}
    more: list[dict[str, object]] = [{}, {}]
    if workflow == "cancel_contract":
        more = [{"cancelation_date": "2030-01-31", "cancelation_reason_id": 11}, {"on": "latest", "reason": 11}]
    plan = [{**ids, "operation": operation, **more[0]}, {**ids, "operation": workflow, **more[1]}]
    (told,) = await second_rows(tmp_path / "run.db", plan, of=bulk)
    assert told == (
        f"line 2: it asks for a change of the same as line 1 ({', '.join(sorted((operation, workflow)))}; "
        "2 rows in all), and rows have no order"
    )


_STATUS_CHANGES = ("suspend_and_wait", "reactivate_and_wait", "cancel_and_wait", "start_migration")
_CANCELATION = {"cancelation_date": "2030-01-31", "cancelation_reason_id": 11}
_MODULE = {"additional_module_contract_id": 3}


@pytest.mark.parametrize(
    ("one", "other", "of"),
    [
        ({"operation": "cancel_contract", "on": "latest", "reason": 1}, {"operation": "withdraw_cancelation"}, bulk),
        (
            {"operation": "create_contract_cancelation_amendment", **_CANCELATION},
            {"operation": "withdraw_contract_cancelation"},
            bulk,
        ),
        (
            {"operation": "cancel_module", "on": "latest", "reason": 1, **_MODULE},
            {"operation": "withdraw_additional_module_contract_cancelation", **_MODULE},
            bulk,
        ),
        *(
            ({"operation": one}, {"operation": other}, cloudcockpit_bulk)
            for one, other in combinations((*_STATUS_CHANGES, "suspend_subscription"), 2)
            if {one, other} != {"suspend_and_wait", "suspend_subscription"}
        ),
    ],
)
async def test_opposite_changes_of_the_same_are_refused(
    tmp_path: Path, one: dict[str, object], other: dict[str, object], of: Any
) -> None:
    ids: dict[str, object] = {"customer_id": CUSTOMER, "subscription_id": SUBSCRIPTION}
    if of is bulk:
        ids = {"contract_id": 2} if "additional_module_contract_id" in one else {"customer_id": 1, "contract_id": 2}
    more = {"start_migration": MIGRATION}
    plan = [{**more.get(str(row["operation"]), {}), **ids, **row} for row in (one, other)]
    names = ", ".join(sorted(str(row["operation"]) for row in plan))
    assert await second_rows(tmp_path / "run.db", plan, of=of) == (
        f"line 2: it asks for a change of the same as line 1 ({names}; 2 rows in all), and rows have no order",
    )
    assert list(tmp_path.iterdir()) == []


async def test_the_cancelations_of_a_contract_and_of_its_module_are_two(tmp_path: Path) -> None:
    plan: list[dict[str, object]] = [
        {"operation": "withdraw_cancelation", "customer_id": 1, "contract_id": 2},
        {"operation": "withdraw_module_cancelation", "contract_id": 2, **_MODULE},
    ]
    assert await second_rows(tmp_path / "run.db", plan, of=bulk) == ()


async def test_other_changes_of_the_same_are_another_matter(tmp_path: Path) -> None:
    ids = {"customer_id": CUSTOMER, "subscription_id": SUBSCRIPTION}
    plan = [
        {**ids, "operation": "change_po_number", "po_number": "1"},
        {**ids, "operation": "suspend_and_wait"},
        {**ids, "operation": "grant_owner_access", "user_email": "a@example.com"},
        {**ids, "operation": "grant_owner_access", "user_email": "b@example.com"},
    ]
    assert await second_rows(tmp_path / "run.db", plan) == ()


@goes_through(
    ("row", "told"),
    [
        ({"contract_id": 0}, "contract_id must be from 1 to 9223372036854775807"),
        ({"contract_id": 2**63}, "contract_id must be from 1 to 9223372036854775807"),
    ],
)
def test_what_an_operation_can_not_send_is_told_before_anything_is_sent(row: dict[str, object], told: str) -> None:
    line = json.dumps({"customer_id": 1, **row})
    assert problems(line, "withdraw_contract_cancelation") == (f"line 1: {told}",)
