"""Phase errors are bounded by what a random sample shows: exactly, and never less than the exact bound says."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodes.qkd.estimation import error_bound, probability_of_at_most
from nodes.qkd.phase_error import approximated, sampled

SIZES = st.integers(10, 50_000)
FAILURES = st.sampled_from([0.5, 1e-2, 1e-6, 1e-10 / 21])


@given(SIZES, SIZES, st.floats(0, 0.3), FAILURES)
def test_the_bound_is_that_of_the_hypergeometric_distribution(
    checked: int, rest: int, share: float, failure: float
) -> None:
    errors = int(share * checked)
    exact = error_bound(errors, checked, rest, failure**2)
    bound = sampled(failure, errors, checked, rest)
    assert bound * rest >= min(exact, rest / 2)
    # one error more is excluded already; the tail is a little less than the geometric series
    assert bound * rest <= min(exact + 1, rest / 2) * (1.02 if failure < 0.1 else 1.3) + 1


@given(SIZES, SIZES, st.floats(0, 0.5), st.floats(1, 3), FAILURES)
def test_a_larger_sample_a_larger_rest_or_fewer_errors_never_mean_a_higher_rate(
    checked: int, rest: int, share: float, more: float, failure: float
) -> None:
    errors = share * checked
    bound = sampled(failure, errors, checked, rest) + 1e-12
    assert sampled(failure, errors, checked * more, rest) <= bound
    assert sampled(failure, errors, checked, rest * more) <= bound
    assert sampled(failure, errors / more, checked, rest) <= bound
    assert sampled(min(0.9, failure * more), errors, checked, rest) <= bound


@pytest.mark.parametrize("wrong", [1, 20, 300])
def test_populations_defy_the_bound_no_more_often_than_stated(wrong: int) -> None:
    """Of 2,000 samples at most a share a^2 = 4 % defies it; more than 6.4 % have a probability below 1e-6."""
    rng = np.random.default_rng(11)
    failure, checked, rest, trials = 0.2, 400, 1600, 2000
    found = rng.hypergeometric(wrong, checked + rest - wrong, checked, trials)
    bounds = {errors: sampled(failure, errors, checked, rest) * rest for errors in set(found.tolist())}
    defying = sum(wrong - errors > bounds[errors] for errors in found.tolist())
    assert defying <= trials * failure**2 + 5 * sqrt(trials * failure**2 * (1 - failure**2))


def test_the_printed_approximation_is_no_bound() -> None:
    # 20 errors among 11,000: the sample has none with 15 %, and then the approximation allows for none
    chance = probability_of_at_most(0, 1000, 10_000, 20)
    assert chance > 0.1
    assert approximated(0.01, 0, 1000, 10_000) == 0
    assert sampled(0.01, 0, 1000, 10_000) * 10_000 >= 20


@given(st.integers(1000, 10**8), st.integers(1000, 10**9), st.floats(1e-3, 0.2))
def test_the_bound_is_the_more_cautious_of_the_two(checked: int, rest: int, share: float) -> None:
    failure, errors = 1e-10 / 21, share * checked
    assert sampled(failure, errors, checked, rest) >= approximated(failure, errors, checked, rest)


def test_in_large_samples_the_two_agree() -> None:
    for share in (0.005, 0.02, 0.05):
        bound = sampled(1e-10 / 21, share * 1e8, 1e8, 1e9)
        assert bound == pytest.approx(approximated(1e-10 / 21, share * 1e8, 1e8, 1e9), rel=2e-3)
        assert bound > share


@pytest.mark.parametrize("bound", [sampled, approximated])
def test_nothing_known_is_an_error_rate_of_a_half(bound: object) -> None:
    assert callable(bound)
    assert bound(1e-10, 0, 0, 100) == 0.5
    assert bound(1e-10, 0, 100, 0) == 0.5
    assert bound(1e-10, 60, 100, 100) == 0.5
    assert bound(1e-10, 0, 3, 10) <= 0.5
