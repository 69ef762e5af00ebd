"""From a plan to the journal of its run: the plan is checked in a thread, for as long as somebody waits for it."""

import asyncio
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Event

from sdk_core.bulk.journal import Journal
from sdk_core.bulk.plan import Plan, PlannedRow, checked_rows, plan_name
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.tasks import Catalogue
from sdk_core.correlation import new_correlation_id

__all__ = ["journal_of", "open_journal"]


async def journal_of(
    catalogue: Catalogue, plan: Plan | None, path: Path, place: str | None, *, operation: str | None, resume: bool
) -> Journal:
    """Do in a thread what `open_journal` does; if the caller is cancelled, it ends later, and leaves no new journal."""
    left = Event()
    do = partial(open_journal, catalogue, plan, path, place, operation=operation, resume=resume, is_left=left.is_set)
    opening = asyncio.get_running_loop().run_in_executor(None, do)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        left.set()
        opening.add_done_callback(partial(_discard_result, resume=resume))
        raise


def _discard_result(opening: "asyncio.Future[Journal]", *, resume: bool) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().discard(is_new=not resume)


def open_journal(
    catalogue: Catalogue,
    plan: Plan | None,
    path: Path,
    place: str | None = None,
    *,
    operation: str | None,
    resume: bool,
    is_left: Callable[[], bool] = lambda: False,
) -> Journal:
    """Check a plan, and return the journal of its run; arguments and errors as of `BulkRun`.

    Args:
        catalogue: as of `BulkRun`; so the others.
        plan: its rows.
        path: of the journal.
        place: where rows are sent; None: nowhere.
        operation: what all rows ask for.
        resume: whether the run goes on.
        is_left: whether nobody waits any more; then this ends in the middle, with JournalError.
    """
    name = "" if plan is None else plan_name(plan)
    rows = None if plan is None else _until(is_left, checked_rows(plan, catalogue, operation, has_begun=resume))
    if resume:
        return Journal.resume(path, catalogue, name, rows, place=place)
    return Journal.begin(path, catalogue.sdk, name, rows or iter(()), run_id=new_correlation_id(), place=place)


def _until(is_left: Callable[[], bool], rows: Generator[PlannedRow]) -> Iterator[PlannedRow]:
    # Closed here, and not when it is collected as garbage: by then, the plan's file may be closed.
    with closing(rows):
        for row in rows:
            if is_left():
                raise JournalError("nobody waits for the plan to be checked any more")
            yield row
