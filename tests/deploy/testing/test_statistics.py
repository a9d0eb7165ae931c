"""Statistical assertions fail what is false, pass what is true, declare how often they err, and refuse to be empty."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from deploy.errors import UsageError
from deploy.testing.bounded_means import Sample
from deploy.testing.statistics import Statistics


@dataclass
class Run:
    rounds: int
    figures: dict[str, float | None]


@pytest.fixture
def declared() -> list[float]:
    return []


@pytest.fixture
def stats(declared: list[float]) -> Statistics:
    return Statistics(declared.append)


def test_a_rate_that_is_as_stated_passes_and_declares_its_false_alarm(
    stats: Statistics, declared: list[float]
) -> None:
    stats.assert_rate(26, 100, expected=0.25)
    stats.assert_rate(26, 100, at_most=0.2, false_alarm=1e-3)
    stats.assert_rate(26, 100, at_least=0.3, false_alarm=1e-9)
    assert declared == [1e-6, 1e-3, 1e-9]


@pytest.mark.parametrize(
    ("successes", "statement", "message"),
    [
        (
            500,
            {"at_most": 0.25},
            r"500 of 1000 is a rate of 0.5, not at most 0.25: the chance of that is 1.3e-64",
        ),
        (
            100,
            {"at_least": 0.25},
            r"not at least 0.25: .* below 1.0e-06; the rate is between 0.0597052 and 0.1534",
        ),
        (500, {"expected": 0.25}, "and 0.25 is expected"),
        (100, {"expected": 0.25}, "and 0.25 is expected"),
        (1, {"expected": 0.0}, "and 0 is expected: the chance of that is 0"),
        (1, {"at_most": 0.0}, "not at most 0"),
        (999, {"at_least": 1.0}, "not at least 1"),
    ],
)
def test_a_rate_that_is_not_as_stated_fails_with_the_chance_and_the_interval(
    stats: Statistics, declared: list[float], successes: int, statement: dict[str, float], message: str
) -> None:
    with pytest.raises(AssertionError, match=message):
        stats.assert_rate(successes, 1000, **statement)
    assert declared == [1e-6]


@pytest.mark.thorough
def test_a_true_rate_fails_as_seldom_as_declared() -> None:
    """At a false-alarm probability of 1 % each, of 20,000 true statements 200 fail at most; that more than 271 do has a
    probability of 1e-6."""
    counts = np.random.default_rng(4).binomial(300, 0.25, 20_000)
    failures = 0
    for count in counts.tolist():
        try:
            Statistics().assert_rate(count, 300, expected=0.25, false_alarm=0.01)
        except AssertionError:
            failures += 1
    assert 0 < failures <= 271


def test_too_few_trials_are_refused_instead_of_passing_whatever_was_seen(
    stats: Statistics, declared: list[float]
) -> None:
    with pytest.raises(
        UsageError, match="10 trials are too few: whatever was seen, the assertion would hold"
    ):
        stats.assert_rate(10, 10, at_most=0.5)
    with pytest.raises(UsageError, match="5 values are too few"):
        stats.assert_mean([0.0] * 5, between=(0, 1), at_least=0.9)
    with pytest.raises(UsageError, match="3 values are too few"):
        stats.assert_fidelity(Run(3, {"fidelity_mean": 0.1, "fidelity_stderr": 0.0}), at_least=0.9)
    assert declared == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "state exactly one of expected=, at_least=, at_most="),
        ({"at_least": 0.1, "at_most": 0.2}, "state exactly one"),
        ({"at_least": 1.5}, "at_least=1.5 cannot be; write a number between 0 and 1"),
        (
            {"at_least": 0.5, "false_alarm": 0.0},
            "a false-alarm probability of 0; write one between 0 and 1, like 1e-6",
        ),
    ],
)
def test_statements_that_cannot_be_meant_are_refused(
    stats: Statistics, arguments: dict[str, float], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        stats.assert_rate(50, 100, **arguments)
    with pytest.raises(UsageError, match=message):
        stats.assert_mean([0.5] * 100, between=(0.0, 1.0), **arguments)


@pytest.mark.parametrize("counts", [(-1, 10), (11, 10), (0, 0)])
def test_counts_that_cannot_be_are_refused(stats: Statistics, counts: tuple[int, int]) -> None:
    with pytest.raises(UsageError, match="write a count, and of how many"):
        stats.assert_rate(*counts, at_most=0.5)


def test_a_mean_is_held_to_its_range_and_to_what_is_stated(stats: Statistics) -> None:
    values = np.random.default_rng(1).uniform(2.0, 4.0, 2000)
    stats.assert_mean(values, between=(2.0, 4.0), expected=3.0)
    stats.assert_mean(values, between=(2.0, 4.0), at_least=3.0)
    with pytest.raises(
        AssertionError, match=r"the mean of 2000 values is (2\.9|3\.0)\d+ ± 0.013, not at least 3.2"
    ):
        stats.assert_mean(values, between=(2.0, 4.0), at_least=3.2)
    with pytest.raises(AssertionError, match=r"and 2\.8 is expected"):
        stats.assert_mean(values, between=(2.0, 4.0), expected=2.8)
    with pytest.raises(UsageError, match="is not between 3 and 4, where all values have to be"):
        stats.assert_mean(values, between=(3.0, 4.0), at_least=3.0)
    with pytest.raises(UsageError, match="there are no values"):
        stats.assert_mean([], between=(3.0, 4.0), at_least=3.5)


def test_little_spread_makes_the_radius_smaller_than_hoeffdings() -> None:
    calm, wild = Sample(10_000, 0.9, 1e-4), Sample(10_000, 0.5, 0.25)
    assert calm.radius(1e-6) < 0.2 * wild.radius(1e-6)
    assert wild.radius(1e-6) == wild.hoeffding(0.5e-6)


@pytest.mark.parametrize(("law", "spread"), [("two values", 0.25), ("seldom", 0.01)])
def test_the_radius_is_exceeded_as_seldom_as_stated(law: str, spread: float) -> None:
    """At 10 % each way, of 2,000 means 200 are further off at most; more than 268 with a probability of 1e-6."""
    rate = 0.5 if law == "two values" else 0.01
    successes = np.random.default_rng(9).binomial(1000, rate, 2000)
    off = 0
    for mean in (successes / 1000).tolist():
        off += mean - rate > Sample(1000, mean, mean * (1 - mean)).radius(0.1)
    assert off <= 268


def test_a_runs_fidelity_is_asserted_from_its_mean_and_spread(stats: Statistics) -> None:
    run = Run(400, {"fidelity_mean": 0.95, "fidelity_stderr": 0.001})
    stats.assert_fidelity(run, at_least=0.96)
    with pytest.raises(
        AssertionError, match=r"the fidelity \(oracle\) of 4000 values is 0.95 ± 0.001, not at least 0.99"
    ):
        stats.assert_fidelity(Run(4000, run.figures), at_least=0.99)
    with pytest.raises(UsageError, match="this run has no fidelity"):
        stats.assert_fidelity(Run(400, {}), at_least=0.9)
