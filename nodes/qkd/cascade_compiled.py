"""The innermost loops of Cascade's search, compiled by numba (the extra ``compiled``).

Importing this module takes a second, and the first time on a machine some more, until numba has compiled and stored
what it finds here. The functions have the signatures and results of those in ``cascade_kernels``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nodes.ports import Bits
from nodes.qkd.cascade_passes import Flags, Frames, Integers, Ranges


def segments_at(frames: Frames, cuts: Flags, row: Integers, place: Integers) -> tuple[Integers, Integers]:
    """See ``cascade_kernels.segments_at``."""
    start, end = np.empty_like(row), np.empty_like(row)
    _segments_at(frames.size, frames.count, frames.blocks, cuts, row, place, start, end)
    return start, end


def smallest(frames: Frames, segments: Ranges) -> Flags:
    """See ``cascade_kernels.smallest``."""
    chosen = np.ones(segments.row.size, dtype=np.bool_)
    if chosen.size and segments.row[0] // frames.count != segments.row[-1] // frames.count:
        by_frame = segments.row % frames.count * frames.size + segments.end - segments.start
        ascending = np.argsort(by_frame, kind="stable")
        _smallest(frames.size, frames.count, frames.orders, *segments, ascending, chosen)
    return chosen


def corrected_parities(frames: Frames, corrected: Flags, ranges: Ranges) -> Bits:
    """See ``cascade_kernels.corrected_parities``."""
    parities = np.empty(ranges.row.size, dtype=np.uint8)
    _corrected_parities(frames.size, corrected, *ranges, parities)
    return parities


_COLUMN = "int64[::1]"
_COLUMNS = f"{_COLUMN}, {_COLUMN}, {_COLUMN}"


@njit(f"void(int64, int64, {_COLUMN}, boolean[::1], {_COLUMNS}, {_COLUMN})", cache=True, nogil=True)
def _segments_at(
    size: int,
    count: int,
    blocks: Integers,
    cuts: Flags,
    row: Integers,
    place: Integers,
    start: Integers,
    end: Integers,
) -> None:
    for i in range(row.size):
        number = blocks[row[i] // count]
        block = ((place[i] + 1) * number - 1) // size
        low, high = block * size // number, (block + 1) * size // number
        while high - low > 1:
            middle = (low + high) // 2
            if not cuts[row[i] * size + middle]:
                break
            if place[i] >= middle:
                low = middle
            else:
                high = middle
        start[i], end[i] = low, high


@njit(f"void(int64, int64, int64[:, ::1], {_COLUMNS}, {_COLUMN}, boolean[::1])", cache=True, nogil=True)
def _smallest(
    size: int,
    count: int,
    orders: Integers,
    row: Integers,
    start: Integers,
    end: Integers,
    ascending: Integers,
    chosen: Flags,
) -> None:
    taken = np.zeros(
        size, np.int64
    )  # by which frame last; one frame comes after the other, and each fits the cache
    for i in ascending:
        number, frame = row[i] // count, row[i] % count + 1
        for place in range(start[i], end[i]):
            bit = orders[number, place]
            if taken[bit] == frame:
                chosen[i] = False
            taken[bit] = frame


@njit(f"void(int64, boolean[::1], {_COLUMNS}, uint8[::1])", cache=True, nogil=True)
def _corrected_parities(
    size: int, corrected: Flags, row: Integers, start: Integers, end: Integers, parities: Bits
) -> None:
    for i in range(row.size):
        parity = 0
        for at in range(row[i] * size + start[i], row[i] * size + end[i]):
            parity ^= corrected[at]
        parities[i] = parity
