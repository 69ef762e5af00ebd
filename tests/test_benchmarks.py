"""The benchmarks run, compare what belongs together, and name what they leave out."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import laboratory, path, rows
from benchmarks.clients import CLIENTS, OPERATIONS, Api
from benchmarks.laboratory import Laboratory
from benchmarks.report import Costs, Run
from benchmarks.rows import B_POST, CONCURRENCIES, DEPENDENCIES, OURS, B, Row
from benchmarks.server import (
    EVERY_CALL_FAILS_ONCE,
    EVERY_CALL_REFUSED_ONCE,
    ONE_CONTRACT,
    TEN_CONTRACTS,
    running_server,
)


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with running_server(None) as url:
        yield url


@pytest.mark.parametrize("client", ["aiohttp", *(name for name in CLIENTS if name.startswith("membership_sdk"))])
async def test_clients_make_the_same_calls(client: str, url: str) -> None:
    async with CLIENTS[client](url) as api:
        one: Any = await api.get(ONE_CONTRACT)
        ten: Any = await api.get(TEN_CONTRACTS)
        assert (len(one), len(ten)) == (1, 10)
        for operation in ("POST", "POST same member"):
            call = OPERATIONS[operation](api)
            for _ in range(2):
                done: Any = await call()
                assert "OK" in (done["success"] if isinstance(done, dict) else done.success)
        get = OPERATIONS["GET ten"](api)
        answers: list[Any] = [await get(), await get()]
        assert [len(answer) for answer in answers] == [10, 10]


async def test_each_call_is_for_another_member() -> None:
    called: list[int] = []

    async def note(customer_id: int) -> None:
        called.append(customer_id)

    api = Api(note, note)
    for operation, members in ("GET", 3), ("POST", 3), ("GET same member", 1), ("POST same member", 1):
        call = OPERATIONS[operation](api)
        called.clear()
        for _ in range(3):
            await call()
        assert len(set(called)) == members


async def test_refused_calls_are_made_again(url: str) -> None:
    async with CLIENTS["aiohttp"](url) as api:
        refusal: Any = await api.get(EVERY_CALL_REFUSED_ONCE)
        assert refusal["errorCode"] == "RATE_LIMITED"
        contracts: Any = await api.get(EVERY_CALL_REFUSED_ONCE)
        assert len(contracts) == 1
    async with CLIENTS["membership_sdk"](url) as api:
        contracts = await api.get(EVERY_CALL_REFUSED_ONCE)
        assert len(contracts) == 1


def test_row_is_measured_in_a_process_of_its_own(url: str) -> None:
    command = [sys.executable, "-m", "benchmarks.measure", *OURS, url]
    asked = "".join(f"{concurrency} 0.01\n" for concurrency in CONCURRENCIES)
    done = subprocess.run(command, input=asked, capture_output=True, check=True, timeout=60, text=True)
    result, *answers = map(json.loads, done.stdout.splitlines())
    for concurrency, measured in zip(CONCURRENCIES, answers, strict=True):
        assert measured["calls"] >= concurrency
        assert measured["p50_ms"] <= measured["p99_ms"]
        assert min(measured.values()) > 0
    # These two do not depend on the machine.
    assert result["cyclic_garbage"] == 0
    assert result["imported_by_first_call"] == []


def result(cpu_us: float, garbage: float = 0.0, share: float = 1.0) -> dict[str, Any]:
    quantities = {
        "cpu_us": cpu_us,
        "calls_per_second": share * 1e6 / cpu_us,
        "p50_ms": 1,
        "p99_ms": 1,
        "peak_rss_mb": 1,
    }
    return {
        "first_call_ms": 1.0,
        "imported_by_first_call": [],
        "cyclic_garbage": garbage,
        "at": {str(concurrency): quantities for concurrency in CONCURRENCIES},
    }


Rounds = dict[Row, list[dict[str, Any]]]


def run(rounds: Rounds, costs: Costs | None = None, **skipped: str) -> Run:
    return Run(command="", cpus="", rounds=rounds, costs=costs, skipped=skipped, failed=[])


def test_ratios_are_of_one_round() -> None:
    rounds = {OURS: [result(10), result(20), result(90)], B: [result(10), result(10), result(100)]}
    ratio = run(rounds).ratio(OURS, B, 50, "cpu_us")
    assert (ratio.median, ratio.low, ratio.high) == (1.0, 0.9, 2.0)


def verdicts(rounds: Rounds) -> dict[str, bool]:
    return {target.text: target.met for target in run(rounds).targets()}


def test_targets_are_met_or_not() -> None:
    peer = Row("openapi-python-client", "GET")
    met = verdicts({OURS: [result(100, garbage=1)], B: [result(100)], peer: [result(401)]})
    assert met["GET: CPU / B, at 50"]
    assert not met["GET: CPU / B (moonshot), at 50"]
    assert met["GET: calls/s / openapi-python-client's, at 1"]
    assert not met["GET: objects it leaves in reference cycles"]
    assert not any("POST" in text or "azure" in text or "pending" in text for text in met)
    assert not any(
        "openapi" in target.text and target.met for target in run({OURS: [result(100)], peer: [result(399)]}).targets()
    )


def test_targets_of_costs() -> None:
    costs = Costs(
        import_ms={DEPENDENCIES: [100, 100], "membership_sdk": [120, 140]},
        imported=["membership_sdk.client", "membership_sdk.sandbox"],
        decoding={"1": {"json_us": 7, "sdk_us": 30}},
        pending_bytes={"bare task": 1000, "aiohttp": None, "membership_sdk": 3900},
        calls=200_000,
        growth={"early_mb": 40, "late_mb": 41},
    )
    met = [target.met for target in run({}, costs).targets()]
    assert met == [True, False, False, False]


def test_report_names_what_is_left_out() -> None:
    text = run({B: [result(50)], B_POST: [result(60)]}, httpx="not installed: httpx").markdown()
    assert "Skipped: httpx, not installed: httpx." in text
    assert "aiohttp: POST" in text


def test_rounds_that_others_disturbed_do_not_count() -> None:
    alone, disturbed = result(10), result(50, share=0.6)
    assert run({OURS: [result(20), result(20)], B: [alone, disturbed]}).ratio(OURS, B, 1, "cpu_us").low == 2
    assert "disturbed: 3 of 6." in run({B: [alone, disturbed]}).markdown()
    # If there are no others, they do.
    assert run({OURS: [result(20)], B: [disturbed]}).ratio(OURS, B, 1, "cpu_us").median == 0.4


def test_peer_that_is_not_installed_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(rows.PACKAGES, "httpx", ("no-such-package",))
    lab = Laboratory("", "", tmp_path)
    assert lab.prepare([OURS, Row("httpx", "GET")]) == [B, OURS]
    assert lab.skipped == {"httpx": "not installed: no-such-package"}


def test_generator_without_java_is_skipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "PACKAGES", {})
    monkeypatch.setattr(laboratory, "generate", lambda _tool, _folder: "no Java")
    lab = Laboratory("", "", tmp_path)
    assert lab.prepare([Row("openapi-generator", "GET")]) == []
    assert lab.skipped == {"openapi-generator": "no Java"}


def test_row_that_fails_is_named(url: str, tmp_path: Path) -> None:
    lab = Laboratory(url, "", tmp_path)
    assert lab.rounds([Row("nobody", "GET")], 0.01, 0, lives=1) == {}
    assert lab.failed == ["nobody: GET: KeyError: 'nobody'"]


@pytest.mark.endurance
def test_rounds_measure_each_row_in_turn(url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand at a time in the first round of each life only, and other libraries in each fourth."""
    peer = Row("aiohttp, not decoded", "GET")
    monkeypatch.setattr(laboratory, "PEERS", (peer.client,))
    lab = Laboratory(url, "", tmp_path)
    results = lab.rounds([B, OURS, peer], 0.001, time.monotonic() + 3, lives=2)
    assert lab.failed == []
    assert len(results[B]) == len(results[OURS]) == len(results[peer])
    number, lives = 0, 0
    for ours, others in zip(results[B], results[peer], strict=True):
        number = 0 if len(ours["at"]) == len(CONCURRENCIES) else number + 1
        lives += number == 0
        assert len(others["at"]) == (len(ours["at"]) if number % 4 == 0 else 0)
    assert lives == 2
    for concurrency in CONCURRENCIES:
        assert run(results).ratio(peer, B, concurrency, "cpu_us").low > 0


