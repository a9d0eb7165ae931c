"""Fidelity is squared, and the Bell states follow the convention (X^x Z^z (x) I) |Phi+>."""

from __future__ import annotations

from math import sqrt

import numpy as np
import pytest
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.bases import Basis, eigenstate
from shared_state.engine.errors import InvalidState
from shared_state.engine.measures import bell_state, fidelity, purity


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
