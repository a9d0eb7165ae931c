"""Positions of rare things in a train."""

from __future__ import annotations

import numpy as np
import pytest

from shared_state.world.positions import distinct


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
