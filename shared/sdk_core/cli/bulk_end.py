"""How a bulk run has ended: its results, its summary, and its exit code."""

from pathlib import Path
from typing import Any

from sdk_core.bulk.records import JournalError
from sdk_core.bulk.report import Status, status_of, write_results
from sdk_core.bulk.run import BulkRun
from sdk_core.cli.bulk_display import BY_SIGNAL
from sdk_core.cli.bulk_texts import path_text, rows_in_words, status_document, status_lines
from sdk_core.cli.exits import Exit
from sdk_core.cli.output import Output
from sdk_core.cli.tables import printable

__all__ = ["broken", "end"]


def end(run: BulkRun, output: Output, journal: Path, results: Path | None, *, changes: bool, goes_on: bool) -> Exit:
    """Write the results and the summary, and return the exit code, which says it if they can't be written.

    Args:
        run: has ended.
        output: where to tell it.
        journal: of the run.
        results: the file for them, if there is to be one.
        changes: whether a row that was left could change something.
        goes_on: whether the run can be resumed.
    """
    output.forget_lost()
    status = status_of(journal)
    code, document = _code(run, status), status_document(status) | {"stoppedBy": run.stopped_by}
    _tell(status, output, goes_on=goes_on)
    if results is not None:
        document["results"] = path_text(results)
        if failure := _write(results, journal, output):
            code = _unless_done(code)
            document |= {"results": None, "error": failure | {"exitCode": int(code)}}
    if run.stopped_by is not None:
        output.say(f"stopped: {run.stopped_by}" + ("; --resume goes on" if goes_on else ""))
    try:
        if output.json:
            output.show(document, "")
        elif output.lost is not None:
            raise output.lost
    except OSError as error:
        output.say(f"the summary can't be written: {error.strerror}", "red")
        return Exit.UNKNOWN if changes and {"done", "settled"} & status.counts.keys() else _unless_done(code)
    return code


def _unless_done(code: Exit) -> Exit:
    return Exit.FAILED if code is Exit.DONE else code


def _code(run: BulkRun, status: Status) -> Exit:
    # What may have happened goes before why the rest did not: who begins anew could do it twice.
    if {"unknown", "unconfirmed", "sent"} & status.counts.keys():
        return Exit.UNKNOWN
    if run.stopped_by == BY_SIGNAL:
        return Exit.INTERRUPTED
    if run.is_refused:
        return Exit.CREDENTIAL
    return Exit.FAILED if {"rejected", "not_sent", "planned"} & status.counts.keys() else Exit.DONE


def _write(results: Path, journal: Path, output: Output) -> dict[str, Any]:
    """Write the results; return what is wrong if they can't be written, else nothing."""
    try:
        output.say(f"{results}: {rows_in_words(write_results(journal, results))}")
    except (OSError, ValueError) as error:
        why = f"{results} can't be written: {error.strerror}" if isinstance(error, OSError) else str(error)
        output.say(f"{why}; `report` writes the results to another file", "red")
        return {"type": type(error).__name__, "message": printable(why)}
    return {}


def _tell(status: Status, output: Output, *, goes_on: bool = True) -> None:
    for text in status_lines(status, goes_on=goes_on):
        output.say(text)


def broken(error: Exception, output: Output, journal: Path) -> Exit:
    """Say that a run has ended before its end, and what is known of its rows."""
    output.say(f"failed: {error}", "red")
    status = None
    try:
        status = status_of(journal)
        _tell(status, output)
        output.say("--resume goes on; what may have been sent is read first")
    except JournalError:
        # Told above, most likely.
        pass
    known = {} if status is None else {"run": status_document(status)}
    return output.error({"type": type(error).__name__, "message": str(error), **known}, Exit.UNKNOWN)
