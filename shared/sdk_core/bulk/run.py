"""A run: the rows of a plan, many at a time, each with its intent on disk before it is sent and its outcome after it.

Rows that were never sent come first. Those whose request has an unknown outcome, of this run or an earlier one, are
settled after them: by then most effects that come late have come, and nobody has waited for them.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from functools import partial
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Required, Self, TypedDict

from sdk_core.arguments import positive_int
from sdk_core.bulk.journal import Journal, JournalRow, RowEnding
from sdk_core.bulk.plan import Plan, checked_rows, plan_name
from sdk_core.bulk.progress import Progress
from sdk_core.bulk.records import JournalError
from sdk_core.bulk.result import Ending, Result, RowOutcome
from sdk_core.bulk.row import Engine, InProcess, RowOptions
from sdk_core.bulk.tasks import Catalogue
from sdk_core.client import Client
from sdk_core.correlation import new_correlation_id
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
            of and that may succeed now; rows that may have been sent are settled by reading, and are never sent
            blindly. An operation that no workflow settles then ends as UNKNOWN, for a person.
        concurrency: how many rows are sent at a time.
        max_failures: the run stops after so many rows that a person has to look at; None: it does not.
        row_options: how rows are worked on.
        engine: opens the engine of a run, whose id it is given; None: rows are worked on in this process.

    Raises:
        PlanError: (on entering) the plan can't be carried out as it is; nothing was sent.
        JournalError: the journal can't be used; or (while results are read) not be written any more.
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
        self._catalogue = catalogue
        self._plan = plan
        self._operation = operation
        self._path = Path(journal)
        self._resume = resume
        self._concurrency = positive_int("concurrency", concurrency)
        self._max_failures = None if max_failures is None else positive_int("max_failures", max_failures)
        here = InProcess(client, catalogue, row_options or RowOptions())
        self._engine_of: EngineOf = engine or partial(_in_process, here)
        self._ready: asyncio.Queue[JournalRow | None] = asyncio.Queue()
        self._endings: list[_Handed] = []
        """What is not recorded yet."""
        self._is_news = asyncio.Event()
        """Set when a row has ended."""
        self._results: asyncio.Queue[Result | None] = asyncio.Queue(self._concurrency)
        self._work: asyncio.Task[None] | None = None
        self._is_over = False
        """Whether the caller has been told of the end."""
        self.stopped_by: str | None = None
        """Why no more rows are sent, if they are not all sent."""
        self.is_refused: bool = False
        """Whether it was stopped because no row can succeed: the credential was refused."""

    async def __aenter__(self) -> Self:
        self._journal = await asyncio.to_thread(self._open)
        self._engine_open = self._engine_of(self._journal.facts.id)
        try:
            self._engine = await self._engine_open.__aenter__()
        except BaseException:
            await self._journal.close()
            raise
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
            await self._engine_open.__aexit__(None, None, None)
            await self._journal.close()

    def __aiter__(self) -> AsyncIterator[Result]:
        return self

    async def __anext__(self) -> Result:
        if self._work is None:
            self._work = asyncio.create_task(self._work_on_all())
            self._work.add_done_callback(self._end_results)
        if not (self._work.done() and self._results.empty()):
            result = await self._results.get()
            if result is not None:
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

    def _open(self) -> Journal:
        name = "" if self._plan is None else plan_name(self._plan)
        rows = None if self._plan is None else checked_rows(self._plan, self._catalogue, self._operation)
        if self._resume:
            return Journal.resume(self._path, self._catalogue.sdk, name, rows)
        return Journal.begin(self._path, self._catalogue.sdk, name, rows or iter(()), run_id=new_correlation_id())

    async def _work_on_all(self) -> None:
        try:
            await self._stage("planned", self._engine.send)
            await self._stage("sent", self._engine.settle)
        except BaseExceptionGroup as failures:
            # The others are the same, or were cancelled by the first.
            raise failures.exceptions[0] from None

    def _end_results(self, _work: asyncio.Task[None]) -> None:
        """Wake who waits for a result; nobody does where some are left."""
        if not self._results.full():
            self._results.put_nowait(None)

    async def _stage(self, state: str, work: _Work) -> None:
        """Work on all rows in this state."""
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._concurrency):
                    group.create_task(self._work_on(work))
                await self._keep(state)
                for _ in range(self._concurrency):
                    self._ready.put_nowait(None)
        except BaseException:
            # What is known is recorded as far as it can be.
            with suppress(JournalError):
                await self._record(state, [], [*self._endings, *((row, None) for row in self._take_back())])
            raise

    async def _keep(self, state: str) -> None:
        """Keep the journal: what has ended and what is about to be sent share a commit, and then go on."""
        rows, outstanding, are_left = self._journal.rows(state), 0, True
        while are_left or outstanding or self._endings:
            some: list[JournalRow] = []
            endings, self._endings = self._endings, []
            # Until the next commit about as many end as since the last one: no worker is to wait for it, and few rows
            # are to be recorded as sent that were not, should the process die.
            room = self._concurrency + 2 * len(endings) - (outstanding - len(endings))
            if are_left and room > 0:
                some = [] if self.stopped_by is not None else list(islice(rows, room))
                are_left = bool(some)
            outstanding += len(some) - len(endings)
            if some or endings:
                await self._record(state, some, endings)
            elif outstanding:
                await self._is_news.wait()
            self._is_news.clear()

    async def _record(
        self, state: str, some: list[JournalRow], endings: list[tuple[JournalRow, Ending | None]]
    ) -> None:
        """Record in one commit, then hand rows to the workers, and results to the caller."""
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
        else:
            await self._journal.note(now, ended=ended)
            self.progress.unsettled -= len(ended)
        for row in some:
            self._ready.put_nowait(row)
        for row, ending in ended:
            self.progress.note(ending)
            if self._max_failures is not None and self.progress.failures >= self._max_failures:
                self.stop(f"{self.progress.failures} rows have failed")
            await self._results.put(_result(row, ending, now))

    def _take_back(self) -> list[JournalRow]:
        """Return the rows that no worker has begun with."""
        rows = [self._ready.get_nowait() for _ in range(self._ready.qsize())]
        return [row for row in rows if row is not None]

    async def _work_on(self, work: _Work) -> None:
        while (row := await self._ready.get()) is not None:
            # Once the run is stopped, they go back as they are.
            ending = None if self.stopped_by is not None else await self._watched(work(row))
            self._endings.append((row, ending))
            self._is_news.set()

    async def _watched(self, work: Awaitable[Ending]) -> Ending:
        self.progress.under_way += 1
        try:
            ending = await work
        finally:
            self.progress.under_way -= 1
        if ending.stops_run is not None:
            self.is_refused = True
            self.stop(ending.stops_run)
        return ending


def _in_process(engine: InProcess, _run: str) -> AbstractAsyncContextManager[Engine]:
    return nullcontext(engine)


def _result(row: JournalRow, ending: Ending, now: float) -> Result:
    return Result(
        n=row.n,
        line=row.line,
        operation=row.operation,
        values=row.values,
        outcome=ending.outcome,
        is_ended=True,
        attempts=ending.attempts,
        correlation_id=ending.correlation_id,
        error_text=ending.error_text,
        answer_text=ending.answer,
        ended_at=now,
    )
