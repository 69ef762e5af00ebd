"""What type checkers are told: an enumeration that an API may extend is not closed, and how a class is called."""

import inspect
import os
import re
import subprocess
import sys
from enum import Enum
from pathlib import Path
from typing import Any

import attrs
import pytest
from model_json import ENUMS

import cloudcockpit_sdk
import membership_sdk

ROOT = Path(__file__).parents[2]
PATHS = os.pathsep.join((str(ROOT), str(ROOT / "shared")))
REFUSED = "    assert_never(value)  # a new value would crash here"


def branches(enum: type[Enum]) -> str:
    """Return a program with a branch for every known value: in one function, with one for all others."""
    name = enum.__name__
    cases = "".join(f"        case {name}.{member.name}:\n            return 1\n" for member in enum)
    conditions = "".join(f"    if value is {name}.{member.name}:\n        return 1\n" for member in enum)
    return (
        f"\nfrom {enum.__module__} import {name}\n\n"
        f"def match_{name}(value: {name}) -> int:\n    match value:\n{cases}        case _:\n            return 2\n\n"
        f"def compare_{name}(value: {name}) -> int:\n{conditions}    return 2\n\n"
        f"def fail_{name}(value: {name}) -> int:\n{conditions}{REFUSED}\n"
    )


def construction(cls: type) -> str:
    """Return a program that makes one, each argument by its name."""
    name = cls.__name__
    parameters = [*inspect.signature(cls).parameters]
    declared = "".join(f"{parameter}: Any, " for parameter in parameters)
    passed = ", ".join(f"{parameter}={parameter}" for parameter in parameters)
    argument = "[Any]" if getattr(cls, "__parameters__", ()) else ""
    return (
        f"\nfrom {cls.__module__} import {name}\n\n"
        f"def make_{name}({declared}) -> {name}{argument}:\n    return {name}({passed})\n\n"
    )


OFFERED: list[Any] = [getattr(sdk, name) for sdk in (membership_sdk, cloudcockpit_sdk) for name in sdk.__all__]
CLASSES = [*dict.fromkeys(cls for cls in OFFERED if isinstance(cls, type) and attrs.has(cls))]
"""All that users can make: models, and what the core offers."""
PROGRAM = "# pyright: strict\nfrom typing import Any, assert_never\n" + "".join(
    [*map(branches, ENUMS), *map(construction, CLASSES)]
)


@pytest.mark.parametrize(
    "checker",
    [
        pytest.param(["mypy", "--strict", "--warn-unreachable", "--cache-dir", "cache"], id="mypy"),
        pytest.param(["pyright", "--pythonpath", sys.executable], id="pyright"),
    ],
)
@pytest.mark.endurance
def test_what_a_program_may_do_is_what_type_checkers_allow(checker: list[str], tmp_path: Path) -> None:
    """A branch for unknown values is reachable, and can't be ruled out; each class takes its arguments by name."""
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "-m", *checker, "program.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": PATHS, "MYPYPATH": PATHS},
        capture_output=True,
        text=True,
        check=False,
    )
    lines = PROGRAM.splitlines()
    found = [lines[int(number) - 1] for number in re.findall(r"program\.py:(\d+)\S* (?:- )?error", done.stdout)]
    assert found == [REFUSED] * len(ENUMS), done.stdout + done.stderr


def test_the_member_for_type_checkers_is_none() -> None:
    assert [enum.__name__ for enum in ENUMS if hasattr(enum, "_UNLISTED")] == []
