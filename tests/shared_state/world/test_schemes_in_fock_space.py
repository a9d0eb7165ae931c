"""The heralding schemes are what a station in Fock space says: photon by photon, no formula of the field.

Each end's photon is a superposition over modes; what is lost goes into modes of its own. A photon of the second
end is in the first one's mode with amplitude sqrt V and otherwise in an orthogonal one.
"""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from math import factorial, sqrt
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared_state.config import DoubleClickSource, SingleClickSource, TapConfig
from shared_state.world.schemes.clicks import double
from shared_state.world.schemes.double_click import double_click_pair
from shared_state.world.schemes.single_click import single_click_pair
from shared_state.world.schemes.tapped import Stop, disturbed

UNIT = st.floats(0.0, 1.0)
DARK = st.floats(1e-9, 0.5)
X_ON_FIRST = np.kron([[0, 1], [1, 0]], np.eye(2))

Photon = dict[str, float]
"""Amplitude per mode; a mode's first two letters are the detector and the time bin."""
Fock = dict[tuple[str, ...], float]
"""Amplitude per sorted list of occupied modes, normalised number states."""


def photon(end: int, eta: float, visibility: float, time_bin: str) -> Photon:
    """Return a photon behind the beam splitter (c + d for the first end, c - d for the second)."""
    sign = 1 if end == 0 else -1
    lost = {f"l{time_bin}{end}": sqrt(1 - eta)}
    share = {"s": 1.0} if end == 0 else {"s": sqrt(visibility), "o": sqrt(1 - visibility)}
    seen = {f"c{time_bin}{m}": sqrt(eta / 2) * a for m, a in share.items()}
    return seen | {f"d{time_bin}{m}": sign * sqrt(eta / 2) * a for m, a in share.items()} | lost


def create(photons: list[Photon]) -> Fock:
    """Apply the creation operators to the vacuum."""
    state: defaultdict[tuple[str, ...], float] = defaultdict(float)
    for modes in product(*photons):
        amplitude = float(np.prod([one[mode] for one, mode in zip(photons, modes, strict=True)]))
        state[tuple(sorted(modes))] += amplitude
    # (a+)^n |0> = sqrt(n!) |n>
    return {
        modes: amplitude * sqrt(float(np.prod([factorial(modes.count(mode)) for mode in set(modes)])))
        for modes, amplitude in state.items()
    }


def probability(modes: tuple[str, ...], clicks: dict[str, str], pd: float) -> float:
    """Return the probability that in each time bin exactly the named detector clicks."""
    result = 1.0
    for time_bin, clicked in clicks.items():
        for detector in "cd":
            dark = pd if not any(mode.startswith(detector + time_bin) for mode in modes) else 1.0
            result *= dark if detector == clicked else 1 - dark
    return result


def heralded(fields: list[tuple[float, Fock]], bins: str, pd: float) -> NDArray[np.float64]:
    """Return the unnormalised two-qubit state, summed over the heralds, corrected by Z where it is Psi-like -.

    ``fields``: amplitude and light for each of 00, 01, 10, 11. A herald is one click in each bin, and its sign is
    that of the number of clicks in the detector d.
    """
    rho = np.zeros((4, 4))
    for pattern in product("cd", repeat=len(bins)):
        sign = np.diag([1.0, 1.0, -1.0, -1.0]) if pattern.count("d") % 2 else np.eye(4)
        here = np.zeros((4, 4))
        for (i, (a, one)), (j, (b, other)) in product(enumerate(fields), repeat=2):
            for modes in one.keys() & other.keys():
                chance = probability(modes, dict(zip(bins, pattern, strict=True)), pd)
                here[i, j] += a * b * one[modes] * other[modes] * chance
        rho += sign @ here @ sign
    return rho


@settings(deadline=None)
@given(a=UNIT, b=UNIT, eta_a=UNIT, eta_b=UNIT, v=UNIT, pd=DARK)
def test_single_click_is_what_fock_space_says(
    a: float, b: float, eta_a: float, eta_b: float, v: float, pd: float
) -> None:
    source = SingleClickSource(alpha=(a, b), visibility=v, dark_count_probability=pd)
    rho, p = single_click_pair(source, (eta_a, eta_b))
    one, other = photon(0, eta_a, v, "t"), photon(1, eta_b, v, "t")
    fields = [
        (sqrt((1 - a) * (1 - b)), create([])),
        (sqrt((1 - a) * b), create([other])),
        (sqrt(a * (1 - b)), create([one])),
        (sqrt(a * b), create([one, other])),
    ]
    exact = X_ON_FIRST @ heralded(fields, "t", pd) @ X_ON_FIRST
    np.testing.assert_allclose(rho * p, exact, atol=1e-9)


