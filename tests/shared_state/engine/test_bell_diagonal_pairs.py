"""Swapping Bell-diagonal pairs with imperfect gates and readouts: the group law of their errors, and chains."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import channels, gates
from shared_state.engine.joint_state import JointState
from shared_state.engine.measures import bell_state, fidelity

Matrix = NDArray[np.complex128]
Weights = NDArray[np.float64]
ERRORS = [(x, z) for x in (0, 1) for z in (0, 1)]  # (x, z): no error, Z, X, Y


def pair(weights: Weights) -> Matrix:
    """Return the mixture of the Bell states (x, z) in the order of ERRORS."""
    rho = np.zeros((4, 4), dtype=np.complex128)
    for weight, (x, z) in zip(weights, ERRORS, strict=True):
        rho += weight * np.outer(bell_state(x, z), bell_state(x, z))
    return rho


def werner(f: float) -> Weights:
    return np.array([f, (1 - f) / 3, (1 - f) / 3, (1 - f) / 3])


def swapped(left: Matrix, right: Matrix, gate: float, readout: float, branch: tuple[int, int]) -> Matrix:
    """Return the outer pair in one branch of a swap, over all readings of it.

    ``gate`` is the quality of the CNOT, ``readout`` the fidelity of each of the two measurements.
    """
    x, z = branch
    mixture = np.zeros((4, 4), dtype=np.complex128)
    for flip_x, flip_z in ERRORS:
        state = JointState()
        state.add(left, [0, 1])
        state.add(right, [2, 3])
        state.apply(gates.CNOT, [1, 2])
        state.apply_channel(channels.two_qubit_depolarising(1 - gate), [1, 2])
        state.apply(gates.H, [1])
        assert state.measure(2, "Z", 0.25 + 0.5 * x) == x  # every outcome has the probability 1/2
        assert state.measure(1, "Z", 0.25 + 0.5 * z) == z
        if x ^ flip_x:
            state.apply(gates.X, [3])
        if z ^ flip_z:
            state.apply(gates.Z, [3])
        flips = flip_x + flip_z
        mixture += readout ** (2 - flips) * (1 - readout) ** flips * state.reduced([0, 3])
    return mixture


def convolved(first: Weights, second: Weights) -> Weights:
    """Return the distribution of the product of two independent Pauli errors."""
    total = np.zeros(4)
    for (i, a), (j, b) in product(enumerate(ERRORS), repeat=2):
        total[ERRORS.index((a[0] ^ b[0], a[1] ^ b[1]))] += first[i] * second[j]
    return total


@pytest.mark.parametrize("branch", ERRORS)
@pytest.mark.parametrize("gate", [0.6, 0.97, 1.0])
@pytest.mark.parametrize("readout", [0.5, 0.9, 1.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_swap_multiplies_the_errors_of_both_pairs_and_of_the_readings(
    seed: int, readout: float, gate: float, branch: tuple[int, int]
) -> None:
    left, right = np.random.default_rng(seed).dirichlet(np.ones(4), 2)
    m = readout
    readings = np.array([m * m, m * (1 - m), m * (1 - m), (1 - m) ** 2])
    expected = gate * convolved(convolved(left, right), readings) + (1 - gate) / 4
    outer = swapped(pair(left), pair(right), gate, readout, branch)
    np.testing.assert_allclose(outer, pair(expected), atol=1e-9)


@pytest.mark.parametrize("f", np.linspace(0.25, 1, 6))
def test_an_ideal_chain_has_the_power_of_the_werner_parameter(f: float) -> None:
    rho = pair(werner(f))
    for links in range(2, 9):
        rho = swapped(rho, pair(werner(f)), 1.0, 1.0, ERRORS[links % 4])
        w = ((4 * f - 1) / 3) ** links
        assert fidelity(rho, bell_state(0, 0)) == pytest.approx(0.25 + 0.75 * w, abs=1e-9)


@pytest.mark.parametrize("f", [0.6, 0.95, 1.0])
@pytest.mark.parametrize("gate", [0.8, 0.97])
@pytest.mark.parametrize("readout", [0.7, 0.985, 1.0])
def test_an_imperfect_chain_without_twirling_has_the_exact_law(f: float, gate: float, readout: float) -> None:
    k, w = 2 * readout - 1, (4 * f - 1) / 3
    rho = pair(werner(f))
    for swaps in range(1, 5):
        rho = swapped(rho, pair(werner(f)), gate, readout, ERRORS[swaps % 4])
        one, both = (gate * k) ** swaps, (gate * k * k) ** swaps
        expected = (1 + (2 * one + both) * w ** (swaps + 1)) / 4
        assert fidelity(rho, bell_state(0, 0)) == pytest.approx(expected, abs=1e-9)


def test_a_chain_without_twirling_is_a_little_better_than_briegels_formula() -> None:
    w, gate, readout = (4 * 0.95 - 1) / 3, 0.97, 0.985
    rho = pair(werner(0.95))
    for _ in range(3):
        rho = swapped(rho, pair(werner(0.95)), gate, readout, (0, 1))
    assert fidelity(rho, bell_state(0, 0)) == pytest.approx(0.71027, abs=5e-6)
    with_twirling = 0.25 + 0.75 * (gate * (4 * readout**2 - 1) / 3) ** 3 * w**4
    assert with_twirling == pytest.approx(0.70999, abs=5e-6)
