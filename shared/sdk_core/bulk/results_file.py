"""The file for the results of a run: written whole or not at all, and never over anything but results of this run."""

import os
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Final

from sdk_core import codec

__all__ = ["COLUMNS", "check_results_file", "replacing"]

COLUMNS: Final = (
    "run",
    "line",
    "operation",
    "outcome",
    "attempts",
    "correlation_id",
    "arguments",
    "answer",
    "error",
)
"""The run is the first: it tells whose results a file has, however long its rows are."""
_BESIDE: Final = ("-wal", "-shm", "-journal", "-lock")
"""Ends of the names of files that belong to a journal."""


def check_results_file(path: Path, journal: Path, *, run: str | None = None, plan: str | Path | None = None) -> None:
    """Raise ValueError unless results may be written to a file: what else is there could be the only record of it.

    Args:
        path: of the file; one that is there has to hold results of the same run, or nothing.
        journal: of the run.
        run: its id; None: it is still to begin.
        plan: the file of its plan, if it is one.
    """
    own = [journal, *(journal.with_name(journal.name + end) for end in _BESIDE)]
    if any(_are_same(path, each) for each in own):
        raise ValueError("results can't be the journal: name another file")
    if plan is not None and _are_same(path, Path(plan)):
        raise ValueError("results can't be the plan: name another file")
    if path.suffix.lower() not in {".csv", ".jsonl"}:
        raise ValueError(f"{path} can't hold results: name it .csv or .jsonl")
    if not path.parent.is_dir():
        raise ValueError(f"{path} can't be written: there is no folder {path.parent}")
    if path.exists() and not (path.is_file() and _may_be_replaced(path, run)):
        raise ValueError(f"{path} is there, and does not hold results of this run: name another file, or move it away")


@contextmanager
def replacing(path: Path) -> Generator[IO[str]]:
    """Give a file to write, which only its owner can read, and which takes the place of another once all is written."""
    with NamedTemporaryFile(
        "w", encoding="utf-8", newline="", dir=path.parent, prefix=f".{path.name}-", delete=False
    ) as file:
        written = Path(file.name)
        try:
            yield file
            file.flush()
            os.fsync(file.fileno())
        except BaseException:
            with suppress(OSError):
                written.unlink()
            raise
    written.replace(path)


def _are_same(one: Path, other: Path) -> bool:
    if one.exists() and other.exists():
        return one.samefile(other)
    return one.resolve() == other.resolve()


def _may_be_replaced(path: Path, run: str | None) -> bool:
    """Return whether a file is empty, or holds results of this run."""
    with path.open(encoding="utf-8", errors="replace", newline="") as file:
        first, second = file.readline(), file.readline()
    if path.suffix.lower() == ".csv":
        is_ours = first.rstrip("\r\n") == ",".join(COLUMNS)
        return not first or (is_ours and (not second or second.partition(",")[0] == run))
    return not first or (run is not None and codec.as_object(codec.parse_or_none(first.encode())).get("run") == run)
