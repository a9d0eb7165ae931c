"""Many independent pairs of qubits at once, as correlation tensors T of shape (n, 4, 4).

T[i, j] = tr(rho sigma_i (x) sigma_j) with the Pauli operators in the order I X Y Z, so rho is the sum of
T[i, j] sigma_i (x) sigma_j / 4 and T[0, 0] = 1. ``side`` 0 is the first qubit, 1 the second. Bases are codes as in
``batch``. Every function returns new arrays and leaves its arguments as they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import gates
from shared_state.engine.bases import ROUNDING
from shared_state.engine.batch import Bloch, Codes
from shared_state.engine.channels import Channel

Tensors: TypeAlias = NDArray[np.float64]
Numbers: TypeAlias = NDArray[np.float64]
Side: TypeAlias = Literal[0, 1]
Axes: TypeAlias = NDArray[np.float64]
"""Unit vectors to measure along, shape (k, 3), columns x, y, z."""

BASES: Final[Axes] = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""The axes of the basis codes: Z, X, Y."""

_PAULIS: Final = np.array([np.eye(2), gates.X, gates.Y, gates.Z])
_ROW: Final = np.array([3, 1, 2])
"""The Pauli operator that each basis code measures."""
_BELL: Final = np.array([[1, 1, -1, 1], [1, -1, 1, 1], [1, 1, 1, -1], [1, -1, -1, -1]], dtype=np.float64)
"""<sigma_k (x) sigma_k> of the Bell states (x, z) = 00, 01, 10, 11."""


def from_density(rho: NDArray[np.complex128]) -> Tensors:
    """Return the tensors of density matrices of shape (n, 4, 4)."""
    tensor = rho.reshape(-1, 2, 2, 2, 2)
    tensors: Tensors = np.einsum("nabcd,ica,jdb->nij", tensor, _PAULIS, _PAULIS).real
    return tensors.copy()  # the real part alone: a view would keep the rest and be slow to work with


def to_density(tensors: Tensors) -> NDArray[np.complex128]:
    """Return the density matrices, shape (n, 4, 4)."""
    rho: NDArray[np.complex128] = np.einsum("nij,iac,jbd->nabcd", tensors, _PAULIS, _PAULIS) / 4
    return rho.reshape(-1, 4, 4)


def fidelity(tensors: Tensors, x: int = 0, z: int = 0) -> Numbers:
    """Return each pair's fidelity with the Bell state (X^x Z^z (x) I) |Phi+>."""
    overlap: Numbers = np.einsum("nkk,k->n", tensors, _BELL[2 * x + z]) / 4
    return overlap


def pauli_transfer(channel: Channel) -> Numbers:
    """Return R[i, j] = tr(sigma_i channel(sigma_j)) / 2 of one-qubit channels, shape (..., 4, 4)."""
    rows = _PAULIS.reshape(4, 4)
    transfer: Numbers = (rows.conj() @ channel @ rows.T).real / 2
    return transfer


def apply_channel(tensors: Tensors, transfer: Numbers, side: Side) -> Tensors:
    """Apply one Pauli transfer matrix to all pairs, or with shape (n, 4, 4) one to each."""
    changed: Tensors = transfer @ tensors if side == 0 else tensors @ np.swapaxes(transfer, -1, -2)
    return changed


def depolarise(tensors: Tensors, side: Side, p: float | Numbers) -> Tensors:
    """Apply rho -> (1-p) rho + p I/2 to one qubit of every pair. p = 1 traces it out."""
    keep = 1.0 - np.broadcast_to(p, len(tensors))
    return _scaled(tensors, side, np.stack([keep, keep, keep], axis=1))


def dephase(tensors: Tensors, side: Side, factors: Numbers) -> Tensors:
    """Let the coherence of one qubit of pair i shrink to ``factors[i]`` of itself."""
    return _scaled(tensors, side, np.stack([factors, factors, np.ones_like(factors)], axis=1))


def shrink(tensors: Tensors, side: Side, factors: tuple[float, float, float]) -> Tensors:
    """Let <X>, <Y> and <Z> of one qubit of every pair shrink to ``factors`` of themselves: a Pauli channel."""
    return _scaled(tensors, side, np.broadcast_to(factors, (len(tensors), 3)))


def relax(
    tensors: Tensors,
    side: Side,
    decayed: float | Numbers,
    coherence: Numbers,
    drawn: float | Numbers | None = None,
) -> Tensors:
    """Let <Z> become (1 - ``decayed``) <Z> + ``drawn`` and the coherence shrink to ``coherence`` of itself.

    Without ``drawn`` all that decays goes from |1> to |0>: amplitude damping.
    """
    lost = np.broadcast_to(decayed, len(tensors))
    gained = lost if drawn is None else np.broadcast_to(drawn, len(tensors))
    changed = _scaled(tensors, side, np.stack([coherence, coherence, 1 - lost], axis=1))
    _of(changed, side)[:, 3] += gained[:, np.newaxis] * _of(tensors, side)[:, 0]
    return changed


