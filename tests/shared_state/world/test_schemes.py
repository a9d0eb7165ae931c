"""The heralding schemes agree with the field's formulas in their limits."""

from __future__ import annotations

from math import exp, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared_state.config import DoubleClickSource, PhotonPairSource, SingleClickSource
from shared_state.engine.measures import bell_state, fidelity
from shared_state.world.schemes.double_click import double_click_pair
from shared_state.world.schemes.pair_source import photon_pair
from shared_state.world.schemes.scheme import State
from shared_state.world.schemes.single_click import single_click_pair

UNIT = st.floats(0.0, 1.0)
SOME = st.floats(0.01, 1.0)
PHI = bell_state(0, 0)


def check_physical(rho: State, probability: float) -> None:
    assert 0 < probability <= 1 + 1e-12
    assert rho.trace() == pytest.approx(1, abs=1e-12)
    np.testing.assert_allclose(rho, rho.conj().T, atol=1e-15)
    assert np.linalg.eigvalsh(rho).min() > -1e-12


@given(alpha=st.floats(0.01, 0.5), v=UNIT, sigma=st.floats(0, 2), excited=UNIT)
def test_single_click_to_leading_order_in_the_loss(
    alpha: float, v: float, sigma: float, excited: float
) -> None:
    eta = 1e-6
    source = SingleClickSource(
        alpha=(alpha, alpha), visibility=v, phase_deviation=sigma, double_excitation=excited
    )
    rho, p = single_click_pair(source, (eta, eta))
    check_physical(rho, p)
    assert p == pytest.approx(2 * alpha * eta, rel=1e-5)
    expected = (1 - alpha) * (1 + sqrt(v) * exp(-(sigma**2) / 2) * (1 - excited) ** 2) / 2
    assert fidelity(rho, PHI) == pytest.approx(expected, abs=1e-5)


@given(eta_a=SOME, eta_b=SOME, v=UNIT)
def test_double_click_without_dark_counts_pays_for_loss_with_its_rate_only(
    eta_a: float, eta_b: float, v: float
) -> None:
    rho, p = double_click_pair(DoubleClickSource(visibility=v), (eta_a, eta_b))
    assert p == pytest.approx(eta_a * eta_b / 2, rel=1e-12)
    assert fidelity(rho, PHI) == pytest.approx((1 + v) / 2, abs=1e-12)


@given(eta=st.floats(1e-5, 1e-4), ratio=st.floats(0.0, 1e-4), v=UNIT)
def test_double_click_with_few_dark_counts(eta: float, ratio: float, v: float) -> None:
    pd = ratio * eta
    rho, p = double_click_pair(DoubleClickSource(visibility=v, dark_count_probability=pd), (eta, eta))
    signal, dark = eta**2 / 2, 4 * pd * eta
    assert p == pytest.approx(signal + dark, rel=3e-4)
    expected = (signal * (1 + v) / 2 + dark / 4) / (signal + dark)
    assert fidelity(rho, PHI) == pytest.approx(expected, abs=3e-4)


@given(f=UNIT, pairs=UNIT, eta_a=UNIT, eta_b=UNIT, pd=st.floats(1e-6, 1.0))
def test_a_photon_pair_is_werner_where_both_are_real_and_nothing_where_not(
    f: float, pairs: float, eta_a: float, eta_b: float, pd: float
) -> None:
    source = PhotonPairSource(pair_probability=pairs, fidelity=f, dark_count_probability=pd)
    rho, p = photon_pair(source, (eta_a, eta_b))
    check_physical(rho, p)
    click_a, click_b = eta_a + (1 - eta_a) * pd, eta_b + (1 - eta_b) * pd
    assert p == pytest.approx(pairs * click_a * click_b + (1 - pairs) * pd**2, rel=1e-9)
    real = pairs * eta_a * eta_b / p
    assert fidelity(rho, PHI) == pytest.approx(real * f + (1 - real) / 4, abs=1e-9)


def test_the_near_term_nv_centre_at_no_distance() -> None:
    source = SingleClickSource(
        visibility=0.9, dark_count_probability=2.5e-8, phase_deviation=0.35, double_excitation=0.06
    )
    rho, p = single_click_pair(source, (0.0046, 0.0046))
    assert p == pytest.approx(2 * 0.1 * 0.0046, rel=1e-3)
    assert fidelity(rho, PHI) == pytest.approx(0.9 * (1 + sqrt(0.9) * exp(-0.06125) * 0.94**2) / 2, abs=1e-3)
