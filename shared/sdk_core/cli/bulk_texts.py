"""What the commands of bulk runs write: lines for people, and JSON documents."""

import os
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from sdk_core.bulk.progress import Progress
from sdk_core.bulk.report import Status

__all__ = ["left_in_words", "path_text", "progress_line", "rows_in_words", "status_document", "status_lines"]

_MEANINGS: Final = {
    "done": "the API said yes",
    "settled": "the answer was lost, but it is as it was asked for",
    "unchanged": "it was so already",
    "rejected": "refused: nothing happened",
    "not_sent": "nothing happened",
    "unconfirmed": "the API said yes, but reading did not show it in time",
    "unknown": "it may have happened: look before it is done again",
    "sent": "may have been sent; --resume settles it by reading",
    "planned": "not sent yet",
}
_MINUTE, _HOUR = 60, 3600


def progress_line(progress: Progress, waits: Mapping[str, float], *, stopped_by: str | None = None) -> str:
    """Return how far a run is, in one line."""
    parts = [f"{progress.ended:,} of {progress.total:,}", f"{progress.rate:.1f}/s"]
    if stopped_by is not None:
        parts += [f"stopping: {progress.under_way} under way"] if progress.under_way else []
    elif progress.seconds_left and progress.ended + progress.unsettled < progress.total:
        parts.append(f"{_duration(progress.seconds_left)} to go")
    if progress.retries:
        parts.append(f"{progress.retries:,} retries")
    if progress.failures:
        parts.append(f"{progress.failures:,} failed")
    if progress.unsettled:
        parts.append(f"{progress.unsettled:,} to settle by reading")
    if waits:
        operation = max(waits, key=waits.__getitem__)
        parts.append(f"{operation} waits {waits[operation]:.0f} s for the rate limit")
    return ", ".join(parts)


def rows_in_words(count: int) -> str:
    """Return a number of rows with the noun."""
    return f"{count:,} row" if count == 1 else f"{count:,} rows"


def path_text(path: Path) -> str:
    """Return the name of a file as JSON can carry it, which may be no UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def left_in_words(rows: int, left: Mapping[str, int]) -> str:
    """Return what a run of so many rows has still to do, by operation."""
    what = ", ".join(f"{count:,} {name}" for name, count in left.items()) or "nothing is left"
    valid = "valid" if rows == 1 else "all of them valid"
    return f"{rows_in_words(rows)}, {valid}; to be done: {what}"


def status_lines(status: Status, *, goes_on: bool = True) -> Iterator[str]:
    """Give a summary by outcome, and what becomes of the rows that nothing happened of if the run can go on."""
    begun = _time(status).isoformat(" ", "seconds")
    yield f"{status.run.plan}: {rows_in_words(status.run.rows)}, begun {begun}"
    width = max(len(f"{count:,}") for count in status.counts.values())
    for name, count in status.counts.items():
        yield f"  {count:>{width},} {name:11} {_MEANINGS[name]}"
    if not goes_on:
        return
    if status.sent_again:
        why = "nothing happened, and it may succeed now"
        yield f"--resume sends {rows_in_words(status.sent_again)} again: {why}"
    if status.left_alone:
        where = "put what is still wanted into a new plan"
        yield f"--resume leaves {rows_in_words(status.left_alone)} alone: refused for what was asked; {where}"


def status_document(status: Status) -> dict[str, Any]:
    """Return a summary as a JSON document."""
    run = status.run
    return {
        "plan": run.plan,
        "rows": run.rows,
        "run": run.id,
        "begunAt": _time(status).isoformat(timespec="seconds"),
        "isFinished": status.is_finished,
        "outcomes": dict(status.counts),
        "sentAgain": status.sent_again,
        "leftAlone": status.left_alone,
    }


def _time(status: Status) -> datetime:
    return datetime.fromtimestamp(status.run.begun_at).astimezone()


def _duration(seconds: float) -> str:
    if seconds < _MINUTE:
        return f"{seconds:.0f} s"
    if seconds < _HOUR:
        return f"{seconds / _MINUTE:.0f} min"
    return f"{seconds // _HOUR:.0f} h {seconds % _HOUR / _MINUTE:.0f} min"
