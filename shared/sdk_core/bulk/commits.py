"""Writing to the journal's file: all that waits at one time shares a commit, because each is a sync of the disk."""

import asyncio
import sqlite3
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from operator import itemgetter

__all__ = ["Commits", "JournalError", "Statement"]

Statement = tuple[str, Sequence[object]]
"""SQL with its parameters."""


class JournalError(Exception):
    """The journal can't be used, or not be written any more; what was recorded in it is safe."""


class Commits:
    """Executes statements in a thread of its own. Each call returns when its statements are on disk.

    Args:
        database: may be used by another thread than its maker's, and commits nothing by itself.
        name: of the journal, for errors.
    """

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self._database = database
        self._name = name
        self._waiting: list[tuple[tuple[Statement, ...], asyncio.Future[None]]] = []
        self._thread = ThreadPoolExecutor(1, "journal")
        self._committing: asyncio.Task[None] | None = None
        self._failure: JournalError | None = None

    async def write(self, *statements: Statement) -> None:
        """Have statements executed and committed; JournalError if they can't be, or earlier ones could not."""
        if self._failure is not None:
            raise self._failure
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((statements, done))
        if self._committing is None:
            self._committing = asyncio.create_task(self._commit_all())
        await done

    async def close(self) -> None:
        """Wait for what is being written."""
        if self._committing is not None:
            await self._committing
        self._thread.shutdown()

    async def _commit_all(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._thread, self._commit, [s for own, _ in batch for s in own])
            except sqlite3.Error as error:
                self._failure = JournalError(f"the journal {self._name} can't be written any more: {error}")
                self._failure.__cause__ = error
            for _, done in batch + (self._waiting if self._failure else []):
                if done.cancelled():
                    continue
                if self._failure is None:
                    done.set_result(None)
                else:
                    done.set_exception(self._failure)
            if self._failure is not None:
                self._waiting.clear()
        self._committing = None

    def _commit(self, statements: list[Statement]) -> None:
        # A row's intent and its outcome are never in one batch, so that the order of the kinds does not matter.
        statements.sort(key=itemgetter(0))
        self._database.execute("begin immediate")
        try:
            for sql, same in groupby(statements, key=itemgetter(0)):
                self._database.executemany(sql, [parameters for _, parameters in same])
            self._database.execute("commit")
        except sqlite3.Error:
            if self._database.in_transaction:
                self._database.execute("rollback")
            raise
