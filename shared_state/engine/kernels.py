"""The arithmetic of one cluster: functions of a dense density matrix of n qubits, shape (2^n, 2^n).

``at`` are positions of qubits within the cluster, 0 the most significant. No function changes its argument; each
works in slices of a few milliseconds at most (see ``slices``), and the qubits keep their order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from string import ascii_letters
from types import ModuleType
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine import blocks
from shared_state.engine.channels import Channel, depolarising_together
from shared_state.engine.places import blocks_of, fixed_axes, place
from shared_state.engine.recognition import LARGEST, Permutation, permutation, superoperator
from shared_state.engine.slices import BLOCK, WORK, Steps

Rho: TypeAlias = NDArray[np.complex128]

COMPILED_FROM: Final = 8
"""The number of qubits from which compiled kernels are used, where numba is installed."""


@lru_cache(maxsize=1)
def compiled() -> ModuleType | None:
    """Return the compiled kernels, or None without numba. The first call takes a second or more."""
    return import_module("shared_state.engine.compiled") if find_spec("numba") else None


def sandwich(rho: Rho, n: int, at: tuple[int, ...], unitary: Rho) -> Steps[Rho]:
    """Return U rho U^+, where U acts on the qubits ``at``."""
    if len(at) > LARGEST:
        return (yield from _two_sided(rho, n, at, unitary))
    content = unitary.tobytes()
    moves = permutation(n, at, content)
    if moves is not None:
        return (yield from _permuted(rho, n, moves))
    if len(at) > 2:
        return (yield from _two_sided(rho, n, at, unitary))
    fast = compiled() if n >= COMPILED_FROM and len(at) == 2 else None
    if fast is None:
        return (yield from transform(rho, n, at, superoperator(content)))
    result, where = np.empty_like(rho), place(n, at)
    for number in range(len(where.blocks)):
        fast.sandwich(rho, result, where, number, unitary)
        yield
    return result


def transform(rho: Rho, n: int, at: tuple[int, ...], channel: Channel) -> Steps[Rho]:
    """Return the channel's effect on rho; ``channel`` has shape (4^k, 4^k)."""
    where = place(n, at)
    if len(where.blocks) == 1:
        return blocks.transformed(rho.reshape(where.shape), where, channel).reshape(rho.shape)
    fast = compiled() if n >= COMPILED_FROM and len(at) == 1 else None
    work = blocks.transform if fast is None else fast.transform
    result = np.empty_like(rho)
    for number in range(len(where.blocks)):
        work(rho, result, where, number, channel)
        yield
    return result


