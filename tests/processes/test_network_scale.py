"""The entanglement network on real processes at the size of its largest labs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import numpy as np
import pytest

from deploy.jobs import Job

if TYPE_CHECKING:
    from deploy.laboratory import Laboratory
    from tests.processes.conftest import Lab

pytestmark = pytest.mark.processes

LINK, GATE, READOUT = 0.98, 0.995, 0.998
"""Fidelity of a link's pairs, quality of a repeater's gate and fidelity of a readout, in both labs."""
T1, T2 = 10.0, 1.0
"""Of the memories, in seconds."""
REQUESTS = 20
PAIRS = 5


def chain_fidelity(links: int, stored: float = 0.0) -> float:
    """Return the mean fidelity across so many links whose halves were stored for so many seconds in all.

    Exact but for relaxation, which is taken to end in I/2: that is too low by less than 1e-4 for 50 ms.
    """
    k, swaps = 2 * READOUT - 1, links - 1
    v = GATE**swaps * ((4 * LINK - 1) / 3) ** links
    lasting, coherence = float(np.exp(-stored / T1)), float(np.exp(-stored / T2))
    return (1 + k**swaps * v * (coherence + lasting) + k ** (2 * swaps) * v * coherence) / 4


async def nothing_is_left(lab: Laboratory) -> bool:
    """Tell whether the quantum world is as empty as at the start."""
    census = await lab.census()
    left = (
        census.qubits,
        census.clusters,
        census.handed_over,
        census.reserved,
        census.in_flight,
        census.waiting,
    )
    return not any(left) and not any(census.held.values())


@pytest.mark.timeout(240)
@pytest.mark.parametrize("order", ["asap", "nested"])
async def test_a_chain_of_33_nodes_delivers_pairs_as_good_as_32_links_allow(lab: Lab, order: str) -> None:
    async with lab("chain-33") as running:
        job = Job("entangle", {"alice": "alice", "bob": "bob"}, 200, {"order": order, "tests": "0"})
        result = await running.run(job)
        assert result.rounds == 200
        assert result.figures["hops_mean"] == 32
        age, found = result.figures["age_mean"], result.figures["fidelity_mean"]
        assert age is not None
        assert found is not None
        # bounds, five standard errors each: nothing has been stored, or both halves of all links since the first herald
        error = 5 * (result.figures["fidelity_stderr"] or 0.0)
        assert chain_fidelity(32, 64 * age) - error < found < chain_fidelity(32) + error
        assert await nothing_is_left(running)


def disjoint_pairs(seed: int) -> list[tuple[str, str]]:
    """Draw the ends of 20 requests: 40 different nodes of the grid."""
    nodes = np.random.default_rng(seed).permutation(100)[: 2 * REQUESTS]
    return [(f"n{a:02}", f"n{b:02}") for a, b in nodes.reshape(REQUESTS, 2)]


@pytest.mark.timeout(240)
@pytest.mark.parametrize("seed", [1])
async def test_twenty_requests_at_the_same_time_are_all_served_on_a_grid_of_a_hundred_nodes(
    lab: Lab, seed: int
) -> None:
    pairs = disjoint_pairs(seed)
    async with lab("grid-10x10") as running:
        jobs = [
            Job(
                "entangle", {"alice": one, "bob": other}, PAIRS, {"tests": "0", "window": "2"}, deadline=120.0
            )
            for one, other in pairs
        ]
        results = await asyncio.gather(*(running.run(job) for job in jobs))
        for (one, other), result in zip(pairs, results, strict=True):
            distance = sum(abs(int(a) - int(b)) for a, b in zip(one[1:], other[1:], strict=True))
            hops = result.figures["hops_mean"]
            assert hops is not None
            assert hops >= distance
            assert result.rounds == len(result.returned) == PAIRS
            for returned in result.returned:
                assert returned["alice"]["pair"] == returned["bob"]["pair"]
                assert (returned["alice"]["path"][0], returned["alice"]["path"][-1]) == (one, other)
        assert await nothing_is_left(running)
