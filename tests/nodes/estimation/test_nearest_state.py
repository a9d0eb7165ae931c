"""The nearest physical state is one, and none is nearer."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from nodes.estimation.nearest_state import nearest_state

Matrix = NDArray[np.complex128]
State = Callable[..., Matrix]


def hermitian(seed: int, scale: float) -> Matrix:
    """A Hermitian matrix of trace one, far from positive where ``scale`` is large."""
    rng = np.random.default_rng(seed)
    noise = scale * (rng.normal(size=(4, 4)) + 1j * rng.normal(size=(4, 4)))
    matrix = (noise + noise.conj().T) / 2
    return np.asarray(matrix + np.eye(4) * (1 - np.trace(matrix)) / 4)


@given(seed=st.integers(0, 2**32), scale=st.sampled_from([0.01, 0.1, 0.5, 3.0]))
def test_it_is_a_state_and_no_other_state_is_nearer(seed: int, scale: float, random_state: State) -> None:
    estimate = hermitian(seed, scale)
    found = nearest_state(estimate)
    assert found == pytest.approx(found.conj().T, abs=1e-12)
    assert np.trace(found).real == pytest.approx(1, abs=1e-12)
    assert np.linalg.eigvalsh(found).min() > -1e-12
    # The set of states is convex: found is nearest if and only if tr[(estimate - found)(state - found)] <= 0 for every
    # state, and the largest eigenvalue of (estimate - found) bounds the left side over all of them.
    residue = estimate - found
    assert np.linalg.eigvalsh(residue).max() - np.trace(residue @ found).real < 1e-9
    other = random_state(seed, 1 + seed % 4)
    assert np.linalg.norm(estimate - found) <= np.linalg.norm(estimate - other) + 1e-12


@given(seed=st.integers(0, 2**32), rank=st.integers(1, 4))
def test_a_state_is_its_own_nearest_state(seed: int, rank: int, random_state: State) -> None:
    rho = random_state(seed, rank)
    assert nearest_state(rho) == pytest.approx(rho, abs=1e-9)


@pytest.mark.parametrize(
    ("eigenvalues", "expected"),
    [
        ([0.6, 0.5, 0.25, -0.35], [29 / 60, 23 / 60, 8 / 60, 0.0]),
        ([1.2, -0.1, -0.1, 0.0], [1.0, 0.0, 0.0, 0.0]),
        ([0.7, 0.5, -0.1, -0.1], [0.6, 0.4, 0.0, 0.0]),
    ],
)
def test_what_is_below_zero_is_taken_from_the_others_alike(
    eigenvalues: list[float], expected: list[float]
) -> None:
    unitary = np.linalg.qr(np.random.default_rng(2).normal(size=(4, 4)))[0]
    found = nearest_state((unitary * eigenvalues) @ unitary.T)
    assert found == pytest.approx((unitary * expected) @ unitary.T, abs=1e-9)