async def test_path_of_a_good_call(url: str) -> None:
    """It leads from the SDK's method to the decoder, each function once, whoever looks on."""
    first, again = [await path.trace(url, ONE_CONTRACT) for _ in range(2)]
    assert first == again
    steps = {step.name: step for step in first.steps}
    assert len(steps) == len(first.steps)
    assert first.steps[0][:3] == (0, "MembershipClient.get_contract_data", "membership_sdk/client.py")
    assert steps["Client.call"][:3] == (1, "Client.call", "sdk_core/client.py")
    assert steps["Operation.request"].file == "sdk_core/operation.py"
    assert first.files(core=False) == 1
    assert first.files(core=True) == len({step.file for step in first.steps} - {"", "membership_sdk/client.py"})
    assert 0 < first.private_helpers < len(first.steps)
    # aiohttp's, asyncio's and generated code of theirs are none of ours.
    assert {step.file.partition("/")[0] for step in first.steps} <= {"sdk_core", "membership_sdk", ""}


async def test_path_of_a_repeated_call(url: str) -> None:
    good, repeated = await path.trace(url, ONE_CONTRACT), await path.trace(url, EVERY_CALL_FAILS_ONCE)
    names = {step.name for step in repeated.steps}
    assert {step.name for step in good.steps} < names
    assert {"read_error", "Retries.delay_after"} <= names
    assert repeated.files(core=False) == 2


@pytest.mark.parametrize(
    ("name", "file", "private"),
    [
        ("Client.call", "sdk_core/client.py", False),
        ("Client._begin", "sdk_core/client.py", True),
        ("_describe", "sdk_core/client.py", True),
        ("Limit.__init__", "sdk_core/timer.py", False),
        ("Call.__init__", "", False),
        ("finish", "", True),
    ],
)
def test_private_helpers(name: str, file: str, private: bool) -> None:
    assert path.Step(0, name, file, 1).is_private is private


def test_figures_of_the_code() -> None:
    figures = path.state_of_the_code()
    assert [figure.limit for figure in figures] == [300, 40, 3]
    assert all(figure.value > 0 for figure in figures)
    assert [path.Figure("", value, 3).met for value in (2.9, 3, 3.1)] == [True, True, False]


def test_path_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    code = path.main()
    lines = capsys.readouterr().out.splitlines()
    assert code == any(line.startswith("MISS ") for line in lines)
    assert any(line.startswith("    Client.call  sdk_core/client.py:") for line in lines)


def test_a_reader_has_little_to_follow(capsys: pytest.CaptureFixture[str]) -> None:
    code = path.main()
    assert code == 0, [line for line in capsys.readouterr().out.splitlines() if line.startswith("MISS ")]
