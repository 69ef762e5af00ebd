"""What became of a run: a summary by outcome, and a file with the result of each row."""

import csv
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, TextIO

from attrs import frozen
from msgspec import Raw
from msgspec.json import Encoder

from sdk_core.bulk.records import RunFacts, counts_of, facts_of, reading, results_of
from sdk_core.bulk.result import Result

__all__ = ["Status", "status_of", "write_results"]

_COLUMNS: Final = ("line", "operation", "outcome", "attempts", "correlation_id", "arguments", "answer", "error")
_ORDER: Final = ("done", "settled", "unchanged", "rejected", "not_sent", "unconfirmed", "unknown", "sent", "planned")
_ENCODER: Final = Encoder()


@frozen
class Status:
    """Where a run is, as its journal says."""

    run: RunFacts
    counts: Mapping[str, int]
    """Rows by outcome; `sent` and `planned` are those that have not ended."""

    @property
    def is_finished(self) -> bool:
        """Whether every row has ended."""
        return not {"sent", "planned"} & self.counts.keys()


def status_of(journal: str | Path) -> Status:
    """Read a journal, while its run is under way or afterwards; JournalError if there is none."""
    journal = Path(journal)
    with reading(journal) as database:
        counts = counts_of(database)
        return Status(facts_of(database, journal), {name: counts[name] for name in _ORDER if name in counts})


def write_results(journal: str | Path, path: str | Path) -> int:
    """Write the result of each row to a file that only its owner can read, and return how many there are.

    Args:
        journal: of the run, which may be under way.
        path: `.csv` for CSV, anything else for JSONL, in which numbers have the digits of plan and answer. A file that
            is there is replaced once all is written.

    Raises:
        JournalError: there is no journal.
        OSError: the file can't be written.
    """
    journal, path = Path(journal), Path(path)
    partial = path.with_name(f"{path.name}.part")
    with reading(journal) as database:
        descriptor = os.open(partial, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            count = (_write_csv if path.suffix == ".csv" else _write_jsonl)(file, results_of(database))
            file.flush()
            os.fsync(file.fileno())
    partial.replace(path)
    return count


def _write_jsonl(file: TextIO, results: Iterable[Result]) -> int:
    return sum(bool(file.write(_ENCODER.encode(_record(result)).decode() + "\n")) for result in results)


def _write_csv(file: TextIO, results: Iterable[Result]) -> int:
    writer = csv.writer(file)
    writer.writerow(_COLUMNS)
    return sum(bool(writer.writerow(_cells(result))) for result in results)


def _cells(result: Result) -> list[object]:
    error = result.error
    cells = {
        **_facts(result),
        "arguments": result.values,
        "answer": result.answer_text,
        "error": None if error is None else f"{error.get('type')}: {error.get('message')}",
    }
    return [cells[column] for column in _COLUMNS]


def _record(result: Result) -> dict[str, object]:
    # As they stand in the journal: no number is read and written again.
    texts = {"arguments": result.values, "answer": result.answer_text, "error": result.error_text}
    return _facts(result) | {name: None if text is None else Raw(text) for name, text in texts.items()}


def _facts(result: Result) -> dict[str, object]:
    outcome = result.outcome.value if result.is_ended else {"not_sent": "planned"}.get(result.outcome.value, "sent")
    return {
        "line": result.line,
        "operation": result.operation,
        "outcome": outcome,
        "attempts": result.attempts,
        "correlation_id": result.correlation_id,
    }
