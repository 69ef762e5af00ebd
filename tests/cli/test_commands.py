"""Commands are made from the operations, the workflows, their signatures and their docstrings."""

import importlib
import inspect
import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from cases import named
from command_line import reach

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.cli import app
from sdk_core.cli.program import Program

PROGRAMS = pytest.mark.parametrize("program", [MEMBERSHIP, CLOUDCOCKPIT], ids=lambda program: program.name)
COMMANDS = [
    (program, name)
    for program in (MEMBERSHIP, CLOUDCOCKPIT)
    for name in [*(each.name for each in program.operations), *(each.__name__ for each in program.workflows)]
]
CUSTOMER, SUBSCRIPTION = CloudCockpitSandbox.CUSTOMER_ID, CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID
IDS = ("--customer-id", CUSTOMER, "--subscription-id", SUBSCRIPTION)


def function_of(program: Program, name: str) -> Any:
    return next((each for each in program.workflows if each.__name__ == name), getattr(program.client, name, None))


@PROGRAMS
def test_each_operation_and_workflow_is_a_command(program: Program, run: Any) -> None:
    made = {name for name in app.build(program) if not name.startswith("-")}
    listed = {name.replace("_", "-") for owner, name in COMMANDS if owner is program}
    assert made == listed | {"auth", "bulk", "completion", "demo", "doctor", "report", "sandbox", "status", "worker"}
    overview = run(program, "--help").out
    assert all(f"  {name} " in overview or f"  {name}\n" in overview for name in made)


def test_the_help_of_a_command_has_each_argument_and_says_what_it_is(run: Any) -> None:
    """And for which roles it is; a role is no option."""
    with_roles = [each.name for each in CLOUDCOCKPIT.operations if each.roles]
    assert with_roles
    for program, name in COMMANDS:
        with named(name):
            ended = run(program, name.replace("_", "-"), "--help")
            assert (ended.code, ended.err) == (0, "")
            about, _, after = ended.out.partition("Options of all")[0].partition("Options:\n")
            _is_written_for_who_types(about + after)
            _has_each_argument(after, function_of(program, name))
            told = " ".join(about.split())
            assert bool(re.search(r"For the roles? (?!-)", told)) == (name in with_roles)
            assert not re.search(r"For the roles?[^.]*--", told)


def test_an_argument_of_a_change_is_not_explained_as_that_of_a_list(run: Any) -> None:
    told = " ".join(run(CLOUDCOCKPIT, "change-associated-reseller", "--help").out.split())
    assert "The reseller who gets it." in told
    assert "Only this reseller's" not in told


def _has_each_argument(options: str, function: Any) -> None:
    for parameter in inspect.signature(function).parameters:
        if parameter in {"self", "client", "ask", "timeout"}:
            continue
        line = next(line for line in options.splitlines() if f"--{parameter.replace('_', '-')}" in line)
        said = line.split("  ")[-1].strip()
        assert said not in {"", "Seconds."}, line
        assert not said.startswith((".", "[", "--")), line


def _is_written_for_who_types(told: str) -> None:
    """Names as they are typed, in plain ASCII, and nothing that only Python has."""
    assert told.isascii()
    for word in ("`", "None", "Args", *(name for _program, name in COMMANDS if "_" in name)):
        assert word not in told


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_knows_the_commands(shell: str, run: Any) -> None:
    """All of them in one shell; in the others, whose scripts take three times as long to make, those of a few."""
    program = MEMBERSHIP
    if shell != "bash":
        few = CLOUDCOCKPIT
        program = evolve(few, operations=few.operations[:3], workflows=few.workflows[:1])
    ended = run(program, "completion", shell)
    assert ended.code == 0
    names = [*(each.name for each in program.operations), *(each.__name__ for each in program.workflows)]
    assert all(name.replace("_", "-") in ended.out for name in names)


def dry(run: Any, program: Program, *arguments: object, stdin: str = "") -> dict[str, Any]:
    ended = run(program, *arguments, "--dry-run", "--sandbox", "--json", stdin=stdin)
    assert ended.code == 0, ended
    return json.loads(ended.out, parse_float=Decimal)


def test_no_dry_run_shows_a_key_not_even_that_of_a_sandbox(run: Any) -> None:
    assert dry(run, MEMBERSHIP, "get-contract-data", "--customer-id", 1001)["headers"]["X-API-KEY"] == "***"


