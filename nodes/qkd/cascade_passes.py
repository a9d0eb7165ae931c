"""What both ends of Cascade know beforehand: its frames, the order of the bits in each pass, and its blocks.

The key is dealt out to frames of about 2^14 bits, bit i to frame i mod F, so that all frames are of the same size
(short ones are padded with zeros) and a burst of errors is spread over all. A pass shuffles all frames alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import shake_256
from math import ceil, log2
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits

PASSES: Final = 14
FRAME_BITS: Final = 2**14

LARGE_BLOCKS_FROM: Final = 3
"""From this pass on a block is half the frame; these passes find few errors, if any, and open together."""

_THIRD_BLOCK = 4096
_MOST_OFTEN_ODD = 0.467
_HIGHEST_QBER = 0.25

Integers = NDArray[np.int64]
Order = NDArray[np.int32]
Flags = NDArray[np.bool_]


class Ranges(NamedTuple):
    """Of each range of bits: its row, pass * F + frame for F frames, and its bounds [start, end) in the row's order."""

    row: Integers
    start: Integers
    end: Integers


def selected(ranges: Ranges, which: Flags) -> Ranges:
    """Return the ranges that are marked."""
    return Ranges(*(column[which] for column in ranges))


def joined(*several: Ranges) -> Ranges:
    """Return all ranges, one after the other."""
    return Ranges(*(np.concatenate(column) for column in zip(*several, strict=True)))


@dataclass(frozen=True, slots=True)
class Frames:
    """``count`` frames of ``size`` bits. Pass p takes bit ``orders[p, i]`` of a frame as its i-th.

    ``places`` is the inverse of ``orders``; ``blocks[p]`` is the number of blocks, block b being the places from
    b * size // blocks[p] up to the next one's.
    """

    count: int
    size: int
    orders: Order
    places: Order
    blocks: Integers

    @property
    def passes(self) -> int:
        """Return the number of passes: a frame of a single bit needs but one."""
        return len(self.orders)

    def blocks_of(self, number: int, frames: Integers) -> Ranges:
        """Return all blocks of a pass in the frames stated, frame by frame."""
        count = int(self.blocks[number])
        edges = np.arange(count + 1) * self.size // count
        rows = np.repeat(number * self.count + frames, count)
        return Ranges(rows, np.tile(edges[:-1], frames.size), np.tile(edges[1:], frames.size))


def cut(size: int, qber: float, seed: bytes) -> Frames:
    """Return the frames of a key of ``size`` bits of which about a fraction ``qber`` is wrong."""
    count = max(1, (size + FRAME_BITS // 2) // FRAME_BITS)
    length = -(-size // count)
    passes = PASSES if length > 1 else length
    orders = _orders(seed, length, passes)
    places = np.empty_like(orders)
    np.put_along_axis(places, orders, np.arange(length, dtype=np.int32)[np.newaxis], axis=1)
    return Frames(count, length, orders, places, block_counts(length, qber)[:passes])


def block_counts(size: int, qber: float) -> Integers:
    """Return the number of blocks of each pass in a frame of ``size`` bits: at least two, no more than before.

    Their sizes are those of ``block_sizes``, as nearly as blocks can be that differ by one bit at most.
    """
    counts = [max(2, round(size / block)) for block in block_sizes(size, qber)]
    counts[0] = min(counts[0], size)
    return np.minimum.accumulate(np.array(counts + [2] * (PASSES - len(counts)), dtype=np.int64))


def block_sizes(size: int, qber: float) -> tuple[int, int, int]:
    """Return the sizes k1, k2, k3 of the blocks of the first three passes; in all others it is half the frame.

    Martinez-Mateo et al. 2015: k1 = 2^ceil(a) and k2 = 2^ceil((a + 12) / 2) with a = log2(1/Q) - 1/2, k3 = 4096. Where
    a rule is within 0.15 of an integer their table 3 has the better of the two values, and so has this: k1 is the
    largest power of two whose parity is odd with probability (1 - (1 - 2 Q)^k1) / 2 <= 0.467, and k2 rounds down
    from less than 0.1 above.
    """
    rate = min(max(qber, 0.5 / max(size, 1)), _HIGHEST_QBER)
    first = 2
    while (1.0 - (1.0 - 2.0 * rate) ** (2 * first)) / 2.0 <= _MOST_OFTEN_ODD:
        first *= 2
    second = 2 ** ceil((log2(1.0 / rate) - 0.5 + 12.0) / 2.0 - 0.1)
    return first, max(first, second), max(first, second, _THIRD_BLOCK)


def _orders(seed: bytes, size: int, passes: int) -> Order:
    """Return the order of each pass: as the bits come in the first, shuffled by ``seed`` in the others.

    The shuffle sorts by 64-bit words of SHAKE-256, which are the same on every machine and for ever.
    """
    orders = np.empty((passes, size), dtype=np.int32)
    orders[:1] = np.arange(size)
    for number in range(1, passes):
        words = np.frombuffer(shake_256(seed + bytes([number])).digest(8 * size), dtype="<u8")
        orders[number] = np.argsort(words, kind="stable")
    return orders


class KeyParities:
    """The parities of one end's key in any range of any pass, as sifted: corrections do not enter.

    A range's parity is the XOR of those of the first bits up to its two bounds. 64 frames share a machine word.
    """

    def __init__(self, key: Bits, frames: Frames) -> None:
        self._frames = frames
        self._words = -(-frames.count // 64)
        dealt = np.zeros((frames.size, 64 * self._words), dtype=np.uint8)
        padded = np.zeros(frames.size * frames.count, dtype=np.uint8)
        padded[: key.size] = key
        dealt[:, : frames.count] = padded.reshape(frames.size, frames.count)
        words = np.packbits(dealt, axis=1, bitorder="little").view("<u8")
        first = np.zeros((frames.passes, frames.size + 1, self._words), dtype=np.uint64)
        for number, order in enumerate(frames.orders):
            np.bitwise_xor.accumulate(words[order], axis=0, out=first[number, 1:])
        self._first = first.reshape(-1)

    def of(self, ranges: Ranges) -> Bits:
        """Return the parity of each range."""
        number, frame = np.divmod(ranges.row, self._frames.count)
        column = number * (self._frames.size + 1) * self._words + frame // 64
        before = self._first[column + ranges.start * self._words]
        after = self._first[column + ranges.end * self._words]
        shift = (frame % 64).astype(np.uint64)
        parities: Bits = (((before ^ after) >> shift) & np.uint64(1)).astype(np.uint8)
        return parities
