"""`doctor` finds what is wrong, and says what to do."""

import base64
import json
import socket
import ssl
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
import trustme
from aiohttp import web
from command_line import reach
from wire import CannedAnswer, WireServer

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP
from membership_sdk.sandbox import Fault, MembershipSandbox
from sdk_core.cli.exits import Exit
from sdk_core.sandbox.requests import RefusalError

Doctor = Any


@pytest.fixture
def doctor(run_beside: Any, monkeypatch: pytest.MonkeyPatch) -> Doctor:
    """Run it against a URL, and return its exit code and findings by check."""

    async def doctor(url: str, *more: object) -> tuple[int, dict[str, dict[str, str]]]:
        monkeypatch.setenv("MEMBERSHIP_BASE_URL", url)
        monkeypatch.setenv("MEMBERSHIP_API_KEY", MembershipSandbox.API_KEY)
        ended = await run_beside(MEMBERSHIP, "doctor", "--json", *more)
        assert "Traceback" not in ended.err
        return ended.code, {finding["check"]: finding for finding in json.loads(ended.out)["findings"]}

    return doctor


async def test_a_server_that_says_nothing_is_told_from_none(doctor: Doctor) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, found = await doctor(f"http://127.0.0.1:{silent.getsockname()[1]}", "--timeout", "0.3")
    assert code == Exit.FAILED
    assert "takes the connection, and gives no answer" in found["TLS"]["said"]


@pytest.mark.parametrize("program", [MEMBERSHIP, CLOUDCOCKPIT], ids=lambda program: program.name)
def test_on_a_sandbox_all_is_well(program: Any, run: Any) -> None:
    ended = run(program, "doctor", "--sandbox")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    assert [line[1] for line in lines] == ["settings", "proxy", "DNS", "TLS", "clock", "credential", "scopes"]
    assert {line[0] for line in lines} == {"ok", "skipped"}


