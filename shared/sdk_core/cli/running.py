"""One command that calls the API, from its options to its exit code."""

import asyncio
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Mapping
from contextlib import asynccontextmanager, contextmanager, nullcontext
from typing import Any, Final

from attrs import frozen

from sdk_core.arguments import whole_number
from sdk_core.backend import ClientOptions
from sdk_core.cli.dry_run import HIDDEN, RequestShown, dry
from sdk_core.cli.exits import Exit
from sdk_core.cli.options import CallOptions
from sdk_core.cli.output import Output
from sdk_core.cli.program import Program
from sdk_core.cli.question import DeclinedError, confirm
from sdk_core.cli.settings import MissingSettingError, profile_name, settings_of
from sdk_core.cli.watch import Watch
from sdk_core.client import Client
from sdk_core.correlation import correlation_scope
from sdk_core.deprecation import OperationDeprecatedWarning
from sdk_core.errors import SdkError
from sdk_core.retry import RetryPolicy
from sdk_core.transport.connection import Connection

__all__ = ["Task", "client_of", "perform"]

_ATTEMPT: Final = 30.0
"""Seconds for one attempt, where the command has more."""


@frozen(kw_only=True)
class Task:
    """What a command does."""

    name: str
    """The command's."""
    arguments: Mapping[str, object]
    """Its options, as they were understood: for the question."""
    changes: bool
    """Whether it may change something, or waits for what may have been changed."""
    only_waits: bool = False
    """Whether it sends nothing, but waits for a change that was asked for before."""
    follow_up: str = ""
    """Which command tells when it has happened, if it takes effect later."""
    label: str = ""
    """What its answer tells beside that it has happened, if that is one value."""
    call: Callable[[Any], Awaitable[object]]
    """Makes the calls with a client, and returns what is printed."""


def perform(program: Program, task: Task, options: CallOptions) -> Exit:
    """Do what a command does, and return its exit code."""
    names = frozenset(operation.name for operation in program.operations)
    output = Output(program.name, json=options.json, operations=names)
    watch = Watch(output, verbose=options.verbose)
    try:
        with output.logging(verbose=options.verbose), _noting_warnings(output):
            return _perform(program, task, options, output, watch)
    except KeyboardInterrupt:
        code = output.interrupted(*watch.summary())
        return Exit.UNKNOWN if watch.may_have_changed and output.lost else code
    except DeclinedError as error:
        return output.refused(str(error))
    except (SdkError, MissingSettingError) as error:
        return output.failure(error, changes=task.changes)
    except (TypeError, ValueError) as error:
        # An argument that can't be sent is refused before any call begins.
        return output.failure(error, changes=task.changes) if not watch.calls else _broken(error, output, watch)
    except Exception as error:  # noqa: BLE001  the SDK's end or the printing failed: what was sent has to be told all the same
        return _broken(error, output, watch)


def _broken(error: Exception, output: Output, watch: Watch) -> Exit:
    if isinstance(error, BrokenPipeError) and not watch.may_have_changed:
        # Who reads the output has enough of it.
        return Exit.FAILED
    lines, calls = watch.summary()
    return output.broken(error, lines, calls, Exit.UNKNOWN if watch.may_have_changed else Exit.FAILED)


def _perform(program: Program, task: Task, options: CallOptions, output: Output, watch: Watch) -> Exit:
    settings = None if options.sandbox else _client_settings(program, options)
    if task.changes and settings is not None and not (options.yes or options.dry_run or task.only_waits):
        confirm(output, task.name, task.arguments, _where(program, settings))

    async def run() -> object:
        async with _running_client(program, settings, options, watch, output) as client:
            return await task.call(client)

    try:
        with output.waiting(task.name):
            value = asyncio.run(run())
    except RequestShown as request:
        output.show(request.document, request.shown())
        output.say("dry run: nothing was sent")
        if request.operation.name != task.name.replace("-", "_"):
            output.say(f"{task.name} begins with this request; what it sends then depends on the answer")
        return Exit.DONE
    return output.result(value, task.follow_up, task.label)


def _where(program: Program, settings: Mapping[str, str]) -> str:
    """Return what a command with these settings changes, and whose: the URL may be the same for all."""
    whose = [each.name for each in program.settings if each.header and not each.preference and each.name in settings]
    return ", ".join([program.place(settings), *(f"{name} {settings[name]}" for name in whose)])


def _client_settings(program: Program, options: CallOptions) -> dict[str, str]:
    """Return the settings of the client that a command uses; of a dry run, without the secrets."""
    profile = profile_name(program, options.profile)
    return settings_of(program, profile, secret=HIDDEN if options.dry_run else None)


@asynccontextmanager
async def _running_client(
    program: Program, settings: Mapping[str, str] | None, options: CallOptions, watch: Watch, output: Output
) -> AsyncGenerator[Client]:
    """Give the client that a command's options ask for; without settings, one of a sandbox."""
    scope = nullcontext() if options.correlation_id is None else correlation_scope(options.correlation_id)
    with scope:
        if settings is not None:
            async with client_of(program, settings, options, watch) as client:
                yield client
            return
        async with program.new_sandbox() as sandbox:
            output.say(f"sandbox: {program.sandbox_ids(sandbox)}", "dim")
            found, secrets = program.sandbox_settings(sandbox), {each.name for each in program.settings if each.secret}
            if options.dry_run:
                found = {name: HIDDEN if name in secrets else value for name, value in found.items()}
            async with client_of(program, found, options, watch) as client:
                yield client


def client_of(program: Program, settings: Mapping[str, str], options: CallOptions, watch: Watch) -> Client:
    """Return the client that a command's options ask for."""
    # What a person's machine is set to use: HTTPS_PROXY counts for a command.
    more: ClientOptions = {"telemetry": watch, "connection": Connection(trust_env=True)}
    if options.timeout is not None:
        more["total_timeout"] = options.timeout
        more["attempt_timeout"] = min(_ATTEMPT, options.timeout)
    if options.retries is not None:
        whole_number("retries", options.retries, 0)
        more["retry"] = RetryPolicy(max_attempts=options.retries + 1)
    return program.connect(dry(program.client) if options.dry_run else program.client, settings, more)


@contextmanager
def _noting_warnings(output: Output) -> Generator[None]:
    """Have the SDK's warnings, like that of a deprecated operation, told as messages."""
    with warnings.catch_warnings():
        warnings.simplefilter("default", OperationDeprecatedWarning)

        def tell(message: Warning | str, *_more: object, **_rest: object) -> None:
            output.say(f"note: {message}", "yellow")

        warnings.showwarning = tell
        yield
