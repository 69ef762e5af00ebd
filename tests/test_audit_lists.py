"""The audit of the lists finds nothing, and does find what is put there."""

from collections.abc import Callable
from typing import Any

import pytest

import cloudcockpit_sdk.models
import cloudcockpit_sdk.pagination
import sdk_core.verdict
from benchmarks.audit.__main__ import main
from benchmarks.audit.lists.report import ListLie, audit_lists
from cloudcockpit_sdk.pagination import Paginator
from sdk_core.codec.problems import Reading
from sdk_core.outcome import Outcome

LISTS = range(1, 121)
FEW = (4, 8, 9, 14, 21, 22, 24, 28, 34, 51, 53, 54)
"""Of the first sixty, these show each of the lies below: a list is the same whenever it is read."""


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """Each deviation is logged; pytest would keep each record."""
    caplog.set_level("CRITICAL", "sdk_core")


def test_lists_are_read_wholly_or_an_error() -> None:
    report = audit_lists(1, LISTS)
    assert report.ok, "\n".join(report.lines())
    assert report.ends["returned"] > 50
    assert report.ends["InvalidResponseError"] > 15
    assert len(report.faults) >= 10


def believe_the_lowest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paginator, "_has_more", lambda _self, page: bool(page.items) and (page.total_pages or 0) > 1)


def never_stop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Paginator, "_impossible", lambda _self, _page: None)
    monkeypatch.setattr(cloudcockpit_sdk.pagination, "_EMPTY_PAGES", 10**6)


def take_anything_for_a_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sdk_core.codec.as_items", lambda found, *_rest: found if isinstance(found, list) else [])


def tolerate_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_self: Any, _kind: str) -> None:
        raise ValueError

    monkeypatch.setattr(Reading, "tolerate", refuse)


def say_applied(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sdk_core.verdict, "outcome_of_unreadable", lambda *_args, **_more: Outcome.APPLIED)


def raise_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: Any) -> Any:
        raise LookupError

    monkeypatch.setattr(Paginator, "_impossible", fail)


@pytest.mark.parametrize(
    ("mutate", "lie"),
    [
        (believe_the_lowest, ListLie.LOST),
        (never_stop, ListLie.ENDLESS),
        (never_stop, ListLie.INVENTED),
        (take_anything_for_a_page, ListLie.LOST),
        (tolerate_nothing, ListLie.REFUSED),
        (say_applied, ListLie.OUTCOME),
        (raise_something_else, ListLie.FOREIGN_ERROR),
    ],
)
def test_audit_finds_a_lie(
    monkeypatch: pytest.MonkeyPatch, mutate: Callable[[pytest.MonkeyPatch], None], lie: ListLie
) -> None:
    mutate(monkeypatch)
    report = audit_lists(1, FEW)
    assert not report.ok
    assert report.counts[lie]


def test_command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.argv", ["audit", "--lists", "--calls", "10", "--seed", "3"])
    assert main() == 0
    assert "seed 3, lists: 10 lists" in capsys.readouterr().out
