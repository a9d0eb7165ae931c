"""Nature ages, disturbs and misreads as the devices say, and keeps the books."""

from __future__ import annotations

from dataclasses import replace
from math import exp, sqrt

import numpy as np
import pytest

from shared_state.clock import RealTimeClock, VirtualClock
from shared_state.config import (
    DetectorConfig,
    FibreConfig,
    GateConfig,
    LinkDevices,
    MemoryConfig,
    NodeDevices,
    PulseConfig,
    TapConfig,
    WernerSource,
    WorldConfig,
)
from shared_state.dice import Dice
from shared_state.engine.measures import bell_state
from shared_state.errors import BadRequest, LimitExceeded, NoSuchQubit, NotYours
from shared_state.world.ends import Arrived, Delivered, Detected, Outcome
from shared_state.world.links import Links
from shared_state.world.nature import Nature
from shared_state.world.queues import Ticket

SIGMAS = 4.9  # false alarm 1e-6, two-sided


def one_node(devices: NodeDevices | None = None) -> Nature:
    return Nature(WorldConfig({"alice": devices or NodeDevices()}, {}, seed=1), VirtualClock(), Dice(1))


class Lab:
    """Alice and Bob on one link, and the outcomes by ticket."""

    def __init__(
        self, link: LinkDevices, devices: NodeDevices | None = None, taps: dict[str, TapConfig] | None = None
    ):
        node = devices or NodeDevices()
        world = WorldConfig({"alice": node, "bob": node}, {"ab": link}, taps or {}, seed=3)
        self.settled: dict[Ticket, Outcome] = {}
        self.nature = Nature(world, VirtualClock(), Dice(3))
        self.links = Links(self.nature, self.settled.__setitem__)

    def pair(
        self, at_alice: float = 0.0, at_bob: float = 0.0, run: str = "run"
    ) -> tuple[Delivered, Delivered]:
        self.links.pairs.pair("a", "alice", at_alice, run, "ab")
        self.links.pairs.pair("b", "bob", at_bob, run, "ab")
        first, second = self.settled["a"], self.settled["b"]
        assert isinstance(first, Delivered)
        assert isinstance(second, Delivered)
        return first, second

    def send(self, sender: str = "alice", *, excited: bool = False) -> Arrived:
        qubit = self.nature.qubit(sender, 0.0, "run")
        if excited:
            self.nature.gate(sender, 0.0, "x", [qubit], [])
        self.links.light.transmit(sender, 0.0, "run", "ab", qubit)
        self.links.light.receive("r", "bob" if sender == "alice" else "alice", 0.0, "run", "ab")
        arrived = self.settled["r"]
        assert isinstance(arrived, Arrived)
        return arrived

    def pulses(self, count: int, sender: str = "alice") -> tuple[float, float]:
        """Return the share of pulses that click and the error rate of those measured in the right basis."""
        rng = np.random.default_rng(11)
        bits, sent, measured = (rng.integers(0, 2, count, dtype=np.uint8) for _ in range(3))
        self.links.light.emit_pulses(sender, 0.0, "run", "ab", bits, sent)
        self.links.light.measure_pulses(
            "m", "bob" if sender == "alice" else "alice", 0.0, "run", "ab", measured
        )
        seen = self.settled["m"]
        assert isinstance(seen, Detected)
        sifted = (sent == measured) & (seen.clicked == 1)
        return float(seen.clicked.mean()), float((seen.bits != bits)[sifted].mean())


@pytest.mark.parametrize("elapsed", [0.0, 0.03, 0.5, 4.0])
def test_a_stored_superposition_loses_coherence_with_t2_and_population_with_t1(elapsed: float) -> None:
    nature = one_node(NodeDevices(MemoryConfig(t1=1.0, t2=0.4)))
    qubit = nature.qubit("alice", 1.0, "run")
    nature.gate("alice", 1.0, "ry", [qubit], [1.1])
    before = nature.density_matrix([qubit]).value
    nature.gate("alice", 1.0 + elapsed / 3, "z", [qubit], [])  # aging in two steps is aging in one
    nature.gate("alice", 1.0 + elapsed, "z", [qubit], [])
    after = nature.density_matrix([qubit]).value
    assert after[1, 1] == pytest.approx(before[1, 1] * exp(-elapsed), abs=1e-12)
    assert after[0, 1] == pytest.approx(before[0, 1] * exp(-elapsed / 0.4), abs=1e-12)


def test_what_was_handed_over_ages_no_more() -> None:
    nature = one_node(NodeDevices(MemoryConfig(t1=1.0, t2=1.0)))
    qubit = nature.qubit("alice", 0.0, "run")
    nature.gate("alice", 0.0, "x", [qubit], [])
    nature.hand_over("alice", 0.5, [qubit])
    nature.clock.observe(100.0)
    assert nature.density_matrix([qubit]).value[1, 1] == pytest.approx(exp(-0.5), abs=1e-12)


