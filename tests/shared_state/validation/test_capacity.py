"""The capacities of fibre, and what comes near them."""

from __future__ import annotations

import pytest

from shared_state.validation.capacity import (
    best_single_click,
    one_repeater,
    plob,
    tgw,
    transmitted,
    werner_yield,
)


@pytest.mark.parametrize(
    ("km", "without", "older", "repeater"),
    [
        (100, 0.0144996, 0.0288549, 0.1520),
        (200, 1.4428e-4, 2.8854e-4, 0.014500),
        (300, 1.4427e-6, 2.8854e-6, 1.4434e-3),
    ],
)
def test_the_capacities_have_their_worked_values(
    km: float, without: float, older: float, repeater: float
) -> None:
    eta = transmitted(km)
    assert plob(eta) == pytest.approx(without, rel=1e-4)
    assert tgw(eta) == pytest.approx(older, rel=1e-4)
    assert one_repeater(eta) == pytest.approx(repeater, rel=1e-4)


@pytest.mark.parametrize("km", [1, 10, 50, 100, 200, 300])
def test_a_click_at_a_midpoint_beats_the_fibre_without_one_only_where_it_is_long(km: float) -> None:
    best = best_single_click(km)
    assert best < one_repeater(transmitted(km))
    assert (best > plob(transmitted(km))) is (km >= 200)


def test_hashing_distils_nothing_below_its_threshold() -> None:
    assert werner_yield(0.810710) == pytest.approx(0, abs=1e-5)
    assert werner_yield(0.80) < 0 < werner_yield(0.82)
