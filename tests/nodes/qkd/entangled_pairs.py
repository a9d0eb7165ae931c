"""Pairs of two qubits measured by two ends, drawn from the exact law of their state; no lab, no link."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, sin

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits, PairOutcomes


def in_z_and_x(
    count: int, seed: int, *, in_z: float = 0.0, in_x: float = 0.0, z_probability: float = 0.5
) -> tuple[PairOutcomes, PairOutcomes]:
    """Return what two ends find of pairs whose bits differ with ``in_z`` in Z and ``in_x`` in X."""
    rng = np.random.default_rng(seed)
    hers, his = (rng.random((2, count)) >= z_probability).astype(np.uint8)
    bits = rng.integers(0, 2, count, dtype=np.uint8)
    wrong = rng.random(count) < np.where(hers == 0, in_z, in_x)
    others = np.where(hers == his, bits ^ wrong, rng.integers(0, 2, count, dtype=np.uint8))
    return outcomes(hers, bits), outcomes(his, others)


def along(
    count: int, seed: int, directions: tuple[Sequence[float], Sequence[float]], xx: float, zz: float
) -> tuple[PairOutcomes, PairOutcomes]:
    """Return what two ends find along directions drawn alike of pairs with <XX>, <ZZ> and no other correlation."""
    rng = np.random.default_rng(seed)
    hers, his = (rng.integers(0, len(some), count, dtype=np.uint8) for some in directions)
    table = np.array(
        [[cos(a) * cos(b) * zz + sin(a) * sin(b) * xx for b in directions[1]] for a in directions[0]]
    )
    bits = rng.integers(0, 2, count, dtype=np.uint8)
    differ: NDArray[np.bool_] = rng.random(count) < (1 - table[hers, his]) / 2
    return outcomes(hers, bits), outcomes(his, bits ^ differ)


def outcomes(bases: Bits, bits: Bits) -> PairOutcomes:
    """Return what one end has found, all of it at time 0."""
    return PairOutcomes(bases, bits.astype(np.uint8), np.zeros(len(bits)))
