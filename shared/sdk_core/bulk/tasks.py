"""What a plan can ask for: the operations and workflows of an SDK, each with how it is sent and how it is settled."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any, Final

from attrs import Factory, field, frozen

from sdk_core.bulk.values import Parameter, parameters_of
from sdk_core.client import Client
from sdk_core.operation import Effect, Operation
from sdk_core.transport.multipart import Document
from sdk_core.workflow import Procedure, Request

__all__ = ["Catalogue", "Lookup", "Task", "operation_task", "workflow_task"]

_NOT_OF_ROWS: Final = frozenset({"ask", "poll", "resend_after", "timeout"})
"""Arguments of workflows that are the run's to give."""

_RequestOf = Callable[[Mapping[str, Any]], Request | None]
_ProcedureOf = Callable[[Mapping[str, Any]], Procedure[Any]]
Lookup = Callable[["Task", Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Puts ids in place of names; what it has looked up, it keeps for the whole run."""


@frozen(kw_only=True)
class Task:
    """One operation or workflow, as a plan names it."""

    name: str
    parameters: Mapping[str, Parameter] = field(repr=False)
    change: str
    """What it changes of its target, that of the workflow that settles it: the same for tasks whose order matters."""
    target: tuple[str, ...]
    """The arguments that name what is changed: two rows of a plan must not ask for the same change of the same. Empty:
    all of them."""
    effect: Effect
    explains_refusals: bool
    """Whether a refusal is looked into: by then it may be as it was asked for."""
    resendable: bool
    """Whether a request of unknown outcome may be sent once more if the state has not changed after a while."""
    request: _RequestOf = field(repr=False)
    """Builds what to send at once; None from it: the workflow has to read first."""
    procedure_of: _ProcedureOf | None = field(repr=False)
    """Builds what settles a row; None: nothing does."""
    _required: frozenset[str] = field(
        init=False,
        repr=False,
        default=Factory(
            lambda self: frozenset(p.name for p in self.parameters.values() if p.required), takes_self=True
        ),
    )
    _documents: tuple[str, ...] = field(
        init=False,
        repr=False,
        default=Factory(
            lambda self: tuple(p.name for p in self.parameters.values() if Document in p.kinds), takes_self=True
        ),
    )

    @property
    def settles(self) -> bool:
        """Whether a request of unknown outcome can be settled by reading."""
        return self.procedure_of is not None

    def read(self, values: Mapping[str, object], *, text: bool) -> dict[str, Any]:
        """Return the arguments that a row holds; ValueError says what is wrong with it."""
        parameters = self.parameters
        if not values.keys() <= parameters.keys():
            unknown = min(values.keys() - parameters.keys())
            raise ValueError(f"{self.name} takes no {unknown}: it takes {', '.join(parameters)}")
        if not values.keys() >= self._required:
            missing = next(name for name in parameters if name in self._required and name not in values)
            raise ValueError(f"{missing} is missing")
        return {name: parameters[name].read(value, text=text) for name, value in values.items()}

    def check(self, arguments: Mapping[str, Any]) -> None:
        """Raise TypeError or ValueError unless the arguments can be sent."""
        request = self.request(arguments)
        if request is not None:
            request.operation.request(request.arguments)

    def check_documents(self, arguments: Mapping[str, Any]) -> None:
        """Raise ValueError unless the files to send are there: a row that was sent needs its own no longer."""
        for name in self._documents:
            document = arguments.get(name)
            # Of a name that no file can have, an OSError.
            with suppress(OSError):
                if document is None or document.source.is_file():
                    continue
            raise ValueError(f"{name} must be {self.parameters[name].expected}")

    def procedure(self, arguments: Mapping[str, Any]) -> Procedure[Any]:
        """Return what settles the row."""
        if self.procedure_of is None:
            raise TypeError(f"{self.name} has no workflow")
        return self.procedure_of(arguments)

    def target_of(self, arguments: Mapping[str, Any]) -> str:
        """Return a text that is the same for rows that ask for the same change of the same, however they spell it."""
        return " ".join((self.change, *(repr(arguments.get(name)) for name in self.target or self.parameters)))


@frozen(kw_only=True)
class Catalogue:
    """All that a plan of one SDK can ask for."""

    sdk: str
    """Its package."""
    tasks: Mapping[str, Task] = field(repr=False)
    lookup: Callable[[Client], Lookup] = field(repr=False)
    """Called once a run."""


class _Recorder:
    """Stands in for a client whose methods build a request: takes it, and sends nothing."""

    async def call(self, operation: Operation[Any], /, **arguments: object) -> Request:
        return Request(operation, arguments)


_RECORDER: Any = _Recorder()


def operation_task(
    client: type[Client],
    operation: Operation[Any],
    *,
    settled_by: Task | None = None,
    renamed: Mapping[str, str] | None = None,
) -> Task:
    """Return the task of an operation: the method of the client that has its name.

    Args:
        client: the SDK's client.
        operation: one of its operations. What changes something has the workflow's target, or the slots of its path.
        settled_by: the workflow that does the same.
        renamed: what the workflow calls the operation's arguments; those it does not take are left out.
    """
    method = getattr(client, operation.name)
    target = tuple(operation.slots) if settled_by is None else settled_by.target
    return Task(
        name=operation.name,
        parameters=parameters_of(method),
        change=operation.name if settled_by is None else settled_by.change,
        target=() if operation.effect is Effect.READ else target,
        effect=operation.effect,
        explains_refusals=False,
        resendable=settled_by is not None and settled_by.resendable,
        request=partial(_built_by, method),
        procedure_of=None if settled_by is None else partial(_of_workflow, settled_by, renamed or {}),
    )


def workflow_task(
    workflow: Callable[..., Awaitable[object]],
    procedure: Callable[..., Procedure[Any]],
    *,
    target: tuple[str, ...],
    change: str | None = None,
) -> Task:
    """Return the task of a workflow.

    Args:
        workflow: the SDK's function.
        procedure: returns what that runs.
        target: as of `Task`.
        change: as of `Task`, where other workflows change the same; None: none does.
    """
    return Task(
        name=workflow.__name__,
        parameters=parameters_of(workflow, without=_NOT_OF_ROWS),
        change=change or workflow.__name__,
        target=target,
        effect=Effect.WRITE,
        explains_refusals=True,
        # Those that create something take no such argument: whether the API refuses a second is not documented.
        resendable="resend_after" in inspect.signature(workflow).parameters,
        request=lambda arguments: procedure(**arguments).immediate(),
        procedure_of=lambda arguments: procedure(**arguments),
    )


def _of_workflow(workflow: Task, renamed: Mapping[str, str], arguments: Mapping[str, Any]) -> Procedure[Any]:
    """Return what settles a row of an operation: that of a workflow, which may call the arguments otherwise."""
    given = {renamed.get(name, name): value for name, value in arguments.items() if value is not None}
    return workflow.procedure({name: given[name] for name in workflow.parameters if name in given})


def _built_by(method: Callable[..., Any], arguments: Mapping[str, Any]) -> Request:
    """Return the request that a client's method would send."""
    building = method(_RECORDER, **arguments)
    try:
        building.send(None)
    except StopIteration as end:
        request: Request = end.value
        return request
    finally:
        building.close()
    raise TypeError(f"{method.__name__}() waits for more than its request")
