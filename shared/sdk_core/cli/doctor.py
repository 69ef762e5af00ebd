"""`doctor`: from the settings to the scopes, what works and what to do about the rest; one line each."""

import asyncio
import textwrap
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from cyclopts import App, Parameter
from rich.text import Text
from yarl import URL

from sdk_core.auth import jwt_expiry
from sdk_core.cli.exits import Exit
from sdk_core.cli.options import COMMON_OPTIONS, TOOL, CallOptions, Json, Profile, Sandbox
from sdk_core.cli.output import Output
from sdk_core.cli.probes import Finding, State, clock, reach
from sdk_core.cli.program import Program
from sdk_core.cli.running import client_of
from sdk_core.cli.settings import Found, find, missing, profile_name
from sdk_core.cli.tables import printable
from sdk_core.cli.watch import Watch
from sdk_core.client import Client
from sdk_core.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    PermissionDeniedError,
    SdkError,
)
from sdk_core.operation import Effect, Operation

__all__ = ["add_doctor"]

_TIMEOUT: Final = 10.0
_StepTimeout = Annotated[
    float,
    Parameter(
        help=f"Seconds for each step; left out: {_TIMEOUT:g}.",
        metavar="SECONDS",
        group=COMMON_OPTIONS,
    ),
]
_STYLES: Final = {State.OK: "green", State.WARNING: "yellow", State.FAILED: "red", State.SKIPPED: "dim"}


def add_doctor(app: App, program: Program) -> None:
    """Add `doctor`."""

    def doctor(
        *, profile: Profile = None, sandbox: Sandbox = False, timeout: _StepTimeout = _TIMEOUT, json: Json = False
    ) -> Exit:
        """Check settings, network, clock, credential and scopes, and say what to do.

        It changes nothing: it makes reads that need no id.
        """
        output = Output(program.name, json=json)
        options = CallOptions(profile=profile, sandbox=sandbox, timeout=timeout, retries=0)
        try:
            return asyncio.run(_examine(program, output, options))
        except KeyboardInterrupt:
            return output.interrupted([], [])

    app.command(doctor, group=TOOL)


async def _examine(program: Program, output: Output, options: CallOptions) -> Exit:
    findings: list[Finding] = []
    async for finding in _findings(program, output, options):
        findings.append(finding)
        if not output.json:
            said = printable(f"{finding.said}. {finding.advice}" if finding.advice else finding.said)
            text = f"{finding.state.value:8}{finding.check:11}{said}"
            line = Text(textwrap.fill(text, output.width, subsequent_indent=" " * 19, break_long_words=False))
            line.stylize(_STYLES[finding.state], 0, 7)
            output.show({}, line)
    if output.json:
        output.show({"findings": [finding.to_dict() for finding in findings]}, "")
    failed = {finding.check for finding in findings if finding.state is State.FAILED}
    if "settings" in failed:
        return Exit.USAGE
    if failed & {"credential", "scopes"}:
        return Exit.CREDENTIAL
    return Exit.FAILED if failed else Exit.DONE


async def _findings(program: Program, output: Output, options: CallOptions) -> AsyncIterator[Finding]:
    if options.sandbox:
        async with program.new_sandbox() as sandbox:
            settings = {name: Found(value, "the sandbox") for name, value in program.sandbox_settings(sandbox).items()}
            yield Finding("settings", State.OK, "those of a sandbox in this process")
            async for finding in _beyond_settings(program, output, options, settings):
                yield finding
        return
    try:
        profile = profile_name(program, options.profile)
        found = find(program, profile)
    except ConfigurationError as error:
        yield Finding("settings", State.FAILED, str(error))
        return
    for setting in missing(program, found):
        what = "Store it with" if profile.first else f"Set {setting.variable}, or run"
        yield Finding("settings", State.FAILED, f"{setting.name} is missing", f"{what} {profile.login(program)}")
    if missing(program, found):
        return
    yield Finding("settings", State.OK, ", ".join(f"{name} from {each.source}" for name, each in found.items()))
    async for finding in _beyond_settings(program, output, options, found):
        yield finding