def test_an_id_a_date_a_word_and_a_flag_become_the_request(run: Any) -> None:
    arguments = ("--contract-id", 7, "--start-date", "2027-02-01", "--temporal-unit", "MONTH", "--term-value", 2)
    shown = dry(run, MEMBERSHIP, "validate-idle-period-request", *arguments, "--no-unlimited")
    assert shown["method"] == "POST"
    assert shown["url"].endswith("/v1/memberships/7/self-service/idle-periods/validate")
    assert shown["body"] == {
        "startDate": "2027-02-01",
        "temporalUnit": "MONTH",
        "termValue": 2,
        "unlimited": False,
    }


@pytest.mark.parametrize("way", ["text", "file", "stdin"])
def test_json_is_typed_or_read_from_a_file_or_stdin(way: str, run: Any, tmp_path: Path) -> None:
    text = '{"quantity": 30, "price": 12.50}'
    (tmp_path / "changes.json").write_text(text)
    given = {"text": text, "file": f"@{tmp_path / 'changes.json'}", "stdin": "-"}[way]
    shown = dry(run, CLOUDCOCKPIT, "update-subscription", *IDS, "--changes", given, stdin=text)
    assert shown["body"] == {"quantity": 30, "price": Decimal("12.50")}


def test_what_one_command_prints_another_takes(run: Any) -> None:
    listed = run(CLOUDCOCKPIT, "list-eligible-transitions", *IDS, "--sandbox", "--json")
    transition = json.loads(listed.out)[0]
    shown = dry(run, CLOUDCOCKPIT, "upgrade-subscription", *IDS, "--transition", "-", stdin=json.dumps(transition))
    assert shown["body"] == transition


@pytest.mark.parametrize(("typed", "sent"), [("12.50", Decimal("12.50")), ("none", None)])
def test_an_amount_or_none(typed: str, sent: Decimal | None, run: Any) -> None:
    shown = dry(run, CLOUDCOCKPIT, "change-monthly-budget", *IDS, "--monthly-budget", typed)
    assert shown["body"] == {"monthlyBudget": sent}


def test_a_document_goes_with_its_name_and_type(run: Any, tmp_path: Path) -> None:
    importlib.import_module("pydantic")  # where it is imported, cyclopts checks what is left out, too
    proof = tmp_path / "proof.heic"
    proof.write_bytes(b"x")
    arguments = ("--contract-id", 7, "--start-date", "2027-02-01", "--reason-id", 3, "--document", proof)
    shown = dry(run, MEMBERSHIP, "create-idle-period-amendment", *arguments)
    assert shown["document"] == {"filename": "proof.heic", "contentType": "image/heic"}


