"""When two numbers count as equal."""

from __future__ import annotations

from math import comb, inf, nan

import pytest

from shared_state.validation.comparison import EXACT, LEVEL, Formula

FORMULA = Formula("section", "formula", "paper")


@pytest.mark.parametrize(
    ("measured", "passed"),
    [(0.3, True), (0.3 + 0.9 * EXACT, True), (0.3 - 1.1 * EXACT, False), (nan, False), (inf, False)],
)
def test_a_calculated_number_agrees_within_its_tolerance_only(measured: float, passed: bool) -> None:
    assert FORMULA.exact(0.3, measured).passed is passed


@pytest.mark.parametrize("p", [0.0, 0.01, 0.2, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("n", [1, 10, 60])
def test_the_chance_of_a_share_is_never_below_the_true_one(n: int, p: float) -> None:
    weights = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    for count in range(n + 1):
        tail = sum(weights[count:]) if count >= n * p else sum(weights[: count + 1])
        assert FORMULA.share(p, count, n).chance >= tail - 1e-12


@pytest.mark.parametrize("p", [0.001, 0.03, 0.5, 0.97])
@pytest.mark.parametrize(
    ("sigmas", "passed"), [(0.0, True), (4.5, True), (-4.5, True), (7.5, False), (-7.5, False)]
)
def test_a_share_fails_between_five_and_seven_standard_deviations(
    p: float, sigmas: float, passed: bool
) -> None:
    samples = 1_000_000
    count = round(samples * p + sigmas * (samples * p * (1 - p)) ** 0.5)
    comparison = FORMULA.share(p, count, samples)
    assert comparison.passed is passed
    assert comparison.z == pytest.approx(sigmas, abs=0.1)


@pytest.mark.parametrize(("count", "passed"), [(0, True), (1, False)])
def test_what_cannot_happen_may_not_happen_once(count: int, passed: bool) -> None:
    assert FORMULA.share(0.0, count, 1000).passed is passed


@pytest.mark.parametrize(("sigmas", "passed"), [(0.0, True), (5.5, True), (-6.2, False), (nan, False)])
def test_a_mean_fails_at_some_six_standard_deviations(sigmas: float, passed: bool) -> None:
    comparison = FORMULA.mean(2.0, 2.0 + sigmas * 0.03, 10_000, 3.0)
    assert comparison.passed is passed
    assert (comparison.chance >= LEVEL) is passed


@pytest.mark.parametrize(("measured", "passed"), [(2.0, True), (2.0 + 1e-6, False)])
def test_a_mean_that_cannot_vary_agrees_exactly(measured: float, passed: bool) -> None:
    comparison = FORMULA.mean(2.0, measured, 100, 0.0)
    assert comparison.passed is passed
    assert comparison.z == (0.0 if passed else inf)


@pytest.mark.parametrize(
    ("measured", "passed"), [(0.0, True), (0.3, True), (0.3 + 1e-6, False), (nan, False)]
)
def test_a_bound_holds_for_what_does_not_exceed_it(measured: float, passed: bool) -> None:
    assert FORMULA.at_most(0.3, measured).passed is passed
