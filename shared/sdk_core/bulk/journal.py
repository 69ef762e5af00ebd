"""The journal of a run: a SQLite file with the plan, each row's intent before it is sent, and its outcome after it.

A row is `planned`, then `sent` (its request may be on its way: nobody knows more until its outcome is recorded), then
`ended`. The file is in WAL mode and synced at each commit, so that what was recorded survives the process and the
machine. `<journal>-lock` is locked by the process that works on the run.
"""

import asyncio
import sqlite3
import time
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from msgspec import json

from sdk_core.bulk import origin, records
from sdk_core.bulk.lock import lock, lock_file
from sdk_core.bulk.plan import PlannedRow
from sdk_core.bulk.records import JournalError, RunFacts, counts_of, explained, facts_of
from sdk_core.bulk.result import Ending
from sdk_core.bulk.tasks import Catalogue
from sdk_core.correlation import new_correlation_id
from sdk_core.value import Opaque

__all__ = ["Journal", "JournalRow", "RowEnding"]

_PAGE: Final = 500
# Rows come as one JSON text, [[n, ...], ...], so that a batch is one statement: at each, SQLite's thread and the loop's
# hand Python's lock to each other.
_PLANNED: Final = """
update row set state = 'planned', correlation_id = null, sent_at = null
from json_each(:rows) as b where n = json_extract(b.value, '$[0]')
"""
_INTENT: Final = """
update row set state = 'sent', sent_at = :now, correlation_id = json_extract(b.value, '$[1]')
from json_each(:rows) as b where n = json_extract(b.value, '$[0]')
"""
_UNSETTLED: Final = """
update row set sent_at = :now, attempts = attempts + json_extract(b.value, '$[1]'),
    error = json_extract(b.value, '$[2]')
from json_each(:rows) as b where n = json_extract(b.value, '$[0]')
"""
_ENDED: Final = """
update row set state = 'ended', ended_at = :now, correlation_id = json_extract(b.value, '$[1]'),
    attempts = attempts + json_extract(b.value, '$[2]'), outcome = json_extract(b.value, '$[3]'),
    may_succeed_later = json_extract(b.value, '$[4]'), error = json_extract(b.value, '$[5]'),
    answer = json_extract(b.value, '$[6]')
from json_each(:rows) as b where n = json_extract(b.value, '$[0]')
"""


class JournalRow(Opaque, frozen=True):
    """A row to work on."""

    n: int
    line: int
    operation: str
    values: str
    is_text: bool
    correlation_id: str
    """Of its request; of one that is to be sent, a new one."""
    sent_at: float
    """No later than this its request was sent, in seconds since the epoch; 0: it never was."""
    attempts: int = 0
    """How often its request was sent before, as far as that was recorded."""


RowEnding = tuple[JournalRow, Ending]


