"""A RabbitMQ node of a test's own, on free loopback ports: real, and gone when the test is over."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from redis_server import free_port

_STARTED_WITHIN = 60.0
"""Seconds: the node's virtual machine, its data, and its queues."""
_DEBIAN = "/usr/lib/rabbitmq/bin/rabbitmq-server"
"""The program itself; that on the PATH of Debian runs it as another user, who can't write to our folder."""


class RabbitMQServer:
    """A node that can be killed and started again; what was confirmed outlives that.

    Args:
        binary: the program.
        folder: where it keeps its data, its log and its cookie.
    """

    def __init__(self, binary: str, folder: Path) -> None:
        self._binary, self._folder = binary, folder
        self._port, names_port = free_port(), free_port()
        # Left to itself a node starts the server of names as a daemon, which would stay.
        self._names = subprocess.Popen(
            ["epmd", "-port", f"{names_port}", "-address", "127.0.0.1"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self._environment = {
            **os.environ,
            "HOME": str(folder),
            "ERL_EPMD_PORT": f"{names_port}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": "tests@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": f"{self._port}",
            "RABBITMQ_DIST_PORT": f"{free_port()}",
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
        }
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address; it stays the same after `restart`."""
        return f"amqp://guest:guest@127.0.0.1:{self._port}/"

    def start(self) -> None:
        """Start it, and wait until it takes connections."""
        with (self._folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._binary],
                env=self._environment,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # The program is a shell, which waits for the node.
                start_new_session=True,
            )
        give_up = time.monotonic() + _STARTED_WITHIN
        while not _answers(self._port):
            assert self._process.poll() is None, (self._folder / "output").read_text()
            assert time.monotonic() < give_up, (self._folder / "output").read_text()
            time.sleep(0.05)

    def restart(self) -> None:
        """Kill it, and start it again on the same port."""
        self._kill()
        self.start()

    def stop(self) -> None:
        """End it at once, and what it needed."""
        self._kill()
        self._names.kill()
        self._names.wait()

    def _kill(self) -> None:
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None


@contextmanager
def rabbitmq_server() -> Generator[RabbitMQServer]:
    """Run a RabbitMQ node: `.url` is its address. Without `rabbitmq-server` the test is skipped, and says so."""
    binary = shutil.which(_DEBIAN) or shutil.which("rabbitmq-server")
    if binary is None or shutil.which("epmd") is None:
        pytest.skip("needs rabbitmq-server (Debian: apt-get install rabbitmq-server): none on the PATH")
    with TemporaryDirectory(prefix="rabbitmq-", ignore_cleanup_errors=True) as folder:
        server = RabbitMQServer(binary, Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


def _answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
            connection.sendall(b"AMQP\0\0\x09\x01")
            # The method with which a node begins.
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
