"""The work on one block of a density matrix, in numpy: copies and matrix products that fit the processor's cache."""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.places import Place

Rho: TypeAlias = NDArray[np.complex128]
Rows: TypeAlias = NDArray[np.int64]
Phases: TypeAlias = NDArray[np.complex128]

_ONE_THREAD: Final = 2**15
"""Multiplications up to which OpenBLAS takes one thread for a product of matrices."""

_ONE_THREAD_VECTOR: Final = 2**11
"""The same for a product with a vector."""

_SMALL: Final = 32
"""Matrices with more columns are worth several threads."""


def permute(
    source: Rho, target: Rho, index: Rows | None, phase: Phases | None, start: int, stop: int
) -> None:
    """Write rows ``start`` to ``stop`` of D P rho P^+ D^+ to ``target``; see ``recognition.Permutation``."""
    rows = source[start:stop] if index is None else source[index[start:stop]].take(index, axis=1)
    if phase is None:
        target[start:stop] = rows
    else:
        np.multiply(rows, phase[start:stop, np.newaxis] * phase.conj(), out=target[start:stop])


def transform(source: Rho, target: Rho, where: Place, number: int, channel: Rho) -> None:
    """Write block ``number`` of a channel's effect to ``target``; ``channel`` has shape (4^k, 4^k)."""
    block = where.blocks[number]
    target.reshape(where.shape)[block] = transformed(source.reshape(where.shape)[block], where, channel)


def transformed(block: Rho, where: Place, channel: Rho) -> Rho:
    """Return a channel's effect on a block, a view of axes of length 2."""
    moved = block.transpose(where.to_front)
    changed = product(channel, moved.reshape(len(channel), -1)).reshape(moved.shape)
    return changed.transpose(where.back)


def product(matrix: Rho, columns: Rho) -> Rho:
    """Return matrix @ columns, for a small matrix and many columns in pieces that BLAS leaves to one thread.

    Several threads save little with so few rows, and where the other processors are busy they wait for each other
    hundreds of times longer than the product takes.
    """
    rows, inner = matrix.shape
    if columns.size <= _ONE_THREAD_VECTOR or inner > _SMALL:
        return matrix @ columns
    count = columns.shape[1]
    width = min(count, (_ONE_THREAD if rows > 1 else _ONE_THREAD_VECTOR) // (rows * inner))
    result = np.empty((rows, count), dtype=np.complex128)
    pieces = (-1, count // width, width)  # all are powers of two
    np.matmul(
        matrix,
        columns.reshape(pieces).transpose(1, 0, 2),
        out=result.reshape(pieces).transpose(1, 0, 2),
    )
    return result
