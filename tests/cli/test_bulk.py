"""`bulk`, `status`, `report` and `worker` among the other commands: their options, refusals, exit codes and JSON."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from membership_sdk import MembershipClient, RetryPolicy
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.backend import ClientOptions
from sdk_core.bulk.report import status_of
from sdk_core.bulk.row import RowOptions
from sdk_core.cli import app, bulk_work
from sdk_core.cli.bulk import BulkCommands
from sdk_core.cli.bulk_parts import bulk_parts
from sdk_core.cli.exits import Exit
from sdk_core.cli.profiles import Profiles
from sdk_core.cli.program import Program

CANCELED = MembershipSandbox.CANCELED_CONTRACT_ID
WITHDRAW = ("--operation", "withdraw_cancelation")


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """A plan of one row, which a sandbox can carry out."""
    path = tmp_path / "plan.csv"
    path.write_text(f"customer_id,contract_id\n1001,{CANCELED}\n", encoding="utf-8")
    return path


def folded(text: str) -> str:
    return " ".join(text.split())


def commands_on(sandbox: MembershipSandbox) -> BulkCommands:
    """Return the commands of somebody whose settings are those of a sandbox."""

    def connect(_kind: type[Any], _settings: Mapping[str, str], options: ClientOptions) -> MembershipClient:
        options = {**options, "retry": RetryPolicy(backoff_base=0.001)}
        return MembershipClient(sandbox.url, sandbox.API_KEY, **options)

    Profiles(MEMBERSHIP.name).write("default", {"base_url": sandbox.url, "api_key": "key"}, "api_key")
    return BulkCommands(bulk_parts(evolve(MEMBERSHIP, connect=connect)))


# Where results may go


@pytest.mark.parametrize("end", ["", "-wal", "-lock"])
def test_results_that_would_be_the_journal_are_refused_before_anything_is_done(
    run: Any, plan: Path, tmp_path: Path, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for more in ((), ("--dry-run",)):
        ended = run(
            MEMBERSHIP, "bulk", plan, *WITHDRAW, "--journal", "o2.db", "--results", tmp_path / f"o2.db{end}", *more
        )
        assert (ended.code, ended.out) == (2, "")
        assert folded(ended.err) == "membership-sdk: results can't be the journal: name another file"
    assert [file.name for file in tmp_path.iterdir()] == ["plan.csv"]


def test_results_that_would_be_the_plan_or_any_other_file_are_refused(run: Any, plan: Path, tmp_path: Path) -> None:
    other, before = tmp_path / "members.csv", plan.read_bytes()
    other.write_text("mine\n", encoding="utf-8")
    for results, told in (
        (plan, "results can't be the plan: name another file"),
        (other, "members.csv is there, and does not hold results of this run: name another file, or move it away"),
        (tmp_path / "out.xlsx", "out.xlsx can't hold results: name it .csv or .jsonl"),
        (tmp_path / "no" / "out.csv", "can't be written: there is no folder"),
    ):
        ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--journal", tmp_path / "run.db", "--results", results)
        assert ended.code == 2
        assert told in folded(ended.err)
    assert (plan.read_bytes(), other.read_text(encoding="utf-8")) == (before, "mine\n")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["members.csv", "plan.csv"]


async def test_a_report_keeps_the_journal_and_results_of_the_same_run_are_written_anew(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal, results = tmp_path / "run.db", tmp_path / "results.csv"
    async with MembershipSandbox() as sandbox:
        commands = commands_on(sandbox)
        options: dict[str, Any] = {"journal": journal, "operation": WITHDRAW[1], "yes": True, "results": results}
        assert await commands.bulk(str(plan), **options) == 0
        assert commands.report(journal, journal) == 2
        assert commands.report(journal, tmp_path / "out.xlsx") == 2
        assert "name it .csv or .jsonl" in folded(capsys.readouterr().err)
        assert await commands.bulk(None, journal=journal, resume=True, results=results) == 0
        assert commands.report(journal, results, json=True) == 0
        assert json.loads(capsys.readouterr().out) == {"results": str(results), "rows": 1}
        # Of another run, of the same plan.
        options["journal"] = tmp_path / "other.db"
        assert await commands.bulk(str(plan), **options) == 2
        assert not (tmp_path / "other.db").exists()
    assert status_of(journal).counts == {"done": 1}


def test_what_is_no_journal_is_said_to_be_none(run: Any, plan: Path, tmp_path: Path) -> None:
    text = tmp_path / "rej.db"
    text.write_text("line,outcome\n", encoding="utf-8")
    for command in (
        ("status", text),
        ("report", text, tmp_path / "out.csv"),
        ("bulk", "--resume", "--journal", text, "--dry-run"),
        ("bulk", "--resume", "--journal", text, "--results", tmp_path / "out.csv"),
        ("bulk", plan, *WITHDRAW, "--journal", text, "--sandbox"),
    ):
        ended = run(MEMBERSHIP, *command, "--json")
        assert ended.code == 2
        if "--sandbox" not in command:
            assert folded(ended.err) == f"membership-sdk: {text} is no journal of a bulk run"
            assert json.loads(ended.out)["error"]["message"] == f"{text} is no journal of a bulk run"
    assert text.read_text(encoding="utf-8") == "line,outcome\n"


# Options


async def test_a_profile_is_used(plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with MembershipSandbox() as sandbox:
        settings = {"base_url": sandbox.url, "api_key": sandbox.API_KEY}
        Profiles(MEMBERSHIP.name).write("berlin", settings, "api_key")
        commands = BulkCommands(bulk_parts(MEMBERSHIP))
        options: dict[str, Any] = {"operation": WITHDRAW[1], "yes": True, "json": True}
        assert await commands.bulk(str(plan), journal=tmp_path / "run.db", profile="berlin", **options) == 0
        assert len(sandbox.ledger) == 1
        document = json.loads(capsys.readouterr().out)
        assert (document["rows"], document["outcomes"], document["stoppedBy"]) == (1, {"done": 1}, None)
        assert await commands.bulk(str(plan), journal=tmp_path / "other.db", profile="bern", **options) != 0
        assert not (tmp_path / "other.db").exists()


async def test_it_goes_through_the_proxy_of_the_machine(
    plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(_kind: type[Any], _settings: Mapping[str, str], options: ClientOptions) -> MembershipClient:
        options = {**options, "retry": RetryPolicy.none()}
        return MembershipClient("https://nowhere.invalid", "key", **options)

    monkeypatch.setenv("MEMBERSHIP_BASE_URL", "https://nowhere.invalid")
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key")
    async with WireServer(CannedAnswer(502, "no")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        commands = BulkCommands(bulk_parts(evolve(MEMBERSHIP, connect=connect)))
        assert await commands.bulk(str(plan), journal=tmp_path / "run.db", operation=WITHDRAW[1], yes=True) == 1
        (request,) = proxy.requests
    assert request.method == "CONNECT"


def test_missing_settings_are_told_at_once_and_as_elsewhere(run: Any, plan: Path, tmp_path: Path) -> None:
    ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--journal", tmp_path / "run.db", "--yes", "--json")
    elsewhere = run(MEMBERSHIP, "get-contract-cancelation-reason-data")
    assert (ended.code, elsewhere.code) == (2, 2)
    first, second = ended.err.replace("\n", " ").split("api_key is missing, too")
    assert folded(first) == folded(elsewhere.err)
    assert "MEMBERSHIP_API_KEY" in second
    assert "Error" not in ended.err
    message = json.loads(ended.out)["error"]["message"]
    assert "base_url is missing" in message
    assert "api_key is missing" in message
    ended = run(CLOUDCOCKPIT, "worker", "--redis", "redis://127.0.0.1:9")
    assert ended.code != 0
    assert "MissingSettingError" not in ended.err


def test_sending_again_can_be_switched_off(run: Any, plan: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float | None] = []

    async def begin(_parts: object, _order: object, row_options: Mapping[str, Any], **_options: object) -> Exit:
        given.append(RowOptions(**row_options).resend_after)
        return Exit.DONE

    monkeypatch.setattr(bulk_work, "begin", begin)
    for options in ((), ("--resend-after", "5"), ("--resend-after", "none")):
        ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--sandbox", *options)
        assert ended.code == 0, ended.err
    assert given == [60.0, 5.0, None]


def test_a_dry_run_needs_no_journal_and_no_settings(run: Any, plan: Path, tmp_path: Path) -> None:
    ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--dry-run", "--json")
    assert ended.code == 0
    assert json.loads(ended.out) == {"plan": str(plan), "rows": 1, "toBeDone": {"withdraw_cancelation": 1}}
    assert "dry run: nothing was sent" in ended.err
    assert [file.name for file in tmp_path.iterdir()] == ["plan.csv"]
    ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW)
    assert ended.code == 2
    assert "--journal is missing" in ended.err


async def test_a_dry_run_of_a_run_that_goes_on_changes_nothing_of_it(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "run.db"
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.status(401))
        commands = commands_on(sandbox)
        assert await commands.bulk(str(plan), journal=journal, operation=WITHDRAW[1], yes=True) == 4
        before = journal.read_bytes()
        capsys.readouterr()
        assert await commands.bulk(None, journal=journal, resume=True, dry_run=True) == 0
    assert "to be done: 1 withdraw_cancelation" in folded(capsys.readouterr().err)
    assert journal.read_bytes() == before


def test_a_trial_run_on_a_sandbox_needs_no_journal_and_keeps_none(run: Any, plan: Path, tmp_path: Path) -> None:
    results = tmp_path / "results.csv"
    ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--sandbox", "--results", results)
    assert ended.code == 0
    assert "sandbox: " in ended.err
    assert "1 done the API said yes" in folded(ended.err)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["plan.csv", "results.csv"]
    plan.write_text("customer_id,contract_id\n1001,999\n", encoding="utf-8")
    ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--sandbox", "--max-failures", 1)
    assert ended.code == 1
    assert "stopped: 1 row has failed" in ended.err
    assert "--resume" not in ended.err
    for more in (("--journal", tmp_path / "run.db"), ("--engine", "docket")):
        ended = run(MEMBERSHIP, "bulk", plan, *WITHDRAW, "--sandbox", *more)
        assert ended.code == 2
        assert "--sandbox ends with the command" in folded(ended.err)


def test_minus_y_is_yes(run: Any, plan: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = ["bulk", str(plan), *WITHDRAW, "--journal", str(tmp_path / "run.db"), "--json"]
    _command, bound, _unused = app.build(MEMBERSHIP, named="bulk").parse_args([*given, "-y"])
    assert bound.arguments["yes"] is True
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key")
    ended = run(MEMBERSHIP, *given)
    assert ended.code == 2
    assert (
        "bulk changes something: without a terminal to ask on, it needs --yes"
        in json.loads(ended.out)["error"]["message"]
    )
    assert [file.name for file in tmp_path.iterdir()] == ["plan.csv"]


@pytest.mark.parametrize("program", [MEMBERSHIP, CLOUDCOCKPIT], ids=lambda program: program.name)
def test_the_help_speaks_as_that_of_other_commands_does(program: Program, run: Any) -> None:
    told = run(program, "bulk", "--help").out
    assert f"Usage: {program.name} bulk PLAN --journal FILE [OPTIONS]" in told
    for text in (
        "--operation TEXT",
        "--concurrency NUMBER",
        "[default: 20]",
        "--resend-after SECONDS",
        "[default: 60]",
        "--results FILE",
        "-y, --yes",
        "--profile NAME",
        "the overview (`--help` alone) lists",
    ):
        assert text in folded(told)
    for command in ("bulk", "status", "report", "worker"):
        told = run(program, command, "--help").out
        assert not [word for word in ("STR", "INT", "FLOAT", "PATH", "ARGS") if word in told]


# What is known at the end


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        (Fault.status(401), 4, "--resume sends 1 row again: nothing happened, and it may succeed now"),
        (
            Fault.status(400),
            1,
            "--resume leaves 1 row alone: refused for what was asked; put what is still wanted into a",
        ),
        (
            Fault.status(404),
            1,
            "--resume leaves 1 row alone: refused for what was asked; put what is still wanted into a",
        ),
    ],
)
async def test_the_summary_says_which_rows_are_sent_again(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], fault: Fault, code: int, told: str
) -> None:
    journal = tmp_path / "run.db"
    async with MembershipSandbox() as sandbox:
        sandbox.fail(fault)
        commands = commands_on(sandbox)
        assert await commands.bulk(str(plan), journal=journal, operation=WITHDRAW[1], yes=True) == code
        assert told in folded(capsys.readouterr().err)
        assert commands.status(journal) == 0
        assert told in folded(capsys.readouterr().out)
        sent = len(sandbox.requests)
        await commands.bulk(None, journal=journal, resume=True, yes=True)
        assert (len(sandbox.requests) > sent) is (code == 4)


async def test_what_may_have_happened_goes_before_a_refused_credential(tmp_path: Path) -> None:
    """Of two rows, nobody knows of one whether it took effect; then the key is refused."""
    plan, journal = tmp_path / "plan.csv", tmp_path / "run.db"
    plan.write_text("contract_id,idle_period_id\n2002,1\n2002,2\n", encoding="utf-8")
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.drop(), Fault.status(401))
        commands = commands_on(sandbox)
        options: dict[str, Any] = {
            "journal": journal,
            "operation": "withdraw_idle_period",
            "yes": True,
            "concurrency": 1,
        }
        assert await commands.bulk(str(plan), **options) == 6
    assert status_of(journal).counts == {"unknown": 1, "planned": 1}


async def test_status_tells_times_with_their_zone(
    plan: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = tmp_path / "run.db"
    async with MembershipSandbox() as sandbox:
        commands = commands_on(sandbox)
        await commands.bulk(str(plan), journal=journal, operation=WITHDRAW[1], yes=True)
    capsys.readouterr()
    assert commands.status(journal, json=True) == 0
    begun = datetime.fromisoformat(json.loads(capsys.readouterr().out)["begunAt"])
    assert begun.utcoffset() is not None
    assert 0 <= (datetime.now(UTC) - begun).total_seconds() < 60
    commands.status(journal)
    assert f"begun {begun.isoformat(' ')}" in folded(capsys.readouterr().out)
