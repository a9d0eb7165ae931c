"""Hashing with random Toeplitz matrices over GF(2), a universal family: different keys collide with 2^-m.

H. Krawczyk, "LFSR-based hashing and authentication", Crypto '94, LNCS 839, 129-139. The product is computed
as a convolution: with ``n + m - 1`` seed bits, y_i = sum_j seed[i - j + n - 1] key_j mod 2 for i = 0 .. m-1.
"""

from __future__ import annotations

import numpy as np

from nodes.errors import NodeError
from nodes.ports import Bits

LARGEST_ROUNDING_ERROR = 0.25


class PrecisionLost(NodeError):
    """A hash of a very long key could not be computed exactly; hash shorter keys."""


def seed_length(size: int, hashed: int) -> int:
    """Return how many seed bits hash ``size`` bits to ``hashed`` ones: n + m - 1."""
    return size + hashed - 1


def toeplitz_hash(key: Bits, seed: Bits, hashed: int) -> Bits:
    """Multiply the key of n bits by the m x n Toeplitz matrix T[i, j] = seed[i - j + n - 1]; return m bits.

    One circular convolution of at least n + m - 1 points: what wraps around falls on the first n - 1 sums,
    which are not used. The sums are integers up to n and double precision holds them to 1e-10 at n = 1e6; it
    is checked.

    Raises ``ValueError`` for a seed of the wrong length and ``PrecisionLost`` when a sum is not near an
    integer.
    """
    if seed.size != seed_length(key.size, hashed):
        raise ValueError(f"{seed_length(key.size, hashed)} seed bits are needed, not {seed.size}")
    points = _fast_length(seed.size)
    product = np.fft.rfft(seed.astype(np.float64), points) * np.fft.rfft(key.astype(np.float64), points)
    sums = np.fft.irfft(product, points)[key.size - 1 : seed.size]
    nearest = np.rint(sums)
    if np.abs(sums - nearest).max(initial=0.0) >= LARGEST_ROUNDING_ERROR:
        raise PrecisionLost(f"a hash of {key.size} bits lost its precision; distil shorter blocks")
    return (nearest.astype(np.int64) & 1).astype(np.uint8)


def _fast_length(least: int) -> int:
    """Return the smallest 2^a, 3 2^a or 5 2^a that is at least ``least``: a length whose FFT is fast."""
    return min(factor << max(0, (-(-least // factor) - 1).bit_length()) for factor in (1, 3, 5))
