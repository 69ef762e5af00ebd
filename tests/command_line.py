"""What tests of the command lines share."""

import json
from typing import Any, Final

import pytest

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP

_COMMANDS: Final = """
import json, os, sys
from membership_sdk.__main__ import main

for environment, *arguments in json.loads(sys.argv[1]):
    os.environ |= environment
    sys.argv[1:] = map(str, arguments)
    print("ended with", main(), file=sys.stderr, flush=True)
    for name in environment:
        del os.environ[name]
"""

Command = tuple[dict[str, str], *tuple[object, ...]]


def one_process(*commands: Command) -> list[str]:
    """Return the arguments of a Python that runs commands of membership-sdk one after another, as their names do.

    After each, it writes `ended with` and the exit code to stderr.

    Args:
        *commands: the environment that it has more, and its arguments.
    """
    return ["-c", _COMMANDS, json.dumps(commands, default=str)]


def reach(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to a running sandbox."""
    program = CLOUDCOCKPIT if isinstance(sandbox, CloudCockpitSandbox) else MEMBERSHIP
    variables = {setting.name: setting.variable for setting in program.settings}
    for name, value in program.sandbox_settings(sandbox).items():
        monkeypatch.setenv(variables[name], value)
