"""A third SDK on the core (`examples/third_api.py`), against a library that is a real server: the core knows no API."""

import os
import subprocess
import sys
from asyncio.subprocess import PIPE, create_subprocess_exec
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from attrs import define, field
from wire import FakeTime

from examples import third_api
from examples.third_api import LibraryClient, Loan, LoanState
from sdk_core.codec import dump
from sdk_core.errors import AuthenticationError, ConfigurationError, ConflictError, ConnectionFailedError
from sdk_core.model_json import from_json, to_json
from sdk_core.outcome import Outcome
from sdk_core.retry import RetryPolicy

FILE = Path(third_api.__file__)
KEY = "library-key"
NEW_DATE = date(2027, 3, 1)


@define
class Library:
    """Lends three books to the reader 7, and does what `next` says to the next request."""

    url: str = ""
    next: list[str] = field(factory=list[str])
    loans: dict[int, Loan] = field(factory=dict[int, Loan])
    renewals: Counter[int] = field(factory=Counter[int])
    request_ids: list[str] = field(factory=list[str])

    def __attrs_post_init__(self) -> None:
        for number, (state, fee) in enumerate((("ON_LOAN", None), ("ON_LOAN", Decimal("1.10")), ("LOST", None)), 1):
            self.loans[number] = Loan(
                id=number, title=f"Book {number}", due_date=date(2027, 2, 1), state=LoanState(state), fee=fee
            )

    def _refusal(self, request: web.Request) -> web.Response | None:
        self.request_ids.append(request.headers["X-Request-Id"])
        if request.headers["X-Library-Key"] != KEY:
            return _fault(401, "NO_KEY")
        step = self.next.pop(0) if self.next else ""
        if step == "drop after":
            self.renewals[int(request.match_info["loan"])] += 1
        if step.startswith("drop"):
            assert request.transport is not None
            request.transport.abort()
        status, _, code = step.partition(" ")
        return _fault(int(status), code) if status.isdigit() else web.Response() if step else None

    async def list(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        offset, limit = int(request.query["offset"]), int(request.query["limit"])
        page = list(self.loans.values())[offset : offset + limit]
        return web.Response(body=dump(page), content_type="application/json")

    async def renew(self, request: web.Request) -> web.Response:
        if (refusal := self._refusal(request)) is not None:
            return refusal
        number = int(request.match_info["loan"])
        self.renewals[number] += 1
        loan = from_json(
            Loan, to_json(self.loans[number]).replace(b"2027-02-01", (await request.json())["dueDate"].encode())
        )
        return web.Response(body=to_json(loan), content_type="application/json")


def _fault(status: int, code: str) -> web.Response:
    return web.json_response({"fault": {"code": code, "text": "Sorry, Ms Reader"}}, status=status)


@pytest.fixture
async def library() -> AsyncIterator[Library]:
    library = Library()
    app = web.Application()
    app.router.add_get("/readers/7/loans", library.list)
    app.router.add_post("/readers/7/loans/{loan}/renewals", library.renew)
    async with TestServer(app) as server:
        library.url = str(server.make_url(""))
        yield library


@pytest.fixture
async def client(library: Library, fake_time: FakeTime) -> AsyncIterator[LibraryClient]:
    retry = RetryPolicy(sleep=fake_time.sleep, clock=fake_time.clock)
    async with LibraryClient(library.url, KEY, retry=retry) as client:
        yield client


async def test_a_list_is_read_page_by_page(library: Library, client: LibraryClient) -> None:
    loans = [loan async for loan in client.iter_loans(reader_id=7, page_size=2)]
    assert loans == list(library.loans.values())
    assert (loans[1].fee, loans[2].state, loans[2].state.is_known) == (Decimal("1.10"), "LOST", False)


async def test_a_read_is_repeated_with_the_same_id(library: Library, client: LibraryClient) -> None:
    library.next += ["503 DOWN", "drop"]
    assert len([loan async for loan in client.iter_loans(reader_id=7)]) == 3
    assert [*Counter(library.request_ids).values()] == [3, 1]


async def test_a_write_whose_answer_is_lost_is_unknown_and_made_once(library: Library, client: LibraryClient) -> None:
    library.next += ["drop after"]
    with pytest.raises(ConnectionFailedError) as raised:
        await client.renew_loan(reader_id=7, loan_id=1, due_date=NEW_DATE)
    assert (raised.value.outcome, raised.value.retryable, library.renewals) == (Outcome.UNKNOWN, False, {1: 1})


async def test_a_conflict_is_repeated_only_where_the_code_says_so(library: Library, client: LibraryClient) -> None:
    library.next += ["409 BUSY"]
    assert (await client.renew_loan(reader_id=7, loan_id=1, due_date=NEW_DATE)).due_date == NEW_DATE
    library.next += ["409 RESERVED"]
    with pytest.raises(ConflictError) as raised:
        await client.renew_loan(reader_id=7, loan_id=1, due_date=NEW_DATE)
    assert (raised.value.code, raised.value.outcome, library.renewals) == ("RESERVED", Outcome.REJECTED, {1: 1})
    assert raised.value.details.message == "Sorry, Ms Reader"
    assert "Reader" not in str(raised.value)


async def test_what_can_not_be_right_is_refused_before_anything_is_sent(
    library: Library, client: LibraryClient
) -> None:
    with pytest.raises(ValueError, match="reader_id"):
        await client.renew_loan(reader_id=0, loan_id=1, due_date=NEW_DATE)
    with pytest.raises(ConfigurationError, match="base_url"):
        LibraryClient("library.example.com", KEY)
    assert library.request_ids == []


async def test_a_wrong_key_is_told_and_not_shown(library: Library) -> None:
    async with LibraryClient(library.url, "wrong-key") as client:
        with pytest.raises(AuthenticationError) as raised:
            await client.renew_loan(reader_id=7, loan_id=1, due_date=NEW_DATE)
    assert raised.value.code == "NO_KEY"
    assert "wrong-key" not in f"{raised.value!r}{client!r}"


def test_it_is_short_and_needs_neither_sdk() -> None:
    assert len(FILE.read_text().splitlines()) < 120
    shown = "import sys, third_api; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join((str(FILE.parent), str(FILE.parents[1] / "shared")))}
    done = subprocess.run(
        [sys.executable, "-c", shown], env=environment, cwd=os.path.sep, capture_output=True, text=True, check=True
    )
    loaded = {name.partition(".")[0] for name in done.stdout.split()}
    assert "sdk_core" in loaded
    assert not loaded & {"membership_sdk", "cloudcockpit_sdk"}


async def test_it_runs_as_a_program(library: Library) -> None:
    environment: dict[str, Any] = os.environ | {"PYTHONPATH": str(FILE.parents[1] / "shared")}
    process = await create_subprocess_exec(
        sys.executable, str(FILE), library.url, KEY, "7", env=environment, stdout=PIPE
    )
    out, _ = await process.communicate()
    assert out.decode().splitlines()[0] == "1 Book 1 2027-02-01 ON_LOAN"
