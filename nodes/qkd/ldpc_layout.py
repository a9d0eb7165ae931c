"""How a key is cut into frames of one code.

Every bit of the key goes to a place in some frame that is drawn after all photons are measured: errors that came in
bursts are then spread over all frames alike. The lift of the code fits the frames, so that at most one block column
is filled up with bits that both parties know; these cost nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import shake_256
from math import ceil
from typing import Final

import numpy as np
from numpy.typing import NDArray

from nodes.ports import Bits
from nodes.qkd.ldpc_codes import Code, code
from nodes.qkd.ldpc_rates import initial_parities_per_bit

LARGEST_FRAME: Final = 2**19
SMALLEST_KEY: Final = 256
"""No code is worth its parities for a key that is shorter."""
COLUMNS: Final = 512
SMALLEST_LIFT: Final = 8
FEWEST_ROWS: Final = 6
"""A code with fewer rows has too few edges to grow into one for a higher error rate."""
WORTH: Final = 0.9
"""When parities are so many for each bit, the bits themselves are told."""


@dataclass(frozen=True)
class Layout:
    """The number of bits of the key in each frame, and the code of all, or None where all bits are told."""

    sizes: tuple[int, ...]
    code: Code | None


def lay_out(size: int, qber: float) -> Layout:
    """Choose frames and code for a key of ``size`` bits, a fraction ``qber`` of which is expected to be wrong."""
    frames = max(1, ceil(size / LARGEST_FRAME))
    sizes = tuple(size // frames + (number < size % frames) for number in range(frames))
    lift = max(SMALLEST_LIFT, ceil(sizes[0] / COLUMNS))
    columns = ceil(sizes[0] / lift)
    if size < SMALLEST_KEY:
        return Layout(sizes, None)
    rows = max(FEWEST_ROWS, ceil(columns * initial_parities_per_bit(qber, sizes[0])))
    return Layout(sizes, code(columns, rows, lift) if rows * lift < WORTH * sizes[-1] else None)


def order(seed: bytes, size: int) -> NDArray[np.int64]:
    """Shuffle 0 .. size-1 by sorting words of SHAKE-256, which are the same on every machine and for ever.

    A word's low bits are its place, so that no two are equal and every method sorts them alike.
    """
    low = np.uint64((1 << size.bit_length()) - 1)
    words = np.frombuffer(shake_256(seed).digest(8 * size), dtype="<u8") & ~low
    return (np.sort(words | np.arange(size, dtype=np.uint64)) & low).astype(np.int64)


def pieces(bits: Bits, sizes: Sequence[int]) -> list[Bits]:
    """Cut bits into consecutive pieces of these sizes."""
    return np.split(bits, np.cumsum(sizes)[:-1])
