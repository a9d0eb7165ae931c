"""Decoy states bound what Eve can know: for every tally, every Eve, one decoy and two."""

from __future__ import annotations

from dataclasses import replace
from math import exp, factorial, log2, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.qkd.decoy import DecoySource, Security, Tallies, secret_length
from nodes.qkd.one_decoy import empty_pulses, single_photons
from nodes.qkd.one_decoy import single_photon_errors as errors_with_one
from nodes.qkd.two_decoy import photons
from nodes.qkd.two_decoy import single_photon_errors as errors_with_two

TWO = DecoySource((0.5, 0.15, 2e-4), (0.6, 0.25, 0.15))
ONE = DecoySource((0.5, 0.15), (0.7, 0.3))
HONEST_TWO = Tallies((600_000, 80_000, 600), (60_000, 8_000, 60), (600, 90, 30), (6000, 900, 300))
HONEST_ONE = Tallies((600_000, 80_000), (60_000, 8_000), (600, 90), (6000, 900))
SECURITY = Security()


def possible(source: DecoySource) -> st.SearchStrategy[Tallies]:
    """Return tallies of all kinds, most of them of a link that an honest one could be."""
    levels = len(source.intensities)

    def tallied(size: int, check: float, noise: float, dark: float, skew: list[float]) -> Tallies:
        weights = [
            p * (1 - exp(-k) + dark) * s
            for k, p, s in zip(source.intensities, source.probabilities, skew, strict=True)
        ]
        key = tuple(int(size * w / sum(weights)) for w in weights)
        checked = tuple(int(check * n) for n in key)
        return Tallies(
            key, checked, tuple(int(noise * n) for n in checked), tuple(int(noise * n) for n in key)
        )

    return st.builds(
        tallied,
        st.integers(0, 10**7),
        st.floats(0.001, 1),
        st.floats(0, 0.2),
        st.floats(0, 0.01),
        st.lists(st.floats(0.7, 1.4), min_size=levels, max_size=levels),
    )


BLOCKS = st.one_of(
    st.tuples(st.just(TWO), possible(TWO)),
    st.tuples(st.just(ONE), possible(ONE)),
)


def test_an_honest_block_makes_a_key_with_one_decoy_and_with_two() -> None:
    assert secret_length(HONEST_TWO, TWO, 60_000, SECURITY).length > 100_000
    assert secret_length(HONEST_ONE, ONE, 60_000, SECURITY).length > 100_000


@given(BLOCKS, st.floats(0, 1e6))
def test_no_key_is_longer_than_what_it_is_made_of(block: tuple[DecoySource, Tallies], leaked: float) -> None:
    source, tallies = block
    bound = secret_length(tallies, source, leaked, SECURITY)
    assert 0 <= bound.length <= max(0.0, sum(tallies.key_detections) - leaked)
    assert bound.vacuum + bound.single <= sum(tallies.key_detections) + 1e-6
    assert bound.check_single <= sum(tallies.check_detections)
    assert 0 <= bound.phase_error <= 0.5


@given(BLOCKS, st.floats(0, 1e6), st.floats(0, 1e6))
def test_each_leaked_bit_costs_a_bit(block: tuple[DecoySource, Tallies], leaked: float, more: float) -> None:
    source, tallies = block
    bound = secret_length(tallies, source, leaked, SECURITY).surplus
    assert secret_length(tallies, source, leaked + more, SECURITY).surplus == pytest.approx(
        bound - more, abs=1e-6
    )


@given(BLOCKS, st.floats(1, 1e6))
def test_more_security_costs_key(block: tuple[DecoySource, Tallies], safer: float) -> None:
    source, tallies = block
    bound = secret_length(tallies, source, 0, SECURITY).surplus + 1e-6
    assert secret_length(tallies, source, 0, replace(SECURITY, secrecy=1e-10 / safer)).surplus <= bound
    correct = secret_length(tallies, source, 0, replace(SECURITY, correctness=1e-15 / safer)).surplus
    assert correct == pytest.approx(bound - log2(safer), abs=1e-3)


