"""What one SDK's command line is made from; everything else is the same for both."""

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pkgutil import resolve_name
from typing import Any, TypeVar

from attrs import field, frozen

from sdk_core.backend import ClientOptions
from sdk_core.client import Client
from sdk_core.operation import Operation

__all__ = ["Program", "Setting"]

C = TypeVar("C", bound=Client)


@frozen(kw_only=True)
class Setting:
    """A value that a client is built from, and that is no argument of a command."""

    name: str
    """Its key in a profile, and (with dashes) the option of `auth login`."""
    variable: str
    """Its environment variable."""
    what: str
    """What it is, for help texts and the prompt."""
    secret: bool = False
    """Whether it is never an option, never shown, and kept in the keyring if there is one."""
    required: bool = True
    preference: bool = False
    """Whether it says neither whom to reach nor as whom: it may come from another source than the others."""
    header: bool = False
    """Whether each request has it in a header, beside the credential: the API can refuse it with any of them."""
    unless: str | None = None
    """Another setting that makes this one needless."""


@frozen(kw_only=True)
class Program:
    """The command line of one SDK."""

    name: str
    about: str
    settings: tuple[Setting, ...]
    login: str
    """The secret setting that `auth login` stores."""
    operations: tuple[Operation[Any], ...]
    """Each is a command, with signature and docstring of the client's method of its name."""
    workflows: tuple[Callable[..., Any], ...]
    """Each is a command, with its own signature and docstring."""
    client: type[Client]
    connect: Callable[[type[Any], Mapping[str, str], ClientOptions], Client]
    """Builds a client of a class, which is `client` or made of it, from settings by name."""
    follow_ups: Mapping[str, str] = field(factory=dict[str, str])
    """By name of an operation that takes effect later, which command tells when it has."""
    labels: Mapping[str, str] = field(factory=dict[str, str])
    """By name of a change that is answered with one value, what that value tells beside that it has happened."""
    credential_check: Operation[Any]
    """A read without arguments that tells whether the credential is accepted."""
    sandbox: str
    """`module:class` of the sandbox; it is imported when it is used."""
    sandbox_settings: Callable[[Any], Mapping[str, str]]
    """Returns the settings that reach a running sandbox."""
    sandbox_ids: Callable[[Any], str]
    """Returns the ids to begin with on a sandbox, in one short line."""
    place: Callable[[Mapping[str, str]], str]
    """Returns what a command with these settings would change, for the question: no secret."""
    bulk: str
    """`module:catalogue` of what a plan of many rows can ask for."""
    rate_limit: int | None
    """Attempts of an operation in a minute that the API permits; None: not documented."""
    demo: str
    """`module:coroutine function` of the demo; it is imported when it is used."""

    @property
    def profile_variable(self) -> str:
        """The environment variable that names the profile."""
        return f"{self.name.removesuffix('-sdk').upper()}_PROFILE"

    def new_sandbox(self) -> AbstractAsyncContextManager[Any]:
        """Return a sandbox that is not running yet."""
        sandbox: AbstractAsyncContextManager[Any] = resolve_name(self.sandbox)()
        return sandbox
