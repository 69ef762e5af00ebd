"""What the commands of bulk runs are made from: nothing here imports what carries a run out."""

from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache, partial

from attrs import frozen

from sdk_core.backend import ClientOptions
from sdk_core.cli.program import Program
from sdk_core.cli.settings import MissingSettingError, find, missing, profile_name, settings_of
from sdk_core.client import Client
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter
from sdk_core.transport.connection import Connection

__all__ = ["BulkParts", "bulk_parts"]


@frozen(kw_only=True)
class BulkParts:
    """What the commands of bulk runs are made from."""

    program: str
    """Its name."""
    catalogue: str
    """`module:catalogue` of what a plan can ask for."""
    connect: Callable[[ClientOptions, str | None], AbstractAsyncContextManager[Client]]
    """Gives a client with these options beside the user's own settings, from the profile of this name."""
    connect_to_sandbox: Callable[[ClientOptions, Callable[[str], None]], AbstractAsyncContextManager[Client]]
    """Gives a client of a sandbox of its own, and says what that has."""
    place: Callable[[str | None], str]
    """Says what is changed with the settings of a profile, for the question."""
    limiter: Callable[[], RateLimiter | None]
    """Makes the rate limiter that the SDK's clients have by default."""
    shared_limiter: Callable[[str, str | None], RateLimiter | None]
    """Makes the one that all workers share, in the Redis at a URL, for the credential of a profile."""


def bulk_parts(program: Program) -> BulkParts:
    """Return the parts of a program's commands; its settings are found when one of them runs."""
    # Who is asked for a setting is asked once.
    settings = cache(partial(_settings, program))

    def connect(options: ClientOptions, profile: str | None) -> AbstractAsyncContextManager[Client]:
        # What a person's machine is set to use: HTTPS_PROXY counts for a command.
        options = {"connection": Connection(trust_env=True), **options}
        return program.connect(program.client, settings(profile), options)

    @asynccontextmanager
    async def connect_to_sandbox(options: ClientOptions, say: Callable[[str], None]) -> AsyncGenerator[Client]:
        async with program.new_sandbox() as sandbox:
            say(f"sandbox: {program.sandbox_ids(sandbox)}")
            async with program.connect(program.client, program.sandbox_settings(sandbox), options) as client:
                yield client

    def limiter() -> RateLimiter | None:
        return None if program.rate_limit is None else LocalRateLimiter(program.rate_limit)

    def shared_limiter(redis_url: str, profile: str | None) -> RateLimiter | None:
        if program.rate_limit is None:
            return None
        # The extra is asked for where it is used: the other commands work without it.
        from sdk_core.integrations.redis import RedisRateLimiter  # noqa: PLC0415

        key = settings(profile)[program.login]
        # Without Redis there are no rows either, so nothing is gained by a share of the limit for each worker.
        return RedisRateLimiter(redis_url, key, program.rate_limit, workers=1)

    return BulkParts(
        program=program.name,
        catalogue=program.bulk,
        connect=connect,
        connect_to_sandbox=connect_to_sandbox,
        place=lambda profile: program.place(settings(profile)),
        limiter=limiter,
        shared_limiter=shared_limiter,
    )


def _settings(program: Program, profile: str | None) -> dict[str, str]:
    """Return all settings; MissingSettingError names the first that is missing, and its notes the others."""
    name = profile_name(program, profile)
    try:
        return settings_of(program, name)
    except MissingSettingError as error:
        for setting in missing(program, find(program, name))[1:]:
            error.add_note(f"{setting.name} is missing, too ({setting.what}; {setting.variable})")
        raise
