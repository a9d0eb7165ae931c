"""What memories do to pairs while links wait for each other and messages are on their way, pair by pair."""

from __future__ import annotations

from math import exp, inf, sqrt
from pathlib import Path

import numpy as np
import pytest

from nodes.network.prediction import LinkFigures, NodeFigures, chain_fidelity
from shared_state.config import (
    FibreConfig,
    MemoryConfig,
    PhotonPairSource,
    SingleClickSource,
    WernerSource,
)
from tests.nodes.runtime.network_physics import (
    Floats,
    course_of,
    delivered,
    heralds,
    likely_mean,
    row,
    werner,
)

pytestmark = pytest.mark.thorough

FIDELITY = 0.96
LENGTHS = (20e3, 45e3, 10e3, 30e3)
"""In metres; light takes 100 to 225 us."""
RATES = (900.0, 2500.0, 4000.0, 1200.0)


def store(t2: float = inf, depolarising_time: float = inf) -> MemoryConfig:
    return MemoryConfig(count=64, t2=t2, depolarising_time=depolarising_time)


STORES = (store(0.02), store(0.01, 0.05), store(inf, 0.03), store(0.015), store(0.04, 0.04))
"""Of alice, three repeaters and bob."""


def figures(n: int, record: Path) -> tuple[Floats, list[float]]:
    """Return the heralds of a row's links, shape (n, pairs), and the delays."""
    names = ["alice", *(f"r{number}" for number in range(1, n)), "bob"]
    found = [heralds(record, names[link])[f"{names[link]}-{names[link + 1]}"] for link in range(n)]
    count = min(map(len, found))
    return np.array([times[:count] for times in found]), [length / 2e8 for length in LENGTHS[:n]]


def decayed(stored: Floats, memories: tuple[MemoryConfig, ...]) -> Floats:
    """Return the fidelities of chains whose nodes have stored their halves for so long, shape (nodes, pairs)."""
    n = len(memories) - 1
    coherence = np.exp(
        -sum(time * (1 / m.t2 + 1 / m.depolarising_time) for time, m in zip(stored, memories, strict=True))
    )
    population = np.exp(-sum(time / m.depolarising_time for time, m in zip(stored, memories, strict=True)))
    fidelities: Floats = (1 + werner(FIDELITY) ** n * (2 * coherence + population)) / 4
    return fidelities


@pytest.mark.parametrize("window", [1, 3])
@pytest.mark.parametrize("n", [1, 2, 3, 4])
async def test_every_half_ages_from_its_herald_to_its_swap_and_at_the_ends_until_the_news_has_come(
    n: int, window: int, tmp_path: Path
) -> None:
    memories = (*STORES[:n], STORES[4])
    sources = [WernerSource(rate=rate, fidelity=FIDELITY) for rate in RATES[:n]]
    world = row(sources, seed=5, memories=memories, fibres=[FibreConfig(length) for length in LENGTHS[:n]])
    found = await delivered(world, 40, tmp_path / "record", window=window)
    course = course_of(*figures(n, tmp_path / "record"))
    first = course.heralds[:, :40]
    assert found.at_alice == pytest.approx(course.at_alice[:40], abs=1e-12)
    assert found.at_bob == pytest.approx(course.at_bob[:40], abs=1e-12)
    assert found.heralded_at == pytest.approx(first.min(axis=0), abs=1e-12)
    between = [
        2 * swap - left - right
        for swap, left, right in zip(course.swaps[:, :40], first, first[1:], strict=False)
    ]
    stored = np.array([found.at_alice - first[0], *between, found.at_bob - first[-1]])
    assert found.fidelities == pytest.approx(decayed(stored, memories), abs=1e-9)


async def test_nested_swaps_wait_for_the_word_of_the_levels_below(tmp_path: Path) -> None:
    sources = [WernerSource(rate=rate, fidelity=FIDELITY) for rate in RATES]
    fibres = [FibreConfig(length) for length in LENGTHS]
    world = row(sources, seed=6, memories=STORES, fibres=fibres)
    found = await delivered(world, 40, tmp_path / "record", window=2, order="nested")
    h, (d1, d2, d3, d4) = figures(4, tmp_path / "record")
    h = h[:, :40]
    one, three = np.maximum(h[0], h[1]), np.maximum(h[2], h[3])
    # r1 tells r2, the right end of its stretch; r3 tells bob, who tells r2
    two = np.maximum(one + d2, three + d4 + d3 + d4)
    at_bob = two + d3 + d4
    assert found.at_bob == pytest.approx(at_bob, abs=1e-12)
    assert found.at_alice == pytest.approx(at_bob + d1 + d2 + d3 + d4, abs=1e-12)
    stored = np.array(
        [
            found.at_alice - h[0],
            2 * one - h[0] - h[1],
            2 * two - h[1] - h[2],
            2 * three - h[2] - h[3],
            at_bob - h[3],
        ]
    )
    assert found.fidelities == pytest.approx(decayed(stored, STORES), abs=1e-9)