@given(BLOCKS, st.integers(0, 2), st.integers(1, 1000), st.booleans())
def test_no_error_lengthens_a_key(
    block: tuple[DecoySource, Tallies], level: int, more: int, of_the_key: bool
) -> None:
    source, tallies = block
    # of the check basis those of the weakest light may: they say that the light is not to blame
    level = min(level, tallies.levels - (1 if of_the_key else 2))
    name = "key_errors" if of_the_key else "check_errors"
    seen = (tallies.key_detections if of_the_key else tallies.check_detections)[level]
    errors = list(getattr(tallies, name))
    errors[level] = min(seen, errors[level] + more)
    worse = replace(tallies, **{name: tuple(errors)})
    bound = secret_length(tallies, source, 0, SECURITY).surplus
    assert secret_length(worse, source, 0, SECURITY).surplus <= bound + 1e-6


def divided(
    photons_seen: NDArray[np.int64], source: DecoySource, rng: np.random.Generator, trials: int
) -> NDArray[np.int64]:
    """Return, per trial, how many of the detections had each intensity, given their photon numbers (A3)."""
    counts = np.zeros((trials, len(source.intensities)), dtype=np.int64)
    for number, seen in enumerate(photons_seen):
        chances = [
            p * exp(-k) * k**number / factorial(number) / source.emission(number)
            for k, p in zip(source.intensities, source.probabilities, strict=True)
        ]
        counts += rng.multinomial(seen, np.array(chances) / sum(chances), trials)
    return counts


EVES = {
    "an honest fibre": ([900, 20_000, 4_000, 600], [450, 400, 80, 12]),
    "single photons blocked": ([50, 0, 20_000, 9_000], [25, 0, 0, 0]),
    "single photons blocked, and the light is dark": ([20_000, 0, 500, 0], [10_000, 0, 250, 0]),
    "only single photons": ([0, 30_000, 0, 0], [0, 600, 0, 0]),
    "single photons with all errors": ([300, 5_000, 15_000, 100], [150, 2_500, 0, 0]),
    "many photons only": ([0, 200, 0, 0, 0, 4_000], [0, 1, 0, 0, 0, 4_000]),
}


@pytest.mark.parametrize("eve", EVES)
@pytest.mark.parametrize("source", [TWO, ONE], ids=["two decoys", "one decoy"])
def test_bounds_fail_no_more_often_than_their_share_of_the_secrecy(source: DecoySource, eve: str) -> None:
    """Whatever photon numbers Eve lets through.

    With a failure probability of 4 % each, any of the at most 8 events fails in a share of 32 % of 2,000 blocks or
    fewer; a share above that by 5 standard deviations has a probability below 1e-6.
    """
    trials, failure = 2000, 0.04
    rng = np.random.default_rng(5)
    seen, wrong = (np.array(numbers) for numbers in EVES[eve])
    errors = divided(wrong, source, rng, trials)
    detections = errors + divided(seen - wrong, source, rng, trials)
    failed = 0
    for counts, mistakes in zip(detections.tolist(), errors.tolist(), strict=True):
        if source is TWO:
            vacuum, single = photons(tuple(counts), source, failure)
            most = errors_with_two(tuple(mistakes), source, failure)
        else:
            vacuum = empty_pulses(tuple(counts), source, failure)
            single = single_photons(tuple(counts), tuple(mistakes), source, failure)
            most = errors_with_one(tuple(mistakes), source, failure)
        failed += vacuum > seen[0] or single > seen[1] or most < wrong[1]
    share = 8 * failure
    assert failed <= trials * share + 5 * sqrt(trials * share * (1 - share))


