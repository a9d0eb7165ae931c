"""The physical state closest to an estimate that noise has pushed out of the set of states.

J. A. Smolin, J. M. Gambetta and G. Smith, PRL 108, 070502 (2012): for Gaussian noise, the same on every Pauli
coefficient, this is the state of maximum likelihood.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]


def nearest_state(estimate: Matrix) -> Matrix:
    """Return the positive semidefinite matrix of trace one nearest to a Hermitian one in the Frobenius norm.

    It has the same eigenvectors; the eigenvalues mu become max(mu - t, 0), with t such that they sum to one. A state is
    its own nearest state. What noise took below zero is taken from the largest eigenvalues, so that figures of the
    result are biased: quote fidelities and errors from the ``Tomogram``.
    """
    values, vectors = np.linalg.eigh(estimate)
    descending = values[::-1]
    thresholds = (np.cumsum(descending) - 1) / np.arange(1, len(values) + 1)
    kept = int(np.flatnonzero(descending > thresholds)[-1])
    nearest: Matrix = (vectors * np.maximum(values - thresholds[kept], 0)) @ vectors.conj().T
    return nearest