@pytest.mark.parametrize(("t1", "t2"), [(inf, 2e-3), (2.68e-3, 1e-3), (5e-3, 1e-2)])
@pytest.mark.parametrize("midpoint", [0.0, 20e3, 50e3])
async def test_a_link_pair_is_delivered_at_its_herald_as_old_as_the_light_makes_it(
    t1: float, t2: float, midpoint: float
) -> None:
    source = PhotonPairSource(attempt_rate=1e4, fidelity=FIDELITY, midpoint=midpoint)
    memory = MemoryConfig(count=64, t1=t1, t2=t2)
    found = await delivered(row([source], seed=7, memories=memory, fibres=[FibreConfig(50e3)]), 3)
    # each end waits for the other's acknowledgement, which follows the light to the other end and comes back
    alice, bob = 2 * (50e3 - midpoint) / 2e8, 2 * midpoint / 2e8
    a, b = 1 - exp(-alice / t1), 1 - exp(-bob / t1)
    pure = (1 + a * b + (1 - a) * (1 - b)) / 4 + exp(-(alice + bob) / t2) / 2
    expected = werner(FIDELITY) * pure + (1 - werner(FIDELITY)) * (1 + a * b) / 4
    assert found.fidelities == pytest.approx(expected, abs=1e-9)
    assert found.at_alice - found.at_bob == pytest.approx(
        alice - bob + (2 * midpoint - 50e3) / 2e8, abs=1e-12
    )


@pytest.mark.parametrize(("alpha", "visibility"), [(0.05, 1.0), (0.3, 0.9)])
async def test_a_single_click_pair_is_delivered_as_old_as_its_herald(alpha: float, visibility: float) -> None:
    source = SingleClickSource(
        attempt_rate=1e4, alpha=(alpha, alpha), emission=(0.6, 0.6), visibility=visibility, midpoint=5e3
    )
    memory = MemoryConfig(count=64, t2=1e-3)
    found = await delivered(row([source], seed=8, memories=memory, fibres=[FibreConfig(30e3)]), 3)
    first, second = (0.6 * 10 ** (-0.2 * km / 10) for km in (5, 25))
    one = alpha * (1 - alpha)
    both = alpha**2 * (first * (1 - second) + second * (1 - first) + first * second * (1 + visibility) / 2)
    coherence = one * sqrt(visibility * first * second) * exp(-2 * 30e3 / 2e8 / 1e-3)
    expected = (one * (first + second) / 2 + coherence) / (one * (first + second) + both)
    assert found.fidelities == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("rates", "number"),
    [
        ((100.0, 100.0), 0),
        ((100.0, 400.0, 200.0), 0),
        # beyond three links those in the middle begin again before the others, unless each request is for one pair
        pytest.param(
            (300.0, 100.0, 200.0, 150.0), 1, marks=pytest.mark.processes
        ),  # it takes too long for `make check`
    ],
)
async def test_pairs_one_by_one_are_on_average_as_good_as_predicted(
    rates: tuple[float, ...], number: int
) -> None:
    memories = [store(0.05), *[store(0.02, 0.1)] * (len(rates) - 1), store(0.03)]
    world = row([WernerSource(rate=r, fidelity=FIDELITY) for r in rates], seed=9, memories=memories)
    found = await delivered(world, 200, number=number, window=1)
    links = [
        LinkFigures(name, link.endpoints, rate, FIDELITY, 0.0, 0.0)
        for (name, link), rate in zip(world.links.items(), rates, strict=True)
    ]
    nodes = [
        NodeFigures(name, 64, t1=m.depolarising_time, t2=1 / (1 / m.t2 + 1 / m.depolarising_time))
        for name, m in zip(world.nodes, memories, strict=True)
    ]
    assert likely_mean(found.fidelities, chain_fidelity(links, nodes))