def test_times_and_repeated_texts(run: Any) -> None:
    names = ("--operation-names", "CreateOrder", "--operation-names", "Cancel")
    shown = dry(run, CLOUDCOCKPIT, "list-audit-logs", "--start-date", "2026-11-01T12:00:00+01:00", *names)
    assert "StartDate=2026-11-01T11:00:00+00:00" in shown["url"].replace("%3A", ":").replace("%2B", "+")
    assert "CreateOrder" in shown["url"]
    assert "Cancel" in shown["url"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get-contract-data",), "--customer-id"),
        (("get-contract-data", "--customer-id", "x"), "--customer-id: must be a whole number"),
        (("get-contract-data", "--customer-id", 0), "customer_id must be from 1"),
        (("get-contract-data", "--customer-id", 1, "--nope"), "--nope"),
        (("get-idle-periods", "--contract-id", 1, "2"), "2"),
        (("cancel-contract", "--customer-id", 1, "--contract-id", 2, "--on", "soon", "--reason", 3), "--on: must be"),
        (
            ("validate-idle-period-request", "--contract-id", 1, "--start-date", "1.2.2027"),
            "--start-date: must be a date, like",
        ),
        (
            (
                "validate-idle-period-request",
                "--contract-id",
                1,
                "--start-date",
                "2027-02-01",
                "--temporal-unit",
                "YEAR",
            ),
            '"DAY", "WEEK", "MONTH"',
        ),
        (("get-contract-data", "--customer-id", 1, "--timeout", "-1"), "timeout"),
        (("get-contract-data", "--customer-id", 1, "--retries", "-1"), "retries"),
        (("get-contract-data", "--customer-id", 1, "--correlation-id", "a\nb"), "correlation_id"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_refused_before_anything_is_sent(
    arguments: tuple[object, ...], said: str, run: Any
) -> None:
    for more in ((), ("--json",)):
        ended = run(MEMBERSHIP, *arguments, "--sandbox", *more)
        assert ended.code == 2
        assert said in ended.err
        if more:
            assert json.loads(ended.out)["error"]["exitCode"] == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("get-contract-data",), "`--customer-id` is missing; see `membership-sdk get-contract-data --help`"),
        (("auth", "login", "--profile"), "`--profile` needs a value; see `membership-sdk auth login --help`"),
        (("get-contract-data", "--customer-id"), "`--customer-id` needs a value"),
        (
            ("get-contract-data", "--costumer-id", 3),
            "`--customer-id` is missing: is it meant by `--costumer-id`? See `membership-sdk get-contract-data --help`",
        ),
        (("status",), "`JOURNAL` is missing; see `membership-sdk status --help`"),
        (("report", "run.db"), "`RESULTS` is missing; see `membership-sdk report --help`"),
        (("completion",), "`SHELL` is missing; see `membership-sdk completion --help`"),
    ],
    ids=lambda value: " ".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_what_is_left_out_is_named_with_the_help_that_says_it(
    arguments: tuple[object, ...], said: str, run: Any
) -> None:
    ended = run(MEMBERSHIP, *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith(f"membership-sdk: {said}")


@pytest.mark.parametrize("port", [-1, 65536, 99999])
def test_a_port_that_is_none_is_refused(port: int, run: Any) -> None:
    ended = run(MEMBERSHIP, "sandbox", "--port", port)
    assert (ended.code, ended.out) == (2, "")
    assert "port must be from 0 to 65535" in ended.err


def test_defaults_are_in_the_help(run: Any) -> None:
    assert "0: any that is free. [default: 8080]" in run(MEMBERSHIP, "sandbox", "--help").out
    assert "Seconds for each step; left out: 10." in " ".join(run(MEMBERSHIP, "doctor", "--help").out.split())


@pytest.mark.parametrize(
    ("command", "option", "given", "said"),
    [
        ("update-subscription", "--changes", "[1]", "must be a JSON object"),
        ("update-subscription", "--changes", "@/nowhere", "/nowhere can't be read"),
        ("upgrade-subscription", "--transition", '{"quantity": "x"}', "$.quantity"),
        ("change-monthly-budget", "--monthly-budget", "NaN", "must be a number"),
        ("cancel-and-wait", "--customer-id", "x", "must be a UUID"),
    ],
)
def test_what_can_not_be_read_is_refused(command: str, option: str, given: str, said: str, run: Any) -> None:
    arguments = IDS if option != "--customer-id" else IDS[2:]
    ended = run(CLOUDCOCKPIT, command, *arguments, option, given, "--sandbox", "--yes")
    assert (ended.code, ended.out) == (2, "")
    assert said in ended.err


@pytest.mark.parametrize("arguments", [("--port", "port"), ("--port", 1, "--host", "no.such.host.invalid")])
def test_what_a_sandbox_can_not_listen_on_is_said_in_a_line(arguments: tuple[object, ...], run: Any) -> None:
    ended = run(MEMBERSHIP, "sandbox", *arguments)
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.count("\n") == 1


async def test_all_pages_are_one_list(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        arguments = ("--customer-id", CUSTOMER, "--page-size", 3, "--json")
        page = await run_beside(CLOUDCOCKPIT, "list-customer-subscriptions", *arguments)
        every = await run_beside(CLOUDCOCKPIT, "list-customer-subscriptions", *arguments, "--all")
        rest = await run_beside(CLOUDCOCKPIT, "list-customer-subscriptions", *arguments, "--all", "--page-number", 2)
    assert len(json.loads(page.out)["items"]) == 3
    assert [item["id"] for item in json.loads(every.out)] == [str(each) for each in sandbox.subscriptions]
    assert json.loads(rest.out) == json.loads(every.out)[3:]


async def test_a_workflow_is_run_once_and_finds_nothing_to_do_the_second_time(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        ids = ("--customer-id", sandbox.CUSTOMER_ID, "--contract-id", sandbox.CONTRACT_ID)
        arguments = ("cancel-contract", *ids, "--on", "earliest", "--reason", "Moving away", "--json")
        waited = await run_beside(MEMBERSHIP, *arguments, "--wait-only", "--timeout", "0.05")
        done = await run_beside(MEMBERSHIP, *arguments, "--yes")
        again = await run_beside(MEMBERSHIP, *arguments, "--yes")
    assert (waited.code, json.loads(waited.out)["error"]["type"]) == (6, "NotSettledError")
    assert (done.code, json.loads(done.out)["change"]) == (0, "acknowledged")
    assert json.loads(done.out)["state"]["cancelationStatus"] == "CANCELED"
    assert (again.code, json.loads(again.out)["change"]) == (0, "none")
    assert len(sandbox.ledger) == 1
