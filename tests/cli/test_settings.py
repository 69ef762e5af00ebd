"""Where settings come from, where they are kept, and that a secret is never shown."""

import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Barrier, BrokenBarrierError
from typing import Any

import pytest
from command_line import reach

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.cli.exits import Exit
from sdk_core.cli.profiles import Profiles

SECRET = "a-very-secret-key"
URL = "https://acme.open-api.magicline.com"
LOGIN = ("auth", "login", "--with-token", "--base-url")
POSIX = pytest.mark.skipif(sys.platform == "win32", reason="permissions of POSIX")


@pytest.fixture
def profiles(tmp_path: Path) -> Path:
    return tmp_path / "membership-sdk" / "profiles.toml"


def shown(run: Any, *more: object) -> dict[str, Any]:
    return json.loads(run(MEMBERSHIP, "auth", "status", "--json", *more).out)


def test_a_login_is_kept_in_a_file_of_the_owner(run: Any, profiles: Path) -> None:
    ended = run(MEMBERSHIP, *LOGIN, URL, stdin=f"{SECRET}\n")
    assert (ended.code, ended.out) == (0, "")
    assert str(profiles) in ended.err.replace("\n", "")
    assert SECRET not in ended.err
    assert profiles.read_text() == f'["default"]\nbase_url = "{URL}"\napi_key = "{SECRET}"\n'
    if sys.platform != "win32":
        assert profiles.stat().st_mode & 0o777 == 0o600
        assert profiles.parent.stat().st_mode & 0o777 == 0o700
    assert sorted(file.name for file in profiles.parent.iterdir()) == ["profiles.toml", "profiles.toml-lock"]


def test_logins_at_the_same_time_are_all_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """What each reads is held back until the other has read as well, if it can."""
    read, both, wait = Profiles._all, Barrier(2), 0.04

    def read_and_wait(self: Profiles) -> Any:
        found = read(self)
        with suppress(BrokenBarrierError):
            both.wait(wait)
        return found

    monkeypatch.setattr(Profiles, "_all", read_and_wait)
    with ThreadPoolExecutor(2) as threads:
        for name in ("one", "two"):
            threads.submit(Profiles("membership-sdk").write, name, {"base_url": URL}, "api_key")
    assert all(Profiles("membership-sdk").names(name) for name in ("one", "two"))


def test_with_a_keyring_the_secret_is_there_and_not_in_the_file(
    run: Any, profiles: Path, keyring: dict[tuple[str, str], str]
) -> None:
    ended = run(MEMBERSHIP, *LOGIN, URL, "--profile", "acme", stdin=SECRET)
    assert "keyring" in ended.err
    assert keyring == {("membership-sdk", "acme/api_key"): SECRET}
    assert SECRET not in profiles.read_text()
    assert shown(run, "--profile", "acme")["missing"] == []
    assert run(MEMBERSHIP, "auth", "logout", "--profile", "acme").code == 0
    assert keyring == {}
    assert "there is no profile acme" in run(MEMBERSHIP, "auth", "status", "--profile", "acme").err


def test_a_keyring_that_lost_the_secret_is_named(run: Any, keyring: dict[tuple[str, str], str]) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    keyring.clear()
    ended = run(MEMBERSHIP, "get-contract-data", "--customer-id", 1)
    assert ended.code == Exit.USAGE
    assert "keyring" in ended.err


def test_profiles_stand_beside_each_other(run: Any) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    run(MEMBERSHIP, *LOGIN, "https://other.example", "--profile", 'with "quotes"', stdin="another")
    assert shown(run)["settings"]["base_url"]["value"] == URL
    assert shown(run, "--profile", 'with "quotes"')["settings"]["base_url"]["value"] == "https://other.example"
    assert run(MEMBERSHIP, "auth", "logout").code == 0
    assert shown(run)["settings"] == {}
    assert shown(run, "--profile", 'with "quotes"')["missing"] == []


