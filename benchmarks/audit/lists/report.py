"""The audit of the lists as a whole: ask for each, compare what came with what there was, and tell."""

import asyncio
import time
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen

from benchmarks.audit import samples
from benchmarks.audit.exchange import read_head
from benchmarks.audit.lists.served import MOST_REQUESTS, PAGED, Served, draw
from benchmarks.audit.report import SHOWN, table
from cloudcockpit_sdk import CloudCockpitClient
from cloudcockpit_sdk.pagination import Paginator
from membership_sdk import MembershipClient
from membership_sdk.operations import OPERATIONS as MEMBERSHIP
from sdk_core import codec
from sdk_core.client import Client
from sdk_core.errors import InvalidResponseError, SdkError
from sdk_core.operation import Operation
from sdk_core.outcome import Outcome
from sdk_core.retry import RetryPolicy

__all__ = ["ListLie", "ListReport", "audit_lists"]

_CONCURRENCY: Final = 8


class ListLie(Enum):
    """What must never happen."""

    LOST = "ended without a word, and items were missing"
    INVENTED = "returned items that there are not, or one of them twice"
    ENDLESS = f"asked more than {MOST_REQUESTS} times beyond the pages"
    REFUSED = "an error, although nothing was wrong that can't be tolerated"
    OUTCOME = "a read that is said to have had an effect, or that is offered to be repeated"
    FOREIGN_ERROR = "raised something else than an SdkError"


@frozen
class _Account:
    """What came of asking for one list."""

    came: list[Any]
    """The items that were returned before it ended."""
    failure: SdkError | None = None
    foreign: str = ""
    told: bool = False
    """Whether the iterator itself says that it has not read as many as there are."""


@define
class ListReport:
    """What an audit of the lists found."""

    lists: int
    requests: int = 0
    seconds: float = 0.0
    items: int = 0
    ends: Counter[str] = field(factory=Counter[str])
    faults: Counter[str] = field(factory=Counter[str])
    violations: list[tuple[ListLie, int, str]] = field(factory=list[tuple[ListLie, int, str]])

    @property
    def counts(self) -> dict[ListLie, int]:
        """How often each lie was told."""
        told = Counter(lie for lie, _number, _detail in self.violations)
        return {lie: told[lie] for lie in ListLie}

    @property
    def ok(self) -> bool:
        """Whether nothing was found."""
        return not self.violations

    def lines(self) -> Iterator[str]:
        """Tell it."""
        yield f"{self.lists} lists, {self.items} items, {self.requests} wire requests, {self.seconds:.1f} s"
        yield from table("how lists ended", self.ends.most_common())
        yield from table(f"deviations ({self.faults.total()})", sorted(self.faults.items()))
        yield from table("must be zero", [(lie.value, count) for lie, count in self.counts.items()])
        for lie, number, detail in self.violations[:SHOWN]:
            yield f"list {number}: {lie.value}: {detail}"
        yield "all zero" if self.ok else "NOT all zero"


def audit_lists(seed: int, numbers: Sequence[int]) -> ListReport:
    """Ask for these lists, each by the client's own way, and compare."""
    report, started = ListReport(len(numbers)), time.monotonic()

    def hear(served: Served, account: _Account) -> None:
        report.requests += served.requests
        report.items += len(account.came)
        report.faults.update(served.faults)
        report.ends["returned" if account.failure is None else type(account.failure).__name__] += 1
        report.violations += [(lie, served.number, _story(served, account)) for lie in _lies(served, account)]

    asyncio.run(_ask(seed, numbers, hear))
    report.seconds = time.monotonic() - started
    return report


async def _ask(seed: int, numbers: Iterable[int], hear: Callable[[Served, _Account], None]) -> None:
    todo = iter(numbers)

    async def work() -> None:
        for number in todo:
            served = draw(seed, number)
            hear(served, await _one(served))

    await asyncio.gather(*(work() for _ in range(_CONCURRENCY)))


async def _one(served: Served) -> _Account:
    """Serve one list on a port of its own, and ask for it."""
    enough = asyncio.Event()
    name = served.operation.query["page_number"].name if served.operation in PAGED else ""

    async def serve(reader: StreamReader, writer: StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while not enough.is_set():
                query = parse_qs(urlsplit((await read_head(reader)).target).query)
                body = served.answer(int(query.get(name, ["1"])[0]))
                if served.requests > len(served.answers) + MOST_REQUESTS:
                    enough.set()
                writer.write(b"HTTP/1.1 200 X\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        async with _client(served, url) as client:
            return await _account(client, served)
    finally:
        server.close()


def _client(served: Served, url: str) -> Client:
    retry = RetryPolicy.none()
    if served.operation in MEMBERSHIP:
        return MembershipClient(url, "key", retry=retry, rate_limiter=None)
    return CloudCockpitClient("contoso.example", "token", base_url=url, retry=retry)


async def _account(client: Client, served: Served) -> _Account:
    came: list[Any] = []
    paginator: Paginator[Any] | None = None
    arguments = samples.slots(served.operation, served.number)
    try:
        if served.operation in PAGED and isinstance(client, CloudCockpitClient):
            paginator = _paginator(client, served.operation, arguments)
            await _collect(paginator, came)
        else:
            came += await client.call(served.operation, **arguments)
    except SdkError as error:
        readable = error.readable if isinstance(error, InvalidResponseError) else None
        return _Account([*readable] if isinstance(readable, list) else came, error)
    except Exception as error:  # noqa: BLE001  whatever it is, it is what the audit looks for
        return _Account(came, foreign=repr(error))
    told = paginator is not None and paginator.total_count not in {None, paginator.items_read}
    return _Account(came, told=told)


def _paginator(client: CloudCockpitClient, operation: Operation[Any], arguments: dict[str, Any]) -> Paginator[Any]:
    iterators: dict[str, Callable[..., Paginator[Any]]] = {
        "list_customer_subscriptions": client.iter_customer_subscriptions,
        "list_subscriptions": client.iter_subscriptions,
        "list_audit_logs": client.iter_audit_logs,
    }
    return iterators[operation.name](**arguments)


async def _collect(items: AsyncIterator[Any] | Paginator[Any], came: list[Any]) -> None:
    async for item in items:
        came.append(item)  # noqa: PERF401  what came before an error counts


def _lies(served: Served, account: _Account) -> Iterator[ListLie]:
    names = [_name(item) for item in account.came] if served.operation in PAGED else []
    if len(set(names)) < len(names) or len(account.came) > served.items:
        yield ListLie.INVENTED
    if served.requests > len(served.answers) + MOST_REQUESTS:
        yield ListLie.ENDLESS
    if account.foreign:
        yield ListLie.FOREIGN_ERROR
    elif account.failure is None:
        if len(account.came) != served.items and not account.told:
            yield ListLie.LOST
    else:
        if not served.may_fail:
            yield ListLie.REFUSED
        if account.failure.outcome is Outcome.APPLIED or account.failure.retryable:
            yield ListLie.OUTCOME


def _name(item: Any) -> str:
    return str(codec.as_object(item).get("id") or item.id)


def _story(served: Served, account: _Account) -> str:
    said = account.foreign or (str(account.failure) if account.failure else "returned")
    return (
        f"{served.operation.name}: {len(account.came)} of {served.items} items in {served.requests} requests for "
        f"{len(served.answers)} pages; deviations {sorted(set(served.faults))}; {said}; "
        f"first {served.answers[0][-150:]!r}, last {served.answers[-1][-150:]!r}"
    )
