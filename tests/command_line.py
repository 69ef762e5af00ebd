"""What tests of the command lines share."""

from typing import Any

import pytest

from cloudcockpit_sdk.cli import PROGRAM as CLOUDCOCKPIT
from cloudcockpit_sdk.sandbox import CloudCockpitSandbox
from membership_sdk.cli import PROGRAM as MEMBERSHIP


def reach(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the environment to a running sandbox."""
    program = CLOUDCOCKPIT if isinstance(sandbox, CloudCockpitSandbox) else MEMBERSHIP
    variables = {setting.name: setting.variable for setting in program.settings}
    for name, value in program.sandbox_settings(sandbox).items():
        monkeypatch.setenv(variables[name], value)
