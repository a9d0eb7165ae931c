"""Many independent qubits at once, as Bloch vectors: float64 arrays of shape (n, 3), columns x, y, z.

Bases are arrays of codes: 0 is Z, 1 is X, 2 is Y. Outcome 0 is the +1 eigenstate.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Bloch: TypeAlias = NDArray[np.float64]
Codes: TypeAlias = NDArray[np.uint8]

_COLUMN: Final = np.array([2, 0, 1])
"""The Bloch component that each basis code measures."""


def eigenstates(bits: Codes, bases: Codes) -> Bloch:
    """Prepare qubit i in the eigenstate number ``bits[i]`` of ``bases[i]``."""
    bloch = np.zeros((len(bits), 3))
    bloch[np.arange(len(bits)), _COLUMN[bases]] = 1.0 - 2.0 * bits
    return bloch


def collapse(bits: Codes, bases: Codes) -> Bloch:
    """Return the states that measurements in ``bases`` with the outcomes ``bits`` leave."""
    return eigenstates(bits, bases)


def depolarise(bloch: Bloch, p: float) -> Bloch:
    """Apply rho -> (1-p) rho + p I/2 to every qubit."""
    return (1 - p) * bloch


def measure(bloch: Bloch, bases: Codes, uniforms: NDArray[np.float64]) -> Codes:
    """Measure qubit i in ``bases[i]``: outcome 0 where ``uniforms[i]`` < P(0) = (1 + r.b) / 2, else 1."""
    component = bloch[np.arange(len(bloch)), _COLUMN[bases]]
    outcomes: NDArray[np.bool_] = uniforms >= (1 + component) / 2
    return outcomes.astype(np.uint8)