async def _beyond_settings(
    program: Program, output: Output, options: CallOptions, found: Mapping[str, Found]
) -> AsyncIterator[Finding]:
    settings = {name: each.value for name, each in found.items()}
    try:
        client = client_of(program, settings, options, Watch(output, verbose=False))
    except (ConfigurationError, TypeError, ValueError) as error:
        yield Finding("settings", State.FAILED, str(error))
        return
    async with client:
        date: str | None = None
        async for finding, seen in reach(URL(program.place(settings)), options.timeout or _TIMEOUT):
            date = seen or date
            yield finding
            if finding.state is State.FAILED:
                return
        accepted, answered = await _credential(program, client, found)
        yield clock(date or answered)
        yield accepted
        if accepted.state is State.OK:
            yield await _scopes(program, client)


async def _credential(program: Program, client: Client, found: Mapping[str, Found]) -> tuple[Finding, str | None]:
    """Return whether the credential is accepted, and the Date of the answer."""
    try:
        reply = await client.call_with_reply(program.credential_check)
    except PermissionDeniedError:
        # It was recognised: what it lacks is told by the scopes.
        return Finding("credential", State.OK, "accepted"), None
    except AuthenticationError as error:
        return _refused(program, error.message, found), None
    except BadRequestError as error:
        # The check has no arguments: what is wrong is in the headers, which are the same with each call.
        sent = [setting for setting in program.settings if setting.header and setting.name in found]
        what = "; ".join(f"{found[setting.name].source} must be {setting.what}" for setting in sent)
        return Finding("API", State.FAILED, f"the check was refused: {error}", what), None
    except SdkError as error:
        return Finding("API", State.FAILED, f"the credential could not be tried: {error}"), None
    return Finding("credential", State.OK, "accepted"), reply.headers.get("Date")


def _refused(program: Program, message: str, found: Mapping[str, Found]) -> Finding:
    """Return that the credential is refused, where it is from, and when it ended if it says so."""
    there = [setting for setting in program.settings if setting.secret and setting.name in found]
    # A token goes before what a token would be got with.
    setting = next(each for each in there if each.unless not in found)
    kept = found[setting.name]
    end = jwt_expiry(kept.value)
    if end is not None and end <= time.time():
        message = f"{message}; it ended {datetime.fromtimestamp(end, UTC):%Y-%m-%d %H:%M:%S} UTC"
    what = "correct it there" if kept.login is None else f"{kept.login} replaces it"
    return Finding("credential", State.FAILED, message, f"{setting.name} is from {kept.source}: {what}")


async def _scopes(program: Program, client: Client) -> Finding:
    """Return which scopes and roles the credential has, as far as reads without arguments show it."""
    seen: dict[str, None] = {}
    troubles: list[str] = []
    for operation in program.operations:
        if operation.effect is not Effect.READ or operation.slots or operation.body is not None:
            continue
        need = _need(operation)
        try:
            await client.call(operation)
        except PermissionDeniedError:
            troubles.append(f"{operation.name} is refused{f': {need} is missing' if need else ''}")
        except SdkError as error:
            troubles.append(f"{operation.name} could not be tried: {type(error).__name__}")
        else:
            seen[need] = None
    unseen = {_need(operation) for operation in program.operations} - seen.keys() - {""}
    told = [*troubles, *filter(None, seen), f"{len(unseen)} more can't be seen without an id" if unseen else ""]
    said = "; ".join(filter(None, told)) or "none is documented"
    advice = "Who made the credential can give it what is missing" if troubles else ""
    return Finding("scopes", State.WARNING if troubles else State.OK, said, advice)


def _need(operation: Operation[Any]) -> str:
    if operation.roles:
        return f"the role {' or '.join(operation.roles)}"
    return " and ".join(operation.scopes)
