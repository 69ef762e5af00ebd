"""Looking at the journal of a run: what it says of the run and of each row, for those who write it and for others."""

import os
import sqlite3
import time
from collections.abc import Generator, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from sdk_core.bulk.plan import PlanError, PlannedRow
from sdk_core.bulk.result import Result, RowOutcome
from sdk_core.bulk.tasks import Catalogue

__all__ = [
    "JournalError",
    "RunFacts",
    "compare",
    "copy_of",
    "counts_of",
    "create",
    "explained",
    "facts_of",
    "looking_at",
    "reading",
    "refuse_old",
    "refuse_others",
    "refuse_unknown",
    "results_of",
    "sent_again_of",
    "take_in",
]

_FORMAT: Final = 1
"""Of the tables; another release may have another."""
_MOST_PROBLEMS: Final = 20
_TABLES: Final = """
create table run(format integer not null, id text not null, sdk text not null, plan text not null,
    begun_at real not null);
create table row(n integer primary key, line integer not null, operation text not null, arguments text not null,
    is_text integer not null, target text not null, state text not null default 'planned', correlation_id text,
    sent_at real, attempts integer not null default 0, outcome text, may_succeed_later integer, error text,
    answer text, ended_at real);
"""
_INSERT: Final = "insert into row(line, operation, arguments, is_text, target) values(?, ?, ?, ?, ?)"
_RESULT: Final = (
    "select n, line, operation, arguments, state, outcome, attempts, correlation_id, error, answer, ended_at from row"
)


class JournalError(Exception):
    """The journal can't be used, or not be written any more; what was recorded in it is safe. Or it is none."""


@frozen
class RunFacts:
    """What the journal says of the run itself."""

    id: str
    sdk: str
    plan: str
    begun_at: float
    rows: int


@contextmanager
def reading(path: Path) -> Generator[sqlite3.Connection]:
    """Open a journal to look at it, while its run is under way or afterwards.

    Raises:
        JournalError: there is none.
    """
    if not path.is_file():
        raise JournalError(f"there is no journal {path}")
    with explained(path), closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as database:
        facts_of(database, path)
        yield database


def copy_of(journal: Path, path: Path) -> None:
    """Write what a journal holds now to a new file; errors as of `reading`."""
    with reading(journal) as database, closing(sqlite3.connect(path)) as copy:
        database.backup(copy)


def counts_of(database: sqlite3.Connection) -> dict[str, int]:
    """Return how many rows there are by outcome; those without one by state."""
    rows = database.execute("select case state when 'ended' then outcome else state end, count(*) from row group by 1")
    return dict(rows.fetchall())


def sent_again_of(database: sqlite3.Connection) -> int:
    """Return how many rows have ended, and are sent again when the run is resumed."""
    (count,) = database.execute("select count(*) from row where state = 'ended' and may_succeed_later").fetchone()
    return int(count)


def results_of(database: sqlite3.Connection) -> Iterator[Result]:
    """Give what is known of each row, in the plan's order."""
    for n, line, operation, arguments, state, outcome, *rest in database.execute(f"{_RESULT} order by n"):
        # A row that was sent may have had its effect; one that is planned certainly had none.
        known = outcome if state == "ended" else {"planned": "not_sent", "sent": "unknown"}[state]
        yield Result(n, line, operation, arguments, RowOutcome(known), state == "ended", *rest)


def facts_of(database: sqlite3.Connection, path: Path) -> RunFacts:
    """Return what a journal says of its run; JournalError if it is none."""
    if not _has_run(database):
        if database.execute("select 1 from sqlite_master").fetchone():
            raise _no_journal(path)
        raise JournalError(f"{path} holds no run: no plan was taken in")
    form, run_id, sdk, plan, begun_at = database.execute("select format, id, sdk, plan, begun_at from run").fetchone()
    if form != _FORMAT:
        raise JournalError(f"{path} was written by another release of the SDK: use that one to go on")
    (rows,) = database.execute("select max(n) from row").fetchone()
    return RunFacts(run_id, sdk, plan, begun_at, rows)


def _has_run(database: sqlite3.Connection) -> bool:
    """Return whether a plan was taken in; another program's table may have this name too."""
    columns = {name for (name,) in database.execute("select name from pragma_table_info('run')")}
    return columns >= {"format", "id", "sdk", "plan", "begun_at"}