def pauli(tensors: Tensors, side: Side, x: Codes, z: Codes) -> Tensors:
    """Apply X^x[i] Z^z[i] to one qubit of pair i."""
    by_x, by_z = 1.0 - 2.0 * x, 1.0 - 2.0 * z
    return _scaled(tensors, side, np.stack([by_z, by_x * by_z, by_x], axis=1))


def measure(tensors: Tensors, side: Side, bases: Codes, uniforms: Numbers) -> tuple[Codes, Bloch]:
    """Measure one qubit of pair i in ``bases[i]``: the outcomes, and the other qubits' states given them.

    Outcome 0 where ``uniforms[i]`` < P(0), else 1; one whose probability is a rounding error is never drawn.
    """
    half = _of(tensors, side)
    along = half[np.arange(len(half)), _ROW[bases]]
    zero = (1 + along[:, 0]) / 2
    bits = ((uniforms >= zero) | (zero < ROUNDING)) & (zero <= 1 - ROUNDING)
    other = half[:, 0] + (1.0 - 2.0 * bits)[:, np.newaxis] * along
    return bits.astype(np.uint8), other[:, 1:] / other[:, :1]


def in_plane(angles: Sequence[float]) -> Axes:
    """Return the directions sin(a) x + cos(a) z of ``angles`` a in radians, shape (k, 3)."""
    return np.stack([np.sin(angles), np.zeros(len(angles)), np.cos(angles)], axis=1)


def measure_alike(
    tensor: Tensors, axes: tuple[Axes, Axes], first: Codes, second: Codes, uniforms: Numbers
) -> tuple[Codes, Codes]:
    """Measure both qubits of many pairs in one and the same state, the first before the second.

    ``tensor``: shape (4, 4). Pair i is measured along the unit vectors ``axes[0][first[i]]`` and
    ``axes[1][second[i]]``; ``uniforms`` has shape (n, 2), and selects outcomes as in ``measure``.
    """
    hers, his = axes
    along = hers @ tensor[1:]
    zero = _certain((1 + along[:, 0]) / 2)
    # the second qubit given each outcome, unnormalised: of an outcome that is never drawn it may be anything
    other = tensor[0] + np.array([1.0, -1.0])[:, np.newaxis] * along[:, np.newaxis]
    weight = np.where(other[..., :1] > 0, other[..., :1], 1.0)
    then = _certain((1 + other[..., 1:] @ his.T / weight) / 2)
    bits = (uniforms[:, 0] >= zero[first]).astype(np.uint8)
    return bits, (uniforms[:, 1] >= then[first, bits, second]).astype(np.uint8)


def alone(bloch: Bloch, side: Side) -> Tensors:
    """Return pairs of which only the qubits of this side are left, in these states: the others are I/2."""
    tensors = np.zeros((len(bloch), 4, 4))
    tensors[:, 0, 0] = 1
    _of(tensors, side)[:, 1:, 0] = bloch
    return tensors


def swap(left: Tensors, right: Tensors, uniforms: Numbers) -> tuple[Tensors, Codes, Codes]:
    """Bell-measure the second qubit of left pair i with the first of right pair i.

    Return the pairs of the outer qubits and the outcomes x and z. The Bell projector is the sum of s_k sigma_k (x)
    sigma_k / 4, so T' is proportional to T_left diag(s) T_right. ``uniforms`` selects from the outcomes in the
    order 00, 01, 10, 11; one whose probability is a rounding error is never drawn.
    """
    weights = (left[:, 0] * right[:, :, 0]) @ _BELL.T / 4
    weights[weights < ROUNDING] = 0.0
    cumulative = weights.cumsum(axis=1)
    total = cumulative[:, -1]
    # at or above the total lies no outcome, or one without weight
    thresholds = np.minimum(uniforms * total, np.nextafter(total, 0.0))
    outcomes = (thresholds[:, np.newaxis] >= cumulative[:, :3]).sum(axis=1)
    joint = (left * _BELL[outcomes][:, np.newaxis, :]) @ right
    joint /= joint[:, :1, :1].copy()
    return joint, (outcomes >> 1).astype(np.uint8), (outcomes & 1).astype(np.uint8)


def _certain(probabilities: Numbers) -> Numbers:
    """Put what is 0 or 1 up to a rounding error out of the reach of a uniform number in [0, 1]."""
    return np.where(
        probabilities < ROUNDING, -1.0, np.where(probabilities > 1 - ROUNDING, 2.0, probabilities)
    )


def _scaled(tensors: Tensors, side: Side, factors: Numbers) -> Tensors:
    changed = tensors.copy()
    _of(changed, side)[:, 1:] *= factors[:, :, np.newaxis]
    return changed


def _of(tensors: Tensors, side: Side) -> Tensors:
    """View the pairs with the qubit of this side first."""
    return tensors if side == 0 else tensors.transpose(0, 2, 1)
