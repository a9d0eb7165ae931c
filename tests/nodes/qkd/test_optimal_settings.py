"""The best light for a link: better than what anybody would guess, and the same every time."""

from __future__ import annotations

import numpy as np
import pytest

from nodes.qkd.expected_clicks import LinkParameters
from nodes.qkd.key_rates import expected_block
from nodes.qkd.optimal_settings import best_settings, settings_at, simplex

LINKS = {
    "metro": LinkParameters(0.3, 0.2, 1e-6, 0.01, dead_time=20e-9, afterpulse_probability=0.01),
    "backbone": LinkParameters(0.01, 0.5, 1e-8, 0.01, dead_time=100e-9),
    "noisy": LinkParameters(0.05, 0.1, 1e-5, 0.03),
}


@pytest.mark.parametrize("name", LINKS)
@pytest.mark.parametrize(("decoys", "block"), [(1, 1e6), (2, 1e6), (1, 1e8), (2, 1e8)])
def test_no_settings_by_lot_make_more_key(name: str, decoys: int, block: float) -> None:
    link = LINKS[name]
    best = expected_block(link, best_settings(link, block, decoys), block).merit
    assert best > 0
    rng = np.random.default_rng(3)
    for shares in rng.random((100, 3 + decoys)):
        assert expected_block(link, settings_at(shares.tolist()), block).merit <= best


def test_the_same_question_has_the_same_answer() -> None:
    assert best_settings(LINKS["metro"], 1e6) == best_settings(LINKS["metro"], 1e6)


def test_short_blocks_check_more_often_and_longer_ones_hardly_at_all() -> None:
    keys = [best_settings(LINKS["backbone"], block).key_basis_probability for block in (1e5, 1e7, 1e9)]
    assert keys == sorted(keys)
    assert keys[0] < 0.75
    assert keys[-1] > 0.9


def test_where_there_is_no_key_the_settings_are_still_possible_ones() -> None:
    link = LinkParameters(1e-6, 0.1, 1e-5, 0.03)
    block = expected_block(link, best_settings(link, 1e4), 1e4)
    assert block.bound.length == 0
    assert block.merit < 0


def test_the_simplex_walks_down_a_bent_valley() -> None:
    # Rosenbrock 1960
    found = simplex(lambda at: 1e-9 + 100 * (at[1] - at[0] ** 2) ** 2 + (1 - at[0]) ** 2, [-1.2, 1.0])
    assert found == pytest.approx([1, 1], abs=0.01)


@pytest.mark.parametrize("decoys", [0, 3])
def test_other_numbers_of_decoys_are_refused(decoys: int) -> None:
    with pytest.raises(ValueError, match="1 decoy and for 2"):
        best_settings(LINKS["metro"], 1e6, decoys)
