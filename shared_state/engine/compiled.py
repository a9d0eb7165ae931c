"""The work on one block, compiled by numba (the extra ``compiled``): one pass over the memory per operation.

Importing this module takes a second, and the first time on a machine some more, until numba has compiled and
stored what it finds here. The functions have the signatures and results of those in ``blocks``.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numba import njit
from numpy.typing import NDArray

from shared_state.engine.places import Place

Rho: TypeAlias = NDArray[np.complex128]
Rows: TypeAlias = NDArray[np.int64]
Phases: TypeAlias = NDArray[np.complex128]

_MATRIX = "complex128[:,::1]"


def permute(
    source: Rho, target: Rho, index: Rows | None, phase: Phases | None, start: int, stop: int
) -> None:
    """See ``blocks.permute``."""
    moved = np.arange(len(source)) if index is None else index
    turned = np.ones(len(source), dtype=np.complex128) if phase is None else phase
    _permute(source, target, moved, turned, start, stop)


def transform(source: Rho, target: Rho, where: Place, number: int, channel: Rho) -> None:
    """See ``blocks.transform``; for one qubit only."""
    first = number * where.rest_rows
    _one_qubit(source, target, np.array(channel), where.bits, where.offsets, first, first + where.rest_rows)


def sandwich(source: Rho, target: Rho, where: Place, number: int, unitary: Rho) -> None:
    """Write block ``number`` of U rho U^+ to ``target``, for a unitary on two qubits."""
    first = number * where.rest_rows
    _two_qubits(source, target, np.array(unitary), where.bits, where.offsets, first, first + where.rest_rows)


@njit("int64(int64, int64[::1])", cache=True, nogil=True, inline="always")
def _with_zeros_at(number: int, bits: Rows) -> int:
    """Count in the other bits: insert a zero at each of ``bits`` (ascending)."""
    for bit in bits:
        low = (1 << bit) - 1
        number = ((number & ~low) << 1) | (number & low)
    return number


@njit(f"void({_MATRIX}, {_MATRIX}, int64[::1], complex128[::1], int64, int64)", cache=True, nogil=True)
def _permute(rho: Rho, out: Rho, index: Rows, phase: Phases, start: int, stop: int) -> None:
    for i in range(start, stop):
        source, factor = rho[index[i]], phase[i]
        for j in range(rho.shape[1]):
            out[i, j] = factor * phase[j].conjugate() * source[index[j]]


_SPREAD = f"void({_MATRIX}, {_MATRIX}, {_MATRIX}, int64[::1], int64[::1], int64, int64)"
_ARITHMETIC = {"contract", "nsz", "reassoc"}  # fused multiply-add: every number here is finite


@njit(_SPREAD, cache=True, nogil=True, fastmath=_ARITHMETIC)
def _one_qubit(rho: Rho, out: Rho, channel: Rho, bits: Rows, offsets: Rows, start: int, stop: int) -> None:
    step = offsets[1]
    for group in range(start, stop):
        row = _with_zeros_at(group, bits)
        upper, lower = rho[row], rho[row + step]
        above, below = out[row], out[row + step]
        for other in range(rho.shape[1] // 2):
            i = _with_zeros_at(other, bits)
            j = i + step
            a, b, c, d = upper[i], upper[j], lower[i], lower[j]
            above[i] = channel[0, 0] * a + channel[0, 1] * b + channel[0, 2] * c + channel[0, 3] * d
            above[j] = channel[1, 0] * a + channel[1, 1] * b + channel[1, 2] * c + channel[1, 3] * d
            below[i] = channel[2, 0] * a + channel[2, 1] * b + channel[2, 2] * c + channel[2, 3] * d
            below[j] = channel[3, 0] * a + channel[3, 1] * b + channel[3, 2] * c + channel[3, 3] * d


@njit(_SPREAD, cache=True, nogil=True, fastmath=_ARITHMETIC)
def _two_qubits(rho: Rho, out: Rho, unitary: Rho, bits: Rows, offsets: Rows, start: int, stop: int) -> None:
    size = rho.shape[1]
    half = np.empty((4, size), np.complex128)  # U rho for the four rows of a group
    u, v = unitary, unitary.conj()
    for group in range(start, stop):
        row = _with_zeros_at(group, bits)
        a, b, c, d = (
            rho[row + offsets[0]],
            rho[row + offsets[1]],
            rho[row + offsets[2]],
            rho[row + offsets[3]],
        )
        for r in range(4):
            u0, u1, u2, u3 = u[r, 0], u[r, 1], u[r, 2], u[r, 3]
            for j in range(size):
                half[r, j] = u0 * a[j] + u1 * b[j] + u2 * c[j] + u3 * d[j]
        for r in range(4):
            done, image = half[r], out[row + offsets[r]]
            for other in range(size // 4):
                i = _with_zeros_at(other, bits)
                i0, i1, i2, i3 = i + offsets[0], i + offsets[1], i + offsets[2], i + offsets[3]
                h0, h1, h2, h3 = done[i0], done[i1], done[i2], done[i3]
                image[i0] = v[0, 0] * h0 + v[0, 1] * h1 + v[0, 2] * h2 + v[0, 3] * h3
                image[i1] = v[1, 0] * h0 + v[1, 1] * h1 + v[1, 2] * h2 + v[1, 3] * h3
                image[i2] = v[2, 0] * h0 + v[2, 1] * h1 + v[2, 2] * h2 + v[2, 3] * h3
                image[i3] = v[3, 0] * h0 + v[3, 1] * h1 + v[3, 2] * h2 + v[3, 3] * h3
