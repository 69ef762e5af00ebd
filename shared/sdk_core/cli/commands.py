"""Commands from the table of operations, from workflows, and from their signatures and docstrings."""

import inspect
from collections.abc import Callable, Mapping
from typing import Annotated, Any

from cyclopts import App, Group, Parameter

from sdk_core.cli.exits import Exit
from sdk_core.cli.options import CallOptions
from sdk_core.cli.parameters import option, with_signature
from sdk_core.cli.program import Program
from sdk_core.cli.running import Task, perform
from sdk_core.cli.texts import Described, describe
from sdk_core.client import Client
from sdk_core.operation import Effect, Operation

__all__ = ["add_operations_and_workflows"]

_READ = Group("Read", sort_key=1)
_CHANGE = Group("Change (one request; the exit code tells what is known of it)", sort_key=2)
_SETTLE = Group("Settle (change only what is not so already, and wait until it is so)", sort_key=3)
_EFFECTS: Mapping[Effect, str] = {
    Effect.READ: "changes nothing, and is repeated after any passing failure",
    Effect.IDEMPOTENT: "(twice is the same as once) is repeated after any passing failure",
    Effect.WRITE: "is repeated only if it certainly had no effect",
}


def add_operations_and_workflows(app: App, program: Program, *, named: str | None = None) -> bool:
    """Add a command for each operation and for each workflow.

    Args:
        app: the program.
        program: what it is made from.
        named: the one command that is needed, if it is only one. If none is called so, all are added without their
            options: an overview has none, and begins sooner.

    Returns:
        Whether only the command of that name was added.
    """
    names = {each.name for each in program.operations} | {each.__name__ for each in program.workflows}
    only = next((name for name in names if _dashed(name) == named), None)
    is_overview = named is not None and only is None
    methods = {operation.name: getattr(program.client, operation.name) for operation in program.operations}
    iterators = {name: iterator for name in methods if (iterator := _iterator(program.client, name)) is not None}
    texts = describe([*methods.values(), *iterators.values(), *program.workflows])
    for operation in program.operations:
        if only in {None, operation.name}:
            described, has_pages = texts[operation.name], operation.name in iterators
            command = _without_options
            if not is_overview:
                command = _operation_command(program, operation, described, has_pages=has_pages)
            group = _READ if operation.effect is Effect.READ else _CHANGE
            app.command(command, name=_dashed(operation.name), group=group, help=_operation_help(operation, texts))
    for workflow in program.workflows:
        if only in {None, workflow.__name__}:
            described = texts[workflow.__name__]
            command = _without_options if is_overview else _workflow_command(program, workflow, described)
            app.command(command, name=_dashed(workflow.__name__), group=_SETTLE, help=_help(described, _time(workflow)))
    return only is not None


def _without_options() -> Exit:
    return Exit.USAGE


def _operation_command(
    program: Program, operation: Operation[Any], described: Described, *, has_pages: bool
) -> Callable[..., Exit]:
    own = _own_parameters(getattr(program.client, operation.name), described)
    if has_pages:
        own.append(_flag("all", "Read all pages, from --page-number on."))

    def command(options: CallOptions, **arguments: Any) -> Exit:
        every = arguments.pop("all", False)

        async def call(client: Client) -> object:
            if not every:
                return await getattr(client, operation.name)(**arguments)
            first = {} if arguments["page_number"] is None else {"start_page": arguments["page_number"]}
            more = {name: value for name, value in arguments.items() if name != "page_number"}
            pages = getattr(client, _iterator_name(operation.name))(**first, **more)
            return [item async for item in pages]

        task = Task(
            name=_dashed(operation.name),
            arguments=arguments,
            changes=operation.effect is not Effect.READ,
            follow_up=program.follow_ups.get(operation.name, ""),
            label=program.labels.get(operation.name, ""),
            call=call,
        )
        return perform(program, task, options)

    return _signed(command, own)


def _workflow_command(program: Program, workflow: Callable[..., Any], described: Described) -> Callable[..., Exit]:
    own = [each for each in _own_parameters(workflow, described) if each.name not in {"ask", "timeout"}]
    own.append(_flag("wait_only", "Send nothing, only wait: to go on with a wait that was cut short."))

    def command(options: CallOptions, *, wait_only: bool = False, **arguments: Any) -> Exit:
        # The time of a workflow is its own, and its calls share it.
        more = {} if options.timeout is None else {"timeout": options.timeout}

        async def call(client: Client) -> object:
            return await workflow(client, ask=not wait_only, **arguments, **more)

        name = _dashed(workflow.__name__)
        task = Task(name=name, arguments=arguments, changes=True, only_waits=wait_only, call=call)
        return perform(program, task, options)

    return _signed(command, own)


def _own_parameters(function: Callable[..., Any], described: Described) -> list[inspect.Parameter]:
    return [
        option(parameter, described.spoken(described.arguments.get(name, "")))
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    ]


def _flag(name: str, what: str) -> inspect.Parameter:
    annotation = Annotated[bool, Parameter(help=what)]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=annotation)


def _signed(command: Callable[..., Exit], own: list[inspect.Parameter]) -> Callable[..., Exit]:
    """Give a command the signature that its options are read from."""
    options = inspect.Parameter("options", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=CallOptions)
    shared = options.replace(default=CallOptions(), annotation=Annotated[CallOptions, Parameter(name="*")])
    signature = inspect.Signature([shared, *own], return_annotation=Exit)
    return with_signature(command, signature)


def _iterator_name(operation: str) -> str:
    return f"iter_{operation.removeprefix('list_')}"


def _iterator(client: type[Client], operation: str) -> Callable[..., Any] | None:
    return getattr(client, _iterator_name(operation), None) if operation.startswith("list_") else None


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _help(described: Described, *more: str) -> str:
    return "\n\n".join(described.spoken(text) for text in (described.summary, *described.body, *more))


def _time(workflow: Callable[..., Any]) -> str:
    timeout = inspect.signature(workflow).parameters["timeout"].default
    return f"It has {timeout:g} s, unless --timeout says otherwise."


def _operation_help(operation: Operation[Any], texts: Mapping[str, Described]) -> str:
    facts = [f"Request: {operation} {_EFFECTS[operation.effect]}."]
    if operation.scopes:
        facts.append(f"Scope: {', '.join(operation.scopes)}.")
    if operation.roles:
        facts.append(f"Role: {', '.join(operation.roles)}.")
    if operation.deprecated:
        facts.append(f"Deprecated: {operation.deprecated}.")
    if operation.source:
        facts.append(f"Source: {operation.source}")
    return _help(texts[operation.name], *facts)
