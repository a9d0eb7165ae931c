"""The innermost loops of Cascade's search, by numpy; those of ``cascade_compiled`` are faster, and do the same.

``cuts`` and ``corrected`` hold one flag for each place of each row, ``row * size + place``: whether a segment has been
cut there, and whether the bit there is known to be wrong.
"""

from __future__ import annotations

import numpy as np

from nodes.ports import Bits
from nodes.qkd.cascade_passes import Flags, Frames, Integers, Ranges


def segments_at(frames: Frames, cuts: Flags, row: Integers, place: Integers) -> tuple[Integers, Integers]:
    """Return the bounds of the segment that holds each ``place`` of a row, by halving its block where it is cut."""
    size, blocks = frames.size, frames.blocks[row // frames.count]
    block = ((place + 1) * blocks - 1) // size
    start, end = block * size // blocks, (block + 1) * size // blocks
    while True:
        middle = (start + end) // 2
        cut = (end - start > 1) & cuts[row * size + middle]
        if not cut.any():
            return start, end
        right = place >= middle
        start, end = np.where(cut & right, middle, start), np.where(cut & ~right, middle, end)


def smallest(frames: Frames, segments: Ranges) -> Flags:
    """Tell which segments share no bit with a smaller one, or with one as small that comes before it.

    They come in the order of their rows, and those of a row share no bit.
    """
    number, frame = np.divmod(segments.row, frames.count)
    if segments.row.size == 0 or number[0] == number[-1]:
        return np.ones(segments.row.size, dtype=np.bool_)
    descending = np.argsort(segments.end - segments.start, kind="stable")[::-1]
    lengths = (segments.end - segments.start)[descending]
    first = np.cumsum(lengths) - lengths
    place = np.arange(lengths.sum()) + np.repeat(segments.start[descending] - first, lengths)
    bit = np.repeat(frame[descending] * frames.size, lengths)
    bit += frames.orders[np.repeat(number[descending], lengths), place]
    rank = np.repeat(np.arange(lengths.size), lengths)
    owner = np.empty(frames.count * frames.size, dtype=np.int64)
    owner[bit] = rank  # of several ranks for a bit the last one stays, which is that of the smallest segment
    chosen = np.empty(lengths.size, dtype=np.bool_)
    chosen[descending] = np.logical_and.reduceat(owner[bit] == rank, first)
    return chosen


def corrected_parities(frames: Frames, corrected: Flags, ranges: Ranges) -> Bits:
    """Return the parity of the number of corrected bits in each range."""
    begin = ranges.row * frames.size
    bounds = zip((begin + ranges.start).tolist(), (begin + ranges.end).tolist(), strict=True)
    counts = [np.count_nonzero(corrected[start:end]) & 1 for start, end in bounds]
    return np.array(counts, dtype=np.uint8)
