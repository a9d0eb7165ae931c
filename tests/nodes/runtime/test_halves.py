"""Halves of pairs by the thousand, through the port that a protocol sees."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from math import exp, sqrt
from pathlib import Path

import numpy as np
import pytest

from nodes.errors import PeerGone, ProgramInvalid, QubitGone
from nodes.ports import Bits, Halves
from nodes.runtime.clock import Alone, VirtualClock
from nodes.runtime.in_memory import in_memory_lab
from nodes.runtime.links import FibreLink
from nodes.runtime.qubits import Register
from nodes.runtime.run_request import RunRequest
from shared_state.arguments import MAX_PAIRS
from shared_state.client import NodeClient
from shared_state.config import GateConfig, MemoryConfig, ServerConfig, WorldConfig
from shared_state.oracle import OracleClient
from shared_state.service import Service

Chain = Callable[..., WorldConfig]
NAMES = ("alice", "charlie", "bob")
SIGMAS = 5.0  # two-sided false-alarm probability 6e-7


class Row:
    """alice - charlie - bob, each with a register; ``links`` by (who, towards whom)."""

    async def open(self, world: WorldConfig) -> Row:
        service = Service(ServerConfig("lab", world, {name: name for name in NAMES}, "oracle"), lambda: 0.0)
        self.clients = {name: await NodeClient.local(service, name=name) for name in NAMES}
        self.oracle = await OracleClient.local(service)
        self.registers = {name: Register(self.clients[name], VirtualClock(Alone()), "run") for name in NAMES}
        self.links = {
            (here, there): FibreLink(self.registers[here], "run", title, title, there, 5.0)
            for title, link in world.links.items()
            for here, there in (link.endpoints, link.endpoints[::-1])
        }
        return self

    async def pairs(self, first: str, second: str, count: int) -> tuple[Halves, Halves]:
        return await asyncio.gather(
            self.links[first, second].pairs(count), self.links[second, first].pairs(count)
        )

    async def close(self) -> None:
        for party in (*self.clients.values(), self.oracle):
            await party.close()


@pytest.fixture
async def row(chain: Chain) -> AsyncIterator[Row]:
    """A row of perfect devices."""
    opened = await Row().open(chain(*NAMES, memories=MemoryConfig(count=200_000)))
    yield opened
    await opened.close()


def codes(count: int, code: int = 0) -> Bits:
    return np.full(count, code, dtype=np.uint8)


@pytest.mark.parametrize("fidelity", [0.5, 0.8, 1.0])
@pytest.mark.parametrize(("quality", "t2"), [(1.0, float("inf")), (0.9, 1.5)])
async def test_a_thousand_pairs_swapped_by_a_middle_node_have_the_closed_forms_fidelity(
    chain: Chain, fidelity: float, quality: float, t2: float
) -> None:
    # Werner pairs of w = (4F-1)/3 and a two-qubit gate of quality g: w' = g w^2. Bell-diagonal states dephase
    # along: F = (1 + w' + 2 w' e^(-t/T2)) / 4 with t the time that all four halves of a chain were stored for.
    memories = MemoryConfig(count=2000, t2=t2)
    world = chain(*NAMES, fidelity=fidelity, memories=memories, gates=GateConfig(two_fidelity=quality))
    row, count = await Row().open(world), 1000
    (hers, left), (right, his) = await asyncio.gather(
        row.pairs("alice", "charlie", count), row.pairs("charlie", "bob", count)
    )
    swapped_at = row.registers["charlie"].clock.now()
    x, z = await left.bell_measure(right)
    for name in ("alice", "bob"):
        await row.registers[name].clock.until(swapped_at + 0.1)
    hers.correct(codes(count), codes(count))
    his.correct(x, z)
    for name in ("alice", "bob"):
        await row.clients[name].sync()
    stored = 2 * swapped_at + 2 * (swapped_at + 0.1) - 2 * hers.heralded_at - 2 * his.heralded_at
    w = quality * ((4 * fidelity - 1) / 3) ** 2
    expected = (1 + w + 2 * w * np.array([exp(-t / t2) for t in stored])) / 4
    for name in ("alice", "bob"):
        batch = -1  # the first that it was given
        np.testing.assert_allclose(await row.oracle.pair_fidelities(name, batch), expected, atol=1e-9)
    assert hers.pairs == left.pairs == [f"alice-charlie/{i + 1}" for i in range(count)]
    assert (len(set(hers.pairs)), len(hers)) == (count, count)
    await row.close()


async def test_more_pairs_than_one_request_takes_are_still_one_handle(row: Row) -> None:
    count = MAX_PAIRS + 5
    hers, his = await row.pairs("alice", "charlie", count)
    assert hers.pairs == his.pairs == [f"alice-charlie/{i + 1}" for i in range(count)]
    np.testing.assert_array_equal(hers.heralded_at, his.heralded_at)
    assert (np.diff(hers.heralded_at) > 0).all()
    assert row.registers["alice"].clock.now() == hers.heralded_at[-1]
    flips = (np.arange(count) % 2).astype(np.uint8)
    his.correct(flips, codes(count))
    bases = codes(count)
    bases[-3:] = [0, 1, 2]  # of the second part; Phi+ agrees in Z and X and disagrees in Y
    a, b = await hers.measure(bases), await his.measure(bases)
    expected = flips.copy()
    expected[-2] = 0
    expected[-1] ^= 1
    np.testing.assert_array_equal(a ^ b, expected)
    assert (await row.oracle.census()).qubits == 0


async def test_a_swap_works_part_by_part(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nodes.runtime.links.MAX_PAIRS", 40)
    count = 100
    (hers, left), (right, his) = (
        await row.pairs("alice", "charlie", count),
        await row.pairs("charlie", "bob", count),
    )
    x, z = await left.bell_measure(right)
    await row.registers["bob"].clock.until(row.registers["charlie"].clock.now())
    his.correct(x, z)
    bases = (np.arange(count) % 2).astype(np.uint8)
    np.testing.assert_array_equal(await hers.measure(bases), await his.measure(bases))
    assert set(zip(x.tolist(), z.tolist(), strict=True)) == {(0, 0), (0, 1), (1, 0), (1, 1)}


async def test_a_gate_on_all_halves_takes_as_long_as_on_one(chain: Chain) -> None:
    gates = GateConfig(single_duration=0.1, two_duration=0.4, readout_duration=0.7)
    row = await Row().open(chain(*NAMES, memories=MemoryConfig(count=20), gates=gates))
    (hers, left), (right, _) = await row.pairs("alice", "charlie", 3), await row.pairs("charlie", "bob", 3)
    charlie, alice = row.registers["charlie"].clock, row.registers["alice"].clock
    began = charlie.now()
    await left.bell_measure(right)
    assert charlie.now() - began == pytest.approx(1.1)
    began = alice.now()
    hers.correct(np.array([0, 0, 1], dtype=np.uint8), np.array([0, 1, 1], dtype=np.uint8))
    assert alice.now() - began == pytest.approx(0.2)
    hers.correct(codes(3), codes(3))
    assert alice.now() - began == pytest.approx(0.2)
    await hers.measure(codes(3))
    assert alice.now() - began == pytest.approx(0.9)
    await row.close()


async def test_halves_are_gone_when_they_are_measured_swapped_or_discarded(row: Row) -> None:
    (hers, left), (right, his) = await row.pairs("alice", "charlie", 4), await row.pairs("charlie", "bob", 4)
    await left.bell_measure(right)
    await hers.measure(codes(4))
    await his.discard()
    for halves in (hers, left, right, his):
        with pytest.raises(QubitGone, match="is not held here"):
            await halves.measure(codes(4))
        with pytest.raises(QubitGone, match="is not held here"):
            halves.correct(codes(4), codes(4))
        with pytest.raises(QubitGone, match="is not held here"):
            await halves.discard()
    with pytest.raises(QubitGone, match="is not held here"):
        await left.bell_measure(right)


async def test_a_mistaken_call_consumes_nothing(row: Row) -> None:
    (hers, left), (right, his) = await row.pairs("alice", "charlie", 4), await row.pairs("charlie", "bob", 3)
    with pytest.raises(ProgramInvalid, match="4 halves of pairs of link alice-charlie"):
        await hers.measure(codes(3))
    with pytest.raises(ProgramInvalid, match="3 halves"):
        his.correct(codes(3), codes(4))
    with pytest.raises(ProgramInvalid, match="with 3 others"):
        await left.bell_measure(right)
    with pytest.raises(ProgramInvalid, match="with themselves"):
        await left.bell_measure(left)
    assert (await row.oracle.census()).held == {"alice": 4, "charlie": 7, "bob": 3}
    assert await row.registers["charlie"].discard_rest() == 7
    assert (await row.oracle.census()).held == {"alice": 4, "charlie": 0, "bob": 3}


async def test_who_left_with_the_other_halves_is_named(row: Row) -> None:
    hers, _ = await row.pairs("alice", "charlie", 4)
    await row.clients["charlie"].close()
    with pytest.raises(PeerGone, match="'charlie'"):
        await hers.measure(codes(4))
    with pytest.raises(PeerGone, match="'charlie'"):
        await row.links["alice", "charlie"].pairs(4)


PROGRAM = """
from __future__ import annotations
from dataclasses import dataclass
import numpy as np
from nodes.ports import *

