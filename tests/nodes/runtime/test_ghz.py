"""`run ghz`: states of any number of nodes, whatever lies between them."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
import pytest

from nodes.apps.ghz import ghz
from nodes.errors import ProgramInvalid
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    WernerSource,
    WorldConfig,
)


def star(fidelities: Mapping[str, float], memories: int = 16, gates: GateConfig | None = None) -> WorldConfig:
    """A switch in the middle, and a leaf of each name at the end of a link of that fidelity."""
    devices = NodeDevices(MemoryConfig(count=memories), gates or GateConfig())
    return WorldConfig(
        nodes=dict.fromkeys(["switch", *fidelities], devices),
        links={
            f"switch-{leaf}": LinkDevices(
                ("switch", leaf), FibreConfig(10e3), WernerSource(fidelity=fidelity)
            )
            for leaf, fidelity in fidelities.items()
        },
        seed=3,
    )


def fused(*fidelities: float) -> float:
    """No leaf is flipped, and phase errors cancel: (prod (F + q) + prod (F - q))/2 with q = (1 - F)/3."""
    wrong = [(1 - fidelity) / 3 for fidelity in fidelities]
    both = zip(fidelities, wrong, strict=True)
    plus, minus = zip(*((f + q, f - q) for f, q in both), strict=True)
    return float(prod(plus) + prod(minus)) / 2


async def mean(world: WorldConfig, roles: Mapping[str, str], rounds: int = 5) -> float:
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest("ghz", roles, rounds=rounds))
        assert (await lab.census()).qubits == 0
    found = result.figures["fidelity_mean"]
    assert found is not None
    return found


@pytest.mark.parametrize(
    "fidelities", [(1.0, 1.0), (0.9, 0.6), (0.25, 0.8), (0.95, 0.9, 0.85), (0.97,) * 5, (0.9,) * 8]
)
async def test_leaves_and_their_centre_share_a_ghz_state_unless_errors_remain(
    fidelities: tuple[float, ...],
) -> None:
    leaves = {f"n{number}": fidelity for number, fidelity in enumerate(fidelities, 1)}
    roles = {"centre": "switch"} | {f"leaf{number}": f"n{number}" for number in range(1, len(leaves) + 1)}
    assert await mean(star(leaves), roles) == pytest.approx(fused(*fidelities), abs=1e-9)


async def test_the_centre_may_be_any_node_and_its_pairs_come_over_repeaters() -> None:
    # n1 is the centre: its pair with the switch is a link's, the others are swapped there, w = w1 wk.
    world = star({"n1": 0.95, "n2": 0.9, "n3": 0.85})
    roles = {"centre": "n1", "leaf1": "n2", "leaf2": "n3", "leaf3": "switch"}
    w1, w2, w3 = ((4 * fidelity - 1) / 3 for fidelity in (0.95, 0.9, 0.85))
    pairs = (1 / 4 + 3 / 4 * w1 * w2, 1 / 4 + 3 / 4 * w1 * w3, 0.95)
    assert await mean(world, roles) == pytest.approx(fused(*pairs), abs=1e-9)


@pytest.mark.thorough
async def test_ten_leaves_are_in_the_order_of_their_numbers() -> None:
    leaves = {f"n{number}": 1.0 for number in range(1, 11)}
    roles = {"centre": "switch"} | {f"leaf{number}": f"n{number}" for number in range(1, 11)}
    assert await mean(star(leaves, memories=40), roles, rounds=1) == pytest.approx(1.0, abs=1e-9)


async def test_without_leaves_the_program_says_how_to_name_them() -> None:
    async with in_memory_lab(star({"n1": 1.0})) as lab:
        with pytest.raises(ProgramInvalid, match="say who plays leaf1, leaf2 and so on: --role leaf1=NODE"):
            await lab.run(RunRequest("ghz", {"centre": "switch"}))


@pytest.mark.parametrize("qubits", [2, 3, 5])
def test_the_state_compared_with_is_an_equal_superposition_of_all_0_and_all_1(qubits: int) -> None:
    state = ghz(qubits)
    assert state[0] == state[-1] == pytest.approx(np.sqrt(0.5))
    assert np.count_nonzero(state) == 2
