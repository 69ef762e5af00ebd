"""One process at a time: a file beside the journal, locked with SQLite, which does so on all systems."""

import sqlite3
from pathlib import Path

from sdk_core.bulk.records import JournalError

__all__ = ["lock", "lock_file"]


def lock(path: Path) -> sqlite3.Connection:
    """Lock a file beside the journal with SQLite, which does so on all systems; a process that ends lets go of it."""
    file = lock_file(path)
    try:
        # SQLite names the file of what was written last after the journal, too: under two names, there would be two.
        if path.stat().st_nlink > 1:
            raise JournalError(f"the journal {path} has a second name, a hard link: delete one of the two names")
        file.touch(mode=0o600)
        before = file.stat().st_ino
    except OSError as error:
        raise JournalError(f"the journal {path} can't be locked: {error.strerror}: {file.name}") from None
    held = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        held.execute("begin exclusive")
        # Who held it deletes the file, so that this may be the lock of a file that is gone.
        if file.exists() and file.stat().st_ino == before:
            return held
    except sqlite3.OperationalError as error:
        held.close()
        if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
            # Nobody holds it.
            file.unlink(missing_ok=True)
            raise
    held.close()
    raise JournalError(f"another process works on the journal {path}")


def lock_file(path: Path) -> Path:
    """Return the file that is locked for the journal at a path, the same by whichever link it is named."""
    path = path.resolve()
    return path.with_name(f"{path.name}-lock")
