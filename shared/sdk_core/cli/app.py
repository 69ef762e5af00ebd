"""A command line, from its parts to its exit code. A module adds its commands with one more line in `_TOOLS`."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from pkgutil import resolve_name
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter

from sdk_core.cli.bulk import BulkCommands, add_bulk
from sdk_core.cli.bulk_parts import bulk_parts
from sdk_core.cli.commands import add_operations_and_workflows
from sdk_core.cli.doctor import add_doctor
from sdk_core.cli.exits import EXPLAINED, Exit
from sdk_core.cli.help import PlainHelp, print_overview
from sdk_core.cli.login import add_auth
from sdk_core.cli.options import TOOL
from sdk_core.cli.output import Output
from sdk_core.cli.program import Program
from sdk_core.cli.streams import Messages, end_streams, new_console, prepare_streams
from sdk_core.version import __version__

__all__ = ["build", "run"]


def build(program: Program, *, named: str | None = None) -> App:
    """Return the command line of a program; with a name, of only that command, if there is one."""
    app = App(
        name=program.name,
        help=program.about,
        version=f"{program.name} {__version__}",
        version_format="plaintext",
        help_format="plaintext",
        help_formatter=PlainHelp(),
        help_epilogue=f"`{program.name} --help` has the settings and the exit codes.",
        default_parameter=Parameter(negative=(), show_default=False),
        group_commands=TOOL,
        group_parameters=Group("Options", sort_key=1),
        console=new_console(),
        error_console=new_console(Messages()),
        print_error=False,
        exit_on_error=False,
    )
    if named in _TOOLS:
        _TOOLS[named](app, program)
    elif not add_operations_and_workflows(app, program, named=named):
        for add in dict.fromkeys(_TOOLS.values()):
            add(app, program)
    return app


def run(program: Program, argv: Sequence[str]) -> int:
    """Run a command line and return its exit code: one of `sdk_core.cli.exits`."""
    prepare_streams()
    try:
        code = _run(program, argv)
    except OSError as error:
        # Whether something was changed is told by the commands that change something. Who reads the output may have
        # enough of it.
        if not isinstance(error, BrokenPipeError):
            Output(program.name, json=False).say(f"failed: {type(error).__name__}: {error}", "red")
        code = Exit.FAILED
    is_written = end_streams()
    return Exit.FAILED if code is Exit.DONE and not is_written else code


def _run(program: Program, argv: Sequence[str]) -> Exit:
    # The script of `completion` has all commands; another needs only itself, and begins sooner.
    first = argv[0] if argv else ""
    app = build(program, named=None if first == "completion" else first)
    if not argv or argv[0] in app.help_flags:
        console = new_console() if argv else new_console(Messages())
        print_overview(app, console, program.about, _notes(program))
        return Exit.DONE if argv else Exit.USAGE
    try:
        command, bound, _unused = app.parse_args(argv)
        bound.apply_defaults()
        code: object = command(*bound.args, **bound.kwargs)
        if asyncio.iscoroutine(code):
            code = asyncio.run(code)
    except CycloptsError as error:
        return Output(program.name, json="--json" in argv).refused(_misuse(program, argv, error))
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    return code if isinstance(code, Exit) else Exit.DONE


def _misuse(program: Program, argv: Sequence[str], error: CycloptsError) -> str:
    """Return what is wrong with a command line, and where its help is."""
    if not isinstance(error, MissingArgumentError) or error.argument is None:
        return str(error)
    names = error.argument.names
    help_command = " ".join((program.name, *(error.command_chain or ()), "--help"))
    if any(name in argv for name in names):
        return f"`{error.keyword or names[-1]}` needs a value; see `{help_command}`"
    typed = [word.partition("=")[0] for word in error.unused_tokens or () if word.startswith("--")]
    if close := get_close_matches(error.argument.name, typed, n=1):
        return f"`{error.argument.name}` is missing: is it meant by `{close[0]}`? See `{help_command}`"
    # What may be given without its name is known by that of its value.
    by_place = error.argument.index is not None
    name = error.argument.name.removeprefix("--").upper() if by_place else error.argument.name
    return f"`{name}` is missing; see `{help_command}`"


def _add_bulk(app: App, program: Program) -> None:
    add_bulk(app, BulkCommands(bulk_parts(program)))


def _add_demo(app: App, program: Program) -> None:
    def demo() -> Exit:
        try:
            asyncio.run(resolve_name(program.demo)())
        except Exception as error:  # noqa: BLE001  any failure is told in one line, without a traceback
            Output(program.name, json=False).say(f"failed: {type(error).__name__}: {error}", "red")
            return Exit.FAILED
        return Exit.DONE

    app.command(demo, help="Show the main job on a sandbox of the API in this process: no account needed.")


def _add_sandbox(app: App, program: Program) -> None:
    async def sandbox(
        *,
        host: Annotated[
            str, Parameter(help="Address to listen on. Whoever reaches it may change it.", show_default=True)
        ] = "127.0.0.1",
        port: Annotated[int, Parameter(help="Port; 0: any that is free.", show_default=True)] = 8080,
    ) -> Exit:
        # A web server is imported where it is needed: other commands, and the help, begin sooner.
        serve = resolve_name("sdk_core.sandbox.serving:serve")
        try:
            await serve(resolve_name(program.sandbox)(), host=host, port=port)
        except ValueError as error:
            return Output(program.name, json=False).refused(str(error))
        except OSError as error:
            return Output(program.name, json=False).refused(f"can't listen on {host}, port {port}: {error.strerror}")
        return Exit.DONE

    app.command(sandbox, help="Serve a sandbox of the API until Ctrl-C, for curl and other languages.")


def _add_completion(app: App, program: Program) -> None:
    def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="Whose script to print.")]) -> Exit:
        new_console().file.write(app.generate_completion(shell=shell) + "\n")
        return Exit.DONE

    name = program.name
    app.command(
        completion,
        help=f"Print the script that completes commands and options in a shell.\n\n"
        f"bash: source <({name} completion bash); zsh: {name} completion zsh > a folder of fpath/_{name}; "
        f"fish: {name} completion fish > ~/.config/fish/completions/{name}.fish",
    )


_TOOLS: Mapping[str | None, Callable[[App, Program], None]] = {
    **dict.fromkeys(("bulk", "status", "report", "worker"), _add_bulk),
    "auth": add_auth,
    "doctor": add_doctor,
    "demo": _add_demo,
    "sandbox": _add_sandbox,
    "completion": _add_completion,
}
"""What adds the commands that are no operations and no workflows, by their names."""


def _notes(program: Program) -> dict[str, list[tuple[str, str]]]:
    settings = [(setting.variable, setting.what) for setting in program.settings]
    settings.append((program.profile_variable, f"name of the profile with the others (`{program.name} auth login`)"))
    codes = [(f"{code.value:3}", what) for code, what in EXPLAINED.items()]
    return {"Settings, from the environment": settings, "Exit codes": codes}
