"""R-16: a call does no work of files, TLS settings, name resolution or imports in the event loop's thread."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from wire import CannedAnswer, WireServer

from membership_sdk import MembershipClient, NotFoundError, RetryPolicy

ROOT = Path(__file__).parents[2]

# In a process of its own: what is imported by the first request of all would not be seen here.
_GUARDED = """
import asyncio, ssl, sys, threading
from uuid import UUID
from pathlib import Path
import trustme
from wire import DROP, FakeTime, CannedAnswer, WireServer
from cloudcockpit_sdk import ClientCredentials, CloudCockpitClient
from membership_sdk import Document, MembershipClient, RetryPolicy, SdkError, VoidResult
from sdk_core.operation import Effect, Operation

PATH = Path(sys.argv[1])
BLOCKING = {
    "import", "open", "os.listdir", "os.scandir", "subprocess.Popen", "time.sleep",
    "socket.getaddrinfo", "socket.gethostbyname",
}
LOOP = threading.get_ident()
guarded, seen = False, []

def watch(event, arguments):
    if guarded and event in BLOCKING and threading.get_ident() == LOOP:
        seen.append(event)

sys.addaudithook(watch)
for name in ("load_verify_locations", "load_default_certs", "set_default_verify_paths", "load_cert_chain"):
    def note(self, *arguments, _name=name, _original=getattr(ssl.SSLContext, name)):
        if guarded:
            seen.append(_name)
        return _original(self, *arguments)
    setattr(ssl.SSLContext, name, note)

READ = Operation(name="read_it", method="GET", path="/it", returns=VoidResult, effect=Effect.READ)
UPLOAD = Operation(name="upload_it", method="POST", path="/it", body=dict, multipart=True, returns=VoidResult,
                   effect=Effect.WRITE)
SUBSCRIPTION = {"customer_id": UUID(int=1), "subscription_id": UUID(int=2)}

async def failure(call):
    [error] = await asyncio.gather(call, return_exceptions=True)
    assert isinstance(error, SdkError), error

async def main():
    global guarded
    time = FakeTime()
    retry = RetryPolicy(sleep=time.sleep, clock=time.clock)
    busy = [CannedAnswer(429, {"errorMessage": "no"}, headers={"Retry-After": when})
            for when in ("1", "Fri, 31 Dec 2100 23:59:59 GMT")]
    token = CannedAnswer(body={"access_token": "t", "expires_in": 3600})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    unknown = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0, ssl=context)
    ok = CannedAnswer()
    async with (
        unknown,
        WireServer(ok, ok, CannedAnswer(500), DROP, ok, busy[0], ok, CannedAnswer(body=[]), busy[1]) as one,
        WireServer(token, CannedAnswer(202), CannedAnswer(401), token, CannedAnswer(202), CannedAnswer(404)) as two,
    ):
        # What a server's first connection takes is not the client's doing.
        for server in (one, two):
            _reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.rpartition(":")[2]))
            writer.close()
            await writer.wait_closed()
        # Nor is what asyncio itself imports for the first thread.
        await asyncio.to_thread(int)
        guarded = True
        credentials = ClientCredentials("id", "secret", token_url=two.url + "/token")
        async with (
            MembershipClient(one.url.replace("127.0.0.1", "localhost"), "key", retry=retry) as membership,
            CloudCockpitClient("tenant.example", credentials, base_url=two.url, retry=retry) as cloudcockpit,
            MembershipClient(f"https://localhost:{unknown.sockets[0].getsockname()[1]}", "key", retry=retry) as tls,
        ):
            for _ in range(3):
                await membership.call(READ)
            await membership.call(UPLOAD, body={"a": 1}, document=Document(source=PATH, content_type="image/png"))
            await membership.get_contract_data(customer_id=1)
            await failure(membership.call(READ))
            for _ in range(2):
                await cloudcockpit.suspend_subscription(**SUBSCRIPTION)
            await failure(cloudcockpit.get_subscription(**SUBSCRIPTION))
            await failure(tls.call(READ))
        assert (len(one.requests), len(two.requests)) == (9, 6), (len(one.requests), len(two.requests))
    assert seen == [], seen
    # And the guard does see such things.
    open(PATH).close()
    import colorsys
    ssl.create_default_context()
    assert {"open", "import", "load_default_certs"} <= set(seen), seen
    guarded = False

asyncio.run(main())
"""


def test_calls_do_not_block_the_loop(tmp_path: Path) -> None:
    """First, second, retried, refused, uploading, with tokens and over TLS: no such work where the loop runs."""
    path = tmp_path / "proof.png"
    path.write_bytes(b"x" * 100_000)
    search = os.pathsep.join(str(ROOT / folder) for folder in (".", "shared", "tests"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", _GUARDED, str(path)],
        env={**os.environ, "PYTHONPATH": search},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_no_step_of_a_call_is_slow(caplog: pytest.LogCaptureFixture) -> None:
    """A loop in debug mode reports no callback of 50 ms: first, second and retried call, and an answer of 256 KiB."""
    large = json.dumps([{"id": number, "name": "x" * 40} for number in range(4_300)])
    assert len(large) > 2**18

    async def use(slow: float) -> None:
        loop = asyncio.get_running_loop()
        loop.slow_callback_duration = slow
        # In the thread's own time: how long a busy machine lets us wait says nothing of what we do.
        loop.time = time.thread_time  # type: ignore[method-assign]
        async with (
            WireServer(
                CannedAnswer(body="[]"),
                CannedAnswer(body="[]"),
                CannedAnswer(500),
                CannedAnswer(body="[]"),
                CannedAnswer(404, large),
            ) as server,
            MembershipClient(server.url, "key", retry=RetryPolicy(backoff_base=0)) as client,
        ):
            for _ in range(3):
                assert await client.get_contract_data(customer_id=1) == []
            with pytest.raises(NotFoundError):
                await client.get_contract_data(customer_id=1)

    def reports(slow: float) -> list[str]:
        caplog.clear()
        asyncio.run(use(slow), debug=True)
        return [record.getMessage() for record in caplog.records if record.name == "asyncio" and "took" in record.msg]

    assert reports(0.05) == []
    assert reports(0.0) != []
