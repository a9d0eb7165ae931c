"""Long runs, exact figures and a large lab on real processes. Sampled claims fail falsely with probability < 1e-6."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from math import sqrt
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

import pytest

from deploy.jobs import Job
from deploy.laboratory import Laboratory

if TYPE_CHECKING:
    from tests.processes.conftest import Bellwire, Lab

pytestmark = pytest.mark.processes

TAPPED = """
name: tapped
nodes: {alice: , bob: }
links:
  - {endpoints: [alice, bob], length: 10 km}
taps:
  eve: {link: alice-bob, at: 5 km, strategy: intercept-resend, fraction: 100 %, enabled: false}
"""


async def nothing_is_left(lab: Laboratory) -> bool:
    """Tell whether the quantum world is as empty as at the start."""
    census = await lab.census()
    held = (
        census.qubits,
        census.clusters,
        census.handed_over,
        census.reserved,
        census.in_flight,
        census.waiting,
    )
    return not any(held) and not any(census.held.values())


async def test_a_thousand_teleportations_succeed_one_after_the_other(lab: Lab, broker: str) -> None:
    async with lab("alice-bob", broker) as running:
        result = await running.run(Job("teleport", rounds=1000))
        assert (result.rounds, len(result.returned)) == (1000, 1000)
        assert result.figures["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
        assert await nothing_is_left(running)


async def test_a_hundred_runs_succeed_on_one_lab(lab: Lab, broker: str) -> None:
    async with lab("alice-charlie-bob", broker) as running:
        for _ in range(100):
            await running.run(Job("teleport"))
        assert await nothing_is_left(running)


async def test_bits_agree_without_noise_and_eve_makes_a_quarter_of_them_differ(
    lab: Lab, broker: str, tmp_path: Path
) -> None:
    file = tmp_path / "tapped.yaml"
    file.write_text(TAPPED)
    async with lab(file, broker) as running:
        quiet = (await running.run(Job("qkd"))).returned[0]["bob"]
        assert quiet["sampled_bits"] > 1000
        assert quiet["qber"] == 0.0
        tapped = (await running.run(Job("qkd", tap="eve"))).returned[0]["bob"]
        # five standard deviations, both sides: 5.7e-7
        assert abs(tapped["qber"] - 0.25) < 5 * sqrt(0.25 * 0.75 / tapped["sampled_bits"])
        assert tapped["aborted"]
        assert await nothing_is_left(running)


async def test_nothing_is_left_of_any_program(lab: Lab) -> None:
    async with lab("alice-charlie-bob") as running:
        for job in (Job("entangle", rounds=70), Job("swap", rounds=70), Job("chsh", rounds=70), Job("qkd")):
            await running.run(job)
            assert await nothing_is_left(running)


@pytest.mark.alone
def test_a_lab_of_ten_nodes_is_up_within_seconds(
    bellwire: Bellwire, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    names = [f"node{number}" for number in range(10)]
    links = "".join(f"  - {{endpoints: [{a}, {b}], length: 1 km}}\n" for a, b in pairwise(names))
    nodes = "".join(f"  {name}:\n" for name in names)
    (tmp_path / "ten.yaml").write_text(f"name: ten\nnodes:\n{nodes}links:\n{links}")
    started = monotonic()
    up = bellwire("up", "ten.yaml", "-d")
    seconds = monotonic() - started
    assert up.code == 0, up.err
    record_property("start_up_of_ten_nodes_s", seconds)
    assert seconds < 4  # two on a quiet machine, the interpreter's own start included
    ends = bellwire("entangle", "node0", "node9", "-n", "3", "--json").document
    assert ends["path"] == names
    assert ends["fidelity_mean"] == pytest.approx(1.0, abs=1e-9)
    assert bellwire("down").code == 0
