"""What is printed: tables that fit, one JSON document, nothing that does something to a terminal."""

import json
import re
from decimal import Decimal
from typing import Any

import pytest
from attrs import evolve
from cases import goes_through
from cloudcockpit_samples import CHANGES
from command_line import reach

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.models import Accepted
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox

READ = ("get-contract-data", "--customer-id", MembershipSandbox.CUSTOMER_ID)
REASONS = "get-contract-cancelation-reason-data"


@pytest.mark.parametrize("width", [40, 80, 200, 400])
@pytest.mark.parametrize(
    ("program", "command"),
    [(MEMBERSHIP, READ), (MEMBERSHIP, (REASONS,)), (CLOUDCOCKPIT, ("list-subscriptions",))],
    ids=["contracts", "reasons", "subscriptions"],
)
def test_a_table_fits_and_leaves_nothing_out(
    program: Any, command: tuple[object, ...], width: int, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    ended = run(program, *command, "--sandbox")
    lines = ended.out.splitlines()
    # No name and no id is broken.
    assert max(map(len, lines)) <= max(width, 53)
    assert all(line == line.rstrip() for line in lines)
    assert ended.out.isascii()
    document = json.loads(run(program, *command, "--sandbox", "--json").out)
    for item in document["items"] if isinstance(document, dict) else document:
        for value in item.values():
            if isinstance(value, str | int) and not isinstance(value, bool):
                assert str(value).replace("T", " ").split()[0] in ended.out


def test_a_short_list_is_side_by_side_and_a_wide_one_is_not(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(MEMBERSHIP, REASONS, "--sandbox").out.splitlines()[0].split() == [
        "cancelation_reason_id",
        "cancelation_reason_name",
    ]
    assert run(MEMBERSHIP, *READ, "--sandbox").out.splitlines()[0].split() == ["id", "2002"]


async def test_no_data_is_no_table(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox(reasons=[]) as sandbox:
        reach(sandbox, monkeypatch)
        ended = await run_beside(MEMBERSHIP, REASONS)
        document = await run_beside(MEMBERSHIP, REASONS, "--json")
    assert (ended.out, ended.err) == ("", "nothing found\n")
    assert document.out == "[]\n"


async def test_what_a_server_sends_does_nothing_to_a_terminal(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        name = "\x1b]0;title\x07[bold red]Ruhe\u202e \u4f11"
        sandbox.reasons = [evolve(sandbox.reasons[0], cancelation_reason_name=name)]
        reach(sandbox, monkeypatch)
        ended = await run_beside(MEMBERSHIP, REASONS)
        document = await run_beside(MEMBERSHIP, REASONS, "--json")
    assert "\x1b" not in ended.out
    assert "\x07" not in ended.out
    assert "\u202e" not in ended.out
    assert "[bold red]Ruhe" in ended.out
    assert "\u4f11" in ended.out
    assert json.loads(document.out)[0]["cancelationReasonName"] == name


async def test_amounts_keep_their_digits(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        contract = sandbox.contracts[sandbox.CUSTOMER_ID][sandbox.CONTRACT_ID]
        price = evolve(contract.price_details.base_price, amount=Decimal("0.10"))
        prices = evolve(contract.price_details, base_price=price)
        sandbox.contracts[sandbox.CUSTOMER_ID] = {contract.id: evolve(contract, price_details=prices)}
        reach(sandbox, monkeypatch)
        ended = await run_beside(MEMBERSHIP, *READ, "--json")
    assert '"amount":0.10,' in ended.out


@pytest.mark.real_time("the command line waits as its users do")
async def test_retries_are_told_on_stderr_and_attempts_if_asked(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        for more, attempts in ((("--correlation-id", "my-id"), False), (("-v", "--correlation-id", "my-id"), True)):
            sandbox.fail(Fault.status(409))
            ended = await run_beside(MEMBERSHIP, *READ, "--json", *more)
            assert "retrying get_contract_data" in ended.err
            assert "my-id" in ended.err
            assert ("attempt 2 of get_contract_data: 200 after" in ended.err) == attempts
            assert len(json.loads(ended.out)) == 2


def test_a_deprecated_operation_is_noted(run: Any) -> None:
    sandbox = MembershipSandbox
    ids = ("--contract-id", sandbox.CONTRACT_ID, "--additional-module-contract-id", sandbox.MODULE_CONTRACT_ID)
    what = ("--cancelation-date", "2020-01-01", "--cancelation-reason-id", sandbox.REASON_ID)
    ended = run(MEMBERSHIP, "create-module-contract-cancelation-amendment", *ids, *what, "--sandbox")
    assert "note: create_module_contract_cancelation_amendment" in ended.err
    assert "Warning" not in ended.err


async def test_timeout_and_retries_are_those_of_the_calls(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        sandbox.fail(Fault.delay(5))
        slow = await run_beside(MEMBERSHIP, *READ, "--timeout", "0.1")
        requests = len(sandbox.requests)
        sandbox.fail(*[Fault.status(409)] * 5)
        once = await run_beside(MEMBERSHIP, *READ, "--retries", 0)
        requests, before = len(sandbox.requests), requests
    assert (slow.code, once.code) == (1, 1)
    assert "CallTimeoutError" in slow.err
    assert requests - before == 1


SUBSCRIPTION = ("--customer-id", CloudCockpitSandbox.CUSTOMER_ID, "--subscription-id")
ACCEPTED = "accepted, not done yet; correlation id my-id; "


@pytest.mark.parametrize(
    ("subscription", "updated"),
    [
        (CloudCockpitSandbox.LEGACY_SUBSCRIPTION_ID, "yes"),
        (CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID, "no"),
    ],
)
def test_a_change_that_is_answered_with_one_value_says_what_it_is(subscription: object, updated: str, run: Any) -> None:
    """False is no failure: it is done."""
    reseller = ("--reseller-id", CloudCockpitSandbox.CUSTOMER_ID)
    command = ("change-associated-reseller", *SUBSCRIPTION, subscription, *reseller)
    ended = run(CLOUDCOCKPIT, *command, "--sandbox")
    assert (ended.code, ended.out) == (0, f"support contact updated, too  {updated}\n")
    assert ended.err.endswith("\ndone\n")
    assert run(CLOUDCOCKPIT, *command, "--sandbox", "--json").out == {"yes": "true\n", "no": "false\n"}[updated]


@pytest.mark.parametrize(
    ("program", "command", "said"),
    [
        (
            CLOUDCOCKPIT,
            ("suspend-subscription", *SUBSCRIPTION, CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID),
            ACCEPTED + "`suspend-and-wait --wait-only` waits for it",
        ),
        (
            CLOUDCOCKPIT,
            (
                "update-subscription",
                *SUBSCRIPTION,
                CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID,
                "--changes",
                json.dumps(CHANGES),
            ),
            ACCEPTED + "`get-subscription` shows when it is",
        ),
        (
            CLOUDCOCKPIT,
            ("change-po-number", *SUBSCRIPTION, CloudCockpitSandbox.ACTIVE_SUBSCRIPTION_ID, "--po-number", "7"),
            "done; correlation id my-id",
        ),
        (
            MEMBERSHIP,
            ("withdraw-contract-cancelation", *READ[1:], "--contract-id", MembershipSandbox.CANCELED_CONTRACT_ID),
            "done",
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_what_is_accepted_is_not_called_done(program: Any, command: tuple[object, ...], said: str, run: Any) -> None:
    ended = run(program, *command, "--sandbox", "--correlation-id", "my-id")
    assert (ended.code, ended.out) == (0, "")
    assert ended.err.splitlines()[-1] == said


@goes_through("operation", [each for each in CLOUDCOCKPIT.operations if each.returns is Accepted])
def test_each_operation_that_is_only_accepted_says_where_to_look(operation: Any) -> None:
    (command,) = re.findall("`([a-z-]+)", CLOUDCOCKPIT.follow_ups[operation.name])
    workflows = [each.__name__ for each in CLOUDCOCKPIT.workflows]
    assert command.replace("-", "_") in [*workflows, *(each.name for each in CLOUDCOCKPIT.operations)]


@pytest.mark.parametrize(
    ("program", "command", "said"),
    [
        (MEMBERSHIP, READ, "sandbox: member 1001, contracts 2002 and 2003 (canceled)"),
        (
            CLOUDCOCKPIT,
            ("list-subscriptions",),
            f"sandbox: customer {CloudCockpitSandbox.CUSTOMER_ID}; more: list-subscriptions",
        ),
    ],
    ids=["membership", "cloudcockpit"],
)
def test_a_sandbox_is_told_in_one_line(
    program: Any, command: tuple[object, ...], said: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run(program, *command, "--sandbox").err == f"{said}\n"


def test_an_error_names_the_commands_of_this_command_line(run: Any) -> None:
    ids = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CONTRACT_ID)
    ended = run(MEMBERSHIP, "cancel-contract", *ids, "--on", "earliest", "--reason", "None", "--sandbox")
    assert "reason is not one of those the API offers; `get-contract-cancelation-reason-data` lists them" in ended.err
    assert "absent" not in ended.err


async def test_the_keys_of_what_is_the_command_lines_own_are_spelled_in_one_way(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        sandbox.fail(Fault.status(429, retry_after=7))
        error = await run_beside(CLOUDCOCKPIT, "list-subscriptions", "--json", "--retries", 0)
        subscription = ("--subscription-id", sandbox.SUSPENDED_SUBSCRIPTION_ID, "--json")
        settled = await run_beside(CLOUDCOCKPIT, "suspend-and-wait", *SUBSCRIPTION[:2], *subscription, "--yes")
        documents = [json.loads(error.out), json.loads(settled.out)]
        documents += [json.loads((await run_beside(CLOUDCOCKPIT, "doctor", "--json")).out)]
    assert {"correlationId", "retryAfter", "exitCode"} <= documents[0]["error"].keys()
    assert "correlationIds" in documents[1]
    assert [key for document in documents for key in keys_of(document) if "_" in key] == []


def keys_of(value: Any) -> list[str]:
    if isinstance(value, list):
        return [key for each in value for key in keys_of(each)]
    return [*value, *keys_of([*value.values()])] if isinstance(value, dict) else []


def test_a_value_of_raw_json_is_shown(run: Any) -> None:
    arguments = ("get-custom-term-end-dates", "--customer-id", CloudCockpitSandbox.CUSTOMER_ID, "--sandbox")
    assert run(CLOUDCOCKPIT, *arguments).code == 0
    json.loads(run(CLOUDCOCKPIT, *arguments, "--json").out)
