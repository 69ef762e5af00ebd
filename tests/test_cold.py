"""`benchmarks.cold` measures processes that do get an answer."""

import pytest

from benchmarks.cold import CALLS, measure, ratio
from benchmarks.server import running_server


@pytest.mark.endurance
def test_both_get_their_answer() -> None:
    with running_server(None) as url:
        found = measure(CALLS, url, 1)
    assert all(wall > 0 and cpu > 0 for [(wall, cpu)] in found.values())
    assert ratio(found, "naive aiohttp", "naive aiohttp") == [1.0]


def test_a_process_that_fails_ends_the_measurement() -> None:
    with pytest.raises(SystemExit, match="failed"):
        measure({"broken": ("-c", "raise SystemExit(3)")}, "", 1)
