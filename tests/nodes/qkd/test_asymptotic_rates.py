"""Ma et al. 2005 on the system of Gobby, Yuan and Shields: best intensity, reach, rates; and what no fibre exceeds."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qkd.asymptotic_rates import (
    WeakLightChannel,
    gobby_yuan_shields,
    infinite_decoy_rate,
    plob_bound,
    vacuum_and_weak_rate,
)

MU = 0.48


def best_intensity(km: float, efficiency: float) -> float:
    channel = gobby_yuan_shields(km)
    return float(
        max(np.arange(0.3, 0.7, 0.001), key=lambda mu: infinite_decoy_rate(channel, float(mu), efficiency))
    )


@pytest.mark.parametrize(("efficiency", "published"), [(1.22, 0.48), (1.0, 0.54)])
def test_the_best_signal_is_the_published_one(efficiency: float, published: float) -> None:
    # the paper solves for the limit of small transmission
    assert best_intensity(0, efficiency) == pytest.approx(published, abs=0.015)
    assert best_intensity(50, efficiency) == pytest.approx(published, abs=0.015)


def test_the_rates_are_the_published_ones() -> None:
    for km, rate in ((0, 2.555e-3), (10, 1.57e-3), (50, 2.226e-4)):
        assert infinite_decoy_rate(gobby_yuan_shields(km), MU) == pytest.approx(rate, rel=0.01)
    for km, qber in ((10, 0.0331), (50, 0.0334)):
        assert gobby_yuan_shields(km).error_rate(MU) == pytest.approx(qber, rel=0.01)


def test_the_keys_end_where_the_paper_says() -> None:
    # 142.05 km with infinitely many decoys, 140.55 km with vacuum and weak decoys
    assert infinite_decoy_rate(gobby_yuan_shields(141.9), MU) > 0
    assert infinite_decoy_rate(gobby_yuan_shields(142.2), MU) == 0
    assert vacuum_and_weak_rate(gobby_yuan_shields(140.4), MU, 0.05) > 0
    assert vacuum_and_weak_rate(gobby_yuan_shields(140.8), MU, 0.05) == 0


@given(st.floats(0, 150), st.floats(0.01, 0.9), st.floats(0.01, 0.99))
def test_two_decoys_never_tell_more_than_infinitely_many(km: float, mu: float, share: float) -> None:
    channel = gobby_yuan_shields(km)
    assert vacuum_and_weak_rate(channel, mu, share * mu) <= infinite_decoy_rate(channel, mu) + 1e-12


@given(st.floats(1e-6, 1), st.floats(0, 1e-3), st.floats(0, 0.5), st.floats(1e-3, 2))
def test_no_rate_exceeds_what_the_channel_carries(
    transmission: float, empty: float, misalignment: float, mu: float
) -> None:
    channel = WeakLightChannel(transmission, empty, misalignment)
    assert infinite_decoy_rate(channel, mu, 1.0, 1.0) <= plob_bound(transmission)


@pytest.mark.parametrize(("km", "bits"), [(100, 0.0144996), (200, 1.4428e-4), (300, 1.4427e-6)])
def test_the_repeaterless_bound_is_the_published_one(km: float, bits: float) -> None:
    assert plob_bound(10 ** (-0.02 * km)) == pytest.approx(bits, rel=1e-4)
    assert plob_bound(1.0) == inf
    assert plob_bound(0.0) == 0


def test_another_implementation_agrees_but_for_the_term_that_the_paper_drops() -> None:
    """The package ``qkd`` keeps Y0 (1 - e^(-eta mu)), below 1e-6 of the gain."""
    core = pytest.importorskip("qkd._core")
    for km in (0.0, 50.0, 120.0):
        channel = gobby_yuan_shields(km)
        assert core.decoy_eta(0.21, km, 0.045) == pytest.approx(channel.transmission, rel=1e-12)
        gain, error = core.decoy_gain(MU, channel.transmission, 1.7e-6, 0.033)
        assert channel.gain(MU) == pytest.approx(gain, rel=1e-5)
        assert channel.error_rate(MU) == pytest.approx(error, rel=1e-4)


@pytest.mark.parametrize("fields", [(1.1, 0, 0), (0.1, -1e-9, 0), (0.1, 0, float("nan"))])
def test_a_channel_is_made_of_probabilities(fields: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        WeakLightChannel(*fields)


def test_what_is_no_weak_decoy_and_what_is_no_transmission_is_refused() -> None:
    with pytest.raises(ValueError, match="must lie between 0 and the signal"):
        vacuum_and_weak_rate(gobby_yuan_shields(0), 0.1, 0.2)
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        plob_bound(1.5)
