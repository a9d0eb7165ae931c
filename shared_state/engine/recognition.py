"""What a unitary's matrix reveals: gates with one non-zero element per row and column only move and turn elements.

CNOT, CZ, SWAP, X, Y, Z, S, T, rz and their products are such: U = D P with a permutation P and phases D.
What has been found out is remembered under the matrix's content, so that a gate in use is not looked at again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import isqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

LARGEST: Final = 4
"""The number of qubits up to which a unitary is looked at. Larger ones are too long to be remembered."""

_REMEMBERED: Final = 64
"""So many findings of each kind. Rotations by angles that do not come again are forgotten soon: what is kept of each
lies scattered over the heap, where it keeps a page from being given back."""

_FLAT: Final = 5
"""Clusters of no more qubits are permuted as one array (the tables for that are kept)."""


@dataclass(frozen=True, slots=True)
class Permutation:
    """rho -> D P rho P^+ D^+ on all rows and columns of a cluster."""

    index: NDArray[np.int64] | None
    """The row that each row comes from; None where all stay."""
    phase: NDArray[np.complex128] | None
    """The factor of each row, where a column has its conjugate; None where all are 1."""
    small: bool
    """The cluster is small: ``index`` and ``phase`` are those of the matrix's elements, shape (2^n, 2^n)."""


@lru_cache(maxsize=_REMEMBERED)
def permutation(n: int, at: tuple[int, ...], content: bytes) -> Permutation | None:
    """Return what the unitary with that ``content`` (complex128, row by row) on the qubits ``at`` permutes.

    None where it is no such gate.
    """
    found = _monomial(content)
    if found is None:
        return None
    sources, phases = found
    index, small = _moves(n, at, sources), n <= _FLAT
    if phases == (1,) * len(phases):
        return Permutation(index, None, small)
    phase = np.array(phases)[_values(n, at)]
    return Permutation(index, phase[:, np.newaxis] * phase.conj() if small else phase, small)


@lru_cache(maxsize=_REMEMBERED)
def superoperator(content: bytes) -> NDArray[np.complex128]:
    """Return U (x) conj(U), the channel of the unitary with that ``content``."""
    unitary = _matrix(content)
    size = len(unitary) ** 2
    channel = (unitary[:, np.newaxis, :, np.newaxis] * unitary.conj()[:, np.newaxis, :]).reshape(size, size)
    channel.setflags(write=False)
    return channel


@lru_cache(maxsize=_REMEMBERED)
def _monomial(content: bytes) -> tuple[tuple[int, ...], tuple[complex, ...]] | None:
    """Return for each row the column of its only element, and that element."""
    sources, phases = [], []
    for row in _matrix(content).tolist():
        occupied = [(column, element) for column, element in enumerate(row) if element]
        if len(occupied) != 1:
            return None
        sources.append(occupied[0][0])
        phases.append(occupied[0][1])
    return tuple(sources), tuple(phases)


@lru_cache(maxsize=1024)
def _values(n: int, at: tuple[int, ...]) -> NDArray[np.int64]:
    """Return the value of the qubits ``at`` in each row."""
    rows = np.arange(2**n)
    value = np.zeros_like(rows)
    for i in at:
        value = 2 * value + (rows >> (n - 1 - i) & 1)
    return value


@lru_cache(maxsize=1024)
def _moves(n: int, at: tuple[int, ...], sources: tuple[int, ...]) -> NDArray[np.int64] | None:
    value = _values(n, at)
    weights = [1 << (n - 1 - i) for i in at]
    offsets = np.zeros(len(sources), dtype=np.int64)
    for i, weight in enumerate(reversed(weights)):
        offsets += (np.arange(len(sources)) >> i & 1) * weight
    index: NDArray[np.int64] = np.arange(2**n) - offsets[value] + offsets[np.array(sources)[value]]
    if sources == tuple(range(len(sources))):
        return None
    return index[:, np.newaxis] * 2**n + index if n <= _FLAT else index


def _matrix(content: bytes) -> NDArray[np.complex128]:
    elements = np.frombuffer(content, dtype=np.complex128)
    size = isqrt(len(elements))
    return elements.reshape(size, size)