def project(
    rho: Rho, n: int, at: tuple[int, ...], effects: Rho, choose: Callable[[list[float]], int]
) -> Steps[tuple[int, Rho]]:
    """Return which outcome was chosen, given the outcomes' weights, and the state of the others that it leaves."""
    where, rest = place(n, at), 2 ** (n - len(at))
    if len(where.blocks) == 1:
        moved = rho.reshape(where.shape).transpose(where.to_front).reshape(effects.shape[1], -1)
        branches = blocks.product(effects, moved).reshape(-1, rest, rest)
        weights: list[float] = branches.trace(axis1=1, axis2=2).real.tolist()
        outcome = choose(weights)
        return outcome, branches[outcome] / weights[outcome]
    own = yield from partial_trace(rho, n, at)
    outcome = choose((effects @ own.ravel()).real.tolist())
    left = yield from contract(rho, n, at, effects[outcome])
    factor = 1 / left.trace().real
    for rows in _ranges(rest, BLOCK // rest):
        left[rows] *= factor
        yield
    return outcome, left


def contract(rho: Rho, n: int, at: tuple[int, ...], effect: Rho) -> Steps[Rho]:
    """Return the linear functional ``effect`` of the qubits ``at``, applied to rho: the others' state.

    ``effect`` has shape (4^k,) and acts on the row-major vector of k qubits. With the effect of an outcome this is
    the unnormalised state that it leaves, with the trace it is the partial trace.
    """
    where, size = place(n, at), 2 ** (n - len(at))
    if len(where.blocks) == 1:
        moved = rho.reshape(where.shape).transpose(where.to_front).reshape(len(effect), -1)
        return blocks.product(effect[np.newaxis], moved).reshape(size, size)
    result = np.empty((len(where.blocks), size * size // len(where.blocks)), dtype=np.complex128)
    source = rho.reshape(where.shape)
    for block, share in zip(where.blocks, result, strict=True):
        moved = source[block].transpose(where.to_front).reshape(len(effect), -1)
        share[:] = blocks.product(effect[np.newaxis], moved)[0]
        yield
    return result.reshape(size, size)


def partial_trace(rho: Rho, n: int, keep: tuple[int, ...]) -> Steps[Rho]:
    """Return the reduced density matrix of the qubits ``keep``, in that order."""
    size = 2 ** len(keep)
    fixed = fixed_axes(keep, n + len(keep))
    rows = [i for i in range(n) if i not in fixed]
    labels = [*rows, *(n + i if i in keep else i for i in range(n))]  # einsum sums over what occurs twice
    wanted = [*keep[len(fixed) :], *(n + i for i in keep)]
    subscripts = f"{_letters(labels)}->{_letters(wanted)}"
    result = np.empty((2 ** len(fixed), size * size >> len(fixed)), dtype=np.complex128)
    source = rho.reshape((2,) * (2 * n))
    for block, share in zip(blocks_of(fixed, n), result, strict=True):
        share[:] = np.einsum(subscripts, source[block]).ravel()
        yield
    return result.reshape(size, size)


def depolarised(rho: Rho, n: int, at: tuple[int, ...], p: float) -> Steps[Rho]:
    """Return (1-p) rho + p I/2^k (x) tr_at(rho)."""
    if len(at) <= 2:
        return (yield from transform(rho, n, at, depolarising_together(len(at), p)))
    others = tuple(i for i in range(n) if i not in at)
    rest = yield from partial_trace(rho, n, others)
    rest = (p / 2 ** len(at) * rest).reshape((2,) * (2 * len(others)))
    result = np.empty_like(rho)
    for rows in _ranges(len(rho), BLOCK // len(rho)):
        np.multiply(1 - p, rho[rows], out=result[rows])
        yield
    target = result.reshape((2,) * (2 * n))
    for block in blocks_of(at, n):
        target[(*block, *block)] += rest
        yield
    return result


def tensor(first: Rho, second: Rho) -> Steps[Rho]:
    """Return first (x) second."""
    a, b = len(first), len(second)
    if (a * b) ** 2 <= BLOCK:
        return (first[:, np.newaxis, :, np.newaxis] * second[:, np.newaxis, :]).reshape(a * b, a * b)
    result = np.empty((a, b, a, b), dtype=np.complex128)
    for i in _ranges(a, BLOCK // (a * b * b)):
        for j in _ranges(b, BLOCK // (a * b)):
            np.multiply(
                first[i, np.newaxis, :, np.newaxis], second[np.newaxis, j, np.newaxis, :], out=result[i, j]
            )
            yield
    return result.reshape(a * b, a * b)


def _permuted(rho: Rho, n: int, moves: Permutation) -> Steps[Rho]:
    if moves.small:
        moved = rho.copy() if moves.index is None else rho.take(moves.index)
        if moves.phase is not None:
            moved *= moves.phase
        return moved
    fast = compiled() if n >= COMPILED_FROM else None
    permute = blocks.permute if fast is None else fast.permute
    result = np.empty_like(rho)
    for rows in _ranges(len(rho), BLOCK // len(rho)):
        permute(rho, result, moves.index, moves.phase, rows.start, rows.stop)
        yield
    return result


def _two_sided(rho: Rho, n: int, at: tuple[int, ...], unitary: Rho) -> Steps[Rho]:
    """Multiply U from the left and U^+ from the right: for many qubits cheaper than a channel of 4^k x 4^k."""
    size, k = len(rho), len(unitary)
    others = [i for i in range(n) if i not in at]
    result = np.empty_like(rho)
    source, target = (matrix.reshape((*(2,) * n, size)) for matrix in (rho, result))
    fixed = fixed_axes(others, 2 * n)
    rows = [i - sum(axis < i for axis in fixed) for i in at]
    for block in blocks_of(fixed, n):
        for columns in _ranges(size, min(BLOCK // k, WORK // k**2)):
            target[block][..., columns] = _on_axes(source[block][..., columns], rows, unitary)
            yield
    shape = (-1, *(2,) * n)
    for some in _ranges(size, min(BLOCK, WORK // k) // size):
        result[some] = _on_axes(result[some].reshape(shape), [1 + i for i in at], unitary.conj()).reshape(
            -1, size
        )
        yield
    return result


def _on_axes(block: Rho, axes: Sequence[int], matrix: Rho) -> Rho:
    front = (*axes, *(i for i in range(block.ndim) if i not in axes))
    moved = block.transpose(front)
    changed: Rho = blocks.product(matrix, moved.reshape(len(matrix), -1)).reshape(moved.shape)
    return changed.transpose(np.argsort(front))


def _letters(numbers: Sequence[int]) -> str:
    return "".join([ascii_letters[number] for number in numbers])


def _ranges(length: int, at_a_time: int) -> Iterator[slice]:
    """Divide 0 .. length into slices of at least one and at most so many."""
    step = max(1, at_a_time)
    return (slice(start, min(start + step, length)) for start in range(0, length, step))
