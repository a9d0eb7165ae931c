"""Labs of real processes in real time and in virtual time: the same programs, and how late things are."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.processes.conftest import Bellwire

pytestmark = pytest.mark.processes


@pytest.fixture
def one_millisecond(tmp_path: Path) -> str:
    """Write a lab whose one link takes 1 ms, and return its path."""
    file = tmp_path / "far.yaml"
    link = "{endpoints: [alice, bob], length: 200 km, velocity: 200000 km/s}"
    file.write_text(f"name: far\nruntime: {{broker: embedded}}\nnodes: {{alice: , bob: }}\nlinks: [{link}]\n")
    return str(file)


def _lags(bellwire: Bellwire) -> dict[str, Any]:
    document = bellwire("ps", "--json").document
    return {process["name"]: process["lag"] for process in document["processes"]}


def test_a_real_time_lab_at_scale_one_with_links_of_1_ms_reports_its_lag(
    bellwire: Bellwire, one_millisecond: str
) -> None:
    assert bellwire("up", one_millisecond, "-d").code == 0
    assert set(_lags(bellwire).values()) == {None}  # nothing was awaited yet
    run = bellwire("run", "teleport", "-n", "300", "--json").document
    assert run["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
    assert run["duration_s"] >= 0.3
    lags = _lags(bellwire)
    assert lags["state"] is lags["broker"] is None
    for node in ("alice", "bob"):
        lag = lags[node]
        assert lag.keys() == {"count", "mean_s", "p99_s", "worst_s", "behind"}
        assert lag["count"] >= 250
        assert 0 < lag["mean_s"] <= lag["worst_s"]
        assert 0 < lag["p99_s"] <= lag["worst_s"]
        assert lag["behind"] is (lag["p99_s"] > 1e-3)
    header, *rows = (line.split("\t") for line in bellwire("ps").out.splitlines())
    assert header[-1] == "lag"
    assert {row[0]: "worst" in row[-1] for row in rows} == {node: node in ("alice", "bob") for node in lags}
    assert bellwire("down").code == 0


def test_a_lab_that_cannot_keep_up_with_its_clock_warns_in_every_place(
    bellwire: Bellwire, one_millisecond: str, tmp_path: Path
) -> None:
    text = (tmp_path / "far.yaml").read_text()
    fast = tmp_path / "fast.yaml"
    fast.write_text(text.replace("far", "fast").replace("embedded", "embedded, clock: {scale: 100000}"))
    once = bellwire("run", "teleport", "--lab", fast, "-n", "20", "--clock", "real-time")
    for node in ("alice", "bob"):
        assert once.err.count(f"warning: node '{node}' lags") == 1, once.err
    assert "the shortest link takes 1 ms" in once.err
    assert bellwire("up", fast, "-d").code == 0
    assert bellwire("run", "teleport", "-n", "20").code == 0
    assert all(_lags(bellwire)[node]["behind"] for node in ("alice", "bob"))
    assert bellwire("ps").out.count(", behind\n") == 2
    assert "clock.behind" in bellwire("logs", "alice").out
    assert bellwire("down").code == 0


def test_a_virtual_lab_that_is_up_serves_runs_one_after_the_other_and_several_at_a_time(
    bellwire: Bellwire, one_millisecond: str
) -> None:
    assert bellwire("up", one_millisecond, "-d", "--clock", "virtual").code == 0
    assert [lab["clock"] for lab in bellwire("ls", "--json").document["running"]] == ["virtual"]
    first = bellwire("run", "teleport", "-n", "50", "--json").document
    together = [
        bellwire.start("run", app, "-n", "30", "--json") for app in ("teleport", "entangle", "teleport")
    ]
    documents = [first, *(_document(command) for command in together)]
    assert [document["rounds"] for document in documents] == [50, 30, 30, 30]
    assert all(document["fidelity_mean"] == pytest.approx(1.0, abs=1e-9) for document in documents)
    assert bellwire("run", "teleport", "-n", "10").code == 0
    assert set(_lags(bellwire).values()) == {None}
    assert bellwire("down").code == 0


@pytest.mark.parametrize("app", ["teleport", "entangle", "chsh"])
def test_the_same_program_runs_on_either_clock_and_takes_as_much_emulated_time(
    bellwire: Bellwire, one_millisecond: str, app: str
) -> None:
    runs = {
        clock: bellwire("run", app, "--lab", one_millisecond, "-n", "40", "--clock", clock, "--json").document
        for clock in ("virtual", "real-time")
    }
    for run in runs.values():
        assert run["program"] == app
        if "fidelity_mean" in run:
            assert run["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
    assert runs["virtual"]["duration_s"] > 0
    # what a machine takes for itself comes on top in real time, and is not the lab's
    assert runs["real-time"]["duration_s"] <= runs["real-time"]["wall_s"]


def test_messages_of_a_lab_file_with_jitter_and_loss_take_longer_on_either_clock(
    bellwire: Bellwire, tmp_path: Path
) -> None:
    link = "{endpoints: [alice, bob], length: 200 km, classical: {jitter: 4 ms, loss: 50 %}}"
    bad = tmp_path / "bad.yaml"
    bad.write_text(f"seed: 3\nruntime: {{broker: embedded}}\nnodes: {{alice: , bob: }}\nlinks: [{link}]\n")
    # each teleportation awaits one message: 1 ms + 4 ms / 2 + 1 * 2 ms on the average, never below 1 ms
    for clock in ("virtual", "real-time"):
        run = bellwire("run", "teleport", "--lab", bad, "-n", "100", "--clock", clock, "--json").document
        assert run["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
        assert run["duration_s"] > 0.3
        assert clock == "real-time" or run["duration_s"] < 0.7


def test_a_lab_that_is_up_has_its_clock_already(bellwire: Bellwire) -> None:
    refused = bellwire("run", "teleport", "-l", "far", "--clock", "virtual")
    assert (refused.code, refused.out) == (2, "")
    assert "--clock goes with --lab" in refused.err
    assert bellwire("run", "teleport", "--lab", "alice-bob", "--clock", "sundial").code == 2


def _document(command: subprocess.Popen[str]) -> dict[str, Any]:
    out, err = command.communicate(timeout=30)
    assert command.returncode == 0, err
    document: dict[str, Any] = json.loads(out)
    return document
