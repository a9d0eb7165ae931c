"""How long 10^5 pairs on two links take, delivery to last outcome, and how much memory. Writes, never gates."""

from __future__ import annotations

import asyncio
import sys
import tracemalloc
from time import perf_counter

import numpy as np
import pytest

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
from shared_state.service import Service

COUNT = 100_000


async def test_pairs_as_vectors(capsys: pytest.CaptureFixture[str]) -> None:
    devices = NodeDevices(
        MemoryConfig(count=2 * COUNT, t1=100.0, t2=50.0), GateConfig(0.999, 0.99, readout_error_0=0.01)
    )
    link = FibreConfig(0.0), WernerSource(rate=1e6, fidelity=0.95)
    world = WorldConfig(
        dict.fromkeys(("alice", "charlie", "bob"), devices),
        {"left": LinkDevices(("alice", "charlie"), *link), "right": LinkDevices(("charlie", "bob"), *link)},
        seed=1,
    )
    service = Service(ServerConfig("lab", world, {name: name for name in world.nodes}, "o"), lambda: 0.0)
    alice, charlie, bob = [await NodeClient.local(service, name=name) for name in world.nodes]
    began = perf_counter()
    hers, left, right, his = await asyncio.gather(
        alice.pairs(0.0, "run", "left", COUNT),
        charlie.pairs(0.0, "run", "left", COUNT),
        charlie.pairs(0.0, "run", "right", COUNT),
        bob.pairs(0.0, "run", "right", COUNT),
    )
    at = max(hers.times[-1], his.times[-1])
    x, z = await charlie.swap_pairs(at, left.batch, right.batch)
    bob.correct_pairs(at, his.batch, x, z)
    bases = np.zeros(COUNT, dtype=np.uint8)
    a = await alice.measure_pairs(at, hers.batch, bases)
    b = await bob.measure_pairs(at, his.batch, bases)
    seconds = perf_counter() - began
    tracemalloc.start()
    await asyncio.gather(alice.pairs(at, "run", "left", COUNT), charlie.pairs(at, "run", "left", COUNT))
    live, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    with capsys.disabled():
        sys.stdout.write(
            f"\n{COUNT} pairs on each of two links, swapped, corrected, measured: {seconds:.2f} s\n"
            f"{COUNT} live pairs as one batch: {live / 1e6:.0f} MB\n"
        )
    assert (a == b).mean() > 0.9
    for party in (alice, charlie, bob):
        await party.close()