def test_a_profile_that_is_named_goes_before_the_environment_with_all_its_settings(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(MEMBERSHIP, *LOGIN, URL, "--profile", "acme", stdin=SECRET)
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", "https://env.example")
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key-of-env")
    monkeypatch.setenv("MEMBERSHIP_LANGUAGE", "de")
    assert shown(run, "--profile", "acme")["settings"] == {
        "base_url": {"value": URL, "source": "profile acme"},
        "api_key": {"value": "***", "source": "profile acme"},
    }
    ended = run(MEMBERSHIP, "get-contract-data", "--customer-id", 1, "--profile", "acme", "--dry-run")
    assert ended.out.startswith(f"GET {URL}/")
    assert "Accept-Language" not in ended.out


async def test_a_change_goes_to_the_profile_that_is_named_with_its_key(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CANCELED_CONTRACT_ID)
    async with MembershipSandbox() as berlin, MembershipSandbox() as hamburg:
        reach(berlin, monkeypatch)
        login = (*LOGIN, hamburg.url, "--profile", "hamburg")
        assert (await run_beside(MEMBERSHIP, *login, stdin=hamburg.API_KEY)).code == 0
        monkeypatch.setenv("MEMBERSHIP_API_KEY", "the-key-of-berlin")
        command = ("withdraw-contract-cancelation", *ids, "--yes", "--profile", "hamburg")
        assert (await run_beside(MEMBERSHIP, *command)).code == 0
    assert (len(berlin.requests), len(hamburg.ledger)) == (0, 1)


def test_what_a_profile_that_is_named_lacks_is_not_taken_from_the_environment(
    run: Any, profiles: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(MEMBERSHIP, *LOGIN, URL, "--profile", "acme", stdin=SECRET)
    profiles.write_text(f'[acme]\nbase_url = "{URL}"\n')
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key-of-env")
    ended = run(MEMBERSHIP, "get-contract-data", "--customer-id", 1, "--profile", "acme")
    assert ended.code == Exit.CREDENTIAL
    assert "the profile acme lacks it" in ended.err
    assert "`membership-sdk auth login --profile acme`" in ended.err
    assert "set MEMBERSHIP_API_KEY" not in ended.err


COMMANDS = [("get-contract-data", "--customer-id", 1), ("auth", "status"), ("doctor",)]


@pytest.mark.parametrize("kept", ["file", "keyring"])
@pytest.mark.parametrize(
    "command", [*COMMANDS, (*COMMANDS[0], "--dry-run")], ids=lambda command: f"{command[0]} {command[-1]}"
)
@pytest.mark.parametrize(
    ("variable", "value"), [("MEMBERSHIP_API_KEY", "key-of-env"), ("MEMBERSHIP_BASE_URL", "https://env.example")]
)
def test_a_key_and_a_url_of_two_sources_are_refused(
    variable: str,
    value: str,
    command: tuple[object, ...],
    kept: str,
    run: Any,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if kept == "keyring":
        request.getfixturevalue("keyring")
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    monkeypatch.setenv(variable, value)
    ended = run(MEMBERSHIP, *command)
    assert ended.code == Exit.USAGE
    assert f"{variable} is set" in ended.err + ended.out
    assert "profile default" in ended.err + ended.out
    assert "--profile" in ended.err + ended.out


def test_a_token_of_the_environment_does_not_go_to_the_url_of_a_profile(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    login = ("auth", "login", "--with-token", "--tenant", "portal.example.com", "--client-id", "id")
    run(CLOUDCOCKPIT, *login, "--base-url", "https://profile.example", stdin=SECRET)
    monkeypatch.setenv("CLOUDCOCKPIT_TOKEN", "token-of-env")
    ended = run(CLOUDCOCKPIT, "list-subscriptions", "--dry-run")
    assert ended.code == Exit.USAGE
    monkeypatch.setenv("CLOUDCOCKPIT_TENANT", "portal.example.com")
    status = json.loads(run(CLOUDCOCKPIT, "auth", "status", "--json").out)
    assert {each["source"] for each in status["settings"].values()} == {"CLOUDCOCKPIT_TOKEN", "CLOUDCOCKPIT_TENANT"}


def test_what_is_the_same_in_both_or_only_a_preference_is_no_mixture(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", URL)
    monkeypatch.setenv("MEMBERSHIP_LANGUAGE", "de")
    assert shown(run)["settings"] == {
        "base_url": {"value": URL, "source": "MEMBERSHIP_BASE_URL"},
        "api_key": {"value": "***", "source": "profile default"},
        "language": {"value": "de", "source": "MEMBERSHIP_LANGUAGE"},
    }


def test_the_environment_goes_before_a_profile_that_only_the_environment_names(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(MEMBERSHIP, *LOGIN, URL, "--profile", "acme", stdin=SECRET)
    monkeypatch.setenv("MEMBERSHIP_PROFILE", "acme")
    assert shown(run)["settings"]["base_url"] == {"value": URL, "source": "profile acme"}
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", "https://env.example")
    monkeypatch.setenv("MEMBERSHIP_API_KEY", "key-of-env")
    assert shown(run)["settings"] == {
        "base_url": {"value": "https://env.example", "source": "MEMBERSHIP_BASE_URL"},
        "api_key": {"value": "***", "source": "MEMBERSHIP_API_KEY"},
    }


@pytest.mark.parametrize("by", ["option", "variable"])
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
def test_a_profile_that_does_not_exist_is_noticed(
    command: tuple[object, ...], complete: bool, by: str, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    if complete:
        monkeypatch.setenv("MEMBERSHIP_BASE_URL", URL)
        monkeypatch.setenv("MEMBERSHIP_API_KEY", "key-of-env")
    if by == "variable":
        monkeypatch.setenv("MEMBERSHIP_PROFILE", "hamburg")
    ended = run(MEMBERSHIP, *command, *(("--profile", "hamburg") if by == "option" else ()))
    assert ended.code == Exit.USAGE
    assert "there is no profile hamburg" in ended.err + ended.out
    assert "`membership-sdk auth login --profile hamburg` makes it" in ended.err + ended.out


@pytest.mark.parametrize(
    "command", [*COMMANDS, ("auth", "logout"), (*LOGIN, URL)], ids=lambda command: " ".join(map(str, command[:2]))
)
def test_an_empty_name_of_a_profile_is_no_default(command: tuple[object, ...], run: Any, profiles: Path) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    before = profiles.read_text()
    ended = run(MEMBERSHIP, *command, "--profile", "", stdin="another")
    assert ended.code == Exit.USAGE
    assert "--profile is empty" in ended.err + ended.out
    assert profiles.read_text() == before


@POSIX
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602])
def test_a_file_that_others_can_read_is_refused(mode: int, run: Any, profiles: Path) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    profiles.chmod(mode)
    for command in (("get-contract-data", "--customer-id", 1), ("auth", "status"), ("auth", "logout"), ("doctor",)):
        ended = run(MEMBERSHIP, *command)
        assert ended.code in {Exit.USAGE, Exit.FAILED}
        assert "chmod 600" in ended.err + ended.out
    profiles.chmod(0o600)
    assert shown(run)["missing"] == []


@POSIX
def test_a_file_of_somebody_else_is_refused(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    run(MEMBERSHIP, *LOGIN, URL, stdin=SECRET)
    monkeypatch.setattr("os.geteuid", lambda: os.getuid() + 1)
    ended = run(MEMBERSHIP, "auth", "status")
    assert ended.code == Exit.USAGE
    assert "another user" in ended.err


@pytest.mark.parametrize("text", ["[default", "api_key = 1 2", "\xff"])
def test_a_file_that_is_no_toml_is_named_without_what_it_holds(text: str, run: Any, profiles: Path) -> None:
    profiles.parent.mkdir()
    profiles.write_bytes(f"{text} {SECRET}".encode("latin-1"))
    profiles.chmod(0o600)
    ended = run(MEMBERSHIP, "auth", "status")
    assert ended.code == Exit.USAGE
    assert str(profiles) in ended.err.replace("\n", "")
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    ("url", "stdin", "said"),
    [("not a url", SECRET, "base_url"), (URL, "", "api_key is missing"), (URL, "a key\x07", "control characters")],
)
def test_what_a_client_would_refuse_is_not_stored(url: str, stdin: str, said: str, run: Any, profiles: Path) -> None:
    ended = run(MEMBERSHIP, *LOGIN, url, stdin=stdin)
    assert ended.code in {Exit.USAGE, Exit.CREDENTIAL}
    assert said in ended.err
    assert not profiles.exists()


@pytest.mark.parametrize(
    ("program", "option", "said"),
    [
        (MEMBERSHIP, ("--base-url", URL), "add `--with-token` to read the studio's API key from it"),
        (MEMBERSHIP, (), "add `--with-token` to read the studio's API key from it"),
        (CLOUDCOCKPIT, (), "add `--with-token` to read the client secret"),
    ],
)
def test_a_login_without_a_terminal_says_what_it_needs(
    program: Any, option: tuple[str, ...], said: str, run: Any
) -> None:
    ended = run(program, "auth", "login", *option, stdin=SECRET)
    assert ended.code == Exit.USAGE
    assert f"stdin is no terminal: {said}" in ended.err
    assert "auth login`" not in ended.err


def test_a_login_takes_nothing_from_the_environment_and_says_so(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCOCKPIT_TENANT", "portal.example.com")
    ended = run(CLOUDCOCKPIT, "auth", "login", "--with-token", "--client-id", "id", stdin=SECRET)
    assert ended.code == Exit.USAGE
    assert "`auth login` needs `--tenant` (a domain of the tenant" in ended.err
    assert "a profile takes nothing from CLOUDCOCKPIT_TENANT" in ended.err


def test_a_login_says_all_that_it_needs(run: Any) -> None:
    ended = run(CLOUDCOCKPIT, "auth", "login", "--with-token", stdin="")
    assert ended.code == Exit.USAGE
    for needed in ("`auth login` needs `--tenant`", "`auth login` needs `--client-id`", "client_secret is missing"):
        assert needed in ended.err


def test_an_empty_stdin_is_told(run: Any) -> None:
    ended = run(MEMBERSHIP, *LOGIN, URL, stdin="")
    assert ended.code == Exit.CREDENTIAL
    assert "api_key is missing: there is nothing on stdin" in ended.err


TOKEN = "eyJhbGciOiJub25lIn0.eyJleHAiOjF9.c2ln"
"""A JWT."""


def test_a_token_is_no_client_secret(run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    login = ("auth", "login", "--with-token", "--tenant", "portal.example.com", "--client-id", "id")
    ended = run(CLOUDCOCKPIT, *login, stdin=TOKEN)
    assert ended.code == Exit.USAGE
    assert "client_secret is a token, not a client secret" in ended.err
    assert "CLOUDCOCKPIT_TOKEN" in ended.err
    assert TOKEN not in ended.err
    assert not list(tmp_path.rglob("profiles.toml"))
    for name, value in (("TENANT", "portal.example.com"), ("CLIENT_ID", "id"), ("CLIENT_SECRET", TOKEN)):
        monkeypatch.setenv(f"CLOUDCOCKPIT_{name}", value)
    ended = run(CLOUDCOCKPIT, "list-subscriptions")
    assert ended.code == Exit.USAGE
    assert "client_secret is a token" in ended.err
    assert "(not a token)" in run(CLOUDCOCKPIT, "auth", "login", "--help").out


@pytest.mark.parametrize("tenant", ["https://portal.example.com/", "portal.example.com/", "a portal"])
def test_a_tenant_that_is_no_domain_is_refused_where_it_is_given(
    tenant: str, run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    login = ("auth", "login", "--with-token", "--tenant", tenant, "--client-id", "id")
    ended = run(CLOUDCOCKPIT, *login, stdin=SECRET)
    assert ended.code == Exit.USAGE
    assert "tenant must be a domain, like portal.example.com" in ended.err
    assert not list(tmp_path.rglob("profiles.toml"))
    monkeypatch.setenv("CLOUDCOCKPIT_TENANT", tenant)
    monkeypatch.setenv("CLOUDCOCKPIT_TOKEN", "token")
    ended = run(CLOUDCOCKPIT, "list-subscriptions")
    assert ended.code == Exit.USAGE
    assert "tenant must be a domain" in ended.err


def test_a_missing_setting_is_named_with_what_to_do(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read = ("get-contract-data", "--customer-id", 1)
    ended = run(MEMBERSHIP, *read)
    assert ended.code == Exit.USAGE
    assert "set MEMBERSHIP_BASE_URL" in ended.err
    monkeypatch.setenv("MEMBERSHIP_BASE_URL", URL)
    ended = run(MEMBERSHIP, *read)
    assert ended.code == Exit.CREDENTIAL
    assert "membership-sdk auth login" in ended.err


def test_a_token_stands_for_client_id_and_secret(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLOUDCOCKPIT_TENANT", "portal.example.com")
    status = json.loads(run(CLOUDCOCKPIT, "auth", "status", "--json").out)
    assert status["missing"] == ["client_id", "client_secret"]
    monkeypatch.setenv("CLOUDCOCKPIT_TOKEN", SECRET)
    status = json.loads(run(CLOUDCOCKPIT, "auth", "status", "--json").out)
    assert status["missing"] == []
    assert SECRET not in str(status)


async def test_login_then_a_command(run_beside: Any) -> None:
    async with CloudCockpitSandbox() as sandbox:
        reached = ("--client-id", sandbox.CLIENT_ID, "--base-url", sandbox.url, "--token-url", sandbox.token_url)
        login = ("auth", "login", "--with-token", "--tenant", sandbox.TENANT, *reached)
        assert (await run_beside(CLOUDCOCKPIT, *login, stdin=sandbox.CLIENT_SECRET)).code == 0
        ended = await run_beside(CLOUDCOCKPIT, "list-subscriptions", "--json")
    assert ended.code == 0
    assert len(json.loads(ended.out)["items"]) == len(sandbox.subscriptions)


@pytest.mark.parametrize("secret_fails", [False, True])
async def test_no_output_shows_the_secret(secret_fails: bool, run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with MembershipSandbox() as sandbox:
        monkeypatch.setattr(MembershipSandbox, "API_KEY", "other" if secret_fails else SECRET)
        reach(sandbox, monkeypatch)
        monkeypatch.setenv("MEMBERSHIP_API_KEY", SECRET)
        read = ("get-contract-data", "--customer-id", sandbox.CUSTOMER_ID)
        for command in (
            (*read, "-v"),
            (*read, "-v", "--json"),
            (*read, "--dry-run"),
            (*read, "--dry-run", "--json"),
            ("auth", "status"),
            ("auth", "status", "--json"),
            ("doctor",),
            ("doctor", "--json"),
        ):
            ended = await run_beside(MEMBERSHIP, *command)
            assert SECRET not in ended.out + ended.err


async def test_a_dry_run_sends_nothing_and_needs_no_secret(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = ("--customer-id", MembershipSandbox.CUSTOMER_ID, "--contract-id", MembershipSandbox.CONTRACT_ID)
    settle = ("cancel-contract", *ids, "--on", "earliest", "--reason", "Moving away", "--dry-run")
    async with MembershipSandbox() as sandbox:
        monkeypatch.setenv("MEMBERSHIP_BASE_URL", url := sandbox.url)
        write = await run_beside(MEMBERSHIP, "withdraw-contract-cancelation", *ids, "--dry-run")
        first = await run_beside(MEMBERSHIP, *settle)
    assert (write.code, first.code, sandbox.requests) == (0, 0, [])
    assert write.out.startswith(f"POST {url}/v1/memberships/1001/self-service/withdraw-ordinary")
    assert "X-API-KEY: ***" in write.out
    assert first.out.startswith("GET ")
    assert "depends on the answer" in first.err
