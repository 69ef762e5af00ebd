"""What the commands of bulk runs do."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from sdk_core.bulk.plan import PlanError
from sdk_core.bulk.progress import Pause
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.report import Status, status_of, write_results
from sdk_core.bulk.row import RowOptions
from sdk_core.bulk.run import BulkRun, EngineOf, RunOptions
from sdk_core.bulk.tasks import Catalogue
from sdk_core.cli.bulk_display import BY_SIGNAL, show
from sdk_core.cli.bulk_parts import BulkParts
from sdk_core.cli.bulk_texts import rows_in_words, status_json, status_lines
from sdk_core.cli.exits import Exit
from sdk_core.errors import SdkError
from sdk_core.operation import Effect

__all__ = ["begin", "show_status", "work_on_rows", "write_report"]


async def begin(
    parts: BulkParts,
    plan: str | None,
    options: RunOptions,
    row_options: Mapping[str, Any],
    *,
    redis: str | None,
    results: Path | None,
    dry_run: bool,
    yes: bool,
) -> Exit:
    """Check a plan, and carry it out unless it is refused; return the exit code.

    Args:
        parts: of the SDK.
        plan: as of the command.
        options: of the run.
        row_options: of its rows.
        redis: where workers get the rows, empty: REDIS_URL; None: they are carried out here.
        results: file for the result of each row.
        dry_run: whether the plan is only checked.
        yes: whether nobody is asked.
    """
    console, catalogue = _stderr(), _catalogue(parts)
    try:
        rows = options["row_options"] = RowOptions(**row_options)
        if redis is not None:
            options["engine"] = _workers(catalogue, _redis_url(redis), rows)
    except (ValueError, ImportError) as error:
        return _refused(console, error)
    with TemporaryDirectory() as folder:
        if dry_run:
            options["journal"] = Path(folder) / "checked.db"
        return await _carry_out(parts, console, plan, options, results, dry_run=dry_run, yes=yes)


def show_status(journal: Path, *, json: bool) -> Exit:
    """Print where a run is."""
    try:
        status = status_of(journal)
    except JournalError as error:
        return _refused(_stderr(), error)
    _print(status, json=json)
    return Exit.DONE


def write_report(journal: Path, results: Path) -> Exit:
    """Write the result of each row."""
    console = _stderr()
    try:
        count = write_results(journal, results)
    except (JournalError, OSError, ValueError) as error:
        return _refused(console, error)
    console.print(f"{results}: {rows_in_words(count)}", soft_wrap=True)
    return Exit.DONE


async def work_on_rows(parts: BulkParts, redis: str | None, *, concurrency: int, redelivery_timeout: float) -> Exit:
    """Carry out what drivers hand out."""
    try:
        # The extra is asked for where it is used: the other commands work without it.
        from sdk_core.bulk.docket import work  # noqa: PLC0415

        url = _redis_url(redis)
        limiter = parts.shared_limiter(url)
        async with parts.connect({} if limiter is None else {"rate_limiter": limiter}) as client:
            catalogue = _catalogue(parts)
            await work(client, catalogue, url, concurrency=concurrency, redelivery_timeout=redelivery_timeout)
    except (SdkError, ImportError, ValueError) as error:
        return _refused(_stderr(), error)
    return Exit.DONE


def _stderr() -> Console:
    return Console(stderr=True, highlight=False, markup=False, emoji=False)


def _catalogue(parts: BulkParts) -> Catalogue:
    catalogue: Catalogue = resolve_name(parts.catalogue)
    return catalogue


def _workers(catalogue: Catalogue, redis_url: str, options: RowOptions) -> EngineOf:
    from sdk_core.bulk.docket import docket_engine  # noqa: PLC0415  as above

    return lambda run: docket_engine(redis_url, catalogue.sdk, run, options)


async def _carry_out(
    parts: BulkParts,
    console: Console,
    plan: str | None,
    options: RunOptions,
    results: Path | None,
    *,
    dry_run: bool,
    yes: bool,
) -> Exit:
    limiter, journal = parts.limiter(), Path(options["journal"])
    pause, catalogue = None if limiter is None else Pause(limiter), _catalogue(parts)
    begins = False
    try:
        async with parts.connect({} if pause is None else {"rate_limiter": pause}) as client:
            run = BulkRun(client, catalogue, sys.stdin.buffer if plan == "-" else plan, **options)
            async with run:
                begins = _may_begin(catalogue, run, console, plan, dry_run=dry_run, yes=yes)
                if begins:
                    await show(run, console, pause)
    except Exception as error:  # noqa: BLE001  whatever it is, what was sent has to be told
        return _broken(error, console, journal) if begins else _refused(console, error)
    if begins:
        return _end(run, console, journal, results)
    return _not_begun(journal, is_new=not options.get("resume"), dry_run=dry_run)


def _may_begin(
    catalogue: Catalogue, run: BulkRun, console: Console, plan: str | None, *, dry_run: bool, yes: bool
) -> bool:
    """Say what is about to be sent, and ask whether to go on."""
    left = run.operations()
    what = ", ".join(f"{count:,} {name}" for name, count in left.items()) or "nothing is left"
    rows = run.progress.total
    valid = "valid" if rows == 1 else "all of them valid"
    console.print(f"{rows_in_words(rows)}, {valid}; to be done: {what}", soft_wrap=True)
    if dry_run:
        console.print("dry run: nothing was sent")
        return False
    changes = any(catalogue.tasks[name].effect is not Effect.READ for name in left)
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
            console.print(f"{results}: {rows_in_words(write_results(journal, results))}", soft_wrap=True)
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
    said = str(error) if known else f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.filename is not None:
        said = f"{error.filename} can't be read or written: {error.strerror}"
    console.print(said, style="red", soft_wrap=True)
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
