"""Fidelity is squared, and the Bell states follow the convention (X^x Z^z (x) I) |Phi+>."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.errors import InvalidState
from shared_state.engine.measures import (
    bell_state,
    chsh,
    chsh_maximum,
    concurrence,
    fidelity,
    negativity,
    purity,
    witness,
)

Matrix = NDArray[np.complex128]
FIDELITIES = np.linspace(0.25, 1, 31)
OPTIMAL = (np.array([[0.0, 0, 1], [1, 0, 0]]), np.array([[1.0, 0, 1], [-1, 0, 1]]) / sqrt(2))


def werner(f: float, x: int = 0, z: int = 0) -> Matrix:
    """Return the Werner state of fidelity f to the Bell state (x, z)."""
    w = (4 * f - 1) / 3
    return (w * np.outer(bell_state(x, z), bell_state(x, z)) + (1 - w) / 4 * np.eye(4)).astype(np.complex128)


@pytest.mark.parametrize("x", [0, 1])
@pytest.mark.parametrize("z", [0, 1])
def test_a_bell_state_is_phi_plus_after_the_paulis_on_the_first_qubit(x: int, z: int) -> None:
    paulis = np.linalg.matrix_power(gates.X, x) @ np.linalg.matrix_power(gates.Z, z)
    phi_plus = np.array([1, 0, 0, 1]) / sqrt(2)
    np.testing.assert_allclose(bell_state(x, z), np.kron(paulis, np.eye(2)) @ phi_plus, atol=1e-15)


def test_fidelity_is_the_squared_overlap() -> None:
    zero, plus = eigenstate("Z", 0), eigenstate("X", 0)
    assert fidelity(np.outer(zero, zero.conj()), plus) == pytest.approx(0.5, abs=1e-15)


def test_fidelity_of_a_mixture_is_linear_in_it() -> None:
    psi = eigenstate("Y", 1)
    rho = 0.7 * np.outer(psi, psi.conj()) + 0.3 * np.eye(2) / 2
    assert fidelity(rho, psi) == pytest.approx(0.85, abs=1e-15)


def test_fidelity_refuses_a_target_that_does_not_fit_or_is_not_normalised() -> None:
    with pytest.raises(InvalidState, match="does not fit"):
        fidelity(np.eye(2, dtype=np.complex128) / 2, bell_state(0, 0))
    with pytest.raises(InvalidState, match="normalise"):
        fidelity(np.eye(2, dtype=np.complex128) / 2, np.array([1, 1], dtype=np.complex128))
    with pytest.raises(InvalidState, match="normalise"):
        fidelity(np.eye(2, dtype=np.complex128) / 2, np.array([np.nan, 1], dtype=np.complex128))


def test_purity_is_one_for_a_pure_state_and_least_for_the_mixed_one() -> None:
    psi = bell_state(1, 1)
    assert purity(np.outer(psi, psi.conj())) == pytest.approx(1, abs=1e-15)
    assert purity(np.eye(8, dtype=np.complex128) / 8) == pytest.approx(1 / 8, abs=1e-15)


def test_eigenstates_belong_to_their_pauli_with_outcome_zero_the_positive_one() -> None:
    paulis: dict[Basis, NDArray[np.complex128]] = {"X": gates.X, "Y": gates.Y, "Z": gates.Z}
    for basis, pauli in paulis.items():
        for bit in (0, 1):
            psi = eigenstate(basis, bit)
            np.testing.assert_allclose(pauli @ psi, (-1) ** bit * psi, atol=1e-15)


@pytest.mark.parametrize(("x", "z"), [(0, 0), (0, 1), (1, 0), (1, 1)])
def test_a_werner_pair_has_its_closed_forms(x: int, z: int) -> None:
    for f in FIDELITIES:
        rho, w = werner(f, x, z), (4 * f - 1) / 3
        assert fidelity(rho, bell_state(x, z)) == pytest.approx(f, abs=1e-9)
        assert purity(rho) == pytest.approx(f**2 + (1 - f) ** 2 / 3, abs=1e-9)
        assert negativity(rho) == pytest.approx(max(0, 2 * f - 1) / 2, abs=1e-9)
        assert concurrence(rho) == pytest.approx(max(0, 2 * f - 1), abs=1e-9)
        assert chsh_maximum(rho) == pytest.approx(2 * sqrt(2) * w, abs=1e-9)
        assert witness(rho, x, z) == pytest.approx(0.5 - f, abs=1e-9)


def test_a_werner_pair_at_the_standard_settings_reaches_its_maximum() -> None:
    for f in FIDELITIES:
        assert chsh(werner(f), *OPTIMAL) == pytest.approx(2 * sqrt(2) * (4 * f - 1) / 3, abs=1e-9)


@pytest.mark.parametrize("f", np.linspace(0.5, 1, 11))
def test_a_dephased_pair_needs_other_settings_than_the_standard_ones(f: float) -> None:
    plus, minus = bell_state(0, 0), bell_state(0, 1)
    rho = f * np.outer(plus, plus) + (1 - f) * np.outer(minus, minus)
    assert chsh_maximum(rho) == pytest.approx(2 * sqrt(1 + (2 * f - 1) ** 2), abs=1e-9)
    assert chsh(rho, *OPTIMAL) == pytest.approx(sqrt(2) * 2 * f, abs=1e-9)
    assert concurrence(rho) == pytest.approx(2 * f - 1, abs=1e-9)
    assert negativity(rho) == pytest.approx((2 * f - 1) / 2, abs=1e-9)


@pytest.mark.parametrize("angle", np.linspace(0, np.pi, 13))
def test_a_pure_state_has_twice_its_determinant_as_concurrence(angle: float) -> None:
    schmidt = np.array([np.cos(angle / 2), 0, 0, np.sin(angle / 2)])
    psi = np.kron(gates.rx(0.7) @ gates.rz(0.3), gates.ry(1.9)) @ schmidt
    rho = np.outer(psi, psi.conj())
    assert concurrence(rho) == pytest.approx(np.sin(angle), abs=1e-9)
    assert negativity(rho) == pytest.approx(np.sin(angle) / 2, abs=1e-9)
    assert chsh_maximum(rho) == pytest.approx(2 * sqrt(1 + np.sin(angle) ** 2), abs=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_an_x_state_has_the_concurrence_of_its_larger_anti_diagonal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b, c, d = rng.dirichlet(np.ones(4))
    inner, outer = rng.uniform(0, sqrt(b * c)), rng.uniform(0, sqrt(a * d))
    rho = np.diag([a, b, c, d]).astype(np.complex128)
    rho[1, 2] = inner * np.exp(1j * rng.uniform(0, 6))
    rho[0, 3] = outer * np.exp(1j * rng.uniform(0, 6))
    rho[2, 1], rho[3, 0] = rho[1, 2].conj(), rho[0, 3].conj()
    expected = 2 * max(0, inner - sqrt(a * d), outer - sqrt(b * c))
    assert concurrence(rho) == pytest.approx(expected, abs=1e-9)


def test_measures_of_two_qubits_refuse_other_states() -> None:
    with pytest.raises(InvalidState, match="two qubits"):
        concurrence(np.eye(8, dtype=np.complex128) / 8)