class Journal:
    """The journal of the run that this process works on; see `begin` and `resume`."""

    def __init__(self, path: Path) -> None:
        """Lock the journal and open its file."""
        self.path = path
        with explained(path):
            self._lock = lock(path)
            try:
                self._database = _connect(path)
                self._reader = _connect(path)
            except BaseException:
                self._unlock()
                raise
        self._thread = ThreadPoolExecutor(1, "journal")

    @classmethod
    def begin(
        cls, path: Path, sdk: str, plan: str, rows: Iterator[PlannedRow], *, run_id: str, place: str | None = None
    ) -> Self:
        """Take a plan into a new journal: all of it, or nothing. `place` is where rows are sent; None: nowhere.

        Raises:
            JournalError: there is a journal at this path, or none can be written.
            PlanError: rows are wrong, or name the same twice.
        """
        is_new = records.create(path)
        journal: Self | None = None
        try:
            with records.looking_at(path) as database:
                records.refuse_old(database, path)
            journal = cls(path)
            with explained(path), journal._transaction() as database:
                records.refuse_old(database, path)
                records.take_in(database, run_id, sdk, plan, rows)
                origin.keep_place(database, path, place)
        except BaseException:
            if journal is not None:
                journal.close_now()
            if is_new:
                path.resolve().unlink()
            raise
        return journal

    @classmethod
    def resume(
        cls, path: Path, catalogue: Catalogue, plan: str, rows: Iterator[PlannedRow] | None, *, place: str | None = None
    ) -> Self:
        """Open the journal of a run that goes on; see `plan_again`.

        Args:
            path: where it is.
            catalogue: of the SDK whose it is to be.
            plan: the plan's name.
            rows: the plan, to be compared with the one that was begun with; None: that one is not compared.
            place: where rows are sent; None: nowhere.

        Raises:
            JournalError: there is none, it is another's or of another place, or it can't be written.
            PlanError: the plan is another one.
        """
        if not path.is_file():
            raise JournalError(f"there is no journal {path} to resume: run without resume to begin one")
        with records.looking_at(path) as database:
            records.refuse_others(database, path, catalogue.sdk)
        journal = cls(path)
        try:
            with explained(path), journal._transaction() as database:
                origin.keep_place(database, path, place)
                if rows is not None:
                    records.compare(database, rows, path, plan)
        except BaseException:
            journal.close_now()
            raise
        return journal

    def plan_again(self, catalogue: Catalogue) -> None:
        """Plan the rows again that ended without effect and may succeed now, and settle those whose end is not known.

        Raises:
            JournalError: rows that are left are none of the catalogue's, or it can't be written.
        """
        with explained(self.path), self._transaction() as database:
            database.execute(
                "update row set state = 'planned', outcome = null, error = null where state = 'ended'"
                " and may_succeed_later"
            )
            # Its effect may show now.
            database.execute("update row set state = 'sent' where state = 'ended' and outcome = 'unknown'")
            records.refuse_unknown(database, self.path, catalogue)
            # A row may have waited long after its intent was recorded. Only now is it certain that this process
            # sends nothing of it any more, as it is gone. What it has handed to workers, they alone go on with.
            database.execute("update row set sent_at = ? where state = 'sent'", (time.time(),))

    @property
    def facts(self) -> RunFacts:
        """What it says of the run."""
        return facts_of(self._reader, self.path)

    def rows(self, state: str) -> Iterator[JournalRow]:
        """Give the rows in this state, in order, a page at a time."""
        last = 0
        while True:
            page = self._reader.execute(
                "select n, line, operation, arguments, is_text, correlation_id, sent_at, attempts from row"
                " where state = ? and n > ? order by n limit ?",
                (state, last, _PAGE),
            ).fetchall()
            if not page:
                return
            for n, line, operation, arguments, is_text, correlation_id, sent_at, attempts in page:
                named = correlation_id or new_correlation_id()
                yield JournalRow(n, line, operation, arguments, bool(is_text), named, sent_at or 0.0, attempts)
            last = page[-1][0]

    def refuse_other_queue(self, queue: str | None) -> None:
        """Raise JournalError if rows may be queued elsewhere, where others could send them, too."""
        origin.refuse_other_queue(self._reader, self.path, queue)

    async def keep_queue(self, queue: str) -> None:
        """Note where rows may be queued once the run is over, before the first of them is."""
        with explained(self.path):
            await asyncio.get_running_loop().run_in_executor(self._thread, origin.keep_queue, self._database, queue)

    def counts(self) -> dict[str, int]:
        """Return how many rows there are by outcome, `planned` and `sent` among them."""
        return counts_of(self._reader)

    def operations_left(self) -> dict[str, int]:
        """Return how many rows of each operation have not ended."""
        rows = self._reader.execute("select operation, count(*) from row where state != 'ended' group by 1")
        return dict(rows.fetchall())

    async def note(
        self,
        now: float,
        *,
        intents: Iterable[JournalRow] = (),
        unsent: Iterable[JournalRow] = (),
        ended: Iterable[RowEnding] = (),
        unsettled: Iterable[RowEnding] = (),
    ) -> None:
        """Record what becomes of rows, in one commit that is on disk when this returns.

        Args:
            now: seconds since the epoch.
            intents: are about to be sent, with the correlation ids they have.
            unsent: were not sent after all.
            ended: have ended.
            unsettled: may have been sent, and have to be settled.
        """
        batches: dict[str, list[tuple[object, ...]]] = {
            _INTENT: [(row.n, row.correlation_id) for row in intents],
            _PLANNED: [(row.n,) for row in unsent],
            _ENDED: [(row.n, *_known(ending)) for row, ending in ended],
            _UNSETTLED: [(row.n, ending.attempts, ending.error_text) for row, ending in unsettled],
        }
        texts = {sql: json.encode(batch).decode() for sql, batch in batches.items() if batch}
        with explained(self.path):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._commit, now, texts)

    def _commit(self, now: float, texts: dict[str, str]) -> None:
        with self._transaction() as database:
            for sql, text in texts.items():
                database.execute(sql, {"now": now, "rows": text})

    async def close(self, *, is_new: bool = False) -> None:
        """Write what is left, and let others have the journal; see `discard`."""
        await asyncio.to_thread(self._thread.shutdown)
        self.discard(is_new=is_new)

    def discard(self, *, is_new: bool) -> None:
        """Close it, and delete it if it is that of a run that has not begun."""
        self.close_now()
        if is_new:
            self.path.resolve().unlink(missing_ok=True)

    def close_now(self) -> None:
        """Close the files; a journal that nobody else reads becomes one file again."""
        self._reader.close()
        # If somebody reads it, or the disk is full, it stays as it is, and is as good.
        with suppress(sqlite3.Error):
            self._database.execute("pragma journal_mode = delete")
        self._database.close()
        self._unlock()

    def _unlock(self) -> None:
        # Not on systems where an open file can't be deleted.
        with suppress(OSError):
            lock_file(self.path).unlink()
        self._lock.close()

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        self._database.execute("begin immediate")
        try:
            yield self._database
            self._database.execute("commit")
        except BaseException:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise


def _known(ending: Ending) -> tuple[object, ...]:
    return (
        ending.correlation_id,
        ending.attempts,
        ending.outcome.value,
        ending.may_succeed_later,
        ending.error_text,
        ending.answer,
    )


def _connect(path: Path) -> sqlite3.Connection:
    database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    database.execute("pragma journal_mode = wal")
    database.execute("pragma synchronous = full")
    return database
