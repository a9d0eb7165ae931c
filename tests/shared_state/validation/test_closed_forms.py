"""The closed forms of the validation beside sums over all cases and beside worked values."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from shared_state.config import SingleClickSource
from shared_state.validation.chains import difference_moment
from shared_state.validation.cutoff import Race, end_fidelity
from shared_state.validation.distillation import epl
from shared_state.validation.heralding import STARLIGHT_KM, single_click, starlight


@pytest.mark.parametrize("p", [0.05, 0.3, 0.9])
@pytest.mark.parametrize("m", [1, 4, 20])
def test_a_race_with_a_cut_off_is_the_sum_over_all_arrivals(p: float, m: int) -> None:
    t = np.arange(1, 800)
    law = p * (1 - p) ** (t - 1)
    both, apart = np.outer(law, law), np.abs(t[:, None] - t[None, :])
    met = apart <= m
    race, share = Race(p, m), float(both[met].sum())
    spent = np.minimum(t[:, None], t[None, :]) + np.minimum(apart, m)
    assert race.share() == pytest.approx(share)
    assert race.moment(0.97) == pytest.approx(float((both * 0.97**apart)[met].sum()) / share)
    assert race.rounds() == pytest.approx(float((both * spent).sum()) / share)
    net = spent - race.rounds() * met
    assert race.rounds_deviation() == pytest.approx(sqrt(float((both * net**2).sum())) / share)


def test_without_a_cut_off_the_race_is_the_waiting_of_two_links() -> None:
    race, x = Race(0.01, 100_000), exp(-0.001)
    assert race.moment(x) == pytest.approx(difference_moment(x, 0.01))
    assert race.moment(x) == pytest.approx(0.909507, abs=1e-6)
    assert end_fidelity(race.moment(x)) == pytest.approx(0.84421, abs=1e-5)
    assert race.rounds() == pytest.approx(149.749, abs=1e-3)


@pytest.mark.parametrize("p", [0.05, 0.3])
def test_a_shorter_cut_off_is_better_and_rarer(p: float) -> None:
    races = [Race(p, m) for m in range(1, 30)]
    qualities, rounds = [race.moment(0.98) for race in races], [race.rounds() for race in races]
    assert qualities == sorted(qualities, reverse=True)
    assert rounds == sorted(rounds, reverse=True)


@pytest.mark.parametrize("alpha", [0.05, 0.2, 0.5])
def test_distilling_noiseless_single_click_pairs_gives_perfect_ones_with_half_the_square_of_what_is_odd(
    alpha: float,
) -> None:
    pair = single_click(SingleClickSource(alpha=(alpha, alpha)))
    p, fidelity = epl(pair)
    assert fidelity == pytest.approx(1)
    assert p == pytest.approx((1 - pair.uu / pair.probability) ** 2 / 2)


def test_the_links_of_the_starlight_laboratory_have_their_worked_probabilities() -> None:
    worked = [0.0717, 0.0862, 0.1642, 0.0086, 0.0150, 0.0260, 0.1642, 0.0157, 0.0263, 0.1792]
    assert [starlight(km) for km in STARLIGHT_KM] == pytest.approx(worked, abs=5e-5)
