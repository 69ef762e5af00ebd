"""A run: the rows of a plan, many at a time, each with its intent on disk before it is sent and its outcome after it.

Rows that were never sent come first. Those whose request has an unknown outcome, of this run or an earlier one, are
settled after them: by then most effects that come late have come, and nobody has waited for them.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Required, Self, TypedDict

from sdk_core.arguments import positive_int
from sdk_core.bulk.journal import JournalRow, RowEnding
from sdk_core.bulk.opening import journal_of
from sdk_core.bulk.plan import Plan
from sdk_core.bulk.progress import Progress
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.result import Ending, Result, RowOutcome
from sdk_core.bulk.row import Engine, InProcess, RowOptions, result_of
from sdk_core.bulk.tasks import Catalogue
from sdk_core.client import Client
from sdk_core.operation import Effect

__all__ = ["BulkRun", "EngineOf", "RunOptions"]

EngineOf = Callable[[str], AbstractAsyncContextManager[Engine]]
_Work = Callable[[JournalRow], Awaitable[Ending]]
_Handed = tuple[JournalRow, Ending | None]
"""A row that was handed to the workers; None: it was not begun with."""


class RunOptions(TypedDict, total=False):
    """The options of `BulkRun`."""

    journal: Required[str | Path]
    operation: str | None
    resume: bool
    concurrency: int
    max_failures: int | None
    row_options: RowOptions | None
    engine: "EngineOf | None"


class BulkRun:
    """A run of a plan: `async with BulkRun(...) as run:`, and `async for result in run:`, in the order rows end.

    Entering the block checks the plan; the first row is sent when the first result is asked for.
    Leaving the block early finishes what is under way; leaving it with an exception cancels that, and resuming settles
    it. Memory is bounded: rows are taken from the journal as they are needed, and wait for the caller once they ended.

    Args:
        client: makes the calls.
        catalogue: what the plan can ask for.
        plan: its rows; None: those of the journal, with `resume`.
        journal: path of the run's journal, a file of its own.
        operation: what all rows ask for; None: the column `operation` of each row says it.
        resume: go on with the run of this journal. Rows that ended are left alone, except those that nothing happened
            of and that may succeed now, every READ that failed among them; rows that may have been sent are settled by
            reading, and are never sent blindly. An operation that no workflow settles is sent once more if it is
            IDEMPOTENT (unless `resend_after` of `row_options` is None); else it ends as UNKNOWN, for a person.
        concurrency: how many rows are sent at a time.
        max_failures: the run stops after so many rows that a person has to look at; None: it does not.
        row_options: how rows are worked on.
        engine: opens the engine of a run, whose id it is given; None: rows are worked on in this process.

    Raises:
        PlanError: (on entering) the plan can't be carried out as it is; nothing was sent.
        JournalError: the journal can't be used, or its run goes on elsewhere; or (while results are read) it can't be
            written any more.
    """

    def __init__(
        self,
        client: Client,
        catalogue: Catalogue,
        plan: Plan | None,
        *,
        journal: str | Path,
        operation: str | None = None,
        resume: bool = False,
        concurrency: int = 20,
        max_failures: int | None = None,
        row_options: RowOptions | None = None,
        engine: EngineOf | None = None,
    ) -> None:
        if plan is None and not resume:
            raise ValueError("without a plan, there is only a run to resume")
        path = Path(journal)
        self._open = partial(journal_of, catalogue, plan, path, client.place, operation=operation, resume=resume)
        self._catalogue = catalogue
        self._keeps_journal = resume
        self._concurrency = positive_int("concurrency", concurrency)
        self._max_failures = None if max_failures is None else positive_int("max_failures", max_failures)
        self._engine_of: EngineOf = engine or partial(_in_process, client, catalogue, row_options or RowOptions())
        self._ready: deque[JournalRow] = deque()
        """What no worker has begun with."""
        self._workers = 0
        self._endings: list[_Handed] = []
        """What is not recorded yet."""
        self._is_news = asyncio.Event()
        """Set when a row has ended."""
        self._results: asyncio.Queue[list[Result]] = asyncio.Queue(1)
        """Those of one commit; none: there are no more."""
        self._unread: Iterator[Result] = iter(())
        self._work: asyncio.Task[None] | None = None
        self._is_over = False
        """Whether the caller has been told of the end."""
        self.stopped_by: str | None = None
        """Why no more rows are sent, if they are not all sent."""
        self.is_refused: bool = False
        """Whether it was stopped because no row can succeed: the credential was refused."""

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as opened:
            self._journal = await self._open()
            opened.push_async_callback(lambda: self._journal.close(is_new=not self._keeps_journal))
            self._engine = await opened.enter_async_context(self._engine_of(self._journal.facts.id))
            self._journal.refuse_other_queue(self._engine.queue)
            if self._keeps_journal:
                await asyncio.to_thread(self._journal.plan_again, self._catalogue)
            self._keeps_journal = True
            self._opened = opened.pop_all()
        counts = self._journal.counts()
        self.progress: Progress = Progress(sum(counts.values()))
        """How far it is."""
        for outcome, count in counts.items():
            if outcome not in {"planned", "sent"}:
                self.progress.outcomes[RowOutcome(outcome)] = count
        self.progress.unsettled = counts.get("sent", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if self._work is None or not self._work.done():
            self.stop("the caller has left")
        try:
            if self._work is not None and not self._is_over:
                if kind is not None:
                    self._work.cancel()
                async for _result in self:
                    pass
        except JournalError:
            # What the caller has left with goes before it.
            if kind is None:
                raise
        finally:
            await self._opened.aclose()

    def __aiter__(self) -> AsyncIterator[Result]:
        return self

    async def __anext__(self) -> Result:
        if self._work is None:
            self._work = asyncio.create_task(self._work_on_all())
            self._work.add_done_callback(self._end_results)
        while (result := next(self._unread, None)) is None:
            if self._work.done() and self._results.empty():
                break
            self._unread = iter(await self._results.get())
        else:
            return result
        self._is_over = True
        if not self._work.cancelled():
            await self._work
        raise StopAsyncIteration

    def stop(self, reason: str) -> None:
        """Send no more rows; those under way are finished."""
        if self.stopped_by is None:
            self.stopped_by = reason

    def cancel(self) -> None:
        """Cancel the rows under way: what became of them is unknown, until the run is resumed."""
        self.stop("it was cancelled")
        if self._work is not None:
            self._work.cancel()

    def operations(self) -> dict[str, int]:
        """Return how many rows of each operation are left."""
        return self._journal.operations_left()

    async def _work_on_all(self) -> None:
        try:
            if self._engine.queue is not None:
                await self._journal.keep_queue(self._engine.queue)
            await self._stage("planned", self._engine.send)
            await self._stage("sent", self._engine.settle)
        except BaseExceptionGroup as failures:
            # The others are the same, or were cancelled by the first.
            raise failures.exceptions[0] from None

    def _end_results(self, _work: asyncio.Task[None]) -> None:
        """Wake who waits for a result; nobody does where some are left."""
        if not self._results.full():
            self._results.put_nowait([])

    async def _stage(self, state: str, work: _Work) -> None:
        """Work on all rows in this state."""
        try:
            async with asyncio.TaskGroup() as group:
                await self._keep(state, lambda: group.create_task(self._work_on(work)))
        except BaseException:
            # What is known is recorded as far as it can be.
            with suppress(JournalError):
                endings = [*self._endings, *((row, None) for row in self._ready)]
                await self._tell(await self._record(state, [], endings))
            raise

    async def _keep(self, state: str, start_worker: Callable[[], object]) -> None:
        """Keep the journal: what has ended and what is about to be sent share a commit, and then go on."""
        rows, outstanding, are_left = self._journal.rows(state), 0, True
        while are_left or outstanding or self._endings:
            some: list[JournalRow] = []
            endings, self._endings = self._endings, []
            # As many as end during a few commits: no worker is to wait for one, or all begin at once. At the pace of a
            # real API that is a handful: few rows are recorded as sent that were not, should the process die.
            ahead = min(4 * len(endings), 2 * self._concurrency)
            room = self._concurrency + ahead - (outstanding - len(endings))
            if are_left and room > 0:
                some = [] if self.stopped_by is not None else list(islice(rows, room))
                are_left = bool(some)
            outstanding += len(some) - len(endings)
            if some or endings:
                results = await self._record(state, some, endings)
                self._ready.extend(some)
                for _ in range(min(len(self._ready), self._concurrency - self._workers)):
                    self._workers += 1
                    start_worker()
                await self._tell(results)
            elif outstanding:
                await self._is_news.wait()
            self._is_news.clear()

    async def _record(
        self, state: str, some: list[JournalRow], endings: list[tuple[JournalRow, Ending | None]]
    ) -> list[Result]:
        """Record in one commit what has ended and what is about to be sent; return the results of what has ended."""
        tasks, now = self._catalogue.tasks, time.time()
        ended: list[RowEnding] = []
        unsettled: list[RowEnding] = []
        for row, ending in endings:
            if ending is not None:
                is_unknown = state == "planned" and ending.outcome is RowOutcome.UNKNOWN
                (unsettled if is_unknown and tasks[row.operation].settles else ended).append((row, ending))
        if state == "planned":
            intents = [row for row in some if tasks[row.operation].effect is not Effect.READ]
            unsent = [row for row, ending in endings if ending is None]
            await self._journal.note(now, intents=intents, unsent=unsent, ended=ended, unsettled=unsettled)
            self.progress.unsettled += len(unsettled)
            for row, ending in unsettled:
                self.progress.note_sent(ending.attempts, before=row.attempts)
        else:
            await self._journal.note(now, ended=ended)
            self.progress.unsettled -= len(ended)
        for row, ending in ended:
            self.progress.note(ending, before=row.attempts)
            if self.progress.failures == self._max_failures:
                self.stop("1 row has failed" if self._max_failures == 1 else f"{self._max_failures} rows have failed")
        return [result_of(row, ending, now) for row, ending in ended]

    async def _tell(self, results: list[Result]) -> None:
        """Hand results to the caller, once it has taken those before them."""
        if results:
            await self._results.put(results)

    async def _work_on(self, work: _Work) -> None:
        """Work on rows until none is ready."""
        try:
            while self._ready:
                row = self._ready.popleft()
                # Once the run is stopped, they go back as they are.
                ending = None
                if self.stopped_by is None:
                    self.progress.under_way += 1
                    try:
                        ending = await work(row)
                    finally:
                        self.progress.under_way -= 1
                    if ending.stops_run is not None:
                        self.is_refused = True
                        self.stop(ending.stops_run)
                self._endings.append((row, ending))
                self._is_news.set()
        finally:
            self._workers -= 1


def _in_process(
    client: Client, catalogue: Catalogue, rows: RowOptions, _run: str
) -> AbstractAsyncContextManager[Engine]:
    return nullcontext(InProcess(client, catalogue, rows))
