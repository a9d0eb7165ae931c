"""Where some qubits of a cluster lie in its density matrix, and the blocks in which it is worked through.

The matrix of n qubits is an array of 2n axes of length 2: the qubits' rows, then their columns. A block fixes
the row bits of some of the qubits that an operation does not act on, the most significant first. So a block of
the result depends on the same block of the source only, and where the qubits acted on disappear, block number b
becomes the b-th equal share of the remaining rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shared_state.engine.slices import BLOCK

Index: TypeAlias = tuple[int | slice, ...]


@dataclass(frozen=True, slots=True)
class Place:
    """The qubits ``at`` (0 the most significant) among n."""

    shape: tuple[int, ...]
    """(2,) * 2n."""
    blocks: tuple[Index, ...]
    """Each selects a block from an array of that shape."""
    to_front: tuple[int, ...]
    """The transposition of a block that brings the row axes and then the column axes of ``at`` to the front."""
    back: tuple[int, ...]
    """Its inverse."""
    bits: NDArray[np.int64]
    """The weights' exponents of ``at`` in a row number, ascending."""
    offsets: NDArray[np.int64]
    """For each value of the qubits ``at``, what it contributes to a row number."""
    rest_rows: int
    """The rows of a block for one value of the qubits ``at``."""


@lru_cache(maxsize=4096)
def place(n: int, at: tuple[int, ...]) -> Place:
    """Return where the qubits ``at`` lie; blocks have at most BLOCK elements where that is possible."""
    others = [i for i in range(n) if i not in at]
    fixed = fixed_axes(others, 2 * n)
    columns = n - len(fixed)
    rows = [i - sum(axis < i for axis in fixed) for i in at]
    front = (*rows, *(columns + i for i in at))
    to_front = (*front, *(i for i in range(2 * n - len(fixed)) if i not in front))
    weights = [n - 1 - i for i in at]
    return Place(
        shape=(2,) * (2 * n),
        blocks=tuple(blocks_of(fixed, n)),
        to_front=to_front,
        back=tuple(to_front.index(i) for i in range(len(to_front))),
        bits=np.array(sorted(weights), dtype=np.int64),
        offsets=np.array(
            [sum(b << w for b, w in zip(bits, weights, strict=True)) for bits in _values(len(at))]
        ),
        rest_rows=2 ** (len(others) - len(fixed)),
    )


def fixed_axes(candidates: Sequence[int], bits: int) -> Sequence[int]:
    """Return those of the candidates, from the first, that must be fixed to make an array of 2^bits a block."""
    excess = bits - (BLOCK.bit_length() - 1)
    return candidates[: max(0, excess)]


def blocks_of(fixed: Sequence[int], axes: int) -> Iterator[Index]:
    """Yield an index for each value of the ``fixed`` ones of the first ``axes`` axes."""
    for bits in _values(len(fixed)):
        value = dict(zip(fixed, bits, strict=True))
        yield tuple([value.get(axis, slice(None)) for axis in range(axes)])


def _values(bits: int) -> product[tuple[int, ...]]:
    return product((0, 1), repeat=bits)
