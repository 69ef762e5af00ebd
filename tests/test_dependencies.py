"""R-37: what is required is a range, from a version that was tested to before one that nobody has seen."""

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

DOCUMENT = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
PROJECT = DOCUMENT["project"]
TEXTS = [
    *DOCUMENT["build-system"]["requires"],
    *PROJECT["dependencies"],
    *(text for extra in PROJECT["optional-dependencies"].values() for text in extra),
]
REQUIREMENTS = sorted({text for text in TEXTS if Requirement(text).name != PROJECT["name"]})


def test_a_dependency_has_a_lowest_version_and_a_limit() -> None:
    assert REQUIREMENTS
    for text in REQUIREMENTS:
        bounds = {bound.operator: Version(bound.version) for bound in Requirement(text).specifier}
        assert sorted(bounds) == ["<", ">="], text
        assert bounds[">="] < bounds["<"], text


def test_the_base_install_stays_small() -> None:
    assert len(PROJECT["dependencies"]) == 5
