"""Eve on the fibre: what she takes, and what she cannot hide."""

from __future__ import annotations

from math import exp, factorial, sqrt
from typing import Any

import numpy as np
import pytest

from shared_state.config import FibreConfig, PulseConfig, TapConfig
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity, purity
from shared_state.world.detectors import detect
from shared_state.world.fibre import delay, transmission
from shared_state.world.pulses import PulseTrain, emit, propagate
from shared_state.world.taps import Tap, cut, intercept_qubit, split

COUNT = 200_000
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6
SINGLE = np.zeros(0)


def eve(**settings: Any) -> Tap:
    return Tap(TapConfig("ab", **settings), np.random.default_rng(5))


def within(observed: float, probability: float, count: int) -> bool:
    return abs(observed - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count)


def tapped_error_rate(tap: Tap, basis: int | None = None, length: float = 0.0) -> tuple[float, int]:
    """Return the QBER of matching bases, or of one basis, behind a tap in mid-fibre, and the number of clicks."""
    rng = np.random.default_rng(7)
    bits, bases, bobs = (rng.integers(0, 2, COUNT, dtype=np.uint8) for _ in range(3))
    before, after = split(FibreConfig(length), length / 2)
    train = propagate(emit(bits, bases, 0.0, 1e6, SINGLE, rng), before, rng)
    clicked, outcomes, _ = detect(propagate(tap.meet_pulses(train), after, rng), bobs, PulseConfig(), rng)
    sifted = (clicked == 1) & (bases == bobs) & (True if basis is None else bases == basis)
    return float((outcomes != bits)[sifted].mean()), int(sifted.sum())


@pytest.mark.parametrize("fraction", [0.0, 0.05, 0.25, 0.5, 1.0])
@pytest.mark.parametrize("length", [0.0, 20e3])
def test_intercept_resend_causes_a_quarter_of_its_fraction_in_errors(fraction: float, length: float) -> None:
    qber, sifted = tapped_error_rate(eve(fraction=fraction), length=length)
    assert within(qber, fraction / 4, sifted)


@pytest.mark.parametrize(("basis", "in_z", "in_x"), [("Z", 0, 0.5), ("X", 0.5, 0), ("Y", 0.5, 0.5)])
@pytest.mark.parametrize("fraction", [0.3, 1.0])
def test_a_fixed_basis_disturbs_the_others_only(
    basis: str, in_z: float, in_x: float, fraction: float
) -> None:
    for code, rate in ((0, in_z), (1, in_x)):
        qber, sifted = tapped_error_rate(eve(fraction=fraction, basis=basis), code)
        assert within(qber, fraction * rate, sifted)


def coherent(mean: float, rng: np.random.Generator) -> PulseTrain:
    bits = rng.integers(0, 2, COUNT, dtype=np.uint8)
    return emit(bits, bits, 0.0, 1e6, np.full(COUNT, mean), rng)


@pytest.mark.parametrize("mean", [0.1, 0.5, 2.0])
@pytest.mark.parametrize(("fraction", "blocking"), [(1.0, 0.0), (0.6, 0.8), (0.0, 1.0)])
def test_photon_number_splitting_changes_the_yield_of_every_photon_number(
    mean: float, fraction: float, blocking: float
) -> None:
    rng = np.random.default_rng(3)
    train, tap = (
        coherent(mean, rng),
        eve(strategy="photon-number-splitting", fraction=fraction, blocking=blocking),
    )
    after = tap.meet_pulses(train)
    p = [exp(-mean) * mean**n / factorial(n) for n in range(8)]
    law = {1: p[1] * (1 - blocking) + p[2] * fraction}
    law |= {n: p[n] * (1 - fraction) + p[n + 1] * fraction for n in range(2, 6)}
    for n, probability in law.items():
        assert within(float((after.photons == n).sum()) / COUNT, probability, COUNT)
    assert tap.report.kept == train.photons.sum() - after.photons.sum()
    assert tap.report.pulses == len(train.indices)
    alike = np.isin(train.indices, after.indices)
    np.testing.assert_array_equal(train.bits[alike], after.bits)  # the state is not disturbed


