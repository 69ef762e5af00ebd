"""Bulk runs on several machines: rows are tasks of pydocket workers. Needs the extra `docket`.

The driver keeps the journal, as without workers, and hands each row to docket with the key run:row: no row is queued
twice. What a worker knows of a row it keeps in Redis, in two hashes of the run:

    begun    row -> 1, set before its request is sent; who finds it set reads first, and never sends blindly
    endings  row -> how it ended; from there the driver takes it, also one that was started anew

The driver keeps the key `open` of its run in Redis while it is at work. What is queued of a run that is not open,
workers drop: its driver has ended, or was killed `_HELD` seconds ago. A row that they have begun with, they finish.
A worker that dies leaves its row to another (after `redelivery_timeout`), which finds it begun. Redis has to keep what
it was told: `appendonly yes`, and `appendfsync always` if a machine may lose power.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

import attrs
import msgspec

from sdk_core.bulk.journal import JournalRow
from sdk_core.bulk.result import Ending, RowOutcome
from sdk_core.bulk.row import InProcess, RowOptions
from sdk_core.bulk.tasks import Catalogue
from sdk_core.client import Client

try:
    from docket import Docket, Worker
    from redis.asyncio import Redis
    from redis.exceptions import RedisError
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] not in {"docket", "redis"}:
        raise
    raise ImportError("sdk_core.bulk.docket needs: pip install 'membership-cloudcockpit-sdk[docket]'") from _missing

__all__ = ["DocketEngine", "docket_engine", "work"]

T = TypeVar("T")

_LOOK_AGAIN: Final = 5.0
"""Seconds until a row's ending is looked for that nobody has told of."""
_RECONNECT: Final = 0.5
"""Seconds until Redis is asked again that did not answer."""
_HELD: Final = 60
"""Seconds for which workers go on with the rows of a driver that nothing is heard of."""
_KEPT: Final = 30 * 86400
"""Seconds after which Redis forgets a run that nobody works on."""
# In one step: between two, the driver could end.
_BEGIN: Final = """
if redis.call('exists', KEYS[1]) == 0 then return nil end
return redis.call('hsetnx', KEYS[2], ARGV[1], '1')
"""


async def carry_out(run: str, row: str, options: str, *, may_be_sent: bool) -> None:
    """Carry out a row of a run. Drivers know its name and arguments; each worker registers its own under this name."""
    raise NotImplementedError(run, row, options, may_be_sent)


class DocketEngine:
    """Hands the rows of one run to workers, and waits for their endings; see `docket_engine`."""

    def __init__(self, docket: Docket, redis: Redis, sdk: str, run: str, options: RowOptions) -> None:
        self._docket = docket
        self._redis = redis
        self._keys = _Keys(sdk, run)
        self._run = run
        self._options = json.dumps(attrs.asdict(options))
        self._waiting: dict[int, asyncio.Event] = {}
        self._is_open = asyncio.Event()
        self.queue: str | None = f"docket at {_address_of(redis)}"
        """Where rows may wait that were handed over, though the run is over."""

    async def send(self, row: JournalRow) -> Ending:
        """Have a worker send a row that was never sent; unless one has done so already, for a driver that is gone."""
        known = await self._known(row)
        if known is not None and known.may_succeed_later:
            # Nothing happened then, and now it is to be tried again.
            await _persistently(lambda: self._redis.hdel(self._keys.endings, str(row.n)))
            await _persistently(lambda: self._redis.hdel(self._keys.begun, str(row.n)))
        return await self._ending_of(row, may_be_sent=False)

    async def settle(self, row: JournalRow) -> Ending:
        """Have a worker find out what became of a row that may have been sent."""
        known = await self._known(row)
        if known is not None and known.outcome is RowOutcome.UNKNOWN:
            # That is why it is to be settled.
            await _persistently(lambda: self._redis.hdel(self._keys.endings, str(row.n)))
        return await self._ending_of(row, may_be_sent=True)

    async def listen(self) -> None:
        """Keep the run open, and wake who waits for a row that has ended."""
        due = 0.0
        while True:
            if (now := time.monotonic()) >= due:
                await _persistently(lambda: self._redis.set(self._keys.open, "1", ex=_HELD))
                self._is_open.set()
                due = now + _HELD / 4
            told = await _persistently(lambda: self._redis.blpop([self._keys.news], timeout=1))
            if told is not None and (event := self._waiting.get(int(told[1]))) is not None:
                event.set()

    async def close(self) -> None:
        """Have workers drop what is queued; they do so later where Redis can't be told."""
        with suppress(RedisError, OSError):
            async with asyncio.timeout(_LOOK_AGAIN):
                await self._redis.delete(self._keys.open)

    async def _ending_of(self, row: JournalRow, *, may_be_sent: bool) -> Ending:
        event = self._waiting[row.n] = asyncio.Event()
        try:
            await self._is_open.wait()
            while True:
                known = await self._known(row)
                if known is not None:
                    return known
                event.clear()
                # A row that is queued or under way keeps its place.
                await self._hand_out(row, may_be_sent=may_be_sent)
                # If it is handed out once more, Redis has forgotten it, and who has sent it perhaps.
                may_be_sent = True
                with suppress(TimeoutError):
                    # Not wait_for(): before Python 3.12, it loses a cancelation that comes with the event.
                    async with asyncio.timeout(_LOOK_AGAIN):
                        await event.wait()
        finally:
            del self._waiting[row.n]

    async def _known(self, row: JournalRow) -> Ending | None:
        text = await _persistently(lambda: self._redis.hget(self._keys.endings, str(row.n)))
        return None if text is None else msgspec.json.decode(text, type=Ending)

    async def _hand_out(self, row: JournalRow, *, may_be_sent: bool) -> None:
        add = self._docket.add(carry_out, key=f"{self._run}:{row.n}")
        text = msgspec.json.encode(row).decode()
        await _persistently(lambda: add(self._run, text, self._options, may_be_sent=may_be_sent))


