"""What the commands of bulk runs are made from: nothing here imports what carries a run out."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

from attrs import frozen

from sdk_core.backend import ClientOptions
from sdk_core.cli.program import Program
from sdk_core.cli.settings import profile_name, settings_of
from sdk_core.client import Client
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter

__all__ = ["BulkParts", "bulk_parts"]


@frozen(kw_only=True)
class BulkParts:
    """What the commands of bulk runs are made from."""

    catalogue: str
    """`module:catalogue` of what a plan can ask for."""
    connect: Callable[[ClientOptions], AbstractAsyncContextManager[Client]]
    """Gives a client with these options beside the user's own settings."""
    limiter: Callable[[], RateLimiter | None]
    """Makes the rate limiter that the SDK's clients have by default."""
    shared_limiter: Callable[[str], RateLimiter | None]
    """Makes the one that all workers share, in the Redis at a URL."""


def bulk_parts(program: Program) -> BulkParts:
    """Return the parts of a program's commands; its settings are found when one of them runs."""

    def connect(options: ClientOptions) -> AbstractAsyncContextManager[Client]:
        return program.connect(program.client, settings_of(program, profile_name(program, None)), options)

    def limiter() -> RateLimiter | None:
        return None if program.rate_limit is None else LocalRateLimiter(program.rate_limit)

    def shared_limiter(redis_url: str) -> RateLimiter | None:
        if program.rate_limit is None:
            return None
        # The extra is asked for where it is used: the other commands work without it.
        from sdk_core.integrations.redis import RedisRateLimiter  # noqa: PLC0415

        key = settings_of(program, profile_name(program, None))[program.login]
        # Without Redis there are no rows either, so nothing is gained by a share of the limit for each worker.
        return RedisRateLimiter(redis_url, key, program.rate_limit, workers=1)

    return BulkParts(catalogue=program.bulk, connect=connect, limiter=limiter, shared_limiter=shared_limiter)
