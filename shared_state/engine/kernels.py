"""The arithmetic of one cluster: pure functions of a dense density matrix of n qubits, shape (2^n, 2^n).

``at`` are positions of qubits within the cluster, 0 the most significant. An operation brings these qubits to
the front and leaves them there, because putting them back would cost another copy; ``reordered`` tells the
caller the new order. No function changes its argument.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

Rho: TypeAlias = NDArray[np.complex128]
LabelT = TypeVar("LabelT")


def reordered(labels: Sequence[LabelT], at: tuple[int, ...]) -> list[LabelT]:
    """Return the labels in the order that the kernels leave: those at ``at`` first, then the others."""
    return [labels[i] for i in _front(len(labels), at)]


@lru_cache(maxsize=4096)
def _front(n: int, at: tuple[int, ...]) -> tuple[int, ...]:
    return (*at, *(i for i in range(n) if i not in at))


@lru_cache(maxsize=4096)
def _rows_to_front(n: int, at: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and transposition that bring the row axes ``at`` to the front of a matrix."""
    return (*(2,) * n, 2**n), (*_front(n, at), n)


@lru_cache(maxsize=4096)
def _qubits_to_front(n: int, at: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Shape and transposition that bring the row and the column axes of ``at`` to the front of a matrix."""
    order = _front(n, at)
    kept, rest = order[: len(at)], order[len(at) :]
    return (2,) * (2 * n), (*kept, *(n + i for i in kept), *rest, *(n + i for i in rest))


def sandwich(rho: Rho, n: int, at: tuple[int, ...], unitary: Rho) -> Rho:
    """Return U rho U^+, reordered, where U acts on the qubits ``at``."""
    shape, order = _rows_to_front(n, at)
    size = 2**n
    k = len(unitary)
    half = (unitary @ rho.reshape(shape).transpose(order).reshape(k, -1)).reshape(size, size)
    # (U rho U^+)^T = conj(U) (U rho)^T: the columns are done as rows of the transposed matrix
    return (unitary.conj() @ half.T.reshape(shape).transpose(order).reshape(k, -1)).reshape(size, size).T


def contract(rho: Rho, n: int, at: tuple[int, ...], rows: Rho) -> Rho:
    """Return, for each row of ``rows``, that linear functional of the qubits ``at``, applied to rho.

    ``rows`` has shape (m, 4^k) and acts on the row-major vector of k qubits; the result has shape
    (m, 2^(n-k), 2^(n-k)). With effects as rows these are the unnormalised states after each outcome, with the
    trace as the only row it is the partial trace.
    """
    shape, order = _qubits_to_front(n, at)
    rest = 2 ** (n - len(at))
    return (rows @ rho.reshape(shape).transpose(order).reshape(rows.shape[1], -1)).reshape(-1, rest, rest)


def transform(rho: Rho, n: int, at: tuple[int, ...], channel: Rho) -> Rho:
    """Return the channel's effect on rho, reordered; ``channel`` has shape (4^k, 4^k)."""
    k, rest = 2 ** len(at), 2 ** (n - len(at))
    blocks = contract(rho, n, at, channel).reshape(k, k, rest, rest)
    return blocks.transpose(0, 2, 1, 3).reshape(2**n, 2**n)


def depolarised(rho: Rho, n: int, at: tuple[int, ...], p: float) -> Rho:
    """Return (1-p) rho + p I/2^k (x) tr_at(rho), reordered: ``transform`` for any number of qubits k."""
    shape, order = _rows_to_front(n, at)
    size, k = 2**n, 2 ** len(at)
    half = rho.reshape(shape).transpose(order).reshape(size, size)
    mixed = (1 - p) * half.T.reshape(shape).transpose(order).reshape(size, size).T
    blocks = mixed.reshape(k, size // k, k, size // k)
    rest = partial_trace(rho, n, _front(n, at)[len(at) :])
    for i in range(k):
        blocks[i, :, i, :] += p / k * rest
    return mixed


def partial_trace(rho: Rho, n: int, keep: tuple[int, ...]) -> Rho:
    """Return the reduced density matrix of the qubits ``keep``, in that order."""
    shape, order = _qubits_to_front(n, keep)
    k, rest = 2 ** len(keep), 2 ** (n - len(keep))
    environment = rho.reshape(shape).transpose(order).reshape(k * k, rest * rest)[:, :: rest + 1]
    reduced: Rho = environment.sum(axis=1).reshape(k, k)
    return reduced


def tensor(first: Rho, second: Rho) -> Rho:
    """Return first (x) second. The same as ``numpy.kron`` at a tenth of its overhead for small matrices."""
    size = len(first) * len(second)
    return (first[:, None, :, None] * second[None, :, None, :]).reshape(size, size)