def test_a_gate_of_fidelity_f_leaves_that_entanglement_fidelity() -> None:
    lab = Lab(
        LinkDevices(("alice", "bob"), FibreConfig(0.0)), NodeDevices(gates=GateConfig(single_fidelity=0.93))
    )
    hers, his = lab.pair()
    lab.nature.gate("alice", 1.0, "x", [hers.qubit], [])
    assert lab.nature.fidelity([hers.qubit, his.qubit], bell_state(1, 0)).value == pytest.approx(
        0.93, abs=1e-9
    )


def test_late_operations_happen_at_once_in_real_time() -> None:
    world = WorldConfig({"alice": NodeDevices(MemoryConfig(t1=1.0, t2=1.0))}, {}, seed=1)
    nature = Nature(world, RealTimeClock(1.0, lambda: 0.0), Dice(1))
    qubit = nature.qubit("alice", 1.0, "run")
    nature.gate("alice", 0.2, "x", [qubit], [])
    assert nature.density_matrix([qubit]).value[1, 1] == pytest.approx(1.0)


def test_readout_errors_flip_both_bits_of_a_bell_measurement_independently() -> None:
    fidelity, rounds = 0.8, 4000
    nature = one_node(
        NodeDevices(gates=GateConfig(readout_error_0=1 - fidelity, readout_error_1=1 - fidelity))
    )
    flips = np.zeros(2)
    both = 0
    for _ in range(rounds):
        first, second = nature.qubit("alice", 0.0, "run"), nature.qubit("alice", 0.0, "run")
        nature.gate("alice", 0.0, "h", [first], [])
        nature.gate("alice", 0.0, "cnot", [first, second], [])
        x, z = nature.bell_measure("alice", 0.0, first, second).value
        flips += (x, z)
        both += x & z
    sigma = sqrt(rounds * fidelity * (1 - fidelity))
    assert abs(flips - rounds * (1 - fidelity)).max() < SIGMAS * sigma
    assert abs(both - rounds * (1 - fidelity) ** 2) < SIGMAS * sqrt(rounds * 0.04 * 0.96)


def test_operators_that_do_not_fit_are_refused_and_change_nothing() -> None:
    nature = one_node()
    qubit = nature.qubit("alice", 0.0, "run")
    for matrix in (np.ones((2, 2)), np.eye(4), np.full((2, 2), np.nan), np.eye(3)):
        with pytest.raises(BadRequest):
            nature.unitary("alice", 0.0, matrix.astype(np.complex128), [qubit])
    with pytest.raises(BadRequest, match="different"):
        nature.gate("alice", 0.0, "cnot", [qubit, qubit], [])
    with pytest.raises(BadRequest, match="target"):
        nature.fidelity([qubit], np.ones(4, dtype=np.complex128))
    assert nature.measure("alice", 0.0, qubit, "Z").value == 0


def test_an_id_tells_to_whom_it_was_given() -> None:
    world = WorldConfig({"alice": NodeDevices(), "bob": NodeDevices()}, {}, seed=1)
    nature = Nature(world, VirtualClock(), Dice(1))
    hers = [nature.qubit("alice", 0.0, "run") for _ in range(3)]
    for qubit in hers:
        nature.discard("alice", 0.0, qubit)
        with pytest.raises(NoSuchQubit):
            nature.discard("alice", 0.0, qubit)
        with pytest.raises(NotYours):
            nature.discard("bob", 0.0, qubit)
    for never in (hers[-1] + 2, -2, 10**12):
        with pytest.raises(NotYours):
            nature.discard("alice", 0.0, never)


def test_pair_generation_starts_when_both_have_asked_and_takes_the_sources_time() -> None:
    rate, count = 200.0, 2000
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(0.0), WernerSource(rate=rate, fidelity=0.9)))
    waits = []
    for number in range(count):
        run = f"run-{number}"
        hers, his = lab.pair(at_alice=1.0, at_bob=3.0, run=run)
        assert hers.pair == his.pair == f"ab/{number + 1}"
        assert hers.time == his.time
        waits.append(hers.time - 3.0)
        if number == 0:
            rho = lab.nature.fidelity([hers.qubit, his.qubit], bell_state(0, 0)).value
            assert rho == pytest.approx(0.9, abs=1e-9)
        lab.nature.drop_run("alice", run)
        lab.nature.drop_run("bob", run)
    assert min(waits) > 0
    # the mean of n exponential times has standard deviation mean / sqrt(n)
    assert abs(np.mean(waits) * rate - 1) < SIGMAS / sqrt(count)


@pytest.mark.parametrize("sender", ["alice", "bob"])
def test_a_fibre_delays_every_qubit_and_loses_its_share(sender: str) -> None:
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(15_000.0, 0.2, insertion_loss_db=0.0)))
    count, transmission = 3000, 10**-0.3
    arrived = 0
    for _ in range(count):
        arrival = lab.send(sender)
        assert arrival.time == pytest.approx(75e-6)
        arrived += arrival.qubit is not None
        lab.links.close_run("bob" if sender == "alice" else "alice", "run")
        lab.nature.presence.arrive("alice")
        lab.nature.presence.arrive("bob")
    sigma = sqrt(count * transmission * (1 - transmission))
    assert abs(arrived - count * transmission) < SIGMAS * sigma
    assert len(lab.nature.state) == 0


