"""Results take the place of nothing but results of their own run: a journal is the only record of what was sent."""

import csv
import json
import os
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from membership_sdk import MembershipClient, bulk
from sdk_core.bulk.journal import Journal
from sdk_core.bulk.records import JournalError

PLAN: list[dict[str, object]] = [{"customer_id": 1, "contract_id": n} for n in (1, 2)]


async def new_run(path: Path) -> Path:
    """Return the journal of a run that sent nothing."""
    async with (
        MembershipClient("http://127.0.0.1:9", "key") as client,
        bulk.run(client, PLAN, operation="withdraw_cancelation", journal=path),
    ):
        return path


@pytest.fixture
async def journal(tmp_path: Path) -> Path:
    return await new_run(tmp_path / "run.db")


@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal", "-lock"])
def test_results_are_never_written_over_their_journal(journal: Path, end: str) -> None:
    before = journal.read_bytes()
    with pytest.raises(ValueError, match="results can't be the journal: name another file"):
        bulk.write_results(journal, f"{journal}{end}")
    assert [file.name for file in journal.parent.iterdir()] == ["run.db"]
    assert journal.read_bytes() == before
    assert bulk.status_of(journal).run.rows == 2


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_a_link_to_the_journal_is_the_journal(journal: Path, link: Callable[[Path, Path], None]) -> None:
    results = journal.with_name("results.csv")
    link(journal, results)
    with pytest.raises(ValueError, match="results can't be the journal"):
        bulk.write_results(journal, results)
    assert results.samefile(journal)
    assert bulk.status_of(journal).run.rows == 2


@pytest.mark.parametrize("content", ["customer_id,contract_id\n1,2\n", "notes\n", '{"line": 1}\n', "\x00\xff", "\n"])
@pytest.mark.parametrize("name", ["results.csv", "results.jsonl"])
def test_a_file_of_anything_else_is_left_as_it_is(journal: Path, name: str, content: str) -> None:
    results = journal.with_name(name)
    results.write_text(content, encoding="latin-1")
    with pytest.raises(ValueError, match="does not hold results of this run: name another file, or move it away"):
        bulk.write_results(journal, results)
    assert results.read_text(encoding="latin-1") == content
    assert sorted(file.name for file in journal.parent.iterdir()) == sorted([name, "run.db"])


@pytest.mark.parametrize("name", ["results.csv", "results.jsonl", "RESULTS.CSV"])
async def test_results_of_the_same_run_are_written_anew_and_those_of_another_are_kept(journal: Path, name: str) -> None:
    results = journal.with_name(name)
    results.touch()
    for _ in range(2):
        assert bulk.write_results(journal, results) == 2
    written = results.read_text(encoding="utf-8")
    first = next(csv.DictReader(written.splitlines())) if "," in written[:4] else json.loads(written.splitlines()[0])
    assert first["run"] == bulk.status_of(journal).run.id
    other = await new_run(journal.with_name("other.db"))
    with pytest.raises(ValueError, match="does not hold results of this run"):
        bulk.write_results(other, results)
    assert results.read_text(encoding="utf-8") == written


@pytest.mark.parametrize("name", ["results.xlsx", "results", "results.json", "results.csv.gz"])
def test_the_name_says_csv_or_jsonl(journal: Path, name: str) -> None:
    with pytest.raises(ValueError, match=r"name it \.csv or \.jsonl"):
        bulk.write_results(journal, journal.with_name(name))
    assert [file.name for file in journal.parent.iterdir()] == ["run.db"]


def test_a_folder_that_is_not_there_and_one_in_place_of_the_file(journal: Path) -> None:
    with pytest.raises(ValueError, match="there is no folder"):
        bulk.write_results(journal, journal.parent / "no" / "results.csv")
    journal.with_name("results.csv").mkdir()
    with pytest.raises(ValueError, match="name another file"):
        bulk.write_results(journal, journal.with_name("results.csv"))


def test_a_file_beside_is_not_overwritten_by_what_is_not_whole_yet(journal: Path) -> None:
    beside = journal.with_name("results.csv.part")
    journal.rename(beside)
    assert bulk.write_results(beside, journal.with_name("results.csv")) == 2
    assert bulk.status_of(beside).run.rows == 2


async def test_what_is_no_journal_is_said_to_be_none_and_left_as_it_is(tmp_path: Path) -> None:
    text, database = tmp_path / "rej.db", tmp_path / "other.db"
    text.write_bytes(b"run,line,operation\n" * 100)
    with sqlite3.connect(database) as connection:
        connection.execute("pragma journal_mode = wal")
        connection.execute("create table run(name text)")
    connection.close()
    before = database.read_bytes()
    for path in (text, database):
        for attempt in (
            partial(bulk.status_of, path),
            partial(bulk.write_results, path, tmp_path / "results.csv"),
            partial(Journal.resume, path, bulk.CATALOGUE, "plan", None),
            partial(Journal.begin, path, "membership_sdk", "plan", iter(()), run_id="1"),
        ):
            with pytest.raises(JournalError) as raised:
                attempt()
            assert str(raised.value) == f"{path} is no journal of a bulk run"
    assert database.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["other.db", "rej.db"]


def test_a_journal_that_is_damaged_is_not_called_safe(journal: Path) -> None:
    content = bytearray(journal.read_bytes())
    content[4096:] = b"\xff" * (len(content) - 4096)
    journal.write_bytes(content)
    with pytest.raises(JournalError) as raised:
        bulk.status_of(journal)
    assert "malformed" in str(raised.value)
    assert "safe" not in str(raised.value)
