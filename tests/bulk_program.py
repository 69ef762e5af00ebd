"""The commands of bulk runs as a program of their own: `python bulk_program.py URL bulk plan.csv ...`."""

import asyncio
import sys
from contextlib import AbstractAsyncContextManager

from cyclopts import App

from membership_sdk import LocalRateLimiter, MembershipClient, RetryPolicy
from membership_sdk.sandbox import MembershipSandbox
from sdk_core.backend import ClientOptions
from sdk_core.cli.bulk import BulkCommands, add_bulk
from sdk_core.cli.bulk_parts import BulkParts
from sdk_core.client import Client


def commands(url: str, *, api_key: str = MembershipSandbox.API_KEY, limit: int = 10**6) -> BulkCommands:
    def connect(options: ClientOptions, _profile: str | None) -> AbstractAsyncContextManager[Client]:
        return MembershipClient(url, api_key, retry=RetryPolicy(backoff_base=0.01), **options)

    parts = BulkParts(
        program="membership-sdk",
        catalogue="membership_sdk.bulk:CATALOGUE",
        connect=connect,
        connect_to_sandbox=lambda options, _say: connect(options, None),
        place=lambda _profile: url,
        limiter=lambda: LocalRateLimiter(limit),
        shared_limiter=lambda _redis, _profile: LocalRateLimiter(limit),
    )
    return BulkCommands(parts)


def main(url: str, *argv: str) -> None:
    app = App(name="membership-sdk", result_action="return_value")
    add_bulk(app, commands(url))
    command, bound, _ignored = app.parse_args(argv)
    code = command(*bound.args, **bound.kwargs)
    sys.exit(asyncio.run(code) if asyncio.iscoroutine(code) else code)


if __name__ == "__main__":
    main(*sys.argv[1:])
