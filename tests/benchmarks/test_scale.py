"""The benchmark of large labs and the soak do their work on small ones. No speed is demanded."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.benchmarks.bench_scale import main
from tests.benchmarks.footprints import Footprint, descendants, descriptors, footprint, mean, parent
from tests.benchmarks.grids import edges, grid, pairs


@pytest.mark.parametrize("nodes", [2, 3, 10, 49, 50, 200])
def test_a_grid_is_connected_and_its_nodes_have_at_most_four_neighbours(nodes: int, tmp_path: Path) -> None:
    lab = grid(nodes, tmp_path)
    assert len(lab.nodes) == nodes
    reached, ends = {0}, list(edges(nodes))
    for _ in range(nodes):
        reached |= {b for a, b in ends if a in reached} | {a for a, b in ends if b in reached}
    assert reached == set(range(nodes))
    assert max(sum(node in edge for edge in ends) for node in range(nodes)) <= 4


@pytest.mark.parametrize(("nodes", "most"), [(2, 1), (3, 1), (50, 22), (200, 98)])
def test_no_node_is_in_two_pairs(nodes: int, most: int) -> None:
    found = [name for pair in pairs(nodes) for name in pair]
    assert len(set(found)) == len(found)
    assert len(pairs(nodes)) >= most


def test_what_a_process_shares_is_counted_in_parts() -> None:
    own = footprint(os.getpid())
    assert 0 < own.uss <= own.pss <= own.rss
    assert mean([Footprint(1, 2, 3), Footprint(3, 4, 5)]) == Footprint(2, 3, 4)


def test_descriptors_are_counted_and_children_are_found_until_they_are_reaped() -> None:
    before = descriptors(os.getpid())
    with Path("/dev/null").open():
        assert descriptors(os.getpid()) == before + 1
    child = subprocess.Popen(["/bin/sh", "-c", "read _"], stdin=subprocess.PIPE)
    assert child.pid in descendants(os.getpid())
    assert parent(child.pid) == os.getpid()
    child.communicate()
    assert child.pid not in descendants(os.getpid())
    with pytest.raises(OSError, match="No such"):
        footprint(child.pid)


@pytest.mark.parametrize("wrong", [["--nodes", "1"], ["--containers", "5000"], ["--launcher", "swarm"]])
def test_what_cannot_be_meant_is_said(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(wrong)
    assert refused.value.code == 2
    assert wrong[0] in capsys.readouterr().err


def run(tmp_path: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a benchmark in a home of its own, which is empty afterwards."""
    home = tmp_path / "home"
    done = subprocess.run(
        [sys.executable, "-m", *arguments],
        env=os.environ | {"BELLWIRE_HOME": str(home)},
        capture_output=True,
        text=True,
        timeout=110,
        check=False,
    )
    assert list(home.glob("*/*")) == []
    return done


@pytest.mark.processes
def test_a_small_lab_is_measured_beside_the_floors(tmp_path: Path) -> None:
    options = ("--launcher", "process", "--nodes", "4", "--exchanges", "20", "--json")
    done = run(tmp_path, "tests.benchmarks.bench_scale", *options)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["schema"] == "bellwire.bench-scale/1"
    [lab] = document["labs"]
    assert (lab["launcher"], lab["nodes"]) == ("process", 4)
    for key in ("ready_s", "down_s", "pair_s", "messages_hz", "echo_hz", "mqtt_hz"):
        assert lab[key] > 0
    for part in ("node", "state", "broker"):
        assert 0 < lab[part]["uss"] <= lab[part]["pss"] <= lab[part]["rss"]


@pytest.mark.processes
def test_a_short_soak_finds_nothing_wrong(tmp_path: Path) -> None:
    done = run(tmp_path, "tests.benchmarks.soak", "--for", "4s", "--intensity", "1", "--json")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    document = json.loads(done.stdout)
    assert document["wrong"] == []
    assert {"teleport", "entangle", "qkd", "keys"} <= document["done"].keys()
    assert "quiet:" in done.stderr
