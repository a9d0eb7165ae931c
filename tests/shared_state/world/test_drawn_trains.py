"""Trains whose settings the devices draw have the law of trains whose settings are stated."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import exp, sqrt
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.config import DetectorConfig, FibreConfig, LinkDevices, PulseConfig, TapConfig
from shared_state.world.detectors import click, click_drawn
from shared_state.world.drawn_trains import MAX_DETECTIONS, SentTrain, draw_bases, draw_train, longest
from shared_state.world.path import Path, path_of
from shared_state.world.photon_census import poissonian
from shared_state.world.pulses import emit, mean_photon_numbers
from shared_state.world.taps import Tap, TapReport

COUNT = 300_000
DETECTORS = DetectorConfig(0.4, 0.01)
DECOY = PulseConfig(
    intensities=(0.9, 0.3, 0.0),
    intensity_probabilities=(0.5, 0.3, 0.2),
    basis_probability=0.7,
    misalignment=0.05,
    detectors=DETECTORS,
)
SINGLE = replace(DECOY, intensities=(), intensity_probabilities=())
TIME_BIN = replace(DECOY, encoding="time-bin", visibility=0.9, basis_probability=0.4)
BRIGHT = replace(DECOY, intensities=(8.0,), intensity_probabilities=())
BLIND = replace(DECOY, detectors=DetectorConfig(0.4, 0.01, 3.4e-6, 0.2))
EVES: dict[str, list[dict[str, Any]]] = {
    "nobody": [],
    "resends": [{"fraction": 0.6}],
    "resends in Y": [{"fraction": 0.5, "basis": "Y"}],
    "resends in X": [{"fraction": 1.0, "basis": "X"}],
    "splits numbers": [
        {"strategy": "photon-number-splitting", "fraction": 0.8, "blocking": 0.5, "position": 0.0}
    ],
    "splits beams": [{"strategy": "beam-splitting", "fraction": 0.3}],
    "several": [
        {"strategy": "photon-number-splitting", "fraction": 0.5, "blocking": 0.3, "position": 1e3},
        {"fraction": 0.5, "position": 3e3},
        {"strategy": "beam-splitting", "fraction": 0.2, "position": 4e3},
        {"fraction": 0.5, "basis": "Z", "position": 5e3},
    ],
}


class Seen(NamedTuple):
    """Of each pulse the code of (intensity, bases, bits), and that or nothing of each click."""

    sent: NDArray[np.int64]
    cells: NDArray[np.int64]
    reports: list[TapReport]


def path_past(eves: Sequence[dict[str, Any]], seed: int) -> Path:
    taps = {
        f"eve{number}": Tap(
            TapConfig("ab", **{"position": 2.5e3, **eve}), np.random.default_rng([seed, number])
        )
        for number, eve in enumerate(eves)
    }
    return path_of(LinkDevices(("a", "b"), FibreConfig(6e3, 0.25)), "a", taps, np.random.default_rng(seed))


def reports(path: Path) -> list[TapReport]:
    return [tap.report for _, tap in path.stretches if tap is not None]


def cells(*codes: NDArray[Any]) -> NDArray[np.int64]:
    """Count the combinations of intensity, the sender's basis and bit, the receiver's basis and bit."""
    intensity, *others = (code.astype(np.int64) for code in codes)
    for other in others:
        intensity = 2 * intensity + other
    return np.bincount(intensity, minlength=48)


def stated(pulses: PulseConfig, path: Path) -> Seen:
    rng = np.random.default_rng(11)
    bits = rng.integers(0, 2, COUNT, dtype=np.uint8)
    bases, measured = draw_bases(COUNT, pulses, rng), draw_bases(COUNT, pulses, rng)
    kinds, chances = max(1, len(pulses.intensities)), pulses.intensity_probabilities or None
    codes = rng.choice(kinds, COUNT, p=chances).astype(np.uint8)
    means = mean_photon_numbers(codes if pulses.intensities else None, pulses.intensities, COUNT)
    train = path.carry_pulses(emit(bits, bases, 0.0, pulses.pulse_rate, means, rng))
    at, seen, _ = click(train, measured[train.indices], pulses, rng)
    sent = np.bincount(2 * codes.astype(np.int64) + bases, minlength=6)
    return Seen(sent, cells(codes[at], bases[at], bits[at], measured[at], seen), reports(path))


def drawn(pulses: PulseConfig, path: Path) -> Seen:
    rng = np.random.default_rng(12)
    train, sent = draw_train(COUNT, 0.0, pulses, path, rng)
    clicks = click_drawn(train, pulses, rng)
    bits, bases, codes = sent.recall(clicks.indices, rng)
    tally = np.resize(np.append(sent.tally, np.zeros(6, dtype=np.int64)), 6)
    return Seen(tally, cells(codes, bases, bits, clicks.bases, clicks.bits), reports(path))


def assert_same_law(first: NDArray[np.int64], second: NDArray[np.int64]) -> None:
    """Compare the counts of two samples of equal size, what is in no cell of ``COUNT`` included."""
    first, second = (np.append(each, COUNT - each.sum()) for each in (first, second))
    filled = (first + second) > 0
    square = float((((first - second) ** 2)[filled] / (first + second)[filled]).sum())
    freedom = int(filled.sum()) - 1
    # Wilson and Hilferty: chi^2 beyond this has probability 1e-6
    limit = freedom * (1 - 2 / (9 * freedom) + 4.753 * sqrt(2 / (9 * freedom))) ** 3 if freedom else 0.0
    assert square <= limit


@pytest.mark.parametrize("eves", EVES)
@pytest.mark.parametrize("pulses", [DECOY, SINGLE, TIME_BIN, BRIGHT, BLIND])
def test_every_combination_of_settings_and_outcomes_is_as_frequent_as_with_stated_settings(
    pulses: PulseConfig, eves: str
) -> None:
    explicit, sparse = stated(pulses, path_past(EVES[eves], 1)), drawn(pulses, path_past(EVES[eves], 2))
    assert_same_law(explicit.sent, sparse.sent)
    assert_same_law(explicit.cells, sparse.cells)
    for seen, counted in zip(explicit.reports, sparse.reports, strict=True):
        for one, other in (
            (seen.pulses, counted.pulses), (seen.kept, counted.kept), (seen.resent, counted.resent)
        ):  # fmt: skip
            # each pulse adds at most its photons: a variance of at most mu^2 + mu
            mean = max(pulses.intensities, default=1.0)
            assert abs(one - other) <= 4.9 * sqrt(2 * COUNT * (mean**2 + mean))


@pytest.mark.parametrize("length", [0.0, 10e3, 60e3])
@pytest.mark.parametrize("means", [(0.5,), (0.8, 0.1, 0.0)])
def test_gains_are_those_of_the_formula_for_each_intensity(length: float, means: tuple[float, ...]) -> None:
    """Q_mu = 1 - (1 - p_d)^2 e^(-mu eta)."""
    rng, fibre = np.random.default_rng(4), FibreConfig(length)
    pulses = PulseConfig(intensities=means, detectors=DetectorConfig(0.1, 1e-5))
    path = path_of(LinkDevices(("a", "b"), fibre), "a", {}, np.random.default_rng(3))
    train, sent = draw_train(10**7 // (1 if length else 10), 0.0, pulses, path, rng)
    tally = sent.tally.sum(axis=1)
    clicks = click_drawn(train, pulses, rng)
    codes = sent.recall(clicks.indices, rng).intensities
    for code, mean in enumerate(means):
        gain = 1 - (1 - 1e-5) ** 2 * exp(-mean * 0.1 * 10 ** (-length / 50e3))
        found, count = int((codes == code).sum()), int(tally[code])
        assert abs(found - count * gain) <= 4.9 * sqrt(count * gain * (1 - gain)) + 1


def remembered(pulses: PulseConfig, count: int, seed: int) -> tuple[SentTrain, np.random.Generator]:
    rng = np.random.default_rng(seed)
    return draw_train(count, 0.0, pulses, path_past([], seed), rng)[1], rng


@pytest.mark.parametrize("pulses", [DECOY, SINGLE])
def test_who_recalls_a_whole_train_finds_its_tally(pulses: PulseConfig) -> None:
    sent, rng = remembered(pulses, 5000, 8)
    bits, bases, codes = sent.recall(np.arange(5000, dtype=np.uint32), rng)
    tally = sent.tally
    assert tally.sum() == 5000
    found = np.bincount(2 * codes.astype(np.int64) + bases, minlength=tally.size).reshape(tally.shape)
    np.testing.assert_array_equal(found, tally)
    np.testing.assert_array_equal(bits[sent.indices], sent.bits)


@pytest.mark.parametrize("pulses", [DECOY, SINGLE, BRIGHT])
def test_early_and_late_pulses_are_alike(pulses: PulseConfig) -> None:
    sent, rng = remembered(pulses, COUNT, 10)
    bits, bases, codes = sent.recall(np.arange(COUNT, dtype=np.uint32), rng)
    lit = np.zeros(COUNT, dtype=np.int64)
    lit[sent.indices] = 1
    halves = np.split(((2 * codes.astype(np.int64) + bases) * 2 + bits) * 2 + lit, 2)
    early, late = (np.bincount(half, minlength=24) for half in halves)
    assert_same_law(early, late)


def test_the_transmitter_remembers_what_can_be_detected_only() -> None:
    faint = replace(DECOY, intensities=(1e-3, 1e-4, 0.0))
    sent, _ = remembered(faint, 10**7, 9)
    assert sent.size < 1024 + 7 * 10**7 * 1e-3


@pytest.mark.parametrize("eves", EVES)
@pytest.mark.parametrize("pulses", [DECOY, SINGLE, BRIGHT])
def test_a_train_is_as_long_as_the_detections_allow(pulses: PulseConfig, eves: str) -> None:
    path = path_past(EVES[eves], 5)
    count = longest(pulses, path)
    train, _ = draw_train(count, 0.0, pulses, path, np.random.default_rng(6))
    assert len(train.indices) <= MAX_DETECTIONS + 4.9 * sqrt(MAX_DETECTIONS)


@pytest.mark.parametrize("mean", [0.0, 1e-6, 0.5, 20.0, 500.0])
def test_photon_numbers_are_poissonian_to_the_last(mean: float) -> None:
    (law,) = poissonian([mean])
    numbers = np.arange(len(law))
    assert law.sum() == pytest.approx(1, abs=1e-12)
    assert (law * numbers).sum() == pytest.approx(mean, rel=1e-9)
    assert (law * numbers * (numbers - 1)).sum() == pytest.approx(mean**2, rel=1e-9)
