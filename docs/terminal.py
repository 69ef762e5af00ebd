"""Runs the `console` blocks of a page as a reader types them: each in a terminal of its own, in the page's folder.

- `$ ` begins a command, and what is below it must be what it prints. `...` stands for anything, a date for any date.
- A block below `<!-- console: a server -->` ends with Ctrl-C only: it is started, must come to print what is shown,
  and is ended with its page. A sandbox is there already (conftest.py); tests/test_sandbox_program.py starts it so.
- A block below `<!-- console: not run, it needs a package index -->` installs: extras and packages are compared with
  pyproject.toml.
- A block below `<!-- console: not run, tests/x.py does it -->` needs what few machines have: the test has its words.

Ports are free ones in place of those that are written, and 6379 is that of a Redis of the page's own.
"""

import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, Final
from urllib.parse import urlsplit

import pytest
from alone import written
from redis_server import redis_server
from sybil import Example

__all__ = ["Terminals", "not_installable"]

_ROOT: Final = Path(__file__).parents[1]
_PORT: Final = re.compile(r"(?<=127\.0\.0\.1:)\d+|(?<=--port )\d+|(?<=PORT=)\d+")
_REDIS_PORT: Final = "6379"
_DIRECTIVE: Final = re.compile(r"<!-- console: (.+) -->\s*\Z")
_RUN_BY: Final = re.compile(r"not run, (tests/\S+\.py) does it")
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d(?:[ T]\d\d:\d\d:\d\d(?:[+-]\d\d:\d\d)?)?")
_ANYTHING: Final = re.compile(rf"({_DATE.pattern}|\.\.\.)")
_END: Final = "-- the end of a command:"
_PATIENCE: Final = 30.0
"""Seconds for a block, on a machine that does much else."""


class Terminals:
    """The terminals of a page.

    Args:
        folder: where its files are saved and its commands run.
        addresses: as the page writes them, and of what runs there.
        stack: ends what was started.
    """

    def __init__(self, folder: Path, addresses: Mapping[str, str], stack: ExitStack) -> None:
        self._folder = folder
        self._stack = stack
        self._ports = {written.rpartition(":")[2]: served.rpartition(":")[2] for written, served in addresses.items()}
        self._there = [f"The sandbox answers at {served}" for served in addresses.values()]
        self._started: set[int] = set()
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        (home / ".curlrc").write_text("silent\nshow-error\n")
        # What a page exports itself, and what would change the look of output.
        unset = ("MEMBERSHIP", "CLOUDCOCKPIT", "REDIS_URL", "PYTEST_", "FORCE_COLOR")
        here = {name: value for name, value in os.environ.items() if not name.startswith(unset)}
        path = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        packages = os.pathsep.join((str(_ROOT), str(_ROOT / "shared")))
        self._environment = here | {"PATH": path, "PYTHONPATH": packages, "HOME": str(home), "COLUMNS": "120"}
        self._environment |= {"XDG_CONFIG_HOME": str(home), "PYTHONUNBUFFERED": "1"}
        # Of the plugins that are installed here, a reader has only this one.
        self._environment |= {
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTEST_PLUGINS": "sdk_core.integrations.pytest_plugin",
        }

    def save(self, example: Example) -> None:
        """Save a file that the page shows."""
        shown = (Path(example.path).parent / example.parsed).resolve()
        (self._folder / shown.name).write_text(self._with_ports(shown.read_text()))

    def run(self, example: Example) -> None:
        """Run a block, or start it, or compare what it would install."""
        for program in ("/bin/sh", "curl"):
            if shutil.which(program) is None:
                pytest.skip(f"{program} is not installed")
        commands = _commands(self._with_ports(str(example.parsed)))
        match _directive(example):
            case None:
                self._run(commands)
            case "a server":
                self.serve(example)
            case "not run, it needs a package index":
                complaints = [said for command, _ in commands for said in not_installable(command)]
                assert complaints == [], f"pyproject.toml knows nothing of {complaints}"
            case other:
                test = _RUN_BY.fullmatch(other)
                assert test is not None, f"no directive of console blocks: {other}"
                text = (_ROOT / test[1]).read_text()
                missing = [word for command, _ in commands for word in shlex.split(command) if word not in text]
                assert missing == [], f"{test[1]} does not run it: {missing}"

    def serve(self, example: Example) -> None:
        """Start a block that is a server, unless it is started already."""
        if _directive(example) == "a server" and example.start not in self._started:
            self._started.add(example.start)
            self._serve(_commands(self._with_ports(str(example.parsed))))

    def _run(self, commands: list[tuple[str, str]]) -> None:
        script = "\n".join(f"{command}\nprintf '\\n{_END} %s\\n' $?" for command, _ in commands)
        with tempfile.TemporaryFile("a+") as output:
            process = self._start(script, output)
            try:
                process.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                pytest.fail(f"is it a server? After {_PATIENCE:.0f} s it had printed:\n{_read(output)}")
            finally:
                _end(process)
            printed = _read(output)
        *parts, _rest = re.split(rf"\n{_END} (\d+)\n", printed)
        assert len(parts) == 2 * len(commands), f"it ended too early, and had printed:\n{printed}"
        for (command, shown), text, status in zip(commands, parts[::2], parts[1::2], strict=True):
            assert status == "0", f"$ {command}\n{text}\nended with {status}"
            as_shown = not shown or _pattern(shown).fullmatch(text.strip())
            assert as_shown, f"$ {command}\nprinted\n{text}\nand not\n{shown}"

    def _serve(self, commands: list[tuple[str, str]]) -> None:
        *first, (command, shown) = commands
        assert shown, f"show what {command!r} prints when it is ready"
        if re.fullmatch(r"\w+-sdk sandbox --port \d+", command) and shown in self._there:
            return
        output = self._stack.enter_context(tempfile.TemporaryFile("a+"))  # noqa: SIM115  it is one
        process = self._start("\n".join(("set -e", *(command for command, _ in first), f"exec {command}")), output)
        self._stack.callback(_end, process)
        until = time.monotonic() + _PATIENCE
        while not _pattern(shown).match(_read(output)):
            if process.poll() is not None or time.monotonic() > until:
                raise AssertionError(f"$ {command}\nprinted\n{_read(output)}\nand not\n{shown}")
            time.sleep(0.02)

    def _start(self, script: str, output: IO[str]) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  the page's own commands
            ("/bin/sh", "-c", script),
            cwd=self._folder,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _with_ports(self, text: str) -> str:
        return _PORT.sub(lambda port: self._port(port[0]), text)

    def _port(self, written: str) -> str:
        if written not in self._ports:
            if written == _REDIS_PORT:
                self._ports[written] = str(urlsplit(self._stack.enter_context(redis_server()).url).port)
            else:
                with socket.create_server(("127.0.0.1", 0)) as free:
                    self._ports[written] = str(free.getsockname()[1])
        return self._ports[written]


