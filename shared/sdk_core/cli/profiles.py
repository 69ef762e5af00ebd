"""Profiles: settings by name in a TOML file that only its owner can read, the secret in the keyring if there is one."""

import json
import os
import stat
import sys
import tomllib
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Final

from platformdirs import user_config_path

from sdk_core import codec
from sdk_core.errors import ConfigurationError

__all__ = ["DEFAULT_PROFILE", "Profiles"]

DEFAULT_PROFILE: Final = "default"
_IN_KEYRING: Final = "in_keyring"
"""The key of a profile that names which of its settings is in the keyring."""
_PATIENCE: Final = 10.0
"""Seconds to wait for another process that changes the profiles."""
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Profiles:
    """The profiles of one program.

    Args:
        program: its name: the folder's in the platform's place for settings, and the service's in the keyring.
    """

    def __init__(self, program: str) -> None:
        self._program = program
        self.path: Path = user_config_path(program, appauthor=False) / "profiles.toml"

    def names(self, profile: str) -> frozenset[str]:
        """Return which settings a profile has, that in the keyring, too; none: there is no such profile.

        Errors as of `read`.
        """
        kept = self._all().get(profile, {})
        return frozenset(kept.get(name, name) if name == _IN_KEYRING else name for name in kept)

    def read(self, profile: str, *, secrets: bool = True) -> dict[str, str]:
        """Return a profile's settings; empty if there is no such profile.

        Args:
            profile: its name.
            secrets: whether to look into the keyring, too.

        Raises:
            ConfigurationError: the file is another's, can be read by others, or can't be read.
        """
        kept = self._all().get(profile, {})
        name = kept.pop(_IN_KEYRING, None)
        if name is not None and secrets:
            secret = _keyring_get(self._program, f"{profile}/{name}")
            if secret is None:
                raise ConfigurationError(
                    f"the profile {profile!r} keeps its {name} in the keyring, which does not have it (any more): "
                    f"`{self._program} auth login` stores it again"
                )
            kept[name] = secret
        return kept

    def write(self, profile: str, settings: Mapping[str, str], secret: str) -> str:
        """Replace a profile; return where its secret is now: `keyring`, or the file's path.

        Args:
            profile: its name.
            settings: all of them, by name.
            secret: the name of the one that is to go into the keyring.

        Raises:
            ConfigurationError: as of `read`, or another process is at it and does not end.
            OSError: the file can't be written.
        """
        kept = dict(settings)
        if secret in kept and _keyring_set(self._program, f"{profile}/{secret}", kept[secret]):
            del kept[secret]
            kept[_IN_KEYRING] = secret
        with self._alone():
            self._replace({**self._all(), profile: kept})
        return "the keyring" if _IN_KEYRING in kept else str(self.path)

    def delete(self, profile: str) -> bool:
        """Delete a profile and its secret; False if there was none. Errors as of `write`."""
        if profile not in self._all():
            return False
        with self._alone():
            profiles = self._all()
            kept = profiles.pop(profile, {})
            if _IN_KEYRING in kept:
                _keyring_delete(self._program, f"{profile}/{kept[_IN_KEYRING]}")
            self._replace(profiles)
        return True

    @contextmanager
    def _alone(self) -> Generator[None]:
        """Have no other process change the profiles: what it writes between our reading and writing would be lost."""
        # Imported here: all commands read profiles, and hardly one changes them.
        import sqlite3  # noqa: PLC0415

        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = self.path.with_name(f"{self.path.name}-lock")
        file.touch(mode=0o600)
        # SQLite locks a file on all systems, and who ends in the middle lets go of it.
        with closing(sqlite3.connect(file, timeout=_PATIENCE, isolation_level=None)) as held:
            try:
                held.execute("begin exclusive")
            except sqlite3.OperationalError as error:
                raise ConfigurationError(f"{self.path} can't be changed: {error}: {file.name}") from None
            yield

    def _all(self) -> dict[str, dict[str, str]]:
        try:
            with self.path.open("rb") as file:
                self._check(os.fstat(file.fileno()))
                found = tomllib.load(file)
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            # The decoder's text names line and column, and may show a character: no more than that.
            what = error.strerror if isinstance(error, OSError) else "it is no TOML"
            raise ConfigurationError(f"{self.path} can't be read: {what}") from None
        tables = {profile: codec.as_object(table) for profile, table in found.items()}
        return {
            profile: {name: value for name, value in table.items() if isinstance(value, str)}
            for profile, table in tables.items()
        }

    def _check(self, status: os.stat_result) -> None:
        # Windows keeps a user's folder to the user, and has no such bits.
        if sys.platform == "win32":
            return
        if status.st_uid != os.geteuid():
            raise ConfigurationError(f"{self.path} is refused: it belongs to another user")
        if status.st_mode & _OTHERS:
            raise ConfigurationError(f"{self.path} is refused: others can read or change it. chmod 600 '{self.path}'")

    def _replace(self, profiles: Mapping[str, Mapping[str, str]]) -> None:
        # A temporary file can be read by its owner only, from the moment it is there.
        with NamedTemporaryFile("w", encoding="utf-8", dir=self.path.parent, delete=False) as file:
            try:
                file.write("\n".join(_lines(profiles)) + "\n")
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).replace(self.path)
            except BaseException:
                with suppress(OSError):
                    Path(file.name).unlink()
                raise


def _lines(profiles: Mapping[str, Mapping[str, str]]) -> list[str]:
    lines: list[str] = []
    for profile, settings in profiles.items():
        lines.append(f"[{_quoted(profile)}]")
        lines += [f"{name} = {_quoted(value)}" for name, value in settings.items()]
        lines.append("")
    return lines[:-1]


def _quoted(text: str) -> str:
    """Return text as TOML has it: JSON's escapes are among those of TOML, which wants DEL escaped, too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


# The keyring is imported when it is used: it is nobody's dependency, and looks for the platform's services.


def _keyring_get(service: str, name: str) -> str | None:
    try:
        secret: str | None = import_module("keyring").get_password(service, name)
    except Exception:  # noqa: BLE001  not installed, locked, or without a service: what a backend raises is its own
        return None
    return secret


def _keyring_set(service: str, name: str, secret: str) -> bool:
    with suppress(Exception):
        import_module("keyring").set_password(service, name, secret)
    # Some backends take anything and keep nothing.
    return _keyring_get(service, name) == secret


def _keyring_delete(service: str, name: str) -> None:
    with suppress(Exception):
        import_module("keyring").delete_password(service, name)
