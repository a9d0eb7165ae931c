"""Tails of the binomial distribution are those that counting gives, where counting is possible, and beyond."""

from __future__ import annotations

from fractions import Fraction
from math import comb, erfc, sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.testing import binomial


def counted(count: int, trials: int, rate: Fraction) -> float:
    """Return the probability of ``count`` successes or more, in exact arithmetic."""
    return float(
        sum(comb(trials, k) * rate**k * (1 - rate) ** (trials - k) for k in range(max(0, count), trials + 1))
    )


@given(
    trials=st.integers(1, 200),
    share=st.fractions(0, 1, max_denominator=100),
    rate=st.fractions(0, 1, max_denominator=1000),
)
def test_both_tails_are_as_counted(trials: int, share: Fraction, rate: Fraction) -> None:
    count = round(share * trials)
    assert binomial.at_least(count, trials, float(rate)) == pytest.approx(
        counted(count, trials, rate), rel=1e-9, abs=1e-300
    )
    assert binomial.at_most(count, trials, float(rate)) == pytest.approx(
        counted(trials - count, trials, 1 - rate), rel=1e-9, abs=1e-300
    )


@pytest.mark.parametrize("trials", [10_000, 10_000_000])
@pytest.mark.parametrize("deviations", [1, 3, 5])
def test_far_beyond_counting_they_approach_the_normal_distribution(trials: int, deviations: int) -> None:
    count = round(trials / 2 + deviations * sqrt(trials) / 2)
    z = (count - 0.5 - trials / 2) / (sqrt(trials) / 2)
    assert binomial.at_least(count, trials, 0.5) == pytest.approx(erfc(z / sqrt(2)) / 2, rel=0.02)


@pytest.mark.parametrize(("count", "trials"), [(0, 50), (1, 50), (25, 50), (50, 50), (3, 1_000_000)])
def test_at_the_ends_of_the_interval_what_was_seen_is_as_improbable_as_stated(
    count: int, trials: int
) -> None:
    low, high = binomial.interval(count, trials, 1e-6)
    assert 0 <= low <= count / trials <= high <= 1
    if count:
        assert binomial.at_least(count, trials, low) == pytest.approx(0.5e-6, rel=1e-3)
    if count < trials:
        assert binomial.at_most(count, trials, high) == pytest.approx(0.5e-6, rel=1e-3)
