"""Reading a plan: CSV, JSONL or mappings become rows that are checked one by one, with the lines they stand in."""

import csv
import io
import re
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from difflib import get_close_matches
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO, Final, cast

from attrs import field, frozen

from sdk_core import codec
from sdk_core.bulk.tasks import Catalogue, Task
from sdk_core.bulk.values import repeated_key

__all__ = ["Plan", "PlanError", "PlannedRow", "checked_rows", "plan_name"]

Plan = str | Path | BinaryIO | Iterable[Mapping[str, object]]
"""A file of CSV or JSONL, by its path or opened in binary mode; or the rows themselves, with the values of JSON."""

_MOST_PROBLEMS: Final = 20
_DELIMITERS: Final = ",;\t"
_NAMED_DELIMITER: Final = re.compile(rf'"?sep=([{_DELIMITERS}])"?\s*', re.IGNORECASE)
"""A line before the header, which Excel reads and writes."""
_NOT_UTF8: Final = 'it is not UTF-8: in Excel, save as "CSV UTF-8"'
_LINE: Final = re.compile(r"line (\d+)")
_HeaderProblem = Callable[[list[str]], str | None]
"""Says what is wrong with the columns of CSV."""


class PlanError(ValueError):
    """The plan can't be carried out as it is; nothing was sent. `problems` has what is wrong where."""

    def __init__(self, name: str, problems: Iterable[str], more: int = 0) -> None:
        super().__init__(name, tuple(sorted(problems, key=_line_of)), more)

    @property
    def problems(self) -> tuple[str, ...]:
        """The first of them, each with its line, in the order of lines."""
        _name, found, _more = self.args
        return tuple(found)

    def along_with(self, problems: Iterable[str]) -> "PlanError":
        """Return this error with other problems of the plan."""
        name, found, more = self.args
        return PlanError(name, (*found, *problems), more)

    def __str__(self) -> str:
        name, problems, more = self.args
        lines = [f"{name} can't be carried out; nothing was sent.", *(f"  {problem}" for problem in problems)]
        if more:
            lines.append(f"  ... and {more} more")
        return "\n".join(lines)


def _line_of(problem: str) -> int:
    found = _LINE.match(problem)
    return int(found[1]) if found else 0


@frozen
class PlannedRow:
    """A row that was checked."""

    line: int
    operation: str
    values: str = field(repr=False)
    """What it holds, as JSON text."""
    is_text: bool
    """Whether its values are cells of CSV."""
    target: str = field(repr=False)
    """The same for rows that ask for the same change of the same."""


@frozen
class _RawRow:
    line: int
    values: dict[str, object] = field(repr=False)
    is_text: bool
    problem: str | None = None


def plan_name(plan: Plan) -> str:
    """Return what to call a plan in messages."""
    if isinstance(plan, str | Path):
        return str(plan)
    name = getattr(plan, "name", None)
    # That of a file without a name is a number.
    return name if isinstance(name, str) else "the plan"


def checked_rows(
    plan: Plan, catalogue: Catalogue, operation: str | None, *, has_begun: bool = False
) -> Generator[PlannedRow]:
    """Give the rows of a plan, each checked, in constant memory.

    Args:
        plan: where they are.
        catalogue: what they can ask for.
        operation: what all of them ask for; None: the column `operation` says it.
        has_begun: whether it was begun with: then files to send need not be there any more.

    Raises:
        PlanError: after the last row, if one of them can't be carried out; or there is none.
    """
    problems: list[str] = []
    count = rows = 0
    if operation is not None:
        try:
            operation = _task_of(operation, catalogue).name
        except ValueError as error:
            raise PlanError(plan_name(plan), [f"operation: {error}"]) from None
    with _raw_rows(plan, partial(_header_problem, catalogue, operation)) as raw_rows:
        for raw in raw_rows:
            rows += 1
            try:
                yield _checked(raw, catalogue, operation, has_begun=has_begun)
            except (ValueError, TypeError, RecursionError) as error:
                count += 1
                if count <= _MOST_PROBLEMS:
                    problems.append(f"line {raw.line}: {error}")
    if not rows:
        raise PlanError(plan_name(plan), ["it holds no rows"])
    if count:
        raise PlanError(plan_name(plan), problems, count - len(problems))


def _checked(raw: _RawRow, catalogue: Catalogue, operation: str | None, *, has_begun: bool) -> PlannedRow:
    if raw.problem is not None:
        raise ValueError(raw.problem)
    values = dict(raw.values)
    task = _task(values.pop("operation", None), catalogue, operation)
    arguments = task.read(values, text=raw.is_text)
    if not has_begun:
        # Before its type is looked at: what is no file has none.
        task.check_documents(arguments)
    task.check(arguments)
    return PlannedRow(raw.line, task.name, codec.dump(values).decode(), raw.is_text, task.target_of(arguments))


def _task(named: object, catalogue: Catalogue, operation: str | None) -> Task:
    if operation is not None and named is not None:
        raise ValueError("it names an operation, and one was given for all rows: leave one of both out")
    name = operation if named is None else named
    if name is None:
        raise ValueError("it names no operation: add a column operation, or give one for all rows")
    return _task_of(str(name), catalogue)


def _task_of(name: str, catalogue: Catalogue) -> Task:
    """Return the task of a name; what is no name is not shown, as it may be a member's."""
    wanted = name.replace("-", "_")
    task = catalogue.tasks.get(wanted)
    if task is None:
        close = get_close_matches(wanted, catalogue.tasks, cutoff=0.5)
        more = (
            f"did you mean {' or '.join(close)}?" if close else f"`{catalogue.sdk.replace('_', '-')} --help` lists them"
        )
        raise ValueError(f"{catalogue.sdk} has no operation or workflow of this name: {more}")
    return task


