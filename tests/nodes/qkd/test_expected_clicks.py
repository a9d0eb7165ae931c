"""What an undisturbed link counts: closed forms, limits, and no more key than its fibre can carry."""

from __future__ import annotations

from math import exp, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qkd.asymptotic_rates import plob_bound
from nodes.qkd.decoy import DecoySource
from nodes.qkd.expected_clicks import LinkParameters, Settings, concise_clicks, expected_tallies
from nodes.qkd.key_rates import expected_block, repeaterless_limit, secret_key_rate

SOURCE = DecoySource((0.5, 0.15, 2e-4), (0.6, 0.25, 0.15))
SETTINGS = Settings(SOURCE, 0.8)
ONE = Settings(DecoySource((0.5, 0.15), (0.7, 0.3)), 0.8)
METRO = LinkParameters(0.3, efficiency=0.2, dark_count_probability=1e-6, misalignment=0.01, dead_time=20e-9)

LINKS = st.builds(
    LinkParameters,
    st.floats(1e-6, 1),
    efficiency=st.floats(0, 1),
    dark_count_probability=st.floats(0, 1e-3),
    misalignment=st.floats(0, 0.2),
    check_misalignment=st.none() | st.floats(0, 0.2),
    check_share=st.floats(0.1, 1),
    pulse_rate=st.just(1e9),
    dead_time=st.floats(0, 1e-6),
    afterpulse_probability=st.floats(0, 0.3),
)


def test_without_memory_a_receiver_clicks_as_often_as_light_and_dark_counts_make_it() -> None:
    link = LinkParameters(0.1, 0.5, 1e-3, 0.02)
    for clicks in link.clicks(SETTINGS):
        for mu, seen, wrong in zip(SOURCE.intensities, *clicks, strict=True):
            assert seen == pytest.approx(1 - (1 - 1e-3) ** 2 * exp(-0.05 * mu), rel=1e-9)
            assert wrong == pytest.approx(1e-3 + 0.02 * (1 - exp(-0.05 * mu)), rel=0.03)


def test_time_bins_lose_half_of_the_light_in_the_check_basis_only() -> None:
    link = LinkParameters(0.1, 0.5, check_misalignment=0.05, check_share=0.5)
    key, check = link.clicks(SETTINGS)
    assert key.errors[0] == 0
    assert check.detections[0] == pytest.approx(1 - exp(-0.025 * 0.5), rel=1e-9)
    assert check.errors[0] / check.detections[0] == pytest.approx(0.05, rel=0.03)


def test_a_blind_receiver_makes_at_most_a_click_per_dead_time() -> None:
    link = LinkParameters(1.0, dead_time=100e-9)
    key, check = link.clicks(Settings(DecoySource((50.0, 40.0), (0.5, 0.5)), 0.5))
    assert key.detections[0] == pytest.approx(0.01, rel=1e-9)
    assert check.detections == key.detections


def test_after_pulses_are_wrong_by_a_coin() -> None:
    dark = LinkParameters(1e-4, afterpulse_probability=0.1)
    key, _ = dark.clicks(SETTINGS)
    # next to no light: a tenth of all clicks is after-pulses, of every intensity alike
    wrong = sum(p * e for p, e in zip(SOURCE.probabilities, key.errors, strict=True))
    seen = sum(p * d for p, d in zip(SOURCE.probabilities, key.detections, strict=True))
    assert wrong / seen == pytest.approx(0.05, rel=1e-3)


def test_the_paper_s_model_is_the_limit_of_few_clicks() -> None:
    ours = LinkParameters(0.01, 0.1, 6e-7, 0.005, afterpulse_probability=0.04).clicks(SETTINGS).key
    theirs = concise_clicks(SOURCE, 100)
    assert ours.detections[0] == pytest.approx(theirs.detections[0], rel=0.02)
    assert ours.errors[0] == pytest.approx(theirs.errors[0], rel=0.45)
    assert sum(ours.detections) < sum(theirs.detections) * 1.1


@given(LINKS, st.floats(1, 1e9))
def test_a_block_has_the_bits_that_were_asked_for_and_fewer_errors(link: LinkParameters, size: float) -> None:
    tallies, pulses = expected_tallies(link.clicks(SETTINGS), SETTINGS, size)
    assert pulses == inf or sum(tallies.key_detections) == pytest.approx(size)
    assert pulses >= size or pulses == inf


@given(LINKS, st.sampled_from([1e4, 1e6, 1e9, 1e12]), st.sampled_from([SETTINGS, ONE]))
def test_no_link_makes_more_key_than_its_fibre_carries(
    link: LinkParameters, size: float, settings: Settings
) -> None:
    block = expected_block(link, settings, size)
    assert 0 <= block.bits_per_pulse <= plob_bound(link.transmission)
    assert secret_key_rate(link, block) <= repeaterless_limit(link)


def test_longer_fibres_and_more_dark_counts_mean_less_key() -> None:
    rates = [
        secret_key_rate(link, expected_block(link, SETTINGS, 1e7))
        for link in (
            METRO,
            LinkParameters(0.1, 0.2, 1e-6, 0.01, dead_time=20e-9),
            LinkParameters(0.1, 0.2, 1e-4, 0.01, dead_time=20e-9),
            LinkParameters(0.1, 0.2, 1e-4, 0.01, dead_time=20e-9, afterpulse_probability=0.05),
        )
    ]
    assert rates == sorted(rates, reverse=True)
    assert rates[0] > 1e6
    assert rates[-1] > 0


def test_a_dark_link_makes_nothing() -> None:
    block = expected_block(LinkParameters(0.0), SETTINGS, 1e6)
    assert (block.pulses, block.bits_per_pulse, block.qber, block.bound.length) == (inf, 0.0, 0.5, 0)


@pytest.mark.parametrize(
    "fields",
    [
        {"transmission": 1.2},
        {"efficiency": -0.1},
        {"check_misalignment": 2.0},
        {"afterpulse_probability": float("nan")},
    ],
)
def test_a_link_is_made_of_probabilities(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        LinkParameters(**{"transmission": 0.1, **fields})


def test_what_no_link_has_is_refused() -> None:
    with pytest.raises(ValueError, match="no receiver has 0 pulses"):
        LinkParameters(0.1, pulse_rate=0)
    with pytest.raises(ValueError, match="both bases are needed"):
        Settings(SOURCE, 1.0)