@pytest.mark.parametrize("kept", ["environment", "profile"])
async def test_a_refused_key_is_to_be_corrected_where_it_is(
    kept: str, doctor: Doctor, run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    more: tuple[str, ...] = ()
    async with MembershipSandbox() as sandbox:
        monkeypatch.setattr("membership_sdk.sandbox.MembershipSandbox.authenticate", _refuse)
        if kept == "profile":
            login = ("auth", "login", "--with-token", "--base-url", sandbox.url, "--profile", "acme")
            await run_beside(MEMBERSHIP, *login, stdin="wrong")
            more = ("--profile", "acme")
        code, found = await doctor(sandbox.url, *more)
    assert code == Exit.CREDENTIAL
    assert found["credential"]["state"] == "failed"
    assert (
        found["credential"]["advice"]
        == {
            "environment": "api_key is from MEMBERSHIP_API_KEY: correct it there",
            "profile": "api_key is from profile acme: `membership-sdk auth login --profile acme` replaces it",
        }[kept]
    )
    assert "scopes" not in found


@pytest.mark.parametrize("ended", [True, False])
async def test_a_token_that_has_ended_is_told_with_its_end(
    ended: bool, run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims = json.dumps({"exp": 1_700_000_000 if ended else 4_000_000_000}).encode()
    token = f"eyJh.{base64.urlsafe_b64encode(claims).decode().rstrip('=')}.c2ln"
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        monkeypatch.setenv("CLOUDCOCKPIT_TOKEN", token)
        run = await run_beside(CLOUDCOCKPIT, "doctor")
    assert run.code == Exit.CREDENTIAL
    assert ("ended 2023-11-14 22:13:20 UTC" in run.out) == ended
    assert ("ended" in run.out) == ended
    assert "token is from CLOUDCOCKPIT_TOKEN: correct it there" in run.out
    assert token not in run.out


async def test_what_the_api_refuses_in_every_request_is_a_setting(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        monkeypatch.setenv("CLOUDCOCKPIT_TENANT", "another.example.com")
        ended = await run_beside(CLOUDCOCKPIT, "doctor")
    assert ended.code == Exit.FAILED
    assert "CLOUDCOCKPIT_TENANT must be a domain of the tenant" in ended.out


async def test_a_port_without_tls_is_told(doctor: Doctor) -> None:
    async with MembershipSandbox() as sandbox:
        code, found = await doctor(sandbox.url.replace("http://", "https://"))
    assert code == Exit.FAILED
    assert "does not speak TLS" in found["TLS"]["said"]
    assert found["TLS"]["advice"] == "Is the URL http?"


def _refuse(*_arguments: object) -> None:
    raise RefusalError(401, "UNAUTHORIZED", "No.")


async def test_a_missing_scope_is_named(doctor: Doctor) -> None:
    async with MembershipSandbox() as sandbox:
        sandbox.fail(Fault.status(403), operation="get_additional_modules")
        code, found = await doctor(sandbox.url)
    assert code == 0
    assert found["scopes"]["state"] == "warning"
    assert "MEMBERSHIP_SELF_SERVICE_ADDITIONAL_MODULE_READ is missing" in found["scopes"]["said"]


async def test_a_token_endpoint_that_refuses_is_told_with_its_advice(
    run_beside: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with CloudCockpitSandbox() as sandbox:
        reach(sandbox, monkeypatch)
        monkeypatch.setenv("CLOUDCOCKPIT_CLIENT_SECRET", "wrong")
        ended = await run_beside(CLOUDCOCKPIT, "doctor")
    assert ended.code == Exit.CREDENTIAL
    assert "check client id, secret" in ended.out
    assert "client_secret is from CLOUDCOCKPIT_CLIENT_SECRET: correct it there" in ended.out
    assert "wrong" not in ended.out


@pytest.mark.parametrize(("ahead", "said"), [(300, "behind"), (-300, "ahead of")])
async def test_a_wrong_clock_is_told(ahead: int, said: str, doctor: Doctor) -> None:
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=ahead), usegmt=True)
    async with WireServer(CannedAnswer(200, [], {"Date": date})) as server:
        code, found = await doctor(server.url)
    assert code == 0
    assert found["clock"]["state"] == "warning"
    assert f"s {said} the server's" in found["clock"]["said"]


async def test_nobody_listens(doctor: Doctor) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        unused_tcp_port = closed.getsockname()[1]
    code, found = await doctor(f"http://127.0.0.1:{unused_tcp_port}")
    assert code == Exit.FAILED
    assert "no connection" in found["TLS"]["said"]
    assert "firewall" in found["TLS"]["advice"]
    assert "credential" not in found


async def test_a_name_that_does_not_exist(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    code, found = await doctor("https://nowhere.invalid", "--timeout", "5")
    assert code == Exit.FAILED
    assert found["DNS"]["state"] == "failed"


async def test_a_certificate_of_an_unknown_authority(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("localhost").configure_cert(context)
    runner = web.AppRunner(web.Application())
    await runner.setup()
    site = web.TCPSite(runner, "localhost", 0, ssl_context=context)
    await site.start()
    url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        code, found = await doctor(url)
        assert code == Exit.FAILED
        assert "certificate is refused" in found["TLS"]["said"]
        assert "SSL_CERT_FILE" in found["TLS"]["advice"]
        with authority.cert_pem.tempfile() as bundle:
            monkeypatch.setenv("SSL_CERT_FILE", bundle)
            _code, found = await doctor(url)
        assert found["TLS"]["state"] == "ok"
        assert "days" in found["TLS"]["said"]
    finally:
        await runner.cleanup()


async def test_a_proxy_of_the_environment_is_used_and_named(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    async with WireServer(CannedAnswer(502, "no")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url.replace("http://", "http://user:a-secret@"))
        code, found = await doctor("https://nowhere.invalid")
    assert code == Exit.FAILED
    assert "127.0.0.1" in found["proxy"]["said"]
    assert "a-secret" not in str(found)
    assert {request.method for request in proxy.requests} == {"CONNECT"}
    assert "credential" not in found
    assert "DNS" not in found


async def test_a_proxy_that_can_not_be_one(doctor: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "proxy:a-secret")
    code, found = await doctor("https://nowhere.invalid")
    assert code == Exit.USAGE
    assert "a-secret" not in str(found)
