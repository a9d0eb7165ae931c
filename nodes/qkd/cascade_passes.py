"""The passes of Cascade: the order in which each takes the bits, its blocks, and their parities."""

from __future__ import annotations

from hashlib import shake_256
from math import ceil, log2
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits

PASSES = 14
_THIRD_BLOCK = 4096


class Range(NamedTuple):
    """The bits [start, end) in the order of a pass."""

    number: int
    start: int
    end: int


def block_sizes(size: int, qber: float) -> list[int]:
    """Return the block size of each pass.

    k1 = 2^ceil(a) and k2 = 2^ceil((a+12)/2) with a = log2(1/Q) - 1/2, k3 = 4096, then n/2 (Martinez-Mateo et
    al. 2015); none exceeds n/2 and none is smaller than the one before.
    """
    half = max(1, (size + 1) // 2)
    a = log2(1 / min(max(qber, 1 / size), 0.5)) - 0.5
    first = 2 ** ceil(a)
    second = max(first, 2 ** ceil((a + 12) / 2))
    third = max(second, _THIRD_BLOCK)
    return [min(block, half) for block in (first, second, third)] + [half] * (PASSES - 3)


def orders(seed: bytes, size: int) -> list[NDArray[np.intp]]:
    """Return each pass's order of the bits: as they come in the first, shuffled by ``seed`` in the others.

    The shuffle sorts by 64-bit words of SHAKE-256, which are the same on every machine and for ever.
    """
    shuffled = []
    for number in range(1, PASSES):
        words = np.frombuffer(shake_256(seed + bytes([number])).digest(8 * size), dtype="<u8")
        shuffled.append(np.argsort(words, kind="stable"))
    return [np.arange(size), *shuffled]


def shuffled_parities(key: Bits, passes: list[NDArray[np.intp]]) -> list[list[int]]:
    """Return for each pass the parities of its first 0, 1, ... n bits; a range's parity is the XOR of two."""
    return [[0, *np.bitwise_xor.accumulate(key[order]).tolist()] for order in passes]
