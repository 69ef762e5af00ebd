"""The commands of bulk runs: `bulk`, `status`, `report` and `worker`, the same for both SDKs."""

import os
import sys
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Literal

from attrs import frozen
from cyclopts import App
from rich.console import Console

from sdk_core.backend import ClientOptions
from sdk_core.bulk.plan import PlanError
from sdk_core.bulk.progress import Pause
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.report import Status, status_of, write_results
from sdk_core.bulk.row import RowOptions
from sdk_core.bulk.run import BulkRun, EngineOf, RunOptions
from sdk_core.bulk.tasks import Catalogue
from sdk_core.cli.bulk_display import BY_SIGNAL, show
from sdk_core.cli.bulk_texts import status_json, status_lines
from sdk_core.cli.exits import Exit
from sdk_core.cli.options import BULK
from sdk_core.cli.program import Program
from sdk_core.cli.settings import profile_name, settings_of
from sdk_core.client import Client
from sdk_core.errors import SdkError
from sdk_core.operation import Effect
from sdk_core.ratelimit import LocalRateLimiter, RateLimiter

__all__ = ["BulkCommands", "add_bulk", "bulk_commands"]


@frozen(kw_only=True)
class BulkCommands:
    """The commands of one SDK."""

    catalogue: Catalogue
    connect: Callable[[ClientOptions], AbstractAsyncContextManager[Client]]
    """Gives a client with these options beside the user's own settings."""
    limiter: Callable[[], RateLimiter | None]
    """Makes the rate limiter that the SDK's clients have by default."""
    shared_limiter: Callable[[str], RateLimiter | None]
    """Makes the one that all workers share, in the Redis at a URL."""

    async def bulk(
        self,
        plan: str | None = None,
        /,
        *,
        journal: Path,
        operation: str | None = None,
        resume: bool = False,
        concurrency: int = 20,
        max_failures: int | None = None,
        confirm: bool = False,
        resend_after: float = 60.0,
        results: Path | None = None,
        dry_run: bool = False,
        yes: bool = False,
        engine: Literal["in-process", "docket"] = "in-process",
        redis: str | None = None,
    ) -> Exit:
        """Carry out a plan of many rows; it can be killed at any moment, and goes on with --resume.

        The whole plan is checked before the first row is sent. Ctrl-C finishes the rows under way; once more, and they
        are cancelled. Exit code 0: every row is as it was asked for; 1: some failed; 6: of some it is not known.

        Args:
            plan: CSV or JSONL, `-` for stdin; with --resume it may be left out. Its columns are an
                operation's arguments.
            journal: File of the run: what was sent, and what came of it.
            operation: What all rows ask for, an operation or a workflow; left out: the column `operation` says it.
            resume: Go on with the run of this journal. What has ended is not repeated; what may have
                been sent is read first.
            concurrency: How many rows are sent at a time.
            max_failures: Stop after so many rows that failed.
            confirm: After the API said yes, read until it shows.
            resend_after: Seconds after which a request whose answer was lost is sent once more, if
                reading shows no effect.
            results: File for the result of each row, CSV or JSONL by its name.
            dry_run: Check the plan, and send nothing.
            yes: Do not ask before the first row is sent.
            engine: Where rows are carried out: here, or by the workers that `worker` starts.
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
        """
        console = Console(stderr=True, highlight=False, markup=False, emoji=False)
        options: RunOptions = {
            "journal": journal,
            "operation": operation,
            "resume": resume,
            "concurrency": concurrency,
            "max_failures": max_failures,
        }
        try:
            row_options = options["row_options"] = RowOptions(confirm=confirm, resend_after=resend_after)
            if engine == "docket":
                options["engine"] = self._workers(_redis_url(redis), row_options)
        except (ValueError, ImportError) as error:
            return _refused(console, error)
        with TemporaryDirectory() as folder:
            if dry_run:
                options["journal"] = Path(folder) / "checked.db"
            return await self._carry_out(console, plan, options, results, dry_run=dry_run, yes=yes)

    async def _carry_out(
        self,
        console: Console,
        plan: str | None,
        options: RunOptions,
        results: Path | None,
        *,
        dry_run: bool,
        yes: bool,
    ) -> Exit:
        limiter, journal = self.limiter(), Path(options["journal"])
        pause = None if limiter is None else Pause(limiter)
        begins = False
        try:
            async with self.connect({} if pause is None else {"rate_limiter": pause}) as client:
                run = BulkRun(client, self.catalogue, sys.stdin.buffer if plan == "-" else plan, **options)
                async with run:
                    begins = self._may_begin(run, console, plan, dry_run=dry_run, yes=yes)
                    if begins:
                        await show(run, console, pause)
        except Exception as error:  # noqa: BLE001  whatever it is, what was sent has to be told
            return _broken(error, console, journal) if begins else _refused(console, error)
        if begins:
            return _end(run, console, journal, results)
        return _not_begun(journal, is_new=not options.get("resume"), dry_run=dry_run)

    def status(self, journal: Path, /, *, json: bool = False) -> Exit:
        """Show where a run is, while it is under way or afterwards.

        Args:
            journal: File of the run.
            json: Print one JSON document.
        """
        try:
            status = status_of(journal)
        except JournalError as error:
            return _refused(Console(stderr=True, highlight=False, markup=False), error)
        _print(status, json=json)
        return Exit.DONE

    def report(self, journal: Path, results: Path, /) -> Exit:
        """Write the result of each row of a run to a file, while it is under way or afterwards.

        Args:
            journal: File of the run.
            results: The file to write: CSV or JSONL, by its name.
        """
        console = Console(stderr=True, highlight=False, markup=False)
        try:
            count = write_results(journal, results)
        except (JournalError, OSError) as error:
            return _refused(console, error)
        console.print(f"{results}: {count} rows", soft_wrap=True)
        return Exit.DONE

    async def worker(
        self, *, redis: str | None = None, concurrency: int = 20, redelivery_timeout: float = 60.0
    ) -> Exit:
        """Carry out rows that `bulk --engine docket` hands out, until it is ended.

        Args:
            redis: URL of the Redis where workers get rows; left out: the environment variable REDIS_URL.
            concurrency: How many rows at a time.
            redelivery_timeout: Seconds after which the rows of a worker that died are given to another.
        """
        try:
            # The extra is asked for where it is used: the other commands work without it.
            from sdk_core.bulk.docket import work  # noqa: PLC0415

            url = _redis_url(redis)
            limiter = self.shared_limiter(url)
            async with self.connect({} if limiter is None else {"rate_limiter": limiter}) as client:
                await work(client, self.catalogue, url, concurrency=concurrency, redelivery_timeout=redelivery_timeout)
        except (SdkError, ImportError, ValueError) as error:
            return _refused(Console(stderr=True, highlight=False, markup=False), error)
        return Exit.DONE

    def _workers(self, redis_url: str, options: RowOptions) -> EngineOf:
        from sdk_core.bulk.docket import docket_engine  # noqa: PLC0415  as above

        return lambda run: docket_engine(redis_url, self.catalogue.sdk, run, options)

    def _may_begin(self, run: BulkRun, console: Console, plan: str | None, *, dry_run: bool, yes: bool) -> bool:
        """Say what is about to be sent, and ask whether to go on."""
        left = run.operations()
        what = ", ".join(f"{count:,} {name}" for name, count in left.items()) or "nothing is left"
        console.print(f"{run.progress.total:,} rows, all of them valid; to be done: {what}", soft_wrap=True)
        if dry_run:
            console.print("dry run: nothing was sent")
            return False
        changes = any(self.catalogue.tasks[name].effect is not Effect.READ for name in left)
        if yes or not changes:
            return True
        if plan == "-" or not (sys.stdin.isatty() and sys.stderr.isatty()):
            console.print("it changes something and nobody can be asked: add --yes; nothing was sent", soft_wrap=True)
            return False
        sys.stderr.write("Go on? [y/N] ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() in {"y", "yes"}:
            return True
        console.print("nothing was sent")
        return False


def bulk_commands(program: Program) -> BulkCommands:
    """Return the commands of a program; its settings are found when one of them runs."""

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

    catalogue: Catalogue = resolve_name(program.bulk)
    return BulkCommands(catalogue=catalogue, connect=connect, limiter=limiter, shared_limiter=shared_limiter)


def add_bulk(app: App, commands: BulkCommands) -> None:
    """Add the commands to a command line."""
    for command in (commands.bulk, commands.status, commands.report, commands.worker):
        app.command(command, group=BULK)


def _redis_url(given: str | None) -> str:
    url = given or os.environ.get("REDIS_URL")
    if not url:
        raise ValueError("--engine docket and worker need --redis, or the environment variable REDIS_URL")
    return url


def _not_begun(journal: Path, *, is_new: bool, dry_run: bool) -> Exit:
    if is_new:
        journal.unlink()
    return Exit.DONE if dry_run else Exit.USAGE


def _end(run: BulkRun, console: Console, journal: Path, results: Path | None) -> Exit:
    """Write the results and the summary, and return the exit code."""
    status = status_of(journal)
    for text in status_lines(status):
        console.print(text, soft_wrap=True)
    if results is not None:
        try:
            console.print(f"{results}: {write_results(journal, results):,} rows", soft_wrap=True)
        except OSError as error:
            console.print(f"{results} can't be written: {error.strerror}; `report` writes it again", soft_wrap=True)
    if run.stopped_by is not None:
        console.print(f"stopped: {run.stopped_by}; --resume goes on", soft_wrap=True)
    if run.stopped_by == BY_SIGNAL:
        return Exit.INTERRUPTED
    if run.is_refused:
        return Exit.CREDENTIAL
    if {"unknown", "unconfirmed", "sent"} & status.counts.keys():
        return Exit.UNKNOWN
    return Exit.FAILED if {"rejected", "not_sent", "planned"} & status.counts.keys() else Exit.DONE


def _print(status: Status, *, json: bool) -> None:
    console = Console(highlight=False, markup=False, emoji=False)
    for text in [status_json(status)] if json else status_lines(status):
        console.print(text, soft_wrap=True)


def _refused(console: Console, error: Exception) -> Exit:
    """Say why a command can't be run like this; nothing was sent."""
    known = isinstance(error, PlanError | JournalError | SdkError | OSError | ValueError | ImportError)
    console.print(str(error) if known else f"{type(error).__name__}: {error}", style="red", soft_wrap=True)
    return Exit.USAGE


def _broken(error: Exception, console: Console, journal: Path) -> Exit:
    """Say that a run has ended before its end, and what is known of its rows."""
    console.print(f"failed: {error}", style="red", soft_wrap=True)
    try:
        for text in status_lines(status_of(journal)):
            console.print(text, soft_wrap=True)
    except JournalError:
        # Told above, most likely.
        return Exit.UNKNOWN
    console.print("--resume goes on; what may have been sent is read first", soft_wrap=True)
    return Exit.UNKNOWN