@dataclass(frozen=True)
class Outcomes:
    x: bytes
    z: bytes

async def charlie(alice_link: QuantumLink, bob_link: QuantumLink, bob: Peer):
    left, right = await alice_link.pairs(1000), await bob_link.pairs(1000)
    x, z = await left.bell_measure(right)
    await alice_link.pairs(10)  # and forget them
    await bob.send(Outcomes(np.packbits(x).tobytes(), np.packbits(z).tobytes()))

async def alice(charlie_link: QuantumLink):
    halves = await charlie_link.pairs(1000)
    await charlie_link.pairs(10)
    return await halves.measure((np.arange(1000) % 3).astype(np.uint8))

async def bob(charlie_link: QuantumLink, charlie: Peer):
    halves = await charlie_link.pairs(1000)
    outcomes = await charlie.receive(Outcomes)
    halves.correct(*(np.unpackbits(np.frombuffer(b, dtype=np.uint8), count=1000) for b in (outcomes.x, outcomes.z)))
    return await halves.measure((np.arange(1000) % 3).astype(np.uint8))
"""


@pytest.mark.parametrize("fidelity", [0.7, 1.0])
async def test_a_program_swaps_a_thousand_pairs_a_round_and_leaves_none(
    chain: Chain, tmp_path: Path, fidelity: float
) -> None:
    (tmp_path / "mine.py").write_text(PROGRAM)
    world = chain(*NAMES, fidelity=fidelity, memories=MemoryConfig(count=2000))
    async with in_memory_lab(world) as lab:
        result = await lab.run(RunRequest(str(tmp_path / "mine.py"), {name: name for name in NAMES}, 4))
        census = await lab.census()
        assert (census.qubits, census.reserved, sum(census.held.values())) == (0, 0, 0)
    a, b = (np.array([returned[name] for returned in result.returned]) for name in ("alice", "bob"))
    agree = (a == b) ^ (np.arange(1000) % 3 == 2)  # in Y the outcomes of Phi+ differ
    probability = (1 + ((4 * fidelity - 1) / 3) ** 2) / 2
    assert abs(agree.mean() - probability) <= SIGMAS * sqrt(probability * (1 - probability) / agree.size)