@contextmanager
def _raw_rows(plan: Plan, header_problem: _HeaderProblem) -> Generator[Iterator[_RawRow]]:
    if not isinstance(plan, str | Path) and not _is_file(plan):
        mappings = cast("Iterable[Mapping[str, object]]", plan)
        yield (_RawRow(number, dict(values), is_text=False) for number, values in enumerate(mappings, 1))
        return
    # What is no UTF-8 is found line by line, so that the line can be told.
    with Path(plan).open("rb") if isinstance(plan, str | Path) else _left_open(cast("BinaryIO", plan)) as file:
        text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
        try:
            yield _rows_of(text, header_problem)
        finally:
            text.detach()


def _is_file(plan: object) -> bool:
    return hasattr(plan, "read")


@contextmanager
def _left_open(file: BinaryIO) -> Generator[BinaryIO]:
    yield file


def _rows_of(lines: Iterator[str], header_problem: _HeaderProblem) -> Iterator[_RawRow]:
    for blank, first in enumerate(lines):
        if first.strip():
            every = chain([first], lines)
            return _jsonl(every, blank) if first.lstrip().startswith("{") else _csv(every, blank, header_problem)
    return iter(())


def _jsonl(lines: Iterator[str], skipped: int) -> Iterator[_RawRow]:
    for number, line in enumerate(lines, skipped + 1):
        if not line.strip():
            continue
        text = line.encode(errors="surrogateescape")
        value = codec.parse_or_none(text)
        if not isinstance(value, dict):
            problem = "it is no JSON object" if _is_utf8(line) else "it is not UTF-8"
            yield _RawRow(number, {}, is_text=False, problem=problem)
        elif (key := repeated_key(text)) is not None:
            yield _RawRow(number, {}, is_text=False, problem=f"it has the key {key} twice")
        else:
            yield _RawRow(number, cast("dict[str, Any]", value), is_text=False)


def _csv(lines: Iterator[str], skipped: int, header_problem: _HeaderProblem) -> Iterator[_RawRow]:
    header_line = next(lines)
    if (named := _NAMED_DELIMITER.fullmatch(header_line)) is not None:
        header_line, skipped = next(lines, ""), skipped + 1
    if not _is_utf8(header_line):
        yield _RawRow(skipped + 1, {}, is_text=True, problem=_NOT_UTF8)
        return
    delimiter = max(_DELIMITERS, key=header_line.count) if named is None else named[1]
    reader = csv.reader(chain([header_line], lines), delimiter=delimiter, strict=True)
    columns: list[str] | None = None
    line = skipped + 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            yield _RawRow(line, {}, is_text=True, problem=f"it is no CSV: {error}")
            return
        if columns is None:
            columns = [cell.strip() for cell in cells]
            if problem := header_problem(columns):
                yield _RawRow(line, {}, is_text=True, problem=problem)
                return
        elif any(map(str.strip, cells)):
            # Excel leaves rows of empty cells where there were others.
            yield _csv_row(line, columns, cells)
        # A cell may hold line breaks: a row begins where the one before it has ended.
        line = skipped + reader.line_num + 1


def _header_problem(catalogue: Catalogue, operation: str | None, columns: list[str]) -> str | None:
    """Say what is wrong with the columns of all rows: once, and not for each of them."""
    if "" in columns:
        return "the header has a column without a name"
    if len(set(columns)) < len(columns):
        return "the header has two columns of one name"
    if operation is not None:
        if "operation" in columns:
            return "the header has a column operation, and one was given for all rows: leave one of both out"
        parameters = catalogue.tasks[operation].parameters
        return _misfit(operation, columns, list(parameters), [p.name for p in parameters.values() if p.required])
    if "operation" not in columns:
        return "the header has no column operation, and none was given for all rows: add one of both"
    every = dict.fromkeys(name for task in catalogue.tasks.values() for name in task.parameters)
    return _misfit("any operation", columns, ["operation", *every], [])


def _misfit(what: str, columns: list[str], known: list[str], required: list[str]) -> str | None:
    takes = f"the columns may be {', '.join(known)}"
    unknown = [column for column in columns if column not in known]
    if len(unknown) == len(columns):
        # Without a header, this is a row, which may hold a member's data.
        return f"the header names no column of {what}: {takes}"
    if unknown:
        return f"no column of {what}: {', '.join(unknown)}; {takes}"
    missing = [name for name in required if name not in columns]
    return f"{what} needs {', '.join(missing)}, too: {takes}" if missing else None


def _csv_row(line: int, columns: list[str], cells: list[str]) -> _RawRow:
    if len(cells) > len(columns):
        return _RawRow(line, {}, is_text=True, problem=f"it has {len(cells)} cells, the header {len(columns)}")
    values: dict[str, object] = {
        column: cell for column, cell in zip(columns, map(str.strip, cells), strict=False) if cell
    }
    if not all(str(cell).isascii() or _is_utf8(str(cell)) for cell in values.values()):
        return _RawRow(line, {}, is_text=True, problem=_NOT_UTF8)
    return _RawRow(line, values, is_text=True)


def _is_utf8(cell: str) -> bool:
    try:
        cell.encode()
    except UnicodeEncodeError:
        return False
    return True
