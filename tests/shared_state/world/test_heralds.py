"""What a node may do with a half before its herald, and what becomes of attempts that are called off."""

from __future__ import annotations

from math import exp, log

import numpy as np
import pytest

from shared_state.clock import LabClock, RealTimeClock, VirtualClock
from shared_state.config import (
    DoubleClickSource,
    FibreConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PhotonPairSource,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.errors import TimeReversed
from shared_state.world.ends import Delivered, DeliveredPairs, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket

T2 = 1e-3


class Lab:
    """Alice and Bob and a source of pairs between them."""

    def __init__(self, clock: LabClock, link: LinkDevices, memory: MemoryConfig, seed: int = 3) -> None:
        world = WorldConfig(dict.fromkeys(("alice", "bob"), NodeDevices(memory)), {"ab": link})
        self.nature = Nature(world, clock, Dice(seed))
        self.settled: dict[Ticket, Outcome] = {}
        self.links = Links(self.nature, self.settled.__setitem__)

    def pair(self, run: str = "run") -> Delivered:
        """Return what is delivered to alice."""
        for node in ("alice", "bob"):
            self.links.pairs.pair(node, node, 0.0, run, "ab")
        delivered = self.settled["alice"]
        assert isinstance(delivered, Delivered)
        return delivered

    def batch(self, count: int) -> DeliveredPairs:
        """Return what is delivered to alice."""
        for node in ("alice", "bob"):
            self.links.batches.pairs(node, node, 0.0, "run", "ab", count)
        delivered = self.settled["alice"]
        assert isinstance(delivered, DeliveredPairs)
        return delivered


def midway(length: float) -> LinkDevices:
    source = PhotonPairSource(attempt_rate=1e6)
    return LinkDevices(("alice", "bob"), FibreConfig(length, 0.0), source)


@pytest.mark.parametrize("length", [1e3, 2e4, 1e6])
def test_a_half_cannot_be_touched_before_its_herald(length: float) -> None:
    lab = Lab(VirtualClock(), midway(length), MemoryConfig())
    delivered = lab.pair()
    stored = lab.nature.ledger.held_by("alice", delivered.qubit).stored
    assert stored < delivered.time
    for at in (0.0, stored, delivered.time - 1e-9):
        with pytest.raises(TimeReversed):
            lab.nature.measure("alice", at, delivered.qubit, "Z")
    assert lab.nature.measure("alice", delivered.time, delivered.qubit, "Z").value in (0, 1)


@pytest.mark.parametrize("length", [1e3, 2e4])
def test_in_real_time_an_operation_waits_for_the_herald(length: float) -> None:
    lab = Lab(RealTimeClock(1.0, lambda: 0.0), midway(length), MemoryConfig(t2=T2))
    delivered = lab.pair()
    holding = lab.nature.ledger.held_by("alice", delivered.qubit)
    lab.nature.gate("alice", 0.0, "z", [delivered.qubit], [])
    assert holding.touched == delivered.time
    other = lab.settled["bob"]
    assert isinstance(other, Delivered)
    rho = lab.nature.density_matrix([delivered.qubit, other.qubit]).value
    assert abs(rho[0, 3]) == pytest.approx(exp(-(delivered.time - holding.stored) / T2) / 2, abs=1e-12)


@pytest.mark.parametrize("length", [1e3, 2e4])
def test_halves_in_a_batch_cannot_be_touched_before_their_heralds(length: float) -> None:
    bases = np.zeros(5, dtype=np.uint8)
    lab = Lab(VirtualClock(), midway(length), MemoryConfig())
    batch = lab.batch(5)
    with pytest.raises(TimeReversed):
        lab.links.batches.measure("alice", float(batch.times[-1]) - 1e-9, batch.batch, bases)
    assert len(lab.links.batches.measure("alice", float(batch.times[-1]), batch.batch, bases)) == 5


class Storing(Lab):
    """In real time: alice keeps a qubit in |+> while a slow source makes attempts, one every millisecond."""

    CYCLE = 1e-3
    DEPHASING = 0.01

    def __init__(self) -> None:
        self.wall = 0.0
        source = DoubleClickSource(attempt_rate=1 / self.CYCLE, emission=(1e-3, 1e-3))
        link = LinkDevices(("alice", "bob"), FibreConfig(0.0), source)
        memory = MemoryConfig(attempt_dephasing=self.DEPHASING)
        super().__init__(RealTimeClock(1.0, lambda: self.wall), link, memory)
        self.kept = self.nature.qubit("alice", 0.0, "keep")
        self.nature.gate("alice", 0.0, "h", [self.kept], [])

    def attempts(self, at: float) -> int:
        """Return how many attempts the kept qubit has suffered by ``at``."""
        self.nature.unitary("alice", at, np.eye(2, dtype=np.complex128), [self.kept])
        coherence = 2 * abs(complex(self.nature.density_matrix([self.kept]).value[0, 1]))
        return round(log(coherence) / log(1 - 2 * self.DEPHASING))


@pytest.mark.parametrize("so_far", [0, 1, 40])
@pytest.mark.parametrize("way", ["close", "cancel"])
def test_attempts_that_are_called_off_disturb_nothing_more(so_far: int, way: str) -> None:
    lab = Storing()
    delivered = lab.pair()
    assert delivered.time > 1.0  # it would have been thousands of attempts
    lab.wall = (so_far + 0.5) * lab.CYCLE
    if way == "close":
        lab.links.close_run("alice", "run")
    else:
        lab.links.take_back("alice", delivered.qubit)
    assert lab.attempts(delivered.time) == so_far


def test_attempts_of_other_pairs_and_runs_go_on() -> None:
    lab = Storing()
    first, second = lab.pair(), lab.pair("other")
    lab.links.take_back("alice", second.qubit)
    lab.links.close_run("alice", "third")
    lab.wall = 0.1005
    assert lab.attempts(lab.wall) == 100
    assert first.time > lab.wall


def test_a_node_that_comes_back_suffers_nothing_from_its_former_attempts() -> None:
    lab = Storing()
    until = lab.pair().time
    lab.links.depart("alice")
    lab.nature.presence.arrive("alice")
    lab.kept = lab.nature.qubit("alice", 0.0, "keep")
    lab.nature.gate("alice", 0.0, "h", [lab.kept], [])
    assert lab.attempts(until) == 0
