"""Trains of photons: emitted, sent through fibre, detected."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest

from shared_state.config import DetectorConfig, FibreConfig, PulseConfig
from shared_state.engine.batch import Codes
from shared_state.world.fibre import transmission
from shared_state.world.pulses import detect, emit, propagate

COUNT = 100_000
SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(23)


def coins(rng: np.random.Generator, count: int = COUNT) -> Codes:
    return rng.integers(0, 2, count, dtype=np.uint8)


def within(observed: float, probability: float, count: int) -> bool:
    return abs(observed - probability) <= SIGMAS * sqrt(probability * (1 - probability) / count)


def test_an_ideal_link_delivers_every_bit_measured_in_its_basis(rng: np.random.Generator) -> None:
    bits, bases = coins(rng), coins(rng)
    train = propagate(emit(bits, bases, 0.0, 1e6), FibreConfig(0.0), rng)
    clicked, outcomes = detect(train, bases, PulseConfig(), rng)
    assert clicked.all()
    np.testing.assert_array_equal(outcomes, bits)


def test_the_wrong_basis_tells_nothing(rng: np.random.Generator) -> None:
    bits, bases = coins(rng), coins(rng)
    _, outcomes = detect(emit(bits, bases, 0.0, 1e6), 1 - bases, PulseConfig(), rng)
    assert within(float((outcomes != bits).mean()), 0.5, COUNT)


@pytest.mark.parametrize("length", [1e3, 15.0515e3, 50e3])
@pytest.mark.parametrize("efficiency", [0.2, 1.0])
def test_clicks_are_transmission_times_efficiency(
    rng: np.random.Generator, length: float, efficiency: float
) -> None:
    fibre = FibreConfig(length, insertion_loss_db=1.0)
    bits, bases = coins(rng), coins(rng)
    train = propagate(emit(bits, bases, 0.0, 1e6), fibre, rng)
    clicked, outcomes = detect(
        train, bases, PulseConfig(detectors=DetectorConfig(efficiency=efficiency)), rng
    )
    assert within(float(clicked.mean()), transmission(fibre) * efficiency, COUNT)
    np.testing.assert_array_equal(outcomes, bits & clicked)


@pytest.mark.parametrize("misalignment", [0.005, 0.033, 0.5])
def test_misalignment_is_the_error_rate_of_matching_bases(
    rng: np.random.Generator, misalignment: float
) -> None:
    bits, bases = coins(rng), coins(rng)
    _, outcomes = detect(emit(bits, bases, 0.0, 1e6), bases, PulseConfig(misalignment=misalignment), rng)
    assert within(float((outcomes != bits).mean()), misalignment, COUNT)


def test_a_lost_photon_never_comes_back(rng: np.random.Generator) -> None:
    train = emit(coins(rng), coins(rng), 0.0, 1e6)
    once = propagate(train, FibreConfig(10e3), rng)
    twice = propagate(once, FibreConfig(10e3), rng)
    assert not (twice.present & ~once.present).any()


def test_arrival_is_emission_plus_delay_and_the_train_ends_after_its_last_period(
    rng: np.random.Generator,
) -> None:
    train = emit(coins(rng, 1000), coins(rng, 1000), 2.0, 1e6)
    assert train.arrives_at == 2.0
    assert train.complete_at == pytest.approx(2.001, abs=1e-12)
    there = propagate(propagate(train, FibreConfig(20e3), rng), FibreConfig(20e3), rng)
    assert there.emitted_at == 2.0
    assert there.arrives_at == pytest.approx(2.0002, abs=1e-12)
    assert there.complete_at == pytest.approx(2.0012, abs=1e-12)


def test_lengths_that_differ_are_refused_with_both_named(rng: np.random.Generator) -> None:
    with pytest.raises(ValueError, match="10 bits and 9 bases"):
        emit(coins(rng, 10), coins(rng, 9), 0.0, 1e6)
    train = emit(coins(rng, 10), coins(rng, 10), 0.0, 1e6)
    with pytest.raises(ValueError, match="10 pulses and 11 bases"):
        detect(train, coins(rng, 11), PulseConfig(), rng)


def test_the_same_dice_give_the_same_clicks() -> None:
    def run(seed: int) -> tuple[Codes, Codes]:
        dice = np.random.default_rng(seed)
        train = propagate(emit(coins(dice), coins(dice), 0.0, 1e6), FibreConfig(10e3), dice)
        return detect(train, coins(dice), PulseConfig(misalignment=0.01), dice)

    np.testing.assert_array_equal(run(1), run(1))
    assert not np.array_equal(run(1)[1], run(2)[1])
