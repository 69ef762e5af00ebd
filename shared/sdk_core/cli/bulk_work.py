"""What the commands of bulk runs do."""

import os
import signal
import sys
from asyncio import CancelledError, to_thread
from collections.abc import Generator, Mapping
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path
from pkgutil import resolve_name
from shutil import copyfileobj
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Any

from attrs import frozen
from rich.text import Text

from sdk_core.backend import ClientOptions
from sdk_core.bulk.opening import open_journal
from sdk_core.bulk.progress import Pause
from sdk_core.bulk.records import JournalError, copy_of
from sdk_core.bulk.report import status_of, write_results
from sdk_core.bulk.results_file import check_results_file
from sdk_core.bulk.row import RowOptions
from sdk_core.bulk.run import BulkRun, EngineOf, RunOptions
from sdk_core.bulk.tasks import Catalogue
from sdk_core.cli.bulk_display import show
from sdk_core.cli.bulk_end import broken, end
from sdk_core.cli.bulk_parts import BulkParts
from sdk_core.cli.bulk_refusals import refused
from sdk_core.cli.bulk_texts import left_in_words, path_text, rows_in_words, status_document, status_lines
from sdk_core.cli.exits import Exit
from sdk_core.cli.output import Output
from sdk_core.cli.question import DeclinedError, confirm
from sdk_core.cli.settings import MissingSettingError
from sdk_core.client import Client
from sdk_core.errors import SdkError
from sdk_core.operation import Effect

__all__ = ["Order", "begin", "show_status", "work_on_rows", "write_report"]


@frozen(kw_only=True)
class Order:
    """What `bulk` was asked for, beside the options of a run and its rows."""

    plan: str | None
    journal: Path | None
    results: Path | None
    operation: str | None
    resume: bool
    json: bool
    profile: str | None
    sandbox: bool
    dry_run: bool
    yes: bool
    redis: str | None
    """Where workers get the rows, empty: REDIS_URL; None: they are carried out here."""

    def check(self) -> None:
        """Raise ValueError unless its parts fit together."""
        if self.plan is None and not self.resume:
            raise ValueError("name a plan, or a run to go on with: --journal FILE --resume")
        if self.sandbox and (self.journal or self.resume or self.redis is not None):
            # What a journal says would be taken for what is so at the API.
            raise ValueError(
                "--sandbox ends with the command, and what was done on it with it: "
                "leave --journal, --resume and --engine out"
            )
        if self.journal is None and (self.resume or not (self.dry_run or self.sandbox)):
            raise ValueError(
                "--journal is missing: name the file that keeps what was sent, so that nothing is sent twice"
            )

    def check_results(self, journal: Path) -> None:
        """Raise ValueError unless the results may be written where they are to go."""
        if self.results is not None:
            run = status_of(journal).run.id if self.resume else None
            plan = None if self.plan in {None, "-"} else self.plan
            check_results_file(self.results, journal, run=run, plan=plan)


async def begin(
    parts: BulkParts,
    order: Order,
    row_options: Mapping[str, Any],
    *,
    concurrency: int,
    max_failures: int | None,
) -> Exit:
    """Check a plan, and carry it out unless it is refused; return the exit code.

    Args:
        parts: of the SDK.
        order: what to do.
        row_options: how rows are worked on.
        concurrency: how many rows are sent at a time.
        max_failures: the run stops after so many rows that failed.
    """
    output, catalogue = Output(parts.program, json=order.json), _catalogue(parts)
    with TemporaryDirectory() as folder:
        try:
            order.check()
            rows = RowOptions(**row_options)
            options: RunOptions = {
                "journal": order.journal or Path(folder) / "run.db",
                "operation": order.operation,
                "resume": order.resume,
                "concurrency": concurrency,
                "max_failures": max_failures,
                "row_options": rows,
            }
            order.check_results(Path(options["journal"]))
            if order.dry_run:
                return _check_only(catalogue, order, output, Path(folder))
            if order.redis is not None:
                options["engine"] = _workers(catalogue, _redis_url(order.redis), rows)
        except CancelledError:
            return _interrupted(output)
        except Exception as error:  # noqa: BLE001  whatever it is, nothing was sent
            return refused(output, parts.program, error)
        return await _carry_out(parts, output, order, options)


def show_status(program: str, journal: Path, *, json: bool) -> Exit:
    """Print where a run is."""
    output = Output(program, json=json)
    try:
        status = status_of(journal)
    except JournalError as error:
        return refused(output, program, error)
    output.show(status_document(status), Text("\n".join(status_lines(status))))
    return Exit.DONE


def write_report(program: str, journal: Path, results: Path, *, json: bool) -> Exit:
    """Write the result of each row."""
    output = Output(program, json=json)
    try:
        count = write_results(journal, results)
    except (JournalError, OSError, ValueError) as error:
        return refused(output, program, error)
    output.say(f"{results}: {rows_in_words(count)}")
    if json:
        output.show({"results": path_text(results), "rows": count}, "")
    return Exit.DONE


