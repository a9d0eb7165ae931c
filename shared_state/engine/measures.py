"""Numbers that say how good a state is, and the Bell states they are compared with."""

from __future__ import annotations

from math import sqrt

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.errors import InvalidState


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
    if psi.ndim != 1 or rho.shape != (len(psi), len(psi)):
        raise InvalidState(f"a target of shape {psi.shape} does not fit a state of shape {rho.shape}.")
    norm = float(np.vdot(psi, psi).real)
    if not abs(norm - 1) < 1e-9:
        raise InvalidState(f"the target state has norm squared {norm:.12g}; normalise it to 1.")
    return float(np.vdot(psi, rho @ psi).real)


def purity(rho: NDArray[np.complex128]) -> float:
    """Return tr(rho^2): 1 for a pure state, 2^-n for the maximally mixed state of n qubits."""
    return float(np.vdot(rho, rho).real)  # tr(rho^+ rho), and rho is Hermitian
