"""`auth`: settings that are stored, shown without the secret, and deleted."""

import inspect
import os
import sys
from collections.abc import Callable
from typing import Annotated

from cyclopts import App, Parameter

from sdk_core.cli.exits import Exit
from sdk_core.cli.options import TOOL, Json, Profile
from sdk_core.cli.output import Output
from sdk_core.cli.parameters import with_signature
from sdk_core.cli.profiles import Profiles
from sdk_core.cli.program import Program, Setting
from sdk_core.cli.settings import ProfileName, ask_for, find, missing, profile_name
from sdk_core.cli.tables import columns
from sdk_core.errors import ConfigurationError

__all__ = ["add_auth"]


def add_auth(app: App, program: Program) -> None:
    """Add `auth login`, `auth status` and `auth logout`."""
    auth = App(
        name="auth", help="Store, show and delete the settings of a profile.", group=TOOL, group_commands="Commands"
    )

    def login(*, with_token: bool = False, profile: Profile = None, json: Json = False, **given: str | None) -> Exit:
        output = Output(program.name, json=json)
        try:
            return _login(program, output, profile_name(program, profile), given, with_token=with_token)
        except (ConfigurationError, OSError) as error:
            return output.failure(error, changes=False)

    def status(*, profile: Profile = None, json: Json = False) -> Exit:
        """Show which settings there are, and where they come from; never a secret."""
        output = Output(program.name, json=json)
        try:
            return _status(program, output, profile_name(program, profile))
        except ConfigurationError as error:
            return output.failure(error, changes=False)

    def logout(*, profile: Profile = None, json: Json = False) -> Exit:
        """Delete a profile, and its secret from the keyring."""
        output = Output(program.name, json=json)
        try:
            name = profile_name(program, profile).text
            deleted = Profiles(program.name).delete(name)
        except (ConfigurationError, OSError) as error:
            return output.failure(error, changes=False)
        output.say(f"the profile {name} is deleted" if deleted else f"there is no profile {name}")
        return output.result({"profile": name, "deleted": deleted}) if json else Exit.DONE

    secret = _secret(program)
    auth.command(
        _with_options(login, program),
        help=f"Store settings as a profile: {secret.what} goes into the keyring if there is one, else into a file that "
        "only you can read. It is read from stdin or asked for, and never an option.",
    )
    auth.command(status)
    auth.command(logout)
    app.command(auth)


def _with_options(login: Callable[..., Exit], program: Program) -> Callable[..., Exit]:
    """Give `login` an option for each setting that is no secret."""
    own = [each for each in inspect.signature(login).parameters.values() if each.kind is each.KEYWORD_ONLY]
    told = Annotated[bool, Parameter(help=f"Read {_secret(program).what} from stdin.")]
    options = [own[0].replace(annotation=told), *map(_option, program.settings), *own[1:]]
    signature = inspect.Signature([each for each in options if each is not None], return_annotation=Exit)
    return with_signature(login, signature)


def _option(setting: Setting) -> inspect.Parameter | None:
    if setting.secret:
        return None
    annotation = Annotated[str | None, Parameter(help=f"{setting.what}.", metavar="TEXT")]
    return inspect.Parameter(setting.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _login(
    program: Program, output: Output, profile: ProfileName, given: dict[str, str | None], *, with_token: bool
) -> Exit:
    profiles = Profiles(program.name)
    values = profiles.read(profile.text, secrets=False) | {name: value for name, value in given.items() if value}
    values.pop(program.login, None)
    if with_token and (token := sys.stdin.readline().strip()):
        values[program.login] = token
    if not with_token and not sys.stdin.isatty():
        return output.refused(f"stdin is no terminal: add `--with-token` to read {_secret(program).what} from it")
    wanted = missing(program, values)
    if wanted and (with_token or not sys.stderr.isatty()):
        only_secret = all(setting.secret for setting in wanted)
        return output.refused("; ".join(map(_needed, wanted)), Exit.CREDENTIAL if only_secret else Exit.USAGE)
    for setting in wanted:
        values[setting.name] = ask_for(setting)
    if not all(value.isprintable() for value in values.values()):
        return output.refused("settings must not hold control characters")
    # What a client refuses is not stored.
    program.connect(program.client, values, {})
    place = profiles.write(profile.text, values, program.login)
    doctor = f"{program.name} doctor" + profile.option
    output.say(f"stored as profile {profile}; the secret is in {place}. `{doctor}` tries it", "green")
    return Exit.DONE


def _secret(program: Program) -> Setting:
    return next(setting for setting in program.settings if setting.name == program.login)


def _needed(setting: Setting) -> str:
    """Return what a login lacks, where nobody can be asked for it."""
    if setting.secret:
        return f"{setting.name} is missing: there is nothing on stdin, from which `--with-token` reads it"
    said = f"`auth login` needs `--{setting.name.replace('_', '-')}` ({setting.what})"
    return f"{said}: a profile takes nothing from {setting.variable}" if setting.variable in os.environ else said


def _status(program: Program, output: Output, profile: ProfileName) -> Exit:
    found = find(program, profile)
    rows = [
        (setting.name, "***" if setting.secret else found[setting.name].value, found[setting.name].source)
        for setting in program.settings
        if setting.name in found
    ]
    wanted = missing(program, found)
    document = {
        "profile": profile.text,
        "settings": {name: {"value": value, "source": source} for name, value, source in rows},
        "missing": [setting.name for setting in wanted],
    }
    output.show(document, columns(("setting", "value", "from"), rows))
    for setting in wanted:
        output.say(f"missing: {setting.name}, {setting.what}")
    return Exit.CREDENTIAL if wanted else Exit.DONE
