"""Where the rows of a run are sent, and where they may be queued: a run goes on there, or not at all."""

import sqlite3
from pathlib import Path
from typing import Final

from sdk_core.bulk.records import JournalError

__all__ = ["keep_place", "keep_queue", "refuse_other_queue"]

# A table of its own: journals that other releases have begun get it when they are resumed.
_TABLE: Final = "create table if not exists origin(name text primary key, value text not null)"
_FIRST: Final = "insert or ignore into origin values(?, ?)"


def keep_place(database: sqlite3.Connection, path: Path, place: str | None) -> None:
    """Note where rows are sent; JournalError if others were sent elsewhere. None: nothing is sent."""
    database.execute(_TABLE)
    if place is None:
        return
    database.execute(_FIRST, ("place", place))
    if (before := _noted(database, "place")) != place:
        advice = "use the settings that it was begun with, or begin a run with another journal"
        raise JournalError(f"{path} is the journal of a run at {before}, and not at {place}: {advice}")


def keep_queue(database: sqlite3.Connection, queue: str) -> None:
    """Note that rows are handed over, and where they may wait once the run is over."""
    database.execute(_FIRST, ("queue", queue))


def refuse_other_queue(database: sqlite3.Connection, path: Path, queue: str | None) -> None:
    """Raise JournalError if rows may be queued elsewhere, where others could send them, too."""
    if (before := _noted(database, "queue")) not in {None, queue}:
        advice = "go on there (--engine docket and this --redis; in Python, the same engine)"
        raise JournalError(f"rows of {path} may still be queued in {before}, and be sent from there: {advice}")


def _noted(database: sqlite3.Connection, name: str) -> str | None:
    found = database.execute("select value from origin where name = ?", (name,)).fetchone()
    return None if found is None else str(found[0])
