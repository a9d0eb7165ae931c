"""What is foretold of a link is what happens on it."""

from __future__ import annotations

from math import exp, inf, sqrt
from typing import Literal

import numpy as np
import pytest

from shared_state.config import DetectorConfig, FibreConfig, MemoryConfig, PulseConfig
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.detectors import detect
from shared_state.world.expectations import click_probability, heralded_fidelity
from shared_state.world.pulses import emit, propagate
from shared_state.world.schemes.scheme import Poisson, Scheme
from shared_state.world.schemes.werner import werner_state

COUNT = 200_000
SIGMAS = 6.1  # two-sided false-alarm probability 1e-9 for each of fewer than a thousand points
CODES = {"Z": 0, "X": 1}


@pytest.mark.parametrize("encoding", ["polarisation", "time-bin"])
@pytest.mark.parametrize("basis", ["Z", "X"])
@pytest.mark.parametrize("mean", [None, 0.0, 0.1, 0.48, 2.0])
@pytest.mark.parametrize(("length", "dark"), [(0.0, 0.0), (10e3, 0.05), (50e3, 1e-3)])
def test_pulses_click_as_often_as_foretold(
    encoding: Literal["polarisation", "time-bin"],
    basis: Literal["Z", "X"],
    mean: float | None,
    length: float,
    dark: float,
) -> None:
    fibre = FibreConfig(length, 0.3, insertion_loss_db=1.0)
    pulses = PulseConfig(encoding=encoding, misalignment=0.1, detectors=DetectorConfig(0.6, dark))
    rng = np.random.default_rng(23)
    bits, prepared = (rng.integers(0, 2, COUNT, dtype=np.uint8) for _ in range(2))
    means = np.zeros(0) if mean is None else np.full(COUNT, mean)
    train = propagate(emit(bits, prepared, 0.0, 1e6, means, rng), fibre, rng)
    seen = detect(train, np.full(COUNT, CODES[basis], dtype=np.uint8), pulses, rng)
    foretold = click_probability(fibre, pulses, mean, basis)
    deviation = sqrt(foretold * (1 - foretold) / COUNT)
    assert abs(float(seen.clicked.mean()) - foretold) <= SIGMAS * deviation


@pytest.mark.parametrize("times", [(0.0, 0.0), (0.1, 0.1), (0.3, 0.02), (0.0, 2.0)])
@pytest.mark.parametrize(
    "first", [MemoryConfig(), MemoryConfig(t1=1.0, t2=0.5), MemoryConfig(t1=0.2, t2=0.4)]
)
def test_each_half_ages_until_its_end_knows(times: tuple[float, float], first: MemoryConfig) -> None:
    """F(Phi+) = [1 + ga gb + (1-ga)(1-gb)]/4 + e^(-ta/T2a - tb/T2b)/2 with g = 1 - e^(-t/T1)."""
    second, stored = MemoryConfig(t1=3.0, t2=0.7), (0.0, 1.5)
    scheme = Scheme(werner_state(1.0), Poisson(1.0), stored, (times[0], 1.5 + times[1]))
    ga, gb = (1 - exp(-t / memory.t1) for t, memory in zip(times, (first, second), strict=True))
    coherence = exp(-times[0] / first.t2 - times[1] / second.t2)
    expected = (1 + ga * gb + (1 - ga) * (1 - gb)) / 4 + coherence / 2
    assert heralded_fidelity(scheme, (first, second)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("time", [0.0, 0.01, 0.1, 1.0])
def test_slow_noise_is_counted_from_the_beginning_of_storage(time: float) -> None:
    memory = MemoryConfig(t1=inf, t2=0.085, dephasing="gaussian")
    scheme = Scheme(werner_state(1.0), Poisson(1.0), (0.0, 3.0), (time, 3.0 + time))
    expected = (1 + exp(-2 * (time / 0.085) ** 2)) / 2
    assert heralded_fidelity(scheme, (memory, memory)) == pytest.approx(expected, abs=1e-9)


def test_photons_that_are_measured_on_arrival_do_not_age() -> None:
    memory, state = MemoryConfig(t1=1e-3, t2=1e-3), werner_state(0.9)
    scheme = Scheme(state, Poisson(1.0), (0.0, 0.0), (1.0, 1.0), memories=False)
    expected = fidelity(state, bell_state(0, 0))
    assert heralded_fidelity(scheme, (memory, memory)) == pytest.approx(expected, abs=1e-12)