def not_installable(command: str) -> list[str]:
    """Return what of a command's extras and packages pyproject.toml does not know; and what is no installation."""
    extras = tomllib.loads((_ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    known = {re.split(r"[\[<>=]", line)[0] for lines in extras.values() for line in lines}
    complaints = []
    for part in re.split(r" && ", command):
        words = shlex.split(part, comments=True)
        if words[:2] == ["python", "-m"]:
            del words[:2]
        if words[:2] == ["pip", "install"]:
            wanted = [word for word in words[2:] if word != "-e"]
            own = [word for word in wanted if word.startswith(".")]
            complaints += [word for word in set(wanted) - {*own} if word not in known]
            complaints += [extra for word in own for extra in re.findall(r"\w+", word) if extra not in extras]
        elif words[0] not in {"venv", "."}:
            complaints.append(f"{part!r} installs nothing: let it run")
    return complaints


def _directive(example: Example) -> str | None:
    found = _DIRECTIVE.search(example.document.text[: example.start])
    return found and found[1]


def _commands(block: str) -> list[tuple[str, str]]:
    """Return each command with what it is shown to print."""
    found: list[tuple[str, str]] = []
    goes_on = False
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], ""))
        elif goes_on:
            found[-1] = (f"{found[-1][0]}\n{line}", "")
        else:
            command, shown = found[-1]
            found[-1] = (command, f"{shown}\n{line}".strip())
        goes_on = line.endswith("\\") and not found[-1][1]
    return found


def _pattern(shown: str) -> re.Pattern[str]:
    parts = _ANYTHING.split(shown)
    kinds = {True: ".*", False: _DATE.pattern}
    wanted = (kinds[part == "..."] if number % 2 else re.escape(part) for number, part in enumerate(parts))
    return re.compile("".join(wanted), re.DOTALL)


def _read(output: IO[str]) -> str:
    """Return all that was printed, without spaces at the ends of lines."""
    return "\n".join(line.rstrip() for line in f"{written(output)} ".splitlines())


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a server, and what it has started."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, ending)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_PATIENCE)
