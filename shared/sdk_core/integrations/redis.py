"""One rate limit for a fleet, kept in Redis: a client's `rate_limiter=RedisRateLimiter(...)`. Needs the extra `redis`.

The starts of the last period, and those to come, are a sorted set for each key and operation, by Redis' own clock. A
script reads and reserves in one step, so that two workers never take the same slot.
"""

import hashlib
import logging
import secrets
import time
from asyncio import timeout
from collections.abc import Callable
from typing import Any, Final, Self

from sdk_core.arguments import header_text, instance, positive_int, seconds
from sdk_core.ratelimit import LocalRateLimiter, spread

try:
    from redis.asyncio import Redis

    from sdk_core.integrations.redis_clients import Clients, connecting_to
except ModuleNotFoundError as _missing:
    if (_missing.name or "").partition(".")[0] != "redis":
        raise
    raise ImportError(
        "sdk_core.integrations.redis needs: pip install 'membership-cloudcockpit-sdk[redis]'"
    ) from _missing

__all__ = ["RedisRateLimiter"]

_log = logging.getLogger("sdk_core.integrations.redis")
_PATIENCE: Final = 0.8
"""Seconds for one question to Redis, connecting included: less than what a call waits for its limiter, but more than a
busy event loop may take."""
_ASK_AGAIN: Final = 2.0
"""Seconds until Redis is asked again after it did not answer."""

_RESERVE: Final = """
local starts, pause = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local known = redis.call('HMGET', KEYS[3], 'id', starts)
local memory, ahead = known[1], (known[2] or 0) - now
if math.abs(ahead) > 1000000 then
  redis.call('HSET', KEYS[3], starts, now)
  if ahead > 0 then
    -- The clock was set back: what was noted before is too late by as much.
    redis.call('DEL', starts, pause)
    memory = false
  end
end
if not memory then
  memory = ARGV[6]
  redis.call('HSET', KEYS[3], 'id', memory)
  redis.call('PEXPIRE', KEYS[3], 2592000000)
end
if ARGV[8] ~= '' and ARGV[8] ~= memory then return {-1, memory, 0} end
local limit, period, patience = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local earliest, spread, slot, is_due = tonumber(ARGV[4]), tonumber(ARGV[5]), ARGV[6], ARGV[7] == '1'
local paused = tonumber(redis.call('GET', pause) or '0') - now
if is_due then
  if paused <= 0 then return {0, memory, redis.call('ZCARD', starts)} end
  local near = redis.call('ZREVRANGEBYSCORE', starts, now, '-inf', 'LIMIT', 0, 1)[1]
  if near then redis.call('ZREM', starts, near) end
end
redis.call('ZREMRANGEBYSCORE', starts, '-inf', now - period)
local start = now + earliest
if paused > 0 then
  start = math.max(start, now + paused + spread * math.max(0, math.min(1000000, paused / 10, (patience - paused) / 2)))
end
local edge = redis.call('ZRANGE', starts, -limit, -limit, 'WITHSCORES')[2]
if edge and edge + period > start then
  -- Not many in one instant, but some milliseconds apart: when one is refused, the others are to hear of it.
  local last = redis.call('ZRANGE', starts, -1, -1, 'WITHSCORES')[2]
  start = math.max(edge + period, last + math.ceil(math.min(10000, period / limit / 4)))
end
if start - now <= patience then
  redis.call('ZADD', starts, string.format('%.0f', start), slot)
  -- Others that wait out the same pause may start up to a second later than this one.
  redis.call('PEXPIRE', starts, math.ceil((start - now + period) / 1000) + 1000)
end
return {math.ceil(start - now), memory, redis.call('ZCARD', starts)}
"""
"""Returns the microseconds until the slot; a text that is another one when Redis has lost what it knew (then -1, and
nothing is reserved); and the number of slots that are taken. `redis.call` makes numbers text of at most 17 digits."""
_PAUSE: Final = """
local time = redis.call('TIME')
local till = time[1] * 1000000 + time[2] + ARGV[1]
if till > tonumber(redis.call('GET', KEYS[1]) or '0') then
  redis.call('SET', KEYS[1], string.format('%.0f', till), 'PX', math.ceil(ARGV[1] / 1000) + 1)
end
return 0
"""
_GIVE_BACK: Final = """
local time = redis.call('TIME')
local moment = time[1] * 1000000 + time[2] + ARGV[1]
local before = redis.call('ZREVRANGEBYSCORE', KEYS[1], moment, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)
local after = redis.call('ZRANGEBYSCORE', KEYS[1], moment, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
local near = before[1]
if after[1] and (not near or after[2] - moment < moment - before[2]) then near = after[1] end
if near then redis.call('ZREM', KEYS[1], near) end
return 0
"""


