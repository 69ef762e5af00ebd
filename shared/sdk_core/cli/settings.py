"""Where a client's settings come from: the environment, then the profile, then a question on a terminal."""

import getpass
import os
import sys
from collections.abc import Mapping

from attrs import field, frozen

from sdk_core.cli.exits import Exit
from sdk_core.cli.profiles import DEFAULT_PROFILE, Profiles
from sdk_core.cli.program import Program, Setting

__all__ = ["Found", "MissingSettingError", "ask_for", "find", "missing", "profile_name", "settings_of"]


@frozen
class Found:
    """A setting's value, and where it comes from."""

    value: str = field(repr=False)
    source: str


class MissingSettingError(Exception):
    """A setting is missing, and nobody can be asked for it."""

    def __init__(self, program: Program, setting: Setting) -> None:
        super().__init__(
            f"{setting.name} is missing ({setting.what}): set {setting.variable}, or store it with "
            f"`{program.name} auth login`"
        )
        self.exit: Exit = Exit.CREDENTIAL if setting.secret else Exit.USAGE


def profile_name(program: Program, given: str | None) -> str:
    """Return the name of the profile to use: the option's, the environment's, or the default."""
    return given or os.environ.get(program.profile_variable) or DEFAULT_PROFILE


def find(program: Program, profile: str, *, secrets: bool = True) -> dict[str, Found]:
    """Return the settings that are there, without asking for any.

    Raises:
        ConfigurationError: the file of profiles is refused or can't be read.
    """
    wanted = {setting.name: setting for setting in program.settings if secrets or not setting.secret}
    found = {
        name: Found(value, setting.variable)
        for name, setting in wanted.items()
        if (value := os.environ.get(setting.variable, "").strip())
    }
    if all(name in found for name, setting in wanted.items() if setting.required):
        # Who has set everything needs no file, and no keyring.
        return found
    secrets = secrets and program.login not in found
    for name, value in Profiles(program.name).read(profile, secrets=secrets).items():
        if name in wanted:
            found.setdefault(name, Found(value, f"profile {profile}"))
    return found


def settings_of(program: Program, profile: str, *, secret: str | None = None) -> dict[str, str]:
    """Return all settings by name; what is missing is asked for if there is a terminal.

    Args:
        program: whose settings.
        profile: where those are that the environment does not have.
        secret: what stands for each secret; None: the secret itself.

    Raises:
        MissingSettingError: a setting is missing, and there is no terminal.
        ConfigurationError: the file of profiles is refused or can't be read.
    """
    values = {name: found.value for name, found in find(program, profile, secrets=secret is None).items()}
    if secret is not None:
        values |= {setting.name: secret for setting in program.settings if setting.secret}
    for setting in missing(program, values):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise MissingSettingError(program, setting)
        values[setting.name] = ask_for(setting)
    return values


def missing(program: Program, values: Mapping[str, object]) -> list[Setting]:
    """Return the settings that are needed and not there."""
    return [
        setting
        for setting in program.settings
        if setting.required and setting.name not in values and setting.unless not in values
    ]


def ask_for(setting: Setting) -> str:
    """Ask for a setting on the terminal; a secret is not shown while it is typed."""
    question = f"{setting.what}: "
    while True:
        if setting.secret:
            answer = getpass.getpass(question, sys.stderr)
        else:
            sys.stderr.write(question)
            sys.stderr.flush()
            answer = input()
        if answer.strip():
            return answer.strip()
