"""The devices of a node over ranges of their parameters: memories, cut-offs, storage, attempts, gates, durations."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from math import exp, sqrt

import numpy as np
import pytest

from shared_state.clock import RealTimeClock, VirtualClock
from shared_state.config import (
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    WernerSource,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.engine.measures import bell_state
from shared_state.errors import BadRequest, NoFreeMemory, QubitExpired, TimeReversed
from shared_state.world.ends import Delivered, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket

SIGMAS = 4.9  # false alarm 1e-6, two-sided
MEMORIES = [MemoryConfig(t1=1.3, t2=0.4), MemoryConfig(t1=0.2, t2=0.4), MemoryConfig(t1=5.0, t2=1.0)]


class Lab:
    """Alice and Bob with devices of their own, and what was settled."""

    def __init__(self, hers: NodeDevices, his: NodeDevices | None = None) -> None:
        world = WorldConfig(
            {"alice": hers, "bob": his or NodeDevices()},
            {"ab": LinkDevices(("alice", "bob"), FibreConfig(0.0), WernerSource())},
        )
        self.nature = Nature(world, VirtualClock(), Dice(5))
        self.settled: dict[Ticket, Outcome] = {}
        self.links = Links(self.nature, self.settled.__setitem__)

    def pair(self) -> tuple[int, int, float]:
        """Return both qubits of a new pair and the time of its herald."""
        for node in ("alice", "bob"):
            self.links.pairs.pair(node, node, 0.0, "run", "ab")
        hers, his = self.settled["alice"], self.settled["bob"]
        assert isinstance(hers, Delivered)
        assert isinstance(his, Delivered)
        return hers.qubit, his.qubit, hers.time

    def age(self, node: str, qubit: int, to: float) -> None:
        """Touch a qubit: with perfect gates this does nothing but age it."""
        self.nature.unitary(node, to, np.eye(2, dtype=np.complex128), [qubit])

    def fidelity(self, hers: int, his: int, x: int = 0) -> float:
        return self.nature.fidelity([hers, his], bell_state(x, 0)).value


@pytest.mark.parametrize(("hers", "his"), list(product(MEMORIES, MEMORIES)))
@pytest.mark.parametrize("t", [0.01, 0.3, 2.0])
@pytest.mark.parametrize("x", [0, 1])
def test_a_stored_pair_decays_as_the_closed_form_says(
    hers: MemoryConfig, his: MemoryConfig, t: float, x: int
) -> None:
    lab = Lab(NodeDevices(hers), NodeDevices(his))
    a, b, herald = lab.pair()
    if x:
        lab.nature.gate("alice", herald, "x", [a], [])
    for stop in (t / 3, t):  # in two steps as in one
        lab.age("alice", a, herald + stop)
        lab.age("bob", b, herald + stop)
    ea, eb = exp(-t / hers.t1), exp(-t / his.t1)
    coherence = exp(-t / hers.t2 - t / his.t2) / 2
    populations = (ea + eb) / 4 if x else (1 + (1 - ea) * (1 - eb) + ea * eb) / 4
    assert lab.fidelity(a, b, x) == pytest.approx(populations + coherence, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("t2", [0.1, 0.7])
def test_gaussian_dephasing_counts_from_the_start_of_storage(steps: int, t2: float) -> None:
    lab = Lab(NodeDevices(MemoryConfig(t2=t2, dephasing="gaussian")))
    a, b, herald = lab.pair()
    for step in range(1, steps + 1):
        lab.age("alice", a, herald + 0.2 * step / steps)
    assert lab.fidelity(a, b) == pytest.approx((1 + exp(-((0.2 / t2) ** 2))) / 2, abs=1e-9)


@pytest.mark.parametrize("tau", [0.05, 1.0])
def test_a_depolarising_memory_takes_the_fidelity_to_a_quarter(tau: float) -> None:
    lab = Lab(*[NodeDevices(MemoryConfig(depolarising_time=tau))] * 2)
    a, b, herald = lab.pair()
    for node, qubit in (("alice", a), ("bob", b)):
        lab.age(node, qubit, herald + 0.1)
    assert lab.fidelity(a, b) == pytest.approx(0.25 + 0.75 * exp(-0.2 / tau), abs=1e-9)


def test_relaxation_and_depolarising_together_are_a_semigroup_too() -> None:
    memory = MemoryConfig(t1=0.3, t2=0.2, depolarising_time=0.4)
    states = []
    for steps in (1, 7):
        lab = Lab(NodeDevices(memory))
        qubit = lab.nature.qubit("alice", 0.0, "run")
        lab.nature.gate("alice", 0.0, "ry", [qubit], [2.0])
        for step in range(1, steps + 1):
            lab.age("alice", qubit, 0.5 * step / steps)
        states.append(lab.nature.density_matrix([qubit]).value)
    np.testing.assert_allclose(states[0], states[1], atol=1e-12)


@pytest.mark.parametrize("f", [0.5, 0.9, 0.997, 1.0])
def test_a_qubit_made_here_is_ground_with_the_initialisation_fidelity(f: float) -> None:
    lab = Lab(NodeDevices(MemoryConfig(initialisation_fidelity=f)))
    qubit = lab.nature.qubit("alice", 0.0, "run")
    assert lab.nature.density_matrix([qubit]).value[0, 0] == pytest.approx(f, abs=1e-12)


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("attempts", [1, 7, 500])
def test_attempts_dephase_what_is_stored_whenever_they_become_known(attempts: int, order: str) -> None:
    p = (1 - exp(-1 / 100)) / 2  # N_1/e = 100
    lab = Lab(NodeDevices(MemoryConfig(attempt_dephasing=p)))
    a, b, herald = lab.pair()
    stop = herald + (attempts + 0.5) * 1e-3
    if order == "after":
        lab.age("alice", a, stop)
    lab.nature.attempts.record("alice", "run", herald, 1e-3, 10**6)  # the first is over by the herald
    lab.nature.attempts.record("alice", "elsewhere", herald, 1e-3, 10**6)  # another course of time
    lab.nature.attempts.record("bob", "run", herald, 1e-3, 10**6)  # another node
    lab.age("alice", a, herald + 0.4e-3 + (attempts // 2) * 1e-3) if order == "before" else None
    lab.age("alice", a, stop)
    assert lab.fidelity(a, b) == pytest.approx((1 + exp(-attempts / 100)) / 2, abs=1e-9)


def test_old_windows_are_forgotten_and_not_their_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared_state.world.attempts.REMEMBERED", 3)
    lab = Lab(NodeDevices(MemoryConfig(attempt_dephasing=0.01)))
    a, b, herald = lab.pair()
    for number in range(20):
        lab.nature.attempts.record("alice", "run", herald + 1 + number, 0.1, 5)
    lab.age("alice", a, herald + 30)
    assert lab.fidelity(a, b) == pytest.approx((1 + 0.98**100) / 2, abs=1e-9)


@pytest.mark.parametrize("f", [0.3, 0.9, 0.99, 1.0])
def test_each_qubit_of_a_gate_is_depolarised_on_its_own_where_the_lab_says_so(f: float) -> None:
    lab = Lab(NodeDevices(gates=GateConfig(two_fidelity=f, two_qubit_noise="each")))
    a, b, herald = lab.pair()
    helper = lab.nature.qubit("alice", herald, "run")
    lab.nature.gate("alice", herald, "cz", [a, helper], [])  # the helper is |0>: only noise remains
    assert lab.fidelity(a, b) == pytest.approx(sqrt(f), abs=1e-9)


@pytest.mark.parametrize(
    ("gates", "expected"),
    [(GateConfig(two_qubit_noise="joint"), 1 - 0.75 * 0.1), (GateConfig(two_qubit_noise="each"), sqrt(0.9))],
)
def test_a_move_to_storage_costs_one_two_qubit_gate(gates: GateConfig, expected: float) -> None:
    gates = replace(gates, two_fidelity=0.9, two_duration=0.5)
    storage = MemoryConfig(count=1, t2=2.0)
    lab = Lab(NodeDevices(MemoryConfig(count=1, t2=0.1), gates, storage))
    a, b, herald = lab.pair()
    lab.nature.store("alice", herald, a)
    assert lab.fidelity(a, b) == pytest.approx(expected, abs=1e-9)
    second = lab.nature.qubit("alice", herald, "run")  # the memory is free again
    with pytest.raises(NoFreeMemory, match="storage"):
        lab.nature.store("alice", herald, second)
    with pytest.raises(BadRequest, match="already"):
        lab.nature.store("alice", herald + 0.5, a)
    with pytest.raises(NoFreeMemory):
        lab.nature.retrieve("alice", herald + 1.0, a)
    lab.nature.discard("alice", herald + 1.0, second)
    lab.nature.retrieve("alice", herald + 1.0, a)
    assert lab.nature.ledger.counts() == {"alice": 1, "bob": 1}


def test_without_storage_nothing_can_be_stored() -> None:
    lab = Lab(NodeDevices())
    with pytest.raises(BadRequest, match="no storage"):
        lab.nature.store("alice", 0.0, lab.nature.qubit("alice", 0.0, "run"))


def test_a_qubit_past_its_cutoff_is_discarded_and_both_holders_are_told() -> None:
    lab = Lab(NodeDevices(MemoryConfig(cutoff=0.5)))
    a, b, herald = lab.pair()
    lab.age("alice", a, herald + 0.5)  # just in time
    with pytest.raises(QubitExpired, match=r"ab/1.*0\.5 s"):
        lab.nature.measure("alice", herald + 0.6, a, "Z")
    with pytest.raises(QubitExpired):
        lab.nature.measure("alice", herald + 0.7, a, "Z")
    with pytest.raises(QubitExpired, match="kept by alice"):
        lab.nature.measure("bob", herald + 0.6, b, "Z")
    assert len(lab.nature.state) == 0


def test_who_looks_first_is_told_and_the_late_holder_finds_the_same() -> None:
    lab = Lab(NodeDevices(MemoryConfig(cutoff=0.5)))
    a, b, herald = lab.pair()
    with pytest.raises(QubitExpired, match="kept by alice"):
        lab.nature.bell_measure("bob", herald + 0.6, b, lab.nature.qubit("bob", herald, "run"))
    lab.age("alice", a, herald + 0.4)  # it was still hers to use then
    with pytest.raises(QubitExpired):
        lab.nature.measure("alice", herald + 0.6, a, "Z")
    lab.nature.drop_run("bob", "run")
    assert len(lab.nature.state) == 0


def test_a_half_swapped_in_time_is_not_mourned() -> None:
    lab = Lab(NodeDevices(MemoryConfig(cutoff=0.5)))
    a, b, herald = lab.pair()
    lab.nature.measure("alice", herald + 0.4, a, "Z")
    assert lab.nature.measure("bob", herald + 9.0, b, "Z").value in (0, 1)


def test_a_memory_full_of_overdue_qubits_is_free() -> None:
    lab = Lab(NodeDevices(MemoryConfig(count=2, cutoff=0.5)))
    old = [lab.nature.qubit("alice", 0.0, "run") for _ in range(2)]
    with pytest.raises(NoFreeMemory):
        lab.nature.qubit("alice", 0.4, "run")
    lab.nature.qubit("alice", 0.6, "run")
    with pytest.raises(QubitExpired):
        lab.nature.measure("alice", 0.6, old[0], "Z")
    lab.nature.discard("alice", 0.6, old[1])  # it is gone already, which is what was wanted
    assert len(lab.nature.state) == 1


def test_a_qubit_is_busy_while_it_is_operated_on() -> None:
    gates = GateConfig(single_duration=0.1, two_duration=0.3, initialisation_duration=0.2)
    lab = Lab(NodeDevices(gates=gates))
    qubit, other = (lab.nature.qubit("alice", 0.0, "run") for _ in range(2))
    with pytest.raises(TimeReversed):
        lab.nature.gate("alice", 0.19, "x", [qubit], [])
    lab.nature.gate("alice", 0.2, "x", [qubit], [])
    with pytest.raises(TimeReversed):
        lab.nature.gate("alice", 0.25, "cnot", [other, qubit], [])
    lab.nature.gate("alice", 0.3, "cnot", [other, qubit], [])
    with pytest.raises(TimeReversed):
        lab.nature.measure("alice", 0.5, other, "Z")
    assert lab.nature.measure("alice", 0.6, qubit, "Z").value == 1


def test_in_real_time_an_operation_waits_for_its_qubit() -> None:
    devices = NodeDevices(MemoryConfig(t1=1.0, t2=2.0), GateConfig(single_duration=0.5))
    nature = Nature(WorldConfig({"alice": devices}, {}), RealTimeClock(1.0, lambda: 0.0), Dice(1))
    qubit = nature.qubit("alice", 0.0, "run")
    for _ in range(3):
        nature.gate("alice", 0.0, "x", [qubit], [])
    expected = exp(-0.5)  # excited by the first, decayed until the second begins
    expected = (1 - expected) * exp(-0.5)
    assert nature.density_matrix([qubit]).value[1, 1] == pytest.approx(1 - expected, abs=1e-12)


@pytest.mark.parametrize(("zero", "one"), [(0.05, 0.005), (0.0, 0.3), (0.2, 0.2)])
def test_readout_errors_of_both_outcomes_are_their_own(zero: float, one: float) -> None:
    gates, shots = GateConfig(readout_error_0=zero, readout_error_1=one), 3000
    lab = Lab(NodeDevices(gates=gates))
    for excited, error in ((False, zero), (True, one)):
        wrong = 0
        for _ in range(shots):
            qubit = lab.nature.qubit("alice", 0.0, "run")
            if excited:
                lab.nature.gate("alice", 0.0, "x", [qubit], [])
            wrong += lab.nature.measure("alice", 0.0, qubit, "Z").value != excited
        assert abs(wrong - shots * error) <= SIGMAS * sqrt(shots * error * (1 - error))