class RedisRateLimiter:
    """At most `limit` attempts of an operation in any `period` seconds, in all processes with the same Redis and key.

    A 429 that one of them is answered pauses that operation for all. Safe to share between clients, tasks, threads,
    event loops and forked workers. Needs Redis 5 or a server like it, with `maxmemory-policy noeviction`: a count
    that it evicts is begun anew, and nobody notices.

    While Redis does not answer, each process keeps to `limit // workers`, counting what it was granted before, and what
    others were granted of its share; that is logged once. When Redis is back, or has lost what it knew (restarted,
    flushed, failed over, its clock set back by two seconds or more), each process keeps to both for one period. No call
    fails for it.

    Connections are opened when they are needed, for each event loop its own, and closed with the loop, or by
    `aclose()`.

    Args:
        redis: the server's URL, `redis://` or, with TLS, `rediss://`, with `user:password@` if it wants them; or what
            returns a `redis.asyncio.Redis` of yours (of a Sentinel, say), which is called once for each event loop, and
            closed here.
        key: whose limit it is: the API key. In Redis there is only a hash of it.
        limit: attempts per period and operation.
        period: seconds.
        workers: the processes that share the limit; if their number varies, the largest.
        guard: the share by which the period is kept longer than it is, since requests arrive a little later than they
            start, some more than others. 0.01 does for 60 s; a shorter period needs more.

    Raises:
        TypeError: a value is of another type.
        ValueError: a value can't be right.
    """

    def __init__(
        self,
        redis: str | Callable[[], Redis],
        key: str,
        limit: int,
        period: float = 60.0,
        *,
        workers: int,
        guard: float = 0.01,
    ) -> None:
        self._limit = positive_int("limit", limit)
        self._period = seconds("period", period) * (1 + _part("guard", guard))
        self._workers = positive_int("workers", workers)
        self._share = LocalRateLimiter(max(1, limit // workers), self._period)
        digest = hashlib.sha256(b"sdk-rate-limit:" + header_text("key", key).encode()).hexdigest()[:32]
        # In braces: a cluster keeps all keys with the same hash tag on one node, as a script needs them.
        self._prefix = f"sdk-rate-limit:{{{digest}}}:"
        self._clients = Clients(redis if callable(redis) else connecting_to(instance("redis", redis, str)))
        self._is_down = False
        self._ask_again_at = 0.0
        self._keep_to_both_until = 0.0
        self._memory: str | bytes = ""
        """What the script last returned: as long as it is the same, Redis has lost nothing."""
        self._used: dict[str, tuple[float, int]] = {}
        """When Redis last said how many slots of an operation are taken, and how many."""

    async def acquire(self, operation: str, patience: float) -> float:
        """Reserve the next slot of `operation` and return the seconds until it, unless it is beyond `patience`."""
        keeps_to_share = self._is_down or time.monotonic() < self._keep_to_both_until
        of_share = self._share.acquire(operation, patience) if keeps_to_share else 0.0
        if of_share > patience:
            return of_share
        wait = await self._reserve(operation, patience, earliest=of_share)
        if wait is None:
            return of_share if keeps_to_share else self._share.acquire(operation, patience)
        if keeps_to_share:
            self._share.give_back(operation, of_share)
        if wait <= patience:
            self._share.count(operation, wait)
        return wait

    async def confirm(self, operation: str, patience: float) -> float:
        """Return 0.0 for a slot that is due, if `operation` is not paused; else reserve one after the pause for it."""
        wait = await self._reserve(operation, patience, is_due=True)
        if wait is None:
            return self._share.confirm(operation, patience)
        if wait > 0:
            self._share.give_back(operation, 0.0)
            if wait <= patience:
                self._share.count(operation, wait)
        return wait

    async def on_rate_limited(self, operation: str, retry_after: float) -> None:
        """Hold back attempts of `operation`, of all workers, for `retry_after` seconds."""
        self._share.on_rate_limited(operation, retry_after)
        await self._ask(_PAUSE, [self._pause_of(operation)], _microseconds(retry_after))

    async def give_back(self, operation: str, wait: float) -> None:
        """Free the slot of `operation` that is `wait` seconds away."""
        self._share.give_back(operation, wait)
        await self._ask(_GIVE_BACK, [self._prefix + operation], _microseconds(wait))

    async def aclose(self) -> None:
        """Close the connections; used again, it opens others."""
        await self._clients.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exc: object) -> None:
        await self.aclose()

    def _pause_of(self, operation: str) -> str:
        return f"{self._prefix}{operation}:pause"

    async def _reserve(
        self, operation: str, patience: float, *, earliest: float = 0.0, is_due: bool = False
    ) -> float | None:
        """Return the seconds that Redis says; None: it does not answer, or knows no more what it granted."""
        answer = await self._ask(
            _RESERVE,
            [self._prefix + operation, self._pause_of(operation), f"{self._prefix}memory"],
            self._limit,
            _microseconds(self._period),
            _microseconds(patience),
            _microseconds(earliest),
            spread(),
            secrets.token_hex(8),
            int(is_due),
            self._memory,
        )
        if answer is None:
            return None
        wait, memory, used = answer
        self._used[operation] = time.monotonic(), used
        if wait < 0 and memory != self._memory:
            self._distrust("Redis has lost what it knew: for one period, each process keeps to its share as well")
        self._memory = memory
        return None if wait < 0 else float(wait / 1e6)

    async def _ask(self, script: str, keys: list[str], *arguments: str | bytes | float) -> Any:
        now = time.monotonic()
        if self._is_down:
            if now < self._ask_again_at:
                return None
            # By one call only; meanwhile the others go on without.
            self._ask_again_at = now + _ASK_AGAIN
        try:
            async with timeout(_PATIENCE):
                redis = await self._clients.current()
                answer: Any = await redis.register_script(script)(keys, arguments)
        except Exception as error:  # noqa: BLE001  whatever it is, there is the share to keep to
            self._note_down(error)
            await self._clients.drop_idle()
            return None
        if self._is_down:
            self._is_down = False
            self._distrust("Redis is back: for one period, each process keeps to its share as well")
        return answer

    def _note_down(self, error: Exception) -> None:
        self._ask_again_at = time.monotonic() + _ASK_AGAIN
        if not self._is_down:
            self._is_down, self._memory = True, ""
            what = "Redis does not answer (%s): until it is back, each process keeps to its share of the rate limit"
            _log.warning(what, f"{type(error).__name__}: {error}".removesuffix(": "))
            self._leave_to_others()

    def _leave_to_others(self) -> None:
        """Count as used what others have used of our share: until a period is over, the server counts it, too."""
        for operation, (seen, used) in self._used.items():
            if time.monotonic() - seen < self._period:
                # Of the latest slots, as many as the limit: the others do not count any more when the next one starts.
                ours = self._share.used(operation) * self._limit / max(used, self._limit)
                free = max(0, self._limit - used) / self._workers
                for _ in range(int(self._limit / self._workers - ours - free)):
                    self._share.count(operation, 0.0)

    def _distrust(self, why: str) -> None:
        # Longer than a period: other processes may notice later than this one.
        self._keep_to_both_until = time.monotonic() + self._period + _ASK_AGAIN + _PATIENCE
        _log.info(why)


def _part(name: str, value: object) -> float:
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError(f"{name} must be a number from 0 to 1")
    return value


def _microseconds(of_seconds: float) -> str:
    # Of what no double can hold exactly, nothing depends on the last digits.
    return f"{min(of_seconds, 1e9) * 1e6:.0f}"
