"""Two links wait for each other under a common clock: how long, and what the memory between them has lost meanwhile.

Each round both links begin at the same time with attempts that succeed with probability p. The first pair waits in a
depolarising memory of the repeater until the second is there.
"""

from __future__ import annotations

from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np
import pytest
from numpy.typing import NDArray

from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.run_request import RunRequest
from shared_state.config import (
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    WorldConfig,
)
from shared_state.validation.chains import difference_moment, rounds_moments

if TYPE_CHECKING:
    from pathlib import Path

CYCLE = 1e-3
FIDELITY = 0.95
SIGMAS = 5
"""A right program is found wrong with probability 5.7e-7 a claim."""

PROGRAM = """
import asyncio
from nodes.network import swap
from nodes.ports import Clock, Peer, Qubit, QuantumLink, Referee

async def alice(charlie_link: QuantumLink) -> Qubit:
    return (await charlie_link.pair()).qubit

async def bob(charlie_link: QuantumLink, charlie: Peer) -> Qubit:
    return await swap.bob((await charlie_link.pair()).qubit, charlie)

async def charlie(
    alice_link: QuantumLink, bob_link: QuantumLink, bob: Peer, clock: Clock, pause: float = 0.0
) -> list[float]:
    await clock.sleep(pause)  # both others have asked by then, so both links begin when he asks
    began = clock.now()
    left, right = await asyncio.gather(alice_link.pair(), bob_link.pair())
    await swap.charlie(left.qubit, right.qubit, bob)
    return [left.heralded_at - began, right.heralded_at - began]

async def referee(oracle: Referee, alice: Qubit, bob: Qubit) -> dict[str, float]:
    return {"fidelity": await oracle.fidelity([alice, bob], swap.PHI_PLUS)}
"""


@pytest.mark.processes  # it starts none, and takes too long for `make check`
@pytest.mark.parametrize(
    ("rounds", "p", "decay"),
    [(10_000, 0.01, 0.001), (2_000, 0.2, 0.1)],
    ids=["rare and kept well", "frequent and kept badly"],
)
async def test_the_wait_of_two_links_and_the_fidelity_after_it_agree_with_theory_at_five_sigma(
    tmp_path: Path, rounds: int, p: float, decay: float
) -> None:
    attempts, measured = await _swapped(tmp_path, rounds, p, decay)
    mean, variance = rounds_moments(2, p)
    kept, kept_twice = difference_moment(exp(-decay), p), difference_moment(exp(-2 * decay), p)
    weight = 0.75 * ((4 * FIDELITY - 1) / 3) ** 2
    reference = 0.25 + weight * kept
    assert abs(attempts.max(axis=1).mean() - mean) < SIGMAS * sqrt(variance / rounds)
    assert abs(measured - reference) < SIGMAS * weight * sqrt((kept_twice - kept**2) / rounds)
    # and given how long each pair has waited, nothing is left to chance
    waited = np.abs(attempts[:, 0] - attempts[:, 1])
    assert measured == pytest.approx(float((0.25 + weight * np.exp(-decay * waited)).mean()), abs=1e-9)


async def _swapped(folder: Path, rounds: int, p: float, decay: float) -> tuple[NDArray[np.float64], float]:
    """Return how many attempts each link has made in each round, shape (rounds, 2), and the mean fidelity."""
    program = folder / "two_links.py"
    program.write_text(PROGRAM)
    source = PhotonPairSource(attempt_rate=1 / CYCLE, emission=(p, 1.0), fidelity=FIDELITY)
    fibre = FibreConfig(length=0.0)
    repeater = NodeDevices(MemoryConfig(depolarising_time=CYCLE / decay))
    world = WorldConfig(
        {"alice": NodeDevices(), "charlie": repeater, "bob": NodeDevices()},
        {there: LinkDevices((there, "charlie"), fibre, source) for there in ("alice", "bob")},
        seed=6,
    )
    request = RunRequest(
        str(program), {name: name for name in world.nodes}, rounds=rounds, parameters={"pause": CYCLE}
    )
    async with in_memory_lab(world) as lab:
        run = await lab.run(request)
    waits = np.array([returned["charlie"] for returned in run.returned]) / CYCLE
    assert np.allclose(waits, np.rint(waits), atol=1e-6, rtol=0)
    measured = run.figures["fidelity_mean"]
    assert measured is not None
    return np.rint(waits) + 1, measured
