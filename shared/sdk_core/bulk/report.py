"""What became of a run: a summary by outcome, and a file with the result of each row."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Final

from attrs import frozen
from msgspec import Raw
from msgspec.json import Encoder

from sdk_core.bulk.records import RunFacts, counts_of, facts_of, reading, results_of, sent_again_of
from sdk_core.bulk.result import Result
from sdk_core.bulk.results_file import COLUMNS, check_results_file, replacing

__all__ = ["Status", "status_of", "write_results"]

_ORDER: Final = ("done", "settled", "unchanged", "rejected", "not_sent", "unconfirmed", "unknown", "sent", "planned")
_ENCODER: Final = Encoder()


@frozen
class Status:
    """Where a run is, as its journal says."""

    run: RunFacts
    counts: Mapping[str, int]
    """Rows by outcome; `sent` and `planned` are those that have not ended."""
    sent_again: int
    """Rows that nothing happened of, for a reason that is none of their own: resuming sends them again."""

    @property
    def is_finished(self) -> bool:
        """Whether every row has ended."""
        return not {"sent", "planned"} & self.counts.keys()

    @property
    def left_alone(self) -> int:
        """Rows that nothing happened of, and that resuming does not send: what they ask for was refused."""
        return self.counts.get("rejected", 0) + self.counts.get("not_sent", 0) - self.sent_again


def status_of(journal: str | Path) -> Status:
    """Read a journal, while its run is under way or afterwards; JournalError if there is none."""
    journal = Path(journal)
    with reading(journal) as database:
        # All figures are of one moment.
        database.execute("begin")
        counts = counts_of(database)
        ordered: dict[str, int] = {name: counts[name] for name in _ORDER if name in counts}
        return Status(facts_of(database, journal), ordered, sent_again_of(database))


def write_results(journal: str | Path, path: str | Path) -> int:
    """Write the result of each row to a file that only its owner can read, and return how many there are.

    Args:
        journal: of the run, which may be under way.
        path: ends with `.csv`, or with `.jsonl`, in which numbers have the digits of plan and answer. A file that is
            there is replaced once all is written; it has to hold results of the same run, or nothing.

    Raises:
        ValueError: the file is another: the journal, say. It is as it was.
        JournalError: there is no journal.
        OSError: the file can't be written.
    """
    journal, path = Path(journal), Path(path)
    with reading(journal) as database:
        run = facts_of(database, journal).id
        check_results_file(path, journal, run=run)
        write = _write_csv if path.suffix.lower() == ".csv" else _write_jsonl
        with replacing(path) as file:
            return write(file, run, results_of(database))


def _write_jsonl(file: IO[str], run: str, results: Iterable[Result]) -> int:
    return sum(bool(file.write(_ENCODER.encode(_record(run, result)).decode() + "\n")) for result in results)


def _write_csv(file: IO[str], run: str, results: Iterable[Result]) -> int:
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    return sum(bool(writer.writerow(_cells(run, result))) for result in results)


def _cells(run: str, result: Result) -> list[object]:
    error = result.error
    cells = {
        **_facts(run, result),
        "arguments": result.values,
        "answer": result.answer_text,
        "error": None if error is None else f"{error.get('type')}: {error.get('message')}",
    }
    return [cells[column] for column in COLUMNS]


def _record(run: str, result: Result) -> dict[str, object]:
    # As they stand in the journal: no number is read and written again.
    texts = {"arguments": result.values, "answer": result.answer_text, "error": result.error_text}
    return _facts(run, result) | {name: None if text is None else Raw(text) for name, text in texts.items()}


def _facts(run: str, result: Result) -> dict[str, object]:
    outcome = result.outcome.value if result.is_ended else {"not_sent": "planned"}.get(result.outcome.value, "sent")
    return {
        "run": run,
        "line": result.line,
        "operation": result.operation,
        "outcome": outcome,
        "attempts": result.attempts,
        "correlation_id": result.correlation_id,
    }
