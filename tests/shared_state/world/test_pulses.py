"""Trains of light: emitted, and sent through fibre."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from shared_state.config import FibreConfig
from shared_state.engine.batch import Codes
from shared_state.world.fibre import transmission
from shared_state.world.pulses import emit, mean_photon_numbers, propagate

COUNT = 200_000
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6
SINGLE = np.zeros(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(23)


def coins(rng: np.random.Generator, count: int = COUNT) -> Codes:
    return rng.integers(0, 2, count, dtype=np.uint8)


def within(observed: float, probability: float, count: int = COUNT) -> bool:
    return abs(observed - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count)


@pytest.mark.parametrize("mean", [0.0002, 0.1, 0.5, 3.0])
@pytest.mark.parametrize("length", [0.0, 10e3])
def test_coherent_light_is_poissonian_and_stays_so(
    rng: np.random.Generator, mean: float, length: float
) -> None:
    fibre = FibreConfig(length)
    train = propagate(emit(coins(rng), coins(rng), 0.0, 1e6, np.full(COUNT, mean), rng), fibre, rng)
    left = mean * transmission(fibre)
    assert within(len(train.indices) / COUNT, 1 - exp(-left))
    assert within(float((train.photons >= 2).sum()) / COUNT, 1 - exp(-left) * (1 + left))


@pytest.mark.parametrize("length", [0.0, 15.0515e3, 50e3])
def test_single_photons_arrive_with_the_transmission_and_dark_pulses_take_no_memory(
    rng: np.random.Generator, length: float
) -> None:
    fibre = FibreConfig(length, insertion_loss_db=1.0)
    sent = emit(coins(rng), coins(rng), 0.0, 1e6, SINGLE, rng)
    train = propagate(sent, fibre, rng)
    assert within(len(train.indices) / COUNT, transmission(fibre))
    assert (train.photons == 1).all()
    np.testing.assert_array_equal(train.bits, sent.bits[train.indices])
    assert train.size == 64 + 10 * len(train.indices)


def test_arrival_is_emission_plus_delay_and_the_train_ends_after_its_last_period(
    rng: np.random.Generator,
) -> None:
    train = emit(coins(rng, 1000), coins(rng, 1000), 2.0, 1e6, SINGLE, rng)
    assert train.arrives_at == 2.0
    assert train.complete_at == pytest.approx(2.001, abs=1e-12)
    there = propagate(propagate(train, FibreConfig(20e3), rng), FibreConfig(20e3), rng)
    assert there.emitted_at == 2.0
    assert there.arrives_at == pytest.approx(2.0002, abs=1e-12)
    assert there.complete_at == pytest.approx(2.0012, abs=1e-12)


def test_every_pulse_has_the_intensity_that_its_code_names() -> None:
    codes = np.array([2, 0, 1, 0], dtype=np.uint8)
    assert mean_photon_numbers(codes, (0.5, 0.1, 0.0), 4).tolist() == [0.0, 0.5, 0.1, 0.5]
    assert mean_photon_numbers(None, (0.5, 0.1), 3).tolist() == [0.5] * 3
    assert len(mean_photon_numbers(None, (), 3)) == 0


@pytest.mark.parametrize(("codes", "intensities"), [([3, 0], (0.5, 0.1, 0.0)), ([0, 0], ()), ([0], (0.5,))])
def test_an_intensity_that_the_transmitter_lacks_is_refused(
    codes: list[int], intensities: tuple[float, ...]
) -> None:
    with pytest.raises(ValueError, match="intensit"):
        mean_photon_numbers(np.array(codes, dtype=np.uint8), intensities, 2)


def test_lengths_that_differ_are_refused_with_both_named(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="10 bits and 9 bases"):
        emit(coins(rng, 10), coins(rng, 9), 0.0, 1e6, SINGLE, rng)