@settings(deadline=None)
@given(eta_a=UNIT, eta_b=UNIT, v=UNIT, pd=DARK)
def test_double_click_is_what_fock_space_says(eta_a: float, eta_b: float, v: float, pd: float) -> None:
    rho, p = double_click_pair(DoubleClickSource(visibility=v, dark_count_probability=pd), (eta_a, eta_b))
    fields = [(0.5, create([photon(0, eta_a, v, i), photon(1, eta_b, v, j)])) for i in "el" for j in "el"]
    exact = X_ON_FIRST @ heralded(fields, "el", pd) @ X_ON_FIRST
    np.testing.assert_allclose(rho * p, exact, atol=1e-9)


def after_eve(state: NDArray[np.complex128], **settings: Any) -> NDArray[np.complex128]:
    """The heralded state where a tap beside the first end's arm takes part."""
    return disturbed(state, [Stop(TapConfig("line", **settings), 0, 1.0, 1.0)])


@settings(deadline=None)
@given(eta_a=UNIT, eta_b=UNIT, v=UNIT, pd=DARK, basis=st.sampled_from(["Z", "X"]))
def test_who_intercepts_a_time_bin_photon_dephases_its_end_along_the_basis(
    eta_a: float, eta_b: float, v: float, pd: float, basis: Literal["Z", "X"]
) -> None:
    """She measures the first end's photon as it sets out and sends on the state that she has found."""
    rho, p = double_click_pair(DoubleClickSource(visibility=v, dark_count_probability=pd), (eta_a, eta_b))
    exact = np.zeros((4, 4))
    eigenstates = {"Z": [(1.0, 0.0), (0.0, 1.0)], "X": [(sqrt(0.5), sqrt(0.5)), (sqrt(0.5), -sqrt(0.5))]}
    for early, late in eigenstates[basis]:
        resent = {mode: early * a for mode, a in photon(0, eta_a, v, "e").items()}
        resent |= {mode: late * a for mode, a in photon(0, eta_a, v, "l").items()}
        fields = [
            (0.5 * amplitude, create([resent, photon(1, eta_b, v, j)]))
            for amplitude in (early, late)
            for j in "el"
        ]
        exact += X_ON_FIRST @ heralded(fields, "el", pd) @ X_ON_FIRST
    np.testing.assert_allclose(after_eve(rho, basis=basis) * p, exact, atol=1e-9)


@settings(deadline=None)
@given(a=UNIT, b=UNIT, eta_a=UNIT, eta_b=UNIT, v=UNIT, pd=DARK)
def test_who_looks_whether_there_is_a_single_click_photon_dephases_its_end(
    a: float, b: float, eta_a: float, eta_b: float, v: float, pd: float
) -> None:
    source = SingleClickSource(alpha=(a, b), visibility=v, dark_count_probability=pd)
    rho, p = single_click_pair(source, (eta_a, eta_b))
    one, other = photon(0, eta_a, v, "t"), photon(1, eta_b, v, "t")
    dark = [(sqrt((1 - a) * (1 - b)), create([])), (sqrt((1 - a) * b), create([other]))]
    bright = [(sqrt(a * (1 - b)), create([one])), (sqrt(a * b), create([one, other]))]
    nothing: list[tuple[float, Fock]] = [(0.0, {}), (0.0, {})]
    exact = (
        X_ON_FIRST @ (heralded(dark + nothing, "t", pd) + heralded(nothing + bright, "t", pd)) @ X_ON_FIRST
    )
    tap = TapConfig("line")
    left = disturbed(rho, [Stop(tap, 0, 1.0, 1.0)], of_number=True)
    np.testing.assert_allclose(left * p, exact, atol=1e-9)


@given(v=UNIT)
def test_two_photons_leave_by_different_ports_with_probability_half_of_one_minus_v(v: float) -> None:
    state = create([photon(0, 1.0, v, "t"), photon(1, 1.0, v, "t")])
    apart = sum(a**2 for modes, a in state.items() if {mode[0] for mode in modes} == {"c", "d"})
    assert apart == pytest.approx((1 - v) / 2, abs=1e-12)
    assert double(1.0, 1.0, v, 0.0) == pytest.approx(1 - apart, abs=1e-12)
