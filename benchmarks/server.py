"""The server all clients talk to: canned answers, on a core of its own, that never sleeps.

A server that waits for requests without sleeping answers at once, so that what is measured is the client.
"""

import asyncio
import itertools
import os
import re
import selectors
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, cast

from benchmarks.payloads import contracts

__all__ = [
    "EVERY_CALL_FAILS_ONCE",
    "EVERY_CALL_REFUSED_ONCE",
    "EVERY_TENTH_CALL_REFUSED_ONCE",
    "KINDS",
    "NEVER_ANSWERED",
    "ONE_CONTRACT",
    "TEN_CONTRACTS",
    "get_path",
    "post_path",
    "running_server",
]

KINDS: Final = 100
"""The customers that are answered alike are so many ids apart."""
ONE_CONTRACT: Final = 1
TEN_CONTRACTS: Final = 10
EVERY_TENTH_CALL_REFUSED_ONCE: Final = 11
EVERY_CALL_REFUSED_ONCE: Final = 2
NEVER_ANSWERED: Final = 3
EVERY_CALL_FAILS_ONCE: Final = 4

_CUSTOMER: Final = re.compile(rb"(?<=/memberships/)\d+")
_CONTENT_LENGTH: Final = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def get_path(customer_id: int) -> str:
    """Return where a customer's contracts are."""
    return f"/v1/memberships/{customer_id}/self-service/contract-data"


def post_path(customer_id: int) -> str:
    """Return where a customer's contract is canceled."""
    return f"/v1/memberships/{customer_id}/self-service/ordinary-contract-cancelation"


@contextmanager
def running_server(cpu: int | None) -> Generator[str]:
    """Run the server in a process of its own, pinned to `cpu`; give its URL. It never outlives this process."""
    command = [sys.executable, "-m", __name__, *([] if cpu is None else [str(cpu)])]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603
        assert process.stdin is not None  # noqa: S101
        assert process.stdout is not None  # noqa: S101
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.stdin.close()


def _response(status: str, body: bytes, *headers: str) -> bytes:
    lines = (
        f"HTTP/1.1 {status}",
        "Date: Thu, 01 Oct 2026 12:00:00 GMT",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *headers,
    )
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


_REFUSAL: Final = _response(
    "429 Too Many Requests", b'{"errorMessage":"Too many requests","errorCode":"RATE_LIMITED"}', "Retry-After: 0"
)
_FAILURE: Final = _response(
    "500 Internal Server Error", b'{"errorMessage":"Something went wrong","errorCode":"INTERNAL_ERROR"}'
)
_REFUSALS: Final = {
    EVERY_TENTH_CALL_REFUSED_ONCE: (_REFUSAL, 11),
    EVERY_CALL_REFUSED_ONCE: (_REFUSAL, 2),
    EVERY_CALL_FAILS_ONCE: (_FAILURE, 2),
}
"""For each of these customers an answer that is no success, and of how many requests one gets it."""
_UNKNOWN: Final = _response("404 Not Found", b'{"errorMessage":"No such path","errorCode":"NOT_FOUND"}')


def _kind(customer: re.Match[bytes]) -> bytes:
    return b"%d" % (int(customer[0]) % KINDS)


class _Exchange(asyncio.Protocol):
    """One connection."""

    answers: Final = {
        f"POST {post_path(ONE_CONTRACT)}".encode(): _response("200 OK", b'{"success":"OK"}'),
        f"GET {get_path(ONE_CONTRACT)}".encode(): _response("200 OK", contracts(1)),
        f"GET {get_path(TEN_CONTRACTS)}".encode(): _response("200 OK", contracts(10)),
        f"GET {get_path(NEVER_ANSWERED)}".encode(): b"",
    }
    refusing: Final = {
        f"GET {get_path(customer)}".encode(): itertools.cycle(
            [refusal] + [_response("200 OK", contracts(1))] * (requests - 1)
        )
        for customer, (refusal, requests) in _REFUSALS.items()
    }
    _unread = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._unread += data
        while (end := self._unread.find(b"\r\n\r\n")) >= 0:
            length = _CONTENT_LENGTH.search(self._unread, 0, end)
            after = end + 4 + (int(length[1]) if length else 0)
            if len(self._unread) < after:
                return
            request, self._unread = self._unread[: self._unread.index(b" HTTP/")], self._unread[after:]
            request = _CUSTOMER.sub(_kind, request)
            answer = self.answers.get(request)
            if answer is None:
                answer = next(self.refusing[request]) if request in self.refusing else _UNKNOWN
            self._transport.write(answer)


class _Sleepless(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:  # noqa: ARG002
        return super().select(0)


async def _serve() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Exchange, "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)  # noqa: T201
    # Whoever started us holds the other end: it says stop by closing it, or by dying.
    stop = asyncio.Event()
    loop.add_reader(sys.stdin, stop.set)
    await stop.wait()


def main() -> None:
    """Serve until standard input ends; with a core of its own, without sleeping."""
    selector: Any = selectors.DefaultSelector()
    if len(sys.argv) > 1:
        os.sched_setaffinity(0, {int(sys.argv[1])})
        selector = _Sleepless()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(_serve())


if __name__ == "__main__":
    main()
