"""Heralded pairs: their state is Werner, their waiting times are exponential."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest

from shared_state.config import WernerSource
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.heralding import waiting_time, werner_state

SIGMAS = 4.9  # two-sided false-alarm probability 1e-6


@pytest.mark.parametrize("f", [0.0, 0.25, 0.5, 0.9, 1.0])
def test_a_werner_pair_has_its_fidelity_and_shares_the_rest_equally(f: float) -> None:
    rho = werner_state(f)
    assert rho.trace() == pytest.approx(1, abs=1e-15)
    assert fidelity(rho, bell_state(0, 0)) == pytest.approx(f, abs=1e-15)
    for x, z in ((0, 1), (1, 0), (1, 1)):
        assert fidelity(rho, bell_state(x, z)) == pytest.approx((1 - f) / 3, abs=1e-15)


@pytest.mark.parametrize("f", [-0.01, 1.01, float("nan")])
def test_a_fidelity_that_is_none_is_refused(f: float) -> None:
    with pytest.raises(ValueError, match=r"lies in 0 .. 1"):
        werner_state(f)


@pytest.mark.parametrize("rate", [0.5, 10_000.0])
def test_waiting_times_are_exponential_with_the_sources_rate(rate: float) -> None:
    rng = np.random.default_rng(2)
    times = np.array([waiting_time(WernerSource(rate=rate), rng) for _ in range(20_000)])
    assert abs(times.mean() * rate - 1) < SIGMAS / sqrt(len(times))
    for multiple in (0.1, 1.0, 3.0):
        survivors = exp(-multiple)
        share = float((times > multiple / rate).mean())
        assert abs(share - survivors) < SIGMAS * sqrt(survivors * (1 - survivors) / len(times))