@pytest.mark.parametrize("mean", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 1.0])
def test_a_beam_splitter_leaves_poissonian_light_of_what_it_lets_pass(mean: float, fraction: float) -> None:
    after = eve(strategy="beam-splitting", fraction=fraction).meet_pulses(
        coherent(mean, np.random.default_rng(2))
    )
    left = mean * (1 - fraction)
    assert within(len(after.indices) / COUNT, 1 - exp(-left), COUNT)
    assert within(float((after.photons > 1).sum()) / COUNT, 1 - exp(-left) * (1 + left), COUNT)


def test_eve_does_not_refill_pulses_that_were_lost_and_resends_one_photon() -> None:
    train, tap = coherent(0.5, np.random.default_rng(1)), eve()
    after = tap.meet_pulses(train)
    np.testing.assert_array_equal(after.indices, train.indices)
    assert (after.photons == 1).all()
    assert tap.report.resent == len(train.indices)


@pytest.mark.parametrize("position", [0.0, 1.0, 9e3, 20e3])
def test_the_two_stretches_of_a_tapped_fibre_are_the_whole(position: float) -> None:
    fibre = FibreConfig(20e3, 0.21, insertion_loss_db=1.5)
    before, after = split(fibre, position)
    assert before.length == position
    assert transmission(before) * transmission(after) == pytest.approx(transmission(fibre), rel=1e-12)
    assert delay(before) + delay(after) == pytest.approx(delay(fibre), rel=1e-12)


@pytest.mark.parametrize("loss", [0.0, 1.5, 10.0])
@pytest.mark.parametrize(
    "positions", [[], [0.0], [7e3], [20e3], [3e3, 3e3], [1e3, 9e3, 15e3], [0.0, 20e3], [5.0, 6.0, 7.0, 8.0]]
)
def test_a_tap_more_moves_no_loss(positions: list[float], loss: float) -> None:
    """Up to a tap at d: half of the insertion loss and attenuation d, however many taps there are before it."""
    fibre = FibreConfig(20e3, 0.21, insertion_loss_db=loss)
    stretches = cut(fibre, positions)
    arriving = np.cumprod([transmission(stretch) for stretch in stretches])
    for position, share in zip(positions, arriving, strict=False):
        assert share == pytest.approx(10 ** -((loss / 2 + 0.21 * position / 1e3) / 10), rel=1e-12)
    assert arriving[-1] == pytest.approx(transmission(fibre), rel=1e-12)
    assert sum(delay(stretch) for stretch in stretches) == pytest.approx(delay(fibre), rel=1e-12)


@pytest.mark.parametrize("position", [-1.0, 20_001.0, float("nan")])
def test_a_tap_off_the_fibre_is_refused(position: float) -> None:
    with pytest.raises(ValueError, match="not on a fibre"):
        split(FibreConfig(20e3), position)


@pytest.mark.parametrize("basis", ["X", "Z"])
def test_an_intercepted_half_is_no_longer_entangled(basis: str) -> None:
    rng = np.random.default_rng(4)
    for _ in range(25):
        state = JointState()
        state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
        bit = intercept_qubit(state, 1, basis, rng).value  # type: ignore[arg-type]
        assert purity(state.reduced([1])) == pytest.approx(1, abs=1e-12)
        assert fidelity(state.reduced([0, 1]), bell_state(0, 0)) == pytest.approx(0.5, abs=1e-12)
        assert state.measure(1, basis, rng.random()) == bit  # type: ignore[arg-type]
        assert state.measure(0, basis, rng.random()) == bit  # type: ignore[arg-type]  # Phi+ agrees in both


@pytest.mark.parametrize(
    ("settings", "lost", "resent"),
    [
        ({"fraction": 0.3}, 0.0, 0.3),
        ({"strategy": "photon-number-splitting", "fraction": 1.0}, 0.0, 0.0),
        ({"strategy": "photon-number-splitting", "blocking": 0.4}, 0.4, 0.0),
        ({"strategy": "beam-splitting", "fraction": 0.2}, 0.2, 0.0),
    ],
)
def test_a_single_qubit_meets_the_tap_as_a_single_photon(
    settings: dict[str, Any], lost: float, resent: float
) -> None:
    tap, rounds, gone = eve(**settings), 2000, 0
    for _ in range(rounds):
        state = JointState()
        state.add(np.outer(bell_state(0, 0), bell_state(0, 0)), [0, 1])
        gone += not tap.meet_qubit(state, 1)
        assert 1 in state
    assert within(gone / rounds, lost, rounds)
    assert within(tap.report.resent / rounds, resent, rounds)
    assert tap.report.pulses == rounds
