"""What links are expected to count is what they count in the quantum world, and what it is worth."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nodes.qkd.entropy import binary_entropy
from nodes.qkd.key_rates import EFFICIENCY
from nodes.qkd.security import Security
from nodes.validation.counted_links import (
    PairCounts,
    count_pairs,
    count_pulses,
    expected_pairs,
    pair_rate,
    parameters_of,
    settings_of,
)
from nodes.validation.field_systems import scaled
from shared_state.config import DetectorConfig, FibreConfig, LinkDevices, PhotonPairSource, PulseConfig
from shared_state.validation.comparison import Formula

SHARE = Formula("test", "share", "none")
LIGHT = PulseConfig(
    pulse_rate=1e8,
    intensities=(0.5, 0.2),
    intensity_probabilities=(0.6, 0.4),
    basis_probability=0.8,
    misalignment=0.02,
    detectors=DetectorConfig(efficiency=0.2, dark_count_probability=1e-6),
)
FIBRE = FibreConfig(length=10e3)
PULSES = LinkDevices(("alice", "bob"), FIBRE, None, LIGHT)
SOURCE = PhotonPairSource(
    attempt_rate=1e9, pair_probability=1e-3, fidelity=0.94, emission=(0.3, 0.1), midpoint=0.0, memories=False
)
PAIRS = LinkDevices(("alice", "bob"), FIBRE, SOURCE, PulseConfig(basis_probability=0.7))


def test_time_bins_lose_half_of_their_light_in_the_check_basis_and_err_by_visibility() -> None:
    light = replace(LIGHT, encoding="time-bin", visibility=0.96)
    parameters = parameters_of(replace(PULSES, pulses=light))
    assert (parameters.check_share, parameters.misalignment) == (0.5, 0.02)
    assert parameters.check_misalignment == pytest.approx(0.02)
    assert parameters_of(PULSES).check_misalignment is None


def test_pulses_are_counted_by_intensity_and_basis() -> None:
    """Four shares, each of which fails by chance with a probability below 4e-9."""
    clicks, tallies = asyncio.run(count_pulses(PULSES, 2_000_000, 3))
    expected = parameters_of(PULSES).clicks(settings_of(PULSES))
    for seen, share, basis in (
        (tallies.key_detections, 0.8**2, expected.key),
        (tallies.check_detections, 0.2**2, expected.check),
    ):
        for level, probability in enumerate((0.6, 0.4)):
            chance = share * probability * basis.detections[level]
            assert SHARE.share(chance, int(seen[level]), 2_000_000).passed
    assert clicks > sum(tallies.key_detections) + sum(tallies.check_detections)


def test_pairs_differ_as_often_as_the_state_of_the_source_says() -> None:
    """Four shares, each of which fails by chance with a probability below 4e-9."""
    seen = asyncio.run(count_pairs(PAIRS, 50_000, 4))
    expected = expected_pairs(PAIRS)
    assert expected.qber == pytest.approx(2 * (1 - 0.94) / 3)
    for found, chance in (
        (seen.in_z, expected.in_z),
        (seen.wrong_in_z, expected.wrong_in_z),
        (seen.in_x, expected.in_x),
        (seen.wrong_in_x, expected.wrong_in_x),
    ):
        assert SHARE.share(chance, int(found), 50_000).passed


def test_pairs_come_as_often_as_both_photons_are_detected() -> None:
    assert pair_rate(PAIRS) == pytest.approx(1e9 * 1e-3 * 0.3 * 0.1 * 10**-0.2)


@pytest.mark.parametrize("count", [pair_rate, expected_pairs])
def test_a_link_without_a_source_makes_no_pairs(count: object) -> None:
    assert callable(count)
    with pytest.raises(ValueError, match="without a source"):
        count(PULSES)


@settings(max_examples=20, deadline=None)  # a bound that is exact takes its time
@given(error=st.floats(0.0, 0.09), q=st.floats(0.5, 0.75))
def test_long_blocks_of_pairs_are_worth_what_shannon_and_the_correction_leave(error: float, q: float) -> None:
    counts = PairCounts(1, q**2, q**2 * error, (1 - q) ** 2, (1 - q) ** 2 * error)
    entropy = binary_entropy(error)
    endless = max(0.0, q**2 * (1 - 1 / 50) * (1 - (1 + EFFICIENCY) * entropy))
    found = counts.secret_bits(3e5, Security())
    assert found <= endless + 1e-5
    assert found == pytest.approx(endless, abs=0.05)


def test_pairs_with_the_errors_that_are_published_of_an_aerial_fibre_are_worth_nothing() -> None:
    # arXiv:2608.18869: 13.3 % and 12.7 b/s over 70 km, which one-way distillation cannot make of each other
    assert PairCounts(1, 0.64, 0.64 * 0.133, 0.04, 0.04 * 0.133).secret_bits(1e7, Security()) == 0


def test_a_longer_block_has_the_same_proportions() -> None:
    _, tallies = asyncio.run(count_pulses(PULSES, 100_000, 5))
    longer = scaled(tallies, 7.0)
    assert longer.key_errors is not None
    assert tallies.key_errors is not None
    for long, short in (
        (longer.key_detections, tallies.key_detections),
        (longer.check_detections, tallies.check_detections),
        (longer.check_errors, tallies.check_errors),
        (longer.key_errors, tallies.key_errors),
    ):
        assert long == pytest.approx(tuple(7 * count for count in short))
