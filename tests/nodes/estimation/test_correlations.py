"""The correlation and the error rate are what the outcomes say, and their errors are honest."""

from __future__ import annotations

from collections.abc import Callable
from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.errors import TooFewOutcomes
from nodes.estimation.correlations import correlation, error_rate
from nodes.estimation.estimates import Estimate, mean_score, weighted_sum
from nodes.estimation.trials import tally

Floats = NDArray[np.float64]
Check = Callable[..., None]
OUTCOMES = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=80)


def counted(outcomes: list[tuple[int, int]]) -> Floats:
    return tally(["only"], (("only", a, b) for a, b in outcomes))["only"]


@given(OUTCOMES)
def test_the_correlation_is_the_mean_product_of_the_outcomes(outcomes: list[tuple[int, int]]) -> None:
    products = [(1 - 2 * a) * (1 - 2 * b) for a, b in outcomes]
    number, mean = len(products), float(np.mean(products))
    found = correlation(counted(outcomes))
    assert found.value == pytest.approx(mean, abs=1e-12)
    expected = sqrt((1 - mean**2) / number) if abs(mean) < 1 else 2 / (number + 1)
    assert found.stderr == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("number", [1, 2, 5, 40, 1000])
def test_outcomes_that_all_agree_do_not_prove_that_the_next_one_will(number: int) -> None:
    found = correlation(counted([(0, 0), (1, 1)] * number)[:, :] / 2)
    assert found == Estimate(1.0, 2 / (number + 1))
    # As uncertain as with one disagreeing outcome beside them, and less so than with two.
    one_more = correlation(np.array([[number, 1], [0, 0]], dtype=np.float64))
    assert found.stderr == pytest.approx(one_more.stderr * sqrt((number + 1) / number), rel=1e-9)


@given(st.integers(0, 60), st.integers(1, 60))
def test_the_error_rate_is_half_of_what_the_correlation_lacks_to_one(errors: int, correct: int) -> None:
    rate = error_rate(errors, errors + correct)
    alike = correlation(np.array([[correct, errors], [0, 0]], dtype=np.float64))
    assert rate.value == pytest.approx((1 - alike.value) / 2, abs=1e-12)
    assert rate.stderr == pytest.approx(alike.stderr / 2, abs=1e-12)


def test_nothing_is_estimated_from_nothing() -> None:
    with pytest.raises(TooFewOutcomes, match="run more rounds"):
        correlation(np.zeros((2, 2)))
    with pytest.raises(TooFewOutcomes, match="run more rounds"):
        error_rate(0, 0)


def test_trials_are_counted_by_setting_and_outcome() -> None:
    counts = tally("ab", [("a", 0, 1), ("a", 0, 1), ("a", 1, 1)])
    assert counts["a"].tolist() == [[0, 2], [0, 1]]
    assert counts["b"].tolist() == [[0, 0], [0, 0]]
    with pytest.raises(KeyError):
        tally("ab", [("c", 0, 0)])


@given(st.lists(st.tuples(st.floats(-3, 3), st.integers(1, 50)), min_size=2, max_size=6))
def test_a_mean_of_any_scores_has_the_textbooks_error_or_that_of_one_outcome_more(
    scored: list[tuple[float, int]],
) -> None:
    scores, counts = (np.array(column, dtype=np.float64) for column in zip(*scored, strict=True))
    every = np.repeat(scores, counts.astype(int))
    found = mean_score(scores, counts)
    assert found.value == pytest.approx(every.mean(), abs=1e-9)
    textbook = every.std() / sqrt(every.size)
    one_more = abs(scores - every.mean()).max() / (every.size + 1)
    assert found.stderr == pytest.approx(max(textbook, one_more), abs=1e-9)


def test_independent_errors_add_in_quadrature() -> None:
    summed = weighted_sum([(2.0, Estimate(0.5, 0.3)), (-1.0, Estimate(1.5, 0.8))], constant=10.0)
    assert summed.value == pytest.approx(9.5)
    assert summed.stderr == pytest.approx(1.0)


@pytest.mark.parametrize("truth", [-0.95, -0.5, 0.0, 0.3, 0.8667, 0.97])
def test_correlations_of_samples_scatter_as_their_errors_say(
    truth: float, shoot: Callable[..., Floats], assert_honest: Check
) -> None:
    shots = 4000
    probabilities = np.array([[1 + truth, 1 - truth], [1 - truth, 1 + truth]]) / 4
    rng = np.random.default_rng([3, round(1000 * (truth + 1))])
    found = [correlation(counts) for counts in shoot(rng, probabilities, shots, 3000)]
    pulls = np.array([(each.value - truth) / each.stderr for each in found])
    assert_honest(pulls, allowed=1 / sqrt(shots * (1 - truth**2)))
