"""Where a client's settings come from: a profile that is named, or the environment, then a profile; then a question.

One studio's key must not go to another's URL: whom to reach, and as whom, is told by one source.
"""

import getpass
import os
import shlex
import sys
from collections.abc import Mapping

from attrs import field, frozen

from sdk_core.cli.exits import Exit
from sdk_core.cli.profiles import DEFAULT_PROFILE, Profiles
from sdk_core.cli.program import Program, Setting
from sdk_core.errors import ConfigurationError

__all__ = ["Found", "MissingSettingError", "ProfileName", "ask_for", "find", "missing", "profile_name", "settings_of"]


@frozen
class Found:
    """A setting's value, and where it comes from."""

    value: str = field(repr=False)
    source: str
    """The variable, or the profile, by its name."""
    login: str | None = None
    """The command that stores another; None: it is no profile's."""


@frozen
class ProfileName:
    """A profile's name, and who said it."""

    text: str
    first: bool = False
    """Whether `--profile` named it: it goes before the environment then, with all its settings."""
    named: bool = False
    """Whether somebody named it: it has to be there then."""

    def __str__(self) -> str:
        return self.text

    @property
    def option(self) -> str:
        """What a command needs to use it, with a space before it; empty for the default."""
        return "" if self.text == DEFAULT_PROFILE else f" --profile {shlex.quote(self.text)}"

    def login(self, program: Program) -> str:
        """Return the command that stores it."""
        return f"`{program.name} auth login{self.option}`"


class MissingSettingError(Exception):
    """A setting is missing, and nobody can be asked for it."""

    def __init__(self, program: Program, setting: Setting, profile: ProfileName) -> None:
        where = f"the profile {profile} lacks it: " if profile.first else f"set {setting.variable}, or "
        super().__init__(f"{setting.name} is missing ({setting.what}): {where}store it with {profile.login(program)}")
        self.exit: Exit = Exit.CREDENTIAL if setting.secret else Exit.USAGE


def profile_name(program: Program, given: str | None) -> ProfileName:
    """Return the name of the profile to use: the option's, the environment's, or the default.

    Raises:
        ConfigurationError: the option is empty, as it is in a script whose variable is not set.
    """
    if given is not None:
        if not given:
            raise ConfigurationError("--profile is empty: name a profile, or leave the option out")
        return ProfileName(given, first=True, named=True)
    name = os.environ.get(program.profile_variable)
    return ProfileName(name, named=True) if name else ProfileName(DEFAULT_PROFILE)


def find(program: Program, profile: ProfileName, *, secrets: bool = True) -> dict[str, Found]:
    """Return the settings that are there, without asking for any.

    A profile that `--profile` names has them all: what it lacks is missing. Otherwise the environment goes before the
    profile, unless they tell different things of whom to reach, and as whom.

    Args:
        program: whose settings.
        profile: where those are that the environment does not have.
        secrets: whether to return secrets, too; else the keyring is not looked into.

    Raises:
        ConfigurationError: a profile that was named does not exist, the two sources contradict each other, or the file
            of profiles is refused or can't be read.
    """
    profiles = Profiles(program.name)
    if profile.named and not profiles.names(profile.text):
        raise ConfigurationError(f"there is no profile {profile}; {profile.login(program)} makes it")
    found = {} if profile.first else _of_environment(program)
    if profile.first or missing(program, found):
        # Who has set everything in the environment needs no file, and no keyring.
        _refuse_mixture(program, found, profiles, profile)
        kept = profiles.read(profile.text, secrets=secrets)
        found = {
            name: Found(value, f"profile {profile}", profile.login(program)) for name, value in kept.items()
        } | found
    wanted = [setting.name for setting in program.settings if secrets or not setting.secret]
    return {name: found[name] for name in wanted if name in found}


def _of_environment(program: Program) -> dict[str, Found]:
    return {
        setting.name: Found(value, setting.variable)
        for setting in program.settings
        if (value := os.environ.get(setting.variable, "").strip())
    }


def _refuse_mixture(program: Program, found: Mapping[str, Found], profiles: Profiles, profile: ProfileName) -> None:
    """Raise ConfigurationError if what the environment has does not belong to what the profile has."""
    bound = [setting for setting in program.settings if not setting.preference]
    names = profiles.names(profile.text)
    added = [setting for setting in bound if setting.name in names and setting.name not in found]
    kept = profiles.read(profile.text, secrets=False) if added else {}
    for setting in bound:
        # What is the same in both comes from both. Secrets are not compared: that would take the keyring.
        same = not setting.secret and setting.name in found and kept.get(setting.name) == found[setting.name].value
        if added and setting.name in found and not same:
            raise ConfigurationError(
                f"{setting.variable} is set, but {added[0].variable} is not, and that of the profile {profile} may "
                f"belong to another account: set both, or unset {setting.variable}, or name the profile with --profile"
            )


def settings_of(program: Program, profile: ProfileName, *, secret: str | None = None) -> dict[str, str]:
    """Return all settings by name; what is missing is asked for if there is a terminal.

    Args:
        program: whose settings.
        profile: see `find`.
        secret: what stands for each secret; None: the secret itself.

    Raises:
        MissingSettingError: a setting is missing, and there is no terminal.
        ConfigurationError: see `find`.
    """
    values = {name: found.value for name, found in find(program, profile, secrets=secret is None).items()}
    if secret is not None:
        values |= {setting.name: secret for setting in program.settings if setting.secret}
    for setting in missing(program, values):
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise MissingSettingError(program, setting, profile)
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
