"""A run that is killed at random moments and resumed: each effect happens once, and the report says so.

`python -m benchmarks.bulk` does the same at length.
"""

from pathlib import Path

import pytest

from benchmarks.bulk.kills import judge, kill_and_resume
from benchmarks.bulk.server import serving

ROWS, KILLS = 80, 2


@pytest.mark.real_time("what is killed is in the middle of something")
@pytest.mark.endurance
async def test_each_effect_happens_once_whatever_dies(tmp_path: Path) -> None:
    with serving(ROWS, canceled=True, latency=0.05, faulty=True, seed=3) as server:
        killed = await kill_and_resume(server, tmp_path, rows=ROWS, kills=KILLS, seed=3)
        verdict = judge(server, tmp_path / "run.db", killed)
    assert verdict.kills == KILLS
    assert verdict.holds, verdict
