"""Eve on the fibre: what she takes, and what she cannot hide."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from shared_state.config import FibreConfig, PulseConfig
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity, purity
from shared_state.world.fibre import delay, transmission
from shared_state.world.pulses import PulseTrain, detect, emit, propagate
from shared_state.world.taps import intercept_qubit, intercept_resend, split

COUNT = 200_000
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


def error_rate(fraction: float, length: float = 0.0) -> tuple[float, int]:
    """Return the QBER of matching bases behind a tap in mid-fibre, and the number of such clicks."""
    rng = np.random.default_rng(7)
    bits, bases, bobs = (rng.integers(0, 2, COUNT, dtype=np.uint8) for _ in range(3))
    before, after = split(FibreConfig(length), length / 2)
    train = propagate(emit(bits, bases, 0.0, 1e6), before, rng)
    train = propagate(intercept_resend(train, fraction, rng), after, rng)
    clicked, outcomes = detect(train, bobs, PulseConfig(), rng)
    sifted = (clicked == 1) & (bases == bobs)
    return float((outcomes != bits)[sifted].mean()), int(sifted.sum())


@pytest.mark.parametrize("fraction", [0.05, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("length", [0.0, 20e3])
def test_intercept_resend_causes_a_quarter_of_its_fraction_in_errors(fraction: float, length: float) -> None:
    qber, sifted = error_rate(fraction, length)
    expected = fraction / 4
    assert abs(qber - expected) < SIGMAS * sqrt(expected * (1 - expected) / sifted)


def test_a_tap_that_takes_nothing_changes_nothing() -> None:
    assert error_rate(0.0)[0] == 0


def test_eve_does_not_refill_pulses_that_were_lost_before_her() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, 1000, dtype=np.uint8)
    train = propagate(emit(bits, bits, 0.0, 1e6), FibreConfig(30e3), rng)
    tapped: PulseTrain = intercept_resend(train, 1.0, rng)
    np.testing.assert_array_equal(tapped.present, train.present)
    np.testing.assert_array_equal(tapped.bloch[~train.present], train.bloch[~train.present])


@pytest.mark.parametrize("position", [0.0, 1.0, 9e3, 20e3])
def test_the_two_stretches_of_a_tapped_fibre_are_the_whole(position: float) -> None:
    fibre = FibreConfig(20e3, 0.21, insertion_loss_db=1.5)
    before, after = split(fibre, position)
    assert before.length == position
    assert transmission(before) * transmission(after) == pytest.approx(transmission(fibre), rel=1e-12)
    assert delay(before) + delay(after) == pytest.approx(delay(fibre), rel=1e-12)


@pytest.mark.parametrize("position", [-1.0, 20_001.0, float("nan")])
def test_a_tap_off_the_fibre_is_refused(position: float) -> None:
    with pytest.raises(ValueError, match="not on a fibre"):
        split(FibreConfig(20e3), position)


def test_an_intercepted_half_is_no_longer_entangled() -> None:
    rng = np.random.default_rng(4)
    for _ in range(50):
        state = JointState()
        state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
        learned = intercept_qubit(state, 1, 1.0, rng)
        assert learned is not None
        basis, bit = learned
        assert purity(state.reduced([1])) == pytest.approx(1, abs=1e-12)
        assert fidelity(state.reduced([0, 1]), bell_state(0, 0)) == pytest.approx(0.5, abs=1e-12)
        assert state.measure(1, basis, rng.random()) == bit
        assert state.measure(0, basis, rng.random()) == bit  # Phi+ agrees in Z and in X


def test_single_qubits_are_intercepted_with_the_stated_fraction() -> None:
    rng = np.random.default_rng(9)
    rounds, fraction, taken = 2000, 0.3, 0
    for _ in range(rounds):
        state = JointState()
        state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
        taken += intercept_qubit(state, 1, fraction, rng) is not None
        assert 1 in state
    assert abs(taken - rounds * fraction) < SIGMAS * sqrt(rounds * fraction * (1 - fraction))
