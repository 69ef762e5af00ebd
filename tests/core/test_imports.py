"""What may import what: the layout of the code, as CONTRIBUTING states it."""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {"membership_sdk": ROOT, "cloudcockpit_sdk": ROOT, "sdk_core": ROOT / "shared"}


def _modules() -> dict[str, Path]:
    found: dict[str, Path] = {}
    for package, folder in PACKAGES.items():
        for file in sorted((folder / package).rglob("*.py")):
            parts = file.relative_to(folder).with_suffix("").parts
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


MODULES = _modules()


def _imports(file: Path) -> Iterator[str]:
    """Give the modules that are imported, wherever in the file."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (name if name in MODULES else node.module for name in names)


@cache
def _all_imports() -> dict[str, set[str]]:
    return {module: set(_imports(file)) for module, file in MODULES.items()}


def _importing(*names: str) -> set[str]:
    return {module for module, imported in _all_imports().items() if any(_is_in(other, *names) for other in imported)}


def _is_in(module: str, *names: str) -> bool:
    return any(module == name or module.startswith(f"{name}.") for name in names)


# Its fixtures are for both APIs.
PLUGIN = "sdk_core.integrations.pytest_plugin"


@pytest.mark.parametrize("package", ["membership_sdk", "cloudcockpit_sdk"])
def test_packages_know_nothing_of_each_other(package: str) -> None:
    assert {module for module in _importing(package) if not _is_in(module, package)} == {PLUGIN}


@pytest.mark.parametrize(
    ("room", "users"),
    [
        ("sandbox", (PLUGIN,)),
        ("cli", ()),
        ("integrations", ("sdk_core.cli.bulk_parts",)),
        ("bulk", ("sdk_core.cli",)),
    ],
)
def test_core_does_without_what_is_built_on_it(room: str, users: tuple[str, ...]) -> None:
    core = {module for module in _importing(f"sdk_core.{room}") if _is_in(module, "sdk_core")}
    assert {module for module in core if not _is_in(module, f"sdk_core.{room}", *users)} == set()


@pytest.mark.parametrize(
    ("library", "rooms"),
    [
        ("cattrs", {"sdk_core.codec.rules"}),
        # For values that are handed on in the core, and those that each call and each row of a bulk run makes, too.
        ("msgspec", {"sdk_core.bulk", "sdk_core.codec", "sdk_core.call", "sdk_core.transport.timer", "sdk_core.value"}),
        ("tenacity", {"sdk_core.retry"}),
        ("starlette", {"sdk_core.integrations.asgi"}),
        ("pydantic", {"sdk_core.pydantic_schema", "sdk_core.model"}),
        ("pydantic_core", {"sdk_core.pydantic_schema", "sdk_core.model"}),
        ("opentelemetry", {"sdk_core.integrations.opentelemetry"}),
        ("celery", {"sdk_core.integrations.celery"}),
        ("docket", {"sdk_core.bulk.docket", "sdk_core.integrations.docket"}),
        ("redis", {"sdk_core.bulk.docket", "sdk_core.integrations.redis", "sdk_core.integrations.redis_clients"}),
        ("pytest", {PLUGIN}),
        # Of profiles, it locks the file.
        ("sqlite3", {"sdk_core.bulk", "sdk_core.cli.profiles"}),
        ("rich", {"sdk_core.cli"}),
        ("cyclopts", {"sdk_core.cli"}),
        ("platformdirs", {"sdk_core.cli"}),
    ],
)
def test_libraries_stay_in_their_rooms(library: str, rooms: set[str]) -> None:
    users = _importing(library)
    assert users
    assert {module for module in users if not _is_in(module, *rooms)} == set()


def test_no_module_imports_itself_through_others() -> None:
    pending = {module: {other for other in _all_imports()[module] if other in MODULES} - {module} for module in MODULES}
    # A package imports its parts, which may import others of its parts.
    while free := {module for module, others in pending.items() if not others & pending.keys()}:
        pending = {module: others for module, others in pending.items() if module not in free}
    assert pending == {}


def test_errors_are_read_by_their_properties() -> None:
    readers = {
        module
        for module, file in MODULES.items()
        if ".args[1]" in file.read_text(encoding="utf-8") and module != "sdk_core.errors"
    }
    assert readers == set()
