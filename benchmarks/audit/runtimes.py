"""Where the calls are made: the event loops, threads and processes that clients live through."""

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import cache, partial
from multiprocessing.connection import Connection
from typing import Final

from aiohttp import ClientSession

from benchmarks.audit import leftovers
from benchmarks.audit.clients import Clients, shared_clients
from benchmarks.audit.ledger import Ledger
from benchmarks.audit.leftovers import Complaints
from benchmarks.audit.runner import Share, make_calls
from benchmarks.audit.server import Addresses, serving

__all__ = ["RUNTIMES"]

_Runtime = Callable[[int, Sequence[int], Complaints], tuple[Share, Ledger]]

_RUNS: Final = 5
_THREADS: Final = 2
_WORKERS: Final = 2


def _one_loop(seed: int, numbers: Sequence[int], complaints: Complaints) -> tuple[Share, Ledger]:
    """Have servers and callers in one event loop."""
    ledger = Ledger(seed, numbers)

    async def main() -> Share:
        async with serving(ledger) as at:
            share = await _last_loop(seed, numbers, at, complaints)
        share.left.update(await leftovers.in_loop())
        return share

    return asyncio.run(main()), ledger


def _uvloop(seed: int, numbers: Sequence[int], complaints: Complaints) -> tuple[Share, Ledger]:
    """Have callers in a loop of uvloop's; as a server, it would leave connections waiting that have come."""
    import uvloop  # noqa: PLC0415  there is none for Windows

    async def main(at: Addresses) -> Share:
        share = await _last_loop(seed, numbers, at, complaints)
        share.left.update(await leftovers.in_loop())
        return share

    def make(at: Addresses) -> Share:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(main(at))

    return _with_servers_apart(seed, numbers, complaints, make)


def _runs(seed: int, numbers: Sequence[int], complaints: Complaints) -> tuple[Share, Ledger]:
    """Have one `asyncio.run()` after the other, with the same clients."""

    def make(at: Addresses) -> Share:
        clients = _global_clients(at)
        share = _sum(asyncio.run(_passing_loop(seed, part, at, complaints)) for part in _parts(numbers, _RUNS))
        asyncio.run(_close(clients))
        return share

    return _with_servers_apart(seed, numbers, complaints, make)


def _threads(seed: int, numbers: Sequence[int], complaints: Complaints) -> tuple[Share, Ledger]:
    """Have event loops in several threads at the same time, with the same clients."""

    def make(at: Addresses) -> Share:
        clients = _global_clients(at)

        def loop(part: Sequence[int]) -> Share:
            return asyncio.run(_passing_loop(seed, part, at, complaints))

        with ThreadPoolExecutor(_THREADS) as pool:
            share = _sum(pool.map(loop, _parts(numbers, _THREADS)))
        asyncio.run(_close(clients))
        return share

    return _with_servers_apart(seed, numbers, complaints, make)


def _processes(seed: int, numbers: Sequence[int], complaints: Complaints, *, method: str) -> tuple[Share, Ledger]:
    """Have worker processes, started while the clients are in use."""
    before, meanwhile, *jobs = _parts(numbers, 2 + _WORKERS)

    async def main(at: Addresses) -> Share:
        clients, loop = _global_clients(at), asyncio.get_running_loop()
        shares = [await make_calls(seed, before, clients, at, complaints)]
        own = loop.create_task(make_calls(seed, meanwhile, clients, at, complaints))
        await asyncio.sleep(0.01)
        with ProcessPoolExecutor(_WORKERS, multiprocessing.get_context(method)) as pool:
            work = [loop.run_in_executor(pool, _work, seed, part, at) for part in jobs]
            shares.append(await own)
            for share, complained in await asyncio.gather(*work):
                shares.append(share)
                complaints.extend(complained)
        await _close(clients)
        shares[0].left.update(await leftovers.in_loop())
        return _sum(shares)

    return _with_servers_apart(seed, numbers, complaints, lambda at: asyncio.run(main(at)))


def _work(seed: int, numbers: Sequence[int], at: Addresses) -> tuple[Share, list[str]]:
    """Make calls in a worker process, and return what it complained of too."""
    complaints = Complaints()
    with complaints.heard():
        sockets = leftovers.open_sockets()
        share = asyncio.run(_passing_loop(seed, numbers, at, complaints))
        # A forked one may close what it inherited.
        share.left["sockets"] = max(0, leftovers.open_sockets() - sockets)
    return share, [*complaints]


async def _last_loop(seed: int, numbers: Sequence[int], at: Addresses, complaints: Complaints) -> Share:
    """Make calls with clients that are closed before the event loop ends, some with a session of the caller's."""
    async with ClientSession() as session:
        clients = shared_clients(at, session)
        share = await make_calls(seed, numbers, clients, at, complaints)
        await _close(clients)
    return share


async def _passing_loop(seed: int, numbers: Sequence[int], at: Addresses, complaints: Complaints) -> Share:
    """Make calls in an event loop that the clients outlive."""
    share = await make_calls(seed, numbers, _global_clients(at), at, complaints)
    # As `asyncio.run()` does next: it is all that closes the sessions of this loop.
    await asyncio.get_running_loop().shutdown_asyncgens()
    share.left.update(await leftovers.in_loop())
    return share


@cache
def _global_clients(at: Addresses) -> Clients:
    """Return the process's only clients, as if they were module globals: a forked process inherits them."""
    return shared_clients(at)


async def _close(clients: Clients) -> None:
    for client in clients.values():
        await client.aclose()


def _parts(numbers: Sequence[int], count: int) -> list[Sequence[int]]:
    return [numbers[start::count] for start in range(count)]


def _sum(shares: Iterable[Share]) -> Share:
    accounts, pauses, left = zip(*((share.accounts, share.longest_pause, share.left) for share in shares), strict=True)
    total = Counter[str]()
    for counts in left:
        total.update(counts)
    return Share([account for some in accounts for account in some], max(pauses), total)


def _with_servers_apart(
    seed: int, numbers: Sequence[int], complaints: Complaints, make: Callable[[Addresses], Share]
) -> tuple[Share, Ledger]:
    """Run the servers in a process of their own: neither loop nor descriptor of theirs is shared with the callers."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.Process(target=_serve, args=(seed, numbers, ours, theirs), daemon=True)
    process.start()
    theirs.close()
    try:
        share = make(ours.recv())
        ours.send(None)
        ledger, complained = ours.recv()
    finally:
        _global_clients.cache_clear()
        ours.close()
        process.terminate()
        process.join()
    complaints.extend(complained)
    return share, ledger


def _serve(seed: int, numbers: Sequence[int], theirs: Connection, ours: Connection) -> None:
    """Run the servers until told to stop, and hand over the ledger."""
    # Were it open here too, nobody would notice the other process's end.
    theirs.close()
    complaints, ledger = Complaints(), Ledger(seed, numbers)

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(complaints.of_loop)
        async with serving(ledger) as at:
            ours.send(at)
            await asyncio.to_thread(ours.recv)

    with complaints.heard():
        asyncio.run(main())
    ours.send((ledger, [*complaints]))


RUNTIMES: Final[dict[str, _Runtime]] = {
    "asyncio": _one_loop,
    "uvloop": _uvloop,
    "runs": _runs,
    "threads": _threads,
    "fork": partial(_processes, method="fork"),
    "spawn": partial(_processes, method="spawn"),
}
