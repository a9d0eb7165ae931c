"""The gates, by name, as read-only unitary matrices.

The first qubit a gate is applied to is the most significant: for CNOT the control, then the target.
Rotations are exp(-i angle P / 2), angles in radians.
"""

from __future__ import annotations

from cmath import exp
from collections.abc import Callable, Mapping, Sequence
from math import cos, pi, sin, sqrt
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from shared_state.engine.errors import InvalidOperator

Matrix: TypeAlias = NDArray[np.complex128]

UNITARITY_TOLERANCE: Final = 1e-9


def _constant(rows: Sequence[Sequence[complex]]) -> Matrix:
    matrix = np.array(rows, dtype=np.complex128)
    matrix.setflags(write=False)
    return matrix


X: Final = _constant([[0, 1], [1, 0]])
Y: Final = _constant([[0, -1j], [1j, 0]])
Z: Final = _constant([[1, 0], [0, -1]])
H: Final = _constant([[1 / sqrt(2), 1 / sqrt(2)], [1 / sqrt(2), -1 / sqrt(2)]])
S: Final = _constant([[1, 0], [0, 1j]])
T: Final = _constant([[1, 0], [0, exp(0.25j * pi)]])
CNOT: Final = _constant([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 1, 0]])
CZ: Final = _constant([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, -1]])
SWAP: Final = _constant([[1, 0, 0, 0], [0, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 1]])


def rx(angle: float) -> Matrix:
    """Rotate about the x axis: exp(-i angle X / 2)."""
    c, s = cos(angle / 2), -1j * sin(angle / 2)
    return np.array([[c, s], [s, c]], dtype=np.complex128)


def ry(angle: float) -> Matrix:
    """Rotate about the y axis: exp(-i angle Y / 2)."""
    c, s = cos(angle / 2), sin(angle / 2)
    return np.array([[c, -s], [s, c]], dtype=np.complex128)


def rz(angle: float) -> Matrix:
    """Rotate about the z axis: exp(-i angle Z / 2)."""
    phase = exp(-0.5j * angle)
    return np.array([[phase, 0], [0, phase.conjugate()]], dtype=np.complex128)


_FIXED: Final[Mapping[str, Matrix]] = {
    "x": X, "y": Y, "z": Z, "h": H, "s": S, "t": T, "cnot": CNOT, "cz": CZ, "swap": SWAP,
}  # fmt: skip
_ROTATIONS: Final[Mapping[str, Callable[[float], Matrix]]] = {"rx": rx, "ry": ry, "rz": rz}


def unitary(name: str, angles: Sequence[float] = ()) -> Matrix:
    """Look a gate up by its name: x y z h s t cnot cz swap without an angle, rx ry rz with one in radians.

    Raises InvalidOperator for an unknown name, a wrong number of angles, or an angle that is not finite.
    """
    if name in _FIXED:
        if angles:
            raise InvalidOperator(f"the gate '{name}' takes no angle, and {len(angles)} were given.")
        return _FIXED[name]
    if name in _ROTATIONS:
        if len(angles) != 1 or not np.isfinite(angles[0]):
            raise InvalidOperator(f"the gate '{name}' takes one finite angle in radians, not {list(angles)}.")
        return _ROTATIONS[name](angles[0])
    known = " ".join([*_FIXED, *_ROTATIONS])
    raise InvalidOperator(f"there is no gate '{name}'; there are {known}.")


def check_unitary(matrix: ArrayLike) -> Matrix:
    """Return the matrix as complex128, having made sure that it is a unitary of 1, 2, 3, ... whole qubits.

    U U^+ = I must hold to 1e-9 in every element. Raises InvalidOperator.
    """
    candidate = np.asarray(matrix, dtype=np.complex128)
    rows = candidate.shape[0] if candidate.ndim else 0
    if candidate.shape != (rows, rows) or rows < 2 or rows & (rows - 1):
        raise InvalidOperator(
            f"a unitary on k qubits is a 2^k x 2^k matrix, not one of shape {candidate.shape}."
        )
    if not np.isfinite(candidate).all():
        raise InvalidOperator("the matrix has elements that are not finite numbers.")
    deviation = float(np.abs(candidate @ candidate.conj().T - np.eye(rows)).max())
    if deviation > UNITARITY_TOLERANCE:
        raise InvalidOperator(
            f"the matrix is not unitary: U U^+ differs from the identity by {deviation:.3g}, "
            f"more than {UNITARITY_TOLERANCE:g}."
        )
    return candidate