class _Keys:
    """The names of a run's keys in Redis."""

    def __init__(self, sdk: str, run: str) -> None:
        self.open = f"{sdk}:bulk:{run}:open"
        self.begun = f"{sdk}:bulk:{run}:begun"
        self.endings = f"{sdk}:bulk:{run}:endings"
        self.news = f"{sdk}:bulk:{run}:news"


@asynccontextmanager
async def docket_engine(redis_url: str, sdk: str, run: str, options: RowOptions) -> AsyncGenerator[DocketEngine]:
    """Give the engine of a run, whose rows are carried out by the workers of this SDK.

    Args:
        redis_url: where docket and the workers meet.
        sdk: the SDK's package.
        run: the run's id.
        options: how rows are worked on.
    """
    async with Docket(name=f"{sdk}-bulk", url=redis_url) as docket, _redis_at(redis_url) as redis:
        engine = DocketEngine(docket, redis, sdk, run, options)
        listening = asyncio.create_task(engine.listen())
        try:
            yield engine
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening
            await engine.close()


async def work(
    client: Client,
    catalogue: Catalogue,
    redis_url: str,
    *,
    concurrency: int = 20,
    redelivery_timeout: float = 60.0,
    until_finished: bool = False,
) -> None:
    """Carry out rows that drivers hand out, until it is cancelled.

    Args:
        client: makes the calls; its rate limiter is to be one that all workers share.
        catalogue: what rows can ask for.
        redis_url: where docket and the drivers meet.
        concurrency: how many rows at a time.
        redelivery_timeout: seconds after which the rows of a worker that died are given to another.
        until_finished: return once nothing is queued any more.
    """
    async with _redis_at(redis_url) as redis, Docket(name=f"{catalogue.sdk}-bulk", url=redis_url) as docket:
        engines: dict[str, InProcess] = {}

        async def carry_out_here(run: str, row: str, options: str, *, may_be_sent: bool) -> None:
            if run not in engines:
                engines[run] = InProcess(client, catalogue, RowOptions(**json.loads(options)))
            keys, known = _Keys(catalogue.sdk, run), msgspec.json.decode(row, type=JournalRow)
            await _carry_out(engines[run], redis, keys, known, may_be_sent=may_be_sent)

        docket.register(carry_out_here, names=[carry_out.__name__])
        timeout = timedelta(seconds=redelivery_timeout)
        async with Worker(docket, concurrency=concurrency, redelivery_timeout=timeout) as worker:
            await (worker.run_until_finished() if until_finished else worker.run_forever())


def _redis_at(url: str) -> Redis:
    redis: Redis = Redis.from_url(url)  # pyright: ignore[reportUnknownMemberType]  redis-py leaves its options untyped
    return redis


def _address_of(redis: Redis) -> str:
    """Return which Redis it is, without the login of its URL."""
    at: dict[str, Any] = redis.connection_pool.connection_kwargs
    where = at.get("path") or f"{at.get('host', 'localhost')}:{at.get('port', 6379)}"
    return f"the Redis of {where}, database {at.get('db') or 0}"


async def _carry_out(engine: InProcess, redis: Redis, keys: _Keys, row: JournalRow, *, may_be_sent: bool) -> None:
    """Send or settle a row, and keep how it ended; drop it if its run is over."""
    field = str(row.n)
    if await _persistently(lambda: redis.hexists(keys.endings, field)):
        return
    # Asked twice because Redis did not answer, it says that the row is begun: then it is settled, which is right too.
    is_new = await _persistently(lambda: _begin(redis, keys, field))
    if is_new is None:
        return
    if may_be_sent or not is_new:
        # Whoever had it before is dead, or it would not have come here: nothing of it is sent any more.
        ending = await engine.settle(row.but(sent_at=time.time()))
    else:
        ending = await engine.send(row)
    text = msgspec.json.encode(ending).decode()
    await _persistently(lambda: _keep(redis, keys, field, text))


async def _begin(redis: Redis, keys: _Keys, field: str) -> bool | None:
    """Note that a row is begun, and return whether it was not before; None: its run is not open, nothing is noted."""
    asking: Any = redis.eval(_BEGIN, 2, keys.open, keys.begun, field)
    is_new = await asking
    return None if is_new is None else bool(is_new)


async def _keep(redis: Redis, keys: _Keys, field: str, text: str) -> None:
    async with redis.pipeline(transaction=True) as pipeline:
        pipeline.hset(keys.endings, field, text)
        pipeline.rpush(keys.news, field)
        for key in (keys.begun, keys.endings, keys.news):
            pipeline.expire(key, _KEPT)
        await pipeline.execute()


async def _persistently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask Redis until it answers: what a run knows is there."""
    # redis-py can lose a cancelation while it connects: asked again for ever, nobody would get out of here.
    task = asyncio.current_task()
    cancelations = task.cancelling() if task is not None else 0
    while True:
        with suppress(RedisError, OSError):
            answer = await ask()
            if task is None or task.cancelling() == cancelations:
                return answer
        if task is not None and task.cancelling() > cancelations:
            raise asyncio.CancelledError
        await asyncio.sleep(_RECONNECT)
