"""What the receiver of light sees: gains, error rates, dead time, after-pulses."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from shared_state.config import DetectorConfig, FibreConfig, PulseConfig
from shared_state.engine.batch import Codes
from shared_state.world.detectors import Seen, detect
from shared_state.world.fibre import detection_probability, transmission
from shared_state.world.pulses import emit, propagate

COUNT = 400_000
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6
RATE = 1e6


def coins(rng: np.random.Generator, count: int = COUNT) -> Codes:
    return rng.integers(0, 2, count, dtype=np.uint8)


def within(observed: float, probability: float, count: float) -> bool:
    return abs(observed - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count)


def run(
    pulses: PulseConfig, mean: float | None, fibre: FibreConfig, prepared: int = 0, measured: int = 0
) -> tuple[Codes, Seen]:
    """Send pulses of one basis, single photons without a ``mean``; return the bits sent and what was seen."""
    rng = np.random.default_rng(17)
    bits, bases = coins(rng), np.full(COUNT, prepared, dtype=np.uint8)
    means = np.zeros(0) if mean is None else np.full(COUNT, mean)
    train = propagate(emit(bits, bases, 0.0, RATE, means, rng), fibre, rng)
    return bits, detect(train, np.full(COUNT, measured, dtype=np.uint8), pulses, rng)


@pytest.mark.parametrize("mean", [0.1, 0.48, 2.0])
@pytest.mark.parametrize("length", [0.0, 10e3, 50e3])
@pytest.mark.parametrize("dark", [0.0, 1e-3, 0.1])
@pytest.mark.parametrize("error", [0.0, 0.033, 0.2])
def test_two_detectors_click_independently(mean: float, length: float, dark: float, error: float) -> None:
    """Q = 1 - (1-p_d)^2 e^(-mu eta), and the error rate after squashing, in the agreeing basis."""
    fibre, detectors = FibreConfig(length, 0.21), DetectorConfig(0.3, dark)
    bits, seen = run(PulseConfig(misalignment=error, detectors=detectors), mean, fibre)
    light = mean * detection_probability(fibre, detectors)
    right, wrong = (1 - (1 - dark) * exp(-light * share) for share in (1 - error, error))
    clicked = seen.clicked == 1
    gain = 1 - (1 - dark) ** 2 * exp(-light)
    assert within(float(clicked.mean()), gain, COUNT)
    wrong_bits = (wrong * (1 - right) + wrong * right / 2) / gain
    for bit in (0, 1):  # squashing prefers neither
        chosen = clicked & (bits == bit)
        assert within(float((seen.bits != bits)[chosen].mean()), wrong_bits, float(chosen.sum()))


def test_the_error_rates_of_gobby_yuan_and_shields() -> None:
    """3.31 and 3.34 % (mu 0.48, Y0 1.7e-6, e 3.3 %) where the exact law is the formula's to first order in Y0."""
    for length, published in ((10e3, 0.0331), (50e3, 0.0334)):
        eta = transmission(FibreConfig(length, 0.21)) * 0.045
        light, y0 = 1 - exp(-0.48 * eta), 1.7e-6
        assert (y0 / 2 + 0.033 * light) / (y0 + light) == pytest.approx(published, rel=0.01)
        detectors = DetectorConfig(0.045, y0 / 2)
        bits, seen = run(
            PulseConfig(misalignment=0.033, detectors=detectors), 0.48, FibreConfig(length, 0.21)
        )
        clicked = seen.clicked == 1
        assert within(float((seen.bits != bits)[clicked].mean()), published, float(clicked.sum()))


@pytest.mark.parametrize(("prepared", "measured"), [(0, 1), (1, 0), (2, 0), (2, 1)])
@pytest.mark.parametrize("mean", [None, 1.0])
def test_the_wrong_basis_tells_nothing(prepared: int, measured: int, mean: float | None) -> None:
    bits, seen = run(PulseConfig(misalignment=0.1), mean, FibreConfig(0.0), prepared, measured)
    clicked = seen.clicked == 1
    assert within(float((seen.bits != bits)[clicked].mean()), 0.5, float(clicked.sum()))


@pytest.mark.parametrize("visibility", [1.0, 0.96, 0.5])
@pytest.mark.parametrize("mean", [None, 0.3])
def test_time_bins_lose_half_of_the_phase_basis(visibility: float, mean: float | None) -> None:
    pulses = PulseConfig(encoding="time-bin", misalignment=0.02, visibility=visibility)
    for basis, share, error in ((0, 1.0, 0.02), (1, 0.5, (1 - visibility) / 2)):
        bits, seen = run(pulses, mean, FibreConfig(0.0), basis, basis)
        clicked = seen.clicked == 1
        gain = share if mean is None else 1 - exp(-mean * share)
        assert within(float(clicked.mean()), gain, COUNT)
        if mean is None:
            assert within(float((seen.bits != bits)[clicked].mean()), error, gain * COUNT)


def gated(dead_pulses: float, afterpulse: float, probability: float) -> PulseConfig:
    return PulseConfig(
        pulse_rate=RATE,
        detectors=DetectorConfig(
            probability, dead_time=dead_pulses / RATE, afterpulse_probability=afterpulse
        ),
    )


@pytest.mark.parametrize("probability", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("dead_pulses", [0, 1, 2, 10, 1000])
def test_dead_time_saturates_the_click_rate(probability: float, dead_pulses: int) -> None:
    """Clicks renew every (d - 1) + 1/p pulses: r / (1 + r tau) with the gates counted exactly."""
    _, seen = run(gated(dead_pulses, 0.0, probability), None, FibreConfig(0.0))
    period = max(dead_pulses, 1) - 1 + 1 / probability
    deviation = sqrt(COUNT * (1 - probability) / probability**2 / period**3)
    assert abs(float(seen.clicked.sum()) - COUNT / period) <= SIGMAS * deviation + 1
    assert np.diff(np.flatnonzero(seen.clicked)).min() >= max(dead_pulses, 1)


@pytest.mark.parametrize("afterpulse", [0.0, 0.04, 0.5])
@pytest.mark.parametrize("dead_pulses", [1, 20])
def test_a_click_echoes_in_the_first_pulse_after_the_dead_time(afterpulse: float, dead_pulses: int) -> None:
    probability = 0.05
    _, seen = run(gated(dead_pulses, afterpulse, probability), None, FibreConfig(0.0))
    gaps = np.diff(np.flatnonzero(seen.clicked))
    expected = 1 - (1 - afterpulse) * (1 - probability)
    assert within(float((gaps == dead_pulses).mean()), expected, len(gaps))


def test_blindness_lasts_into_the_next_train() -> None:
    rng, pulses = np.random.default_rng(1), gated(1000, 0.0, 1.0)
    bits = coins(rng, 300)
    first = detect(emit(bits, bits, 0.0, RATE, np.zeros(0), rng), bits, pulses, rng)
    assert np.flatnonzero(first.clicked).tolist() == [0]
    until: float | None = first.blind_until
    clicks = []
    for number in range(1, 4):
        train = emit(bits, bits, number * 300 / RATE, RATE, np.zeros(0), rng)
        clicked, _, until = detect(train, bits, pulses, rng, until)
        clicks += (number * 300 + np.flatnonzero(clicked)).tolist()
    assert clicks == [1000]


def test_as_many_bases_as_pulses_are_needed() -> None:
    rng = np.random.default_rng(1)
    train = emit(coins(rng, 10), coins(rng, 10), 0.0, RATE, np.zeros(0), rng)
    with pytest.raises(ValueError, match="10 pulses and 11 bases"):
        detect(train, coins(rng, 11), PulseConfig(), rng)