async def work_on_rows(
    parts: BulkParts, redis: str | None, profile: str | None, *, concurrency: int, redelivery_timeout: float
) -> Exit:
    """Carry out what drivers hand out."""
    try:
        # The extra is asked for where it is used: the other commands work without it.
        from sdk_core.bulk.docket import work  # noqa: PLC0415

        url = _redis_url(redis)
        limiter = parts.shared_limiter(url, profile)
        async with parts.connect({} if limiter is None else {"rate_limiter": limiter}, profile) as client:
            catalogue = _catalogue(parts)
            await work(client, catalogue, url, concurrency=concurrency, redelivery_timeout=redelivery_timeout)
    except (SdkError, ImportError, ValueError, MissingSettingError) as error:
        return refused(Output(parts.program, json=False), parts.program, error)
    return Exit.DONE


def _catalogue(parts: BulkParts) -> Catalogue:
    catalogue: Catalogue = resolve_name(parts.catalogue)
    return catalogue


def _workers(catalogue: Catalogue, redis_url: str, options: RowOptions) -> EngineOf:
    from sdk_core.bulk.docket import docket_engine  # noqa: PLC0415  as above

    return lambda run: docket_engine(redis_url, catalogue.sdk, run, options)


def _redis_url(given: str | None) -> str:
    url = given or os.environ.get("REDIS_URL")
    if not url:
        raise ValueError("--engine docket and worker need --redis, or the environment variable REDIS_URL")
    return url


@contextmanager
def _plan_of(order: Order) -> Generator[Any]:
    """Give the plan; one on stdin is read to its end first, because nothing could end a thread that waits for it.

    Raises:
        CancelledError: Ctrl-C ended the wait.
    """
    if order.plan != "-":
        yield order.plan
        return
    with TemporaryFile() as whole:
        with _interrupting():
            copyfileobj(sys.stdin.buffer, whole)
        whole.seek(0)
        yield whole


@contextmanager
def _interrupting() -> Generator[None]:
    """Have Ctrl-C end what waits for a person or a pipe, with CancelledError; asyncio's own handler lets it go on."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    except KeyboardInterrupt:
        raise CancelledError from None
    finally:
        signal.signal(signal.SIGINT, handler)


def _check_only(catalogue: Catalogue, order: Order, output: Output, folder: Path) -> Exit:
    """Check a plan, or a run that could go on, without settings and in a journal that is thrown away."""
    path = folder / "checked.db"
    if order.resume and order.journal is not None:
        copy_of(order.journal, path)
    with _plan_of(order) as plan:
        journal = open_journal(catalogue, plan, path, operation=order.operation, resume=order.resume)
    try:
        if order.resume:
            journal.plan_again(catalogue)
        rows, left = sum(journal.counts().values()), journal.operations_left()
    finally:
        journal.close_now()
    output.say(left_in_words(rows, left))
    output.say("dry run: nothing was sent")
    if output.json:
        output.show({"plan": order.plan, "rows": rows, "toBeDone": left}, "")
    return Exit.DONE


async def _carry_out(parts: BulkParts, output: Output, order: Order, options: RunOptions) -> Exit:
    limiter, journal = parts.limiter(), Path(options["journal"])
    pause, catalogue = None if limiter is None else Pause(limiter), _catalogue(parts)
    limits: ClientOptions = {} if pause is None else {"rate_limiter": pause}
    is_open = begins = changes = False
    refusal = None
    try:
        with _plan_of(order) as plan:
            async with (
                _client(parts, output, order, limits) as client,
                BulkRun(client, catalogue, plan, **options) as run,
            ):
                is_open = True
                changes = any(catalogue.tasks[name].effect is not Effect.READ for name in run.operations())
                refusal = _refusal(parts, run, output, order, changes=changes)
                begins = refusal is None
                if begins:
                    await show(run, output.stderr, pause)
        if refusal is not None:
            return refusal
        return end(run, output, journal, order.results, changes=changes, goes_on=not order.sandbox)
    except CancelledError:
        if begins:
            raise
        return _interrupted(output)
    except Exception as error:  # noqa: BLE001  whatever it is, what was sent has to be told
        return broken(error, output, journal) if begins else refused(output, parts.program, error)
    finally:
        if is_open and not begins and not order.resume:
            await to_thread(_delete, journal)


def _delete(journal: Path) -> None:
    journal.resolve().unlink(missing_ok=True)


def _interrupted(output: Output) -> Exit:
    return output.refused("interrupted; nothing was sent", Exit.INTERRUPTED)


def _client(
    parts: BulkParts, output: Output, order: Order, options: ClientOptions
) -> AbstractAsyncContextManager[Client]:
    if order.sandbox:
        return parts.connect_to_sandbox(options, lambda text: output.say(text, "dim"))
    return parts.connect(options, order.profile)


def _refusal(parts: BulkParts, run: BulkRun, output: Output, order: Order, *, changes: bool) -> Exit | None:
    """Say what is about to be sent, and ask whether to go on; return None if nothing is against it."""
    output.say(left_in_words(run.progress.total, run.operations()))
    if order.yes or order.sandbox or not changes:
        return None
    try:
        with _interrupting():
            confirm(output, "bulk", {"plan": order.plan, "journal": order.journal}, parts.place(order.profile))
    except DeclinedError as error:
        return output.refused(str(error))
    return None
