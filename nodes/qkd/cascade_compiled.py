"""The innermost loops of Cascade's search, compiled by numba (the extra ``compiled``).

Importing this module takes a second, and the first time on a machine some more, until numba has compiled and stored
what it finds here. The functions have the signatures and results of those in ``cascade_kernels``.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from nodes.ports import Bits
from nodes.qkd.cascade_passes import Flags, Frames, Integers, Order, Ranges


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
        _smallest(frames.count, frames.orders, frames.places, *segments, ascending, chosen)
    return chosen


def corrected_parities(frames: Frames, corrected: Flags, ranges: Ranges) -> Bits:
    """See ``cascade_kernels.corrected_parities``."""
    parities = np.empty(ranges.row.size, dtype=np.uint8)
    _corrected_parities(frames.size, corrected, *ranges, parities)
    return parities


_SHORT = 256  # bits: up to here a segment's own are looked through, however few the smaller ones have

_COLUMN = "int64[::1]"
_PASSES = "int32[:, ::1], int32[:, ::1]"
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


@njit(f"boolean(int64, {_PASSES}, {_COLUMNS}, int64, int64)", cache=True, nogil=True)
def _overlap(
    count: int,
    orders: Order,
    places: Order,
    row: Integers,
    start: Integers,
    end: Integers,
    one: int,
    other: int,
) -> bool:
    """Tell whether two segments of a frame share a bit. It takes a look at each bit of the first at most."""
    order, place = orders[row[one] // count], places[row[other] // count]
    low, high = start[other], end[other]
    shared = False
    for at in range(start[one], end[one]):
        if low <= place[order[at]] < high:
            shared = True
            break
    return shared


@njit(f"void(int64, {_PASSES}, {_COLUMNS}, {_COLUMN}, boolean[::1])", cache=True, nogil=True)
def _smallest(
    count: int,
    orders: Order,
    places: Order,
    row: Integers,
    start: Integers,
    end: Integers,
    ascending: Integers,
    chosen: Flags,
) -> None:
    taken = np.zeros(orders.shape[1], np.int32)  # by a segment of which frame last, counted from 1
    frame, first, covered = -1, 0, 0
    for rank, i in enumerate(ascending):
        order, size = orders[row[i] // count], end[i] - start[i]
        if row[i] % count != frame:
            frame, first, covered = row[i] % count, rank, 0
        if size > covered + _SHORT:  # to look through the smaller ones takes less time
            covered = -_SHORT  # nor will a longer one to come be looked through
            for other in ascending[first:rank]:
                if _overlap(count, orders, places, row, start, end, other, i):
                    chosen[i] = False
                    break
        else:
            covered += size
            for at in range(start[i], end[i]):
                if taken[order[at]] == frame + 1:
                    chosen[i] = False
                taken[order[at]] = frame + 1


@njit(f"void(int64, boolean[::1], {_COLUMNS}, uint8[::1])", cache=True, nogil=True)
def _corrected_parities(
    size: int, corrected: Flags, row: Integers, start: Integers, end: Integers, parities: Bits
) -> None:
    for i in range(row.size):
        parity = 0
        for at in range(row[i] * size + start[i], row[i] * size + end[i]):
            parity ^= corrected[at]
        parities[i] = parity
