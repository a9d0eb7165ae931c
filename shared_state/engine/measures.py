"""Numbers that say how good a state is, and the Bell states they are compared with."""

from __future__ import annotations

from math import sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.errors import InvalidState

_PAULIS: Final = np.array([gates.X, gates.Y, gates.Z])
_FLIP: Final = np.kron(gates.Y, gates.Y)


def bell_state(x: int, z: int) -> NDArray[np.complex128]:
    """Return the state vector (X^x Z^z (x) I) |Phi+>.

    For (x, z): 00 is Phi+, 01 Phi-, 10 Psi+, 11 Psi- (times -1). Shape (4,).
    """
    vector = np.zeros(4, dtype=np.complex128)
    vector[2 * x] = 1 / sqrt(2)  # Z^z leaves |00>, X^x moves it to |10>
    vector[3 - 2 * x] = (-1) ** z / sqrt(2)
    return vector


def fidelity(rho: NDArray[np.complex128], psi: NDArray[np.complex128]) -> float:
    """Return the (squared) fidelity F = <psi| rho |psi>.

    ``rho`` has shape (2^n, 2^n) and trace 1, ``psi`` shape (2^n,) and norm 1.
    Raises InvalidState when the shapes do not fit or ``psi`` is not normalised to 1e-9.
    """
    check_target(psi, len(rho))
    return float(np.vdot(psi, rho @ psi).real)


def check_target(psi: NDArray[np.complex128], dimension: int) -> None:
    """Raise InvalidState unless ``psi`` is a normalised vector of this dimension."""
    if psi.shape != (dimension,):
        raise InvalidState(
            f"a target of shape {psi.shape} does not fit a state of shape {(dimension, dimension)}."
        )
    norm = float(np.vdot(psi, psi).real)
    if not abs(norm - 1) < 1e-9:
        raise InvalidState(f"the target state has norm squared {norm:.12g}; normalise it to 1.")


def purity(rho: NDArray[np.complex128]) -> float:
    """Return tr(rho^2): 1 for a pure state, 2^-n for the maximally mixed state of n qubits."""
    return float(np.vdot(rho, rho).real)  # tr(rho^+ rho), and rho is Hermitian


def negativity(rho: NDArray[np.complex128]) -> float:
    """Return the sum of |negative eigenvalues| of the partial transpose of a two-qubit state.

    0 exactly for separable states of two qubits, 1/2 for a Bell state, (2F-1)/2 for a Werner pair with F > 1/2.
    """
    transposed = _two_qubits(rho).reshape(2, 2, 2, 2).transpose(0, 3, 2, 1).reshape(4, 4)
    eigenvalues = np.linalg.eigvalsh(transposed)
    return float(np.maximum(-eigenvalues, 0).sum())


def concurrence(rho: NDArray[np.complex128]) -> float:
    """Return the concurrence max(0, l1 - l2 - l3 - l4) of a two-qubit state (Wootters 1998).

    l are, in decreasing order, the roots of the eigenvalues of rho (Y (x) Y) rho* (Y (x) Y); with a factorisation
    rho = A A^+ they are the singular values of A^T (Y (x) Y) A, which needs no root of a rounding error.
    """
    weights, vectors = np.linalg.eigh(_two_qubits(rho))
    factor = vectors * np.sqrt(np.maximum(weights, 0))
    values = np.linalg.svd(factor.T @ _FLIP @ factor, compute_uv=False)
    return max(0.0, float(2 * values[0] - values.sum()))


def correlation_matrix(rho: NDArray[np.complex128]) -> NDArray[np.float64]:
    """Return T_jk = tr(rho sigma_j (x) sigma_k) of a two-qubit state for j, k = X, Y, Z, shape (3, 3)."""
    tensor = _two_qubits(rho).reshape(2, 2, 2, 2)
    correlations: NDArray[np.float64] = np.einsum("abcd,jca,kdb->jk", tensor, _PAULIS, _PAULIS).real
    return correlations


def chsh(rho: NDArray[np.complex128], alice: NDArray[np.float64], bob: NDArray[np.float64]) -> float:
    """Return S = E(a0,b0) + E(a0,b1) + E(a1,b0) - E(a1,b1), E(a,b) = a.T b.

    ``alice`` and ``bob`` hold each side's two directions of measurement, unit vectors: shape (2, 3).
    """
    expectations = alice @ correlation_matrix(rho) @ bob.T
    return float(expectations.sum() - 2 * expectations[1, 1])


def chsh_maximum(rho: NDArray[np.complex128]) -> float:
    """Return the largest S of any settings: 2 sqrt(u1 + u2), u the largest eigenvalues of T^T T (Horodecki 1995).

    2 sqrt(2) (4F-1)/3 for a Werner pair, 2 sqrt(1 + (2F-1)^2) for a dephased Bell pair.
    """
    singular = np.linalg.svd(correlation_matrix(rho), compute_uv=False)
    return float(2 * np.hypot(singular[0], singular[1]))


def witness(rho: NDArray[np.complex128], x: int = 0, z: int = 0) -> float:
    """Return tr((1/2 - |B><B|) rho) = 1/2 - F for the Bell state B = (x, z): negative only for entangled states."""
    return 0.5 - fidelity(rho, bell_state(x, z))


def _two_qubits(rho: NDArray[np.complex128]) -> NDArray[np.complex128]:
    if rho.shape != (4, 4):
        raise InvalidState(f"this measure is one of two qubits, and the state has shape {rho.shape}.")
    return rho
