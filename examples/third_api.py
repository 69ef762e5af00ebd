"""A third SDK on the same core: a city library whose readers list their loans and renew them.

The library and its API are made up; `python third_api.py URL KEY READER` calls one at that address.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Final, Unpack

from attrs import frozen

from sdk_core import codec
from sdk_core.arguments import base_url as checked_base_url
from sdk_core.auth import ApiKey
from sdk_core.backend import Backend, ClientOptions, configuring, user_agent
from sdk_core.client import Client
from sdk_core.codec.enums import OpenEnum
from sdk_core.details import ErrorDetails
from sdk_core.envelopes import foreign_error
from sdk_core.model import Model
from sdk_core.operation import Effect, Operation
from sdk_core.query import Query


class LoanState(OpenEnum):
    """Where a loan is."""

    ON_LOAN = "ON_LOAN"

    if TYPE_CHECKING:
        _UNLISTED = ""


@frozen(kw_only=True)
class Loan(Model):
    """A book that a reader has."""

    id: int
    title: str
    due_date: date
    state: LoanState
    fee: Decimal | None = None


@frozen(kw_only=True)
class Renewal(Model):
    """How long a loan is to go on."""

    due_date: date


GET_LOANS: Final = Operation(
    name="get_loans",
    method="GET",
    path="/readers/{reader_id:int}/loans",
    query={"offset": Query("offset", int, minimum=0), "limit": Query("limit", int, minimum=1, maximum=100)},
    returns=list[Loan],
    effect=Effect.READ,
)
RENEW_LOAN: Final = Operation(
    name="renew_loan",
    method="POST",
    path="/readers/{reader_id:int}/loans/{loan_id:int}/renewals",
    body=Renewal,
    returns=Loan,
    effect=Effect.WRITE,
    retry_conflict=frozenset({"BUSY"}),
)


def read_error(body: bytes) -> ErrorDetails:
    """Read the library's error body, `{"fault": {"code", "text"}}`, or whatever else came."""
    raw = codec.parse_or_none(body)
    fault = codec.as_object(codec.as_object(raw).get("fault"))
    if not fault:
        return foreign_error(raw, body)
    code, text = codec.as_text(fault.get("code")), codec.as_text(fault.get("text"))
    return ErrorDetails(code=code, message=text, recognised=True, raw=raw, body=body[:2048])


class LibraryClient(Client):
    """The API of a library; see `sdk_core.client.Client` for the options, and for what is raised."""

    def __init__(self, base_url: str, api_key: str, **options: Unpack[ClientOptions]) -> None:
        with configuring():
            backend = Backend(
                base_url=checked_base_url("base_url", base_url),
                auth=ApiKey("X-Library-Key", api_key),
                read_error=read_error,
                headers={"Accept": "application/json", "User-Agent": user_agent("library-sdk")},
                correlation_header="X-Request-Id",
            )
            super().__init__(backend, **options)

    async def iter_loans(self, *, reader_id: int, page_size: int = 100) -> AsyncIterator[Loan]:
        """Iterate over a reader's loans; each page is a call."""
        offset = 0
        while page := await self.call(GET_LOANS, reader_id=reader_id, offset=offset, limit=page_size):
            for loan in page:
                yield loan
            offset += len(page)

    async def renew_loan(self, *, reader_id: int, loan_id: int, due_date: date) -> Loan:
        """Renew a loan until `due_date`; not repeated when it may have happened."""
        return await self.call(RENEW_LOAN, reader_id=reader_id, loan_id=loan_id, body=Renewal(due_date=due_date))


async def main(url: str, key: str, reader: int) -> None:
    """Print a reader's loans."""
    async with LibraryClient(url, key) as client:
        async for loan in client.iter_loans(reader_id=reader):
            print(loan.id, loan.title, loan.due_date, loan.state)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
