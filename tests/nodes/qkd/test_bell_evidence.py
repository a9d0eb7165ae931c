"""The pairs that violate the inequality bound the phase errors of those that make the key."""

from __future__ import annotations

from dataclasses import replace
from math import cos, exp, pi, sin, sqrt
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.qkd.bell_evidence import BellEvidence, deviation
from nodes.qkd.e91 import ALICE, BOB
from nodes.qkd.entropy import binary_entropy
from nodes.qkd.security import Security

Matrix = NDArray[np.complex128]
PAULI = {"X": np.array([[0, 1], [1, 0]]), "Z": np.array([[1, 0], [0, -1]])}
SEEDS = st.integers(0, 2**32 - 1)


def observable(angle: float) -> NDArray[Any]:
    return cos(angle) * PAULI["Z"] + sin(angle) * PAULI["X"]


def expected_counts(rho: Matrix, pairs: float) -> NDArray[np.float64]:
    """How often which outcomes come on average, exactly, where directions are drawn alike; 1/50 of the equal ones."""
    counts = np.zeros((3, 3, 2, 2))
    for (i, a), (j, b) in ((x, y) for x in enumerate(ALICE) for y in enumerate(BOB)):
        for s, t in np.ndindex(2, 2):
            projectors = [(np.eye(2) + (-1) ** k * observable(c)) / 2 for k, c in ((s, a), (t, b))]
            probability = float(np.trace(rho @ np.kron(*projectors)).real)
            counts[i, j, s, t] = pairs / 9 * max(0.0, probability)
    counts[1, 0] /= 50
    counts[2, 1] /= 50
    return counts


def phase_error_rate(rho: Matrix) -> float:
    """The mean over both key settings of the probability that outcomes at right angles to them differ."""
    rates = []
    for angle in (0.0, 3 * pi / 4):
        both = np.kron(observable(angle), observable(angle))
        rates.append((1 - float(np.trace(rho @ both).real)) / 2)
    return sum(rates) / 2


def werner(fidelity: float) -> Matrix:
    phi = np.array([1, 0, 0, 1], dtype=np.complex128) / sqrt(2)
    w = (4 * fidelity - 1) / 3
    rho: Matrix = w * np.outer(phi, phi) + (1 - w) / 4 * np.eye(4)
    return rho


def evidence(rho: Matrix, pairs: int, secrecy: float = 1e-10) -> BellEvidence:
    counts = expected_counts(rho, pairs)
    return BellEvidence(round(pairs * 2 / 9 * 0.98), pairs, counts, Security(secrecy))


@settings(max_examples=50, deadline=None)
@given(seed=SEEDS)
def test_for_every_state_of_two_qubits_the_estimate_is_its_phase_error_rate(seed: int) -> None:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(4, 3)) + 1j * rng.normal(size=(4, 3))
    rho = vectors @ vectors.conj().T
    rho /= np.trace(rho)
    found = evidence(rho, 9_000_000)
    assert found.phase_errors / 2_000_000 == pytest.approx(phase_error_rate(rho), abs=1e-5)


@pytest.mark.parametrize("fidelity", [0.8, 0.9, 0.95, 1.0])
def test_werner_pairs_have_the_published_figures(fidelity: float) -> None:
    """Q = 2(1-F)/3 and S = 2 sqrt 2 (1 - 2Q); the device-independent rate of Acin et al. 2007 from these."""
    found = evidence(werner(fidelity), 9_000_000)
    q = 2 * (1 - fidelity) / 3
    assert found.qber == pytest.approx(q, abs=1e-9)
    s = found.s
    assert s is not None
    assert s.value == pytest.approx(2 * sqrt(2) * (1 - 2 * q), abs=1e-9)
    root = sqrt(max(0.0, (s.value / 2) ** 2 - 1))
    rate = max(0.0, 1 - binary_entropy(q) - binary_entropy(min(1.0, (1 + root) / 2)))
    assert found.device_independent_rate == pytest.approx(rate if s.value > 2 else 0.0, abs=1e-9)


def test_the_device_independent_rate_vanishes_at_7_15_per_cent() -> None:
    fidelity = 1 - 1.5 * 0.0714918
    assert evidence(werner(fidelity - 1e-4), 9_000_000).device_independent_rate == 0
    assert 0 < evidence(werner(fidelity + 1e-4), 9_000_000).device_independent_rate < 1e-3


@given(pairs=st.integers(10**3, 10**8), exponent=st.floats(1.0, 60.0))
def test_the_deviation_is_where_freedmans_bound_is_the_failure(pairs: int, exponent: float) -> None:
    t = deviation(pairs, exp(-exponent))
    assert t**2 / (2 * (pairs * 5 / 36 + t / sqrt(2) / 3)) == pytest.approx(exponent, rel=1e-9)


@pytest.mark.parametrize("switch", [0.0, 0.3])
def test_no_more_phase_errors_are_there_than_the_bound_allows_but_for_the_failure(switch: float) -> None:
    """Blocks whose phase errors are counted beside, also where the source goes from good pairs to bad ones.

    With a failure probability of 0.05 there must not be more than 0.05 of failures, by five standard deviations.
    """
    rng, blocks, pairs = np.random.default_rng(1), 4000, 1000
    slots = rng.integers(0, 9, (blocks, pairs))
    # <XX> = <ZZ> = c, so a correlation of c cos(a - b)
    good = np.where(np.arange(pairs) < pairs * (1 - switch), 0.95, 0.4)
    table = np.array([[cos(a - b) for b in BOB] for a in ALICE]).ravel()
    products = np.where(rng.random((blocks, pairs)) < (1 + good * table[slots]) / 2, 1, -1)
    weights = np.zeros(9)
    weights[[0, 2, 8]] = 1, -2, 1
    in_key = np.isin(slots, (3, 7))
    phase_errors = (in_key & (rng.random((blocks, pairs)) < (1 - good) / 2)).sum(axis=1)
    estimates = in_key.sum(axis=1) / 2 - (weights[slots] * products).sum(axis=1) / (2 * sqrt(2))
    exceeding = float((phase_errors > estimates + deviation(pairs, 0.05)).mean())
    assert exceeding <= 0.05 + 5 * sqrt(0.05 * 0.95 / blocks)
    surplus = phase_errors - estimates
    assert abs(surplus.mean()) <= 5 * sqrt(pairs * 5 / 36 / blocks)
    assert surplus.std() == pytest.approx(sqrt(pairs * 5 / 36), rel=0.05)


def test_more_pairs_and_less_secrecy_leave_more_of_the_key() -> None:
    lengths = [
        evidence(werner(0.98), pairs, secrecy).worth(1000, [0]).length / pairs
        for pairs, secrecy in ((10**5, 1e-10), (10**6, 1e-10), (10**6, 1e-5), (10**8, 1e-10))
    ]
    assert lengths == sorted(lengths)
    assert lengths[0] > 0
    limit = 2 / 9 * 0.98 * (1 - binary_entropy(2 * 0.02 / 3))
    assert 0.95 * limit < lengths[-1] < limit


def test_evidence_without_pairs_is_worth_nothing() -> None:
    nothing = replace(evidence(werner(1.0), 9), key_bits=0, counts=np.zeros((3, 3, 2, 2)), pairs=0)
    assert nothing.worth(0, [0]).length == 0
    assert nothing.s is None
    assert nothing.device_independent_rate == 0
