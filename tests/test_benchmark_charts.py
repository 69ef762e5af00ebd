"""Pictures of benchmarks: valid SVG, in which each figure is as long as it says."""

from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import __main__ as calls
from benchmarks import chart as charts
from benchmarks.bulk import __main__ as bulk
from benchmarks.chart import Bar, chart, write_page
from benchmarks.cold import picture as picture_of_cold
from benchmarks.fleet import __main__ as fleet
from benchmarks.fleet.run import Result
from benchmarks.report import Run, Spread
from benchmarks.rows import OURS, B, Row

SVG = "{http://www.w3.org/2000/svg}"


def widths(picture: str) -> list[float]:
    return [float(bar.attrib["width"]) for bar in ET.fromstring(picture).iter(f"{SVG}rect")]


def texts(picture: str) -> list[str]:
    return [text.text or "" for text in ET.fromstring(picture).iter(f"{SVG}text")]


def test_bars_are_as_long_as_their_medians() -> None:
    bars = [Bar("naive", Spread(1.0, 0.9, 1.2)), Bar("ours <&>", Spread(2.0, 1.5, 4.0), is_ours=True)]
    picture = chart("CPU", "Less is better.", bars, mark=1.0)
    assert widths(picture) == [310 / 4, 310 / 2]
    assert texts(picture) == ["CPU", "naive", "1", "ours <&>", "2", "Less is better."]
    # All of it is within the picture.
    width = float(ET.fromstring(picture).attrib["width"])
    assert all(float(text.attrib["x"]) < width - 30 for text in ET.fromstring(picture).iter(f"{SVG}text"))


@pytest.mark.parametrize(("value", "shown"), [(0.9123, "0.912"), (18.94, "18.9"), (172.4, "172"), (1343.2, "1,340")])
def test_figures_are_written_out(value: float, shown: str) -> None:
    assert texts(chart("a", "b", [Bar("bar", Spread(value, value, value))]))[2] == shown


def test_page_shows_its_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(charts, "__file__", str(tmp_path / "chart.py"))
    write_page("cold", "The first call", "python -m x", "figures", picture_of_cold({"naive": [(2.0, 1.0), (2.0, 3.0)]}))
    page = (tmp_path / "cold.md").read_text()
    assert "![The first call](cold.svg)" in page
    assert "figures" in page
    assert texts((tmp_path / "cold.svg").read_text())[1:3] == ["naive", "2"]


def test_bulk_and_fleet_have_pictures_of_their_runs() -> None:
    rates = bulk.picture([bulk._Rates(80.0, 100.0), bulk._Rates(90.0, 100.0)])
    assert texts(rates)[1:5] == ["a bulk run, with its journal", "85", "the plain client", "100"]
    conditions = [one for together in fleet.TOGETHER for one in together]
    shown = texts(fleet.picture([Result(one, 0.9, 100, 1, Counter()) for one in conditions]))
    # Those in which nothing happens to the fleet, two limiters beside ours, in two kinds of windows.
    assert sum("answered 429" in text for text in shown) == 6


def test_picture_of_calls_is_of_what_was_measured() -> None:
    """The least first; what was not measured is left out."""
    figures = {"cpu_us": 10.0, "calls_per_second": 1e5}
    rounds = [{"at": {"50": figures}}]
    dear = [{"at": {"50": {"cpu_us": 40.0, "calls_per_second": 25e3}}}]
    run = Run(
        command="",
        cpus="",
        rounds={Row("azure-core", "GET"): dear, OURS: rounds, B: rounds},
        costs=None,
        skipped={},
        failed=[],
    )
    shown = texts(calls.picture(run))
    assert [text for text in shown if text in {"aiohttp", "membership_sdk", "azure-core", "httpx"}][-1] == "azure-core"
    assert shown.count("1") == 2
    assert "4" in shown
