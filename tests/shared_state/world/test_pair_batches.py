"""Pairs by the thousand are the same pairs: states, chance, memories, and who is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.arguments import MAX_PAIRS
from shared_state.client import NodeClient
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    ServerConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.deliveries import PairsDelivery
from shared_state.engine import pairs
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state
from shared_state.errors import BadRequest, LimitExceeded, NoFreeMemory, NoSuchQubit, NotYours, PartnerLost
from shared_state.oracle import OracleClient
from shared_state.service import Service
from shared_state.world.memory import decoherence
from shared_state.world.pair_batches import aged

SIGMAS = 5.0  # two-sided false-alarm probability 6e-7
Bits = NDArray[np.uint8]


class Lab:
    """alice - charlie - bob over one service; every node has the same devices."""

    async def open(
        self, memories: MemoryConfig | None = None, gates: GateConfig | None = None, fidelity: float = 1.0
    ) -> Lab:
        devices = NodeDevices(memories or MemoryConfig(count=10_000), gates or GateConfig())
        link = FibreConfig(0.0), WernerSource(rate=1000.0, fidelity=fidelity)
        world = WorldConfig(
            dict.fromkeys(("alice", "charlie", "bob"), devices),
            {
                "left": LinkDevices(("alice", "charlie"), *link),
                "right": LinkDevices(("charlie", "bob"), *link),
            },
            seed=11,
        )
        service = Service(ServerConfig("lab", world, {name: name for name in world.nodes}, "o"), lambda: 0.0)
        self.alice = await NodeClient.local(service, name="alice")
        self.charlie = await NodeClient.local(service, name="charlie")
        self.bob = await NodeClient.local(service, name="bob")
        self.oracle = await OracleClient.local(service)
        return self

    async def close(self) -> None:
        for party in (self.alice, self.charlie, self.bob, self.oracle):
            await party.close()

    async def left(self, count: int) -> tuple[PairsDelivery, PairsDelivery]:
        return await asyncio.gather(
            self.alice.pairs(0.0, "run", "left", count), self.charlie.pairs(0.0, "run", "left", count)
        )

    async def right(self, count: int) -> tuple[PairsDelivery, PairsDelivery]:
        return await asyncio.gather(
            self.charlie.pairs(0.0, "run", "right", count), self.bob.pairs(0.0, "run", "right", count)
        )


def within(observed: float, probability: float, count: int) -> bool:
    return abs(observed - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count) + 1e-12


def same(count: int, code: int) -> Bits:
    return np.full(count, code, dtype=np.uint8)


@pytest.mark.parametrize("code", [0, 1, 2])
@pytest.mark.parametrize("fidelity", [0.25, 0.7, 1.0])
async def test_both_ends_agree_as_often_as_a_werner_state_says(code: int, fidelity: float) -> None:
    lab, count = await Lab().open(fidelity=fidelity), 5000
    hers, his = await lab.left(count)
    at = hers.times[-1]
    a = await lab.alice.measure_pairs(at, hers.batch, same(count, code))
    b = await lab.charlie.measure_pairs(at, his.batch, same(count, code))
    w = (4 * fidelity - 1) / 3
    assert within(float((a == b).mean()), (1 - w if code == 2 else 1 + w) / 2, count)
    assert within(float(a.mean()), 0.5, count)
    assert (await lab.oracle.census()).qubits == 0
    await lab.close()


@pytest.mark.parametrize(("t1", "t2"), [(0.5, 0.3), (0.2, 0.4), (float("inf"), 0.1)])
@pytest.mark.parametrize("wait", [0.0, 0.05, 1.0])
async def test_every_half_ages_from_its_own_herald(t1: float, t2: float, wait: float) -> None:
    # Phi+ with both sides stored for t: F = ((1 + z^2 + (1-z)^2) / 4) + e^(-2t/T2) / 2 with z = e^(-t/T1).
    lab, count = await Lab().open(MemoryConfig(count=100, t1=t1, t2=t2)), 50
    hers, his = await lab.left(count)
    at = float(hers.times[-1]) + wait
    nothing = same(count, 0)
    for client, batch in ((lab.alice, hers.batch), (lab.charlie, his.batch)):
        client.correct_pairs(at, batch, nothing, nothing)
        await client.sync()
    t = at - hers.times
    z = np.exp(-t / t1)
    expected = (1 + z**2 + (1 - z) ** 2) / 4 + np.exp(-2 * t / t2) / 2
    np.testing.assert_allclose(await lab.oracle.pair_fidelities("alice", hers.batch), expected, atol=1e-12)
    await lab.close()


@pytest.mark.parametrize(("stored", "wait"), [(0.1, 0.05), (0.3, 0.2)])
async def test_slow_noise_falls_as_a_gaussian_of_the_age(stored: float, wait: float) -> None:
    lab, count = await Lab().open(MemoryConfig(count=100, t2=0.4, dephasing="gaussian")), 20
    hers, _ = await lab.left(count)
    nothing = same(count, 0)
    for at in (float(hers.times[-1]) + stored, float(hers.times[-1]) + stored + wait):
        lab.alice.correct_pairs(at, hers.batch, nothing, nothing)
    await lab.alice.sync()
    expected = (1 + np.exp(-(((at - hers.times) / 0.4) ** 2))) / 2
    np.testing.assert_allclose(await lab.oracle.pair_fidelities("alice", hers.batch), expected, atol=1e-12)
    await lab.close()


@pytest.mark.parametrize("fidelity", [0.6, 0.9, 1.0])
@pytest.mark.parametrize("quality", [0.5, 0.95, 1.0])
async def test_swapped_pairs_have_briegels_fidelity(fidelity: float, quality: float) -> None:
    # Two Werner pairs and a two-qubit gate of quality g: w' = g w^2, after corrections in every branch.
    lab, count = await Lab().open(gates=GateConfig(two_fidelity=quality), fidelity=fidelity), 200
    (hers, left), (right, his) = await lab.left(count), await lab.right(count)
    at = max(hers.times[-1], his.times[-1])
    x, z = await lab.charlie.swap_pairs(at, left.batch, right.batch)
    lab.bob.correct_pairs(at, his.batch, x, z)
    await lab.bob.sync()
    w = quality * ((4 * fidelity - 1) / 3) ** 2
    for node, batch in (("alice", hers.batch), ("bob", his.batch)):
        fidelities = await lab.oracle.pair_fidelities(node, batch)
        np.testing.assert_allclose(fidelities, (1 + 3 * w) / 4, atol=1e-12)
    assert len(set(zip(x.tolist(), z.tolist(), strict=True))) == 4
    await lab.close()


async def test_readout_errors_differ_for_0_and_1() -> None:
    lab = await Lab().open(gates=GateConfig(readout_error_0=0.1, readout_error_1=0.3))
    count = 5000
    hers, _ = await lab.left(count)
    bits = await lab.alice.measure_pairs(hers.times[-1], hers.batch, same(count, 0))
    assert within(float(bits.mean()), (0.1 + 0.7) / 2, count)
    await lab.close()


async def test_herald_times_are_those_of_a_poisson_process() -> None:
    lab, count = await Lab().open(), 5000
    hers, his = await lab.left(count)
    np.testing.assert_array_equal(hers.times, his.times)
    gaps = np.diff(hers.times, prepend=0.0)
    assert abs(gaps.mean() * 1000 - 1) < SIGMAS / sqrt(count)
    again, _ = await lab.left(3)
    assert again.first == hers.first + count
    assert again.times[0] > hers.times[-1]
    await lab.close()


async def test_memories_are_taken_by_count_and_given_back() -> None:
    lab = await Lab().open(MemoryConfig(count=10))
    hers, his = await lab.left(8)
    assert (await lab.oracle.census()).held == {"alice": 8, "charlie": 8, "bob": 0}
    with pytest.raises(NoFreeMemory):
        await lab.alice.pairs(0.0, "run", "left", 3)
    await lab.alice.discard_pairs(hers.times[-1], hers.batch)
    with pytest.raises(NoSuchQubit):
        await lab.alice.discard_pairs(hers.times[-1], hers.batch)
    with pytest.raises(NotYours):
        await lab.bob.discard_pairs(hers.times[-1], his.batch)
    assert await lab.charlie.close_run("run") == 8
    census = await lab.oracle.census()
    assert (census.qubits, census.clusters, census.reserved, sum(census.held.values())) == (0, 0, 0, 0)
    await lab.close()


@pytest.mark.parametrize("word", ["measure", "swap", "correct", "discard"])
async def test_a_batch_of_another_node_is_out_of_reach(word: str) -> None:
    lab = await Lab().open()
    hers, his = await lab.left(2)
    bits = same(2, 0)

    async def corrected() -> None:
        lab.bob.correct_pairs(9.0, hers.batch, bits, bits)
        await lab.bob.sync()

    acts: dict[str, Callable[[], Awaitable[object]]] = {
        "measure": lambda: lab.bob.measure_pairs(9.0, hers.batch, bits),
        "swap": lambda: lab.bob.swap_pairs(9.0, hers.batch, his.batch),
        "correct": corrected,
        "discard": lambda: lab.bob.discard_pairs(9.0, hers.batch),
    }
    with pytest.raises(NotYours, match="bob does not hold batch -1"):
        await acts[word]()
    np.testing.assert_allclose(await lab.oracle.pair_fidelities("alice", hers.batch), 1.0, atol=1e-12)
    await lab.close()


async def test_who_outlives_a_swapped_partner_is_told_once() -> None:
    lab = await Lab().open()
    (hers, left), (right, his) = await lab.left(5), await lab.right(5)
    at = max(hers.times[-1], his.times[-1])
    await lab.charlie.swap_pairs(at, left.batch, right.batch)
    await lab.alice.close()
    with pytest.raises(PartnerLost, match="alice has departed"):
        await lab.bob.measure_pairs(at, his.batch, same(5, 0))
    assert (await lab.oracle.census()).qubits == 0
    await lab.close()


async def test_requests_that_do_not_fit_are_refused() -> None:
    lab = await Lab().open()
    with pytest.raises(LimitExceeded):
        await lab.alice.pairs(0.0, "run", "left", MAX_PAIRS + 1)
    waiting = asyncio.create_task(lab.alice.pairs(0.0, "run", "left", 4))
    await lab.alice.sync()
    with pytest.raises(BadRequest, match="asks for 4 pairs"):
        await lab.charlie.pairs(0.0, "run", "left", 5)
    his = await lab.charlie.pairs(0.0, "run", "left", 4)
    with pytest.raises(BadRequest, match="4 pairs, and 3 were addressed"):
        await lab.charlie.measure_pairs(his.times[-1], his.batch, same(3, 0))
    assert (await waiting).first == his.first
    await lab.close()


async def test_pairs_of_a_cancelled_request_are_not_kept() -> None:
    lab = await Lab().open()
    waiting = asyncio.create_task(lab.alice.pairs(0.0, "run", "left", 4))
    await lab.alice.sync()
    his = await lab.charlie.pairs(0.0, "run", "left", 4)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await lab.alice.sync()
    await lab.charlie.discard_pairs(his.times[-1], his.batch)
    assert (await lab.oracle.census()).qubits == 0
    await lab.close()


@pytest.mark.parametrize(
    "memories", [MemoryConfig(count=9, cutoff=1.0), MemoryConfig(count=9, attempt_dephasing=0.01)]
)
async def test_memories_that_single_pairs_alone_can_follow_take_no_batch(memories: MemoryConfig) -> None:
    lab = await Lab().open(memories)
    with pytest.raises(BadRequest, match="one by one"):
        await lab.alice.pairs(0.0, "run", "left", 2)
    await lab.close()


@pytest.mark.parametrize("t1", [0.5, 1.0, float("inf")])
@pytest.mark.parametrize("tau", [0.3, 1.0, float("inf")])
@pytest.mark.parametrize("parts", [1, 3])
def test_a_half_in_a_batch_ages_as_a_single_qubit_does(t1: float, tau: float, parts: int) -> None:
    memory = MemoryConfig(t1=t1, t2=0.4, depolarising_time=tau)
    rho = np.outer(bell_state(0, 0), bell_state(0, 0))
    state = JointState()
    state.add(rho, [0, 1])
    channel = decoherence(memory, 0.9)
    assert channel is not None
    state.apply_channel(channel, [1])
    states = pairs.from_density(rho[np.newaxis])
    for part in range(parts):
        since = np.array([0.9 * part / parts])
        states = aged(states, 1, memory, since, since + 0.9 / parts)
    np.testing.assert_allclose(pairs.to_density(states)[0], state.reduced([0, 1]), atol=1e-12)
