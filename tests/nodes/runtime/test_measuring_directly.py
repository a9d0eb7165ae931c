"""Pairs measured on arrival, through the port that a protocol sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from nodes.errors import PeerGone, ProgramInvalid
from nodes.ports import Bits, PairOutcomes
from nodes.runtime.clock import Alone, VirtualClock
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.links import FibreLink
from nodes.runtime.qubits import Register
from nodes.runtime.run_request import RunRequest
from shared_state.arguments import MAX_PAIRS
from shared_state.client import NodeClient
from shared_state.config import PhotonPairSource, ServerConfig, WorldConfig
from shared_state.service import Service

Chain = Callable[..., WorldConfig]
TWO = {"alice": "alice", "bob": "bob"}
SIGMAS = 5.0  # two-sided false-alarm probability 6e-7


def photons(chain: Chain, fidelity: float = 1.0) -> WorldConfig:
    """A pair source midway between alice and bob, and nobody with a memory for its photons."""
    world = chain("alice", "bob")
    source = PhotonPairSource(fidelity=fidelity, emission=(0.5, 0.5), memories=False)
    return replace(world, links={name: replace(link, source=source) for name, link in world.links.items()})


@dataclass
class Ends:
    """Both ends of the link, and the sessions of their nodes."""

    alice: FibreLink
    bob: FibreLink

    async def measure(
        self, count: int, hers: Bits | None = None, his: Bits | None = None
    ) -> tuple[PairOutcomes, PairOutcomes]:
        return await asyncio.gather(
            self.alice.measure_directly(count, hers), self.bob.measure_directly(count, his)
        )


@pytest.fixture
async def ends(chain: Chain) -> AsyncIterator[Ends]:
    service = Service(
        ServerConfig("lab", photons(chain), {name: name for name in TWO}, "oracle"), lambda: 0.0
    )
    clients = [await NodeClient.local(service, name=name) for name in TWO]
    alice, bob = (
        FibreLink(Register(client, VirtualClock(Alone()), "run"), "run", "alice-bob", "alice-bob", peer, 0.2)
        for client, peer in zip(clients, ("bob", "alice"), strict=True)
    )
    yield Ends(alice, bob)
    for client in clients:
        await client.close()


async def test_more_pairs_than_one_request_takes_are_still_one_answer(ends: Ends) -> None:
    count = MAX_PAIRS + 5
    bases = (np.arange(count) % 3).astype(np.uint8)
    hers, his = await ends.measure(count, bases, bases)
    np.testing.assert_array_equal(hers.bits ^ his.bits, bases == 2)  # in Y the outcomes of Phi+ differ
    np.testing.assert_array_equal(hers.bases, bases)
    assert (np.diff(hers.known_at) > 0).all()
    assert ends.alice.register.clock.now() == hers.known_at[-1]
    assert await ends.alice.register.discard_rest() == 0


async def test_drawn_bases_are_told_to_their_own_end(ends: Ends) -> None:
    hers, his = await ends.measure(1000)
    alike = hers.bases == his.bases
    assert 0 < alike.sum() < 1000
    np.testing.assert_array_equal(hers.bits[alike], his.bits[alike])


async def test_a_call_with_too_few_bases_asks_for_nothing(ends: Ends) -> None:
    with pytest.raises(ProgramInvalid, match="4 pairs take as many bases, and 3 were given"):
        await ends.alice.measure_directly(4, np.zeros(3, dtype=np.uint8))
    hers, his = await ends.measure(4)
    assert len(hers.bits) == len(his.bits) == 4


async def test_a_peer_that_leaves_is_named(ends: Ends) -> None:
    waiting = asyncio.create_task(ends.alice.measure_directly(4))
    await asyncio.sleep(0)
    await ends.bob.register.client.close()
    with pytest.raises(PeerGone, match="'bob'"):
        await waiting


PROGRAM = """
from __future__ import annotations
from nodes.ports import *

async def alice(bob_link: QuantumLink):
    found = await bob_link.measure_directly(2000)
    return [found.bases, found.bits]

async def bob(alice_link: QuantumLink):
    found = await alice_link.measure_directly(2000)
    return [found.bases, found.bits]
"""


@pytest.mark.parametrize("fidelity", [0.7, 0.95, 1.0])
async def test_a_program_measures_what_no_memory_could_take(
    chain: Chain, tmp_path: Path, fidelity: float
) -> None:
    (tmp_path / "mine.py").write_text(PROGRAM)
    async with in_memory_lab(photons(chain, fidelity)) as lab:
        result = await lab.run(RunRequest(str(tmp_path / "mine.py"), TWO, 4))
    a, b = (np.array([returned[name] for returned in result.returned]) for name in TWO)
    alike = a[:, 0] == b[:, 0]
    agree = (a[:, 1] == b[:, 1])[alike]
    probability = (1 + (4 * fidelity - 1) / 3) / 2
    assert agree.size > 3000
    assert abs(agree.mean() - probability) <= SIGMAS * sqrt(probability * (1 - probability) / agree.size)


async def test_no_half_is_promised_over_a_link_whose_photons_nobody_stores(chain: Chain) -> None:
    async with in_memory_lab(photons(chain)) as lab:
        with pytest.raises(ProgramInvalid, match="no chain of links"):
            await lab.run(RunRequest("teleport", TWO))
