"""Bell measurements that succeed by chance, as with linear optics: what they cost a chain."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.errors import RunFailed
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import GateConfig, WernerSource, WorldConfig

pytestmark = pytest.mark.thorough

Chain = Callable[..., WorldConfig]

RATE = 1e4
PAIRS = 600


def by_chance(chain: Chain, repeaters: int, success: float, fidelity: float = 0.95) -> WorldConfig:
    """A chain of short links whose repeaters' Bell measurements succeed with that probability."""
    names = ["alice", *(f"r{number}" for number in range(repeaters)), "bob"]
    world = chain(*names, fidelity=fidelity, length=1.0, gates=GateConfig(bell_success=success), seed=11)
    links = {
        name: replace(link, source=WernerSource(rate=RATE, fidelity=fidelity))
        for name, link in world.links.items()
    }
    return replace(world, links=links)


async def delivered(world: WorldConfig, pairs: int, order: str = "asap") -> tuple[float, NDArray[np.float64]]:
    """Return the mean fidelity of pairs, asked for with one under way at a time, and the times between them."""
    parameters: dict[str, int | float | str | bool] = {"window": 1, "tests": 0, "order": order}
    async with in_memory_lab(world) as lab:
        request = RunRequest("entangle", {"alice": "alice", "bob": "bob"}, pairs, parameters)
        result = await lab.run(request)
        assert (await lab.census()).qubits == 0
    times = np.diff([0.0, *(each["alice"]["delivered_at"] for each in result.returned)])
    mean = result.figures["fidelity_mean"]
    assert mean is not None
    return mean, times


@pytest.mark.parametrize("success", [0.25, 0.5, 0.8, 1.0])
async def test_a_pair_over_one_swap_takes_as_many_tries_as_the_swap_succeeds_in(
    chain: Chain, success: float
) -> None:
    # Every try waits for both links, E[max] = 3/(2 r), and succeeds with p: the mean is 3/(2 r p). A try's variance is
    # 5/(4 r^2), so that of a geometric number of them 5/(4 r^2 p) + (9/4) (1-p)/(r p)^2. Messages take nanoseconds.
    # Five sigma of a mean of 600: false alarm below 1e-6.
    _, times = await delivered(by_chance(chain, 1, success), PAIRS)
    expected = 1.5 / (RATE * success)
    variance = 1.25 / (RATE**2 * success) + 2.25 * (1 - success) / (RATE * success) ** 2
    assert abs(times.mean() - expected) < 5 * sqrt(variance / PAIRS)


@pytest.mark.parametrize("repeaters", [1, 2, 3])
@pytest.mark.parametrize("success", [0.5, 0.9])
async def test_pairs_that_come_through_are_as_good_as_if_no_swap_had_failed(
    chain: Chain, repeaters: int, success: float
) -> None:
    mean, _ = await delivered(by_chance(chain, repeaters, success), 10)
    w = (4 * 0.95 - 1) / 3
    assert mean == pytest.approx(1 / 4 + 3 / 4 * w ** (repeaters + 1), abs=1e-9)


async def test_nested_swaps_lose_only_what_was_joined(chain: Chain) -> None:
    # With three swaps that all must succeed, what fails at the first level costs two links and not four.
    _, flat = await delivered(by_chance(chain, 3, 0.5), 200)
    _, nested = await delivered(by_chance(chain, 3, 0.5), 200, "nested")
    assert nested.mean() < flat.mean()


async def test_a_protocol_that_swaps_by_itself_is_told_that_it_has_failed(chain: Chain) -> None:
    roles = {name: name for name in ("alice", "charlie", "bob")}
    world = chain(*roles, gates=GateConfig(bell_success=0.0))
    async with in_memory_lab(world) as lab:
        with pytest.raises(RunFailed, match="has told nothing"):
            await lab.run(RunRequest("swap", roles))
        assert (await lab.census()).qubits == 0