@pytest.mark.parametrize("eve", EVES)
@pytest.mark.parametrize("source", [TWO, ONE], ids=["two decoys", "one decoy"])
def test_at_the_secrecy_of_a_key_no_bound_is_above_the_truth(source: DecoySource, eve: str) -> None:
    """200 blocks; one that defies a bound has a probability below 200 * 1e-10."""
    rng = np.random.default_rng(6)
    seen, wrong = (np.array(numbers) for numbers in EVES[eve])
    errors = divided(wrong, source, rng, 200)
    detections = errors + divided(seen - wrong, source, rng, 200)
    for counts, mistakes in zip(detections.tolist(), errors.tolist(), strict=True):
        tallies = Tallies(tuple(counts), tuple(counts), tuple(mistakes), tuple(mistakes))
        bound = secret_length(tallies, source, 0, SECURITY)
        assert bound.vacuum <= seen[0]
        assert bound.single <= seen[1]
        assert bound.check_single_errors >= wrong[1]
        assert bound.length <= seen[0] + seen[1]


def test_splitting_photon_numbers_leaves_no_key() -> None:
    # Eve blocks all single photons and keeps one of each pair: nobody sees an error, and there is no secret
    for source in (TWO, ONE):
        rng = np.random.default_rng(7)
        (counts,) = divided(np.array([0, 0, 500_000, 100_000]), source, rng, 1).tolist()
        nothing = (0,) * len(counts)
        bound = secret_length(Tallies(tuple(counts), tuple(counts), nothing, nothing), source, 0, SECURITY)
        assert bound.single == 0
        assert bound.length == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((0.5, 0.1), (0.7, 0.2)), "must be positive and sum to 1"),
        (((0.5, 0.1), (1.1, -0.1)), "must be positive and sum to 1"),
        (((0.1, 0.5), (0.5, 0.5)), "must descend"),
        (((0.5, -0.1), (0.5, 0.5)), "cannot be negative"),
        (((0.5, float("nan")), (0.5, 0.5)), "cannot be negative"),
        (((0.5,), (0.5, 0.5)), "1 intensities have 2 probabilities"),
        (((), ()), "0 intensities"),
    ],
)
def test_no_source_is_made_of_nonsense(
    arguments: tuple[tuple[float, ...], tuple[float, ...]], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        DecoySource(*arguments)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"check_errors": (0, 0, 61)}, "cannot have been wrong"),
        ({"key_errors": (600_001, 0, 0)}, "cannot have been wrong"),
        ({"key_detections": (-1, 0, 0)}, "cannot be negative"),
        ({"key_detections": (float("inf"), 0, 0)}, "cannot be negative"),
        ({"check_detections": (1, 2)}, "2 check detections and 3 intensities"),
        ({"key_errors": (0, 0)}, "2 key errors and 3 intensities"),
    ],
)
def test_no_tallies_are_made_of_nonsense(fields: dict[str, tuple[float, ...]], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(HONEST_TWO, **fields)


@pytest.mark.parametrize(
    ("tallies", "source", "leaked", "message"),
    [
        (HONEST_ONE, TWO, 0, "two decoys are three intensities; the source has 3, the tallies 2"),
        (HONEST_TWO, ONE, 0, "one decoy is two intensities; the source has 2, the tallies 3"),
        (replace(HONEST_ONE, key_errors=None), ONE, 0, "needs the errors of the key"),
        (HONEST_ONE, DecoySource((0.5, 0.0), (0.5, 0.5)), 0, "must shine"),
        (HONEST_TWO, DecoySource((0.3, 0.2, 0.1), (0.5, 0.3, 0.2)), 0, "not above the sum of the decoys"),
        (HONEST_TWO, DecoySource((0.5,), (1.0,)), 0, "no bound is known for 1 intensities"),
        (HONEST_TWO, TWO, -1, "-1 leaked bits cannot be"),
    ],
)
def test_where_no_bound_is_known_there_is_no_length(
    tallies: Tallies, source: DecoySource, leaked: float, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        secret_length(tallies, source, leaked, SECURITY)


@pytest.mark.parametrize("fields", [{"secrecy": 0.0}, {"secrecy": 1.0}, {"correctness": -1e-9}])
def test_a_failure_probability_lies_between_0_and_1(fields: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="lies between 0 and 1"):
        Security(**fields)
