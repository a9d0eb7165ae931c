"""Measurement bases: their eigenstates, and the effects that turn a state into its unnormalised outcomes.

The effect of outcome |b> sends rho to <b| rho |b>, which on the row-major vector of rho is the row
conj(b) (x) b. A matrix of effects has one such row per outcome: shape (outcomes, 4^k) for k qubits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import sqrt
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.measures import bell_state

Basis: TypeAlias = Literal["X", "Y", "Z"]
"""The basis of the Pauli operator of that name; outcome 0 is its +1 eigenstate."""

_EIGENSTATES: Final[Mapping[str, NDArray[np.complex128]]] = {
    "X": np.array([[1, 1], [1, -1]], dtype=np.complex128) / sqrt(2),
    "Y": np.array([[1, 1j], [1, -1j]], dtype=np.complex128) / sqrt(2),
    "Z": np.eye(2, dtype=np.complex128),
}


def eigenstate(basis: Basis, bit: int) -> NDArray[np.complex128]:
    """Return the state vector that a measurement in ``basis`` with the outcome ``bit`` leaves. Shape (2,)."""
    psi: NDArray[np.complex128] = _EIGENSTATES[basis][bit]
    return psi.copy()


def _effects(outcomes: Iterable[NDArray[np.complex128]]) -> NDArray[np.complex128]:
    rows = np.array([np.outer(b.conj(), b).ravel() for b in outcomes])
    rows.setflags(write=False)
    return rows


EFFECTS: Final[Mapping[str, NDArray[np.complex128]]] = {
    basis: _effects(states) for basis, states in _EIGENSTATES.items()
}
"""For each basis the effects of the outcomes 0 and 1, shape (2, 4)."""

BELL_EFFECTS: Final = _effects(bell_state(x, z) for x in (0, 1) for z in (0, 1))
"""The effects of the Bell outcomes (x, z) = 00, 01, 10, 11, shape (4, 16)."""

TRACE: Final = EFFECTS["Z"].sum(axis=0, keepdims=True)
"""The effect of looking away: the partial trace, shape (1, 4)."""

ROUNDING: Final = 1e-12
"""A probability below this is a rounding error: such an outcome is never drawn."""
