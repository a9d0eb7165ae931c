"""Positions of rare things in a train."""

from __future__ import annotations

from collections import Counter
from itertools import permutations
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared_state.world import kernels
from shared_state.world.positions import coins, distinct, ranks, scattered, tosses


@pytest.mark.parametrize("count", [1, 2, 7, 1000, 2**28])
@pytest.mark.parametrize("share", [0.0, 1e-6, 0.3, 0.5, 0.9, 1.0])
def test_positions_are_different_sorted_and_in_the_train(count: int, share: float) -> None:
    number = min(round(count * share), 1000 if count > 1000 else count)
    chosen = distinct(count, number, np.random.default_rng(3))
    assert len(chosen) == number
    assert (np.diff(chosen) > 0).all()
    assert not len(chosen) or (chosen[0] >= 0 and chosen[-1] < count)


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_every_set_of_positions_is_as_likely(number: int) -> None:
    rng, draws = np.random.default_rng(5), 20_000
    sets, counts = np.unique([distinct(5, number, rng) for _ in range(draws)], axis=0, return_counts=True)
    assert len(sets) == (5, 10, 10, 5)[number - 1]
    expected = draws / len(sets)
    # chi^2 of at most 9 degrees of freedom exceeds 45.1 with probability 1e-6
    assert ((counts - expected) ** 2 / expected).sum() < 45.1


@pytest.mark.parametrize("count", [600, 1000, 2000, 2**28, 2**32])
@pytest.mark.parametrize("numbers", [[0], [1], [3, 0, 2], [2] * 300, []])
def test_as_many_of_each_kind_are_scattered_as_there_are(count: int, numbers: list[int]) -> None:
    places, kinds = scattered(count, np.array(numbers, dtype=np.int64), np.random.default_rng(1))
    assert places.dtype == np.uint32
    assert (np.diff(places.astype(np.int64)) > 0).all()
    assert not len(places) or places[-1] < count
    assert np.bincount(kinds, minlength=len(numbers)).tolist() == numbers


@pytest.mark.parametrize("numbers", [[1, 1], [1, 1, 1], [2, 1], [1, 0, 2], [2, 2, 1]])
@pytest.mark.parametrize("count", [5, 6])
def test_every_arrangement_is_as_likely(numbers: list[int], count: int) -> None:
    """Collisions are the rule here, and a crowd takes the other way: both must prefer nothing."""
    rng, draws = np.random.default_rng(8), 20_000
    found: Counter[tuple[tuple[int, int], ...]] = Counter()
    for _ in range(draws):
        places, kinds = scattered(count, np.array(numbers), rng)
        found[tuple(zip(places.tolist(), kinds.tolist(), strict=True))] += 1
    things = [kind for kind, number in enumerate(numbers) for _ in range(number)]
    arranged = set(permutations(things + [-1] * (count - len(things))))
    expected, freedom = draws / len(arranged), len(arranged) - 1
    square = sum((each - expected) ** 2 for each in found.values()) / expected
    square += expected * (len(arranged) - len(found))
    # Wilson and Hilferty: chi^2 beyond this has probability 1e-6
    assert square <= freedom * (1 - 2 / (9 * freedom) + 4.753 * sqrt(2 / (9 * freedom))) ** 3


@pytest.mark.parametrize("probability", [0.0, 1e-5, 0.1, 1 / 256, 0.5, 0.9, 1 - 1e-5, 1.0])
def test_coins_show_as_often_as_they_should(probability: float) -> None:
    count = 2_000_000
    shown = int(tosses(count, probability, np.random.default_rng(6)).sum())
    assert abs(shown - count * probability) <= 4.9 * sqrt(count * probability * (1 - probability))


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 100_001])
def test_fair_coins_are_as_many_as_asked_for(count: int) -> None:
    tossed = coins(count, np.random.default_rng(6))
    assert len(tossed) == count
    assert abs(int(tossed.sum()) - count / 2) <= 2.45 * sqrt(count) + 4


@settings(deadline=None)  # the first example waits for numba
@given(st.sets(st.integers(0, 300)), st.sets(st.integers(0, 300)), st.booleans())
def test_ranks_count_what_lies_below(values: set[int], asked: set[int], compiled: bool) -> None:
    with pytest.MonkeyPatch.context() as patch:
        if not compiled:
            patch.setattr(kernels, "compiled", lambda: None)
        where = ranks(np.array(sorted(values), dtype=np.uint32), np.array(sorted(asked), dtype=np.uint32))
    assert where.tolist() == [sum(value < each for value in values) for each in sorted(asked)]