def test_a_flying_qubit_does_not_age_and_a_waiting_one_does() -> None:
    memory = NodeDevices(MemoryConfig(t1=1e-3, t2=1e-3))
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(200_000.0, 0.0)), memory)
    arrival = lab.send(excited=True)
    assert arrival.qubit is not None
    assert lab.nature.density_matrix([arrival.qubit]).value[1, 1] == pytest.approx(1.0)
    lab.nature.gate("bob", arrival.time + 1e-3, "z", [arrival.qubit], [])
    assert lab.nature.density_matrix([arrival.qubit]).value[1, 1] == pytest.approx(exp(-1))


@pytest.mark.parametrize("sender", ["alice", "bob"])
@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_intercept_resend_makes_a_quarter_of_its_fraction_errors(sender: str, fraction: float) -> None:
    fibre = FibreConfig(10_000.0, 0.2)
    taps = {
        "eve": TapConfig("ab", fraction=fraction, position=9000.0, enabled=True),
        "mallory": TapConfig("ab", position=1000.0),  # not enabled
    }
    lab = Lab(
        LinkDevices(("alice", "bob"), fibre, pulses=PulseConfig(detectors=DetectorConfig(efficiency=0.8))),
        taps=taps,
    )
    clicks, errors = lab.pulses(100_000, sender)
    share = 0.8 * 10**-0.2
    assert abs(clicks - share) < SIGMAS * sqrt(share * (1 - share) / 100_000)
    sifted = 50_000 * share * 0.97
    assert abs(errors - fraction / 4) <= SIGMAS * sqrt(fraction / 4 * (1 - fraction / 4) / sifted)


def test_a_tap_can_be_attached_and_detached() -> None:
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(1000.0, 0.0)), taps={"eve": TapConfig("ab")})
    assert lab.pulses(2000)[1] == 0
    lab.links.ends.set_tap("eve", True)
    assert lab.pulses(2000)[1] > 0.1
    lab.links.ends.set_tap("eve", False)
    assert lab.pulses(2000)[1] == 0
    with pytest.raises(BadRequest, match="there are eve"):
        lab.links.ends.set_tap("mallory", True)


def test_eve_breaks_the_entanglement_of_a_qubit_that_passes() -> None:
    lab = Lab(
        LinkDevices(("alice", "bob"), FibreConfig(1000.0, 0.0)), taps={"eve": TapConfig("ab", enabled=True)}
    )
    kept, sent = lab.nature.qubit("alice", 0.0, "run"), lab.nature.qubit("alice", 0.0, "run")
    lab.nature.gate("alice", 0.0, "h", [kept], [])
    lab.nature.gate("alice", 0.0, "cnot", [kept, sent], [])
    lab.links.light.transmit("alice", 0.0, "run", "ab", sent)
    lab.links.light.receive("r", "bob", 0.0, "run", "ab")
    arrival = lab.settled["r"]
    assert isinstance(arrival, Arrived)
    assert arrival.qubit is not None
    assert lab.nature.fidelity([kept, arrival.qubit], bell_state(0, 0)).value == pytest.approx(0.5, abs=1e-9)


def test_emission_takes_its_time_and_detection_ends_with_the_last_pulse() -> None:
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(20_000.0, 0.0), pulses=PulseConfig(pulse_rate=1e6)))
    bits = np.zeros(1000, dtype=np.uint8)
    assert lab.links.light.emit_pulses("alice", 2.0, "run", "ab", bits, bits) == pytest.approx(2.001)
    lab.links.light.measure_pulses("m", "bob", 0.0, "run", "ab", bits)
    seen = lab.settled["m"]
    assert isinstance(seen, Detected)
    assert seen.time == pytest.approx(2.0011)


def test_light_that_nobody_receives_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(LinkDevices(("alice", "bob"), FibreConfig(0.0)))
    monkeypatch.setattr("shared_state.world.limits.MAX_IN_FLIGHT", 1024)
    bits = np.zeros(200, dtype=np.uint8)
    lab.links.light.emit_pulses("alice", 0.0, "run", "ab", bits, bits)
    with pytest.raises(LimitExceeded, match="alice"):
        lab.links.light.emit_pulses("alice", 0.0, "run", "ab", bits, bits)
    lab.links.light.measure_pulses("m", "bob", 0.0, "run", "ab", bits)
    lab.links.light.emit_pulses("alice", 0.0, "run", "ab", bits, bits)
    monkeypatch.setattr("shared_state.world.limits.MAX_AWAITED", 300)
    lab.links.light.measure_pulses("n", "alice", 0.0, "run", "ab", bits)
    with pytest.raises(LimitExceeded, match="400 pulses"):
        lab.links.light.measure_pulses("o", "alice", 0.0, "run", "ab", bits)


def test_the_same_seed_gives_the_same_world() -> None:
    link = LinkDevices(("alice", "bob"), FibreConfig(15_000.0))
    runs = [[Lab(link).pair(), Lab(link).send().qubit, Lab(link).pulses(500)] for _ in range(2)]
    assert runs[0] == runs[1]
    other = replace(link, source=WernerSource(rate=10.0))
    assert Lab(other).pair() != Lab(link).pair()