@contextmanager
def explained(path: Path) -> Generator[None]:
    """Have what SQLite raises told as a JournalError."""
    try:
        yield
    except sqlite3.Error as error:
        # Those that Python raises itself have no code.
        code = getattr(error, "sqlite_errorcode", None)
        if code == sqlite3.SQLITE_NOTADB:
            raise _no_journal(path) from None
        safe = "" if code == sqlite3.SQLITE_CORRUPT else "; what was recorded in it is safe"
        raise JournalError(f"the journal {path} can't be used: {error}{safe}") from error


def _no_journal(path: Path) -> JournalError:
    """Return the error of a file that is something else."""
    return JournalError(f"{path} is no journal of a bulk run")


def create(path: Path) -> bool:
    """Create the file of a journal, for its owner only; return whether it is new."""
    try:
        # A link may lead to where there is no file yet.
        os.close(os.open(path.resolve(), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
    except FileExistsError:
        return False
    except OSError as error:
        raise JournalError(f"the journal {path} can't be written: {error.strerror}") from None
    return True


@contextmanager
def looking_at(path: Path) -> Generator[sqlite3.Connection]:
    """Open a file that may be another program's database: until it is known to be ours, nothing in it is changed."""
    with explained(path), closing(sqlite3.connect(path)) as database:
        yield database


def refuse_old(database: sqlite3.Connection, path: Path) -> None:
    """Raise JournalError if a file that a run is to begin with is in use."""
    if database.execute("select 1 from sqlite_master").fetchone():
        if not _has_run(database):
            raise _no_journal(path)
        advice = "add --resume (in Python, resume=True) to go on with it, or name another file"
        raise JournalError(f"{path} holds a run already: {advice}")


def refuse_others(database: sqlite3.Connection, path: Path, sdk: str) -> None:
    """Raise JournalError unless a file is the journal of a run of this SDK."""
    facts = facts_of(database, path)
    if facts.sdk != sdk:
        raise JournalError(f"{path} is the journal of a run of {facts.sdk}, not of {sdk}")


def refuse_unknown(database: sqlite3.Connection, path: Path, catalogue: Catalogue) -> None:
    """Raise JournalError if a journal has rows to work on of operations that nobody has any more."""
    left = database.execute("select distinct operation from row where state != 'ended' order by 1").fetchall()
    if unknown := [name for (name,) in left if name not in catalogue.tasks]:
        what = f"holds rows of {', '.join(unknown)}, which this release does not have"
        raise JournalError(f"{path} {what}: go on with the one that it was begun with")


def take_in(database: sqlite3.Connection, run_id: str, sdk: str, plan: str, rows: Iterator[PlannedRow]) -> None:
    """Take a plan into an empty file; PlanError has the rows that are wrong and those that change the same."""
    for statement in _TABLES.split(";"):
        database.execute(statement)
    database.execute("insert into run values(?, ?, ?, ?, ?)", (_FORMAT, run_id, sdk, plan, time.time()))
    values = ((row.line, row.operation, row.values, row.is_text, row.target) for row in rows)
    try:
        database.executemany(_INSERT, values)
    except PlanError as error:
        raise error.along_with(_duplicates(database)) from None
    if twice := _duplicates(database):
        raise PlanError(plan, twice)


def _duplicates(database: sqlite3.Connection) -> list[str]:
    """Return where two rows change the same: which of them comes first would be left to chance."""
    twice = database.execute(
        "select group_concat(distinct operation), min(line), max(line), count(*) from row group by target"
        " having count(*) > 1 order by 2 limit ?",
        (_MOST_PROBLEMS,),
    ).fetchall()
    return [_duplicate(sorted(operations.split(",")), *rest) for operations, *rest in twice]


def _duplicate(operations: list[str], first: int, last: int, count: int) -> str:
    which = f"({', '.join(operations)}; {count} rows in all)"
    if len(operations) == 1:
        return f"line {last}: it is a second row for the same as line {first} {which}"
    return f"line {last}: it asks for a change of the same as line {first} {which}, and rows have no order"


def compare(database: sqlite3.Connection, rows: Iterator[PlannedRow], path: Path, plan: str) -> None:
    """Raise PlanError unless the plan is the one that the journal holds."""
    advice = f"the journal {path} was begun with another plan, or this one was edited since"
    recorded = database.execute("select line, operation, arguments from row order by n")
    for row in rows:
        known: tuple[Any, ...] | None = recorded.fetchone()
        if known is None:
            raise PlanError(plan, [f"line {row.line}: {advice}, which has no such line"])
        if known != (row.line, row.operation, row.values):
            raise PlanError(plan, [f"line {row.line}: {advice}; there it is line {known[0]}, of other content"])
    if (known := recorded.fetchone()) is not None:
        raise PlanError(plan, [f"{advice}; line {known[0]} is missing"])
